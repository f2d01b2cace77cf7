//! Why a pool hands out whom it does, and for how long.

use std::collections::HashMap;
use std::net::IpAddr;

use super::reply::Read;
use crate::admin::api::{Drains, ExplainedMember, ExplainedPool};
use crate::admin::status::{Clock, Sources};
use crate::health::Verdict;
use crate::pool::{Empty, Member, Policy, Rotation, Spread, Standing};
use crate::snapshot::{FamilyPool, Pool};
use crate::wire::Type;
use crate::zone::{NodeId, Zone};

impl Sources {
    /// The family of `pool` that the question is for; `None` when it is for something else.
    pub(super) fn explain_pool(
        &self,
        (zone, node): (&Zone, NodeId),
        pool: &Pool,
        (asked, read): (Type, &Read),
        (drains, clock): (&Drains, &Clock),
    ) -> Option<ExplainedPool> {
        let (rtype, family) = match asked {
            Type::A => (Type::A, pool.a.as_ref()?),
            Type::AAAA => (Type::AAAA, pool.aaaa.as_ref()?),
            _ => return None,
        };
        let zone_ttl = zone.rrset(node, rtype)?.ttl();
        let shares = shares(&family.rotation);
        self.reader.settle();
        let (each, shown) = (family.members.iter().zip(&family.selection.standings), self.members(pool, family, clock));
        let members = each.zip(shown).map(|((member, standing), shown)| {
            let mut why = match standing {
                Standing::Drained | Standing::ServedDrained => drain(drains, &pool.owner.to_string(), member.address),
                Standing::Down | Standing::ServedInPanic => shown.last_error.clone(),
                Standing::Waiting => Some(waits(&pool.policy, member.address)),
                Standing::Weightless => Some("so it is in no hand, ever".into()),
                Standing::Served => served(member, family, pool.policy.ttl.min(zone_ttl)),
            };
            if shown.stale {
                let late = "its next probe is overdue, so the verdict stands as it was";
                why = Some(why.map_or(late.to_owned(), |why| format!("{why}; {late}")));
            }
            why = why.map(|why| format!("{standing}: {why}"));
            let share = shares.get(&member.address).copied().unwrap_or(0.0);
            ExplainedMember { share, why: why.unwrap_or_else(|| standing.to_string()), member: shown }
        });
        Some(ExplainedPool {
            name: pool.owner.to_string(),
            rtype: rtype.to_string(),
            spread: pool.policy.spread.name().to_owned(),
            check: pool.check.as_ref().map(|check| check.name.to_string()),
            eligible: family.selection.eligible.len(),
            panic: family.selection.panic.then(|| panic(family, &pool.policy)),
            frozen: self.table.belief().frozen.map(|since| clock.wall(since)),
            stands_in: !family.solved,
            hand: read.hand.clone(),
            own: pool.policy.spread == Spread::Affinity,
            ttl: read.ttl,
            ttl_why: Some(ttl_why(family, &pool.policy, zone_ttl, read)),
            members: members.collect(),
        })
    }
}

/// The part of all hands that each member is in.
fn shares(rotation: &Rotation) -> HashMap<IpAddr, f64> {
    let members = rotation.members();
    if usize::from(rotation.deal(0).count) >= members.len() {
        // A lap of a large pool of which every hand has everyone is long, and says nothing more.
        return members.iter().map(|member| (member.address, 1.0)).collect();
    }
    let mut shares = HashMap::new();
    for address in rotation.lap().flat_map(|hand| rotation.addresses(hand.records)) {
        *shares.entry(address).or_insert(0.0) += 1.0 / rotation.len() as f64;
    }
    shares
}

/// Whoever drained the member, and why.
fn drain(drains: &Drains, pool: &str, address: IpAddr) -> Option<String> {
    let member = drains.members.iter().find(|member| member.pool == pool && member.address == address)?;
    let words = |addr: &String| {
        let is_of = |named: &Option<String>| named.as_deref().is_none_or(|named| named == pool);
        let drain = drains.drains.iter().find(|drain| drain.addr == *addr && is_of(&drain.pool))?;
        let mut words = format!("by `kofn drain {addr}`");
        for (word, at) in [("since", drain.since), ("until", drain.until)] {
            words += &at.map_or(String::new(), |at| format!(" {word} {at:.0}"));
        }
        words += &drain.reason.as_ref().map_or(String::new(), |reason| format!(", {reason}"));
        Some(words)
    };
    match &member.by[..] {
        [] => Some("its answers to probes ask for it".into()),
        by => Some(by.iter().filter_map(words).collect::<Vec<_>>().join("; ")).filter(|words| !words.is_empty()),
    }
}

fn waits(policy: &Policy, address: IpAddr) -> String {
    let tier = policy.tier_of(address);
    format!("it is in tier {}, and enough are healthy in those before it", tier + 1)
}

/// What is not as usual with a member that is handed out. `usual` is its TTL while its verdict does not hang, in seconds.
fn served(member: &Member, family: &FamilyPool, usual: u32) -> Option<String> {
    let mut words = Vec::new();
    if member.warmth < 1.0 && !family.selection.panic {
        words.push(format!("it has just come back and gets {:.0} % of its weight", member.warmth * 100.0));
    }
    if member.ttl < usual {
        words.push(format!("its verdict hangs, so its hands last {} s", member.ttl));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

fn panic(family: &FamilyPool, policy: &Policy) -> String {
    let candidates = || family.members.iter().filter(|member| member.weight > 0.0 && !member.drained);
    let healthy = candidates().filter(|member| member.verdict != Verdict::Down).count();
    format!(
        "{healthy} of {} members are healthy, and `panic` is {}: the probes are not believed, and all are handed out",
        candidates().count(),
        policy.panic
    )
}

fn ttl_why(family: &FamilyPool, policy: &Policy, zone_ttl: u32, read: &Read) -> String {
    let usual = policy.ttl.min(zone_ttl);
    match read.ttl {
        None if policy.empty == Empty::NoData => {
            "nobody may be handed out, and `empty = \"nodata\"` has it said so".into()
        }
        None => "nobody may be handed out: the weight of all members is 0".into(),
        Some(ttl) if ttl < usual => {
            let hangs = |address: &&IpAddr| {
                family.members.iter().any(|member| member.address == **address && member.ttl < usual)
            };
            let hanging: Vec<String> = read.hand.iter().filter(hangs).map(ToString::to_string).collect();
            format!("`ttl_min`, as the verdict hangs on {}; else it would be {usual}", hanging.join(" "))
        }
        Some(_) if zone_ttl < policy.ttl => {
            format!("the zone's TTL of these records, a ceiling to the pool's ttl, {}", policy.ttl)
        }
        Some(_) => format!("the pool's ttl; that of the zone's records, {zone_ttl}, is a ceiling"),
    }
}
