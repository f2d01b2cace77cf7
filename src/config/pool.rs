//! `[pool.OWNER]`: how the addresses of a name are handed out.

use std::time::Duration;

use super::reader::{Item, Section, keys};
use super::value::{any_of, duration, integer, list, prefix, share, text, word};
use crate::net::Prefix;
use crate::pool::{Empty, PerFamily, Policy, Spread};

/// What a secondary gets of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PoolTransfer {
    /// The members, as the zone has them.
    #[default]
    Members,
    /// The members that may be handed out.
    Healthy,
}

keys! {
    POOL "[pool.OWNER]" {
        K: PerFamily<u16> = "k", hand_size, "2",
            "Addresses in an answer. A pool with fewer eligible members answers with all of them.";
        TTL: u32 = "ttl", seconds, "30",
            "How long an answer may be cached. The TTL of the records in the zone is a ceiling.";
        TTL_MIN: u32 = "ttl_min", seconds, "5",
            "The TTL of a hand with a member whose verdict hangs, at most `ttl`.";
        SPREAD: Spread = "spread", spread, "\"balanced\"",
            "How members are put into hands.";
        CHECK_NAME: String = "check", text::<255>, "",
            "The check of the members, by name. Without one they are never probed, and all are handed out.";
        WEIGHTS: Vec<(Prefix, f64)> = "weights", weights, "{}",
            "Shares of the members in a prefix, relative to 1, which is the share of all others. The longest prefix \
             decides; 0 keeps a member out of every hand.";
        TIERS: Vec<Vec<Prefix>> = "tiers", tiers, "[]",
            "Groups of prefixes: a later group is opened when those before are not healthy enough. Members in none are \
             last.";
        TOGETHER: PerFamily<Option<u8>> = "together", prefix_length, "",
            "A hand stays within one prefix of this length.";
        APART: PerFamily<Option<u8>> = "apart", prefix_length, "",
            "A hand takes no two members of one prefix of this length.";
        PANIC: f64 = "panic", share, "0.5",
            "The share of healthy members below which the prober is distrusted and all members are handed out; with \
             0 only when none is.";
        SLOW_START: Duration = "slow_start", duration::<0, 3_600_000>, "\"30s\"",
            "Over this time after a recovery the weight of a member grows from a tenth to the whole.";
        EMPTY: Empty = "empty", empty, "\"drained\"",
            "What is answered when no member may be handed out: the drained ones, or no data.";
        TRANSFER: PoolTransfer = "transfer", transfer, "\"members\"",
            "What a secondary gets: the members as the zone has them, or those that may be handed out.";
        TRANSFER_MAX: u16 = "transfer_max", integer::<u16, 1, 65_535>, "",
            "Members that a secondary gets at most when it gets the healthy ones. Without it, all of those.";
        TRANSFER_HOLD: Duration = "transfer_hold", duration::<1_000, 3_600_000>, "\"30s\"",
            "What secondaries get of the pool changes at most this often: a flood of flips makes one change.";
    }
}

/// A pool as it is written.
pub(super) struct Draft<'a> {
    pub(super) policy: Policy,
    pub(super) transfer: PoolTransfer,
    pub(super) transfer_max: Option<u16>,
    pub(super) transfer_hold: Duration,
    /// The name of its check, and the place that names it.
    pub(super) check: Option<(String, Item<'a>)>,
}

pub(super) fn draft<'a>(section: &Section<'a>) -> Draft<'a> {
    let ttl = section.value(&TTL);
    let ttl_min = section.written(&TTL_MIN);
    if let Some(item) = section.item(TTL_MIN.name).filter(|_| ttl_min.is_some_and(|ttl_min| ttl_min > ttl)) {
        item.wrong_as::<()>(format_args!("more than the ttl, {ttl}"), format_args!("{ttl} or less"));
    }
    let policy = Policy {
        k: section.value(&K),
        ttl,
        ttl_min: ttl_min.unwrap_or_else(|| section.value(&TTL_MIN).min(ttl)),
        spread: section.value(&SPREAD),
        together: section.written(&TOGETHER).unwrap_or_default(),
        apart: section.written(&APART).unwrap_or_default(),
        weights: section.value(&WEIGHTS),
        tiers: section.value(&TIERS),
        panic: section.value(&PANIC),
        slow_start: section.value(&SLOW_START),
        empty: section.value(&EMPTY),
    };
    let check = section.written(&CHECK_NAME).zip(section.item(CHECK_NAME.name));
    let (transfer, transfer_max) = (section.value(&TRANSFER), section.written(&TRANSFER_MAX));
    Draft { policy, transfer, transfer_max, transfer_hold: section.value(&TRANSFER_HOLD), check }
}

fn hand_size(item: &Item<'_>) -> Option<PerFamily<u16>> {
    per_family(item, "a whole number from 1 to 65535, or { a = …, aaaa = … }", integer::<u16, 1, 65_535>, 2)
}

