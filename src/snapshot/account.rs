//! How often the members of one family of a pool have been handed out: since the start, and of late.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::pool::{Dealt, Tally};

/// How long "of late" is, and the steps in which it moves.
pub const RECENT: Duration = Duration::from_mins(5);
const STEP: Duration = Duration::from_secs(15);

/// The account of one family.
#[derive(Debug, Default)]
pub struct Account(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    all: Counts,
    /// What the steps have together.
    recent: Counts,
    /// By when they began, oldest first.
    steps: VecDeque<(Instant, Counts)>,
}

/// Hands, and who was in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many hands there were.
    pub hands: u64,
    /// Whoever was in one of them.
    pub members: BTreeMap<IpAddr, Dealt>,
}

impl Account {
    /// Looks at what was dealt since the start, to those who are members still, and in the last [`RECENT`].
    pub fn look<T>(&self, now: Instant, look: impl FnOnce(&Counts, &Counts) -> T) -> T {
        let mut inner = self.lock();
        inner.forget(now);
        look(&inner.all, &inner.recent)
    }

    pub(super) fn add(&self, tally: Tally<'_>, now: Instant) {
        if tally.hands == 0 {
            return;
        }
        let mut inner = self.lock();
        inner.forget(now);
        if inner.steps.back().is_none_or(|(begun, _)| now.saturating_duration_since(*begun) >= STEP) {
            inner.steps.push_back((now, Counts::default()));
        }
        let (hands, members) = (tally.hands, tally.members());
        inner.all.add(hands, &members);
        inner.recent.add(hands, &members);
        if let Some((_, step)) = inner.steps.back_mut() {
            step.add(hands, &members);
        }
    }

    /// Drops who is no member any more. `members` are in order.
    pub(super) fn keep(&self, members: &[IpAddr]) {
        self.lock().all.members.retain(|address, _| members.binary_search(address).is_ok());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, now: Instant) {
        while self.steps.front().is_some_and(|(begun, _)| now.saturating_duration_since(*begun) > RECENT) {
            let Some((_, step)) = self.steps.pop_front() else { return };
            self.recent.take(&step);
        }
    }
}

impl Counts {
    fn add(&mut self, hands: u64, members: &[(IpAddr, Dealt)]) {
        self.hands += hands;
        for (address, dealt) in members {
            let sum = self.members.entry(*address).or_default();
            *sum = sum.and(*dealt);
        }
    }

    fn take(&mut self, step: &Self) {
        self.hands -= step.hands;
        for (address, dealt) in &step.members {
            let Some(sum) = self.members.get_mut(address) else { continue };
            *sum = Dealt { hands: sum.hands - dealt.hands, first: sum.first - dealt.first };
            if sum.hands == 0 {
                self.members.remove(address);
            }
        }
    }
}
