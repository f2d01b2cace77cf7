//! Who has what: an index of the records by owner, and of each owner's RRsets.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::processor;
use crate::wire::{MAX_NAME, NameRef, Type};
use crate::zone::Records;

/// Names that are bisected in no time.
const FEW: usize = 50;
/// With fewer names for each target than that an index costs less than bisecting for each.
const TARGETS: usize = 16;

/// The owners of a zone's records.
pub(super) struct Owners<'r> {
    records: &'r Records,
    owners: Vec<Owner>,
    /// Which owner each record has.
    of_record: Vec<u32>,
    /// `None` when the owners are in order and few names are looked for: then they are bisected.
    index: Option<Index>,
}

/// The owners by the hashes of their names.
struct Index {
    hashing: RandomState,
    table: HashTable<u32>,
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
        let of_record = Vec::with_capacity(records.len());
        let mut owners = Self { records, owners: Vec::new(), of_record, index: None };
        let mut last: Option<(NameRef<'_>, u32)> = None;
        for (index, record) in records.iter().enumerate() {
            let owner = match last {
                Some((name, owner)) if name.as_bytes() == record.owner.as_bytes() => owner,
                Some((name, owner)) => owners.insert(record.owner, index as u32, Some((name, owner))),
                None => owners.insert(record.owner, index as u32, None),
            };
            last = Some((record.owner, owner));
            owners.of_record.push(owner);
            owners.owners[owner as usize].note(record.rtype);
        }
        if owners.index.is_none() && owners.are_looked_up() {
            owners.fill_index();
        }
        owners
    }

    /// The number of a name whose first record this may be; `last` is the owner of the record before it.
    fn insert(&mut self, name: NameRef<'_>, first: u32, last: Option<(NameRef<'_>, u32)>) -> u32 {
        if self.index.is_none() {
            match last.map(|(last, owner)| (last.cmp(&name), owner)) {
                Some((Ordering::Equal, owner)) => return owner,
                Some((Ordering::Greater, _)) => self.fill_index(),
                Some((Ordering::Less, _)) | None => {}
            }
        }
        let next = self.owners.len() as u32;
        let (records, owners) = (self.records, &self.owners);
        let owner = match &mut self.index {
            Some(index) => index.insert(name, next, |owner| owner_at(records, owners, owner)),
            None => next,
        };
        if owner == next {
            self.owners.push(Owner { first, ..Owner::default() });
        }
        owner
    }

    /// Whether names are looked for so often that an index is worth its while: for each target of an NS, MX or SRV, and
    /// for each record where something may hide it.
    fn are_looked_up(&self) -> bool {
        let targets = self.records.iter().filter(|record| matches!(record.rtype, Type::NS | Type::MX | Type::SRV));
        let hiding = self.owners.iter().filter(|owner| owner.has_redirection || owner.has_nameserver);
        let often = || hiding.take(2).count() > 1 || targets.count() > self.owners.len() / TARGETS;
        self.owners.len() > FEW && often()
    }

    fn fill_index(&mut self) {
        let table = HashTable::with_capacity(self.records.len());
        let mut index = Index { table, hashing: RandomState::default() };
        for owner in 0..self.owners.len() as u32 {
            processor::pause();
            let name_of = |owner| owner_at(self.records, &self.owners, owner);
            index.insert(name_of(owner), owner, name_of);
        }
        self.index = Some(index);
    }

    /// What `name` has, if it has records.
    pub(super) fn find(&self, name: NameRef<'_>) -> Option<&Owner> {
        let name_of = |owner| owner_at(self.records, &self.owners, owner);
        let found = match &self.index {
            Some(index) => *index.table.find(index.hash(name), |owner| name_of(*owner) == name)?,
            None => {
                let compare = |owner: &Owner| self.records.at(owner.first as usize).owner.cmp(&name);
                self.owners.binary_search_by(compare).ok()? as u32
            }
        };
        Some(&self.owners[found as usize])
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

impl Index {
    /// The number of `name`: `next` when it is new.
    fn insert<'n>(&mut self, name: NameRef<'n>, next: u32, name_of: impl Fn(u32) -> NameRef<'n>) -> u32 {
        let hash = self.hash(name);
        let Self { hashing, table } = self;
        let hash_of = |owner: &u32| hash_name(hashing, name_of(*owner));
        *table.entry(hash, |owner| name_of(*owner) == name, hash_of).or_insert(next).get()
    }

    fn hash(&self, name: NameRef<'_>) -> u64 {
        hash_name(&self.hashing, name)
    }
}

/// The name of an owner.
fn owner_at<'r>(records: &'r Records, owners: &[Owner], owner: u32) -> NameRef<'r> {
    records.at(owners[owner as usize].first as usize).owner
}

fn hash_name(hashing: &RandomState, name: NameRef<'_>) -> u64 {
    let mut lower = [0; MAX_NAME];
    let lower = &mut lower[..name.len()];
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let mut hasher = hashing.build_hasher();
    hasher.write(lower);
    hasher.finish()
}
