//! The least ceilings under which hands exist.
//!
//! | what | how much is given away for variety |
//! |---|---|
//! | k = 1 | nothing: there are n hands |
//! | equal weights, n < 3k | nothing: the windows, exactly n/(n-k+1) |
//! | equal weights, n ≥ 3k | 0.1 %: a few hands of small pools and most hands of pools beyond a thousand are no windows |
//! | weights | 0.5 % |
//!
//! What a tolerance buys grows with n: it lets highest - lowest grow by about (n-k+1) times itself.

use super::flow::{Ceilings, Order, Plan, plan};
use super::{MOST_HANDS_OCTETS, RECORD_OCTETS};
use crate::pool::sites::Group;

/// One group of members, with what hands need.
#[derive(Clone, Debug)]
pub(super) struct Game<'a> {
    /// Shares, with sum 1.
    shares: Vec<f64>,
    total: f64,
    size: usize,
    blocks: &'a [usize],
    value: f64,
}

/// The ceilings of the members, as multiples of their fair shares.
#[derive(Clone, Copy, Debug)]
struct Factors {
    lowest: f64,
    highest: f64,
    whole: f64,
}

impl<'a> Game<'a> {
    /// The group's game; `weights` are above 0.
    pub(super) fn new(weights: &[f64], size: usize, group: &'a Group) -> Self {
        let total: f64 = weights.iter().sum();
        let shares = weights.iter().map(|weight| weight / total).collect();
        let mut game = Self { shares, total, size: size.min(weights.len()), blocks: &group.blocks, value: 1.0 };
        game.value = game.windows().unwrap_or_else(|| game.least(FLUID, FINE, Factors::all));
        game
    }

    /// The sum of the weights.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// The worst overload that hands of this group alone have.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// How many slots a ring needs, so that rounding to whole slots costs less than the tolerance.
    pub(super) fn slots(&self) -> u64 {
        let plain = (MOST_SLOTS / self.starts()).clamp(1, COPIES) * self.starts();
        if self.windows().is_some() {
            return plain;
        }
        let room = if self.mixes_in_memory() { MOST_SLOTS } else { (MOST_HANDS_OCTETS / self.octets()) as u64 };
        let room = room.max(self.starts());
        // A member of little weight needs a long lap to have its one hand in without too much of it.
        let least = self.shares.iter().copied().fold(f64::INFINITY, f64::min);
        let once = (1.0 / (self.value * least)).ceil() as u64;
        let mut slots = plain.max(once).min(room);
        while slots < room && self.least(slots, COARSE, Factors::all) > self.value * ROUNDING {
            slots = (slots * 2).min(room);
        }
        slots
    }

    /// Octets of a hand's records.
    fn octets(&self) -> usize {
        2 * self.size * RECORD_OCTETS
    }

    /// A sweep splits a bundle for each member and seat at most. Whether so many different hands are too many.
    fn mixes_in_memory(&self) -> bool {
        self.shares.len() * self.size * self.octets() <= MOST_HANDS_OCTETS
    }

    /// How many members can be the lowest of a hand.
    fn starts(&self) -> u64 {
        (self.shares.len() - self.size + 1) as u64
    }

    /// The value when all are alike and may all meet: that of the windows of neighbours.
    fn windows(&self) -> Option<f64> {
        let alone = self.blocks.len() == self.blocks.last().map_or(0, |last| last + 1);
        let equal = self.shares.iter().all(|share| (share / self.shares[0] - 1.0).abs() < 1e-9);
        (alone && equal).then(|| self.shares.len() as f64 / self.starts() as f64)
    }

    /// The plan for `hands` hands: the least worst overload, then the least for each kind of client by itself, and then
    /// the tolerance spent on variety.
    pub(super) fn plan(&self, hands: u64) -> Plan {
        let value = match self.windows() {
            Some(value) if hands.is_multiple_of(self.starts()) => value,
            _ => self.least(hands, FINE, Factors::all),
        };
        let mut tight = Factors::all(value);
        if self.windows().is_none() {
            tight.whole = self.least(hands, COARSE, |whole| Factors { whole, ..tight }).min(value);
            tight.highest = self.least(hands, COARSE, |highest| Factors { highest, ..tight }).min(value);
            tight.lowest = self.least(hands, COARSE, |lowest| Factors { lowest, ..tight }).min(value);
        }
        let tolerance = self.tolerance();
        let loose = [tight, Factors { whole: value, ..tight }, Factors::all(value)];
        loose
            .iter()
            .filter(|_| tolerance > 1.0)
            .find_map(|factors| self.attempt(hands, factors.times(tolerance), &LOOSE))
            .or_else(|| self.attempt(hands, tight, &EAGER))
            .or_else(|| self.attempt(hands, Factors::all(value), &EAGER))
            .expect("the least value has been had")
    }

