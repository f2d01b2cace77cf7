//! The reader of a transfer: messages in, one whole result out, or a fault and nothing.
//!
//! ```text
//!            SOA n          SOA n = first          ┌───────────────────────────┐
//! AXFR     ────────► Whole ───────────────► Ended  │ IXFR, ours is n: SOA n    │ up to date
//!                      ▲                           │ IXFR, differences:        │
//!            any other │        SOA from           │ SOA n, SOA ours, deleted, │
//! IXFR  ──► First ─────┴─► Deleting ⇄ Adding ─► …  │ SOA m, added, …, SOA n    │
//!                               SOA to    SOA n    └───────────────────────────┘
//! ```
//!
//! RFC 5936 section 2.2 and RFC 1995 section 4. Whatever is not exactly so is refused.

use super::misbehaviour::Misbehaviour;
use super::response::{Question, Response};
use crate::wire::{Class, Type};
use crate::zone::{Record, Records, Serial};

/// The differences between two serials, SOA records not among them.
#[derive(Clone, Debug)]
pub struct Delta {
    /// What the zone had.
    pub from: Serial,
    /// What it has then.
    pub to: Serial,
    /// What goes.
    pub deleted: Records,
    /// What comes.
    pub added: Records,
}

/// What a whole transfer brought.
#[derive(Clone, Debug)]
pub enum Received {
    /// The primary has nothing newer than ours.
    UpToDate(Serial),
    /// The zone, its SOA first.
    Whole(Records),
    /// How it differs from ours; the records hold one SOA, the new one.
    Changes(Vec<Delta>, Records),
}

/// See the module.
#[derive(Debug)]
pub struct Intake {
    question: Question,
    /// The serial we have, when differences to it were asked for.
    ours: Option<Serial>,
    limit: usize,
    octets: usize,
    messages: usize,
    state: State,
    /// The SOA that came first, and in a whole zone all that follows.
    records: Records,
    deltas: Vec<Delta>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    Second(Serial),
    Whole(Serial),
    Deleting(Serial),
    Adding(Serial),
    Ended,
    Same(Serial),
}

impl Intake {
    /// Waits for the answer to `question`, which asked for differences from `ours` if that is given. More than `limit`
    /// octets, as memory holds them, are too many.
    pub fn new(question: Question, ours: Option<Serial>, limit: usize) -> Self {
        let (records, deltas) = (Records::new(), Vec::new());
        Self { question, ours, limit, octets: 0, messages: 0, state: State::First, records, deltas }
    }

    /// Takes one message; says whether it was the last.
    ///
    /// # Errors
    /// When the transfer cannot be taken, whatever else may come.
    pub fn take(&mut self, message: &[u8]) -> Result<bool, Misbehaviour> {
        let response = Response::read(message, &self.question)?;
        if response.truncated {
            return Err(Misbehaviour::Malformed);
        }
        self.messages += 1;
        // A message costs something even if nothing is in it: so an endless row of them ends, too.
        self.count(HEADER_COST)?;
        response.records(|record| self.record(record))?;
        match self.state {
            State::First => return Err(Misbehaviour::NoSoa),
            // One SOA, and nothing newer: that is the whole answer (RFC 1995 section 2).
            State::Second(serial) if self.ours.is_some_and(|ours| !serial.is_after(ours)) => {
                self.state = State::Same(serial);
            }
            _ => {}
        }
        Ok(matches!(self.state, State::Ended | State::Same(_)))
    }

    /// How many messages have come.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// What came.
    ///
    /// # Errors
    /// When it is not at its end: the connection closed too early, or it never ended.
    pub fn finish(self) -> Result<Received, Misbehaviour> {
        match self.state {
            State::Same(serial) => Ok(Received::UpToDate(serial)),
            State::Ended if self.deltas.is_empty() => Ok(Received::Whole(self.records)),
            State::Ended => Ok(Received::Changes(self.deltas, self.records)),
            State::Second(serial) => Err(Misbehaviour::Nothing(serial)),
            _ => Err(Misbehaviour::Short),
        }
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), Misbehaviour> {
        let apex = self.question.apex.borrow();
        if record.class != Class::IN {
            return Err(Misbehaviour::Class);
        }
        if !record.owner.is_within(apex) {
            return Err(Misbehaviour::OutOfZone);
        }
        self.count(record.owner.len() + record.rdata.len() + RECORD_COST)?;
        let soa = match record.rtype {
            Type::SOA if record.owner == self.question.apex.borrow() => serial_of(Some(record)),
            Type::SOA => return Err(Misbehaviour::OutOfZone),
            _ => None,
        };
        self.state = self.step(record, soa)?;
        Ok(())
    }

