//! Proofs of what is not there, for signed zones (RFC 4035 section 3.1.3, RFC 5155 section 7.2).
//!
//! A chain of aliases may need several proofs, and they stand in the authority section behind the whole chain. So what is
//! to be shown is collected on the way, each record once, and written at the end.

use super::lookup::Lookup;
use super::reply::{Full, Owner, Reply, Section};
use crate::wire::{LowerName, MAX_NAME, NameRef, Type};
use crate::zone::{Denial, Found, NodeId, Nsec3Chain, Zone, hash_label};

/// The NSEC or NSEC3 records that prove a reply, by their places in the zone's chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    wanted: bool,
    count: u8,
    records: [u32; MOST_RECORDS],
}

/// One for each wildcard of a chain of aliases, and three for its end.
const MOST_RECORDS: usize = 20;

impl Proof {
    /// Nothing to be shown yet; and nothing ever, unless it is `wanted`.
    pub(super) const fn new(wanted: bool) -> Self {
        Self { wanted, count: 0, records: [0; MOST_RECORDS] }
    }

    /// Writes the records and their signatures.
    pub(super) fn write(&self, lookup: &Lookup<'_>, reply: &mut Reply<'_, '_>) -> Result<(), Full> {
        for &record in &self.records[..usize::from(self.count)] {
            match lookup.zone.denial() {
                Denial::Unsigned => {}
                Denial::Nsec(nodes) => write_nsec(lookup, nodes[record as usize], reply)?,
                Denial::Nsec3(chain) => write_nsec3(lookup.zone, chain, record, reply)?,
            }
        }
        Ok(())
    }

    /// The name is not there, nor a wildcard that stands for it.
    pub(super) fn no_such_name(&mut self, zone: &Zone, name: &LowerName, found: Found) {
        match zone.denial() {
            Denial::Nsec(nodes) if self.wanted => {
                self.cover(zone, nodes, name.name());
                self.add(zone.nsec_before_wildcard(found.node, nodes));
            }
            Denial::Nsec3(chain) if self.wanted => {
                let encloser = self.closest_encloser(zone, chain, name, found.labels);
                if let Some(wildcard) = name.wildcard_at(encloser) {
                    self.cover_hashed(zone, chain, wildcard.octets());
                }
            }
            _ => {}
        }
    }

    /// The name is there, itself or by the wildcard whose closest encloser has `wildcard` labels; the type is not.
    pub(super) fn no_such_type(&mut self, zone: &Zone, name: &LowerName, node: NodeId, wildcard: Option<usize>) {
        match zone.denial() {
            Denial::Nsec(nodes) if self.wanted => {
                self.add(zone.nsec_of(node, nodes));
                if wildcard.is_some() {
                    self.cover(zone, nodes, name.name());
                }
            }
            Denial::Nsec3(chain) if self.wanted => match wildcard {
                Some(labels) => {
                    self.closest_encloser(zone, chain, name, labels);
                    self.matches(zone, chain, zone.name(node).as_bytes());
                }
                None if self.matches(zone, chain, name.octets()) => {}
                // The name has no NSEC3 of its own: it exists for an unsigned cut in an opt-out span (RFC 5155 section 7.2.4).
                None => drop(self.closest_encloser(zone, chain, name, name.labels().saturating_sub(1))),
            },
            _ => {}
        }
    }

    /// The answer was made of a wildcard: the name itself is not there (RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6).
    pub(super) fn expanded_wildcard(&mut self, zone: &Zone, name: &LowerName, encloser: usize) {
        match zone.denial() {
            Denial::Nsec(nodes) if self.wanted => self.cover(zone, nodes, name.name()),
            Denial::Nsec3(chain) if self.wanted => self.cover_hashed(zone, chain, name.suffix(encloser + 1)),
            _ => {}
        }
    }

    fn cover(&mut self, zone: &Zone, nodes: &[NodeId], name: NameRef<'_>) {
        self.add(zone.nsec_at_or_before(name, nodes));
    }

    fn cover_hashed(&mut self, zone: &Zone, chain: &Nsec3Chain, lower: &[u8]) {
        self.add(zone.nsec3_covering(chain, &chain.hash(lower)));
    }

    fn matches(&mut self, zone: &Zone, chain: &Nsec3Chain, lower: &[u8]) -> bool {
        let matching = zone.nsec3_matching(chain, &chain.hash(lower));
        if let Some(record) = matching {
            self.add(record);
        }
        matching.is_some()
    }

    /// The closest ancestor of `labels` labels or fewer that has an NSEC3, and that the name one label longer has none
    /// (RFC 5155 section 7.2.1). Returns how many labels the ancestor has.
    fn closest_encloser(&mut self, zone: &Zone, chain: &Nsec3Chain, name: &LowerName, labels: usize) -> usize {
        let mut labels = labels;
        while !self.matches(zone, chain, name.suffix(labels)) && labels > zone.apex_labels() {
            labels -= 1;
        }
        if labels < name.labels() {
            self.cover_hashed(zone, chain, name.suffix(labels + 1));
        }
        labels
    }

    fn add(&mut self, record: u32) {
        let count = usize::from(self.count);
        if count < MOST_RECORDS && !self.records[..count].contains(&record) {
            self.records[count] = record;
            self.count += 1;
        }
    }
}

fn write_nsec(lookup: &Lookup<'_>, node: NodeId, reply: &mut Reply<'_, '_>) -> Result<(), Full> {
    let owner = Owner::Other(lookup.zone.name(node));
    let Some(nsec) = lookup.zone.rrset(node, Type::NSEC) else { return Ok(()) };
    reply.put_rrset(Section::Authority, owner, &nsec)?;
    lookup.put_signatures(Section::Authority, node, owner, Type::NSEC, reply)
}

fn write_nsec3(zone: &Zone, chain: &Nsec3Chain, record: u32, reply: &mut Reply<'_, '_>) -> Result<(), Full> {
    let link = zone.nsec3_link(chain, record);
    let apex = zone.apex().as_bytes();
    let mut owner = [0; 33 + MAX_NAME];
    owner[..33].copy_from_slice(&hash_label(&link.hash));
    owner[33..33 + apex.len()].copy_from_slice(apex);
    // A zone whose apex leaves no room for the label cannot have such an owner, so this name is legal.
    let owner = Owner::Other(NameRef::from_valid(&owner[..33 + apex.len()]));
    reply.put_rrset(Section::Authority, owner, &link.nsec3)?;
    match &link.signatures {
        Some(signatures) => reply.put_rrset(Section::Authority, owner, signatures),
        None => Ok(()),
    }
}
