//! From bundles of hands to the ring: who is named first, and in which order hands are dealt.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::carry::Bundle;
use crate::pool::ring::{Ring, Slot, number};
use crate::processor;

/// The ring of `bundles`.
pub(super) fn deal(mut bundles: Vec<Bundle>, weights: &[f64], size: usize, rng: &mut SmallRng) -> Ring {
    bundles.sort_unstable_by(|one, other| one.members.cmp(&other.members));
    bundles.dedup_by(|next, kept| {
        let twins = next.members == kept.members;
        kept.count += if twins { next.count } else { 0 };
        twins
    });
    let mut ring = Ring::new(size);
    let mut slots = Vec::new();
    for (bundle, first) in bundles.iter().zip(name_first(&bundles, weights)) {
        let hand = ring.add(&bundle.members);
        for (turn, count) in first.into_iter().enumerate() {
            slots.extend(std::iter::repeat_n(Slot { hand, turn: number(turn) }, count as usize));
        }
    }
    ring.slots = scatter(&slots, rng);
    ring
}

/// For each bundle and each of its members, how many of its hands name that member first.
///
/// At first all are named equally often, which makes `first` the same as `any`. Then every bundle levels its own members,
/// some rounds long: no level rises above the highest before.
fn name_first(bundles: &[Bundle], weights: &[f64]) -> Vec<Vec<u64>> {
    let evenly = |bundle: &Bundle| vec![bundle.count / bundle.members.len() as u64; bundle.members.len()];
    let mut firsts: Vec<Vec<u64>> = bundles.iter().map(evenly).collect();
    let mut loads = vec![0_u64; weights.len()];
    for (bundle, first) in bundles.iter().zip(&firsts) {
        bundle.members.iter().zip(first).for_each(|(member, count)| loads[*member as usize] += count);
    }
    for _ in 0..LEVELLING_ROUNDS {
        for (bundle, first) in bundles.iter().zip(&mut firsts) {
            processor::pause();
            for (member, count) in bundle.members.iter().zip(first.iter()) {
                loads[*member as usize] -= count;
            }
            let held: Vec<(u64, f64)> =
                bundle.members.iter().map(|member| (loads[*member as usize], weights[*member as usize])).collect();
            *first = level(&held, bundle.count);
            for (member, count) in bundle.members.iter().zip(first.iter()) {
                loads[*member as usize] += count;
            }
        }
    }
    firsts
}

/// Pours `count` over members with (load, weight), so that those with the least load a weight rise to one level.
fn level(held: &[(u64, f64)], count: u64) -> Vec<u64> {
    let mut by_level: Vec<usize> = (0..held.len()).collect();
    let height = |member: usize| held[member].0 as f64 / held[member].1;
    by_level.sort_by(|one, other| height(*one).total_cmp(&height(*other)));
    let (mut volume, mut width, mut surface) = (count as f64, 0.0, 0.0);
    for member in &by_level {
        // The surface rises to the next member, if there is enough to pour.
        let rise = (height(*member) - surface) * width;
        if width > 0.0 && rise >= volume {
            break;
        }
        volume -= if width > 0.0 { rise } else { 0.0 };
        surface = height(*member);
        width += held[*member].1;
    }
    surface += volume / width;
    let mut poured: Vec<u64> =
        held.iter().map(|(load, weight)| (surface * weight - *load as f64).max(0.0) as u64).collect();
    // What rounding has left over goes, one by one, to whom it lifts least.
    let mut left = count.saturating_sub(poured.iter().sum());
    while left > 0 {
        let lifted = |member: &usize| (held[*member].0 + poured[*member] + 1) as f64 / held[*member].1;
        let lowest = (0..held.len()).min_by(|one, other| lifted(one).total_cmp(&lifted(other)));
        poured[lowest.expect("a hand has members")] += 1;
        left -= 1;
    }
    while poured.iter().sum::<u64>() > count {
        let fullest = (0..held.len()).max_by_key(|member| poured[*member]).expect("a hand has members");
        poured[fullest] -= 1;
    }
    poured
}

/// Deals equal and neighbouring hands far apart from one another.
///
/// Steps of the golden section visit any range of the hands evenly, so that a stretch of the lap has nearly the shares of
/// the whole; a shuffle within short stretches takes the pattern away that a client could be in step with.
fn scatter(slots: &[Slot], rng: &mut SmallRng) -> Vec<Slot> {
    let step = golden_step(slots.len());
    let mut at = 0;
    let mut scattered = Vec::with_capacity(slots.len());
    for _ in 0..slots.len() {
        processor::pause();
        scattered.push(slots[at]);
        at = (at + step) % slots.len();
    }
    scattered.chunks_mut(STRETCH).for_each(|stretch| stretch.shuffle(rng));
    scattered
}

/// About 0.618 of `length`, and without a common divisor, so that the steps come to every slot once.
fn golden_step(length: usize) -> usize {
    let divisor = |mut one: usize, mut other: usize| {
        while other > 0 {
            (one, other) = (other, one % other);
        }
        one
    };
    let near = (length as f64 * 0.618_033_988_749_895) as usize;
    (near.max(1)..).find(|step| divisor(*step, length) == 1).expect("the next prime at the latest")
}

const LEVELLING_ROUNDS: usize = 4;
/// Longer would be less predictable, shorter more even.
const STRETCH: usize = 32;
