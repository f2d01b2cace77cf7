//! All zones: which of them to read again, and what to serve of them then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::beside::{Beside, Read};
use super::change::{Change, ends_too_many, losses};
use super::fault::{Fault, Severity};
use super::load::{Good, Load, load_all};
use super::settings::{SettingsSource, restart_keys};
use super::source::{self, Source};
use super::standing::{Look, Overview, Pass, Served, Standing};
use super::watch::{Interest, Stamp};
use crate::config::{Settings, ZonePolicy};
use crate::snapshot::{Publisher, ZoneSource};
use crate::wire::Name;

/// Reads the files and hands what is good to the publisher.
#[derive(Debug)]
pub struct Loader {
    settings_source: SettingsSource,
    /// As the program started with them: what takes a restart is compared with these.
    started: Settings,
    settings_stamp: Stamp,
    settings_faults: Vec<Fault>,
    /// The folder of the zone files, which may change while the server runs.
    folder: PathBuf,
    folder_faults: Vec<Fault>,
    beside: Read,
    publisher: Arc<Publisher>,
    zones: BTreeMap<Name, Entry>,
    overview: watch::Sender<Arc<Overview>>,
}

/// One zone between two looks.
#[derive(Debug)]
struct Entry {
    source: Source,
    good: Option<(Good, Timestamp)>,
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
    /// For what the files, though they have no fault, wait for somebody to confirm them.
    held: Vec<Fault>,
    stamps: Vec<(PathBuf, Stamp)>,
}

impl Loader {
    /// Nothing is read yet.
    pub fn new(settings_source: SettingsSource, settings: Settings, publisher: Arc<Publisher>) -> Self {
        let settings_stamp = Stamp::read_since(&settings_source.file(), SystemTime::now());
        Self {
            settings_source,
            settings_stamp,
            settings_faults: settings.warnings.iter().map(Fault::from).collect(),
            folder: settings.zones.clone(),
            beside: Read::default(),
            started: settings,
            folder_faults: Vec::new(),
            publisher,
            zones: BTreeMap::new(),
            overview: watch::Sender::default(),
        }
    }

    /// Follows these files, too.
    #[must_use]
    pub fn beside(mut self, beside: Option<Beside>) -> Self {
        self.beside = Read::new(beside, &self.started);
        self
    }

    /// How the zones stand, now and after each look.
    pub fn overview(&self) -> watch::Receiver<Arc<Overview>> {
        self.overview.subscribe()
    }

    /// Looks at the files and serves what has changed and is good.
    pub fn pass(&mut self, look: Look) -> Pass {
        let all = look != Look::Changed;
        self.read_settings(all);
        self.beside.pass(|fault| error!("{fault}"));
        let listing = match source::list(&self.folder) {
            Ok(listing) => listing,
            // What is served goes on being served: a folder that is gone is no wish to end all zones.
            Err(error) => {
                let message = format!("the zones folder cannot be read: {error}");
                self.tell_folder_faults(vec![Fault::whole(Severity::Error, &self.folder, message)]);
                return self.conclude(Vec::new());
            }
        };
        self.tell_folder_faults(listing.faults);
        let mut changed = self.drop_all_but(&listing.sources, look);
        let due: Vec<Source> = listing.sources.into_values().filter(|source| all || self.is_due(source)).collect();
        let start = SystemTime::now();
        changed.extend(load_all(&due).into_iter().filter_map(|load| self.take(load, start, look)));
        self.conclude(changed)
    }

