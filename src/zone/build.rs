//! Records to a zone: sort, give each name a node, lay the RRsets down as wire.

use std::borrow::Cow;

use super::denial::{Denial, Nsec3Chain, Nsec3Entry, hash_of_owner};
use super::index::Index;
use super::octets::Octets;
use super::order::{Key, Order, kind, record};
use super::records::Records;
use super::rrset::{Rrset, RrsetWriter};
use super::serial::Serial;
use super::tree::{FLAG_CUT, FLAG_DNAME, FLAG_HIDDEN, FLAG_WILDCARD, NODE_HEADER, NodeId, Zone};
use crate::processor;
use crate::wire::{LowerName, Name, Type};

/// Why records do not make a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Without SOA there is no zone (RFC 1035 section 5.2).
    #[error("no SOA record at the apex")]
    NoSoa,
    /// Offsets have 32 bits.
    #[error("more than 4 GiB of records")]
    TooLarge,
    /// Counts of records have 16 bits.
    #[error("more than 65,535 records in one RRset")]
    TooMany,
}

impl Zone {
    /// Makes the zone `apex` of `records`. What is not class IN, or not at or below the apex, is left out; a record that stands
    /// twice counts once; an RRset whose TTLs differ gets the lowest (RFC 2181 section 5.2).
    ///
    /// # Errors
    /// When there is no SOA, or the zone is larger than its offsets can say.
    pub fn build(apex: &Name, records: &Records) -> Result<Self, BuildError> {
        Self::make(apex, Cow::Borrowed(records))
    }

    /// The same of records that nobody else needs: their memory is given back while that of the zone grows.
    ///
    /// # Errors
    /// As [`Zone::build`].
    pub fn build_from(apex: &Name, records: Records) -> Result<Self, BuildError> {
        Self::make(apex, Cow::Owned(records))
    }

    fn make(apex: &Name, records: Cow<'_, Records>) -> Result<Self, BuildError> {
        let apex = apex.to_lower();
        let mut builder = Builder::new(&apex, &records);
        let mut order = Order::of(apex.borrow(), records);
        order.each_owner(|records, keys| builder.add_owner(records, keys))?;
        drop(order);
        builder.finish(apex)
    }
}

struct Builder {
    apex_labels: usize,
    arena: Octets,
    /// The RRsets of NSEC3 records, which go behind the nodes.
    links: Octets,
    nodes: usize,
    /// The node of the last name and those of its ancestors up to the apex.
    path: Vec<NodeId>,
    last: LowerName,
    name: LowerName,
    nsec: Vec<NodeId>,
    nsec3: Vec<Nsec3Entry>,
    most_labels: usize,
    record_count: usize,
}

impl Builder {
    fn new(apex: &Name, records: &Records) -> Self {
        // Each record has its octets, a header, and at most an RRset's and a node's. Names that only something below them
        // makes exist come on top; they are few, or the arena grows.
        let room = records.octets() + records.len() * (12 + 8 + NODE_HEADER) + (64 << 10);
        Self {
            apex_labels: apex.borrow().label_count(),
            arena: Octets::with_capacity(if records.len() < FEW { records.octets() } else { room }),
            links: Octets::with_capacity(0),
            nodes: 0,
            path: Vec::new(),
            last: LowerName::of(apex.borrow()),
            name: LowerName::default(),
            nsec: Vec::new(),
            nsec3: Vec::new(),
            most_labels: 0,
            record_count: 0,
        }
    }

    fn add_owner(&mut self, records: &Records, keys: &[Key]) -> Result<(), BuildError> {
        processor::pause();
        let owner = record(records, keys[0]).owner;
        if self.nodes == 0 && owner.label_count() != self.apex_labels {
            return Err(BuildError::NoSoa);
        }
        let has = |rtype| keys.iter().any(|key| kind(records, *key) == (rtype, false));
        let (cut, dname, nsec) = (has(Type::NS), has(Type::DNAME), has(Type::NSEC));
        if keys.iter().all(|key| kind(records, *key).0 == Type::NSEC3)
            && let Some(hash) = hash_of_owner(owner)
        {
            let at = self.links.len() as u32;
            let rrsets = add_rrsets(records, keys, &mut self.links, &mut self.record_count)?;
            self.nsec3.push(Nsec3Entry { hash, at, rrsets });
            return Ok(());
        }
        let mut name = std::mem::take(&mut self.name);
        name.set(owner);
        self.add_missing_ancestors(&name);
        let node = self.add_node(&name, name.labels());
        self.name = std::mem::replace(&mut self.last, name);
        let rrsets = add_rrsets(records, keys, &mut self.arena, &mut self.record_count)?;
        let header = &mut self.arena[node.0 as usize..][..NODE_HEADER];
        header[2..].copy_from_slice(&rrsets.to_le_bytes());
        if cut && node != NodeId::APEX {
            header[1] |= FLAG_CUT;
        }
        if dname {
            header[1] |= FLAG_DNAME;
        }
        if nsec && header[1] & FLAG_HIDDEN == 0 {
            self.nsec.push(node);
        }
        if self.arena.len() + self.links.len() > u32::MAX as usize / 2 { Err(BuildError::TooLarge) } else { Ok(()) }
    }

