//! The certificates that are shown.

use prometheus_client::metrics::MetricType::Gauge;

use super::{sample, seconds};
use crate::admin::expose::Metric;

pub(super) static METRICS: &[Metric] = &[
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
];
