//! The reply under construction: sections in order, names compressed, nothing half written.

use crate::wire::{ExtendedError, HEADER, LowerName, NameRef, Names, Query, Question, Rcode, ReplyEdns, Sink, Type};
use crate::zone::{OWNER_IS_QNAME, RECORD_HEADER, Rrset, Serial};

/// The sections that records go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// Whose records are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'n> {
    /// The name of the question: the records can be copied as the zone keeps them.
    Question,
    /// The ancestor of the question's name that has so many labels, such as the apex of the zone.
    Ancestor(usize),
    /// Any other name.
    Other(NameRef<'n>),
}

/// The reply does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A reply being written.
pub(super) struct Reply<'b, 's> {
    sink: Sink<'b>,
    names: &'s mut Names,
    /// Octets that OPT will take at the end.
    reserved: usize,
    after_question: usize,
    counts: [u16; 3],
    noted: bool,
    question: &'s LowerName,
    pub(super) authoritative: bool,
    pub(super) rcode: Rcode,
    pub(super) extended_error: Option<ExtendedError>,
}

const AA: u8 = 0x04;
const TC: u8 = 0x02;
const RD: u8 = 0x01;

impl<'b, 's> Reply<'b, 's> {
    /// Begins the reply to `query` in `buffer`, with its question if it could be read.
    pub(super) fn begin(
        query: &Query<'_>,
        question: Option<&Question>,
        lower: &'s LowerName,
        names: &'s mut Names,
        buffer: &'b mut [u8],
    ) -> Self {
        let mut sink = Sink::new(buffer);
        let message = query.message();
        // Opcode and RD come back; QR is set; AD and CD are never (RFC 4035 section 3.1.6: CD is for resolvers).
        let (flags, questions) = (0x80 | message[2] & (0x78 | RD), u8::from(question.is_some()));
        sink.put(&[message[0], message[1], flags, 0, 0, questions, 0, 0, 0, 0, 0, 0]);
        if let Some(question) = question {
            sink.put(&message[HEADER..question.end()]);
        }
        names.clear();
        Self {
            after_question: sink.len(),
            sink,
            names,
            reserved: 0,
            counts: [0; 3],
            noted: false,
            question: lower,
            authoritative: false,
            rcode: Rcode::NOERROR,
            extended_error: None,
        }
    }

