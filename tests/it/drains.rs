//! Drains: out of new answers at once, and a clock for the old ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server, eventually};

/// A pool `www` of three members, dealt all together for two seconds.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let members = "www A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\n";
    scratch.write("zones/a.test.zone", &(crate::harness::zone_text(1, "192.0.2.4") + members));
    scratch.write("zones/a.test.toml", "[pool.www]\nspread = \"all\"\nttl = 2\n");
    scratch
}

fn members(server: &Server) -> Vec<String> {
    let mut list: Vec<_> = server.resolve("www.a.test.", RecordType::A).iter().map(ToString::to_string).collect();
    list.sort();
    list
}

#[test]
fn a_drained_member_is_out_at_once_and_its_clock_runs() {
    let server = Server::start(scratch());
    let drain = server.kofn(&["drain", "192.0.2.1", "--reason", "a new kernel", "--json"]);
    assert_eq!(drain.code, 0, "{drain:?}");
    assert_eq!(members(&server), ["192.0.2.2", "192.0.2.3", "192.0.2.4"], "when the command is back");
    let member = &drain.json()["members"][0];
    assert_eq!((&member["place"], &member["largest_ttl"]), (&"cached".into(), &2.into()), "{member:#}");
    assert_eq!(member["gone_in"], 3, "the TTL, and a second for a batch under way: {member:#}");
    let file = server.scratch.path("state/drains.toml");
    assert_eq!(std::fs::metadata(&file).expect("the list").permissions().mode() & 0o777, 0o600);

    let waited = server.kofn(&["drain", "192.0.2.1", "--wait"]);
    assert!(waited.code == 0 && waited.out.contains("gone"), "{waited:?}");
    assert!(server.kofn(&["status"]).out.contains("a new kernel"));

    assert_eq!(server.kofn(&["undrain", "192.0.2.1"]).code, 0);
    assert_eq!(members(&server).len(), 4);
    let none = server.kofn(&["drain", "--list"]);
    assert!(none.out.contains("nothing is drained"), "{none:?}");
}

#[test]
fn a_wait_ends_badly_when_the_drain_does() {
    let scratch = scratch();
    // Nothing else can end the wait meanwhile: the last copy lives longer than any test.
    scratch.write("zones/a.test.toml", "[pool.www]\nspread = \"all\"\nttl = 200\n");
    let server = Server::start(scratch);
    let listed = || server.kofn(&["drain", "--list", "--json"]).json();
    std::thread::scope(|scope| {
        let scratch = &server.scratch;
        let waiting = scope.spawn(|| scratch.kofn(&["drain", "192.0.2.1", "--reason", "its own", "--wait"]));
        eventually("it has drained", || {
            listed()["drains"].as_array().is_some_and(|list| !list.is_empty()).then_some(())
        });
        assert_eq!(listed()["members"][0]["place"], "cached");
        assert_eq!(server.kofn(&["undrain", "192.0.2.1"]).code, 0);
        let waited = waiting.join().expect("the command");
        assert!(waited.code == 1 && waited.err.contains("192.0.2.1 is drained no more"), "{waited:?}");
    });
}

#[test]
fn who_is_drained_and_served_all_the_same_is_counted() {
    let server = Server::start(scratch());
    assert_eq!(server.kofn(&["drain", "192.0.2.1"]).code, 0);
    let metrics = metrics(&server);
    let last_copy = "kofn_drain_last_copy_timestamp_seconds{pool=\"www.a.test.\",address=\"192.0.2.1\"} 1";
    for line in ["kofn_drains 1.0", "kofn_drain_members{place=\"served\"} 0.0", last_copy] {
        assert!(metrics.lines().any(|other| other.starts_with(line)), "{line} in {metrics}");
    }
    assert_eq!(server.kofn(&["drain", "192.0.2.0/29", "--force"]).code, 0);
    assert_eq!(members(&server).len(), 4, "with nobody else the drained are served");
    let metrics = self::metrics(&server);
    assert!(metrics.contains("kofn_drains 2.0\n"), "{metrics}");
    assert!(metrics.contains("kofn_drain_members{place=\"served\"} 4.0\n"), "{metrics}");
    assert!(!metrics.contains("kofn_drain_last_copy"), "its clock stands still: {metrics}");
}

