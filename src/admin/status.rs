//! The status as JSON, made from the snapshot, the verdicts and the counters at the moment it is asked for.

use std::process;
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::api;
use super::recent::Recent;
use crate::health::{Report, Table};
use crate::metrics::{Outcome, Registry};
use crate::pool::{Member, Standing};
use crate::snapshot::{Counts, FamilyPool, Pool, Reader};

/// What the status is made from.
pub struct Sources {
    /// What is served.
    pub reader: Reader,
    /// What the probes say.
    pub table: Arc<Table>,
    /// What was counted.
    pub registry: Arc<Registry>,
    /// How the files stand.
    pub files: Box<TellFiles>,
    /// How zones come and go.
    pub transfers: Box<dyn Fn() -> api::Transfers + Send + Sync>,
    /// What the encrypted doors show.
    pub certificates: Box<dyn Fn() -> Vec<api::Certificate> + Send + Sync>,
    /// Where DNS is answered.
    pub listen: Vec<api::Listening>,
    /// What the process may still do.
    pub privileges: api::Privileges,
    /// What of it is wrong.
    pub alerts: Judge,
    /// The name of the server.
    pub name: Box<dyn Fn() -> Arc<str> + Send + Sync>,
    /// The traffic of the last minutes.
    pub recent: Recent,
    /// When the program started.
    pub started: Timestamp,
}

/// How the files stand, with these zones.
pub type TellFiles = dyn Fn(Zones) -> Files + Send + Sync;

/// Which zones are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zones {
    /// Each.
    All,
    /// Those that are not as their files are now: of a hundred thousand hardly any, and so they can be asked for often.
    Faulty,
}

/// Says what of a status is wrong.
pub type Judge = Box<dyn Fn(&api::Status) -> Vec<api::Alert> + Send + Sync>;

/// How the files stand.
#[derive(Debug, Default)]
pub struct Files {
    /// What is wrong with them as a whole.
    pub faults: Vec<String>,
    /// The zones that were wanted.
    pub zones: Vec<api::Zone>,
    /// The looks at them.
    pub reloads: api::Reloads,
}

impl Sources {
    /// All of it as it is now, for people.
    pub(super) fn whole(&self, drains: api::Drains) -> api::Status {
        self.reader.settle();
        let mut status = api::Status { drains, ..self.status() };
        status.recent = self.recent.show(&self.registry.totals(), Instant::now());
        status.alerts = (self.alerts)(&status);
        status
    }

    /// Notes what the last minutes are told from; to be called every [`recent::STEP`](super::recent::STEP).
    pub(super) fn keep(&self) {
        self.reader.settle();
        self.recent.keep(&self.registry.totals(), Instant::now());
        (self.alerts)(&self.status_of(Zones::Faulty));
    }

    /// All of it as it is now, but for what takes others to be asked or accounts to be settled.
    pub fn status(&self) -> api::Status {
        self.status_of(Zones::All)
    }

    /// The same with these zones alone.
    pub fn status_of(&self, wanted: Zones) -> api::Status {
        let snapshot = self.reader.load();
        let clock = Clock::now();
        let Files { faults, zones, reloads } = (self.files)(wanted);
        api::Status {
            server: (self.name)().to_string(),
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
            recent: api::Recent::default(),
            reloads,
            alerts: Vec::new(),
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
            let family = family.as_ref()?;
            let FamilyPool { selection, account, .. } = family;
            let (hands, recent_hands) = account.look(clock.0, |all, recent| (all.hands, recent.hands));
            Some(api::Family {
                rtype: rtype.into(),
                k,
                spread: pool.policy.spread.name().into(),
                ttl: family.rotation.members().iter().map(|member| member.ttl).max().unwrap_or(pool.policy.ttl),
                hands,
                recent_hands,
                eligible: selection.eligible.len(),
                panic: selection.panic,
                members: self.members(pool, family, clock),
            })
        });
        api::Pool {
            name: pool.owner.to_string(),
            zone: zone.into(),
            check: pool.check.as_ref().map(|check| check.name.to_string()),
            families: families.collect(),
        }
    }

    /// The members of one family, in their order.
    pub(super) fn members(&self, pool: &Pool, family: &FamilyPool, clock: &Clock) -> Vec<api::Member> {
        let each = family.members.iter().zip(&family.selection.standings);
        let mut members: Vec<_> = each.map(|(member, standing)| self.member(pool, member, *standing, clock)).collect();
        family.account.look(clock.0, |all, recent| share(&mut members, family, all, recent));
        members
    }

    fn member(&self, pool: &Pool, member: &Member, standing: Standing, clock: &Clock) -> api::Member {
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
            probe_seconds: report.as_ref().and_then(|report| report.took).map(|took| took.as_secs_f64()),
            flips: report.as_ref().map_or(0, |report| report.flips),
            fair: 0.0,
            handed: None,
            answers: 0,
            first: 0,
            last_error: report.and_then(|report| report.last_error).map(|(reason, _)| reason.to_string()),
        }
    }

    fn queries(&self) -> api::Queries {
        let totals = self.registry.totals();
        let counts = Outcome::ALL.iter().map(|outcome| (outcome.label().to_owned(), totals.outcome(*outcome)));
        api::Queries { received: totals.received(), outcomes: counts.filter(|(_, count)| *count > 0).collect() }
    }
}

/// Tells each member what was handed to it, beside what is its due.
fn share(members: &mut [api::Member], family: &FamilyPool, all: &Counts, recent: &Counts) {
    let eligible = &family.selection.eligible;
    let weights: f64 = eligible.iter().map(|member| member.weight).sum();
    let handed: u64 = recent.members.values().map(|dealt| dealt.hands).sum();
    for member in members {
        let place = eligible.binary_search_by_key(&member.address, |one| one.address);
        member.fair = place.map_or(0.0, |place| eligible[place].weight / weights);
        let of_late = recent.members.get(&member.address).map_or(0, |dealt| dealt.hands);
        member.handed = (handed > 0).then(|| of_late as f64 / handed as f64);
        let dealt = all.members.get(&member.address).copied().unwrap_or_default();
        (member.answers, member.first) = (dealt.hands, dealt.first);
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
