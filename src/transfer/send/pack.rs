//! Records into a message until it is full, names compressed.

use super::Request;
use crate::wire::{Class, NameRef, Names, Sink, Type};
use crate::zone::rdata;
use crate::zone::record_types::NameUse;

/// One message being filled.
pub(super) struct Packer<'b, 'n> {
    sink: Sink<'b>,
    names: &'n mut Names,
    records: u16,
    /// Where the owner of the last record stands, whole or as a pointer.
    last_owner: Option<usize>,
}

impl<'b, 'n> Packer<'b, 'n> {
    /// The question stands in the first message alone (RFC 5936 section 2.2.1).
    pub(super) fn begin(request: &Request, is_first: bool, names: &'n mut Names, buffer: &'b mut [u8]) -> Self {
        let mut sink = Sink::new(buffer);
        sink.put(&request.header(u8::from(is_first)));
        if is_first {
            // A client may ask in any case; what points at its question would take that over into the zone.
            if request.question().starts_with(request.zone.borrow().as_bytes()) {
                names.note(request.zone.borrow(), sink.len());
            }
            sink.put(request.question());
        }
        Self { sink, names, records: 0, last_owner: None }
    }

    /// How many records the message has.
    pub(super) fn records(&self) -> u16 {
        self.records
    }

    /// Appends a record, all of it or nothing. `same_owner` says that the record before has the same owner.
    pub(super) fn put(
        &mut self,
        owner: NameRef<'_>,
        same_owner: bool,
        (rtype, ttl): (Type, u32),
        rdata: &[u8],
    ) -> Option<()> {
        let (start, last_owner) = (self.sink.len(), self.last_owner);
        let written = self.put_owner(owner, same_owner).and_then(|()| self.put_rest(rtype, ttl, rdata));
        if written.is_none() {
            self.sink.truncate(start);
            self.names.truncate(start);
            self.last_owner = last_owner;
            return None;
        }
        self.records += 1;
        Some(())
    }

    /// Sets the count, and returns the length.
    pub(super) fn finish(mut self) -> usize {
        self.sink.set_u16(6, self.records);
        self.sink.len()
    }

    fn put_owner(&mut self, owner: NameRef<'_>, same_owner: bool) -> Option<()> {
        let pointed = self.last_owner.filter(|at| same_owner && *at <= FURTHEST);
        if let Some(at) = pointed {
            self.room(2)?;
            self.sink.put_u16(0xc000 | at as u16);
            return Some(());
        }
        self.last_owner = Some(self.sink.len());
        self.names.put(owner, &mut self.sink)
    }

    fn put_rest(&mut self, rtype: Type, ttl: u32, rdata: &[u8]) -> Option<()> {
        self.room(10)?;
        self.sink.put_u16(rtype.0);
        self.sink.put_u16(Class::IN.0);
        self.sink.put(&ttl.to_be_bytes());
        self.sink.put_u16(0);
        let start = self.sink.len();
        let mut written = 0;
        for (range, name_use) in rdata::names(rtype, rdata) {
            if name_use != NameUse::Compress {
                break;
            }
            self.put_octets(&rdata[written..range.start])?;
            self.names.put(NameRef::from_valid(&rdata[range.clone()]), &mut self.sink)?;
            written = range.end;
        }
        self.put_octets(&rdata[written..])?;
        let octets = self.sink.len() - start;
        self.sink.set_u16(start - 2, octets as u16);
        Some(())
    }

    fn put_octets(&mut self, octets: &[u8]) -> Option<()> {
        self.room(octets.len())?;
        self.sink.put(octets);
        Some(())
    }

    fn room(&self, octets: usize) -> Option<()> {
        (self.sink.room() >= octets).then_some(())
    }
}

/// The furthest offset that a pointer reaches (RFC 1035 section 4.1.4).
const FURTHEST: usize = 0x3fff;
