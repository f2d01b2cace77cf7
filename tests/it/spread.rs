//! What rotations do to their members: the overload against the optimum, and what holds for every ring.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use kofn::health::Verdict;
use kofn::net::Prefix;
use kofn::pool::{Eligible, Figures, Kind, Member, PerFamily, Policy, Rotation, Spread, bound, plain, select};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

#[derive(serde::Deserialize)]
struct Case {
    weights: Vec<f64>,
    k: u16,
    optimum: f64,
}

/// Cases with their optimum from a linear-programming solver.
fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("data/spread-optimum.json")).expect("cases")
}

/// The same for weights over four powers of ten.
fn extremes() -> Vec<Case> {
    serde_json::from_str(include_str!("data/spread-extremes.json")).expect("cases")
}

fn eligible(weights: &[f64]) -> Vec<Eligible> {
    let address = |index: usize| Ipv4Addr::from_bits(0x0A00_0000 + u32::try_from(index).expect("a small pool"));
    let one = |(index, weight): (usize, &f64)| Eligible { address: address(index).into(), weight: *weight, ttl: 30 };
    weights.iter().enumerate().map(one).collect()
}

fn policy(k: u16, spread: Spread) -> Policy {
    Policy { k: PerFamily::both(k), spread, ..Policy::default() }
}

fn figures(weights: &[f64], k: u16) -> Figures {
    Figures::of(&Rotation::build(&eligible(weights), &policy(k, Spread::Balanced), 7))
}

fn hands(rotation: &Rotation) -> Vec<Vec<IpAddr>> {
    rotation.lap().map(|hand| rotation.addresses(hand.records).collect()).collect()
}

#[test]
fn the_worst_overload_is_the_optimum_of_the_linear_program() {
    for Case { weights, k, optimum } in cases().into_iter().chain(extremes()) {
        let worst = figures(&weights, k).overload.worst();
        let equal = weights.iter().all(|weight| *weight == weights[0]);
        let tolerance = if equal { 1.0011 } else { 1.03 };
        assert!(worst <= optimum * tolerance, "{weights:?} k={k}: {worst} against {optimum}");
        assert!(worst >= optimum * 0.999_99, "{weights:?} k={k}: {worst} is below the optimum {optimum}");
    }
}

#[test]
fn the_bound_is_below_the_optimum_and_close_to_it() {
    for Case { weights, k, optimum } in cases().into_iter().chain(extremes()) {
        let bound = bound(&eligible(&weights), &policy(k, Spread::Balanced));
        assert!(bound <= optimum * 1.000_01, "{weights:?} k={k}: {bound} is above the optimum {optimum}");
        assert!(bound >= optimum * 0.999, "{weights:?} k={k}: {bound} is far below the optimum {optimum}");
    }
}

#[test]
fn who_weighs_next_to_nothing_is_served_all_the_same() {
    for weights in [&[100.0, 0.01, 100.0, 0.01][..], &[0.06, 55.76, 0.02, 3.5, 7.3, 0.31, 9.75, 22.52]] {
        let overload = figures(weights, 2).overload;
        assert!(overload.of(Kind::Any).iter().all(|overload| *overload > 0.0), "{weights:?} {overload:?}");
    }
}

#[test]
fn equal_weights_meet_the_bound_exactly_where_windows_are_enough() {
    for (n, k) in [(2_usize, 1_u16), (2, 2), (3, 2), (5, 2), (5, 4), (8, 3), (16, 8), (7, 1), (60, 1)] {
        let overload = figures(&vec![1.0; n], k).overload;
        let bound = n as f64 / (n - usize::from(k) + 1) as f64;
        for kind in [Kind::Lowest, Kind::Highest] {
            assert!((overload.worst_of(kind) - bound).abs() < 1e-9, "{n} {k} {kind:?}");
        }
        assert!((overload.worst() - bound).abs() < 1e-9, "{n} {k}");
    }
}

