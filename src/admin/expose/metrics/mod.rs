//! Every metric, a file for each section of the manual.

mod alerting;
mod certificates;
mod doors;
mod drains;
mod files;
mod own;
mod pools;
mod probing;
mod transfers;

use jiff::Timestamp;

use super::{Metric, Sample, Value, View};
use crate::admin::api::{Family, Pool};

/// In the order of the manual.
pub(super) fn all() -> impl Iterator<Item = &'static Metric> {
    [
        doors::METRICS,
        files::METRICS,
        pools::METRICS,
        probing::METRICS,
        alerting::METRICS,
        transfers::METRICS,
        certificates::METRICS,
        drains::METRICS,
        own::METRICS,
    ]
    .into_iter()
    .flatten()
}

fn sample<const N: usize>(labels: [&str; N], value: f64) -> Sample {
    Sample { labels: labels.map(str::to_owned).into(), value: Value::Number(value) }
}

fn one(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| sample([], value)).into_iter().collect()
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

fn each_family(view: &View) -> impl Iterator<Item = (&Pool, &Family)> {
    view.status.pools.iter().flat_map(|pool| pool.families.iter().map(move |family| (pool, family)))
}
