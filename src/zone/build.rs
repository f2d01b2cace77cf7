//! Records to a zone: sort, give each name a node, lay the RRsets down as wire.

use hashbrown::HashTable;

use super::denial::{Denial, Nsec3Chain, Nsec3Entry, hash_of_owner};
use super::records::{Record, Records};
use super::rrset::{Rrset, RrsetWriter};
use super::serial::Serial;
use super::tree::{FLAG_CUT, FLAG_DNAME, FLAG_WILDCARD, NOBODY, Node, NodeId, Zone, hash};
use crate::wire::{Class, LowerName, Name, NameRef, Type};

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
        let apex = apex.to_lower();
        let keys = SortKeys::of(apex.borrow(), records);
        let mut builder = Builder::new(&apex, records);
        for owner in keys.sorted.chunk_by(|a, b| keys.octets(a) == keys.octets(b)) {
            builder.add_owner(owner)?;
        }
        builder.finish(apex)
    }
}

/// What orders a record: its owner's labels from the right as octets that compare as canonical order does, then its type.
struct SortKeys {
    arena: Vec<u8>,
    sorted: Vec<SortKey>,
}

#[derive(Clone, Copy)]
struct SortKey {
    /// The first eight octets, which settle most comparisons without a look at the arena.
    prefix: u64,
    at: u32,
    len: u16,
    is_signature: bool,
    covers: Type,
    index: u32,
}

impl SortKeys {
    fn of(apex: NameRef<'_>, records: &Records) -> Self {
        let mut keys = Self { arena: Vec::new(), sorted: Vec::with_capacity(records.len()) };
        let apex_labels = apex.label_count();
        let mut last: Option<(&[u8], SortKey)> = None;
        for (index, record) in records.iter().enumerate() {
            if record.class != Class::IN || !record.owner.is_within(apex) {
                continue;
            }
            let is_signature = record.rtype == Type::RRSIG;
            let covers = if is_signature { covered(&record) } else { record.rtype };
            let owner = match last {
                Some((octets, key)) if octets == record.owner.as_bytes() => key,
                _ => keys.append(record.owner, apex_labels),
            };
            let key = SortKey { is_signature, covers, index: index as u32, ..owner };
            last = Some((record.owner.as_bytes(), key));
            keys.sorted.push(key);
        }
        let mut sorted = std::mem::take(&mut keys.sorted);
        sorted.sort_unstable_by(|a, b| {
            a.prefix
                .cmp(&b.prefix)
                .then_with(|| keys.octets(a).cmp(keys.octets(b)))
                .then_with(|| (a.covers, a.is_signature, a.index).cmp(&(b.covers, b.is_signature, b.index)))
        });
        Self { sorted, ..keys }
    }

    /// Each label ends in 00 00, and an octet 00 in it becomes 00 01: so a label sorts before all that it starts.
    fn append(&mut self, owner: NameRef<'_>, apex_labels: usize) -> SortKey {
        let lower = LowerName::of(owner);
        let at = self.arena.len();
        for labels in apex_labels + 1..=lower.labels() {
            let suffix = lower.suffix(labels);
            for &octet in &suffix[1..=usize::from(suffix[0])] {
                self.arena.push(octet);
                if octet == 0 {
                    self.arena.push(1);
                }
            }
            self.arena.extend_from_slice(&[0, 0]);
        }
        let mut prefix = [0; 8];
        let len = self.arena.len() - at;
        prefix[..len.min(8)].copy_from_slice(&self.arena[at..at + len.min(8)]);
        SortKey {
            prefix: u64::from_be_bytes(prefix),
            at: at as u32,
            len: len as u16,
            is_signature: false,
            covers: Type::A,
            index: 0,
        }
    }

    fn octets(&self, key: &SortKey) -> &[u8] {
        &self.arena[key.at as usize..key.at as usize + usize::from(key.len)]
    }
}

fn covered(record: &Record<'_>) -> Type {
    record.rdata.first_chunk::<2>().map_or(Type::RRSIG, |&covers| Type(u16::from_be_bytes(covers)))
}

struct Builder<'r> {
    records: &'r Records,
    apex_labels: usize,
    arena: Vec<u8>,
    nodes: Vec<Node>,
    /// The node of the last name and those of its ancestors up to the apex.
    path: Vec<NodeId>,
    last: LowerName,
    nsec: Vec<NodeId>,
    nsec3: Vec<Nsec3Entry>,
    most_labels: usize,
    record_count: usize,
}

impl<'r> Builder<'r> {
    fn new(apex: &Name, records: &'r Records) -> Self {
        Self {
            records,
            apex_labels: apex.borrow().label_count(),
            arena: Vec::with_capacity(records.len() * 48),
            nodes: Vec::with_capacity(records.len()),
            path: Vec::new(),
            last: LowerName::of(apex.borrow()),
            nsec: Vec::new(),
            nsec3: Vec::new(),
            most_labels: 0,
            record_count: 0,
        }
    }

