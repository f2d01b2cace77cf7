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
use crate::zone::{self, BuildError, Record, Records, Zone};

/// Records for which a thread is worth its start.
const MANY: usize = 50_000;

/// A zone that can be served.
#[derive(Clone, Debug)]
pub struct Good {
    /// Its data; `None` when there is only a policy: then primaries have the zone, or this server writes it, or the policy
    /// waits for a catalog that lists it.
    pub zone: Option<Arc<Zone>>,
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
    if !source.zone.exists() && source.policy.exists() {
        return load_policy(source);
    }
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
    let (zone, digest) = build(source, &loaded.records);
    // Before the zone is served, what it was made of is no longer needed.
    drop(loaded);
    match zone {
        Err(error) => load.faults.push(Fault::whole(Severity::Error, &source.zone, error)),
        Ok(zone) => {
            let Some(policy) = policy else { return load };
            if let Some(fault) = two_origins(source, &policy) {
                load.faults.push(fault);
                return load;
            }
            let misfits = misfits(&zone, &policy);
            load.faults.extend(misfits.iter().map(Fault::from));
            if misfits.iter().any(|fault| fault.severity == config::Severity::Error) {
                return load;
            }
            load.good = Some(Good { zone: Some(Arc::new(zone)), policy: Arc::new(policy), digest });
        }
    }
    load
}

/// Reads a policy that has no zone file beside it.
fn load_policy(source: &Source) -> Load {
    let files = vec![source.zone.clone(), source.policy.clone()];
    let mut load = Load { source: source.clone(), good: None, files, faults: Vec::new(), left_out: 0 };
    let Some(policy) = read_policy(source, &mut load.faults) else { return load };
    if !policy.has_no_file() {
        load.faults.push(source.orphan_warning());
    }
    load.good = Some(Good { zone: None, policy: Arc::new(policy), digest: 0 });
    load
}

/// A zone comes from its file or from elsewhere: of two origins neither can be right for sure.
fn two_origins(source: &Source, policy: &ZonePolicy) -> Option<Fault> {
    let file = source.zone.display();
    let message = match (&policy.transfer.from_place, &policy.catalog) {
        (Some(place), _) if !policy.transfer.from.is_empty() => {
            let fault = place.warning(
                format!("the zone comes from primaries, and there is also its file, {file}"),
                "no file where the primaries have the zone; no `from` where the file is the zone",
            );
            return Some(Fault { severity: Severity::Error, ..Fault::from(&fault) });
        }
        (_, Some(_)) => format!("the zone is a catalog, and there is also its file, {file}; no such file"),
        _ => return None,
    };
    Some(Fault::whole(Severity::Error, &source.policy, message))
}

/// Makes the zone and its digest; at the same time where that takes long.
fn build(source: &Source, records: &Records) -> (Result<Zone, BuildError>, u64) {
    if records.len() < MANY {
        return (Zone::build(&source.apex, records), digest(records));
    }
    thread::scope(|scope| {
        let digest = scope.spawn(|| digest(records));
        (Zone::build(&source.apex, records), digest.join().expect("a digest does not panic"))
    })
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

impl Good {
    /// Whether the policy is of no zone that this server has by itself.
    pub fn is_waiting(&self) -> bool {
        self.zone.is_none() && !self.policy.has_no_file()
    }
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
