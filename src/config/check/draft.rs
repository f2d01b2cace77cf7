//! A check as it is written, and what it becomes when it is known which pools use it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::super::reader::{Entry, Item, Key, Section, keys};
use super::super::trust::{self, Authorities, Trust};
use super::super::value::{boolean, duration, integer, text, word};
use super::asked::{Asked, asked};
use super::value::{Command, command, host, is_host, query_name, query_type, rdata, request_path, statuses};
use super::{Check, CheckKind, DnsCheck, ExecCheck, HttpCheck, StatusRanges, TcpCheck};
use crate::health::{CheckId, Rules};
use crate::wire::{Name, Type};

keys! {
    CHECK "[check.NAME]" {
        TYPE: Form = "type", form, "",
            "What a probe does: open a TCP connection, ask for a page by HTTP without or with TLS, ask a nameserver, run \
             a command, or nothing, which leaves all members in the answers. Always needed.";
        PORT: u16 = "port", integer::<u16, 1, 65_535>, "",
            "The port of the member. `tcp` needs it; without it `http` has 80, `https` 443, `dns` 53, and `exec` none.";
        ADDRESS: Asked = "address", asked, "",
            "Whom to ask in place of the members: one address for all of them, or for members or prefixes each its own. \
             Without it each member is asked itself.";
        PATH: String = "path", request_path, "\"/\"",
            "`http`, `https`: path and query of the page.";
        HOST: String = "host", host, "",
            "`http`, `https`: the `Host` header, sent as it stands, and without its port the name that the certificate \
             must be for. Without it, the owner name of the first pool, by name, that uses the check.";
        EXPECT: StatusRanges = "expect", statuses, "\"200-399\"",
            "`http`, `https`: the status codes that pass. Redirects are not followed.";
        BODY: String = "body", text::<1024>, "",
            "`http`, `https`: text that the first 64 KiB of the body must hold. Without it the body is not looked at.";
        CA: Authorities = "ca", trust::authorities, "",
            "`https`: a file of certificates as PEM; one of them must have signed the member's. Without it, the \
             authorities that the system trusts.";
        VERIFY: bool = "verify", boolean, "true",
            "`https`: whether the certificate must be valid, for the host, and by a trusted authority.";
        QNAME: Name = "qname", query_name, "",
            "`dns`: the name to ask for. Without it, the owner name of the first pool, by name, that uses the check.";
        QTYPE: Type = "qtype", query_type, "\"A\"",
            "`dns`: the type to ask for.";
        ANSWER: String = "answer", text::<1024>, "",
            "`dns`: the data of a record that must be in the answer, written as in a zone file with whole names. \
             Without it any record of the type will do.";
        COMMAND: Command = "command", command, "",
            "`exec`: the program and its arguments, run without a shell; exit status 0 passes. A program with a slash \
             is relative to this file, one without is looked for along PATH. `exec` needs it.";
        HOLD: bool = "hold", boolean, "false",
            "`tcp`, `http`, `https`: whether the connection stays open between probes, so that a member that closes or \
             resets it is probed again at once.";
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

/// The keys of every type that probes.
const ALWAYS: [&str; 9] = ["type", "port", "address", "interval", "timeout", "fast_interval", "rise", "fall", "jitter"];

/// A check as it is written, before it is known which pools use it.
pub(in super::super) struct Draft<'a> {
    name: &'a str,
    /// `None` for a check that has faults: they are told, and whoever uses it need not repeat that.
    plan: Option<(Plan, Asked, Rules)>,
    place: Item<'a>,
}

/// What a probe does, as far as it is written.
enum Plan {
    None,
    Tcp(TcpCheck),
    Http { host: Option<String>, rest: HttpCheck },
    Dns { port: u16, qname: Option<Name>, qtype: Type, answer: Option<Arc<[u8]>> },
    Exec { command: Command, port: Option<u16> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Tcp,
    Http,
    Https,
    Dns,
    Exec,
    None,
}

/// The checks under `check`, by name.
pub(in super::super) fn drafts<'a>(item: &Item<'a>) -> BTreeMap<&'a str, Draft<'a>> {
    let Some(entries) = item.entries() else {
        item.wrong::<()>("tables, [check.NAME]");
        return BTreeMap::new();
    };
    let draft = |entry: Entry<'a>| {
        let plan = match entry.item.section(&CHECK) {
            Some(section) => read(&section),
            None => entry.item.wrong("a table, [check.NAME]"),
        };
        (entry.name, Draft { name: entry.name, plan, place: entry.name_item })
    };
    entries.into_iter().map(draft).collect()
}

impl Draft<'_> {
    /// The check, for pools whose owners are `users`, without their final dots; `None` when there is nothing to probe.
    pub(in super::super) fn resolve(self, users: &[String]) -> Option<Arc<Check>> {
        if users.is_empty() {
            self.place.warn("no pool uses this check", format_args!("`check = \"{}\"` in a pool", self.name));
        }
        let (plan, asked, rules) = self.plan?;
        // Without a pool nothing is probed, and that has been told.
        let first = users.first()?;
        let kind = match plan {
            Plan::None => return None,
            Plan::Tcp(tcp) => CheckKind::Tcp(tcp),
            Plan::Http { host, rest } => {
                let default = || users.iter().find(|owner| is_host(owner)).cloned();
                let Some(host) = host.or_else(default) else {
                    return self.place.wrong_as("no pool with this check has an owner that is a host", "a `host`");
                };
                CheckKind::Http(HttpCheck { host, ..rest })
            }
            Plan::Dns { port, qname, qtype, answer } => {
                let owner = || Name::from_text(first.as_bytes()).expect("the owner of a pool is a name");
                CheckKind::Dns(DnsCheck { port, qname: qname.unwrap_or_else(owner), qtype, answer })
            }
            Plan::Exec { command: (program, arguments), port } => {
                CheckKind::Exec(ExecCheck { program, arguments, pool: first.clone(), port })
            }
        };
        let id = CheckId::new(kind.target(), rules);
        Some(Arc::new(Check { name: self.name.into(), kind, asked, id }))
    }
}

