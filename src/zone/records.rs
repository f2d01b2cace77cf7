//! The records of one zone between their text and the zone that is served: compact, in the order they were read.
//!
//! A million records cost a few dozen blocks of memory, not a million: names and RDATA lie one after another, and so do the
//! rows that say where. Who has no more use for the first records gives their blocks back while the others are read.

use super::blocks::Blocks;
use crate::processor;
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
    octets: Blocks,
    rows: Blocks,
    count: usize,
}

/// What is known of a record beside its octets.
#[derive(Clone, Copy, Debug)]
struct Row {
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

/// Octets of a row: a power of two, so that blocks have no gaps.
const ROW: usize = 32;

impl Row {
    fn to_octets(self) -> [u8; ROW] {
        let mut octets = [0; ROW];
        octets[..4].copy_from_slice(&self.owner.to_le_bytes());
        octets[4..8].copy_from_slice(&self.rdata.to_le_bytes());
        octets[8..12].copy_from_slice(&self.ttl.to_le_bytes());
        octets[12..16].copy_from_slice(&self.line.to_le_bytes());
        octets[16..18].copy_from_slice(&self.file.to_le_bytes());
        octets[18..20].copy_from_slice(&self.rtype.0.to_le_bytes());
        octets[20..22].copy_from_slice(&self.class.0.to_le_bytes());
        octets[22..24].copy_from_slice(&self.rdata_len.to_le_bytes());
        octets[24] = self.owner_len;
        octets
    }

    #[inline]
    fn read(octets: &[u8; ROW]) -> Self {
        let long = |at: usize| u32::from_le_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        let short = |at: usize| u16::from_le_bytes([octets[at], octets[at + 1]]);
        Self {
            owner: long(0),
            rdata: long(4),
            ttl: long(8),
            line: long(12),
            file: short(16),
            rtype: Type(short(18)),
            class: Class(short(20)),
            rdata_len: short(22),
            owner_len: octets[24],
        }
    }
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
        let last = self.count.checked_sub(1).map(|last| self.row(last));
        let owner = match last.filter(|last| self.owner_octets(last) == owner_octets) {
            Some(last) => last.owner,
            None => self.append(owner_octets),
        };
        let row = Row {
            owner,
            rdata: self.append(record.rdata),
            ttl: record.ttl,
            rtype: record.rtype,
            class: record.class,
            rdata_len: u16::try_from(record.rdata.len()).expect("RDATA is at most 65,535 octets"),
            owner_len: owner_octets.len() as u8,
            line: record.place.line,
            file: record.place.file,
        };
        self.rows.append(&row.to_octets());
        self.count += 1;
    }

    /// Octets of names and RDATA.
    pub(super) fn octets(&self) -> usize {
        self.octets.len()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The record at `index`, in the order they were added.
    ///
    /// # Panics
    /// When `index` is not below [`Records::len`].
    pub fn at(&self, index: usize) -> Record<'_> {
        let row = self.row(index);
        Record {
            owner: NameRef::from_valid(self.owner_octets(&row)),
            rtype: row.rtype,
            class: row.class,
            ttl: row.ttl,
            rdata: self.octets.at(row.rdata as usize, usize::from(row.rdata_len)),
            place: Place { file: row.file, line: row.line },
        }
    }

    /// All records in the order they were added, for work that gives way to queries.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        (0..self.len()).map(|index| {
            processor::pause();
            self.at(index)
        })
    }

    /// Gives back the memory of records before `index`, as far as it can; they must not be asked for again.
    pub(super) fn release_before(&mut self, index: usize) {
        // The owner lies before the RDATA, and may be that of a record before.
        let first = self.row(index).owner;
        self.octets.release_before(first as usize);
        self.rows.release_before(index * ROW);
    }

    #[inline]
    fn row(&self, index: usize) -> Row {
        Row::read(self.rows.at(index * ROW, ROW).first_chunk().expect("a row is whole"))
    }

    fn owner_octets(&self, row: &Row) -> &[u8] {
        self.octets.at(row.owner as usize, usize::from(row.owner_len))
    }

    fn append(&mut self, octets: &[u8]) -> u32 {
        u32::try_from(self.octets.append(octets)).expect("names and RDATA of one zone are at most 4 GiB")
    }
}
