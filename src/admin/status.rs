//! The status as JSON, made from the snapshot, the verdicts and the counters at the moment it is asked for.

use std::process;
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::api;
use crate::health::{Report, Table};
use crate::metrics::{Outcome, Registry};
use crate::pool::{Member, Standing};
use crate::snapshot::{FamilyPool, Pool, Reader};

/// What the status is made from.
pub struct Sources {
    /// What is served.
    pub reader: Reader,
    /// What the probes say.
    pub table: Arc<Table>,
    /// What was counted.
    pub registry: Arc<Registry>,
    /// How the files stand: what is wrong with them as a whole, and the zones.
    pub files: Box<TellFiles>,
    /// How zones come and go.
    pub transfers: Box<dyn Fn() -> api::Transfers + Send + Sync>,
    /// What the encrypted doors show.
    pub certificates: Box<dyn Fn() -> Vec<api::Certificate> + Send + Sync>,
    /// Where DNS is answered.
    pub listen: Vec<api::Listening>,
    /// What the process may still do.
    pub privileges: api::Privileges,
    /// When the program started.
    pub started: Timestamp,
}

/// What is wrong with the files as a whole, and these zones.
pub type TellFiles = dyn Fn(Zones) -> (Vec<String>, Vec<api::Zone>) + Send + Sync;

/// Which zones are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zones {
    /// Each.
    All,
    /// Those that are not as their files are now: of a hundred thousand hardly any, and so they can be asked for often.
    Faulty,
}

impl Sources {
    /// All of it as it is now, but for the drains: whoever keeps them is asked for those.
    pub fn status(&self) -> api::Status {
        self.status_of(Zones::All)
    }

    /// The same with these zones alone.
    pub fn status_of(&self, wanted: Zones) -> api::Status {
        let snapshot = self.reader.load();
        let clock = Clock::now();
        let (faults, zones) = (self.files)(wanted);
        api::Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: process::id(),
            started: self.started,
            generation: snapshot.generation,
            faults,
            zones,
            health: self.health(&clock),
            pools: snapshot.pools().map(|(zone, pool)| self.pool(&zone.to_string(), pool, &clock)).collect(),
            drains: api::Drains::default(),
            transfers: (self.transfers)(),
            certificates: (self.certificates)(),
            listen: self.listen.clone(),
            privileges: self.privileges.clone(),
            queries: self.queries(),
        }
    }

    fn health(&self, clock: &Clock) -> api::Health {
        let belief = self.table.belief();
        api::Health {
            probes: belief.probes,
            failing: belief.failing,
            stale: self.table.stale(clock.0),
            withheld: belief.withheld,
            witnesses: belief.testimony.map(|testimony| testimony.answered),
            frozen: belief.frozen.map(|since| clock.wall(since)),
            freezes: belief.freezes,
        }
    }

    fn pool(&self, zone: &str, pool: &Pool, clock: &Clock) -> api::Pool {
        let families = [("A", pool.policy.k.a, &pool.a), ("AAAA", pool.policy.k.aaaa, &pool.aaaa)];
        let families = families.into_iter().filter_map(|(rtype, k, family)| {
            let FamilyPool { members, selection, .. } = family.as_ref()?;
            let members = members.iter().zip(&selection.standings);
            Some(api::Family {
                rtype: rtype.into(),
                k,
                eligible: selection.eligible.len(),
                panic: selection.panic,
                members: members.map(|(member, standing)| self.member(pool, member, *standing, clock)).collect(),
            })
        });
        api::Pool {
            name: pool.owner.to_string(),
            zone: zone.into(),
            check: pool.check.as_ref().map(|check| check.name.to_string()),
            families: families.collect(),
        }
    }

    pub(super) fn member(&self, pool: &Pool, member: &Member, standing: Standing, clock: &Clock) -> api::Member {
        let probe = pool.probe_of(member.address);
        let report = probe.as_ref().and_then(|probe| self.table.report(probe));
        let of = |field: fn(&Report) -> Option<Instant>| report.as_ref().and_then(field).map(|at| clock.wall(at));
        api::Member {
            address: member.address,
            weight: member.weight,
            warmth: member.warmth,
            ttl: member.ttl,
            verdict: report.as_ref().map_or(member.verdict, |report| report.verdict).name().into(),
            hangs: report.as_ref().is_some_and(|report| report.pending.is_some()),
            stale: probe.is_some_and(|probe| self.table.is_stale(&probe, clock.0)),
            served: standing.is_served(),
            standing: standing.to_string(),
            since: of(|report| Some(report.since)),
            last_probe: of(|report| report.last_probe),
            certificate_end: report.as_ref().and_then(|report| report.notice.certificate_end),
            last_error: report.and_then(|report| report.last_error).map(|(reason, _)| reason.to_string()),
        }
    }

    fn queries(&self) -> api::Queries {
        let totals = self.registry.totals();
        let counts = Outcome::ALL.iter().map(|outcome| (outcome.label().to_owned(), totals.outcome(*outcome)));
        api::Queries { received: totals.received(), outcomes: counts.filter(|(_, count)| *count > 0).collect() }
    }
}

/// One moment on both clocks: verdicts are dated by the one that never jumps, people by the other.
pub(super) struct Clock(Instant, Timestamp);

impl Clock {
    pub(super) fn now() -> Self {
        Self(Instant::now(), Timestamp::now())
    }

    /// Seconds since 1970, modulo 2³² as cookies count them.
    pub(super) fn seconds(&self) -> u32 {
        self.1.as_second() as u32
    }

    pub(super) fn wall(&self, at: Instant) -> Timestamp {
        let age = SignedDuration::try_from(self.0.saturating_duration_since(at)).unwrap_or_default();
        self.1.checked_sub(age).unwrap_or(self.1)
    }
}
