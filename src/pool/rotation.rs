//! The ring of hands as wire: what the server copies into its replies.

use std::net::IpAddr;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::ring::{Ring, number};
use super::sites::Group;
use super::{Eligible, Policy, Spread, affinity, draw, game, sites};
use crate::processor;
use crate::wire::{Class, Type};

/// The hands of one family of a pool, laid out as records that are ready to be copied.
///
/// ```text
/// slots   [ 4 | 0 | 12 | 5 | … ]            where a hand starts, in records; one lap gives every member its exact share
///           │   └────────────┐
///           └────────────┐   │
/// records [ a b c a b | b d e b d | … ]     a hand is written round and round, so that it can start at any member
/// ```
///
/// A record is `C0 0C | type | class IN | TTL | length | address`: 16 octets for A, 28 for AAAA.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Everyone who is dealt, in address order.
    members: Arc<[Eligible]>,
    records: Vec<u8>,
    /// Octets of a record.
    stride: usize,
    /// Records that each different hand occupies.
    reach: usize,
    /// Records of a hand as it is dealt.
    count: u16,
    slots: Arc<[u32]>,
    /// How slots rank their members, when they do.
    affinity: Option<Seating>,
}

/// The records of one answer, with C0 0C (the name at octet 12 of the message) as the owner of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hand<'a> {
    /// `count` records of wire.
    pub records: &'a [u8],
    /// How many records there are.
    pub count: u16,
}

impl Rotation {
    /// Spreads the members of one family, which are in address order, as `policy` asks. The same `seed` gives the same
    /// rotation.
    pub fn build(eligible: &[Eligible], policy: &Policy, seed: u64) -> Self {
        debug_assert!(eligible.is_sorted_by(|one, next| one.address < next.address));
        let Some(first) = eligible.first() else { return Self::lay(&[], &Ring::new(0)) };
        let seating = Seating::new(policy, first.address);
        let ring = seating.spread(eligible, policy.spread, &mut SmallRng::seed_from_u64(seed));
        let affinity = (policy.spread == Spread::Affinity).then_some(seating);
        Self { affinity, ..Self::lay(eligible, &ring) }
    }

