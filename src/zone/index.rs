//! The names of a zone by their hashes.
//!
//! ```text
//! hash ──► line of 64 octets: tag, place │ tag, place │ … eight in all; the next line when this one is full
//!                                   └──► where the name stands in the zone's arena
//! ```
//!
//! A lookup reads one cache line here and then the one where the name stands, with its RRsets behind it: two waits for
//! memory, whatever the size of the zone. The tags have 32 bits of the hash, so that hardly any other name is looked at.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::octets::Octets;

/// Places by the hash of what stands there. It is sized once and does not grow.
#[derive(Debug)]
pub(super) struct Index {
    lines: Octets,
    hashing: RandomState,
}

/// Octets of a cache line.
const LINE: usize = 64;
/// Octets of a tag and a place. The place is one more than it says, so that 0 is a free slot.
const SLOT: usize = 8;
/// Slots of a line that are filled on the average: with six of eight one line in twenty is too full and goes on in the next.
const FILLED: usize = 6;

impl Index {
    /// An index with room for `count` places.
    pub(super) fn with_room_for(count: usize) -> Self {
        // Always some that stay free: a lookup ends at the first of them.
        let lines = count / FILLED + 1;
        Self { lines: Octets::zeroed(lines * LINE), hashing: RandomState::default() }
    }

    /// Adds a place that is not there yet.
    pub(super) fn insert(&mut self, name: &[u8], place: u32) {
        let hash = self.hash(name);
        let mut start = self.line_of(hash);
        loop {
            let slots = &mut self.lines[start..start + LINE];
            if let Some(free) = slots.chunks_exact_mut(SLOT).find(|slot| slot[4..] == [0; 4]) {
                free[..4].copy_from_slice(&(hash as u32).to_le_bytes());
                free[4..].copy_from_slice(&(place + 1).to_le_bytes());
                return;
            }
            start = self.after(start);
        }
    }

    /// The place of `name`, of those that `is_it` says are its own.
    #[inline]
    pub(super) fn find(&self, name: &[u8], is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.find_hashed(self.hash(name), is_it)
    }

    /// The same for the hash of a name.
    #[inline]
    pub(super) fn find_hashed(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut start = self.line_of(hash);
        loop {
            let line: &[u8; LINE] = self.lines[start..].first_chunk().expect("lines are whole");
            for slot in line.chunks_exact(SLOT) {
                let slot = u64::from_le_bytes(slot.try_into().expect("a slot has eight octets"));
                match (slot >> 32) as u32 {
                    0 => return None,
                    place if slot as u32 == hash as u32 && is_it(place - 1) => return Some(place - 1),
                    _ => {}
                }
            }
            start = self.after(start);
        }
    }

    /// The hash of a lower-cased name.
    #[inline]
    pub(super) fn hash(&self, lower: &[u8]) -> u64 {
        hash(&self.hashing, lower)
    }

    /// An octet of the line that a lookup of this hash reads first.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u8 {
        self.lines[self.line_of(hash)]
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        self.lines.len()
    }

    /// Where the line of a hash begins. The bits that choose the line are not those of the tag.
    #[inline]
    fn line_of(&self, hash: u64) -> usize {
        let lines = (self.lines.len() / LINE) as u64;
        (((hash >> 32) * lines) >> 32) as usize * LINE
    }

    #[inline]
    fn after(&self, start: usize) -> usize {
        if start + LINE < self.lines.len() { start + LINE } else { 0 }
    }
}

/// The hash of a lower-cased name.
#[inline]
pub(super) fn hash(hashing: &RandomState, lower: &[u8]) -> u64 {
    let mut hasher = hashing.build_hasher();
    hasher.write(lower);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_found_and_nothing_else() {
        for count in [0u32, 1, 6, 7, 8, 9, 16, 17, 24, 25, 48, 49, 1000, 100_000] {
            let mut index = Index::with_room_for(count as usize);
            (0..count).for_each(|place| index.insert(&place.to_be_bytes(), place));
            for place in 0..count {
                assert_eq!(index.find(&place.to_be_bytes(), |found| found == place), Some(place), "of {count}");
            }
            assert_eq!(index.find(b"another", |_| false), None, "of {count}");
            let first = |place: &u32| index.find_hashed(index.hash(&place.to_be_bytes()), |_| true) == Some(*place);
            // A tag may be that of another name.
            assert!((0..count).filter(first).count() * 10 >= count as usize * 8, "of {count}");
        }
    }

    #[test]
    fn names_with_one_hash_are_told_apart() {
        let mut index = Index::with_room_for(20);
        (0..20).for_each(|place| index.insert(b"same", place));
        assert_eq!(index.find(b"same", |place| place == 19), Some(19));
        assert_eq!(index.find(b"same", |_| false), None);
    }
}
