//! Who is kept out of new answers.

use prometheus_client::metrics::MetricType::Gauge;

use super::{one, sample, seconds};
use crate::admin::api::{DrainedMember, Place};
use crate::admin::expose::Metric;

pub(super) static METRICS: &[Metric] = &[
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
];

const PLACES: [(Place, &str); 3] = [(Place::Served, "served"), (Place::Cached, "cached"), (Place::Gone, "gone")];
