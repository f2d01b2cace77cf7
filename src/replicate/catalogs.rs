//! Catalog zones (RFC 9432): those that come by transfer are followed, those of this server are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::context::Context;
use super::standing::State;
use super::store::Note;
use crate::config::{Primary, Transfer, ZonePolicy};
use crate::snapshot::{ServedZone, Snapshot, Transferred};
use crate::transfer::catalog::{self, Listed};
use crate::wire::Name;
use crate::zone::{Serial, Zone};

/// What catalogs say of the zones.
#[derive(Debug, Default)]
pub(super) struct Catalogs {
    /// Catalogs that come by transfer, and what they list.
    followed: BTreeMap<Name, Followed>,
    /// Catalogs that this server writes, with what they list.
    written: BTreeMap<Name, Arc<Zone>>,
    /// Who is a member of what.
    members: BTreeMap<Name, Member>,
}

#[derive(Debug)]
struct Followed {
    zone: Arc<Zone>,
    listed: BTreeMap<Name, Listed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    catalog: Name,
    label: String,
    from: Vec<Primary>,
}

impl Catalogs {
    /// The catalog that lists a zone, and the label there.
    pub(super) fn member(&self, apex: &Name) -> Option<(Name, String)> {
        self.members.get(apex).map(|member| (member.catalog.clone(), member.label.clone()))
    }

    /// Takes over what the catalogs of a snapshot say by now; says whether that made another snapshot.
    pub(super) fn follow(&mut self, snapshot: &Snapshot, context: &Context) -> bool {
        self.read(snapshot);
        let members = self.choose(snapshot);
        let mut changed = false;
        if members != self.members {
            self.tell(&members);
            context
                .publisher
                .replace_members(members.iter().map(|(apex, member)| (apex.clone(), member.policy())).collect());
            self.members = members;
            changed = true;
        }
        changed | self.write(snapshot, context)
    }

    /// Reads the catalogs that have come anew.
    fn read(&mut self, snapshot: &Snapshot) {
        let is_catalog = |zone: &ServedZone| zone.policy.catalog.is_some() && !zone.policy.transfer.from.is_empty();
        let catalogs: Vec<(&Name, &Arc<ServedZone>)> =
            snapshot.zones().iter().filter(|(_, zone)| is_catalog(zone)).collect();
        self.followed.retain(|apex, _| catalogs.iter().any(|(other, _)| *other == apex));
        for (apex, served) in catalogs {
            // A catalog that has expired says no more and no less than it did.
            let Some(zone) = &served.zone else { continue };
            if self.followed.get(apex).is_some_and(|followed| Arc::ptr_eq(&followed.zone, zone)) {
                continue;
            }
            match catalog::read(zone) {
                Ok(listed) => {
                    info!(catalog = %apex, members = listed.len(), serial = %zone.serial(), "catalog read");
                    self.followed.insert(apex.clone(), Followed { zone: Arc::clone(zone), listed });
                }
                Err(fault) => error!(catalog = %apex, serial = %zone.serial(), "catalog not taken: {fault}"),
            }
        }
    }

    /// Of two catalogs that list a zone the one that had it keeps it, until it says that it leaves it to the other
    /// (RFC 9432 section 4.3.1).
    fn choose(&self, snapshot: &Snapshot) -> BTreeMap<Name, Member> {
        let mut members: BTreeMap<Name, Member> = BTreeMap::new();
        for (catalog, followed) in &self.followed {
            let Some(policy) = self.policy(snapshot, catalog) else { continue };
            let from = match &policy.catalog {
                Some(own) if !own.from.is_empty() => &own.from,
                _ => &policy.transfer.from,
            };
            for (apex, listed) in followed.listed.iter().filter(|(apex, _)| !self.followed.contains_key(*apex)) {
                let owner = self.members.get(apex).map(|member| &member.catalog);
                let leaves_to = owner.filter(|owner| *owner != catalog).and_then(|owner| {
                    let listed = self.followed.get(owner)?.listed.get(apex)?;
                    Some(listed.leaves_to.as_ref() == Some(catalog))
                });
                if members.contains_key(apex) && leaves_to != Some(true) || leaves_to == Some(false) {
                    continue;
                }
                let member = Member { catalog: catalog.clone(), label: listed.label.clone(), from: from.clone() };
                members.insert(apex.clone(), member);
            }
        }
        members
    }

