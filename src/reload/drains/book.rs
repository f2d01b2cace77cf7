//! The list of drains, its file, and the clock file: everything that a drain does but waiting.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::listing::{self, Listing};
use super::refusal::{Refusal, refusal};
use crate::config;
use crate::drain::{self, Drain, Drains, Kept, Moment};
use crate::net::Prefix;
use crate::reload::keep;
use crate::reload::stamp::Stamp;
use crate::reload::watch::Interest;
use crate::snapshot::Publisher;
use crate::wire::Name;

/// The list, in the state folder.
const DRAINS: &str = "drains.toml";
/// The clock as it outlives the process. Nobody is to edit it.
const CLOCK: &str = "drain-clock.json";

/// Who is to be drained.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The member or members.
    pub addr: Prefix,
    /// The owner of the pool, in lower case; `None` for every pool.
    pub pool: Option<Name>,
    /// How long, as it was written.
    pub lasts: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Even if nobody is left, or nobody is there.
    pub force: bool,
}

/// The list of drains and its files.
#[derive(Debug)]
pub struct Book {
    file: PathBuf,
    clock_file: PathBuf,
    publisher: Arc<Publisher>,
    stamp: Option<Stamp>,
    /// As the file was when it was good last.
    drains: Drains,
    faults: Vec<String>,
    /// The clock file as it was written last.
    kept: Vec<Kept>,
    /// Whether the files are this process's to write, but for what it is told to drain.
    ours: watch::Receiver<bool>,
}

impl Book {
    /// Reads both files of the state folder. Nothing of a pool is served before this has been done.
    pub fn open(state: &Path, publisher: Arc<Publisher>, now: &Moment, ours: watch::Receiver<bool>) -> Self {
        let mut book = Self {
            file: state.join(DRAINS),
            clock_file: state.join(CLOCK),
            publisher,
            stamp: None,
            drains: Drains::default(),
            faults: Vec::new(),
            kept: Vec::new(),
            ours,
        };
        book.restore_clock(now);
        book.read(now);
        book
    }

    /// Members that are drained at the start, and of which nobody knows when they left, may have been handed out by the
    /// server before until it ended. To be called when the zones have been read.
    pub fn assume_copies(&mut self, now: &Moment) {
        self.publisher.with_clock(|clock, snapshot| {
            for (_, pool) in snapshot.pools() {
                for member in pool.families().flat_map(|family| &family.members).filter(|member| member.drained) {
                    if clock.copies(&pool.owner, member.address).is_none() {
                        clock.leaves(&pool.owner, member.address, member.ttl, now.steady);
                    }
                }
            }
        });
        self.keep_clock(now);
    }

