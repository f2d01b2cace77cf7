//! `kofn status`: what the running server serves: zones, pools, members.

use std::fmt::Write;

use anstyle::Style;
use comfy_table::{Cell, Color, Table};
use hyper::Method;
use jiff::{SignedDuration, Timestamp};

use super::settings::State;
use super::table::table;
use super::{Failure, control, counted};
use crate::admin::api::{self, STATUS_PATH, ZoneState};

/// Show what the running server serves: zones, pools, members
///
/// It asks over the control socket in the state folder, which only the user that the server runs as may do.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let status: api::Status = control::ask(&self.state.folder()?, Method::GET, STATUS_PATH)?;
        if self.json {
            return super::print_json(&status);
        }
        let now = Timestamp::now();
        let mut text = headline(&status, now);
        text.push_str(&zones(&status.zones, now));
        text.push_str(&pools(&status.pools, now));
        if status.drains != api::Drains::default() {
            let _ = write!(text, "\n{}", super::drain::drains(&status.drains, now));
        }
        if status.transfers != api::Transfers::default() {
            let _ = write!(text, "\n{}", super::transfer::tables(&status.transfers, now));
        }
        text.push_str(&shown(&status.certificates));
        super::print_all(&mut anstream::stdout(), text.as_bytes())
    }
}

/// The certificates of the encrypted doors.
fn shown(certificates: &[api::Certificate]) -> String {
    if certificates.is_empty() {
        return String::new();
    }
    let mut table = table(&["CERTIFICATE", "FILE", "DAYS LEFT"]);
    for certificate in certificates {
        let colour = if certificate.days_left < NEAR_DAYS { Color::Yellow } else { Color::Green };
        let days = Cell::new(certificate.days_left).fg(colour);
        table.add_row([Cell::new(certificate.names.join(" ")), Cell::new(&certificate.file), days]);
    }
    format!("\n{table}\n")
}

/// Days before its end from which on a certificate is worth a look.
const NEAR_DAYS: i64 = 14;

fn headline(status: &api::Status, now: Timestamp) -> String {
    let bold = Style::new().bold();
    let mut text = format!(
        "{bold}kofn {}{bold:#}, process {}, started {} ago, generation {}\n{}",
        status.version,
        status.pid,
        age(status.started, now),
        status.generation,
        counted(status.queries.received, "query", "queries")
    );
    for (index, (outcome, count)) in status.queries.outcomes.iter().enumerate() {
        let _ = write!(text, "{} {count} {outcome}", if index == 0 { ":" } else { "," });
    }
    text.push('\n');
    text.push_str(&privileges(&status.privileges));
    for fault in &status.faults {
        let _ = writeln!(text, "{}fault{:#}: {fault}", super::WARN, super::WARN);
    }
    health(&mut text, &status.health, now);
    text
}

/// What the process may still do, in a line.
fn privileges(left: &api::Privileges) -> String {
    let api::Privileges { user, no_new_privileges: _, landlock, seccomp, commands } = left;
    let commands = if *commands { "commands may be run" } else { "no commands are run" };
    format!("user {user}; sandbox: Landlock {landlock}, seccomp {seccomp}, {commands}\n")
}

/// What is wrong with the prober itself.
fn health(text: &mut String, health: &api::Health, now: Timestamp) {
    let (red, yellow) = (super::BAD, super::WARN);
    let api::Health { probes, failing, stale, withheld, .. } = health;
    if let Some(since) = health.frozen {
        let age = age(since, now);
        let _ = writeln!(
            text,
            "{red}frozen{red:#} for {age}: {failing} of {probes} probes fail and no witness answers; verdicts stand as they were"
        );
    } else if health.witnesses == Some(false) {
        let _ = writeln!(text, "{yellow}no witness answers{yellow:#}; {withheld} going down wait for one");
    }
    if *stale > 0 {
        let _ = writeln!(
            text,
            "{red}stale{red:#}: {stale} of {probes} probes are overdue; their verdicts stand as they were"
        );
    }
}

