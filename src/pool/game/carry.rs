//! Makes hands of a plan: which tokens take a member is left to chance, as the plan only says how many.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::flow::Plan;
use crate::pool::ring::number;
use crate::processor;

/// Equal hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bundle {
    /// Ascending.
    pub(super) members: Vec<u32>,
    /// How many there are.
    pub(super) count: u64,
}

/// Carries `plan` out with at most about `most` different hands.
///
/// Tokens travel in bundles, so the work does not depend on their number. Where a member takes fewer than wait, it takes
/// them from several bundles picked at random, as long as `most` allows the new kinds of hand that this makes.
pub(super) fn carry(plan: &Plan, blocks: &[usize], hands: u64, most: usize, rng: &mut SmallRng) -> Vec<Bundle> {
    let size = plan.size();
    // By seats filled; `moved` waits for its block to end.
    let mut waiting: Vec<Vec<Bundle>> = vec![Vec::new(); size + 1];
    let mut moved: Vec<Vec<Bundle>> = vec![Vec::new(); size + 1];
    waiting[0].push(Bundle { members: Vec::new(), count: hands });
    let mut kinds = 1;
    for member in 0..blocks.len() {
        processor::pause();
        if member > 0 && blocks[member - 1] != blocks[member] {
            waiting.iter_mut().zip(&mut moved).for_each(|(waiting, moved)| waiting.append(moved));
        }
        for (seat, wanted) in plan.takes(member).iter().enumerate() {
            let pieces = if kinds < most { MIXED_BUNDLES } else { 1 };
            for mut bundle in take(&mut waiting[seat], *wanted, pieces, rng) {
                bundle.members.push(number(member));
                moved[seat + 1].push(bundle);
                kinds += 1;
            }
        }
    }
    waiting[size].append(&mut moved[size]);
    waiting.swap_remove(size)
}

/// Gives one hand to every member that is in none: a plan may leave out who weighs next to nothing.
pub(super) fn include_all(bundles: &mut Vec<Bundle>, blocks: &[usize]) {
    let mut hands = vec![0_u64; blocks.len()];
    for bundle in bundles.iter() {
        bundle.members.iter().for_each(|member| hands[*member as usize] += bundle.count);
    }
    for member in 0..blocks.len() {
        if hands[member] > 0 {
            continue;
        }
        // It takes the seat of whoever has the most hands among those whose seat fits.
        let seats =
            bundles.iter().enumerate().flat_map(|(at, bundle)| (0..bundle.members.len()).map(move |seat| (at, seat)));
        let fitting =
            seats.filter(|(at, seat)| bundles[*at].count > 0 && fits(&bundles[*at].members, *seat, member, blocks));
        let most = fitting.max_by_key(|(at, seat)| hands[bundles[*at].members[*seat] as usize]);
        let Some((at, seat)) = most else { continue };
        let mut members = bundles[at].members.clone();
        hands[std::mem::replace(&mut members[seat], number(member)) as usize] -= 1;
        hands[member] += 1;
        bundles[at].count -= 1;
        bundles.push(Bundle { members, count: 1 });
    }
    bundles.retain(|bundle| bundle.count > 0);
}

/// Whether `member` can sit where another sits, between the blocks of its neighbours.
fn fits(hand: &[u32], seat: usize, member: usize, blocks: &[usize]) -> bool {
    let block = |seat: usize| hand.get(seat).map(|other| blocks[*other as usize]);
    seat.checked_sub(1).and_then(block).is_none_or(|lower| lower < blocks[member])
        && block(seat + 1).is_none_or(|upper| blocks[member] < upper)
}

/// Takes `wanted` tokens out of `from`, about equally out of `pieces` bundles.
fn take(from: &mut Vec<Bundle>, wanted: u64, pieces: u64, rng: &mut SmallRng) -> Vec<Bundle> {
    let waiting: u64 = from.iter().map(|bundle| bundle.count).sum();
    if wanted == waiting {
        return std::mem::take(from);
    }
    from.shuffle(rng);
    let (mut out, mut left) = (Vec::new(), wanted);
    // The first round takes a piece of each; the second takes what is still wanted.
    for piece in [wanted.div_ceil(pieces.max(1)), wanted] {
        for bundle in from.iter_mut() {
            let count = bundle.count.min(piece).min(left);
            if count > 0 {
                out.push(Bundle { members: bundle.members.clone(), count });
                bundle.count -= count;
                left -= count;
            }
        }
    }
    debug_assert_eq!(left, 0, "a plan takes no more than waits");
    from.retain(|bundle| bundle.count > 0);
    out
}

/// More would mix better and make more kinds of hand; with four, a pool of ten has some dozens.
const MIXED_BUNDLES: u64 = 4;
