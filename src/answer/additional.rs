//! The additional section: addresses that the client would ask for next.

use super::lookup::{Dealt, Lookup};
use super::reply::{Full, Owner, Reply, Section};
use crate::wire::{LowerName, NameRef, Type};
use crate::zone::{NodeId, Rrset};

/// Targets whose addresses are added; those of a very large RRset would not fit anyway.
const MOST_TARGETS: usize = 32;

/// Addresses of the names that an answer points at, as far as they are ours and fit (RFC 1034 section 4.3.2 step 6).
pub(super) fn for_answer(lookup: &mut Lookup<'_>, rrset: &Rrset<'_>, reply: &mut Reply<'_, '_>) {
    let Some(before) = octets_before_target(rrset.rtype) else { return };
    let mut done = [NodeId::APEX; MOST_TARGETS];
    let mut count = 0;
    for record in rrset.iter() {
        let Some(target) = target_in(rrset.rtype, record.rdata, before) else { continue };
        let Some(node) = node_of(lookup, target) else { continue };
        if lookup.zone.hidden_by(node).is_some() || lookup.zone.is_cut(node) || done[..count].contains(&node) {
            continue;
        }
        if count == MOST_TARGETS || put_addresses(lookup, node, target, reply).is_err() {
            return;
        }
        done[count] = node;
        count += 1;
    }
}

/// Glue of a referral: all addresses of servers below the cut or the reply is truncated; then, as far as they fit, those of
/// other servers in the zone (RFC 9471 sections 2.1 and 2.2).
pub(super) fn glue(
    lookup: &mut Lookup<'_>,
    cut: NodeId,
    servers: &Rrset<'_>,
    reply: &mut Reply<'_, '_>,
) -> Result<(), Full> {
    let below = lookup.zone.name(cut);
    for in_domain in [true, false] {
        for record in servers.iter() {
            let Ok(target) = NameRef::parse(record.rdata) else { continue };
            if target.is_within(below) != in_domain {
                continue;
            }
            let Some(node) = node_of(lookup, target) else { continue };
            match put_addresses(lookup, node, target, reply) {
                Err(Full) if in_domain => return Err(Full),
                Err(Full) => return Ok(()),
                Ok(()) => {}
            }
        }
    }
    Ok(())
}

fn put_addresses(
    lookup: &mut Lookup<'_>,
    node: NodeId,
    target: NameRef<'_>,
    reply: &mut Reply<'_, '_>,
) -> Result<(), Full> {
    for rtype in [Type::A, Type::AAAA] {
        let Some(rrset) = lookup.zone.rrset(node, rtype) else { continue };
        let owner = Owner::Other(target);
        if lookup.put_hand(Section::Additional, node, &rrset, owner, reply)? == Dealt::NoPool {
            reply.put_rrset(Section::Additional, owner, &rrset)?;
            if lookup.zone.hidden_by(node).is_none() {
                lookup.put_signatures(Section::Additional, node, owner, rtype, reply)?;
            }
        }
    }
    Ok(())
}

fn node_of(lookup: &Lookup<'_>, target: NameRef<'_>) -> Option<NodeId> {
    if !target.is_within(lookup.zone.apex()) {
        return None;
    }
    lookup.zone.exact(LowerName::of(target).octets())
}

/// Octets of RDATA before the name whose addresses are of use.
fn octets_before_target(rtype: Type) -> Option<usize> {
    match rtype {
        Type::NS => Some(0),
        Type::MX | Type::SVCB | Type::HTTPS | Type::AFSDB | Type::KX => Some(2),
        Type::SRV => Some(6),
        Type::NAPTR => Some(4),
        _ => None,
    }
}

fn target_in(rtype: Type, rdata: &[u8], before: usize) -> Option<NameRef<'_>> {
    let mut rest = rdata.get(before..)?;
    if rtype == Type::NAPTR {
        // Flags, services and regular expression come between (RFC 3403 section 4.1).
        for _ in 0..3 {
            rest = rest.get(1 + usize::from(*rest.first()?)..)?;
        }
    }
    NameRef::parse(rest).ok()
}
