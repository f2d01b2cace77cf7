//! Whether a policy fits its zone: what neither of them shows alone.

use crate::config::{Fault, PoolConfig, Severity, ZonePolicy};
use crate::pool::Spread;
use crate::wire::{LowerName, Name, Type};
use crate::zone::Zone;

/// What is wrong, or odd, with `policy` over `zone`. An owner that the zone lacks is odd: removing a host never breaks a reload.
pub fn misfits(zone: &Zone, policy: &ZonePolicy) -> Vec<Fault> {
    policy.pools.iter().flat_map(|(owner, config)| misfits_of(zone, owner, config)).collect()
}

fn misfits_of(zone: &Zone, owner: &Name, config: &PoolConfig) -> Vec<Fault> {
    let warning = |found: String, right: &str| config.place.warning(found, right);
    let node = zone.exact(LowerName::of(owner.borrow()).octets());
    let Some(node) = node else {
        return vec![warning(
            format!("the zone has no {owner}"),
            "the policy sleeps until the zone has A or AAAA there",
        )];
    };
    if zone.hidden_by(node).is_some() || zone.is_cut(node) {
        return vec![warning(
            format!("{owner} is delegated or below a DNAME"),
            "the policy sleeps, as the zone does not answer for it",
        )];
    }
    let families: Vec<Type> =
        [Type::A, Type::AAAA].into_iter().filter(|rtype| zone.rrset(node, *rtype).is_some()).collect();
    if families.is_empty() {
        return vec![warning(
            format!("{owner} has neither A nor AAAA"),
            "the policy sleeps until the zone has one of them there",
        )];
    }
    let mut faults = Vec::new();
    if config.policy.spread != Spread::All && families.iter().any(|rtype| zone.signatures(node, *rtype).is_some()) {
        let found = format!("{owner} is signed, and the signature covers all its addresses, not a hand of them");
        let fault = warning(found, "spread = \"all\", or a zone that is not signed elsewhere");
        faults.push(Fault { severity: Severity::Error, ..fault });
    }
    let minimum = zone.negative_soa().0.ttl();
    if minimum > config.policy.ttl && families.len() == 1 {
        let found = format!(
            "the SOA minimum of {minimum} s is above the pool's TTL of {} s, so that the denial of the other address family outlives a hand",
            config.policy.ttl
        );
        faults.push(warning(found, "an SOA minimum no larger than the TTL of the pool"));
    }
    faults
}
