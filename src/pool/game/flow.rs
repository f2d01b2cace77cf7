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

/// The plan that the sweep finds; `None` when some hands are not full at the end.
pub(super) fn plan(ceilings: &Ceilings, order: Order) -> Option<Plan> {
    let (members, size) = (ceilings.whole.len(), ceilings.size);
    let deadlines = deadlines(ceilings);
    let mut takes = vec![0; members * size];
    let mut reserve: u64 = ceilings.reserve.iter().sum();
    let mut sweep = Sweep { filled: vec![0; size], ready: vec![0; size], open: vec![0; size], left: 0 };
    for member in 0..members {
        let block = ceilings.blocks[member];
        if member > 0 && ceilings.blocks[member - 1] != block {
            sweep.ready.copy_from_slice(&sweep.filled);
        }
        reserve -= ceilings.reserve[member];
        sweep.arrive(ceilings, member, reserve);
        let taken = &mut takes[member * size..][..size];
        for seat in (0..size).rev() {
            let due = deadlines.at(member, block, size - 1 - seat);
            sweep.take(taken, seat, due.saturating_sub(sweep.filled[seat]));
        }
        sweep.go_on(taken, order);
        sweep.filled.iter_mut().zip(taken).for_each(|(filled, taken)| *filled += *taken);
    }
    (sweep.filled[size - 1] == ceilings.hands).then_some(Plan { size, takes })
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

/// How many tokens must have filled a seat by when.
struct Deadlines {
    /// By member: how many must have filled the last seat once it has taken.
    full: Vec<u64>,
    /// By block: its last member.
    ends: Vec<usize>,
}

fn deadlines(ceilings: &Ceilings) -> Deadlines {
    let members = ceilings.highest.len();
    let mut full = vec![ceilings.hands; members];
    for member in (1..members).rev() {
        full[member - 1] = full[member].saturating_sub(ceilings.highest[member]);
    }
    let blocks = ceilings.blocks.last().map_or(0, |last| last + 1);
    let mut ends = vec![0; blocks];
    ceilings.blocks.iter().enumerate().for_each(|(member, block)| ends[*block] = member);
    Deadlines { full, ends }
}

impl Deadlines {
    /// The tokens that must have filled, when `member` has taken, the seat that is `before` seats before the last: each
    /// seat after it costs a block.
    fn at(&self, member: usize, block: usize, before: usize) -> u64 {
        let by = if before == 0 { member } else { self.ends[(block + before).min(self.ends.len() - 1)] };
        self.full[by]
    }
}
