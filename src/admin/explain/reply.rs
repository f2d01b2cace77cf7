//! What a reply of the engine says: the aliases on the way, and the addresses at their end.

use std::net::IpAddr;

use crate::wire::{HEADER, Name, NameRef, Type, expand_name};

/// The answer section of one reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// The targets of CNAME, in their order.
    pub(super) aliases: Vec<Name>,
    /// The addresses, in their order, and the TTL that they share.
    pub(super) hand: Vec<IpAddr>,
    pub(super) ttl: Option<u32>,
    /// Whether there is a record that is no alias.
    pub(super) answers: bool,
}

impl Read {
    /// `None` for what is no message.
    pub(super) fn of(message: &[u8], asked: Type) -> Option<Self> {
        let mut read = Self::default();
        let mut name = Vec::new();
        // One question: its name, type and class.
        let mut at = expand_name(message, HEADER, &mut name).ok()? + 4;
        for _ in 0..u16_at(message, 6)? {
            name.clear();
            at = expand_name(message, at, &mut name).ok()?;
            let rtype = Type(u16_at(message, at)?);
            let ttl = u32::from_be_bytes(message.get(at + 4..at + 8)?.try_into().ok()?);
            let start = at + 10;
            at = start + usize::from(u16_at(message, at + 8)?);
            let rdata = message.get(start..at)?;
            if rtype == Type::CNAME && asked != Type::CNAME {
                name.clear();
                expand_name(message, start, &mut name).ok()?;
                read.aliases.push(NameRef::parse(&name).ok()?.to_name());
                continue;
            }
            read.answers = true;
            let address = match rtype {
                Type::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
                Type::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
                _ => None,
            };
            if let Some(address) = address {
                read.hand.push(address);
                read.ttl = Some(ttl);
            }
        }
        Some(read)
    }
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..at + 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for `a.test. A`; a CNAME to `b.test.` and its address.
    const REPLY: &[u8] = b"\0\0\x84\0\0\x01\0\x02\0\0\0\0\x01a\x04test\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0e\
        \xc0\x24\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x07";

    #[test]
    fn aliases_and_the_hand_are_read() {
        let read = Read::of(REPLY, Type::A).expect("a message");
        assert_eq!(read.aliases, [Name::from_text(b"b.test.").unwrap()]);
        assert_eq!((read.hand, read.ttl), (vec![IpAddr::from([192, 0, 2, 7])], Some(30)));
        let of_the_alias = Read::of(REPLY, Type::CNAME).expect("a message");
        assert!(of_the_alias.aliases.is_empty() && of_the_alias.answers);
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        for end in 0..REPLY.len() {
            assert_eq!(Read::of(&REPLY[..end], Type::A), None, "{end} octets");
        }
    }
}
