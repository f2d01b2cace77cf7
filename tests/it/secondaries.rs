//! Zones from one kofn to another: one that expires and comes back, primaries in their order, hundreds at once, and policies
//! that change over them.

use std::net::{SocketAddr, TcpListener};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::harness::{Scratch, Server, eventually};

/// The extended error of a zone whose data cannot be used (RFC 8914 section 4.25).
const INVALID_DATA: u16 = 24;
const MANY: usize = 300;

/// A zone that is to be asked for every second, and expires as soon as one can.
fn hasty(serial: u32, www: &[&str]) -> String {
    let head = format!("$TTL 300\n@ SOA ns1 hostmaster {serial} 1 1 1 30\n@ NS ns1\nns1 A 127.0.0.1\n");
    www.iter().fold(head, |text, address| format!("{text}www A {address}\n"))
}

fn primary_scratch(serial: u32) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("zones/z.test.zone", &hasty(serial, &["192.0.2.1"]));
    scratch.write("zones/z.test.toml", "[transfer]\nto = [\"127.0.0.1\"]\n");
    scratch
}

/// Starts it on a port that others know.
fn start_at(scratch: Scratch, address: SocketAddr) -> Server {
    let mut server = Server::start_unready(scratch, &["--listen", &address.to_string()]);
    server.log_until(|line| line.contains("ready"));
    server
}

fn policy(primaries: &[SocketAddr], rest: &str) -> String {
    let from: Vec<String> = primaries.iter().map(SocketAddr::to_string).collect();
    format!("[transfer]\nfrom = {from:?}\nrefresh_min = 1\n{rest}")
}

fn secondary(primaries: &[SocketAddr]) -> Server {
    let scratch = Scratch::new();
    scratch.write("zones/z.test.toml", &policy(primaries, ""));
    Server::start(scratch)
}

fn standing(server: &Server) -> Value {
    server.kofn(&["transfer", "status", "z.test", "--json"]).json()["secondaries"][0].clone()
}

#[track_caller]
fn serves(server: &Server, serial: u32) {
    eventually("the serial is served", || (standing(server)["serial"] == serial).then_some(()));
}

fn hand(server: &Server) -> Vec<String> {
    let mut hand: Vec<String> = server.resolve("www.z.test.", RecordType::A).iter().map(ToString::to_string).collect();
    hand.sort();
    hand
}

#[test]
fn a_zone_that_expired_is_not_served_until_its_primary_is_back() {
    let primary = Server::start(primary_scratch(1));
    let address = primary.client.0;
    let server = secondary(&[address]);
    serves(&server, 1);
    primary.signal("TERM");
    let (_, primary) = primary.wait();
    let expired = (ResponseCode::ServFail, vec![INVALID_DATA]);
    let ask = |server: &Server| server.errors("www.z.test.", RecordType::A);
    eventually("the zone expires", || (ask(&server) == expired).then_some(()));
    assert_eq!(standing(&server)["state"], "expired");
    server.signal("TERM");
    let (_, scratch) = server.wait();
    let server = Server::start(scratch);
    assert_eq!(ask(&server), expired, "a restart does not make it younger");
    let _primary = start_at(primary, address);
    eventually("the zone is served again", || (ask(&server) == (ResponseCode::NoError, vec![])).then_some(()));
    assert_eq!(hand(&server), ["192.0.2.1"]);
}

#[test]
fn primaries_are_asked_in_their_order_and_dead_ones_are_passed_over() {
    let first = {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
        port.local_addr().expect("bound")
    };
    let second = Server::start(primary_scratch(3));
    let server = secondary(&[first, second.client.0]);
    serves(&server, 3);
    assert_eq!(standing(&server)["primary"], second.client.0.to_string());
    let first = start_at(primary_scratch(5), first);
    serves(&server, 5);
    assert_ne!(standing(&server)["primary"], second.client.0.to_string());
    // From here on the second is behind, and the first, which is asked before it, is enough.
    assert_eq!(standing(&server)["state"], "current");
    first.signal("TERM");
    first.wait();
    eventually("it is said that the second is behind", || {
        let standing = standing(&server);
        standing["error"].as_str()?.contains("its serial 3 is behind ours, 5").then_some(())
    });
    assert_eq!(standing(&server)["serial"], 5);
}

