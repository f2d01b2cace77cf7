//! The queries, and what their replies must be.

use std::io::{Error, Result};
use std::net::Ipv4Addr;

use crate::arguments::{Arguments, Fill};

/// The queries of a run, asked one after another, round and round.
#[derive(Debug)]
pub struct Load {
    templates: Vec<Template>,
    fill: Fill,
}

#[derive(Debug)]
struct Template {
    /// The query in wire form, with ID 0.
    octets: Vec<u8>,
    /// Where the question ends.
    question: usize,
    rcode: u8,
    answers: u16,
    /// The addresses that an answer may have, sorted; empty where any will do.
    addresses: Vec<u32>,
}

/// One query: which template, and the number that fills it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    template: u32,
    number: u32,
}

/// What a reply is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What was to come, with so many records in its answer.
    Right {
        /// Records.
        records: u16,
    },
    /// Something else, and how it differs.
    Wrong(&'static str),
}

/// Goes through the queries.
#[derive(Debug, Default)]
pub struct Cursor {
    next: u32,
    random: u64,
}

impl Load {
    /// Reads the file of queries.
    ///
    /// # Errors
    /// When it cannot be read, or a line is not understood.
    pub fn read(arguments: &Arguments) -> Result<Self> {
        let text = std::fs::read_to_string(&arguments.queries)?;
        let lines = text.lines().filter(|line| !line.is_empty());
        let template = |line: &str| {
            Template::read(line, arguments).ok_or_else(|| Error::other(format!("not a query with its reply: {line}")))
        };
        let templates = lines.map(template).collect::<Result<Vec<_>>>()?;
        if templates.is_empty() {
            return Err(Error::other("no queries"));
        }
        Ok(Self { templates, fill: arguments.fill })
    }

    /// Takes the next query.
    #[inline]
    pub fn next(&self, cursor: &mut Cursor) -> Asked {
        let template = cursor.next;
        cursor.next = if template + 1 == self.templates.len() as u32 { 0 } else { template + 1 };
        let number = match self.fill {
            Fill::Nothing => 0,
            Fill::Hex => cursor.random(),
            Fill::Number(below) => ((u64::from(cursor.random()) * u64::from(below)) >> 32) as u32,
        };
        Asked { template, number }
    }

    /// Writes a query to the start of `out` and returns its length.
    #[inline]
    pub fn write(&self, asked: Asked, id: u16, out: &mut [u8]) -> usize {
        let octets = &self.templates[asked.template as usize].octets;
        out[..octets.len()].copy_from_slice(octets);
        out[..2].copy_from_slice(&id.to_be_bytes());
        self.fill_in(asked, out);
        octets.len()
    }

    /// Octets of the query.
    #[inline]
    pub fn length(&self, asked: Asked) -> usize {
        self.templates[asked.template as usize].octets.len()
    }

    /// Judges the reply to a query: the question, the response code, the number of records and every address.
    #[inline]
    pub fn judge(&self, asked: Asked, reply: &[u8]) -> Verdict {
        let template = &self.templates[asked.template as usize];
        let end = template.question;
        if reply.len() < end || !self.is_question(asked, &template.octets[12..end], &reply[12..end]) {
            return Verdict::Wrong("another question");
        }
        if reply[2] & 0x82 != 0x80 || reply[3] & 15 != template.rcode {
            return Verdict::Wrong("truncated, or another response code");
        }
        let records = u16::from_be_bytes([reply[6], reply[7]]);
        if records != template.answers {
            return Verdict::Wrong("another number of records");
        }
        let number = [0x0a00_0000 + asked.number];
        let addresses = match self.fill {
            Fill::Number(_) => &number[..],
            _ => &template.addresses,
        };
        if !addresses.is_empty() && !has_addresses(&reply[end..], records, addresses) {
            return Verdict::Wrong("another address, or one that stands twice");
        }
        Verdict::Right { records }
    }

    /// Whether this is the question of `template`, filled in.
    #[inline]
    fn is_question(&self, asked: Asked, template: &[u8], question: &[u8]) -> bool {
        if self.fill == Fill::Nothing {
            return question == template;
        }
        let mut start = [0; 21];
        start[12..].copy_from_slice(&template[..9]);
        self.fill_in(asked, &mut start);
        question[..9] == start[12..] && question[9..] == template[9..]
    }

