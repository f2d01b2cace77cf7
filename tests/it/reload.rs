//! Files that change under the running server.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server, eventually, zone_text};

const ZONE: &str = "zones/a.test.zone";

fn server() -> Server {
    let scratch = Scratch::new();
    scratch.write(ZONE, &zone_text(1, "192.0.2.1"));
    Server::start(scratch)
}

fn wait_until_served(server: &Server, address: &str) {
    let wanted: std::net::IpAddr = address.parse().expect("an address");
    eventually("the change is served", || server.resolve("www.a.test.", RecordType::A).contains(&wanted).then_some(()));
}

/// What the status says of the one zone, once it is in this state: it is written when the look at the files is over, a moment
/// after the first answer and after the log.
fn zone_once(server: &Server, state: &str) -> serde_json::Value {
    eventually(state, || Some(server.status()["zones"][0].take()).filter(|zone| zone["state"] == state))
}

#[test]
fn each_way_to_write_a_zone_is_followed() {
    let mut server = server();
    let path = server.scratch.path(ZONE);

    server.scratch.write(ZONE, &zone_text(2, "192.0.2.2"));
    wait_until_served(&server, "192.0.2.2");

    // As editors do: the new text under another name, the old one kept as a copy, then renamed over it.
    server.scratch.write("zones/.a.test.zone.swp", "an editor's own");
    server.scratch.write("zones/a.test.zone.new", &zone_text(3, "192.0.2.3"));
    fs::rename(&path, server.scratch.path("zones/a.test.zone~")).expect("the old one set aside");
    fs::rename(server.scratch.path("zones/a.test.zone.new"), &path).expect("the new one in place");
    wait_until_served(&server, "192.0.2.3");

    server.scratch.write("elsewhere", &zone_text(4, "192.0.2.4"));
    let copied = Command::new("cp").arg("-p").arg(server.scratch.path("elsewhere")).arg(&path).status();
    assert!(copied.expect("cp").success());
    wait_until_served(&server, "192.0.2.4");

    // As git does: the old file is gone before the new one is there.
    server.scratch.remove(ZONE);
    server.scratch.write(ZONE, &zone_text(5, "192.0.2.5"));
    wait_until_served(&server, "192.0.2.5");

    // A folder that is replaced as a whole.
    server.scratch.write("next/a.test.zone", &zone_text(6, "192.0.2.6"));
    fs::remove_dir_all(server.scratch.path("zones")).expect("the folder goes");
    fs::rename(server.scratch.path("next"), server.scratch.path("zones")).expect("the next folder");
    wait_until_served(&server, "192.0.2.6");
    server.scratch.write(ZONE, &zone_text(7, "192.0.2.7"));
    wait_until_served(&server, "192.0.2.7");

    server.signal("TERM");
    let log = server.log_to_end();
    assert!(!log.contains("WARN") && !log.contains("inotify"), "it complains of what it has followed: {log}");
}

#[test]
fn a_fault_in_line_7_changes_nothing_and_is_named_everywhere() {
    let mut server = server();
    server.scratch.write("zones/b.test.zone", &zone_text(1, "192.0.2.1"));
    let broken = zone_text(2, "192.0.2.2") + "; six\nmail MX ten mail\n";
    server.scratch.write(ZONE, &broken);
    let place = "zones/a.test.zone:7:";
    server.log_until(|line| line.contains("ERROR") && line.contains(place));
    assert_eq!(server.resolve("www.a.test.", RecordType::A), ["192.0.2.1".parse::<std::net::IpAddr>().expect("it")]);
    eventually("the other zone is not held up", || {
        (!server.resolve("www.b.test.", RecordType::A).is_empty()).then_some(())
    });

    let zone = zone_once(&server, "stale");
    assert_eq!((&zone["name"], &zone["serial"]), (&"a.test.".into(), &1.into()));
    assert!(zone["errors"][0].as_str().is_some_and(|error| error.starts_with(place)), "{zone:#}");
    let printed = server.kofn(&["status"]);
    assert!(printed.out.contains(place), "{}", printed.out);
    let check = server.kofn(&["check"]);
    assert_eq!(check.code, 1);
    assert!(check.out.contains(place), "{}", check.out);
    let reload = server.kofn(&["reload"]);
    assert_eq!(reload.code, 65);
    assert!(reload.out.contains(place), "{}", reload.out);

    server.scratch.write(ZONE, &zone_text(3, "192.0.2.3"));
    wait_until_served(&server, "192.0.2.3");
    zone_once(&server, "current");
}

