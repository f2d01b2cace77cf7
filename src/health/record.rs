//! What is known of one probe: the machine, and what an operator wants to read beside its verdict.

use std::time::{Duration, Instant};

use super::machine::{Machine, Verdict};
use super::table::{Known, Reason, Report};
use super::{Notice, Pending, Rules};

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) machine: Machine,
    /// When it came to be probed.
    pub(super) entered: Instant,
    pub(super) last_probe: Option<Instant>,
    pub(super) last_error: Option<(Reason, Instant)>,
    /// How long the last probe took.
    pub(super) took: Option<Duration>,
    /// How often the verdict has changed.
    pub(super) flips: u64,
    pub(super) notice: Notice,
    /// Whether the last probe failed.
    pub(super) failing: bool,
    /// Since when a flip to down waits for a witness.
    pub(super) withheld: Option<Instant>,
    /// What an earlier process knew; it stands in until the first result.
    pub(super) recalled: Option<(Verdict, Instant)>,
}

impl Record {
    pub(super) fn new(now: Instant, recalled: Option<(Verdict, Instant)>) -> Self {
        Self {
            machine: Machine::new(now),
            entered: now,
            last_probe: None,
            last_error: None,
            took: None,
            flips: 0,
            notice: Notice::default(),
            failing: false,
            withheld: None,
            recalled,
        }
    }

    /// The same under other rules.
    pub(super) fn successor(&self) -> Self {
        Self { machine: self.machine.settled(), withheld: None, ..self.clone() }
    }

    /// Lets the result speak to the machine; says whether the verdict changed by it.
    pub(super) fn feed(&mut self, passed: bool, rules: &Rules, now: Instant) -> bool {
        self.withheld = None;
        let before = self.verdict();
        let flipped = self.machine.observe(passed, rules, now);
        if let Some((verdict, since)) = self.recalled.take()
            && verdict == self.machine.verdict()
        {
            self.machine = self.machine.dated(since);
        }
        self.flips += u64::from(before != Verdict::Unknown && self.verdict() != before);
        flipped
    }

    /// Whether one more failure takes it out.
    pub(super) fn would_fall(&self, rules: &Rules, now: Instant) -> bool {
        let mut next = self.machine;
        next.observe(false, rules, now) && next.verdict() == Verdict::Down
    }

    /// Whether it is up and a flip hangs that would take it out.
    pub(super) fn is_doubtful(&self) -> bool {
        self.machine.is_doubtful() || self.withheld.is_some() && self.machine.verdict() == Verdict::Up
    }

    /// The verdict, or what an earlier process knew.
    pub(super) fn verdict(&self) -> Verdict {
        self.recalled.map_or(self.machine.verdict(), |(verdict, _)| verdict)
    }

    pub(super) fn since(&self) -> Instant {
        self.recalled.map_or(self.machine.since(), |(_, since)| since)
    }

    pub(super) fn pending(&self, rules: &Rules) -> Option<Pending> {
        let withheld = || Pending { verdict: Verdict::Down, results: rules.fall, needed: rules.fall };
        self.withheld.map(|_| withheld()).or_else(|| self.machine.pending(rules))
    }

    /// Whether the next result should have come by now.
    pub(super) fn is_stale(&self, rules: &Rules, now: Instant) -> bool {
        let last = self.last_probe.unwrap_or(self.entered);
        now.saturating_duration_since(last) > rules.patience()
    }

    pub(super) fn known(&self) -> Known {
        Known { verdict: self.verdict(), doubtful: self.is_doubtful(), recovered: self.machine.recovered() }
    }

    pub(super) fn report(&self, rules: &Rules) -> Report {
        Report {
            verdict: self.verdict(),
            since: self.since(),
            last_probe: self.last_probe,
            last_error: self.last_error.clone(),
            pending: self.pending(rules),
            notice: self.notice,
            took: self.took,
            flips: self.flips,
        }
    }
}
