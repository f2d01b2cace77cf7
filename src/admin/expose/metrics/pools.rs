//! Pools: how many members each has, and whom it hands out.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{each_family, sample};
use crate::admin::api::{Family, Pool};
use crate::admin::expose::{Metric, Sample, View};

pub(super) static METRICS: &[Metric] = &[
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
];

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
