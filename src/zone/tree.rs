//! A zone as it is served: immutable, its names in canonical order, its RRsets as wire in one arena.
//!
//! ```text
//! index ── hash of a lower-cased name ──┐
//!                                       ▼
//! arena:  node │ node │ …   each: header │ name │ RRset │ RRset │ …
//! ```
//!
//! Nodes lie in canonical order, with the names that exist only because something is below them among them. A node's
//! number is where it lies, so that numbers are in canonical order, too. Behind the nodes lie the RRsets of NSEC3 records,
//! whose owners are no names to be asked for.
//!
//! Every ancestor of a name that exists, exists too: so the closest encloser is found by bisecting the labels of the
//! question, and no work grows with the zone. Names and RRsets have 32-bit offsets: a zone holds up to 4 GiB.

use super::denial::Denial;
use super::index::Index;
use super::octets::Octets;
use super::rrset::Rrset;
use super::serial::Serial;
use crate::processor;
use crate::wire::{LowerName, Name, NameRef, Type};

/// A zone: see the module.
#[derive(Debug)]
pub struct Zone {
    pub(super) apex: Name,
    pub(super) arena: Octets,
    /// Where the nodes end in the arena.
    pub(super) nodes_end: u32,
    pub(super) index: Index,
    pub(super) denial: Denial,
    pub(super) apex_labels: u8,
    pub(super) most_labels: u8,
    pub(super) negative_soa: u32,
    pub(super) serial: Serial,
    pub(super) record_count: usize,
}

/// A name in the zone, by its place in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The apex: canonical order puts it first.
    pub const APEX: Self = Self(0);
}

/// What stands before the name and the RRsets of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Offset of the name; its RRsets follow it.
    name_at: usize,
    name_len: u8,
    /// How many RRsets there are.
    pub(super) rrsets: u16,
}

/// Octets of a node's header: length of the name, flags, number of RRsets. With [`FLAG_HIDDEN`] the number of the zone
/// cut or DNAME owner above follows, in four octets.
pub(super) const NODE_HEADER: usize = 4;
pub(super) const FLAG_CUT: u8 = 1;
pub(super) const FLAG_DNAME: u8 = 2;
pub(super) const FLAG_WILDCARD: u8 = 4;
pub(super) const FLAG_HIDDEN: u8 = 8;

impl Node {
    /// Where the first RRset is.
    pub(super) fn rrsets_at(&self) -> usize {
        self.name_at + usize::from(self.name_len)
    }
}

/// A name on its way through the index.
#[derive(Clone, Copy, Debug)]
pub struct Sought(u64);

/// Octets of a small processor's second cache.
const SPRAWLING: usize = 512 << 10;
const CACHE_LINE: usize = 64;

/// Where a name leads in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The node of the name itself, or else of its closest encloser (RFC 4592 section 3.3.1).
    pub node: NodeId,
    /// How many labels that node has; all those of the name if it exists.
    pub labels: usize,
}

