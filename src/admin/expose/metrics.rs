//! Every metric, in the order of the manual.

use jiff::Timestamp;
use prometheus_client::metrics::MetricType::{Counter, Gauge, Histogram};

use super::{Metric, Sample, Value, View, process};
use crate::admin::api::{DrainedMember, Family, Member, Place, Pool, Secondary, Zone, ZoneState};
use crate::config::AlertKind;
use crate::metrics::{ConnectionEvent, Event, Outcome, QueryType, Transport};

pub(super) static METRICS: &[Metric] = &[
    Metric {
        name: "kofn_build_info",
        kind: Gauge,
        labels: &["version"],
        meaning: "1, for the version that runs.",
        samples: |view| vec![sample([&view.status.version], 1.0)],
    },
    Metric {
        name: "kofn_start_time_seconds",
        kind: Gauge,
        labels: &[],
        meaning: "When the program started, in seconds since 1970.",
        samples: |view| one(Some(seconds(view.status.started))),
    },
    Metric {
        name: "kofn_generation",
        kind: Gauge,
        labels: &[],
        meaning: "The number of the snapshot that is served.",
        samples: |view| one(Some(view.status.generation as f64)),
    },
    Metric {
        name: "kofn_received",
        kind: Counter,
        labels: &["transport"],
        meaning: "Messages that came in: datagrams, and messages of connections.",
        samples: |view| {
            let count = |transport: &Transport| view.totals.received_by(*transport) as f64;
            Transport::ALL.iter().map(|transport| sample([transport.label()], count(transport))).collect()
        },
    },
    Metric {
        name: "kofn_queries",
        kind: Counter,
        labels: &["transport", "type", "outcome"],
        meaning: "What became of each message; the outcomes `drop_…` were not answered. Combinations that never came are left out.",
        samples: queries,
    },
    Metric {
        name: "kofn_answer_duration_seconds",
        kind: Histogram,
        labels: &["transport"],
        meaning: "How long answers took, from when the query was read to when the reply was sent, of one batch in 32. What waited in the kernel before is not in it.",
        samples: |view| {
            let times = Transport::ALL.iter().map(|transport| (transport, view.totals.times(*transport)));
            let timed = times.filter(|(_, times)| times.count() > 0);
            timed.map(|(by, times)| Sample { labels: vec![by.label().into()], value: Value::Times(times) }).collect()
        },
    },
    Metric {
        name: "kofn_events",
        kind: Counter,
        labels: &["event"],
        meaning: "What else happened at the doors, such as datagrams that the kernel dropped because a buffer was full (`udp_receive_overflow`).",
        samples: |view| {
            let count = |event: &Event| view.totals.event(*event) as f64;
            Event::ALL.iter().map(|event| sample([event.label()], count(event))).collect()
        },
    },
    Metric {
        name: "kofn_connections",
        kind: Counter,
        labels: &["transport", "event"],
        meaning: "What happened to connections: `accepted` and `closed`; closed at once over a bound (`refused`, `handshake_refused`) or without a PROXY header that was due (`proxy_malformed`); for asking nothing (`idle`) or not reading (`slow`); handshakes (`handshake_done`, of them `resumed`, which QUIC does not tell, and `handshake_failed`); and those that the system would not give (`accept_failed`).",
        samples: |view| {
            let of = |transport: Transport| {
                let count = move |event: &ConnectionEvent| view.totals.connections(transport, *event) as f64;
                let events = ConnectionEvent::ALL.iter();
                events.map(move |event| sample([transport.label(), event.label()], count(event)))
            };
            Transport::ALL.iter().copied().filter(|transport| transport.has_connections()).flat_map(of).collect()
        },
    },
    Metric {
        name: "kofn_connections_open",
        kind: Gauge,
        labels: &["transport"],
        meaning: "Connections that are open now.",
        samples: |view| {
            let count = |transport: &Transport| {
                let [accepted, closed] = [ConnectionEvent::Accepted, ConnectionEvent::Closed]
                    .map(|event| view.totals.connections(*transport, event));
                sample([transport.label()], accepted.saturating_sub(closed) as f64)
            };
            Transport::ALL.iter().filter(|transport| transport.has_connections()).map(count).collect()
        },
    },
    Metric {
        name: "kofn_settings_faults",
        kind: Gauge,
        labels: &[],
        meaning: "What is wrong with kofn.toml and the zones folder.",
        samples: |view| one(Some(view.status.faults.len() as f64)),
    },
    Metric {
        name: "kofn_reloads",
        kind: Counter,
        labels: &["result"],
        meaning: "Looks at the files, at the start, when they have changed and when somebody asked: without an error (`good`), or with errors or something held (`faulty`).",
        samples: |view| {
            let reloads = &view.status.reloads;
            [("good", reloads.good), ("faulty", reloads.faulty)].map(|(result, n)| sample([result], n as f64)).into()
        },
    },
    Metric {
        name: "kofn_reload_timestamp_seconds",
        kind: Gauge,
        labels: &[],
        meaning: "When the last look at the files ended, in seconds since 1970.",
        samples: |view| one(view.status.reloads.last.map(seconds)),
    },
    Metric {
        name: "kofn_reload_duration_seconds",
        kind: Gauge,
        labels: &[],
        meaning: "How long the last look at the files took.",
        samples: |view| one(view.status.reloads.last.map(|_| view.status.reloads.took)),
    },
    Metric {
        name: "kofn_zones",
        kind: Gauge,
        labels: &["state"],
        meaning: "Zones by what their queries get: the files as they stand (`current`), the last good state (`stale`, `held`), SERVFAIL (`broken`).",
        samples: |view| {
            let count = |state: ZoneState| view.status.zones.iter().filter(|zone| zone.state == state).count();
            STATES.iter().map(|(state, name)| sample([name], count(*state) as f64)).collect()
        },
    },
    Metric {
        name: "kofn_zone_serial",
        kind: Gauge,
        labels: &["zone"],
        meaning: "The serial of the zone that is served.",
        samples: |view| zones(view, |zone| zone.serial.map(f64::from)),
    },
    Metric {
        name: "kofn_zone_records",
        kind: Gauge,
        labels: &["zone"],
        meaning: "How many records are served.",
        samples: |view| zones(view, |zone| Some(zone.records as f64)),
    },
    Metric {
        name: "kofn_zone_loaded_timestamp_seconds",
        kind: Gauge,
        labels: &["zone"],
        meaning: "When the zone that is served was read, in seconds since 1970.",
        samples: |view| zones(view, |zone| zone.loaded.map(seconds)),
    },
    Metric {
        name: "kofn_zone_errors",
        kind: Gauge,
        labels: &["zone"],
        meaning: "For how many errors the files, as they stand, are not served.",
        samples: |view| zones(view, |zone| Some(zone.errors.len() as f64)),
    },
    Metric {
        name: "kofn_pool_members",
        kind: Gauge,
        labels: &["pool", "type"],
        meaning: "Addresses in the zone.",
        samples: |view| families(view, |family| family.members.len() as f64),
    },
    Metric {
        name: "kofn_pool_eligible",
        kind: Gauge,
        labels: &["pool", "type"],
        meaning: "Members that are handed out now.",
        samples: |view| families(view, |family| family.eligible as f64),
    },
    Metric {
        name: "kofn_pool_panic",
        kind: Gauge,
        labels: &["pool", "type"],
        meaning: "1 while so few members are healthy that all are handed out.",
        samples: |view| families(view, |family| f64::from(u8::from(family.panic))),
    },
    Metric {
        name: "kofn_pool_verdicts",
        kind: Gauge,
        labels: &["pool", "type", "verdict"],
        meaning: "Members by what the probes say: `up`, `down`, or `unknown` without a check or a result.",
        samples: verdicts,
    },
    Metric {
        name: "kofn_pool_hands",
        kind: Counter,
        labels: &["pool", "type"],
        meaning: "Hands that were dealt: answers with addresses of the pool, and its addresses beside other answers.",
        samples: |view| families(view, |family| family.hands as f64),
    },
    Metric {
        name: "kofn_member_up",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "What the probes say: 1 for up, 0 for down. Members without a verdict are left out.",
        samples: |view| {
            members(view, |member, _| match member.verdict.as_str() {
                "up" => Some(1.0),
                "down" => Some(0.0),
                _ => None,
            })
        },
    },
    Metric {
        name: "kofn_member_served",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "1 while the member is in hands.",
        samples: |view| members(view, |member, _| Some(f64::from(u8::from(member.served)))),
    },
    Metric {
        name: "kofn_member_weight",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "Its share, beside the weights of the others.",
        samples: |view| members(view, |member, _| Some(member.weight)),
    },
    Metric {
        name: "kofn_member_fair_ratio",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "The part of the weight of all members in hands that is its own, 0 to 1.",
        samples: |view| members(view, |member, _| Some(member.fair)),
    },
    Metric {
        name: "kofn_member_answers",
        kind: Counter,
        labels: &["pool", "address"],
        meaning: "Hands that the member was in.",
        samples: |view| members(view, |member, _| Some(member.answers as f64)),
    },
    Metric {
        name: "kofn_member_flips",
        kind: Counter,
        labels: &["pool", "address"],
        meaning: "How often the verdict has changed since it was first known.",
        samples: |view| members(view, |member, _| member.since.map(|_| member.flips as f64)),
    },
    Metric {
        name: "kofn_member_verdict_timestamp_seconds",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "When the verdict became what it is, in seconds since 1970.",
        samples: |view| members(view, |member, _| member.since.map(seconds)),
    },
    Metric {
        name: "kofn_member_probe_age_seconds",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "How long ago the last probe ended. Above two intervals the prober is stuck.",
        samples: |view| members(view, |member, now| member.last_probe.map(|at| seconds(now) - seconds(at))),
    },
    Metric {
        name: "kofn_member_probe_duration_seconds",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "How long the last probe took, whatever came of it.",
        samples: |view| members(view, |member, _| member.probe_seconds),
    },
    Metric {
        name: "kofn_member_certificate_end_timestamp_seconds",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "When the certificate ends that the member has shown to its https check, in seconds since 1970.",
        samples: |view| members(view, |member, _| member.certificate_end.map(seconds)),
    },
    Metric {
        name: "kofn_probes",
        kind: Gauge,
        labels: &["state"],
        meaning: "Probes: all of them (`followed`), those whose last one failed (`failing`), those that are overdue (`stale`), and those that would take a member out if a witness answered (`withheld`).",
        samples: |view| {
            let health = &view.status.health;
            let counts = [("followed", health.probes), ("failing", health.failing), ("stale", health.stale)];
            let counts = [counts[0], counts[1], counts[2], ("withheld", health.withheld)];
            counts.map(|(state, count)| sample([state], count as f64)).into()
        },
    },
    Metric {
        name: "kofn_frozen",
        kind: Gauge,
        labels: &[],
        meaning: "1 while all verdicts stand still, because most probes fail and no witness answers.",
        samples: |view| one(Some(f64::from(u8::from(view.status.health.frozen.is_some())))),
    },
    Metric {
        name: "kofn_freezes",
        kind: Counter,
        labels: &[],
        meaning: "How often the verdicts were frozen.",
        samples: |view| one(Some(view.status.health.freezes as f64)),
    },
    Metric {
        name: "kofn_witness_up",
        kind: Gauge,
        labels: &[],
        meaning: "1 while a witness answers. Without witnesses, or before one was asked, it is left out.",
        samples: |view| one(view.status.health.witnesses.map(|answered| f64::from(u8::from(answered)))),
    },
    Metric {
        name: "kofn_alerts",
        kind: Gauge,
        labels: &["kind"],
        meaning: "What is wrong now, as alerts have it, whether or not anybody is told.",
        samples: |view| {
            let count = |kind: &str| view.status.alerts.iter().filter(|alert| alert.kind == kind).count() as f64;
            AlertKind::ALL.iter().map(|kind| sample([kind.name()], count(kind.name()))).collect()
        },
    },
    Metric {
        name: "kofn_secondary_transfers",
        kind: Counter,
        labels: &["zone", "kind"],
        meaning: "Transfers in: of differences (`incremental`), of the whole zone (`whole`), and looks at the primaries that failed (`failed`).",
        samples: |view| {
            let kinds = |secondary: &Secondary| {
                let Secondary { zone, incremental, whole, failed, .. } = secondary;
                [("incremental", incremental), ("whole", whole), ("failed", failed)]
                    .map(|(kind, count)| sample([zone, kind], *count as f64))
            };
            let secondaries = view.status.transfers.secondaries.iter().filter(|one| view.bound.has_zone(&one.zone));
            secondaries.flat_map(kinds).collect()
        },
    },
    Metric {
        name: "kofn_secondary_checked_timestamp_seconds",
        kind: Gauge,
        labels: &["zone"],
        meaning: "When a primary said last that there is nothing newer, in seconds since 1970.",
        samples: |view| secondaries(view, |secondary| secondary.checked.map(seconds)),
    },
    Metric {
        name: "kofn_secondary_expires_timestamp_seconds",
        kind: Gauge,
        labels: &["zone"],
        meaning: "Until when the zone is served if no primary can be asked, in seconds since 1970.",
        samples: |view| secondaries(view, |secondary| secondary.expires.map(seconds)),
    },
    Metric {
        name: "kofn_watched_lag_seconds",
        kind: Gauge,
        labels: &["zone", "server"],
        meaning: "For how long a server in `watch` has not served what this server serves; left out until it has answered once.",
        samples: |view| {
            let watched = view.status.transfers.watched.iter().filter(|one| view.bound.has_zone(&one.zone));
            watched.filter_map(|at| Some(sample([&at.zone, &at.server.to_string()], at.lag?))).collect()
        },
    },
    Metric {
        name: "kofn_notify_acknowledged",
        kind: Gauge,
        labels: &["zone", "server"],
        meaning: "1 when a server has acknowledged the NOTIFY of the newest change, 0 while it has not.",
        samples: |view| {
            let notified = view.status.transfers.notified.iter().filter(|one| view.bound.has_zone(&one.zone));
            let is_done = |done: bool| f64::from(u8::from(done));
            let samples =
                notified.map(|one| sample([&one.zone, &one.server.to_string()], is_done(one.acknowledged.is_some())));
            samples.collect()
        },
    },
    Metric {
        name: "kofn_certificate_end_timestamp_seconds",
        kind: Gauge,
        labels: &["file", "names"],
        meaning: "When a certificate of the encrypted doors ends, in seconds since 1970.",
        samples: |view| {
            let certificates = view.status.certificates.iter();
            certificates.map(|shown| sample([&shown.file, &shown.names.join(" ")], seconds(shown.ends))).collect()
        },
    },
    Metric {
        name: "kofn_certificate_days_left",
        kind: Gauge,
        labels: &["file", "names"],
        meaning: "The days until then; below 0 it has ended.",
        samples: |view| {
            let certificates = view.status.certificates.iter();
            certificates.map(|shown| sample([&shown.file, &shown.names.join(" ")], shown.days_left as f64)).collect()
        },
    },
    Metric {
        name: "kofn_drains",
        kind: Gauge,
        labels: &[],
        meaning: "Drains that stand in drains.toml.",
        samples: |view| one(Some(view.status.drains.drains.len() as f64)),
    },
    Metric {
        name: "kofn_drain_members",
        kind: Gauge,
        labels: &["place"],
        meaning: "Members that are drained, or removed from their zones, by where they are: in answers all the same for want of others (`served`), in old answers (`cached`), in none (`gone`).",
        samples: |view| {
            let count = |place: Place| view.status.drains.members.iter().filter(|member| member.place == place).count();
            PLACES.iter().map(|(place, name)| sample([name], count(*place) as f64)).collect()
        },
    },
    Metric {
        name: "kofn_drain_last_copy_timestamp_seconds",
        kind: Gauge,
        labels: &["pool", "address"],
        meaning: "When the last lawful copy of an answer with such a member is gone, or was, in seconds since 1970. Members that are served all the same are left out.",
        samples: |view| {
            let members = view.status.drains.members.iter();
            let gone = |member: &DrainedMember| Some((member.address.to_string(), seconds(member.gone?)));
            let samples =
                members.filter_map(|member| gone(member).map(|(address, at)| sample([&member.pool, &address], at)));
            samples.collect()
        },
    },
    Metric {
        name: "kofn_metrics_omitted",
        kind: Gauge,
        labels: &["of"],
        meaning: "Members, and zones, that have no metrics of their own, because there are more than `admin.metrics_limit`.",
        samples: |view| view.bound.omitted.map(|(of, count)| sample([of], count as f64)).into(),
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Gauge,
        labels: &[],
        meaning: "Memory of the process, in octets.",
        samples: |_| one(process::resident()),
    },
    Metric {
        name: "process_cpu_seconds",
        kind: Counter,
        labels: &[],
        meaning: "Processor time that the process has used, with the kernel's for it.",
        samples: |_| one(process::cpu_seconds()),
    },
    Metric {
        name: "process_open_fds",
        kind: Gauge,
        labels: &[],
        meaning: "Open file descriptors.",
        samples: |_| one(process::open_files()),
    },
];

