//! A zone as another server is to have it: with another serial, and with some address RRsets narrowed.

use std::cmp::Ordering;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::denial::{Denial, hash_label};
use super::rrset::{OWNER_IS_QNAME, RECORD_HEADER, Rrset};
use super::serial::Serial;
use super::tree::{NodeId, Zone};
use crate::processor;
use crate::wire::{NameRef, Type};

/// See the module. Clones share it.
#[derive(Clone, Debug)]
pub struct Image {
    zone: Arc<Zone>,
    serial: Serial,
    /// By node and type.
    narrowed: Arc<[Narrowed]>,
}

/// An address RRset of which only some records are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// The owner.
    pub node: NodeId,
    /// A or AAAA.
    pub rtype: Type,
    count: u16,
    records: Box<[u8]>,
}

/// Where a walk through an image stands. It holds no borrow, so that a walk can rest for as long as a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    node: u32,
    rrset: u16,
    at: u32,
    /// The next link of the NSEC3 chain, and the next of its RRsets.
    link: u32,
    link_rrset: u16,
}

/// One step of a walk.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'i> {
    /// The owner, or the hash whose label stands below the apex.
    owner: Result<NameRef<'i>, super::Hash>,
    /// The RRset.
    pub rrset: Rrset<'i>,
}

impl Image {
    /// The zone as it is.
    pub fn of(zone: Arc<Zone>) -> Self {
        let serial = zone.serial();
        Self { zone, serial, narrowed: Arc::default() }
    }

    /// The zone under another serial, with these RRsets in place of its own.
    pub fn new(zone: Arc<Zone>, serial: Serial, mut narrowed: Vec<Narrowed>) -> Self {
        narrowed.sort_by_key(|narrowed| (narrowed.node, narrowed.rtype));
        Self { zone, serial, narrowed: narrowed.into() }
    }

    /// The zone behind it.
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// The serial that others see.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The TTL of the SOA record in seconds, and its RDATA, with the serial that others see.
    pub fn soa(&self) -> (u32, Vec<u8>) {
        let soa = self.zone.rrset(NodeId::APEX, Type::SOA).and_then(|rrset| rrset.iter().next());
        let soa = soa.expect("a zone has an SOA record");
        let mut rdata = soa.rdata.to_vec();
        let at = rdata.len() - 20;
        rdata[at..at + 4].copy_from_slice(&self.serial.0.to_be_bytes());
        (soa.ttl, rdata)
    }

    /// About how many octets the records take in messages.
    pub fn octets(&self) -> usize {
        self.zone.octets()
    }

    /// The RRset at `place`, which moves on; `None` at the end. SOA is left out: [`Image::soa`] has it. RRsets come in
    /// canonical order of their owners, then those of NSEC3 chains by hash.
    pub fn step(&self, place: &mut Place) -> Option<Shown<'_>> {
        self.zone.step_with(&self.narrowed, place)
    }
}

impl Zone {
    fn step_with<'z>(&'z self, narrowed: &'z [Narrowed], place: &mut Place) -> Option<Shown<'z>> {
        while place.node < self.nodes_end {
            let node = self.node(NodeId(place.node));
            if place.rrset == 0 {
                place.at = node.rrsets_at() as u32;
            }
            if place.rrset >= node.rrsets {
                // Where the last RRset ends, the next node begins.
                *place = Place { node: place.at, ..Place::default() };
                continue;
            }
            let (rrset, next) = Rrset::read(&self.arena, place.at as usize);
            place.rrset += 1;
            place.at = next as u32;
            if rrset.rtype == Type::SOA {
                continue;
            }
            let id = NodeId(place.node);
            return Some(Shown { owner: Ok(self.name(id)), rrset: narrow(narrowed, id, rrset) });
        }
        self.step_chain(place)
    }

