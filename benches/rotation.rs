//! What it costs to lay the hands of a pool: the ring, a member that leaves, and what is dealt until the ring is laid anew.
//!
//! `cargo bench --bench rotation`. docs/performance.md says how to read the figures.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kofn::pool::{Eligible, PerFamily, Policy, Rotation, Spread};

const SIZES: [u32; 3] = [10, 200, 2000];

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = rings, flip, stand_in, deal
}
criterion_main!(benches);

/// The whole ring, with equal weights and with weights of 1 to 5.
fn rings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    for members in SIZES {
        for (name, weights) in [("equal", 1), ("weighted", 5)] {
            let eligible = eligible(members, weights);
            group.bench_function(BenchmarkId::new(name, members), |bencher| {
                bencher.iter_with_large_drop(|| Rotation::build(black_box(&eligible), &policy(Spread::Balanced), 1));
            });
        }
    }
}

/// A member leaves the hands at once: the ring goes without it.
fn flip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flip");
    for members in SIZES {
        let eligible = eligible(members, 1);
        let rotation = Rotation::build(&eligible, &policy(Spread::Balanced), 1);
        let gone = eligible[members as usize / 2].address;
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            bencher.iter_with_large_drop(|| rotation.without(black_box(gone)));
        });
    }
}

/// Hands drawn plainly, which stand in for a ring that is still to be laid.
fn stand_in(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stand-in");
    for members in SIZES {
        let eligible = eligible(members, 5);
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            bencher.iter_with_large_drop(|| Rotation::build(black_box(&eligible), &policy(Spread::Random), 1));
        });
    }
}

/// A hand out of the ring: the price must not depend on the number of members.
fn deal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deal");
    for members in [3, 10, 200, 2000] {
        let rotation = Rotation::build(&eligible(members, 1), &policy(Spread::Balanced), 1);
        let mut cursor = 0_u32;
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            bencher.iter(|| {
                cursor = (cursor + 1) % rotation.len() as u32;
                black_box(rotation.deal(cursor)).records.len()
            });
        });
    }
}

fn policy(spread: Spread) -> Policy {
    Policy { k: PerFamily::both(3), spread, ..Policy::default() }
}

/// In the order of their addresses, with weights from 1 to `weights` in turn.
fn eligible(members: u32, weights: u32) -> Vec<Eligible> {
    let member = |index: u32| Eligible {
        address: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + index)),
        weight: f64::from(1 + index % weights),
        ttl: 30,
    };
    (0..members).map(member).collect()
}
