//! The metrics, for Prometheus: made from the status and the counters when somebody asks, so that nothing is counted twice
//! and nothing is kept for whoever never asks.

mod metrics;
mod process;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Sources, api};
use crate::metrics::Totals;
use metrics::METRICS;

/// What [`render`] makes, as OpenMetrics names it.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One metric: its name, its kind, and where its values are found.
struct Metric {
    /// Without the `_total` that every counter is given.
    name: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
    meaning: &'static str,
    samples: fn(&View) -> Vec<Sample>,
}

/// One value, and the values of the labels in the metric's order.
struct Sample {
    labels: Vec<String>,
    value: f64,
}

/// Everything at one moment.
struct View {
    status: api::Status,
    totals: Totals,
}

/// The metrics of a running server as text.
///
/// # Errors
/// When a metric cannot be written as OpenMetrics.
pub(super) fn render(sources: &Sources, drains: api::Drains) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    let status = api::Status { drains, ..sources.status() };
    registry.register_collector(Box::new(View { status, totals: sources.registry.totals() }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl Collector for View {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        METRICS.iter().try_for_each(|metric| metric.encode(self, &mut encoder))
    }
}

impl Metric {
    fn encode(&self, view: &View, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let samples = (self.samples)(view);
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(self.name, self.meaning, None, self.kind)?;
        for Sample { labels, value } in samples {
            if labels.is_empty() {
                self.encode_value(&mut family, value)?;
                continue;
            }
            let labels: Vec<_> = self.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
            self.encode_value(&mut family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    fn encode_value(&self, encoder: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
        match self.kind {
            MetricType::Counter => encoder.encode_counter::<[(&str, &str); 0], _, f64>(&value, None),
            _ => encoder.encode_gauge(&value),
        }
    }

    /// As it stands in an exposition.
    #[cfg(test)]
    fn full_name(&self) -> String {
        match self.kind {
            MetricType::Counter => format!("{}_total", self.name),
            _ => self.name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_every_metric_and_no_other() {
        let manual = include_str!("../../../docs/metrics.md");
        let row = |metric: &Metric| {
            let kind = if matches!(metric.kind, MetricType::Counter) { "counter" } else { "gauge" };
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {kind} | {} | {} |", metric.full_name(), labels.join(" "), metric.meaning)
        };
        let rows: Vec<String> = METRICS.iter().map(row).collect();
        let written: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(written, rows, "docs/metrics.md must have:\n{}\n", rows.join("\n"));
    }

    #[test]
    fn names_are_as_prometheus_asks() {
        for metric in METRICS {
            let name = metric.full_name();
            assert!(name.starts_with("kofn_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'), "{name}");
            assert!(metric.meaning.ends_with('.'), "{name}");
            assert_eq!(METRICS.iter().filter(|other| other.name == metric.name).count(), 1, "{name}");
        }
    }
}
