//! All zones: which of them to read again, and what to serve of them then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::beside::{Beside, Read};
use super::change::{Change, ends_too_many, losses};
use super::fault::{Fault, Severity};
use super::load::{Good, Load, in_parallel, load};
use super::progress::Progress;
use super::settings::{SettingsSource, restart_keys};
use super::source::{self, POLICY_ENDING, Source, ZONE_ENDING};
use super::stamp::{Stamp, Stamps};
use super::standing::{Look, Looks, Overview, Pass, Standing};
use super::watch::{Interest, Motion};
use crate::config::{Settings, ZonePolicy};
use crate::reach;
use crate::snapshot::{Publisher, ZoneSource};
use crate::wire::Name;

/// Reads the files and hands what is good to the publisher.
#[derive(Debug)]
pub struct Loader {
    settings_source: SettingsSource,
    /// As the program started with them: what takes a restart is compared with these.
    started: Settings,
    settings_stamp: Stamp,
    settings_motion: Motion,
    settings_faults: Vec<Fault>,
    /// The folder of the zone files, which may change while the server runs.
    folder: PathBuf,
    folder_faults: Vec<Fault>,
    beside: Read,
    publisher: Arc<Publisher>,
    zones: BTreeMap<Name, Box<Entry>>,
    overview: watch::Sender<Arc<Overview>>,
    looks: Looks,
    /// Whether the last look has left files alone because they were being written.
    is_early: bool,
}

/// One zone between two looks.
#[derive(Debug)]
struct Entry {
    /// As it is shown.
    standing: Arc<Standing>,
    good: Option<(Good, Timestamp)>,
    stamps: Stamps,
    motion: Motion,
}

impl Loader {
    /// Nothing is read yet.
    pub fn new(settings_source: SettingsSource, settings: Settings, publisher: Arc<Publisher>) -> Self {
        let settings_stamp = Stamp::read_since(&settings_source.file(), SystemTime::now());
        Self {
            settings_source,
            settings_stamp,
            settings_motion: Motion::default(),
            settings_faults: settings.warnings.iter().map(Fault::from).collect(),
            folder: settings.zones.clone(),
            beside: Read::default(),
            started: settings,
            folder_faults: Vec::new(),
            publisher,
            zones: BTreeMap::new(),
            overview: watch::Sender::default(),
            looks: Looks::default(),
            is_early: false,
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
        let (all, begun) = (look != Look::Changed, Instant::now());
        self.is_early = false;
        self.read_settings(all);
        self.beside.pass(|fault| error!("{fault}"));
        let listing = match source::list(&self.folder) {
            Ok(listing) => listing,
            // What is served goes on being served: a folder that is gone is no wish to end all zones.
            Err(error) => {
                let expected = reach::remedy(&self.folder, &error, "one that the user of the server can read");
                let message = format!("the zones folder cannot be read: {error}; {expected}");
                self.tell_folder_faults(vec![Fault::whole(Severity::Error, &self.folder, message)]);
                return self.conclude(Vec::new(), begun);
            }
        };
        self.tell_folder_faults(listing.faults);
        let mut changed = self.drop_all_but(&listing.sources, look);
        let mut due: Vec<Source> = listing.sources.into_values().collect();
        due.retain(|source| all || self.is_due(source));
        changed.extend(self.read(&due, look));
        self.conclude(changed, begun)
    }

    /// Looks at those of these files that are of known zones, and serves what has changed and is good. What comes or goes,
    /// and what is included, takes a whole look.
    pub(super) fn glance(&mut self, touched: &BTreeSet<PathBuf>) -> Option<Pass> {
        let folder = std::path::absolute(&self.folder).ok()?;
        let known = |path: &PathBuf| {
            // As the listing names it, and not absolute.
            let name = path.strip_prefix(&folder).ok().filter(|name| name.components().count() == 1)?;
            let is_of_zone = name.extension().is_some_and(|ending| ending == ZONE_ENDING || ending == POLICY_ENDING);
            let source = Source::of(&self.folder.join(name).with_extension(ZONE_ENDING)).ok().filter(|_| is_of_zone)?;
            let entry = self.zones.get(&source.apex)?;
            (entry.standing.source == source && source.zone.exists()).then_some(source)
        };
        let sources: BTreeSet<Source> = touched.iter().filter_map(known).collect();
        let mut due: Vec<Source> = sources.into_iter().collect();
        due.retain(|source| self.is_due(source));
        if due.is_empty() {
            return None;
        }
        let begun = Instant::now();
        let changed = self.read(&due, Look::Changed);
        Some(self.conclude(changed, begun))
    }

    /// Reads these zones and takes what is good.
    fn read(&mut self, due: &[Source], look: Look) -> Vec<Change> {
        let start = SystemTime::now();
        let progress = Progress::over(due);
        let loads = in_parallel(due, |source| {
            let load = load(source, &progress);
            let stamps = Stamps::read_since(source, &load.included, start);
            (load, stamps)
        });
        drop(progress);
        loads.into_iter().filter_map(|(load, stamps)| self.take(load, stamps, look)).collect()
    }

    /// Where a change matters.
    pub(super) fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        interest.add_file(&self.settings_source.file());
        interest.add_folder(&self.folder);
        self.beside.add_to(&mut interest);
        self.zones.values().for_each(|entry| entry.stamps.add_to(&entry.standing.source, &mut interest));
        interest
    }

