//! Catalog zones, version 2 (RFC 9432): a zone whose records are a list of zones.
//!
//! ```text
//! version.CATALOG        TXT "2"
//! LABEL.zones.CATALOG    PTR example.test.        LABEL names the membership: a new one is a new zone
//! coo.LABEL.zones.CATALOG    PTR other.catalog.   the zone may move there
//! group.LABEL.zones.CATALOG  TXT "name"           not ours to know: how a member is configured says its own file
//! ```

use std::collections::BTreeMap;

use crate::wire::{Class, Name, NameRef, Type};
use crate::zone::{NodeId, Place, Record, Records, Serial, Zone};

/// A zone that a catalog lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The label of the membership, as master files write it.
    pub label: String,
    /// The catalog that may take it over (`coo`).
    pub leaves_to: Option<Name>,
}

/// Why a zone is no catalog. What it said before goes on (RFC 9432 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogFault {
    /// No `version`, or more than one.
    #[error("it has no TXT record at version.{0}, or more than one")]
    NoVersion(Name),
    /// Another version.
    #[error("it is of version {0}, and 2 is understood")]
    Version(String),
    /// A label with more or less than one PTR record.
    #[error("{0} does not name one zone")]
    Member(Name),
    /// A zone that stands under two labels.
    #[error("it lists {0} twice")]
    Twice(Name),
}

/// The zones that a catalog lists.
///
/// # Errors
/// When it is broken: then nothing of it may be taken.
pub fn read(catalog: &Zone) -> Result<BTreeMap<Name, Listed>, CatalogFault> {
    let apex = catalog.apex().to_name();
    version(catalog, &apex)?;
    let Ok(zones) = apex.child(b"zones") else { return Ok(BTreeMap::new()) };
    let depth = zones.borrow().label_count() + 1;
    let mut listed: BTreeMap<Name, Listed> = BTreeMap::new();
    for node in catalog.nodes() {
        let name = catalog.name(node);
        if name.label_count() != depth || !name.is_within(zones.borrow()) {
            continue;
        }
        let broken = || CatalogFault::Member(name.to_name());
        let Some(pointer) = catalog.rrset(node, Type::PTR) else {
            // Properties may stand below a label that has no zone; without one they say nothing.
            continue;
        };
        let mut targets = pointer.iter();
        let (Some(target), None) = (targets.next(), targets.next()) else { return Err(broken()) };
        let member = NameRef::parse(target.rdata).map_err(|_| broken())?.to_name().to_lower();
        let label = name.labels().next().map(label_text).unwrap_or_default();
        let leaves_to = coo(catalog, name);
        if listed.insert(member.clone(), Listed { label, leaves_to }).is_some() {
            return Err(CatalogFault::Twice(member));
        }
    }
    Ok(listed)
}

fn version(catalog: &Zone, apex: &Name) -> Result<(), CatalogFault> {
    let missing = || CatalogFault::NoVersion(apex.clone());
    let name = apex.child(b"version").map_err(|_| missing())?;
    let node = node(catalog, &name).ok_or_else(missing)?;
    let texts = catalog.rrset(node, Type::TXT).ok_or_else(missing)?;
    let mut texts = texts.iter();
    match (texts.next(), texts.next()) {
        (Some(text), None) if text.rdata == b"\x012" => Ok(()),
        (Some(text), None) => Err(CatalogFault::Version(String::from_utf8_lossy(&text.rdata[1..]).into_owned())),
        _ => Err(missing()),
    }
}

fn coo(catalog: &Zone, member: NameRef<'_>) -> Option<Name> {
    let node = node(catalog, &member.to_name().child(b"coo").ok()?)?;
    let pointer = catalog.rrset(node, Type::PTR)?.iter().next()?;
    NameRef::parse(pointer.rdata).ok().map(|name| name.to_name().to_lower())
}

fn node(catalog: &Zone, name: &Name) -> Option<NodeId> {
    catalog.exact(name.to_lower().borrow().as_bytes())
}

