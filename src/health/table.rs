//! What is known of every probe, shared by the tasks that probe, build snapshots and report. No query comes here.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::belief::{Belief, Testimony};
use super::machine::{Pending, Verdict};
use super::record::Record;
use super::{CheckId, Finding, Notice, ProbeKey, Rules};

/// Why a probe failed, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Arc<str>);

impl Reason {
    /// Keeps the words of `error`.
    pub fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string().into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A verdict that has just changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The probe whose result it was.
    pub key: ProbeKey,
    /// The verdict before.
    pub from: Verdict,
    /// The verdict now.
    pub to: Verdict,
    /// The failure that decided; `None` for a pass.
    pub reason: Option<Reason>,
}

/// What a result has changed for the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The verdict.
    Flip(Flip),
    /// Whether the verdict on a member that is up is in doubt.
    Doubt(ProbeKey),
}

impl Change {
    /// The probe whose result it was.
    pub fn key(&self) -> &ProbeKey {
        match self {
            Self::Flip(flip) => &flip.key,
            Self::Doubt(key) => key,
        }
    }
}

/// What answers follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What the probes say.
    pub verdict: Verdict,
    /// Whether it is up and a flip hangs that would take it out.
    pub doubtful: bool,
    /// When it came back from being down, if it did.
    pub recovered: Option<Instant>,
}

/// All that is known of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the probes say.
    pub verdict: Verdict,
    /// When the verdict became that.
    pub since: Instant,
    /// When the last probe ended.
    pub last_probe: Option<Instant>,
    /// The last failure and its time, kept after the member has come back.
    pub last_error: Option<(Reason, Instant)>,
    /// The flip that hangs.
    pub pending: Option<Pending>,
    /// What the backend has said last.
    pub notice: Notice,
    /// How long the last probe took.
    pub took: Option<Duration>,
    /// How often the verdict has changed since it was first known.
    pub flips: u64,
}

/// The records of all probes.
#[derive(Debug, Default)]
pub struct Table {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: Records,
    belief: Belief,
    /// What an earlier process found, until it is known what is probed.
    recalled: HashMap<Subject, (Verdict, Instant)>,
}

/// By what is asked of whom; most subjects are asked by one set of rules.
type Records = HashMap<Subject, Vec<(Rules, Record)>>;
type Subject = (IpAddr, Arc<str>);

impl Table {
    /// Takes the result of one probe. A result for what is not [followed](Self::follow) has come too late, and is dropped.
    pub fn observe(&self, key: &ProbeKey, result: Result<(), Reason>, now: Instant) -> Option<Change> {
        let Inner { records, belief, .. } = &mut *self.lock();
        let rules = key.check.rules();
        let (_, record) = records.get_mut(&subject(key))?.iter_mut().find(|(own, _)| own == rules)?;
        let (from, doubtful) = (record.verdict(), record.is_doubtful());
        let (passed, reason) = (result.is_ok(), result.err());
        belief.failing = belief.failing + usize::from(!passed) - usize::from(record.failing);
        (record.failing, record.last_probe) = (!passed, Some(now));
        if let Some(reason) = &reason {
            record.last_error = Some((reason.clone(), now));
        }
        if belief.frozen.is_some() && (!passed || belief.most_fail()) {
            return None;
        }
        belief.thaw(now);
        let doubt = |record: &Record| (record.is_doubtful() != doubtful).then(|| Change::Doubt(key.clone()));
        belief.withheld -= usize::from(record.withheld.is_some());
        if !passed && belief.guarded && record.would_fall(rules, now) {
            belief.withheld += 1;
            record.withheld.get_or_insert(now);
            return doubt(record);
        }
        match record.feed(passed, rules, now) {
            true => Some(Change::Flip(Flip { key: key.clone(), from, to: record.machine.verdict(), reason })),
            false => doubt(record),
        }
    }

