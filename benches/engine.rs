//! What one query costs in the engine, from octets to octets: no socket, one thread.
//!
//! `cargo bench --bench engine`. docs/performance.md says how to read the figures.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kofn::answer::{Client, Dealer, Outcome, answer, foresee};
use kofn::config::{Settings, ZonePolicy};
use kofn::metrics::{Outcome as Label, Transport};
use kofn::snapshot::{Facts, Publisher, Snapshot, ZoneSource};
use kofn::wire::{Name, Type};
use kofn::zone::{Zone, text};

/// As many different queries as a worker meets between two that are alike; a power of two.
const QUERIES: usize = 1 << 14;
const FEW: u32 = 10;
const MANY: u32 = 1_000_000;

criterion_group!(benches, positive, hands, sizes, batches, limits);
criterion_main!(benches);

/// One name, one address: the least that an answer can be.
fn positive(criterion: &mut Criterion) {
    let snapshot = snapshot(&numbered(FEW), "");
    let mut group = criterion.benchmark_group("answer");
    group.throughput(Throughput::Elements(1));
    let queries = vec![query("r0000003.example.test.", Type::A, Extras::None)];
    group.bench_function("A", |bencher| bencher.iter(asker(&snapshot, &queries, Label::Answer)));
    let queries = vec![query("r0000003.example.test.", Type::A, Extras::Edns)];
    group.bench_function("A, EDNS", |bencher| bencher.iter(asker(&snapshot, &queries, Label::Answer)));
    let queries = vec![query("r0000003.example.test.", Type::MX, Extras::None)];
    group.bench_function("NODATA", |bencher| bencher.iter(asker(&snapshot, &queries, Label::NoData)));
    let queries = vec![query("www.example.com.", Type::A, Extras::None)];
    group.bench_function("REFUSED", |bencher| bencher.iter(asker(&snapshot, &queries, Label::Refused)));
}

/// Three of n: the price must not depend on n.
fn hands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand of 3");
    group.throughput(Throughput::Elements(1));
    for members in [3_u32, 10, 2000] {
        let zone = (0..members).map(|index| format!("www A {}\n", Ipv4Addr::from_bits(0x0a00_0001 + index)));
        let snapshot = snapshot(&zone.collect::<String>(), "[pool.www]\nk = 3\nspread = \"random\"\n");
        for (name, extras) in [("plain", Extras::None), ("EDNS and cookie", Extras::Cookie)] {
            let queries = vec![query("www.example.test.", Type::A, extras)];
            group.bench_function(BenchmarkId::new(name, members), |bencher| {
                bencher.iter(asker(&snapshot, &queries, Label::Answer));
            });
        }
    }
}

/// A zone of ten names against one of a million, asked for names at random places: found, and not found.
fn sizes(criterion: &mut Criterion) {
    for (label, suffix) in [(Label::Answer, ""), (Label::NxDomain, "x")] {
        let mut group = criterion.benchmark_group(label.label());
        group.throughput(Throughput::Elements(1));
        for names in [FEW, MANY] {
            let snapshot = snapshot(&numbered(names), "");
            // A multiplicative hash: places at random, the same in each run.
            let places = (0..QUERIES as u32).map(|index| index.wrapping_mul(0x9e37_79b1) % names);
            let queries: Vec<_> = places
                .map(|place| query(&format!("r{place:07}{suffix}.example.test."), Type::A, Extras::None))
                .collect();
            group.bench_function(BenchmarkId::new("names", names), |bencher| {
                bencher.iter(asker(&snapshot, &queries, label));
            });
        }
    }
}

/// Names at random places, 32 at a time as a busy worker has them: with a look ahead, and without.
fn batches(criterion: &mut Criterion) {
    const BATCH: usize = 32;
    let mut group = criterion.benchmark_group("A, 32 at a time");
    group.throughput(Throughput::Elements(BATCH as u64));
    for names in [FEW, MANY] {
        let snapshot = snapshot(&numbered(names), "");
        let places = (0..QUERIES as u32).map(|index| index.wrapping_mul(0x9e37_79b1) % names);
        let queries: Vec<_> =
            places.map(|place| query(&format!("r{place:07}.example.test."), Type::A, Extras::None)).collect();
        for looks in [true, false] {
            let mut asker = asker(&snapshot, &queries, Label::Answer);
            let (mut dealer, mut batches) = (Dealer::new(1), queries.chunks_exact(BATCH).cycle());
            let kind = if looks { "with a look ahead" } else { "without" };
            group.bench_function(BenchmarkId::new(kind, names), |bencher| {
                bencher.iter(|| {
                    let batch = batches.next().expect("a batch");
                    if looks {
                        foresee(&snapshot, batch.iter().map(Vec::as_slice), &mut dealer);
                    }
                    batch.iter().for_each(|_| asker());
                });
            });
        }
    }
}

