//! How the drains stand: for each drained member, and each that is gone from its zone, whether old answers still name it.

use std::net::IpAddr;
use std::time::Instant;

use jiff::Timestamp;

use crate::drain::{Clock, Copies, Drain, Drains, Moment};
use crate::net::Prefix;
use crate::snapshot::{Snapshot, written_addresses};
use crate::wire::{LowerName, Name, Type};

/// All drains and what they have come to.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// What is wrong with the file, with places; the last good list holds then.
    pub faults: Vec<String>,
    /// As they stand in the file.
    pub drains: Vec<Drain>,
    /// The members that are drained, and those that are gone from their zones while copies may live.
    pub members: Vec<Standing>,
}

/// One member that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The owner of its pool.
    pub pool: Name,
    /// Its address.
    pub address: IpAddr,
    /// Where it is on its way out.
    pub place: Place,
    /// The drains that keep it out; none for one that drains by itself or is gone from its zone.
    pub by: Vec<Prefix>,
    /// Whether its record is gone from the zone.
    pub removed: bool,
    /// When it was handed out last; `None` while it is, or when that was before anybody looked.
    pub last: Option<Timestamp>,
    /// The largest TTL, in seconds, at which it was handed out last.
    pub ttl: Option<u32>,
    /// When the last lawful copy is gone, or was.
    pub gone: Option<Timestamp>,
    /// Seconds until then, rounded up; 0 when it is past.
    pub gone_in: Option<u64>,
}

/// Where a member is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In hands all the same: its pool has nobody else.
    Served,
    /// In no hand, but old answers may live in caches.
    Cached,
    /// No lawful copy is left.
    Gone,
}

/// Lists who is drained or removed.
pub(super) fn members(drains: &Drains, clock: &Clock, snapshot: &Snapshot, now: &Moment) -> Vec<Standing> {
    let mut list = Vec::new();
    for (_, pool) in snapshot.pools() {
        for family in pool.families() {
            for member in family.members.iter().filter(|member| member.drained) {
                let dealt = family.rotation.members();
                let served = dealt.binary_search_by_key(&member.address, |dealt| dealt.address).is_ok();
                let by = drains.covering(&pool.owner, member.address).map(|drain| drain.addr).collect();
                let copies = clock.copies(&pool.owner, member.address);
                let standing = Standing { by, ..standing(&pool.owner, member.address, copies, now) };
                list.push(if served { standing.served(member.ttl) } else { standing });
            }
        }
    }
    for (pool, address, copies) in clock.iter() {
        if copies.gone > now.steady && !is_member(snapshot, pool, address) {
            list.push(Standing { removed: true, ..standing(pool, address, Some(*copies), now) });
        }
    }
    list.sort_by(|one, other| (&one.pool, one.address).cmp(&(&other.pool, other.address)));
    list
}

/// Whether the zone has this member now, be it that the pool is answered without a policy.
pub(super) fn is_member(snapshot: &Snapshot, pool: &Name, address: IpAddr) -> bool {
    let zone = snapshot.zones().find(&LowerName::of(pool.borrow())).and_then(|served| served.zone.as_deref());
    let rtype = if address.is_ipv4() { Type::A } else { Type::AAAA };
    let written = zone.and_then(|zone| written_addresses(zone, pool, rtype));
    written.is_some_and(|(addresses, _)| addresses.binary_search(&address).is_ok())
}

fn standing(pool: &Name, address: IpAddr, copies: Option<Copies>, now: &Moment) -> Standing {
    let live = copies.is_some_and(|copies| copies.gone > now.steady);
    Standing {
        pool: pool.clone(),
        address,
        place: if live { Place::Cached } else { Place::Gone },
        by: Vec::new(),
        removed: false,
        last: copies.map(|copies| now.wall_at(copies.last)),
        ttl: copies.map(|copies| copies.ttl),
        gone: copies.map(|copies| now.wall_at(copies.gone)),
        gone_in: copies.map(|copies| seconds_until(copies.gone, now.steady)),
    }
}

impl Standing {
    fn served(self, ttl: u32) -> Self {
        Self { place: Place::Served, last: None, ttl: Some(ttl), gone: None, gone_in: None, ..self }
    }
}

/// Rounded up: at 0 it is past.
fn seconds_until(at: Instant, now: Instant) -> u64 {
    let left = at.saturating_duration_since(now);
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