fn prefix_length(item: &Item<'_>) -> Option<PerFamily<Option<u8>>> {
    const EXPECTED: &str =
        "a prefix length: up to 32 for A records, from 33 to 128 for AAAA records, or { a = …, aaaa = … }";
    if item.as_integer().is_none() {
        let length = |item: &Item<'_>| {
            let most = if item.key.ends_with(".a") { 32 } else { 128 };
            match item
                .as_integer()
                .and_then(|length| u8::try_from(length).ok())
                .filter(|length| (1..=most).contains(length))
            {
                Some(length) => Some(Some(length)),
                None => item.wrong(format_args!("a prefix length from 1 to {most}")),
            }
        };
        return per_family(item, EXPECTED, length, None);
    }
    // One number cannot be meant for both: the first 24 bits of IPv6 addresses are a whole registry's.
    match item.as_integer().and_then(|length| u8::try_from(length).ok()) {
        Some(length @ 1..=32) => Some(PerFamily { a: Some(length), aaaa: None }),
        Some(length @ 33..=128) => Some(PerFamily { a: None, aaaa: Some(length) }),
        _ => item.wrong(EXPECTED),
    }
}

/// One value for both families, or a table with one for each, of which one may be left out.
fn per_family<T: Copy>(
    item: &Item<'_>,
    expected: &str,
    read: impl Fn(&Item<'_>) -> Option<T>,
    absent: T,
) -> Option<PerFamily<T>> {
    if item.as_integer().is_some() {
        return read(item).map(PerFamily::both);
    }
    let Some(entries) = item.entries().filter(|entries| !entries.is_empty()) else { return item.wrong(expected) };
    let (mut values, mut whole) = (PerFamily::both(absent), true);
    for entry in entries {
        let place = match entry.name {
            "a" => &mut values.a,
            "aaaa" => &mut values.aaaa,
            name => {
                entry.name_item.wrong_as::<()>(format_args!("unknown key `{name}`"), "the families are a and aaaa");
                whole = false;
                continue;
            }
        };
        match read(&entry.item) {
            Some(value) => *place = value,
            None => whole = false,
        }
    }
    whole.then_some(values)
}

fn seconds(item: &Item<'_>) -> Option<u32> {
    let duration = duration::<0, 604_800_000>(item)?;
    match duration.subsec_millis() {
        0 => u32::try_from(duration.as_secs()).ok(),
        _ => item.wrong("whole seconds"),
    }
}

fn weights(item: &Item<'_>) -> Option<Vec<(Prefix, f64)>> {
    let Some(entries) = item.entries() else {
        return item.wrong("a table of weights, such as { \"192.0.2.7\" = 2, \"198.51.100.0/24\" = 0.5 }");
    };
    let (mut weights, mut whole): (Vec<(Prefix, f64)>, bool) = (Vec::with_capacity(entries.len()), true);
    for entry in entries {
        let prefix = match entry.name.parse::<Prefix>() {
            Ok(prefix) if weights.iter().any(|(other, _)| *other == prefix) => {
                entry.name_item.wrong_as(format_args!("{prefix} stands here twice"), "each prefix once")
            }
            Ok(prefix) => Some(prefix),
            Err(error) => entry.name_item.wrong_as(format_args!("found \"{}\"", entry.name), error),
        };
        let weight = match entry.item.as_number().filter(|weight| *weight == 0.0 || (0.01..=100.0).contains(weight)) {
            Some(weight) => Some(weight),
            None => entry.item.wrong("0, or a weight from 0.01 to 100"),
        };
        match prefix.zip(weight) {
            Some(weighted) => weights.push(weighted),
            None => whole = false,
        }
    }
    whole.then_some(weights)
}

fn tiers(item: &Item<'_>) -> Option<Vec<Vec<Prefix>>> {
    list(item, "a list of lists of prefixes, such as [[\"192.0.2.0/24\"], [\"198.51.100.0/24\"]]", |tier| {
        let expected = "a list of at least one address or prefix";
        let prefixes = list(tier, expected, prefix)?;
        if prefixes.is_empty() { tier.wrong(expected) } else { Some(prefixes) }
    })
}

fn spread(item: &Item<'_>) -> Option<Spread> {
    word(item, &Spread::ALL.map(|spread| (spread.name(), spread)))
}

fn empty(item: &Item<'_>) -> Option<Empty> {
    word(item, &Empty::ALL.map(|empty| (empty.name(), empty)))
}

pub(super) fn transfer(item: &Item<'_>) -> Option<PoolTransfer> {
    word(item, &[("members", PoolTransfer::Members), ("healthy", PoolTransfer::Healthy)])
}

/// Tells that a pool names a check that is none of `names`.
pub(super) fn missing_check(item: &Item<'_>, names: &[&str]) {
    let right = match names {
        [] => "a [check.NAME] in this file; it has none".to_owned(),
        _ => format!(
            "a check of this file: {}",
            any_of(&names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>())
        ),
    };
    item.wrong::<()>(right);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, ZonePolicy};
    use super::*;
    use crate::wire::Name;

    fn policy(keys: &str) -> Result<Policy, Vec<String>> {
        let apex = Name::from_text(b"example.test").unwrap();
        let policy = ZonePolicy::parse(&format!("[pool.www]\n{keys}"), Path::new("z.toml"), apex.borrow());
        let policy = policy.map_err(|list| list.iter().map(Fault::to_string).collect::<Vec<_>>())?;
        Ok(policy.pools.into_values().next().expect("a pool").policy)
    }

    #[test]
    fn everything_can_be_set() {
        let policy = policy(
            "k = { a = 3, aaaa = 1 }\nttl = \"1m\"\nttl_min = 7\nspread = \"all\"\napart = { a = 24, aaaa = 56 }\n\
             together = 48\nweights = { \"192.0.2.7\" = 2, \"198.51.100.0/24\" = 0.5, \"2001:db8::/32\" = 0 }\n\
             tiers = [[\"192.0.2.0/24\", \"::1\"], [\"198.51.100.0/24\"]]\npanic = 0.25\nslow_start = 0\nempty = \"nodata\"",
        )
        .unwrap();
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let expected = Policy {
            k: PerFamily { a: 3, aaaa: 1 },
            ttl: 60,
            ttl_min: 7,
            spread: Spread::All,
            together: PerFamily { a: None, aaaa: Some(48) },
            apart: PerFamily { a: Some(24), aaaa: Some(56) },
            weights: vec![(prefix("192.0.2.7"), 2.0), (prefix("198.51.100.0/24"), 0.5), (prefix("2001:db8::/32"), 0.0)],
            tiers: vec![vec![prefix("192.0.2.0/24"), prefix("::1")], vec![prefix("198.51.100.0/24")]],
            panic: 0.25,
            slow_start: Duration::ZERO,
            empty: Empty::NoData,
        };
        assert_eq!(policy, expected);
    }

    #[test]
    fn a_family_may_be_left_out() {
        assert_eq!(policy("k = { aaaa = 5 }").unwrap().k, PerFamily { a: 2, aaaa: 5 });
        assert_eq!(policy("apart = 24").unwrap().apart, PerFamily { a: Some(24), aaaa: None });
        assert_eq!(policy("ttl = 3").unwrap().ttl_min, 3);
    }

    #[test]
    fn what_is_out_of_bounds_is_a_fault() {
        for (keys, fault) in [
            ("k = 70000", "2:5: pool.www.k: found 70000; a whole number from 1 to 65535"),
            ("k = { a = 0, b = 1 }", "2:11: pool.www.k.a: found 0; a whole number from 1 to 65535"),
            ("k = { a = 1, b = 1 }", "2:14: pool.www.k.b: unknown key `b`; the families are a and aaaa"),
            ("k = \"3\"", "2:5: pool.www.k: found \"3\"; a whole number from 1 to 65535, or { a = …, aaaa = … }"),
            ("ttl = \"1s500ms\"", "2:7: pool.www.ttl: found \"1s500ms\"; whole seconds"),
            ("ttl_min = 60", "2:11: pool.www.ttl_min: more than the ttl, 30; 30 or less"),
            ("panic = -0.1", "2:9: pool.www.panic: found -0.1; a share from 0 to 1"),
            ("panic = nan", "2:9: pool.www.panic: found nan; a share from 0 to 1"),
            ("apart = { a = 33 }", "2:15: pool.www.apart.a: found 33; a prefix length from 1 to 32"),
            (
                "spread = \"even\"",
                "2:10: pool.www.spread: found \"even\"; \"balanced\", \"random\", \"affinity\" or \"all\"",
            ),
            ("tiers = [[]]", "2:10: pool.www.tiers[0]: found a list; a list of at least one address or prefix"),
            (
                "tiers = [\"192.0.2.1\"]",
                "2:10: pool.www.tiers[0]: found \"192.0.2.1\"; a list of at least one address or prefix",
            ),
            (
                "weights = { \"192.0.2.1/24\" = 1 }",
                "2:13: pool.www.weights.192.0.2.1/24: found \"192.0.2.1/24\"; 192.0.2.1/24 has bits set after its prefix; \
                 the prefix is 192.0.2.0/24",
            ),
            (
                "weights = { \"192.0.2.1\" = 101 }",
                "2:27: pool.www.weights.192.0.2.1: found 101; 0, or a weight from 0.01 to 100",
            ),
            (
                "weights = { \"192.0.2.1\" = 1, \"192.0.2.1/32\" = 2 }",
                "2:30: pool.www.weights.192.0.2.1/32: 192.0.2.1 stands here twice; each prefix once",
            ),
        ] {
            let faults = policy(keys).expect_err(keys);
            assert!(faults.contains(&format!("z.toml:{fault}")), "{keys}: {faults:#?}");
        }
    }
}
