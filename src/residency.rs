//! Layer 0: memory that is resident and of no use, given back.
//!
//! ```text
//! start, a zone read anew ─► pages of the program and its libraries that ran once ─► mapped again where they run again
//!                         └► free pieces of the heap ─► the system
//! ```
//!
//! Most of the program's code runs once, when it starts, or when somebody looks at the page of status. What the kernel has
//! mapped of it would count as resident for ever, several times as much as the server needs to answer. To map a page again
//! costs less than a microsecond, for it is still in the page cache.

#![expect(unsafe_code, reason = "neither of the two system calls has a safe wrapper")]

use std::ffi::c_void;
use std::fs;
use std::ops::Range;

/// Gives back what is resident and not in use. It takes a millisecond or two, and may be called at any time.
pub fn let_go() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes the locks of the heap, and gives back only what nobody has allocated.
    unsafe {
        libc::malloc_trim(0);
    }
    // Where the system does not tell what is mapped nothing is given back.
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else { return };
    for pages in unchanged(&maps) {
        // SAFETY: these pages are mapped from a file, nobody may write to them, and none of them differs from the file: so
        // whoever reads one again, now or later, finds the same octets there. A file that is run cannot be written to
        // either (ETXTBSY), and what packages replace goes on under the old inode.
        unsafe {
            libc::madvise(pages.start as *mut c_void, pages.len(), libc::MADV_DONTNEED);
        }
    }
}

/// The mappings of files that cannot be written to and of which no page was ever changed, which relocations do.
fn unchanged(maps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next().unwrap_or_default();
        match first.strip_suffix(':') {
            None => {
                let is_code = |permissions: &str| matches!(permissions, "r-xp" | "r--p");
                let is_file =
                    fields.next().is_some_and(is_code) && fields.nth(3).is_some_and(|path| path.starts_with('/'));
                current = range(first).filter(|_| is_file);
            }
            // Both are of the mapping above, and `Swap` comes last of those that matter.
            Some("Anonymous" | "Private_Dirty") if fields.next() != Some("0") => current = None,
            Some("Swap") => found.extend(current.take().filter(|_| fields.next() == Some("0"))),
            Some(_) => {}
        }
    }
    found
}

/// `7f00a000-7f00c000` as numbers.
fn range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
1000-3000 r-xp 00001000 fe:00 7   /usr/bin/kofn
Rss:    8 kB
Private_Dirty:    0 kB
Anonymous:        0 kB
Swap:             0 kB
3000-4000 r--p 00003000 fe:00 7   /usr/bin/kofn
Private_Dirty:    4 kB
Anonymous:        4 kB
Swap:             0 kB
4000-5000 r--p 00004000 fe:00 7   /usr/bin/kofn
Private_Dirty:    0 kB
Anonymous:        0 kB
Swap:             4 kB
5000-6000 rw-p 00005000 fe:00 7   /usr/bin/kofn
Private_Dirty:    0 kB
Anonymous:        0 kB
Swap:             0 kB
6000-7000 r-xp 00000000 00:00 0   [vdso]
Private_Dirty:    0 kB
Anonymous:        0 kB
Swap:             0 kB
7000-8000 r--p 00000000 00:00 0
Private_Dirty:    0 kB
Anonymous:        0 kB
Swap:             0 kB
8000-a000 r--p 00000000 fe:00 9   /usr/lib/libc.so.6
Private_Dirty:    0 kB
Anonymous:        0 kB
Swap:             0 kB
";

    #[test]
    fn only_what_the_file_still_has_is_let_go() {
        assert_eq!(unchanged(MAPS), [0x1000..0x3000, 0x8000..0xa000]);
        assert!(unchanged("").is_empty() && unchanged("Swap: 0 kB\nx\n1-2").is_empty());
    }

    #[test]
    fn the_program_goes_on_with_less() {
        // Of the code alone, for other tests are at work, and allocate.
        let resident = || -> u64 {
            let maps = fs::read_to_string("/proc/self/smaps").expect("this system tells");
            let code = maps.split("\nVmFlags:").filter(|map| map.contains(" r-xp ") && map.contains('/'));
            let numbers = code.flat_map(str::lines).filter_map(|line| line.strip_prefix("Rss:"));
            numbers.filter_map(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()).sum()
        };
        let kept = vec![7_u8; 1 << 20];
        let before = resident();
        let_go();
        let after = resident();
        assert!(after < before, "{after} KiB after {before}");
        assert!(kept.iter().all(|octet| *octet == 7));
    }
}