    fn step_chain(&self, place: &mut Place) -> Option<Shown<'_>> {
        let Denial::Nsec3(chain) = &self.denial else { return None };
        while (place.link as usize) < chain.entries.len() {
            let link = self.nsec3_link(chain, place.link);
            place.link_rrset += 1;
            let rrset = match place.link_rrset {
                1 => Some(link.nsec3),
                2 => link.signatures,
                _ => None,
            };
            if let Some(rrset) = rrset {
                return Some(Shown { owner: Err(link.hash), rrset });
            }
            *place = Place { link: place.link + 1, link_rrset: 0, ..*place };
        }
        None
    }
}

fn narrow<'z>(narrowed: &'z [Narrowed], node: NodeId, rrset: Rrset<'z>) -> Rrset<'z> {
    if narrowed.is_empty() || !matches!(rrset.rtype, Type::A | Type::AAAA) {
        return rrset;
    }
    match narrowed.binary_search_by_key(&(node, rrset.rtype), |narrowed| (narrowed.node, narrowed.rtype)) {
        Ok(index) => {
            let Narrowed { count, records, .. } = &narrowed[index];
            Rrset { count: *count, records, ..rrset }
        }
        Err(_) => rrset,
    }
}

impl Narrowed {
    /// The RRset `rtype` of `node` with only those addresses for which `shows` holds. `None` where it has none of them, or
    /// all: an RRset never vanishes, and one that is whole is not narrowed.
    pub fn new(zone: &Zone, node: NodeId, rtype: Type, shows: impl Fn(IpAddr) -> bool) -> Option<Self> {
        let rrset = zone.rrset(node, rtype)?;
        let (mut count, mut records) = (0, Vec::new());
        let mut rest = rrset.records;
        while let Some((header, tail)) = rest.split_first_chunk::<RECORD_HEADER>() {
            debug_assert_eq!(header[..2], OWNER_IS_QNAME);
            let (rdata, after) = tail.split_at(usize::from(u16::from_be_bytes([header[10], header[11]])));
            if address_of(rdata).is_some_and(&shows) {
                count += 1;
                records.extend_from_slice(header);
                records.extend_from_slice(rdata);
            }
            rest = after;
        }
        (count > 0 && count < rrset.count).then(|| Self { node, rtype, count, records: records.into() })
    }
}

fn address_of(rdata: &[u8]) -> Option<IpAddr> {
    match rdata.len() {
        4 => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
    }
}

impl Shown<'_> {
    /// Writes the owner's octets over what `owner` holds.
    pub fn write_owner(&self, apex: NameRef<'_>, owner: &mut Vec<u8>) {
        owner.clear();
        match &self.owner {
            Ok(name) => owner.extend_from_slice(name.as_bytes()),
            Err(hash) => {
                owner.extend_from_slice(&hash_label(hash));
                owner.extend_from_slice(apex.as_bytes());
            }
        }
    }

    /// The order in which walks come to RRsets, in this zone or another.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let owners = match (&self.owner, &other.owner) {
            (Ok(ours), Ok(theirs)) => ours.cmp(theirs),
            (Err(ours), Err(theirs)) => ours.cmp(theirs),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
        };
        let key = |rrset: &Rrset<'_>| (rrset.covers, rrset.rtype == Type::RRSIG);
        owners.then_with(|| key(&self.rrset).cmp(&key(&other.rrset)))
    }
}

impl Zone {
    /// Whether both have the same records, whatever their order and their text.
    pub fn has_records_of(&self, other: &Self) -> bool {
        let alike = || self.record_count == other.record_count && self.digest() == other.digest();
        // Mostly a file is written again as it was, or has another serial: both show at once.
        self.is_laid_down_as(other) || self.serial == other.serial && alike()
    }

    /// Whether both have the same octets.
    fn is_laid_down_as(&self, other: &Self) -> bool {
        const PIECE: usize = 16 << 10;
        let mut pairs = self.arena.chunks(PIECE).zip(other.arena.chunks(PIECE));
        self.arena.len() == other.arena.len()
            && pairs.all(|(ours, theirs)| {
                processor::pause();
                ours == theirs
            })
    }

