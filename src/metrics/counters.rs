//! The counters of one worker, and the registry that sums them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::times::{BUCKETS, bucket_of};
use super::{ConnectionEvent, Event, Outcome, QueryType, Times, Transport};

/// The counters of one worker. One thread writes, anyone reads.
///
/// 128 octets: x86-64 fetches lines in pairs, so a neighbour 64 octets away would still be pulled along.
#[repr(align(128))]
pub struct Counters([AtomicU64; CELLS]);

impl Counters {
    fn new() -> Self {
        Self([const { AtomicU64::new(0) }; CELLS])
    }

    /// Counts `packets` as received, before they are looked into.
    pub fn received(&self, transport: Transport, packets: u64) {
        self.add(received_cell(transport), packets);
    }

    /// Counts the one outcome of one packet.
    pub fn count(&self, transport: Transport, query_type: QueryType, outcome: Outcome) {
        self.add(outcome_cell(transport, query_type, outcome), 1);
    }

    /// Counts `times` more of an event.
    pub fn event(&self, event: Event, times: u64) {
        self.add(event_cell(event), times);
    }

    /// How many packets were received so far, by all transports.
    pub fn taken(&self) -> u64 {
        self.0[RECEIVED_CELLS..CONNECTION_CELLS].iter().map(|cell| cell.load(Relaxed)).sum()
    }

    /// Counts something that happened to a connection.
    pub fn connection(&self, transport: Transport, event: ConnectionEvent) {
        self.add(connection_cell(transport, event), 1);
    }

    /// Notes that `messages` were answered within `time`.
    pub fn took(&self, transport: Transport, time: Duration, messages: u32) {
        self.add(time_cell(transport, bucket_of(time)), u64::from(messages));
        let nanoseconds = time.as_nanos() as u64 * u64::from(messages);
        self.add(time_cell(transport, BUCKETS), nanoseconds);
    }

    /// One writer, so nothing can come between the load and the store: an addition without a locked instruction.
    fn add(&self, cell: usize, amount: u64) {
        let cell = &self.0[cell];
        cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

/// The counters of all workers.
#[derive(Debug, Default)]
pub struct Registry(Mutex<Vec<Arc<Counters>>>);

impl Registry {
    /// Counters for one more worker. They stay in the sums after the worker has ended.
    pub fn register(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::new());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// The sums over all workers, as of about now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals(Box::new([0; CELLS]));
        for counters in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (total, cell) in totals.0.iter_mut().zip(&counters.0) {
                *total += cell.load(Relaxed);
            }
        }
        totals
    }
}

/// Sums over all workers at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals(Box<[u64; CELLS]>);

impl Totals {
    /// Packets received, by all transports.
    pub fn received(&self) -> u64 {
        Transport::ALL.iter().map(|transport| self.received_by(*transport)).sum()
    }

    /// Packets received by one transport.
    pub fn received_by(&self, transport: Transport) -> u64 {
        self.0[received_cell(transport)]
    }

    /// Packets of one transport and type that had one outcome.
    pub fn queries(&self, transport: Transport, query_type: QueryType, outcome: Outcome) -> u64 {
        self.0[outcome_cell(transport, query_type, outcome)]
    }

    /// Packets that had one outcome.
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        Transport::ALL
            .iter()
            .flat_map(|transport| {
                QueryType::ALL.iter().map(|query_type| self.queries(*transport, *query_type, outcome))
            })
            .sum()
    }

    /// Packets that had any outcome: as many as were received, when the workers rest.
    pub fn outcomes(&self) -> u64 {
        Outcome::ALL.iter().map(|outcome| self.outcome(*outcome)).sum()
    }

    /// How long the answers of one transport took, as far as they were timed.
    pub fn times(&self, transport: Transport) -> Times {
        Times {
            counts: std::array::from_fn(|bucket| self.0[time_cell(transport, bucket)]),
            sum: Duration::from_nanos(self.0[time_cell(transport, BUCKETS)]),
        }
    }

    /// How often an event happened.
    pub fn event(&self, event: Event) -> u64 {
        self.0[event_cell(event)]
    }

    /// How often something happened to connections of one transport.
    pub fn connections(&self, transport: Transport, event: ConnectionEvent) -> u64 {
        self.0[connection_cell(transport, event)]
    }
}

