//! The records of a zone in canonical order (RFC 4034 section 6): by owner, then by type, then as they came.

use super::records::{Record, Records};
use crate::wire::{Class, NameRef, Type};

/// The records at or below the apex, in order.
pub(super) struct Order<'r> {
    pub(super) records: &'r Records,
    /// The owners below the apex, their labels from the right, as octets that compare as names do.
    owners: Vec<u8>,
    sorted: Vec<Key>,
}

/// One record.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// The first eight octets, which settle most comparisons without a look at the rest.
    prefix: u64,
    /// Where the octets are, behind their length.
    at: u32,
    index: u32,
}

impl<'r> Order<'r> {
    /// Sorts the records of class IN at or below `apex`, which is in lower case.
    pub(super) fn of(apex: NameRef<'_>, records: &'r Records) -> Self {
        let mut order = Self { records, owners: Vec::new(), sorted: Vec::with_capacity(records.len()) };
        let mut last: Option<(NameRef<'_>, Key)> = None;
        for (index, record) in records.iter().enumerate() {
            let owner = match last {
                Some((name, key)) if name.as_bytes() == record.owner.as_bytes() => key,
                _ if !record.owner.is_within(apex) => continue,
                _ => order.append(&record.owner.as_bytes()[..record.owner.len() - apex.len()]),
            };
            let key = Key { index: index as u32, ..owner };
            last = Some((record.owner, key));
            if record.class == Class::IN {
                order.sorted.push(key);
            }
        }
        let mut sorted = std::mem::take(&mut order.sorted);
        sorted.sort_unstable_by(|a, b| {
            a.prefix.cmp(&b.prefix).then_with(|| {
                let owners =
                    if a.at == b.at { std::cmp::Ordering::Equal } else { order.octets(a).cmp(order.octets(b)) };
                owners.then_with(|| (order.kind(a), a.index).cmp(&(order.kind(b), b.index)))
            })
        });
        Self { sorted, ..order }
    }

    /// The records of one owner after those of another.
    pub(super) fn owners(&self) -> impl Iterator<Item = &[Key]> {
        let same = |a: &Key, b: &Key| a.prefix == b.prefix && (a.at == b.at || self.octets(a) == self.octets(b));
        self.sorted.chunk_by(same)
    }

    /// The record of a key.
    pub(super) fn record(&self, key: &Key) -> Record<'r> {
        self.records.at(key.index as usize)
    }

    /// The type that a record is of or, being a signature, covers; and whether it is one.
    pub(super) fn kind(&self, key: &Key) -> (Type, bool) {
        let record = self.record(key);
        match record.rdata.first_chunk::<2>() {
            Some(&covers) if record.rtype == Type::RRSIG => (Type(u16::from_be_bytes(covers)), true),
            _ => (record.rtype, record.rtype == Type::RRSIG),
        }
    }

    /// Each label ends in 00 00, and an octet 00 in it becomes 00 01: so a label sorts before all that it starts.
    fn append(&mut self, below_apex: &[u8]) -> Key {
        let (mut starts, mut labels, mut start) = ([0u8; 128], 0, 0);
        while start < below_apex.len() {
            starts[labels] = start as u8;
            labels += 1;
            start += 1 + usize::from(below_apex[start]);
        }
        let at = self.owners.len();
        self.owners.extend_from_slice(&[0, 0]);
        for &start in starts[..labels].iter().rev() {
            let start = usize::from(start);
            let label = &below_apex[start + 1..][..usize::from(below_apex[start])];
            for octet in label {
                self.owners.push(octet.to_ascii_lowercase());
                if *octet == 0 {
                    self.owners.push(1);
                }
            }
            self.owners.extend_from_slice(&[0, 0]);
        }
        let octets = &self.owners[at + 2..];
        let mut prefix = [0; 8];
        let few = octets.len().min(8);
        prefix[..few].copy_from_slice(&octets[..few]);
        let len = octets.len() as u16;
        self.owners[at..at + 2].copy_from_slice(&len.to_le_bytes());
        Key { prefix: u64::from_be_bytes(prefix), at: at as u32, index: 0 }
    }

    fn octets(&self, key: &Key) -> &[u8] {
        let at = key.at as usize;
        let len = u16::from_le_bytes([self.owners[at], self.owners[at + 1]]);
        &self.owners[at + 2..][..usize::from(len)]
    }
}
