//! Domain names in wire form: length-prefixed labels that end in the root label, never compressed.
//!
//! [`NameRef`] borrows, [`Name`] owns. Both compare without regard to ASCII case, and order canonically
//! (RFC 4034 section 6.1), so that a sorted list of names is in the order that NSEC proofs need.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The octets of the longest name, root label included (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// The octets of the longest label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;

/// Why octets or text are not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The octets end inside the name.
    #[error("name ends too early")]
    Short,
    /// A label is longer than 63 octets, or its length octet is a pointer or reserved.
    #[error("label longer than 63 octets")]
    LongLabel,
    /// The name is longer than 255 octets.
    #[error("name longer than 255 octets")]
    LongName,
    /// Two dots in a row, or a dot at the start.
    #[error("empty label")]
    EmptyLabel,
    /// A backslash is not followed by a character or by three digits up to 255.
    #[error("bad escape: \\DDD with DDD up to 255, or \\X")]
    BadEscape,
    /// A compression pointer does not lead to before itself.
    #[error("compression pointer that does not lead back")]
    Forward,
}

/// A borrowed name in wire form.
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef(&[0]);

    /// Takes the uncompressed name at the start of `octets`; what follows it is left alone.
    ///
    /// # Errors
    /// When there is no whole legal name there.
    pub fn parse(octets: &'a [u8]) -> Result<Self, NameError> {
        let mut at = 0;
        loop {
            let length = *octets.get(at).ok_or(NameError::Short)? as usize;
            if length > MAX_LABEL {
                return Err(NameError::LongLabel);
            }
            at += 1 + length;
            if at > MAX_NAME {
                return Err(NameError::LongName);
            }
            if length == 0 {
                return Ok(Self(&octets[..at]));
            }
        }
    }

    /// Takes octets that are known to be one whole name, as zones and parsed queries keep them.
    pub fn from_valid(octets: &'a [u8]) -> Self {
        debug_assert!(Self::parse(octets).is_ok_and(|name| name.0.len() == octets.len()));
        Self(octets)
    }

    /// The wire form, root label included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Octets of the wire form, 1 to 255.
    #[expect(clippy::len_without_is_empty, reason = "a name has at least the root label")]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether this is the root.
    pub fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// The labels from the leftmost to the last before the root.
    pub fn labels(self) -> Labels<'a> {
        Labels(self.0)
    }

    /// How many labels there are, the root not counted.
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(self) -> Option<Self> {
        let length = self.0[0] as usize;
        (length != 0).then(|| Self(&self.0[1 + length..]))
    }

    /// Whether the leftmost label is `*` (RFC 4592 section 2.1.1).
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Whether this is `ancestor` or below it.
    pub fn is_within(self, ancestor: NameRef<'_>) -> bool {
        let mut name = self;
        while name.len() > ancestor.len() {
            match name.parent() {
                Some(parent) => name = parent,
                None => return false,
            }
        }
        name == ancestor
    }

    /// An owned copy.
    pub fn to_name(self) -> Name {
        Name(Folded(self.0.into()))
    }
}

impl PartialEq for NameRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        // A length octet is at most 63 and so never a letter: folding it changes nothing. Most names are written in one
        // case, and comparing octets is many times cheaper than folding them.
        self.0 == other.0 || self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0 {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NameRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Mostly two names are compared that differ in the first label alone: neighbours in a zone, and zones of one parent.
        if let (Some(our_parent), Some(their_parent)) = (self.parent(), other.parent())
            && our_parent.0 == their_parent.0
        {
            return compare_labels(label_at(self.0, 0), label_at(other.0, 0));
        }
        let (mut ours, mut theirs) = ([0u8; 128], [0u8; 128]);
        let mut our_labels = self.label_starts(&mut ours);
        let mut their_labels = other.label_starts(&mut theirs);
        while let (Some((our_start, our_rest)), Some((their_start, their_rest))) =
            (our_labels.split_last(), their_labels.split_last())
        {
            let ordering = compare_labels(label_at(self.0, *our_start), label_at(other.0, *their_start));
            if ordering != Ordering::Equal {
                return ordering;
            }
            (our_labels, their_labels) = (our_rest, their_rest);
        }
        our_labels.len().cmp(&their_labels.len())
    }
}

