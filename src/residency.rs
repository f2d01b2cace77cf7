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
//!
//! What runs again would bring its neighbours: the kernel maps 64 KiB around the page that is touched, or the whole folio that
//! holds it, as far as the mapping goes. So the mappings are split: every other 16 KiB are marked as what a core dump leaves
//! out, which it leaves out anyway, for it is in the file.

#![expect(unsafe_code, reason = "malloc_trim and this advice have no safe wrapper")]

use std::ffi::c_void;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;

/// Gives back what is resident and not in use. It takes a millisecond or two, and may be called at any time.
pub fn let_go() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes the locks of the heap, and gives back only what nobody has allocated.
    unsafe {
        libc::malloc_trim(0);
    }
    // Where the system does not tell what is mapped nothing is given back.
    let Ok(maps) = File::open("/proc/self/smaps") else { return };
    for pages in unchanged(BufReader::new(maps)) {
        split(&pages);
        // SAFETY: these pages are mapped from a file, nobody may write to them, and none of them differs from the file: so
        // whoever reads one again, now or later, finds the same octets there. A file that is run cannot be written to
        // either (ETXTBSY), and what packages replace goes on under the old inode.
        unsafe {
            libc::madvise(pages.start as *mut c_void, pages.len(), libc::MADV_DONTNEED);
        }
    }
}

/// Octets of a piece of a mapping. Smaller ones are more to look through, larger ones bring more that is not needed: of the
/// same program 16 KiB kept 5.3 MiB resident, 64 KiB 8.0 and no splitting 10.3.
#[cfg(target_os = "linux")]
const PIECE: usize = 16 << 10;

/// Lets the kernel map no more than a piece at a time; nothing where that is done. Which pieces are marked their addresses say,
/// so that two threads do the same. The first is not: what a core dump has of a program is the first page of its file.
#[cfg(target_os = "linux")]
fn split(pages: &Range<usize>) {
    let second = (pages.start + 1).next_multiple_of(PIECE);
    for start in (second..pages.end).step_by(PIECE).filter(|start| start / PIECE % 2 == 1) {
        let octets = PIECE.min(pages.end - start);
        // SAFETY: this marks memory of ours, and changes neither what is there nor who may do what with it.
        unsafe {
            libc::madvise(start as *mut c_void, octets, libc::MADV_DONTDUMP);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn split(_pages: &Range<usize>) {}

/// The mappings of files that cannot be written to and of which no page was ever changed, which relocations do.
fn unchanged(maps: impl BufRead) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in maps.lines().map_while(Result::ok) {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next().unwrap_or_default();
        match first.strip_suffix(':') {
            None => {
                let is_code = |permissions: &str| matches!(permissions, "r-xp" | "r--p");
                let is_file =
                    fields.next().is_some_and(is_code) && fields.nth(3).is_some_and(|path| path.starts_with('/'));
                current = range(first).filter(|_| is_file);
            }
            // Both are of the mapping above, and `Swap` comes last of those that matter. `Private_Dirty` is not one of them: it
            // also counts pages of a file that was written a moment ago and is not on the disk yet.
            Some("Anonymous") if fields.next() != Some("0") => current = None,
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
    use std::fs;

    const MAPS: &str = "\
1000-3000 r-xp 00001000 fe:00 7   /usr/bin/kofn
Rss:    8 kB
Private_Dirty:    8 kB
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
        assert_eq!(unchanged(MAPS.as_bytes()), [0x1000..0x3000, 0x8000..0xa000]);
        let nothing = |maps: &str| unchanged(maps.as_bytes()).is_empty();
        assert!(nothing("") && nothing("Swap: 0 kB\nx\n1-2"));
    }

    #[test]
    fn the_program_goes_on_with_less_and_in_pieces() {
        // Of the code alone, for other tests are at work, and allocate.
        let kept = vec![7_u8; 1 << 20];
        let_go();
        let maps = fs::read_to_string("/proc/self/smaps").expect("this system tells");
        let code = maps.split("\nVmFlags:").filter(|map| map.contains(" r-xp ") && map.contains('/'));
        let of = |map: &str, what: &str| -> Option<usize> {
            map.lines().find_map(|line| line.strip_prefix(what))?.trim().strip_suffix(" kB")?.parse().ok()
        };
        let pieces: Vec<_> = code.filter_map(|map| Some((of(map, "Size:")?, of(map, "Rss:")?))).collect();
        let (size, resident) = pieces.iter().fold((0, 0), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1));
        assert!(size > 1024 && resident < size / 2, "{resident} of {size} KiB");
        if cfg!(target_os = "linux") {
            // The first may go on into the second.
            assert!(pieces.iter().all(|(size, _)| *size <= (2 * PIECE) >> 10), "{pieces:?}");
        }
        assert!(kept.iter().all(|octet| *octet == 7));
    }
}
