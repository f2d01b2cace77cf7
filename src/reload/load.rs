//! One zone from its files: text, then checks, then policy. All of it is good, or none of it is taken.

use std::mem;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use super::fault::{Fault, Severity};
use super::progress::Progress;
use super::source::Source;
use crate::config::{self, ZonePolicy};
use crate::snapshot::misfits;
use crate::zone::text::Limits;
use crate::zone::{self, Zone};

/// The policy of zones that have no file of it, which there may be a hundred thousand of.
static NO_POLICY: LazyLock<Arc<ZonePolicy>> = LazyLock::new(Arc::default);

/// A zone that can be served.
#[derive(Clone, Debug)]
pub struct Good {
    /// Its data; `None` when there is only a policy: then primaries have the zone, or this server writes it, or the policy
    /// waits for a catalog that lists it.
    pub zone: Option<Arc<Zone>>,
    /// Its policy; every default where there is no file.
    pub policy: Arc<ZonePolicy>,
}

/// What reading the files of one zone gave.
#[derive(Clone, Debug)]
pub struct Load {
    /// The files that were meant.
    pub source: Source,
    /// The zone, when no file of it has an error.
    pub good: Option<Good>,
    /// The files beside the zone file and its policy that decided it, whether they exist or not.
    pub included: Vec<PathBuf>,
    /// What is wrong, in the order of the text, errors and warnings.
    pub faults: Vec<Fault>,
    /// How many faults there are beyond those.
    pub left_out: usize,
}

/// Reads the files of one zone.
pub(super) fn load(source: &Source, progress: &Progress) -> Load {
    if !source.zone.exists() && source.policy().exists() {
        return load_policy(source);
    }
    let mut loaded = zone::load(&source.zone, Some(&source.apex), &Limits::default(), &|octets| progress.add(octets));
    let included = loaded.files[1..].iter().map(|file| file.to_path_buf()).collect();
    let mut load = Load {
        source: source.clone(),
        good: None,
        included,
        faults: loaded.faults.iter().map(Fault::from).collect(),
        left_out: loaded.faults.left_out(),
    };
    let policy = read_policy(source, &mut load.faults);
    if loaded.faults.errors() > 0 {
        return load;
    }
    let zone = Zone::build_from(&source.apex, mem::take(&mut loaded.records));
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
            load.good = Some(Good { zone: Some(Arc::new(zone)), policy });
        }
    }
    load
}

/// Reads a policy that has no zone file beside it.
fn load_policy(source: &Source) -> Load {
    let (faults, included) = (Vec::new(), Vec::new());
    let mut load = Load { source: source.clone(), good: None, included, faults, left_out: 0 };
    let Some(policy) = read_policy(source, &mut load.faults) else { return load };
    if !policy.has_no_file() {
        load.faults.push(source.orphan_warning());
    }
    load.good = Some(Good { zone: None, policy });
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
    Some(Fault::whole(Severity::Error, &source.policy(), message))
}

/// Reads many zones, as many at a time as there are cores. They come back in their order.
pub fn load_all(sources: &[Source]) -> Vec<Load> {
    let progress = Progress::over(sources);
    in_parallel(sources, |source| load(source, &progress))
}

/// Does the same to each zone, on as many threads as there are cores. What comes of it is in their order.
pub(super) fn in_parallel<T: Send>(sources: &[Source], work: impl Fn(&Source) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(sources.len());
    if threads < 2 {
        return sources.iter().map(work).collect();
    }
    let queue = Mutex::new(sources.iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || std::iter::from_fn(next).map(|(index, source)| (index, work(source))).collect::<Vec<_>>();
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("the loader does not panic")).collect()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, done)| done).collect()
}

fn read_policy(source: &Source, faults: &mut Vec<Fault>) -> Option<Arc<ZonePolicy>> {
    let file = source.policy();
    if !file.exists() {
        return Some(Arc::clone(&NO_POLICY));
    }
    match ZonePolicy::load(&file, source.apex.borrow()) {
        Ok(policy) => {
            faults.extend(policy.warnings.iter().map(Fault::from));
            Some(Arc::new(policy))
        }
        Err(wrong) => {
            faults.extend(wrong.iter().map(Fault::from));
            None
        }
    }
}

impl Good {
    /// Whether both have the same records, whatever their order and their text.
    pub(super) fn has_records_of(&self, other: &Self) -> bool {
        match (&self.zone, &other.zone) {
            (Some(ours), Some(theirs)) => ours.has_records_of(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        }
    }

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
