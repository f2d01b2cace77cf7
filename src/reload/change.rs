//! What a new state of a zone changes, and when it takes so much away that somebody must confirm it.
//!
//! A list of machines that came out empty, a disk that was full, an export that broke off: each leaves a zone file without a
//! fault that ends a site. So what loses too much at once is held. It is counted, not compared: members that are replaced
//! by as many others are no loss.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::load::Good;
use crate::snapshot::written_addresses;
use crate::wire::{Name, Type};
use crate::zone::Serial;

/// What one look at the files did to one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The apex.
    pub zone: Name,
    /// What was served before of its file; `None` for a zone that is new, never was good, or comes by transfer.
    pub before: Option<Extent>,
    /// What is served now of its file; `None` for a zone that is gone, has a fault and no last good state, or comes by
    /// transfer.
    pub after: Option<Extent>,
    /// The pools whose members have changed, by name.
    pub pools: Vec<PoolChange>,
}

/// Which state of a zone, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// SOA SERIAL.
    pub serial: Serial,
    /// How many records.
    pub records: usize,
}

/// One family of a pool whose members have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolChange {
    /// The owner.
    pub pool: Name,
    /// A or AAAA.
    pub rtype: Type,
    /// How many members it has now.
    pub members: usize,
    /// Who is new, in address order.
    pub added: Vec<IpAddr>,
    /// Who is gone, in address order.
    pub removed: Vec<IpAddr>,
}

/// The members of each family of each pool that the policy has and the zone has addresses for.
type Members = BTreeMap<(Name, Type), BTreeSet<IpAddr>>;

impl Change {
    /// From what was served to what is served.
    pub(super) fn between(zone: &Name, before: Option<&Good>, after: Option<&Good>) -> Self {
        let (old, new) = (before.map(members).unwrap_or_default(), after.map(members).unwrap_or_default());
        let nobody = BTreeSet::new();
        let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let pools = names.into_iter().filter_map(|name| {
            let (was, is) = (old.get(name).unwrap_or(&nobody), new.get(name).unwrap_or(&nobody));
            (was != is).then(|| PoolChange {
                pool: name.0.clone(),
                rtype: name.1,
                members: is.len(),
                added: is.difference(was).copied().collect(),
                removed: was.difference(is).copied().collect(),
            })
        });
        Self {
            zone: zone.clone(),
            before: before.and_then(extent),
            after: after.and_then(extent),
            pools: pools.collect(),
        }
    }
}

/// For what `new` is held instead of being served in the place of `old`; empty when it is not.
pub(super) fn losses(old: &Good, new: &Good) -> Vec<String> {
    let mut losses = Vec::new();
    // What comes by transfer from now on is judged when it comes.
    let (Some(Extent { records: before, .. }), Some(Extent { records: after, .. })) = (extent(old), extent(new)) else {
        return losses;
    };
    if is_loss(before, after) {
        losses.push(format!("the zone would shrink from {before} to {after} records, to less than half"));
    }
    let now = members(new);
    for ((pool, rtype), was) in members(old) {
        // Whoever takes the pool out of the policy as well means it.
        if !new.policy.pools.contains_key(&pool) {
            continue;
        }
        let after = now.get(&(pool.clone(), rtype)).map_or(0, BTreeSet::len);
        if is_loss(was.len(), after) {
            losses.push(match after {
                0 => format!("the pool {pool} {rtype} would lose all of its members, {}", was.len()),
                _ => format!("the pool {pool} {rtype} would shrink from {} to {after} members", was.len()),
            });
        }
    }
    losses
}

/// Whether so many zones end at once that it looks like a folder that is gone: with one or two zones nothing could be
/// ended otherwise, as to remove its file is the way to end a zone.
pub(super) fn ends_too_many(zones: usize, gone: usize) -> bool {
    zones > 2 && is_loss(zones, zones - gone)
}

/// More than half: of two one may go, of three only one, and the last one never.
fn is_loss(before: usize, after: usize) -> bool {
    after * 2 < before
}

fn members(good: &Good) -> Members {
    let Some(zone) = &good.zone else { return Members::new() };
    let families = good.policy.pools.keys().flat_map(|pool| [Type::A, Type::AAAA].map(|rtype| (pool.clone(), rtype)));
    let written = families.filter_map(|(pool, rtype)| {
        let (addresses, _) = written_addresses(zone, &pool, rtype)?;
        Some(((pool, rtype), addresses.into_iter().collect()))
    });
    written.collect()
}

