//! How old the state is that other servers serve: they are asked for their SOA, and its serial is looked up in what this
//! server has served since its start.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::context::Context;
use super::exchange::Peer;
use super::pull::probe;
use crate::config::Primary;
use crate::wire::Name;
use crate::zone::Serial;

/// What one watched server serves of one zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// What this server serves.
    pub ours: Option<Serial>,
    /// What it served when it answered last.
    pub theirs: Option<Serial>,
    /// For how long that has not been what this server serves, at least; `None` when it never answered.
    pub lag: Option<Duration>,
    /// Whether that is more than `lag_limit`, or it has not answered for as long.
    pub late: bool,
    /// When it answered last.
    pub answered: Option<Timestamp>,
    /// Why it did not the last time, if it did not.
    pub error: Option<String>,
}

/// All of them. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Watches(Arc<Mutex<BTreeMap<(Name, SocketAddr), Watched>>>);

impl Watches {
    /// As of now, by zone and server.
    pub fn all(&self) -> BTreeMap<(Name, SocketAddr), Watched> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Name, SocketAddr), Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The serials that a zone has had, and since when.
#[derive(Debug, Default)]
struct History(Vec<(Serial, Instant)>);

impl History {
    fn note(&mut self, serial: Serial, now: Instant) {
        if self.0.last().is_none_or(|(last, _)| *last != serial) {
            self.0.push((serial, now));
        }
        if self.0.len() > LONGEST_HISTORY {
            self.0.remove(0);
        }
    }

    /// For how long `theirs` has not been the newest; at least so long where it is older than all that is remembered.
    fn lag(&self, theirs: Serial, now: Instant) -> Duration {
        let newer = match self.0.iter().rposition(|(serial, _)| *serial == theirs) {
            Some(at) => self.0.get(at + 1),
            None => self.0.first().filter(|_| self.0.last().is_some_and(|(last, _)| last.is_after(theirs))),
        };
        newer.map_or(Duration::ZERO, |(_, since)| now.duration_since(*since))
    }
}

/// Asks all watched servers again and again, until it is dropped.
pub(super) async fn run(context: Arc<Context>, mut generations: watch::Receiver<u64>) {
    let mut histories: HashMap<Name, History> = HashMap::new();
    let mut since: HashMap<(Name, SocketAddr), Instant> = HashMap::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = generations.changed() => match changed {
                Ok(()) => note(&context, &mut histories),
                Err(_) => return,
            },
            _ = ticks.tick() => {
                note(&context, &mut histories);
                look(&context, &histories, &mut since).await;
            }
        }
    }
}

fn note(context: &Context, histories: &mut HashMap<Name, History>) {
    let snapshot = context.reader.load();
    for (apex, zone) in snapshot.zones().iter().filter(|(_, zone)| !zone.policy.transfer.watch.is_empty()) {
        if let Some(serial) = zone.serial() {
            histories.entry(apex.clone()).or_default().note(serial, Instant::now());
        }
    }
}

/// One look at every watched server, as many at a time as there may be questions under way.
async fn look(
    context: &Arc<Context>,
    histories: &HashMap<Name, History>,
    since: &mut HashMap<(Name, SocketAddr), Instant>,
) {
    let snapshot = context.reader.load();
    let mut asks = JoinSet::new();
    let mut limits = HashMap::new();
    for (apex, zone) in snapshot.zones().iter() {
        let transfer = &zone.policy.transfer;
        for server in &transfer.watch {
            limits.insert((apex.clone(), *server), (transfer.lag_limit, zone.serial()));
            let (context, apex, server) = (Arc::clone(context), apex.clone(), *server);
            asks.spawn(async move {
                let _slot = context.probes.acquire().await;
                let peer = Peer { primary: Primary { addr: server, key: None, tls: None }, key: None };
                let told = probe(&peer, &apex, &context.links).await;
                ((apex, server), told.map_err(|error| error.to_string()))
            });
        }
    }
    context.watches.lock().retain(|key, _| limits.contains_key(key));
    since.retain(|key, _| limits.contains_key(key));
    while let Some(asked) = asks.join_next().await {
        let Ok((key, told)) = asked else { continue };
        let (limit, ours) = limits[&key];
        let now = Instant::now();
        let heard = since.entry(key.clone()).or_insert(now);
        let mut watches = context.watches.lock();
        let watched = watches.entry(key.clone()).or_default();
        watched.ours = ours;
        match told {
            Ok(theirs) => {
                *heard = now;
                let lag = histories.get(&key.0).map_or(Duration::ZERO, |history| history.lag(theirs, now));
                (watched.theirs, watched.lag, watched.answered) = (Some(theirs), Some(lag), Some(Timestamp::now()));
                watched.error = None;
            }
            Err(error) => watched.error = Some(error),
        }
        let silent = now.duration_since(*heard) > limit;
        tell(&key, watched, silent || watched.lag.is_some_and(|lag| lag > limit));
    }
}

/// Says when a server becomes late, and when it is so no more.
fn tell((apex, server): &(Name, SocketAddr), watched: &mut Watched, late: bool) {
    match (watched.late, late) {
        (false, true) => {
            let (lag, error) = (watched.lag, watched.error.as_deref());
            warn!(zone = %apex, %server, ?lag, error, "the server serves an old state of the zone, or none");
        }
        (true, false) => info!(zone = %apex, %server, "the server serves the zone as it is again"),
        _ => {}
    }
    watched.late = late;
}

const EVERY: Duration = Duration::from_secs(5);
/// Serials that are remembered of a zone: a day of one change every ten seconds.
const LONGEST_HISTORY: usize = 8640;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_the_time_since_the_next_serial() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::default();
        for (serial, seconds) in [(5, 0), (5, 5), (6, 10), (7, 20)] {
            history.note(Serial(serial), at(seconds));
        }
        let lag = |serial| history.lag(Serial(serial), at(30)).as_secs();
        assert_eq!([lag(7), lag(6), lag(5)], [0, 10, 20]);
        assert_eq!(lag(4), 30, "older than all that is remembered");
        assert_eq!(lag(8), 0, "ahead of us");
    }
}
