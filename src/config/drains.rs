//! `drains.toml` in the state folder: who is kept out of new answers. The server writes it, and so may people.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::fault::Fault;
use super::read_table;
use super::reader::{Item, Section, keys};
use super::value::{duration, parse_duration, prefix, text};
use crate::drain::{Drain, Drains};
use crate::net::Prefix;
use crate::wire::Name;

keys! {
    FILE "" with "drain" {}
}

keys! {
    DRAIN "[[drain]]" {
        ADDR: Prefix = "addr", prefix, "",
            "The member or the members. Always needed.";
        POOL: Name = "pool", pool, "",
            "The owner of the pool, as an absolute name. Without it the members are drained in every pool.";
        SINCE: Timestamp = "since", timestamp, "",
            "When the drain began. The server writes it where it is missing.";
        FOR: Duration = "for", duration::<1_000, 31_536_000_000>, "",
            "After this time since then the drain ends by itself, and is taken out of the file.";
        REASON: String = "reason", text::<255>, "",
            "Why, for people.";
    }
}

/// Reads the text of the file at `path`.
///
/// # Errors
/// Every fault of the text, in its order.
pub fn read_drains(text: &str, path: &Path) -> Result<Drains, Vec<Fault>> {
    read_table(text, path, &FILE, read).map(|(drains, _)| drains)
}

/// Reads a duration as people write it: `5s`, `1m30s`, `2h`.
pub fn read_duration(text: &str) -> Option<Duration> {
    parse_duration(text)
}

fn read(root: &Section<'_>) -> Drains {
    let Some(item) = root.item("drain") else { return Drains::default() };
    let Some(elements) = item.elements() else {
        item.wrong::<()>("tables, [[drain]] before each");
        return Drains::default();
    };
    Drains::new(elements.iter().filter_map(one).collect())
}

fn one(item: &Item<'_>) -> Option<Drain> {
    let Some(section) = item.section(&DRAIN) else { return item.wrong("a table, [[drain]]") };
    let (since, lasts) = (section.written(&SINCE), section.written(&FOR));
    let (pool, reason) = (section.written(&POOL), section.written(&REASON));
    Some(Drain { addr: section.required(&ADDR)?, pool, since, lasts, reason })
}

fn pool(item: &Item<'_>) -> Option<Name> {
    match item.as_str().map(|text| Name::from_text(text.as_bytes())) {
        Some(Ok(name)) => Some(name.to_lower()),
        Some(Err(error)) => item.wrong_as(error, POOL_NAME),
        None => item.wrong(POOL_NAME),
    }
}

const POOL_NAME: &str = "the name of a pool, such as \"www.example.test\"";

fn timestamp(item: &Item<'_>) -> Option<Timestamp> {
    match item.as_date().and_then(|date| date.parse().ok()) {
        Some(timestamp) => Some(timestamp),
        None => item.wrong("a date and time with its distance from UTC, such as 2026-01-31T16:00:00Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "[[drain]]\naddr = \"192.0.2.7\"\n[[drain]]\naddr = \"2001:db8::/32\"\npool = \"WWW.example.test\"\n\
                    since = 2026-01-31T16:00:00+01:00\nfor = \"1h30m\"\nreason = \"a new kernel\"\n";
        let drains = read_drains(text, Path::new("drains.toml")).expect("no fault");
        let [first, second] = &drains.iter().collect::<Vec<_>>()[..] else { panic!("{drains:?}") };
        assert_eq!((first.addr.to_string().as_str(), first.since, &first.pool), ("192.0.2.7", None, &None));
        assert_eq!(second.pool.as_ref().map(Name::to_string).as_deref(), Some("www.example.test."));
        assert_eq!(second.until().map(|until| until.to_string()).as_deref(), Some("2026-01-31T16:30:00Z"));
        assert_eq!(second.reason.as_deref(), Some("a new kernel"));
        assert_eq!(read_drains("", Path::new("drains.toml")), Ok(Drains::default()));
    }

    #[test]
    fn faults_name_their_lines() {
        let text = "[[drain]]\naddr = \"192.0.2\"\n[[drain]]\nadr = \"192.0.2.1\"\n[[drain]]\naddr = \"::1\"\n\
                    since = 2026-01-31\nfor = \"2 hours\"\n";
        let faults = read_drains(text, Path::new("drains.toml")).expect_err("faults");
        let shown: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let starts = [
            "drains.toml:2:8: drain[0].addr:",
            "drains.toml:3:1: drain[1]: `addr` is missing",
            "drains.toml:4:1: drain[1].adr: unknown key",
            "drains.toml:7:9: drain[2].since: found 2026-01-31;",
            "drains.toml:8:7: drain[2].for: found \"2 hours\";",
        ];
        assert_eq!(shown.len(), starts.len(), "{shown:#?}");
        for (shown, start) in shown.iter().zip(starts) {
            assert!(shown.starts_with(start), "{shown}");
        }
        assert!(read_drains("drain = 3", Path::new("drains.toml")).is_err());
    }
}