    /// Names between the last name and this one that nothing stands at: they exist all the same (RFC 4592 section 2.2.2).
    fn add_missing_ancestors(&mut self, name: &LowerName) {
        let common = (0..=self.last.labels().min(name.labels()))
            .rev()
            .find(|&labels| self.last.suffix(labels) == name.suffix(labels))
            .expect("all names share the root");
        self.path.truncate((common + 1).saturating_sub(self.apex_labels).min(self.path.len()));
        for labels in (self.apex_labels + self.path.len())..name.labels() {
            self.add_node(name, labels);
        }
    }

    fn add_node(&mut self, name: &LowerName, labels: usize) -> NodeId {
        let node = NodeId(self.arena.len() as u32);
        let octets = name.suffix(labels);
        let mut hidden_by = None;
        if let Some(parent) = labels.checked_sub(self.apex_labels + 1) {
            let parent = self.path[parent].0 as usize;
            if octets.starts_with(b"\x01*") {
                self.arena[parent + 1] |= FLAG_WILDCARD;
            }
            let above = &self.arena[parent..];
            hidden_by = match above[1] {
                flags if flags & FLAG_HIDDEN != 0 => above[NODE_HEADER..].first_chunk().copied(),
                flags if flags & (FLAG_CUT | FLAG_DNAME) != 0 => Some((parent as u32).to_le_bytes()),
                _ => None,
            };
        }
        let flags = if hidden_by.is_some() { FLAG_HIDDEN } else { 0 };
        self.arena.extend_from_slice(&[octets.len() as u8, flags, 0, 0]);
        if let Some(by) = hidden_by {
            self.arena.extend_from_slice(&by);
        }
        self.arena.extend_from_slice(octets);
        self.nodes += 1;
        self.path.push(node);
        self.most_labels = self.most_labels.max(labels);
        node
    }

    fn finish(mut self, apex: Name) -> Result<Zone, BuildError> {
        let nodes_end = self.arena.len() as u32;
        self.nsec3.iter_mut().for_each(|entry| entry.at += nodes_end);
        self.arena.extend_from_slice(&self.links);
        let mut zone = Zone {
            apex_labels: self.apex_labels as u8,
            most_labels: self.most_labels as u8,
            negative_soa: 0,
            serial: Serial(0),
            record_count: self.record_count,
            denial: Denial::Unsigned,
            index: Index::with_room_for(0),
            nodes_end,
            arena: self.arena,
            apex,
        };
        let mut index = Index::with_room_for(self.nodes);
        for node in zone.nodes() {
            index.insert(zone.name(node).as_bytes(), node.0);
        }
        zone.index = index;
        zone.add_negative_soa()?;
        zone.denial = zone.find_denial(self.nsec, self.nsec3);
        zone.arena.shrink();
        Ok(zone)
    }
}

/// Lays down the RRsets of one owner, whose keys are in order of type, and returns how many there are.
fn add_rrsets(records: &Records, keys: &[Key], arena: &mut Octets, count: &mut usize) -> Result<u16, BuildError> {
    let mut rrsets = 0;
    for rrset in keys.chunk_by(|a, b| kind(records, *a) == kind(records, *b)) {
        let ttl = rrset.iter().map(|key| record(records, *key).ttl).min().expect("a chunk is never empty");
        let rtype = record(records, rrset[0]).rtype;
        let mut writer = RrsetWriter::begin(arena, rtype, ttl);
        if let [only] = rrset {
            writer.push(record(records, *only).rdata);
            *count += 1;
        } else {
            for rdata in distinct(rrset.iter().map(|key| record(records, *key).rdata).collect()) {
                if !writer.push(rdata) {
                    return Err(BuildError::TooMany);
                }
                *count += 1;
            }
        }
        rrsets += 1;
    }
    Ok(rrsets)
}

