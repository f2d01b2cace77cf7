//! RDATA in wire form, field by field as the table of record types says.
//!
//! [`validate`] is the door: text of the form `\# length hexadecimal`, and records that come by transfer, pass it.
//! What has passed it needs no second look, so [`names`] and [`canonical`] cannot fail.

use std::ops::Range;

use super::record_types::{Field, Kind, NameUse, fields, is_data};
use crate::wire::{NameRef, Type, expand_name};

/// Why octets are not RDATA of their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdataError {
    /// A field of fixed form does not have it, or RDATA ends inside of it.
    #[error("the {0} is cut short or malformed")]
    Field(&'static str),
    /// Octets are left behind the last field.
    #[error("{0} octets too many")]
    Trailing(usize),
    /// The type exists only in messages.
    #[error("no data type")]
    NotData,
}

/// The fields of RDATA in order, each with the range of octets it takes; ends after the first error.
///
/// # Errors
/// When a field does not fit, or octets are left at the end.
pub fn walk(rtype: Type, rdata: &[u8]) -> Walk<'_> {
    Walk { fields: fields(rtype).iter(), rdata, at: 0, digest: None }
}

/// Whether octets are RDATA of a type.
///
/// # Errors
/// When they are not, or the type cannot stand in a zone.
pub fn validate(rtype: Type, rdata: &[u8]) -> Result<(), RdataError> {
    if !is_data(rtype) {
        return Err(RdataError::NotData);
    }
    walk(rtype, rdata).try_for_each(|field| field.map(drop))
}

/// The names inside valid RDATA, in order: where each is, and what may be done to it.
pub fn names(rtype: Type, rdata: &[u8]) -> impl Iterator<Item = (Range<usize>, NameUse)> {
    let last_name = fields(rtype).iter().rposition(|field| matches!(field.kind, Kind::Name(_)));
    let wanted = last_name.map_or(0, |index| index + 1);
    walk(rtype, rdata).take(wanted).filter_map(|step| match step {
        Ok((Field { kind: Kind::Name(name_use), .. }, range)) => Some((range, *name_use)),
        _ => None,
    })
}

/// Appends valid RDATA in canonical form: names in lower case where RFC 4034 section 6.2 says so.
pub fn canonical(rtype: Type, rdata: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(rdata);
    for (range, name_use) in names(rtype, rdata) {
        if name_use != NameUse::Keep {
            out[start + range.start..start + range.end].make_ascii_lowercase();
        }
    }
}

/// Appends the RDATA at `range` of a message to `out`, names in it uncompressed. Only the types of RFC 1035 should come
/// compressed, but some that RFC 3597 section 4 names did once, so a pointer is followed in every name.
///
/// # Errors
/// When it is not RDATA of its type. `out` then holds a part of it.
pub fn expand(rtype: Type, message: &[u8], range: Range<usize>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let start = out.len();
    let (mut at, end) = (range.start, range.end);
    let last_name = fields(rtype).iter().rposition(|field| matches!(field.kind, Kind::Name(_)));
    for field in &fields(rtype)[..last_name.map_or(0, |index| index + 1)] {
        let malformed = RdataError::Field(field.name);
        let next = match field.kind {
            Kind::Name(_) => expand_name(message, at, out).map_err(|_| malformed)?,
            kind => {
                let octets = message.get(at..end).ok_or(malformed)?;
                let length = kind.measure(octets).ok_or(malformed)?;
                out.extend_from_slice(&octets[..length]);
                at + length
            }
        };
        at = next;
    }
    out.extend_from_slice(message.get(at..end).ok_or(RdataError::Field("name"))?);
    validate(rtype, &out[start..])
}

/// See [`walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    fields: std::slice::Iter<'static, Field>,
    rdata: &'a [u8],
    at: usize,
    digest: Option<usize>,
}

impl Iterator for Walk<'_> {
    type Item = Result<(&'static Field, Range<usize>), RdataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.next()?;
        let rest = &self.rdata[self.at..];
        let fits = field.kind.measure(rest).filter(|length| self.fits_digest(field.kind, &rest[..*length]));
        let Some(length) = fits else {
            self.fields = [].iter();
            return Some(Err(RdataError::Field(field.name)));
        };
        if length < rest.len() && self.fields.as_slice().is_empty() {
            return Some(Err(RdataError::Trailing(rest.len() - length)));
        }
        let start = self.at;
        self.at += length;
        Some(Ok((field, start..self.at)))
    }
}