impl Zone {
    /// The name of the zone.
    pub fn apex(&self) -> NameRef<'_> {
        self.apex.borrow()
    }

    /// How many labels the apex has.
    #[inline]
    pub fn apex_labels(&self) -> usize {
        usize::from(self.apex_labels)
    }

    /// SOA SERIAL.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// How many records the zone holds.
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// Whether the zone came signed, and how it denies.
    pub fn denial(&self) -> &Denial {
        &self.denial
    }

    /// Octets of memory that the zone takes.
    pub fn octets(&self) -> usize {
        self.arena.len() + self.index.octets() + self.denial.octets()
    }

    /// Looks `name` up, which must be at or below the apex.
    #[inline]
    pub fn find(&self, name: &LowerName) -> Found {
        let labels = name.labels();
        if let Some(node) = self.exact(name.octets()) {
            return Found { node, labels };
        }
        // Bisect: names of `known` labels exist, those of `unknown` do not.
        let (mut known, mut found) = (self.apex_labels(), NodeId::APEX);
        let mut unknown = labels.min(usize::from(self.most_labels) + 1);
        while known + 1 < unknown {
            let middle = usize::midpoint(known, unknown);
            match self.exact(name.suffix(middle)) {
                Some(node) => (known, found) = (middle, node),
                None => unknown = middle,
            }
        }
        Found { node: found, labels: known }
    }

    /// The node of a lower-cased name in wire form.
    #[inline]
    pub fn exact(&self, lower: &[u8]) -> Option<NodeId> {
        self.index.find(lower, |at| self.name_octets(NodeId(at)) == lower).map(NodeId)
    }

    /// What a lookup of a lower-cased name in wire form begins with.
    #[inline]
    pub fn seek(&self, lower: &[u8]) -> Sought {
        Sought(self.index.hash(lower))
    }

    /// Whether lookups at random places wait for memory: the index alone fills what caches a core has to itself.
    pub fn sprawls(&self) -> bool {
        self.index.octets() > SPRAWLING
    }

    /// Reads where the index has the name: all of it comes near by that.
    #[inline]
    pub fn touch_index(&self, sought: Sought) -> u8 {
        self.index.touch(sought.0)
    }

    /// Reads the node that the index names, and the cache line behind it, which may have the rest.
    #[inline]
    pub fn touch_node(&self, sought: Sought) -> u8 {
        let Some(place) = self.index.find_hashed(sought.0, |_| true) else { return 0 };
        let octet = |at: usize| self.arena.get(at).copied().unwrap_or_default();
        octet(place as usize) ^ octet(place as usize + CACHE_LINE)
    }

    /// The name of a node, in lower case.
    #[inline]
    pub fn name(&self, node: NodeId) -> NameRef<'_> {
        NameRef::from_valid(self.name_octets(node))
    }

    /// All names, in canonical order (RFC 4034 section 6.1), but for those of NSEC3 records.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let mut next = 0;
        std::iter::from_fn(move || {
            processor::pause();
            let node = NodeId(next);
            (next < self.nodes_end).then(|| {
                next = self.node_end(node);
                node
            })
        })
    }

    /// The zone cut or DNAME owner above `node` that hides it. A cut does not hide itself.
    #[inline]
    pub fn hidden_by(&self, node: NodeId) -> Option<NodeId> {
        if self.flags(node) & FLAG_HIDDEN == 0 {
            return None;
        }
        let above = self.arena[node.0 as usize + NODE_HEADER..].first_chunk();
        Some(NodeId(u32::from_le_bytes(*above.expect("a hidden node says who hides it"))))
    }

    /// Whether the node is a zone cut: it has NS and is not the apex.
    #[inline]
    pub fn is_cut(&self, node: NodeId) -> bool {
        self.flags(node) & FLAG_CUT != 0
    }

    /// Whether the node has a DNAME record.
    #[inline]
    pub fn has_dname(&self, node: NodeId) -> bool {
        self.flags(node) & FLAG_DNAME != 0
    }

    /// Whether there is a `*` right below the node.
    #[inline]
    pub fn has_wildcard(&self, node: NodeId) -> bool {
        self.flags(node) & FLAG_WILDCARD != 0
    }

    /// Whether nothing stands at the node: it exists for what is below it (an empty non-terminal).
    pub fn is_empty_non_terminal(&self, node: NodeId) -> bool {
        self.node(node).rrsets == 0
    }

    /// The RRsets of a node; the signatures of each follow it.
    #[inline]
    pub fn rrsets(&self, node: NodeId) -> impl Iterator<Item = Rrset<'_>> {
        let node = self.node(node);
        self.rrsets_at(node.rrsets_at(), usize::from(node.rrsets))
    }

    /// The RRset of one type.
    #[inline]
    pub fn rrset(&self, node: NodeId, rtype: Type) -> Option<Rrset<'_>> {
        self.rrsets(node).find(|rrset| rrset.rtype == rtype)
    }

    /// The signatures of the RRset of one type.
    #[inline]
    pub fn signatures(&self, node: NodeId, covers: Type) -> Option<Rrset<'_>> {
        self.rrsets(node).find(|rrset| rrset.rtype == Type::RRSIG && rrset.covers == covers)
    }

    /// The SOA record as negative answers carry it, its TTL cut to the SOA minimum (RFC 2308 section 3), and its signatures.
    #[inline]
    pub fn negative_soa(&self) -> (Rrset<'_>, Option<Rrset<'_>>) {
        let (soa, next) = Rrset::read(&self.arena, self.negative_soa as usize);
        let (signatures, _) = Rrset::read(&self.arena, next);
        (soa, (signatures.count > 0).then_some(signatures))
    }

    /// `count` RRsets one behind the other from `at` on in the arena.
    pub(super) fn rrsets_at(&self, mut at: usize, count: usize) -> impl Iterator<Item = Rrset<'_>> {
        (0..count).map(move |_| {
            let (rrset, next) = Rrset::read(&self.arena, at);
            at = next;
            rrset
        })
    }

    /// Where the next node begins.
    fn node_end(&self, node: NodeId) -> u32 {
        let node = self.node(node);
        let mut at = node.rrsets_at();
        for _ in 0..node.rrsets {
            (_, at) = Rrset::read(&self.arena, at);
        }
        at as u32
    }

    #[inline]
    pub(super) fn node(&self, node: NodeId) -> Node {
        let at = node.0 as usize;
        let &[name_len, flags, low, high] = self.arena[at..].first_chunk::<NODE_HEADER>().expect("a node has a header");
        let more = if flags & FLAG_HIDDEN == 0 { 0 } else { size_of::<u32>() };
        Node { name_at: at + NODE_HEADER + more, name_len, rrsets: u16::from_le_bytes([low, high]) }
    }

    #[inline]
    fn flags(&self, node: NodeId) -> u8 {
        self.arena[node.0 as usize + 1]
    }

    #[inline]
    fn name_octets(&self, node: NodeId) -> &[u8] {
        let node = self.node(node);
        &self.arena[node.name_at..node.rrsets_at()]
    }
}
