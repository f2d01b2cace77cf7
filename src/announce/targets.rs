//! Who is told of a change.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::keeper::Change;
use crate::snapshot::Snapshot;
use crate::transfer::tsig::Key;
use crate::wire::{LowerName, Name, NameRef, Type};
use crate::zone::{NodeId, Rrset};

/// A server to be told.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) addr: SocketAddr,
    /// The name of the key that signs, and the key if it is configured.
    pub(super) key: Option<(Name, Option<Key>)>,
    pub(super) source: Option<IpAddr>,
}

/// The servers that the policy names, and those that the zone names and that may transfer it.
pub(super) fn of(change: &Change, snapshot: &Snapshot, own: &[SocketAddr]) -> Vec<Target> {
    let transfer = &change.policy.transfer;
    let source = transfer.notify_source;
    let key = |name: &Name| (name.clone(), Key::find(&snapshot.settings.keys, name));
    let mut targets: Vec<Target> = transfer
        .notify
        .iter()
        .map(|peer| Target { addr: peer.addr, key: peer.key.as_ref().map(key), source })
        .collect();
    if transfer.notify_ns {
        let known: BTreeSet<SocketAddr> = targets.iter().map(|target| target.addr).chain(own.iter().copied()).collect();
        let servers = nameservers(change, snapshot).into_iter();
        // Whoever may not transfer the zone, or only with a key that nobody said which, has no use for a NOTIFY.
        let may = servers.filter(|address| {
            transfer.to.iter().any(|grant| grant.key.is_none() && !grant.tls && grant.net.contains(*address))
        });
        let addrs = may.map(|address| SocketAddr::new(address, DNS)).filter(|addr| !known.contains(addr));
        targets.extend(addrs.map(|addr| Target { addr, key: None, source }));
    }
    targets
}

/// The addresses of the zone's nameservers, but for the primary that its SOA names, as far as zones that are served here
/// have them.
fn nameservers(change: &Change, snapshot: &Snapshot) -> BTreeSet<IpAddr> {
    let zone = change.image.zone();
    let (_, soa) = change.image.soa();
    let primary = NameRef::parse(&soa).ok();
    let servers = zone.rrset(NodeId::APEX, Type::NS);
    let names = servers.iter().flat_map(Rrset::iter).filter_map(|record| NameRef::parse(record.rdata).ok());
    names.filter(|name| Some(*name) != primary).flat_map(|name| addresses(name, snapshot)).collect()
}

fn addresses(name: NameRef<'_>, snapshot: &Snapshot) -> Vec<IpAddr> {
    let lower = LowerName::of(name);
    let zone = snapshot.zones().find(&lower).and_then(|served| served.zone.as_ref());
    let Some((zone, node)) = zone.and_then(|zone| Some((zone, zone.exact(lower.octets())?))) else {
        return Vec::new();
    };
    let rrsets = [Type::A, Type::AAAA].into_iter().filter_map(|rtype| zone.rrset(node, rtype));
    rrsets.flat_map(|rrset| rrset.iter()).filter_map(|record| address(record.rdata)).collect()
}

fn address(rdata: &[u8]) -> Option<IpAddr> {
    match rdata.len() {
        4 => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
    }
}

/// The port of DNS: what an NS record names has no other.
const DNS: u16 = 53;
