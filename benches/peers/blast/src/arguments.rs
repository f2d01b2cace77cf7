//! The command line.

use std::net::SocketAddrV4;
use std::path::PathBuf;

/// What `--help` prints.
pub const HELP: &str = "\
Loads a nameserver from one core, checks every reply, and prints one JSON object.

blast --server ADDRESS:PORT --queries FILE [OPTIONS]

  --queries FILE   a query a line: NAME TYPE RCODE ANSWERS [ADDRESS...]. The answer must have so many records, and all
                   of its A records must be among the addresses, each at most once
  --fill hex       the first label begins with eight octets that are replaced by random hexadecimal digits
  --fill number=N  the first label is a letter and seven octets that are replaced by a number below N; the answer must
                   be the address 10.0.0.0 + number
  --edns           with EDNS, payload 1232
  --do             and with DO
  --cookie         with EDNS and a cookie of eight octets
  --mode fresh     UDP, neighbouring queries from different ports, at saturation (the default); by `apart`
  --mode flows     UDP, few ports, queries in trains (UDP_SEGMENT), at saturation
  --joined         and replies as the kernel joins them (UDP_GRO)
  --mode rate=N    UDP, N queries a second at even distances, from different ports; latency counts from when each was due
  --sleeps         and sleeps between them, on a core that others use, too; run by `chrt --fifo 1`, it does not wait for them
  --mode tcp       pipelined queries over some connections
  --mode tcp-once  a connection for each query
  --sockets N      sockets or connections (8 fresh, 4 flows, 64 rate, 8 tcp and tcp-once)
  --window N       queries under way on each (24 fresh, 48 flows, 16 tcp)
  --secs S         measured seconds (2), after --warm S seconds (0.3)
  --pids A,B       adds their CPU time in the measured seconds
  --cpu N          runs on this core
";

/// The command line, read.
#[derive(Debug)]
pub struct Arguments {
    /// Whom to load.
    pub server: SocketAddrV4,
    /// The file of queries.
    pub queries: PathBuf,
    /// What changes in each query.
    pub fill: Fill,
    /// Whether queries carry an OPT record.
    pub edns: bool,
    /// Whether it has DO.
    pub dnssec: bool,
    /// Whether it has a cookie.
    pub cookie: bool,
    /// How queries are sent.
    pub mode: Mode,
    /// Whether replies to trains may come joined.
    pub joined: bool,
    /// Whether queries at a fixed rate leave the core to others in between.
    pub sleeps: bool,
    /// Sockets or connections.
    pub sockets: usize,
    /// Queries under way on each.
    pub window: usize,
    /// Seconds that are measured.
    pub secs: f64,
    /// Seconds before that.
    pub warm: f64,
    /// Processes whose CPU time is told.
    pub pids: Vec<u32>,
    /// The core to run on.
    pub cpu: Option<usize>,
}

/// What changes in each query of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Nothing.
    Nothing,
    /// Eight random hexadecimal digits.
    Hex,
    /// A number of seven digits below this one.
    Number(u32),
}

/// How queries are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// UDP, neighbours from different ports.
    Fresh,
    /// UDP, trains from few ports.
    Flows,
    /// UDP, so many a second.
    Rate(f64),
    /// Pipelined TCP.
    Tcp,
    /// A TCP connection for each query.
    TcpOnce,
}

impl Arguments {
    /// Reads the arguments; `None` asks for help.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut read = Self {
            server: SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0),
            queries: PathBuf::new(),
            fill: Fill::Nothing,
            edns: false,
            dnssec: false,
            cookie: false,
            mode: Mode::Fresh,
            joined: false,
            sleeps: false,
            sockets: 0,
            window: 0,
            secs: 2.0,
            warm: 0.3,
            pids: Vec::new(),
            cpu: None,
        };
        let mut arguments = arguments;
        while let Some(key) = arguments.next() {
            match key.as_str() {
                "--help" | "-h" => return Ok(None),
                "--edns" => read.edns = true,
                "--joined" => read.joined = true,
                "--sleeps" => read.sleeps = true,
                "--do" => (read.edns, read.dnssec) = (true, true),
                "--cookie" => (read.edns, read.cookie) = (true, true),
                _ => {
                    let value = arguments.next().ok_or_else(|| format!("{key} without a value"))?;
                    read.set(&key, &value).ok_or_else(|| format!("{key} {value} is not understood"))?;
                }
            }
        }
        if read.server.port() == 0 || read.queries.as_os_str().is_empty() {
            return Err("--server and --queries are needed".into());
        }
        let (sockets, window) = match read.mode {
            Mode::Fresh => (8, 24),
            Mode::Flows => (4, 48),
            Mode::Rate(_) => (64, 1),
            Mode::Tcp => (8, 16),
            Mode::TcpOnce => (8, 1),
        };
        read.sockets = if read.sockets == 0 { sockets } else { read.sockets };
        read.window = if read.window == 0 { window } else { read.window.min(WINDOW_MOST) };
        Ok(Some(read))
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "--server" => self.server = value.parse().ok()?,
            "--queries" => self.queries = value.into(),
            "--fill" => {
                self.fill = match value.split_once('=') {
                    None if value == "hex" => Fill::Hex,
                    Some(("number", below)) => Fill::Number(below.parse().ok().filter(|below| *below > 0)?),
                    _ => return None,
                }
            }
            "--mode" => {
                self.mode = match (value, value.strip_prefix("rate=")) {
                    ("fresh", _) => Mode::Fresh,
                    ("flows", _) => Mode::Flows,
                    ("tcp", _) => Mode::Tcp,
                    ("tcp-once", _) => Mode::TcpOnce,
                    (_, Some(rate)) => Mode::Rate(rate.parse().ok().filter(|rate| *rate > 0.0)?),
                    _ => return None,
                }
            }
            "--sockets" => self.sockets = value.parse().ok().filter(|sockets| *sockets > 0)?,
            "--window" => self.window = value.parse().ok().filter(|window| *window > 0)?,
            "--secs" => self.secs = value.parse().ok()?,
            "--warm" => self.warm = value.parse().ok()?,
            "--pids" => self.pids = value.split(',').map(|pid| pid.parse().ok()).collect::<Option<_>>()?,
            "--cpu" => self.cpu = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

/// Queries under way on one socket are found again by their IDs in a ring of this size.
pub const WINDOW_MOST: usize = 256;
