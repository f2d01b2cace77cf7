//! `[check.NAME]`: how members are probed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::reader::{Item, Key, Section, keys};
use super::value::{duration, integer, text, word};
use crate::health::{CheckId, Rules};

/// One check, with everything that its probes need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// As the policy names it.
    pub name: Arc<str>,
    /// What is asked.
    pub kind: CheckKind,
    /// The same for checks that ask the same by the same rules; it holds the rules.
    pub id: CheckId,
}

impl Check {
    /// How often it is asked, and how many results decide.
    pub fn rules(&self) -> &Rules {
        self.id.rules()
    }
}

/// What a probe does. The type `none` is not here: a pool with such a check has no check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// Opens a TCP connection, and closes it.
    Tcp {
        /// The port of the member.
        port: u16,
    },
    /// Asks for a page by HTTP/1.1.
    Http(HttpCheck),
}

/// A page, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// The port of the member.
    pub port: u16,
    /// Path and query, from the slash on.
    pub path: String,
    /// What the `Host` header says.
    pub host: String,
    /// The status codes that pass.
    pub expect: StatusRanges,
    /// Text that the first 64 KiB of the body must hold.
    pub body: Option<String>,
}

/// HTTP status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRanges(Vec<RangeInclusive<u16>>);

impl StatusRanges {
    /// Whether `status` is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl From<Vec<RangeInclusive<u16>>> for StatusRanges {
    fn from(ranges: Vec<RangeInclusive<u16>>) -> Self {
        Self(ranges)
    }
}

impl fmt::Display for StatusRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match range.start() == range.end() {
                true => write!(f, "{comma}{}", range.start())?,
                false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

keys! {
    CHECK "[check.NAME]" {
        TYPE: Type = "type", check_type, "",
            "What a probe does: open a TCP connection, ask for a page by HTTP, or nothing, which leaves all members in \
             the answers. Always needed.";
        PORT: u16 = "port", integer::<u16, 1, 65_535>, "80",
            "The port of the member. `tcp` needs it; `http` has the default.";
        PATH: String = "path", request_path, "\"/\"",
            "`http`: path and query of the page.";
        HOST: String = "host", host, "",
            "`http`: the `Host` header, sent as it stands. Without it, the owner name of the first pool, by name, that \
             uses the check.";
        EXPECT: StatusRanges = "expect", statuses, "\"200-399\"",
            "`http`: the status codes that pass. Redirects are not followed.";
        BODY: String = "body", text::<1024>, "",
            "`http`: text that the first 64 KiB of the body must hold. Without it the body is not read.";
        INTERVAL: Duration = "interval", duration::<100, 3_600_000>, "\"5s\"",
            "Time from the start of one probe to the start of the next.";
        TIMEOUT: Duration = "timeout", duration::<10, 3_600_000>, "\"2s\"",
            "The most that a whole probe may take, at most the interval. The default shrinks with a shorter interval.";
        FAST_INTERVAL: Duration = "fast_interval", duration::<100, 3_600_000>, "\"1s\"",
            "The interval while a flip hangs, at most `interval`. The default shrinks with a shorter interval.";
        RISE: u32 = "rise", integer::<u32, 1, 1000>, "3",
            "Passes in a row that bring a member back, or make its failures forgotten.";
        FALL: u32 = "fall", integer::<u32, 1, 1000>, "2",
            "Failures, not forgotten, that take a member out.";
        JITTER: u8 = "jitter", integer::<u8, 0, 50>, "10",
            "How far the interval wanders to either side, in per cent of it.";
    }
}

/// A check as it is written, before it is known which pools use it.
pub(super) struct Draft<'a> {
    name: &'a str,
    /// `None` for a check that has faults: they are told, and whoever uses it need not repeat that.
    plan: Option<(Plan, Rules)>,
    place: Item<'a>,
}

enum Plan {
    None,
    Tcp { port: u16 },
    Http { port: u16, path: String, host: Option<String>, expect: StatusRanges, body: Option<String> },
}

#[derive(Clone, Copy)]
enum Type {
    Tcp,
    Http,
    None,
}