    /// Where a change matters.
    pub(super) fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        interest.add_file(&self.settings_source.file());
        interest.add_folder(&self.folder);
        self.beside.add_to(&mut interest);
        let files = self.zones.values().flat_map(|entry| &entry.stamps);
        files.for_each(|(file, _)| interest.add_file(file));
        interest
    }

    /// Whether the files may hold something new. What is held is always read: a folder that was gone and is back may have
    /// every file as it was.
    fn is_due(&self, source: &Source) -> bool {
        let entry = self.zones.get(&source.apex).filter(|entry| entry.source == *source && entry.held.is_empty());
        entry.is_none_or(|entry| !entry.stamps.iter().all(|(file, stamp)| stamp.holds(file)))
    }

    /// Keeps what is good of a zone that was read, and says whether that is something new.
    fn take(&mut self, load: Load, start: SystemTime, look: Look) -> Option<Change> {
        let apex = load.source.apex.clone();
        let before = self.zones.remove(&apex);
        let stamps = load.files.iter().map(|file| (file.clone(), Stamp::read_since(file, start))).collect();
        let mut entry = Entry {
            errors: load.errors().cloned().collect(),
            warnings: load.warnings().cloned().collect(),
            held: Vec::new(),
            source: load.source,
            good: load.good.map(|good| (good, Timestamp::now())),
            stamps,
        };
        let old = before.as_ref().and_then(|before| before.good.as_ref());
        if let (Some((new, _)), Some((old, _))) = (&entry.good, old) {
            entry.warnings.extend(serial_warning(&entry.source.zone, old, new));
            if look != Look::Forced {
                entry.held = hold(&entry.source.zone, losses(old, new));
            }
        }
        let is_new = match (&entry.good, old) {
            _ if !entry.held.is_empty() => false,
            (Some((new, _)), Some((old, _))) => new.digest != old.digest || new.policy != old.policy,
            (good, _) => good.is_some(),
        };
        entry.tell(&apex.to_string(), before.as_ref(), load.left_out, is_new);
        // A zone without data is published, too: its queries get SERVFAIL, not REFUSED.
        let is_first = before.is_none();
        let good = |entry: &Option<(Good, Timestamp)>| entry.as_ref().map(|(good, _)| good.clone());
        let change =
            (is_new || is_first).then(|| Change::between(&apex, old.map(|(good, _)| good), good(&entry.good).as_ref()));
        if !is_new {
            entry.good = before.and_then(|before| before.good);
        }
        self.zones.insert(apex, entry);
        change
    }

    /// Ends the zones whose files are gone, unless so many are gone at once that it looks like an accident.
    fn drop_all_but(&mut self, sources: &BTreeMap<Name, Source>, look: Look) -> Vec<Change> {
        let gone: Vec<Name> = self.zones.keys().filter(|apex| !sources.contains_key(*apex)).cloned().collect();
        let held = look != Look::Forced && ends_too_many(self.zones.len(), gone.len());
        let all = self.zones.len();
        let mut changes = Vec::new();
        for apex in gone {
            let entry = self.zones.get_mut(&apex).expect("its name was among them");
            if held {
                let loss = format!("its file is gone, at once with most of the {all} zones");
                let faults = hold(&entry.source.zone, vec![loss]);
                if entry.held != faults {
                    faults.iter().for_each(|fault| error!(zone = %apex, "{fault}"));
                    entry.held = faults;
                }
                continue;
            }
            info!(zone = %apex, "zone file is gone, the zone is no longer served");
            changes.push(Change::between(&apex, entry.good.as_ref().map(|(good, _)| good), None));
            self.zones.remove(&apex);
        }
        changes
    }

    fn conclude(&mut self, changed: Vec<Change>) -> Pass {
        if !changed.is_empty() {
            let waiting = self.zones.values().filter_map(Entry::waiting);
            self.publisher.replace_waiting(waiting.map(|(apex, policy)| (apex.clone(), policy)).collect());
            let sources = self.zones.values().filter(|entry| entry.waiting().is_none());
            self.publisher.replace_zones(sources.map(Entry::to_publish).collect());
        }
        let (waiting, zones): (Vec<&Entry>, Vec<_>) = self.zones.values().partition(|entry| entry.waiting().is_some());
        let of_waiting = waiting.iter().flat_map(|entry| entry.errors.iter().chain(&entry.warnings));
        let of_all = self.settings_faults.iter().chain(&self.beside.faults).chain(&self.folder_faults);
        let faults = of_all.chain(of_waiting).cloned().collect();
        let overview = Overview { faults, zones: zones.into_iter().map(Entry::standing).collect() };
        let of_zones =
            overview.zones.iter().flat_map(|zone| zone.errors.iter().chain(&zone.held).chain(&zone.warnings));
        let faults = overview.faults.iter().chain(of_zones).cloned().collect();
        let served = overview.zones.iter().filter(|zone| zone.served.is_some()).count();
        self.overview.send_replace(Arc::new(overview));
        Pass { changed, served, faults }
    }

    fn read_settings(&mut self, all: bool) {
        let file = self.settings_source.file();
        if !all && self.settings_stamp.holds(&file) {
            return;
        }
        let start = SystemTime::now();
        match self.settings_source.load() {
            Err(faults) => {
                faults.iter().for_each(|fault| error!("settings not taken: {fault}"));
                self.settings_faults = faults.iter().map(Fault::from).collect();
            }
            Ok(settings) => {
                settings.warnings.iter().for_each(|fault| warn!("settings: {fault}"));
                self.settings_faults = settings.warnings.iter().map(Fault::from).collect();
                let keys = restart_keys(&self.started, &settings);
                if !keys.is_empty() {
                    let message = format!("{} changed; a restart would make it so", keys.join(", "));
                    warn!("settings: {message}");
                    self.settings_faults.push(Fault::whole(Severity::Warning, &file, message));
                }
                self.folder.clone_from(&settings.zones);
                self.beside.follow(&settings);
                self.publisher.replace_settings(Arc::new(settings));
            }
        }
        self.settings_stamp = Stamp::read_since(&file, start);
    }

    fn tell_folder_faults(&mut self, faults: Vec<Fault>) {
        for fault in faults.iter().filter(|fault| !self.folder_faults.contains(fault)) {
            warn!("{fault}");
        }
        self.folder_faults = faults;
    }
}