/// What Prometheus would read, by the control socket.
fn metrics(server: &Server) -> String {
    let mut stream = UnixStream::connect(server.scratch.path("state/control.sock")).expect("the control socket");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("to ask");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("an answer");
    reply
}

#[test]
fn what_would_be_a_mistake_is_refused() {
    let server = Server::start(scratch());
    for (arguments, words) in [
        (&["drain", "192.0.2.0/24"][..], "www.a.test. A would have no member left that is not drained; --force"),
        (&["drain", "198.51.100.1"], "no pool has a member 198.51.100.1"),
        (&["drain", "192.0.2.1", "--pool", "api.a.test"], "there is no pool api.a.test."),
        (&["undrain", "192.0.2.1"], "192.0.2.1 is not drained"),
    ] {
        let run = server.kofn(arguments);
        assert!(run.code == 65 && run.err.contains(words), "{arguments:?}: {run:?}");
    }
    assert_eq!(server.kofn(&["drain", "192.0.2.0/31", "--pool", "WWW.a.test"]).code, 0);
    let one = server.kofn(&["undrain", "192.0.2.1"]);
    assert!(one.code == 65 && one.err.contains("`kofn undrain 192.0.2.0/31` ends that"), "{one:?}");
    for (arguments, words) in [(&["drain", "192.0.2.1", "--for", "2 hours"][..], "2h"), (&["drain"], "ADDRESS|PREFIX")]
    {
        let run = server.kofn(arguments);
        assert!(run.code == 64 && run.err.contains(words), "{arguments:?}: {run:?}");
    }
}

#[test]
fn the_list_is_edited_by_hand_and_a_fault_changes_nothing() {
    let mut server = Server::start(scratch());
    let list = "# Ours.\n[[drain]]\naddr = \"192.0.2.2\"  # the old rack\n";
    server.scratch.write("state/drains.toml", list);
    eventually("it is drained", || (members(&server).len() == 3).then_some(()));
    let written = || std::fs::read_to_string(server.scratch.path("state/drains.toml")).expect("the list");
    let dated = eventually("it is dated", || Some(written()).filter(|text| text.contains("since = ")));
    assert!(dated.contains("# Ours.") && dated.contains("# the old rack"), "{dated}");

    server.scratch.write("state/drains.toml", "# Ours.\n[[drain]]\nadr = \"192.0.2.2\"\n");
    server.log_until(|line| line.contains("ERROR") && line.contains("drains.toml:3:1"));
    assert_eq!(members(&server).len(), 3, "the last good list holds");
    let refused = server.kofn(&["drain", "192.0.2.1"]);
    assert!(refused.code == 65 && refused.err.contains("drains.toml:3:1"), "{refused:?}");
    assert!(server.kofn(&["drain", "--list"]).out.contains("drains.toml:3:1"));

    server.scratch.remove("state/drains.toml");
    eventually("nothing is drained", || (members(&server).len() == 4).then_some(()));
}

#[test]
fn a_drain_ends_by_itself() {
    let mut server = Server::start(scratch());
    assert_eq!(server.kofn(&["drain", "192.0.2.2", "--for", "1s"]).code, 0);
    server.log_until(|line| line.contains("drain ended, its time is over"));
    eventually("it is handed out", || (members(&server).len() == 4).then_some(()));
    let list = std::fs::read_to_string(server.scratch.path("state/drains.toml")).expect("the list");
    assert!(!list.contains("192.0.2.2"), "{list}");
}

