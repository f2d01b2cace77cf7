//! The TSIG record: found at the end of a message, taken off, put on, and what of it a MAC covers.

use super::Key;
use crate::wire::{Class, HEADER, Name, NameRef, Type, expand_name};

/// A TSIG record that stands at the end of a message (RFC 8945 section 4.2).
pub(super) struct TsigRecord<'m> {
    /// Where it starts, which is where the message without it ends.
    pub(super) at: usize,
    /// The name of the key, in lower case.
    pub(super) name: Name,
    /// The name of the algorithm, in lower case.
    pub(super) algorithm: Name,
    pub(super) stamp: Stamp,
    pub(super) mac: &'m [u8],
    pub(super) original_id: [u8; 2],
    pub(super) error: u16,
    pub(super) other: &'m [u8],
}

/// When a message was signed, in seconds since 1970 of which 48 bits are kept, and how far clocks may differ.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) time: u64,
    pub(super) fudge: u16,
}

/// The message breaks the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Stamp {
    pub(super) fn octets(self) -> [u8; 8] {
        let (time, fudge) = (self.time.to_be_bytes(), self.fudge.to_be_bytes());
        [time[2], time[3], time[4], time[5], time[6], time[7], fudge[0], fudge[1]]
    }

    /// Whether `now` is near enough.
    pub(super) fn holds_at(self, now: u64) -> bool {
        self.time.abs_diff(now) <= u64::from(self.fudge)
    }
}

impl<'m> TsigRecord<'m> {
    /// The TSIG record that ends the message; `None` if there is none.
    pub(super) fn find(message: &'m [u8]) -> Result<Option<Self>, Broken> {
        let Some(at) = last_additional(message)? else { return Ok(None) };
        let mut name = Vec::new();
        let at_type = expand_name(message, at, &mut name).map_err(|_| Broken)?;
        let fixed = message.get(at_type..at_type + 10).ok_or(Broken)?;
        if fixed[..2] != Type::TSIG.0.to_be_bytes() {
            return Ok(None);
        }
        if fixed[2..4] != Class::ANY.0.to_be_bytes() || fixed[4..8] != [0; 4] {
            return Err(Broken);
        }
        let rdata = &message[at_type + 10..];
        let algorithm = NameRef::parse(rdata).map_err(|_| Broken)?;
        let rest = &rdata[algorithm.len()..];
        let &[t1, t2, t3, t4, t5, t6, f1, f2, m1, m2, ref rest @ ..] = rest else { return Err(Broken) };
        let (mac, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([m1, m2]))).ok_or(Broken)?;
        let &[i1, i2, e1, e2, o1, o2, ref other @ ..] = rest else { return Err(Broken) };
        if other.len() != usize::from(u16::from_be_bytes([o1, o2])) {
            return Err(Broken);
        }
        let stamp =
            Stamp { time: u64::from_be_bytes([0, 0, t1, t2, t3, t4, t5, t6]), fudge: u16::from_be_bytes([f1, f2]) };
        let name = NameRef::from_valid(&name).to_name().to_lower();
        let algorithm = algorithm.to_name().to_lower();
        let (original_id, error) = ([i1, i2], u16::from_be_bytes([e1, e2]));
        Ok(Some(Self { at, name, algorithm, stamp, mac, original_id, error, other }))
    }

    /// The message as it was before it was signed.
    pub(super) fn unsigned(&self, message: &[u8]) -> Vec<u8> {
        let mut octets = message[..self.at].to_vec();
        octets[..2].copy_from_slice(&self.original_id);
        let additional = u16::from_be_bytes([octets[10], octets[11]]) - 1;
        octets[10..12].copy_from_slice(&additional.to_be_bytes());
        octets
    }

    /// Whether the record names this key and its algorithm.
    pub(super) fn is_of(&self, key: &Key) -> bool {
        self.name == key.name && self.algorithm.borrow().as_bytes() == key.algorithm()
    }
}

/// Appends a TSIG record to a message whose ID is the one that was signed.
pub(super) fn append(
    message: &mut Vec<u8>,
    (name, algorithm): (NameRef<'_>, &[u8]),
    stamp: Stamp,
    mac: &[u8],
    (error, other): (u16, &[u8]),
) {
    let id = [message[0], message[1]];
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&Type::TSIG.0.to_be_bytes());
    message.extend_from_slice(&Class::ANY.0.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    let rdata = algorithm.len() + 16 + mac.len() + other.len();
    message.extend_from_slice(&(rdata as u16).to_be_bytes());
    message.extend_from_slice(algorithm);
    message.extend_from_slice(&stamp.octets());
    message.extend_from_slice(&(mac.len() as u16).to_be_bytes());
    message.extend_from_slice(mac);
    message.extend_from_slice(&id);
    message.extend_from_slice(&error.to_be_bytes());
    message.extend_from_slice(&(other.len() as u16).to_be_bytes());
    message.extend_from_slice(other);
    let additional = u16::from_be_bytes([message[10], message[11]]) + 1;
    message[10..12].copy_from_slice(&additional.to_be_bytes());
}

/// Appends what of a TSIG record a MAC covers (RFC 8945 section 4.3.3).
pub(super) fn append_variables(covered: &mut Vec<u8>, key: &Key, stamp: Stamp, (error, other): (u16, &[u8])) {
    covered.extend_from_slice(key.name().as_bytes());
    covered.extend_from_slice(&Class::ANY.0.to_be_bytes());
    covered.extend_from_slice(&[0; 4]);
    covered.extend_from_slice(key.algorithm());
    covered.extend_from_slice(&stamp.octets());
    covered.extend_from_slice(&error.to_be_bytes());
    covered.extend_from_slice(&(other.len() as u16).to_be_bytes());
    covered.extend_from_slice(other);
}

/// Appends the MAC that came before, with its length (RFC 8945 section 4.3.1).
pub(super) fn append_prior(covered: &mut Vec<u8>, prior: &[u8]) {
    covered.extend_from_slice(&(prior.len() as u16).to_be_bytes());
    covered.extend_from_slice(prior);
}

/// Where the last record of the additional section starts; the message must end behind it.
fn last_additional(message: &[u8]) -> Result<Option<usize>, Broken> {
    let header = message.get(..HEADER).ok_or(Broken)?;
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut at = HEADER;
    for _ in 0..count(4) {
        at = skip_name(message, at)? + 4;
    }
    let additional = count(10);
    let (mut last, records) = (at, count(6) + count(8) + additional);
    for _ in 0..records {
        last = at;
        let fixed = skip_name(message, at)?;
        let length = message.get(fixed + 8..fixed + 10).ok_or(Broken)?;
        at = fixed + 10 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
    if at != message.len() {
        return Err(Broken);
    }
    Ok((additional > 0).then_some(last))
}

fn skip_name(message: &[u8], mut at: usize) -> Result<usize, Broken> {
    loop {
        match *message.get(at).ok_or(Broken)? {
            0 => return Ok(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Ok(at + 2),
            _ => return Err(Broken),
        }
    }
}
