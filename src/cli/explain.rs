//! `kofn explain`: why the running server answers a question as it does.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use anstyle::Style;
use comfy_table::{Cell, Table};
use data_encoding::HEXLOWER;
use hyper::Method;
use jiff::Timestamp;
use serde::Serialize;

use super::message::Message;
use super::settings::State;
use super::status::{age, colour_of, verdict};
use super::table::table;
use super::{Failure, control, query};
use crate::admin::api::{EXPLAIN_PATH, ExplainedMember, ExplainedPool, Explanation};
use crate::wire::{Name, Type};

/// Say why the running server answers a question as it does
///
/// For a pool: the hand that this client would get, who may be handed out, who may not and why, and where the TTL comes
/// from. For any other name: what would be answered, and what in the zone makes it so. It asks over the control socket in the
/// state folder, which only the user that the server runs as may do.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// The name, absolute with or without its final dot
    name: String,
    /// The type, such as AAAA or TYPE65
    #[arg(default_value = "A", value_parser = query::record_type)]
    rtype: Type,
    /// Explain what this client would get
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The form of `--json`.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    explanation: Explanation,
    /// The reply, read.
    message: Message,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let name = Name::from_text(self.name.as_bytes());
        let name = name.map_err(|error| Failure::usage(format!("{}: {error}", self.name)))?.to_string();
        let words = [("name", name), ("type", self.rtype.to_string()), ("from", self.from.to_string())];
        let words = words.map(|(key, value)| format!("{key}={}", control::percent(&value)));
        let path = format!("{EXPLAIN_PATH}?{}", words.join("&"));
        let explanation: Explanation = control::ask(&self.state.folder()?, Method::GET, &path)?;
        let reply = HEXLOWER.decode(explanation.reply.as_bytes()).ok();
        let message = reply.and_then(|reply| Message::read(&reply));
        let message = message.ok_or_else(|| Failure::unavailable("the server gives a reply that is none"))?;
        let explained = Explained { explanation, message };
        match self.json {
            true => super::print_json(&explained),
            false => super::print_all(&mut anstream::stdout(), explained.text(Timestamp::now()).as_bytes()),
        }
    }
}

impl Explained {
    fn text(&self, now: Timestamp) -> String {
        let Explanation { name, rtype, from, generation, zone, serial, outcome, why, pool, .. } = &self.explanation;
        let bold = Style::new().bold();
        let mut text = format!("{bold}{name} {rtype}{bold:#} for {from}: {outcome}, {}\n", self.message.rcode);
        if let Some(zone) = zone {
            let serial = serial.map_or("no data".to_owned(), |serial| format!("serial {serial}"));
            let _ = writeln!(text, "zone {zone}, {serial}, generation {generation}");
        }
        for sentence in why {
            let _ = writeln!(text, "  {sentence}");
        }
        match pool {
            Some(pool) => write_pool(&mut text, pool, now),
            None => {
                let Message { answer, authority, additional, .. } = &self.message;
                for (title, records) in [("answer", answer), ("authority", authority), ("additional", additional)] {
                    query::section(&mut text, title, records);
                }
            }
        }
        text
    }
}

fn write_pool(text: &mut String, pool: &ExplainedPool, now: Timestamp) {
    let (bold, red, yellow) = (Style::new().bold(), super::BAD, super::WARN);
    let (eligible, members) = (pool.eligible, pool.members.len());
    let _ = writeln!(
        text,
        "\n{bold}pool {} {}{bold:#}: {eligible} of {members} eligible, spread {}, check {}",
        pool.name,
        pool.rtype,
        pool.spread,
        pool.check.as_deref().unwrap_or("none")
    );
    if let Some(panic) = &pool.panic {
        let _ = writeln!(text, "{red}panic{red:#}: {panic}");
    }
    if let Some(since) = pool.frozen {
        let age = age(since, now);
        let _ = writeln!(text, "{red}frozen{red:#} for {age}: no witness answers, so all verdicts stand as they were");
    }
    if pool.stands_in {
        let _ = writeln!(text, "{yellow}its hands stand in{yellow:#} for better ones, which are being worked out");
    }
    let kind = if pool.own { "this client's own" } else { "an example, the next answer has another" };
    let hand: Vec<String> = pool.hand.iter().map(ToString::to_string).collect();
    match hand.is_empty() {
        true => text.push_str("hand: none\n"),
        false => {
            let _ = writeln!(text, "hand, {kind}:\n  {}", hand.join(" "));
        }
    }
    let ttl = pool.ttl.map_or(String::new(), |ttl| format!("TTL {ttl}: "));
    let _ = writeln!(text, "{ttl}{}", pool.ttl_why.as_deref().unwrap_or_default());
    let _ = writeln!(text, "\n{}", rows(&pool.members, now).trim_fmt());
}

fn rows(members: &[ExplainedMember], now: Timestamp) -> Table {
    let mut table = table(&["MEMBER", "HANDS", "WEIGHT", "VERDICT", "SINCE", "WHY"]);
    for ExplainedMember { member, share, why } in members {
        table.add_row([
            Cell::new(member.address),
            Cell::new(format!("{:.1} %", share * 100.0)),
            Cell::new(member.weight),
            Cell::new(verdict(member)).fg(colour_of(&member.verdict)),
            Cell::new(member.since.map_or("-".into(), |since| age(since, now))),
            Cell::new(why),
        ]);
    }
    table
}
