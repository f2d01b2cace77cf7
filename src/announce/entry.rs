//! One entry of a journal file: how a zone stands for others, and the changes that led there.
//!
//! ```text
//! length │ checksum │ apex │ digest │ serial │ narrowed pools │ (view, from, to, deleted, added)…
//! ```

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::config::PoolTransfer;
use crate::snapshot::{NarrowedPool, Outbound, Remembered};
use crate::transfer::journal::{Step, View};
use crate::wire::{Class, Name, NameRef, Type};
use crate::zone::{Difference, Place, Record, Records, Serial};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) apex: Name,
    pub(super) remembered: Remembered,
    pub(super) steps: Vec<(View, Step)>,
}

/// Octets before the payload: its length and its checksum.
const FRAME: usize = 12;

impl Entry {
    /// The octets of the entry in a file.
    pub(super) fn to_octets(&self) -> Vec<u8> {
        let mut octets = vec![0; FRAME];
        let Remembered { outbound, digest } = &self.remembered;
        octets.extend_from_slice(self.apex.borrow().as_bytes());
        octets.extend_from_slice(&digest.to_be_bytes());
        octets.extend_from_slice(&outbound.serial.0.to_be_bytes());
        put_count(&mut octets, outbound.narrowed.len());
        for pool in &outbound.narrowed {
            octets.extend_from_slice(pool.owner.borrow().as_bytes());
            octets.extend_from_slice(&pool.rtype.0.to_be_bytes());
            put_count(&mut octets, pool.members.len());
            for member in &pool.members {
                match member {
                    IpAddr::V4(v4) => octets.extend_from_slice(&v4.octets()),
                    IpAddr::V6(v6) => octets.extend_from_slice(&v6.octets()),
                }
            }
        }
        put_count(&mut octets, self.steps.len());
        for (view, Step { from, to, difference }) in &self.steps {
            octets.push(VIEWS.iter().position(|known| known == view).expect("every view is listed") as u8);
            octets.extend_from_slice(&from.0.to_be_bytes());
            octets.extend_from_slice(&to.0.to_be_bytes());
            put_records(&mut octets, &difference.deleted);
            put_records(&mut octets, &difference.added);
        }
        let length = (octets.len() - FRAME) as u32;
        let checksum = checksum(&octets[FRAME..]);
        octets[..4].copy_from_slice(&length.to_be_bytes());
        octets[4..FRAME].copy_from_slice(&checksum.to_be_bytes());
        octets
    }

    /// The entry at the start of `octets`, and what follows it; `None` when none stands there whole and unharmed.
    pub(super) fn read(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (frame, rest) = octets.split_at_checked(FRAME)?;
        let length = u32::from_be_bytes(frame[..4].try_into().ok()?) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        if frame[4..] != checksum(payload).to_be_bytes() {
            return None;
        }
        let mut input = Input(payload);
        let apex = input.name()?;
        let digest = u64::from_be_bytes(input.take(8)?.try_into().ok()?);
        let serial = Serial(input.u32()?);
        let narrowed = (0..input.u32()?).map(|_| input.pool()).collect::<Option<_>>()?;
        let steps = (0..input.u32()?).map(|_| input.step()).collect::<Option<_>>()?;
        let remembered = Remembered { outbound: Outbound { serial, narrowed }, digest };
        Some((Self { apex, remembered, steps }, rest))
    }
}

const VIEWS: [View; 3] = [None, Some(PoolTransfer::Members), Some(PoolTransfer::Healthy)];

/// Finds what a disk or a crash did; nobody who can write here needs to forge it.
fn checksum(octets: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(octets);
    hasher.finish()
}

fn put_count(octets: &mut Vec<u8>, count: usize) {
    octets.extend_from_slice(&(count as u32).to_be_bytes());
}

