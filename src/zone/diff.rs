//! What two images of a zone differ in.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::image::{Image, Place, Shown};
use super::records::{self, Record, Records};
use crate::processor;
use crate::wire::{Class, NameRef, Type};

/// What one serial of a zone has and the other has not, each list led by its SOA record, as IXFR sends them (RFC 1995
/// section 4).
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// What the older has, and the newer not.
    pub deleted: Records,
    /// What the newer has, and the older not.
    pub added: Records,
}

impl Difference {
    /// Between two images of one zone: one walk through both, in the order that both are kept in.
    pub fn between(old: &Image, new: &Image) -> Self {
        let mut difference = Self::default();
        push_soa(&mut difference.deleted, old);
        push_soa(&mut difference.added, new);
        let (mut old_place, mut new_place) = (Place::default(), Place::default());
        let (mut before, mut after) = (old.step(&mut old_place), new.step(&mut new_place));
        loop {
            processor::pause();
            let order = match (&before, &after) {
                (Some(before), Some(after)) => before.order(after),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return difference,
            };
            let (gone, come) = (before.filter(|_| order.is_le()), after.filter(|_| order.is_ge()));
            difference.compare(new.zone().apex(), gone, come);
            if gone.is_some() {
                before = old.step(&mut old_place);
            }
            if come.is_some() {
                after = new.step(&mut new_place);
            }
        }
    }

    /// What several differences in a row come to: what was added and deleted again is left out (RFC 1995 section 5).
    pub fn condensed<'d>(differences: impl IntoIterator<Item = &'d Self>) -> Self {
        let mut condensed = Condensed::default();
        for difference in differences {
            difference.deleted.iter().for_each(|record| condensed.count(record, -1));
            difference.added.iter().for_each(|record| condensed.count(record, 1));
        }
        condensed.finish()
    }

    /// Octets of the records as wire, names not compressed.
    pub fn octets(&self) -> usize {
        let octets = |record: Record<'_>| record.owner.len() + 10 + record.rdata.len();
        self.deleted.iter().chain(self.added.iter()).map(octets).sum()
    }

    /// Two RRsets of one owner and type, or one that has no counterpart.
    fn compare(&mut self, apex: NameRef<'_>, gone: Option<Shown<'_>>, come: Option<Shown<'_>>) {
        if let (Some(gone), Some(come)) = (&gone, &come)
            && gone.rrset.records == come.rrset.records
        {
            return;
        }
        let mut owner = Vec::new();
        let Some(either) = gone.as_ref().or(come.as_ref()) else { return };
        either.write_owner(apex, &mut owner);
        let owner = NameRef::from_valid(&owner);
        let records = |shown: Option<Shown<'_>>| -> Vec<(u32, Vec<u8>)> {
            shown
                .iter()
                .flat_map(|shown| shown.rrset.iter())
                .map(|record| (record.ttl, record.rdata.to_vec()))
                .collect()
        };
        let (old, new) = (records(gone), records(come));
        let rtype = either.rrset.rtype;
        let only = |ours: &[(u32, Vec<u8>)], theirs: &[(u32, Vec<u8>)], into: &mut Records| {
            let theirs: HashSet<_> = theirs.iter().collect();
            for (ttl, rdata) in ours.iter().filter(|record| !theirs.contains(record)) {
                into.push(record(owner, rtype, *ttl, rdata));
            }
        };
        only(&old, &new, &mut self.deleted);
        only(&new, &old, &mut self.added);
    }
}

fn push_soa(records: &mut Records, image: &Image) {
    let (ttl, rdata) = image.soa();
    records.push(record(image.zone().apex(), Type::SOA, ttl, &rdata));
}

fn record<'r>(owner: NameRef<'r>, rtype: Type, ttl: u32, rdata: &'r [u8]) -> Record<'r> {
    Record { owner, rtype, class: Class::IN, ttl, rdata, place: records::Place::default() }
}