fn extent(good: &Good) -> Option<Extent> {
    let zone = good.zone.as_ref()?;
    Some(Extent { serial: zone.serial(), records: zone.record_count() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::ZonePolicy;
    use crate::zone::Zone;
    use crate::zone::text::{Limits, read_bytes};

    fn apex() -> Name {
        Name::from_text(b"a.test").expect("a name")
    }

    /// A zone with `others` further records, and a pool `www` unless `policy` says otherwise.
    fn good(members: &[&str], others: usize, policy: &str) -> Good {
        let mut text = "@ 300 SOA ns1 host 7 3600 600 86400 30\n@ 300 NS ns1\nns1 300 A 127.0.0.1\n".to_owned();
        members.iter().for_each(|member| {
            let rtype = if member.contains(':') { "AAAA" } else { "A" };
            text += &format!("www 300 {rtype} {member}\n");
        });
        (0..others).for_each(|number| text += &format!("h{number} 300 TXT x\n"));
        let loaded = read_bytes(text.as_bytes(), Path::new("zone"), Some(&apex()), &Limits::default());
        let zone = Arc::new(Zone::build(&apex(), &loaded.records).expect("a zone"));
        let policy = ZonePolicy::parse(policy, Path::new("zone.toml"), apex().borrow()).expect("a policy");
        Good { zone: Some(zone), policy: Arc::new(policy) }
    }

    fn pool(members: &[&str]) -> Good {
        good(members, 20, "[pool.www]\n")
    }

    const THREE: [&str; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

    #[test]
    fn half_may_go_but_not_more_and_never_the_last() {
        let verdicts = [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (4, 2), (4, 1), (0, 0), (1, 1)];
        assert_eq!(
            verdicts.map(|(before, after)| is_loss(before, after)),
            [true, false, true, false, true, false, true, false, false]
        );
        assert_eq!(
            [(1, 1), (2, 2), (3, 1), (3, 2), (5, 2), (5, 3)].map(|(all, gone)| ends_too_many(all, gone)),
            [false, false, false, true, false, true]
        );
    }

    #[test]
    fn a_pool_that_loses_most_of_its_members_is_held_and_a_replaced_one_is_not() {
        let one = losses(&pool(&THREE), &pool(&THREE[..1]));
        assert_eq!(one, ["the pool www.a.test. A would shrink from 3 to 1 members"]);
        let none = losses(&pool(&THREE), &pool(&["2001:db8::1"]));
        assert_eq!(none, ["the pool www.a.test. A would lose all of its members, 3"]);
        assert!(losses(&pool(&THREE), &pool(&THREE[..2])).is_empty());
        assert!(losses(&pool(&THREE), &pool(&["192.0.2.7", "192.0.2.8"])).is_empty());
        assert!(losses(&pool(&THREE), &good(&[], 20, "")).is_empty(), "the policy ends the pool, too");
    }

    #[test]
    fn a_zone_that_shrinks_by_more_than_half_is_held() {
        let held = losses(&good(&[], 10, ""), &good(&[], 3, ""));
        assert_eq!(held, ["the zone would shrink from 13 to 6 records, to less than half"]);
        assert!(losses(&good(&[], 9, ""), &good(&[], 3, "")).is_empty(), "half is not more than half");
    }

    #[test]
    fn a_change_names_who_came_and_who_went() {
        let change = Change::between(&apex(), Some(&pool(&THREE)), Some(&pool(&["192.0.2.2", "192.0.2.4"])));
        let [www] = &change.pools[..] else { panic!("{change:?}") };
        assert_eq!((www.pool.to_string().as_str(), www.rtype, www.members), ("www.a.test.", Type::A, 2));
        let texts = |list: &[IpAddr]| list.iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&www.added), ["192.0.2.4"]);
        assert_eq!(texts(&www.removed), ["192.0.2.1", "192.0.2.3"]);
        let gone = Change::between(&apex(), Some(&pool(&THREE)), None);
        assert_eq!((gone.pools[0].members, gone.after), (0, None));
    }
}
