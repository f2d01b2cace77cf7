//! What a worker keeps from query to query: its cursors on the rotations, its randomness, its scratch space,
//! and what it has sent to whom.

use super::lookup::Links;
use super::rate::Buckets;
use crate::snapshot::Steps;
use crate::wire::{LowerName, Names};

/// One worker's own state. Workers share none of it, so dealing takes no lock and writes no shared cache line.
#[derive(Debug)]
pub struct Dealer {
    pub(super) steps: Steps,
    pub(super) scratch: Scratch,
    /// None for who sends as many replies as there are queries.
    pub(super) buckets: Option<Buckets>,
}

/// Octets that a query is worked on in, reused from query to query.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) question: LowerName,
    pub(super) links: Links,
    pub(super) names: Names,
}

impl Dealer {
    /// A dealer whose walk through each rotation starts at `offset`, for answers that nobody counts.
    pub fn new(offset: u32) -> Self {
        Self::walking(Steps::new(offset))
    }

    /// One for messages whose sender is known: its replies are not limited.
    pub fn unlimited(offset: u32) -> Self {
        Self { buckets: None, ..Self::new(offset) }
    }

    /// A dealer that walks these steps.
    pub fn walking(steps: Steps) -> Self {
        Self { steps, scratch: Scratch::default(), buckets: Some(Buckets::default()) }
    }
}