    /// The hand for a cursor: cursors that follow one another walk the ring.
    pub fn deal(&self, cursor: u32) -> Hand<'_> {
        let laps = number(self.slots.len());
        let Some(slot) = cursor.checked_rem(laps) else { return Hand { records: &[], count: 0 } };
        let start = self.slots[slot as usize] as usize * self.stride;
        Hand { records: &self.records[start..start + usize::from(self.count) * self.stride], count: self.count }
    }

    /// The cursor that belongs to a client network, by the hash of its prefix.
    pub fn slot_of(&self, network_hash: u64) -> u32 {
        let scaled = (u128::from(network_hash) * self.slots.len() as u128) >> 64;
        u32::try_from(scaled).expect("less than the number of slots")
    }

    /// How many different hands there are.
    pub fn hands(&self) -> u32 {
        number(self.records.len() / (self.reach * self.stride).max(1))
    }

    /// The number of the hand that a slot deals.
    #[inline]
    pub fn hand_of(&self, slot: u32) -> u32 {
        self.hand_at(self.slots[slot as usize])
    }

    /// The number of the hand that a deal starting at this record is of.
    #[inline]
    pub(super) fn hand_at(&self, start: u32) -> u32 {
        start / number(self.reach.max(1))
    }

    /// Where each deal of a lap starts, in records.
    pub(super) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Records of all hands.
    pub(super) fn positions(&self) -> usize {
        self.records.len() / self.stride.max(1)
    }

    /// Records of one deal.
    pub(super) fn hand_size(&self) -> usize {
        usize::from(self.count)
    }

    /// The number of the member whose record this is.
    pub(super) fn member_at(&self, position: usize) -> Option<usize> {
        let record = self.records.get(position * self.stride..(position + 1) * self.stride)?;
        let address = address_of(record);
        self.members.binary_search_by_key(&address, |member| member.address).ok()
    }

    /// How many hands are in the ring.
    #[expect(clippy::len_without_is_empty, reason = "`is_empty` would be of the members, not of the ring")]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Everyone who is dealt, in address order.
    pub fn members(&self) -> &[Eligible] {
        &self.members
    }

    /// Octets that the rotation holds in memory.
    pub fn bytes(&self) -> usize {
        self.records.len() + size_of_val(&*self.slots) + size_of_val(&*self.members)
    }

    /// Every hand of one lap, in the order of dealing.
    pub fn lap(&self) -> impl Iterator<Item = Hand<'_>> {
        (0..number(self.slots.len())).map(|cursor| self.deal(cursor))
    }

    /// Each different deal of a lap: its members as sent, by number, and how often it comes.
    pub(super) fn deals(&self) -> impl Iterator<Item = (Vec<usize>, u64)> {
        // By where the deal starts, in records.
        let mut counts = vec![0_u64; self.records.len() / self.stride.max(1)];
        self.slots.iter().for_each(|start| counts[*start as usize] += 1);
        let number = |address| self.members.binary_search_by_key(&address, |member| member.address);
        let dealt = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
        dealt.map(move |(start, count)| {
            let records = &self.records[start * self.stride..];
            (self.addresses(records).filter_map(|address| number(address).ok()).collect(), count)
        })
    }

    /// The same ring without one member, for the moments until a new one is built. Its seats go to others: at random, or
    /// with affinity to those who would have them anyway. Hands grow shorter only when nobody is left to take a seat.
    #[must_use]
    pub fn without(&self, address: IpAddr) -> Self {
        let Ok(gone) = self.members.binary_search_by_key(&address, |member| member.address) else {
            return self.clone();
        };
        let mut left = self.members.to_vec();
        left.remove(gone);
        match &self.affinity {
            Some(seating) => self.reseat(&left, address, seating),
            None => self.refill(left, address),
        }
    }

    /// The same ring, in which each hand lasts as long as its members do now. All members are among `eligible`, which are
    /// in address order.
    #[must_use]
    pub fn lasting(&self, eligible: &[Eligible]) -> Self {
        let ttl_of = |address| {
            let at = eligible.binary_search_by_key(&address, |member| member.address);
            at.ok().map(|at| eligible[at].ttl)
        };
        let mut rotation = self.clone();
        let renew = |member: &Eligible| Eligible { ttl: ttl_of(member.address).unwrap_or(member.ttl), ..*member };
        rotation.members = self.members.iter().map(renew).collect();
        for hand in rotation.records.chunks_exact_mut((self.reach * self.stride).max(1)) {
            processor::pause();
            let Some(ttl) = self.addresses(hand).filter_map(ttl_of).min() else { continue };
            for record in hand.chunks_exact_mut(self.stride) {
                record[TTL].copy_from_slice(&ttl.to_be_bytes());
            }
        }
        rotation
    }

    fn refill(&self, left: Vec<Eligible>, gone: IpAddr) -> Self {
        let mut rotation = self.clone();
        rotation.count = count_of(usize::from(self.count).min(left.len()));
        rotation.members = left.into();
        let mut rng = SmallRng::seed_from_u64(u64::from(number(rotation.members.len())));
        for hand in rotation.records.chunks_exact_mut(self.reach * self.stride) {
            processor::pause();
            let mut seats: Vec<IpAddr> = self.addresses(hand).collect();
            if let Some(seat) = seats.iter().position(|member| *member == gone) {
                seats.remove(seat);
                refill(&mut seats, usize::from(rotation.count), &rotation.members, &mut rng);
                write_round(hand, &seats, &rotation.members);
            }
        }
        rotation
    }

    fn reseat(&self, left: &[Eligible], gone: IpAddr, seating: &Seating) -> Self {
        let size = seating.size.min(left.len());
        let index = |address| left.binary_search_by_key(&address, |member| member.address).ok().map(number);
        let kept = |slot: usize| {
            let hand = self.deal(number(slot));
            let as_it_was =
                usize::from(hand.count) == size && self.addresses(hand.records).all(|member| member != gone);
            as_it_was.then(|| self.addresses(hand.records).filter_map(index).collect())
        };
        let ring = affinity::ring(left, size, &seating.groups(left), kept);
        Self { affinity: Some(seating.clone()), ..Self::lay(left, &ring) }
    }

    /// The addresses of a hand.
    pub fn addresses<'a>(&self, records: &'a [u8]) -> impl Iterator<Item = IpAddr> + use<'a> {
        let dealt = usize::from(self.count) * self.stride;
        records[..dealt].chunks_exact(self.stride.max(1)).map(address_of)
    }

    fn lay(eligible: &[Eligible], ring: &Ring) -> Self {
        let last_turn = ring.slots.iter().map(|slot| slot.turn as usize).max().unwrap_or(0);
        let reach = ring.size() + last_turn;
        let stride = eligible.first().map_or(0, |member| record(member.address, 0).len());
        let mut records = vec![0; ring.len() * reach * stride];
        for (hand, room) in ring.hands().zip(records.chunks_exact_mut((reach * stride).max(1))) {
            processor::pause();
            let seats: Vec<IpAddr> = hand.iter().map(|member| eligible[*member as usize].address).collect();
            write_round(room, &seats, eligible);
        }
        let slots = ring.slots.iter().map(|slot| slot.hand * number(reach) + slot.turn).collect();
        Self { members: eligible.into(), records, stride, reach, count: count_of(ring.size()), slots, affinity: None }
    }
}

