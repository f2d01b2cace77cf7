//! What each zone looked like to others when it was last looked at, and what has changed since.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::JournalFile;
use super::entry::Entry;
use crate::config::ZonePolicy;
use crate::snapshot::{Outbound, Remembered, ServedZone, Snapshot};
use crate::transfer::journal::{Journals, Step, View};
use crate::wire::Name;
use crate::zone::{Difference, Image, Serial, Zone};

/// Octets of changes that are kept for each zone and view at most; less for a zone that is smaller, as nobody would want a
/// difference that is larger than the zone.
const MOST: usize = 2 << 20;
const LEAST: usize = 64 << 10;

/// A zone that others are to be told of.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) apex: Name,
    /// As the pools say; every view has the same serial.
    pub(super) image: Image,
    pub(super) policy: Arc<ZonePolicy>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Keeper {
    journals: Arc<Journals>,
    folder: PathBuf,
    zones: HashMap<Name, Kept>,
}

#[derive(Debug)]
struct Kept {
    zone: Arc<Zone>,
    outbound: Option<Arc<Outbound>>,
    digest: u64,
    views: Vec<(View, Image)>,
    file: JournalFile,
}

impl Keeper {
    pub(super) fn new(journals: Arc<Journals>, folder: PathBuf) -> Self {
        Self { journals, folder, zones: HashMap::new() }
    }

    /// Takes down what has changed since the last look; returns the zones that have another serial, or are new.
    pub(super) fn look(&mut self, snapshot: &Snapshot) -> Vec<Change> {
        let mut changes = Vec::new();
        self.forget_all_but(snapshot);
        for (apex, served) in snapshot.zones().iter().filter(|(_, served)| is_for_others(served)) {
            let (Some(zone), Some(image)) = (&served.zone, served.image(None)) else { continue };
            let last = self.zones.get(apex).map(Kept::serial);
            match self.zones.get_mut(apex) {
                Some(kept) if kept.is_of(served) => continue,
                Some(kept) => kept.follow(&self.journals, apex, served, zone),
                None => {
                    let kept = Kept::begin(&self.journals, &self.folder, (apex, served, zone));
                    self.zones.insert(apex.clone(), kept);
                }
            }
            if last != Some(image.serial()) {
                changes.push(Change { apex: apex.clone(), image, policy: Arc::clone(&served.policy) });
            }
        }
        changes
    }

    fn forget_all_but(&mut self, snapshot: &Snapshot) {
        let (journals, zones) = (&self.journals, snapshot.zones());
        self.zones.retain(|apex, kept| {
            let served = zones.exact(&crate::wire::LowerName::of(apex.borrow()));
            let stays = served.is_some_and(|served| is_for_others(served));
            if !stays {
                journals.remove(apex);
                // A serial of ours must not be forgotten: the zone may come back.
                if kept.outbound.is_none() {
                    kept.file.remove();
                }
            }
            stays
        });
    }
}

/// Whether anybody may transfer the zone, or is to be told of it. Zones of which a serial of ours was shown stay.
fn is_for_others(served: &ServedZone) -> bool {
    let transfer = &served.policy.transfer;
    !transfer.to.is_empty() || !transfer.notify.is_empty() || served.outbound().is_some()
}

impl Kept {
    /// The zone at the first look: what its file says of it goes on if it ends with the zone as it is now.
    fn begin(
        journals: &Journals,
        folder: &std::path::Path,
        (apex, served, zone): (&Name, &ServedZone, &Arc<Zone>),
    ) -> Self {
        let (file, entries) = JournalFile::open(folder, apex);
        let digest = zone.digest();
        let views = views(served);
        let mut kept = Self { zone: Arc::clone(zone), outbound: served.outbound().cloned(), digest, views, file };
        let now = kept.remembered();
        if entries.last().is_some_and(|last| last.remembered == now) {
            for (view, step) in entries.into_iter().flat_map(|entry| entry.steps) {
                journals.update(apex, view, |journal| journal.append(step, kept.most()));
            }
        } else {
            kept.file.rewrite(&kept.entry(apex, Vec::new()));
        }
        kept
    }

    fn follow(&mut self, journals: &Journals, apex: &Name, served: &ServedZone, zone: &Arc<Zone>) {
        if !Arc::ptr_eq(&self.zone, zone) {
            self.digest = zone.digest();
            self.zone = Arc::clone(zone);
        }
        self.outbound = served.outbound().cloned();
        let before = std::mem::replace(&mut self.views, views(served));
        let mut steps = Vec::new();
        for (view, image) in &self.views {
            let Some((_, old)) = before.iter().find(|(known, _)| known == view) else { continue };
            let (from, to) = (old.serial(), image.serial());
            let difference = match to.is_after(from) {
                true => Arc::new(Difference::between(old, image)),
                // Nobody who has this serial or a later one could be told: the journal starts anew.
                false => Arc::default(),
            };
            let step = Step { from, to, difference };
            journals.update(apex, *view, |journal| journal.append(step.clone(), self.most()));
            steps.push((*view, step));
        }
        self.write(journals, apex, steps);
    }

    /// Appends what is new; when the file is broken or full of what is no longer wanted, writes it anew.
    fn write(&mut self, journals: &Journals, apex: &Name, steps: Vec<(View, Step)>) {
        let most = (self.most() * self.views.len() * 2) as u64;
        if !self.file.is_broken() && self.file.octets() <= most {
            let entry = self.entry(apex, steps);
            return self.file.append(&entry);
        }
        let all = |(view, _): &(View, Image)| {
            let view = *view;
            let steps = journals.update(apex, view, |journal| journal.steps().cloned().collect::<Vec<_>>());
            steps.into_iter().map(move |step| (view, step))
        };
        let steps = self.views.iter().flat_map(all).collect();
        let entry = self.entry(apex, steps);
        self.file.rewrite(&entry);
    }

    fn entry(&self, apex: &Name, steps: Vec<(View, Step)>) -> Entry {
        Entry { apex: apex.clone(), remembered: self.remembered(), steps }
    }

    fn remembered(&self) -> Remembered {
        let own = || Outbound { serial: self.zone.serial(), narrowed: Vec::new() };
        let outbound = self.outbound.as_ref().map_or_else(own, |outbound| Outbound::clone(outbound));
        Remembered { outbound, digest: self.digest }
    }

    fn serial(&self) -> Serial {
        self.outbound.as_ref().map_or(self.zone.serial(), |outbound| outbound.serial)
    }

    /// Whether others see what they saw when this was taken down.
    fn is_of(&self, served: &ServedZone) -> bool {
        let same_zone = served.zone.as_ref().is_some_and(|zone| Arc::ptr_eq(zone, &self.zone));
        same_zone
            && self.outbound.as_ref() == served.outbound()
            && self.views.iter().map(|(view, _)| *view).eq(kinds(served))
    }

    fn most(&self) -> usize {
        self.zone.octets().clamp(LEAST, MOST)
    }
}

fn views(served: &ServedZone) -> Vec<(View, Image)> {
    kinds(served).into_iter().filter_map(|view| Some((view, served.image(view)?))).collect()
}

/// The views that clients may have.
fn kinds(served: &ServedZone) -> Vec<View> {
    let mut kinds = vec![None];
    for grant in &served.policy.transfer.to {
        if !kinds.contains(&grant.view) {
            kinds.push(grant.view);
        }
    }
    kinds
}
