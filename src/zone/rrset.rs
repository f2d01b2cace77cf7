//! An RRset as the zone's arena keeps it: records ready to be copied into a reply.
//!
//! ```text
//! type count length │ C0 0C type class ttl rdlength rdata │ C0 0C …
//! ```
//!
//! The owner of each record is already a pointer to the question's name, which is what most answers need. RDATA is not
//! compressed; the writer of the reply does that for the few types whose names may be.

use super::octets::Octets;
use crate::wire::{Class, Type};

/// Octets of a record before its RDATA: owner pointer, type, class, TTL, RDLENGTH.
pub const RECORD_HEADER: usize = 12;
/// A pointer to the name of the question, which always stands right behind the header.
pub const OWNER_IS_QNAME: [u8; 2] = [0xc0, 12];

const RRSET_HEADER: usize = 8;

/// All records of one owner, class and type; signatures are one RRset for each type they cover.
#[derive(Clone, Copy, Debug)]
pub struct Rrset<'z> {
    /// The type.
    pub rtype: Type,
    /// For RRSIG the type covered, else the type itself.
    pub covers: Type,
    /// How many records there are.
    pub count: u16,
    /// The records, one behind the other, as wire.
    pub records: &'z [u8],
}

/// One record of an RRset.
#[derive(Clone, Copy, Debug)]
pub struct RrsetRecord<'z> {
    /// Seconds.
    pub ttl: u32,
    /// RDATA, names in it uncompressed.
    pub rdata: &'z [u8],
}

impl<'z> Rrset<'z> {
    /// The RRset that starts at `at`, and where the next would.
    #[inline]
    pub(super) fn read(arena: &'z [u8], at: usize) -> (Self, usize) {
        let header: &[u8; RRSET_HEADER] = arena[at..].first_chunk().expect("an RRset has a header");
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let end = at + RRSET_HEADER + length;
        let rtype = Type(u16::from_le_bytes([header[0], header[1]]));
        let records = &arena[at + RRSET_HEADER..end];
        let covers = match records.get(RECORD_HEADER..RECORD_HEADER + 2) {
            Some(&[high, low]) if rtype == Type::RRSIG => Type(u16::from_be_bytes([high, low])),
            _ => rtype,
        };
        (Self { rtype, covers, count: u16::from_le_bytes([header[2], header[3]]), records }, end)
    }

    /// The records one by one.
    pub fn iter(&self) -> impl Iterator<Item = RrsetRecord<'z>> + use<'z> {
        let mut rest = self.records;
        std::iter::from_fn(move || {
            let (header, tail) = rest.split_first_chunk::<RECORD_HEADER>()?;
            let (rdata, after) = tail.split_at(usize::from(u16::from_be_bytes([header[10], header[11]])));
            rest = after;
            Some(RrsetRecord { ttl: u32::from_be_bytes([header[6], header[7], header[8], header[9]]), rdata })
        })
    }

    /// Seconds that a cache may keep the RRset; all its records have the same TTL (RFC 2181 section 5.2).
    pub fn ttl(&self) -> u32 {
        self.iter().next().map_or(0, |record| record.ttl)
    }
}

/// Appends RRsets to an arena.
pub(super) struct RrsetWriter<'a> {
    arena: &'a mut Octets,
    start: usize,
    /// What all records begin with, but for the length of their RDATA.
    header: [u8; RECORD_HEADER],
    count: u16,
}

impl<'a> RrsetWriter<'a> {
    /// Begins an RRset of `rtype` whose records all have `ttl`.
    pub(super) fn begin(arena: &'a mut Octets, rtype: Type, ttl: u32) -> Self {
        let start = arena.len();
        let [low, high] = rtype.0.to_le_bytes();
        arena.extend_from_slice(&[low, high, 0, 0, 0, 0, 0, 0]);
        let mut header = [0; RECORD_HEADER];
        header[..2].copy_from_slice(&OWNER_IS_QNAME);
        header[2..4].copy_from_slice(&rtype.0.to_be_bytes());
        header[4..6].copy_from_slice(&Class::IN.0.to_be_bytes());
        header[6..10].copy_from_slice(&ttl.to_be_bytes());
        Self { arena, start, header, count: 0 }
    }

    /// Adds a record; says whether there was room for one more in an RRset.
    pub(super) fn push(&mut self, rdata: &[u8]) -> bool {
        let Some(count) = self.count.checked_add(1) else { return false };
        self.count = count;
        self.header[10..].copy_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.arena.extend_from_slice(&self.header);
        self.arena.extend_from_slice(rdata);
        true
    }
}

impl Drop for RrsetWriter<'_> {
    fn drop(&mut self) {
        let length = (self.arena.len() - self.start - RRSET_HEADER) as u32;
        self.arena[self.start + 2..self.start + 4].copy_from_slice(&self.count.to_le_bytes());
        self.arena[self.start + 4..self.start + RRSET_HEADER].copy_from_slice(&length.to_le_bytes());
    }
}
