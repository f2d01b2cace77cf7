//! What is looked at: the members of one family of a pool and its policy, read or imagined.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Family;
use crate::cli::settings::Zones;
use crate::cli::{Failure, files};
use crate::pool::{Member, PerFamily, Policy, Selection, select};
use crate::snapshot::{Pool, Snapshot};
use crate::wire::Name;

/// One family of a pool.
pub(super) struct Subject {
    /// The owner, unless the pool is imagined.
    pub(super) owner: Option<Name>,
    /// The apex of its zone, which would sign.
    pub(super) apex: Name,
    pub(super) family: Family,
    /// In address order.
    pub(super) members: Vec<Member>,
    pub(super) selection: Selection,
    pub(super) policy: Policy,
}

/// A pool that need not exist.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct Imagined {
    /// Imagine a pool of so many members, instead of a NAME
    #[arg(long, value_name = "MEMBERS", conflicts_with = "name")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    n: Option<u16>,
    /// Addresses in an answer of the imagined pool
    #[arg(long, default_value_t = 2, conflicts_with = "name", value_parser = clap::value_parser!(u16).range(1..))]
    k: u16,
    /// Weights of the imagined members in address order, such as 1,1,2; without them all are equal
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "name")]
    weights: Vec<f64>,
}

impl Subject {
    /// The pool at `name`, from the files.
    pub(super) fn read(zones: &Zones, name: &str, family: Option<Family>) -> Result<Self, Failure> {
        let owner = Name::from_text(name.as_bytes()).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        let snapshot = files::publish(zones, &owner)?.reader().load();
        let owner = owner.to_lower();
        let pools = snapshot.pools().filter(|(_, pool)| pool.owner == owner);
        // Of a zone and one below it, the one below answers.
        let nearest = pools.max_by_key(|(apex, _)| apex.borrow().len());
        let (apex, pool) = nearest.ok_or_else(|| no_pool(&snapshot, &owner))?;
        let family = family.unwrap_or(if pool.a.is_some() { Family::A } else { Family::Aaaa });
        let found = if family == Family::A { &pool.a } else { &pool.aaaa };
        let Some(found) = found else { return Err(no_family(pool, family)) };
        if found.selection.eligible.is_empty() {
            return Err(Failure::data(format!("no member of {owner} may be handed out: all have the weight 0")));
        }
        let (members, selection, policy) = (found.members.clone(), found.selection.clone(), (*pool.policy).clone());
        Ok(Self { apex: apex.clone(), owner: Some(owner), family, members, selection, policy })
    }
}

fn no_pool(snapshot: &Snapshot, owner: &Name) -> Failure {
    if snapshot.zones().iter().next().is_none() {
        return Failure::usage(format!("{owner}: no zone file is for this name or a name above it"));
    }
    let pools: Vec<String> = snapshot.pools().map(|(_, pool)| pool.owner.to_string()).collect();
    let pools = match &pools[..] {
        [] => "its zone has none".to_owned(),
        [last] => format!("its zone has {last}"),
        pools => format!("its zone has {}", pools.join(", ")),
    };
    Failure::usage(format!(
        "{owner} is no pool: it needs a [pool.…] in the policy of its zone, and A or AAAA records; {pools}"
    ))
}

fn no_family(pool: &Pool, family: Family) -> Failure {
    let other = if family == Family::A { Family::Aaaa } else { Family::A };
    let (rtype, other) = (family.rtype(), other.rtype());
    Failure::usage(format!("{} has no {rtype} members; --type {other} would show the others", pool.owner))
}

impl Imagined {
    pub(super) fn is_nothing(&self) -> bool {
        self.n.is_none() && self.weights.is_empty()
    }

    pub(super) fn subject(&self, family: Family) -> Result<Subject, Failure> {
        let count = self.n.map_or(self.weights.len(), usize::from);
        if !self.weights.is_empty() && self.weights.len() != count {
            let found = self.weights.len();
            return Err(Failure::usage(format!("--weights has {found} numbers and --n is {count}; a weight for each")));
        }
        if let Some(wrong) = self.weights.iter().find(|weight| !(weight.is_finite() && **weight > 0.0)) {
            return Err(Failure::usage(format!("--weights: {wrong} is no weight; a number above 0 would be right")));
        }
        let policy = Policy { k: PerFamily::both(self.k), ..Policy::default() };
        let member = |index: usize| {
            let mut member = Member::new(address(family, index as u32 + 1), &policy, policy.ttl);
            member.weight = self.weights.get(index).copied().unwrap_or(1.0);
            member
        };
        let members: Vec<Member> = (0..count).map(member).collect();
        let apex = Name::from_text(b"example.test.").expect("a name");
        Ok(Subject { owner: None, apex, family, selection: select(&members, &policy), members, policy })
    }
}

fn address(family: Family, number: u32) -> IpAddr {
    match family {
        Family::A => Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number).into(),
        Family::Aaaa => Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(number)).into(),
    }
}
