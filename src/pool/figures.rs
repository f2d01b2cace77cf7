//! What a rotation does to its members, for every kind of client.

use super::Rotation;

/// What a client takes of a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The lowest address: whoever sorts.
    Lowest,
    /// The highest address.
    Highest,
    /// The first as sent.
    First,
    /// Any, at random.
    Any,
}

impl Kind {
    /// Every kind, in the order of the manual.
    pub const ALL: [Self; 4] = [Self::Lowest, Self::Highest, Self::First, Self::Any];

    /// The word for it in JSON and print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lowest => "lowest",
            Self::Highest => "highest",
            Self::First => "first",
            Self::Any => "any",
        }
    }
}

/// A number for each member, by kind of client; members are in address order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PerKind {
    lowest: Vec<f64>,
    highest: Vec<f64>,
    first: Vec<f64>,
    any: Vec<f64>,
}

impl PerKind {
    /// The numbers of the members.
    pub fn of(&self, kind: Kind) -> &[f64] {
        match kind {
            Kind::Lowest => &self.lowest,
            Kind::Highest => &self.highest,
            Kind::First => &self.first,
            Kind::Any => &self.any,
        }
    }

    /// The greatest number of a kind; 0 without members.
    pub fn worst_of(&self, kind: Kind) -> f64 {
        self.of(kind).iter().copied().fold(0.0, f64::max)
    }

    /// The greatest number of all.
    pub fn worst(&self) -> f64 {
        Kind::ALL.into_iter().map(|kind| self.worst_of(kind)).fold(0.0, f64::max)
    }
}

/// What one lap of a rotation does.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Hands in the lap.
    pub slots: usize,
    /// Different sets of members among them.
    pub subsets: usize,
    /// The share of clients that each member gets, divided by its share of the weights.
    pub overload: PerKind,
    /// For each member, what happens when it dies and its clients go on to the next address of their hand.
    pub deaths: Vec<Death>,
}

/// The death of a member, before any answer changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Death {
    /// The greatest part of its sorting clients that lands on one other member, 0 to 1.
    pub heir: f64,
    /// The worst overload of the others, over all kinds of client, while hands still name the dead.
    pub worst: f64,
}

impl Figures {
    /// Counts a lap of `rotation`.
    pub fn of(rotation: &Rotation) -> Self {
        let members = rotation.members();
        let deals: Vec<Deal> = rotation.deals().map(|(sent, count)| Deal::new(sent, count as f64)).collect();
        let total: f64 = members.iter().map(|member| member.weight).sum();
        let fair: Vec<f64> = members.iter().map(|member| member.weight / total).collect();
        let mut subsets: Vec<&[usize]> = deals.iter().map(|deal| &*deal.sorted).collect();
        subsets.sort_unstable();
        subsets.dedup();
        let overload = overload(&deals, &fair);
        Self { slots: rotation.len(), subsets: subsets.len(), deaths: deaths(&deals, &fair, &overload), overload }
    }
}

/// Equal deals of a lap.
struct Deal {
    /// As sent.
    sent: Vec<usize>,
    sorted: Vec<usize>,
    count: f64,
}

impl Deal {
    fn new(sent: Vec<usize>, count: f64) -> Self {
        let mut sorted = sent.clone();
        sorted.sort_unstable();
        Self { sent, sorted, count }
    }
}

/// The part of a lap that each member gets, over its fair share.
fn overload(deals: &[Deal], fair: &[f64]) -> PerKind {
    let mut loads = PerKind::zero(fair.len());
    let total: f64 = deals.iter().map(|deal| deal.count).sum();
    for deal in deals {
        let part = deal.count / total;
        loads.lowest[deal.sorted[0]] += part;
        loads.highest[deal.sorted[deal.sorted.len() - 1]] += part;
        loads.first[deal.sent[0]] += part;
        deal.sent.iter().for_each(|member| loads.any[*member] += part / deal.sent.len() as f64);
    }
    loads.over(fair);
    loads
}