    fn policy(&self, snapshot: &Snapshot, apex: &Name) -> Option<Arc<ZonePolicy>> {
        let lower = crate::wire::LowerName::of(apex.borrow());
        snapshot.zones().exact(&lower).map(|zone| Arc::clone(&zone.policy))
    }

    fn tell(&self, members: &BTreeMap<Name, Member>) {
        for (apex, Member { catalog, .. }) in members.iter().filter(|(apex, _)| !self.members.contains_key(*apex)) {
            info!(zone = %apex, %catalog, "the catalog lists a new zone");
        }
        for (apex, Member { catalog, .. }) in self.members.iter().filter(|(apex, _)| !members.contains_key(*apex)) {
            info!(zone = %apex, %catalog, "the catalog lists the zone no more");
        }
    }

    /// Writes this server's own catalogs where what they list has changed.
    fn write(&mut self, snapshot: &Snapshot, context: &Context) -> bool {
        let own: Vec<&Name> = snapshot
            .zones()
            .iter()
            .filter(|(_, zone)| zone.policy.catalog.is_some() && zone.policy.transfer.from.is_empty())
            .map(|(apex, _)| apex)
            .collect();
        self.written.retain(|apex, _| own.contains(&apex));
        if own.is_empty() {
            return false;
        }
        let members: Vec<&Name> =
            snapshot.zones().iter().filter(|(_, zone)| zone.policy.catalog.is_none()).map(|(apex, _)| apex).collect();
        let mut transferred = Vec::new();
        for apex in own {
            let before = self.written.get(apex).cloned().or_else(|| kept(context, apex));
            let listed = before.as_ref().and_then(|zone| catalog::read(zone).ok()).unwrap_or_default();
            let is_same = listed.len() == members.len() && members.iter().all(|member| listed.contains_key(*member));
            let zone = match before {
                Some(before) if is_same => before,
                before => {
                    let serial = before.map_or(Serial(1), |before| Serial(before.serial().0.wrapping_add(1)));
                    let records =
                        catalog::records(apex, serial, &members, &listed, || format!("{:016x}", rand::random::<u64>()));
                    let zone = Arc::new(Zone::build(apex, &records).expect("a catalog has its SOA"));
                    info!(catalog = %apex, members = members.len(), %serial, "catalog written");
                    keep(context, apex, &records, serial);
                    zone
                }
            };
            context.standings.change(apex, |standing| {
                standing.state = State::Current;
                standing.serial = Some(zone.serial());
                standing.records = zone.record_count();
            });
            let known = self.written.insert(apex.clone(), Arc::clone(&zone));
            if known.is_none_or(|known| !Arc::ptr_eq(&known, &zone)) {
                transferred.push((apex.clone(), Transferred::Data(zone)));
            }
        }
        let changed = !transferred.is_empty();
        if changed {
            context.publisher.replace_transferred(transferred);
        }
        changed
    }
}

impl Member {
    /// The policy of a member that has no file of its own.
    fn policy(&self) -> Arc<ZonePolicy> {
        let transfer = Transfer { from: self.from.clone(), ..Transfer::default() };
        Arc::new(ZonePolicy { transfer, ..ZonePolicy::default() })
    }
}

/// The catalog as the last run has written it: its labels and its serial go on.
fn kept(context: &Context, apex: &Name) -> Option<Arc<Zone>> {
    match context.store.load(apex) {
        Ok(kept) => kept.map(|kept| Arc::new(kept.zone)),
        Err(message) => {
            warn!(catalog = %apex, "the catalog of the last run cannot be used, its secondaries will see new zones: {message}");
            None
        }
    }
}

fn keep(context: &Context, apex: &Name, records: &crate::zone::Records, serial: Serial) {
    let now = Timestamp::now();
    let own = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let note = Note { primary: own, serial: serial.0, received: now, checked: now, member: None };
    if let Err(error) = context.store.save(apex, records, &note) {
        warn!(catalog = %apex, "served, but not kept for the next start: {error}");
    }
}
