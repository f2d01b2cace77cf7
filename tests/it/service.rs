//! What a service manager and scripts see: messages by sd_notify(3), `kofn health`, users, processors and the sandbox.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use hickory_proto::rr::RecordType;

use crate::harness::{DEADLINE, Scratch, Server, zone_text};

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn start(scratch: &Scratch) -> Self {
        let socket = UnixDatagram::bind(scratch.path("notify")).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self(socket)
    }

    /// The next message that is no pulse.
    #[track_caller]
    fn hear(&self) -> String {
        loop {
            let message = self.any();
            if !message.starts_with("WATCHDOG=") {
                return message;
            }
        }
    }

    #[track_caller]
    fn any(&self) -> String {
        let mut octets = [0; 1024];
        let length = self.0.recv(&mut octets).expect("a message");
        String::from_utf8_lossy(&octets[..length]).into_owned()
    }
}

fn served() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("zones/a.test.zone", &zone_text(1, "192.0.2.1"));
    scratch
}

#[test]
fn the_service_manager_is_told_how_it_goes() {
    let scratch = served();
    let manager = Manager::start(&scratch);
    let socket = scratch.path("notify").display().to_string();
    let environment = [("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "200000")];
    let server = Server::start_in(scratch, &environment);
    assert_eq!(manager.hear(), "READY=1\nSTATUS=serving 1 zone\n");
    // The pulse goes on while nobody asks anything.
    for _ in 0..3 {
        assert_eq!(manager.any(), "WATCHDOG=1\n");
    }
    server.scratch.write("zones/b.test.zone", "broken\n");
    server.signal("HUP");
    let reloading = manager.hear();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    let ready = manager.hear();
    assert!(ready.starts_with("READY=1\nSTATUS=serving 1 zone; ") && ready.contains("fault"), "{ready}");
    server.signal("TERM");
    assert!(manager.hear().starts_with("STOPPING=1\n"));
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn health_is_an_exit_code() {
    let server = Server::start(served());
    let well = server.kofn(&["health"]);
    assert_eq!((well.code, well.out.as_str()), (0, "healthy\n"), "{well:?}");
    let told = server.kofn(&["health", "--json"]).json();
    assert_eq!(told["healthy"], true, "{told}");
    assert_eq!(told["answers"][0]["address"], server.client.0.to_string(), "{told}");
    assert_eq!(told["pid"], server.pid(), "{told}");
    assert_eq!(server.kofn(&["health", "--at", &server.client.0.to_string()]).code, 0);

    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = silent.local_addr().expect("bound").to_string();
    let ill = server.kofn(&["health", "--at", &at, "--timeout", "50ms", "--json"]);
    assert_eq!((ill.code, &ill.json()["healthy"]), (1, &false.into()), "{ill:?}");
    assert!(ill.err.contains("does not answer: nothing came in time"), "{ill:?}");
    assert_eq!(server.kofn(&["health", "--timeout", "soon"]).code, 64);

    server.signal("TERM");
    let (_, scratch) = server.wait();
    let gone = scratch.kofn(&["health"]);
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.err.contains("no server runs on this state folder"), "{gone:?}");
}

#[test]
fn the_state_folder_is_private_and_the_sandbox_is_shown() {
    let server = Server::start(served());
    let mode = |file: &str| std::fs::metadata(server.scratch.path(file)).expect(file).permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/control.sock"), mode("state/lock")), (0o700, 0o600, 0o600));
    let status = server.status();
    assert_eq!(status["privileges"]["commands"], false, "there is no check that runs any");
    // A kernel may lack either, and then says so; that it is not tried is a fault.
    let process = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the process");
    let seccomp = status["privileges"]["seccomp"] == "enforced";
    assert_eq!(process.contains("Seccomp:\t2"), seccomp, "{process}");
    assert!(status["privileges"]["no_new_privileges"] == true || !seccomp, "{status}");
    assert!(server.kofn(&["status"]).out.contains("sandbox: Landlock "));
}

#[test]
fn what_cannot_be_given_up_is_told_before_anything_is_served() {
    let scratch = served();
    let unknown = scratch.kofn(&["--listen", "127.0.0.1:0", "--admin", "off", "--user", "no-such-user"]);
    assert_eq!(unknown.code, 78, "{unknown:?}");
    assert!(unknown.err.contains("this system has no user \"no-such-user\""), "{unknown:?}");
    assert!(!scratch.path("state").exists(), "{unknown:?}");
    scratch.write("kofn.toml", "[sandbox]\nmode = \"on\"\n");
    let wrong = scratch.kofn(&[]);
    assert_eq!(wrong.code, 78, "{wrong:?}");
    assert!(wrong.err.contains("\"auto\", \"off\" or \"required\""), "{wrong:?}");
}

#[test]
fn the_sandbox_can_be_left_out() {
    let scratch = served();
    scratch.write("kofn.toml", "[sandbox]\nmode = \"off\"\n");
    let server = Server::start(scratch);
    let status = server.status();
    assert_eq!(status["privileges"]["landlock"], "off");
    assert_eq!((&status["privileges"]["seccomp"], &status["privileges"]["commands"]), (&"off".into(), &true.into()));
}

/// The name of a thread and the processors that it may use, if it has not ended.
fn placed(thread: &Path) -> Option<(String, Vec<usize>)> {
    let status = std::fs::read_to_string(thread.join("status")).ok()?;
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).expect("a key of proc(5)").trim();
    let ranges = value("Cpus_allowed_list:").split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    let processors =
        ranges.flat_map(|(first, last)| first.parse().expect("a number")..=last.parse().expect("a number"));
    Some((value("Name:").into(), processors.collect()))
}

#[test]
fn what_else_is_done_leaves_the_processor_to_a_pinned_worker() {
    let scratch = served();
    scratch.write("kofn.toml", "workers = 1\n[udp]\npin = true\n");
    let server = Server::start(scratch);
    // Whoever answers is where it belongs.
    server.ask("a.test.", RecordType::SOA);
    server.ask_tcp("a.test.", RecordType::SOA);
    let (_, all) = placed("/proc/self".as_ref()).expect("this process");
    let (first, left) = all.split_first().expect("at least one");
    let left = if left.is_empty() { &all } else { left };
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("its threads");
    let threads = threads.filter_map(|thread| placed(&thread.expect("a thread").path()));
    let (pinned, others): (Vec<_>, Vec<_>) =
        threads.partition(|(name, _)| name.starts_with("udp-") || name.starts_with("tcp-"));
    assert_eq!(pinned.len(), 2, "the worker's two threads: {pinned:?}");
    assert!(pinned.iter().all(|(_, processors)| processors == &[*first]), "{pinned:?}");
    assert!(others.len() > 2 && others.iter().all(|(_, processors)| processors == left), "{others:?}");
}
