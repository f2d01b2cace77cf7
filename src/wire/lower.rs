//! A name on the stack, lower-cased, with its label starts: what the hot path looks up.

use super::name::{MAX_LABEL, MAX_NAME, NameError, NameRef};

/// A name in lower case that knows where its labels start, so that each of its ancestors is a slice.
///
/// It is 386 octets of scratch that a worker reuses: filling it allocates nothing.
pub struct LowerName {
    octets: [u8; ROOM],
    starts: [u8; 128],
    len: u8,
    labels: u8,
}

/// Octets that are lower-cased at once: a vector register takes them.
const BLOCK: usize = 16;
/// The longest name, in whole blocks.
const ROOM: usize = MAX_NAME.next_multiple_of(BLOCK);

impl std::fmt::Debug for LowerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.name(), f)
    }
}

impl Clone for LowerName {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.clone_from(self);
        clone
    }

    /// Copies what the name has, and not what the longest would.
    #[inline]
    fn clone_from(&mut self, name: &Self) {
        let (len, labels) = (usize::from(name.len), usize::from(name.labels));
        self.octets[..len].copy_from_slice(&name.octets[..len]);
        self.starts[..labels].copy_from_slice(&name.starts[..labels]);
        (self.len, self.labels) = (name.len, name.labels);
    }
}

impl Default for LowerName {
    fn default() -> Self {
        Self { octets: [0; ROOM], starts: [0; 128], len: 1, labels: 0 }
    }
}

impl LowerName {
    /// A lower-cased copy of `name`.
    pub fn of(name: NameRef<'_>) -> Self {
        let mut lower = Self::default();
        lower.set(name);
        lower
    }

    /// Becomes a lower-cased copy of `name`.
    pub fn set(&mut self, name: NameRef<'_>) {
        self.read(name.as_bytes()).expect("a NameRef is a legal name");
    }

    /// Reads the uncompressed name at the start of `octets` and returns how many octets it takes.
    ///
    /// # Errors
    /// When there is no whole legal name there; a compression pointer counts as an illegal label, for a question
    /// comes first in its message and has nothing to point at.
    #[inline]
    pub fn read(&mut self, octets: &[u8]) -> Result<usize, NameError> {
        let (mut at, mut labels) = (0, 0);
        loop {
            let length = *octets.get(at).ok_or(NameError::Short)? as usize;
            if length == 0 {
                break;
            }
            if length > MAX_LABEL {
                return Err(NameError::LongLabel);
            }
            if at + 1 + length >= MAX_NAME {
                return Err(NameError::LongName);
            }
            self.starts[labels] = at as u8;
            labels += 1;
            at += 1 + length;
        }
        let len = at + 1;
        self.lower(octets, len);
        self.len = len as u8;
        self.labels = labels as u8;
        Ok(len)
    }

    /// Takes `len` octets, a block at a time. Those behind the name may come along; nobody looks at them.
    #[inline]
    fn lower(&mut self, octets: &[u8], len: usize) {
        let mut at = 0;
        while at < len {
            // The last block of a message may begin in the block before it.
            let from = if octets.len() >= at + BLOCK { at } else { octets.len().saturating_sub(BLOCK) };
            match (octets[from..].first_chunk::<BLOCK>(), self.octets[from..].first_chunk_mut::<BLOCK>()) {
                (Some(block), Some(lower)) => *lower = block.map(|octet| octet.to_ascii_lowercase()),
                // A whole message that is smaller than a block.
                _ => {
                    let name = &mut self.octets[..len];
                    name.copy_from_slice(&octets[..len]);
                    name.make_ascii_lowercase();
                }
            }
            at += BLOCK;
        }
    }

    /// How many labels there are, the root not counted.
    pub fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The whole name.
    pub fn name(&self) -> NameRef<'_> {
        NameRef::from_valid(self.octets())
    }

    /// The wire form, lower-cased, root label included.
    #[inline]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The ancestor (or the name itself) that has `labels` labels.
    #[inline]
    pub fn suffix(&self, labels: usize) -> &[u8] {
        &self.octets[self.suffix_start(labels)..usize::from(self.len)]
    }

    /// Where the suffix of `labels` labels starts, in octets from the start of the name.
    #[inline]
    pub fn suffix_start(&self, labels: usize) -> usize {
        match labels {
            0 => usize::from(self.len) - 1,
            _ => usize::from(self.starts[usize::from(self.labels) - labels]),
        }
    }

    /// Becomes `*` under the suffix of `labels` labels: the source of synthesis at that closest encloser (RFC 4592 section 3.3.1).
    /// `None` when that name would be too long, in which case it cannot exist.
    pub fn wildcard_at(&self, labels: usize) -> Option<Self> {
        let suffix = self.suffix(labels);
        if suffix.len() + 2 > MAX_NAME {
            return None;
        }
        let mut octets = [0; MAX_NAME];
        octets[..2].copy_from_slice(b"\x01*");
        octets[2..2 + suffix.len()].copy_from_slice(suffix);
        let mut wildcard = Self::default();
        wildcard.read(&octets).expect("a legal name with a label before it");
        Some(wildcard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    #[test]
    fn suffixes_are_the_ancestors() {
        let name = Name::from_text(b"WWW.Example.Test.").unwrap();
        let lower = LowerName::of(name.borrow());
        assert_eq!(lower.labels(), 3);
        assert_eq!(lower.suffix(3), b"\x03www\x07example\x04test\0");
        assert_eq!(lower.suffix(1), b"\x04test\0");
        assert_eq!(lower.suffix(0), b"\0");
        assert_eq!(lower.wildcard_at(2).unwrap().name().to_string(), "*.example.test.");
    }

    #[test]
    fn the_longest_name_reads_and_a_longer_one_does_not() {
        let mut octets = Vec::new();
        for _ in 0..127 {
            octets.extend_from_slice(b"\x01a");
        }
        octets.push(0);
        let mut lower = LowerName::default();
        assert_eq!(lower.read(&octets), Ok(255));
        assert_eq!(lower.labels(), 127);
        octets.splice(0..0, *b"\x01a");
        assert_eq!(lower.read(&octets), Err(NameError::LongName));
        assert_eq!(lower.read(b"\x01a\xc0\x0c"), Err(NameError::LongLabel));
        assert_eq!(lower.read(b"\x05abc"), Err(NameError::Short));
    }
}
