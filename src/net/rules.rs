//! Which of many prefixes holds an address: of those that do, the longest decides.

use std::cmp::Reverse;
use std::net::IpAddr;

use super::{Prefix, mask_v4, mask_v6};

/// Values by prefix. The prefixes are laid out as ranges that do not overlap, so that a look is one bisection, whatever lies
/// in what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixTable<V> {
    v4: Vec<Range<V>>,
    v6: Vec<Range<V>>,
}

/// Where a range begins, and what holds until the next one does.
type Range<V> = (u128, Option<V>);

impl<V> Default for PrefixTable<V> {
    fn default() -> Self {
        Self { v4: Vec::new(), v6: Vec::new() }
    }
}

impl<V: Copy> PrefixTable<V> {
    /// The table of these prefixes; of two that are equal the later one counts.
    pub fn new(entries: impl IntoIterator<Item = (Prefix, V)>) -> Self {
        let (v4, v6): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(prefix, _)| prefix.address().is_ipv4());
        Self { v4: ranges(v4), v6: ranges(v6) }
    }

    /// Whether no prefix is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// What the longest prefix that holds `address` says.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Option<V> {
        let (ranges, bits) = match address {
            IpAddr::V4(v4) => (&self.v4, u128::from(v4.to_bits())),
            IpAddr::V6(v6) => (&self.v6, v6.to_bits()),
        };
        let after = ranges.partition_point(|(start, _)| *start <= bits);
        ranges[..after].last().and_then(|(_, value)| *value)
    }
}

/// Begins a range where a prefix begins, and another where it ends: there the one around it goes on.
fn ranges<V: Copy>(entries: Vec<(Prefix, V)>) -> Vec<Range<V>> {
    let mut spans: Vec<(u128, u128, V)> = entries.into_iter().map(span).collect();
    // Outer ones before those that begin with them.
    spans.sort_by_key(|(first, last, _)| (*first, Reverse(*last)));
    let (mut ranges, mut open): (Vec<Range<V>>, Vec<(u128, V)>) = Default::default();
    for (first, last, value) in spans {
        close(&mut ranges, &mut open, |end| end < first);
        ranges.push((first, Some(value)));
        open.push((last, value));
    }
    close(&mut ranges, &mut open, |_| true);
    ranges
}

fn close<V: Copy>(ranges: &mut Vec<Range<V>>, open: &mut Vec<(u128, V)>, ends: impl Fn(u128) -> bool) {
    while let Some((last, _)) = open.pop_if(|(last, _)| ends(*last)) {
        if let Some(after) = last.checked_add(1) {
            ranges.push((after, open.last().map(|(_, value)| *value)));
        }
    }
}

fn span<V>((prefix, value): (Prefix, V)) -> (u128, u128, V) {
    match prefix.address() {
        IpAddr::V4(v4) => {
            let first = v4.to_bits();
            (first.into(), (first | !mask_v4(prefix.len())).into(), value)
        }
        IpAddr::V6(v6) => (v6.to_bits(), v6.to_bits() | !mask_v6(prefix.len()), value),
    }
}

/// Who may do something: one list of those who may and one of those who may not. Whom neither names may, unless there is a
/// list of those who may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    allow: Vec<Prefix>,
    deny: Vec<Prefix>,
    /// Whether there is anything in them.
    lists: bool,
    table: PrefixTable<bool>,
}

impl Access {
    /// # Errors
    /// With a prefix that stands in both lists.
    pub fn new(allow: Vec<Prefix>, deny: Vec<Prefix>) -> Result<Self, Prefix> {
        if let Some(both) = allow.iter().find(|prefix| deny.contains(prefix)) {
            return Err(*both);
        }
        let entries = [(&allow, true), (&deny, false)];
        let entries = entries.into_iter().flat_map(|(list, may)| list.iter().map(move |prefix| (*prefix, may)));
        let table = PrefixTable::new(entries);
        Ok(Self { lists: !table.is_empty(), allow, deny, table })
    }

