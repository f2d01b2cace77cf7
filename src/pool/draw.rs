//! The two rings that need no game: everyone in every hand, and the plain random draw.

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};

use super::ring::{Ring, Slot, number};
use super::sites::Group;
use crate::processor;

/// All `members` in one hand, each of them first in one slot.
pub(super) fn all(members: usize) -> Ring {
    let mut ring = Ring::new(members);
    let everyone: Vec<u32> = (0..number(members)).collect();
    if !everyone.is_empty() {
        let hand = ring.add(&everyone);
        ring.slots = everyone.iter().map(|turn| Slot { hand, turn: *turn }).collect();
    }
    ring
}

/// `size` members drawn at random for each of some thousand hands, in proportion to `weights` where that can be.
pub(super) fn random(weights: &[f64], size: usize, groups: &[Group], rng: &mut SmallRng) -> Ring {
    let mut hands: Vec<Vec<u32>> = Vec::new();
    let total: f64 = weights.iter().sum();
    let wanted = FEWEST_HANDS.max(FEWEST_BLOCKS * weights.len());
    for group in groups {
        let weights = &weights[group.members.clone()];
        let part = weights.iter().sum::<f64>() / total;
        let wanted = ((wanted as f64 * part) as usize).max(weights.len());
        hands.extend(random_hands(weights, size, group, wanted, rng));
    }
    hands.shuffle(rng);
    let mut ring = Ring::new(size);
    for members in hands {
        let hand = ring.add(&members);
        ring.slots.push(Slot { hand, turn: rng.random_range(0..number(size)) });
    }
    ring
}

/// At least `wanted` hands of one group: blocks are drawn, and of each block one member.
///
/// A block's part is exact to one hand although the hands are random: each round of hands cuts one line of shuffled
/// blocks, and what a round rounds off is carried into the next.
fn random_hands(weights: &[f64], size: usize, group: &Group, wanted: usize, rng: &mut SmallRng) -> Vec<Vec<u32>> {
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for (member, block) in group.blocks.iter().enumerate() {
        blocks.resize_with(blocks.len().max(block + 1), Vec::new);
        blocks[*block].push(member);
    }
    let heft: Vec<f64> = blocks.iter().map(|block| block.iter().map(|member| weights[*member]).sum()).collect();
    let parts = inclusion(&heft, size);
    let (mut carry, mut line, mut hands) = (vec![0.0; blocks.len()], Vec::new(), Vec::new());
    while hands.len() < wanted {
        fill(&mut line, size * blocks.len(), &parts, &mut carry, rng);
        for first in 0..blocks.len() {
            processor::pause();
            let mut drawn: Vec<u32> = line.iter().skip(first).step_by(blocks.len()).copied().collect();
            drawn.sort_unstable();
            replace_twins(&mut drawn, blocks.len(), rng);
            let one = |block: u32| {
                let member = blocks[block as usize].choose_weighted(rng, |member| weights[*member]);
                number(group.members.start + member.expect("a block has members of some weight"))
            };
            hands.push(drawn.into_iter().map(one).collect());
        }
    }
    hands
}

/// The share of the hands that each member is in: `size` × its weight, but never above 1.
pub(super) fn inclusion(weights: &[f64], size: usize) -> Vec<f64> {
    let mut parts = vec![0.0; weights.len()];
    let mut left: Vec<usize> = (0..weights.len()).collect();
    let mut seats = size.min(weights.len());
    // Whoever would get more than 1 gets 1, and the others share what that leaves; at most one round a seat.
    loop {
        let total: f64 = left.iter().map(|member| weights[*member]).sum();
        let scale = if total > 0.0 { seats as f64 / total } else { 0.0 };
        let (full, rest): (Vec<usize>, Vec<usize>) = left.iter().partition(|member| weights[**member] * scale >= 1.0);
        if full.is_empty() {
            left.iter().for_each(|member| parts[*member] = weights[*member] * scale);
            return parts;
        }
        full.iter().for_each(|member| parts[*member] = 1.0);
        seats -= full.len();
        left = rest;
    }
}

/// Fills `line` with members in a random order, each as often as one block of hands has it.
fn fill(line: &mut Vec<u32>, seats: usize, parts: &[f64], carry: &mut [f64], rng: &mut impl Rng) {
    let block = parts.len();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.shuffle(rng);
    line.clear();
    let mut end = 0.0;
    for member in order {
        let due = parts[member] * block as f64 + carry[member];
        end += due;
        let times = (f64::round(end) as usize).saturating_sub(line.len());
        carry[member] = due - times as f64;
        line.extend(std::iter::repeat_n(number(member), times));
    }
    // A member that has had too much before can leave the next one too much now.
    for surplus in line.drain(seats..) {
        carry[surplus as usize] += 1.0;
    }
}

/// A member that is due in nearly every hand can, by rounding, fall into one of them twice: somebody else takes its seat.
fn replace_twins(members: &mut [u32], all: usize, rng: &mut impl Rng) {
    while let Some(twin) = members.windows(2).position(|pair| pair[0] == pair[1]) {
        let other = rng.random_range(0..number(all));
        if !members.contains(&other) {
            members[twin] = other;
            members.sort_unstable();
        }
    }
}

/// So many hands that the subsets of a small pool all come up.
const FEWEST_HANDS: usize = 2_000;
/// Members of one block are seldom in one hand when they stand far apart in its line: several blocks mix them.
const FEWEST_BLOCKS: usize = 8;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn drawn(weights: &[f64], size: usize) -> Ring {
        let alone = Group { members: 0..weights.len(), blocks: (0..weights.len()).collect() };
        random(weights, size, &[alone], &mut SmallRng::seed_from_u64(3))
    }

    #[test]
    fn nobody_is_in_a_hand_twice_over() {
        assert_eq!(inclusion(&[1.0, 1.0, 1.0, 1.0], 2), [0.5; 4]);
        assert_eq!(inclusion(&[8.0, 1.0, 1.0], 2), [1.0, 0.5, 0.5]);
        assert_eq!(inclusion(&[8.0, 7.0, 1.0], 3), [1.0; 3]);
    }

    #[test]
    fn a_member_is_in_as_many_random_hands_as_its_weight_says() {
        let weights = [1.0, 2.0, 3.0, 1.0, 0.25, 1.75, 1.0];
        let ring = drawn(&weights, 2);
        for (member, weight) in weights.iter().enumerate() {
            let hands = ring.hands().filter(|hand| hand.contains(&number(member))).count() as f64;
            let due = ring.slots.len() as f64 * weight / 5.0;
            assert!((hands - due).abs() < 2.0, "member {member}: {hands} hands, {due} due");
        }
    }

    #[test]
    fn a_member_in_nearly_every_hand_is_never_twice_in_one() {
        let ring = drawn(&[5.65, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 2);
        assert!(ring.hands().all(|hand| hand[0] < hand[1]));
    }

    #[test]
    fn every_pair_of_a_small_pool_comes_up_at_random() {
        let ring = drawn(&[1.0; 8], 2);
        let pairs: std::collections::BTreeSet<&[u32]> = ring.hands().collect();
        assert_eq!(pairs.len(), 28);
    }
}
