//! One process takes over from another.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};

use crate::harness::{Farm, Scratch, Server, eventually, zone_text};

/// How long a query may take that is answered by either process.
const PATIENCE: Duration = Duration::from_secs(5);

fn served() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("kofn.toml", "listen = [\"127.0.0.1:0\"]\nworkers = 2\n[admin]\nlisten = \"off\"\n");
    scratch.write("zones/a.test.zone", &zone_text(1, "192.0.2.1"));
    scratch
}

fn framed(name: &str) -> (Message, Vec<u8>) {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::A));
    let octets = message.to_vec().expect("a question");
    let length = u16::try_from(octets.len()).expect("short");
    (message, [&length.to_be_bytes()[..], &octets].concat())
}

fn reply(stream: &mut TcpStream) -> std::io::Result<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets)?;
    Ok(Message::from_vec(&octets).expect("a message"))
}

/// Asks without a pause until it is told to end; every query must be answered.
fn ask_on(server: &Server, end: &Arc<AtomicBool>) -> thread::JoinHandle<u32> {
    let (address, end) = (server.client.0, Arc::clone(end));
    thread::spawn(move || {
        let mut asked = 0;
        while !end.load(Ordering::Relaxed) {
            // Each from a port of its own, so that every worker's socket has some.
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let (message, frame) = framed("www.a.test.");
            socket.send_to(&frame[2..], address).expect("to send");
            let mut octets = [0; 512];
            let length = socket.recv(&mut octets).unwrap_or_else(|error| panic!("query {asked} is lost: {error}"));
            let reply = Message::from_vec(&octets[..length]).expect("a reply");
            assert_eq!((reply.metadata.id, reply.answers.len()), (message.metadata.id, 1));
            asked += 1;
        }
        asked
    })
}

fn pid(server: &Server) -> u64 {
    server.status()["pid"].as_u64().expect("a process")
}

/// A process that a restart has started: the harness knows the first one alone.
pub(super) struct Restarted(pub(super) u64);

impl Restarted {
    /// The process that serves now.
    pub(super) fn of(server: &Server) -> Self {
        Self(pid(server))
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = Command::new("kill").arg("-TERM").arg(self.0.to_string()).stderr(Stdio::null()).status();
    }
}

#[test]
fn another_process_takes_over_and_no_query_is_lost() {
    let mut server = Server::start(served());
    let over = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..3).map(|_| ask_on(&server, &over)).collect();
    // A connection that the old process has goes on there.
    let mut stream = TcpStream::connect(server.client.0).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(&framed("www.a.test.").1).expect("to send");
    assert_eq!(reply(&mut stream).expect("a reply").answers.len(), 1);

    let first = pid(&server);
    let restarted = server.kofn(&["restart"]);
    assert_eq!(restarted.code, 0, "{restarted:?}");
    let second = Restarted::of(&server);
    assert_eq!(restarted.out, format!("process {} serves\n", second.0));
    assert_ne!(first, second.0);
    // What has changed takes hold with the new process, and is read by it.
    server.scratch.write("zones/b.test.zone", &zone_text(1, "192.0.2.2"));
    eventually("the new process follows its files", || {
        let zones = server.status()["zones"].as_array().map(Vec::len);
        (zones == Some(2)).then_some(())
    });
    stream.write_all(&framed("www.a.test.").1).expect("to send");
    assert_eq!(reply(&mut stream).expect("the old process answers on").answers.len(), 1);
    drop(stream);
    server.log_until(|line| line.contains("stopped"));
    assert!(server.scratch.path("state/control.sock").exists(), "the old process leaves it to the new one");
    let asked = {
        over.store(true, Ordering::Relaxed);
        askers.into_iter().map(|asker| asker.join().expect("every query was answered")).sum::<u32>()
    };
    assert!(asked > 100, "{asked}");
    assert_eq!(server.kofn(&["drain", "192.0.2.9", "--force"]).code, 0, "the state folder is the new one's");
    assert_eq!(server.kofn(&["health"]).code, 0);
    drop(second);
    eventually("the new process ends", || (server.kofn(&["health"]).code == 1).then_some(()));
    assert_eq!(server.wait().0.code(), Some(0), "the old process");
}

