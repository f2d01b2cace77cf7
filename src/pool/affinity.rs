//! The affinity spread: the same client network gets the same hand for as long as its members last.
//!
//! Client networks fall on slots, and each slot ranks all members by a hash of its own (rendezvous hashing, Thaler and
//! Ravishankar, 1998). Its hand is the top of that ranking, best first. A member that goes changes only the slots that held
//! it, k of n on average; one that comes back gets the same slots again. Nothing here depends on a seed, so that servers
//! which share nothing still agree.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Eligible;
use super::ring::{Ring, Slot, number};
use super::sites::Group;

/// The ring of `members`, `size` to a hand, within `groups` and their blocks.
///
/// `known` may name the hand of a slot that need not be ranked again.
pub(super) fn ring(
    members: &[Eligible],
    size: usize,
    groups: &[Group],
    known: impl Fn(usize) -> Option<Vec<u32>>,
) -> Ring {
    let mut ring = Ring::new(size);
    if members.is_empty() {
        return ring;
    }
    let hashes: Vec<u64> = members.iter().map(|member| address_hash(member.address)).collect();
    let mut hands: HashMap<Vec<u32>, u32> = HashMap::new();
    for slot in 0..SLOTS {
        let salt = mix(slot as u64);
        let rank = |member: usize| rank(hashes[member] ^ salt, members[member].weight);
        let hand = known(slot).unwrap_or_else(|| top(size, groups, rank));
        let hand = *hands.entry(hand).or_insert_with_key(|hand| ring.add(hand));
        ring.slots.push(Slot { hand, turn: 0 });
    }
    ring
}

/// The best `size` members: of the group that the very best is in, and one of a block.
fn top(size: usize, groups: &[Group], rank: impl Fn(usize) -> f64) -> Vec<u32> {
    let best_of = |group: &Group| group.members.clone().map(&rank).fold(f64::INFINITY, f64::min);
    let group = match groups {
        [group] => group,
        _ => groups.iter().min_by(|one, other| best_of(one).total_cmp(&best_of(other))).expect("members are in groups"),
    };
    // Ascending by rank. Most members do not get past the comparison with the last.
    let mut best: Vec<(f64, usize)> = Vec::with_capacity(size + 1);
    for (member, block) in group.members.clone().zip(&group.blocks) {
        let mine = rank(member);
        if best.len() == size && best[size - 1].0 <= mine {
            continue;
        }
        match best.iter().position(|(_, other)| group.blocks[other - group.members.start] == *block) {
            Some(rival) if best[rival].0 <= mine => continue,
            Some(rival) => drop(best.remove(rival)),
            None => {}
        }
        best.insert(best.partition_point(|(other, _)| *other < mine), (mine, member));
        best.truncate(size);
    }
    best.into_iter().map(|(_, member)| number(member)).collect()
}

/// An exponential variable with the rate `weight`: the least of several is a member's with the chance of its weight.
fn rank(hash: u64, weight: f64) -> f64 {
    // 53 bits and a half: never 0.
    let uniform = ((mix(hash) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -uniform.ln() / weight
}

fn address_hash(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => mix(u64::from(v4.to_bits())),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            mix(mix(bits as u64) ^ (bits >> 64) as u64)
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): each bit in moves half of the bits out.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// So many that the part of the slots which a member holds is its due to half a percent.
const SLOTS: usize = 8_192;
