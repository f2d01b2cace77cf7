//! The one writer of snapshots, and how everyone else reads the newest.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::build::{seat, solve};
use super::departures::departures;
use super::facts::Facts;
use super::ledger::Ledger;
use super::served::{ServedZone, Snapshot};
use super::sources::{Sources, Transferred, ZoneSource};
use super::steps::Steps;
use crate::config::{CookieSecret, Settings, ZonePolicy};
use crate::drain::{Clock, Drains};
use crate::health::ProbeKey;
use crate::wire::{LowerName, Name, Type};
use crate::zone::{NodeId, ZoneSet};

/// Makes snapshots of zones, settings and facts, and publishes them.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    ledger: Arc<Ledger>,
    facts: Facts,
    writer: Mutex<Writer>,
    work: Condvar,
    /// Old answers that may live in caches. It is held from before a swap until the swap is accounted for.
    clock: Mutex<Clock>,
    generations: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Writer {
    /// Rotations that stand in for better ones that are still to be solved.
    unsolved: Vec<RotationId>,
    sources: Sources,
    /// Snapshots that workers may still hold. Whoever lets the last one go frees what was in it, which may take milliseconds;
    /// that is not to be a worker.
    retired: Vec<Arc<Snapshot>>,
    stopped: bool,
}

impl Writer {
    fn sweep(&mut self) {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}

/// A rotation, wherever a later snapshot has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RotationId {
    apex: Name,
    node: NodeId,
    rtype: Type,
}

/// Reads the newest snapshot.
#[derive(Clone, Debug)]
pub struct Reader {
    current: Arc<ArcSwap<Snapshot>>,
    generations: watch::Receiver<u64>,
    ledger: Arc<Ledger>,
}

impl Reader {
    /// The newest snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A reader for one worker, which costs one atomic load when nothing has changed.
    pub fn cached(&self) -> arc_swap::Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>> {
        arc_swap::Cache::new(Arc::clone(&self.current))
    }

    /// Tells the number of each new generation.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generations.clone()
    }

    /// The walk of one more worker on all rotations, from a place of its own.
    pub fn steps(&self, offset: u32) -> Steps {
        self.ledger.walker(offset)
    }

    /// Brings the accounts of all pools up to date.
    pub fn settle(&self) {
        self.ledger.settle(now());
    }
}

impl Publisher {
    /// Starts with no zones.
    pub fn new(settings: Arc<Settings>, facts: Facts) -> Arc<Self> {
        let cookie_secret = settings.cookies.secret.unwrap_or_else(|| CookieSecret(rand::random()));
        let zones = ZoneSet::new([]);
        let first = Snapshot { generation: 1, settings, cookie_secret, zones, cells: 0, sprawls: false };
        Arc::new(Self {
            current: Arc::new(ArcSwap::from_pointee(first)),
            ledger: Arc::default(),
            facts,
            writer: Mutex::default(),
            work: Condvar::new(),
            clock: Mutex::default(),
            generations: watch::Sender::new(1),
        })
    }

    /// What workers read from.
    pub fn reader(&self) -> Reader {
        let (current, ledger) = (Arc::clone(&self.current), Arc::clone(&self.ledger));
        Reader { current, generations: self.generations.subscribe(), ledger }
    }

    /// Tells the number of each new generation.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }

    /// Serves these zones and no others, but for those that catalogs list. Zones and policies that are the same as before
    /// keep their rotations; zones without a file keep the data that were handed over.
    pub fn replace_zones(&self, sources: Vec<ZoneSource>) {
        self.merge(|writer| writer.sources.files = sources);
    }

    /// Lays these policies, whose zones have no file and no primaries, over zones that a catalog lists.
    pub fn replace_waiting(&self, policies: BTreeMap<Name, Arc<ZonePolicy>>) {
        if self.lock().sources.waiting != policies {
            self.merge(|writer| writer.sources.waiting = policies);
        }
    }

    /// Serves these zones beside those that files configure: what catalogs list, each with its primaries.
    pub fn replace_members(&self, members: BTreeMap<Name, Arc<ZonePolicy>>) {
        self.merge(|writer| writer.sources.members = members);
    }

    /// Takes over the data of zones that have no file.
    pub fn replace_transferred(&self, data: Vec<(Name, Transferred)>) {
        self.merge(|writer| writer.sources.transfer(data));
    }

