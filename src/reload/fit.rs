//! Whether a policy fits its zone. Nothing here keeps a zone from being served.

use crate::config::{Fault, PoolConfig, ZonePolicy};
use crate::wire::{Name, Type};
use crate::zone::Zone;

/// What of a policy has no effect on the zone, or another than was meant.
pub(super) fn faults(zone: &Zone, policy: &ZonePolicy) -> Vec<Fault> {
    policy.pools.iter().filter_map(|(owner, pool)| fault_of(zone, owner, pool)).collect()
}

fn fault_of(zone: &Zone, owner: &Name, pool: &PoolConfig) -> Option<Fault> {
    let place = &pool.place;
    let Some(node) = zone.exact(owner.to_lower().borrow().as_bytes()) else {
        return Some(
            place.warning(format!("{owner} is not in the zone"), "the owner of A or AAAA records; the pool sleeps"),
        );
    };
    if zone.hidden_by(node).is_some() || zone.is_cut(node) {
        return Some(
            place.warning(format!("{owner} is delegated"), "a name that this zone answers for; the pool sleeps"),
        );
    }
    if zone.rrset(node, Type::A).is_none() && zone.rrset(node, Type::AAAA).is_none() {
        return Some(place.warning(format!("{owner} has no A and no AAAA record"), "a member; the pool sleeps"));
    }
    let minimum = zone.negative_soa().0.ttl();
    (minimum > pool.policy.ttl).then(|| {
        place.warning(
            format!("negative answers are kept for {minimum} s, the addresses for {} s", pool.policy.ttl),
            "an SOA minimum not above the pool's ttl, or a resolver goes on denying a family that the pool has by then",
        )
    })
}
