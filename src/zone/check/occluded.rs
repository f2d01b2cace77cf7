//! What is in the zone but never answered: names below a DNAME, and data at or below a zone cut that is not glue.

use super::Checker;
use crate::wire::{NameRef, Type};
use crate::zone::Record;

/// What hides a name from above.
enum Cover<'n> {
    Dname(NameRef<'n>),
    Cut(NameRef<'n>),
}

impl Checker<'_> {
    pub(super) fn occluded(&mut self) {
        let apex = self.apex.borrow();
        let hides = |owner: &super::owners::Owner| {
            let name = self.records.at(owner.first as usize).owner;
            owner.has_redirection || (owner.has_nameserver && name != apex)
        };
        if !self.owners.iter().any(hides) {
            return;
        }
        let mut last: Option<(NameRef<'_>, Type)> = None;
        for record in self.records.iter() {
            // Once for a set is enough, and the records of a set mostly stand together.
            if last.is_some_and(|told| told == (record.owner, record.rtype)) || is_proof(record.rtype) {
                continue;
            }
            last = Some((record.owner, record.rtype));
            match self.cover(record.owner) {
                Some(Cover::Dname(above)) => {
                    let found = format!("{} is below the DNAME at {above} and never answered", record.owner);
                    self.warn(record.place, found, "records that are reached");
                }
                Some(Cover::Cut(cut)) => self.at_cut(record, cut),
                None => {}
            }
        }
    }

    fn at_cut(&mut self, record: Record<'_>, cut: NameRef<'_>) {
        let Record { owner, rtype, place, .. } = record;
        if owner == cut {
            if !matches!(rtype, Type::NS | Type::DS | Type::A | Type::AAAA) {
                let found = format!("{rtype} at {owner} is at the zone cut at {cut} and never answered");
                self.warn(place, found, "NS and DS alone there");
            }
        } else if !matches!(rtype, Type::A | Type::AAAA) {
            let found = format!("{rtype} at {owner} is below the zone cut at {cut} and never answered");
            self.warn(place, found, "glue alone there");
        }
    }

    /// The highest DNAME above a name or cut at or above it, whichever is nearer to the apex.
    fn cover<'n>(&self, name: NameRef<'n>) -> Option<Cover<'n>> {
        let apex = self.apex.borrow();
        if !name.is_within(apex) {
            return None;
        }
        let (mut at, mut cover) = (name, None);
        loop {
            let known = self.owners.find(at);
            if at != name && known.is_some_and(|owner| owner.has_redirection) {
                cover = Some(Cover::Dname(at));
            }
            if at == apex {
                return cover;
            }
            if known.is_some_and(|owner| owner.has_nameserver) {
                cover = Some(Cover::Cut(at));
            }
            at = at.parent()?;
        }
    }
}

/// Signatures and denials belong to the parent at a cut, and whoever signed the zone knows where to put them.
fn is_proof(rtype: Type) -> bool {
    matches!(rtype, Type::RRSIG | Type::NSEC | Type::NSEC3)
}
