//! A zone, its policy and the facts to the pools that lie over it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::facts::Facts;
use super::served::{FamilyPool, Pool, ServedZone};
use super::written::address_in;
use crate::config::{PoolConfig, ZonePolicy};
use crate::health::ProbeKey;
use crate::pool::{Eligible, Member, Policy, Rotation, Selection, Spread, select};
use crate::wire::{LowerName, Name, Type};
use crate::zone::{NodeId, Rrset, Zone};

/// Members up to which a rotation is spread at once; a larger one is dealt from a stand-in until it is solved.
const SPREAD_AT_ONCE: usize = 32;

/// Numbers the rotations of a snapshot.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) rotations: u32,
}

impl Builder {
    /// Gives each rotation of a zone the next cursor; a zone that has the right ones stays the same.
    pub(super) fn number(&mut self, zone: Arc<ServedZone>) -> Arc<ServedZone> {
        let first = self.rotations;
        let families = zone.pools.iter().flat_map(Pool::families);
        let (mut count, mut right) = (0, true);
        for family in families {
            right &= family.cursor == first + count;
            count += 1;
        }
        self.rotations += count;
        if right {
            return zone;
        }
        let mut zone = zone.copy();
        let families = zone.pools.iter_mut().flat_map(|pool| pool.a.iter_mut().chain(&mut pool.aaaa));
        for (cursor, family) in (first..).zip(families) {
            family.cursor = cursor;
        }
        Arc::new(zone)
    }
}

/// The rotation as the policy asks for it.
pub(super) fn solve(eligible: &[Eligible], policy: &Policy) -> Rotation {
    Rotation::build(eligible, policy, rand::random())
}

impl ServedZone {
    /// Lays the pools of `policy` over `zone`. Rotations of `before` whose members and policy are the same are kept.
    pub(super) fn build(
        zone: Option<Arc<Zone>>,
        policy: Arc<ZonePolicy>,
        before: Option<&Self>,
        facts: &Facts,
    ) -> Self {
        let mut pools = Vec::new();
        if let Some(zone) = &zone {
            for (owner, config) in &policy.pools {
                pools.extend(Pool::build(zone, owner, config, before, facts));
            }
        }
        pools.sort_by_key(|pool| pool.node);
        Self { zone, policy, pools }
    }

    /// Whether one of these probes is of a member here.
    pub(super) fn is_probed_by(&self, probes: &HashSet<&ProbeKey>) -> bool {
        let mut members = self.pools.iter().flat_map(|pool| {
            pool.families().flat_map(|family| &family.members).filter_map(|member| pool.probe_of(member.address))
        });
        members.any(|probe| probes.contains(&probe))
    }

    /// One family of the pool at `node`.
    pub(super) fn family(&self, node: NodeId, rtype: Type) -> Option<&FamilyPool> {
        let pool = self.pool_at(node)?;
        if rtype == Type::A { pool.a.as_ref() } else { pool.aaaa.as_ref() }
    }

    /// The rotations that stand in for better ones.
    pub(super) fn unsolved(&self) -> impl Iterator<Item = (NodeId, Type)> {
        self.pools.iter().flat_map(|pool| {
            let unsolved = |family: &Option<FamilyPool>| family.as_ref().is_some_and(|family| !family.solved);
            let a = unsolved(&pool.a).then_some((pool.node, Type::A));
            a.into_iter().chain(unsolved(&pool.aaaa).then_some((pool.node, Type::AAAA)))
        })
    }

    /// The same zone with one rotation solved.
    pub(super) fn with_rotation(&self, node: NodeId, rtype: Type, rotation: Arc<Rotation>) -> Self {
        let mut zone = self.copy();
        if let Ok(index) = zone.pools.binary_search_by_key(&node, |pool| pool.node) {
            let pool = &mut zone.pools[index];
            let family = if rtype == Type::A { &mut pool.a } else { &mut pool.aaaa };
            if let Some(family) = family {
                family.rotation = rotation;
                family.solved = true;
            }
        }
        zone
    }

