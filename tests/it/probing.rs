//! From a dead backend to an answer without it: zone, policy, prober and publisher together, on real sockets.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kofn::config::{Settings, ZonePolicy};
use kofn::health::{ProbeKey, Reason, Table, Verdict};
use kofn::probe::{Feed, Prober};
use kofn::snapshot::{Facts, Publisher, Snapshot, ZoneSource};
use kofn::wire::Name;
use kofn::zone::{Zone, text};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A served pool `www` of the members 127.0.0.41 to 127.0.0.44, which listen while their listener lives.
struct World {
    publisher: Arc<Publisher>,
    generations: watch::Receiver<u64>,
    table: Arc<Table>,
    port: u16,
    backends: Vec<Option<TcpListener>>,
    prober: tokio::task::JoinHandle<()>,
}

const MEMBERS: u8 = 4;

impl World {
    async fn start() -> Self {
        let first = listen(0, 0).await;
        let port = first.local_addr().expect("it listens").port();
        let mut backends = vec![Some(first)];
        for member in 1..MEMBERS {
            backends.push(Some(listen(member, port).await));
        }
        let table = Arc::new(Table::default());
        let publisher = Publisher::new(Arc::new(Settings::default()), Facts::of(Arc::clone(&table)));
        publisher.replace_zones(vec![source(port, "100ms", 0..MEMBERS)]);
        let generations = publisher.generations();
        let prober = Prober::new(Feed::of(&publisher), Arc::clone(&table));
        let mut first_round = prober.first_round();
        let prober = tokio::spawn(prober.run());
        tokio::time::timeout(Duration::from_secs(20), first_round.done()).await.expect("a first round");
        Self { publisher, generations, table, port, backends, prober }
    }

    /// Waits for a snapshot that hands out exactly these members.
    async fn handed_out(&mut self, members: &[u8]) -> Arc<Snapshot> {
        let wanted: BTreeSet<IpAddr> = members.iter().map(|member| address(*member).into()).collect();
        let reader = self.publisher.reader();
        let wait = self.generations.wait_for(|_| handed_out(&reader.load()) == wanted);
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await.map(|waited| waited.is_ok());
        assert_eq!(waited, Ok(true), "{:?} instead of {wanted:?}", handed_out(&reader.load()));
        reader.load()
    }

    async fn revive(&mut self, member: u8) {
        self.backends[usize::from(member)] = Some(listen(member, self.port).await);
    }

