//! Query octets to the question and what it asks of the reply.

use super::edns::Edns;
use super::{Class, LowerName, Opcode, Type};

/// Octets of the header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;

/// A message whose header says that it is a query. Only what stands in it has been looked at.
#[derive(Clone, Copy, Debug)]
pub struct Query<'m> {
    message: &'m [u8],
}

/// One question, after [`Query::question`] has read its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Octets of QNAME.
    pub name_len: usize,
    /// QTYPE.
    pub qtype: Type,
    /// QCLASS.
    pub qclass: Class,
}

impl Question {
    /// Where the octets after the question begin.
    pub fn end(&self) -> usize {
        HEADER + self.name_len + 4
    }
}

/// What stands behind the question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras<'m> {
    /// The OPT record.
    pub edns: Option<Edns<'m>>,
    /// Where a TSIG record starts, if the message ends in one.
    pub tsig: Option<usize>,
}

/// A message that gets no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswerable {
    /// Shorter than a header.
    Short,
    /// QR is set: it is a response, and answering those makes loops.
    Response,
}

/// A message that breaks the format: FORMERR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'m> Query<'m> {
    /// Looks at the header.
    ///
    /// # Errors
    /// When nothing may be sent back.
    #[inline]
    pub fn new(message: &'m [u8]) -> Result<Self, Unanswerable> {
        if message.len() < HEADER {
            return Err(Unanswerable::Short);
        }
        if message[2] & 0x80 != 0 {
            return Err(Unanswerable::Response);
        }
        Ok(Self { message })
    }

    /// The octets of the message.
    pub fn message(&self) -> &'m [u8] {
        self.message
    }

    /// The opcode.
    #[inline]
    pub fn opcode(&self) -> Opcode {
        Opcode(self.message[2] >> 3 & 15)
    }

    /// QDCOUNT.
    #[inline]
    pub fn question_count(&self) -> u16 {
        self.count(4)
    }

    /// Reads the one question; its name goes to `name` in lower case.
    ///
    /// # Errors
    /// When QDCOUNT is not 1 (RFC 9619), or the name is not a plain legal name, or the message ends before QCLASS.
    #[inline]
    pub fn question(&self, name: &mut LowerName) -> Result<Question, Malformed> {
        if self.question_count() != 1 {
            return Err(Malformed);
        }
        let name_len = name.read(&self.message[HEADER..]).map_err(|_| Malformed)?;
        let &[t1, t2, c1, c2, ..] = &self.message[HEADER + name_len..] else { return Err(Malformed) };
        Ok(Question {
            name_len,
            qtype: Type(u16::from_be_bytes([t1, t2])),
            qclass: Class(u16::from_be_bytes([c1, c2])),
        })
    }

    /// Reads what follows the question. Records of the answer and authority section are passed over.
    ///
    /// # Errors
    /// When a record is broken, OPT stands twice or not at the root, TSIG is not last, or octets are left over.
    #[inline]
    pub fn extras(&self, question: &Question) -> Result<Extras<'m>, Malformed> {
        let before = usize::from(self.count(6)) + usize::from(self.count(8));
        let additional = usize::from(self.count(10));
        if before + additional == 0 && question.end() == self.message.len() {
            return Ok(Extras::default());
        }
        self.records(question.end(), before, additional)
    }

    /// Reads `before` records from `at` on, and then the additional ones.
    #[inline(never)]
    fn records(&self, mut at: usize, before: usize, additional: usize) -> Result<Extras<'m>, Malformed> {
        let mut extras = Extras::default();
        for index in 0..before + additional {
            if extras.tsig.is_some() {
                return Err(Malformed);
            }
            let record = self.record(at)?;
            match record.rtype {
                Type::OPT => {
                    // It belongs to the additional section, once, at the root (RFC 6891 section 6.1.1).
                    if index < before || extras.edns.is_some() || self.message[at] != 0 {
                        return Err(Malformed);
                    }
                    extras.edns = Some(Edns::parse(record.class, record.ttl, record.rdata).map_err(|_| Malformed)?);
                }
                Type::TSIG if index >= before => extras.tsig = Some(at),
                _ => {}
            }
            at = record.end;
        }
        if at == self.message.len() { Ok(extras) } else { Err(Malformed) }
    }

    /// SERIAL of the first SOA record behind the question: what a client of IXFR has (RFC 1995 section 3), or what a NOTIFY
    /// tells of (RFC 1996 section 3.7).
    pub fn soa_serial(&self, question: &Question) -> Option<u32> {
        let records = usize::from(self.count(6)) + usize::from(self.count(8));
        let mut at = question.end();
        for _ in 0..records {
            let record = self.record(at).ok()?;
            if record.rtype == Type::SOA {
                // Names before the five numbers may be compressed; the numbers are last.
                let numbers = record.rdata.last_chunk::<20>()?;
                return Some(u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]));
            }
            at = record.end;
        }
        None
    }

    fn count(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.message[at], self.message[at + 1]])
    }

    fn record(&self, start: usize) -> Result<RawRecord<'m>, Malformed> {
        let at = self.skip_name(start)?;
        let fixed = self.message.get(at..at + 10).ok_or(Malformed)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let rdata = self.message.get(at + 10..at + 10 + length).ok_or(Malformed)?;
        Ok(RawRecord {
            rtype: Type(u16::from_be_bytes([fixed[0], fixed[1]])),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            rdata,
            end: at + 10 + length,
        })
    }

    /// Passes over an owner name; a pointer ends it, and where that leads is nobody's concern here.
    fn skip_name(&self, start: usize) -> Result<usize, Malformed> {
        let mut at = start;
        loop {
            match *self.message.get(at).ok_or(Malformed)? {
                0 => return Ok(at + 1),
                length @ 1..=63 => at += 1 + usize::from(length),
                0xc0.. => return Ok(at + 2),
                _ => return Err(Malformed),
            }
        }
    }
}