    /// The name of the question.
    pub(super) fn question(&self) -> &'s LowerName {
        self.question
    }

    /// Octets of the reply as it stands, with OPT.
    pub(super) fn octets(&self) -> usize {
        self.sink.len() + self.reserved
    }

    /// Keeps `octets` free for OPT.
    pub(super) fn reserve(&mut self, octets: usize) {
        self.reserved = octets;
    }

    /// How many records the section has.
    pub(super) fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Appends an RRset, all of it or nothing.
    pub(super) fn put_rrset(&mut self, section: Section, owner: Owner<'_>, rrset: &Rrset<'_>) -> Result<(), Full> {
        let start = self.sink.len();
        let written = if names_in(rrset.rtype).is_some() {
            self.put_with_names(owner, rrset)
        } else {
            self.put_plain(owner, rrset.records)
        };
        self.settle(start, written, section, rrset.count)
    }

    /// Appends ready-made records whose RDATA holds no names, such as a hand.
    pub(super) fn put_records(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        count: u16,
        records: &[u8],
    ) -> Result<(), Full> {
        let start = self.sink.len();
        let written = self.put_plain(owner, records);
        self.settle(start, written, section, count)
    }

    /// Appends the CNAME record that a DNAME stands for (RFC 6672 section 3.1).
    pub(super) fn put_cname(&mut self, owner: Owner<'_>, ttl: u32, target: NameRef<'_>) -> Result<(), Full> {
        let start = self.sink.len();
        let [t1, t2, t3, t4] = ttl.to_be_bytes();
        let header = [0xc0, 12, 0, Type::CNAME.0 as u8, 0, 1, t1, t2, t3, t4, 0, 0];
        let written = self.put_owner(owner).and_then(|owner| {
            self.put_header(owner, &header)?;
            self.put_rdata_names(&[], target.as_bytes(), 1)
        });
        self.settle(start, written, Section::Answer, 1)
    }

    /// Sets SERIAL of the SOA record that was written last: it is the first of the five numbers that end it.
    pub(super) fn set_soa_serial(&mut self, serial: Serial) {
        let at = self.sink.len() - 20;
        self.sink.written()[at..at + 4].copy_from_slice(&serial.0.to_be_bytes());
    }

    /// Empties all sections and sets TC: what does not fit is asked for again by TCP (RFC 2181 section 9).
    pub(super) fn truncate(&mut self) {
        self.cut(self.after_question);
        self.counts = [0; 3];
        self.sink.written()[2] |= TC;
    }

    /// Sets counts, flags and rcode, appends OPT, and returns the length.
    pub(super) fn finish(mut self, edns: Option<&ReplyEdns<'_>>) -> usize {
        let mut additional = self.counts[2];
        if let Some(edns) = edns {
            edns.write(self.rcode, &mut self.sink);
            additional += 1;
        }
        let header = self.sink.written().first_chunk_mut::<HEADER>().expect("a reply begins with a header");
        if self.authoritative {
            header[2] |= AA;
        }
        header[3] |= (self.rcode.0 & 15) as u8;
        for (at, count) in [(6, self.counts[0]), (8, self.counts[1]), (10, additional)] {
            header[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        self.sink.len()
    }

    /// Whether TC is set.
    pub(super) fn is_truncated(&mut self) -> bool {
        self.sink.written()[2] & TC != 0
    }

    fn settle(&mut self, start: usize, written: Option<()>, section: Section, count: u16) -> Result<(), Full> {
        let total = self.counts[section as usize].checked_add(count);
        match (written, total) {
            (Some(()), Some(total)) if self.sink.room() >= self.reserved => {
                self.counts[section as usize] = total;
                Ok(())
            }
            _ => {
                self.cut(start);
                Err(Full)
            }
        }
    }

    fn cut(&mut self, len: usize) {
        self.sink.truncate(len);
        self.names.truncate(len);
    }

    #[inline]
    fn put_plain(&mut self, owner: Owner<'_>, records: &[u8]) -> Option<()> {
        if let Owner::Question = owner {
            if self.sink.room() < records.len() {
                return None;
            }
            self.sink.put(records);
            return Some(());
        }
        let mut owner = self.put_owner(owner)?;
        let mut rest = records;
        while let Some((header, tail)) = rest.split_first_chunk::<RECORD_HEADER>() {
            let (rdata, after) = tail.split_at(usize::from(u16::from_be_bytes([header[10], header[11]])));
            owner = self.put_header(owner, header)?;
            if self.sink.room() < rdata.len() {
                return None;
            }
            self.sink.put(rdata);
            rest = after;
        }
        Some(())
    }

    fn put_with_names(&mut self, owner: Owner<'_>, rrset: &Rrset<'_>) -> Option<()> {
        let (before, names) = names_in(rrset.rtype)?;
        let mut owner = self.put_owner(owner)?;
        let mut rest = rrset.records;
        while let Some((header, tail)) = rest.split_first_chunk::<RECORD_HEADER>() {
            let (rdata, after) = tail.split_at(usize::from(u16::from_be_bytes([header[10], header[11]])));
            owner = self.put_header(owner, header)?;
            self.put_rdata_names(rdata.get(..before)?, rdata.get(before..)?, names)?;
            rest = after;
        }
        Some(())
    }

    /// Writes an owner for the first record, or makes sure that a pointer to it can be.
    fn put_owner(&mut self, owner: Owner<'_>) -> Option<Written> {
        match owner {
            Owner::Question => Some(Written { pending: true, pointer: OWNER_IS_QNAME }),
            Owner::Ancestor(labels) => {
                let at = HEADER + self.question.suffix_start(labels);
                Some(Written { pending: true, pointer: (0xc000 | at as u16).to_be_bytes() })
            }
            Owner::Other(name) => {
                self.note_question();
                let at = self.sink.len();
                self.names.put(name, &mut self.sink)?;
                let written = &self.sink.written()[at..];
                // The root and a bare pointer are no longer than a pointer to them.
                let pointer = match *written {
                    [high, low] if high >= 0xc0 => [high, low],
                    _ if at <= 0x3fff => (0xc000 | at as u16).to_be_bytes(),
                    _ => return None,
                };
                Some(Written { pending: false, pointer })
            }
        }
    }

    /// Writes what follows the owner in a record, and the owner too from the second record on.
    fn put_header(&mut self, owner: Written, header: &[u8; RECORD_HEADER]) -> Option<Written> {
        if self.sink.room() < RECORD_HEADER {
            return None;
        }
        if owner.pending {
            self.sink.put(&owner.pointer);
        }
        self.sink.put(&header[2..]);
        Some(Written { pending: true, ..owner })
    }

    /// Writes RDATA as `head`, then `names` compressed names, then the rest, and sets RDLENGTH before it.
    fn put_rdata_names(&mut self, head: &[u8], rdata: &[u8], names: usize) -> Option<()> {
        let start = self.sink.len();
        if self.sink.room() < head.len() {
            return None;
        }
        self.sink.put(head);
        self.note_question();
        let mut rest = rdata;
        for _ in 0..names {
            let name = NameRef::parse(rest).ok()?;
            self.names.put(name, &mut self.sink)?;
            rest = &rest[name.len()..];
        }
        if self.sink.room() < rest.len() {
            return None;
        }
        self.sink.put(rest);
        let length = (self.sink.len() - start) as u16;
        self.sink.set_u16(start - 2, length);
        Some(())
    }

    fn note_question(&mut self) {
        if !self.noted {
            self.names.note(self.question.name(), HEADER);
            self.noted = true;
        }
    }
}

/// An owner that can be pointed at.
#[derive(Clone, Copy)]
struct Written {
    /// Whether the next record still needs its owner.
    pending: bool,
    pointer: [u8; 2],
}

/// Octets before the first name in RDATA and how many names follow, for the types whose names may be compressed: those of
/// RFC 1035 (RFC 3597 section 4).
fn names_in(rtype: Type) -> Option<(usize, usize)> {
    match rtype {
        Type::NS | Type::CNAME | Type::PTR => Some((0, 1)),
        Type::MX => Some((2, 1)),
        Type::SOA => Some((0, 2)),
        _ => None,
    }
}
