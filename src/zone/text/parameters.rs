//! Service parameters of SVCB and HTTPS (RFC 9460 section 2.1): `alpn=h2,h3 port=8443`.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::fault::Blame;
use super::print::print_quoted;
use super::rdata::FieldReader;
use super::value::{append_unescaped, number};
use crate::zone::rdata::validate;

/// The keys that have a name (RFC 9460 section 14.3.2, RFC 9461, RFC 9540); the index is the number.
const KEYS: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

pub(super) fn read(reader: &mut FieldReader<'_, '_>) -> Result<(), Blame> {
    let mut parameters: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut spot = reader.scanner.spot();
    while let Some(token) = reader.scanner.next()? {
        spot = token.spot;
        let (name, mut text) = match token.text.iter().position(|octet| *octet == b'=') {
            Some(at) => (&token.text[..at], Some(&token.text[at + 1..])),
            None => (token.text, None),
        };
        if text.is_some_and(<[u8]>::is_empty)
            && let Some(next) = reader.scanner.next()?
        {
            if next.quoted && token.touches(&next) {
                text = Some(next.text);
            } else {
                reader.scanner.unread(next);
            }
        }
        let key = key(name).filter(|key| !token.quoted && parameters.iter().all(|(other, _)| other != key));
        let parameter = key.and_then(|key| Some((key, value(key, text)?)));
        parameters.push(parameter.ok_or_else(|| reader.blame(token))?);
    }
    parameters.sort_unstable();
    for (key, value) in parameters {
        reader.out.extend_from_slice(&key.to_be_bytes());
        let length = u16::try_from(value.len())
            .map_err(|_| Blame::new(spot, format!("a parameter of {} octets", value.len()), "at most 65535 octets"))?;
        reader.out.extend_from_slice(&length.to_be_bytes());
        reader.out.extend_from_slice(&value);
    }
    validate(reader.rtype, reader.out)
        .map_err(|_| Blame::new(spot, "a mandatory key that is absent", "each key that `mandatory` names"))
}

fn key(name: &[u8]) -> Option<u16> {
    if let Some(known) = KEYS.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
        return u16::try_from(known).ok();
    }
    let digits = name.strip_prefix(b"key")?;
    let canonical = digits.len() == 1 || digits.first() != Some(&b'0');
    u16::try_from(number(digits)?).ok().filter(|key| canonical && *key != u16::MAX)
}

/// The wire form of a value; `None` when it is not what its key asks for.
fn value(key: u16, text: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    append_unescaped(text.unwrap_or_default(), &mut plain)?;
    let addresses = || std::str::from_utf8(&plain).ok().map(|list| list.split(','));
    match key {
        0 => {
            let keys: Option<Vec<u16>> = plain.split(|octet| *octet == b',').map(self::key).collect();
            let mut keys = keys.filter(|keys| !keys.contains(&0))?;
            keys.sort_unstable();
            let distinct = keys.windows(2).all(|pair| pair[0] != pair[1]);
            distinct.then(|| keys.iter().flat_map(|key| key.to_be_bytes()).collect())
        }
        1 => protocols(&plain),
        2 | 8 => text.is_none_or(<[u8]>::is_empty).then(Vec::new),
        3 => Some(u16::try_from(number(&plain)?).ok()?.to_be_bytes().to_vec()),
        4 => {
            let octets = addresses()?.map(|address| address.parse::<Ipv4Addr>().map(|parsed| parsed.octets()));
            Some(octets.collect::<Result<Vec<_>, _>>().ok()?.concat())
        }
        5 => BASE64.decode(&plain).ok().filter(|octets| !octets.is_empty()),
        6 => {
            let octets = addresses()?.map(|address| address.parse::<Ipv6Addr>().map(|parsed| parsed.octets()));
            Some(octets.collect::<Result<Vec<_>, _>>().ok()?.concat())
        }
        7 => (!plain.is_empty()).then_some(plain),
        _ => Some(plain),
    }
}

/// A list of strings separated by commas, where `\,` and `\\` are octets of a string (RFC 9460 appendix A.1).
fn protocols(list: &[u8]) -> Option<Vec<u8>> {
    let mut strings = vec![Vec::new()];
    let mut octets = list.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b',' => strings.push(Vec::new()),
            b'\\' => strings.last_mut()?.push(*octets.next().filter(|next| matches!(next, b',' | b'\\'))?),
            _ => strings.last_mut()?.push(*octet),
        }
    }
    let mut wire = Vec::new();
    for string in strings {
        wire.push(u8::try_from(string.len()).ok().filter(|length| *length > 0)?);
        wire.extend_from_slice(&string);
    }
    Some(wire)
}

/// Prints valid parameters.
pub(super) fn print(mut rest: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    while let [key_high, key_low, length_high, length_low, tail @ ..] = rest {
        let length = u16::from_be_bytes([*length_high, *length_low]);
        let (value, after) = tail.split_at(usize::from(length));
        rest = after;
        f.write_str(separator)?;
        separator = " ";
        print_parameter(u16::from_be_bytes([*key_high, *key_low]), value, f)?;
    }
    Ok(())
}

fn print_parameter(key: u16, value: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    print_key(key, f)?;
    if value.is_empty() {
        return Ok(());
    }
    f.write_char('=')?;
    let separate = |index: usize| if index == 0 { "" } else { "," };
    match key {
        0 => value.chunks_exact(2).enumerate().try_for_each(|(index, pair)| {
            f.write_str(separate(index))?;
            print_key(u16::from_be_bytes([pair[0], pair[1]]), f)
        }),
        1 => print_quoted(&protocol_list(value), f),
        3 => write!(f, "{}", u16::from_be_bytes([value[0], value[1]])),
        4 => value.chunks_exact(4).enumerate().try_for_each(|(index, octets)| {
            let address: [u8; 4] = octets.try_into().expect("chunks of four");
            write!(f, "{}{}", separate(index), Ipv4Addr::from(address))
        }),
        5 => f.write_str(&BASE64.encode(value)),
        6 => value.chunks_exact(16).enumerate().try_for_each(|(index, octets)| {
            let address: [u8; 16] = octets.try_into().expect("chunks of sixteen");
            write!(f, "{}{}", separate(index), Ipv6Addr::from(address))
        }),
        _ => print_quoted(value, f),
    }
}

fn print_key(key: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match KEYS.get(usize::from(key)) {
        Some(name) => f.write_str(name),
        None => write!(f, "key{key}"),
    }
}

fn protocol_list(mut rest: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    while let Some((length, tail)) = rest.split_first() {
        let (string, after) = tail.split_at(usize::from(*length));
        rest = after;
        if !list.is_empty() {
            list.push(b',');
        }
        for octet in string {
            if matches!(octet, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(*octet);
        }
    }
    list
}
