//! Why an answer is what it is: by the command, and as TXT.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::harness::{Farm, Scratch, Server, eventually};

const ZONE: &str = "$TTL 300\n@ SOA ns1 hostmaster 7 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n\
                    alias CNAME www\nplain TXT x\naway CNAME www.example.\nsub NS ns.elsewhere.\n*.wild A 192.0.2.9\n";

fn scratch(members: &str, policy: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("kofn.toml", "[admin]\nexplain = [\"127.0.0.1\"]\n");
    scratch.write("zones/a.test.zone", &format!("{ZONE}{members}"));
    scratch.write("zones/a.test.toml", policy);
    scratch
}

fn explain(server: &Server, arguments: &[&str]) -> Value {
    let run = server.kofn(&[&["explain", "--json"], arguments].concat());
    assert_eq!(run.code, 0, "{run:?}");
    run.json()
}

fn why(pool: &Value, address: &str) -> String {
    let members = pool["members"].as_array().expect("members");
    let member = members.iter().find(|member| member["address"] == address).expect("the member");
    member["why"].as_str().expect("words").to_owned()
}

#[test]
fn every_member_says_why() {
    let mut farm = Farm::start(65, 4);
    let [_, dead, drained, zero] = farm.addresses()[..] else { panic!("four backends") };
    let members: String = farm.addresses().iter().map(|address| format!("www A {address}\n")).collect();
    let port = farm.port;
    let policy = format!(
        "[check.web]\ntype = \"tcp\"\nport = {port}\ninterval = \"100ms\"\nfast_interval = \"100ms\"\n\
         [pool.www]\ncheck = \"web\"\nweights = {{ \"{zero}\" = 0 }}\npanic = 0.2\n"
    );
    let server = Server::start(scratch(&members, &policy));
    farm.kill(1);
    assert_eq!(server.kofn(&["drain", &drained.to_string(), "--reason", "a new kernel"]).code, 0);
    let explained = eventually("one is down", || {
        Some(explain(&server, &["alias.a.test"])).filter(|explained| explained["pool"]["eligible"] == 1)
    });
    let pool = &explained["pool"];
    assert_eq!(explained["why"][0], "alias.a.test. is an alias of www.a.test.");
    assert_eq!((&explained["zone"], &explained["serial"]), (&"a.test.".into(), &7.into()));
    assert!(why(pool, &dead.to_string()).starts_with("down: connection refused"), "{pool:#}");
    let words = why(pool, &drained.to_string());
    assert!(words.starts_with("drained: by `kofn drain") && words.ends_with("a new kernel"), "{words}");
    assert_eq!(why(pool, &zero.to_string()), "weight 0: so it is in no hand, ever");
    assert_eq!(pool["hand"].as_array().map(Vec::len), Some(1));
    assert_eq!((&pool["ttl"], &pool["members"][0]["share"]), (&30.into(), &1.0.into()), "{pool:#}");
    let printed = server.kofn(&["explain", "www.a.test"]);
    assert!(printed.out.contains("a new kernel") && printed.out.contains("TTL 30: the pool's ttl"), "{printed:?}");
}

#[test]
fn the_hand_of_an_affinity_pool_is_the_clients_own() {
    let members: String = (1..=8).map(|host| format!("www A 192.0.2.{host}\n")).collect();
    let server = Server::start(scratch(&members, "[pool.www]\nspread = \"affinity\"\n"));
    let hand = |from: &str| explain(&server, &["www.a.test", "A", "--from", from])["pool"]["hand"].clone();
    let ours: Vec<String> = server.resolve("www.a.test.", RecordType::A).iter().map(ToString::to_string).collect();
    assert_eq!(hand("127.0.0.77"), Value::from(ours.clone()), "one network has one hand");
    assert!((0..50).any(|net| hand(&format!("10.0.{net}.1")) != Value::from(ours.clone())));
    let told = server.ask("_explain.www.a.test.", RecordType::TXT);
    let lines: Vec<String> = told.answers.iter().map(|record| record.data.to_string()).collect();
    assert!(lines.iter().any(|line| line.contains(&format!("A: your hand {}", ours.join(" ")))), "{lines:?}");
}

#[test]
fn what_is_no_pool_is_explained_by_its_zone() {
    let server = Server::start(scratch("www A 192.0.2.1\n", "[pool.www]\n"));
    for (arguments, words) in [
        (&["plain.a.test", "MX"][..], &["nodata, NOERROR", "it has no MX, only TXT"][..]),
        (&["plain.a.test", "TXT"], &["answer, NOERROR", "plain.a.test. is in the zone", "\"x\""]),
        (&["www.a.test", "MX"], &["it is a pool, but not for MX", "it has no MX, only A"]),
        (&["x.y.a.test"], &["nxdomain, NXDOMAIN", "no wildcard stands for it"]),
        (&["x.wild.a.test"], &["*.wild.a.test. stands for it", "192.0.2.9"]),
        (&["x.sub.a.test"], &["referral", "sub.a.test. is delegated"]),
        (&["away.a.test"], &["away.a.test. is an alias of www.example.", "is not in this zone"]),
        (&["www.example.com"], &["refused, REFUSED", "no zone here holds the name"]),
    ] {
        let run = server.kofn(&[&["explain"], arguments].concat());
        assert!(run.code == 0 && words.iter().all(|words| run.out.contains(words)), "{arguments:?}: {run:?}");
    }
    for (arguments, code) in [(&["a..test"][..], 64), (&["a.test", "NOTYPE"], 64), (&["a.test", "AXFR"], 0)] {
        let run = server.kofn(&[&["explain"], arguments].concat());
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
    }
    let (_, scratch) = {
        server.signal("TERM");
        server.wait()
    };
    assert_eq!(scratch.kofn(&["explain", "www.a.test"]).code, 69, "nobody is there");
}