/// The checks under `check`, by name.
pub(super) fn drafts<'a>(item: &Item<'a>) -> BTreeMap<&'a str, Draft<'a>> {
    let Some(entries) = item.entries() else {
        item.wrong::<()>("tables, [check.NAME]");
        return BTreeMap::new();
    };
    let draft = |entry: super::reader::Entry<'a>| {
        let plan = match entry.item.section(&CHECK) {
            Some(section) => read(&section),
            None => entry.item.wrong("a table, [check.NAME]"),
        };
        (entry.name, Draft { name: entry.name, plan, place: entry.name_item })
    };
    entries.into_iter().map(draft).collect()
}

impl Draft<'_> {
    /// The check, for pools whose owners are `users`; `None` when there is nothing to probe.
    pub(super) fn resolve(self, users: &[String]) -> Option<Arc<Check>> {
        if users.is_empty() {
            self.place.warn("no pool uses this check", format_args!("`check = \"{}\"` in a pool", self.name));
        }
        let (plan, rules) = self.plan?;
        let (target, kind) = match plan {
            Plan::None => return None,
            Plan::Tcp { port } => (format!("tcp port={port}"), CheckKind::Tcp { port }),
            Plan::Http { port, path, host, expect, body } => {
                let default = || users.iter().find(|owner| is_host(owner)).cloned();
                let Some(host) = host.or_else(default) else {
                    // Without a pool nothing is probed, and that has been told.
                    return match users {
                        [] => None,
                        _ => self.place.wrong_as("no pool with this check has an owner that is a host", "a `host`"),
                    };
                };
                let target = format!("http port={port} host={host:?} path={path:?} expect={expect} body={body:?}");
                (target, CheckKind::Http(HttpCheck { port, path, host, expect, body }))
            }
        };
        Some(Arc::new(Check { name: self.name.into(), kind, id: CheckId::new(target, rules) }))
    }
}

fn read(section: &Section<'_>) -> Option<(Plan, Rules)> {
    let rules = rules(section);
    let kind = section.required(&TYPE)?;
    let plan = match kind {
        Type::None => Plan::None,
        Type::Tcp => Plan::Tcp { port: section.required(&PORT)? },
        Type::Http => Plan::Http {
            port: section.value(&PORT),
            path: section.value(&PATH),
            host: section.written(&HOST),
            expect: section.value(&EXPECT),
            body: section.written(&BODY),
        },
    };
    for name in idle(kind) {
        if let Some(item) = section.item(name) {
            item.warn("the key has no effect with this type", "a check without it");
        }
    }
    Some((plan, rules))
}

fn rules(section: &Section<'_>) -> Rules {
    let interval = section.value(&INTERVAL);
    let at_most_interval = |key: &Key<Duration>| {
        let written = section.written(key);
        if let Some(item) = section.item(key.name).filter(|_| written.is_some_and(|written| written > interval)) {
            item.wrong_as::<()>(
                format_args!("longer than the interval, {interval:?}"),
                format_args!("{interval:?} or less"),
            );
        }
        written.unwrap_or_else(|| section.value(key).min(interval))
    };
    Rules {
        interval,
        timeout: at_most_interval(&TIMEOUT),
        fast_interval: at_most_interval(&FAST_INTERVAL),
        rise: section.value(&RISE),
        fall: section.value(&FALL),
        jitter_percent: section.value(&JITTER),
    }
}

/// The keys that mean nothing to checks of a type.
fn idle(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::Http => &[],
        Type::Tcp => &["path", "host", "expect", "body"],
        Type::None => &[
            "port",
            "path",
            "host",
            "expect",
            "body",
            "interval",
            "timeout",
            "fast_interval",
            "rise",
            "fall",
            "jitter",
        ],
    }
}

fn check_type(item: &Item<'_>) -> Option<Type> {
    word(item, &[("tcp", Type::Tcp), ("http", Type::Http), ("none", Type::None)])
}

fn request_path(item: &Item<'_>) -> Option<String> {
    // The characters of path and query, RFC 3986 sections 3.3 and 3.4.
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@/?".contains(c);
    match item.as_str().filter(|path| path.starts_with('/') && path.len() <= 4096 && path.chars().all(legal)) {
        Some(path) => Some(path.to_owned()),
        None => item.wrong("a path that starts with a slash, percent-encoded, such as \"/healthz\""),
    }
}

fn host(item: &Item<'_>) -> Option<String> {
    match item.as_str().filter(|host| is_host(host)) {
        Some(host) => Some(host.to_owned()),
        None => item.wrong("a host with or without a port, such as \"www.example.test\""),
    }
}

fn is_host(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(legal)
}

