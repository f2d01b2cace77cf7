//! The metrics themselves, and the process as the system sees it.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{one, sample};
use crate::admin::expose::{Metric, process};

pub(super) static METRICS: &[Metric] = &[
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
