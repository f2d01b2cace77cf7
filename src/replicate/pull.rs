//! A whole transfer from one primary: differences where there can be any, else the zone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::exchange::{Links, Peer, PullError};
use crate::processor;
use crate::transfer::tsig::Unverified;
use crate::transfer::{Intake, Misbehaviour, Question, Received, Response, apply, build};
use crate::wire::{Name, Type};
use crate::zone::{Records, Serial, Zone};

/// What a transfer may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) octets: usize,
    pub(super) time: Duration,
}

/// A zone that came.
#[derive(Debug)]
pub(super) struct Pulled {
    pub(super) zone: Arc<Zone>,
    /// As they came, for the state folder.
    pub(super) records: Records,
    pub(super) how: How,
}

/// How a zone came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Whole, whatever was asked for.
    Axfr,
    /// As differences.
    Ixfr,
}

impl How {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Axfr => "AXFR",
            Self::Ixfr => "IXFR",
        }
    }
}

/// The serial that a primary has.
pub(super) async fn probe(peer: &Peer, apex: &Name, links: &Links) -> Result<Serial, PullError> {
    let question = Question { id: rand::random(), apex: apex.clone(), qtype: Type::SOA };
    let id = question.id;
    peer.ask_short(&question, links, |message| {
        // Who asked by UDP has drawn another ID, and has held the answer against it.
        let id = message.first_chunk().map_or(id, |id| u16::from_be_bytes(*id));
        serial_in(message, &Question { id, apex: apex.clone(), qtype: Type::SOA })
    })
    .await
}

/// The serial in an answer to a question for the SOA.
fn serial_in(message: &[u8], question: &Question) -> Result<Serial, Misbehaviour> {
    let response = Response::read(message, question)?;
    if !response.authoritative {
        return Err(Misbehaviour::NotAuthoritative);
    }
    let mut found = None;
    response.records(|record| {
        if record.rtype == Type::SOA && record.owner == question.apex.borrow() {
            found = record
                .rdata
                .last_chunk::<20>()
                .map(|numbers| Serial(u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]])));
        }
        Ok(())
    })?;
    found.ok_or(Misbehaviour::NoSoa)
}

/// Transfers the zone, which the primary announced with `expected`: IXFR if there is `ours`, and AXFR if that comes to nothing.
/// `None` when the primary has nothing newer after all.
pub(super) async fn pull(
    peer: &Peer,
    apex: &Name,
    (ours, expected): (Option<&Arc<Zone>>, Serial),
    links: &Links,
    bounds: Bounds,
) -> Result<Option<Pulled>, PullError> {
    let deadline = Instant::now() + bounds.time;
    if let Some(ours) = ours {
        match differences(peer, apex, (ours, expected), links, (bounds, deadline)).await {
            Ok(pulled) => return Ok(pulled),
            Err(error @ (PullError::TooLong | PullError::Unverified(_) | PullError::NoKey(_))) => return Err(error),
            Err(error) => {
                debug!(zone = %apex, primary = %peer.primary.addr, %error, "no IXFR, asking for all");
            }
        }
    }
    let question = Question { id: rand::random(), apex: apex.clone(), qtype: Type::AXFR };
    match receive(peer, &question, None, links, (bounds, deadline)).await? {
        Received::Whole(records) => whole(apex, records, expected, How::Axfr).await.map(Some),
        Received::UpToDate(serial) => Err(Misbehaviour::Nothing(serial).into()),
        Received::Changes(..) => Err(Misbehaviour::NotTheAnswer.into()),
    }
}

async fn differences(
    peer: &Peer,
    apex: &Name,
    (ours, expected): (&Arc<Zone>, Serial),
    links: &Links,
    limits: (Bounds, Instant),
) -> Result<Option<Pulled>, PullError> {
    let question = Question { id: rand::random(), apex: apex.clone(), qtype: Type::IXFR };
    match receive(peer, &question, Some(ours.serial()), links, limits).await? {
        Received::UpToDate(found) if expected.is_after(found) => Err(Misbehaviour::Older { expected, found }.into()),
        Received::UpToDate(_) => Ok(None),
        // A primary without the differences answers with the zone (RFC 1995 section 4).
        Received::Whole(records) => whole(apex, records, expected, How::Axfr).await.map(Some),
        Received::Changes(deltas, soa) => {
            let (ours, apex) = (Arc::clone(ours), apex.clone());
            let work = move || {
                let records = apply(&ours, &deltas, &soa)?;
                let zone = Arc::new(build(&apex, &records, Some(expected))?);
                Ok(Some(Pulled { zone, records, how: How::Ixfr }))
            };
            processor::aside(work).await.expect("the work does not panic")
        }
    }
}

async fn whole(apex: &Name, records: Records, expected: Serial, how: How) -> Result<Pulled, PullError> {
    let apex = apex.clone();
    let work = move || {
        let zone = Arc::new(build(&apex, &records, Some(expected))?);
        Ok(Pulled { zone, records, how })
    };
    processor::aside(work).await.expect("the work does not panic")
}

async fn receive(
    peer: &Peer,
    question: &Question,
    ours: Option<Serial>,
    links: &Links,
    (bounds, deadline): (Bounds, Instant),
) -> Result<Received, PullError> {
    let mut answers = peer.open(question, ours, links).await?;
    let mut intake = Intake::new(question.clone(), ours, bounds.octets);
    while !intake.take(&answers.next(deadline).await?)? {}
    if !answers.is_complete() {
        return Err(Unverified::Missing.into());
    }
    Ok(intake.finish()?)
}