    fn tolerance(&self) -> f64 {
        match self.windows() {
            _ if self.size == 1 => 1.0,
            Some(_) if self.shares.len() < 3 * self.size || !self.mixes_in_memory() => 1.0,
            Some(_) => 1.001,
            None => 1.005,
        }
    }

    /// The least argument for which hands exist under `factors`, to one part in 1/`grain`.
    fn least(&self, hands: u64, grain: f64, factors: impl Fn(f64) -> Factors) -> f64 {
        let works = |value: f64| self.attempt(hands, factors(value), &EAGER).is_some();
        let (mut low, mut high) = (1.0, 2.0);
        if works(low) {
            return low;
        }
        while !works(high) && high < MOST_VALUE {
            (low, high) = (high, high * 2.0);
        }
        while high / low > 1.0 + grain {
            let middle = f64::sqrt(low * high);
            if works(middle) { high = middle } else { low = middle }
        }
        high
    }

    /// A plan under `factors` by the first of the orders that finds one, sweeping upwards or downwards.
    fn attempt(&self, hands: u64, factors: Factors, orders: &[Order]) -> Option<Plan> {
        let upwards = self.ceilings(hands, factors);
        let downwards = upwards.mirrored();
        let down = |order| plan(&downwards, order).map(Plan::mirrored);
        orders.iter().find_map(|order| plan(&upwards, *order).or_else(|| down(*order)))
    }

    fn ceilings(&self, hands: u64, factors: Factors) -> Ceilings {
        let ceiling = |factor: f64| {
            // Everyone has its hand in a lap, be its weight ever so small.
            let count = |share: &f64| ((share * factor * hands as f64 * (1.0 + 1e-9)) as u64).clamp(1, hands);
            self.shares.iter().map(count).collect::<Vec<u64>>()
        };
        Ceilings {
            hands,
            size: self.size,
            lowest: ceiling(factors.lowest),
            highest: ceiling(factors.highest),
            whole: ceiling(factors.whole * self.size as f64),
            reserve: self.shares.iter().map(|share| ((share * hands as f64 * RESERVE) as u64).max(1)).collect(),
            blocks: self.blocks.to_vec(),
        }
    }
}

impl Factors {
    fn all(value: f64) -> Self {
        Self { lowest: value, highest: value, whole: value }
    }

    fn times(self, factor: f64) -> Self {
        Self { lowest: self.lowest * factor, highest: self.highest * factor, whole: self.whole * factor }
    }
}

/// Neither order wins always. With both, and both directions, the rings of 470 random cases, weights of 0.01 to 100 among
/// them, miss the optimum of a linear program by 1.7 % at worst, and by the tolerance in half of them.
const EAGER: [Order; 2] = [Order::Early, Order::Late];
/// From what mixes most to what is nearly always possible.
const LOOSE: [Order; 5] = [Order::Waiting, Order::Loose(1), Order::Loose(2), Order::Loose(3), Order::Loose(5)];
/// The part of its fair share that every member has at least, as far as hands come by.
const RESERVE: f64 = 0.5;
/// So many hands that rounding does not show.
const FLUID: u64 = 1 << 40;
/// Steps of the value that is promised, and of what is only nice to have.
const FINE: f64 = 1e-6;
const COARSE: f64 = 1e-3;
/// A member of weight 0.01 among thousands of weight 100 is far below this.
const MOST_VALUE: f64 = 1e12;
/// Slots for each member that can be the lowest: one more or less is a thousandth.
const COPIES: u64 = 1_000;
/// What rounding may add to the value.
const ROUNDING: f64 = 1.003;
/// 8 MiB of slots.
const MOST_SLOTS: u64 = 2 << 20;