impl<'a> NameRef<'a> {
    fn label_starts(self, starts: &mut [u8; 128]) -> &[u8] {
        let (mut at, mut count) = (0, 0);
        while self.0[at] != 0 {
            // 255 octets hold at most 127 labels, and the last starts before octet 254.
            starts[count] = at as u8;
            count += 1;
            at += 1 + self.0[at] as usize;
        }
        &starts[..count]
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The labels of a name, from the left, without the root label.
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = self.0[0] as usize;
        if length == 0 {
            return None;
        }
        let label = &self.0[1..1 + length];
        self.0 = &self.0[1 + length..];
        Some(label)
    }
}

/// An owned name in wire form, in the case it was given. Clones share the octets: the name of a zone is known in a dozen
/// places, and there may be a hundred thousand zones.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Folded);

impl Name {
    /// The root.
    pub fn root() -> Self {
        NameRef::ROOT.to_name()
    }

    /// The borrowed form, which has all the questions one can ask of a name.
    pub fn borrow(&self) -> NameRef<'_> {
        NameRef(&self.0.0)
    }

    /// Takes the octets of one whole name.
    pub(super) fn from_octets(octets: Vec<u8>) -> Self {
        Self(Folded(octets.into()))
    }

    /// This name under `label`, one label further from the root.
    ///
    /// # Errors
    /// When the label is empty or too long, or the name gets too long.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            1..=MAX_LABEL => {}
            _ => return Err(NameError::LongLabel),
        }
        if 1 + label.len() + self.borrow().len() > MAX_NAME {
            return Err(NameError::LongName);
        }
        let mut octets = vec![label.len() as u8];
        octets.extend_from_slice(label);
        octets.extend_from_slice(self.borrow().as_bytes());
        Ok(Self(Folded(octets.into())))
    }

    /// The same name with its ASCII letters in lower case (RFC 4034 section 6.2).
    pub fn to_lower(&self) -> Self {
        if !self.0.0.iter().any(u8::is_ascii_uppercase) {
            return self.clone();
        }
        Self(Folded(self.0.0.to_ascii_lowercase().into()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.borrow(), f)
    }
}

/// Octets of a name that compare as the name does, so that [`Name`] derives what [`NameRef`] defines.
#[derive(Clone)]
struct Folded(Arc<[u8]>);

impl PartialEq for Folded {
    fn eq(&self, other: &Self) -> bool {
        NameRef(&self.0) == NameRef(&other.0)
    }
}

impl Eq for Folded {}

impl Hash for Folded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NameRef(&self.0).hash(state);
    }
}

impl PartialOrd for Folded {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Folded {
    fn cmp(&self, other: &Self) -> Ordering {
        NameRef(&self.0).cmp(&NameRef(&other.0))
    }
}

fn label_at(octets: &[u8], start: u8) -> &[u8] {
    let start = start as usize;
    &octets[start + 1..start + 1 + octets[start] as usize]
}

fn compare_labels(ours: &[u8], theirs: &[u8]) -> Ordering {
    // Most labels that are compared are those that two names of a zone share, written alike.
    if ours == theirs {
        return Ordering::Equal;
    }
    let ours = ours.iter().map(u8::to_ascii_lowercase);
    let theirs = theirs.iter().map(u8::to_ascii_lowercase);
    ours.cmp(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes()).unwrap()
    }

    #[test]
    fn order_is_that_of_rfc_4034() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let names: Vec<Name> = sorted.iter().map(|text| name(text)).collect();
        assert!(names.is_sorted());
        assert_eq!(name("WWW.Example."), name("www.eXAMPLE."));
    }

    #[test]
    fn within_compares_whole_labels() {
        assert!(name("a.b.c.").borrow().is_within(name("B.c.").borrow()));
        assert!(name("b.c.").borrow().is_within(name("b.c.").borrow()));
        assert!(!name("ab.c.").borrow().is_within(name("b.c.").borrow()));
        assert!(name("a.").borrow().is_within(NameRef::ROOT));
        assert!(!name("\\001b.c.").borrow().is_within(name("b.c.").borrow()));
    }

    #[test]
    fn parse_stops_at_the_root_label() {
        assert_eq!(NameRef::parse(b"\x01a\x00rest").map(NameRef::len), Ok(3));
        assert_eq!(NameRef::parse(b"\x01a").map(NameRef::len), Err(NameError::Short));
        assert_eq!(NameRef::parse(b"\xc0\x0c").map(NameRef::len), Err(NameError::LongLabel));
    }
}