#[test]
fn a_policy_with_a_fault_keeps_the_zone_as_it_was() {
    let mut server = server();
    server.scratch.write("zones/a.test.toml", "[pool.www]\nk = 1\ntll = 5\n");
    server.log_until(|line| line.contains("ERROR") && line.contains("zones/a.test.toml:3:"));
    server.scratch.write(ZONE, &zone_text(2, "192.0.2.2"));
    server.log_until(|line| line.contains("not taken"));
    assert_eq!(server.status()["zones"][0]["serial"], 1);
    server.scratch.write("zones/a.test.toml", "[pool.www]\nk = 1\nttl = 5\n");
    wait_until_served(&server, "192.0.2.2");
    assert_eq!(server.ask("www.a.test.", RecordType::A).answers[0].ttl, 5);
}

#[test]
fn zones_come_and_go_with_their_files() {
    let server = server();
    let rcode = || server.ask("www.new.test.", RecordType::A).metadata.response_code;
    assert_eq!(rcode(), ResponseCode::Refused);
    server.scratch.write("zones/new.test.zone", &zone_text(1, "192.0.2.1"));
    eventually("the new zone is served", || (rcode() == ResponseCode::NoError).then_some(()));
    server.scratch.remove("zones/new.test.zone");
    eventually("the zone is gone", || (rcode() == ResponseCode::Refused).then_some(()));
    assert_eq!(server.resolve("www.a.test.", RecordType::A).len(), 1);
}

#[test]
fn included_files_are_followed() {
    let scratch = Scratch::new();
    scratch.write(ZONE, &(zone_text(1, "192.0.2.1") + "$INCLUDE ../more/hosts\n"));
    scratch.write("more/hosts", "www A 192.0.2.2\n");
    let server = Server::start(scratch);
    wait_until_served(&server, "192.0.2.2");
    server.scratch.write("more/hosts", "www A 192.0.2.3\n");
    wait_until_served(&server, "192.0.2.3");
    server.scratch.remove("more/hosts");
    eventually("the missing file is told", || {
        let status = server.status();
        status["zones"][0]["errors"][0].as_str().filter(|error| error.contains("hosts")).map(drop)
    });
    server.scratch.write("more/hosts", "www A 192.0.2.4\n");
    wait_until_served(&server, "192.0.2.4");
}

#[test]
fn serials_that_stand_still_or_go_back_are_served_with_a_warning() {
    let mut server = server();
    server.scratch.write(ZONE, &zone_text(1, "192.0.2.2"));
    server.log_until(|line| line.contains("WARN") && line.contains("serial is still 1"));
    wait_until_served(&server, "192.0.2.2");
    server.scratch.write(ZONE, &zone_text(0, "192.0.2.3"));
    server.log_until(|line| line.contains("WARN") && line.contains("from 1 back to 0"));
    server.log_until(|line| line.contains("zone loaded"));
    wait_until_served(&server, "192.0.2.3");
    let written_again = server.scratch.path(ZONE);
    fs::write(&written_again, fs::read(&written_again).expect("the zone")).expect("the same again");
    server.scratch.write("zones/marker.test.zone", &zone_text(1, "192.0.2.1"));
    let line = server.log_until(|line| line.contains("zone loaded"));
    assert!(line.contains("marker.test."), "a zone that is the same is not loaded anew: {line}");
}

#[test]
fn sighup_and_reload_read_the_files_again() {
    let mut server = server();
    let reload = server.kofn(&["reload", "--json"]).json();
    assert_eq!((&reload["zones"], &reload["errors"]), (&1.into(), &serde_json::json!([])));
    server.signal("HUP");
    server.log_until(|line| line.contains("SIGHUP"));
    assert_eq!(server.resolve("www.a.test.", RecordType::A).len(), 1);
}

#[test]
fn settings_that_take_a_restart_are_named_and_faults_are_told() {
    let mut server = server();
    server.scratch.write("kofn.toml", "workers = 3\n[limits]\ntcp_idle = \"3s\"\n");
    let line = server.log_until(|line| line.contains("restart"));
    assert!(line.contains("workers") && line.contains("limits.tcp_idle"), "{line}");
    server.scratch.write("kofn.toml", "wokers = 3\n");
    server.log_until(|line| line.contains("kofn.toml:1:1"));
    server.scratch.write("kofn.toml", "zones = \"others\"\n");
    server.scratch.write("others/other.test.zone", &zone_text(1, "192.0.2.1"));
    eventually("the other folder is served", || {
        (!server.resolve("www.other.test.", RecordType::A).is_empty()).then_some(())
    });
}

#[test]
fn two_hundred_rewrites_lose_no_query() {
    let server = server();
    let client = server.client;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                // It panics when there is no reply.
                assert_eq!(client.resolve("www.a.test.", RecordType::A).len(), 1);
                asked += 1;
            }
            asked
        });
        for serial in 2..202_u32 {
            let text = zone_text(serial, &format!("192.0.2.{serial}"));
            server.scratch.write("zones/next", &text);
            fs::rename(server.scratch.path("zones/next"), server.scratch.path(ZONE)).expect("a rename");
            // A few rewrites for each look at the folder, and a look for each few rewrites.
            if serial % 20 == 0 {
                wait_until_served(&server, &format!("192.0.2.{serial}"));
            }
        }
        wait_until_served(&server, "192.0.2.201");
        done.store(true, Ordering::Relaxed);
        assert!(asker.join().expect("no query was lost") > 100);
    });
}

