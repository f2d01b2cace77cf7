//! Where NS, MX and SRV lead: to a name with an address, as far as this zone can tell.

use super::Checker;
use crate::wire::{NameRef, Type};
use crate::zone::Record;
use crate::zone::rdata::names;

/// What the zone knows about the name that a record leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// An address, or nothing that this zone could know.
    Fine,
    /// A CNAME.
    Alias,
    /// The zone has no address for it.
    Lost,
}

impl Checker<'_> {
    pub(super) fn targets(&mut self) {
        for record in self.records.iter() {
            if !matches!(record.rtype, Type::NS | Type::MX | Type::SRV) {
                continue;
            }
            let Some((range, _)) = names(record.rtype, record.rdata).next() else { continue };
            let target = NameRef::from_valid(&record.rdata[range]);
            self.target(record, target);
        }
    }

    fn target(&mut self, record: Record<'_>, target: NameRef<'_>) {
        let Record { owner, rtype, place, .. } = record;
        let (found, expected) = match self.resolve(target, owner, rtype) {
            Target::Fine => return,
            Target::Alias => ("a CNAME", "a name with an address (RFC 2181 section 10.3)"),
            Target::Lost if self.lacks_final_dot(target) => {
                ("which has no address here", "a dot at the end of the name, for it has the zone's name twice")
            }
            Target::Lost => ("which has no address here", "A or AAAA records for it"),
        };
        let found = format!("{rtype} of {owner} is {target}, {found}");
        // Nobody finds a zone whose own nameservers cannot be found.
        if rtype == Type::NS && owner == self.apex.borrow() {
            self.error(place, found, expected);
        } else {
            self.warn(place, found, expected);
        }
    }

    fn resolve(&self, target: NameRef<'_>, owner: NameRef<'_>, rtype: Type) -> Target {
        let apex = self.apex.borrow();
        if target.is_root() || !target.is_within(apex) {
            return Target::Fine;
        }
        if let Some(known) = self.owners.find(target) {
            return match (known.has_alias, known.has_address) {
                (true, _) => Target::Alias,
                (false, true) => Target::Fine,
                (false, false) if self.cut_above(target).is_some() => Target::Fine,
                (false, false) => Target::Lost,
            };
        }
        match self.cut_above(target) {
            // Only what a delegation itself needs must be here; other names below cuts are their own zones' business.
            Some(cut) if rtype == Type::NS && cut == owner => Target::Lost,
            Some(_) => Target::Fine,
            None => self.synthesize(target),
        }
    }

    /// Whether what stands before the zone's name in `target` is itself a name within the zone.
    fn lacks_final_dot(&self, target: NameRef<'_>) -> bool {
        let apex = self.apex.borrow();
        let mut written = target.as_bytes()[..target.len() - apex.len()].to_vec();
        written.push(0);
        !apex.is_root() && NameRef::from_valid(&written).is_within(apex)
    }

    /// The zone cut at or above a name, below the apex.
    fn cut_above<'n>(&self, name: NameRef<'n>) -> Option<NameRef<'n>> {
        let apex = self.apex.borrow();
        let mut at = Some(name);
        let mut cut = None;
        while let Some(ancestor) = at.filter(|ancestor| *ancestor != apex) {
            if self.owners.find(ancestor).is_some_and(|owner| owner.has_nameserver) {
                cut = Some(ancestor);
            }
            at = ancestor.parent();
        }
        cut
    }

    /// What a wildcard would make of a name that has no records (RFC 4592 section 3.3.1).
    fn synthesize(&self, name: NameRef<'_>) -> Target {
        let apex = self.apex.borrow();
        let mut at = name;
        while let Some(ancestor) = at.parent().filter(|_| at != apex) {
            let wildcard = ancestor.to_name().child(b"*");
            let known = wildcard.ok().and_then(|wildcard| self.owners.find(wildcard.borrow()));
            if let Some(known) = known {
                return if known.has_alias {
                    Target::Alias
                } else if known.has_address {
                    Target::Fine
                } else {
                    Target::Lost
                };
            }
            if self.owners.find(ancestor).is_some() {
                return Target::Lost;
            }
            at = ancestor;
        }
        Target::Lost
    }
}
