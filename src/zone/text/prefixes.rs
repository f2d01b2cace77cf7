//! Address prefixes of APL (RFC 3123): `[!]family:address/length`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fault::Blame;
use super::rdata::FieldReader;
use super::value::number;

pub(super) fn read(reader: &mut FieldReader<'_, '_>) -> Result<(), Blame> {
    while let Some(token) = reader.scanner.next()? {
        let appended = if token.quoted { None } else { append(token.text, reader.out) };
        appended.ok_or_else(|| reader.blame(token))?;
    }
    Ok(())
}

fn append(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = std::str::from_utf8(text).ok()?;
    let (negated, prefix) = match text.strip_prefix('!') {
        Some(rest) => (0x80, rest),
        None => (0, text),
    };
    let (family, rest) = prefix.split_once(':')?;
    let (address, length) = rest.split_once('/')?;
    let length = u8::try_from(number(length.as_bytes())?).ok()?;
    let (family, widest, octets) = match family {
        "1" => (1, 32, address.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        "2" => (2, 128, address.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        _ => return None,
    };
    if length > widest {
        return None;
    }
    let used = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    out.extend_from_slice(&[0, family, length, negated | used as u8]);
    out.extend_from_slice(&octets[..used]);
    Some(())
}

/// Prints valid prefixes.
pub(super) fn print(mut rest: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    while let [_, family, length, counted, tail @ ..] = rest {
        let (address, after) = tail.split_at(usize::from(counted & 0x7f));
        rest = after;
        let mut octets = [0; 16];
        octets[..address.len()].copy_from_slice(address);
        let address = match family {
            1 => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
            _ => IpAddr::from(octets),
        };
        let negation = if counted & 0x80 == 0 { "" } else { "!" };
        write!(f, "{separator}{negation}{family}:{address}/{length}")?;
        separator = " ";
    }
    Ok(())
}
