//! Where a name leads in its zone, in words.

use super::reply::Read;
use crate::wire::{LowerName, Name, Type};
use crate::zone::{NodeId, Zone};

/// What a zone has for one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The name is there.
    Here(NodeId),
    /// There are only names below it.
    NonTerminal,
    /// It is at or below a cut: other servers answer.
    Delegated(NodeId),
    /// It is below a DNAME.
    Renamed(NodeId),
    /// It is not there, and a wildcard stands for it.
    Wildcard(NodeId),
    /// It is not there.
    Nowhere(NodeId),
}

impl Place {
    /// `None` for a name that is not in the zone's part of the tree.
    pub(super) fn of(zone: &Zone, name: &Name) -> Option<Self> {
        if !name.borrow().is_within(zone.apex()) {
            return None;
        }
        let lower = LowerName::of(name.borrow());
        let found = zone.find(&lower);
        let wildcard = || zone.exact(lower.wildcard_at(found.labels)?.octets());
        Some(match zone.hidden_by(found.node) {
            Some(above) if zone.is_cut(above) => Self::Delegated(above),
            Some(above) => Self::Renamed(above),
            None if zone.is_cut(found.node) => Self::Delegated(found.node),
            None if found.labels == lower.labels() && zone.is_empty_non_terminal(found.node) => Self::NonTerminal,
            None if found.labels == lower.labels() => Self::Here(found.node),
            None if zone.has_dname(found.node) => Self::Renamed(found.node),
            None => wildcard().map_or(Self::Nowhere(found.node), Self::Wildcard),
        })
    }

    /// The node whose records stand for the name.
    pub(super) fn node(self) -> Option<NodeId> {
        match self {
            Self::Here(node) | Self::Wildcard(node) => Some(node),
            _ => None,
        }
    }

    pub(super) fn sentence(self, zone: &Zone, name: &Name) -> String {
        let of = |node| zone.name(node);
        match self {
            Self::Here(_) => format!("{name} is in the zone"),
            Self::NonTerminal => format!("{name} has no records itself, only names below it"),
            Self::Delegated(cut) => format!("{} is delegated: its own servers answer", of(cut)),
            Self::Renamed(owner) => format!("a DNAME renames what is below {}", of(owner)),
            Self::Wildcard(source) => format!("{name} is not in the zone, and {} stands for it", of(source)),
            Self::Nowhere(closest) => format!(
                "{name} is not in the zone, and no wildcard stands for it; the closest name there is {}",
                of(closest)
            ),
        }
    }

    /// Why there is no answer, where the name is there.
    pub(super) fn denial(self, zone: &Zone, asked: Type, read: &Read) -> Option<String> {
        let node = self.node().filter(|_| !read.answers)?;
        let types: Vec<String> = zone.rrsets(node).map(|rrset| rrset.rtype.to_string()).collect();
        Some(format!("it has no {asked}, only {}", types.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::zone::text;

    const ZONE: &str = "$TTL 60\n@ SOA ns host 1 1 1 1 30\n@ NS ns.elsewhere.\nwww A 192.0.2.1\na.b A 192.0.2.2\n\
                        sub NS ns.elsewhere.\nold DNAME new\n*.wild TXT x\n";

    #[test]
    fn each_name_has_its_place() {
        let apex = Name::from_text(b"test.").unwrap();
        let loaded = text::read_bytes(ZONE.as_bytes(), Path::new("zone"), Some(&apex), &text::Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        let zone = Zone::build(&apex, &loaded.records).unwrap();
        for (name, words) in [
            ("WWW.test.", "WWW.test. is in the zone"),
            ("b.test.", "b.test. has no records itself, only names below it"),
            (
                "x.www.test.",
                "x.www.test. is not in the zone, and no wildcard stands for it; the closest name there is www.test.",
            ),
            ("y.x.wild.test.", "y.x.wild.test. is not in the zone, and *.wild.test. stands for it"),
            ("x.sub.test.", "sub.test. is delegated: its own servers answer"),
            ("sub.test.", "sub.test. is delegated: its own servers answer"),
            ("x.old.test.", "a DNAME renames what is below old.test."),
        ] {
            let name = Name::from_text(name.as_bytes()).unwrap();
            assert_eq!(Place::of(&zone, &name).map(|place| place.sentence(&zone, &name)).as_deref(), Some(words));
        }
        let www = Name::from_text(b"www.test.").unwrap();
        let denial = Place::of(&zone, &www).and_then(|place| place.denial(&zone, Type::MX, &Read::default()));
        assert_eq!(denial.as_deref(), Some("it has no MX, only A"));
        assert_eq!(Place::of(&zone, &Name::from_text(b"www.example.").unwrap()), None);
    }
}
