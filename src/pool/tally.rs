//! How often each member has been handed out, worked out from how far a ring was walked. Where hands are dealt nothing is
//! counted but the step itself.
//!
//! ```text
//! steps since the last look ──► whole laps × what a lap deals ─┐
//!                           └─► the rest, slot by slot ────────┴──► deals by where they start ──► members
//! ```

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::Rotation;

/// How often one member was dealt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dealt {
    /// Hands that it was in.
    pub hands: u64,
    /// Hands that named it first.
    pub first: u64,
}

impl Dealt {
    /// Both counts together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { hands: self.hands + other.hands, first: self.first + other.first }
    }
}

/// Deals of one rotation, being counted.
#[derive(Clone, Debug)]
pub struct Tally<'r> {
    rotation: &'r Rotation,
    /// Hands in all.
    pub hands: u64,
    laps: u64,
    /// By where the deal starts, in records, beside the laps.
    counts: Vec<u64>,
}

impl Rotation {
    /// Nothing counted yet.
    pub fn tally(&self) -> Tally<'_> {
        Tally { rotation: self, hands: 0, laps: 0, counts: vec![0; self.positions()] }
    }
}

impl Tally<'_> {
    /// Adds the deals of the `steps` cursors that follow `after`, which count round after 2^32.
    pub fn walk(&mut self, after: u32, steps: u32) {
        let (Some(first), last) = (after.checked_add(1), after.wrapping_add(steps)) else {
            return self.walk_from_zero(steps);
        };
        match steps {
            0 => {}
            _ if first <= last => self.range(first..=last),
            _ => {
                self.range(first..=u32::MAX);
                self.range(0..=last);
            }
        }
    }

    /// Adds deals by the number of the hand, of which each is dealt from one place only.
    pub fn add_hands(&mut self, mut times: Vec<u32>) {
        for start in self.rotation.slots() {
            let Some(times) = times.get_mut(self.rotation.hand_at(*start) as usize) else { continue };
            let times = u64::from(std::mem::take(times));
            self.counts[*start as usize] += times;
            self.hands += times;
        }
    }

    /// The members that were dealt, in address order.
    pub fn members(mut self) -> Vec<(IpAddr, Dealt)> {
        let Self { rotation, laps, .. } = self;
        if laps > 0 {
            rotation.slots().iter().for_each(|start| self.counts[*start as usize] += laps);
        }
        let mut dealt = vec![Dealt::default(); rotation.members().len()];
        let size = rotation.hand_size();
        let mut covered = 0;
        for position in 0..self.counts.len() {
            covered += self.counts[position];
            if let Some(left) = position.checked_sub(size) {
                covered -= self.counts[left];
            }
            if let Some(member) = (covered > 0).then(|| rotation.member_at(position)).flatten() {
                dealt[member].hands += covered;
                dealt[member].first += self.counts[position];
            }
        }
        let members = rotation.members().iter().map(|member| member.address).zip(dealt);
        members.filter(|(_, dealt)| dealt.hands > 0).collect()
    }

    /// The cursor before was the last of all.
    fn walk_from_zero(&mut self, steps: u32) {
        if let Some(last) = steps.checked_sub(1) {
            self.range(0..=last);
        }
    }

    fn range(&mut self, cursors: RangeInclusive<u32>) {
        let slots = self.rotation.slots();
        let (from, to) = (*cursors.start() as usize, *cursors.end() as usize);
        if slots.is_empty() {
            return;
        }
        let steps = to - from + 1;
        self.hands += steps as u64;
        self.laps += (steps / slots.len()) as u64;
        for step in 0..steps % slots.len() {
            self.counts[slots[(from + step) % slots.len()] as usize] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pool::{Eligible, PerFamily, Policy, Spread};

    fn rotation(n: u8, k: u16, spread: Spread) -> Rotation {
        let member = |host| Eligible { address: [192, 0, 2, host].into(), weight: f64::from(host), ttl: 30 };
        let members: Vec<Eligible> = (1..=n).map(member).collect();
        Rotation::build(&members, &Policy { k: PerFamily::both(k), spread, ..Policy::default() }, 7)
    }

    /// Counted one by one, as nobody would on the way of a query.
    fn counted(rotation: &Rotation, cursors: impl Iterator<Item = u32>) -> Vec<(IpAddr, Dealt)> {
        let mut counts: BTreeMap<IpAddr, Dealt> = BTreeMap::new();
        for cursor in cursors {
            for (place, address) in rotation.addresses(rotation.deal(cursor).records).enumerate() {
                let dealt = counts.entry(address).or_default();
                *dealt = dealt.and(Dealt { hands: 1, first: u64::from(place == 0) });
            }
        }
        counts.into_iter().collect()
    }

    #[test]
    fn a_walk_is_told_as_it_was_dealt() {
        for spread in [Spread::Balanced, Spread::Random, Spread::All] {
            for (n, k) in [(1, 1), (2, 2), (3, 2), (7, 3), (5, 9)] {
                let rotation = rotation(n, k, spread);
                let lap = rotation.len() as u32;
                for after in [0, 5, lap - 1, u32::MAX, u32::MAX - 3, u32::MAX - lap] {
                    for steps in [0, 1, 4, lap - 1, lap, lap + 1, 3 * lap + 2] {
                        let mut tally = rotation.tally();
                        tally.walk(after, steps);
                        assert_eq!(tally.hands, u64::from(steps));
                        let cursors = (1..=steps).map(|step| after.wrapping_add(step));
                        assert_eq!(tally.members(), counted(&rotation, cursors), "{spread:?} {n} {k} {after} {steps}");
                    }
                }
            }
        }
    }

    #[test]
    fn hands_by_number_are_told_as_they_were_dealt() {
        for spread in [Spread::Affinity, Spread::Random] {
            let rotation = rotation(6, 2, spread);
            let slots = [0, 17, 17, 300, 1999];
            let (mut tally, mut times) = (rotation.tally(), vec![0; rotation.hands() as usize]);
            slots.iter().for_each(|slot| times[rotation.hand_of(*slot) as usize] += 1);
            tally.add_hands(times);
            assert_eq!(tally.hands, 5);
            assert_eq!(tally.members(), counted(&rotation, slots.into_iter()), "{spread:?}");
        }
    }

    #[test]
    fn nobody_is_dealt_from_an_empty_ring() {
        let rotation = Rotation::build(&[], &Policy::default(), 7);
        let mut tally = rotation.tally();
        tally.walk(3, 9);
        assert_eq!((tally.hands, tally.members()), (0, vec![]));
    }
}
