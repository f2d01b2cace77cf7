//! The engine as one worker has it: its view of the snapshot, its randomness and its counters in one place, so that UDP and
//! TCP answer and count alike.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Cache};
use tokio::sync::watch::Receiver;

use super::watch::{self, Begun, Ends};
use crate::answer::{Client, Dealer, Outcome, answer};
use crate::metrics::{ConnectionEvent, Counters, Event, Outcome as Label, QueryType, Registry, Transport};
use crate::snapshot::{Reader, Snapshot};
use crate::tap::{Shares, Tap, Taps};
use crate::wire::{HEADER, Rcode};

/// One worker's engine.
pub(super) struct Engine {
    reader: Reader,
    /// None while nothing is asked.
    snapshot: Option<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    dealer: Dealer,
    counters: Arc<Counters>,
    tap: Tap,
    transport: Transport,
    /// Moments so far.
    moments: u32,
}

/// One moment of so many is timed: reading the clock twice then costs less than a nanosecond a query.
const TIMED: u32 = 32;

/// What all workers are made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) reader: &'a Reader,
    pub(super) registry: &'a Registry,
    pub(super) taps: &'a Taps,
}

impl Parts<'_> {
    /// The engine of one more worker.
    pub(super) fn engine(self, transport: Transport) -> Engine {
        let (reader, counters, tap) = (self.reader.clone(), self.registry.register(), self.taps.register());
        let dealer = Dealer::walking(reader.steps(rand::random()));
        Engine { reader, snapshot: None, dealer, counters, tap, transport, moments: 0 }
    }
}

impl Engine {
    /// What the world is now: read once for all the queries that have come together.
    pub(super) fn moment(&mut self) -> Moment<'_> {
        // A clock before 1970 is wrong in any case, and a cookie that it spoils is only asked for anew.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32);
        let snapshot = self.snapshot.get_or_insert_with(|| self.reader.cached()).load();
        let shares = watch::shares(&snapshot.settings);
        let is_timed = self.moments.is_multiple_of(TIMED);
        self.moments = self.moments.wrapping_add(1);
        Moment {
            begun: is_timed.then(Instant::now),
            answered: 0,
            snapshot,
            dealer: &mut self.dealer,
            counters: &self.counters,
            transport: self.transport,
            watch: shares.is_any().then(|| (shares, Begun::now(), &mut self.tap)),
            now,
        }
    }

    /// What it counts in.
    #[cfg(all(target_os = "linux", not(without_batch)))]
    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Lets go of the snapshot until the next query.
    pub(super) fn rest(&mut self) {
        self.snapshot = None;
    }

    /// Tells when there is a snapshot that [`Engine::moment`] has not seen.
    pub(super) fn generations(&self) -> Receiver<u64> {
        self.reader.generations()
    }

    /// Counts the outcome of a message that was deferred, and shows it.
    pub(super) fn settle(&mut self, settled: &Settled<'_>) {
        let Settled { message, ends, begun, reply, label, query_type } = *settled;
        self.counters.count(self.transport, query_type, label);
        let shares = watch::shares(&self.snapshot.get_or_insert_with(|| self.reader.cached()).load().settings);
        if shares.is_any() {
            let outcome = (self.transport, label);
            watch::show(&mut self.tap, (shares, begun, &self.counters), outcome, ends, (message, reply));
        }
    }

    /// How messages come.
    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// Counts what happened to a connection.
    pub(super) fn connection(&self, event: ConnectionEvent) {
        self.counters.connection(self.transport, event);
    }

    /// Counts what is no query.
    pub(super) fn event(&self, event: Event, times: u64) {
        self.counters.event(event, times);
    }
}

/// A message that was deferred, and what became of it.
pub(super) struct Settled<'m> {
    pub(super) message: &'m [u8],
    pub(super) ends: Ends,
    /// When somebody took it on.
    pub(super) begun: Begun,
    /// None if there is none, or if there are many.
    pub(super) reply: Option<&'m [u8]>,
    pub(super) label: Label,
    pub(super) query_type: QueryType,
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
    counters: &'e Arc<Counters>,
    transport: Transport,
    /// Where what is answered is shown, and what part of it; `None` if nobody wants to see it.
    watch: Option<(Shares, Begun, &'e mut Tap)>,
    /// Seconds since 1970, modulo 2³² as cookies count them.
    now: u32,
    /// When it began, if it is timed.
    begun: Option<Instant>,
    /// Messages so far.
    answered: u32,
}

impl Moment<'_> {
    /// Answers one message into `reply` and counts it, as received and, unless it is deferred, by its outcome. It came to
    /// `local`.
    pub(super) fn answer(
        &mut self,
        message: &[u8],
        peer: &SocketAddr,
        local: impl FnOnce() -> SocketAddr,
        reply: &mut [u8],
    ) -> Answered {
        self.counters.received(self.transport, 1);
        self.answered += 1;
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
        if let Some((shares, begun, tap)) = &mut self.watch {
            let ends = Ends { client: *peer, local: local() };
            let shown = (message, octets.map(|octets| &reply[..octets]));
            watch::show(tap, (*shares, *begun, self.counters), (self.transport, label), ends, shown);
        }
        octets.map_or(Answered::Silence, Answered::Reply)
    }

    /// Looks ahead to what the next messages will be answered with.
    #[cfg(any(feature = "encrypted", all(target_os = "linux", not(without_batch))))]
    pub(super) fn foresee<'m>(&mut self, messages: impl Iterator<Item = &'m [u8]>) {
        // A fault in it is met again by the message itself, and counted there.
        let _ = catch_unwind(AssertUnwindSafe(|| crate::answer::foresee(self.snapshot, messages, self.dealer)));
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

/// Each message of a moment has waited until its end, when the replies have been sent.
impl Drop for Moment<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun.filter(|_| self.answered > 0) {
            self.counters.took(self.transport, begun.elapsed(), self.answered);
        }
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
