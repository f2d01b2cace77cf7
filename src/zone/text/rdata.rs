//! Reads RDATA from text: one field after another, as the table of record types says.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER_PERMISSIVE};

use super::fault::{Blame, quote};
use super::mnemonic;
use super::scanner::{Scanner, Token};
use super::value::{append_unescaped, moment, number, seconds};
use super::{location, parameters, prefixes};
use crate::wire::{Name, NameRef, Type};
use crate::zone::rdata::validate;
use crate::zone::record_types::{Field, Kind, fields};

/// Reads the RDATA of a record, to the end of its entry; `out` then holds it and nothing else.
pub(super) fn read_rdata(
    rtype: Type,
    scanner: &mut Scanner<'_>,
    origin: NameRef<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Blame> {
    out.clear();
    let first = scanner.next()?;
    if let Some(token) = first {
        if token.text == b"\\#" && !token.quoted {
            return read_generic(rtype, token, scanner, out);
        }
        scanner.unread(token);
    }
    let mut reader = FieldReader { rtype, field: &fields(rtype)[0], scanner, out, digest: None };
    for field in fields(rtype) {
        reader.field = field;
        reader.read(origin)?;
    }
    match reader.scanner.next()? {
        None if reader.out.len() <= MAX_RDATA => Ok(()),
        None => {
            let found = format!("{} octets of data for {rtype}", reader.out.len());
            Err(Blame::new(reader.scanner.spot(), found, "at most 65535 octets"))
        }
        Some(extra) => {
            let found = format!("{} behind the {} of {rtype}", quote(extra.text), reader.field.name);
            Err(Blame::new(extra.spot, found, "the end of the line"))
        }
    }
}

/// Reads `length hexadecimal` behind `\#` (RFC 3597 section 5).
fn read_generic(rtype: Type, mark: Token<'_>, scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), Blame> {
    let blame = |token: Option<Token<'_>>, scanner: &Scanner<'_>, found: String| {
        let spot = token.map_or(scanner.spot(), |token| token.spot);
        Blame::new(spot, found, "`\\#`, the number of octets, and that many octets in hexadecimal")
    };
    let Some(count) = scanner.next()? else {
        return Err(blame(None, scanner, "`\\#` without a length".into()));
    };
    let Some(length) = number(count.text).filter(|length| *length <= 65_535 && !count.quoted) else {
        return Err(blame(Some(count), scanner, format!("{} as the length behind `\\#`", quote(count.text))));
    };
    let digits = gather(scanner)?;
    let octets = HEXUPPER_PERMISSIVE.decode(&digits).ok().filter(|octets| octets.len() == length as usize);
    let Some(octets) = octets else {
        let found = format!("{} digits for {length} octets behind `\\#`", digits.len());
        return Err(blame(Some(count), scanner, found));
    };
    validate(rtype, &octets)
        .map_err(|error| Blame::new(mark.spot, format!("octets that are no {rtype}: {error}"), "data of the type"))?;
    out.extend_from_slice(&octets);
    Ok(())
}

/// What is left of the entry, white space taken out.
fn gather(scanner: &mut Scanner<'_>) -> Result<Vec<u8>, Blame> {
    let mut gathered = Vec::new();
    while let Some(token) = scanner.next()? {
        gathered.extend_from_slice(token.text);
    }
    Ok(gathered)
}

/// Reads one field after another of one record.
pub(super) struct FieldReader<'r, 'a> {
    pub(super) rtype: Type,
    pub(super) field: &'static Field,
    pub(super) scanner: &'r mut Scanner<'a>,
    pub(super) out: &'r mut Vec<u8>,
    /// The octets that the digest must have, once its type has been read.
    digest: Option<usize>,
}

impl<'a> FieldReader<'_, 'a> {
    fn read(&mut self, origin: NameRef<'_>) -> Result<(), Blame> {
        match self.field.kind {
            Kind::Name(_) => self.name(origin),
            Kind::String => {
                let token = self.word_or_quoted()?;
                self.string(token)
            }
            Kind::Strings => self.strings(),
            Kind::Text => {
                let token = self.word_or_quoted()?;
                append_unescaped(token.text, self.out).ok_or_else(|| self.broken_escape(token))
            }
            Kind::DigestType(digests) => {
                self.word_as(Kind::U8)?;
                self.digest = self.out.last().and_then(|number| digests.length(*number));
                Ok(())
            }
            Kind::Hex => self.hex(),
            Kind::Base64 => self.base64(),
            Kind::Types => self.types(),
            Kind::Prefixes => prefixes::read(self),
            Kind::Location => location::read(self),
            Kind::Parameters => parameters::read(self),
            Kind::Octets => {
                let found = format!("data of {} that does not begin with `\\#`", self.rtype);
                Err(Blame::new(self.scanner.spot(), found, Kind::Octets.expectation()))
            }
            kind => self.word_as(kind),
        }
    }

    /// Reads a field that is one word.
    fn word_as(&mut self, kind: Kind) -> Result<(), Blame> {
        let token = self.word()?;
        append_word(kind, token.text, self.out).ok_or_else(|| self.blame(token))
    }

    /// The next token, which must be there and not in quotes.
    pub(super) fn word(&mut self) -> Result<Token<'a>, Blame> {
        let token = self.word_or_quoted()?;
        if token.quoted { Err(self.blame(token)) } else { Ok(token) }
    }

    fn word_or_quoted(&mut self) -> Result<Token<'a>, Blame> {
        let at_end = self.scanner.spot();
        self.scanner.next()?.ok_or_else(|| {
            let found = format!("the end of the line where {} has its {}", self.rtype, self.field.name);
            Blame::new(at_end, found, self.field.kind.expectation())
        })
    }

    fn name(&mut self, origin: NameRef<'_>) -> Result<(), Blame> {
        let token = self.word()?;
        if token.text == b"@" {
            self.out.extend_from_slice(origin.as_bytes());
            return Ok(());
        }
        Name::append_text_in(token.text, origin, self.out).map_err(|error| {
            let found = format!("{} as the {} of {}: {error}", quote(token.text), self.field.name, self.rtype);
            Blame::new(token.spot, found, self.field.kind.expectation())
        })
    }

    fn string(&mut self, token: Token<'_>) -> Result<(), Blame> {
        let length_at = self.out.len();
        self.out.push(0);
        append_unescaped(token.text, self.out).ok_or_else(|| self.broken_escape(token))?;
        let length = self.out.len() - length_at - 1;
        let Ok(length_octet) = u8::try_from(length) else {
            let found = format!("a string of {length} octets as the {} of {}", self.field.name, self.rtype);
            return Err(Blame::new(token.spot, found, self.field.kind.expectation()));
        };
        self.out[length_at] = length_octet;
        Ok(())
    }

    fn strings(&mut self) -> Result<(), Blame> {
        let first = self.word_or_quoted()?;
        self.string(first)?;
        while let Some(token) = self.scanner.next()? {
            self.string(token)?;
        }
        Ok(())
    }

    fn hex(&mut self) -> Result<(), Blame> {
        let first = self.word()?;
        self.scanner.unread(first);
        let digits = gather(self.scanner)?;
        let octets = HEXUPPER_PERMISSIVE.decode(&digits).map_err(|_| self.blame(first))?;
        if let Some(expected) = self.digest.filter(|length| *length != octets.len()) {
            let found = format!("{} octets as the {} of {}", octets.len(), self.field.name, self.rtype);
            return Err(Blame::new(first.spot, found, format!("{expected} octets, as the digest type says")));
        }
        self.out.extend_from_slice(&octets);
        Ok(())
    }

    fn base64(&mut self) -> Result<(), Blame> {
        let first = self.word()?;
        self.scanner.unread(first);
        let text = gather(self.scanner)?;
        let octets = BASE64.decode(&text).map_err(|_| self.blame(first))?;
        self.out.extend_from_slice(&octets);
        Ok(())
    }

    fn types(&mut self) -> Result<(), Blame> {
        let mut types = Vec::new();
        while let Some(token) = self.scanner.next()? {
            let rtype = Type::from_text(token.text).filter(|_| !token.quoted);
            types.push(rtype.ok_or_else(|| self.blame(token))?);
        }
        types.sort_unstable();
        append_bitmap(&types, self.out);
        Ok(())
    }

    /// A token that is not what the field asks for.
    pub(super) fn blame(&self, token: Token<'_>) -> Blame {
        let quotes = if token.quoted { " in quotes" } else { "" };
        let found = format!("{}{quotes} as the {} of {}", quote(token.text), self.field.name, self.rtype);
        Blame::new(token.spot, found, self.field.kind.expectation())
    }

    fn broken_escape(&self, token: Token<'_>) -> Blame {
        let found = format!("a broken escape in {}", quote(token.text));
        Blame::new(token.spot, found, "`\\DDD` with DDD from 000 to 255, or `\\` and a character")
    }
}

