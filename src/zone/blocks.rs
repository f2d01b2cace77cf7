//! Octets that grow without being moved, and can be given back from the front while the rest is still read.
//!
//! ```text
//! blocks:  given back │ given back │ 4 MiB │ 4 MiB │ 4 MiB, being filled
//! ```
//!
//! What is added lies in one block as a whole. Few octets are one piece of the heap.

use super::octets::Octets;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: Vec<Octets>,
    len: usize,
}

/// Octets of a block: so many are pages of their own, which go back to the system at once.
const BLOCK: usize = 4 << 20;
/// Up to so many octets the first block is a piece of the heap.
const SMALL: usize = 256 << 10;

impl Blocks {
    /// Adds octets, at most 1 MiB of them, and says where they are.
    pub(super) fn append(&mut self, octets: &[u8]) -> usize {
        let at = self.len % BLOCK;
        match self.blocks.last_mut() {
            Some(last) if at != 0 && at + octets.len() <= BLOCK => {
                if self.len <= SMALL && self.len + octets.len() > SMALL {
                    let mut large = Octets::in_passing(BLOCK);
                    large.extend_from_slice(last);
                    *last = large;
                }
                last.extend_from_slice(octets);
            }
            _ => {
                // What was left of the last block stays empty.
                self.len = self.blocks.len() * BLOCK;
                let mut first = Octets::in_passing(if self.blocks.is_empty() { 0 } else { BLOCK });
                first.extend_from_slice(octets);
                self.blocks.push(first);
            }
        }
        let start = self.len;
        self.len += octets.len();
        start
    }

    /// `len` octets that were added at `at` as a whole, or a part of such.
    #[inline]
    pub(super) fn at(&self, at: usize, len: usize) -> &[u8] {
        &self.blocks[at / BLOCK][at % BLOCK..][..len]
    }

    /// How many octets there are, the gaps between them counted.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Gives back what lies in blocks before `at`; it must not be asked for again.
    pub(super) fn release_before(&mut self, at: usize) {
        for block in self.blocks.iter_mut().take(at / BLOCK).rev() {
            if block.is_empty() {
                return;
            }
            *block = Octets::in_passing(0);
        }
    }
}

impl Clone for Blocks {
    fn clone(&self) -> Self {
        let copy = |block: &Octets| {
            let mut copy = Octets::in_passing(block.len());
            copy.extend_from_slice(block);
            copy
        };
        Self { blocks: self.blocks.iter().map(copy).collect(), len: self.len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_until_it_is_given_back() {
        let mut blocks = Blocks::default();
        let piece = |number: u32| [number.to_le_bytes(); 25].concat();
        let places: Vec<usize> = (0..100_000).map(|number| blocks.append(&piece(number))).collect();
        assert!(blocks.blocks.len() > 2 && blocks.len() >= 10_000_000);
        let copy = blocks.clone();
        let is_there = |blocks: &Blocks, number: usize| blocks.at(places[number], 100) == piece(number as u32);
        assert!((0..100_000).all(|number| is_there(&blocks, number) && is_there(&copy, number)));
        let middle = places[50_000];
        blocks.release_before(middle);
        assert!((50_000..100_000).all(|number| is_there(&blocks, number)));
        assert!(blocks.blocks[..middle / BLOCK].iter().all(|block| block.is_empty()));
        let more = blocks.append(b"more");
        assert_eq!(blocks.at(more, 4), b"more");
    }

    #[test]
    fn few_octets_take_no_block() {
        let mut blocks = Blocks::default();
        blocks.append(b"few");
        assert!(matches!(&blocks.blocks[..], [Octets::Heap(_)]));
        for _ in 0..SMALL {
            blocks.append(b"x");
        }
        assert!(matches!(&blocks.blocks[..], [Octets::Pages { .. }]));
        assert_eq!(blocks.at(0, 5), b"fewxx");
    }
}