impl Walk<'_> {
    /// Remembers what a digest type promises, and holds the digest behind it to that.
    fn fits_digest(&mut self, kind: Kind, octets: &[u8]) -> bool {
        match kind {
            Kind::DigestType(digests) => self.digest = digests.length(octets[0]),
            Kind::Hex => return self.digest.is_none_or(|length| length == octets.len()),
            _ => {}
        }
        true
    }
}

impl Kind {
    /// Whether a field of this kind takes all octets that are left.
    pub const fn is_to_the_end(self) -> bool {
        matches!(
            self,
            Self::Strings
                | Self::Text
                | Self::Hex
                | Self::Base64
                | Self::Types
                | Self::Prefixes
                | Self::Parameters
                | Self::Octets
        )
    }

    /// The octets that a field of this kind takes at the start of `rest`; `None` when it cannot be there.
    fn measure(self, rest: &[u8]) -> Option<usize> {
        let length = match self {
            Self::U8 | Self::Algorithm | Self::DigestType(_) => 1,
            Self::U16 | Self::Type | Self::CertificateType => 2,
            Self::Ipv4 | Self::U32 | Self::Seconds | Self::Moment => 4,
            Self::Ipv6 => 16,
            Self::Hyphenated(octets) => usize::from(octets),
            Self::Location => 16,
            Self::Name(_) => NameRef::parse(rest).ok()?.len(),
            Self::String | Self::Salt => 1 + usize::from(*rest.first()?),
            Self::Hash => 1 + rest.first().map(|length| usize::from(*length)).filter(|length| *length > 0)?,
            Self::Tag => measure_tag(rest)?,
            Self::Text | Self::Octets => rest.len(),
            Self::Hex | Self::Base64 => (!rest.is_empty()).then_some(rest.len())?,
            Self::Strings => are_strings(rest).then_some(rest.len())?,
            Self::Types => are_types(rest).then_some(rest.len())?,
            Self::Prefixes => are_prefixes(rest).then_some(rest.len())?,
            Self::Parameters => are_parameters(rest).then_some(rest.len())?,
        };
        if self == Self::Location && rest.first() != Some(&0) {
            return None;
        }
        (length <= rest.len()).then_some(length)
    }
}

/// Takes `count` octets off the front.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    take(rest, 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
}

fn measure_tag(rest: &[u8]) -> Option<usize> {
    let length = usize::from(*rest.first()?);
    let tag = rest.get(1..1 + length)?;
    (length > 0 && tag.iter().all(u8::is_ascii_alphanumeric)).then_some(1 + length)
}

