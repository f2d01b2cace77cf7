//! Messages that are answered one by one, as HTTP, QUIC and the portable door have them.

use tokio::sync::OwnedSemaphorePermit;

use super::defer::Work;
use super::desk::Desk;
#[cfg(feature = "encrypted")]
use super::desk::FRAME;
#[cfg(feature = "encrypted")]
use super::engine::Answered;
use super::engine::Settled;
use super::watch::{Begun, Ends};
use crate::metrics::{Outcome, QueryType};
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
    #[cfg(feature = "encrypted")]
    pub(super) fn reply(&mut self, message: &[u8], ends: Ends) -> Reply {
        let Self { engine, output, .. } = self;
        let answered = engine.moment().answer(message, &ends.client, || ends.local, &mut output[..FRAME - 2]);
        match answered {
            Answered::Reply(octets) => Reply::One(output[..octets].to_vec()),
            Answered::Silence => Reply::Silence,
            Answered::Deferred => self.reply_deferred(message, ends),
        }
    }

    /// The same for a message that the engine has deferred.
    pub(super) fn reply_deferred(&mut self, message: &[u8], ends: Ends) -> Reply {
        let Self { engine, clerk, .. } = self;
        let transport = engine.transport();
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