/// Records and how often each came more than it went, in the order in which they were first seen.
#[derive(Default)]
struct Condensed<'d> {
    records: Vec<(Record<'d>, i32)>,
    index: HashMap<(NameRef<'d>, Type, u32, &'d [u8]), usize>,
    first_soa: Option<Record<'d>>,
    last_soa: Option<Record<'d>>,
}

impl<'d> Condensed<'d> {
    fn count(&mut self, record: Record<'d>, step: i32) {
        if record.rtype == Type::SOA {
            match step {
                ..0 => _ = self.first_soa.get_or_insert(record),
                _ => self.last_soa = Some(record),
            }
            return;
        }
        let key = (record.owner, record.rtype, record.ttl, record.rdata);
        let index = *self.index.entry(key).or_insert(self.records.len());
        match self.records.get_mut(index) {
            Some((_, count)) => *count += step,
            None => self.records.push((record, step)),
        }
    }

    fn finish(self) -> Difference {
        let mut difference = Difference::default();
        self.first_soa.iter().for_each(|soa| difference.deleted.push(*soa));
        self.last_soa.iter().for_each(|soa| difference.added.push(*soa));
        for (record, count) in self.records {
            match count {
                0 => {}
                ..0 => difference.deleted.push(record),
                1.. => difference.added.push(record),
            }
        }
        difference
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::{Zone, text};
    use super::*;
    use crate::wire::Name;

    fn image(serial: u32, records: &str) -> Image {
        let apex = Name::from_text(b"test.").unwrap();
        let source = format!("$TTL 60\n@ SOA ns host {serial} 1 1 1 30\n@ NS ns.elsewhere.\n{records}\n");
        let loaded = text::read_bytes(source.as_bytes(), Path::new("zone"), Some(&apex), &text::Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        Image::of(Arc::new(Zone::build(&apex, &loaded.records).unwrap()))
    }

    fn told(records: &Records) -> Vec<String> {
        let told = |record: Record<'_>| format!("{} {} {} {:?}", record.owner, record.ttl, record.rtype, record.rdata);
        records.iter().skip(1).map(told).collect()
    }

    #[test]
    fn only_what_differs_is_told() {
        let old = image(1, "a A 192.0.2.1\na A 192.0.2.2\nb TXT x\nd A 192.0.2.9");
        let new = image(2, "a A 192.0.2.2\na A 192.0.2.3\nc TXT x\nd 30 A 192.0.2.9");
        let difference = Difference::between(&old, &new);
        assert_eq!(
            told(&difference.deleted),
            ["a.test. 60 A [192, 0, 2, 1]", "b.test. 60 TXT [1, 120]", "d.test. 60 A [192, 0, 2, 9]"]
        );
        assert_eq!(
            told(&difference.added),
            ["a.test. 60 A [192, 0, 2, 3]", "c.test. 60 TXT [1, 120]", "d.test. 30 A [192, 0, 2, 9]"]
        );
        let nothing = Difference::between(&new, &new);
        assert_eq!((told(&nothing.deleted), told(&nothing.added)), (vec![], vec![]));
    }

    #[test]
    fn differences_in_a_row_condense() {
        let images = [
            image(1, "a A 192.0.2.1"),
            image(2, "a A 192.0.2.1\nb A 192.0.2.2"),
            image(3, "c A 192.0.2.3"),
            image(4, "a A 192.0.2.1\nc A 192.0.2.3"),
        ];
        let steps: Vec<_> = images.windows(2).map(|pair| Difference::between(&pair[0], &pair[1])).collect();
        let condensed = Difference::condensed(&steps);
        let whole = Difference::between(&images[0], &images[3]);
        assert_eq!(told(&condensed.deleted), told(&whole.deleted));
        assert_eq!(told(&condensed.added), told(&whole.added));
        let soa = |records: &Records| records.at(0).rdata.to_vec();
        assert_eq!((soa(&condensed.deleted), soa(&condensed.added)), (soa(&whole.deleted), soa(&whole.added)));
    }
}
