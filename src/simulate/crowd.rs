//! The resolvers, on a wheel of seconds.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::hands::Hands;
use super::scenario::Audience;
use crate::pool::Spread;

/// Every resolver waits in the list of the second in which its answer runs out or its next question comes.
///
/// ```text
/// wheel      [ - | 4 | - | 0 | … ]     the first of each second's list
///                  │       └─► resolvers[0].next = 7 ─► end
///                  └─► resolvers[4].next = 2 ─► end
/// ```
pub(super) struct Crowd {
    resolvers: Vec<Resolver>,
    wheel: Vec<u32>,
    rng: SmallRng,
    /// Mean seconds between two questions of one client.
    pause: f64,
    lap: Vec<u32>,
    cursor: usize,
    /// Whether a resolver gets the same slot each time.
    affinity: bool,
    /// Clients of the resolvers that have arrived.
    present: u64,
    /// Those among them without an answer.
    idle: u64,
    answers: u64,
}

/// 16 octets, for there are millions.
struct Resolver {
    clients: u32,
    /// The hand that it holds, or `ABSENT` or `EMPTY`.
    hand: u32,
    /// How many times the TTL it keeps an answer.
    stretch: f32,
    /// The next of the same second.
    next: u32,
}

impl Crowd {
    /// The audience of a pool with this `ttl`, for so many `seconds`.
    pub(super) fn new(audience: &Audience, ttl: u32, seconds: u32, seed: u64) -> Self {
        let mut crowd = Self {
            resolvers: Vec::with_capacity(audience.resolvers as usize),
            wheel: vec![END; seconds as usize],
            rng: SmallRng::seed_from_u64(seed),
            pause: audience.pause,
            lap: Vec::new(),
            cursor: 0,
            affinity: false,
            present: 0,
            idle: 0,
            answers: 0,
        };
        // A habit of the cache: every length from the TTL to a day is as likely as its double.
        let longest = f64::from(DAY) / f64::from(ttl.clamp(1, DAY));
        for rank in 1..=audience.resolvers {
            let clients = (f64::from(audience.resolvers) / f64::from(rank)).powf(audience.zipf).round();
            // Both are drawn for everyone, so that a greater share of stretchers holds the smaller one.
            let (draw, habit) = (crowd.rng.random::<f64>(), crowd.rng.random::<f64>());
            let stretch = if draw < audience.stretch { longest.powf(habit) } else { 1.0 };
            crowd.resolvers.push(Resolver {
                clients: clients as u32,
                hand: ABSENT,
                stretch: stretch as f32,
                next: END,
            });
            let arrival = crowd.rng.random_range(0..audience.ramp.max(1));
            crowd.wait(rank - 1, arrival);
        }
        crowd.cursor = crowd.rng.random_range(0..usize::MAX / 2);
        crowd
    }

    /// From now on, hands come from this lap.
    pub(super) fn deal(&mut self, lap: Vec<u32>, spread: Spread) {
        self.affinity = spread == Spread::Affinity;
        self.lap = lap;
    }

    /// Everyone whose moment is in `second` lets go of a hand that ran out, and asks if a client does.
    pub(super) fn second(&mut self, second: u32, hands: &mut Hands) {
        let mut next = std::mem::replace(&mut self.wheel[second as usize], END);
        while next != END {
            let id = next;
            let resolver = &self.resolvers[id as usize];
            let (clients, hand) = (resolver.clients, resolver.hand);
            next = resolver.next;
            let silence = match hand {
                ABSENT => {
                    self.present += u64::from(clients);
                    0
                }
                EMPTY => {
                    self.idle -= u64::from(clients);
                    0
                }
                held => {
                    hands.let_go(held, clients);
                    self.silence(clients)
                }
            };
            match silence {
                0 => self.ask(id, second, hands),
                seconds => self.rest(id, second.saturating_add(seconds)),
            }
        }
    }

    /// Seconds until one of so many clients asks again.
    fn silence(&mut self, clients: u32) -> u32 {
        let draw: f64 = self.rng.random();
        (-(1.0 - draw).ln() * self.pause / f64::from(clients)) as u32
    }

    fn ask(&mut self, id: u32, second: u32, hands: &mut Hands) {
        let Some(hand) = self.next_hand(id) else {
            return self.rest(id, second.saturating_add(RETRY));
        };
        self.answers += 1;
        let resolver = &mut self.resolvers[id as usize];
        resolver.hand = hand;
        hands.take(hand, resolver.clients);
        // What may not be cached is used for the second in which it came.
        let ttl = hands.ttl(hand).max(1);
        let hold = (ttl as f32 * resolver.stretch) as u32;
        self.wait(id, second.saturating_add(hold));
    }

    fn next_hand(&mut self, id: u32) -> Option<u32> {
        if self.affinity {
            // Fibonacci hashing spreads numbers that follow one another over all slots.
            let hash = u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let slot = (u128::from(hash) * self.lap.len() as u128) >> 64;
            return self.lap.get(slot as usize).copied();
        }
        self.cursor = self.cursor.wrapping_add(1);
        self.lap.get(self.cursor.checked_rem(self.lap.len())?).copied()
    }

    /// Without an answer until then.
    fn rest(&mut self, id: u32, until: u32) {
        let resolver = &mut self.resolvers[id as usize];
        resolver.hand = EMPTY;
        self.idle += u64::from(resolver.clients);
        self.wait(id, until);
    }

    /// What lies beyond the end is not waited for.
    fn wait(&mut self, id: u32, until: u32) {
        if let Some(first) = self.wheel.get_mut(until as usize) {
            self.resolvers[id as usize].next = std::mem::replace(first, id);
        }
    }

    pub(super) fn present(&self) -> u64 {
        self.present
    }

    pub(super) fn idle(&self) -> u64 {
        self.idle
    }

    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// The clients of the first resolver, of which Zipf's law gives it the most.
    pub(super) fn largest(&self) -> u32 {
        self.resolvers.first().map_or(0, |resolver| resolver.clients)
    }

    pub(super) fn clients(&self) -> u64 {
        self.resolvers.iter().map(|resolver| u64::from(resolver.clients)).sum()
    }
}

/// The end of a list.
const END: u32 = u32::MAX;
/// Not arrived yet.
const ABSENT: u32 = u32::MAX;
/// Arrived, and without an answer.
const EMPTY: u32 = u32::MAX - 1;
/// Seconds: no cache that was measured keeps an answer longer unless its TTL says so.
const DAY: u32 = 86_400;
/// Seconds after which an answer without addresses is asked for again.
const RETRY: u32 = 5;