/// The same question under limits: who may ask, and how many replies a network is sent. Each query is of another network.
fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("A under limits");
    group.throughput(Throughput::Elements(1));
    let addresses = (0..1000).map(|index| format!("\"10.{}.{}.0/24\"", index / 250, index % 250));
    let list = format!("[query]\ndeny = [{}]", addresses.collect::<Vec<_>>().join(", "));
    let rates = |ratio| format!("[rate_limit]\nresponses = 100_000_000\nratio = {ratio}");
    let queries = vec![query("r0000003.example.test.", Type::A, Extras::None)];
    for (name, settings) in [
        ("none", String::new()),
        ("a list of 1,000 prefixes", list),
        ("rates, small reply", rates(4)),
        ("rates, counted", rates(0)),
    ] {
        let settings = Settings::parse(&settings, Path::new("bench.toml")).expect("settings");
        let snapshot = snapshot_with(settings, &numbered(FEW), "");
        group.bench_function(name, |bencher| bencher.iter(asker_of_many(&snapshot, &queries, Label::Answer)));
    }
}

/// Asks the queries in turn, always from one address.
fn asker<'a>(snapshot: &'a Snapshot, queries: &'a [Vec<u8>], expected: Label) -> impl FnMut() + 'a {
    asker_from(snapshot, queries, expected, |_| Ipv4Addr::LOCALHOST)
}

/// Asks the queries in turn, from one network after the other.
fn asker_of_many<'a>(snapshot: &'a Snapshot, queries: &'a [Vec<u8>], expected: Label) -> impl FnMut() + 'a {
    asker_from(snapshot, queries, expected, |times| Ipv4Addr::from_bits(0xac00_0000 | (times & 0x3fff) << 8))
}

fn asker_from<'a>(
    snapshot: &'a Snapshot,
    queries: &'a [Vec<u8>],
    expected: Label,
    address: impl Fn(u32) -> Ipv4Addr + 'a,
) -> impl FnMut() + 'a {
    let mut client = Client { address: IpAddr::V4(address(0)), transport: Transport::Udp, now: 1_800_000_000 };
    let (mut dealer, mut reply, mut next, mut times) = (Dealer::new(1), [0; 1232], 0, 0u32);
    for message in queries {
        let outcome = answer(snapshot, message, &client, &mut dealer, &mut reply);
        assert!(matches!(outcome, Outcome::Reply { label, .. } if label == expected), "{outcome:?}");
    }
    move || {
        next = (next + 1) & (queries.len() - 1);
        times = times.wrapping_add(1);
        client.address = IpAddr::V4(address(times));
        black_box(answer(snapshot, black_box(&queries[next]), &client, &mut dealer, &mut reply));
    }
}

#[derive(Clone, Copy)]
enum Extras {
    None,
    Edns,
    Cookie,
}

fn query(name: &str, rtype: Type, extras: Extras) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(Name::from_text(name.as_bytes()).expect("a name").borrow().as_bytes());
    query.extend(rtype.0.to_be_bytes());
    query.extend([0, 1]);
    let options: &[u8] = match extras {
        Extras::None => return query,
        Extras::Edns => b"",
        Extras::Cookie => b"\0\x0a\0\x08\x01\x02\x03\x04\x05\x06\x07\x08",
    };
    query[11] = 1;
    query.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0");
    query.push(options.len() as u8);
    query.extend(options);
    query
}

fn numbered(names: u32) -> String {
    let line = |index| format!("r{index:07} A {}\n", Ipv4Addr::from_bits(0x0a00_0000 + index));
    (0..names).map(line).collect()
}

/// A snapshot that serves `example.test` with these records beside the least that a zone has.
fn snapshot(records: &str, policy: &str) -> Arc<Snapshot> {
    snapshot_with(Settings::default(), records, policy)
}

fn snapshot_with(settings: Settings, records: &str, policy: &str) -> Arc<Snapshot> {
    let zone = format!(
        "$ORIGIN example.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 1209600 30\n@ NS ns1\nns1 A 192.0.2.1\n{records}"
    );
    let apex = Name::from_text(b"example.test.").expect("a name");
    let loaded = text::read_bytes(zone.as_bytes(), Path::new("bench.zone"), Some(&apex), &text::Limits::default());
    assert_eq!(loaded.faults.errors(), 0);
    let zone = Some(Arc::new(Zone::build(&apex, &loaded.records).expect("a zone")));
    let policy = ZonePolicy::parse(policy, Path::new("bench.toml"), apex.borrow()).expect("a policy");
    let publisher = Publisher::new(Arc::new(settings), Facts::default());
    publisher.replace_zones(vec![ZoneSource { apex, zone, policy: Arc::new(policy) }]);
    publisher.reader().load()
}