fn label_text(label: &[u8]) -> String {
    let name = Name::root().child(label).expect("a label of a name");
    let text = name.to_string();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// The records of a catalog that lists `members`; those that `before` lists keep their labels, and `label` makes new ones.
pub fn records(
    apex: &Name,
    serial: Serial,
    members: &[&Name],
    before: &BTreeMap<Name, Listed>,
    mut label: impl FnMut() -> String,
) -> Records {
    let mut records = Records::new();
    let mut add = |owner: NameRef<'_>, rtype, rdata: &[u8]| {
        records.push(Record { owner, rtype, class: Class::IN, ttl: 0, rdata, place: Place::default() });
    };
    // Nobody asks a catalog by name (RFC 9432 section 4.1 wants one NS record, and "invalid." for it).
    let invalid = Name::root().child(b"invalid").expect("a short label");
    let invalid = invalid.borrow().as_bytes();
    let timers = [serial.0, REFRESH, RETRY, EXPIRE, MINIMUM].map(u32::to_be_bytes).concat();
    add(apex.borrow(), Type::SOA, &[invalid, invalid, &timers].concat());
    add(apex.borrow(), Type::NS, invalid);
    let (Ok(version), Ok(zones)) = (apex.child(b"version"), apex.child(b"zones")) else { return records };
    add(version.borrow(), Type::TXT, b"\x012");
    for member in members {
        let label = before.get(*member).map_or_else(&mut label, |listed| listed.label.clone());
        if let Ok(owner) = Name::from_text_in(label.as_bytes(), zones.borrow()) {
            add(owner.borrow(), Type::PTR, member.borrow().as_bytes());
        }
    }
    records
}

/// A catalog changes when a zone comes or goes, NOTIFY tells at once, and what was not told is found soon.
const REFRESH: u32 = 300;
const RETRY: u32 = 60;
/// Three weeks: a fleet goes on for so long without its list.
const EXPIRE: u32 = 1_814_400;
const MINIMUM: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::text;
    use std::path::Path;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes()).unwrap()
    }

    fn listed(lines: &str) -> Result<Vec<String>, CatalogFault> {
        let apex = name("cat.test");
        let source = format!("$TTL 0\n@ SOA invalid. invalid. 1 1 1 1 1\n@ NS invalid.\n{lines}\n");
        let loaded = text::read_bytes(source.as_bytes(), Path::new("c"), Some(&apex), &text::Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        let listed = read(&Zone::build(&apex, &loaded.records).unwrap())?;
        let text = |(member, listed): (Name, Listed)| {
            let coo = listed.leaves_to.map_or_else(String::new, |coo| format!(" -> {coo}"));
            format!("{} {member}{coo}", listed.label)
        };
        Ok(listed.into_iter().map(text).collect())
    }

    #[test]
    fn members_are_read_with_their_labels() {
        let lines = "version TXT 2\na.zones PTR B.test.\nb.zones PTR a.test.\ncoo.b.zones PTR other.test.\n\
                     group.b.zones TXT x\nx.ext.zones TXT y\nelsewhere PTR c.test.";
        assert_eq!(listed(lines).unwrap(), ["b a.test. -> other.test.", "a b.test."]);
    }

    #[test]
    fn a_broken_catalog_says_nothing() {
        let a = "a.zones PTR a.test.";
        assert_eq!(listed(a), Err(CatalogFault::NoVersion(name("cat.test"))));
        assert_eq!(listed(&format!("version TXT 1\n{a}")), Err(CatalogFault::Version("1".to_owned())));
        assert_eq!(
            listed(&format!("version TXT 2\n{a}\na.zones PTR b.test.")),
            Err(CatalogFault::Member(name("a.zones.cat.test")))
        );
        assert_eq!(
            listed(&format!("version TXT 2\n{a}\nb.zones PTR a.test.")),
            Err(CatalogFault::Twice(name("a.test")))
        );
    }

    #[test]
    fn labels_last_as_long_as_the_membership() {
        let (apex, members) = (name("cat.test"), [name("a.test"), name("b.test")]);
        let mut number = 0;
        let mut label = || {
            number += 1;
            format!("l{number}")
        };
        let mut write = |serial, members: &[&Name], before: &BTreeMap<Name, Listed>| {
            let zone = Zone::build(&apex, &records(&apex, Serial(serial), members, before, &mut label)).unwrap();
            assert_eq!(zone.serial(), Serial(serial));
            read(&zone).unwrap()
        };
        let labels =
            |listed: &BTreeMap<Name, Listed>| listed.values().map(|listed| listed.label.clone()).collect::<Vec<_>>();
        let both = write(1, &[&members[0], &members[1]], &BTreeMap::new());
        assert_eq!(labels(&both), ["l1", "l2"]);
        let one = write(2, &[&members[1]], &both);
        assert_eq!(labels(&one), ["l2"]);
        assert_eq!(labels(&write(3, &[&members[0], &members[1]], &one)), ["l3", "l2"], "back again, it is a new zone");
    }
}