const OUTCOMES: usize = Outcome::ALL.len();
const QUERY_TYPES: usize = QueryType::ALL.len();
const TRANSPORTS: usize = Transport::ALL.len();
const EVENT_CELLS: usize = TRANSPORTS * QUERY_TYPES * OUTCOMES;
const RECEIVED_CELLS: usize = EVENT_CELLS + Event::ALL.len();
const CONNECTION_EVENTS: usize = ConnectionEvent::ALL.len();
const CONNECTION_CELLS: usize = RECEIVED_CELLS + TRANSPORTS;
const TIME_CELLS: usize = CONNECTION_CELLS + TRANSPORTS * CONNECTION_EVENTS;
const CELLS: usize = TIME_CELLS + TRANSPORTS * (BUCKETS + 1);

const fn outcome_cell(transport: Transport, query_type: QueryType, outcome: Outcome) -> usize {
    (transport as usize * QUERY_TYPES + query_type as usize) * OUTCOMES + outcome as usize
}

const fn event_cell(event: Event) -> usize {
    EVENT_CELLS + event as usize
}

const fn received_cell(transport: Transport) -> usize {
    RECEIVED_CELLS + transport as usize
}

const fn connection_cell(transport: Transport, event: ConnectionEvent) -> usize {
    CONNECTION_CELLS + transport as usize * CONNECTION_EVENTS + event as usize
}

/// The last of a transport has the sum.
const fn time_cell(transport: Transport, bucket: usize) -> usize {
    TIME_CELLS + transport as usize * (BUCKETS + 1) + bucket
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_counts_share_a_cell() {
        let mut cells = HashSet::new();
        for transport in Transport::ALL {
            assert!(cells.insert(received_cell(*transport)));
            for event in ConnectionEvent::ALL {
                assert!(cells.insert(connection_cell(*transport, *event)));
            }
            assert!((0..=BUCKETS).all(|bucket| cells.insert(time_cell(*transport, bucket))));
            for query_type in QueryType::ALL {
                for outcome in Outcome::ALL {
                    assert!(cells.insert(outcome_cell(*transport, *query_type, *outcome)));
                }
            }
        }
        for event in Event::ALL {
            assert!(cells.insert(event_cell(*event)));
        }
        assert_eq!(cells.len(), CELLS);
        assert_eq!(cells.into_iter().max(), Some(CELLS - 1));
    }

    #[test]
    fn totals_sum_over_workers_and_outlive_them() {
        let registry = Registry::default();
        let first = registry.register();
        let second = registry.register();
        first.received(Transport::Udp, 2);
        first.count(Transport::Udp, QueryType::A, Outcome::Answer);
        first.count(Transport::Udp, QueryType::None, Outcome::DropShort);
        second.received(Transport::Tcp, 1);
        second.count(Transport::Tcp, QueryType::A, Outcome::Answer);
        second.event(Event::ReceiveOverflow, 7);
        drop((first, second));
        let totals = registry.totals();
        assert_eq!((totals.received(), totals.received_by(Transport::Tcp)), (3, 1));
        assert_eq!(totals.outcomes(), 3);
        assert_eq!(totals.outcome(Outcome::Answer), 2);
        assert_eq!(totals.queries(Transport::Udp, QueryType::A, Outcome::Answer), 1);
        assert_eq!(totals.event(Event::ReceiveOverflow), 7);
    }

    #[test]
    fn workers_do_not_share_cache_lines() {
        assert_eq!(align_of::<Counters>(), 128);
        assert_eq!(size_of::<Counters>() % 128, 0);
    }
}
