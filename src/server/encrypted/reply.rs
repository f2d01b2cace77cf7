//! Messages that come alone, as HTTP and QUIC have them.

use std::net::SocketAddr;

use tokio::sync::OwnedSemaphorePermit;

use crate::metrics::{Outcome, QueryType};
use crate::server::defer::Work;
use crate::server::desk::{Desk, FRAME};
use crate::server::engine::Answered;
use crate::transfer::send::Sending;

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
