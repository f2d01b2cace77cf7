//! What a worker keeps from query to query: its cursors on the rotations, its randomness, its scratch space,
//! and what it has sent to whom.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::lookup::Links;
use super::rate::Buckets;
use crate::wire::{LowerName, Names};

/// One worker's own state. Workers share none of it, so dealing takes no lock and writes no shared cache line.
#[derive(Debug)]
pub struct Dealer {
    pub(super) cursors: Cursors,
    pub(super) scratch: Scratch,
    /// None for who sends as many replies as there are queries.
    pub(super) buckets: Option<Buckets>,
}

/// Where a worker stands on each rotation.
#[derive(Debug)]
pub(super) struct Cursors {
    rng: SmallRng,
    next: Vec<u32>,
}

/// Octets that a query is worked on in, reused from query to query.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) question: LowerName,
    pub(super) links: Links,
    pub(super) names: Names,
}

impl Dealer {
    /// A dealer whose walk through each rotation starts where `seed` says.
    pub fn new(seed: u64) -> Self {
        let cursors = Cursors { rng: SmallRng::seed_from_u64(seed), next: Vec::new() };
        Self { cursors, scratch: Scratch::default(), buckets: Some(Buckets::default()) }
    }

    /// One for messages whose sender is known: its replies are not limited.
    pub fn unlimited(seed: u64) -> Self {
        Self { buckets: None, ..Self::new(seed) }
    }
}

impl Cursors {
    /// Makes cursors for so many rotations; new ones start at random. Nothing to do but after a new snapshot.
    #[inline]
    pub(super) fn seat(&mut self, rotations: u32) {
        while self.next.len() < rotations as usize {
            self.next.push(self.rng.random());
        }
    }

    /// The next step on a rotation.
    #[inline]
    pub(super) fn step(&mut self, cursor: u32) -> u32 {
        let next = &mut self.next[cursor as usize];
        *next = next.wrapping_add(1);
        *next
    }
}
