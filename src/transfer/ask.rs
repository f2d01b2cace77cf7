//! The questions that a secondary asks.

use super::response::Question;
use crate::wire::{Class, Type};
use crate::zone::Serial;

/// The message that asks `question`; for IXFR with the SOA of what is here (RFC 1995 section 3).
pub fn ask(question: &Question, ours: Option<Serial>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(64);
    octets.extend_from_slice(&question.id.to_be_bytes());
    octets.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, u8::from(ours.is_some()), 0, 0]);
    octets.extend_from_slice(question.apex.borrow().as_bytes());
    octets.extend_from_slice(&question.qtype.0.to_be_bytes());
    octets.extend_from_slice(&Class::IN.0.to_be_bytes());
    if let Some(Serial(serial)) = ours {
        octets.extend_from_slice(&[0xc0, 12]);
        octets.extend_from_slice(&Type::SOA.0.to_be_bytes());
        octets.extend_from_slice(&Class::IN.0.to_be_bytes());
        // TTL, and RDATA of two root names and five numbers, of which the serial alone counts.
        octets.extend_from_slice(&[0, 0, 0, 0, 0, 22, 0, 0]);
        octets.extend_from_slice(&serial.to_be_bytes());
        octets.extend_from_slice(&[0; 16]);
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;
    use hickory_proto::op::Message;
    use hickory_proto::rr::{RData, RecordType};

    #[test]
    fn hickory_reads_what_is_asked() {
        let question = Question { id: 7, apex: Name::from_text(b"example.test").unwrap(), qtype: Type::IXFR };
        let message = Message::from_vec(&ask(&question, Some(Serial(9)))).unwrap();
        assert_eq!((message.metadata.id, message.queries[0].query_type()), (7, RecordType::IXFR));
        let soa = &message.authorities[0];
        assert_eq!(soa.name.to_string(), "example.test.");
        assert!(matches!(&soa.data, RData::SOA(soa) if soa.serial == 9), "{soa:?}");
        let question = Question { qtype: Type::AXFR, ..question };
        let message = Message::from_vec(&ask(&question, None)).unwrap();
        assert_eq!((message.queries[0].query_type(), message.authorities.len()), (RecordType::AXFR, 0));
    }
}