/// A zone whose pool `www` has so many members.
fn pool_zone(serial: u32, members: u8) -> String {
    let members: String = (1..=members).map(|host| format!("www A 192.0.2.{host}\n")).collect();
    let others: String = (0..10).map(|host| format!("h{host} TXT x\n")).collect();
    format!("$TTL 300\n@ SOA ns1 hostmaster {serial} 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n{members}{others}")
}

#[test]
fn what_takes_most_of_a_pool_away_is_held_until_it_is_mended_or_forced() {
    let scratch = Scratch::new();
    scratch.write(ZONE, &pool_zone(1, 3));
    scratch.write("zones/a.test.toml", "[pool.www]\nspread = \"all\"\n");
    let mut server = Server::start(scratch);
    let members = |server: &Server| server.resolve("www.a.test.", RecordType::A).len();
    server.scratch.write(ZONE, &pool_zone(2, 1));
    server.log_until(|line| line.contains("ERROR") && line.contains("held: the pool www.a.test. A would shrink"));
    let zone = zone_once(&server, "held");
    assert_eq!(zone["serial"], 1, "{zone:#}");
    assert!(zone["held"][0].as_str().is_some_and(|held| held.contains("from 3 to 1 members")), "{zone:#}");
    let asked = server.kofn(&["reload"]);
    assert!(asked.code == 65 && asked.out.contains("`kofn reload --force` takes it"), "{asked:?}");
    assert!(server.kofn(&["status"]).out.contains("held"));
    assert_eq!(members(&server), 3);

    server.scratch.write(ZONE, &pool_zone(3, 2));
    eventually("the mended zone is served", || (members(&server) == 2).then_some(()));
    zone_once(&server, "current");

    server.scratch.write(ZONE, &pool_zone(4, 0));
    server.log_until(|line| line.contains("would lose all of its members, 2"));
    assert_eq!(members(&server), 2);
    let forced = server.kofn(&["reload", "--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    for words in ["a.test. changed, serial 3 to 4, 15 to 13 records", "www.a.test. A, 0 members: -192.0.2.1 -192.0.2.2"]
    {
        assert!(forced.out.contains(words), "{words}: {forced:?}");
    }
    assert_eq!(members(&server), 0);
}

#[test]
fn a_folder_that_loses_most_of_its_zones_ends_none() {
    let scratch = Scratch::new();
    for zone in ["a", "b", "c"] {
        scratch.write(&format!("zones/{zone}.test.zone"), &zone_text(1, "192.0.2.1"));
    }
    let mut server = Server::start(scratch);
    let served = |server: &Server, zone: &str| server.resolve(&format!("www.{zone}.test."), RecordType::A).len() == 1;
    fs::rename(server.scratch.path("zones"), server.scratch.path("elsewhere")).expect("the folder goes");
    fs::create_dir(server.scratch.path("zones")).expect("an empty one in its place");
    server.log_until(|line| line.contains("held: its file is gone, at once with most of the 3 zones"));
    assert!(served(&server, "a") && served(&server, "b"));
    fs::remove_dir(server.scratch.path("zones")).expect("the empty one goes");
    fs::rename(server.scratch.path("elsewhere"), server.scratch.path("zones")).expect("the folder comes back");
    eventually("nothing is held", || {
        server.status()["zones"]
            .as_array()
            .is_some_and(|zones| zones.iter().all(|zone| zone["state"] == "current"))
            .then_some(())
    });
    server.scratch.remove("zones/a.test.zone");
    server.log_until(|line| line.contains("no longer served"));
    server.scratch.remove("zones/b.test.zone");
    server.log_until(|line| line.contains("no longer served"));
    assert!(served(&server, "c"), "of two zones each may be ended");
}

#[test]
fn reload_says_what_has_changed() {
    let server = server();
    let mut serial = 1;
    // The watch may be quicker: then there is nothing left to tell.
    let change = eventually("a change that the command was first to see", || {
        serial += 1;
        server.scratch.write(ZONE, &zone_text(serial, &format!("192.0.2.{serial}")));
        let reloaded = server.kofn(&["reload", "--json"]).json();
        reloaded["changed"].get(0).cloned()
    });
    assert_eq!((&change["zone"], &change["after"]["serial"]), (&"a.test.".into(), &serial.into()), "{change:#}");
    assert_eq!((&change["before"]["records"], &change["pools"]), (&4.into(), &serde_json::json!([])), "{change:#}");
}