#[test]
fn hundreds_of_zones_come_at_once_and_change_at_once() {
    let (primary, secondary) = (Scratch::new(), Scratch::new());
    // More than the secondary may ask for at once fails there, and a failure is counted.
    primary.write("kofn.toml", "[limits]\ntransfers_out = 12\n");
    secondary.write("kofn.toml", "[limits]\ntransfers_in = 4\n");
    let zone = |serial| format!("$TTL 300\n@ SOA ns1 h {serial} 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n");
    let told = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    for number in 0..MANY {
        primary.write(&format!("zones/z{number}.test.zone"), &zone(1));
        let policy = format!("[transfer]\nto = [\"127.0.0.1\"]\nnotify = [\"{told}\"]\n");
        primary.write(&format!("zones/z{number}.test.toml"), &policy);
    }
    let primary = Server::start(primary);
    for number in 0..MANY {
        secondary
            .write(&format!("zones/z{number}.test.toml"), &format!("[transfer]\nfrom = [\"{}\"]\n", primary.client.0));
    }
    let server = start_at(secondary, told);
    let all_have = |serial: u32| {
        let status = server.kofn(&["transfer", "status", "--json"]).json();
        let zones = status["secondaries"].as_array().expect("a list").clone();
        (zones.len() == MANY && zones.iter().all(|zone| zone["serial"] == serial)).then_some(zones)
    };
    let zones = eventually("all have come", || all_have(1));
    assert!(zones.iter().all(|zone| zone["failed"] == 0 && zone["whole"] == 1), "no more at once than may be");
    (0..MANY).for_each(|number| primary.scratch.write(&format!("zones/z{number}.test.zone"), &zone(2)));
    let zones = eventually("all have changed", || all_have(2));
    assert!(zones.iter().all(|zone| zone["failed"] == 0 && zone["incremental"] == 1), "by NOTIFY, as a difference");
}

#[test]
fn a_policy_that_changes_keeps_the_data_and_the_pools_follow_the_zone() {
    let primary = Scratch::new();
    primary.write("zones/z.test.zone", &hasty(1, &["192.0.2.1", "192.0.2.2", "192.0.2.3"]));
    primary.write("zones/z.test.toml", "[transfer]\nto = [\"127.0.0.1\"]\n");
    let primary = Server::start(primary);
    let mut server = secondary(&[primary.client.0]);
    serves(&server, 1);
    assert_eq!(hand(&server).len(), 3, "no pool yet");
    let received = standing(&server)["received"].clone();
    let pool = |k: u32| policy(&[primary.client.0], &format!("[pool.www]\nk = {k}\n"));
    for k in [1, 2] {
        server.scratch.write("zones/z.test.toml", &pool(k));
        eventually("the new policy holds", || (hand(&server).len() == k as usize).then_some(()));
    }
    assert_eq!((&standing(&server)["received"], &standing(&server)["whole"]), (&received, &1.into()), "no transfer");

    primary.scratch.write("zones/z.test.zone", &hasty(2, &["192.0.2.7", "192.0.2.8"]));
    eventually("the pool has the new members", || (hand(&server) == ["192.0.2.7", "192.0.2.8"]).then_some(()));
    primary.scratch.write("zones/z.test.zone", &hasty(3, &[]));
    server.log_until(|line| line.contains("WARN") && line.contains("www"));
    serves(&server, 3);
    assert_eq!(hand(&server).len(), 0, "the zone has no such name");
    assert!(standing(&server)["misfits"].to_string().contains("www"), "{}", standing(&server));
    primary.scratch.write("zones/z.test.zone", &hasty(4, &["192.0.2.9"]));
    eventually("the pool is back", || (hand(&server) == ["192.0.2.9"]).then_some(()));
    assert_eq!(standing(&server)["misfits"], Value::Array(vec![]));
}

#[test]
fn a_member_of_a_catalog_whose_policy_never_was_good_says_what_is_wrong_with_it() {
    let primary = primary_scratch(1);
    let list = "$TTL 300\n@ SOA ns1 hostmaster 1 1 1 60 30\n@ NS invalid.\nversion TXT \"2\"\nm1.zones PTR z.test.\n";
    primary.write("zones/list.test.zone", list);
    primary.write("zones/list.test.toml", "[transfer]\nto = [\"127.0.0.1\"]\n");
    let primary = Server::start(primary);
    let scratch = Scratch::new();
    scratch.write("zones/list.test.toml", &policy(&[primary.client.0], "[catalog]\n"));
    scratch.write("zones/z.test.toml", "[pool.www]\nk = \"three\"\n");
    let server = Server::start(scratch);
    let shown = || {
        let zones = server.status()["zones"].as_array().expect("zones").clone();
        zones.into_iter().filter(|zone| zone["name"] == "z.test.").collect::<Vec<_>>()
    };
    eventually("the list is there", || (server.kofn(&["transfer", "status", "list.test"]).code == 0).then_some(()));
    eventually("its policy's fault is told once", || match &shown()[..] {
        [zone] => zone["errors"].to_string().contains("z.test.toml:2:5").then_some(()),
        zones => panic!("one zone, and not {zones:?}"),
    });
    server.scratch.write("zones/z.test.toml", "[pool.www]\nk = 1\n");
    let is_well = |zone: &Value| zone["state"] == "current" && zone["errors"] == Value::Array(vec![]);
    eventually("the zone is served", || is_well(&shown()[0]).then_some(()));
    assert_eq!(hand(&server), ["192.0.2.1"]);
}
