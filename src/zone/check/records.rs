//! Records one by one: their class, their place, and what else stands at their owner.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

use super::Checker;
use super::owners::may_stand_beside_alias;
use crate::wire::{Class, NameRef, Type};
use crate::zone::rdata::{canonical, names};
use crate::zone::{Place, Record};

/// The RRsets seen so far. In most zones most names have one set, so that of a name's first record costs a counter alone.
#[derive(Default)]
struct Sets {
    /// By owner: the records of the set that the owner's first record belongs to.
    first: Vec<u32>,
    others: HashMap<(u32, Type), Set, RandomState>,
    hashing: RandomState,
    /// Records of sets that have more than one, by the hash of owner, type and canonical RDATA.
    records: HashTable<(u64, u32)>,
    scratch: [Vec<u8>; 2],
}

/// A set's first record, and how many it has so far.
#[derive(Clone, Copy)]
struct Set {
    first: u32,
    count: u32,
}

impl Checker<'_> {
    pub(super) fn records(&mut self) {
        let mut sets = Sets { first: vec![0; self.owners.iter().len()], ..Sets::default() };
        let mut told = vec![false; self.owners.iter().len()];
        for (index, record) in self.records.iter().enumerate() {
            let Record { owner, rtype, place, .. } = record;
            if record.class != Class::IN {
                self.error(place, format!("class {}", record.class), "IN");
            }
            if !owner.is_within(self.apex.borrow()) {
                let found = format!("{owner} is not within the zone {}", self.apex);
                self.warn(place, found, "the record is left out");
                continue;
            }
            if rtype == Type::SOA && owner != self.apex.borrow() {
                self.error(place, format!("SOA at {owner}, not at the apex"), "one SOA record, at the zone's name");
            }
            if rtype == Type::NS && owner.is_wildcard() {
                let found = format!("NS at the wildcard {owner}");
                self.warn(place, found, "names that are delegated (RFC 4592 section 4.2)");
            }
            self.set(&mut sets, index, record);
            let (number, known) = self.owners.at(index);
            if known.has_alias && known.has_other && !told[number as usize] {
                told[number as usize] = self.is_beside_alias(index, record);
            }
        }
    }

    /// Tells of a record that makes CNAME and other data meet, if this is one.
    fn is_beside_alias(&mut self, index: usize, record: Record<'_>) -> bool {
        let (_, known) = self.owners.at(index);
        let first_is_alias = self.records.at(known.first as usize).rtype == Type::CNAME;
        if may_stand_beside_alias(record.rtype) || first_is_alias == (record.rtype == Type::CNAME) {
            return false;
        }
        let found = format!("CNAME and other data at {}", record.owner);
        self.error(record.place, found, "CNAME alone (RFC 1034 section 3.6.2)");
        true
    }

    /// Compares a record with those of its set that came before it.
    fn set(&mut self, sets: &mut Sets, index: usize, record: Record<'_>) {
        let Record { owner, rtype, place, ttl, .. } = record;
        let Set { first, count } = sets.count(self, index as u32, rtype);
        if count == 1 {
            return;
        }
        if count == 2 {
            sets.is_new(self, first);
        }
        if !sets.is_new(self, index as u32) {
            return self.warn(place, format!("{rtype} at {owner} stands twice"), "one of the two");
        }
        let second = |section: &'static str, checker: &mut Self| {
            checker.error(place, format!("a second {rtype} at {owner}"), section);
        };
        match rtype {
            Type::SOA | Type::CNAME => second("one, as RFC 2181 section 10.1 has it", self),
            Type::DNAME => second("one, as RFC 6672 section 2.4 has it", self),
            // Signatures have the TTL of what they cover (RFC 4034 section 3), so those of one owner differ.
            Type::RRSIG => {}
            _ => {
                let first_ttl = self.records.at(first as usize).ttl;
                if first_ttl != ttl {
                    let found = format!("TTL {ttl} at {owner} {rtype}, where the first record has {first_ttl}");
                    self.warn(place, found, "one TTL for the set, the lowest is used");
                }
            }
        }
    }

    pub(super) fn apex(&mut self) {
        let apex = self.apex.borrow();
        let start = self.records.iter().find(|record| record.rtype == Type::SOA && record.owner == apex);
        let Some(start) = start else {
            let found = format!("no SOA at {apex}");
            return self.error(Place::default(), found, "one SOA record whose owner is the zone's name");
        };
        let mailbox = names(Type::SOA, start.rdata).nth(1).map(|(range, _)| NameRef::from_valid(&start.rdata[range]));
        if let Some(mailbox) = mailbox.filter(|mailbox| mailbox.as_bytes().contains(&b'@')) {
            self.warn(start.place, format!("mailbox {mailbox} of the SOA"), "a dot in the place of the `@`");
        }
        if !self.owners.find(apex).is_some_and(|owner| owner.has_nameserver) {
            self.error(start.place, format!("no NS record at {apex}"), "the zone's nameservers");
        }
    }
}

impl Sets {
    /// Counts a record into its set.
    fn count(&mut self, checker: &Checker<'_>, index: u32, rtype: Type) -> Set {
        let (number, known) = checker.owners.at(index as usize);
        if index == known.first || checker.records.at(known.first as usize).rtype == rtype {
            let count = &mut self.first[number as usize];
            *count += 1;
            return Set { first: known.first, count: *count };
        }
        let set = self.others.entry((number, rtype)).or_insert(Set { first: index, count: 0 });
        set.count += 1;
        *set
    }

    /// Remembers a record; `false` when its owner has the same record already.
    fn is_new(&mut self, checker: &Checker<'_>, index: u32) -> bool {
        let Self { hashing, records: seen, scratch: [ours, theirs], .. } = self;
        let key = |index: u32, out: &mut Vec<u8>| {
            let record = checker.records.at(index as usize);
            out.clear();
            out.extend_from_slice(&checker.owners.at(index as usize).0.to_be_bytes());
            out.extend_from_slice(&record.rtype.0.to_be_bytes());
            canonical(record.rtype, record.rdata, out);
        };
        key(index, ours);
        let hash = hashing.hash_one(ours.as_slice());
        let is_same = |(other_hash, other): &(u64, u32)| {
            *other_hash == hash && {
                key(*other, theirs);
                theirs == ours
            }
        };
        if seen.find(hash, is_same).is_some() {
            return false;
        }
        seen.insert_unique(hash, (hash, index), |(hash, _)| *hash);
        true
    }
}