    /// How far results are believed.
    pub fn belief(&self) -> Belief {
        self.lock().belief
    }

    /// How many probes are overdue. Nothing flips without results: their verdicts stand as they were.
    pub fn stale(&self, now: Instant) -> usize {
        let inner = self.lock();
        inner.records.values().flatten().filter(|(rules, record)| record.is_stale(rules, now)).count()
    }

    /// Whether the next result of this probe is overdue.
    pub fn is_stale(&self, key: &ProbeKey, now: Instant) -> bool {
        self.look(key, |record, rules| record.is_stale(rules, now)).unwrap_or_default()
    }

    /// From now on there are witnesses, or there are none: then every result is believed.
    pub fn guard(&self, guarded: bool) {
        let belief = &mut self.lock().belief;
        belief.guarded = guarded;
        if !guarded {
            (belief.frozen, belief.testimony) = (None, None);
        }
    }

    /// Takes what the witnesses have said, and returns what follows for the answers.
    pub fn testify(&self, testimony: Testimony, now: Instant) -> Vec<Change> {
        let Inner { records, belief, .. } = &mut *self.lock();
        belief.testimony = Some(testimony);
        if testimony.answered {
            belief.thaw(now);
            let heard = |since, _: &Rules| since <= testimony.asked;
            return release(records, belief, now, heard);
        }
        if belief.frozen.is_some() || belief.withheld == 0 {
            return Vec::new();
        }
        if belief.most_fail() {
            (belief.frozen, belief.freezes, belief.withheld) = (Some(now), belief.freezes + 1, 0);
            return settle(records);
        }
        // By then each of the others has been probed, too: it is not everything that fails.
        release(records, belief, now, |since, rules| now.duration_since(since) >= rules.interval + rules.timeout)
    }

    /// Takes what an answer said beside its result. Returns whether the backend drains, if that has changed.
    pub fn note(&self, key: &ProbeKey, notice: Notice) -> Option<bool> {
        let mut inner = self.lock();
        let known = inner.records.get_mut(&subject(key))?;
        let (_, record) = known.iter_mut().find(|(own, _)| own == key.check.rules())?;
        let drained = record.notice.drains.unwrap_or_default();
        record.notice = record.notice.followed_by(notice);
        record.notice.drains.filter(|drains| *drains != drained)
    }

    /// Notes how long a probe took, whatever came of it.
    pub fn time(&self, key: &ProbeKey, took: Duration) {
        let mut inner = self.lock();
        let known = inner.records.get_mut(&subject(key)).into_iter().flatten();
        known.filter(|(own, _)| own == key.check.rules()).for_each(|(_, record)| record.took = Some(took));
    }

    /// Whether the backend itself asks to be left out of the answers.
    pub fn drains(&self, key: &ProbeKey) -> bool {
        self.look(key, |record, _| record.notice.drains).flatten().unwrap_or_default()
    }

    /// Takes what an earlier process found for known until each probe has a first result of its own; to be called before
    /// anything is followed. What the first [`Table::follow`] does not name is forgotten.
    pub fn recall(&self, findings: impl IntoIterator<Item = Finding>) {
        let recalled = findings.into_iter().map(|found| ((found.address, found.target), (found.verdict, found.since)));
        self.lock().recalled = recalled.collect();
    }

    /// What the next process is to recall, in an order of its own.
    ///
    /// Of a subject that is asked by several rules it is what the first of them say, which also stand in for rules that are
    /// new.
    pub fn findings(&self) -> Vec<Finding> {
        let inner = self.lock();
        let found = inner.records.iter().filter_map(|((address, target), known)| {
            let (_, record) = known.first()?;
            let (address, target) = (*address, Arc::clone(target));
            Some(Finding { address, target, verdict: record.verdict(), since: record.since() })
        });
        let mut findings: Vec<_> = found.filter(|found| found.verdict != Verdict::Unknown).collect();
        findings.sort();
        findings
    }

