//! `[transfer]`: who may have the zone, who is told of changes, and where it comes from.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fault::Place;
use super::pool::PoolTransfer;
use super::pool::transfer as pool_transfer;
use super::primary::{Primary, primaries};
use super::reader::{Item, Section, keys};
use super::value::{boolean, dns_address, duration, list, prefix};
use crate::net::Prefix;
use crate::wire::{Name, NameRef};

/// Zone transfers in and out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who may transfer the zone.
    pub to: Vec<Grant>,
    /// Who is told when the zone has changed (RFC 1996).
    pub notify: Vec<Peer>,
    /// The address that NOTIFY is sent from; `None` when the routing table is to choose.
    pub notify_source: Option<IpAddr>,
    /// Whether the zone's other nameservers are told, too.
    pub notify_ns: bool,
    /// The primaries, the one to ask first at the start. With any, the zone is a secondary.
    pub from: Vec<Primary>,
    /// Where `from` is written.
    pub from_place: Option<Place>,
    /// The least and the longest time between two looks at a primary, whatever the SOA says.
    pub refresh: RangeInclusive<Duration>,
    /// Who is asked what it serves of the zone.
    pub watch: Vec<SocketAddr>,
    /// How old what a watched server serves may get before it is warned of.
    pub lag_limit: Duration,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            notify: Vec::new(),
            notify_source: None,
            notify_ns: true,
            from: Vec::new(),
            from_place: None,
            refresh: Duration::from_secs(2)..=Duration::from_secs(86_400),
            watch: Vec::new(),
            lag_limit: Duration::from_secs(300),
        }
    }
}

impl Transfer {
    /// The first right that a request from `address`, signed with `key`, has; `encrypted` says that it came by TLS.
    pub fn grant(&self, address: IpAddr, key: Option<&Name>, encrypted: bool) -> Option<&Grant> {
        let fits = |grant: &&Grant| grant.net.contains(address) && (grant.key.is_none() || grant.key.as_ref() == key);
        self.to.iter().filter(fits).find(|grant| encrypted || !grant.tls)
    }

    /// The keys that are named here, each once.
    pub fn keys(&self) -> BTreeSet<&Name> {
        let of_primaries = self.from.iter().filter_map(|primary| primary.key.as_ref());
        let of_peers = self.notify.iter().filter_map(|peer| peer.key.as_ref()).chain(of_primaries);
        self.to.iter().filter_map(|grant| grant.key.as_ref()).chain(of_peers).collect()
    }

    /// Whether a server that is told may come from the address at which it is told, with whatever key.
    fn lets(&self, peer: &Peer) -> bool {
        self.to.iter().any(|grant| grant.net.contains(peer.addr.ip()))
    }

    /// Whether a message from `address`, signed with `key`, is a primary's.
    pub fn is_primary(&self, address: IpAddr, key: Option<&Name>) -> bool {
        self.from.iter().any(|peer| peer.addr.ip() == address && peer.key.as_ref() == key)
    }
}

/// A right to transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whom it is given to.
    pub net: Prefix,
    /// The TSIG key that the request must be signed with.
    pub key: Option<Name>,
    /// How the pools are shown; `None` when each pool says it for itself.
    pub view: Option<PoolTransfer>,
    /// Whether the request must come by TLS (RFC 9103).
    pub tls: bool,
}

/// Another nameserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it is asked.
    pub addr: SocketAddr,
    /// The TSIG key that messages are signed with.
    pub key: Option<Name>,
}

