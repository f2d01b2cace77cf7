//! Writes records as master file text that reads back to the same record.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER};

use super::value::print_moment;
use super::{location, parameters, prefixes};
use crate::wire::{NameRef, Type};
use crate::zone::Record;
use crate::zone::rdata::{validate, walk};
use crate::zone::record_types::Kind;

/// A record as one line of master file text, without the line end.
pub fn print(record: Record<'_>) -> impl fmt::Display + '_ {
    PrintedRecord(record)
}

/// RDATA as master file text; `\# length hexadecimal` where the type has no other form (RFC 3597 section 5).
pub fn print_rdata(rtype: Type, rdata: &[u8]) -> impl fmt::Display + '_ {
    PrintedRdata { rtype, rdata }
}

struct PrintedRecord<'a>(Record<'a>);

impl fmt::Display for PrintedRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { owner, rtype, class, ttl, rdata, .. } = self.0;
        write!(f, "{owner}\t{ttl}\t{class}\t{rtype}\t{}", print_rdata(rtype, rdata))
    }
}

struct PrintedRdata<'a> {
    rtype: Type,
    rdata: &'a [u8],
}

impl fmt::Display for PrintedRdata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rtype, rdata } = *self;
        let unsayable = validate(rtype, rdata).is_err() || (rtype == Type::LOC && !location::has_text(rdata));
        if unsayable {
            return print_generic(rdata, f);
        }
        let mut separator = "";
        for (field, range) in walk(rtype, rdata).flatten() {
            let octets = &rdata[range];
            if !(octets.is_empty() && field.kind.is_silent_when_empty()) {
                f.write_str(separator)?;
            }
            separator = " ";
            print_field(field.kind, octets, f)?;
        }
        Ok(())
    }
}

fn print_field(kind: Kind, octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::Ipv4 => match octets.first_chunk::<4>() {
            Some(address) => write!(f, "{}", Ipv4Addr::from(*address)),
            None => Err(fmt::Error),
        },
        Kind::Ipv6 => match octets.first_chunk::<16>() {
            Some(address) => write!(f, "{}", Ipv6Addr::from(*address)),
            None => Err(fmt::Error),
        },
        Kind::U8
        | Kind::U16
        | Kind::U32
        | Kind::Seconds
        | Kind::Algorithm
        | Kind::CertificateType
        | Kind::DigestType(_) => write!(f, "{}", big_endian(octets)),
        Kind::Moment => f.write_str(&print_moment(big_endian(octets))),
        Kind::Type => write!(f, "{}", Type(big_endian(octets) as u16)),
        Kind::Name(_) => write!(f, "{}", NameRef::from_valid(octets)),
        Kind::String => print_quoted(&octets[1..], f),
        Kind::Strings => print_strings(octets, f),
        Kind::Tag => octets[1..].iter().try_for_each(|octet| f.write_char(char::from(*octet))),
        Kind::Text => print_quoted(octets, f),
        Kind::Hex => f.write_str(&HEXUPPER.encode(octets)),
        Kind::Salt if octets == [0] => f.write_char('-'),
        Kind::Salt => f.write_str(&HEXUPPER.encode(&octets[1..])),
        Kind::Hash => f.write_str(&BASE32HEX_NOPAD.encode(&octets[1..])),
        Kind::Base64 => f.write_str(&BASE64.encode(octets)),
        Kind::Types => print_types(octets, f),
        Kind::Prefixes => prefixes::print(octets, f),
        Kind::Location => location::print(octets, f),
        Kind::Parameters => parameters::print(octets, f),
        Kind::Hyphenated(_) => octets.iter().enumerate().try_for_each(|(index, octet)| {
            let hyphen = if index == 0 { "" } else { "-" };
            write!(f, "{hyphen}{octet:02x}")
        }),
        Kind::Octets => print_generic(octets, f),
    }
}

impl Kind {
    /// Whether nothing at all is written when the field has no octets.
    const fn is_silent_when_empty(self) -> bool {
        matches!(self, Self::Types | Self::Prefixes | Self::Parameters)
    }
}

/// Writes octets in quotes, escaped so that they read back (RFC 1035 section 5.1).
pub(super) fn print_quoted(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for &octet in octets {
        match octet {
            b'"' | b'\\' => write!(f, "\\{}", char::from(octet))?,
            b' '..=b'~' => f.write_char(char::from(octet))?,
            _ => write!(f, "\\{octet:03}")?,
        }
    }
    f.write_char('"')
}

fn print_generic(rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\\# {}", rdata.len())?;
    if rdata.is_empty() { Ok(()) } else { write!(f, " {}", HEXUPPER.encode(rdata)) }
}

fn print_strings(mut rest: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    while let Some((length, tail)) = rest.split_first() {
        let (string, after) = tail.split_at(usize::from(*length));
        rest = after;
        f.write_str(separator)?;
        separator = " ";
        print_quoted(string, f)?;
    }
    Ok(())
}

fn print_types(mut rest: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    while let [window, length, tail @ ..] = rest {
        let (bits, after) = tail.split_at(usize::from(*length));
        rest = after;
        for bit in (0..bits.len() * 8).filter(|bit| bits[bit / 8] & (0x80 >> (bit % 8)) != 0) {
            write!(f, "{separator}{}", Type(u16::from(*window) << 8 | bit as u16))?;
            separator = " ";
        }
    }
    Ok(())
}

fn big_endian(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet))
}
