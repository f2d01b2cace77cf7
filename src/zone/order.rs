//! The records of a zone in canonical order (RFC 4034 section 6): by owner, then by type, then as they came.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::records::{Record, Records};
use crate::processor;
use crate::wire::{Class, NameRef, Type};

/// The records of class IN at or below the apex, in order.
pub(super) struct Order<'r> {
    /// Those that are its own it gives back one by one where it can.
    pub(super) records: Cow<'r, Records>,
    /// `None` when the owners come in order as they are, which is how programs write zones.
    sorted: Option<Vec<Key>>,
}

/// One record, by its place among the records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u32);

impl<'r> Order<'r> {
    /// Sorts the records; `apex` is in lower case.
    pub(super) fn of(apex: NameRef<'_>, records: Cow<'r, Records>) -> Self {
        let sorted = (!is_in_order(apex, &records)).then(|| sorted(apex, &records));
        Self { records, sorted }
    }

    /// Hands over the records, and the keys of those of one owner after those of another.
    pub(super) fn each_owner<E>(&mut self, mut take: impl FnMut(&Records, &[Key]) -> Result<(), E>) -> Result<(), E> {
        let same = |records: &Records, a: Key, b: Key| record(records, a).owner == record(records, b).owner;
        if let Some(sorted) = &self.sorted {
            let records = &*self.records;
            return sorted.chunk_by(|a, b| same(records, *a, *b)).try_for_each(|keys| take(records, keys));
        }
        let (mut keys, all) = (Vec::new(), self.records.len());
        let mut next = 0;
        while next < all {
            let records = &*self.records;
            let first = Key(next as u32);
            keys.clear();
            while next < all && same(records, first, Key(next as u32)) {
                keys.push(Key(next as u32));
                next += 1;
            }
            if keys.len() > 1 {
                keys.sort_unstable_by_key(|key| (kind(records, *key), *key));
            }
            take(records, &keys)?;
            if next % RELEASE < keys.len()
                && next < all
                && let Cow::Owned(records) = &mut self.records
            {
                records.release_before(next);
            }
        }
        Ok(())
    }
}

/// The record of a key.
pub(super) fn record(records: &Records, key: Key) -> Record<'_> {
    records.at(key.0 as usize)
}

/// The type that a record is of or, being a signature, covers; and whether it is one.
pub(super) fn kind(records: &Records, key: Key) -> (Type, bool) {
    let record = record(records, key);
    match record.rdata.first_chunk::<2>() {
        Some(&covers) if record.rtype == Type::RRSIG => (Type(u16::from_be_bytes(covers)), true),
        _ => (record.rtype, record.rtype == Type::RRSIG),
    }
}

/// Records after which those before are given back.
const RELEASE: usize = 1 << 16;

/// The records that are not left out, sorted.
fn sorted(apex: NameRef<'_>, records: &Records) -> Vec<Key> {
    let mut owners = Owners::default();
    let mut keys: Vec<OwnerKey> = Vec::with_capacity(records.len());
    let mut last: Option<(NameRef<'_>, OwnerKey)> = None;
    for (index, record) in records.iter().enumerate() {
        let owner = match last {
            Some((name, owner)) if name.as_bytes() == record.owner.as_bytes() => owner,
            _ if !record.owner.is_within(apex) => continue,
            _ => owners.add(&record.owner.as_bytes()[..record.owner.len() - apex.len()]),
        };
        last = Some((record.owner, owner));
        if record.class == Class::IN {
            keys.push(OwnerKey { record: Key(index as u32), ..owner });
        }
    }
    keys.sort_unstable_by(|a, b| {
        processor::pause();
        let kind = |key: &OwnerKey| (kind(records, key.record), key.record);
        owners.compare(a, b).then_with(|| kind(a).cmp(&kind(b)))
    });
    let mut sorted: Vec<Key> = keys.into_iter().map(|key| key.record).collect();
    sorted.shrink_to_fit();
    sorted
}

/// Whether the owners come in order, and nothing is to be left out.
fn is_in_order(apex: NameRef<'_>, records: &Records) -> bool {
    let mut last: Option<NameRef<'_>> = None;
    let in_order = records.iter().all(|record| {
        let follows = match last {
            None => record.owner == apex,
            Some(last) => last.as_bytes() == record.owner.as_bytes() || last <= record.owner,
        };
        last = Some(record.owner);
        follows && record.class == Class::IN
    });
    // All names below the apex stand together in the order, right behind it.
    in_order && last.is_none_or(|last| last.is_within(apex))
}

/// The owners below the apex, their labels from the right, as octets that compare as names do.
#[derive(Default)]
struct Owners(Vec<u8>);

/// The owner of a record.
#[derive(Clone, Copy)]
struct OwnerKey {
    /// The first eight octets, which settle most comparisons without a look at the rest.
    prefix: u64,
    /// Where the octets are, behind their length.
    at: u32,
    record: Key,
}

impl Owners {
    /// Each label ends in 00 00, and an octet 00 in it becomes 00 01: so a label sorts before all that it starts.
    fn add(&mut self, below_apex: &[u8]) -> OwnerKey {
        let (mut starts, mut labels, mut start) = ([0u8; 128], 0, 0);
        while start < below_apex.len() {
            starts[labels] = start as u8;
            labels += 1;
            start += 1 + usize::from(below_apex[start]);
        }
        let at = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        for &start in starts[..labels].iter().rev() {
            let start = usize::from(start);
            for octet in &below_apex[start + 1..][..usize::from(below_apex[start])] {
                self.0.push(octet.to_ascii_lowercase());
                if *octet == 0 {
                    self.0.push(1);
                }
            }
            self.0.extend_from_slice(&[0, 0]);
        }
        let octets = &self.0[at + 2..];
        let mut prefix = [0; 8];
        let few = octets.len().min(8);
        prefix[..few].copy_from_slice(&octets[..few]);
        let len = octets.len() as u16;
        self.0[at..at + 2].copy_from_slice(&len.to_le_bytes());
        let at = u32::try_from(at).expect("the owners of one zone are at most 4 GiB");
        OwnerKey { prefix: u64::from_be_bytes(prefix), at, record: Key(0) }
    }

    fn compare(&self, a: &OwnerKey, b: &OwnerKey) -> Ordering {
        match a.prefix.cmp(&b.prefix) {
            Ordering::Equal if a.at == b.at => Ordering::Equal,
            Ordering::Equal => self.octets(a).cmp(self.octets(b)),
            ordering => ordering,
        }
    }

    fn octets(&self, key: &OwnerKey) -> &[u8] {
        let at = key.at as usize;
        let len = u16::from_le_bytes([self.0[at], self.0[at + 1]]);
        &self.0[at + 2..][..usize::from(len)]
    }
}
