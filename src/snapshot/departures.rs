//! Who leaves the hands between two snapshots, or stays in them with a lower TTL: from then on old copies run out.

use std::net::IpAddr;
use std::sync::Arc;

use super::served::{FamilyPool, Pool, ServedZone, Snapshot};
use super::written::written_addresses;
use crate::wire::{LowerName, Name, Type};
use crate::zone::Zone;

/// One member that has been handed out until now as it is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) pool: Name,
    pub(super) address: IpAddr,
    /// The TTL, in seconds, of the answers that it was in.
    pub(super) ttl: u32,
}

/// A family as it is handed out: addresses in order, with their TTLs.
type Dealt = Vec<(IpAddr, u32)>;

/// Who leaves the hands of any pool. What did not change costs nothing.
pub(super) fn departures(old: &Snapshot, new: &Snapshot) -> Vec<Departure> {
    let mut found = Vec::new();
    for (apex, before) in old.zones.iter() {
        let after = new.zones.exact(&LowerName::of(apex.borrow()));
        if after.is_some_and(|after| Arc::ptr_eq(before, after)) {
            continue;
        }
        let after = after.map(Arc::as_ref);
        for pool in &before.pools {
            leaves_pool(pool, after, &mut found);
        }
        for pool in after.map_or(&[][..], ServedZone::pools) {
            enters_pool(pool, before, &mut found);
        }
    }
    found
}

/// Of a pool that was: whoever is in its hands no more. Where only the policy is gone the addresses stay in the answers,
/// all of them.
fn leaves_pool(pool: &Pool, after: Option<&ServedZone>, found: &mut Vec<Departure>) {
    let now = after.and_then(|zone| zone.pools.iter().find(|other| other.owner == pool.owner));
    for (rtype, family) in [(Type::A, &pool.a), (Type::AAAA, &pool.aaaa)] {
        let Some(family) = family else { continue };
        match family_of(now, rtype) {
            Some(now) if Arc::ptr_eq(&now.rotation, &family.rotation) => {}
            Some(now) => compare(&pool.owner, &dealt(family), &dealt(now), found),
            None => {
                let written = after.and_then(|zone| zone.zone.as_deref()).map(|zone| whole(zone, &pool.owner, rtype));
                compare(&pool.owner, &dealt(family), &written.unwrap_or_default(), found);
            }
        }
    }
}

/// Of a pool that is new over addresses that were there: until now all were answered, with the TTL of the zone.
fn enters_pool(pool: &Pool, before: &ServedZone, found: &mut Vec<Departure>) {
    let Some(zone) = &before.zone else { return };
    let was = before.pools.iter().find(|other| other.owner == pool.owner);
    for (rtype, family) in [(Type::A, &pool.a), (Type::AAAA, &pool.aaaa)] {
        if let (Some(family), None) = (family, family_of(was, rtype)) {
            compare(&pool.owner, &whole(zone, &pool.owner, rtype), &dealt(family), found);
        }
    }
}

fn family_of(pool: Option<&Pool>, rtype: Type) -> Option<&FamilyPool> {
    let pool = pool?;
    if rtype == Type::A { pool.a.as_ref() } else { pool.aaaa.as_ref() }
}

fn dealt(family: &FamilyPool) -> Dealt {
    family.rotation.members().iter().map(|member| (member.address, member.ttl)).collect()
}

fn whole(zone: &Zone, owner: &Name, rtype: Type) -> Dealt {
    let (addresses, ttl) = written_addresses(zone, owner, rtype).unwrap_or_default();
    addresses.into_iter().map(|address| (address, ttl)).collect()
}

/// Both are in address order.
fn compare(pool: &Name, before: &[(IpAddr, u32)], after: &[(IpAddr, u32)], found: &mut Vec<Departure>) {
    let mut after = after.iter().peekable();
    for (address, ttl) in before {
        while after.next_if(|(other, _)| other < address).is_some() {}
        let stays = after.peek().is_some_and(|(other, now)| other == address && now >= ttl);
        if !stays {
            found.push(Departure { pool: pool.clone(), address: *address, ttl: *ttl });
        }
    }
}