impl Kind {
    /// What a field of this kind looks like, for those who wrote something else.
    const fn expectation(self) -> &'static str {
        match self {
            Self::Ipv4 => "an IPv4 address such as 192.0.2.1",
            Self::Ipv6 => "an IPv6 address such as 2001:db8::1",
            Self::U8 | Self::DigestType(_) => "a number from 0 to 255",
            Self::U16 => "a number from 0 to 65535",
            Self::U32 => "a number from 0 to 4294967295",
            Self::Seconds => "seconds such as 3600 or 1h",
            Self::Moment => "YYYYMMDDHHmmSS or seconds since 1970",
            Self::Type | Self::Types => "record types such as A or TYPE65280",
            Self::Algorithm => "a DNSSEC algorithm such as 13 or ECDSAP256SHA256",
            Self::CertificateType => "a certificate type such as 1 or PKIX",
            Self::Name(_) => "a domain name",
            Self::String | Self::Strings => "strings of at most 255 octets each, in quotes if they contain spaces",
            Self::Tag => "a tag of letters and digits such as issue",
            Self::Text => "one string, in quotes if it contains spaces",
            Self::Hex => "hexadecimal digits, two for an octet",
            Self::Salt => "hexadecimal digits, two for an octet, or `-`",
            Self::Hash => "a hash in base32hex",
            Self::Base64 => "base64 with its padding",
            Self::Prefixes => "prefixes such as 1:192.0.2.0/24 or !2:2001:db8::/32",
            Self::Location => "a location such as 52 22 23.000 N 4 53 32.000 E -2.00m",
            Self::Parameters => "parameters such as alpn=h2,h3 or port=8443, each key once",
            Self::Hyphenated(6) => "six hexadecimal pairs such as 00-00-5e-00-53-2a",
            Self::Hyphenated(_) => "eight hexadecimal pairs such as 00-00-5e-ef-10-00-00-2a",
            Self::Octets => "`\\#`, the number of octets, and that many octets in hexadecimal",
        }
    }
}