    fn kill(&mut self, member: u8) {
        self.backends[usize::from(member)] = None;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

async fn listen(member: u8, port: u16) -> TcpListener {
    TcpListener::bind((address(member), port)).await.expect("a free port of loopback")
}

fn address(member: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 41 + member)
}

fn source(port: u16, interval: &str, members: std::ops::Range<u8>) -> ZoneSource {
    let apex = Name::from_text(b"example.test").expect("a name");
    let mut zone = "@ 300 SOA ns1 host 1 3600 600 86400 30\n@ 300 NS ns1\nns1 300 A 127.0.0.1\n".to_owned();
    for member in members {
        zone += &format!("www 300 A {}\n", address(member));
    }
    let policy =
        format!("[check.port]\ntype = \"tcp\"\nport = {port}\ninterval = \"{interval}\"\n[pool.www]\ncheck = \"port\"");
    let loaded = text::read_bytes(zone.as_bytes(), Path::new("zone"), Some(&apex), &text::Limits::default());
    let zone = Zone::build(&apex, &loaded.records).expect("a zone");
    let policy = ZonePolicy::parse(&policy, Path::new("zone.toml"), apex.borrow()).expect("a policy");
    ZoneSource { apex, zone: Some(Arc::new(zone)), policy: Arc::new(policy) }
}

/// All addresses that a lap of the pool's hands holds.
fn handed_out(snapshot: &Snapshot) -> BTreeSet<IpAddr> {
    let families = snapshot.pools().filter_map(|(_, pool)| pool.a.as_ref());
    let hands = |family: &kofn::snapshot::FamilyPool| -> Vec<IpAddr> {
        family.rotation.lap().flat_map(|hand| family.rotation.addresses(hand.records).collect::<Vec<_>>()).collect()
    };
    families.flat_map(hands).collect()
}

#[tokio::test]
async fn a_dead_backend_leaves_the_hands_and_returns() {
    let mut world = World::start().await;
    world.handed_out(&[0, 1, 2, 3]).await;
    world.kill(2);
    world.handed_out(&[0, 1, 3]).await;
    world.kill(0);
    world.handed_out(&[1, 3]).await;
    world.kill(3);
    let snapshot = world.handed_out(&[0, 1, 2, 3]).await;
    assert!(snapshot.pools().all(|(_, pool)| pool.families().all(|family| family.selection.panic)));
    for member in [0, 2, 3] {
        world.revive(member).await;
    }
    world.handed_out(&[0, 1, 2, 3]).await;
}

#[tokio::test]
async fn an_edited_interval_does_not_bring_a_dead_backend_back() {
    let mut world = World::start().await;
    world.kill(1);
    world.handed_out(&[0, 2, 3]).await;
    world.publisher.replace_zones(vec![source(world.port, "1h", 0..MEMBERS)]);
    world.handed_out(&[0, 2, 3]).await;
    let snapshot = world.publisher.reader().load();
    let down: Vec<_> =
        snapshot.probes().into_iter().filter(|(key, _)| world.table.verdict(key) == Verdict::Down).collect();
    assert_eq!(down.len(), 1);
}

#[tokio::test]
async fn a_record_that_is_added_is_probed_and_one_that_is_removed_is_forgotten() {
    let mut world = World::start().await;
    let before = world.publisher.reader().load().probes();
    world.kill(3);
    world.publisher.replace_zones(vec![source(world.port, "100ms", 0..2)]);
    world.handed_out(&[0, 1]).await;
    world.publisher.replace_zones(vec![source(world.port, "100ms", 0..MEMBERS)]);
    // It is new, so its first failure decides.
    world.handed_out(&[0, 1, 2]).await;
    world.publisher.replace_zones(Vec::new());
    let forgotten = async {
        while before.iter().any(|(key, _)| world.table.report(key).is_some()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), forgotten).await.expect("nothing is known of records that are gone");
}

/// Serves the pool of a [`World`] of so many members without a prober, all of them up.
fn flapping(members: u8) -> (Arc<Publisher>, Arc<Table>, Vec<ProbeKey>) {
    let table = Arc::new(Table::default());
    let publisher = Publisher::new(Arc::new(Settings::default()), Facts::of(Arc::clone(&table)));
    publisher.replace_zones(vec![source(1, "5s", 0..members)]);
    let keys: Vec<ProbeKey> = publisher.reader().load().probes().into_iter().map(|(key, _)| key).collect();
    table.follow(&keys, tokio::time::Instant::now().into_std());
    (publisher, table, keys)
}

/// What is due until `end` to bring members back to their whole weight; returns how many steps it took.
async fn warmed_until(end: tokio::time::Instant, publisher: &Publisher) -> u64 {
    let mut steps = 0;
    while let Some(at) = publisher.next_step().map(tokio::time::Instant::from_std).filter(|at| *at <= end) {
        tokio::time::advance(at.saturating_duration_since(tokio::time::Instant::now())).await;
        publisher.warm();
        steps += 1;
    }
    tokio::time::advance(end.saturating_duration_since(tokio::time::Instant::now())).await;
    steps
}

#[tokio::test(start_paused = true)]
async fn a_day_of_flapping_makes_a_generation_for_each_change_and_leaves_nothing_behind() {
    const MEMBERS: u8 = 8;
    let (publisher, table, keys) = flapping(MEMBERS);
    let (reader, start) = (publisher.reader(), tokio::time::Instant::now());
    let mut random = SmallRng::seed_from_u64(24);
    let (mut lives, mut old) = (vec![true; keys.len()], Vec::new());
    let (mut generation, mut steps, mut recoveries) = (reader.load().generation, 0, 0);
    for second in (5..24 * 3600).step_by(5) {
        let taken = warmed_until(start + Duration::from_secs(second), &publisher).await;
        steps += taken;
        assert_eq!(reader.load().generation, generation + taken, "second {second}: only steps in between");
        generation += taken;
        for (key, lives) in keys.iter().zip(&mut lives) {
            // Ten minutes or so alive, and one dead.
            *lives ^= random.random::<f64>() < if *lives { 1.0 / 360.0 } else { 1.0 / 12.0 };
            let (before, result) = (table.known(key), if *lives { Ok(()) } else { Err(Reason::new("refused")) });
            let change = table.observe(key, result, tokio::time::Instant::now().into_std());
            let after = table.known(key);
            assert_eq!(change.is_some(), (before.verdict, before.doubtful) != (after.verdict, after.doubtful));
            let Some(change) = change else { continue };
            recoveries += u64::from(before.verdict == Verdict::Down);
            old.push(Arc::downgrade(&reader.load()));
            publisher.refresh(&[change.key().clone()]);
            generation += 1;
            let snapshot = reader.load();
            assert_eq!(snapshot.generation, generation, "second {second}: one for each change");
            let (_, pool) = snapshot.pools().next().expect("a pool");
            let family = pool.a.as_ref().expect("a family");
            let is_out = family.selection.eligible.iter().all(|member| member.address != key.address);
            assert_eq!(is_out, after.verdict == Verdict::Down && !family.selection.panic, "second {second}: {key}");
        }
    }
    assert!(recoveries > 100 && steps > 100 && steps <= 10 * recoveries, "{steps} steps, {recoveries} recoveries");
    publisher.sweep();
    assert!(old.iter().all(|snapshot| snapshot.upgrade().is_none()), "a snapshot of before is kept");
    let copies = publisher.with_clock(|clock, _| clock.iter().count());
    assert!(copies <= keys.len(), "{copies} members with old copies");
    assert_eq!(table.findings().len(), keys.len());
}
