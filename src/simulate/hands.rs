//! Every hand that was ever dealt, and how many clients hold it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::report::Minute;
use super::scenario::Mix;
use crate::pool::Rotation;

/// Hands have numbers; those of old rotations stay, for caches still hold them.
#[derive(Default)]
pub(super) struct Hands {
    /// The members of all hands, as sent, one hand after the other.
    seats: Vec<u32>,
    hands: Vec<Hand>,
    /// Clients that hold each hand now.
    held: Vec<u64>,
    /// Client seconds of each hand since they were last settled.
    seconds: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Hand {
    /// Where its seats start.
    start: u32,
    /// How many there are.
    size: u32,
    /// Seconds.
    ttl: u32,
}

impl Hands {
    /// Adds the hands of `rotation` and returns its lap, as numbers of hands.
    pub(super) fn add(&mut self, rotation: &Rotation, index: impl Fn(IpAddr) -> u32) -> Vec<u32> {
        let ttls: HashMap<u32, u32> =
            rotation.members().iter().map(|member| (index(member.address), member.ttl)).collect();
        let mut numbers: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut lap = Vec::with_capacity(rotation.len());
        for dealt in rotation.lap() {
            let seats: Vec<u32> = rotation.addresses(dealt.records).map(&index).collect();
            let number = match numbers.get(&seats) {
                Some(number) => *number,
                None => {
                    let ttl = seats.iter().map(|seat| ttls[seat]).min().unwrap_or(0);
                    let number = self.push(&seats, ttl);
                    numbers.insert(seats, number);
                    number
                }
            };
            lap.push(number);
        }
        lap
    }

    fn push(&mut self, seats: &[u32], ttl: u32) -> u32 {
        let number = |count: usize| u32::try_from(count).expect("fewer than 2^32 seats");
        self.hands.push(Hand { start: number(self.seats.len()), size: number(seats.len()), ttl });
        self.seats.extend_from_slice(seats);
        self.held.push(0);
        self.seconds.push(0);
        number(self.hands.len() - 1)
    }

    pub(super) fn ttl(&self, hand: u32) -> u32 {
        self.hands[hand as usize].ttl
    }

    pub(super) fn take(&mut self, hand: u32, clients: u32) {
        self.held[hand as usize] += u64::from(clients);
    }

    pub(super) fn let_go(&mut self, hand: u32, clients: u32) {
        self.held[hand as usize] -= u64::from(clients);
    }

    /// Clients that hold `hand` now.
    pub(super) fn held(&self, hand: u32) -> u64 {
        self.held[hand as usize]
    }

    /// A second passes.
    pub(super) fn second(&mut self) {
        self.seconds.iter_mut().zip(&self.held).for_each(|(seconds, held)| *seconds += held);
    }

    /// Books the client seconds since the last time: on whom they try first, and on whom they end.
    pub(super) fn settle(&mut self, mix: &Mix, is_alive: impl Fn(u32) -> bool, minute: &mut Minute) {
        let mut living = Vec::new();
        for (hand, seconds) in self.hands.iter().zip(&mut self.seconds).filter(|(_, seconds)| **seconds > 0) {
            let clients = std::mem::take(seconds) as f64;
            let seats = &self.seats[hand.start as usize..][..hand.size as usize];
            split(seats, mix, |seat, share| minute.tried[seat as usize] += clients * share);
            living.clear();
            living.extend(seats.iter().copied().filter(|seat| is_alive(*seat)));
            match living.is_empty() {
                true => minute.lost += clients,
                false => split(&living, mix, |seat, share| minute.served[seat as usize] += clients * share),
            }
        }
    }

    /// The hands that `member` sits in, each with the share of its holders that try this member first.
    pub(super) fn of_member(&self, member: u32, mix: &Mix) -> Vec<(u32, f64)> {
        let mut found = Vec::new();
        for (number, hand) in (0..).zip(&self.hands) {
            let seats = &self.seats[hand.start as usize..][..hand.size as usize];
            if seats.contains(&member) {
                let mut mine = 0.0;
                split(seats, mix, |seat, share| mine += if seat == member { share } else { 0.0 });
                found.push((number, mine));
            }
        }
        found
    }
}

/// Tells `give` which share of the clients of a hand goes to which seat. Members are numbered in address order.
fn split(seats: &[u32], mix: &Mix, mut give: impl FnMut(u32, f64)) {
    let [lowest, highest, first, any] = mix.shares();
    let (Some(least), Some(most)) = (seats.iter().min(), seats.iter().max()) else { return };
    give(*least, lowest);
    give(*most, highest);
    give(seats[0], first);
    let any = any / seats.len() as f64;
    seats.iter().for_each(|seat| give(*seat, any));
}
