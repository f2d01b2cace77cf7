//! Drains for people.

use std::fmt::Write;

use comfy_table::{Cell, Color};
use jiff::Timestamp;

use crate::admin::api::{self, Place};
use crate::cli::table::table;
use crate::cli::{BAD, WARN};

/// What is drained, and how far each member is on its way out.
pub(in crate::cli) fn drains(listing: &api::Drains, now: Timestamp) -> String {
    let mut text = String::new();
    for fault in &listing.faults {
        let _ = writeln!(text, "{BAD}error{BAD:#}: {fault}; the last good list holds");
    }
    if listing.drains.is_empty() && listing.members.is_empty() {
        text.push_str("nothing is drained\n");
        return text;
    }
    for drain in &listing.drains {
        let _ = write!(text, "{} drained", drain.addr);
        if let Some(pool) = &drain.pool {
            let _ = write!(text, " in {pool}");
        }
        if let Some(since) = drain.since {
            let _ = write!(text, " since {since:.0}");
        }
        if let Some(until) = drain.until {
            let _ = write!(text, " until {until:.0}");
        }
        if let Some(reason) = &drain.reason {
            let _ = write!(text, ": {reason}");
        }
        text.push('\n');
    }
    if listing.members.is_empty() {
        let _ = writeln!(text, "{WARN}no pool has such a member now{WARN:#}");
        return text;
    }
    let mut rows = table(&["POOL", "MEMBER", "LAST HANDED OUT", "TTL", "OLD ANSWERS"]);
    for member in &listing.members {
        let (words, colour) = place(member);
        rows.add_row([
            Cell::new(&member.pool),
            Cell::new(member.address),
            Cell::new(last(member, now)),
            Cell::new(member.largest_ttl.map_or("-".into(), |ttl| ttl.to_string())),
            Cell::new(words).fg(colour),
        ]);
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    text
}

fn last(member: &api::DrainedMember, now: Timestamp) -> String {
    match (member.place, member.last_handed_out) {
        (Place::Served, _) => "now".into(),
        (_, Some(last)) => format!("{} ago", crate::cli::status::age(last, now)),
        (_, None) => "-".into(),
    }
}

fn place(member: &api::DrainedMember) -> (String, Color) {
    let removed = if member.removed { ", removed" } else { "" };
    match (member.place, member.gone_in) {
        (Place::Served, _) => ("still handed out, for want of others".into(), Color::Red),
        (Place::Cached, left) => (format!("gone in {}s{removed}", left.unwrap_or(0)), Color::Yellow),
        (Place::Gone, _) => (format!("gone{removed}"), Color::Green),
    }
}