/// Records below which a zone is small, and grows its arena as it needs it.
const FEW: usize = 10_000;

impl Zone {
    fn add_negative_soa(&mut self) -> Result<(), BuildError> {
        if self.nodes_end == 0 {
            return Err(BuildError::NoSoa);
        }
        let soa = self.rrset(NodeId::APEX, Type::SOA).and_then(|rrset| rrset.iter().next()).ok_or(BuildError::NoSoa)?;
        let numbers = soa.rdata.last_chunk::<20>().ok_or(BuildError::NoSoa)?;
        let number = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
        let (serial, ttl) = (Serial(number(0)), soa.ttl.min(number(16)));
        let signatures = self.signatures(NodeId::APEX, Type::SOA);
        let mut tail = Octets::with_capacity(0);
        RrsetWriter::begin(&mut tail, Type::SOA, ttl).push(soa.rdata);
        let mut writer = RrsetWriter::begin(&mut tail, Type::RRSIG, ttl);
        for signature in signatures.iter().flat_map(Rrset::iter) {
            writer.push(signature.rdata);
        }
        drop(writer);
        self.negative_soa = self.arena.len() as u32;
        self.arena.extend_from_slice(&tail);
        self.serial = serial;
        Ok(())
    }

    /// NSEC3 where the apex says so and the chain is there, else NSEC if the apex has one (RFC 5155 section 7.1).
    fn find_denial(&self, nsec: Vec<NodeId>, mut nsec3: Vec<Nsec3Entry>) -> Denial {
        let parameters = self.rrset(NodeId::APEX, Type::NSEC3PARAM);
        for record in parameters.iter().flat_map(Rrset::iter) {
            let &[1, 0, i1, i2, salt_len, ref salt @ ..] = record.rdata else { continue };
            if salt.len() != usize::from(salt_len) {
                continue;
            }
            let of_this_chain = |entry: &Nsec3Entry| {
                processor::pause();
                let (rrset, _) = Rrset::read(&self.arena, entry.at as usize);
                rrset.iter().any(|nsec3| nsec3.rdata.get(2..5 + salt.len()) == Some(&record.rdata[2..]))
            };
            nsec3.retain(of_this_chain);
            nsec3.sort_unstable_by_key(|entry| {
                processor::pause();
                entry.hash
            });
            if !nsec3.is_empty() {
                let iterations = u16::from_be_bytes([i1, i2]);
                return Denial::Nsec3(Nsec3Chain { iterations, salt: salt.into(), entries: nsec3.into() });
            }
        }
        if nsec.first() == Some(&NodeId::APEX) { Denial::Nsec(nsec.into()) } else { Denial::Unsigned }
    }
}

