//! A DNS message, read for print and for JSON.

use serde::Serialize;

use crate::wire::{Class, MAX_NAME, NameRef, Rcode, Type};
use crate::zone::record_types::{Kind, NameUse, fields};
use crate::zone::text::print_rdata;

/// A reply; the form of `kofn query --json`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Message {
    pub(super) rcode: String,
    /// Lower-case names of the bits that are set.
    pub(super) flags: Vec<&'static str>,
    /// Octets, as they would be sent.
    pub(super) octets: usize,
    pub(super) answer: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
    pub(super) edns: Option<Edns>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) ttl: u32,
    pub(super) class: String,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) data: String,
}

/// What the OPT record says (RFC 6891).
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Edns {
    pub(super) payload: u16,
    pub(super) dnssec_ok: bool,
    /// Extended errors: code and text (RFC 8914).
    pub(super) errors: Vec<(u16, String)>,
}

const FLAGS: [(u16, &str); 7] =
    [(0x8000, "qr"), (0x0400, "aa"), (0x0200, "tc"), (0x0100, "rd"), (0x0080, "ra"), (0x0020, "ad"), (0x0010, "cd")];
const DNSSEC_OK: u32 = 0x8000;
const EXTENDED_ERROR: u16 = 15;

impl Message {
    /// Reads a message; `None` when it is none, which the engine never writes.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut cursor = Cursor { octets, at: 2 };
        let flags = cursor.u16()?;
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        for _ in 0..counts[0] {
            cursor.name()?;
            cursor.take(4)?;
        }
        let mut message = Self {
            rcode: String::new(),
            flags: FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect(),
            octets: octets.len(),
            answer: cursor.records(counts[1])?.0,
            authority: cursor.records(counts[2])?.0,
            additional: Vec::new(),
            edns: None,
        };
        let (additional, opt) = cursor.records(counts[3])?;
        message.additional = additional;
        let upper = opt.as_ref().map_or(0, |(upper, _)| *upper);
        message.rcode = Rcode(flags & 0x0f | upper << 4).to_string();
        message.edns = opt.map(|(_, edns)| edns);
        Some(message)
    }
}

struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
}

/// The upper bits of the rcode, and the rest of OPT.
type Opt = (u16, Edns);

impl<'a> Cursor<'a> {
    fn records(&mut self, count: u16) -> Option<(Vec<Record>, Option<Opt>)> {
        let (mut records, mut opt) = (Vec::new(), None);
        for _ in 0..count {
            let owner = self.name()?;
            let (rtype, class) = (Type(self.u16()?), self.u16()?);
            let ttl = u32::from(self.u16()?) << 16 | u32::from(self.u16()?);
            let length = usize::from(self.u16()?);
            let end = self.at + length;
            if rtype == Type::OPT {
                opt = Some(read_opt(class, ttl, self.take(length)?)?);
                continue;
            }
            let rdata = self.rdata(rtype, end)?;
            records.push(Record {
                name: NameRef::parse(&owner).ok()?.to_string(),
                ttl,
                class: Class(class).to_string(),
                rtype: rtype.to_string(),
                data: print_rdata(rtype, &rdata).to_string(),
            });
        }
        Some((records, opt))
    }

    /// RDATA with its names written out. Only the types of RFC 1035 have compressed names, and before those names only
    /// numbers.
    fn rdata(&mut self, rtype: Type, end: usize) -> Option<Vec<u8>> {
        let mut rdata = Vec::new();
        let compressed = |kind| matches!(kind, Kind::Name(NameUse::Compress));
        if fields(rtype).iter().any(|field| compressed(field.kind)) {
            for field in fields(rtype) {
                match field.kind {
                    kind if compressed(kind) => rdata.extend(self.name()?),
                    Kind::U16 => rdata.extend(self.take(2)?),
                    _ => break,
                }
            }
        }
        rdata.extend(self.take(end.checked_sub(self.at)?)?);
        Some(rdata)
    }

    /// The name here, decompressed (RFC 1035 section 4.1.4).
    fn name(&mut self) -> Option<Vec<u8>> {
        let (mut name, mut at, mut jumped) = (Vec::new(), self.at, false);
        loop {
            let length = *self.octets.get(at)?;
            let next = at + 1 + usize::from(length & 0x3f);
            match length >> 6 {
                0 => name.extend(self.octets.get(at..next)?),
                3 => {
                    let target = usize::from(length & 0x3f) << 8 | usize::from(*self.octets.get(at + 1)?);
                    if !jumped {
                        self.at = at + 2;
                    }
                    // A pointer that does not point back could go round for ever.
                    at = Some(target).filter(|target| *target < at)?;
                    jumped = true;
                    continue;
                }
                _ => return None,
            }
            if name.len() > MAX_NAME {
                return None;
            }
            at = next;
            if length == 0 {
                if !jumped {
                    self.at = at;
                }
                return Some(name);
            }
        }
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.octets.get(self.at..self.at + length)?;
        self.at += length;
        Some(taken)
    }
}

fn read_opt(payload: u16, ttl: u32, options: &[u8]) -> Option<Opt> {
    let mut cursor = Cursor { octets: options, at: 0 };
    let mut errors = Vec::new();
    while cursor.at < options.len() {
        let (code, length) = (cursor.u16()?, cursor.u16()?);
        let value = cursor.take(usize::from(length))?;
        if let (EXTENDED_ERROR, Some((info, text))) = (code, value.split_first_chunk::<2>()) {
            errors.push((u16::from_be_bytes(*info), String::from_utf8_lossy(text).into_owned()));
        }
    }
    Some(((ttl >> 24) as u16, Edns { payload, dnssec_ok: ttl & DNSSEC_OK != 0, errors }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for `a.test. MX`, with an answer whose names are pointers, and an OPT with an extended error.
    const REPLY: &[u8] = b"\0\x07\x84\x02\0\x01\0\x01\0\0\0\x01\x01a\x04test\0\0\x0f\0\x01\
        \xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x07\0\x0a\x02mx\xc0\x0e\
        \0\0\x29\x04\xd0\x01\0\x80\0\0\x06\0\x0f\0\x02\0\x0e";

    #[test]
    fn names_are_written_out_and_opt_is_told() {
        let message = Message::read(REPLY).expect("a message");
        assert_eq!(message.flags, ["qr", "aa"]);
        assert_eq!(message.rcode, "RCODE18", "the upper bits are in OPT");
        let record = &message.answer[0];
        assert_eq!((record.name.as_str(), record.ttl, record.data.as_str()), ("a.test.", 60, "10 mx.test."));
        let edns = message.edns.expect("an OPT record");
        assert_eq!((edns.payload, edns.dnssec_ok, edns.errors), (1232, true, vec![(14, String::new())]));
    }

    #[test]
    fn what_is_cut_short_or_loops_is_no_message() {
        for end in 0..REPLY.len() {
            assert_eq!(Message::read(&REPLY[..end]), None, "{end} octets");
        }
        let mut looped = REPLY.to_vec();
        looped[24..26].copy_from_slice(b"\xc0\x18");
        assert_eq!(Message::read(&looped), None);
    }
}
