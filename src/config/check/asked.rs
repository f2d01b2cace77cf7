//! Whom probes ask in place of a member: the key `address`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::reader::{Entry, Item};
use crate::net::Prefix;

/// Whom probes ask about a member. Members about whom the same address is asked share its probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// The member itself.
    #[default]
    Member,
    /// One address about all of them.
    One(IpAddr),
    /// For members in the first of two prefixes, of one length and family, the address that stands where they do in the
    /// second; the longest decides, and stands first. Who is in none is asked itself.
    Mapped(Vec<(Prefix, Prefix)>),
}

impl Asked {
    /// Who is asked about `member`.
    pub fn of(&self, member: IpAddr) -> IpAddr {
        match self {
            Self::Member => member,
            Self::One(address) => *address,
            Self::Mapped(prefixes) => {
                let found = prefixes.iter().find(|(from, _)| from.contains(member));
                found.map_or(member, |(_, to)| moved(member, *to))
            }
        }
    }
}

/// `address` with the bits of `prefix` in place of its own.
fn moved(address: IpAddr, prefix: Prefix) -> IpAddr {
    match (address, prefix.address()) {
        (IpAddr::V4(own), IpAddr::V4(first)) => {
            let hosts = u32::MAX.checked_shr(prefix.len().into()).unwrap_or(0);
            Ipv4Addr::from_bits(first.to_bits() | (own.to_bits() & hosts)).into()
        }
        (IpAddr::V6(own), IpAddr::V6(first)) => {
            let hosts = u128::MAX.checked_shr(prefix.len().into()).unwrap_or(0);
            Ipv6Addr::from_bits(first.to_bits() | (own.to_bits() & hosts)).into()
        }
        (_, first) => first,
    }
}

pub(super) fn asked(item: &Item<'_>) -> Option<Asked> {
    const EXPECTED: &str =
        "an address, or a table such as { \"192.0.2.7\" = \"10.0.0.7\", \"198.51.100.0/24\" = \"10.1.0.0/24\" }";
    if let Some(text) = item.as_str() {
        return text.parse().map_or_else(|_| item.wrong(EXPECTED), |address| Some(Asked::One(address)));
    }
    let Some(entries) = item.entries() else { return item.wrong(EXPECTED) };
    let pairs: Vec<Option<(Prefix, Prefix)>> = entries.iter().map(pair).collect();
    let mut pairs: Vec<(Prefix, Prefix)> = pairs.into_iter().collect::<Option<_>>()?;
    pairs.sort_by_key(|(from, _)| (std::cmp::Reverse(from.len()), *from));
    Some(Asked::Mapped(pairs))
}

fn pair(entry: &Entry<'_>) -> Option<(Prefix, Prefix)> {
    let from: Prefix = match entry.name.parse() {
        Ok(prefix) => prefix,
        Err(error) => return entry.name_item.wrong_as(format_args!("found \"{}\"", entry.name), error),
    };
    let to = entry.item.as_str().and_then(|text| text.parse::<Prefix>().ok());
    // A single member may be asked by the other family; a network moves as a whole.
    let fits = |to: &Prefix| match from.is_host() {
        true => to.is_host(),
        false => to.len() == from.len() && to.address().is_ipv4() == from.address().is_ipv4(),
    };
    match to.filter(fits) {
        Some(to) => Some((from, to)),
        None if from.is_host() => entry.item.wrong("an address"),
        None => entry.item.wrong(format_args!("a prefix of the same family and length, {}", from.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn members_are_asked_where_their_network_moves_to() {
        let mapped = Asked::Mapped(vec![
            (prefix("192.0.2.7"), prefix("10.9.9.9")),
            (prefix("2001:db8::7"), prefix("10.9.9.8")),
            (prefix("2001:db8::/64"), prefix("fd00::/64")),
            (prefix("192.0.2.0/25"), prefix("10.0.0.128/25")),
        ]);
        for (member, asked) in [
            ("192.0.2.7", "10.9.9.9"),
            ("192.0.2.8", "10.0.0.136"),
            ("192.0.2.128", "192.0.2.128"),
            ("2001:db8::7", "10.9.9.8"),
            ("2001:db8::a:b", "fd00::a:b"),
        ] {
            assert_eq!(mapped.of(member.parse().unwrap()).to_string(), asked);
        }
        let one = Asked::One("10.0.0.1".parse().unwrap());
        assert_eq!(one.of("192.0.2.1".parse().unwrap()).to_string(), "10.0.0.1");
        assert_eq!(Asked::Member.of("::1".parse().unwrap()).to_string(), "::1");
        let all = Asked::Mapped(vec![(prefix("0.0.0.0/0"), prefix("0.0.0.0/0"))]);
        assert_eq!(all.of("192.0.2.1".parse().unwrap()).to_string(), "192.0.2.1");
    }
}