#[test]
fn hands_vary_for_a_thousandth() {
    for (n, k) in [(6_usize, 2_u16), (10, 2), (10, 3), (18, 3), (30, 10), (64, 8)] {
        let figures = figures(&vec![1.0; n], k);
        assert!(figures.subsets >= n, "{n} {k}: {} subsets", figures.subsets);
        let bound = n as f64 / (n - usize::from(k) + 1) as f64;
        assert!(figures.overload.worst() <= bound * 1.0011, "{n} {k}: {}", figures.overload.worst());
    }
    for Case { weights, k, .. } in cases().into_iter().filter(|case| case.weights.len() >= 3 * usize::from(case.k)) {
        let subsets = figures(&weights, k).subsets;
        assert!(subsets >= weights.len(), "{weights:?} {k}: {subsets} subsets");
    }
}

#[test]
fn the_sorting_clients_of_a_dead_member_part_in_a_large_pool() {
    let deaths = figures(&[1.0; 400], 2).deaths;
    let heirs: Vec<f64> = deaths[1..200].iter().map(|death| death.heir).collect();
    let mean = heirs.iter().sum::<f64>() / heirs.len() as f64;
    assert!(mean < 0.8, "on average {mean} of them land on one");
}

#[test]
fn a_stretch_of_the_lap_has_the_shares_of_the_whole() {
    let rotation = Rotation::build(&eligible(&[1.0; 50]), &policy(2, Spread::Balanced), 7);
    let hands = hands(&rotation);
    for member in rotation.members() {
        let lowest =
            |hands: &[Vec<IpAddr>]| hands.iter().filter(|hand| hand.iter().min() == Some(&member.address)).count();
        let due = lowest(&hands) / 10;
        for stretch in hands.chunks_exact(hands.len() / 10) {
            assert!(lowest(stretch).abs_diff(due) <= 4, "{}: {} of {due}", member.address, lowest(stretch));
        }
    }
}

/// A pool as it may come: some members down, drained or of weight 0, weights over four powers of ten.
fn any_pool(rng: &mut SmallRng) -> (Vec<Member>, Policy) {
    let n = rng.random_range(1..=40_u8);
    let policy = policy(rng.random_range(1..=8), *Spread::ALL.choose(rng).expect("spreads"));
    let member = |last: u8| {
        let weight = 10_f64.powf(rng.random_range(-2.0..2.0));
        Member {
            weight: if rng.random_bool(0.1) { 0.0 } else { weight },
            verdict: *[Verdict::Up, Verdict::Up, Verdict::Unknown, Verdict::Down].choose(rng).expect("verdicts"),
            drained: rng.random_bool(0.1),
            ..Member::new(IpAddr::from([192, 0, 2, last]), &policy, 300)
        }
    };
    let members = (0..n).map(member).collect();
    (members, policy)
}

#[test]
fn whatever_the_pool_hands_are_full_of_distinct_eligible_members() {
    let mut rng = SmallRng::seed_from_u64(2);
    for round in 0..120 {
        let (members, policy) = any_pool(&mut rng);
        let selection = select(&members, &policy);
        let rotation = Rotation::build(&selection.eligible, &policy, round);
        let may: BTreeSet<IpAddr> = selection.eligible.iter().map(|member| member.address).collect();
        let all = policy.spread == Spread::All;
        let size = if all { may.len() } else { may.len().min(usize::from(policy.k.a)) };
        let mut seen = BTreeSet::new();
        for hand in hands(&rotation) {
            let distinct: BTreeSet<IpAddr> = hand.iter().copied().collect();
            assert_eq!((hand.len(), distinct.len()), (size, size), "round {round}: {policy:?}");
            assert!(distinct.is_subset(&may), "round {round}: {hand:?}");
            seen.extend(distinct);
        }
        let light = members.iter().filter(|member| member.weight == 0.0).any(|member| seen.contains(&member.address));
        assert!(!light, "round {round}: weight 0 is served");
        // Plain draws and slots are too few for the very lightest of a pool.
        if matches!(policy.spread, Spread::Balanced | Spread::All) {
            assert_eq!(seen, may, "round {round}: {policy:?}");
        }
    }
}

#[test]
fn the_parts_of_a_ring_sum_to_one_for_every_kind() {
    let mut rng = SmallRng::seed_from_u64(3);
    for round in 0..40 {
        let (members, policy) = any_pool(&mut rng);
        let eligible = select(&members, &policy).eligible;
        if eligible.is_empty() {
            continue;
        }
        let figures = Figures::of(&Rotation::build(&eligible, &policy, round));
        let total: f64 = eligible.iter().map(|member| member.weight).sum();
        for kind in Kind::ALL {
            let parts = figures.overload.of(kind).iter().zip(&eligible);
            let sum: f64 = parts.map(|(overload, member)| overload * member.weight / total).sum();
            assert!((sum - 1.0).abs() < 1e-9, "round {round}: {kind:?} {sum}");
        }
    }
}

