//! Where a signed zone keeps the proofs of what it does not hold: its NSEC or NSEC3 chain, in order.

use std::cmp::Ordering;

use sha1::{Digest, Sha1};

use super::rrset::Rrset;
use super::tree::{NodeId, Zone};
use crate::wire::NameRef;

/// Octets of an NSEC3 hash: SHA-1 is the only algorithm there is (RFC 5155 section 11).
pub type Hash = [u8; 20];

/// How a zone denies.
#[derive(Debug, Default)]
pub enum Denial {
    /// The zone is not signed.
    #[default]
    Unsigned,
    /// NSEC (RFC 4034): the nodes that have one, in canonical order.
    Nsec(Box<[NodeId]>),
    /// NSEC3 (RFC 5155).
    Nsec3(Nsec3Chain),
}

/// The NSEC3 chain that the apex's NSEC3PARAM names; it has at least one link.
#[derive(Debug)]
pub struct Nsec3Chain {
    pub(super) iterations: u16,
    pub(super) salt: Box<[u8]>,
    pub(super) entries: Box<[Nsec3Entry]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Nsec3Entry {
    pub(super) hash: Hash,
    pub(super) at: u32,
    pub(super) rrsets: u16,
}

/// One link of the chain: the hash that is its owner's label, the NSEC3 RRset and its signatures.
#[derive(Clone, Copy, Debug)]
pub struct Nsec3Link<'z> {
    /// The hash; base32hex of it is the owner's first label.
    pub hash: Hash,
    /// The NSEC3 RRset.
    pub nsec3: Rrset<'z>,
    /// Its signatures.
    pub signatures: Option<Rrset<'z>>,
}

impl Denial {
    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Unsigned => 0,
            Self::Nsec(nodes) => size_of_val::<[NodeId]>(nodes),
            Self::Nsec3(chain) => size_of_val::<[Nsec3Entry]>(&chain.entries),
        }
    }
}

impl Zone {
    /// The NSEC that covers or matches `name`, in lower case and at or below the apex, by its place in the chain: the last
    /// at or before the name.
    pub fn nsec_at_or_before(&self, name: NameRef<'_>, nodes: &[NodeId]) -> u32 {
        let apex = self.apex().len();
        let before = |node: &NodeId| compare(self.name(*node).as_bytes(), name.as_bytes(), apex) != Ordering::Greater;
        // The apex comes first and has an NSEC in any whole chain; in a broken one the first link is as good as any.
        nodes.partition_point(before).saturating_sub(1) as u32
    }

    /// The same for a name that is there: numbers of nodes are in canonical order.
    pub fn nsec_of(&self, node: NodeId, nodes: &[NodeId]) -> u32 {
        nodes.partition_point(|each| *each <= node).saturating_sub(1) as u32
    }

    /// The same for the wildcard below `encloser`, which is not there. Little is before it of what is below the encloser, so
    /// it is sought from there.
    pub fn nsec_before_wildcard(&self, encloser: NodeId, nodes: &[NodeId]) -> u32 {
        let above = self.name(encloser);
        let is_before = |node: &NodeId| {
            let mut name = self.name(*node);
            while let Some(parent) = name.parent().filter(|parent| parent.len() > above.len()) {
                name = parent;
            }
            name.parent().is_some_and(|parent| parent == above) && name.as_bytes()[1] < b'*'
        };
        let after = self.nsec_of(encloser, nodes) as usize + 1;
        let rest = &nodes[after.min(nodes.len())..];
        let skipped = if rest.first().is_some_and(is_before) { rest.partition_point(is_before) } else { 0 };
        (after + skipped - 1) as u32
    }

    /// The link that matches `hash`, by its place in the chain.
    pub fn nsec3_matching(&self, chain: &Nsec3Chain, hash: &Hash) -> Option<u32> {
        chain.entries.binary_search_by(|entry| entry.hash.cmp(hash)).ok().map(|index| index as u32)
    }

    /// The link that covers `hash`, by its place in the chain: the last before it, or the last of all where the chain
    /// goes round.
    pub fn nsec3_covering(&self, chain: &Nsec3Chain, hash: &Hash) -> u32 {
        let after = chain.entries.partition_point(|entry| entry.hash < *hash);
        after.checked_sub(1).unwrap_or(chain.entries.len() - 1) as u32
    }

    /// The link at a place of the chain.
    pub fn nsec3_link(&self, chain: &Nsec3Chain, index: u32) -> Nsec3Link<'_> {
        self.link(&chain.entries[index as usize])
    }

    /// All links, in the order of their hashes.
    pub fn nsec3_links<'z>(&'z self, chain: &'z Nsec3Chain) -> impl Iterator<Item = Nsec3Link<'z>> {
        chain.entries.iter().map(|entry| self.link(entry))
    }

    fn link(&self, entry: &Nsec3Entry) -> Nsec3Link<'_> {
        let mut rrsets = self.rrsets_at(entry.at as usize, usize::from(entry.rrsets));
        let nsec3 = rrsets.next().expect("an entry has at least its NSEC3 RRset");
        Nsec3Link { hash: entry.hash, nsec3, signatures: rrsets.next() }
    }
}

