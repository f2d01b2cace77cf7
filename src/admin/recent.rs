//! The traffic of the last minutes: the sums of the counters, kept every few seconds, whoever looks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::api;
use crate::metrics::{Outcome, Times, Totals, Transport};

/// Between two samples.
pub(super) const STEP: Duration = Duration::from_secs(5);
/// Samples that are kept: of five minutes.
const KEPT: usize = 61;
/// How many steps a rate is taken over.
const RATED: usize = 12;

/// Samples of the counters, the newest last.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Sample>>);

#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    received: u64,
    outcomes: Vec<u64>,
    transports: Vec<u64>,
    times: Times,
}

impl Recent {
    /// Keeps the sums of this moment; to be called every [`STEP`].
    pub(super) fn keep(&self, totals: &Totals, at: Instant) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(Sample::new(totals, at));
    }

    /// The last minutes, up to this moment.
    pub(super) fn show(&self, totals: &Totals, at: Instant) -> api::Recent {
        let mut samples: Vec<Sample> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let rate = |from: &Sample, to: &Sample| {
            (to.received - from.received) as f64 / to.at.saturating_duration_since(from.at).as_secs_f64().max(0.001)
        };
        let curve = samples.windows(2).map(|pair| rate(&pair[0], &pair[1])).collect();
        samples.push(Sample::new(totals, at));
        let (Some(now), before) = (samples.last(), &samples[samples.len().saturating_sub(RATED + 1)]) else {
            return api::Recent::default();
        };
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
        let rates = |labels: Vec<&str>, counts: fn(&Sample) -> &Vec<u64>| -> BTreeMap<String, f64> {
            let since = counts(now).iter().zip(counts(before)).map(|(now, before)| now - before);
            let happened = labels.into_iter().zip(since).filter(|(_, count)| *count > 0);
            happened.map(|(label, count)| (label.to_owned(), count as f64 / seconds.max(0.001))).collect()
        };
        let times = now.times.since(&before.times);
        let within = |part| times.within(part).map(|bound| bound.as_secs_f64());
        api::Recent {
            seconds,
            rate: rate(before, now),
            outcomes: rates(Outcome::ALL.iter().map(|one| one.label()).collect(), |sample| &sample.outcomes),
            transports: rates(Transport::ALL.iter().map(|one| one.label()).collect(), |sample| &sample.transports),
            median: within(0.5),
            p99: within(0.99),
            timed: times.count(),
            curve,
            step: STEP.as_secs_f64(),
        }
    }
}

impl Sample {
    fn new(totals: &Totals, at: Instant) -> Self {
        let times = Transport::ALL.iter().map(|transport| totals.times(*transport));
        Self {
            at,
            received: totals.received(),
            outcomes: Outcome::ALL.iter().map(|outcome| totals.outcome(*outcome)).collect(),
            transports: Transport::ALL.iter().map(|transport| totals.received_by(*transport)).collect(),
            times: times.fold(Times::default(), |sum, times| sum.and(&times)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{QueryType, Registry};

    #[test]
    fn a_rate_is_of_the_last_minute_and_the_curve_of_five() {
        let (recent, registry, start) = (Recent::default(), Registry::default(), Instant::now());
        let counters = registry.register();
        for step in 0..100 {
            counters.received(Transport::Udp, 50);
            (0..50).for_each(|_| counters.count(Transport::Udp, QueryType::A, Outcome::Answer));
            counters.took(Transport::Udp, Duration::from_micros(7), 50);
            recent.keep(&registry.totals(), start + STEP * step);
        }
        let shown = recent.show(&registry.totals(), start + STEP * 99 + STEP / 5);
        assert_eq!((shown.curve.len(), shown.curve[0]), (60, 10.0));
        assert_eq!((shown.seconds, shown.timed), (56.0, 550));
        assert!((shown.rate - 550.0 / 56.0).abs() < 1e-9);
        assert_eq!((shown.median, shown.p99), (Some(0.000_01), Some(0.000_01)));
        assert_eq!(shown.outcomes.keys().collect::<Vec<_>>(), ["answer"]);
        assert_eq!(shown.transports["udp"], shown.rate);
    }

    #[test]
    fn before_the_first_sample_there_is_no_rate() {
        let (recent, registry) = (Recent::default(), Registry::default());
        registry.register().received(Transport::Udp, 50);
        let shown = recent.show(&registry.totals(), Instant::now());
        assert_eq!((shown.rate, shown.seconds, shown.curve.len()), (0.0, 0.0, 0));
    }
}
