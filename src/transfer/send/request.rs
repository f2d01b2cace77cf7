//! What a client asks for.

use crate::wire::{HEADER, LowerName, Name, Query, Question, Type};
use crate::zone::Serial;

/// A request for a transfer, read.
#[derive(Clone, Debug)]
pub struct Request {
    id: [u8; 2],
    recursion_desired: u8,
    question: Vec<u8>,
    /// The zone, in lower case.
    pub zone: Name,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// Whether the request has OPT.
    pub(super) edns: bool,
}

/// What is wanted of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it (AXFR).
    Whole,
    /// What has changed since this serial (IXFR).
    Since(Serial),
}

impl Request {
    /// Reads a request that has no TSIG record any more. `None` when it is none, or breaks the format.
    pub fn read(message: &[u8]) -> Option<Self> {
        let query = Query::new(message).ok()?;
        let mut name = LowerName::default();
        let question = query.question(&mut name).ok()?;
        let extras = query.extras(&question).ok()?;
        let wanted = match question.qtype {
            Type::AXFR => Wanted::Whole,
            Type::IXFR => Wanted::Since(Serial(query.soa_serial(&question)?)),
            _ => return None,
        };
        Some(Self::of(message, &question, name.name().to_name(), wanted, extras.edns.is_some()))
    }

    fn of(message: &[u8], question: &Question, zone: Name, wanted: Wanted, edns: bool) -> Self {
        let recursion_desired = message[2] & 1;
        let question = message[HEADER..question.end()].to_vec();
        Self { id: [message[0], message[1]], recursion_desired, question, zone, wanted, edns }
    }

    /// The question as it was asked.
    pub(super) fn question(&self) -> &[u8] {
        &self.question
    }

    /// The header of an answer with so many questions; counts of records are set later.
    pub(super) fn header(&self, questions: u8) -> [u8; HEADER] {
        const QR_AA: u8 = 0x84;
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&self.id);
        header[2] = QR_AA | self.recursion_desired;
        header[5] = questions;
        header
    }
}