fn put_records(octets: &mut Vec<u8>, records: &Records) {
    put_count(octets, records.len());
    for record in records.iter() {
        octets.extend_from_slice(record.owner.as_bytes());
        octets.extend_from_slice(&record.rtype.0.to_be_bytes());
        octets.extend_from_slice(&record.ttl.to_be_bytes());
        octets.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        octets.extend_from_slice(record.rdata);
    }
}

/// What is left of a payload.
struct Input<'p>(&'p [u8]);

impl<'p> Input<'p> {
    fn take(&mut self, octets: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(octets)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn name(&mut self) -> Option<Name> {
        let name = NameRef::parse(self.0).ok()?;
        self.take(name.len())?;
        Some(name.to_name())
    }

    fn pool(&mut self) -> Option<NarrowedPool> {
        let (owner, rtype) = (self.name()?, Type(self.u16()?));
        let member = |input: &mut Self| match rtype {
            Type::A => Some(IpAddr::from(<[u8; 4]>::try_from(input.take(4)?).ok()?)),
            _ => Some(IpAddr::from(<[u8; 16]>::try_from(input.take(16)?).ok()?)),
        };
        let members = (0..self.u32()?).map(|_| member(self)).collect::<Option<_>>()?;
        Some(NarrowedPool { owner, rtype, members })
    }

    fn step(&mut self) -> Option<(View, Step)> {
        let view = *VIEWS.get(usize::from(self.take(1)?[0]))?;
        let (from, to) = (Serial(self.u32()?), Serial(self.u32()?));
        let difference = Arc::new(Difference { deleted: self.records()?, added: self.records()? });
        Some((view, Step { from, to, difference }))
    }

    fn records(&mut self) -> Option<Records> {
        let mut records = Records::new();
        for _ in 0..self.u32()? {
            let owner = self.name()?;
            let (rtype, ttl, length) = (Type(self.u16()?), self.u32()?, usize::from(self.u16()?));
            let (rdata, place) = (self.take(length)?, Place::default());
            records.push(Record { owner: owner.borrow(), rtype, class: Class::IN, ttl, rdata, place });
        }
        Some(records)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn entry(serial: u32) -> Entry {
        let name = |text: &str| Name::from_text(text.as_bytes()).unwrap();
        let owner = name("www.example.test.");
        let mut added = Records::new();
        let (class, place) = (Class::IN, Place::default());
        added.push(Record { owner: owner.borrow(), rtype: Type::TXT, class, ttl: 60, rdata: b"\x01x", place });
        let difference = Arc::new(Difference { deleted: Records::new(), added });
        let members = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap()).into();
        let narrowed = vec![NarrowedPool { owner, rtype: Type::A, members }];
        let outbound = Outbound { serial: Serial(serial), narrowed };
        let step = Step { from: Serial(serial - 1), to: Serial(serial), difference };
        Entry {
            apex: name("example.test."),
            remembered: Remembered { outbound, digest: 7 },
            steps: vec![(None, step.clone()), (Some(PoolTransfer::Healthy), step)],
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let octets = [entry(5).to_octets(), entry(6).to_octets()].concat();
        let (first, rest) = Entry::read(&octets).unwrap();
        assert_eq!(first.remembered, entry(5).remembered);
        assert_eq!(first.steps[1].0, Some(PoolTransfer::Healthy));
        assert_eq!(first.steps[1].1.difference.added.at(0).rdata, b"\x01x");
        assert_eq!(Entry::read(rest).unwrap().0.remembered.outbound.serial, Serial(6));
    }

    #[test]
    fn no_harm_to_an_entry_goes_unseen() {
        let octets = entry(5).to_octets();
        for cut in 0..octets.len() {
            assert!(Entry::read(&octets[..cut]).is_none(), "{cut}");
        }
        for at in 0..octets.len() {
            let mut harmed = octets.clone();
            harmed[at] ^= 1;
            assert!(Entry::read(&harmed).is_none(), "{at}");
        }
    }
}
