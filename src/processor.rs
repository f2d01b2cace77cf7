//! Layer 0: processors. Who runs where, and who gives way to whom.
//!
//! Where all threads share a processor, a worker that wakes while another thread computes may wait until that one enters the
//! kernel, or for the next tick, up to 4 ms later. A thread of low priority ([`give_way`], [`aside`]) is put aside sooner than
//! one of the worker's own, but not always: kernels that preempt lazily (Linux 6.13 and later) send no interrupt for it, and
//! SCHED_IDLE changes nothing about that. So long computations call [`pause`] as they go. What a thread gives away by that is
//! bounded: it is not to starve beside workers that never sleep, and one of SCHED_IDLE would, without a way back for who has no
//! privileges.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{getpriority_process, setpriority_process};
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::{JoinHandle, spawn_blocking};

/// Lets the calling thread, and threads that it starts, give way: for work that takes seconds while others answer queries.
/// What the system refuses is only lost politeness.
pub fn give_way() {
    if let Some(pace) = PACE.get() {
        if pace.polite {
            return;
        }
        PACE.set(Some(Pace { polite: true, ..pace }));
    }
    let _ = setpriority_process(None, POLITE);
}

/// Runs `work` on one of the runtime's threads for what blocks, which gives way from then on: for what takes milliseconds or
/// waits for a disk. Nothing that blocks in the same runtime may be in a hurry.
pub fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn_blocking(|| {
        give_way();
        work()
    })
}

/// Threads of this process answer queries from now on. Whoever computes for long gives way to them, whatever its priority.
pub fn share() {
    SHARED.store(true, Ordering::Relaxed);
}

/// Called by long computations, every microsecond or so: lets others run first if the calling thread gives way or the processor
/// is shared, and costs next to nothing if not. Not for what answers one query.
#[inline]
pub fn pause() {
    CALLS.with(|calls| {
        calls.set(calls.get().wrapping_add(1));
        if calls.get() % CALLS_A_LOOK == 0 {
            look();
        }
    });
}

/// Yields, if it is time.
#[inline(never)]
fn look() {
    let mut pace = PACE.get().unwrap_or_else(Pace::of_this_thread);
    if pace.polite || SHARED.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now.saturating_duration_since(pace.last) >= STRETCH {
            if pace.given <= GRACE + own_time() * SHARE {
                thread::yield_now();
            }
            pace.last = Instant::now();
            pace.given += pace.last.saturating_duration_since(now);
        }
    }
    PACE.set(Some(pace));
}

/// Whether there are threads that answer.
static SHARED: AtomicBool = AtomicBool::new(false);

/// What a thread that gives way has given.
#[derive(Clone, Copy)]
struct Pace {
    polite: bool,
    last: Instant,
    /// How long others ran when it yielded.
    given: Duration,
}

impl Pace {
    fn of_this_thread() -> Self {
        let polite = getpriority_process(None).is_ok_and(|niceness| niceness >= POLITE);
        Self { polite, last: Instant::now(), given: Duration::ZERO }
    }
}

/// How long the calling thread has computed.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static PACE: Cell<Option<Pace>> = const { Cell::new(None) };
}

/// Calls of [`pause`] for one look at the clock.
const CALLS_A_LOOK: u32 = 16;
/// A query that comes while a polite thread computes waits for so long at most, or for as long as the work between two
/// calls takes. To yield to nobody costs about half a microsecond.
const STRETCH: Duration = Duration::from_micros(20);
/// A polite thread yields for so long without regard to what it gets done, and then until a tenth of the time has been its
/// own. After that only its niceness speaks, which promises it that tenth.
const GRACE: Duration = Duration::from_secs(1);
const SHARE: u32 = 9;

/// The processors that this process may use, by their numbers.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub fn available() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect()
}

/// Keeps the calling thread on one processor.
///
/// # Errors
/// When the system refuses, as for a processor that there is not.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub fn stay_on(processor: usize) -> io::Result<()> {
    keep_to([processor])
}

/// Keeps the calling thread, and threads that it starts, off these processors, if others are left.
///
/// # Errors
/// When the system refuses.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub fn stay_off(processors: &[usize]) -> io::Result<()> {
    let mut left = available();
    left.retain(|processor| !processors.contains(processor));
    if left.is_empty() { Ok(()) } else { keep_to(left) }
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn keep_to(processors: impl IntoIterator<Item = usize>) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.into_iter().for_each(|processor| set.set(processor));
    Ok(sched_setaffinity(None, &set)?)
}

/// None: the system does not say.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub fn available() -> Vec<usize> {
    Vec::new()
}

/// Nothing: the system does not have it.
///
/// # Errors
/// Always.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub fn stay_on(_processor: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing: no thread stays on one either.
///
/// # Errors
/// Never.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub fn stay_off(_processors: &[usize]) -> io::Result<()> {
    Ok(())
}

/// A thread of this niceness gets a tenth of what the others get, and is put aside when one of them wakes. Not the least there
/// is: a zone that is read beside workers that are all saturated is to be read all the same.
const POLITE: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_gives_way_alone() {
        let niceness = || getpriority_process(None).expect("our own");
        let before = niceness();
        let polite = thread::spawn(move || {
            give_way();
            niceness()
        });
        assert_eq!(polite.join().expect("a number"), POLITE);
        assert_eq!(niceness(), before);
    }

    #[test]
    fn only_who_is_polite_yields_and_not_for_ever() {
        let is_polite_itself = getpriority_process(None).expect("our own") >= POLITE;
        let pauses = move |mut before: Option<Pace>| {
            PACE.set(before.take());
            (0..200_000).for_each(|_| pause());
            PACE.get().expect("it has looked")
        };
        let (polite, other) = thread::scope(|scope| {
            let polite = scope.spawn(|| {
                give_way();
                pauses(None)
            });
            let other = scope.spawn(|| pauses(None));
            (polite.join().expect("a pace"), other.join().expect("a pace"))
        });
        assert!(polite.polite && !polite.given.is_zero());
        // Another test may have begun to answer.
        let is_shared = || SHARED.load(Ordering::Relaxed);
        assert!(is_polite_itself || is_shared() || (!other.polite && other.given.is_zero()));
        share();
        let beside = thread::spawn(move || pauses(None)).join().expect("a pace");
        assert!(!beside.given.is_zero(), "there are threads that answer");
        let given = Duration::from_secs(3600);
        let exhausted = pauses(Some(Pace { polite: true, last: Instant::now(), given }));
        assert!(exhausted.given - given < GRACE * 10, "only the time between two looks at the clock");
    }

    #[test]
    fn a_thread_stays_where_it_is_put_and_off_where_it_is_not_to_be() {
        let all = available();
        let last = *all.last().expect("the processor of this test");
        let stayed = thread::spawn(move || stay_on(last).map(|()| available()));
        assert_eq!(stayed.join().expect("a list").expect("one of ours"), [last]);
        let rest = &all[..all.len() - 1];
        let elsewhere = thread::spawn(move || stay_off(&[last]).map(|()| available())).join().expect("a list");
        assert_eq!(elsewhere.expect("those of ours"), if rest.is_empty() { &all } else { rest });
        let nowhere = thread::spawn(|| stay_off(&available()).map(|()| available())).join().expect("a list");
        assert_eq!(nowhere.expect("all of ours"), all, "none would be left");
        assert_eq!(available(), all);
        assert!(thread::spawn(|| stay_on(CpuSet::MAX_CPU - 1)).join().expect("an error").is_err());
    }
}
