//! `kofn query`: what the engine would answer from the files as they are; no server is needed.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use anstyle::{AnsiColor, Style};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::Serialize;

use super::message::{Message, Record};
use super::settings::Zones;
use super::{Failure, files};
use crate::answer::{Client, Dealer, Outcome, answer};
use crate::metrics::Transport;
use crate::wire::{Class, Name, Type};

/// Answer a question from the zone files, without a server
///
/// It is the engine of the server that answers, so this is what would be served. Backends are not asked: all count as
/// healthy.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    zones: Zones,
    /// The name, absolute with or without its final dot
    name: String,
    /// The type, such as AAAA or TYPE65
    #[arg(default_value = "A", value_parser = record_type)]
    rtype: Type,
    /// Set the DO bit: have the signatures that the zone has
    #[arg(long)]
    dnssec: bool,
    /// Ask as this client would
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// Ask by TCP, where nothing is truncated
    #[arg(long)]
    tcp: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print the octets of the reply in base16
    #[arg(long, conflicts_with = "json")]
    hex: bool,
}

/// The form of `--json`.
#[derive(Debug, Serialize)]
struct Answered {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    /// The counter that a server would have moved.
    outcome: &'static str,
    #[serde(flatten)]
    message: Message,
}

/// What a client offers to take by UDP (RFC 9715 section 3.2).
const PAYLOAD: u16 = 1232;
const QUIET: Style = AnsiColor::BrightBlack.on_default();

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let name = Name::from_text(self.name.as_bytes());
        let name = name.map_err(|error| Failure::usage(format!("{}: {error}", self.name)))?;
        let publisher = files::publish(&self.zones, &name)?;
        let query = self.query(&name);
        let client = Client {
            address: self.from,
            transport: if self.tcp { Transport::Tcp } else { Transport::Udp },
            now: Timestamp::now().as_second() as u32,
        };
        let mut reply = vec![0; usize::from(u16::MAX)];
        let snapshot = publisher.reader().load();
        let outcome = answer(&snapshot, &query, &client, &mut Dealer::new(rand::random()), &mut reply);
        let (len, label) = match outcome {
            Outcome::Reply { len, label, .. } => (len, label),
            Outcome::Drop(_) => return Err(Failure::data("the engine does not reply to this")),
            Outcome::Defer => return Err(Failure::data("a running server would begin a zone transfer")),
        };
        if self.hex {
            let line = HEXLOWER.encode(&reply[..len]) + "\n";
            return super::print_all(&mut anstream::stdout(), line.as_bytes());
        }
        let message = Message::read(&reply[..len]).expect("the engine writes messages");
        let answered =
            Answered { name: name.to_string(), rtype: self.rtype.to_string(), outcome: label.label(), message };
        match self.json {
            true => super::print_json(&answered),
            false => super::print_all(&mut anstream::stdout(), answered.text().as_bytes()),
        }
    }

    fn query(&self, name: &Name) -> Vec<u8> {
        // One question, and one additional record, which is OPT.
        let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        query.extend(name.borrow().as_bytes());
        let dnssec_ok = u16::from(self.dnssec) << 15;
        let opt = [Type::OPT.0, PAYLOAD, 0, dnssec_ok, 0];
        query.extend([self.rtype.0, Class::IN.0].map(u16::to_be_bytes).concat());
        query.push(0);
        query.extend(opt.map(u16::to_be_bytes).concat());
        query
    }
}

pub(super) fn record_type(text: &str) -> Result<Type, String> {
    Type::from_text(text.as_bytes())
        .ok_or_else(|| "a type such as A, AAAA, MX, ANY or TYPE65 would be right".to_owned())
}

impl Answered {
    fn text(&self) -> String {
        let Message { rcode, flags, octets, answer, authority, additional, edns } = &self.message;
        let quiet = QUIET;
        let mut text = format!("{quiet};; {rcode}, flags {}, {octets} octets{quiet:#}\n", flags.join(" "));
        for (code, words) in edns.iter().flat_map(|edns| &edns.errors) {
            let _ = writeln!(text, "{quiet};; extended error {code} {words}{quiet:#}");
        }
        let _ = writeln!(text, "\n{quiet};; question{quiet:#}\n;{} IN {}", self.name, self.rtype);
        for (title, records) in [("answer", answer), ("authority", authority), ("additional", additional)] {
            section(&mut text, title, records);
        }
        text
    }
}

pub(super) fn section(text: &mut String, title: &str, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{QUIET};; {title}{QUIET:#}");
    let width = records.iter().map(|record| record.name.len()).max().unwrap_or(0);
    for Record { name, ttl, class, rtype, data } in records {
        let _ = writeln!(text, "{name:width$} {ttl:>6} {class} {rtype:6} {data}");
    }
}
