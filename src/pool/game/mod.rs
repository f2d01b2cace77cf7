//! The balanced spread: hands for which the worst overload, over every kind of client and every member, is the least.
//!
//! ```text
//! weights, k, groups ──value──► Factors ──flow──► Plan ──carry──► Bundles ──deal──► Ring
//!                        ▲         │  how often each member may be lowest, highest, in a hand at all
//!                        └─────────┘  one sweep tries to find hands under these ceilings
//! ```
//!
//! A client takes of a hand the lowest address, the highest, the first as sent, or any. The dealer picks the hands, an
//! adversary the kind of client and the member to watch; what the adversary can force is the value of the game. Who is
//! named first is free once the hands are chosen, and to name the members of a hand equally often makes `first` no worse
//! than `any`: three kinds decide the value.
//!
//! * The game is not played in rounds. Hands that travel past the members in address order are a flow; a sweep in O(n·k)
//!   tries whether a value can be had, and bisection finds the least.
//! * With equal weights the value is n/(n-k+1), and **only** the windows of k neighbours reach it: the lowest members are
//!   then spread evenly over 1…n-k+1 and the highest over k…n, so that highest - lowest is k-1 on average, and it is
//!   never less. There are n-k+1 windows. A ring that is to have more subsets pays for them, see [`value`].
//!
//! Not here: what a ring does to its members (`figures`).

mod carry;
mod deal;
mod flow;
mod value;

use rand::rngs::SmallRng;

use self::carry::{carry, include_all};
use self::value::Game;
use super::ring::Ring;
use super::sites::Group;

/// The ring for members with these weights, `size` to a hand.
pub(super) fn ring(weights: &[f64], size: usize, groups: &[Group], rng: &mut SmallRng) -> Ring {
    let games: Vec<Game<'_>> =
        groups.iter().map(|group| Game::new(&weights[group.members.clone()], size, group)).collect();
    // A group of few members against k has a high value. It gets fewer hands, so that all groups end up alike.
    let ease: Vec<f64> = games.iter().map(|game| game.total() / game.value()).collect();
    let slots: f64 = games.iter().map(|game| game.slots() as f64).sum();
    let scale = slots / ease.iter().sum::<f64>();
    let most = MOST_HANDS_OCTETS / (2 * size * RECORD_OCTETS) / games.len().max(1);
    let mut bundles = Vec::new();
    for ((game, ease), group) in games.iter().zip(&ease).zip(groups) {
        let hands = if games.len() == 1 { game.slots() } else { ((scale * ease).round() as u64).max(1) };
        let plan = game.plan(hands);
        let mut carried = carry(&plan, &group.blocks, hands, most, rng);
        include_all(&mut carried, &group.blocks);
        for mut bundle in carried {
            bundle.members.iter_mut().for_each(|member| *member += super::ring::number(group.members.start));
            bundles.push(bundle);
        }
    }
    deal::deal(bundles, weights, size, rng)
}

/// Octets that the records of different hands may fill: beyond, hands are mixed no further, or slots are fewer.
const MOST_HANDS_OCTETS: usize = 8 << 20;
/// Octets of an A record with a compressed owner.
const RECORD_OCTETS: usize = 16;
