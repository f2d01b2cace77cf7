//! Who has what: an index of the records by owner, and of each owner's RRsets.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::wire::{MAX_NAME, NameRef, Type};
use crate::zone::Records;

/// The owners of a zone's records.
pub(super) struct Owners<'r> {
    records: &'r Records,
    hashing: RandomState,
    table: HashTable<u32>,
    owners: Vec<Owner>,
    /// Which owner each record has.
    of_record: Vec<u32>,
}

/// What one name has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owner {
    /// The index of its first record.
    pub(super) first: u32,
    pub(super) has_address: bool,
    pub(super) has_alias: bool,
    /// Data that may not stand beside a CNAME.
    pub(super) has_other: bool,
    pub(super) has_nameserver: bool,
    pub(super) has_redirection: bool,
}

impl<'r> Owners<'r> {
    pub(super) fn of(records: &'r Records) -> Self {
        let mut owners = Self {
            records,
            hashing: RandomState::default(),
            table: HashTable::with_capacity(records.len()),
            owners: Vec::new(),
            of_record: Vec::with_capacity(records.len()),
        };
        let mut last: Option<(NameRef<'_>, u32)> = None;
        for (index, record) in records.iter().enumerate() {
            let owner = match last {
                Some((name, owner)) if name.as_bytes() == record.owner.as_bytes() => owner,
                _ => owners.insert(record.owner, index as u32),
            };
            last = Some((record.owner, owner));
            owners.of_record.push(owner);
            owners.owners[owner as usize].note(record.rtype);
        }
        owners
    }

    fn insert(&mut self, name: NameRef<'_>, first: u32) -> u32 {
        let Self { records, hashing, table, owners, .. } = self;
        let name_of = |owner: u32| records.at(owners[owner as usize].first as usize).owner;
        let next = owners.len() as u32;
        let hash_of = |owner: &u32| hash(hashing, name_of(*owner));
        let entry = table.entry(hash(hashing, name), |owner| name_of(*owner) == name, hash_of);
        let owner = *entry.or_insert(next).get();
        if owner == next {
            owners.push(Owner { first, ..Owner::default() });
        }
        owner
    }

    /// What `name` has, if it has records.
    pub(super) fn find(&self, name: NameRef<'_>) -> Option<&Owner> {
        let is_it = |owner: &u32| self.records.at(self.owners[*owner as usize].first as usize).owner == name;
        self.table.find(hash(&self.hashing, name), is_it).map(|owner| &self.owners[*owner as usize])
    }

    /// What the owner of the record at `index` has, and a number that is that owner's alone.
    pub(super) fn at(&self, index: usize) -> (u32, &Owner) {
        let owner = self.of_record[index];
        (owner, &self.owners[owner as usize])
    }

    /// All owners, in the order of their first records.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Owner> {
        self.owners.iter()
    }
}

impl Owner {
    fn note(&mut self, rtype: Type) {
        match rtype {
            Type::CNAME => self.has_alias = true,
            _ => self.has_other |= !may_stand_beside_alias(rtype),
        }
        match rtype {
            Type::A | Type::AAAA => self.has_address = true,
            Type::NS => self.has_nameserver = true,
            Type::DNAME => self.has_redirection = true,
            _ => {}
        }
    }
}

/// What proves and signs an alias (RFC 4035 section 2.5), and the KEY of RFC 2535 section 2.3.5.
pub(super) fn may_stand_beside_alias(rtype: Type) -> bool {
    matches!(rtype, Type::RRSIG | Type::NSEC | Type::SIG | Type::KEY)
}

fn hash(hashing: &RandomState, name: NameRef<'_>) -> u64 {
    let mut lower = [0; MAX_NAME];
    let lower = &mut lower[..name.len()];
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let mut hasher = hashing.build_hasher();
    hasher.write(lower);
    hasher.finish()
}
