//! What the connections of one worker share: the engine, and one pair of buffers. Each has it for one turn, between two
//! waits.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::defer::{Clerk, Work};
use super::engine::{Answered, Engine};
use crate::metrics::{Event, Outcome, QueryType};
use crate::transfer::send::Sending;

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

/// What answers one message that came alone.
pub(super) enum Reply {
    /// One message.
    One(Vec<u8>),
    /// Several messages.
    Transfer(Box<Sending>, OwnedSemaphorePermit),
    /// None.
    Silence,
}

impl Desk {
    pub(super) fn new(engine: Engine, clerk: Arc<Clerk>) -> Self {
        Self { engine, clerk, input: vec![0; FRAME + READ].into(), output: vec![0; WRITE + FRAME].into() }
    }

    pub(super) fn event(&self, event: Event) {
        self.engine.event(event, 1);
    }

    /// Answers and counts a message that came alone, be it deferred or not.
    pub(super) fn reply(&mut self, message: &[u8], peer: SocketAddr) -> Reply {
        let Self { engine, clerk, output, .. } = self;
        match engine.moment().answer(message, peer, &mut output[..FRAME - 2]) {
            Answered::Reply(octets) => return Reply::One(output[..octets].to_vec()),
            Answered::Silence => return Reply::Silence,
            Answered::Deferred => {}
        }
        match clerk.take(message, peer, engine.transport()) {
            Work::Silence(label) => {
                engine.count(QueryType::None, label);
                Reply::Silence
            }
            Work::Reply(reply, label, qtype) => {
                engine.count(qtype, label);
                Reply::One(reply)
            }
            Work::Transfer(sending, place) => {
                engine.count(QueryType::Transfer, Outcome::Answer);
                Reply::Transfer(sending, place)
            }
        }
    }
}