fn zones(zones: &[api::Zone], now: Timestamp) -> String {
    if zones.is_empty() {
        return "\nno zones\n".into();
    }
    let mut table = table(&["ZONE", "STATE", "SERIAL", "RECORDS", "READ"]);
    for zone in zones {
        let (word, colour) = match zone.state {
            ZoneState::Current => ("current", Color::Green),
            ZoneState::Stale => ("stale", Color::Yellow),
            ZoneState::Held => ("held", Color::Yellow),
            ZoneState::Broken => ("broken", Color::Red),
        };
        table.add_row([
            Cell::new(&zone.name),
            Cell::new(word).fg(colour),
            Cell::new(zone.serial.map_or("-".into(), |serial| serial.to_string())),
            Cell::new(zone.records),
            Cell::new(zone.loaded.map_or("-".into(), |loaded| format!("{} ago", age(loaded, now)))),
        ]);
    }
    let mut text = format!("\n{}\n", table.trim_fmt());
    let (red, yellow) = (super::BAD, super::WARN);
    for zone in zones {
        for error in zone.errors.iter().chain(&zone.held) {
            let _ = writeln!(text, "  {red}error{red:#}: {error}");
        }
        for warning in &zone.warnings {
            let _ = writeln!(text, "  {yellow}warning{yellow:#}: {warning}");
        }
    }
    text
}

fn pools(pools: &[api::Pool], now: Timestamp) -> String {
    if pools.is_empty() {
        return "\nno pools\n".into();
    }
    let mut text = String::new();
    for (pool, family) in pools.iter().flat_map(|pool| pool.families.iter().map(move |family| (pool, family))) {
        let (bold, red) = (Style::new().bold(), super::BAD);
        let _ = write!(
            text,
            "\n{bold}{} {}{bold:#}: deals {} of {} eligible; {}, check {}",
            pool.name,
            family.rtype,
            usize::from(family.k).min(family.eligible),
            family.eligible,
            counted(family.members.len() as u64, "member", "members"),
            pool.check.as_deref().unwrap_or("none")
        );
        if family.panic {
            let _ = write!(text, "\n{red}panic{red:#}: too few are healthy, so all are served");
        }
        let _ = writeln!(text, "\n{}", members(&family.members, now).trim_fmt());
        text.push_str(&certificates(&family.members, now));
    }
    text
}

/// The certificates that end soon, or have ended.
fn certificates(members: &[api::Member], now: Timestamp) -> String {
    let yellow = super::WARN;
    let soon = members.iter().filter_map(|member| {
        let left = member.certificate_end?.duration_since(now);
        (left < NEAR).then(|| {
            let days = left.as_hours().div_euclid(24);
            let days = if days < 0 { "has ended".to_owned() } else { format!("ends in {days} days") };
            format!("  {yellow}warning{yellow:#}: the certificate of {} {days}\n", member.address)
        })
    });
    soon.collect()
}

/// How near the end of a certificate is a warning.
const NEAR: SignedDuration = SignedDuration::from_hours(14 * 24);

fn members(members: &[api::Member], now: Timestamp) -> Table {
    let mut table = table(&["MEMBER", "VERDICT", "SINCE", "PROBED", "STANDING", "LAST ERROR"]);
    for member in members {
        table.add_row([
            Cell::new(member.address),
            Cell::new(verdict(member)).fg(colour_of(&member.verdict)),
            Cell::new(member.since.map_or("-".into(), |since| age(since, now))),
            Cell::new(member.last_probe.map_or("-".into(), |at| format!("{} ago", age(at, now)))),
            Cell::new(standing(member)),
            Cell::new(member.last_error.as_deref().unwrap_or("-")),
        ]);
    }
    table
}

pub(super) fn verdict(member: &api::Member) -> String {
    let marks = [(member.hangs, ", hangs"), (member.stale, ", stale")];
    let marks = marks.into_iter().filter_map(|(holds, mark)| holds.then_some(mark));
    member.verdict.chars().chain(marks.flat_map(str::chars)).collect()
}

fn standing(member: &api::Member) -> String {
    match member.served && member.warmth < 1.0 {
        true => format!("{} at {:.0} %", member.standing, member.warmth * 100.0),
        false => member.standing.clone(),
    }
}

pub(super) fn colour_of(verdict: &str) -> Color {
    match verdict {
        "up" => Color::Green,
        "down" => Color::Red,
        _ => Color::Yellow,
    }
}

/// The two largest units of the time from `then` to `now`, such as `3m 20s`.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn ages_have_two_units() {
        let then = Timestamp::UNIX_EPOCH;
        let after = |seconds: i64| age(then, then + seconds.seconds());
        assert_eq!(after(59), "59s");
        assert_eq!(after(200), "3m 20s");
        assert_eq!(after(7_320), "2h 2m");
        assert_eq!(after(90_000), "1d 1h");
        assert_eq!(after(-5), "0s", "clocks may differ");
    }
}