fn are_strings(mut rest: &[u8]) -> bool {
    if rest.is_empty() {
        return false;
    }
    while let Some((length, tail)) = rest.split_first() {
        match tail.get(usize::from(*length)..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// Windows rise, have 1 to 32 octets, and end in an octet that is not zero (RFC 4034 section 4.1.2).
fn are_types(mut rest: &[u8]) -> bool {
    let mut previous = None;
    while let Some(head) = take(&mut rest, 2) {
        let (window, length) = (head[0], usize::from(head[1]));
        let in_order = previous.is_none_or(|before| before < window);
        let bits = take(&mut rest, length);
        if !in_order || length > 32 || bits.and_then(<[u8]>::last).is_none_or(|last| *last == 0) {
            return false;
        }
        previous = Some(window);
    }
    rest.is_empty()
}

/// Family, prefix length, negation and address without its trailing zeros (RFC 3123 section 4).
fn are_prefixes(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let (Some(family), Some(head)) = (take_u16(&mut rest), take(&mut rest, 2)) else {
            return false;
        };
        let (prefix, length) = (head[0], usize::from(head[1] & 0x7f));
        let Some(address) = take(&mut rest, length) else {
            return false;
        };
        let widest = match family {
            1 => 32,
            2 => 128,
            _ => return false,
        };
        if prefix > widest || length > usize::from(widest) / 8 || address.last() == Some(&0) {
            return false;
        }
    }
    true
}

/// Keys rise, and values have the form that their key asks for (RFC 9460 section 2.2).
fn are_parameters(mut rest: &[u8]) -> bool {
    let (mut previous, mut mandatory): (Option<u16>, &[u8]) = (None, &[]);
    while !rest.is_empty() {
        let (Some(key), Some(length)) = (take_u16(&mut rest), take_u16(&mut rest)) else {
            return false;
        };
        let Some(value) = take(&mut rest, usize::from(length)) else {
            return false;
        };
        if previous.is_some_and(|before| before >= key) || !is_parameter(key, value) {
            return false;
        }
        // Both lists rise, so keys that are mandatory appear in the order they were announced.
        if key == 0 {
            mandatory = value;
        } else if mandatory.starts_with(&key.to_be_bytes()) {
            mandatory = &mandatory[2..];
        }
        previous = Some(key);
    }
    mandatory.is_empty()
}

fn is_parameter(key: u16, value: &[u8]) -> bool {
    match key {
        0 => {
            let keys: Vec<&[u8]> = value.chunks(2).collect();
            !keys.is_empty()
                && value.len().is_multiple_of(2)
                && keys.is_sorted_by(|a, b| a < b)
                && keys.iter().all(|key| *key != [0, 0] && *key != [0xff, 0xff])
        }
        1 => are_strings(value) && !has_empty_string(value),
        2 => value.is_empty(),
        3 => value.len() == 2,
        4 => !value.is_empty() && value.len().is_multiple_of(4),
        6 => !value.is_empty() && value.len().is_multiple_of(16),
        5 | 7 => !value.is_empty(),
        8 => value.is_empty(),
        u16::MAX => false,
        _ => true,
    }
}

fn has_empty_string(mut rest: &[u8]) -> bool {
    while let Some((length, tail)) = rest.split_first() {
        if *length == 0 {
            return true;
        }
        rest = tail.get(usize::from(*length)..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_soa_are_found() {
        let rdata = b"\x02NS\x00\x01H\x00\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
        let found: Vec<_> = names(Type::SOA, rdata).collect();
        assert_eq!(found, [(0..4, NameUse::Compress), (4..7, NameUse::Compress)]);
        let mut folded = Vec::new();
        canonical(Type::SOA, rdata, &mut folded);
        assert_eq!(&folded[..7], b"\x02ns\x00\x01h\x00");
        assert_eq!(folded[7..], rdata[7..]);
    }

    #[test]
    fn what_must_not_be_folded_is_kept() {
        let mut out = Vec::new();
        canonical(Type::NSEC, b"\x01A\x00\x00\x01\x40", &mut out);
        assert_eq!(out, b"\x01A\x00\x00\x01\x40");
        assert_eq!(names(Type::A, &[1, 2, 3, 4]).count(), 0);
    }

    #[test]
    fn names_in_messages_are_expanded() {
        let message = b"\x04test\x00\x00\x0a\x02mx\xc0\x00";
        let mut out = Vec::new();
        assert_eq!(expand(Type::MX, message, 6..13, &mut out), Ok(()));
        assert_eq!(out, b"\x00\x0a\x02mx\x04test\x00");
        for range in [6..12, 6..9, 6..8, 6..7] {
            assert!(expand(Type::MX, message, range.clone(), &mut Vec::new()).is_err(), "{range:?}");
        }
        assert_eq!(expand(Type::A, &[1, 2, 3, 4], 0..4, &mut Vec::new()), Ok(()));
        assert!(expand(Type::A, &[1, 2, 3, 4], 0..3, &mut Vec::new()).is_err());
    }

    #[test]
    fn octets_that_are_not_rdata_are_refused() {
        for (rtype, rdata) in [
            (Type::A, &b"\x01\x02\x03"[..]),
            (Type::A, b"\x01\x02\x03\x04\x05"),
            (Type::MX, b"\x00\x0a\xc0\x0c"),
            (Type::TXT, b""),
            (Type::TXT, b"\x02a"),
            (Type::DS, b"\x00\x01\x08\x02\xaa"),
            (Type::NSEC, b"\x00\x00\x01\x00"),
            (Type::NSEC, b"\x00\x01\x01\x01\x00\x01\x01"),
            (Type::APL, b"\x00\x01\x21\x00"),
            (Type::LOC, &[1; 16]),
            (Type::SVCB, b"\x00\x01\x00\x00\x03\x00\x01\x00"),
            (Type::SVCB, b"\x00\x01\x00\x00\x00\x00\x02\x00\x03"),
            (Type::CAA, b"\x00\x01-x"),
            (Type::OPT, b""),
        ] {
            assert!(validate(rtype, rdata).is_err(), "{rtype} {rdata:?}");
        }
    }

    #[test]
    fn octets_that_are_rdata_pass() {
        for (rtype, rdata) in [
            (Type::A, &b"\x01\x02\x03\x04"[..]),
            (Type::TXT, b"\x00"),
            (Type::APL, b""),
            (Type::APL, b"\x00\x01\x08\x81\x0a"),
            (Type::SVCB, b"\x00\x01\x00\x00\x00\x00\x02\x00\x03\x00\x03\x00\x02\x00\x50"),
            (Type(65280), b"anything"),
            (Type::NSEC3, b"\x01\x00\x00\x00\x00\x02ab"),
        ] {
            assert_eq!(validate(rtype, rdata), Ok(()), "{rtype} {rdata:?}");
        }
    }
}