#[test]
fn txt_follows_the_settings_at_once() {
    let server = Server::start(scratch("www A 192.0.2.1\n", "[pool.www]\n"));
    let rcode = || server.ask("_explain.www.a.test.", RecordType::TXT).metadata.response_code;
    assert_eq!(rcode(), ResponseCode::NoError);
    server.scratch.write("kofn.toml", "[admin]\nexplain = [\"192.0.2.0/24\"]\n");
    eventually("it is as if the name were not there", || (rcode() == ResponseCode::NXDomain).then_some(()));
}

#[test]
fn tiers_ceilings_and_nobody_are_told() {
    let members = "near 20 A 192.0.2.1\nnear 20 A 198.51.100.1\nzero A 192.0.2.1\nout A 192.0.2.7\n\
                   dead A 127.0.67.1\ndead A 127.0.67.2\n";
    // Nobody listens on port 1.
    let policy = "[check.web]\ntype = \"tcp\"\nport = 1\n[pool.near]\ntiers = [[\"192.0.2.0/24\"]]\n\
                  [pool.zero]\nweights = { \"0.0.0.0/0\" = 0 }\n[pool.out]\nempty = \"nodata\"\n\
                  [pool.dead]\ncheck = \"web\"\n";
    let server = Server::start(scratch(members, policy));
    assert_eq!(server.kofn(&["drain", "192.0.2.7", "--force"]).code, 0);
    let pool = |name: &str| explain(&server, &[name])["pool"].clone();
    let near = pool("near.a.test");
    let waits = "in a tier that waits: it is in tier 2, and enough are healthy in those before it";
    assert_eq!((why(&near, "198.51.100.1").as_str(), &near["members"][1]["share"]), (waits, &0.0.into()));
    for (name, ttl, words) in [
        ("near.a.test", Value::from(20), "a ceiling to the pool's ttl, 30"),
        ("zero.a.test", Value::Null, "the weight of all members is 0"),
        ("out.a.test", Value::Null, "`empty = \"nodata\"` has it said so"),
    ] {
        let pool = pool(name);
        assert!(pool["ttl"] == ttl && pool["ttl_why"].as_str().is_some_and(|why| why.contains(words)), "{pool:#}");
    }
    let dead = pool("dead.a.test");
    let panic = dead["panic"].as_str().expect("panic");
    assert!(panic.starts_with("0 of 2 members are healthy, and `panic` is 0.5"), "{panic}");
    assert!(why(&dead, "127.0.67.1").starts_with("down, served in panic: connection refused"), "{dead:#}");
}

#[test]
fn a_verdict_that_hangs_is_why_the_ttl_is_short() {
    let mut farm = Farm::start(68, 2);
    let members: String = farm.addresses().iter().map(|address| format!("www A {address}\n")).collect();
    let port = farm.port;
    let policy = format!(
        "[check.web]\ntype = \"tcp\"\nport = {port}\ninterval = \"100ms\"\nfast_interval = \"100ms\"\nfall = 1000\n\
         [pool.www]\ncheck = \"web\"\n"
    );
    let server = Server::start(scratch(&members, &policy));
    let dying = farm.kill(0).to_string();
    let pool = eventually("its verdict hangs", || {
        let pool = explain(&server, &["www.a.test"])["pool"].clone();
        (pool["ttl"] == 5).then_some(pool)
    });
    let words = format!("`ttl_min`, as the verdict hangs on {dying}; else it would be 30");
    assert_eq!(pool["ttl_why"], words);
    assert_eq!(why(&pool, &dying), "served: its verdict hangs, so its hands last 5 s");
}

#[test]
fn of_a_very_large_pool_some_are_told_and_the_rest_is_counted() {
    let members: String =
        (1..=600).map(|host| format!("www AAAA 2001:db8:1111:2222:3333:4444:5555:{host:x}\n")).collect();
    let server = Server::start(scratch(&members, "[pool.www]\nspread = \"random\"\n"));
    assert!(server.ask("_explain.www.a.test.", RecordType::TXT).metadata.truncation);
    let told = server.ask_tcp("_explain.www.a.test.", RecordType::TXT);
    assert_eq!(told.answers.len(), 2 + 400 + 1);
    assert!(told.answers[402].data.to_string().contains("AAAA: 200 members more"), "{}", told.answers[402]);
}
