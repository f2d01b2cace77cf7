//! The records of one zone between their text and the zone that is served: compact, in the order they were read.
//!
//! A million records cost one allocation that grows, not a million: names and RDATA lie one after another in one arena.

use crate::wire::{Class, NameRef, Type};

/// Where a record stands: which of the files read (the zone file is 0, included files follow) and which line, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into the list of files that the loader returns.
    pub file: u16,
    /// The line, from 1; 0 where no text stands behind the record.
    pub line: u32,
}

/// One record, borrowed. RDATA is uncompressed wire, in the case it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The owner name.
    pub owner: NameRef<'a>,
    /// The type.
    pub rtype: Type,
    /// The class.
    pub class: Class,
    /// Seconds that a cache may keep the record (RFC 2181 section 8).
    pub ttl: u32,
    /// The RDATA, at most 65,535 octets.
    pub rdata: &'a [u8],
    /// Where the record was read.
    pub place: Place,
}

/// Many records in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct Records {
    arena: Vec<u8>,
    entries: Vec<Entry>,
}

/// What stands of a record beside the arena; 28 octets, for there may be millions.
#[derive(Clone, Copy, Debug)]
struct Entry {
    owner: u32,
    rdata: u32,
    ttl: u32,
    line: u32,
    file: u16,
    rtype: Type,
    class: Class,
    rdata_len: u16,
    owner_len: u8,
}

impl Records {
    /// No records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record at the end. An owner equal to the one before it, case included, is stored once.
    ///
    /// # Panics
    /// When RDATA is longer than 65,535 octets, or there are more than 4 GiB of names and RDATA.
    pub fn push(&mut self, record: Record<'_>) {
        let owner_octets = record.owner.as_bytes();
        let owner = match self.entries.last() {
            Some(last) if self.owner_octets(last) == owner_octets => last.owner,
            _ => self.append(owner_octets),
        };
        let rdata = self.append(record.rdata);
        self.entries.push(Entry {
            owner,
            rdata,
            ttl: record.ttl,
            rtype: record.rtype,
            class: record.class,
            rdata_len: u16::try_from(record.rdata.len()).expect("RDATA is at most 65,535 octets"),
            owner_len: owner_octets.len() as u8,
            line: record.place.line,
            file: record.place.file,
        });
    }

    /// Octets of names and RDATA.
    pub(super) fn octets(&self) -> usize {
        self.arena.len()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The record at `index`, in the order they were added.
    ///
    /// # Panics
    /// When `index` is not below [`Records::len`].
    pub fn at(&self, index: usize) -> Record<'_> {
        let entry = &self.entries[index];
        Record {
            owner: NameRef::from_valid(self.owner_octets(entry)),
            rtype: entry.rtype,
            class: entry.class,
            ttl: entry.ttl,
            rdata: &self.arena[entry.rdata as usize..][..usize::from(entry.rdata_len)],
            place: Place { file: entry.file, line: entry.line },
        }
    }

    /// All records in the order they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        (0..self.len()).map(|index| self.at(index))
    }

    fn owner_octets(&self, entry: &Entry) -> &[u8] {
        &self.arena[entry.owner as usize..][..usize::from(entry.owner_len)]
    }

    fn append(&mut self, octets: &[u8]) -> u32 {
        let start = u32::try_from(self.arena.len()).expect("names and RDATA of one zone are at most 4 GiB");
        self.arena.extend_from_slice(octets);
        start
    }
}