const STATES: [(ZoneState, &str); 4] = [
    (ZoneState::Current, "current"),
    (ZoneState::Stale, "stale"),
    (ZoneState::Held, "held"),
    (ZoneState::Broken, "broken"),
];

const PLACES: [(Place, &str); 3] = [(Place::Served, "served"), (Place::Cached, "cached"), (Place::Gone, "gone")];

fn sample<const N: usize>(labels: [&str; N], value: f64) -> Sample {
    Sample { labels: labels.map(str::to_owned).into(), value: Value::Number(value) }
}

fn one(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| sample([], value)).into_iter().collect()
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

fn queries(view: &View) -> Vec<Sample> {
    let mut samples = Vec::new();
    for transport in Transport::ALL {
        for query_type in QueryType::ALL {
            for outcome in Outcome::ALL {
                let count = view.totals.queries(*transport, *query_type, *outcome);
                if count > 0 {
                    let labels = [transport.label(), query_type.label(), outcome.label()];
                    samples.push(sample(labels, count as f64));
                }
            }
        }
    }
    samples
}

fn zones(view: &View, value: fn(&Zone) -> Option<f64>) -> Vec<Sample> {
    let zones = view.status.zones.iter().filter(|zone| view.bound.has_zone(&zone.name));
    zones.filter_map(|zone| Some(sample([&zone.name], value(zone)?))).collect()
}