    fn copy(&self) -> Self {
        Self { zone: self.zone.clone(), policy: Arc::clone(&self.policy), pools: self.pools.clone() }
    }
}

impl Pool {
    /// The pool at `owner`; `None` while the zone has no addresses there: the policy sleeps.
    fn build(
        zone: &Zone,
        owner: &Name,
        config: &PoolConfig,
        before: Option<&ServedZone>,
        facts: &Facts,
    ) -> Option<Self> {
        let owner = owner.to_lower();
        let node = zone.exact(LowerName::of(owner.borrow()).octets())?;
        let before = before.and_then(|zone| zone.pools.iter().find(|pool| pool.owner == owner));
        let policy = match before {
            Some(pool) if *pool.policy == config.policy => Arc::clone(&pool.policy),
            _ => Arc::new(config.policy.clone()),
        };
        let mut pool = Self { owner, node, policy, check: config.check.clone(), a: None, aaaa: None };
        let same_policy = before.filter(|before| Arc::ptr_eq(&before.policy, &pool.policy));
        let family = |rtype, before: Option<&FamilyPool>| {
            // Signatures made elsewhere cover the whole set: no subset of it can be served.
            let rrset = zone.rrset(node, rtype).filter(|_| zone.signatures(node, rtype).is_none())?;
            Some(FamilyPool::build(members(&pool, &rrset, facts), &pool.policy, before))
        };
        let a = family(Type::A, same_policy.and_then(|before| before.a.as_ref()));
        let aaaa = family(Type::AAAA, same_policy.and_then(|before| before.aaaa.as_ref()));
        (pool.a, pool.aaaa) = (a, aaaa);
        (pool.a.is_some() || pool.aaaa.is_some()).then_some(pool)
    }
}

/// The members of one family, in address order, as they stand.
fn members(pool: &Pool, rrset: &Rrset<'_>, facts: &Facts) -> Vec<Member> {
    let ttl = rrset.ttl();
    let addresses = rrset.iter().filter_map(|record| address_in(record.rdata));
    let mut members: Vec<Member> = addresses.map(|address| facts.member(pool, address, ttl)).collect();
    members.sort_by_key(|member| member.address);
    members
}

impl FamilyPool {
    fn build(members: Vec<Member>, policy: &Policy, before: Option<&Self>) -> Self {
        let selection = select(&members, policy);
        let cursor = before.map_or(u32::MAX, |before| before.cursor);
        let (rotation, solved) = match before {
            Some(before) if before.selection.eligible == selection.eligible => {
                (Arc::clone(&before.rotation), before.solved)
            }
            before => spread(&selection, policy, before),
        };
        Self { members, selection, rotation, cursor, solved }
    }
}

/// A rotation of the selected members at once: the right one where that is quick, else the rotation before less those who
/// are out, else a plain random one.
fn spread(selection: &Selection, policy: &Policy, before: Option<&FamilyPool>) -> (Arc<Rotation>, bool) {
    let eligible = &selection.eligible;
    let quick = matches!(policy.spread, Spread::Random | Spread::All);
    if quick || eligible.len() <= SPREAD_AT_ONCE {
        return (Arc::new(solve(eligible, policy)), true);
    }
    // Both are in address order.
    let is_eligible = |member: &Eligible| eligible.binary_search_by_key(&member.address, |other| other.address).is_ok();
    if let Some(before) = before {
        let gone: Vec<IpAddr> = before
            .rotation
            .members()
            .iter()
            .filter(|member| !is_eligible(member))
            .map(|member| member.address)
            .collect();
        // One or two leave at a time; when many do, drawing anew costs less than removing each.
        if gone.len() <= 8 && gone.len() < before.rotation.members().len() {
            let rotation = gone.iter().fold((*before.rotation).clone(), |rotation, gone| rotation.without(*gone));
            return (Arc::new(rotation), false);
        }
    }
    let stand_in = Policy { spread: Spread::Random, ..policy.clone() };
    (Arc::new(solve(eligible, &stand_in)), false)
}
