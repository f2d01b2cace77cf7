//! Results of probes become verdicts: pure, told the time, one for each (address, check).
//!
//! ```text
//! first result ──pass──► Up ──`fall` failures, not forgotten──► Down
//!              └─fail──► Down ◄                                  │
//!                        Up ◄──────────`rise` passes in a row────┘
//! ```
//!
//! Failures of a member that is up are forgotten only after `rise` passes in a row: one that fails every other probe
//! goes down, instead of being handed out for ever.

use std::fmt;
use std::time::Instant;

use super::Rules;

/// What probes say of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// No probe has ended yet, or none is made.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl Verdict {
    /// The word for it in JSON, metrics and print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Results that have come in against the verdict, while they are too few to flip it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// What the verdict would be.
    pub verdict: Verdict,
    /// Results so far, at least 1.
    pub results: u32,
    /// Results that it takes.
    pub needed: u32,
}

/// The verdict on one member by one check, and how near it is to a flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    verdict: Verdict,
    since: Instant,
    passes_in_row: u32,
    /// Of a member that is up: failures that are not forgotten.
    failures: u32,
    /// Of a member that is up: when it came back, if it was down before.
    recovered: Option<Instant>,
}

impl Machine {
    pub(super) fn new(now: Instant) -> Self {
        Self { verdict: Verdict::Unknown, since: now, passes_in_row: 0, failures: 0, recovered: None }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// When the verdict became what it is.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// When a member that is up came back from being down. The first verdict of all is no recovery.
    pub(super) fn recovered(&self) -> Option<Instant> {
        self.recovered
    }

    /// Whether the member is up and a flip hangs that would take it out.
    pub(super) fn is_doubtful(&self) -> bool {
        self.failures > 0
    }

    /// The same verdict, which has held since then.
    pub(super) fn dated(&self, since: Instant) -> Self {
        Self { since, ..*self }
    }

    /// The verdict without what hangs, for rules under which that was not counted.
    pub(super) fn settled(&self) -> Self {
        Self { passes_in_row: 0, failures: 0, ..*self }
    }

    pub(super) fn pending(&self, rules: &Rules) -> Option<Pending> {
        let (verdict, results, needed) = match self.verdict {
            Verdict::Unknown => return None,
            Verdict::Up => (Verdict::Down, self.failures, rules.fall),
            Verdict::Down => (Verdict::Up, self.passes_in_row, rules.rise),
        };
        (results > 0).then_some(Pending { verdict, results, needed })
    }

    /// Takes one result; says whether the verdict changed by it.
    pub(super) fn observe(&mut self, passed: bool, rules: &Rules, now: Instant) -> bool {
        self.passes_in_row = if passed { self.passes_in_row.saturating_add(1) } else { 0 };
        let verdict = match (self.verdict, passed) {
            // At a start, and for a new member, one result decides: waiting for more would hand out the dead.
            (Verdict::Unknown, true) => Verdict::Up,
            (Verdict::Unknown, false) => Verdict::Down,
            (Verdict::Up, true) => {
                if self.passes_in_row >= rules.rise {
                    self.failures = 0;
                }
                Verdict::Up
            }
            (Verdict::Up, false) => {
                self.failures += 1;
                if self.failures >= rules.fall { Verdict::Down } else { Verdict::Up }
            }
            (Verdict::Down, _) => {
                if self.passes_in_row >= rules.rise {
                    Verdict::Up
                } else {
                    Verdict::Down
                }
            }
        };
        let flipped = verdict != self.verdict;
        if flipped {
            let recovered = (self.verdict == Verdict::Down).then_some(now);
            *self = Self { verdict, since: now, passes_in_row: 0, failures: 0, recovered };
        }
        flipped
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rules(rise: u32, fall: u32) -> Rules {
        let second = Duration::from_secs(1);
        Rules { interval: second, timeout: second, fast_interval: second, rise, fall, jitter_percent: 0 }
    }

    /// Feeds one result a second and draws the verdict after each: `.` up, `x` down, `~` and `+` the same with a flip
    /// pending.
    fn course(rise: u32, fall: u32, results: &str) -> String {
        let rules = rules(rise, fall);
        let start = Instant::now();
        let mut machine = Machine::new(start);
        assert_eq!((machine.verdict(), machine.pending(&rules)), (Verdict::Unknown, None));
        let mut drawn = String::new();
        for (second, result) in (1..).zip(results.chars()) {
            let now = start + Duration::from_secs(second);
            let before = machine.verdict();
            let flipped = machine.observe(result == 'P', &rules, now);
            assert_eq!(flipped, machine.verdict() != before);
            assert_eq!(flipped, machine.since() == now);
            drawn.push(match (machine.verdict(), machine.pending(&rules)) {
                (Verdict::Up, None) => '.',
                (Verdict::Up, Some(_)) => '~',
                (Verdict::Down, None) => 'x',
                (Verdict::Down, Some(_)) => '+',
                (Verdict::Unknown, _) => '?',
            });
        }
        drawn
    }

    #[test]
    fn verdicts_follow_the_time_table() {
        for (rise, fall, results, verdicts, what) in [
            (3, 2, "PPP", "...", "the first pass decides"),
            (3, 2, "FPPP", "x++.", "the first failure decides, and rise passes bring it back"),
            (3, 2, "PFF", ".~x", "fall failures take it out"),
            (3, 2, "PFPF", ".~~x", "a pass between failures forgets nothing"),
            (3, 2, "PFPPF", ".~~~x", "nor do rise - 1 passes"),
            (3, 2, "PFPPPF", ".~~~.~", "rise passes in a row do"),
            (3, 3, "PFPFPPPFF", ".~~~~~.~~", "they forget all failures at once"),
            (3, 2, "FPPFPPP", "x++x++.", "a failure on the way up starts the rise anew"),
            (3, 2, "PPPPPFPPPFPPPFPPP", ".....~~~.~~~.~~~.", "rare failures are borne for ever"),
            (1, 1, "PFPF", ".x.x", "rise and fall of 1 follow each result"),
            (1, 2, "PFPFFP", ".~.~x.", "with rise 1 each pass forgets"),
            (2, 1, "PFFPFPP", ".xx+x+.", "with fall 1 each failure decides"),
            (3, 2, "FPPPF", "x++.~", "what brought it back does not outweigh what follows"),
        ] {
            assert_eq!(course(rise, fall, results), verdicts, "{what}: {results} by rise {rise}, fall {fall}");
        }
    }

    #[test]
    fn only_who_was_down_recovers() {
        let (rules, start) = (rules(1, 1), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        let mut machine = Machine::new(start);
        let mut recovered = Vec::new();
        for (second, passed) in (1..).zip([true, false, true, true, false]) {
            machine.observe(passed, &rules, at(second));
            recovered.push(machine.recovered());
        }
        assert_eq!(recovered, [None, None, Some(at(3)), Some(at(3)), None]);
    }

    #[test]
    fn what_is_pending_says_how_much_is_missing() {
        let (rules, now) = (rules(3, 4), Instant::now());
        let mut machine = Machine::new(now);
        for passed in [true, false, false] {
            machine.observe(passed, &rules, now);
        }
        assert_eq!(machine.pending(&rules), Some(Pending { verdict: Verdict::Down, results: 2, needed: 4 }));
        for passed in [false, false, true] {
            machine.observe(passed, &rules, now);
        }
        assert_eq!(machine.pending(&rules), Some(Pending { verdict: Verdict::Up, results: 1, needed: 3 }));
    }
}
