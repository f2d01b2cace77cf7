//! What a large zone costs from its text to the zone that is served, step by step, and what many small ones do; on one thread.
//!
//! `cargo bench --bench zone`. docs/performance.md says how to read the figures.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kofn::config::ZonePolicy;
use kofn::snapshot::{Facts, Publisher, ZoneSource};
use kofn::wire::Name;
use kofn::zone::text::{Limits, Loaded, read_bytes};
use kofn::zone::{Zone, check};

const RECORDS: u32 = 1_000_000;
const ZONES: u32 = 100_000;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = large, shuffled, many
}
criterion_main!(benches);

/// A zone in canonical order, as most programs write it.
fn large(criterion: &mut Criterion) {
    let text = zone((0..RECORDS).collect());
    let loaded = read(&text);
    let mut group = criterion.benchmark_group("a million A records");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("parse", |bencher| bencher.iter_with_large_drop(|| read(black_box(&text))));
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    group.bench_function("check", |bencher| {
        bencher.iter(|| check(&loaded.apex, &loaded.records, &loaded.files, &mut loaded.faults.clone()));
    });
    group.bench_function("build", |bencher| {
        bencher.iter_with_large_drop(|| Zone::build(&loaded.apex, black_box(&loaded.records)).expect("a zone"));
    });
    group.finish();
}

/// The same without any order.
fn shuffled(criterion: &mut Criterion) {
    let step = 618_033; // prime to their number, so that each comes once
    let text = zone((0..RECORDS).map(|index| (u64::from(index) * step % u64::from(RECORDS)) as u32).collect());
    let loaded = read(&text);
    let mut group = criterion.benchmark_group("a million A records, shuffled");
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    group.bench_function("build", |bencher| {
        bencher.iter_with_large_drop(|| Zone::build(&loaded.apex, black_box(&loaded.records)).expect("a zone"));
    });
    group.finish();
}

/// A zone of ten records from its text, and a hundred thousand of them when one changes.
fn many(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ten records");
    let text = zone((0..7).collect());
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("text to zone", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut loaded = read(black_box(&text));
            check(&loaded.apex, &loaded.records, &loaded.files, &mut loaded.faults);
            Zone::build(&loaded.apex, &loaded.records).expect("a zone")
        });
    });
    group.finish();

    let (zone, policy) = (build(&text), Arc::<ZonePolicy>::default());
    let apex = |number| Name::from_text(format!("z{number:06}.test.").as_bytes()).expect("a name");
    let source = |number| ZoneSource { apex: apex(number), zone: Some(Arc::clone(&zone)), policy: Arc::clone(&policy) };
    let sources: Vec<ZoneSource> = (0..ZONES).map(source).collect();
    let publisher = Publisher::new(Arc::default(), Facts::default());
    publisher.replace_zones(sources.clone());
    let mut group = criterion.benchmark_group("a hundred thousand zones");
    group.bench_function("one changes", |bencher| {
        let changed = || {
            let mut sources = sources.clone();
            sources[ZONES as usize / 2].zone = Some(build(&text));
            sources
        };
        bencher.iter_batched(changed, |sources| publisher.replace_zones(sources), BatchSize::PerIteration);
    });
    group.finish();
}

fn build(text: &str) -> Arc<Zone> {
    let loaded = read(text);
    Arc::new(Zone::build(&loaded.apex, &loaded.records).expect("a zone"))
}

fn zone(numbers: Vec<u32>) -> String {
    let head =
        "$ORIGIN example.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 1209600 30\n@ NS ns1\nns1 A 192.0.2.1\n";
    let line = |number| format!("r{number:07} A {}\n", Ipv4Addr::from_bits(0x0a00_0000 + number));
    std::iter::once(head.to_owned()).chain(numbers.into_iter().map(line)).collect()
}

fn read(text: &str) -> Loaded {
    let apex = Name::from_text(b"example.test.").expect("a name");
    let loaded = read_bytes(text.as_bytes(), Path::new("bench.zone"), Some(&apex), &Limits::default());
    assert_eq!(loaded.faults.errors(), 0);
    loaded
}