impl Entry {
    /// Says in the log what is new since `before`.
    fn tell(&self, name: &str, before: Option<&Self>, left_out: usize, is_new: bool) {
        let known = before.map(|before| (&before.errors, &before.held, &before.warnings));
        let repeated = known == Some((&self.errors, &self.held, &self.warnings));
        if !repeated {
            self.errors.iter().chain(&self.held).for_each(|fault| error!(zone = name, "{fault}"));
            self.warnings.iter().for_each(|fault| warn!(zone = name, "{fault}"));
        }
        if left_out > 0 {
            warn!(zone = name, left_out, "there are more faults");
        }
        let served_before = before.and_then(|before| before.good.as_ref());
        match (&self.good, served_before) {
            (Some((Good { zone: Some(zone), policy, .. }, _)), _) if is_new => {
                let (serial, records) = (zone.serial(), zone.record_count());
                info!(zone = name, %serial, records, pools = policy.pools.len(), "zone loaded");
            }
            (Some((good, _)), Some((Good { zone: Some(_), .. }, _))) if is_new && good.is_waiting() => {
                info!(zone = name, "zone file is gone, the zone is no longer served");
            }
            (Some((good, _)), _) if is_new && !good.is_waiting() => {
                info!(zone = name, pools = good.policy.pools.len(), "policy loaded, the zone comes by transfer");
            }
            (Some(_), _) => {}
            (None, _) if repeated => {}
            (None, Some((Good { zone: Some(zone), .. }, _))) => {
                warn!(zone = name, serial = %zone.serial(), "zone not taken, the last good one is served");
            }
            (None, Some(_)) => warn!(zone = name, "policy not taken, the last good one holds"),
            (None, None) => warn!(zone = name, "zone not taken, its queries get SERVFAIL"),
        }
    }

    /// The policy, when it is of no zone that this server has by itself.
    fn waiting(&self) -> Option<(&Name, Arc<ZonePolicy>)> {
        let (good, _) = self.good.as_ref().filter(|(good, _)| good.is_waiting())?;
        Some((&self.source.apex, Arc::clone(&good.policy)))
    }

    fn to_publish(&self) -> ZoneSource {
        let good = self.good.as_ref().map(|(good, _)| good);
        ZoneSource {
            apex: self.source.apex.clone(),
            zone: good.and_then(|good| good.zone.clone()),
            policy: good.map(|good| Arc::clone(&good.policy)).unwrap_or_default(),
        }
    }

    fn standing(&self) -> Standing {
        let served = self.good.as_ref().and_then(|(good, loaded)| {
            let zone = good.zone.as_ref()?;
            Some(Served { serial: zone.serial(), records: zone.record_count(), loaded: *loaded })
        });
        let has_file = self.good.as_ref().is_none_or(|(good, _)| good.zone.is_some());
        let (errors, held, warnings) = (self.errors.clone(), self.held.clone(), self.warnings.clone());
        Standing { source: self.source.clone(), has_file, served, errors, held, warnings }
    }
}

/// What is held, as faults of the zone's file.
fn hold(file: &Path, losses: Vec<String>) -> Vec<Fault> {
    let fault = |loss| Fault::whole(Severity::Error, file, format!("held: {loss}; `kofn reload --force` takes it"));
    losses.into_iter().map(fault).collect()
}

/// What secondaries and caches would not notice, or take for old.
fn serial_warning(file: &Path, old: &Good, new: &Good) -> Option<Fault> {
    let (before, now) = (old.zone.as_ref()?.serial(), new.zone.as_ref()?.serial());
    let message = if now == before {
        (old.digest != new.digest).then(|| format!("the zone has changed and its serial is still {now}; a higher one"))
    } else {
        (!now.is_after(before)).then(|| format!("the serial went from {before} back to {now}; a higher one"))
    };
    message.map(|message| Fault::whole(Severity::Warning, file, format!("{message} would tell secondaries")))
}
