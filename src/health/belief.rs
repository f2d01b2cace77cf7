//! Whether failures are believed, or the fault may be our own.
//!
//! ```text
//!            a member would go down        no witness answers, and more than half of the probes fail
//! believing ──────────────────────► asking ─────────────────────────────────────────────────────► frozen
//!     ▲ ▲                             │                                                             │
//!     │ └─ a witness answers, or ─────┘                                                             │
//!     │    an interval has shown                                                                    │
//!     │    that few others fail                                                                     │
//!     └──────────────── a witness answers, or half of the probes pass ──────────────────────────────┘
//! ```
//!
//! A cut of our own network reaches the probes one by one. If the first ones to fail were believed at once, the pools
//! would have lost half of their members before anyone could doubt: so while there are witnesses, each flip to down waits
//! for one of them to answer, which takes one round trip.

use std::time::Instant;

/// What the witnesses have said: addresses that should always answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// Whether one of them has answered.
    pub answered: bool,
    /// When they were asked.
    pub asked: Instant,
}

/// How far the results of probes are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belief {
    /// Whether there are witnesses.
    pub guarded: bool,
    /// What they have said last.
    pub testimony: Option<Testimony>,
    /// Since when verdicts are frozen, if they are.
    pub frozen: Option<Instant>,
    /// When they last ceased to be.
    pub thawed: Option<Instant>,
    /// How often they have been since the start.
    pub freezes: u64,
    /// How many flips to down wait for a witness.
    pub withheld: usize,
    /// How many probes are known.
    pub probes: usize,
    /// Of how many the last one failed.
    pub failing: usize,
}

impl Belief {
    /// Whether the witnesses are to be asked, since something waits for them.
    pub fn needs_testimony(&self) -> bool {
        self.guarded && (self.frozen.is_some() || self.withheld > 0)
    }

    /// Whether a probe that was begun then may tell of a cut that is over: its failure says nothing of the member.
    pub fn has_thawed_since(&self, begun: Instant) -> bool {
        self.thawed.is_some_and(|thawed| begun < thawed)
    }

    pub(super) fn most_fail(&self) -> bool {
        2 * self.failing > self.probes
    }

