//! Messages that come alone, as HTTP and QUIC have them.

use tokio::sync::OwnedSemaphorePermit;

use crate::metrics::{Outcome, QueryType};
use crate::server::defer::Work;
use crate::server::desk::{Desk, FRAME};
use crate::server::engine::{Answered, Settled};
use crate::server::watch::{Begun, Ends};
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
    pub(super) fn reply(&mut self, message: &[u8], ends: Ends) -> Reply {
        let Self { engine, clerk, output, .. } = self;
        let transport = engine.transport();
        match engine.moment().answer(message, ends.client, || ends.local, &mut output[..FRAME - 2]) {
            Answered::Reply(octets) => return Reply::One(output[..octets].to_vec()),
            Answered::Silence => return Reply::Silence,
            Answered::Deferred => {}
        }
        let begun = Begun::now();
        let mut settle = |reply: Option<&[u8]>, query_type, label| {
            engine.settle(&Settled { message, ends, begun, reply, label, query_type });
        };
        match clerk.take(message, ends.client, transport) {
            Work::Silence(label) => {
                settle(None, QueryType::None, label);
                Reply::Silence
            }
            Work::Reply(reply, label, qtype) => {
                settle(Some(&reply), qtype, label);
                Reply::One(reply)
            }
            Work::Transfer(sending, place) => {
                settle(None, QueryType::Transfer, Outcome::Answer);
                Reply::Transfer(sending, place)
            }
        }
    }
}
