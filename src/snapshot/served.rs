//! What a snapshot holds.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::Account;
use super::ledger::Seat;
use super::outbound::Outbound;
use super::sources::ZoneSource;
use super::steps::Steps;
use crate::config::{Check, CookieSecret, Settings, ZonePolicy};
use crate::health::ProbeKey;
use crate::pool::{Member, Policy, Rotation, Selection};
use crate::wire::Name;
use crate::zone::{NodeId, Zone, ZoneSet};

/// All that answers are made of, at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts published snapshots, from 1.
    pub generation: u64,
    /// What the engine follows of kofn.toml.
    pub settings: Arc<Settings>,
    /// The secret that makes server cookies, drawn at start when none is configured.
    pub cookie_secret: CookieSecret,
    pub(super) zones: ZoneSet<Arc<ServedZone>>,
    /// How many cells a worker needs to walk all rotations.
    pub(super) cells: u32,
    /// Whether a zone is larger than caches are.
    pub(super) sprawls: bool,
}

/// One zone with the pools that lie over it.
#[derive(Debug)]
pub struct ServedZone {
    /// The zone; `None` when it is configured but has no data yet or any more, so that queries get SERVFAIL.
    pub zone: Option<Arc<Zone>>,
    /// Its policy.
    pub policy: Arc<ZonePolicy>,
    /// It has no data because those that came by transfer are too old to be served.
    pub expired: bool,
    /// Pools by node, in the order of nodes.
    pub(super) pools: Vec<Pool>,
    /// What others get where that is not the zone as it is.
    pub(super) outbound: Option<Arc<Outbound>>,
}

/// An owner name whose A and AAAA RRsets are balanced.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The owner name, in lower case.
    pub owner: Name,
    /// The owner's node.
    pub node: NodeId,
    /// What the operator decided.
    pub policy: Arc<Policy>,
    /// How members are checked; `None` when they are not.
    pub check: Option<Arc<Check>>,
    /// The A members, when the owner has any.
    pub a: Option<FamilyPool>,
    /// The AAAA members, when the owner has any.
    pub aaaa: Option<FamilyPool>,
}

/// The members of one family of a pool, judged and spread.
#[derive(Clone, Debug)]
pub struct FamilyPool {
    /// In address order.
    pub members: Vec<Member>,
    /// Who is handed out, and why.
    pub selection: Selection,
    /// The hands.
    pub rotation: Arc<Rotation>,
    /// The first of a worker's cells that count its steps on this rotation.
    pub cursor: u32,
    /// Keeps those cells.
    pub(super) seat: Option<Arc<Seat>>,
    /// Who was handed out how often.
    pub account: Arc<Account>,
    /// Whether the rotation is as the policy asks, or stands in until that is solved.
    pub solved: bool,
    /// What the last solution took.
    pub(super) cost: Duration,
    /// When members that have come back get the next part of their weight.
    pub(super) next_step: Option<Instant>,
}

impl Snapshot {
    /// The zones, by longest apex.
    pub fn zones(&self) -> &ZoneSet<Arc<ServedZone>> {
        &self.zones
    }

    /// How many cells a worker needs to walk all rotations.
    pub fn cells(&self) -> u32 {
        self.cells
    }

    /// Whether a zone is larger than the caches are that a core has to itself.
    pub fn sprawls(&self) -> bool {
        self.sprawls
    }

    /// All pools with the zone they lie over.
    pub fn pools(&self) -> impl Iterator<Item = (&Name, &Pool)> {
        self.zones.iter().flat_map(|(apex, zone)| zone.pools.iter().map(move |pool| (apex, pool)))
    }

    /// What is to be probed: each address and check once, whatever number of pools share it.
    pub fn probes(&self) -> Vec<(ProbeKey, Arc<Check>)> {
        let mut seen = std::collections::HashSet::new();
        let mut probes = Vec::new();
        for (_, pool) in self.pools() {
            for (key, check) in pool.probes() {
                if seen.insert(key.clone()) {
                    probes.push((key, check));
                }
            }
        }
        probes
    }
}

impl ServedZone {
    /// Whether it is what `source` says.
    pub(super) fn is_of(&self, source: &ZoneSource) -> bool {
        let same_zone = match (&self.zone, &source.zone) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        same_zone && (Arc::ptr_eq(&self.policy, &source.policy) || self.policy == source.policy)
    }

    /// How many labels the apex has.
    pub fn apex_labels(&self) -> Option<usize> {
        self.zone.as_ref().map(|zone| zone.apex_labels())
    }

    /// The pools, in canonical order of their owners.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The pool at a node.
    #[inline]
    pub fn pool_at(&self, node: NodeId) -> Option<&Pool> {
        let index = self.pools.binary_search_by_key(&node, |pool| pool.node).ok()?;
        Some(&self.pools[index])
    }
}

impl FamilyPool {
    /// Counts the hand of a slot that a client was led to.
    #[inline]
    pub fn count(&self, slot: u32, steps: &Steps) {
        if self.rotation.len() > 0 {
            steps.count(self.cursor + self.rotation.hand_of(slot));
        }
    }
}

impl Pool {
    /// Both families, A first.
    pub fn families(&self) -> impl Iterator<Item = &FamilyPool> {
        self.a.iter().chain(&self.aaaa)
    }

    /// The probe of one member, which may ask another address about it.
    pub fn probe_of(&self, member: IpAddr) -> Option<ProbeKey> {
        let check = self.check.as_ref()?;
        Some(ProbeKey { address: check.address_for(member), check: check.id.clone() })
    }

    fn probes(&self) -> impl Iterator<Item = (ProbeKey, Arc<Check>)> {
        let members = self.families().flat_map(|family| &family.members);
        members.filter_map(|member| Some((self.probe_of(member.address)?, self.check.clone()?)))
    }
}