/// What happens to each member's clients, and to those who inherit them, when it dies.
fn deaths(deals: &[Deal], fair: &[f64], before: &PerKind) -> Vec<Death> {
    let total: f64 = deals.iter().map(|deal| deal.count).sum();
    let mut holding: Vec<Vec<&Deal>> = vec![Vec::new(); fair.len()];
    deals.iter().for_each(|deal| deal.sent.iter().for_each(|member| holding[*member].push(deal)));
    // Hands of all members are as many and as long as the pool: that all the others inherit alike is known beforehand.
    let everyone = deals.first().is_some_and(|deal| deal.sent.len() == fair.len());
    let one = |(dead, holding): (usize, &Vec<&Deal>)| {
        let mut inherited = PerKind::zero(fair.len());
        for deal in holding {
            let part = deal.count / total;
            bequeath_ends(&mut inherited, deal, dead, part);
            if !everyone {
                bequeath_any(&mut inherited, deal, dead, part);
            }
        }
        if everyone {
            inherited.any.fill(1.0 / (fair.len() * (fair.len() - 1).max(1)) as f64);
        }
        let orphans: f64 = inherited.lowest.iter().sum();
        let most = inherited.worst_of(Kind::Lowest);
        inherited.over(fair);
        let survivors = (0..fair.len()).filter(|member| *member != dead);
        let after = |kind: Kind, member: usize| before.of(kind)[member] + inherited.of(kind)[member];
        let loads = survivors.flat_map(|member| Kind::ALL.map(|kind| after(kind, member)));
        Death { heir: if orphans > 0.0 { most / orphans } else { 0.0 }, worst: loads.fold(0.0, f64::max) }
    };
    holding.iter().enumerate().map(one).collect()
}

/// Gives the clients of `dead` that sort, or take the first, to the next address of the hand that they would try.
fn bequeath_ends(inherited: &mut PerKind, deal: &Deal, dead: usize, part: f64) {
    let size = deal.sorted.len();
    if size < 2 {
        return;
    }
    if deal.sorted[0] == dead {
        inherited.lowest[deal.sorted[1]] += part;
    }
    if deal.sorted[size - 1] == dead {
        inherited.highest[deal.sorted[size - 2]] += part;
    }
    if deal.sent[0] == dead {
        inherited.first[deal.sent[1]] += part;
    }
}

/// Gives those that take any address of the hand to its others.
fn bequeath_any(inherited: &mut PerKind, deal: &Deal, dead: usize, part: f64) {
    let size = deal.sent.len();
    for member in deal.sent.iter().filter(|member| **member != dead) {
        inherited.any[*member] += part / (size * (size - 1)) as f64;
    }
}

/// The overload that a plain draw of `size` members, all alike, gives exactly; `weights` say what is fair.
///
/// The i-th of n members is the lowest of a hand in C(n-i, size-1) of C(n, size) cases.
pub fn plain(weights: &[f64], size: usize) -> PerKind {
    let members = weights.len();
    let size = size.min(members);
    let total: f64 = weights.iter().sum();
    let fair: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let mut loads = PerKind::zero(members);
    if size == 0 {
        return loads;
    }
    let mut chance = size as f64 / members as f64;
    for member in 0..members {
        loads.lowest[member] = chance;
        // C(m-1, size-1) / C(m, size-1) for the m members that come after this one.
        let after = members - member - 1;
        chance *= if after > 0 { (after + 1 - size.min(after + 1)) as f64 / after as f64 } else { 0.0 };
    }
    loads.highest = loads.lowest.iter().rev().copied().collect();
    loads.first = vec![1.0 / members as f64; members];
    loads.any.clone_from(&loads.first);
    loads.over(&fair);
    loads
}

impl PerKind {
    fn zero(members: usize) -> Self {
        let zero = vec![0.0; members];
        Self { lowest: zero.clone(), highest: zero.clone(), first: zero.clone(), any: zero }
    }

    fn over(&mut self, fair: &[f64]) {
        for loads in [&mut self.lowest, &mut self.highest, &mut self.first, &mut self.any] {
            loads.iter_mut().zip(fair).for_each(|(load, fair)| *load /= fair);
        }
    }
}