    /// Where `record` leads; `soa` is its serial if it is the zone's SOA.
    fn step(&mut self, record: Record<'_>, soa: Option<Serial>) -> Result<State, Misbehaviour> {
        match (self.state, soa) {
            (State::Ended | State::Same(_), _) => Err(Misbehaviour::Trailing),
            (State::First, None) => Err(Misbehaviour::NoSoa),
            (State::First, Some(serial)) => {
                self.records.push(record);
                Ok(State::Second(serial))
            }
            (State::Second(last), Some(from)) if self.ours.is_some() && from != last => {
                self.begin_delta(from, self.ours.unwrap_or(from))
            }
            (State::Second(last) | State::Whole(last), None) => {
                self.records.push(record);
                Ok(State::Whole(last))
            }
            (State::Second(_) | State::Whole(_), Some(_)) => match self.records.at(0).rdata == record.rdata {
                true => Ok(State::Ended),
                false => Err(Misbehaviour::EndDiffers),
            },
            (State::Deleting(last), Some(to)) => {
                self.delta().to = to;
                Ok(State::Adding(last))
            }
            (State::Deleting(last), None) => {
                self.delta().deleted.push(record);
                Ok(State::Deleting(last))
            }
            (State::Adding(last), None) => {
                self.delta().added.push(record);
                Ok(State::Adding(last))
            }
            (State::Adding(last), Some(serial)) => match self.delta().to {
                to if to == last && serial == last => Ok(State::Ended),
                to => self.begin_delta(serial, to),
            },
        }
    }

    /// Differences that start at `from`, where `expected` is due.
    fn begin_delta(&mut self, from: Serial, expected: Serial) -> Result<State, Misbehaviour> {
        if from != expected {
            return Err(Misbehaviour::Chain { expected, found: from });
        }
        let last = serial_of(self.records.iter().next()).expect("the first record is the SOA");
        self.deltas.push(Delta { from, to: from, deleted: Records::new(), added: Records::new() });
        Ok(State::Deleting(last))
    }

    fn delta(&mut self) -> &mut Delta {
        self.deltas.last_mut().expect("these states begin with a delta")
    }

    fn count(&mut self, octets: usize) -> Result<(), Misbehaviour> {
        self.octets += octets;
        if self.octets > self.limit { Err(Misbehaviour::TooMuch) } else { Ok(()) }
    }
}

/// The serial of a SOA record; `None` for no record. RDATA that was expanded is valid.
fn serial_of(soa: Option<Record<'_>>) -> Option<Serial> {
    let numbers = soa?.rdata.last_chunk::<20>()?;
    Some(Serial(u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]])))
}

