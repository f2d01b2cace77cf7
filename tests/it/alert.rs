//! Somebody is told when something breaks, and when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;

use crate::harness::{Farm, Scratch, Server};

/// A webhook that passes on what it gets, after it has refused the first `busy` deliveries.
fn webhook(busy: usize) -> (u16, Receiver<serde_json::Value>, tokio::runtime::Runtime) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = channel();
    let seen = Arc::new(AtomicUsize::new(0));
    let take = move |body: String| {
        let refused = seen.fetch_add(1, Ordering::Relaxed) < busy;
        if !refused {
            let _ = sender.send(serde_json::from_str(&body).expect("JSON"));
        }
        std::future::ready(if refused { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK })
    };
    let routes = Router::new().route("/hook", post(take));
    runtime.spawn(async move { axum::serve(listener, routes).await });
    (port, receiver, runtime)
}

/// The changes that come until one has `text` in it.
fn told(hook: &Receiver<serde_json::Value>, text: &str) -> Vec<serde_json::Value> {
    let mut changes = Vec::new();
    while !changes.iter().any(|change: &serde_json::Value| change.to_string().contains(text)) {
        let message = hook.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("{text} after {changes:?}"));
        assert!(message["text"].as_str().expect("text").starts_with("kofn ns7: "), "{message}");
        changes.extend(message["changes"].as_array().expect("changes").clone());
    }
    changes
}

#[test]
fn a_death_and_a_fault_are_told_and_so_is_their_end() {
    let (port, hook, _runtime) = webhook(1);
    let mut farm = Farm::start(64, 3);
    let scratch = Scratch::new();
    let zone = |serial: u32| {
        let members: String = farm.addresses().iter().map(|address| format!("www A {address}\n")).collect();
        format!("$TTL 60\n@ SOA ns1 hostmaster {serial} 2 3 4 5\n@ NS ns1\nns1 A 127.0.0.1\n{members}")
    };
    scratch.write("zones/told.test.zone", &zone(1));
    scratch.write(
        "zones/told.test.toml",
        &format!(
            "[check.web]\ntype = \"tcp\"\nport = {}\ninterval = \"100ms\"\nfast_interval = \"100ms\"\nrise = 1\nfall = 1\n\
             timeout = \"100ms\"\n[pool.www]\ncheck = \"web\"\n",
            farm.port
        ),
    );
    scratch.write(
        "kofn.toml",
        &format!("[identity]\nid = \"ns7\"\n[alert]\nwebhook = \"http://127.0.0.1:{port}/hook\"\nevery = \"1s\"\n"),
    );
    let good = zone(2);
    let server = Server::start(scratch);
    let dead = farm.kill(0);
    let changes = told(&hook, &format!("www.told.test. {dead}"));
    let change = changes.last().expect("a change");
    assert_eq!((&change["state"], &change["kind"]), (&"raised".into(), &"down".into()), "{change}");
    assert_eq!(change["detail"], "connection refused");
    farm.revive(0);
    let changes = told(&hook, &format!("www.told.test. {dead}"));
    assert_eq!(changes.last().expect("a change")["state"], "cleared");
    server.scratch.write("zones/told.test.zone", "www A 1.2.3\n");
    let changes = told(&hook, "not taken");
    assert_eq!(changes.last().expect("a change")["kind"], "fault");
    server.scratch.write("zones/told.test.zone", &good);
    assert_eq!(told(&hook, "not taken").last().expect("a change")["state"], "cleared");
}

#[test]
fn a_test_says_who_cannot_be_told() {
    let scratch = Scratch::new();
    let run = scratch.kofn(&["alert"]);
    assert_eq!(run.code, 78, "{run:?}");
    let (port, hook, _runtime) = webhook(0);
    let settings = format!("[alert]\ncommand = [\"false\"]\nwebhook = \"http://127.0.0.1:{port}/hook\"\n");
    scratch.write("kofn.toml", &settings);
    let run = scratch.kofn(&["alert"]);
    assert_eq!(run.code, 69, "{run:?}");
    assert!(run.out.contains("not delivered to the command: false: exit status: 1"), "{run:?}");
    assert!(run.out.contains("delivered to the webhook"), "{run:?}");
    assert_eq!(hook.recv().expect("a document")["changes"][0]["kind"], "test");
}