    /// Whether the last look has left files alone because they were being written.
    pub(super) fn is_early(&self) -> bool {
        self.is_early
    }

    /// Whether the files may hold something new, and hold all of it. What is held is always read: a folder that was gone and
    /// is back may have every file as it was.
    fn is_due(&mut self, source: &Source) -> bool {
        let is_of = |standing: &Standing| standing.source == *source && standing.held.is_empty();
        let entry = self.zones.get_mut(&source.apex).filter(|entry| is_of(&entry.standing));
        let Some(entry) = entry else { return true };
        if entry.stamps.hold(source) {
            return false;
        }
        let is_early = entry.motion.is_under_way(&entry.stamps.files(source), SystemTime::now());
        self.is_early |= is_early;
        !is_early
    }

    /// Keeps what is good of a zone that was read, and says whether that is something new.
    fn take(&mut self, load: Load, stamps: Stamps, look: Look) -> Option<Change> {
        let apex = load.source.apex.clone();
        let before = self.zones.remove(&apex);
        let mut standing = Standing {
            errors: load.errors().cloned().collect(),
            warnings: load.warnings().cloned().collect(),
            held: Vec::new(),
            source: load.source,
            has_file: true,
            served: None,
        };
        let new = load.good.map(|good| (good, Timestamp::now()));
        let old = before.as_ref().and_then(|before| before.good.as_ref());
        let mut same_records = false;
        if let (Some((new, _)), Some((old, _))) = (&new, old) {
            same_records = new.has_records_of(old);
            standing.warnings.extend(serial_warning(&standing.source.zone, old, new, same_records));
            if look != Look::Forced {
                standing.held = hold(&standing.source.zone, losses(old, new));
            }
        }
        let is_new = match (&new, old) {
            _ if !standing.held.is_empty() => false,
            (Some((new, _)), Some((old, _))) => !same_records || new.policy != old.policy,
            (good, _) => good.is_some(),
        };
        tell(&standing, new.as_ref(), before.as_deref(), load.left_out, is_new);
        // A zone without data is published, too: its queries get SERVFAIL, not REFUSED.
        let is_first = before.is_none();
        let of = |good: Option<&(Good, Timestamp)>| good.map(|(good, _)| good.clone());
        let change = (is_new || is_first).then(|| Change::between(&apex, of(old).as_ref(), of(new.as_ref()).as_ref()));
        let good = if is_new { new } else { before.and_then(|before| before.good) };
        standing.show(good.as_ref());
        let entry = Entry { standing: Arc::new(standing), good, stamps, motion: Motion::default() };
        self.zones.insert(apex, Box::new(entry));
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
                let standing = Arc::make_mut(&mut entry.standing);
                let faults = hold(&standing.source.zone, vec![loss]);
                if standing.held != faults {
                    faults.iter().for_each(|fault| error!(zone = %apex, "{fault}"));
                    standing.held = faults;
                }
                continue;
            }
            info!(zone = %apex, "zone file is gone, the zone is no longer served");
            changes.push(Change::between(&apex, entry.good.as_ref().map(|(good, _)| good), None));
            self.zones.remove(&apex);
        }
        changes
    }

    fn conclude(&mut self, changed: Vec<Change>, begun: Instant) -> Pass {
        if !changed.is_empty() {
            let waiting = self.zones.values().filter_map(|entry| entry.waiting());
            self.publisher.replace_waiting(waiting.map(|(apex, policy)| (apex.clone(), policy)).collect());
            let sources = self.zones.values().filter(|entry| entry.waiting().is_none());
            self.publisher.replace_zones(sources.map(|entry| entry.to_publish()).collect());
        }
        let (waiting, zones): (Vec<_>, Vec<_>) = self.zones.values().partition(|entry| entry.waiting().is_some());
        let of_waiting = waiting.iter().flat_map(|entry| entry.standing.errors.iter().chain(&entry.standing.warnings));
        let of_all = self.settings_faults.iter().chain(&self.beside.faults).chain(&self.folder_faults);
        let faults = of_all.chain(of_waiting).cloned().collect();
        let zones = zones.into_iter().map(|entry| Arc::clone(&entry.standing)).collect();
        let mut overview = Overview { faults, zones, looks: Looks::default() };
        let of_zones =
            overview.zones.iter().flat_map(|zone| zone.errors.iter().chain(&zone.held).chain(&zone.warnings));
        let faults: Vec<Fault> = overview.faults.iter().chain(of_zones).cloned().collect();
        let served = overview.zones.iter().filter(|zone| zone.served.is_some()).count();
        let is_faulty = faults.iter().any(|fault| fault.severity == Severity::Error);
        self.looks.note(begun, &changed, is_faulty);
        overview.looks = self.looks.clone();
        self.overview.send_replace(Arc::new(overview));
        Pass { changed, served, faults }
    }

    fn read_settings(&mut self, all: bool) {
        let file = self.settings_source.file();
        if !all && self.settings_stamp.holds(&file) {
            return;
        }
        let start = SystemTime::now();
        if !all && self.settings_motion.is_under_way(std::slice::from_ref(&file), start) {
            self.is_early = true;
            return;
        }
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

/// Says in the log what is new since `before`.
fn tell(standing: &Standing, good: Option<&(Good, Timestamp)>, before: Option<&Entry>, left_out: usize, is_new: bool) {
    let name = standing.source.apex.to_string();
    let name = name.as_str();
    let repeated = before.is_some_and(|before| before.standing.has_faults_of(standing));
    if !repeated {
        standing.errors.iter().chain(&standing.held).for_each(|fault| error!(zone = name, "{fault}"));
        standing.warnings.iter().for_each(|fault| warn!(zone = name, "{fault}"));
    }
    if left_out > 0 {
        warn!(zone = name, left_out, "there are more faults");
    }
    match (good, before.and_then(|before| before.good.as_ref())) {
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

impl Entry {
    /// The policy, when it is of no zone that this server has by itself.
    fn waiting(&self) -> Option<(&Name, Arc<ZonePolicy>)> {
        let (good, _) = self.good.as_ref().filter(|(good, _)| good.is_waiting())?;
        Some((&self.standing.source.apex, Arc::clone(&good.policy)))
    }

    fn to_publish(&self) -> ZoneSource {
        let good = self.good.as_ref().map(|(good, _)| good);
        ZoneSource {
            apex: self.standing.source.apex.clone(),
            zone: good.and_then(|good| good.zone.clone()),
            policy: good.map(|good| Arc::clone(&good.policy)).unwrap_or_default(),
        }
    }
}

/// What is held, as faults of the zone's file.
fn hold(file: &Path, losses: Vec<String>) -> Vec<Fault> {
    let fault = |loss| Fault::whole(Severity::Error, file, format!("held: {loss}; `kofn reload --force` takes it"));
    losses.into_iter().map(fault).collect()
}

/// What secondaries and caches would not notice, or take for old.
fn serial_warning(file: &Path, old: &Good, new: &Good, same_records: bool) -> Option<Fault> {
    let (before, now) = (old.zone.as_ref()?.serial(), new.zone.as_ref()?.serial());
    let message = if now == before {
        (!same_records).then(|| format!("the zone has changed and its serial is still {now}; a higher one"))
    } else {
        (!now.is_after(before)).then(|| format!("the serial went from {before} back to {now}; a higher one"))
    };
    message.map(|message| Fault::whole(Severity::Warning, file, format!("{message} would tell secondaries")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reload::Overrides;
    use crate::snapshot::Facts;

    /// The zones a.test and b.test, read.
    struct World {
        folder: tempfile::TempDir,
        loader: Loader,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let overrides = Overrides { zones: Some(folder.path().to_owned()), ..Overrides::default() };
            let source = SettingsSource { overrides, ..SettingsSource::default() };
            let settings = source.load().expect("settings");
            let loader = Loader::new(source, settings, Publisher::new(Arc::default(), Facts::default()));
            let mut world = Self { folder, loader };
            ["a", "b"].iter().for_each(|zone| world.write(zone, 1));
            let pass = world.loader.pass(Look::All);
            assert_eq!((pass.changed.len(), pass.served), (2, 2), "{:?}", pass.faults);
            world
        }

        fn write(&self, zone: &str, serial: u32) {
            let text = format!("$TTL 60\n@ SOA ns host {serial} 1 1 1 30\n@ NS ns\nns A 192.0.2.1\n");
            let file = self.path(&format!("{zone}.test.zone"));
            std::fs::write(&file, text).expect("a file");
            Self::settle(&file);
        }

        /// As if the file had been written a while ago.
        fn settle(file: &Path) {
            let ago = SystemTime::now() - Duration::from_secs(9);
            std::fs::File::options().append(true).open(file).and_then(|file| file.set_modified(ago)).expect("a time");
        }

        fn path(&self, file: &str) -> PathBuf {
            self.folder.path().join(file)
        }

        fn glance(&mut self, files: &[&str]) -> Option<Vec<String>> {
            let touched = files.iter().map(|file| self.path(file)).collect();
            let pass = self.loader.glance(&touched)?;
            Some(pass.changed.iter().map(|change| change.zone.to_string()).collect())
        }
    }

    #[test]
    fn a_glance_reads_what_was_touched_and_nothing_else() {
        let mut world = World::new();
        ["a", "b"].iter().for_each(|zone| world.write(zone, 2));
        assert_eq!(world.glance(&["a.test.zone", "a.test.zone.new"]), Some(vec!["a.test.".into()]));
        assert_eq!(world.glance(&["b.test.toml"]), Some(vec!["b.test.".into()]), "its policy was touched, or came");
    }

    #[test]
    fn what_is_being_written_is_read_later_unless_somebody_asks() {
        let mut world = World::new();
        let policy = world.path("a.test.toml");
        std::fs::write(&policy, "").expect("a file");
        World::settle(&policy);
        assert!(world.loader.pass(Look::Changed).changed.is_empty(), "an empty policy is none");
        std::fs::write(&policy, "[pool.ns]\nk = 1\n").expect("a file");
        assert_eq!(world.glance(&["a.test.toml"]), None);
        assert!(world.loader.pass(Look::Changed).changed.is_empty() && world.loader.is_early());
        World::settle(&policy);
        assert_eq!(world.loader.pass(Look::Changed).changed.len(), 1);
        assert!(!world.loader.is_early());
        std::fs::write(&policy, "").expect("a file");
        assert_eq!(world.loader.pass(Look::All).changed.len(), 1, "whoever asks says that it is whole");
    }

    #[test]
    fn what_comes_or_goes_takes_a_whole_look() {
        let mut world = World::new();
        world.write("c", 1);
        assert_eq!(world.glance(&["c.test.zone"]), None, "a new zone");
        assert_eq!(world.glance(&["d.test.zone"]), None, "no zone at all");
        assert_eq!(world.glance(&["sub/a.test.zone"]), None, "another folder");
        std::fs::remove_file(world.path("b.test.zone")).expect("its removal");
        assert_eq!(world.glance(&["b.test.zone"]), None, "a zone that is gone");
        world.write("a", 2);
        assert_eq!(world.glance(&["a.test.zone", "b.test.zone", "c.test.zone"]), Some(vec!["a.test.".into()]));
        assert_eq!(world.loader.overview().borrow().zones.len(), 2, "the others are left for a whole look");
    }
}
