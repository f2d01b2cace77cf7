//! Settings and zones, as their files and what is served of them stand.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{one, sample, seconds};
use crate::admin::api::{Zone, ZoneState};
use crate::admin::expose::{Metric, Sample, View};

pub(super) static METRICS: &[Metric] = &[
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
];

const STATES: [(ZoneState, &str); 4] = [
    (ZoneState::Current, "current"),
    (ZoneState::Stale, "stale"),
    (ZoneState::Held, "held"),
    (ZoneState::Broken, "broken"),
];

fn zones(view: &View, value: fn(&Zone) -> Option<f64>) -> Vec<Sample> {
    let zones = view.status.zones.iter().filter(|zone| view.bound.has_zone(&zone.name));
    zones.filter_map(|zone| Some(sample([&zone.name], value(zone)?))).collect()
}
