//! Deferred datagrams: a bounded queue, and the thread that works through it beside the UDP workers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use socket2::Socket;

use super::batch::Way;
use super::defer::{Clerk, Work};
use crate::metrics::{Counters, Event, QueryType, Transport};

/// Datagrams that may wait. What comes when it is full is not answered: who has a reason to ask asks again, and a flood of
/// forged signatures ends here.
const WAITING: usize = 256;

/// One datagram that waits for its answer.
pub(super) struct Datagram {
    pub(super) octets: Vec<u8>,
    /// Who asks; not the one at the end of the way, if that is a proxy.
    pub(super) client: SocketAddr,
    pub(super) way: Way,
    /// Where it came in.
    pub(super) socket: Arc<Socket>,
}

/// The way into the queue.
pub(super) type Queue = SyncSender<Datagram>;

/// The other end of the queue.
pub(super) struct Worker {
    queue: Receiver<Datagram>,
    clerk: Arc<Clerk>,
    counters: Arc<Counters>,
}

impl Worker {
    pub(super) fn new(clerk: Arc<Clerk>, counters: Arc<Counters>) -> (Queue, Self) {
        let (sender, queue) = sync_channel(WAITING);
        (sender, Self { queue, clerk, counters })
    }

    /// Answers until every other end of the queue is dropped and nothing waits any more.
    pub(super) fn run(self) {
        for Datagram { octets, client, way, socket } in self.queue {
            let (reply, label, qtype) = match self.clerk.take(&octets, client, Transport::Udp) {
                Work::Reply(reply, label, qtype) => (Some(reply), label, qtype),
                Work::Silence(label) => (None, label, QueryType::None),
                Work::Transfer(..) => unreachable!("a datagram is answered by one"),
            };
            self.counters.count(Transport::Udp, qtype, label);
            if reply.is_some_and(|reply| way.send(&reply, &socket).is_err()) {
                self.counters.event(Event::SendFailed, 1);
            }
        }
    }
}
