//! One message that a primary sent: the header against what was asked, and the answer section record by record.

use super::misbehaviour::Misbehaviour;
use crate::wire::{Class, HEADER, Name, NameRef, Opcode, Rcode, Type, expand_name};
use crate::zone::{Place, Record, rdata};

/// What was asked, which each message of the answer must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The ID of the query.
    pub id: u16,
    /// QNAME: the apex.
    pub apex: Name,
    /// SOA, IXFR or AXFR.
    pub qtype: Type,
}

/// A message whose header and question fit.
#[derive(Clone, Copy, Debug)]
pub struct Response<'m> {
    message: &'m [u8],
    answer: usize,
    count: u16,
    /// The answer is authoritative.
    pub authoritative: bool,
    /// Not all of it is here: ask by TCP.
    pub truncated: bool,
}

impl<'m> Response<'m> {
    /// Holds the start of a message against the question. In messages after the first the question may be missing
    /// (RFC 5936 section 2.2.1).
    ///
    /// # Errors
    /// When it is no answer to the question, or one that refuses.
    pub fn read(message: &'m [u8], question: &Question) -> Result<Self, Misbehaviour> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(Misbehaviour::Malformed)?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if number(0) != question.id || header[2] & QR == 0 || header[2] >> 3 & 15 != Opcode::QUERY.0 {
            return Err(Misbehaviour::NotTheAnswer);
        }
        let (flags, questions, count) = (number(2), number(4), number(6));
        let rcode = Rcode(flags & 15);
        let mut at = HEADER;
        if questions > 1 {
            return Err(Misbehaviour::NotTheAnswer);
        }
        if questions == 1 {
            let mut name = Vec::new();
            at = expand_name(message, at, &mut name).map_err(|_| Misbehaviour::Malformed)?;
            let asked = message.get(at..at + 4).ok_or(Misbehaviour::Malformed)?;
            let expected = [question.qtype.0.to_be_bytes(), Class::IN.0.to_be_bytes()].concat();
            // Who answers FORMERR may have read another question than was asked, or none.
            let fits = NameRef::from_valid(&name) == question.apex.borrow() && asked == expected;
            if !fits && rcode == Rcode::NOERROR {
                return Err(Misbehaviour::NotTheAnswer);
            }
            at += 4;
        }
        if rcode != Rcode::NOERROR {
            return Err(Misbehaviour::Refused(rcode));
        }
        let (authoritative, truncated) = (header[2] & AA != 0, header[2] & TC != 0);
        Ok(Self { message, answer: at, count, authoritative, truncated })
    }

    /// Gives each record of the answer section to `take`, uncompressed.
    ///
    /// # Errors
    /// With the first fault of a record, or of `take`.
    pub fn records(&self, mut take: impl FnMut(Record<'_>) -> Result<(), Misbehaviour>) -> Result<(), Misbehaviour> {
        let (mut at, mut owner, mut octets) = (self.answer, Vec::new(), Vec::new());
        for _ in 0..self.count {
            owner.clear();
            octets.clear();
            at = expand_name(self.message, at, &mut owner).map_err(|_| Misbehaviour::Malformed)?;
            let header = self.message.get(at..).and_then(<[u8]>::first_chunk::<10>).ok_or(Misbehaviour::Malformed)?;
            let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
            let rtype = Type(number(0));
            let range = at + 10..at + 10 + usize::from(number(8));
            at = range.end;
            rdata::expand(rtype, self.message, range, &mut octets).map_err(|_| Misbehaviour::Rdata(rtype))?;
            take(Record {
                owner: NameRef::from_valid(&owner),
                rtype,
                class: Class(number(2)),
                ttl: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                rdata: u16::try_from(octets.len()).map(|_| &octets[..]).map_err(|_| Misbehaviour::Rdata(rtype))?,
                place: Place::default(),
            })?;
        }
        Ok(())
    }
}

const QR: u8 = 0x80;
const AA: u8 = 0x04;
const TC: u8 = 0x02;