    /// Makes `keys` the probes that are known; all others are forgotten.
    ///
    /// A new probe starts as unknown, but for what is [recalled](Self::recall). If only the rules of a check were edited, its verdicts are kept: a member that is
    /// down must not come back for a moment because someone wrote another interval.
    pub fn follow(&self, keys: &[ProbeKey], now: Instant) {
        let Inner { records, belief, recalled } = &mut *self.lock();
        let (before, mut recalled) = (mem::take(records), mem::take(recalled));
        for key in keys {
            let rules = *key.check.rules();
            let (now_known, known) = (records.entry(subject(key)).or_default(), before.get(&subject(key)));
            if now_known.iter().any(|(own, _)| *own == rules) {
                continue;
            }
            let record = known.and_then(|known| match known.iter().find(|(own, _)| *own == rules) {
                Some((_, record)) => Some(record.clone()),
                None => known.first().map(|(_, record)| record.successor()),
            });
            now_known.push((rules, record.unwrap_or_else(|| Record::new(now, recalled.remove(&subject(key))))));
        }
        let all = || records.values().flatten().map(|(_, record)| record);
        belief.probes = all().count();
        belief.failing = all().filter(|record| record.failing).count();
        belief.withheld = all().filter(|record| record.withheld.is_some()).count();
    }

    /// The verdict, [`Verdict::Unknown`] for what is not followed.
    ///
    /// Until a check with new rules is followed, what is known by its old ones stands in.
    pub fn verdict(&self, key: &ProbeKey) -> Verdict {
        self.known(key).verdict
    }

    /// What answers follow; [`Known::default`] for what is not followed, unless an earlier process knew it.
    pub fn known(&self, key: &ProbeKey) -> Known {
        self.look(key, |record, _| record.known()).unwrap_or_else(|| {
            let verdict = self.lock().recalled.get(&subject(key)).map(|(verdict, _)| *verdict);
            Known { verdict: verdict.unwrap_or_default(), ..Known::default() }
        })
    }

    /// All that is known; `None` for what is not followed.
    pub fn report(&self, key: &ProbeKey) -> Option<Report> {
        self.look(key, Record::report)
    }

    /// Whether a flip hangs, so that the next probe should come sooner.
    pub fn flip_hangs(&self, key: &ProbeKey) -> bool {
        self.look(key, |record, rules| record.pending(rules).is_some()).unwrap_or_default()
    }