/// RDATA of an RRset in the order given, each once. Case counts: two spellings of a name are two records, as written.
fn distinct(mut rdata: Vec<&[u8]>) -> Vec<&[u8]> {
    if rdata.len() > 1 {
        let mut order: Vec<usize> = (0..rdata.len()).collect();
        order.sort_unstable_by_key(|&index| {
            processor::pause();
            (rdata[index], index)
        });
        let repeated: std::collections::HashSet<usize> =
            order.windows(2).filter(|pair| rdata[pair[0]] == rdata[pair[1]]).map(|pair| pair[1]).collect();
        if !repeated.is_empty() {
            let mut index = 0;
            rdata.retain(|_| {
                index += 1;
                !repeated.contains(&(index - 1))
            });
        }
    }
    rdata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Class;
    use crate::zone::{Place, Record};

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes()).unwrap()
    }

    fn zone(owners: &[(&str, Type, &[u8])]) -> Zone {
        let soa = [&[0u8, 0][..], &[0, 0, 0, 7], &[0; 12], &[0, 0, 0, 9]].concat();
        let mut records = Records::new();
        for (owner, rtype, rdata) in [("example.", Type::SOA, &soa[..])].iter().chain(owners) {
            records.push(Record {
                owner: name(owner).borrow(),
                rtype: *rtype,
                class: Class::IN,
                ttl: 300,
                rdata,
                place: Place::default(),
            });
        }
        Zone::build(&name("Example."), &records).unwrap()
    }

    fn names(zone: &Zone) -> Vec<String> {
        zone.nodes().map(|node| zone.name(node).to_string()).collect()
    }

    #[test]
    fn nodes_are_in_canonical_order_with_their_ancestors() {
        let zone = zone(&[
            ("z.example.", Type::A, &[1; 4]),
            ("\\000.example.", Type::A, &[1; 4]),
            ("a.b.c.Example.", Type::A, &[1; 4]),
            ("ab.c.example.", Type::A, &[1; 4]),
            ("other.", Type::A, &[1; 4]),
            ("*.z.example.", Type::A, &[1; 4]),
        ]);
        let sorted = [
            "example.",
            "\\000.example.",
            "c.example.",
            "ab.c.example.",
            "b.c.example.",
            "a.b.c.example.",
            "z.example.",
            "*.z.example.",
        ];
        assert_eq!(names(&zone), sorted);
        assert!(zone.nodes().map(|node| zone.name(node)).is_sorted());
        assert_eq!(zone.record_count(), 6);
        assert_eq!(zone.serial(), Serial(7));
    }

    #[test]
    fn find_gives_the_name_or_its_closest_encloser() {
        let zone = zone(&[("a.b.c.d.example.", Type::A, &[1; 4]), ("*.z.example.", Type::A, &[1; 4])]);
        let find = |text: &str| {
            let found = zone.find(&LowerName::of(name(text).borrow()));
            (zone.name(found.node).to_string(), found.labels)
        };
        assert_eq!(find("A.b.c.d.example."), ("a.b.c.d.example.".into(), 5));
        assert_eq!(find("x.y.c.d.example."), ("c.d.example.".into(), 3));
        assert_eq!(find("q.w.e.r.t.y.u.i.o.p.example."), ("example.".into(), 1));
        assert_eq!(find("x.a.b.c.d.example."), ("a.b.c.d.example.".into(), 5));
        let z = zone.exact(b"\x01z\x07example\0").unwrap();
        assert!(zone.has_wildcard(z) && zone.is_empty_non_terminal(z));
    }

    #[test]
    fn what_is_below_a_cut_is_hidden_by_the_topmost() {
        let zone = zone(&[
            ("sub.example.", Type::NS, b"\0"),
            ("sub.sub.example.", Type::NS, b"\0"),
            ("ns.sub.sub.example.", Type::A, &[1; 4]),
            ("d.example.", Type::DNAME, b"\0"),
            ("x.d.example.", Type::A, &[1; 4]),
        ]);
        let node = |text: &str| zone.exact(LowerName::of(name(text).borrow()).octets()).unwrap();
        let cut = node("sub.example.");
        assert!(zone.is_cut(cut));
        assert_eq!(zone.hidden_by(cut), None);
        assert_eq!(zone.hidden_by(node("ns.sub.sub.example.")), Some(cut));
        assert_eq!(zone.hidden_by(node("x.d.example.")), Some(node("d.example.")));
    }

    #[test]
    fn an_rrset_has_each_record_once_under_its_lowest_ttl() {
        let mut records = Records::new();
        let soa = [&[0u8, 0][..], &[0; 16], &[0, 0, 0, 9]].concat();
        for (rtype, ttl, rdata) in
            [(Type::SOA, 60, &soa[..]), (Type::A, 50, &[2; 4]), (Type::A, 40, &[1; 4]), (Type::A, 50, &[2; 4])]
        {
            let owner = name("example.");
            records.push(Record {
                owner: owner.borrow(),
                rtype,
                class: Class::IN,
                ttl,
                rdata,
                place: Place::default(),
            });
        }
        let zone = Zone::build(&name("example."), &records).unwrap();
        let rrset = zone.rrset(NodeId::APEX, Type::A).unwrap();
        let read: Vec<_> = rrset.iter().map(|record| (record.ttl, record.rdata.to_vec())).collect();
        assert_eq!(read, [(40, vec![2; 4]), (40, vec![1; 4])]);
        assert_eq!(zone.negative_soa().0.ttl(), 9);
        assert!(zone.negative_soa().1.is_none());
    }

    #[test]
    fn without_soa_there_is_no_zone() {
        assert_eq!(Zone::build(&name("example."), &Records::new()).unwrap_err(), BuildError::NoSoa);
    }
}