    /// Equal for equal records, whatever their order and their text; each start computes the same. The key is no secret: who
    /// can write zone files need not forge them.
    pub fn digest(&self) -> u64 {
        let (mut digest, mut owner, mut place) = (0u64, Vec::new(), Place::default());
        while let Some(shown) = self.step_with(&[], &mut place) {
            processor::pause();
            shown.write_owner(self.apex(), &mut owner);
            for record in shown.rrset.iter() {
                digest = digest.wrapping_add(record_digest(&owner, shown.rrset.rtype, record.ttl, record.rdata));
            }
        }
        let soa = self.rrset(NodeId::APEX, Type::SOA).and_then(|rrset| rrset.iter().next());
        let soa = soa.map_or(0, |soa| record_digest(self.apex().as_bytes(), Type::SOA, soa.ttl, soa.rdata));
        digest.wrapping_add(soa)
    }
}

fn record_digest(owner: &[u8], rtype: Type, ttl: u32, rdata: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(owner);
    hasher.write_u16(rtype.0);
    hasher.write_u32(ttl);
    hasher.write(rdata);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Zone, text};
    use super::*;
    use crate::wire::Name;

    fn image(records: &str) -> Image {
        let apex = Name::from_text(b"test.").unwrap();
        let source = format!("$TTL 60\n@ SOA ns host 7 1 1 1 30\n@ NS ns.elsewhere.\n{records}\n");
        let loaded = text::read_bytes(source.as_bytes(), Path::new("zone"), Some(&apex), &text::Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        Image::of(Arc::new(Zone::build(&apex, &loaded.records).unwrap()))
    }

    fn walk(image: &Image) -> Vec<String> {
        let (mut place, mut owner, mut seen) = (Place::default(), Vec::new(), Vec::new());
        while let Some(shown) = image.step(&mut place) {
            shown.write_owner(image.zone().apex(), &mut owner);
            seen.push(format!("{} {} {}", NameRef::from_valid(&owner), shown.rrset.rtype, shown.rrset.count));
        }
        seen
    }

    #[test]
    fn a_walk_sees_every_rrset_once_but_for_the_soa() {
        let image = image("b.c A 192.0.2.1\nb.c A 192.0.2.2\na TXT x\n@ MX 1 a");
        assert_eq!(walk(&image), ["test. NS 1", "test. MX 1", "a.test. TXT 1", "b.c.test. A 2"]);
        assert_eq!(image.soa().1[image.soa().1.len() - 20..][..4], [0, 0, 0, 7]);
    }

    #[test]
    fn an_nsec3_chain_is_walked_by_hash_under_the_apex() {
        let hash = "2t7b4g4vsa5smi47k61mv5bv1a22bojr";
        let image = image(&format!(
            "@ NSEC3PARAM 1 0 0 -\n{hash} NSEC3 1 0 0 - {hash} SOA\n{hash} RRSIG NSEC3 13 2 60 20371231000000 20200101000000 1 test. AAAA"
        ));
        assert_eq!(walk(&image)[2..], [format!("{hash}.test. NSEC3 1"), format!("{hash}.test. RRSIG 1")]);
    }

    #[test]
    fn a_narrowed_set_is_shown_in_part_and_never_empty() {
        let whole = image("w A 192.0.2.1\nw A 192.0.2.2");
        let node = whole.zone().exact(b"\x01w\x04test\0").unwrap();
        let narrow = |shown: &[u8]| {
            Narrowed::new(whole.zone(), node, Type::A, |address| match address {
                IpAddr::V4(v4) => shown.contains(&v4.octets()[3]),
                IpAddr::V6(_) => false,
            })
        };
        assert_eq!((narrow(&[]), narrow(&[1, 2])), (None, None));
        let one = Image::new(Arc::clone(whole.zone()), Serial(9), narrow(&[2]).into_iter().collect());
        assert_eq!(walk(&one), ["test. NS 1", "w.test. A 1"]);
        assert_eq!(one.soa().1[one.soa().1.len() - 20..][..4], [0, 0, 0, 9]);
    }
}
