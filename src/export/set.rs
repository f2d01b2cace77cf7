//! The RRsets of a zone, each with the pool that it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Exported, Subject};
use crate::config::PoolConfig;
use crate::pool::{PerFamily, Spread};
use crate::wire::{Name, Type};
use crate::zone::text::print_rdata;
use crate::zone::{NodeId, Zone};

/// One RRset.
#[derive(Debug)]
pub(super) struct Set<'a> {
    /// In lower case.
    pub(super) owner: Name,
    pub(super) rtype: Type,
    /// As it is served: a pool's when that is lower.
    pub(super) ttl: u32,
    rdata: Vec<&'a [u8]>,
    /// Whether the owner is the name of the zone.
    pub(super) is_apex: bool,
    /// How it is dealt.
    pub(super) pool: Option<&'a PoolConfig>,
}

impl<'a> Subject<'a> {
    /// Every RRset but those of signatures and their kin, which the other makes by itself; those are a note.
    pub(super) fn sets(&self, exported: &mut Exported) -> Vec<Set<'a>> {
        let Self { zone, policy, .. } = *self;
        let mut sets = Vec::new();
        let mut signed = false;
        for node in zone.nodes() {
            let owner = zone.name(node).to_name();
            for rrset in zone.rrsets(node) {
                if SIGNING.contains(&rrset.rtype) {
                    signed = true;
                    continue;
                }
                let pool = policy.pools.get(&owner).filter(|_| matches!(rrset.rtype, Type::A | Type::AAAA));
                sets.push(Set {
                    owner: owner.clone(),
                    rtype: rrset.rtype,
                    ttl: pool.map_or(rrset.ttl(), |pool| rrset.ttl().min(pool.policy.ttl)),
                    rdata: rrset.iter().map(|record| record.rdata).collect(),
                    is_apex: node == NodeId::APEX,
                    pool,
                });
            }
        }
        if signed {
            exported.note(&zone.apex(), "keys, signatures and denials are left out; whoever serves the zone signs it");
        }
        sets
    }
}

/// What a signer adds to a zone.
const SIGNING: [Type; 5] = [Type::RRSIG, Type::NSEC, Type::NSEC3, Type::NSEC3PARAM, Type::DNSKEY];

impl<'a> Set<'a> {
    /// The data of each record, as master files have it.
    pub(super) fn values(&self) -> Vec<String> {
        self.rdata.iter().map(|rdata| print_rdata(self.rtype, rdata).to_string()).collect()
    }

    /// The members that may be handed out, each with its weight; all of the addresses where it is no pool.
    pub(super) fn members(&self) -> Vec<(IpAddr, f64)> {
        let addresses = self.rdata.iter().filter_map(|rdata| address(rdata));
        let weighted = addresses.map(|address| (address, self.pool.map_or(1.0, |pool| pool.policy.weight_of(address))));
        weighted.filter(|(_, weight)| *weight > 0.0).collect()
    }

    /// Notes the members that are in no hand, and leaves it at that.
    pub(super) fn note_idle(&self, exported: &mut Exported) {
        let Some(pool) = self.pool else { return };
        for address in self.rdata.iter().filter_map(|rdata| address(rdata)) {
            if pool.policy.weight_of(address) == 0.0 {
                exported.note(&self.owner, format!("{address} has weight 0, and is left out"));
            }
        }
    }

    /// How many members a hand has.
    pub(super) fn hand(&self) -> usize {
        let members = self.members();
        match (self.pool, members.first()) {
            (Some(pool), Some((first, _))) if pool.policy.spread != Spread::All => {
                usize::from(pool.policy.k.of(*first)).min(members.len())
            }
            _ => members.len(),
        }
    }

    /// The members by tier, the first tier first; what is in no tier of the policy is last. One tier where there are none.
    pub(super) fn tiers(&self) -> Vec<Vec<IpAddr>> {
        let Some(pool) = self.pool else { return Vec::new() };
        let mut tiers = vec![Vec::new(); pool.policy.tiers.len() + 1];
        for (address, _) in self.members() {
            tiers[pool.policy.tier_of(address)].push(address);
        }
        tiers.retain(|tier| !tier.is_empty());
        tiers
    }

    /// Whether some members get more than others.
    pub(super) fn is_weighted(&self) -> bool {
        let members = self.members();
        members.iter().any(|(_, weight)| (weight - members[0].1).abs() > f64::EPSILON)
    }
}

/// The address that the data of an A or AAAA record are.
pub(super) fn address(rdata: &[u8]) -> Option<IpAddr> {
    match rdata.len() {
        4 => rdata.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
        _ => rdata.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into()),
    }
}

/// What a policy asks for beyond addresses in one set, in the words of its keys.
pub(super) fn keys_in_use(pool: &PoolConfig) -> Vec<&'static str> {
    let policy = &pool.policy;
    let is_set = |lengths: PerFamily<Option<u8>>| lengths.a.is_some() || lengths.aaaa.is_some();
    let keys = [
        ("check", pool.check.is_some()),
        ("weights", !policy.weights.is_empty()),
        ("tiers", !policy.tiers.is_empty()),
        ("together", is_set(policy.together)),
        ("apart", is_set(policy.apart)),
    ];
    keys.into_iter().filter(|(_, used)| *used).map(|(key, _)| key).collect()
}

/// Notes that transfers are set up where the zone goes.
pub(super) fn note_transfer(exported: &mut Exported, subject: &Subject<'_>, zone: &Zone) {
    let transfer = &subject.policy.transfer;
    if !(transfer.to.is_empty() && transfer.notify.is_empty() && transfer.watch.is_empty()) {
        exported.note(&zone.apex(), "[transfer] is left out: who may have the zone is said where it is served");
    }
}
