//! The server of a transcript: all but its sockets and tasks. Its clock stands still unless the transcript waits.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kofn::answer::Dealer;
use kofn::config::{Settings, read_drains};
use kofn::drain::Drains;
use kofn::health::{Notice, ProbeKey, Reason, Table, Testimony, Verdict};
use kofn::snapshot::{Facts, FamilyPool, Pool, Publisher, Snapshot, ZoneSource};
use kofn::wire::Type;

use super::{Block, name};

#[derive(Default)]
pub(super) struct World {
    pub(super) sources: Vec<ZoneSource>,
    pub(super) settings: Settings,
    /// The worker that is flooded.
    pub(super) dealer: Option<Dealer>,
    waited: u64,
    drains: Drains,
    table: Arc<Table>,
    publisher: Option<Arc<Publisher>>,
    /// Zones, policies or drains have changed since they were last published.
    pub(super) edited: bool,
}

impl World {
    /// Does what a step of health says; what it shows, if it shows anything.
    pub(super) async fn step(&mut self, block: &Block<'_>) -> Option<String> {
        let (verb, rest) = block.head.split_once(' ').unwrap_or((block.head, ""));
        match (verb, rest) {
            ("drains", _) => {
                let drains = read_drains(&block.text, "drains.toml".as_ref());
                self.drains = drains.unwrap_or_else(|faults| panic!("{faults:?}"));
                self.edited = true;
                return None;
            }
            ("probes", _) => {
                let probes = self.snapshot().probes();
                let mut shown: Vec<String> =
                    probes.iter().map(|(key, check)| format!("{} by {}", key.address, check.name)).collect();
                shown.sort();
                return Some(shown.join("\n"));
            }
            ("probe", rest) => return self.probe(rest),
            ("wait", time) => self.wait(time.strip_suffix('s').unwrap().parse().unwrap()).await,
            ("witnesses", "answer") => self.testify(true),
            ("witnesses", "are silent") => self.testify(false),
            ("status", owner) => return Some(self.status(owner)),
            _ => panic!("{}: {}?", block.line, block.head),
        }
        None
    }

    /// What is answered from now.
    pub(super) fn snapshot(&mut self) -> Arc<Snapshot> {
        self.serve().reader().load()
    }

    fn serve(&mut self) -> Arc<Publisher> {
        let new = || Publisher::new(Arc::new(self.settings.clone()), Facts::of(Arc::clone(&self.table)));
        let publisher = Arc::clone(self.publisher.get_or_insert_with(new));
        if std::mem::take(&mut self.edited) {
            if *publisher.reader().load().settings != self.settings {
                publisher.replace_settings(Arc::new(self.settings.clone()));
            }
            publisher.replace_drains(self.drains.clone());
            publisher.replace_zones(self.sources.clone());
            let keys: Vec<ProbeKey> = publisher.reader().load().probes().into_iter().map(|(key, _)| key).collect();
            self.table.guard(!self.settings.witnesses.is_empty());
            self.table.follow(&keys, now());
        }
        publisher
    }

    /// `ADDRESS|all [by CHECK]` and then `passes`, `fails: REASON`, each after `drains and` if the backend says that
    /// it does, or a row of `P` and `F`, for which the verdicts are shown.
    fn probe(&mut self, text: &str) -> Option<String> {
        let (who, text) = text.split_once(' ').unwrap();
        let (check, text) = match text.strip_prefix("by ").map(|text| text.split_once(' ').unwrap()) {
            Some((check, text)) => (Some(check), text),
            None => (None, text),
        };
        let address: Option<IpAddr> = (who != "all").then(|| who.parse().unwrap());
        let mut probes = self.snapshot().probes();
        probes.retain(|(key, of)| {
            address.is_none_or(|address| key.address == address) && check.is_none_or(|check| *check == *of.name)
        });
        assert!(!probes.is_empty(), "nobody probes {who}");
        assert!(address.is_none() || probes.len() == 1, "{who} is probed by several checks");
        let mut verdicts = Vec::new();
        for (key, _) in &probes {
            if !text.starts_with(['P', 'F']) {
                self.result(key, text);
                continue;
            }
            for result in text.split(' ') {
                self.result(key, if result == "P" { "passes" } else { "fails: timed out" });
                verdicts.push(self.table.verdict(key).name());
            }
        }
        (!verdicts.is_empty()).then(|| verdicts.join(" "))
    }