/// Appends the wire form of a field that is one word; `None` when the word is not what the kind asks for.
fn append_word(kind: Kind, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let small = || u8::try_from(number(text)?).ok();
    match kind {
        Kind::Ipv4 => append(out, std::str::from_utf8(text).ok()?.parse::<Ipv4Addr>().ok()?.octets()),
        Kind::Ipv6 => append(out, std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok()?.octets()),
        Kind::U8 => append(out, [small()?]),
        Kind::U16 => append(out, u16::try_from(number(text)?).ok()?.to_be_bytes()),
        Kind::U32 => append(out, number(text)?.to_be_bytes()),
        Kind::Seconds => append(out, seconds(text)?.to_be_bytes()),
        Kind::Moment => append(out, moment(text)?.to_be_bytes()),
        Kind::Type => append(out, Type::from_text(text)?.0.to_be_bytes()),
        Kind::Algorithm => append(out, [mnemonic::algorithm(text)?]),
        Kind::CertificateType => append(out, mnemonic::certificate(text)?.to_be_bytes()),
        Kind::Tag if !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric) => append_counted(out, text),
        Kind::Salt if text == b"-" => append(out, [0]),
        Kind::Salt => append_counted(out, &HEXUPPER_PERMISSIVE.decode(text).ok()?),
        Kind::Hash => {
            let octets = BASE32HEX_NOPAD.decode(&text.to_ascii_uppercase()).ok()?;
            append_counted(out, &octets).filter(|()| !octets.is_empty())
        }
        Kind::Hyphenated(count) => {
            let pairs: Vec<&[u8]> = text.split(|octet| *octet == b'-').collect();
            if pairs.len() != usize::from(count) || pairs.iter().any(|pair| pair.len() != 2) {
                return None;
            }
            out.extend_from_slice(&HEXUPPER_PERMISSIVE.decode(&pairs.concat()).ok()?);
            Some(())
        }
        _ => None,
    }
}

fn append<const N: usize>(out: &mut Vec<u8>, octets: [u8; N]) -> Option<()> {
    out.extend_from_slice(&octets);
    Some(())
}

fn append_counted(out: &mut Vec<u8>, octets: &[u8]) -> Option<()> {
    out.push(u8::try_from(octets.len()).ok()?);
    out.extend_from_slice(octets);
    Some(())
}

/// Writes sorted types as windows of bits, without trailing zeros (RFC 4034 section 4.1.2).
fn append_bitmap(types: &[Type], out: &mut Vec<u8>) {
    for window in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut bits = [0u8; 32];
        let mut length = 0;
        for rtype in window {
            let bit = usize::from(rtype.0 & 0xff);
            bits[bit / 8] |= 0x80 >> (bit % 8);
            length = bit / 8 + 1;
        }
        let number = window.first().map_or(0, |rtype| rtype.0 >> 8);
        out.extend_from_slice(&[number as u8, length as u8]);
        out.extend_from_slice(&bits[..length]);
    }
}

/// The octets that fit into RDLENGTH.
const MAX_RDATA: usize = 65_535;