/// Who may sit in a hand with whom.
#[derive(Clone, Debug)]
struct Seating {
    size: usize,
    together: Option<u8>,
    apart: Option<u8>,
}

impl Seating {
    /// The seating of a family, of which `address` is one.
    fn new(policy: &Policy, address: IpAddr) -> Self {
        let size = usize::from(policy.k.of(address)).max(1);
        Self { size, together: policy.together.of(address), apart: policy.apart.of(address) }
    }

    fn groups(&self, members: &[Eligible]) -> Vec<Group> {
        let addresses: Vec<IpAddr> = members.iter().map(|member| member.address).collect();
        sites::groups(&addresses, self.size.min(members.len()), self.together, self.apart)
    }

    fn spread(&self, members: &[Eligible], spread: Spread, rng: &mut SmallRng) -> Ring {
        let size = self.size.min(members.len());
        let weights: Vec<f64> = members.iter().map(|member| member.weight).collect();
        match spread {
            Spread::All => draw::all(members.len().min(usize::from(u16::MAX))),
            Spread::Affinity => affinity::ring(members, size, &self.groups(members), |_| None),
            Spread::Balanced => game::ring(&weights, size, &self.groups(members), rng),
            Spread::Random => draw::random(&weights, size, &self.groups(members), rng),
        }
    }
}

/// Adds members to a hand until it has `count`; there are as many.
fn refill(seats: &mut Vec<IpAddr>, count: usize, members: &[Eligible], rng: &mut SmallRng) {
    while seats.len() < count {
        let member = members[rng.random_range(0..members.len())].address;
        if !seats.contains(&member) {
            let at = seats.partition_point(|seat| *seat < member);
            seats.insert(at, member);
        }
    }
}

/// Fills `room` with the records of `seats`, round and round. A hand is as fresh as its least lasting member: all its
/// records carry the least TTL (RFC 2181 section 5.2 has them equal).
fn write_round(room: &mut [u8], seats: &[IpAddr], members: &[Eligible]) {
    let ttl_of = |address: &IpAddr| {
        let at = members.binary_search_by_key(address, |member| member.address).expect("a seat is a member's");
        members[at].ttl
    };
    let Some(ttl) = seats.iter().map(ttl_of).min() else { return };
    let round: Vec<u8> = seats.iter().flat_map(|address| record(*address, ttl)).collect();
    for part in room.chunks_mut(round.len()) {
        part.copy_from_slice(&round[..part.len()]);
    }
}

