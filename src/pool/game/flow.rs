//! How many hands take which member at which seat, under a ceiling for every member: one sweep, and no search.
//!
//! The hands of a ring are `hands` tokens that travel past the members in address order and take `size` of them each. A
//! token in front of member i has some seats filled; tokens with equally many are alike, so only their numbers matter:
//!
//! ```text
//! member        1      2      3      4   …      each takes at most `lowest` tokens as their first seat,
//! seat 1    ──▶ ▓▓▓    ▓▓▓    ▓▓▓    ▓▓         at most `highest` as their last,
//! seat 2           ──▶ ▓▓▓    ▓▓▓    ▓▓▓        at most `whole` in all,
//! seat 3                  ──▶ ▓▓     ▓▓▓        and only tokens that were ready when its block began
//! ```
//!
//! A token that waits too long cannot finish, because the members that are left can take only so many last seats. That
//! gives each seat a deadline. The sweep serves deadlines first and then, as its [`Order`] says, more. Nor may hands be
//! full too early: the last members would be in none of them.

use crate::processor;

/// What is asked of the hands of a ring.
#[derive(Clone, Debug)]
pub(super) struct Ceilings {
    /// How many hands there are.
    pub(super) hands: u64,
    /// Members of a hand.
    pub(super) size: usize,
    /// For each member, in how many hands it may be the lowest.
    pub(super) lowest: Vec<u64>,
    /// In how many hands it may be the highest.
    pub(super) highest: Vec<u64>,
    /// In how many hands it may be at all.
    pub(super) whole: Vec<u64>,
    /// How many hands, still short of their last seat, must come past the members before it for the sake of each member.
    pub(super) reserve: Vec<u64>,
    /// For each member the number of its block, ascending from 0. No hand takes two members of one block.
    pub(super) blocks: Vec<usize>,
}

impl Ceilings {
    /// The same ceilings with the members in the opposite order.
    pub(super) fn mirrored(&self) -> Self {
        let turned = |counts: &[u64]| counts.iter().rev().copied().collect();
        let last = self.blocks.last().copied().unwrap_or(0);
        Self {
            hands: self.hands,
            size: self.size,
            lowest: turned(&self.highest),
            highest: turned(&self.lowest),
            whole: turned(&self.whole),
            reserve: turned(&self.reserve),
            blocks: self.blocks.iter().rev().map(|block| last - block).collect(),
        }
    }
}

/// Who goes on beyond the deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Every token that can, those with the fewest seats filled first.
    Early,
    /// Every token that can, those with the most seats filled first.
    Late,
    /// Half of those that can, and none to its last seat: where tokens wait for one another, chance has a choice of whom to
    /// send on.
    Waiting,
    /// Those that can, but for one part in 2^n that stays behind at each seat.
    Loose(u32),
}

/// For each member and seat, how many hands take that member as that seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    size: usize,
    takes: Vec<u64>,
}

impl Plan {
    /// Members of a hand.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The same plan with the members in the opposite order.
    pub(super) fn mirrored(mut self) -> Self {
        // Member and seat turn round together.
        self.takes.reverse();
        self
    }

    /// The numbers of one member, from the lowest seat to the highest.
    pub(super) fn takes(&self, member: usize) -> &[u64] {
        &self.takes[member * self.size..][..self.size]
    }
}

/// The plan that a sweep upwards finds, or one downwards that has learnt from it; `None` when some hands are not full at
/// the end of either.
///
/// A sweep downwards is the latest that the hands can be filled. What it has filled of a seat above a member need not be
/// filled there by a sweep upwards, and all else must: that is the sharper deadline, and the other way round.
pub(super) fn plan(ceilings: &Ceilings, order: Order) -> Option<Plan> {
    let first = sweep(ceilings, order, &deadlines(ceilings));
    if first.full {
        return Some(first.plan);
    }
    let mirrored = ceilings.mirrored();
    let learnt: Vec<u64> =
        deadlines(&mirrored).into_iter().zip(first.left_over()).map(|(known, left)| known.max(left)).collect();
    let second = sweep(&mirrored, order, &learnt);
    second.full.then(|| second.plan.mirrored())
}

/// Where a sweep has come to.
struct Swept {
    plan: Plan,
    /// By member and seat, how many tokens had filled the seat once the member had taken.
    filled: Vec<u64>,
    hands: u64,
    /// Whether all hands are full.
    full: bool,
}

impl Swept {
    /// By member and seat of the sweep in the other direction, how many tokens this one has left for it.
    fn left_over(&self) -> impl Iterator<Item = u64> {
        // After the last member of the other direction stands the first of this one, and nothing is filled before it.
        let (size, hands) = (self.plan.size, self.hands);
        let before = self.filled.iter().rev().skip(size).copied().chain(std::iter::repeat_n(0, size));
        before.map(move |filled| hands - filled)
    }
}