    fn result(&mut self, key: &ProbeKey, text: &str) {
        let (drains, text) = text.strip_prefix("drains and ").map_or((false, text), |text| (true, text));
        let result = match text {
            "passes" => Ok(()),
            _ => Err(text.strip_prefix("fails: ").unwrap_or_else(|| panic!("{text}?"))),
        };
        let answered = drains || result.is_ok() || result.is_err_and(|reason| reason.starts_with("status"));
        let notice = Notice { drains: answered.then_some(drains), certificate_end: None };
        let drained = self.table.note(key, notice);
        let change = self.table.observe(key, result.map_err(Reason::new), now());
        if drained.is_some() || change.is_some() {
            self.serve().refresh(std::slice::from_ref(key));
        }
    }

    /// The time of day, in seconds since 1970.
    pub(super) fn seconds(&self) -> u32 {
        1_700_000_000 + self.waited as u32
    }

    /// Lets time pass, with all that becomes due on the way.
    async fn wait(&mut self, seconds: u64) {
        self.waited += seconds;
        let (publisher, end) = (self.serve(), now() + Duration::from_secs(seconds));
        while let Some(at) = publisher.next_step().filter(|at| *at <= end) {
            advance(at).await;
            publisher.warm();
        }
        advance(end).await;
    }

    fn testify(&mut self, answered: bool) {
        let publisher = self.serve();
        let changes = self.table.testify(Testimony { answered, asked: now() }, now());
        let keys: Vec<ProbeKey> = changes.iter().map(|change| change.key().clone()).collect();
        publisher.refresh(&keys);
    }

    /// The members as they stand, and what is unusual about them.
    fn status(&mut self, owner: &str) -> String {
        let snapshot = self.snapshot();
        let (_, pool) = snapshot.pools().find(|(_, pool)| pool.owner == name(owner)).expect("a pool");
        let mut shown = String::new();
        if self.table.belief().frozen.is_some() {
            shown += "frozen\n";
        }
        for (title, family) in [("A", &pool.a), ("AAAA", &pool.aaaa)] {
            let Some(family) = family else { continue };
            writeln!(shown, "{title}{}", if family.selection.panic { " in panic" } else { "" }).unwrap();
            self.status_of(pool, family, &mut shown);
        }
        shown.trim_end().to_owned()
    }

    fn status_of(&self, pool: &Pool, family: &FamilyPool, shown: &mut String) {
        for (member, standing) in family.members.iter().zip(&family.selection.standings) {
            let probe = pool.probe_of(member.address);
            write!(shown, "{} {}, {standing}", member.address, member.verdict).unwrap();
            let report = probe.as_ref().and_then(|probe| self.table.report(probe));
            if let Some(pending) = report.and_then(|report| report.pending) {
                let what = if pending.verdict == Verdict::Down { "failures" } else { "passes" };
                write!(shown, ", {} of {} {what}", pending.results, pending.needed).unwrap();
            }
            if member.warmth < 1.0 {
                write!(shown, ", {:.0} % of its weight", 100.0 * member.warmth).unwrap();
            }
            if let Some(probe) = probe {
                let hangs = self.table.flip_hangs(&probe);
                write!(shown, ", next probe in {:?}", probe.check.rules().pause(hangs, 0.5)).unwrap();
            }
            shown.push('\n');
        }
    }

    /// How many answers make a lap of the hands of a pool.
    pub(super) fn lap(&mut self, owner: &str, rtype: Type) -> usize {
        let snapshot = self.snapshot();
        let (_, pool) = snapshot.pools().find(|(_, pool)| pool.owner == name(owner)).expect("a pool");
        let family = if rtype == Type::A { &pool.a } else { &pool.aaaa };
        family.as_ref().expect("members of the family").rotation.len()
    }
}

/// Each different reply and its share of all, the most frequent first.
pub(super) fn shares(replies: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    replies.for_each(|reply| *counts.entry(reply).or_default() += 1);
    let all: u32 = counts.values().sum();
    let share = |count: u32| (100.0 * f64::from(count) / f64::from(all)).round();
    let lines = counts.iter().map(|(reply, count)| format!("{} % {reply}", share(*count)));
    lines.collect::<Vec<_>>().join("\n")
}

/// How many replies were counted as what: the first line of each says it, or is it.
pub(super) fn counts(replies: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for reply in replies {
        *counts.entry(reply.lines().next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts.iter().map(|(reply, count)| format!("{count} {reply}")).collect::<Vec<_>>().join("\n")
}

async fn advance(to: Instant) {
    tokio::time::advance(to - now()).await;
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