/// One record whose owner is the question's name (RFC 1035 section 4.1.4: a pointer to octet 12).
fn record(address: IpAddr, ttl: u32) -> Vec<u8> {
    let (rtype, octets) = match address {
        IpAddr::V4(v4) => (Type::A, v4.octets().to_vec()),
        IpAddr::V6(v6) => (Type::AAAA, v6.octets().to_vec()),
    };
    let length = u16::try_from(octets.len()).expect("4 or 16 octets");
    let mut record = vec![0xC0, 0x0C];
    record.extend(rtype.0.to_be_bytes());
    record.extend(Class::IN.0.to_be_bytes());
    record.extend(ttl.to_be_bytes());
    record.extend(length.to_be_bytes());
    record.extend(octets);
    record
}

fn address_of(record: &[u8]) -> IpAddr {
    let octets = &record[HEAD..];
    match <[u8; 4]>::try_from(octets) {
        Ok(v4) => IpAddr::from(v4),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(octets).expect("an address of 4 or 16 octets")),
    }
}

/// The count of a reply's section has 16 bits.
fn count_of(members: usize) -> u16 {
    u16::try_from(members).unwrap_or(u16::MAX)
}

/// Octets of a record in front of its address.
const HEAD: usize = 12;
/// Where the TTL stands in a record.
const TTL: std::ops::Range<usize> = 6..10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::PerFamily;

    fn pool(n: u32, v6: bool) -> Vec<Eligible> {
        let address = |index: u32| {
            if v6 {
                IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(index)).to_be_bytes())
            } else {
                IpAddr::from((0x0A00_0000 + index).to_be_bytes())
            }
        };
        (0..n).map(|index| Eligible { address: address(index), weight: 1.0, ttl: 30 }).collect()
    }

    fn policy(k: u16, spread: Spread) -> Policy {
        Policy { k: PerFamily::both(k), spread, ..Policy::default() }
    }

    /// The addresses of each hand of a lap; they are distinct and `count` many.
    fn hands(rotation: &Rotation) -> Vec<Vec<IpAddr>> {
        let read = |hand: Hand<'_>| {
            let hand: Vec<IpAddr> = rotation.addresses(hand.records).collect();
            assert_eq!(hand.iter().collect::<std::collections::BTreeSet<_>>().len(), hand.len(), "{hand:?}");
            hand
        };
        rotation.lap().map(read).collect()
    }

    #[test]
    fn a_record_is_wire() {
        let mut members = pool(3, false);
        members[1].ttl = 7;
        let rotation = Rotation::build(&members, &policy(3, Spread::Random), 1);
        let right = b"\xC0\x0C\0\x01\0\x01\0\0\0\x07\0\x04\x0A\0\0\x02";
        let found = rotation.lap().find(|hand| hand.records.starts_with(right)).expect("each is first somewhere");
        assert_eq!((found.count, found.records.len()), (3, 48));
        let rotation = Rotation::build(&pool(3, true), &policy(2, Spread::Random), 1);
        let hand = rotation.deal(0);
        assert_eq!((hand.count, hand.records.len()), (2, 56));
        assert_eq!(hand.records[..12], *b"\xC0\x0C\0\x1C\0\x01\0\0\0\x1E\0\x10");
    }

    #[test]
    fn the_least_ttl_of_a_hand_is_on_all_its_records() {
        let mut members = pool(5, false);
        members[2].ttl = 5;
        let rotation = Rotation::build(&members, &policy(2, Spread::Random), 1);
        for hand in rotation.lap() {
            let holds = rotation.addresses(hand.records).any(|address| address == members[2].address);
            let ttls: Vec<&[u8]> = hand.records.chunks_exact(16).map(|record| &record[6..10]).collect();
            let right: &[u8] = if holds { &[0, 0, 0, 5] } else { &[0, 0, 0, 30] };
            assert_eq!(ttls, [right, right]);
        }
    }

    #[test]
    fn a_new_ttl_is_on_the_hands_that_hold_the_member_and_changes_no_hand() {
        for spread in Spread::ALL {
            for v6 in [false, true] {
                let mut members = pool(12, v6);
                let rotation = Rotation::build(&members, &policy(2, spread), 1);
                let stride = rotation.stride;
                members[3].ttl = 5;
                let doubted = rotation.lasting(&members);
                assert_eq!(hands(&doubted), hands(&rotation), "{spread:?}");
                assert_eq!(doubted.members(), members);
                let mut lowered = 0;
                for hand in doubted.lap() {
                    let holds = doubted.addresses(hand.records).any(|address| address == members[3].address);
                    lowered += usize::from(holds);
                    let right = if holds { 5_u32 } else { 30 }.to_be_bytes();
                    assert!(hand.records.chunks_exact(stride).all(|record| record[TTL] == right), "{spread:?}");
                }
                assert!(lowered > 0 && (spread == Spread::All || lowered < doubted.len()), "{spread:?}");
                members[3].ttl = 30;
                assert_eq!(doubted.lasting(&members).records, rotation.records, "{spread:?}");
            }
        }
    }

    #[test]
    fn hands_are_full_and_everyone_is_served() {
        for spread in Spread::ALL {
            for (n, k) in [(1, 1), (1, 2), (2, 1), (3, 2), (10, 3), (10, 9), (10, 10), (40, 2), (40, 50)] {
                let members = pool(n, n % 2 == 0);
                let rotation = Rotation::build(&members, &policy(k, spread), 7);
                let hands = hands(&rotation);
                let right = if spread == Spread::All { members.len() } else { members.len().min(k.into()) };
                assert!(hands.iter().all(|hand| hand.len() == right), "{spread:?} {n} {k}");
                assert!(members.iter().all(|one| hands.iter().flatten().any(|address| *address == one.address)));
                assert!(
                    members.iter().all(|one| hands.iter().any(|hand| hand[0] == one.address)),
                    "{spread:?} {n} {k}"
                );
            }
        }
    }

    #[test]
    fn without_members_there_is_an_empty_hand() {
        let rotation = Rotation::build(&[], &Policy::default(), 1);
        assert_eq!(rotation.deal(17), Hand { records: &[], count: 0 });
        assert_eq!((rotation.len(), rotation.slot_of(u64::MAX)), (0, 0));
    }

    #[test]
    fn a_member_that_leaves_is_in_no_hand_and_hands_stay_full() {
        for spread in Spread::ALL {
            for (n, k) in [(2, 1), (3, 2), (4, 4), (10, 3), (10, 9), (20, 2)] {
                let members = pool(n, false);
                let mut rotation = Rotation::build(&members, &policy(k, spread), 7);
                for gone in 0..members.len() {
                    rotation = rotation.without(members[gone].address);
                    let left = &members[gone + 1..];
                    let right = if spread == Spread::All { left.len() } else { left.len().min(k.into()) };
                    for hand in hands(&rotation) {
                        assert_eq!(hand.len(), right, "{spread:?} {n} {k}");
                        assert!(hand.iter().all(|address| left.iter().any(|one| one.address == *address)));
                    }
                    assert_eq!(rotation.members(), left);
                }
            }
        }
    }

    #[test]
    fn a_stranger_that_leaves_changes_nothing() {
        let rotation = Rotation::build(&pool(5, false), &policy(2, Spread::Random), 7);
        assert_eq!(hands(&rotation.without(IpAddr::from([203, 0, 113, 1]))), hands(&rotation));
    }

    #[test]
    fn the_same_seed_deals_the_same_hands() {
        let members = pool(20, false);
        let lap = |seed| hands(&Rotation::build(&members, &policy(3, Spread::Random), seed));
        assert_eq!(lap(5), lap(5));
        assert_ne!(lap(5), lap(6));
    }

    #[test]
    fn networks_fall_on_all_slots() {
        let rotation = Rotation::build(&pool(3, false), &policy(2, Spread::All), 7);
        let slots: Vec<u32> = [0, u64::MAX / 2, u64::MAX].map(|hash| rotation.slot_of(hash)).into();
        assert_eq!(slots, [0, 1, 2]);
    }
}
