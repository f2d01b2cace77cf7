//! The addresses that a zone has at a name, as its author wrote them: what a pool there would have as members.

use std::net::IpAddr;

use crate::wire::{LowerName, Name, Type};
use crate::zone::Zone;

/// The addresses of one family at `owner`, sorted, and the TTL of their RRset in seconds; `None` where there are none.
pub fn written_addresses(zone: &Zone, owner: &Name, rtype: Type) -> Option<(Vec<IpAddr>, u32)> {
    let node = zone.exact(LowerName::of(owner.borrow()).octets())?;
    let rrset = zone.rrset(node, rtype)?;
    let mut addresses: Vec<IpAddr> = rrset.iter().filter_map(|record| address_in(record.rdata)).collect();
    addresses.sort_unstable();
    Some((addresses, rrset.ttl()))
}

/// The address that RDATA of A or AAAA is.
pub(super) fn address_in(rdata: &[u8]) -> Option<IpAddr> {
    match rdata.len() {
        4 => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        _ => None,
    }
}
