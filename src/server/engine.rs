//! The engine as one worker has it: its view of the snapshot, its randomness and its counters in one place, so that UDP and
//! TCP answer and count alike.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Cache};

use crate::answer::{Client, Dealer, Outcome, answer};
use crate::metrics::{Counters, Event, Outcome as Label, QueryType, Transport};
use crate::snapshot::{Reader, Snapshot};
use crate::wire::{HEADER, Rcode};

/// One worker's engine.
pub(super) struct Engine {
    snapshot: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    dealer: Dealer,
    counters: Arc<Counters>,
    transport: Transport,
}

impl Engine {
    pub(super) fn new(reader: &Reader, counters: Arc<Counters>, transport: Transport) -> Self {
        Self { snapshot: reader.cached(), dealer: Dealer::new(rand::random()), counters, transport }
    }

    /// What the world is now: read once for all the queries that have come together.
    pub(super) fn moment(&mut self) -> Moment<'_> {
        // A clock before 1970 is wrong in any case, and a cookie that it spoils is only asked for anew.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32);
        Moment {
            snapshot: self.snapshot.load(),
            dealer: &mut self.dealer,
            counters: &self.counters,
            transport: self.transport,
            now,
        }
    }

    /// Counts the outcome of a message that was deferred.
    pub(super) fn count(&self, query_type: QueryType, label: Label) {
        self.counters.count(self.transport, query_type, label);
    }

    /// How messages come.
    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// Counts what is no query.
    pub(super) fn event(&self, event: Event, times: u64) {
        self.counters.event(event, times);
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The reply has so many octets.
    Reply(usize),
    /// There is no reply.
    Silence,
    /// A [`Clerk`](super::defer::Clerk) answers, and whoever asks it counts the outcome.
    Deferred,
}

/// One snapshot and one time, for the queries of one batch.
pub(super) struct Moment<'e> {
    snapshot: &'e Snapshot,
    dealer: &'e mut Dealer,
    counters: &'e Counters,
    transport: Transport,
    /// Seconds since 1970, modulo 2³² as cookies count them.
    now: u32,
}

impl Moment<'_> {
    /// Answers one message into `reply` and counts it, as received and, unless it is deferred, by its outcome.
    pub(super) fn answer(&mut self, message: &[u8], peer: SocketAddr, reply: &mut [u8]) -> Answered {
        self.counters.received(self.transport, 1);
        let client = Client { address: peer.ip(), transport: self.transport, now: self.now };
        // Thousands share this worker: a query that meets a fault of ours must not end it for all of them. The snapshot is
        // never written to, and the dealer is cursors and scratch, of which each query makes its own.
        let outcome = catch_unwind(AssertUnwindSafe(|| answer(self.snapshot, message, &client, self.dealer, reply)));
        let (label, query_type, octets) = match outcome {
            Ok(Outcome::Reply { len, label, qtype, truncated, exceeded }) => {
                if exceeded {
                    self.counters.event(Event::RateExceeded, 1);
                }
                if truncated && self.transport == Transport::Udp {
                    self.counters.event(Event::Truncated, 1);
                }
                (label, qtype, Some(len))
            }
            Ok(Outcome::Drop(label)) => (label, QueryType::None, None),
            Ok(Outcome::Defer) => return Answered::Deferred,
            Err(_) => (Label::ServFail, QueryType::None, failure(message, reply)),
        };
        self.counters.count(self.transport, query_type, label);
        octets.map_or(Answered::Silence, Answered::Reply)
    }

    /// Counts a datagram that is none of its proxy's.
    pub(super) fn drop_proxied(&self) {
        self.counters.received(self.transport, 1);
        self.counters.count(self.transport, QueryType::None, Label::DropProxy);
    }

    /// Counts a message that was deferred, and that nobody has time for.
    pub(super) fn drop_deferred(&self) {
        self.counters.count(self.transport, QueryType::None, Label::DropLimit);
    }
}

/// SERVFAIL of a header alone.
fn failure(query: &[u8], reply: &mut [u8]) -> Option<usize> {
    let (asked, header) = (query.get(..HEADER)?, reply.get_mut(..HEADER)?);
    header.fill(0);
    header[..2].copy_from_slice(&asked[..2]);
    header[2] = QR | asked[2] & (OPCODE | RD);
    header[3] = Rcode::SERVFAIL.0 as u8;
    Some(HEADER)
}

/// Bits of the header's third octet (RFC 1035 section 4.1.1).
const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const RD: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_answers_to_the_query_and_says_nothing_else() {
        let mut reply = [0xff; 40];
        let octets = failure(b"\x12\x34\x21\x10\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01", &mut reply);
        assert_eq!(octets, Some(12));
        assert_eq!(reply[..12], *b"\x12\x34\xa1\x02\0\0\0\0\0\0\0\0");
        assert_eq!(failure(b"short", &mut reply), None);
    }
}
