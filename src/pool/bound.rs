//! What no list of hands can beat: a lower bound of the worst overload, with its proof in hand.
//!
//! An adversary who puts a price y ≥ 0 on each (kind, member) proves a bound: a hand costs the prices of its lowest and
//! its highest member and the k-th part of the price of each, and a list of hands whose worst overload is v pays at most
//! v·Σ share·y. So v is at least the cost of the cheapest hand over Σ share·y, whatever the prices are. The cheapest hand
//! is found exactly, by one sweep over the members; how the prices were come by proves nothing and spoils nothing.

mod prices;

use super::{Eligible, Policy, Spread, sites};
use sites::Group;

/// The least worst overload that any hands of these members could have, under the policy's k, `together` and `apart`;
/// 0 without members.
///
/// With equal weights it is n/(n-k+1), which is the optimum. Else it is a bound, within 0.1 % of the optimum for small
/// pools; from some 64 members on the search may stop early, and the bound has been seen a tenth below what hands reach.
/// Above 266 members only arguments that need no search are tried.
pub fn bound(eligible: &[Eligible], policy: &Policy) -> f64 {
    let Some(first) = eligible.first() else { return 0.0 };
    let asked = if policy.spread == Spread::All { usize::MAX } else { usize::from(policy.k.of(first.address)).max(1) };
    let size = asked.min(eligible.len());
    let addresses: Vec<_> = eligible.iter().map(|member| member.address).collect();
    let (together, apart) = (policy.together.of(first.address), policy.apart.of(first.address));
    let total: f64 = eligible.iter().map(|member| member.weight).sum();
    let game = Adversary {
        shares: eligible.iter().map(|member| member.weight / total).collect(),
        size,
        groups: sites::groups(&addresses, size, together, apart),
    };
    let closed = game.closed();
    if game.is_plain() { closed } else { closed.max(prices::search(&game)) }
}

/// The side of the game that picks what to watch.
struct Adversary {
    /// Fair shares, with sum 1.
    shares: Vec<f64>,
    /// Members of a hand.
    size: usize,
    groups: Vec<Group>,
}

impl Adversary {
    /// Whether the closed bound is the optimum: all weigh the same and may meet.
    fn is_plain(&self) -> bool {
        let [group] = &self.groups[..] else { return false };
        let alone = group.blocks.is_sorted_by(|one, next| one < next);
        alone && self.shares.iter().all(|share| (share / self.shares[0] - 1.0).abs() < 1e-9)
    }

    /// What needs no search.
    ///
    /// * Only who has k-1 others above it can be the lowest, and those share all clients who sort; so for the highest.
    /// * The j heaviest have at most j seats of a hand, so the others have the remaining k-j whatever is dealt.
    fn closed(&self) -> f64 {
        let (mut lowest, mut highest) = (0.0, 0.0);
        for group in &self.groups {
            let blocks = group.blocks.last().map_or(0, |last| last + 1);
            for (member, block) in group.members.clone().zip(&group.blocks) {
                lowest += if block + self.size <= blocks { self.shares[member] } else { 0.0 };
                highest += if block + 1 >= self.size { self.shares[member] } else { 0.0 };
            }
        }
        let mut bound = f64::max(1.0 / lowest, 1.0 / highest);
        let mut heaviest = self.shares.clone();
        heaviest.sort_unstable_by(|one, other| other.total_cmp(one));
        let mut others = 1.0;
        for (seats, share) in (1..self.size).rev().zip(heaviest) {
            others -= share;
            bound = bound.max(seats as f64 / self.size as f64 / others);
        }
        bound.max(1.0)
    }

    /// The cheapest hand and its cost. A hand pays one price for its lowest member, one for its highest, one for each seat.
    fn cheapest(&self, prices: &Prices) -> (f64, Vec<usize>) {
        let hands = self.groups.iter().map(|group| self.cheapest_of(group, prices));
        hands.min_by(|one, other| one.0.total_cmp(&other.0)).expect("there are members")
    }