    /// Changes the sources, and serves what they are now.
    fn merge(&self, change: impl FnOnce(&mut Writer)) {
        let mut writer = self.lock();
        change(&mut writer);
        let current = self.current.load_full();
        let moment = self.facts.at(now());
        let build = |source: ZoneSource| {
            let lower = LowerName::of(source.apex.borrow());
            let before = current.zones.exact(&lower);
            let expired = source.zone.is_none() && writer.sources.is_expired(&source.apex);
            if let Some(before) = before.filter(|before| before.is_of(&source) && before.expired == expired) {
                return (source.apex, Arc::clone(before));
            }
            let before = before.map(Arc::as_ref);
            let mut served = ServedZone::build(source.zone, source.policy, before, moment);
            served.expired = expired;
            (source.apex, Arc::new(served))
        };
        let zones: Vec<_> = writer.sources.merged().into_iter().map(build).collect();
        self.publish(&mut writer, &current, zones);
    }

    /// Follows these settings from now on, as far as the engine does.
    pub fn replace_settings(&self, settings: Arc<Settings>) {
        let mut writer = self.lock();
        let current = self.current.load_full();
        let cookie_secret = settings.cookies.secret.unwrap_or(current.cookie_secret);
        let zones = ZoneSet::new(current.zones.iter().map(|(apex, zone)| (apex.clone(), Arc::clone(zone))));
        let (cells, sprawls) = (current.cells, current.sprawls);
        let generation = current.generation + 1;
        self.swap(&mut writer, Snapshot { generation, settings, cookie_secret, zones, cells, sprawls });
    }

    /// Takes over the verdicts of these probes. Who is out is out of all hands when this returns; large rotations are
    /// spread anew by whoever runs [`Publisher::solve_until_stopped`].
    pub fn refresh(&self, probes: &[ProbeKey]) {
        let probes: HashSet<&ProbeKey> = probes.iter().collect();
        self.rebuild(|zone, _| zone.is_probed_by(&probes));
    }

    /// Keeps these members, and no others, out of new answers: they are out of all hands when this returns.
    pub fn replace_drains(&self, drains: Drains) {
        let drains = Arc::new(drains);
        let before = self.facts.drains.swap(Arc::clone(&drains));
        self.rebuild(|zone, _| {
            let mut members = zone.pools.iter().flat_map(|pool| {
                pool.families().flat_map(|family| &family.members).map(move |member| (&pool.owner, member.address))
            });
            members.any(|(pool, address)| before.cover(pool, address) != drains.cover(pool, address))
        });
    }

    /// Whom an operator keeps out of new answers.
    pub fn drains(&self) -> Arc<Drains> {
        self.facts.drains.load_full()
    }

    /// Looks at the old answers that may live in caches, and at the snapshot that they are older than.
    pub fn with_clock<T>(&self, look: impl FnOnce(&mut Clock, &Snapshot) -> T) -> T {
        let mut clock = self.clock.lock().expect("a writer that panicked has ended the process");
        look(&mut clock, &self.current.load())
    }

    /// When [`Publisher::warm`] has something to do; may change with every generation.
    pub fn next_step(&self) -> Option<Instant> {
        self.current.load().zones.iter().filter_map(|(_, zone)| zone.next_step()).min()
    }

    /// Gives members that have come back the part of their weight that is due.
    pub fn warm(&self) {
        self.rebuild(|zone, now| zone.next_step().is_some_and(|at| at <= now));
    }

    /// Shows others what is true now of these pools, by zone: each such zone gets its next serial, once for all.
    pub fn settle(&self, pools: &BTreeMap<Name, Vec<Name>>) {
        let mut writer = self.lock();
        let current = self.current.load_full();
        let zones = current.zones.iter().map(|(apex, zone)| {
            let zone = match pools.get(apex) {
                Some(owners) => Arc::new(zone.settled(owners)),
                None => Arc::clone(zone),
            };
            (apex.clone(), zone)
        });
        self.publish(&mut writer, &current, zones.collect());
    }

    /// Judges the members of some zones anew.
    fn rebuild(&self, wanted: impl Fn(&ServedZone, Instant) -> bool) {
        let mut writer = self.lock();
        let current = self.current.load_full();
        let moment = self.facts.at(now());
        let zones = current.zones.iter().map(|(apex, zone)| {
            let zone = match wanted(zone, moment.now) {
                true => Arc::new(ServedZone::build(zone.zone.clone(), Arc::clone(&zone.policy), Some(zone), moment)),
                false => Arc::clone(zone),
            };
            (apex.clone(), zone)
        });
        self.publish(&mut writer, &current, zones.collect());
    }

    /// Spreads large rotations as they become due, and frees what is served no more, until [`Publisher::stop`]. Meant for a
    /// thread of its own, of low priority.
    pub fn solve_until_stopped(&self) {
        let mut writer = self.lock();
        while !writer.stopped {
            // A worker that answers lets go with its next batch, and one that sleeps within a second.
            writer.sweep();
            if let Some(id) = writer.unsolved.pop() {
                drop(writer);
                self.solve(&id);
                writer = self.lock();
                continue;
            }
            let most = if writer.retired.is_empty() { Duration::MAX } else { RETIREMENT };
            let woken = self.work.wait_timeout(writer, most);
            writer = woken.expect("a writer that panicked has ended the process").0;
        }
    }