keys! {
    TRANSFER "[transfer]" {
        TO: Vec<Grant> = "to", grants, "[]",
            "Who may transfer the zone.";
        NOTIFY: Vec<Peer> = "notify", peers, "[]",
            "Who is told when the zone has changed.";
        NOTIFY_SOURCE: IpAddr = "notify_source", address, "",
            "The address that NOTIFY is sent from. Without it the routing table chooses.";
        NOTIFY_NS: bool = "notify_ns", boolean, "true",
            "Whether the servers that the NS records of the zone name are told, too: those whose addresses this server \
             has in its zones, and that `to` lets transfer without more than their address.";
        FROM: Vec<Primary> = "from", primaries, "[]",
            "The primaries, in the order in which they are asked; with any, this server is a secondary of the zone, which \
             then has no zone file.";
        REFRESH_MIN: Duration = "refresh_min", duration::<1_000, 86_400_000>, "\"2s\"",
            "The least time between two looks at the primaries, whatever REFRESH and RETRY of the SOA say.";
        REFRESH_MAX: Duration = "refresh_max", duration::<1_000, 2_419_200_000>, "\"1d\"",
            "The longest time between two looks at the primaries.";
        WATCH: Vec<SocketAddr> = "watch", watched, "[]",
            "Servers that are asked every few seconds which serial of the zone they serve, such as those of the provider.";
        LAG_LIMIT: Duration = "lag_limit", duration::<1_000, 2_419_200_000>, "\"5m\"",
            "How old the state of the zone that a watched server serves may get before it is warned of.";
    }
}

keys! {
    GRANT "`to` of [transfer]" {
        NET: Prefix = "net", prefix, "",
            "Whom the right is given to. Always needed.";
        GRANT_KEY: Name = "key", key_name, "",
            "The TSIG key, `[key.NAME]` in kofn.toml, that the request must be signed with.";
        VIEW: PoolTransfer = "view", pool_transfer, "",
            "What these clients get of every pool, whatever its own `transfer` says.";
        GRANT_TLS: bool = "tls", boolean, "false",
            "Whether transfers must come by TLS (RFC 9103).";
    }
}

keys! {
    PEER "`notify` of [transfer]" {
        ADDR: SocketAddr = "addr", dns_address, "",
            "The other server; without a port it means 53. Always needed.";
        PEER_KEY: Name = "key", key_name, "",
            "The TSIG key, `[key.NAME]` in kofn.toml, that messages are signed with.";
    }
}

pub(super) fn read(section: &Section<'_>) -> Transfer {
    let (least, longest) = (section.value(&REFRESH_MIN), section.value(&REFRESH_MAX));
    if least > longest {
        section
            .item(REFRESH_MIN.name)
            .unwrap_or_else(|| section.whole())
            .wrong_as::<()>("refresh_min is above refresh_max", "the lesser time here");
    }
    let transfer = Transfer {
        to: section.value(&TO),
        notify: section.value(&NOTIFY),
        notify_source: section.written(&NOTIFY_SOURCE),
        notify_ns: section.value(&NOTIFY_NS),
        from: section.value(&FROM),
        from_place: section.item(FROM.name).map(|item| item.place()),
        refresh: least..=longest.max(least),
        watch: section.value(&WATCH),
        lag_limit: section.value(&LAG_LIMIT),
    };
    if let Some(item) = section.item(NOTIFY.name) {
        for peer in transfer.notify.iter().filter(|peer| !transfer.lets(peer)) {
            item.warn(
                format_args!("{} is told of changes, and no right of `to` lets it have them", peer.addr.ip()),
                "a right in `to` for whom `notify` names",
            );
        }
    }
    transfer
}

fn grants(item: &Item<'_>) -> Option<Vec<Grant>> {
    list(item, "a list of prefixes, or of tables such as { net = \"203.0.113.0/24\", key = \"provider\" }", |item| {
        let Some(section) = item.section(&GRANT) else {
            return prefix(item).map(|net| Grant { net, key: None, view: None, tls: false });
        };
        let (net, key) = (section.required(&NET), section.written(&GRANT_KEY));
        let (view, tls) = (section.written(&VIEW), section.value(&GRANT_TLS));
        net.map(|net| Grant { net, key, view, tls })
    })
}

fn watched(item: &Item<'_>) -> Option<Vec<SocketAddr>> {
    list(item, "a list of addresses, such as [\"192.0.2.1\"]", dns_address)
}

