//! When the last lawful copy of a member is gone from caches.
//!
//! ```text
//! handed out, TTL 30 … ──left at──┬── BATCH ──┬──────── TTL ────────┬ gone
//!                                 │ a worker may still answer       │ a copy of that answer may still live
//!                                 └ from the generation before      └ in a resolver that keeps to the TTL
//! ```
//!
//! A member may leave, come back and leave again, with a lower TTL in between: the copies of each time count, and the
//! last of them to go decides.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Moment;
use crate::wire::Name;

/// A worker reads the snapshot's pointer once a batch of at most some dozens of packets, and answers all of it from what it
/// read: milliseconds. Ten batches of a thread that waits for a crowded core fit into this.
const BATCH: Duration = Duration::from_secs(1);

/// Old answers that may live in caches, for each member that has left the hands.
#[derive(Debug, Default)]
pub struct Clock(HashMap<(Name, IpAddr), Copies>);

/// What is known of the copies of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// When it was handed out last.
    pub last: Instant,
    /// The largest TTL, in seconds, among the copies that may have lived then.
    pub ttl: u32,
    /// When the last lawful copy is gone.
    pub gone: Instant,
}

/// [`Copies`] as they outlive the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The owner of the pool.
    pub pool: String,
    /// The member.
    pub address: IpAddr,
    /// When it was handed out last.
    pub last_handed_out: Timestamp,
    /// The largest TTL in seconds.
    pub largest_ttl: u32,
    /// When the last lawful copy is gone.
    pub gone: Timestamp,
}

impl Clock {
    /// `address` was handed out until `now` with a TTL of `ttl` seconds, and is so no more, or with a lower one.
    pub fn leaves(&mut self, pool: &Name, address: IpAddr, ttl: u32, now: Instant) {
        let gone = now + BATCH + Duration::from_secs(ttl.into());
        let copies = self.0.entry((pool.clone(), address)).or_insert(Copies { last: now, ttl, gone });
        let largest = if copies.gone > now { copies.ttl.max(ttl) } else { ttl };
        *copies = Copies { last: now, ttl: largest, gone: copies.gone.max(gone) };
    }

    /// The copies of a member that has left the hands at least once, unless they are gone and forgotten.
    pub fn copies(&self, pool: &Name, address: IpAddr) -> Option<Copies> {
        self.0.get(&(pool.clone(), address)).copied()
    }

    /// All members of which something is known.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, IpAddr, &Copies)> {
        self.0.iter().map(|((pool, address), copies)| (pool, *address, copies))
    }

    /// Forgets copies that are gone, but for those of members that are still of interest.
    pub fn forget(&mut self, now: Instant, of_interest: impl Fn(&Name, IpAddr) -> bool) {
        self.0.retain(|(pool, address), copies| copies.gone > now || of_interest(pool, *address));
    }

    /// Takes over what an earlier process knew; what is known here already is kept.
    pub fn restore(&mut self, kept: &[Kept], now: &Moment) {
        for one in kept {
            let Ok(pool) = Name::from_text(one.pool.as_bytes()) else { continue };
            let most = BATCH + Duration::from_secs(one.largest_ttl.into());
            let copies = Copies {
                last: now.steady_at(one.last_handed_out, Duration::ZERO),
                ttl: one.largest_ttl,
                gone: now.steady_at(one.gone, most),
            };
            self.0.entry((pool.to_lower(), one.address)).or_insert(copies);
        }
    }
}

impl Copies {
    /// As they outlive the process.
    pub fn keep(&self, pool: &Name, address: IpAddr, now: &Moment) -> Kept {
        Kept {
            pool: pool.to_string(),
            address,
            last_handed_out: now.wall_at(self.last),
            largest_ttl: self.ttl,
            gone: now.wall_at(self.gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Name {
        Name::from_text(b"www.a.test").expect("a name")
    }

    const MEMBER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    /// Plays `(second, ttl)` departures, and says the seconds of the last hand, the largest TTL, and the end.
    fn played(departures: &[(u64, u32)]) -> (u64, u32, u64) {
        let (mut clock, start) = (Clock::default(), Instant::now());
        for (second, ttl) in departures {
            clock.leaves(&pool(), MEMBER, *ttl, start + Duration::from_secs(*second));
        }
        let copies = clock.copies(&pool(), MEMBER).expect("it has left");
        let second = |at: Instant| at.duration_since(start).as_secs();
        (second(copies.last), copies.ttl, second(copies.gone))
    }

    #[test]
    fn the_last_copy_to_go_decides() {
        assert_eq!(played(&[(0, 30)]), (0, 30, 31));
        assert_eq!(played(&[(0, 30), (10, 5)]), (10, 30, 31), "the TTL fell before it left");
        assert_eq!(played(&[(0, 30), (28, 5)]), (28, 30, 34));
        assert_eq!(played(&[(0, 30), (100, 5)]), (100, 5, 106), "copies of the first time were gone by then");
        assert_eq!(played(&[(0, 5), (3, 60)]), (3, 60, 64), "it came back, with a larger TTL");
        assert_eq!(played(&[(0, 0)]), (0, 0, 1), "even what may not be cached is on its way");
    }

    #[test]
    fn what_is_gone_is_forgotten_but_of_those_who_matter() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        clock.leaves(&pool(), MEMBER, 30, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        clock.forget(after(30), |_, _| false);
        assert!(clock.copies(&pool(), MEMBER).is_some(), "a copy may live");
        clock.forget(after(31), |_, address| address == MEMBER);
        assert!(clock.copies(&pool(), MEMBER).is_some(), "somebody asks");
        clock.forget(after(31), |_, _| false);
        assert!(clock.copies(&pool(), MEMBER).is_none());
    }

    #[test]
    fn the_next_process_goes_on_counting() {
        let mut clock = Clock::default();
        let now = Moment { steady: Instant::now(), wall: Timestamp::now() };
        clock.leaves(&pool(), MEMBER, 30, now.steady);
        let kept = clock.copies(&pool(), MEMBER).expect("it has left").keep(&pool(), MEMBER, &now);
        let later = |seconds: i64| Moment {
            steady: now.steady + Duration::from_secs(100),
            wall: now.wall + jiff::SignedDuration::from_secs(seconds),
        };
        let gone_in = |at: Moment| {
            let mut next = Clock::default();
            next.restore(std::slice::from_ref(&kept), &at);
            next.copies(&pool(), MEMBER).expect("restored").gone.saturating_duration_since(at.steady).as_secs()
        };
        assert_eq!(gone_in(later(10)), 21);
        assert_eq!(gone_in(later(50)), 0);
        assert_eq!(gone_in(later(-86_400)), 31, "a clock that was set back by a day does not make it wait a day");
    }
}
