//! Layer 0: what was asked and what was answered, for whoever writes it down. Passive, as the counters are.
//!
//! ```text
//! worker 1 ──put──► ring ─┐
//! worker 2 ──put──► ring ─┼─ Taps ──drain──► one reader, on a thread of its own
//! worker n ──put──► ring ─┘
//! ```
//!
//! * A worker copies octets into a ring of its own, which is allocated once: no lock, no wait, no line that another worker
//!   writes. What finds the ring full is lost, and counted by the worker.
//! * Which messages are put there is decided by the worker, share by share, before anything is copied.
//! * A ring that nothing is put into takes no memory of the machine.

mod exchange;
mod sampler;

use std::sync::{Mutex, PoisonError};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rtrb::{Consumer, Producer, RingBuffer};

pub use exchange::{Exchange, Purposes};
use exchange::{HEAD, Lengths};
use sampler::Sampler;

/// Octets of one worker's ring: some thousand messages, which a reader that looks every few milliseconds takes in time.
const RING: usize = 2 << 20;

/// The shares of messages, from 0 to 1, that are wanted for each purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// For dnstap.
    pub dnstap: f64,
    /// For the log of queries.
    pub log: f64,
}

impl Shares {
    /// Whether anything is wanted at all.
    #[inline]
    pub fn is_any(self) -> bool {
        self.dnstap > 0.0 || self.log > 0.0
    }
}

/// The rings of all workers, as their reader has them.
#[derive(Debug, Default)]
pub struct Taps(Mutex<Vec<Consumer<u8>>>);

/// One worker's end of its ring.
#[derive(Debug)]
pub struct Tap {
    ring: Producer<u8>,
    rng: SmallRng,
    dnstap: Sampler,
    log: Sampler,
}

/// The ring was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl Taps {
    /// The ring of one more worker.
    pub fn register(&self) -> Tap {
        let (ring, reader) = RingBuffer::new(RING);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        Tap { ring, rng: SmallRng::seed_from_u64(rand::random()), dnstap: Sampler::default(), log: Sampler::default() }
    }

    /// Hands out what was put into the rings until now, ring by ring, and says how many exchanges that were. `scratch` is
    /// where they lie meanwhile.
    pub fn drain(&self, scratch: &mut Vec<u8>, mut take: impl FnMut(&Exchange<'_>)) -> usize {
        let mut taken = 0;
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ring in rings.iter_mut() {
            // What comes meanwhile waits for the next time, so that no ring keeps the reader from the others.
            let mut left = ring.slots();
            while let Some(octets) = next(ring, left, scratch) {
                left -= octets;
                take(&Exchange::read(&scratch[..octets]));
                taken += 1;
            }
        }
        // Workers that have ended leave their rings when these are empty.
        rings.retain(|ring| !(ring.is_abandoned() && ring.is_empty()));
        taken
    }
}

/// Takes the next exchange out of a ring, if it is whole within the next `left` octets, and says its length.
fn next(ring: &mut Consumer<u8>, left: usize, scratch: &mut Vec<u8>) -> Option<usize> {
    let mut head = [0; HEAD];
    if left < HEAD {
        return None;
    }
    let chunk = ring.read_chunk(HEAD).ok()?;
    let (first, second) = chunk.as_slices();
    head[..first.len()].copy_from_slice(first);
    head[first.len()..].copy_from_slice(second);
    let octets = HEAD + Lengths::of(&head).octets();
    if left < octets {
        return None;
    }
    scratch.resize(octets, 0);
    ring.pop_entire_slice(scratch).ok()?;
    Some(octets)
}

impl Tap {
    /// What the next message is wanted for, if for anything.
    #[inline]
    pub fn choose(&mut self, shares: Shares) -> Option<Purposes> {
        let Self { rng, dnstap, log, .. } = self;
        let purposes = Purposes { dnstap: dnstap.takes(shares.dnstap, rng), log: log.takes(shares.log, rng) };
        (purposes.dnstap || purposes.log).then_some(purposes)
    }

    /// Puts an exchange into the ring.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn put(&mut self, exchange: &Exchange<'_>) -> Result<(), Lost> {
        let head = exchange.head();
        if self.ring.slots() < HEAD + Lengths::of(&head).octets() {
            return Err(Lost);
        }
        // Nobody else makes the room less, and the reader takes nothing before it is whole.
        for part in [&head[..], exchange.query, exchange.reply.unwrap_or_default()] {
            self.ring.push_entire_slice(part).map_err(|_| Lost)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::metrics::{Outcome, Transport};

    fn exchange<'m>(query: &'m [u8], reply: Option<&'m [u8]>) -> Exchange<'m> {
        Exchange {
            purposes: Purposes { dnstap: true, log: false },
            transport: Transport::Tls,
            outcome: Outcome::NxDomain,
            client: "[2001:db8::1]:4711".parse().expect("an address"),
            local: "192.0.2.53:853".parse().expect("an address"),
            asked: Duration::new(1_700_000_000, 5),
            took: Duration::from_micros(17),
            query,
            reply,
        }
    }

    #[test]
    fn what_is_put_in_comes_out_in_its_order() {
        let taps = Taps::default();
        let (mut one, mut other) = (taps.register(), taps.register());
        one.put(&exchange(b"one", Some(b"reply"))).expect("room");
        one.put(&exchange(b"two", None)).expect("room");
        other.put(&exchange(b"", Some(&[7; 65_535]))).expect("room");
        drop(one);
        let (mut scratch, mut seen) = (Vec::new(), Vec::new());
        let taken = taps.drain(&mut scratch, |seen_now| {
            let whole = exchange(seen_now.query, seen_now.reply);
            assert_eq!(*seen_now, whole);
            seen.push((seen_now.query.to_vec(), seen_now.reply.map(<[u8]>::len)));
        });
        assert_eq!(taken, 3);
        assert_eq!(seen, [(b"one".to_vec(), Some(5)), (b"two".to_vec(), None), (vec![], Some(65_535))]);
        assert_eq!(taps.drain(&mut scratch, |_| unreachable!("all is taken")), 0);
        assert_eq!(taps.0.lock().expect("nobody panicked").len(), 1, "the ring of the other");
    }

    #[test]
    fn a_full_ring_loses_what_comes_and_keeps_what_is_there() {
        let taps = Taps::default();
        let mut tap = taps.register();
        let mut scratch = Vec::new();
        for round in 0..5 {
            // Of another length each time, so that the end of the ring falls into every part.
            let query = vec![round; 1000 + usize::from(round) * 37];
            let reply = vec![round; 333];
            let mut put = 0;
            while tap.put(&exchange(&query, Some(&reply))).is_ok() {
                put += 1;
            }
            assert!(put > 1000, "{put}");
            let taken = taps.drain(&mut scratch, |seen| {
                assert_eq!((seen.query, seen.reply), (&query[..], Some(&reply[..])));
            });
            assert_eq!(taken, put);
        }
    }

    #[test]
    fn the_shares_are_what_is_chosen() {
        let mut tap = Taps::default().register();
        let mut chosen = [0, 0];
        for _ in 0..100_000 {
            if let Some(purposes) = tap.choose(Shares { dnstap: 1.0, log: 0.01 }) {
                chosen[0] += u32::from(purposes.dnstap);
                chosen[1] += u32::from(purposes.log);
            }
        }
        assert_eq!(chosen[0], 100_000);
        assert!((800..1200).contains(&chosen[1]), "{} of 1000", chosen[1]);
        assert_eq!(tap.choose(Shares::default()), None);
    }
}
