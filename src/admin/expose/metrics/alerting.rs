//! What has been told to whoever is alerted.

use prometheus_client::metrics::MetricType::Gauge;

use super::sample;
use crate::admin::expose::Metric;
use crate::config::AlertKind;

pub(super) static METRICS: &[Metric] = &[Metric {
    name: "kofn_alerts",
    kind: Gauge,
    labels: &["kind"],
    meaning: "What is wrong now, as alerts have it, whether or not anybody is told.",
    samples: |view| {
        let count = |kind: &str| view.status.alerts.iter().filter(|alert| alert.kind == kind).count() as f64;
        AlertKind::ALL.iter().map(|kind| sample([kind.name()], count(kind.name()))).collect()
    },
}];
