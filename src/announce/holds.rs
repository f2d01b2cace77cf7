//! When what others see of pools may move.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::Snapshot;
use crate::wire::Name;

/// Flips that come together make one change: those of one round of probes are spread over some hundred milliseconds.
const GATHER: Duration = Duration::from_millis(500);

/// The zones whose pools have moved or are about to.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<Name, Hold>);

#[derive(Debug, Default)]
struct Hold {
    /// When what is shown was last changed.
    moved: Option<Instant>,
    /// When something else than what is shown came to be true, and from when on it may be shown.
    waiting: Option<(Instant, Instant)>,
}

impl Holds {
    /// The pools that may be shown as they are now, by zone.
    pub(super) fn due(&mut self, snapshot: &Snapshot, now: Instant) -> BTreeMap<Name, Vec<Name>> {
        let mut due = BTreeMap::new();
        self.0.retain(|apex, _| snapshot.zones().exact(&crate::wire::LowerName::of(apex.borrow())).is_some());
        for (apex, zone) in snapshot.zones().iter() {
            let unsettled = zone.unsettled();
            let Some(hold) = unsettled.iter().map(|(_, hold)| *hold).min() else {
                if let Some(hold) = self.0.get_mut(apex) {
                    hold.waiting = None;
                }
                continue;
            };
            let entry = self.0.entry(apex.clone()).or_default();
            let since = entry.waiting.map_or(now, |(since, _)| since);
            let from = entry.moved.map_or(since + GATHER, |moved| (moved + hold).max(since + GATHER));
            if from <= now {
                *entry = Hold { moved: Some(now), waiting: None };
                due.insert(apex.clone(), unsettled.into_iter().map(|(owner, _)| owner).collect());
            } else {
                entry.waiting = Some((since, from));
            }
        }
        due
    }

    /// When something is due next; never before `now`.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().filter_map(|hold| hold.waiting).map(|(_, from)| from.max(now)).min()
    }
}
