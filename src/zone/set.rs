//! The zones a server holds, found by the longest apex that a name is at or below.

use hashbrown::HashTable;

use crate::wire::{LowerName, Name};

/// A map from apex to `T` with longest-match lookup. One probe where all apexes have the same number of labels.
#[derive(Debug)]
pub struct ZoneSet<T> {
    entries: Vec<(Name, T)>,
    index: HashTable<u32>,
    hashing: foldhash::fast::RandomState,
    /// Bit n is set when an apex of n labels is there.
    depths: u128,
}

/// Of so few zones the one is found sooner by looking at each than by a hash.
const FEW: usize = 4;

impl<T> ZoneSet<T> {
    /// A set of these zones. Of two with the same apex the later one stays.
    pub fn new(zones: impl IntoIterator<Item = (Name, T)>) -> Self {
        let zones = zones.into_iter();
        let (count, _) = zones.size_hint();
        let mut set = Self {
            entries: Vec::with_capacity(count),
            index: HashTable::with_capacity(count),
            hashing: foldhash::fast::RandomState::default(),
            depths: 0,
        };
        for (apex, value) in zones {
            set.insert(apex.to_lower(), value);
        }
        set
    }

    /// The zone with the longest apex that `name` is at or below.
    #[inline]
    pub fn find(&self, name: &LowerName) -> Option<&T> {
        self.find_within(name, name.labels())
    }

    /// The same, but strictly above `name`: where the DS records of a zone cut stand.
    pub fn find_above(&self, name: &LowerName) -> Option<&T> {
        self.find_within(name, name.labels().checked_sub(1)?)
    }

    /// The zone whose apex is `name`.
    pub fn exact(&self, name: &LowerName) -> Option<&T> {
        self.lookup(name.octets())
    }

    /// All zones.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &T)> {
        self.entries.iter().map(|(apex, value)| (apex, value))
    }

    /// How many zones there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    fn find_within(&self, name: &LowerName, most_labels: usize) -> Option<&T> {
        let mut depths = self.depths & (u128::MAX >> (127 - most_labels.min(127)));
        while depths != 0 {
            let labels = 127 - depths.leading_zeros() as usize;
            if let Some(found) = self.lookup(name.suffix(labels)) {
                return Some(found);
            }
            depths &= !(1 << labels);
        }
        None
    }

    #[inline]
    fn lookup(&self, lower: &[u8]) -> Option<&T> {
        if self.entries.len() <= FEW {
            let found = self.entries.iter().find(|(apex, _)| apex.borrow().as_bytes() == lower);
            return found.map(|(_, zone)| zone);
        }
        let same = |&id: &u32| self.entries[id as usize].0.borrow().as_bytes() == lower;
        let id = *self.index.find(super::index::hash(&self.hashing, lower), same)?;
        Some(&self.entries[id as usize].1)
    }

    fn insert(&mut self, apex: Name, value: T) {
        let lower = LowerName::of(apex.borrow());
        self.depths |= 1 << lower.labels();
        let hash = super::index::hash(&self.hashing, lower.octets());
        let same = |&id: &u32| self.entries[id as usize].0 == apex;
        if let Some(&id) = self.index.find(hash, same) {
            self.entries[id as usize].1 = value;
            return;
        }
        let id = self.entries.len() as u32;
        self.entries.push((apex, value));
        let (entries, hashing) = (&self.entries, &self.hashing);
        self.index
            .insert_unique(hash, id, |&id| super::index::hash(hashing, entries[id as usize].0.borrow().as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_apex_wins() {
        let name = |text: &str| Name::from_text(text.as_bytes()).unwrap();
        let lower = |text: &str| LowerName::of(name(text).borrow());
        let set = ZoneSet::new([(name("test."), 1), (name("Example.test."), 2), (name("a.b.c.d."), 3)]);
        assert_eq!(set.find(&lower("www.example.TEST.")), Some(&2));
        assert_eq!(set.find(&lower("example.test.")), Some(&2));
        assert_eq!(set.find(&lower("xexample.test.")), Some(&1));
        assert_eq!(set.find(&lower("b.c.d.")), None);
        assert_eq!(set.find_above(&lower("example.test.")), Some(&1));
        assert_eq!(set.find_above(&lower("test.")), None);
        let root = ZoneSet::new([(Name::root(), 0)]);
        assert_eq!(root.find(&lower("a.")), Some(&0));
        assert_eq!(root.find(&lower(".")), Some(&0));
        assert_eq!(root.find_above(&lower(".")), None);
        for count in 0..20 {
            let set = ZoneSet::new((0..count).map(|zone| (name(&format!("z{zone}.test.")), zone)));
            for zone in 0..20 {
                let found = set.find(&lower(&format!("www.Z{zone}.test."))).copied();
                assert_eq!(found, (zone < count).then_some(zone), "of {count}");
            }
        }
    }
}
