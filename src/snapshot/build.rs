//! A zone, its policy and the facts to the pools that lie over it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::Account;
use super::facts::Moment;
use super::ledger::{Ledger, Seat};
use super::served::{FamilyPool, Pool, ServedZone};
use super::written::address_in;
use crate::config::{PoolConfig, ZonePolicy};
use crate::health::ProbeKey;
use crate::pool::{Eligible, Member, Policy, Rotation, Selection, Spread, select};
use crate::processor;
use crate::wire::{LowerName, Name, Type};
use crate::zone::{NodeId, Rrset, Zone};

/// Members up to which a rotation is spread at once; a larger one is dealt from a stand-in until it is solved.
const SPREAD_AT_ONCE: usize = 32;
/// From one step of warmth to the next the solver has at least so many times the time that it took for the last one.
const SOLVER_RESTS: u32 = 20;

/// Gives each rotation of a zone that has none its seat; a zone whose rotations have theirs stays the same.
pub(super) fn seat(zone: Arc<ServedZone>, ledger: &Ledger) -> Arc<ServedZone> {
    if zone.pools.iter().flat_map(Pool::families).all(|family| family.seat.is_some()) {
        return zone;
    }
    let mut zone = zone.copy();
    for pool in &mut zone.pools {
        let by_client = pool.policy.spread == Spread::Affinity;
        for family in pool.a.iter_mut().chain(&mut pool.aaaa).filter(|family| family.seat.is_none()) {
            let seat = ledger.seat(&family.rotation, &family.account, by_client);
            (family.cursor, family.seat) = (seat.first, Some(seat));
        }
    }
    Arc::new(zone)
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
        moment: Moment<'_>,
    ) -> Self {
        let mut pools = Vec::new();
        if let Some(zone) = &zone {
            for (owner, config) in &policy.pools {
                pools.extend(Pool::build(zone, owner, config, before, moment));
            }
        }
        pools.sort_by_key(|pool| pool.node);
        let expired = zone.is_none() && before.is_some_and(|before| before.expired);
        let mut built = Self { zone, policy, expired, pools, outbound: None };
        let apex = built.zone.as_ref().filter(|_| before.is_none()).map(|zone| zone.apex());
        let remembered = apex.and_then(|apex| moment.remembered(apex));
        built.outbound = built.show(before, remembered);
        built
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

    /// The same zone with other hands for one family.
    pub(super) fn with_family(&self, node: NodeId, rtype: Type, dealt: FamilyPool) -> Self {
        let mut zone = self.copy();
        if let Ok(index) = zone.pools.binary_search_by_key(&node, |pool| pool.node) {
            let pool = &mut zone.pools[index];
            *(if rtype == Type::A { &mut pool.a } else { &mut pool.aaaa }) = Some(dealt);
        }
        zone
    }

    /// When a member that has come back gets the next part of its weight, the soonest of all pools.
    pub(super) fn next_step(&self) -> Option<Instant> {
        self.pools.iter().flat_map(Pool::families).filter_map(|family| family.next_step).min()
    }

    pub(super) fn copy(&self) -> Self {
        Self {
            zone: self.zone.clone(),
            policy: Arc::clone(&self.policy),
            expired: self.expired,
            pools: self.pools.clone(),
            outbound: self.outbound.clone(),
        }
    }
}

impl Pool {
    /// The pool at `owner`; `None` while the zone has no addresses there: the policy sleeps.
    fn build(
        zone: &Zone,
        owner: &Name,
        config: &PoolConfig,
        before: Option<&ServedZone>,
        moment: Moment<'_>,
    ) -> Option<Self> {
        let owner = owner.to_lower();
        let node = zone.exact(LowerName::of(owner.borrow()).octets())?;
        let before = before.and_then(|zone| zone.pools.iter().find(|pool| pool.owner == owner));
        let policy = match before {
            Some(pool) if *pool.policy == config.policy => Arc::clone(&pool.policy),
            _ => Arc::new(config.policy.clone()),
        };
        let mut pool = Self { owner, node, policy, check: config.check.clone(), a: None, aaaa: None };
        let of_any_policy = before;
        let same_policy = before.filter(|before| Arc::ptr_eq(&before.policy, &pool.policy));
        let family = |rtype, of: fn(&Self) -> Option<&FamilyPool>| {
            // Signatures made elsewhere cover the whole set: no subset of it can be served.
            let rrset = zone.rrset(node, rtype).filter(|_| zone.signatures(node, rtype).is_none())?;
            let (before, members) = (same_policy.and_then(of), members(&pool, &rrset, moment));
            let account = of_any_policy.and_then(of).map(|before| Arc::clone(&before.account)).unwrap_or_default();
            Some(FamilyPool::build(members, &pool.policy, before, account, moment.now))
        };
        let a = family(Type::A, |pool| pool.a.as_ref());
        let aaaa = family(Type::AAAA, |pool| pool.aaaa.as_ref());
        (pool.a, pool.aaaa) = (a, aaaa);
        (pool.a.is_some() || pool.aaaa.is_some()).then_some(pool)
    }
}