    /// Ends a freeze, if there is one.
    pub(super) fn thaw(&mut self, now: Instant) {
        if self.frozen.take().is_some() {
            self.thawed = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::super::{CheckId, ProbeKey, Reason, Rules, Table, Verdict};
    use super::*;

    /// Ten members that are up, asked every 5 s, and a clock.
    struct World {
        table: Table,
        keys: Vec<ProbeKey>,
        now: Instant,
    }

    impl World {
        fn new(guarded: bool) -> Self {
            let seconds = Duration::from_secs;
            let (interval, timeout, fast_interval) = (seconds(5), seconds(2), seconds(1));
            let rules = Rules { interval, timeout, fast_interval, rise: 3, fall: 2, jitter_percent: 0 };
            let address = |host: u8| IpAddr::from([192, 0, 2, host]);
            let key = |host| ProbeKey { address: address(host), check: CheckId::new("tcp", rules) };
            let world = Self { table: Table::default(), keys: (0..10).map(key).collect(), now: Instant::now() };
            world.table.guard(guarded);
            world.table.follow(&world.keys, world.now);
            world.results("PPPPPPPPPP");
            world
        }

        /// One result for each of the first members: `P` a pass, `F` a failure.
        fn results(&self, results: &str) {
            for (key, result) in self.keys.iter().zip(results.chars()) {
                let result = if result == 'P' { Ok(()) } else { Err(Reason::new("silent")) };
                self.table.observe(key, result, self.now);
            }
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        /// What the witnesses say who are asked now, and how many members that takes out.
        fn testify(&self, answered: bool) -> usize {
            self.table.testify(Testimony { answered, asked: self.now }, self.now).len()
        }

        /// `.` up, `~` up and in doubt, `x` down.
        fn verdicts(&self) -> String {
            let mark = |key| match (self.table.known(key).verdict, self.table.known(key).doubtful) {
                (Verdict::Up, false) => '.',
                (Verdict::Up, true) => '~',
                (Verdict::Down, _) => 'x',
                (Verdict::Unknown, _) => '?',
            };
            self.keys.iter().map(mark).collect()
        }

        fn is_frozen(&self) -> bool {
            self.table.belief().frozen.is_some()
        }
    }

    #[test]
    fn without_witnesses_results_are_believed() {
        let world = World::new(false);
        world.results("FFFFFFFFFF");
        world.results("FFFFFFFFFF");
        assert_eq!((world.verdicts().as_str(), world.table.belief().needs_testimony()), ("xxxxxxxxxx", false));
    }

    #[test]
    fn a_flip_to_down_waits_for_a_witness_that_was_asked_after_it() {
        let mut world = World::new(true);
        world.results("F");
        assert!(!world.table.belief().needs_testimony(), "nothing flips yet");
        let early = Testimony { answered: true, asked: world.now };
        world.wait(1);
        world.results("F");
        assert_eq!((world.verdicts().as_str(), world.table.belief().needs_testimony()), ("~.........", true));
        assert!(world.table.flip_hangs(&world.keys[0]));
        assert_eq!(world.table.testify(early, world.now), [], "that was before the failure");
        assert_eq!((world.testify(true), world.verdicts().as_str()), (1, "x........."));
        assert_eq!((world.table.belief().withheld, world.table.belief().needs_testimony()), (0, false));
    }

    #[test]
    fn a_pass_ends_the_wait() {
        let world = World::new(true);
        world.results("F");
        world.results("F");
        world.results("P");
        assert_eq!((world.table.belief().withheld, world.testify(true)), (0, 0));
        assert_eq!(world.verdicts(), "~.........", "the first failure is not forgotten");
    }

    #[test]
    fn when_most_fail_and_no_witness_answers_all_verdicts_freeze() {
        let mut world = World::new(true);
        // The cut comes upon the members one by one.
        world.results("FFF");
        world.results("FFF");
        assert_eq!((world.testify(false), world.is_frozen()), (0, false), "three of ten are not most");
        world.wait(2);
        world.results("FFFFFF");
        assert_eq!((world.verdicts().as_str(), world.testify(false)), ("~~~~~~....", 6));
        assert_eq!((world.verdicts().as_str(), world.is_frozen()), ("..........", true));
        for _ in 0..5 {
            world.wait(5);
            world.results("FFFFFFFFFF");
            assert_eq!(world.testify(false), 0);
        }
        assert_eq!((world.verdicts().as_str(), world.table.belief().freezes), ("..........", 1));
        assert!(world.table.belief().needs_testimony());
    }

    #[test]
    fn a_witness_that_answers_thaws_and_everyone_is_judged_anew() {
        let world = World::new(true);
        world.results("FFFFFFFFFF");
        world.results("FFFFFFFFFF");
        world.testify(false);
        assert!(world.is_frozen());
        world.testify(true);
        assert!(!world.is_frozen());
        world.results("FPPPPPPPPP");
        assert_eq!(world.verdicts(), "~.........");
        world.results("F");
        assert_eq!((world.testify(true), world.verdicts().as_str()), (1, "x........."));
    }

    #[test]
    fn the_end_of_a_freeze_parts_the_probes_begun_before_it_from_those_after() {
        let mut world = World::new(true);
        let begun = world.now;
        world.wait(1);
        world.testify(true);
        assert!(!world.table.belief().has_thawed_since(begun), "nothing was frozen");
        world.results("FFFFFFFFFF");
        world.results("FFFFFFFFFF");
        world.testify(false);
        assert!(!world.table.belief().has_thawed_since(begun), "it lasts");
        world.testify(true);
        assert!(world.table.belief().has_thawed_since(begun));
        assert!(!world.table.belief().has_thawed_since(world.now));
    }

    #[test]
    fn members_that_answer_thaw_too() {
        let world = World::new(true);
        world.results("FFFFFFFFFF");
        world.results("FFFFFFFFFF");
        world.testify(false);
        world.results("PPPP");
        assert!(world.is_frozen(), "six still fail");
        world.results("PPPPP");
        assert!(!world.is_frozen());
    }

    #[test]
    fn few_that_fail_are_believed_after_an_interval_although_no_witness_answers() {
        let mut world = World::new(true);
        world.results("FF");
        world.results("FF");
        for _ in 0..6 {
            assert_eq!(world.testify(false), 0);
            world.wait(1);
        }
        world.wait(1);
        assert_eq!((world.testify(false), world.verdicts().as_str()), (2, "xx........"));
        assert!(!world.is_frozen());
    }

    #[test]
    fn a_start_without_a_network_takes_nobody_out() {
        let mut world = World::new(true);
        world.table = Table::default();
        world.table.guard(true);
        world.table.follow(&world.keys, world.now);
        world.results("FFFFFFFFFF");
        assert_eq!((world.testify(false), world.is_frozen()), (0, true));
        assert_eq!(world.verdicts(), "??????????");
    }

    #[test]
    fn what_leaves_is_no_longer_counted() {
        let mut world = World::new(true);
        world.results("FFFFFF");
        world.results("FFFFFF");
        world.keys.drain(..6);
        world.table.follow(&world.keys, world.now);
        let Belief { probes, failing, withheld, .. } = world.table.belief();
        assert_eq!((probes, failing, withheld), (4, 0, 0));
    }

    #[test]
    fn without_its_witnesses_a_freeze_ends() {
        let world = World::new(true);
        world.results("FFFFFFFFFF");
        world.results("FFFFFFFFFF");
        world.testify(false);
        world.table.guard(false);
        world.results("FFFFFFFFFF");
        world.results("FFFFFFFFFF");
        assert_eq!((world.is_frozen(), world.verdicts().as_str()), (false, "xxxxxxxxxx"));
    }
}
