//! What the connections of one worker share: the engine, and one pair of buffers. Each has it for one turn, between two
//! waits.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::defer::Clerk;
use super::engine::Engine;
use crate::metrics::Event;

/// The largest message, and its length before it.
pub(super) const FRAME: usize = 2 + 65_535;
/// Octets read at once beside what is held: hundreds of queries.
pub(super) const READ: usize = 16 << 10;
/// Replies are written when this many octets have come together; a burst of queries for large replies takes several writes.
pub(super) const WRITE: usize = 64 << 10;

/// One worker's desk.
pub(super) struct Desk {
    pub(super) engine: Engine,
    pub(super) clerk: Arc<Clerk>,
    pub(super) input: Box<[u8]>,
    pub(super) output: Box<[u8]>,
}

impl Desk {
    pub(super) fn new(engine: Engine, clerk: Arc<Clerk>) -> Self {
        Self { engine, clerk, input: vec![0; FRAME + READ].into(), output: vec![0; WRITE + FRAME].into() }
    }

    pub(super) fn event(&self, event: Event) {
        self.engine.event(event, 1);
    }
}

/// Lets go of each snapshot as it is replaced, though nobody may ask for long.
pub(super) async fn follow(desk: Rc<RefCell<Desk>>) {
    let mut generations = desk.borrow().engine.generations();
    while generations.changed().await.is_ok() {
        desk.borrow_mut().engine.rest();
    }
}