    fn cheapest_of(&self, group: &Group, prices: &Prices) -> (f64, Vec<usize>) {
        let size = self.size;
        // By members passed and seats filled, row after row.
        let row = size + 1;
        let mut least = vec![f64::INFINITY; row];
        least[0] = 0.0;
        let mut block_start = 0;
        let mut came_from = Vec::with_capacity(group.blocks.len());
        for (at, member) in group.members.clone().enumerate() {
            if at > 0 && group.blocks[at] != group.blocks[at - 1] {
                block_start = at;
            }
            came_from.push(block_start);
            least.extend_from_within(at * row..);
            for filled in 1..=size {
                let mut cost = least[block_start * row + filled - 1] + prices.seat[member];
                cost += if filled == 1 { prices.lowest[member] } else { 0.0 };
                cost += if filled == size { prices.highest[member] } else { 0.0 };
                let here = &mut least[(at + 1) * row + filled];
                *here = here.min(cost);
            }
        }
        let mut hand = Vec::with_capacity(size);
        let (mut at, mut filled) = (group.blocks.len(), size);
        while filled > 0 {
            // Whoever changed the least cost was taken.
            while least[at * row + filled] == least[(at - 1) * row + filled] {
                at -= 1;
            }
            hand.push(group.members.start + at - 1);
            (at, filled) = (came_from[at - 1], filled - 1);
        }
        hand.reverse();
        (least[group.blocks.len() * row + size], hand)
    }
}

/// What a hand pays for its members.
struct Prices {
    lowest: Vec<f64>,
    highest: Vec<f64>,
    /// For each seat, which is a k-th of the clients who take any.
    seat: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::pool::PerFamily;

    fn members(weights: &[f64]) -> Vec<Eligible> {
        let address =
            |index: usize| IpAddr::from(Ipv4Addr::from_bits(0x0A00_0000 + u32::try_from(index).expect("few")));
        let one = |(index, weight): (usize, &f64)| Eligible { address: address(index), weight: *weight, ttl: 30 };
        weights.iter().enumerate().map(one).collect()
    }

    fn policy(k: u16) -> Policy {
        Policy { k: PerFamily::both(k), ..Policy::default() }
    }

    #[test]
    fn what_can_be_reckoned_by_hand() {
        let near = |weights: &[f64], k, right: f64| {
            let found = bound(&members(weights), &policy(k));
            assert!((found - right).abs() < 1e-3, "{weights:?} {k}: {found} against {right}");
        };
        near(&[1.0; 10], 3, 1.25);
        near(&[1.0; 10], 1, 1.0);
        near(&[1.0; 4], 9, 4.0);
        // The last can never be the lowest of two, and half of all seats are others'.
        near(&[1.0, 1.0, 6.0], 2, 4.0);
        near(&[6.0, 1.0, 1.0], 2, 4.0);
        assert_eq!(bound(&[], &policy(2)), 0.0);
        assert_eq!(bound(&members(&[1.0; 8]), &Policy { spread: Spread::All, ..policy(2) }), 8.0);
    }

    #[test]
    fn groups_and_blocks_raise_it() {
        let mut sites = members(&[1.0; 6]);
        for (index, member) in sites.iter_mut().enumerate() {
            let site = [0, 0, 1, 1, 1, 1][index];
            member.address = IpAddr::from([10, 0, site, u8::try_from(index).expect("few")]);
        }
        // In the first group of two, one is always the lowest: it has half of what the group has.
        let together = Policy { together: PerFamily::both(Some(24)), ..policy(2) };
        assert!(bound(&sites, &together) > bound(&sites, &policy(2)) + 0.1);
        // One of each site: the two of the first are always the lowest, for a third of the weight.
        let apart = Policy { apart: PerFamily::both(Some(24)), ..policy(2) };
        assert!((bound(&sites, &apart) - 3.0).abs() < 1e-3, "{}", bound(&sites, &apart));
    }
}
