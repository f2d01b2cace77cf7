//! What has changed between the serials of a zone, kept for clients that ask for no more than that.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::PoolTransfer;
use crate::wire::Name;
use crate::zone::{Difference, Serial};

/// How a client sees the pools of a zone: each as its pool says, or all alike.
pub type View = Option<PoolTransfer>;

/// The journals of all zones and views. Whoever changes a zone writes, whoever serves a transfer reads.
#[derive(Debug, Default)]
pub struct Journals(Mutex<HashMap<(Name, View), Journal>>);

impl Journals {
    /// The changes of a zone, as `view` sees it, from one serial to another; `None` when they do not reach back so far, or
    /// not yet so far forward.
    pub fn since(&self, zone: &Name, view: View, from: Serial, to: Serial) -> Option<Vec<Arc<Difference>>> {
        self.lock().get(&(zone.clone(), view))?.since(from, to)
    }

    /// Has `change` made to one journal.
    pub fn update<T>(&self, zone: &Name, view: View, change: impl FnOnce(&mut Journal) -> T) -> T {
        change(self.lock().entry((zone.clone(), view)).or_default())
    }

    /// Forgets a zone.
    pub fn remove(&self, zone: &Name) {
        self.lock().retain(|(of, _), _| of != zone);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Name, View), Journal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes of one zone, as some clients see it, that led to its serial; the older go when they get too many.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    steps: VecDeque<Step>,
    octets: usize,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Step {
    /// The serial before.
    pub from: Serial,
    /// The serial after.
    pub to: Serial,
    /// What changed.
    pub difference: Arc<Difference>,
}

impl Journal {
    /// Adds a change. One that does not follow the last, or leads back, starts the journal anew. Old changes go until at most
    /// `most` octets are left: clients that had those serials get the whole zone, which is no longer.
    pub fn append(&mut self, step: Step, most: usize) {
        let follows = self.steps.back().is_none_or(|last| last.to == step.from);
        if !follows || !step.to.is_after(step.from) {
            *self = Self::default();
        }
        if step.to.is_after(step.from) {
            self.octets += step.difference.octets();
            self.steps.push_back(step);
        }
        while self.octets > most
            && let Some(oldest) = self.steps.pop_front()
        {
            self.octets -= oldest.difference.octets();
        }
    }

    /// The changes from one serial to another, which must be the last; `None` when they do not reach back so far.
    pub fn since(&self, from: Serial, to: Serial) -> Option<Vec<Arc<Difference>>> {
        if self.steps.back()?.to != to {
            return None;
        }
        let first = self.steps.iter().position(|step| step.from == from)?;
        Some(self.steps.range(first..).map(|step| Arc::clone(&step.difference)).collect())
    }

    /// The changes, oldest first.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// Octets that the changes take as wire.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: u32, to: u32) -> Step {
        Step { from: Serial(from), to: Serial(to), difference: Arc::default() }
    }

    #[test]
    fn changes_that_do_not_follow_start_anew() {
        let mut journal = Journal::default();
        journal.append(step(1, 2), 100);
        journal.append(step(2, 5), 100);
        assert_eq!(journal.since(Serial(1), Serial(5)).map(|steps| steps.len()), Some(2));
        assert_eq!(journal.since(Serial(2), Serial(5)).map(|steps| steps.len()), Some(1));
        assert!(journal.since(Serial(3), Serial(5)).is_none());
        assert!(journal.since(Serial(1), Serial(2)).is_none(), "not the zone as it is now");
        journal.append(step(7, 8), 100);
        assert_eq!(journal.len(), 1);
        journal.append(step(8, 8), 100);
        assert!(journal.is_empty(), "another zone under the same serial");
    }
}
