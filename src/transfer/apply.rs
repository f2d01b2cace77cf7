//! Differences laid over the zone that is here, all or nothing.

use std::collections::HashMap;

use super::intake::Delta;
use super::misbehaviour::Misbehaviour;
use crate::wire::{Name, Type};
use crate::zone::{BuildError, Record, Records, Serial, Zone, rdata};

/// The zone after `deltas`, whose last SOA is the one record of `soa`.
///
/// # Errors
/// When a delta deletes what is not there by then or adds what is: then the zone here is not the one that the primary means,
/// and only a whole transfer helps.
pub fn apply(zone: &Zone, deltas: &[Delta], soa: &Records) -> Result<Records, Misbehaviour> {
    let mut fates = fates(deltas)?;
    let mut records = Records::new();
    soa.iter().for_each(|soa| records.push(soa));
    for record in zone.to_records().iter().filter(|record| record.rtype != Type::SOA) {
        match fates.get_mut(&key(record)) {
            None => records.push(record),
            Some(fate) if fate.first == Step::Delete && !fate.found => {
                fate.found = true;
                // A record whose TTL alone changes is deleted and added again.
                if let Some(ttl) = fate.ttl {
                    records.push(Record { ttl, ..record });
                }
            }
            Some(_) => return Err(Misbehaviour::Unfit),
        }
    }
    for delta in deltas {
        for record in delta.added.iter() {
            let fate = fates.get_mut(&key(record)).expect("each record of a delta has its fate");
            if fate.found != (fate.first == Step::Delete) {
                return Err(Misbehaviour::Unfit);
            }
            // What was here has been laid down above; of what was added more than once the last TTL counts.
            if !fate.found && fate.ttl == Some(record.ttl) {
                records.push(record);
                fate.ttl = None;
            }
        }
    }
    match fates.values().all(|fate| fate.found || fate.first == Step::Add) {
        true => Ok(records),
        false => Err(Misbehaviour::Unfit),
    }
}

/// A zone made of records that a primary sent.
///
/// # Errors
/// When they are no zone, or one whose serial is not `expected` or after it.
pub fn build(apex: &Name, records: &Records, expected: Option<Serial>) -> Result<Zone, Misbehaviour> {
    let has_ns = records.iter().any(|record| record.rtype == Type::NS && record.owner == apex.borrow());
    if !has_ns {
        return Err(Misbehaviour::NoZone("it has no NS at its apex"));
    }
    let zone = Zone::build(apex, records).map_err(|error| match error {
        BuildError::NoSoa => Misbehaviour::NoZone("it has no SOA at its apex"),
        BuildError::TooLarge => Misbehaviour::NoZone("it has more than 2 GiB"),
        BuildError::TooMany => Misbehaviour::NoZone("an RRset has more than 65,535 records"),
    })?;
    match (zone.serial(), expected) {
        (found, Some(expected)) if expected.is_after(found) => Err(Misbehaviour::Older { expected, found }),
        _ => Ok(zone),
    }
}

/// What becomes of one record over all deltas.
#[derive(Debug)]
struct Fate {
    first: Step,
    last: Step,
    /// The TTL it has in the end; `None` when it is gone then.
    ttl: Option<u32>,
    /// It is in the zone here.
    found: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Delete,
    Add,
}

/// A record as comparisons see it: the TTL is no part, and neither is the case of names.
type Key = (Name, Type, Box<[u8]>);

fn key(record: Record<'_>) -> Key {
    let mut octets = Vec::with_capacity(record.rdata.len());
    rdata::canonical(record.rtype, record.rdata, &mut octets);
    (record.owner.to_name(), record.rtype, octets.into())
}