    /// Whether the client at `address` may.
    #[inline]
    pub fn allows(&self, address: IpAddr) -> bool {
        !self.lists || self.table.find(address).unwrap_or(self.allow.is_empty())
    }

    /// The prefix that decides about `address`, if one of the lists names it.
    pub fn rule(&self, address: IpAddr) -> Option<Prefix> {
        let holding = self.allow.iter().chain(&self.deny).filter(|prefix| prefix.contains(address));
        holding.max_by_key(|prefix| prefix.len()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().expect("a prefix")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_longest_prefix_decides_wherever_it_stands() {
        let all = ["10.0.0.0/8", "0.0.0.0/0", "10.1.0.0/16", "10.1.2.3", "10.1.2.0/24", "255.255.255.255", "::/0"];
        let table = PrefixTable::new(all.iter().map(|text| (prefix(text), *text)));
        for (asked, decides) in [
            ("9.255.255.255", "0.0.0.0/0"),
            ("10.0.0.0", "10.0.0.0/8"),
            ("10.1.1.255", "10.1.0.0/16"),
            ("10.1.2.2", "10.1.2.0/24"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.4", "10.1.2.0/24"),
            ("10.1.3.0", "10.1.0.0/16"),
            ("10.2.0.0", "10.0.0.0/8"),
            ("11.0.0.0", "0.0.0.0/0"),
            ("255.255.255.255", "255.255.255.255"),
            ("ffff::1", "::/0"),
        ] {
            assert_eq!(table.find(address(asked)), Some(decides), "{asked}");
        }
    }

    #[test]
    fn a_table_says_what_looking_at_each_prefix_would_say() {
        let mut seed = 1u32;
        let mut random = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        };
        for _ in 0..200 {
            // Few bits, so that they lie in one another.
            let entries: Vec<(Prefix, u32)> = (0..12)
                .map(|index| {
                    let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(random() << 29));
                    (Prefix::of(address, (random() % 7) as u8).expect("of its family"), index)
                })
                .collect();
            let table = PrefixTable::new(entries.iter().copied());
            for top in 0..64u32 {
                let asked = IpAddr::V4(std::net::Ipv4Addr::from_bits(top << 26));
                let holding = entries.iter().filter(|(prefix, _)| prefix.contains(asked));
                let wanted = holding.max_by_key(|(prefix, _)| prefix.len()).map(|(_, value)| *value);
                assert_eq!(table.find(asked), wanted, "{asked} in {entries:?}");
            }
        }
        assert_eq!(PrefixTable::<u8>::default().find(address("::1")), None);
    }

    #[test]
    fn who_is_named_by_nobody_may_unless_others_are_named() {
        let access = |allow: &[&str], deny: &[&str]| {
            let list = |texts: &[&str]| texts.iter().map(|text| prefix(text)).collect();
            Access::new(list(allow), list(deny))
        };
        assert!(Access::default().allows(address("192.0.2.1")));
        let only = access(&["192.0.2.0/24", "2001:db8::/32"], &["192.0.2.128/25"]).expect("lists");
        assert!(only.allows(address("192.0.2.1")) && only.allows(address("2001:db8::1")));
        assert!(!only.allows(address("192.0.2.129")) && !only.allows(address("198.51.100.1")));
        assert_eq!(only.rule(address("192.0.2.129")), Some(prefix("192.0.2.128/25")));
        assert_eq!(only.rule(address("198.51.100.1")), None);
        let but = access(&[], &["192.0.2.0/24"]).expect("lists");
        assert!(but.allows(address("198.51.100.1")) && !but.allows(address("192.0.2.1")) && but.allows(address("::1")));
        let inner = access(&["192.0.2.7"], &["0.0.0.0/0", "::/0"]).expect("lists");
        assert!(inner.allows(address("192.0.2.7")) && !inner.allows(address("192.0.2.8")));
        assert_eq!(access(&["::1", "192.0.2.7"], &["192.0.2.7"]), Err(prefix("192.0.2.7")));
    }
}
