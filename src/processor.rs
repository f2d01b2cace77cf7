//! Layer 0: processors. Who runs where, and who gives way to whom.

use std::io;

use rustix::process::setpriority_process;
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Lets the calling thread, and threads that it starts, give way: for work that takes seconds while others answer queries.
/// What the system refuses is only lost politeness.
pub fn give_way() {
    let _ = setpriority_process(None, POLITE);
}

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
    let mut set = CpuSet::new();
    set.set(processor);
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

/// A thread of this niceness gets a tenth of what the others get, and is put aside when one of them wakes. Not the least there
/// is: a zone that is read beside workers that are all saturated is to be read all the same.
const POLITE: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_gives_way_alone() {
        let niceness = || rustix::process::getpriority_process(None).expect("our own");
        let before = niceness();
        let polite = thread::spawn(move || {
            give_way();
            niceness()
        });
        assert_eq!(polite.join().expect("a number"), POLITE);
        assert_eq!(niceness(), before);
    }

    #[test]
    fn a_thread_stays_where_it_is_put() {
        let all = available();
        let last = *all.last().expect("the processor of this test");
        let stayed = thread::spawn(move || stay_on(last).map(|()| available()));
        assert_eq!(stayed.join().expect("a list").expect("one of ours"), [last]);
        assert_eq!(available(), all);
        assert!(thread::spawn(|| stay_on(CpuSet::MAX_CPU - 1)).join().expect("an error").is_err());
    }
}
