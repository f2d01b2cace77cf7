//! `kofn health`: whether the running server is well, as an exit code: for containers, load balancers and scripts.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hyper::Method;
use serde::Serialize;

use super::settings::State;
use super::{Failure, control};
use crate::admin::api::{self, STATUS_PATH, ZoneState};
use crate::config;

/// Say whether the running server is well: 0 if so, 1 if not
///
/// It is well when it answers DNS at every address of `listen` and its prober is at work. Backends that are down, and zone files
/// with a fault, are no reason to end or to replace a server, and do not count.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// Ask only here, by UDP, and not the control socket; may be given again
    #[arg(long, value_name = "ADDRESS:PORT")]
    at: Vec<SocketAddr>,
    /// How long a reply may take
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    timeout: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let read = config::read_duration(text).filter(|read| !read.is_zero());
    read.ok_or_else(|| "a duration such as 2s or 500ms would be right".to_owned())
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Health {
    healthy: bool,
    /// Why it is not.
    problems: Vec<String>,
    version: Option<String>,
    pid: Option<u32>,
    zones: Option<usize>,
    answers: Vec<Answer>,
}

/// What came of one question.
#[derive(Debug, Serialize)]
struct Answer {
    address: SocketAddr,
    rcode: Option<String>,
    milliseconds: Option<f64>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut health =
            Health { healthy: false, problems: Vec::new(), version: None, pid: None, zones: None, answers: Vec::new() };
        let (addresses, zone) = if self.at.is_empty() {
            let folder = self.state.folder()?;
            match control::ask::<api::Status>(&folder, Method::GET, STATUS_PATH) {
                Ok(status) => health.take(&status),
                Err(failure) => {
                    health.problems.push(failure.to_string());
                    (Vec::new(), None)
                }
            }
        } else {
            (self.at, None)
        };
        for address in addresses {
            match ask(reachable(address), zone.as_ref(), self.timeout) {
                Ok((rcode, took)) => {
                    if zone.is_some() && rcode == ResponseCode::ServFail {
                        health.problems.push(format!("{address} answers {rcode}"));
                    }
                    let milliseconds = Some(took.as_secs_f64() * 1e3);
                    health.answers.push(Answer { address, rcode: Some(rcode.to_string()), milliseconds });
                }
                Err(error) => {
                    health.problems.push(format!("{address} does not answer: {}", words(&error)));
                    health.answers.push(Answer { address, rcode: None, milliseconds: None });
                }
            }
        }
        health.healthy = health.problems.is_empty();
        if self.json {
            super::print_json(&health)?;
        } else if health.healthy {
            super::print_all(&mut io::stdout(), b"healthy\n")?;
        }
        match health.healthy {
            true => Ok(()),
            false => Err(Failure::refuted(health.problems.join("; "))),
        }
    }
}

impl Health {
    /// What the server says of itself; returns where to ask it, and for what.
    fn take(&mut self, status: &api::Status) -> (Vec<SocketAddr>, Option<Name>) {
        (self.version, self.pid) = (Some(status.version.clone()), Some(status.pid));
        let served: Vec<_> = status.zones.iter().filter(|zone| zone.state != ZoneState::Broken).collect();
        self.zones = Some(served.len());
        if status.health.probes > 0 && status.health.stale == status.health.probes {
            self.problems.push("all probes are overdue".into());
        }
        let addresses = status.listen.iter().filter(|door| door.transport == "udp").map(|door| door.address).collect();
        (addresses, served.first().and_then(|zone| Name::from_ascii(&zone.name).ok()))
    }
}

/// Where the server hears us if it listens on `address`: a wildcard is everywhere, and so on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Asks for the SOA record of a zone, or of the root, which this server is not likely to have: then its word is REFUSED.
fn ask(address: SocketAddr, zone: Option<&Name>, patience: Duration) -> io::Result<(ResponseCode, Duration)> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    let mut question = Message::query();
    question.add_query(Query::query(zone.cloned().unwrap_or_else(Name::root), RecordType::SOA));
    let octets = question.to_vec().expect("a question of one name");
    let begun = Instant::now();
    socket.send(&octets)?;
    let mut reply = [0; 4096];
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut reply)?;
        let message = Message::from_vec(&reply[..length]).ok();
        if let Some(message) = message.filter(|message| message.metadata.id == question.metadata.id) {
            return Ok((message.metadata.response_code, begun.elapsed()));
        }
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "nothing came in time".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_asked_on_loopback() {
        let asked = |text: &str| reachable(text.parse().expect("an address")).to_string();
        assert_eq!(asked("0.0.0.0:53"), "127.0.0.1:53");
        assert_eq!(asked("[::]:5300"), "[::1]:5300");
        assert_eq!(asked("192.0.2.1:53"), "192.0.2.1:53");
    }

    #[test]
    fn silence_and_a_closed_port_are_told_apart() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("bound");
        let patience = Duration::from_millis(50);
        assert_eq!(words(&ask(address, None, patience).expect_err("silence")), "nothing came in time");
        drop(silent);
        assert_eq!(ask(address, None, patience).expect_err("nobody").kind(), ErrorKind::ConnectionRefused);
    }
}