    fn add_owner(&mut self, keys: &[SortKey]) -> Result<(), BuildError> {
        let owner = self.records.at(keys[0].index as usize).owner;
        if self.nodes.is_empty() && owner.label_count() != self.apex_labels {
            return Err(BuildError::NoSoa);
        }
        if keys.iter().all(|key| key.covers == Type::NSEC3)
            && let Some(hash) = hash_of_owner(owner)
        {
            let at = self.arena.len() as u32;
            let rrsets = self.add_rrsets(keys)?;
            self.nsec3.push(Nsec3Entry { hash, at, rrsets });
            return Ok(());
        }
        let name = LowerName::of(owner);
        self.add_missing_ancestors(&name);
        let node = self.add_node(&name, name.labels());
        let rrsets = self.add_rrsets(keys)?;
        let at_apex = node == NodeId::APEX;
        let entry = &mut self.nodes[node.0 as usize];
        entry.rrsets = rrsets;
        let has = |rtype| keys.iter().any(|key| key.covers == rtype && !key.is_signature);
        if has(Type::NS) && !at_apex {
            entry.flags |= FLAG_CUT;
        }
        if has(Type::DNAME) {
            entry.flags |= FLAG_DNAME;
        }
        if has(Type::NSEC) && entry.hidden_by == NOBODY {
            self.nsec.push(node);
        }
        self.last = name;
        Ok(())
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
        let node = NodeId(self.nodes.len() as u32);
        let octets = name.suffix(labels);
        let mut hidden_by = NOBODY;
        if let Some(parent) = labels.checked_sub(self.apex_labels + 1) {
            let parent = self.path[parent];
            let above = &mut self.nodes[parent.0 as usize];
            if octets.starts_with(b"\x01*") {
                above.flags |= FLAG_WILDCARD;
            }
            hidden_by = match above.hidden_by {
                NOBODY if above.flags & (FLAG_CUT | FLAG_DNAME) != 0 => parent.0,
                by => by,
            };
        }
        let (at, name_len) = (self.arena.len() as u32, octets.len() as u8);
        self.arena.extend_from_slice(octets);
        self.nodes.push(Node { at, hidden_by, rrsets: 0, flags: 0, name_len });
        self.path.push(node);
        self.most_labels = self.most_labels.max(labels);
        node
    }

    /// Lays down the RRsets of one owner, whose keys are in order of type, and returns how many there are.
    fn add_rrsets(&mut self, keys: &[SortKey]) -> Result<u16, BuildError> {
        let mut rrsets = 0;
        for rrset in keys.chunk_by(|a, b| (a.covers, a.is_signature) == (b.covers, b.is_signature)) {
            let records = || rrset.iter().map(|key| self.records.at(key.index as usize));
            let ttl = records().map(|record| record.ttl).min().expect("a chunk is never empty");
            let rtype = if rrset[0].is_signature { Type::RRSIG } else { rrset[0].covers };
            let mut writer = RrsetWriter::begin(&mut self.arena, rtype, rrset[0].covers, ttl);
            for record in distinct(records().map(|record| record.rdata).collect()) {
                if !writer.push(record) {
                    return Err(BuildError::TooMany);
                }
                self.record_count += 1;
            }
            rrsets += 1;
        }
        if self.arena.len() > u32::MAX as usize / 2 { Err(BuildError::TooLarge) } else { Ok(rrsets) }
    }

    fn finish(mut self, apex: Name) -> Result<Zone, BuildError> {
        let hashing = foldhash::fast::RandomState::default();
        let mut zone = Zone {
            apex_labels: self.apex_labels as u8,
            most_labels: self.most_labels as u8,
            negative_soa: 0,
            serial: Serial(0),
            record_count: self.record_count,
            denial: Denial::Unsigned,
            index: HashTable::with_capacity(self.nodes.len()),
            hashing,
            nodes: std::mem::take(&mut self.nodes).into(),
            arena: Box::default(),
            apex,
        };
        let arena = &mut self.arena;
        for (id, node) in zone.nodes.iter().enumerate() {
            let name = &arena[node.at as usize..node.at as usize + usize::from(node.name_len)];
            zone.index.insert_unique(hash(&zone.hashing, name), id as u32, |&id| {
                let node = &zone.nodes[id as usize];
                hash(&zone.hashing, &arena[node.at as usize..node.at as usize + usize::from(node.name_len)])
            });
        }
        zone.arena = std::mem::take(arena).into();
        zone.add_negative_soa()?;
        zone.denial = zone.find_denial(self.nsec, self.nsec3);
        Ok(zone)
    }
}

impl Zone {
    fn add_negative_soa(&mut self) -> Result<(), BuildError> {
        if self.nodes.is_empty() {
            return Err(BuildError::NoSoa);
        }
        let soa = self.rrset(NodeId::APEX, Type::SOA).and_then(|rrset| rrset.iter().next()).ok_or(BuildError::NoSoa)?;
        let numbers = soa.rdata.last_chunk::<20>().ok_or(BuildError::NoSoa)?;
        let number = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
        let (serial, ttl) = (Serial(number(0)), soa.ttl.min(number(16)));
        let signatures = self.signatures(NodeId::APEX, Type::SOA);
        let mut tail = Vec::new();
        RrsetWriter::begin(&mut tail, Type::SOA, Type::SOA, ttl).push(soa.rdata);
        let mut writer = RrsetWriter::begin(&mut tail, Type::RRSIG, Type::SOA, ttl);
        for signature in signatures.iter().flat_map(Rrset::iter) {
            writer.push(signature.rdata);
        }
        drop(writer);
        let mut arena = std::mem::take(&mut self.arena).into_vec();
        self.negative_soa = arena.len() as u32;
        arena.append(&mut tail);
        self.arena = arena.into();
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
                let (rrset, _) = Rrset::read(&self.arena, entry.at as usize);
                rrset.iter().any(|nsec3| nsec3.rdata.get(2..5 + salt.len()) == Some(&record.rdata[2..]))
            };
            nsec3.retain(of_this_chain);
            nsec3.sort_unstable_by_key(|entry| entry.hash);
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
        order.sort_unstable_by_key(|&index| (rdata[index], index));
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
    use crate::zone::Place;

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