/// The members of one family, in address order, as they stand.
fn members(pool: &Pool, rrset: &Rrset<'_>, moment: Moment<'_>) -> Vec<Member> {
    let ttl = rrset.ttl();
    let addresses = rrset.iter().filter_map(|record| address_in(record.rdata));
    let judge = |address| {
        processor::pause();
        moment.member(pool, address, ttl)
    };
    let mut members: Vec<Member> = addresses.map(judge).collect();
    members.sort_by_key(|member| member.address);
    members
}

impl FamilyPool {
    /// The same members, dealt by a rotation that has been solved for `eligible` and took `cost`; `None` when others are
    /// to be dealt by now.
    ///
    /// If it is only their weights that have moved on, it is still better than what stands in, though not yet right.
    pub(super) fn solved_by(&self, rotation: &Arc<Rotation>, eligible: &[Eligible], cost: Duration) -> Option<Self> {
        let now = &self.selection.eligible;
        let addresses = |members: &[Eligible]| members.iter().map(|member| member.address).collect::<Vec<_>>();
        if self.solved || addresses(now) != addresses(eligible) {
            return None;
        }
        let solved = Eligible::are_dealt_alike(now, eligible);
        Some(Self { rotation: lasting(rotation, now), seat: None, solved, cost, ..self.clone() })
    }

    fn build(
        members: Vec<Member>,
        policy: &Policy,
        before: Option<&Self>,
        account: Arc<Account>,
        now: Instant,
    ) -> Self {
        account.keep(&members.iter().map(|member| member.address).collect::<Vec<_>>());
        let selection = select(&members, policy);
        let cost = before.map_or(Duration::ZERO, |before| before.cost);
        let eligible = &selection.eligible;
        let (rotation, solved, seat) = match before {
            Some(before) if Eligible::are_dealt_alike(&before.selection.eligible, eligible) => {
                (lasting(&before.rotation, eligible), before.solved, before.seat.clone())
            }
            before => spread(&selection, policy, before),
        };
        let cursor = seat.as_ref().map_or(u32::MAX, |seat| seat.first);
        let warming = members
            .iter()
            .zip(&selection.standings)
            .any(|(member, standing)| member.warmth < 1.0 && standing.is_served() && !selection.panic);
        // However large the pool, warming it takes no more than a small part of the solver's time.
        let next_step = warming.then(|| now + policy.warmth_step().max(cost * SOLVER_RESTS));
        Self { members, selection, rotation, cursor, seat, account, solved, cost, next_step }
    }
}

/// The hands of `rotation`, each with the TTL that its members have now.
pub(super) fn lasting(rotation: &Arc<Rotation>, eligible: &[Eligible]) -> Arc<Rotation> {
    let ttl_of = |address| {
        let at = eligible.binary_search_by_key(&address, |member| member.address);
        at.ok().map(|at| eligible[at].ttl)
    };
    match rotation.members().iter().all(|member| ttl_of(member.address) == Some(member.ttl)) {
        true => Arc::clone(rotation),
        false => Arc::new(rotation.lasting(eligible)),
    }
}

/// A rotation of the selected members at once: the right one where that is quick, else the rotation before less those who
/// are out, else a plain random one.
fn spread(selection: &Selection, policy: &Policy, before: Option<&FamilyPool>) -> Dealing {
    let eligible = &selection.eligible;
    let quick = matches!(policy.spread, Spread::Random | Spread::All);
    if quick || eligible.len() <= SPREAD_AT_ONCE {
        return (Arc::new(solve(eligible, policy)), true, None);
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
            let left = gone.iter().fold(Arc::clone(&before.rotation), |left, gone| Arc::new(left.without(*gone)));
            return (lasting(&left, eligible), false, None);
        }
    }
    let stand_in = Policy { spread: Spread::Random, ..policy.clone() };
    (Arc::new(solve(eligible, &stand_in)), false, None)
}

/// A rotation, whether it is as the policy asks, and its seat if it has one.
type Dealing = (Arc<Rotation>, bool, Option<Arc<Seat>>);
