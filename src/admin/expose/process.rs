//! What the system says of this process.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

/// Octets in memory; `None` where there is no /proc.
pub(super) fn resident() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some((pages * page_size() as u64) as f64)
}

/// Seconds of processor time, of the program and of the kernel for it.
pub(super) fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    let [user, system] = ticks[..] else { return None };
    Some((user + system) as f64 / clock_ticks_per_second() as f64)
}

/// Open file descriptors.
pub(super) fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_time_and_files() {
        assert!(resident().is_none_or(|octets| octets > 1e6));
        assert!(cpu_seconds().is_none_or(|seconds| (0.0..1e6).contains(&seconds)));
        assert!(open_files().is_none_or(|files| files >= 3.0));
    }
}
