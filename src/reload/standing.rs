//! How the zones stand: what is served of each, and what its files say now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::change::Change;
use super::fault::Fault;
use super::load::Good;
use super::source::Source;
use crate::zone::Serial;

/// What is known of all files after they were last looked at.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// What is wrong with the settings and the zones folder.
    pub faults: Vec<Fault>,
    /// The zones by name.
    pub zones: Vec<Arc<Standing>>,
    /// The looks so far.
    pub looks: Looks,
}

/// What the looks at the files have done.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// How many found no error.
    pub good: u64,
    /// How many found errors, or held something.
    pub faulty: u64,
    /// When the last one ended.
    pub last: Option<Timestamp>,
    /// How long it took.
    pub took: Duration,
    /// When something that was read was last taken, and what that changed.
    pub taken: Option<(Timestamp, Vec<Change>)>,
}

impl Looks {
    /// One more look, which began then.
    pub(super) fn note(&mut self, begun: Instant, changed: &[Change], is_faulty: bool) {
        let now = Timestamp::now();
        *(if is_faulty { &mut self.faulty } else { &mut self.good }) += 1;
        (self.last, self.took) = (Some(now), begun.elapsed());
        if !changed.is_empty() {
            self.taken = Some((now, changed.to_vec()));
        }
    }
}

/// One zone.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its files.
    pub source: Source,
    /// Whether the zone is read from a file; else it comes by transfer, and what is served of it is not known here.
    pub has_file: bool,
    /// What is served of the file; `None` while it never was good, when queries get SERVFAIL.
    pub served: Option<Served>,
    /// For what its files, as they are now, are not served.
    pub errors: Vec<Fault>,
    /// For what its files, though they have no fault, are held until somebody confirms them or they change.
    pub held: Vec<Fault>,
    /// With what they are served.
    pub warnings: Vec<Fault>,
}

impl Standing {
    /// Shows that this is served, since it was read.
    pub(super) fn show(&mut self, good: Option<&(Good, Timestamp)>) {
        self.has_file = good.is_none_or(|(good, _)| good.zone.is_some());
        self.served = good.and_then(|(good, loaded)| {
            let zone = good.zone.as_ref()?;
            Some(Served { serial: zone.serial(), records: zone.record_count(), loaded: *loaded })
        });
    }

    /// Whether what its file says now is what is served.
    pub fn is_current(&self) -> bool {
        self.served.is_some() && self.errors.is_empty() && self.held.is_empty()
    }

    /// Whether the same is wrong with both.
    pub(super) fn has_faults_of(&self, other: &Self) -> bool {
        (&self.errors, &self.held, &self.warnings) == (&other.errors, &other.held, &other.warnings)
    }
}

/// What is served of a zone.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// SOA SERIAL.
    pub serial: Serial,
    /// How many records.
    pub records: usize,
    /// When it was read.
    pub loaded: Timestamp,
}

/// How the files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// What seems unchanged is not read.
    Changed,
    /// Everything is read.
    All,
    /// Everything is read, and taken even where it takes most of a pool or a zone away.
    Forced,
}

/// What one look at the files did.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// The zones whose new state is served, those that are gone among them.
    pub changed: Vec<Change>,
    /// How many zones are served.
    pub served: usize,
    /// Everything that is wrong now, new or not.
    pub faults: Vec<Fault>,
}
