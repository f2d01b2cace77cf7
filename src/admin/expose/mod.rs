//! The metrics, for Prometheus: made from the status and the counters when somebody asks, so that nothing is counted twice
//! and nothing is kept for whoever never asks.

mod bound;
mod metrics;
mod plain;
mod process;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Sources, api};
use crate::metrics::{Times, Totals};
use bound::Bound;

/// What [`render`] makes, as OpenMetrics names it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The format before that, which tools such as `promtool check metrics` read.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    value: Value,
}

enum Value {
    Number(f64),
    Times(Times),
}

/// Everything at one moment.
struct View {
    status: api::Status,
    totals: Totals,
    bound: Bound,
}

/// The metrics of a running server as text, and its type; `plain` for who asks for no OpenMetrics.
///
/// # Errors
/// When a metric cannot be written.
pub(super) fn render(
    sources: &Sources,
    drains: api::Drains,
    plain: bool,
) -> Result<(&'static str, String), fmt::Error> {
    let status = sources.whole(drains);
    let bound = Bound::of(&status, sources.reader.load().settings.metrics_limit);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(View { status, totals: sources.registry.totals(), bound }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(if plain { (PLAIN, plain::of(&out)) } else { (OPEN_METRICS, out) })
}

/// Whether whoever accepts this reads the format before OpenMetrics and not OpenMetrics.
pub(super) fn wants_plain(accept: &str) -> bool {
    accept.contains("text/plain") && !accept.contains("openmetrics")
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl Collector for View {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        metrics::all().try_for_each(|metric| metric.encode(self, &mut encoder))
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

    fn encode_value(&self, encoder: &mut MetricEncoder<'_>, value: Value) -> fmt::Result {
        match (self.kind, value) {
            (_, Value::Times(times)) => {
                let bounds = Times::BOUNDS.iter().map(|bound| *bound as f64 / 1e9).chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(times.counts).collect();
                let sum = times.sum.as_secs_f64();
                encoder.encode_histogram::<[(&str, &str); 0]>(sum, times.count(), &buckets, None)
            }
            (MetricType::Counter, Value::Number(value)) => {
                encoder.encode_counter::<[(&str, &str); 0], _, f64>(&value, None)
            }
            (_, Value::Number(value)) => encoder.encode_gauge(&value),
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
            let kind = match metric.kind {
                MetricType::Counter => "counter",
                MetricType::Histogram => "histogram",
                _ => "gauge",
            };
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {kind} | {} | {} |", metric.full_name(), labels.join(" "), metric.meaning)
        };
        let rows: Vec<String> = metrics::all().map(row).collect();
        let written: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(written, rows, "docs/metrics.md must have:\n{}\n", rows.join("\n"));
    }

    const RULES: &str = include_str!("../../../examples/prometheus/alerts.yml");

    #[test]
    fn rules_and_dashboard_name_only_what_there_is() {
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        for text in [RULES, include_str!("../../../examples/grafana/kofn.json")] {
            let words = text.split(|letter| !is_of_name(letter));
            let named: Vec<&str> =
                words.filter(|word| word.starts_with("kofn_") || word.starts_with("process_")).collect();
            assert!(named.len() > 15, "{named:?}");
            for name in named {
                let name = name.strip_suffix("_bucket").unwrap_or(name);
                assert!(metrics::all().any(|metric| metric.full_name() == name), "{name}");
            }
        }
        assert!(serde_json::from_str::<serde_json::Value>(include_str!("../../../examples/grafana/kofn.json")).is_ok());
    }

    #[test]
    fn every_rule_has_its_entry_in_the_runbook() {
        let runbook = include_str!("../../../docs/runbook.md");
        let after = |key: &str| -> Vec<String> {
            RULES.lines().filter_map(|line| line.trim().strip_prefix(key)).map(str::to_owned).collect()
        };
        let (alerts, entries) = (after("- alert: "), after("runbook: docs/runbook.md#"));
        assert_eq!(alerts.iter().map(|alert| alert.to_lowercase()).collect::<Vec<_>>(), entries);
        for alert in alerts {
            assert!(runbook.lines().any(|line| line == format!("### {alert}")), "{alert}");
        }
    }

    #[test]
    fn names_are_as_prometheus_asks() {
        for metric in metrics::all() {
            let name = metric.full_name();
            assert!(name.starts_with("kofn_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'), "{name}");
            assert!(metric.meaning.ends_with('.'), "{name}");
            assert_eq!(metrics::all().filter(|other| other.name == metric.name).count(), 1, "{name}");
        }
    }
}