#[test]
fn one_that_cannot_start_leaves_all_as_it_was() {
    let server = Server::start(served());
    let first = pid(&server);
    server.scratch.write("kofn.toml", "listen = [\"127.0.0.1:0\"]\nworkers = \"all\"\n");
    let refused = server.kofn(&["restart"]);
    assert_eq!(refused.code, 78, "{refused:?}");
    assert!(refused.err.contains("kofn.toml:2:11") && refused.err.contains("the running one goes on"), "{refused:?}");
    server.scratch.write("kofn.toml", "listen = [\"127.0.0.1:0\", \"203.0.113.1:53\"]\n[admin]\nlisten = \"off\"\n");
    let refused = server.kofn(&["restart"]);
    assert_eq!(refused.code, 69, "{refused:?}");
    assert_eq!(pid(&server), first);
    assert_eq!(server.resolve("www.a.test.", RecordType::A).len(), 1);
    // It keeps its state again.
    assert_eq!(server.kofn(&["drain", "192.0.2.9", "--force"]).code, 0);
    let nobody = Scratch::new().kofn(&["restart", "--listen", "127.0.0.1:0"]);
    assert_eq!(nobody.code, 69, "{nobody:?}");
    assert!(nobody.err.contains("no server passes on what it has"), "{nobody:?}");
}

fn take_over(server: &Server) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kofn"));
    command.args(["serve", "--takeover"]).current_dir(server.scratch.path("")).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

#[test]
fn one_that_is_killed_on_its_way_leaves_all_as_it_was() {
    // Its first round waits for a member that takes connections and says nothing, so it can be met on its way.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = deaf.local_addr().expect("bound").port();
    let scratch = served();
    let check = format!("[check.c]\ntype = \"http\"\nport = {port}\ntimeout = \"1m\"\ninterval = \"2m\"\n");
    scratch.write("zones/a.test.toml", &(check + "[pool.www]\ncheck = \"c\"\n"));
    scratch.write("zones/a.test.zone", &zone_text(1, "127.0.0.1"));
    let mut server = Server::start(scratch);
    let first = pid(&server);
    for signal in ["KILL", "TERM"] {
        let mut child = take_over(&server);
        server.log_until(|line| line.contains("about to take over"));
        let _ = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
        server.log_until(|line| line.contains("did not take over; this one goes on"));
        child.wait().expect("it ends");
        assert_eq!(pid(&server), first);
        assert_eq!(server.resolve("www.a.test.", RecordType::A).len(), 1);
        assert!(server.scratch.path("state/control.sock").exists());
    }
    // And the next one does.
    let mut child = take_over(&server);
    eventually("the third takes over", || (pid(&server) == u64::from(child.id())).then_some(()));
    assert_eq!(server.resolve("www.a.test.", RecordType::A).len(), 1);
    drop(Restarted::of(&server));
    child.wait().expect("it ends");
}

#[test]
fn what_is_known_of_members_passes_on() {
    let mut farm = Farm::start(70, 3);
    let [one, ..] = farm.addresses()[..] else { panic!("three") };
    let scratch = served();
    let members: String = farm.addresses().iter().map(|address| format!("pool A {address}\n")).collect();
    scratch.write("zones/a.test.zone", &(zone_text(1, "192.0.2.1") + &members));
    let check = format!("[check.c]\ntype = \"http\"\nport = {}\npath = \"/healthz\"\ninterval = \"1s\"\n", farm.port);
    scratch.write("zones/a.test.toml", &(check + "[pool.pool]\ncheck = \"c\"\nk = 3\n"));
    let server = Server::start(scratch);
    let (dead, drained) = (farm.kill(1), one);
    assert_eq!(server.kofn(&["drain", &drained.to_string()]).code, 0);
    let only = |server: &Server| server.resolve("pool.a.test.", RecordType::A) == [farm.addresses()[2]];
    eventually("one is drained and one is down", || only(&server).then_some(()));
    let begun = Instant::now();
    assert_eq!(server.kofn(&["restart"]).code, 0);
    let _second = Restarted::of(&server);
    while begun.elapsed() < Duration::from_secs(2) {
        assert!(only(&server), "{dead} and {drained} are in no hand of the new process");
    }
}
