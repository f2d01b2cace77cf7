//! TXT at `_explain.NAME`: how the pool NAME stands, for whoever may ask.
//!
//! One record a line, so that `dig +short` shows lines: the pool, each family, each member. It may be cached by nobody.

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::lookup::Lookup;
use super::reply::{Full, Owner, Reply, Section};
use crate::metrics::Outcome;
use crate::pool::{Member, Spread, Standing};
use crate::snapshot::{FamilyPool, Pool};
use crate::wire::{Class, Type};

/// The label that asks, lower-cased and in wire form.
pub(super) const LABEL: &[u8] = b"\x08_explain";

/// Members that are told of: with this many of the longest lines the reply stays below the 65,535 octets of a message.
const MOST_MEMBERS: usize = 400;
/// Octets of a character string (RFC 1035 section 3.3).
const LONGEST: usize = u8::MAX as usize;
/// Octets before the string: owner, type, class, TTL, RDLENGTH and the length of the string.
const HEAD: usize = 13;

/// Answers with how `pool` stands.
pub(super) fn answer(lookup: &Lookup<'_>, pool: &Pool, reply: &mut Reply<'_, '_>) -> Result<Outcome, Full> {
    if !matches!(lookup.qtype, Type::TXT | Type::ANY) {
        lookup.deny(reply)?;
        return Ok(Outcome::NoData);
    }
    let generation = lookup.snapshot.generation;
    let (owner, spread) = (&pool.owner, pool.policy.spread.name());
    put(reply, format_args!("pool {owner} spread {spread}, generation {generation}"))?;
    let mut room = MOST_MEMBERS;
    for (rtype, family) in [(Type::A, &pool.a), (Type::AAAA, &pool.aaaa)] {
        let Some(family) = family else { continue };
        put_family(lookup, (pool, rtype, family), reply)?;
        let longest = family.members.iter().map(|member| member.ttl).max().unwrap_or(0);
        for (member, standing) in family.members.iter().zip(&family.selection.standings).take(room) {
            put(reply, format_args!("{}", Line { member, standing: *standing, family, longest }))?;
        }
        if let Some(left) = family.members.len().checked_sub(room).filter(|left| *left > 0) {
            put(reply, format_args!("{rtype}: {left} members more"))?;
        }
        room = room.saturating_sub(family.members.len());
    }
    Ok(Outcome::Answer)
}

fn put_family(
    lookup: &Lookup<'_>,
    (pool, rtype, family): (&Pool, Type, &FamilyPool),
    reply: &mut Reply<'_, '_>,
) -> Result<(), Full> {
    let FamilyPool { members, selection, rotation, .. } = family;
    let (hand, eligible, members) = (rotation.deal(0).count, selection.eligible.len(), members.len());
    let panic = if selection.panic { ", panic: too few are healthy, so all are served" } else { "" };
    put(reply, format_args!("{rtype}: deals {hand}, eligible {eligible} of {members}{panic}"))?;
    if pool.policy.spread == Spread::Affinity {
        let hand = rotation.deal(rotation.slot_of(lookup.client.network(lookup.subnet).0));
        if hand.count > 0 {
            put(reply, format_args!("{rtype}: your hand{}", Spaced(|| rotation.addresses(hand.records))))?;
        }
    }
    Ok(())
}

/// Addresses, each after a space.
struct Spaced<F>(F);

impl<I: Iterator<Item = IpAddr>, F: Fn() -> I> fmt::Display for Spaced<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)().try_for_each(|address| write!(f, " {address}"))
    }
}

/// What is told of one member.
struct Line<'a> {
    member: &'a Member,
    standing: Standing,
    family: &'a FamilyPool,
    /// Seconds: the TTL of members whose verdict does not hang.
    longest: u32,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Member { address, warmth, ttl, .. } = *self.member;
        write!(f, "{address} {}", self.standing)?;
        if warmth < 1.0 && self.standing.is_served() && !self.family.selection.panic {
            write!(f, " at {:.0} % of its weight", warmth * 100.0)?;
        }
        if ttl < self.longest {
            write!(f, ", its verdict hangs: ttl {ttl}")?;
        }
        Ok(())
    }
}

/// Appends a record with one string. What is longer than a string can be is cut.
fn put(reply: &mut Reply<'_, '_>, text: fmt::Arguments<'_>) -> Result<(), Full> {
    let mut record = Record { octets: [0; HEAD + LONGEST], len: HEAD };
    record.write_fmt(text).expect("a record takes what it has room for, and drops the rest");
    let string = record.len - HEAD;
    let [high, low] = (1 + string as u16).to_be_bytes();
    let (rtype, class) = (Type::TXT.0.to_be_bytes(), Class::IN.0.to_be_bytes());
    let head = [0xc0, 12, rtype[0], rtype[1], class[0], class[1], 0, 0, 0, 0, high, low, string as u8];
    record.octets[..HEAD].copy_from_slice(&head);
    reply.put_records(Section::Answer, Owner::Question, 1, &record.octets[..record.len])
}

struct Record {
    octets: [u8; HEAD + LONGEST],
    len: usize,
}

impl Write for Record {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let octets = &text.as_bytes()[..text.len().min(self.octets.len() - self.len)];
        self.octets[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_cut_where_it_can_be_no_longer() {
        let mut record = Record { octets: [0; HEAD + LONGEST], len: HEAD };
        for _ in 0..30 {
            record.write_str("0123456789").expect("it takes all");
        }
        assert_eq!(record.len - HEAD, 255);
        assert_eq!(&record.octets[HEAD + 250..], b"01234");
    }
}
