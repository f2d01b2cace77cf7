//! Members, what is known of them, and the probes that know it.

use jiff::Timestamp;
use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{each_family, one, sample, seconds};
use crate::admin::api::Member;
use crate::admin::expose::{Metric, Sample, View};

pub(super) static METRICS: &[Metric] = &[
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
            let counts = [
                ("followed", health.probes),
                ("failing", health.failing),
                ("stale", health.stale),
                ("withheld", health.withheld),
            ];
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
];

fn members(view: &View, value: fn(&Member, Timestamp) -> Option<f64>) -> Vec<Sample> {
    let now = Timestamp::now();
    let shown = each_family(view).filter(|(pool, _)| view.bound.has(pool));
    let members = shown.flat_map(|(pool, family)| family.members.iter().map(move |member| (pool, member)));
    let samples = members
        .filter_map(|(pool, member)| Some(sample([&pool.name, &member.address.to_string()], value(member, now)?)));
    samples.collect()
}
