//! One zone from its files: text, then checks, then policy. All of it is good, or none of it is taken.

use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use siphasher::sip::SipHasher24;

use super::fault::{Fault, Severity};
use super::source::Source;
use crate::config::{self, ZonePolicy};
use crate::snapshot::misfits;
use crate::zone::text::Limits;
use crate::zone::{self, Record, Records, Zone};

/// A zone that can be served.
#[derive(Clone, Debug)]
pub struct Good {
    /// Its data.
    pub zone: Arc<Zone>,
    /// Its policy; every default where there is no file.
    pub policy: Arc<ZonePolicy>,
    /// Equal for equal records, whatever their order and their text.
    pub(super) digest: u64,
}

/// What reading the files of one zone gave.
#[derive(Clone, Debug)]
pub struct Load {
    /// The files that were meant.
    pub source: Source,
    /// The zone, when no file of it has an error.
    pub good: Option<Good>,
    /// The files that decided it, whether they exist or not.
    pub files: Vec<PathBuf>,
    /// What is wrong, in the order of the text, errors and warnings.
    pub faults: Vec<Fault>,
    /// How many faults there are beyond those.
    pub left_out: usize,
}

/// Reads the files of one zone.
pub fn load(source: &Source) -> Load {
    let loaded = zone::load(&source.zone, Some(&source.apex), &Limits::default());
    let mut files: Vec<PathBuf> = loaded.files.iter().map(|file| file.to_path_buf()).collect();
    files.push(source.policy.clone());
    let mut load = Load {
        source: source.clone(),
        good: None,
        files,
        faults: loaded.faults.iter().map(Fault::from).collect(),
        left_out: loaded.faults.left_out(),
    };
    let policy = read_policy(source, &mut load.faults);
    if loaded.faults.errors() > 0 {
        return load;
    }
    match Zone::build(&source.apex, &loaded.records) {
        Err(error) => load.faults.push(Fault::whole(Severity::Error, &source.zone, error)),
        Ok(zone) => {
            let Some(policy) = policy else { return load };
            let misfits = misfits(&zone, &policy);
            load.faults.extend(misfits.iter().map(Fault::from));
            if misfits.iter().any(|fault| fault.severity == config::Severity::Error) {
                return load;
            }
            let digest = digest(&loaded.records);
            load.good = Some(Good { zone: Arc::new(zone), policy: Arc::new(policy), digest });
        }
    }
    load
}

/// Reads many zones, as many at a time as there are cores. They come back in their order.
pub fn load_all(sources: &[Source]) -> Vec<Load> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(sources.len());
    if threads < 2 {
        return sources.iter().map(load).collect();
    }
    let queue = Mutex::new(sources.iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || std::iter::from_fn(next).map(|(index, source)| (index, load(source))).collect::<Vec<_>>();
    let mut loads: Vec<(usize, Load)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("the loader does not panic")).collect()
    });
    loads.sort_unstable_by_key(|(index, _)| *index);
    loads.into_iter().map(|(_, load)| load).collect()
}

fn read_policy(source: &Source, faults: &mut Vec<Fault>) -> Option<ZonePolicy> {
    if !source.policy.exists() {
        return Some(ZonePolicy::default());
    }
    match ZonePolicy::load(&source.policy, source.apex.borrow()) {
        Ok(policy) => {
            faults.extend(policy.warnings.iter().map(Fault::from));
            Some(policy)
        }
        Err(wrong) => {
            faults.extend(wrong.iter().map(Fault::from));
            None
        }
    }
}

/// Tells a zone that has changed from one whose file was only written again. The key is no secret: who can write zone
/// files need not forge them.
fn digest(records: &Records) -> u64 {
    let of = |record: Record<'_>| {
        let mut hasher = SipHasher24::new();
        (record.owner, record.rtype, record.class, record.ttl, record.rdata).hash(&mut hasher);
        hasher.finish()
    };
    records.iter().map(of).fold(0, u64::wrapping_add)
}

impl Load {
    /// The faults for which the zone is not taken.
    pub fn errors(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| fault.severity == Severity::Error)
    }

    /// The faults with which it is taken.
    pub fn warnings(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| fault.severity == Severity::Warning)
    }
}
