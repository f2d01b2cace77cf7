//! Proofs of what is not there, for signed zones (RFC 4035 section 3.1.3, RFC 5155 section 7.2).

use super::lookup::Lookup;
use super::reply::{Full, Owner, Reply, Section};
use crate::wire::{LowerName, MAX_NAME, NameRef, Type};
use crate::zone::{Denial, Found, Hash, NodeId, Nsec3Chain, Nsec3Link, Zone, hash_label};

/// The name is not there, nor a wildcard that stands for it.
pub(super) fn no_such_name(
    lookup: &Lookup<'_>,
    name: &LowerName,
    found: Found,
    reply: &mut Reply<'_, '_>,
) -> Result<(), Full> {
    match lookup.zone.denial() {
        Denial::Unsigned => Ok(()),
        Denial::Nsec(nodes) => {
            let mut proof = NsecProof::new(lookup, nodes);
            proof.covers(name, reply)?;
            if let Some(wildcard) = name.wildcard_at(found.labels) {
                proof.covers(&wildcard, reply)?;
            }
            Ok(())
        }
        Denial::Nsec3(chain) => {
            let mut proof = Nsec3Proof::new(lookup.zone, chain);
            let encloser = proof.closest_encloser(name, found.labels, reply)?;
            if let Some(wildcard) = name.wildcard_at(encloser) {
                proof.covers(wildcard.octets(), reply)?;
            }
            Ok(())
        }
    }
}

/// The name is there, itself or by the wildcard whose closest encloser has `wildcard` labels; the type is not.
pub(super) fn no_such_type(
    lookup: &Lookup<'_>,
    name: &LowerName,
    node: NodeId,
    wildcard: Option<usize>,
    reply: &mut Reply<'_, '_>,
) -> Result<(), Full> {
    match lookup.zone.denial() {
        Denial::Unsigned => Ok(()),
        Denial::Nsec(nodes) => {
            let mut proof = NsecProof::new(lookup, nodes);
            proof.covers(&LowerName::of(lookup.zone.name(node)), reply)?;
            if wildcard.is_some() {
                proof.covers(name, reply)?;
            }
            Ok(())
        }
        Denial::Nsec3(chain) => {
            let mut proof = Nsec3Proof::new(lookup.zone, chain);
            match wildcard {
                Some(labels) => {
                    let encloser = proof.closest_encloser(name, labels, reply)?;
                    debug_assert!(encloser <= labels);
                    proof.matches(lookup.zone.name(node).as_bytes(), reply)?;
                }
                None if proof.matches(name.octets(), reply)? => {}
                // The name has no NSEC3 of its own: it exists for an unsigned cut in an opt-out span (RFC 5155 section 7.2.4).
                None => drop(proof.closest_encloser(name, name.labels().saturating_sub(1), reply)?),
            }
            Ok(())
        }
    }
}

/// The answer was made of a wildcard: the name itself is not there (RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6).
pub(super) fn expanded_wildcard(
    lookup: &Lookup<'_>,
    name: &LowerName,
    encloser: usize,
    reply: &mut Reply<'_, '_>,
) -> Result<(), Full> {
    match lookup.zone.denial() {
        Denial::Unsigned => Ok(()),
        Denial::Nsec(nodes) => NsecProof::new(lookup, nodes).covers(name, reply),
        Denial::Nsec3(chain) => Nsec3Proof::new(lookup.zone, chain).covers(name.suffix(encloser + 1), reply),
    }
}

/// The zone below the cut is not signed: there is no DS (RFC 4035 section 3.1.4.1, RFC 5155 section 7.2.7).
pub(super) fn unsigned_cut(lookup: &Lookup<'_>, cut: NodeId, reply: &mut Reply<'_, '_>) -> Result<(), Full> {
    let name = LowerName::of(lookup.zone.name(cut));
    no_such_type(lookup, &name, cut, None, reply)
}

/// NSEC records, each once.
struct NsecProof<'a, 'l> {
    lookup: &'a Lookup<'l>,
    nodes: &'a [NodeId],
    shown: Option<NodeId>,
}

impl<'a, 'l> NsecProof<'a, 'l> {
    fn new(lookup: &'a Lookup<'l>, nodes: &'a [NodeId]) -> Self {
        Self { lookup, nodes, shown: None }
    }

    fn covers(&mut self, name: &LowerName, reply: &mut Reply<'_, '_>) -> Result<(), Full> {
        let zone = self.lookup.zone;
        let node = zone.nsec_at_or_before(name, self.nodes);
        if self.shown == Some(node) {
            return Ok(());
        }
        self.shown = Some(node);
        let owner = Owner::Other(zone.name(node));
        if let Some(nsec) = zone.rrset(node, Type::NSEC) {
            reply.put_rrset(Section::Authority, owner, &nsec)?;
            self.lookup.put_signatures(Section::Authority, node, owner, Type::NSEC, reply)?;
        }
        Ok(())
    }
}

/// NSEC3 records, each once.
struct Nsec3Proof<'z> {
    zone: &'z Zone,
    chain: &'z Nsec3Chain,
    shown: [Option<Hash>; 3],
}

impl<'z> Nsec3Proof<'z> {
    fn new(zone: &'z Zone, chain: &'z Nsec3Chain) -> Self {
        Self { zone, chain, shown: [None; 3] }
    }

    /// Shows the closest ancestor of `labels` labels or fewer that has an NSEC3, and that the name one label longer has
    /// none (RFC 5155 section 7.2.1). Returns how many labels the ancestor has.
    fn closest_encloser(&mut self, name: &LowerName, labels: usize, reply: &mut Reply<'_, '_>) -> Result<usize, Full> {
        let mut labels = labels;
        while labels > self.zone.apex_labels() && !self.matches(name.suffix(labels), reply)? {
            labels -= 1;
        }
        if labels == self.zone.apex_labels() {
            self.matches(name.suffix(labels), reply)?;
        }
        if labels < name.labels() {
            self.covers(name.suffix(labels + 1), reply)?;
        }
        Ok(labels)
    }

    fn matches(&mut self, lower: &[u8], reply: &mut Reply<'_, '_>) -> Result<bool, Full> {
        match self.zone.nsec3_matching(self.chain, &self.chain.hash(lower)) {
            Some(link) => self.show(&link, reply).map(|()| true),
            None => Ok(false),
        }
    }

    fn covers(&mut self, lower: &[u8], reply: &mut Reply<'_, '_>) -> Result<(), Full> {
        match self.zone.nsec3_covering(self.chain, &self.chain.hash(lower)) {
            Some(link) => self.show(&link, reply),
            None => Ok(()),
        }
    }

    fn show(&mut self, link: &Nsec3Link<'_>, reply: &mut Reply<'_, '_>) -> Result<(), Full> {
        if self.shown.contains(&Some(link.hash)) {
            return Ok(());
        }
        if let Some(free) = self.shown.iter_mut().find(|shown| shown.is_none()) {
            *free = Some(link.hash);
        }
        let apex = self.zone.apex().as_bytes();
        let label = hash_label(&link.hash);
        let mut owner = [0; 33 + MAX_NAME];
        owner[..33].copy_from_slice(&label);
        owner[33..33 + apex.len()].copy_from_slice(apex);
        // A zone whose apex leaves no room for the label cannot have such an owner, so this name is legal.
        let owner = Owner::Other(NameRef::from_valid(&owner[..33 + apex.len()]));
        reply.put_rrset(Section::Authority, owner, &link.nsec3)?;
        match &link.signatures {
            Some(signatures) => reply.put_rrset(Section::Authority, owner, signatures),
            None => Ok(()),
        }
    }
}