    /// Frees the snapshots that nobody holds any more, as [`Publisher::solve_until_stopped`] does all the time.
    pub fn sweep(&self) {
        self.lock().sweep();
    }

    /// Ends [`Publisher::solve_until_stopped`].
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.work.notify_all();
    }

    /// Solves one rotation beside the lock; if its members changed meanwhile, the change has put it on the list again.
    fn solve(&self, id: &RotationId) {
        let lower = LowerName::of(id.apex.borrow());
        let before = self.current.load_full();
        let Some(family) = before.zones.exact(&lower).and_then(|zone| zone.family(id.node, id.rtype)) else { return };
        let Some(policy) = before.zones.exact(&lower).and_then(|zone| zone.pool_at(id.node)).map(|pool| &pool.policy)
        else {
            return;
        };
        let begun = Instant::now();
        let rotation = Arc::new(solve(&family.selection.eligible, policy));
        let cost = begun.elapsed();
        let mut writer = self.lock();
        let current = self.current.load_full();
        let zones = current.zones.iter().map(|(apex, zone)| {
            let now = zone.family(id.node, id.rtype).filter(|_| *apex == id.apex);
            let dealt = now.and_then(|now| now.solved_by(&rotation, &family.selection.eligible, cost));
            let zone = match dealt {
                Some(dealt) => Arc::new(zone.with_family(id.node, id.rtype, dealt)),
                None => Arc::clone(zone),
            };
            (apex.clone(), zone)
        });
        self.publish(&mut writer, &current, zones.collect());
    }

    /// Seats the rotations, notes those that are not solved, and swaps.
    fn publish(&self, writer: &mut Writer, current: &Snapshot, zones: Vec<(Name, Arc<ServedZone>)>) {
        self.ledger.release(now());
        let zones: Vec<_> = zones.into_iter().map(|(apex, zone)| (apex, seat(zone, &self.ledger))).collect();
        writer.unsolved.clear();
        for (apex, zone) in &zones {
            let ids = zone.unsolved().map(|(node, rtype)| RotationId { apex: apex.clone(), node, rtype });
            writer.unsolved.extend(ids);
        }
        let next = Snapshot {
            generation: current.generation + 1,
            settings: Arc::clone(&current.settings),
            cookie_secret: current.cookie_secret,
            sprawls: zones.iter().any(|(_, zone)| zone.zone.as_ref().is_some_and(|zone| zone.sprawls())),
            zones: ZoneSet::new(zones),
            cells: self.ledger.cells(),
        };
        self.swap(writer, next);
    }

    fn swap(&self, writer: &mut Writer, snapshot: Snapshot) {
        let generation = snapshot.generation;
        let mut clock = self.clock.lock().expect("a writer that panicked has ended the process");
        let departures = departures(&self.current.load(), &snapshot);
        writer.sweep();
        writer.retired.push(self.current.swap(Arc::new(snapshot)));
        // From here on a worker that looks finds the new snapshot.
        let now = now();
        for one in &departures {
            clock.leaves(&one.pool, one.address, one.ttl, now);
        }
        if !departures.is_empty() {
            let drains = self.facts.drains.load();
            clock.forget(now, |pool, address| drains.cover(pool, address));
        }
        drop(clock);
        self.generations.send_replace(generation);
        self.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("a writer that panicked has ended the process")
    }
}

/// How often it is looked whether a snapshot that has been replaced is held by workers still.
const RETIREMENT: Duration = Duration::from_millis(100);

