//! What is known of members beside the zone and its policy: here verdicts and an operator's decisions meet.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::outbound::Remembered;
use arc_swap::ArcSwap;

use super::served::Pool;
use crate::drain::Drains;
use crate::health::Table;
use crate::pool::Member;
use crate::wire::{Name, NameRef};

/// Everything that is known of members. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What probes have found.
    pub table: Arc<Table>,
    /// What was shown of zones before this start.
    remembered: Arc<OnceLock<BTreeMap<Name, Remembered>>>,
    /// Whom an operator has taken out of new answers.
    pub(super) drains: Arc<ArcSwap<Drains>>,
}

impl Facts {
    /// What probes have found, and nothing else against anyone.
    pub fn of(table: Arc<Table>) -> Self {
        Self { table, ..Self::default() }
    }

    /// Takes over what was shown of zones before this start; once, and before the first zone is built.
    pub fn remember(&self, remembered: BTreeMap<Name, Remembered>) {
        // Whoever comes second knows no more than the first.
        let _ = self.remembered.set(remembered);
    }

    /// What is known at one moment.
    pub(super) fn at(&self, now: Instant) -> Moment<'_> {
        Moment { facts: self, now }
    }
}

/// What is known at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    facts: &'a Facts,
    pub(super) now: Instant,
}

impl Moment<'_> {
    /// What was shown of a zone before this start.
    pub(super) fn remembered(&self, apex: NameRef<'_>) -> Option<&Remembered> {
        self.facts.remembered.get()?.get(&apex.to_name())
    }

    /// The member of `pool` at `address` as it stands, whose RRset has a TTL of `zone_ttl` seconds.
    pub(super) fn member(&self, pool: &Pool, address: IpAddr, zone_ttl: u32) -> Member {
        let mut member = Member::new(address, &pool.policy, zone_ttl);
        member.drained = self.facts.drains.load().cover(&pool.owner, address);
        let Some(probe) = pool.probe_of(address) else { return member };
        let known = self.facts.table.known(&probe);
        member.verdict = known.verdict;
        member.drained |= self.facts.table.drains(&probe);
        if let Some(recovered) = known.recovered {
            member.warmth = pool.policy.warmth(self.now.saturating_duration_since(recovered));
        }
        if known.doubtful {
            // Caches are to let go of it about when the verdict falls.
            member.ttl = member.ttl.min(pool.policy.ttl_min);
        }
        member
    }
}