fn statuses(item: &Item<'_>) -> Option<StatusRanges> {
    let read = |item: &Item<'_>| match (item.as_integer(), item.as_str()) {
        (Some(status), _) => u16::try_from(status).ok().map(|status| status..=status),
        (_, Some(text)) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        }
        _ => None,
    };
    let legal =
        |range: &RangeInclusive<u16>| 100 <= *range.start() && range.start() <= range.end() && *range.end() <= 599;
    let ranges: Option<Vec<_>> = match item.elements() {
        Some(elements) => elements.iter().map(|element| read(element).filter(legal)).collect(),
        None => read(item).filter(legal).map(|range| vec![range]),
    };
    match ranges.filter(|ranges| !ranges.is_empty()) {
        Some(ranges) => Some(ranges.into()),
        None => item.wrong("status codes from 100 to 599, such as 200, \"200-399\" or [200, \"301-308\"]"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, ZonePolicy};
    use super::*;
    use crate::wire::Name;

    fn check(keys: &str) -> Result<Arc<Check>, Vec<String>> {
        let text = format!("[pool.www]\ncheck = \"c\"\n[check.c]\n{keys}");
        let apex = Name::from_text(b"example.test").unwrap();
        let policy = ZonePolicy::parse(&text, Path::new("z.toml"), apex.borrow());
        let policy = policy.map_err(|list| list.iter().map(Fault::to_string).collect::<Vec<_>>())?;
        Ok(policy.pools.values().next().and_then(|pool| pool.check.clone()).expect("a check"))
    }

    #[test]
    fn an_http_check_needs_nothing_but_its_type() {
        let check = check("type = \"http\"").unwrap();
        let http = HttpCheck {
            port: 80,
            path: "/".to_owned(),
            host: "www.example.test".to_owned(),
            expect: StatusRanges(vec![200..=399]),
            body: None,
        };
        assert_eq!(check.kind, CheckKind::Http(http));
        let rules = Rules {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            fast_interval: Duration::from_secs(1),
            rise: 3,
            fall: 2,
            jitter_percent: 10,
        };
        assert_eq!(check.rules(), &rules);
    }

    #[test]
    fn defaults_shrink_with_a_short_interval_and_written_values_must_fit_it() {
        let half = Duration::from_millis(500);
        let short = check("type = \"http\"\ninterval = \"500ms\"").unwrap();
        assert_eq!((short.rules().timeout, short.rules().fast_interval), (half, half));
        assert_eq!(
            check("type = \"http\"\ninterval = \"500ms\"\ntimeout = 1\nfast_interval = \"500ms\"")
                .expect_err("too long"),
            ["z.toml:6:11: check.c.timeout: longer than the interval, 500ms; 500ms or less"]
        );
    }

    #[test]
    fn statuses_are_codes_and_ranges() {
        for (text, shown) in
            [("204", "204"), ("\"200-299\"", "200-299"), ("[200, \"301 - 308\", \"404\"]", "200,301-308,404")]
        {
            let check = check(&format!("type = \"http\"\nexpect = {text}")).unwrap();
            let CheckKind::Http(http) = &check.kind else { panic!("an http check") };
            assert_eq!(http.expect.to_string(), shown);
        }
        for text in ["99", "600", "\"299-200\"", "[]", "\"2xx\"", "[200, 2000]"] {
            let faults = check(&format!("type = \"http\"\nexpect = {text}")).expect_err(text);
            assert!(faults[0].starts_with("z.toml:5:10: check.c.expect: found "), "{faults:?}");
        }
    }

    #[test]
    fn status_ranges_hold_their_ends() {
        let ranges = StatusRanges(vec![200..=299, 404..=404]);
        let held: Vec<u16> = [199, 200, 299, 300, 404].into_iter().filter(|status| ranges.contains(*status)).collect();
        assert_eq!(held, [200, 299, 404]);
    }

    #[test]
    fn path_and_host_must_be_sendable() {
        for keys in [
            "path = \"healthz\"",
            "path = \"/a b\"",
            "path = \"/ü\"",
            "path = \"/a#b\"",
            "host = \"a b\"",
            "host = \"\"",
        ] {
            let faults = check(&format!("type = \"http\"\n{keys}")).expect_err(keys);
            assert_eq!(faults.len(), 1, "{faults:?}");
        }
        assert!(check("type = \"http\"\npath = \"/a?b=%20&c\"\nhost = \"[::1]:8080\"").is_ok());
    }
}