impl CheckKind {
    /// What is asked, in full: equal text means equal probes.
    fn target(&self) -> String {
        match self {
            Self::Tcp(TcpCheck { port, hold }) => format!("tcp port={port}{}", held(*hold)),
            Self::Http(HttpCheck { port, tls, path, host, expect, body, hold }) => {
                let scheme = tls.as_ref().map_or("http".to_owned(), |trust| format!("https trust={trust}"));
                let hold = held(*hold);
                format!("{scheme} port={port} host={host:?} path={path:?} expect={expect} body={body:?}{hold}")
            }
            Self::Dns(DnsCheck { port, qname, qtype, answer }) => {
                let answer = answer.as_ref().map_or("any".to_owned(), |rdata| HEXLOWER.encode(rdata));
                format!("dns port={port} qname={} qtype={qtype} answer={answer}", qname.to_lower())
            }
            Self::Exec(ExecCheck { program, arguments, pool, port }) => {
                format!("exec program={program:?} arguments={arguments:?} pool={pool} port={port:?}")
            }
        }
    }
}

fn held(hold: bool) -> &'static str {
    if hold { " hold" } else { "" }
}

fn read(section: &Section<'_>) -> Option<(Plan, Asked, Rules)> {
    let rules = rules(section);
    let form = section.required(&TYPE)?;
    let port = section.written(&PORT);
    let asked = section.written(&ADDRESS).unwrap_or_default();
    let plan = match form {
        Form::None => Plan::None,
        Form::Tcp => {
            Plan::Tcp(TcpCheck { port: port.or_else(|| section.required(&PORT))?, hold: section.value(&HOLD) })
        }
        Form::Http => http(section, port.unwrap_or(80), None),
        Form::Https => http(section, port.unwrap_or(443), Some(trust(section)?)),
        Form::Dns => dns(section, port.unwrap_or(53))?,
        Form::Exec => Plan::Exec { command: section.required(&COMMAND)?, port },
    };
    let used =
        |name: &str| name == TYPE.name || (form != Form::None && ALWAYS.contains(&name)) || form.keys().contains(&name);
    for name in CHECK.keys.iter().map(|key| key.name()).filter(|name| !used(name)) {
        if let Some(item) = section.item(name) {
            item.warn("the key has no effect with this type", "a check without it");
        }
    }
    Some((plan, asked, rules))
}

fn http(section: &Section<'_>, port: u16, tls: Option<Trust>) -> Plan {
    let rest = HttpCheck {
        port,
        tls,
        path: section.value(&PATH),
        host: String::new(),
        expect: section.value(&EXPECT),
        body: section.written(&BODY),
        hold: section.value(&HOLD),
    };
    Plan::Http { host: section.written(&HOST), rest }
}

fn trust(section: &Section<'_>) -> Option<Trust> {
    if !section.value(&VERIFY) {
        if let Some(item) = section.item(CA.name) {
            item.warn("nothing is verified", "`verify = true`, or a check without it");
        }
        return Some(Trust::Anyone);
    }
    match section.item(CA.name) {
        Some(_) => section.written(&CA).map(Trust::Authorities),
        None => Some(Trust::System),
    }
}

fn dns(section: &Section<'_>, port: u16) -> Option<Plan> {
    let (qname, qtype) = (section.written(&QNAME), section.value(&QTYPE));
    let answer = match (section.written(&ANSWER), section.item(ANSWER.name)) {
        (Some(text), Some(item)) => match rdata(qtype, &text) {
            Ok(rdata) => Some(rdata.into()),
            Err(fault) => return item.wrong_as(fault, format_args!("the data of one {qtype} record")),
        },
        _ => None,
    };
    Some(Plan::Dns { port, qname, qtype, answer })
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

impl Form {
    /// The keys that only some types have.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["hold"],
            Self::Http => &["path", "host", "expect", "body", "hold"],
            Self::Https => &["path", "host", "expect", "body", "ca", "verify", "hold"],
            Self::Dns => &["qname", "qtype", "answer"],
            Self::Exec => &["command"],
            Self::None => &[],
        }
    }
}

fn form(item: &Item<'_>) -> Option<Form> {
    let forms = [
        ("tcp", Form::Tcp),
        ("http", Form::Http),
        ("https", Form::Https),
        ("dns", Form::Dns),
        ("exec", Form::Exec),
        ("none", Form::None),
    ];
    match word(item, &forms) {
        Some(Form::Https) if !cfg!(feature = "encrypted") => {
            item.wrong_as("this program was built without TLS", "a check of another type, or a program with it")
        }
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::{Fault, ZonePolicy};
    use super::*;

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
            tls: None,
            path: "/".to_owned(),
            host: "www.example.test".to_owned(),
            expect: vec![200..=399].into(),
            body: None,
            hold: false,
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
        let ranges = StatusRanges::from(vec![200..=299, 404..=404]);
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