#[test]
fn together_keeps_hands_within_a_prefix_and_apart_out_of_one() {
    let sites = [6_u8, 3, 9, 4];
    let address = |site: usize, last: u8| IpAddr::from([10, 0, u8::try_from(site).expect("few sites"), last]);
    let members: Vec<Eligible> = (0..sites.len())
        .flat_map(|site| (0..sites[site]).map(move |last| address(site, last)))
        .enumerate()
        .map(|(index, address)| Eligible { address, weight: 1.0 + (index % 3) as f64, ttl: 30 })
        .collect();
    let site = |address: &IpAddr| Prefix::of(*address, 24);
    for spread in [Spread::Balanced, Spread::Random, Spread::Affinity] {
        let mut policy = policy(3, spread);
        policy.together = PerFamily::both(Some(24));
        let rotation = Rotation::build(&members, &policy, 7);
        assert!(hands(&rotation).iter().all(|hand| hand.iter().all(|one| site(one) == site(&hand[0]))), "{spread:?}");
        let seen: BTreeSet<IpAddr> = hands(&rotation).into_iter().flatten().collect();
        assert_eq!(seen.len(), members.len(), "{spread:?}");
        policy.together = PerFamily::both(None);
        policy.apart = PerFamily::both(Some(24));
        for hand in hands(&Rotation::build(&members, &policy, 7)) {
            assert_eq!(hand.iter().map(site).collect::<BTreeSet<_>>().len(), 3, "{spread:?} {hand:?}");
        }
    }
}

#[test]
fn losing_a_member_changes_the_hands_of_few_client_networks() {
    for (n, k) in [(3_usize, 2_u16), (10, 2), (10, 3), (40, 2)] {
        let members = eligible(&vec![1.0; n]);
        let policy = policy(k, Spread::Affinity);
        let before = Rotation::build(&members, &policy, 1);
        for gone in 0..n {
            let mut left = members.clone();
            left.remove(gone);
            let after = Rotation::build(&left, &policy, 2);
            let changed = hands(&before).iter().zip(hands(&after)).filter(|(one, other)| *one != other).count();
            let part = changed as f64 / before.len() as f64;
            assert!(part <= f64::from(k) / n as f64 + 0.02, "{n} {k} without {gone}: {part}");
            assert_eq!(hands(&before.without(members[gone].address)), hands(&after), "{n} {k} without {gone}");
        }
    }
}

#[test]
fn affinity_honours_weights() {
    let rotation = Rotation::build(&eligible(&[1.0, 2.0, 1.0, 4.0, 8.0]), &policy(1, Spread::Affinity), 1);
    for overload in Figures::of(&rotation).overload.of(Kind::Any) {
        assert!((overload - 1.0).abs() < 0.08, "{overload}");
    }
}

#[test]
fn the_figures_of_a_plain_draw_are_those_of_random_hands() {
    let weights: Vec<f64> = (0..9).map(|index| 1.0 + f64::from(index % 2)).collect();
    let right = plain(&weights, 3);
    assert!((plain(&[1.0; 10], 3).worst() - 3.0).abs() < 1e-9);
    assert!((plain(&[1.0; 10], 8).worst() - 8.0).abs() < 1e-9);
    assert!((plain(&[1.0; 10], 10).worst() - 10.0).abs() < 1e-9);
    // An even draw, judged by shares that are not even.
    let mut rotation_members = eligible(&[1.0; 9]);
    let rotation = Rotation::build(&rotation_members, &policy(3, Spread::Random), 7);
    rotation_members.iter_mut().zip(&weights).for_each(|(member, weight)| member.weight = *weight);
    let even = Figures::of(&rotation).overload;
    let total: f64 = weights.iter().sum();
    for kind in Kind::ALL {
        for (member, overload) in even.of(kind).iter().enumerate() {
            let judged = overload / 9.0 / (weights[member] / total);
            assert!((judged - right.of(kind)[member]).abs() < 0.2, "{kind:?} {member}: {judged} {right:?}");
        }
    }
}