/// Canonical order of two names in lower case that both end in an apex of `apex` octets. Most have one label below it.
#[inline]
fn compare(one: &[u8], other: &[u8], apex: usize) -> Ordering {
    let below = |name: &'_ [u8]| name.len() - apex;
    match (one[0], other[0]) {
        (1.., 1..) if usize::from(one[0]) + 1 == below(one) && usize::from(other[0]) + 1 == below(other) => {
            one[1..below(one)].cmp(&other[1..below(other)])
        }
        _ => NameRef::from_valid(one).cmp(&NameRef::from_valid(other)),
    }
}

impl Nsec3Chain {
    /// The hash of a lower-cased name (RFC 5155 section 5).
    pub fn hash(&self, lower: &[u8]) -> Hash {
        let mut hash: Hash = Sha1::new().chain_update(lower).chain_update(&self.salt).finalize().into();
        for _ in 0..self.iterations {
            hash = Sha1::new().chain_update(hash).chain_update(&self.salt).finalize().into();
        }
        hash
    }
}

/// The octets of the label that stands for a hash: its length and base32hex in lower case (RFC 5155 section 3).
pub fn hash_label(hash: &Hash) -> [u8; 33] {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut label = [32; 33];
    for (five, digits) in hash.chunks_exact(5).zip(label[1..].chunks_exact_mut(8)) {
        let bits = five.iter().fold(0u64, |bits, &octet| bits << 8 | u64::from(octet));
        for (place, digit) in digits.iter_mut().enumerate() {
            *digit = DIGITS[(bits >> (35 - 5 * place) & 31) as usize];
        }
    }
    label
}

/// The hash that the first label of an NSEC3 owner stands for.
pub(super) fn hash_of_owner(owner: NameRef<'_>) -> Option<Hash> {
    let label = owner.labels().next()?.to_ascii_uppercase();
    data_encoding::BASE32HEX_NOPAD.decode(&label).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    #[test]
    fn hashes_are_those_of_rfc_5155_appendix_a() {
        let chain = Nsec3Chain { iterations: 12, salt: Box::new([0xaa, 0xbb, 0xcc, 0xdd]), entries: Box::default() };
        for (name, label) in
            [("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"), ("a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl")]
        {
            let name = Name::from_text(name.as_bytes()).unwrap();
            let hash = chain.hash(name.borrow().as_bytes());
            assert_eq!(&hash_label(&hash)[1..], label.as_bytes());
            let owner = name.child(label.as_bytes()).unwrap();
            assert_eq!(hash_of_owner(owner.borrow()), Some(hash));
        }
    }

    #[test]
    fn links_are_found_by_number_as_by_name() {
        use crate::wire::LowerName;
        use crate::zone::text::{Limits, read_bytes};

        let names = ["!", "a.!", "%", "#x", "*x", "+", "a", "b.a", "*.b.a", "!.b.a", "x!", "z.y", "z"];
        let mut text = "$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n@ NSEC ns A\n".to_owned();
        names.iter().for_each(|name| text += &format!("{name} A 192.0.2.1\n{name} NSEC ns A\n"));
        let apex = Name::from_text(b"e.test.").unwrap();
        let loaded = read_bytes(text.as_bytes(), std::path::Path::new("z"), Some(&apex), &Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        let zone = Zone::build(&apex, &loaded.records).unwrap();
        let Denial::Nsec(nodes) = zone.denial() else { panic!("it has NSEC at the apex") };
        for node in zone.nodes() {
            let name = zone.name(node);
            assert_eq!(zone.nsec_of(node, nodes), zone.nsec_at_or_before(name, nodes), "{name}");
            let lower = LowerName::of(name);
            let wildcard = lower.wildcard_at(lower.labels()).unwrap();
            if zone.exact(wildcard.octets()).is_none() {
                let sought = zone.nsec_at_or_before(wildcard.name(), nodes);
                assert_eq!(zone.nsec_before_wildcard(node, nodes), sought, "below {name}");
            }
        }
        let ordered = |name: &&NodeId| zone.name(**name).to_name();
        for name in names {
            let name = Name::from_text(format!("m{name}.e.test.").as_bytes()).unwrap().to_lower();
            let found = nodes[zone.nsec_at_or_before(name.borrow(), nodes) as usize];
            let sought = nodes.iter().rfind(|node| ordered(node) <= name);
            assert_eq!(Some(&found), sought, "{name}");
        }
    }
}