/// Takes of the tokens at each member what is due by `deadlines`, and then what `order` says.
fn sweep(ceilings: &Ceilings, order: Order, deadlines: &[u64]) -> Swept {
    let (members, size) = (ceilings.whole.len(), ceilings.size);
    let mut takes = vec![0; members * size];
    let mut filled = Vec::with_capacity(members * size);
    let mut reserve: u64 = ceilings.reserve.iter().sum();
    let mut sweep = Sweep { filled: vec![0; size], ready: vec![0; size], open: vec![0; size], left: 0 };
    for member in 0..members {
        processor::pause();
        if member > 0 && ceilings.blocks[member - 1] != ceilings.blocks[member] {
            sweep.ready.copy_from_slice(&sweep.filled);
        }
        reserve -= ceilings.reserve[member];
        sweep.arrive(ceilings, member, reserve);
        let taken = &mut takes[member * size..][..size];
        for seat in (0..size).rev() {
            let due = deadlines[member * size + seat];
            sweep.take(taken, seat, due.saturating_sub(sweep.filled[seat]));
        }
        sweep.go_on(taken, order);
        sweep.filled.iter_mut().zip(taken).for_each(|(filled, taken)| *filled += *taken);
        filled.extend_from_slice(&sweep.filled);
    }
    let full = sweep.filled[size - 1] == ceilings.hands;
    Swept { plan: Plan { size, takes }, filled, hands: ceilings.hands, full }
}

/// The sweep in front of one member. All numbers are of tokens, by seat.
struct Sweep {
    /// Tokens that have filled the seat.
    filled: Vec<u64>,
    /// The same when the present block began.
    ready: Vec<u64>,
    /// How many more the present member may take.
    open: Vec<u64>,
    /// How many more it may take over all seats.
    left: u64,
}

impl Sweep {
    /// Opens the seats at `member`; `reserve` tokens are for those after it.
    fn arrive(&mut self, ceilings: &Ceilings, member: usize, reserve: u64) {
        let last = ceilings.size - 1;
        for seat in 0..=last {
            let came = if seat == 0 { ceilings.hands } else { self.ready[seat - 1] };
            self.open[seat] = came - self.filled[seat];
        }
        self.open[0] = self.open[0].min(ceilings.lowest[member]);
        let finish = (ceilings.hands - self.filled[last]).saturating_sub(reserve);
        self.open[last] = self.open[last].min(ceilings.highest[member]).min(finish);
        self.left = ceilings.whole[member];
    }

    fn take(&mut self, taken: &mut [u64], seat: usize, wanted: u64) {
        let count = wanted.min(self.open[seat]).min(self.left);
        taken[seat] += count;
        self.open[seat] -= count;
        self.left -= count;
    }

    fn go_on(&mut self, taken: &mut [u64], order: Order) {
        let last = taken.len() - 1;
        self.take(taken, 0, u64::MAX);
        match order {
            Order::Early => (1..=last).for_each(|seat| self.take(taken, seat, u64::MAX)),
            Order::Late => {
                (1..last).rev().for_each(|seat| self.take(taken, seat, u64::MAX));
                self.take(taken, last, u64::MAX);
            }
            Order::Waiting => (1..last).for_each(|seat| self.take(taken, seat, self.open[seat] / 2)),
            Order::Loose(part) => {
                (1..=last).for_each(|seat| self.take(taken, seat, self.open[seat] - (self.open[seat] >> part)));
            }
        }
    }
}

/// By member and seat, how many tokens must have filled the seat once the member has taken, so that the members after it
/// can fill the last seats of the others. Each seat between costs a block.
fn deadlines(ceilings: &Ceilings) -> Vec<u64> {
    let (members, size) = (ceilings.highest.len(), ceilings.size);
    let mut last_seat = vec![ceilings.hands; members];
    for member in (1..members).rev() {
        last_seat[member - 1] = last_seat[member].saturating_sub(ceilings.highest[member]);
    }
    let blocks = ceilings.blocks.last().map_or(0, |last| last + 1);
    let mut ends = vec![0; blocks];
    ceilings.blocks.iter().enumerate().for_each(|(member, block)| ends[*block] = member);
    let due = |member: usize, before: usize| {
        let by = if before == 0 { member } else { ends[(ceilings.blocks[member] + before).min(blocks - 1)] };
        last_seat[by]
    };
    (0..members)
        .flat_map(|member| (0..size).rev().map(move |before| (member, before)))
        .map(|(m, b)| due(m, b))
        .collect()
}
