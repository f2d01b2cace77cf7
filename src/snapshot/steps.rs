//! How far one worker has walked on each rotation: the cursors that hands are dealt by are the counts of them, too.
//!
//! ```text
//! Steps (one worker, it alone writes)          Row (whoever settles accounts reads)
//! [ 17 | 4 | 0 | 90 | … ]  ◄── cells ──►  the same cells; a larger array takes their place when there are more rotations
//! ```
//!
//! * A step is a plain load and a plain store into memory that no other worker writes to: it costs what a private cursor costs.
//! * Cells only grow. What happened since the last look is a difference, modulo 2^32.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// One worker's walk on all rotations.
#[derive(Debug)]
pub struct Steps {
    own: Cells,
    row: Arc<Row>,
}

/// The same, as others see it.
#[derive(Debug)]
pub(super) struct Row {
    /// Workers walk the same rings, each from its own place.
    offset: u32,
    cells: Mutex<Cells>,
}

type Cells = Arc<[Line]>;

/// x86-64 fetches lines of 64 octets in pairs, so that cells of two workers are to be 128 apart.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Line([AtomicU32; CELLS]);

const CELLS: usize = 32;

impl Steps {
    /// A walk that starts at `offset` and that nobody follows.
    pub fn new(offset: u32) -> Self {
        let own = Cells::default();
        Self { row: Arc::new(Row { offset, cells: Mutex::new(Arc::clone(&own)) }), own }
    }

    pub(super) fn row(&self) -> Arc<Row> {
        Arc::clone(&self.row)
    }

    /// Makes so many cells. Nothing to do but after a new snapshot.
    #[inline]
    pub fn seat(&mut self, cells: u32) {
        if self.own.len() * CELLS < cells as usize {
            self.grow(cells as usize);
        }
    }

    /// The next place on the rotation with this cell.
    #[inline]
    pub fn step(&self, cell: u32) -> u32 {
        self.row.offset.wrapping_add(self.count(cell))
    }

    /// Counts one more, and says how many there are now.
    #[inline]
    pub fn count(&self, cell: u32) -> u32 {
        let cell = self.own[cell as usize / CELLS].0.get(cell as usize % CELLS).expect("a remainder");
        let next = cell.load(Relaxed).wrapping_add(1);
        cell.store(next, Relaxed);
        next
    }

    fn grow(&mut self, cells: usize) {
        let lines = cells.div_ceil(CELLS).next_power_of_two();
        let copy = |place: usize| match self.own.get(place) {
            Some(line) => Line(std::array::from_fn(|cell| AtomicU32::new(line.0[cell].load(Relaxed)))),
            None => Line::default(),
        };
        self.own = (0..lines).map(copy).collect();
        *self.row.cells.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&self.own);
    }
}

impl Row {
    pub(super) fn offset(&self) -> u32 {
        self.offset
    }

    /// All cells as of about now.
    pub(super) fn read(&self) -> Reading {
        Reading(Arc::clone(&self.cells.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The cells of a row.
pub(super) struct Reading(Cells);

impl Reading {
    /// What the cell has; 0 for one that its worker has not made yet.
    pub(super) fn cell(&self, cell: u32) -> u32 {
        let line = self.0.get(cell as usize / CELLS);
        line.map_or(0, |line| line.0[cell as usize % CELLS].load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_one_another_and_survive_growth() {
        let mut steps = Steps::new(u32::MAX);
        let row = steps.row();
        assert_eq!(row.read().cell(7), 0);
        steps.seat(3);
        assert_eq!([steps.step(2), steps.step(2), steps.step(1)], [0, 1, 0]);
        steps.seat(5000);
        assert_eq!([steps.step(2), steps.step(4999)], [2, 0]);
        let cells = [0, 1, 2, 4999, 100_000].map(|cell| row.read().cell(cell));
        assert_eq!(cells, [0, 1, 3, 1, 0]);
    }

    #[test]
    fn workers_do_not_share_cache_lines() {
        assert_eq!((align_of::<Line>(), size_of::<Line>()), (128, 128));
    }
}
