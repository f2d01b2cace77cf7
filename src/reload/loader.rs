//! All zones: which of them to read again, and what to serve of them then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::fault::{Fault, Severity};
use super::load::{Good, Load, load_all};
use super::settings::{SettingsSource, restart_keys};
use super::source::{self, Source};
use super::standing::{Overview, Pass, Served, Standing};
use super::watch::{Interest, Stamp};
use crate::config::Settings;
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
            started: settings,
            folder_faults: Vec::new(),
            publisher,
            zones: BTreeMap::new(),
            overview: watch::Sender::default(),
        }
    }

    /// How the zones stand, now and after each look.
    pub fn overview(&self) -> watch::Receiver<Arc<Overview>> {
        self.overview.subscribe()
    }

    /// Looks at the files and serves what has changed and is good; `all` reads also what seems unchanged.
    pub fn pass(&mut self, all: bool) -> Pass {
        self.read_settings(all);
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
        let mut changed = self.drop_all_but(&listing.sources);
        let due: Vec<Source> = listing.sources.into_values().filter(|source| all || self.is_due(source)).collect();
        let start = SystemTime::now();
        changed.extend(load_all(&due).into_iter().filter_map(|load| self.take(load, start)));
        self.conclude(changed)
    }

    /// Where a change matters.
    pub(super) fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        interest.add_file(&self.settings_source.file());
        interest.add_folder(&self.folder);
        let files = self.zones.values().flat_map(|entry| &entry.stamps);
        files.for_each(|(file, _)| interest.add_file(file));
        interest
    }

    fn is_due(&self, source: &Source) -> bool {
        let entry = self.zones.get(&source.apex).filter(|entry| entry.source == *source);
        entry.is_none_or(|entry| !entry.stamps.iter().all(|(file, stamp)| stamp.holds(file)))
    }

    /// Keeps what is good of a zone that was read, and says whether that is something new.
    fn take(&mut self, load: Load, start: SystemTime) -> Option<String> {
        let name = load.source.apex.to_string();
        let before = self.zones.remove(&load.source.apex);
        let stamps = load.files.iter().map(|file| (file.clone(), Stamp::read_since(file, start))).collect();
        let mut entry = Entry {
            errors: load.errors().cloned().collect(),
            warnings: load.warnings().cloned().collect(),
            source: load.source,
            good: load.good.map(|good| (good, Timestamp::now())),
            stamps,
        };
        let old = before.as_ref().and_then(|before| before.good.as_ref());
        if let (Some((new, _)), Some((old, _))) = (&entry.good, old) {
            entry.warnings.extend(serial_warning(&entry.source.zone, old, new));
        }
        let is_new = match (&entry.good, old) {
            (Some((new, _)), Some((old, _))) => new.digest != old.digest || new.policy != old.policy,
            (good, _) => good.is_some(),
        };
        entry.tell(&name, before.as_ref(), load.left_out, is_new);
        // A zone without data is published, too: its queries get SERVFAIL, not REFUSED.
        let is_first = before.is_none();
        if !is_new {
            entry.good = before.and_then(|before| before.good);
        }
        self.zones.insert(entry.source.apex.clone(), entry);
        (is_new || is_first).then_some(name)
    }

    fn drop_all_but(&mut self, sources: &BTreeMap<Name, Source>) -> Vec<String> {
        let gone: Vec<Name> = self.zones.keys().filter(|apex| !sources.contains_key(*apex)).cloned().collect();
        for apex in &gone {
            info!(zone = %apex, "zone file is gone, the zone is no longer served");
            self.zones.remove(apex);
        }
        gone.iter().map(Name::to_string).collect()
    }

    fn conclude(&mut self, changed: Vec<String>) -> Pass {
        if !changed.is_empty() {
            self.publisher.replace_zones(self.zones.values().map(Entry::to_publish).collect());
        }
        let faults = self.settings_faults.iter().chain(&self.folder_faults).cloned().collect();
        let overview = Overview { faults, zones: self.zones.values().map(Entry::standing).collect() };
        let of_zones = overview.zones.iter().flat_map(|zone| zone.errors.iter().chain(&zone.warnings));
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
        let known = before.map(|before| (&before.errors, &before.warnings));
        let repeated = known == Some((&self.errors, &self.warnings));
        if !repeated {
            self.errors.iter().for_each(|fault| error!(zone = name, "{fault}"));
            self.warnings.iter().for_each(|fault| warn!(zone = name, "{fault}"));
        }
        if left_out > 0 {
            warn!(zone = name, left_out, "there are more faults");
        }
        let served_before = before.and_then(|before| before.good.as_ref());
        match (&self.good, served_before) {
            (Some((good, _)), _) if is_new => {
                let (serial, records) = (good.zone.serial(), good.zone.record_count());
                info!(zone = name, %serial, records, pools = good.policy.pools.len(), "zone loaded");
            }
            (Some(_), _) => {}
            (None, _) if repeated => {}
            (None, Some((old, _))) => {
                warn!(zone = name, serial = %old.zone.serial(), "zone not taken, the last good one is served");
            }
            (None, None) => warn!(zone = name, "zone not taken, its queries get SERVFAIL"),
        }
    }

    fn to_publish(&self) -> ZoneSource {
        let good = self.good.as_ref().map(|(good, _)| good);
        ZoneSource {
            apex: self.source.apex.clone(),
            zone: good.map(|good| Arc::clone(&good.zone)),
            policy: good.map(|good| Arc::clone(&good.policy)).unwrap_or_default(),
        }
    }

    fn standing(&self) -> Standing {
        let served = self.good.as_ref().map(|(good, loaded)| Served {
            serial: good.zone.serial(),
            records: good.zone.record_count(),
            loaded: *loaded,
        });
        let (errors, warnings) = (self.errors.clone(), self.warnings.clone());
        Standing { source: self.source.clone(), served, errors, warnings }
    }
}

/// What secondaries and caches would not notice, or take for old.
fn serial_warning(file: &Path, old: &Good, new: &Good) -> Option<Fault> {
    let (before, now) = (old.zone.serial(), new.zone.serial());
    let message = if now == before {
        (old.digest != new.digest).then(|| format!("the zone has changed and its serial is still {now}; a higher one"))
    } else {
        (!now.is_after(before)).then(|| format!("the serial went from {before} back to {now}; a higher one"))
    };
    message.map(|message| Fault::whole(Severity::Warning, file, format!("{message} would tell secondaries")))
}