struct RawRecord<'m> {
    rtype: Type,
    class: u16,
    ttl: u32,
    rdata: &'m [u8],
    end: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(counts: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut octets = vec![0x12, 0x34, 0x01, 0];
        octets.extend(counts.iter().flat_map(|&count| [0, count]));
        octets.extend_from_slice(body);
        octets
    }

    const QUESTION: &[u8] = b"\x03WwW\x01a\0\0\x01\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";

    fn extras(counts: [u8; 4], parts: &[&[u8]]) -> Result<bool, Malformed> {
        let octets = message(counts, &parts.concat());
        let query = Query::new(&octets).unwrap();
        let question = query.question(&mut LowerName::default())?;
        query.extras(&question).map(|extras| extras.edns.is_some_and(|edns| edns.dnssec_ok))
    }

    #[test]
    fn a_question_is_read() {
        let octets = message([1, 0, 0, 0], QUESTION);
        let query = Query::new(&octets).unwrap();
        let mut name = LowerName::default();
        let question = query.question(&mut name).unwrap();
        assert_eq!(name.name().to_string(), "www.a.");
        assert_eq!((question.qtype, question.qclass), (Type::A, Class::IN));
        assert_eq!(query.extras(&question), Ok(Extras::default()));
    }

    #[test]
    fn the_serial_of_a_client_is_read() {
        let soa = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x18\xc0\x0c\xc0\x0c\0\x01\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        for counts in [[1, 1, 0, 0], [1, 0, 1, 0]] {
            let octets = message(counts, &[QUESTION, soa].concat());
            let query = Query::new(&octets).unwrap();
            let question = query.question(&mut LowerName::default()).unwrap();
            assert_eq!(query.soa_serial(&question), Some(0x0001_0002));
        }
        let octets = message([1, 0, 1, 0], QUESTION);
        let query = Query::new(&octets).unwrap();
        assert_eq!(query.soa_serial(&query.question(&mut LowerName::default()).unwrap()), None);
    }

    #[test]
    fn responses_and_fragments_get_no_reply() {
        let mut octets = message([1, 0, 0, 0], QUESTION);
        octets[2] |= 0x80;
        assert_eq!(Query::new(&octets).unwrap_err(), Unanswerable::Response);
        assert_eq!(Query::new(&octets[..11]).unwrap_err(), Unanswerable::Short);
    }

    #[test]
    fn what_breaks_the_format_is_malformed() {
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x7f\0\0\x01";
        assert_eq!(extras([1, 0, 0, 1], &[QUESTION, OPT]), Ok(true));
        assert_eq!(extras([1, 1, 0, 1], &[QUESTION, record, OPT]), Ok(true));
        assert_eq!(extras([1, 0, 0, 2], &[QUESTION, OPT, OPT]), Err(Malformed));
        assert_eq!(extras([1, 0, 1, 0], &[QUESTION, OPT]), Err(Malformed));
        assert_eq!(extras([1, 0, 0, 1], &[QUESTION, b"\x01a", OPT]), Err(Malformed));
        assert_eq!(extras([1, 0, 0, 0], &[QUESTION, b"x"]), Err(Malformed));
        assert_eq!(extras([1, 0, 0, 1], &[QUESTION]), Err(Malformed));
        assert_eq!(extras([2, 0, 0, 0], &[QUESTION, QUESTION]), Err(Malformed));
        assert_eq!(extras([1, 0, 0, 0], &[&QUESTION[..8]]), Err(Malformed));
    }
}
