//! The running program: its log as it comes, and questions to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::{DEADLINE, Run, Scratch, eventually};

/// How long a reply may take; a server that answers at all answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The EDNS option.
const EXTENDED_ERROR: u16 = 15;

pub(crate) struct Server {
    pub(crate) scratch: Scratch,
    /// By UDP and TCP.
    pub(crate) client: Client,
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Server {
    /// Starts it on ports of its own and waits until it answers.
    pub(crate) fn start(scratch: Scratch) -> Self {
        let mut server = Self::start_unready(scratch, &[]);
        server.log_until(|line| line.contains("ready"));
        server
    }

    /// The same with more in its environment.
    pub(crate) fn start_in(scratch: Scratch, environment: &[(&str, &str)]) -> Self {
        let mut server = Self::spawn(scratch, &[], environment);
        server.log_until(|line| line.contains("ready"));
        server
    }

    /// Starts it with more arguments and waits until it has its sockets.
    pub(crate) fn start_unready(scratch: Scratch, arguments: &[&str]) -> Self {
        Self::spawn(scratch, arguments, &[])
    }

    fn spawn(scratch: Scratch, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = scratch.command(&["--listen", "127.0.0.1:0"]);
        if !arguments.contains(&"--admin") {
            command.args(["--admin", "off"]);
        }
        command.envs(environment.iter().copied());
        let mut child =
            command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { scratch, client: Client(nowhere), child, lines, seen: String::new() };
        let line = server.log_until(|line| line.contains("listening") && line.contains("addr="));
        server.client.0 = after(&line, "addr=").parse().expect("an address in the log");
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log that has not been looked at, and returns it.
    #[track_caller]
    pub(crate) fn log_until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(_) => panic!("the log never said it; it said:\n{}", self.seen),
            }
        }
    }

    /// The lines that have not been looked at, up to the end of the program.
    pub(crate) fn log_to_end(&mut self) -> String {
        let lines: Vec<String> = std::iter::from_fn(|| self.lines.recv_timeout(DEADLINE).ok()).collect();
        lines.join("\n")
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().expect("kill");
        assert!(sent.success(), "the server is gone");
    }

    /// Waits for the end, and gives the folder back.
    pub(crate) fn wait(mut self) -> (ExitStatus, Scratch) {
        let status = eventually("the server ends", || self.child.try_wait().expect("its state"));
        (status, std::mem::replace(&mut self.scratch, Scratch::new()))
    }

    /// Runs a command that asks this server.
    pub(crate) fn kofn(&self, arguments: &[&str]) -> Run {
        self.scratch.kofn(arguments)
    }

    /// How often an event has happened at the doors, as the metrics say.
    pub(crate) fn event(&self, name: &str) -> f64 {
        self.metric(&format!("kofn_events_total{{event=\"{name}\"}}"))
    }

    /// How often something has happened to connections of one transport.
    pub(crate) fn connections(&self, transport: &str, event: &str) -> f64 {
        self.metric(&format!("kofn_connections_total{{transport=\"{transport}\",event=\"{event}\"}}"))
    }

    fn metric(&self, sample: &str) -> f64 {
        let mut socket = UnixStream::connect(self.scratch.path("state/control.sock")).expect("the control socket");
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
        let mut metrics = String::new();
        socket.read_to_string(&mut metrics).expect("the metrics");
        let line = format!("{sample} ");
        let count = metrics.lines().find_map(|text| text.strip_prefix(&line)).and_then(|text| text.parse().ok());
        count.unwrap_or_else(|| panic!("no {sample} in {metrics}"))
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        self.kofn(&["status", "--json"]).json()
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks a server.
#[derive(Clone, Copy)]
pub(crate) struct Client(pub(crate) SocketAddr);

impl Client {
    /// Asks by UDP.
    #[track_caller]
    pub(crate) fn ask(&self, name: &str, rtype: RecordType) -> Message {
        self.send(&question(name, rtype))
    }

    /// Asks with EDNS, and gives the rcode and the codes of the extended errors (RFC 8914).
    #[track_caller]
    pub(crate) fn errors(&self, name: &str, rtype: RecordType) -> (ResponseCode, Vec<u16>) {
        let mut question = question(name, rtype);
        question.edns = Some(Edns::new());
        let reply = self.send(&question);
        let options = reply.edns.iter().flat_map(|edns| edns.options().as_ref());
        let codes = options.filter(|(code, _)| u16::from(*code) == EXTENDED_ERROR).map(|(_, option)| {
            let octets: Vec<u8> = option.try_into().expect("an option");
            u16::from_be_bytes([octets[0], octets[1]])
        });
        (reply.metadata.response_code, codes.collect())
    }

    #[track_caller]
    fn send(&self, question: &Message) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.connect(self.0).expect("the server's address");
        socket.send(&question.to_vec().expect("a question")).expect("to send");
        let mut octets = [0; 4096];
        let length =
            socket.recv(&mut octets).unwrap_or_else(|error| panic!("no reply for {:?}: {error}", question.queries));
        checked(question, &octets[..length])
    }

    /// Asks by TCP.
    #[track_caller]
    pub(crate) fn ask_tcp(&self, name: &str, rtype: RecordType) -> Message {
        let mut stream = TcpStream::connect(self.0).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let question = question(name, rtype);
        let octets = question.to_vec().expect("a question");
        let length = u16::try_from(octets.len()).expect("a short question");
        stream.write_all(&[&length.to_be_bytes(), &octets[..]].concat()).expect("to send");
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap_or_else(|error| panic!("no reply for {name} {rtype}: {error}"));
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).expect("the whole reply");
        checked(&question, &octets)
    }

    /// The A or AAAA addresses that a name has now.
    #[track_caller]
    pub(crate) fn resolve(&self, name: &str, rtype: RecordType) -> Vec<IpAddr> {
        addresses(&self.ask(name, rtype))
    }
}

/// The addresses of an answer section, in their order.
pub(crate) fn addresses(message: &Message) -> Vec<IpAddr> {
    let address = |data: &RData| match data {
        RData::A(a) => Some(IpAddr::from(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::from(aaaa.0)),
        _ => None,
    };
    message.answers.iter().filter_map(|record| address(&record.data)).collect()
}

fn question(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
    message
}

#[track_caller]
fn checked(question: &Message, octets: &[u8]) -> Message {
    let reply = Message::from_vec(octets).expect("a reply that hickory can read");
    assert_eq!(reply.metadata.id, question.metadata.id);
    assert_eq!(reply.queries, question.queries);
    reply
}

fn after<'a>(line: &'a str, key: &str) -> &'a str {
    let rest = line.split_once(key).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().unwrap_or_default()
}