/// The runtime's clock, which tests can move.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use super::*;
    use crate::health::{Reason, Table};
    use crate::zone::Zone;
    use crate::zone::text;

    /// A pool of so many members, from 192.0.2.1, all of them up.
    struct World {
        publisher: Arc<Publisher>,
        table: Arc<Table>,
    }

    impl World {
        fn new(members: u8, policy: &str) -> Self {
            let apex = Name::from_text(b"example.test").expect("a name");
            let mut zone = "@ 300 SOA ns1 host 1 3600 600 86400 30\n@ 300 NS ns1\nns1 300 A 127.0.0.1\n".to_owned();
            (1..=members).for_each(|member| zone += &format!("www 300 A 192.0.2.{member}\n"));
            let policy = format!("[check.port]\ntype = \"tcp\"\nport = 1\n[pool.www]\ncheck = \"port\"\n{policy}");
            let loaded = text::read_bytes(zone.as_bytes(), Path::new("zone"), Some(&apex), &text::Limits::default());
            let zone = Zone::build(&apex, &loaded.records).expect("a zone");
            let policy = ZonePolicy::parse(&policy, Path::new("zone.toml"), apex.borrow()).expect("a policy");
            let table = Arc::new(Table::default());
            let publisher = Publisher::new(Arc::default(), Facts::of(Arc::clone(&table)));
            publisher.replace_zones(vec![ZoneSource { apex, zone: Some(Arc::new(zone)), policy: Arc::new(policy) }]);
            let world = Self { publisher, table };
            let keys: Vec<ProbeKey> = world.keys();
            world.table.follow(&keys, now());
            (1..=members).for_each(|member| world.probe(member, "P"));
            world.solve();
            world
        }

        fn keys(&self) -> Vec<ProbeKey> {
            self.publisher.reader().load().probes().into_iter().map(|(key, _)| key).collect()
        }

        /// Probes one member: `P` passes, `F` fails.
        fn probe(&self, member: u8, results: &str) {
            let address = IpAddr::from([192, 0, 2, member]);
            let key = self.keys().into_iter().find(|key| key.address == address).expect("a member");
            for result in results.chars() {
                let result = if result == 'P' { Ok(()) } else { Err(Reason::new("silent")) };
                if let Some(change) = self.table.observe(&key, result, now()) {
                    self.publisher.refresh(&[change.key().clone()]);
                }
            }
        }

        /// Solves what is due, as the thread for it does.
        fn solve(&self) {
            loop {
                let Some(id) = self.publisher.lock().unsolved.pop() else { return };
                self.publisher.solve(&id);
            }
        }

        fn family(&self) -> crate::snapshot::FamilyPool {
            let snapshot = self.publisher.reader().load();
            snapshot.pools().find_map(|(_, pool)| pool.a.clone()).expect("a pool of A records")
        }

        /// All that is dealt in a lap, without TTLs.
        fn hands(&self) -> Vec<Vec<IpAddr>> {
            let rotation = self.family().rotation;
            rotation.lap().map(|hand| rotation.addresses(hand.records).collect()).collect()
        }

        fn weight(&self, member: u8) -> f64 {
            let address = IpAddr::from([192, 0, 2, member]);
            let eligible = self.family().selection.eligible;
            eligible.iter().find(|one| one.address == address).map_or(0.0, |one| one.weight)
        }

        fn ttls(&self) -> std::collections::BTreeSet<u32> {
            self.family().rotation.members().iter().map(|member| member.ttl).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn doubt_lowers_a_ttl_and_changes_no_hand() {
        for members in [4, 40] {
            let world = World::new(members, "");
            let hands = world.hands();
            world.probe(2, "F");
            assert_eq!(world.ttls().into_iter().collect::<Vec<_>>(), [5, 30]);
            assert!(world.family().solved);
            world.probe(2, "PPP");
            assert_eq!(world.ttls().into_iter().collect::<Vec<_>>(), [30]);
            assert_eq!(world.hands(), hands, "{members} members");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_rotation_that_is_solved_late_has_the_ttls_of_now() {
        let world = World::new(40, "ttl_min = 7");
        world.probe(9, "FF");
        let id = world.publisher.lock().unsolved.pop().expect("a rotation to solve");
        world.probe(3, "F");
        world.publisher.solve(&id);
        assert!(world.family().solved);
        assert_eq!(world.ttls().into_iter().collect::<Vec<_>>(), [7, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_gets_its_weight_in_steps() {
        let world = World::new(4, "");
        assert_eq!((world.weight(2), world.publisher.next_step()), (1.0, None), "nobody is new at a start");
        world.probe(2, "FF");
        assert_eq!(world.weight(2), 0.0);
        world.probe(2, "PPP");
        let mut weights = vec![world.weight(2)];
        let start = now();
        while let Some(at) = world.publisher.next_step() {
            tokio::time::advance(at - now()).await;
            world.publisher.warm();
            weights.push(world.weight(2));
        }
        assert_eq!(now() - start, Duration::from_secs(30));
        assert_eq!((weights.len(), weights[0], weights[10]), (11, 0.1, 1.0));
        assert!(weights.is_sorted(), "{weights:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn members_that_come_back_together_take_their_steps_together() {
        let world = World::new(40, "");
        for member in 1..=10 {
            world.probe(member, "FF");
        }
        for member in 1..=10 {
            tokio::time::advance(Duration::from_millis(250)).await;
            world.probe(member, "PPP");
        }
        let mut steps = 0;
        while let Some(at) = world.publisher.next_step() {
            tokio::time::advance(at - now()).await;
            world.publisher.warm();
            world.solve();
            steps += 1;
        }
        // Fewer where solving takes so long that a step waits for it.
        assert!((1..=12).contains(&steps), "{steps} steps for ten members");
        assert!((1..=40).all(|member| world.weight(member) == 1.0));
    }
}