    /// Where a change matters.
    pub(super) fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        interest.add_file(&self.file);
        interest
    }

    /// Reads the list if it has changed, and drains those who stand in it.
    pub fn read(&mut self, now: &Moment) {
        if self.stamp.is_some_and(|stamp| stamp.holds(&self.file)) {
            return;
        }
        let start = SystemTime::now();
        match read(&self.file) {
            Err(faults) => {
                if faults != self.faults {
                    faults.iter().for_each(|fault| error!("drains not taken, the last good ones hold: {fault}"));
                }
                self.faults = faults;
                self.take(self.drains.at(now.wall), now);
            }
            Ok((text, drains)) => {
                self.faults.clear();
                if let Err(error) = self.tidy(&text, &drains, now) {
                    warn!("{}: {error}; what has ended stays in it, and `since` is not written", self.file.display());
                }
                self.take(drains.at(now.wall), now);
            }
        }
        self.stamp = Some(Stamp::read_since(&self.file, start));
    }

    /// Dates who does not say when it began, and takes out whose time is over.
    fn tidy(&self, text: &str, drains: &Drains, now: &Moment) -> Result<(), String> {
        let ended: Vec<&Drain> = drains.iter().filter(|drain| drain.has_ended(now.wall)).collect();
        if !*self.ours.borrow() || ended.is_empty() && drains.iter().all(|drain| drain.since.is_some()) {
            return Ok(());
        }
        let is_over = |addr, pool: Option<&Name>| ended.iter().any(|drain| drain.is_of(addr, pool));
        let left = drain::remove(text, is_over).and_then(|text| drain::date(&text, now.wall));
        let left = left.map_err(|error| error.to_string())?;
        keep::replace(&self.file, &left).map_err(|error| error.to_string())
    }

    /// Drains, and returns when it is done.
    ///
    /// # Errors
    /// When nobody is meant, nobody would be left, or the file cannot be changed.
    pub fn drain(&mut self, ask: &Ask, now: &Moment) -> Result<(), Refusal> {
        let text = self.good_text(now)?;
        let same = self.drains.iter().find(|drain| drain.is_of(ask.addr, ask.pool.as_ref()));
        if same.is_some() && ask.lasts.is_none() && ask.reason.is_none() {
            return Ok(());
        }
        let lasts = ask.lasts.as_deref().and_then(config::read_duration);
        let drain =
            Drain { addr: ask.addr, pool: ask.pool.clone(), since: Some(now.wall), lasts, reason: ask.reason.clone() };
        if !ask.force
            && let Some(refusal) = refusal(&drain, &self.publisher.reader().load())
        {
            return Err(refusal);
        }
        let edited = drain::add(&text, &drain, ask.lasts.as_deref());
        self.write(edited, now)
    }

    /// Ends the drains of exactly these members; without a pool, whatever pool they name.
    ///
    /// # Errors
    /// When they are not drained, or only with others, or the file cannot be changed.
    pub fn undrain(&mut self, addr: Prefix, pool: Option<&Name>, now: &Moment) -> Result<(), Refusal> {
        let text = self.good_text(now)?;
        let is_meant = |own: Prefix, of: Option<&Name>| own == addr && (pool.is_none() || of == pool);
        if !self.drains.iter().any(|drain| is_meant(drain.addr, drain.pool.as_ref())) {
            let wider = self.drains.iter().find(|drain| {
                drain.addr != addr && drain.addr.len() < addr.len() && drain.addr.contains(addr.address())
            });
            return Err(match wider {
                Some(drain) => Refusal::DrainedWithOthers(addr, drain.addr),
                None => Refusal::NotDrained(addr),
            });
        }
        self.write(drain::remove(&text, is_meant), now)
    }

    /// Ends the drains whose time is over.
    pub fn end(&mut self, now: &Moment) {
        self.stamp = None;
        self.read(now);
    }

    /// When [`Book::end`] has something to do.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.drains.next_end()
    }

    /// How all drains stand.
    pub fn listing(&self, now: &Moment) -> Listing {
        let members = self.publisher.with_clock(|clock, snapshot| listing::members(&self.drains, clock, snapshot, now));
        Listing { faults: self.faults.clone(), drains: self.drains.iter().cloned().collect(), members }
    }

    /// Writes the clock of who is drained or removed, if that has changed since it was written.
    pub fn keep_clock(&mut self, now: &Moment) {
        if !*self.ours.borrow() {
            return;
        }
        let mut kept: Vec<Kept> = self.publisher.with_clock(|clock, snapshot| {
            let of_interest =
                |pool: &Name, address| self.drains.cover(pool, address) || !listing::is_member(snapshot, pool, address);
            let entries = clock.iter().filter(|(pool, address, _)| of_interest(pool, *address));
            entries.map(|(pool, address, copies)| copies.keep(pool, address, now)).collect()
        });
        kept.sort_by(|one, other| (&one.pool, one.address).cmp(&(&other.pool, other.address)));
        // The wall clock of a steady time wanders by fractions of a second.
        let rough = |list: &[Kept]| {
            list.iter().map(|one| (one.pool.clone(), one.address, one.gone.as_second())).collect::<Vec<_>>()
        };
        if rough(&kept) == rough(&self.kept) {
            return;
        }
        let text = serde_json::to_string_pretty(&kept).expect("a list of plain fields");
        match keep::replace(&self.clock_file, &(text + "\n")) {
            Ok(()) => self.kept = kept,
            Err(error) => {
                warn!("{}: {error}; the clock of drains would not survive a restart", self.clock_file.display());
            }
        }
    }

    fn restore_clock(&mut self, now: &Moment) {
        let text = match std::fs::read_to_string(&self.clock_file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            text => text.map_err(|error| error.to_string()),
        };
        let kept = text.and_then(|text| serde_json::from_str::<Vec<Kept>>(&text).map_err(|error| error.to_string()));
        match kept {
            Ok(kept) => {
                self.publisher.with_clock(|clock, _| clock.restore(&kept, now));
                self.kept = kept;
            }
            Err(error) => warn!("{}: {error}; the clock of drains begins anew", self.clock_file.display()),
        }
    }

    /// The text as it is now, taken over, if it has no fault.
    fn good_text(&mut self, now: &Moment) -> Result<String, Refusal> {
        self.read(now);
        if !self.faults.is_empty() {
            return Err(Refusal::Faults(self.faults.clone()));
        }
        text_of(&self.file).map_err(|error| Refusal::Io { path: self.file.clone(), error })
    }

    fn write(&mut self, edited: Result<String, drain::EditError>, now: &Moment) -> Result<(), Refusal> {
        let text = edited.map_err(|error| Refusal::Edit { path: self.file.clone(), error })?;
        keep::replace(&self.file, &text).map_err(|error| Refusal::Io { path: self.file.clone(), error })?;
        self.stamp = None;
        self.read(now);
        Ok(())
    }

    /// Makes these the drains.
    fn take(&mut self, drains: Drains, now: &Moment) {
        for drain in drains.iter().filter(|drain| !self.drains.iter().any(|old| old == *drain)) {
            let (pool, reason) = (drain.pool.as_ref().map(Name::to_string), drain.reason.as_deref());
            info!(addr = %drain.addr, pool, until = drain.until().map(|until| until.to_string()), reason, "drained");
        }
        let ended =
            self.drains.iter().filter(|old| !drains.iter().any(|drain| drain.is_of(old.addr, old.pool.as_ref())));
        for drain in ended {
            let why = if drain.has_ended(now.wall) { "drain ended, its time is over" } else { "drain ended" };
            info!(addr = %drain.addr, pool = drain.pool.as_ref().map(Name::to_string), "{why}");
        }
        if drains != self.drains {
            self.publisher.replace_drains(drains.clone());
            self.drains = drains;
        }
        self.keep_clock(now);
    }
}

fn text_of(file: &Path) -> io::Result<String> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}

/// The text and what it says, or its faults.
fn read(file: &Path) -> Result<(String, Drains), Vec<String>> {
    let text = text_of(file).map_err(|error| vec![format!("{}: {error}", file.display())])?;
    let drains = config::read_drains(&text, file)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok((text, drains))
}