fn secondaries(view: &View, value: fn(&Secondary) -> Option<f64>) -> Vec<Sample> {
    let secondaries = view.status.transfers.secondaries.iter().filter(|one| view.bound.has_zone(&one.zone));
    secondaries.filter_map(|secondary| Some(sample([&secondary.zone], value(secondary)?))).collect()
}

fn families(view: &View, value: fn(&Family) -> f64) -> Vec<Sample> {
    each_family(view).map(|(pool, family)| sample([&pool.name, &family.rtype], value(family))).collect()
}

fn verdicts(view: &View) -> Vec<Sample> {
    let of_family = |(pool, family): (&Pool, &Family)| {
        let count = |verdict: &str| family.members.iter().filter(|member| member.verdict == verdict).count() as f64;
        ["up", "down", "unknown"].map(|verdict| sample([&pool.name, &family.rtype, verdict], count(verdict)))
    };
    each_family(view).flat_map(of_family).collect()
}

fn members(view: &View, value: fn(&Member, Timestamp) -> Option<f64>) -> Vec<Sample> {
    let now = Timestamp::now();
    let shown = each_family(view).filter(|(pool, _)| view.bound.has(pool));
    let members = shown.flat_map(|(pool, family)| family.members.iter().map(move |member| (pool, member)));
    let samples = members
        .filter_map(|(pool, member)| Some(sample([&pool.name, &member.address.to_string()], value(member, now)?)));
    samples.collect()
}

fn each_family(view: &View) -> impl Iterator<Item = (&Pool, &Family)> {
    view.status.pools.iter().flat_map(|pool| pool.families.iter().map(move |family| (pool, family)))
}