#[test]
fn a_removed_member_is_listed_while_copies_may_live() {
    let server = Server::start(scratch());
    let zone = std::fs::read_to_string(server.scratch.path("zones/a.test.zone")).expect("the zone");
    server.scratch.write("zones/a.test.zone", &zone.replace("www A 192.0.2.3\n", "").replace(" 1 3600", " 2 3600"));
    let list = || server.kofn(&["drain", "--list", "--json"]).json();
    let member = eventually("it is gone from the zone", || list()["members"].get(0).cloned());
    assert_eq!((&member["address"], &member["removed"]), (&"192.0.2.3".into(), &true.into()), "{member:#}");
    eventually("no copy is left", || list()["members"].as_array().is_some_and(Vec::is_empty).then_some(()));
}

#[test]
fn drains_and_their_clock_outlive_a_restart() {
    let scratch = scratch();
    scratch.write("zones/a.test.toml", "[pool.www]\nspread = \"all\"\nttl = 200\n");
    let server = Server::start(scratch);
    assert_eq!(server.kofn(&["drain", "192.0.2.1"]).code, 0);
    let gone = server.kofn(&["drain", "--list", "--json"]).json()["members"][0]["gone"].clone();
    server.signal("KILL");
    let (_, scratch) = server.wait();
    let server = Server::start(scratch);
    assert_eq!(members(&server).len(), 3);
    let member = server.kofn(&["drain", "--list", "--json"]).json()["members"][0].clone();
    let seconds = |value: &serde_json::Value| {
        value.as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time").as_second()
    };
    assert!((seconds(&member["gone"]) - seconds(&gone)).abs() <= 1, "{gone} and then {member:#}");
}

/// The senders never wait for an answer, so that the doors have all the work that the machine can give them.
#[test]
fn the_control_socket_answers_at_full_load() {
    let server = Server::start(scratch());
    let (to, done) = (server.client.0, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let flood = Flood(&done);
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(|| send_until(&done, to))).collect();
        let before = eventually("there is load", || Some(received(&server)).filter(|received| *received > 10_000));
        for arguments in [&["drain", "192.0.2.1"][..], &["status"], &["reload"], &["undrain", "192.0.2.1"]] {
            let run = server.kofn(arguments);
            assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
            let drained = server.kofn(&["drain", "--list", "--json"]).json()["drains"].as_array().map(Vec::len);
            assert_eq!(drained, Some(usize::from(arguments[0] != "undrain")), "after {arguments:?}");
        }
        assert!(received(&server) > before + 1000, "queries went on being taken");
        drop(flood);
        assert!(senders.into_iter().map(|sender| sender.join().expect("a sender")).sum::<u64>() > before);
    });
    // A query that comes while the sockets are still full is dropped.
    eventually("what was queued is taken", || (received(&server) == received(&server)).then_some(()));
    eventually("it answers as before", || (members(&server).len() == 4).then_some(()));
}

/// Ends the senders, also when a command has failed.
struct Flood<'a>(&'a AtomicBool);

impl Drop for Flood<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends one query again and again, and says how often. What comes back is left to the kernel, which drops it.
fn send_until(done: &AtomicBool, to: SocketAddr) -> u64 {
    const QUERY: &[u8] = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x03www\x01a\x04test\0\0\x01\0\x01";
    // Not connected, for an answer to a full socket must not become an error of the next query.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut sent = 0;
    while !done.load(Ordering::Relaxed) {
        sent += u64::from(socket.send_to(QUERY, to).is_ok());
    }
    sent
}

fn received(server: &Server) -> u64 {
    server.status()["queries"]["received"].as_u64().expect("a count")
}

#[test]
fn the_control_socket_answers_while_queries_come_as_fast_as_they_can() {
    let server = Server::start(scratch());
    let (client, done) = (server.client, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut asked = 0;
                    while !done.load(Ordering::Relaxed) {
                        client.resolve("www.a.test.", RecordType::A);
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        for round in 0..3 {
            for arguments in [&["drain", "192.0.2.1"][..], &["status"], &["reload"], &["undrain", "192.0.2.1"]] {
                let run = server.kofn(arguments);
                assert_eq!(run.code, 0, "round {round}, {arguments:?}: {run:?}");
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(askers.into_iter().map(|asker| asker.join().expect("no query was lost")).sum::<u32>() > 50);
    });
}
