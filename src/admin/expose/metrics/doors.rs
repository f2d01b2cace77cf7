//! The program, and what comes in by its doors.

use prometheus_client::metrics::MetricType::{Counter, Gauge, Histogram};

use super::{one, sample, seconds};
use crate::admin::expose::{Metric, Sample, Value, View};
use crate::metrics::{ConnectionEvent, Event, Outcome, QueryType, Transport};

pub(super) static METRICS: &[Metric] = &[
    Metric {
        name: "kofn_build_info",
        kind: Gauge,
        labels: &["version"],
        meaning: "1, for the version that runs.",
        samples: |view| vec![sample([&view.status.version], 1.0)],
    },
    Metric {
        name: "kofn_start_time_seconds",
        kind: Gauge,
        labels: &[],
        meaning: "When the program started, in seconds since 1970.",
        samples: |view| one(Some(seconds(view.status.started))),
    },
    Metric {
        name: "kofn_generation",
        kind: Gauge,
        labels: &[],
        meaning: "The number of the snapshot that is served.",
        samples: |view| one(Some(view.status.generation as f64)),
    },
    Metric {
        name: "kofn_received",
        kind: Counter,
        labels: &["transport"],
        meaning: "Messages that came in: datagrams, and messages of connections.",
        samples: |view| {
            let count = |transport: &Transport| view.totals.received_by(*transport) as f64;
            Transport::ALL.iter().map(|transport| sample([transport.label()], count(transport))).collect()
        },
    },
    Metric {
        name: "kofn_queries",
        kind: Counter,
        labels: &["transport", "type", "outcome"],
        meaning: "What became of each message; the outcomes `drop_…` were not answered. Combinations that never came are left out.",
        samples: queries,
    },
    Metric {
        name: "kofn_answer_duration_seconds",
        kind: Histogram,
        labels: &["transport"],
        meaning: "How long answers took, from when the query was read to when the reply was sent, of one batch in 32. What waited in the kernel before is not in it.",
        samples: |view| {
            let times = Transport::ALL.iter().map(|transport| (transport, view.totals.times(*transport)));
            let timed = times.filter(|(_, times)| times.count() > 0);
            timed.map(|(by, times)| Sample { labels: vec![by.label().into()], value: Value::Times(times) }).collect()
        },
    },
    Metric {
        name: "kofn_events",
        kind: Counter,
        labels: &["event"],
        meaning: "What else happened at the doors, such as datagrams that the kernel dropped because a buffer was full (`udp_receive_overflow`).",
        samples: |view| {
            let count = |event: &Event| view.totals.event(*event) as f64;
            Event::ALL.iter().map(|event| sample([event.label()], count(event))).collect()
        },
    },
    Metric {
        name: "kofn_connections",
        kind: Counter,
        labels: &["transport", "event"],
        meaning: "What happened to connections: `accepted` and `closed`; closed at once over a bound (`refused`, `handshake_refused`) or without a PROXY header that was due (`proxy_malformed`); for asking nothing (`idle`) or not reading (`slow`); handshakes (`handshake_done`, of them `resumed`, which QUIC does not tell, and `handshake_failed`); and those that the system would not give (`accept_failed`).",
        samples: |view| {
            let of = |transport: Transport| {
                let count = move |event: &ConnectionEvent| view.totals.connections(transport, *event) as f64;
                let events = ConnectionEvent::ALL.iter();
                events.map(move |event| sample([transport.label(), event.label()], count(event)))
            };
            Transport::ALL.iter().copied().filter(|transport| transport.has_connections()).flat_map(of).collect()
        },
    },
    Metric {
        name: "kofn_connections_open",
        kind: Gauge,
        labels: &["transport"],
        meaning: "Connections that are open now.",
        samples: |view| {
            let count = |transport: &Transport| {
                let [accepted, closed] = [ConnectionEvent::Accepted, ConnectionEvent::Closed]
                    .map(|event| view.totals.connections(*transport, event));
                sample([transport.label()], accepted.saturating_sub(closed) as f64)
            };
            Transport::ALL.iter().filter(|transport| transport.has_connections()).map(count).collect()
        },
    },
];

fn queries(view: &View) -> Vec<Sample> {
    let mut samples = Vec::new();
    for transport in Transport::ALL {
        for query_type in QueryType::ALL {
            for outcome in Outcome::ALL {
                let count = view.totals.queries(*transport, *query_type, *outcome);
                if count > 0 {
                    let labels = [transport.label(), query_type.label(), outcome.label()];
                    samples.push(sample(labels, count as f64));
                }
            }
        }
    }
    samples
}
