//! The end.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server, zone_text};

fn stops_by(signal: &str) {
    let mut server = Server::start(Scratch::with_shipped_zones());
    assert_eq!(server.resolve("www.example.test.", RecordType::A).len(), 3);
    let control = server.scratch.path("state/control.sock");
    UnixStream::connect(&control).expect("the control socket");
    // An open connection that asks nothing does not hold it up.
    let _idle = std::net::TcpStream::connect(server.client.0).expect("a connection");
    server.signal(signal);
    server.log_until(|line| line.contains("stopped"));
    let (status, scratch) = server.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!control.exists(), "the socket is taken away");
    drop(Server::start(scratch));
}

#[test]
fn sigterm_ends_it_with_0() {
    stops_by("TERM");
}

#[test]
fn sigint_ends_it_with_0() {
    stops_by("INT");
}

#[test]
fn it_ends_while_it_still_waits_for_the_first_verdicts() {
    // It takes connections and says nothing, so the probe waits for its whole timeout.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = deaf.local_addr().expect("its address").port();
    let scratch = Scratch::new();
    scratch.write("zones/a.test.zone", &zone_text(1, "127.0.0.1"));
    let check = format!("[check.c]\ntype = \"http\"\nport = {port}\ntimeout = \"1m\"\ninterval = \"2m\"\n");
    scratch.write("zones/a.test.toml", &(check + "[pool.www]\ncheck = \"c\"\n"));
    let mut server = Server::start_unready(scratch, &[]);
    server.log_until(|line| line.contains("zone loaded"));
    server.signal("TERM");
    let log = server.log_to_end();
    assert!(!log.contains("ready"), "it waited: {log}");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn after_a_crash_it_starts_again() {
    let server = Server::start(Scratch::with_shipped_zones());
    server.signal("KILL");
    let (status, scratch) = server.wait();
    assert_eq!(status.code(), None);
    assert!(scratch.path("state/control.sock").exists(), "what the crash left");
    let server = Server::start(scratch);
    assert_eq!(server.resolve("www.example.test.", RecordType::A).len(), 3);
}
