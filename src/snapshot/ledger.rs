//! Which members have been handed out, and how often: accounts that are settled from the steps of all workers when somebody
//! asks, and at the latest when a ring gives its cells back.
//!
//! ```text
//! Publisher ──a ring──► seat ──► Seat (cells of every worker) ──last snapshot gone──► settled once more, cells are free
//! workers ──steps──► rows ──┐
//! Seat: ring, account ──────┴── settle: steps × ring ──► Account (a family of a pool, for as long as it is served)
//! ```
//!
//! * A cell belongs to one ring at a time, and everything that it counted meanwhile is that ring's: it is given to another
//!   only when no snapshot can walk the first any more.
//! * An account outlives rings: it is a pool's, from one snapshot to the next.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::account::Account;
use super::steps::{Row, Steps};
use crate::pool::{Rotation, Tally};

/// All rings that are walked, and all who walk.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    walkers: Vec<Walker>,
    rings: Vec<Ring>,
    /// Cells that are free, by the logarithm of how many stand together.
    free: [Vec<u32>; 32],
    /// Cells that there are in all.
    cells: u32,
}

/// One worker.
#[derive(Debug)]
struct Walker {
    row: Arc<Row>,
    /// What its cells had when they were looked at last.
    settled: Vec<u32>,
}

/// One ring that is walked, or whose last steps are still to be settled.
#[derive(Debug)]
struct Ring {
    seat: Weak<Seat>,
    first: u32,
    /// One to walk on, or one for each different hand.
    cells: u32,
    rotation: Arc<Rotation>,
    account: Arc<Account>,
    by_client: bool,
}

/// The cells that count the steps on one ring. They are its own for as long as a snapshot has this.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) first: u32,
}

impl Ledger {
    /// A walk for one more worker.
    pub(super) fn walker(&self, offset: u32) -> Steps {
        let steps = Steps::new(offset);
        self.lock().walkers.push(Walker { row: steps.row(), settled: Vec::new() });
        steps
    }

    /// Cells for a ring; `by_client` when its slots are chosen by the client and not walked.
    pub(super) fn seat(&self, rotation: &Arc<Rotation>, account: &Arc<Account>, by_client: bool) -> Arc<Seat> {
        let cells = if by_client { rotation.hands().max(1) } else { 1 };
        let inner = &mut *self.lock();
        let first = inner.take(cells);
        let seat = Arc::new(Seat { first });
        let (rotation, account) = (Arc::clone(rotation), Arc::clone(account));
        inner.rings.push(Ring { seat: Arc::downgrade(&seat), first, cells, rotation, account, by_client });
        seat
    }

    /// How many cells a worker needs.
    pub(super) fn cells(&self) -> u32 {
        self.lock().cells
    }

    /// Brings all accounts up to date.
    pub(super) fn settle(&self, now: Instant) {
        let mut inner = self.lock();
        // Before the cells are read: a worker that ends meanwhile is looked at once more.
        let ended: Vec<bool> = inner.walkers.iter().map(|walker| Arc::strong_count(&walker.row) == 1).collect();
        inner.settle(now, |_| true);
        let mut ended = ended.into_iter();
        inner.walkers.retain(|_| !ended.next().unwrap_or_default());
    }

    /// Settles the rings that nobody walks any more, and takes their cells back.
    pub(super) fn release(&self, now: Instant) {
        self.lock().settle(now, |is_walked| !is_walked);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take(&mut self, cells: u32) -> u32 {
        let size = cells.next_power_of_two();
        self.free[size.trailing_zeros() as usize].pop().unwrap_or_else(|| {
            let first = self.cells;
            self.cells += size;
            first
        })
    }

    /// Settles the rings that are `wanted`, by whether they are walked still.
    fn settle(&mut self, now: Instant, wanted: impl Fn(bool) -> bool) {
        let Self { walkers, rings, free, cells } = self;
        let walked: Vec<bool> = rings.iter().map(|ring| ring.seat.strong_count() > 0).collect();
        if !walked.iter().copied().any(&wanted) {
            return;
        }
        // Whoever let go of a ring last has written all of its steps before, and they are read after this.
        fence(Ordering::Acquire);
        let readings: Vec<_> = walkers.iter().map(|walker| walker.row.read()).collect();
        walkers.iter_mut().for_each(|walker| walker.settled.resize(*cells as usize, 0));
        let mut walked = walked.into_iter();
        rings.retain(|ring| {
            let is_walked = walked.next().unwrap_or_default();
            if !wanted(is_walked) {
                return true;
            }
            let mut tally = ring.rotation.tally();
            for (walker, reading) in walkers.iter_mut().zip(&readings) {
                let mut since = |cell: u32| {
                    let (now, before) = (reading.cell(cell), &mut walker.settled[cell as usize]);
                    let steps = now.wrapping_sub(*before);
                    (std::mem::replace(before, now), steps)
                };
                ring.add(walker.row.offset(), &mut since, &mut tally);
            }
            ring.account.add(tally, now);
            if !is_walked {
                free[ring.cells.next_power_of_two().trailing_zeros() as usize].push(ring.first);
            }
            is_walked
        });
    }
}

impl Ring {
    /// Adds the steps of one worker, of whose cells `since` says where they were and how far they came.
    fn add(&self, offset: u32, since: &mut impl FnMut(u32) -> (u32, u32), tally: &mut Tally<'_>) {
        if self.by_client {
            let times: Vec<u32> = (self.first..self.first + self.cells).map(|cell| since(cell).1).collect();
            if times.iter().any(|times| *times > 0) {
                tally.add_hands(times);
            }
            return;
        }
        let (before, steps) = since(self.first);
        tally.walk(offset.wrapping_add(before), steps);
    }
}
