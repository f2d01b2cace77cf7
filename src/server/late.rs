//! Deferred datagrams: a bounded queue, and the thread that works through it beside the UDP workers.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::defer::{Clerk, Work};
use super::engine::{Engine, Settled};
use super::watch::{Begun, Ends};
use crate::metrics::{Event, QueryType, Transport};

/// Datagrams that may wait. What comes when it is full is not answered: who has a reason to ask asks again, and a flood of
/// forged signatures ends here.
const WAITING: usize = 256;

/// One datagram that waits for its answer.
pub(super) struct Datagram {
    pub(super) octets: Vec<u8>,
    /// Who asks; not the one that the way back leads to, if that is a proxy.
    pub(super) ends: Ends,
    pub(super) back: Back,
}

/// Sends a reply from where its query came in to where that came from.
pub(super) type Back = Box<dyn FnOnce(&[u8]) -> io::Result<()> + Send>;

/// The way into the queue.
pub(super) type Queue = SyncSender<Datagram>;

/// The other end of the queue.
pub(super) struct Worker {
    queue: Receiver<Datagram>,
    clerk: Arc<Clerk>,
    engine: Engine,
}

impl Worker {
    pub(super) fn new(clerk: Arc<Clerk>, engine: Engine) -> (Queue, Self) {
        let (sender, queue) = sync_channel(WAITING);
        (sender, Self { queue, clerk, engine })
    }

    /// Answers until every other end of the queue is dropped and nothing waits any more.
    pub(super) fn run(self) {
        let Self { queue, clerk, mut engine } = self;
        for Datagram { octets, ends, back } in queue {
            let begun = Begun::now();
            let (reply, label, query_type) = match clerk.take(&octets, ends.client, Transport::Udp) {
                Work::Reply(reply, label, query_type) => (Some(reply), label, query_type),
                Work::Silence(label) => (None, label, QueryType::None),
                Work::Transfer(..) => unreachable!("a datagram is answered by one"),
            };
            let (message, shown) = (&octets[..], reply.as_deref());
            engine.settle(&Settled { message, ends, begun, reply: shown, label, query_type });
            if reply.is_some_and(|reply| back(&reply).is_err()) {
                engine.event(Event::SendFailed, 1);
            }
        }
    }
}