    #[inline]
    fn fill_in(&self, asked: Asked, query: &mut [u8]) {
        match self.fill {
            Fill::Nothing => {}
            Fill::Hex => {
                for (place, octet) in query[13..21].iter_mut().enumerate() {
                    *octet = b"0123456789abcdef"[(asked.number >> (4 * place) & 15) as usize];
                }
            }
            Fill::Number(_) => {
                let mut rest = asked.number;
                for octet in query[14..21].iter_mut().rev() {
                    *octet = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
            }
        }
    }
}

impl Template {
    fn read(line: &str, arguments: &Arguments) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        let rtype: u16 = match words.next()? {
            "A" => 1,
            "SOA" => 6,
            "AAAA" => 28,
            number => number.parse().ok()?,
        };
        let rcode = words.next()?.parse().ok()?;
        let answers = words.next()?.parse().ok()?;
        let address = |word: &str| word.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
        let mut addresses = words.map(address).collect::<Option<Vec<_>>>()?;
        addresses.sort_unstable();
        if addresses.len() > MOST_ADDRESSES {
            return None;
        }
        let mut octets = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.trim_end_matches('.').split('.') {
            octets.push(u8::try_from(label.len()).ok().filter(|len| (1..64).contains(len))?);
            octets.extend(label.bytes());
        }
        octets.push(0);
        octets.extend(rtype.to_be_bytes());
        octets.extend([0, 1]);
        let question = octets.len();
        if arguments.fill != Fill::Nothing && octets[12] < 8 {
            return None;
        }
        if arguments.edns {
            octets[11] = 1;
            let options = if arguments.cookie { &COOKIE[..] } else { &[] };
            octets.extend([
                0,
                0,
                41,
                0x04,
                0xd0,
                0,
                0,
                if arguments.dnssec { 0x80 } else { 0 },
                0,
                0,
                options.len() as u8,
            ]);
            octets.extend(options);
        }
        Some(Self { octets, question, rcode, answers, addresses })
    }
}

impl Cursor {
    /// Marsaglia's xorshift with Vigna's multiplier: fast, and nobody guesses against it.
    #[inline]
    fn random(&mut self) -> u32 {
        let mut state = if self.random == 0 { 0x9e37_79b9_7f4a_7c15 } else { self.random };
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random = state;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

/// Whether all A records among the first `records` have one of the addresses, each another.
#[inline]
fn has_addresses(mut rest: &[u8], records: u16, addresses: &[u32]) -> bool {
    let mut seen = 0u128;
    for _ in 0..records {
        let Some(after) = skip_name(rest) else { return false };
        let Some((&[t0, t1, _, _, _, _, _, _, l0, l1], data)) = after.split_first_chunk::<10>() else { return false };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((data, after)) = data.split_at_checked(length) else { return false };
        rest = after;
        if [t0, t1] != [0, 1] {
            continue;
        }
        let Ok(address) = <[u8; 4]>::try_from(data).map(u32::from_be_bytes) else { return false };
        // Those of a large set follow one another, so that this is where it is, or the search finds it.
        let guess = address.wrapping_sub(addresses[0]) as usize;
        let index = match addresses.get(guess) {
            Some(there) if *there == address => guess,
            _ => match addresses.binary_search(&address) {
                Ok(index) => index,
                Err(_) => return false,
            },
        };
        if seen & 1 << index != 0 {
            return false;
        }
        seen |= 1 << index;
    }
    seen != 0
}

#[inline]
fn skip_name(mut octets: &[u8]) -> Option<&[u8]> {
    loop {
        match *octets.first()? {
            0 => return octets.get(1..),
            length if length >= 0xc0 => return octets.get(2..),
            length => octets = octets.get(1 + usize::from(length)..)?,
        }
    }
}

const MOST_ADDRESSES: usize = 128;

/// An option with a client's cookie (RFC 7873 section 4.1).
const COOKIE: [u8; 12] = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
