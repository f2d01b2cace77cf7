//! What a transfer consists of, as walks that can rest between two messages.

use std::sync::Arc;

use super::Wanted;
use super::pack::Packer;
use crate::wire::{NameRef, Type};
use crate::zone::{Difference, Image, RECORD_HEADER, Record, Serial, WalkPlace};

/// What is sent.
#[derive(Debug)]
pub enum Content {
    /// The SOA record alone: the client has this serial, or is to ask by TCP.
    Soa(Soa),
    /// What has changed, in the form of RFC 1995 section 4.
    Difference(DifferenceWalk),
    /// The zone between two SOA records (RFC 5936 section 2.2).
    Whole(Box<WholeWalk>),
}

/// The SOA record.
#[derive(Clone, Debug)]
pub struct Soa {
    apex: crate::wire::Name,
    ttl: u32,
    rdata: Vec<u8>,
}

/// A walk through a difference: new SOA, old SOA, deleted, new SOA, added, new SOA.
#[derive(Debug)]
pub struct DifferenceWalk {
    soa: Soa,
    difference: Arc<Difference>,
    next: usize,
}

/// A walk through a zone.
#[derive(Debug)]
pub struct WholeWalk {
    soa: Soa,
    image: Image,
    stage: Stage,
    place: WalkPlace,
    /// Octets of the RRset at `place` that have been sent.
    offset: usize,
    owner: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Body,
    Closing,
    Done,
}

/// What answers a client that wants this of `image`. `since` has the changes between two serials.
pub fn decide(
    wanted: Wanted,
    image: &Image,
    since: impl FnOnce(Serial, Serial) -> Option<Vec<Arc<Difference>>>,
) -> Content {
    let Wanted::Since(theirs) = wanted else { return Content::whole(image.clone()) };
    if theirs == image.serial() || theirs.is_after(image.serial()) {
        return Content::soa(image);
    }
    let difference = match since(theirs, image.serial()).as_deref() {
        None | Some([]) => return Content::whole(image.clone()),
        Some([one]) => Arc::clone(one),
        Some(several) => Arc::new(Difference::condensed(several.iter().map(Arc::as_ref))),
    };
    // When most has changed, the whole is less to send and to take in.
    match difference.octets() < image.octets() {
        true => Content::difference(image, difference),
        false => Content::whole(image.clone()),
    }
}

impl Content {
    /// The SOA record alone.
    pub fn soa(image: &Image) -> Self {
        Self::Soa(Soa::of(image))
    }

    /// All of the zone.
    pub fn whole(image: Image) -> Self {
        let (soa, place) = (Soa::of(&image), WalkPlace::default());
        Self::Whole(Box::new(WholeWalk { soa, image, stage: Stage::Opening, place, offset: 0, owner: Vec::new() }))
    }

    /// A difference that leads to `image`.
    pub fn difference(image: &Image, difference: Arc<Difference>) -> Self {
        Self::Difference(DifferenceWalk { soa: Soa::of(image), difference, next: 0 })
    }

    /// Fills a message; says whether that was all.
    pub(super) fn fill(&mut self, packer: &mut Packer<'_, '_>) -> bool {
        match self {
            Self::Soa(soa) => soa.put(packer).is_some(),
            Self::Difference(walk) => walk.fill(packer),
            Self::Whole(walk) => walk.fill(packer).is_some(),
        }
    }
}

impl Soa {
    fn of(image: &Image) -> Self {
        let (ttl, rdata) = image.soa();
        Self { apex: image.zone().apex().to_name(), ttl, rdata }
    }

    fn put(&self, packer: &mut Packer<'_, '_>) -> Option<()> {
        packer.put(self.apex.borrow(), false, (Type::SOA, self.ttl), &self.rdata)
    }
}

impl DifferenceWalk {
    /// Octets of all records, names not compressed.
    pub(super) fn octets(&self) -> usize {
        self.difference.octets() + 2 * (self.soa.apex.borrow().len() + 10 + self.soa.rdata.len())
    }

    fn fill(&mut self, packer: &mut Packer<'_, '_>) -> bool {
        let Difference { deleted, added } = &*self.difference;
        let (deleted, last) = (deleted.len(), deleted.len() + added.len() + 1);
        while self.next <= last {
            let put = if self.next == 0 || self.next == last {
                self.soa.put(packer)
            } else {
                let record = match self.next - 1 {
                    index if index < deleted => self.difference.deleted.at(index),
                    index => self.difference.added.at(index - deleted),
                };
                let Record { owner, rtype, ttl, rdata, .. } = record;
                packer.put(owner, false, (rtype, ttl), rdata)
            };
            if put.is_none() {
                return false;
            }
            self.next += 1;
        }
        true
    }
}

impl WholeWalk {
    /// `None` when the message is full and there is more.
    fn fill(&mut self, packer: &mut Packer<'_, '_>) -> Option<()> {
        if self.stage == Stage::Opening {
            self.soa.put(packer)?;
            self.stage = Stage::Body;
        }
        if self.stage == Stage::Body {
            self.fill_body(packer)?;
            self.stage = Stage::Closing;
        }
        if self.stage == Stage::Closing {
            self.soa.put(packer)?;
            self.stage = Stage::Done;
        }
        Some(())
    }

    fn fill_body(&mut self, packer: &mut Packer<'_, '_>) -> Option<()> {
        let apex = self.image.zone().apex();
        // The owner of the record before in this message.
        let mut before = Vec::new();
        loop {
            let mut behind = self.place;
            let Some(shown) = self.image.step(&mut behind) else { return Some(()) };
            shown.write_owner(apex, &mut self.owner);
            let mut rest = &shown.rrset.records[self.offset..];
            while let Some((header, tail)) = rest.split_first_chunk::<RECORD_HEADER>() {
                let (rdata, after) = tail.split_at(usize::from(u16::from_be_bytes([header[10], header[11]])));
                let ttl = u32::from_be_bytes([header[6], header[7], header[8], header[9]]);
                let owner = NameRef::from_valid(&self.owner);
                packer.put(owner, before == self.owner, (shown.rrset.rtype, ttl), rdata)?;
                before.clone_from(&self.owner);
                self.offset += RECORD_HEADER + rdata.len();
                rest = after;
            }
            (self.place, self.offset) = (behind, 0);
        }
    }
}
