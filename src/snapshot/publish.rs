//! The one writer of snapshots, and how everyone else reads the newest.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::build::{Builder, solve};
use super::facts::Facts;
use super::served::{FamilyPool, ServedZone, Snapshot};
use crate::config::{CookieSecret, Settings, ZonePolicy};
use crate::health::ProbeKey;
use crate::wire::{Name, Type};
use crate::zone::{NodeId, Zone, ZoneSet};

/// A zone to be served, and its policy.
#[derive(Clone, Debug)]
pub struct ZoneSource {
    /// The name of the zone.
    pub apex: Name,
    /// Its data; `None` when it has none that can be served, so that queries get SERVFAIL.
    pub zone: Option<Arc<Zone>>,
    /// Its policy.
    pub policy: Arc<ZonePolicy>,
}

/// Makes snapshots of zones, settings and facts, and publishes them.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    facts: Facts,
    writer: Mutex<Writer>,
    work: Condvar,
    generations: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Writer {
    /// Rotations that stand in for better ones that are still to be solved.
    unsolved: Vec<RotationId>,
    stopped: bool,
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
pub struct Reader(Arc<ArcSwap<Snapshot>>);

impl Reader {
    /// The newest snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// A reader for one worker, which costs one atomic load when nothing has changed.
    pub fn cached(&self) -> arc_swap::Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>> {
        arc_swap::Cache::new(Arc::clone(&self.0))
    }
}

impl Publisher {
    /// Starts with no zones.
    pub fn new(settings: Arc<Settings>, facts: Facts) -> Arc<Self> {
        let cookie_secret = settings.cookies.secret.unwrap_or_else(|| CookieSecret(rand::random()));
        let zones = ZoneSet::new([]);
        let first = Snapshot { generation: 1, settings, cookie_secret, zones, rotations: 0 };
        Arc::new(Self {
            current: Arc::new(ArcSwap::from_pointee(first)),
            facts,
            writer: Mutex::default(),
            work: Condvar::new(),
            generations: watch::Sender::new(1),
        })
    }

    /// What workers read from.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.current))
    }

    /// Tells the number of each new generation.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }

    /// Serves these zones and no others. Zones and policies that are the same as before keep their rotations.
    pub fn replace_zones(&self, sources: Vec<ZoneSource>) {
        let mut writer = self.lock();
        let current = self.current.load_full();
        let build = |source: ZoneSource| {
            let lower = crate::wire::LowerName::of(source.apex.borrow());
            let before = current.zones.exact(&lower).map(Arc::as_ref);
            (source.apex, Arc::new(ServedZone::build(source.zone, source.policy, before, &self.facts)))
        };
        let zones: Vec<_> = sources.into_iter().map(build).collect();
        self.publish(&mut writer, &current, zones);
    }

    /// Follows these settings from now on, as far as the engine does.
    pub fn replace_settings(&self, settings: Arc<Settings>) {
        let _writer = self.lock();
        let current = self.current.load_full();
        let cookie_secret = settings.cookies.secret.unwrap_or(current.cookie_secret);
        let zones = ZoneSet::new(current.zones.iter().map(|(apex, zone)| (apex.clone(), Arc::clone(zone))));
        let rotations = current.rotations;
        self.swap(Snapshot { generation: current.generation + 1, settings, cookie_secret, zones, rotations });
    }

    /// Takes over the verdicts of these probes. Who is out is out of all hands when this returns; large rotations are
    /// spread anew by whoever runs [`Publisher::solve_until_stopped`].
    pub fn refresh(&self, probes: &[ProbeKey]) {
        let probes: HashSet<&ProbeKey> = probes.iter().collect();
        let mut writer = self.lock();
        let current = self.current.load_full();
        let zones = current.zones.iter().map(|(apex, zone)| {
            let zone = match zone.is_probed_by(&probes) {
                true => {
                    Arc::new(ServedZone::build(zone.zone.clone(), Arc::clone(&zone.policy), Some(zone), &self.facts))
                }
                false => Arc::clone(zone),
            };
            (apex.clone(), zone)
        });
        self.publish(&mut writer, &current, zones.collect());
    }

    /// Spreads large rotations as they become due, until [`Publisher::stop`]. Meant for a thread of its own, of low priority.
    pub fn solve_until_stopped(&self) {
        let mut writer = self.lock();
        while !writer.stopped {
            let Some(id) = writer.unsolved.pop() else {
                writer = self.work.wait(writer).expect("a writer that panicked has ended the process");
                continue;
            };
            drop(writer);
            self.solve(&id);
            writer = self.lock();
        }
    }

    /// Ends [`Publisher::solve_until_stopped`].
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.work.notify_all();
    }

    /// Solves one rotation beside the lock; if its members changed meanwhile, the change has put it on the list again.
    fn solve(&self, id: &RotationId) {
        let lower = crate::wire::LowerName::of(id.apex.borrow());
        let before = self.current.load_full();
        let Some(family) = before.zones.exact(&lower).and_then(|zone| zone.family(id.node, id.rtype)) else { return };
        let Some(policy) = before.zones.exact(&lower).and_then(|zone| zone.pool_at(id.node)).map(|pool| &pool.policy)
        else {
            return;
        };
        let rotation = Arc::new(solve(&family.selection.eligible, policy));
        let mut writer = self.lock();
        let current = self.current.load_full();
        let zones = current.zones.iter().map(|(apex, zone)| {
            let unchanged = |now: &FamilyPool| !now.solved && now.selection.eligible == family.selection.eligible;
            let zone = match zone.family(id.node, id.rtype) {
                Some(now) if *apex == id.apex && unchanged(now) => {
                    Arc::new(zone.with_rotation(id.node, id.rtype, Arc::clone(&rotation)))
                }
                _ => Arc::clone(zone),
            };
            (apex.clone(), zone)
        });
        self.publish(&mut writer, &current, zones.collect());
    }

    /// Numbers the rotations, notes those that are not solved, and swaps.
    fn publish(&self, writer: &mut Writer, current: &Snapshot, zones: Vec<(Name, Arc<ServedZone>)>) {
        let mut builder = Builder::default();
        let zones: Vec<_> = zones.into_iter().map(|(apex, zone)| (apex, builder.number(zone))).collect();
        writer.unsolved.clear();
        for (apex, zone) in &zones {
            let ids = zone.unsolved().map(|(node, rtype)| RotationId { apex: apex.clone(), node, rtype });
            writer.unsolved.extend(ids);
        }
        if !writer.unsolved.is_empty() {
            self.work.notify_all();
        }
        self.swap(Snapshot {
            generation: current.generation + 1,
            settings: Arc::clone(&current.settings),
            cookie_secret: current.cookie_secret,
            zones: ZoneSet::new(zones),
            rotations: builder.rotations,
        });
    }

    fn swap(&self, snapshot: Snapshot) {
        let generation = snapshot.generation;
        self.current.store(Arc::new(snapshot));
        self.generations.send_replace(generation);
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("a writer that panicked has ended the process")
    }
}
