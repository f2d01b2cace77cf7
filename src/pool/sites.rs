//! Which members may share a hand: `together` and `apart`.
//!
//! Members are in address order, so the members of a prefix are neighbours, and both keys are boundaries in that order:
//!
//! ```text
//! members   1 2 3 4 5 6 7 8 9
//! together  └─ group ─┘└group┘     a hand lies within one group
//! apart     └─┘└─┘└───┘└─┘└──┘     a hand takes at most one member of a block
//! ```
//!
//! A hand has k members whatever these keys ask: k is what is left to a client when backends die. A prefix with fewer
//! than k members joins its neighbour, and when there are fewer prefixes than k the largest are cut in two.

use std::net::IpAddr;
use std::ops::Range;

use crate::net::Prefix;

/// The members that may share a hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Which members.
    pub(super) members: Range<usize>,
    /// For each of them the number of its block, ascending from 0.
    pub(super) blocks: Vec<usize>,
}

/// The groups of `addresses`, which are of one family and in order, for hands of `size` members.
pub(super) fn groups(addresses: &[IpAddr], size: usize, together: Option<u8>, apart: Option<u8>) -> Vec<Group> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for run in runs(addresses, together.or(Some(0))) {
        match ranges.last_mut() {
            Some(last) if last.len() < size || run.len() < size => last.end = run.end,
            _ => ranges.push(run),
        }
    }
    let group = |members: Range<usize>| {
        let mut cuts: Vec<usize> = runs(&addresses[members.clone()], apart).iter().map(Range::len).collect();
        while cuts.len() < size.min(members.len()) {
            let largest = (0..cuts.len()).max_by_key(|cut| cuts[*cut]).expect("a group has members");
            let half = cuts[largest] / 2;
            cuts[largest] -= half;
            cuts.insert(largest + 1, half);
        }
        let blocks =
            cuts.iter().enumerate().flat_map(|(block, members)| std::iter::repeat_n(block, *members)).collect();
        Group { members, blocks }
    };
    ranges.into_iter().map(group).collect()
}

/// Neighbours that share a prefix of `len` bits; without a length each member is alone.
fn runs(addresses: &[IpAddr], len: Option<u8>) -> Vec<Range<usize>> {
    // A length that the family has not tells every address from every other.
    let prefix = |address: IpAddr| len.and_then(|len| Prefix::of(address, len)).unwrap_or(Prefix::from(address));
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (member, address) in addresses.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if prefix(addresses[run.start]) == prefix(*address) => run.end = member + 1,
            _ => runs.push(member..member + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses 192.0.SITE.1, 192.0.SITE.2, … for sites with so many members.
    fn addresses(sites: &[u8]) -> Vec<IpAddr> {
        let site = |(site, members): (usize, &u8)| {
            let site = u8::try_from(site).expect("few sites");
            (1..=*members).map(move |last| IpAddr::from([192, 0, site, last]))
        };
        sites.iter().enumerate().flat_map(site).collect()
    }

    fn together(sites: &[u8], size: usize) -> Vec<Range<usize>> {
        groups(&addresses(sites), size, Some(24), None).into_iter().map(|group| group.members).collect()
    }

    fn apart(sites: &[u8], size: usize) -> Vec<usize> {
        let mut groups = groups(&addresses(sites), size, None, Some(24));
        assert_eq!(groups.len(), 1);
        groups.swap_remove(0).blocks
    }

    #[test]
    fn without_keys_all_may_meet() {
        let alone = groups(&addresses(&[2, 2]), 2, None, None);
        assert_eq!(alone, [Group { members: 0..4, blocks: vec![0, 1, 2, 3] }]);
        assert!(groups(&[], 2, None, None).is_empty());
    }

    #[test]
    fn a_prefix_of_too_few_joins_its_neighbour() {
        assert_eq!(together(&[3, 2, 4], 2), [0..3, 3..5, 5..9]);
        assert_eq!(together(&[3, 1, 4], 2), [0..4, 4..8]);
        assert_eq!(together(&[1, 3, 4, 1], 2), [0..4, 4..9]);
        assert_eq!(together(&[1, 1, 1], 5), vec![0..3; 1]);
    }

    #[test]
    fn with_fewer_prefixes_than_k_the_largest_are_cut() {
        assert_eq!(apart(&[2, 2, 2], 2), [0, 0, 1, 1, 2, 2]);
        assert_eq!(apart(&[1, 5], 3), [0, 1, 1, 1, 2, 2]);
        assert_eq!(apart(&[4], 4), [0, 1, 2, 3]);
    }

    #[test]
    fn both_keys_nest() {
        let v6 = |text: &str| text.parse::<IpAddr>().expect("an address");
        let addresses = [v6("2001:db8:1:1::1"), v6("2001:db8:1:2::1"), v6("2001:db8:1:2::2"), v6("2001:db8:2:1::1")];
        let found = groups(&addresses, 1, Some(48), Some(64));
        assert_eq!(found, [Group { members: 0..3, blocks: vec![0, 1, 1] }, Group { members: 3..4, blocks: vec![0] }]);
    }
}
