//! Zones that come from others, go to them, and are compared with them.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{sample, seconds};
use crate::admin::api::Secondary;
use crate::admin::expose::{Metric, Sample, View};

pub(super) static METRICS: &[Metric] = &[
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
];

fn secondaries(view: &View, value: fn(&Secondary) -> Option<f64>) -> Vec<Sample> {
    let secondaries = view.status.transfers.secondaries.iter().filter(|one| view.bound.has_zone(&one.zone));
    secondaries.filter_map(|secondary| Some(sample([&secondary.zone], value(secondary)?))).collect()
}
