//! Octets that are written once and then read for as long as a zone is served.
//!
//! Few of them come from the heap. Many are pages of their own, large ones where the system has them: then a lookup at a
//! random place costs no walk through page tables, and a zone that is replaced gives its memory back at once. What nobody
//! looks up has pages of the usual size, for the system takes a large one in one go.

use std::ops::{Deref, DerefMut};

use memmap2::{MmapMut, MmapOptions};

/// Octets that only grow.
#[derive(Debug)]
pub(super) enum Octets {
    Heap(Vec<u8>),
    Pages { map: MmapMut, len: usize },
}

/// From so many octets on they are pages: below it, half of a large page would stay empty.
const LARGE: usize = 4 << 20;

impl Octets {
    /// None yet, with room for as many. Room that is never used costs no memory where it is large.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let octets = Self::in_passing(capacity);
        #[cfg(target_os = "linux")]
        if let Self::Pages { map, .. } = &octets {
            // Without large pages it is only slower.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        octets
    }

    /// The same for octets that are read once or twice and not looked up.
    pub(super) fn in_passing(capacity: usize) -> Self {
        if capacity >= LARGE
            && let Ok(map) = MmapOptions::new().len(capacity).no_reserve_swap().map_anon()
        {
            return Self::Pages { map, len: 0 };
        }
        Self::Heap(Vec::with_capacity(capacity))
    }

    /// So many octets of 0.
    pub(super) fn zeroed(len: usize) -> Self {
        match Self::with_capacity(if len >= LARGE { len } else { 0 }) {
            Self::Pages { map, .. } => Self::Pages { map, len },
            Self::Heap(_) => Self::Heap(vec![0; len]),
        }
    }

    /// Adds octets at the end.
    #[inline]
    pub(super) fn extend_from_slice(&mut self, octets: &[u8]) {
        loop {
            match self {
                Self::Heap(vec) => return vec.extend_from_slice(octets),
                Self::Pages { map, len } => {
                    if let Some(room) = map.get_mut(*len..*len + octets.len()) {
                        room.copy_from_slice(octets);
                        *len += octets.len();
                        return;
                    }
                }
            }
            self.grow(octets.len());
        }
    }

    /// Forgets what lies behind the first `len` octets.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::Heap(vec) => vec.truncate(len),
            Self::Pages { len: all, .. } => *all = len.min(*all),
        }
    }

    /// Gives back what was kept for more.
    pub(super) fn shrink(&mut self) {
        if let Self::Heap(vec) = self {
            vec.shrink_to_fit();
        }
    }

    #[cold]
    fn grow(&mut self, by: usize) {
        let mut larger = Self::with_capacity(2 * (self.len() + by));
        larger.extend_from_slice(self);
        *self = larger;
    }
}

impl Deref for Octets {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(vec) => vec,
            Self::Pages { map, len } => &map[..*len],
        }
    }
}

impl DerefMut for Octets {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(vec) => vec,
            Self::Pages { map, len } => &mut map[..*len],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_octets_are_what_was_written() {
        for capacity in [0, 10, LARGE] {
            let mut octets = Octets::with_capacity(capacity);
            let block: Vec<u8> = (0..=255).cycle().take(100_000).collect();
            for _ in 0..50 {
                octets.extend_from_slice(&block);
            }
            octets.shrink();
            octets.truncate(6_000_000);
            assert_eq!(octets.len(), 5_000_000);
            assert!(octets.chunks(block.len()).all(|chunk| chunk == block), "with room for {capacity}");
        }
        assert!(Octets::zeroed(LARGE).iter().all(|octet| *octet == 0));
        assert_eq!(Octets::zeroed(3)[..], [0; 3]);
    }
}