fn fates(deltas: &[Delta]) -> Result<HashMap<Key, Fate>, Misbehaviour> {
    let mut fates: HashMap<Key, Fate> = HashMap::new();
    for delta in deltas {
        let deleted = delta.deleted.iter().map(|record| (record, Step::Delete));
        for (record, step) in deleted.chain(delta.added.iter().map(|record| (record, Step::Add))) {
            let ttl = (step == Step::Add).then_some(record.ttl);
            let fate = fates.entry(key(record)).or_insert_with(|| {
                let before = if step == Step::Add { Step::Delete } else { Step::Add };
                Fate { first: step, last: before, ttl: None, found: false }
            });
            if fate.last == step {
                return Err(Misbehaviour::Unfit);
            }
            (fate.last, fate.ttl) = (step, ttl);
        }
    }
    Ok(fates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::text;
    use std::path::Path;

    fn records(lines: &str) -> Records {
        let apex = Name::from_text(b"test").unwrap();
        let source = format!("$TTL 60\n{lines}\n").replace("SOA ", "SOA ns h ").replace('!', " 1 1 1 1");
        let loaded = text::read_bytes(source.as_bytes(), Path::new("z"), Some(&apex), &text::Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        loaded.records
    }

    fn delta(from: u32, deleted: &str, added: &str) -> Delta {
        Delta { from: Serial(from), to: Serial(from + 1), deleted: records(deleted), added: records(added) }
    }

    fn zone() -> Zone {
        let apex = Name::from_text(b"test").unwrap();
        build(&apex, &records("@ SOA 1!\n@ NS ns\na A 192.0.2.1\na A 192.0.2.2\nm MX 1 Mail"), None).unwrap()
    }

    /// The zone after the deltas, less its apex.
    fn after(deltas: &[Delta]) -> Result<Vec<String>, Misbehaviour> {
        let records = apply(&zone(), deltas, &records("@ SOA 9!"))?;
        assert_eq!(records.at(0).rtype, Type::SOA);
        let mut lines: Vec<String> = records
            .iter()
            .skip(2)
            .map(|record| {
                format!(
                    "{} {} {} {}",
                    record.owner,
                    record.ttl,
                    record.rtype,
                    text::print_rdata(record.rtype, record.rdata)
                )
            })
            .collect();
        lines.sort();
        Ok(lines)
    }

    #[test]
    fn deltas_are_laid_over_in_their_order() {
        let deltas = [
            delta(1, "a A 192.0.2.1", "b A 192.0.2.3\nb A 192.0.2.4"),
            delta(2, "b A 192.0.2.3\nm MX 1 mAIL", "c A 192.0.2.5"),
            delta(3, "b A 192.0.2.4", "b 30 A 192.0.2.4"),
        ];
        let expected = ["a.test. 60 A 192.0.2.2", "b.test. 30 A 192.0.2.4", "c.test. 60 A 192.0.2.5"];
        assert_eq!(after(&deltas).unwrap(), expected);
    }

    #[test]
    fn a_new_ttl_is_a_deletion_and_an_addition() {
        let lines = after(&[delta(1, "a A 192.0.2.1", "a 5 A 192.0.2.1")]).unwrap();
        assert_eq!(lines, ["a.test. 5 A 192.0.2.1", "a.test. 60 A 192.0.2.2", "m.test. 60 MX 1 Mail.test."]);
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        for deltas in [
            vec![delta(1, "a A 192.0.2.9", "")],
            vec![delta(1, "", "a A 192.0.2.1")],
            vec![delta(1, "", "b A 192.0.2.1"), delta(2, "", "b A 192.0.2.1")],
            vec![delta(1, "a A 192.0.2.1", ""), delta(2, "a A 192.0.2.1", "")],
            vec![delta(1, "a A 192.0.2.9", "a 5 A 192.0.2.9")],
        ] {
            assert_eq!(after(&deltas), Err(Misbehaviour::Unfit), "{deltas:?}");
        }
    }

    #[test]
    fn a_zone_has_its_apex_and_the_serial_that_was_announced() {
        let apex = Name::from_text(b"test").unwrap();
        let built = |lines, expected| build(&apex, &records(lines), expected).map(|zone| zone.serial());
        assert_eq!(built("@ SOA 5!\n@ NS ns", Some(Serial(5))), Ok(Serial(5)));
        assert_eq!(built("@ SOA 6!\n@ NS ns", Some(Serial(5))), Ok(Serial(6)), "it may have changed meanwhile");
        let older = Misbehaviour::Older { expected: Serial(5), found: Serial(4) };
        assert_eq!(built("@ SOA 4!\n@ NS ns", Some(Serial(5))), Err(older));
        assert_eq!(built("@ SOA 5!", None), Err(Misbehaviour::NoZone("it has no NS at its apex")));
        assert_eq!(built("@ NS ns", None), Err(Misbehaviour::NoZone("it has no SOA at its apex")));
    }

    #[test]
    fn a_zone_is_its_records_again() {
        let zone = zone();
        let again = Zone::build(&zone.apex().to_name(), &zone.to_records()).unwrap();
        let lines =
            |zone: &Zone| zone.to_records().iter().map(|record| text::print(record).to_string()).collect::<Vec<_>>();
        assert_eq!(lines(&zone), lines(&again));
        assert_eq!(lines(&zone).len(), zone.record_count());
    }
}
