//! Class CHAOS: who is answering (RFC 4892).

use super::reply::{Full, Owner, Reply, Section};
use crate::config::Identity;
use crate::metrics::Outcome;
use crate::wire::{LowerName, Question, Rcode, Type};

/// Longest text of an identity; a character string has no more (RFC 1035 section 3.3).
const LONGEST: usize = 255;
const HEADER: [u8; 12] = [0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 0, 0, 0];

/// Answers `version.bind` and its like as configured; all else of the class is refused.
pub(super) fn answer(
    identity: &Identity,
    name: &LowerName,
    question: &Question,
    reply: &mut Reply<'_, '_>,
) -> Result<Outcome, Full> {
    let text = match name.octets() {
        b"\x07version\x04bind\0" | b"\x07version\x06server\0" => identity.version.as_deref(),
        b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => identity.id.as_deref(),
        _ => None,
    };
    let Some(text) = text else {
        reply.rcode = Rcode::REFUSED;
        return Ok(Outcome::Refused);
    };
    reply.authoritative = true;
    if matches!(question.qtype, Type::TXT | Type::ANY) {
        let text = &text.as_bytes()[..text.len().min(LONGEST)];
        let mut record = [0; HEADER.len() + 1 + LONGEST];
        let end = HEADER.len() + 1 + text.len();
        record[..HEADER.len()].copy_from_slice(&HEADER);
        record[10..12].copy_from_slice(&(1 + text.len() as u16).to_be_bytes());
        record[12] = text.len() as u8;
        record[13..end].copy_from_slice(text);
        reply.put_records(Section::Answer, Owner::Question, 1, &record[..end])?;
    }
    Ok(Outcome::Chaos)
}
