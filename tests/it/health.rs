//! Real backends that die and come back.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener};

use hickory_proto::rr::RecordType;
use jiff::{SignedDuration, Timestamp};

use crate::harness::{Farm, Scratch, Server, eventually};

fn farm_zone(farm: &Farm, check: &str) -> Scratch {
    let scratch = Scratch::new();
    let head = "$TTL 60\n@ SOA ns1 hostmaster 1 2 3 4 5\n@ NS ns1\nns1 A 127.0.0.1\n";
    let members: String = farm.addresses().iter().map(|address| format!("www A {address}\n")).collect();
    scratch.write("zones/farm.test.zone", &format!("{head}{members}"));
    let port = farm.port;
    let policy = format!(
        "[check.web]\n{check}\nport = {port}\ninterval = \"100ms\"\nfast_interval = \"100ms\"\ntimeout = \"100ms\"\n\
         fall = 2\nrise = 2\n[pool.www]\nk = 2\nttl = 5\ncheck = \"web\"\n"
    );
    scratch.write("zones/farm.test.toml", &policy);
    scratch
}

/// Whom the answers name, over so many of them that each member of the rotation must come up.
fn dealt(server: &Server) -> BTreeSet<IpAddr> {
    (0..60).flat_map(|_| server.resolve("www.farm.test.", RecordType::A)).collect()
}

fn verdict(server: &Server, address: IpAddr) -> serde_json::Value {
    let status = server.status();
    let members = status["pools"][0]["families"][0]["members"].as_array().expect("members").clone();
    members.into_iter().find(|member| member["address"] == address.to_string()).expect("the member")
}

fn a_dead_backend_leaves_and_comes_back(mut farm: Farm, check: &str) {
    let server = Server::start(farm_zone(&farm, check));
    assert_eq!(dealt(&server).len(), 4, "the first round found all well");
    let dead = farm.kill(1);
    let member = eventually("it is down", || {
        Some(verdict(&server, dead)).filter(|member| member["verdict"] == "down" && member["served"] == false)
    });
    assert!(member["last_error"].is_string(), "{member}");
    assert!(!dealt(&server).contains(&dead), "it is in no hand");
    farm.revive(1);
    eventually("it is up", || Some(()).filter(|()| verdict(&server, dead)["verdict"] == "up"));
    eventually("it is dealt again", || dealt(&server).contains(&dead).then_some(()));
}

#[test]
fn an_http_backend_that_dies_leaves_the_answers_and_comes_back() {
    a_dead_backend_leaves_and_comes_back(Farm::start(61, 4), "type = \"http\"\npath = \"/healthz\"");
}

#[test]
fn a_tcp_backend_that_dies_leaves_the_answers_and_comes_back() {
    a_dead_backend_leaves_and_comes_back(Farm::start(62, 4), "type = \"tcp\"");
}

/// There is no other probe for an hour: whoever is out within the test is out because its connection broke.
fn a_crash_takes_it_out_between_two_probes(mut farm: Farm, check: &str) {
    let scratch = farm_zone(&farm, check);
    let policy = std::fs::read_to_string(scratch.path("zones/farm.test.toml")).expect("the policy");
    let policy =
        policy.replace("interval = \"100ms\"", "interval = \"1h\"").replace("timeout = \"100ms\"", "hold = true");
    scratch.write("zones/farm.test.toml", &policy);
    let mut server = Server::start(scratch);
    assert_eq!(dealt(&server).len(), 4, "the first round found all well");
    let dead = farm.kill(2);
    let line = server.log_until(|line| line.contains("member is down"));
    assert!(line.contains(&dead.to_string()) && line.contains("connection refused"), "{line}");
    eventually("it is in no hand", || Some(()).filter(|()| !dealt(&server).contains(&dead)));
    assert_eq!(dealt(&server).len(), 3, "and the others are");
}

#[test]
fn a_crash_is_noticed_on_a_connection_that_is_held() {
    a_crash_takes_it_out_between_two_probes(Farm::start(67, 4), "type = \"tcp\"");
}

#[test]
fn a_crash_is_noticed_on_a_connection_that_is_asked_again() {
    a_crash_takes_it_out_between_two_probes(Farm::start(68, 4), "type = \"http\"\npath = \"/healthz\"");
}

#[cfg(feature = "encrypted")]
#[test]
fn a_crash_is_noticed_behind_tls() {
    a_crash_takes_it_out_between_two_probes(Farm::start_encrypted(69, 4), "type = \"https\"\nverify = false");
}

#[test]
fn the_first_answer_knows_who_is_dead() {
    let mut farm = Farm::start(63, 4);
    let dead = farm.kill(2);
    let server = Server::start(farm_zone(&farm, "type = \"tcp\""));
    assert!(!dealt(&server).contains(&dead));
}

#[test]
fn when_most_are_dead_all_are_served() {
    let mut farm = Farm::start(64, 4);
    let server = Server::start(farm_zone(&farm, "type = \"tcp\""));
    for index in 0..3 {
        farm.kill(index);
    }
    eventually("panic", || (server.status()["pools"][0]["families"][0]["panic"] == true).then_some(()));
    assert_eq!(dealt(&server).len(), 4);
    let printed = server.kofn(&["status"]);
    assert!(printed.out.contains("panic"), "{}", printed.out);
}

/// Stops it as an operator does.
fn stopped(server: Server) -> Scratch {
    server.signal("TERM");
    let (status, scratch) = server.wait();
    assert!(status.success(), "{status}");
    scratch
}

#[test]
fn who_was_down_and_is_silent_after_a_restart_is_still_down() {
    let mut farm = Farm::start(65, 4);
    let dead = farm.kill(1);
    let zone = farm_zone(&farm, "type = \"http\"\npath = \"/healthz\"");
    let policy = std::fs::read_to_string(zone.path("zones/farm.test.toml")).expect("the policy");
    zone.write(
        "zones/farm.test.toml",
        &policy
            .replace("\ninterval = \"100ms\"", "\ninterval = \"30s\"")
            .replace("timeout = \"100ms\"", "timeout = \"30s\""),
    );
    let server = Server::start(zone);
    assert_eq!(verdict(&server, dead)["verdict"], "down");
    let since = verdict(&server, dead)["since"].clone();
    let scratch = stopped(server);

    // From now on it takes connections and says nothing: no verdict within the first round.
    let _silent = TcpListener::bind((dead, farm.port)).expect("its port");
    let server = Server::start(scratch);
    let member = verdict(&server, dead);
    assert_eq!((&member["verdict"], &member["served"]), (&"down".into(), &false.into()), "{member}");
    assert_eq!(member["last_probe"], serde_json::Value::Null, "{member}");
    let time =
        |since: &serde_json::Value| since.as_str().and_then(|time| time.parse::<Timestamp>().ok()).expect("a time");
    let shift = time(&member["since"]).duration_since(time(&since)).abs();
    assert!(shift < SignedDuration::from_secs(1), "{since} became {member}");
    assert_eq!(dealt(&server).len(), 3);
    assert!(!dealt(&server).contains(&dead));

    let scratch = stopped(server);
    scratch.write("state/health.json", "{ \"written\": ");
    let mut server = Server::start_unready(scratch, &[]);
    server.log_until(|line| line.contains("state/health.json") && line.contains("verdicts begin anew"));
    server.log_until(|line| line.contains("ready"));
    assert_eq!(verdict(&server, dead)["verdict"], "unknown");
    assert!(dealt(&server).contains(&dead), "nobody knows better");
}
