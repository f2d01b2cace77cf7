//! Whether a policy fits its zone: what neither of them shows alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::outbound;
use crate::config::{Fault, PoolConfig, PoolTransfer, Severity, ZonePolicy};
use crate::net::Prefix;
use crate::pool::{Policy, Spread};
use crate::wire::{LowerName, Name, Type};
use crate::zone::{Rrset, Zone};

/// What of `policy` cannot be over `zone`, has no effect there, or another than was meant. An owner that the zone lacks is
/// only a warning: removing a host never breaks a reload.
pub fn misfits(zone: &Zone, policy: &ZonePolicy) -> Vec<Fault> {
    let by_client = policy.transfer.to.iter().any(|grant| grant.view == Some(PoolTransfer::Healthy));
    let shows_healthy = |pool: &PoolConfig| by_client || pool.transfer == PoolTransfer::Healthy;
    policy.pools.iter().flat_map(|(owner, pool)| misfits_of(zone, owner, pool, shows_healthy(pool))).collect()
}

fn misfits_of(zone: &Zone, owner: &Name, pool: &PoolConfig, shows_healthy: bool) -> Vec<Fault> {
    let warning = |found: String, expected: &str| pool.place.warning(found, expected);
    let Some(node) = zone.exact(LowerName::of(owner.borrow()).octets()) else {
        return vec![warning(format!("{owner} is not in the zone"), "the owner of A or AAAA records; the pool sleeps")];
    };
    if zone.hidden_by(node).is_some() || zone.is_cut(node) {
        return vec![warning(format!("{owner} is delegated"), "a name that this zone answers for; the pool sleeps")];
    }
    let families = [Type::A, Type::AAAA].map(|rtype| zone.rrset(node, rtype).map(|_| rtype));
    if families == [None, None] {
        return vec![warning(format!("{owner} has no A and no AAAA record"), "a member; the pool sleeps")];
    }
    let is_signed = families.into_iter().flatten().any(|rtype| zone.signatures(node, rtype).is_some());
    if is_signed && pool.policy.spread != Spread::All {
        let found = format!("{owner} is signed in the zone file, and its signature holds for all addresses together");
        let fault = pool.place.warning(found, "spread = \"all\", or a zone that comes unsigned");
        return vec![Fault { severity: Severity::Error, ..fault }];
    }
    let mut faults = Vec::new();
    if shows_healthy && outbound::is_signed(zone) {
        faults.push(warning(
            "the zone comes signed, and signatures hold for all addresses together: secondaries get all members".into(),
            "transfer = \"members\", or a zone that comes unsigned",
        ));
    }
    let minimum = zone.negative_soa().0.ttl();
    if minimum > pool.policy.ttl {
        faults.push(warning(
            format!("negative answers are kept for {minimum} s, the addresses for {} s", pool.policy.ttl),
            "an SOA minimum not above the pool's ttl, or a resolver goes on denying a family that the pool has by then",
        ));
    }
    let prefixes = zone.rrset(node, Type::AAAA).map_or(0, |rrset| networks(&rrset, &pool.policy));
    if prefixes > 1 && pool.policy.together.aaaa.is_none() && pool.policy.apart.aaaa.is_none() {
        faults.push(warning(
            format!(
                "the AAAA members lie in {prefixes} different /64, and IPv6 clients take the one nearest to their own"
            ),
            "`together` or `apart` for AAAA, which say what is meant; `kofn spread` shows what it does",
        ));
    }
    faults
}