fn peers(item: &Item<'_>) -> Option<Vec<Peer>> {
    list(item, "a list of addresses, or of tables such as { addr = \"203.0.113.5\", key = \"provider\" }", |item| {
        let Some(section) = item.section(&PEER) else {
            return dns_address(item).map(|addr| Peer { addr, key: None });
        };
        let (addr, key) = (section.required(&ADDR), section.written(&PEER_KEY));
        addr.map(|addr| Peer { addr, key })
    })
}

fn address(item: &Item<'_>) -> Option<IpAddr> {
    match item.as_str().and_then(|text| text.parse().ok()) {
        Some(address) => Some(address),
        None => item.wrong("an address, such as \"192.0.2.1\" or \"2001:db8::1\""),
    }
}

pub(super) fn key_name(item: &Item<'_>) -> Option<Name> {
    let Some(text) = item.as_str() else { return item.wrong("the name of a key") };
    match Name::from_text_in(text.as_bytes(), NameRef::ROOT) {
        Ok(name) => Some(name),
        Err(error) => item.wrong_as(error, "the name of a key"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, ZonePolicy};
    use super::*;

    fn parse(keys: &str) -> Result<Transfer, Vec<String>> {
        let apex = Name::from_text(b"example.test").unwrap();
        let policy = ZonePolicy::parse(&format!("[transfer]\n{keys}"), Path::new("z.toml"), apex.borrow());
        policy.map(|policy| policy.transfer).map_err(|list| list.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn peers_are_written_short_or_with_their_key() {
        let key = Name::from_text(b"provider").unwrap();
        let transfer = parse(
            "to = [\"192.0.2.1\", { net = \"203.0.113.0/24\", key = \"provider\" }]\n\
             notify = [\"203.0.113.5\", { addr = \"[::1]:5300\", key = \"provider.\" }]",
        )
        .unwrap();
        assert_eq!(transfer.to[0], Grant { net: "192.0.2.1".parse().unwrap(), key: None, view: None, tls: false });
        let (net, key) = ("203.0.113.0/24".parse().unwrap(), Some(key));
        assert_eq!(transfer.to[1], Grant { net, key: key.clone(), view: None, tls: false });
        assert_eq!(transfer.notify[0], Peer { addr: "203.0.113.5:53".parse().unwrap(), key: None });
        assert_eq!(transfer.notify[1], Peer { addr: "[::1]:5300".parse().unwrap(), key });
        assert_eq!(transfer.from, []);
    }

    #[test]
    fn who_is_told_and_may_not_have_it_is_a_warning() {
        let apex = Name::from_text(b"example.test").unwrap();
        let text = "[transfer]\nto = [\"192.0.2.0/24\"]\nnotify = [\"192.0.2.1\", \"203.0.113.5\"]";
        let policy = ZonePolicy::parse(text, Path::new("z.toml"), apex.borrow()).unwrap();
        let told: Vec<_> = policy.warnings.iter().map(Fault::to_string).collect();
        assert_eq!(
            told,
            [
                "z.toml:3:10: transfer.notify: 203.0.113.5 is told of changes, and no right of `to` lets it have them; a \
              right in `to` for whom `notify` names"
            ]
        );
    }

    #[test]
    fn each_bad_peer_is_a_fault() {
        let faults =
            parse("notify = [\"here\", { addres = \"::1\" }, { addr = \"::1\", key = \"a..b\" }]").expect_err("bad");
        assert_eq!(
            faults[..],
            [
                "z.toml:2:11: transfer.notify[0]: found \"here\"; an address with or without a port, such as \
                 \"192.0.2.1\" or \"[2001:db8::1]:53\"",
                "z.toml:2:19: transfer.notify[1]: `addr` is missing; `addr` takes an address with or without a \
                 port, such as \"192.0.2.1\" or \"[2001:db8::1]:53\"",
                "z.toml:2:21: transfer.notify[1].addres: unknown key `addres`; did you mean `addr`?",
                "z.toml:2:61: transfer.notify[2].key: empty label; the name of a key",
            ]
        );
    }
}
