//! What the answers to a batch are made of, brought near before it is asked for.
//!
//! In a zone that no cache holds a lookup waits for memory twice: for the line of the index, and for the node that this
//! names. The queries of a batch do not depend on one another, so the processor fetches the lines of all of them at the same time if
//! it is asked to in one go, and then the nodes.

use std::hint::black_box;

use super::Dealer;
use crate::snapshot::Snapshot;
use crate::wire::{LowerName, Query};
use crate::zone::{Sought, Zone};

/// Queries that are looked ahead to. Of a longer batch, which is trains, the rest is answered without.
const MOST: usize = 64;

/// Looks ahead to what `queries` will be answered with. Nothing comes of it but time, and of a query that is none not even that.
pub fn foresee<'q>(snapshot: &Snapshot, queries: impl Iterator<Item = &'q [u8]>, dealer: &mut Dealer) {
    if !snapshot.sprawls() {
        return;
    }
    let mut sought = [None; MOST];
    let mut count = 0;
    for (query, place) in queries.zip(&mut sought) {
        *place = seek(snapshot, query, &mut dealer.scratch.question);
        count += 1;
    }
    let sought = || sought[..count].iter().flatten();
    let lines = sought().fold(0, |seen, (zone, sought)| seen ^ zone.touch_index(*sought));
    let nodes = sought().fold(0, |seen, (zone, sought)| seen ^ zone.touch_node(*sought));
    black_box(lines ^ nodes);
}

fn seek<'s>(snapshot: &'s Snapshot, query: &[u8], name: &mut LowerName) -> Option<(&'s Zone, Sought)> {
    Query::new(query).ok()?.question(name).ok()?;
    let zone = snapshot.zones().find(name)?.zone.as_deref()?;
    Some((zone, zone.seek(name.octets())))
}