/// How many different /64 the members lie in that weights do not keep out.
fn networks(rrset: &Rrset<'_>, policy: &Policy) -> usize {
    let addresses = rrset.iter().filter_map(|record| <[u8; 16]>::try_from(record.rdata).ok()).map(IpAddr::from);
    let members = addresses.filter(|address| policy.weight_of(*address) > 0.0);
    members.filter_map(|address| Prefix::of(address, 64)).collect::<BTreeSet<Prefix>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::text;
    use std::path::Path;

    const SIGNATURE: &str = "RRSIG A 13 2 60 20371231000000 20200101000000 1 test. AAAA";

    fn told(records: &str, policy: &str) -> Vec<(Severity, String)> {
        let apex = Name::from_text(b"test.").unwrap();
        let source = format!("$TTL 60\n@ SOA ns host 1 1 1 1 30\n@ NS ns.elsewhere.\n{records}\n");
        let loaded = text::read_bytes(source.as_bytes(), Path::new("zone"), Some(&apex), &text::Limits::default());
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        let zone = Zone::build(&apex, &loaded.records).unwrap();
        let policy = ZonePolicy::parse(policy, Path::new("policy"), apex.borrow()).unwrap();
        misfits(&zone, &policy).into_iter().map(|fault| (fault.severity, fault.found)).collect()
    }

    #[test]
    fn a_pool_that_fits_is_silent() {
        assert_eq!(told("www A 192.0.2.1", "[pool.www]"), []);
        assert_eq!(told(&format!("www A 192.0.2.1\nwww {SIGNATURE}"), "[pool.www]\nspread = \"all\""), []);
    }

    #[test]
    fn a_hand_of_a_signed_set_is_an_error() {
        let signed = told(&format!("www A 192.0.2.1\nwww {SIGNATURE}"), "[pool.www]\nk = 1");
        assert!(
            matches!(&signed[..], [(Severity::Error, found)] if found.starts_with("www.test. is signed")),
            "{signed:?}"
        );
    }

    #[test]
    fn members_of_a_signed_zone_that_are_to_be_left_out_are_a_warning() {
        let signed = "@ RRSIG SOA 13 1 60 20371231000000 20200101000000 1 test. AAAA\nwww A 192.0.2.1";
        for policy in [
            "[pool.www]\ntransfer = \"healthy\"",
            "[pool.www]\n[transfer]\nto = [{ net = \"192.0.2.1\", view = \"healthy\" }]",
        ] {
            let told = told(signed, policy);
            assert!(matches!(&told[..], [(Severity::Warning, found)] if found.contains("comes signed")), "{told:?}");
        }
        assert_eq!(told(signed, "[pool.www]"), []);
    }

    #[test]
    fn a_pool_that_sleeps_is_a_warning() {
        for (records, policy, found) in [
            ("www A 192.0.2.1", "[pool.web]", "web.test. is not in the zone"),
            ("www TXT x", "[pool.www]", "www.test. has no A and no AAAA record"),
            ("sub NS ns.elsewhere.\nwww.sub A 192.0.2.1", "[pool.\"www.sub\"]", "www.sub.test. is delegated"),
            ("www A 192.0.2.1", "[pool.www]\nttl = 10", "negative answers are kept for 30 s, the addresses for 10 s"),
        ] {
            assert_eq!(told(records, policy), [(Severity::Warning, found.to_owned())]);
        }
    }

    #[test]
    fn members_in_several_networks_are_a_warning_until_the_policy_says_what_is_meant() {
        let records = "www AAAA 2001:db8:a::1\nwww AAAA 2001:db8:a::2\nwww AAAA 2001:db8:b::1";
        let found = "the AAAA members lie in 2 different /64, and IPv6 clients take the one nearest to their own";
        assert_eq!(told(records, "[pool.www]"), [(Severity::Warning, found.to_owned())]);
        assert_eq!(told(records, "[pool.www]\nttl = 10").len(), 2, "one fault hides no other");
        for policy in ["together = 48", "apart = 64", "weights = { \"2001:db8:b::/48\" = 0 }"] {
            assert_eq!(told(records, &format!("[pool.www]\n{policy}")), [], "{policy}");
        }
        let a = "www A 192.0.2.1\nwww A 198.51.100.1";
        assert_eq!(told(a, "[pool.www]"), [], "IPv4 hosts seldom sort between networks");
    }
}