    fn look<T>(&self, key: &ProbeKey, read: impl FnOnce(&Record, &Rules) -> T) -> Option<T> {
        let inner = self.lock();
        let known = inner.records.get(&subject(key))?;
        let exact = known.iter().find(|(rules, _)| rules == key.check.rules());
        exact.or_else(|| known.first()).map(|(rules, record)| read(record, rules))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A record is whole after each statement that changes it, so a panic elsewhere spoils nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subject(key: &ProbeKey) -> Subject {
    (key.address, Arc::clone(key.check.target()))
}

fn all(records: &mut Records) -> impl Iterator<Item = (ProbeKey, &mut Record)> {
    records.iter_mut().flat_map(|((address, target), known)| {
        known.iter_mut().map(|(rules, record)| {
            let check = CheckId::new(Arc::clone(target), *rules);
            (ProbeKey { address: *address, check }, record)
        })
    })
}

/// Lets those flips to down happen whose wait is over, by the time since when they wait.
fn release(
    records: &mut Records,
    belief: &mut Belief,
    now: Instant,
    is_over: impl Fn(Instant, &Rules) -> bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, record) in all(records) {
        if record.withheld.is_some_and(|since| is_over(since, key.check.rules())) {
            let (from, reason) = (record.verdict(), record.last_error.clone().map(|(reason, _)| reason));
            record.feed(false, key.check.rules(), now);
            belief.withheld -= 1;
            changes.push(Change::Flip(Flip { key, from, to: record.machine.verdict(), reason }));
        }
    }
    changes
}

/// Takes back everything that hangs: it was no fault of the members.
fn settle(records: &mut Records) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, record) in all(records) {
        let doubtful = record.is_doubtful();
        (record.machine, record.withheld) = (record.machine.settled(), None);
        changes.extend(doubtful.then_some(Change::Doubt(key)));
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(address: &str, target: &str, fall: u32) -> ProbeKey {
        let second = Duration::from_secs(1);
        let rules =
            Rules { interval: second, timeout: second, fast_interval: second, rise: 2, fall, jitter_percent: 0 };
        ProbeKey { address: address.parse().unwrap(), check: CheckId::new(target.to_owned(), rules) }
    }

    fn refused() -> Result<(), Reason> {
        Err(Reason::new("connection refused"))
    }

    #[test]
    fn a_flip_says_from_what_to_what_and_why() {
        let (table, now, key) = (Table::default(), Instant::now(), key("192.0.2.1", "tcp", 2));
        table.follow(std::slice::from_ref(&key), now);
        assert_eq!(table.verdict(&key), Verdict::Unknown);
        let up = Flip { key: key.clone(), from: Verdict::Unknown, to: Verdict::Up, reason: None };
        assert_eq!(table.observe(&key, Ok(()), now), Some(Change::Flip(up)));
        assert_eq!(table.observe(&key, refused(), now), Some(Change::Doubt(key.clone())));
        assert!(table.known(&key).doubtful);
        assert!(table.flip_hangs(&key));
        let reason = Some(Reason::new("connection refused"));
        let down = Flip { key: key.clone(), from: Verdict::Up, to: Verdict::Down, reason };
        assert_eq!(table.observe(&key, refused(), now), Some(Change::Flip(down)));
        assert!(!table.flip_hangs(&key));
        assert_eq!(table.verdict(&key), Verdict::Down);
        table.time(&key, Duration::from_millis(3));
        let report = table.report(&key).expect("it is followed");
        assert_eq!((report.flips, report.took), (1, Some(Duration::from_millis(3))), "the first verdict is no flip");
    }

    #[test]
    fn doubt_begins_with_a_failure_and_ends_when_it_is_forgotten() {
        let (table, now, key) = (Table::default(), Instant::now(), key("192.0.2.1", "tcp", 2));
        table.follow(std::slice::from_ref(&key), now);
        table.observe(&key, Ok(()), now);
        let doubt = Some(Change::Doubt(key.clone()));
        let changes = [refused(), Ok(()), Ok(()), Ok(())].map(|result| table.observe(&key, result, now));
        assert_eq!(changes, [doubt.clone(), None, doubt, None]);
        assert_eq!(table.known(&key), Known { verdict: Verdict::Up, doubtful: false, recovered: None });
    }

    #[test]
    fn a_report_tells_when_and_why() {
        let (table, start, key) = (Table::default(), Instant::now(), key("192.0.2.1", "tcp", 2));
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(table.report(&key), None);
        table.follow(std::slice::from_ref(&key), start);
        table.observe(&key, Ok(()), at(1));
        table.observe(&key, refused(), at(2));
        table.observe(&key, Ok(()), at(3));
        let report = table.report(&key).unwrap();
        assert_eq!((report.verdict, report.since, report.last_probe), (Verdict::Up, at(1), Some(at(3))));
        assert_eq!(report.last_error, Some((Reason::new("connection refused"), at(2))));
        assert_eq!(report.pending, Some(Pending { verdict: Verdict::Down, results: 1, needed: 2 }));
    }

    #[test]
    fn a_backend_drains_until_it_says_otherwise() {
        let (table, now, key) = (Table::default(), Instant::now(), key("192.0.2.1", "http", 2));
        let says = |drains| table.note(&key, Notice { drains, certificate_end: None });
        assert_eq!(says(Some(true)), None, "nobody asked");
        table.follow(std::slice::from_ref(&key), now);
        assert_eq!((says(Some(false)), table.drains(&key)), (None, false));
        assert_eq!((says(Some(true)), table.drains(&key)), (Some(true), true));
        assert_eq!((says(Some(true)), table.drains(&key)), (None, true));
        assert_eq!((says(None), table.drains(&key)), (None, true), "silence changes nothing");
        assert_eq!((says(Some(false)), table.drains(&key)), (Some(false), false));
    }

    #[test]
    fn a_result_that_does_not_come_is_missed_within_two_intervals() {
        let second = Duration::from_secs(1);
        let (table, start, mut key) = (Table::default(), Instant::now(), key("192.0.2.1", "tcp", 2));
        let rules = Rules { interval: 5 * second, timeout: 2 * second, ..*key.check.rules() };
        key.check = CheckId::new("tcp", rules);
        table.follow(std::slice::from_ref(&key), start);
        let stale =
            |seconds: u32| (table.is_stale(&key, start + seconds * second), table.stale(start + seconds * second));
        assert_eq!((stale(9), stale(10)), ((false, 0), (true, 1)), "it was never probed");
        table.observe(&key, Ok(()), start + 10 * second);
        assert_eq!((stale(10), stale(19), stale(20)), ((false, 0), (false, 0), (true, 1)));
        assert_eq!(table.verdict(&key), Verdict::Up, "stale verdicts stand");
    }

    #[test]
    fn what_is_no_longer_followed_is_forgotten() {
        let (table, now) = (Table::default(), Instant::now());
        let (one, two) = (key("192.0.2.1", "tcp", 2), key("192.0.2.2", "tcp", 2));
        table.follow(&[one.clone(), two.clone()], now);
        table.observe(&one, refused(), now);
        table.observe(&two, refused(), now);
        table.follow(std::slice::from_ref(&two), now);
        assert_eq!(table.observe(&one, refused(), now), None);
        assert_eq!((table.report(&one), table.verdict(&two)), (None, Verdict::Down));
        table.follow(&[one.clone(), two], now);
        assert_eq!(table.verdict(&one), Verdict::Unknown);
    }

    #[test]
    fn new_rules_keep_the_verdict_and_count_anew() {
        let (table, now) = (Table::default(), Instant::now());
        let (old, new, other) = (key("192.0.2.1", "tcp", 2), key("192.0.2.1", "tcp", 5), key("192.0.2.1", "http", 2));
        table.follow(std::slice::from_ref(&old), now);
        table.observe(&old, refused(), now);
        table.observe(&old, Ok(()), now);
        assert_eq!((table.verdict(&new), table.verdict(&other)), (Verdict::Down, Verdict::Unknown));
        table.follow(&[new.clone(), other.clone()], now);
        assert_eq!((table.verdict(&new), table.verdict(&other)), (Verdict::Down, Verdict::Unknown));
        let report = table.report(&new).unwrap();
        assert!(report.pending.is_none() && report.last_error.is_some());
    }

    #[test]
    fn rules_that_differ_have_verdicts_of_their_own() {
        let (table, now) = (Table::default(), Instant::now());
        let (hasty, calm) = (key("192.0.2.1", "tcp", 1), key("192.0.2.1", "tcp", 2));
        table.follow(&[hasty.clone(), calm.clone(), calm.clone()], now);
        for key in [&hasty, &calm] {
            table.observe(key, Ok(()), now);
            table.observe(key, refused(), now);
        }
        assert_eq!((table.verdict(&hasty), table.verdict(&calm)), (Verdict::Down, Verdict::Up));
        table.follow(&[calm.clone(), hasty.clone()], now);
        assert_eq!((table.verdict(&hasty), table.verdict(&calm)), (Verdict::Down, Verdict::Up));
        assert!(table.flip_hangs(&calm));
    }
}
