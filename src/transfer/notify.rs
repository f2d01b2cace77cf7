//! NOTIFY (RFC 1996), and answers that are no more than a header and a question.

use crate::wire::{Class, HEADER, LowerName, Name, NameRef, Opcode, Query, Rcode, Type};
use crate::zone::{Image, Serial};

/// What a primary has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The zone, in lower case.
    pub zone: Name,
    /// Who told.
    pub from: std::net::IpAddr,
    /// The serial that came with it; a hint, and not more.
    pub serial: Option<Serial>,
}

/// The NOTIFY that tells of `image`, with the SOA record that the zone has now.
pub fn notify(id: u16, image: &Image) -> Vec<u8> {
    const AA: u8 = 0x04;
    let apex = image.zone().apex().as_bytes();
    let (ttl, rdata) = image.soa();
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[Opcode::NOTIFY.0 << 3 | AA, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    message.extend_from_slice(apex);
    message.extend([Type::SOA.0, Class::IN.0].map(u16::to_be_bytes).concat());
    // The owner is the name of the question.
    message.extend_from_slice(&[0xc0, HEADER as u8]);
    message.extend([Type::SOA.0, Class::IN.0].map(u16::to_be_bytes).concat());
    message.extend_from_slice(&ttl.to_be_bytes());
    message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    message.extend_from_slice(&rdata);
    message
}

/// What a message says to the NOTIFY with this ID for this zone: its rcode. `None` when it is no answer to it.
pub fn acknowledgement(message: &[u8], id: u16, zone: NameRef<'_>) -> Option<Rcode> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    let is_answer = header[..2] == id.to_be_bytes() && header[2] & QR != 0 && header[2] >> 3 & 15 == Opcode::NOTIFY.0;
    // A server that does not know the opcode may leave the question out.
    let fits = match header[4..6] {
        [0, 0] => true,
        _ => NameRef::parse(&message[HEADER..]).is_ok_and(|name| name == zone),
    };
    (is_answer && fits).then_some(Rcode(u16::from(header[3] & 15)))
}

/// The answer to `message` that has its header, its question where that can be read, and `rcode`. The message must have a
/// header.
pub fn bare_reply(message: &[u8], rcode: Rcode, authoritative: bool) -> Vec<u8> {
    let question = Query::new(message).ok().and_then(|query| query.question(&mut LowerName::default()).ok());
    let end = question.map_or(HEADER, |question| question.end());
    let mut reply = message[..end].to_vec();
    reply[2] = QR | message[2] & (OPCODE | RD) | if authoritative { AA } else { 0 };
    reply[3] = rcode.0 as u8;
    reply[4..HEADER].fill(0);
    reply[5] = u8::from(end > HEADER);
    reply
}

/// Bits of the header's third octet (RFC 1035 section 4.1.1).
const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const AA: u8 = 0x04;
const RD: u8 = 0x01;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::zone::{Zone, text};

    #[test]
    fn a_notify_tells_the_serial_and_its_answer_is_known() {
        let apex = Name::from_text(b"example.test.").unwrap();
        let source = b"@ 60 SOA ns host 258 1 1 1 30\n@ 60 NS ns.elsewhere.\n";
        let loaded = text::read_bytes(source, Path::new("zone"), Some(&apex), &text::Limits::default());
        let image = Image::of(Arc::new(Zone::build(&apex, &loaded.records).unwrap()));
        let message = notify(0x1234, &image);
        let query = Query::new(&message).unwrap();
        assert_eq!(query.opcode(), Opcode::NOTIFY);
        let question = query.question(&mut LowerName::default()).unwrap();
        assert_eq!((question.qtype, query.soa_serial(&question)), (Type::SOA, Some(258)));
        assert!(query.extras(&question).is_ok(), "no octet too many");
        let reply = bare_reply(&message, Rcode::REFUSED, false);
        assert_eq!(acknowledgement(&reply, 0x1234, apex.borrow()), Some(Rcode::REFUSED));
        assert_eq!(acknowledgement(&reply, 0x1235, apex.borrow()), None);
        assert_eq!(acknowledgement(&reply, 0x1234, NameRef::ROOT), None);
        assert_eq!(acknowledgement(&message, 0x1234, apex.borrow()), None, "no answer");
    }
}