/// What a record costs beside its octets, about.
const RECORD_COST: usize = 64;
/// What a message costs beside its records.
const HEADER_COST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;
    use crate::zone::text;
    use std::path::Path;

    /// Master file lines as the answer section of one message; `@` is `test.`.
    fn message(lines: &[&str]) -> Vec<u8> {
        let mut octets = b"\x00\x07\x84\x00\0\x01\0\0\0\0\0\0\x04test\x00\x00\xfb\x00\x01".to_vec();
        for line in lines {
            let apex = Name::from_text(b"test").unwrap();
            let text = format!("{}\n", line.replace("SOA ", "SOA ns h ").replace('!', " 1 1 1 1"));
            let loaded = text::read_bytes(text.as_bytes(), Path::new("m"), Some(&apex), &text::Limits::default());
            assert_eq!(loaded.records.len(), 1, "{line}: {:?}", loaded.faults);
            let record = loaded.records.at(0);
            octets.extend_from_slice(record.owner.as_bytes());
            octets.extend_from_slice(&record.rtype.0.to_be_bytes());
            octets.extend_from_slice(&record.class.0.to_be_bytes());
            octets.extend_from_slice(&record.ttl.to_be_bytes());
            octets.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
            octets.extend_from_slice(record.rdata);
        }
        octets[7] = lines.len() as u8;
        octets
    }

    /// What comes of the messages, each with its lines; the question asked for differences to `ours` if that is given.
    fn take(ours: Option<u32>, messages: &[&[&str]]) -> Result<Received, Misbehaviour> {
        let question = Question { id: 7, apex: Name::from_text(b"test").unwrap(), qtype: Type::IXFR };
        let mut intake = Intake::new(question, ours.map(Serial), 100_000);
        for lines in messages {
            intake.take(&message(lines))?;
        }
        intake.finish()
    }

    fn owners(records: &Records) -> Vec<String> {
        records.iter().map(|record| format!("{} {}", record.owner, record.rtype)).collect()
    }

    #[test]
    fn a_whole_zone_may_come_in_any_number_of_messages() {
        let (soa, ns, a) = ("@ 60 SOA 5!", "@ 60 NS ns", "a 60 A 192.0.2.1");
        for ours in [None, Some(3)] {
            for messages in [&[&[soa, ns, a, soa][..]][..], &[&[soa], &[ns], &[a], &[soa]], &[&[soa, ns], &[a, soa]]] {
                match take(ours, messages) {
                    Ok(Received::Whole(records)) => {
                        assert_eq!(owners(&records), ["test. SOA", "test. NS", "a.test. A"]);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn differences_are_a_chain_from_our_serial_to_the_new_one() {
        let (last, first, middle) = ("@ 60 SOA 5!", "@ 60 SOA 3!", "@ 60 SOA 4!");
        let chain =
            [last, first, "a 60 A 192.0.2.1", middle, "b 60 A 192.0.2.1", middle, last, "c 60 A 192.0.2.1", last];
        for messages in [&[&chain[..]][..], &[&chain[..1], &chain[1..4], &chain[4..]]] {
            let Ok(Received::Changes(deltas, soa)) = take(Some(3), messages) else { panic!("no differences") };
            let seen: Vec<_> = deltas.iter().map(|delta| (delta.from.0, delta.to.0)).collect();
            assert_eq!((seen, owners(&soa)), (vec![(3, 4), (4, 5)], vec!["test. SOA".to_owned()]));
            assert_eq!(
                (owners(&deltas[0].deleted), owners(&deltas[0].added)),
                (vec!["a.test. A".into()], vec!["b.test. A".into()])
            );
            assert_eq!((owners(&deltas[1].deleted), owners(&deltas[1].added)), (vec![], vec!["c.test. A".into()]));
        }
        let chain = |expected, found| Misbehaviour::Chain { expected: Serial(expected), found: Serial(found) };
        assert_eq!(take(Some(2), &[&[last, first]]).unwrap_err(), chain(2, 3));
        assert_eq!(take(Some(3), &[&[last, first, middle, first]]).unwrap_err(), chain(4, 3));
    }

    #[test]
    fn one_soa_that_is_not_newer_says_that_nothing_has_changed() {
        for serial in ["@ 60 SOA 5!", "@ 60 SOA 4!"] {
            assert!(matches!(take(Some(5), &[&[serial]]), Ok(Received::UpToDate(_))), "{serial}");
        }
        assert_eq!(take(Some(5), &[&["@ 60 SOA 6!"]]).unwrap_err(), Misbehaviour::Nothing(Serial(6)));
        assert_eq!(take(None, &[&["@ 60 SOA 6!"]]).unwrap_err(), Misbehaviour::Nothing(Serial(6)));
    }

    #[test]
    fn what_is_half_or_false_is_refused() {
        let (soa, ns) = ("@ 60 SOA 5!", "@ 60 NS ns");
        for (messages, fault) in [
            (&[&[soa, ns][..]][..], Misbehaviour::Short),
            (&[&[ns, soa]], Misbehaviour::NoSoa),
            (&[&[]], Misbehaviour::NoSoa),
            (&[&[soa, ns, "@ 60 SOA 6!"]], Misbehaviour::EndDiffers),
            (&[&[soa, ns, soa, ns]], Misbehaviour::Trailing),
            (&[&[soa, "a 60 SOA 5!", soa]], Misbehaviour::OutOfZone),
        ] {
            assert_eq!(take(None, messages).unwrap_err(), fault, "{messages:?}");
        }
    }

    #[test]
    fn a_record_of_another_class_or_zone_is_refused() {
        let question = Question { id: 7, apex: Name::from_text(b"test").unwrap(), qtype: Type::IXFR };
        let whole = message(&["@ 60 SOA 5!", "@ 60 NS ns"]);
        let class = whole.len() - 17;
        let mut chaos = whole.clone();
        chaos[class + 1] = 3;
        assert_eq!(Intake::new(question.clone(), None, 100_000).take(&chaos), Err(Misbehaviour::Class));
        let sub = Question { apex: Name::from_text(b"sub.test").unwrap(), ..question };
        assert_eq!(Intake::new(sub.clone(), None, 100_000).take(&whole), Err(Misbehaviour::NotTheAnswer));
        let mut unasked = whole;
        unasked.drain(12..22);
        unasked[5] = 0;
        assert_eq!(Intake::new(sub, None, 100_000).take(&unasked), Err(Misbehaviour::OutOfZone));
    }

    #[test]
    fn an_endless_transfer_ends_at_the_limit() {
        let question = Question { id: 7, apex: Name::from_text(b"test").unwrap(), qtype: Type::IXFR };
        for lines in [&["a 60 A 192.0.2.1"][..], &[]] {
            let mut intake = Intake::new(question.clone(), None, 100_000);
            assert_eq!(intake.take(&message(&["@ 60 SOA 5!"])), Ok(false));
            let more = message(lines);
            let mut steps = (0..2000).map(|_| intake.take(&more));
            assert_eq!(steps.find(Result::is_err), Some(Err(Misbehaviour::TooMuch)), "{lines:?}");
        }
    }

    #[test]
    fn no_octets_make_it_panic() {
        let whole = message(&["@ 60 SOA 5!", "@ 60 NS ns", "a 60 MX 1 b", "@ 60 SOA 5!"]);
        let question = Question { id: 7, apex: Name::from_text(b"test").unwrap(), qtype: Type::IXFR };
        for cut in 0..whole.len() {
            assert!(Intake::new(question.clone(), None, 100_000).take(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for octet in [0, 1, 0x3f, 0x80, 0xc0, 0xff] {
                let mut broken = whole.clone();
                broken[at] = octet;
                // Whether it is taken is not the question here.
                let _ = Intake::new(question.clone(), Some(Serial(1)), 100_000).take(&broken);
            }
        }
    }
}
