//! NOTIFY to each server that is to know, until it says that it does (RFC 1996 section 3.6).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::keeper::Change;
use super::targets::Target;
use crate::snapshot::Snapshot;
use crate::transfer::notify::{acknowledgement, notify};
use crate::transfer::tsig::Signer;
use crate::wire::{LowerName, Name, Rcode};
use crate::zone::{Image, Serial};

/// From the first try to the second; each time twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(300);
/// An answer is waited for until the next try, and not longer than this.
const MOST_PATIENCE: Duration = Duration::from_secs(8);
/// After so many tries, which is about a minute, the log says that a server does not answer; once.
const TELLING_TRIES: u32 = 6;
/// Questions under way at once, over all zones and servers.
const AT_ONCE: usize = 100;

/// How far each server is with each zone.
#[derive(Debug, Default)]
pub struct Standings(Mutex<BTreeMap<(Name, SocketAddr), Standing>>);

/// How far one server is with one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The serial that it is told of.
    pub serial: Serial,
    /// How often it was told.
    pub tries: u32,
    /// When it acknowledged that.
    pub acknowledged: Option<Timestamp>,
    /// Why it has not, as far as is known.
    pub error: Option<String>,
}

impl Standings {
    /// All of them, by zone and server.
    pub fn all(&self) -> Vec<(Name, SocketAddr, Standing)> {
        let standing =
            |((zone, addr), standing): (&(Name, SocketAddr), &Standing)| (zone.clone(), *addr, standing.clone());
        self.lock().iter().map(standing).collect()
    }

    fn update(&self, zone: &Name, addr: SocketAddr, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.lock().get_mut(&(zone.clone(), addr)) {
            change(standing);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Name, SocketAddr), Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks that tell.
#[derive(Debug)]
pub(super) struct Herald {
    standings: Arc<Standings>,
    tasks: HashMap<(Name, SocketAddr), AbortHandle>,
    places: Arc<Semaphore>,
}

impl Herald {
    pub(super) fn new(standings: Arc<Standings>) -> Self {
        Self { standings, tasks: HashMap::new(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Tells these servers of a change, and no longer of the one before.
    pub(super) fn tell(&mut self, change: &Change, targets: Vec<Target>) {
        for target in targets {
            let key = (change.apex.clone(), target.addr);
            let standing = Standing { serial: change.image.serial(), tries: 0, acknowledged: None, error: None };
            self.standings.lock().insert(key.clone(), standing);
            let telling = Telling {
                apex: change.apex.clone(),
                image: change.image.clone(),
                target,
                standings: Arc::clone(&self.standings),
                places: Arc::clone(&self.places),
            };
            if let Some(before) = self.tasks.insert(key, tokio::spawn(telling.run()).abort_handle()) {
                before.abort();
            }
        }
    }

    /// Ends what concerns zones that are no longer served.
    pub(super) fn forget_all_but(&mut self, snapshot: &Snapshot) {
        let is_served = |apex: &Name| snapshot.zones().exact(&LowerName::of(apex.borrow())).is_some();
        self.tasks.retain(|(apex, _), task| {
            let stays = is_served(apex);
            if !stays {
                task.abort();
            }
            stays && !task.is_finished()
        });
        self.standings.lock().retain(|(apex, _), _| is_served(apex));
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        self.tasks.values().for_each(AbortHandle::abort);
    }
}

/// One server and one change.
struct Telling {
    apex: Name,
    image: Image,
    target: Target,
    standings: Arc<Standings>,
    places: Arc<Semaphore>,
}

impl Telling {
    async fn run(self) {
        let (addr, serial) = (self.target.addr, self.image.serial());
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            self.standings.update(&self.apex, addr, |standing| standing.tries = tries);
            let place = self.places.acquire().await;
            let began = Instant::now();
            let told = timeout(pause.min(MOST_PATIENCE), self.try_once()).await;
            drop(place);
            let error = match told {
                Ok(Ok(())) => {
                    debug!(zone = %self.apex, %addr, %serial, "NOTIFY acknowledged");
                    if tries > TELLING_TRIES {
                        info!(zone = %self.apex, %addr, "NOTIFY is acknowledged again");
                    }
                    let now = Some(Timestamp::now());
                    return self.standings.update(&self.apex, addr, |standing| {
                        (standing.acknowledged, standing.error) = (now, None);
                    });
                }
                Ok(Err(error)) => error,
                Err(_) => "it does not answer".to_owned(),
            };
            if tries == TELLING_TRIES {
                warn!(zone = %self.apex, %addr, tries, "NOTIFY is not acknowledged: {error}; it will be told again");
            }
            self.standings.update(&self.apex, addr, |standing| standing.error = Some(error));
            sleep_until(began + pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Asks, and waits for the answer that fits, however long that takes.
    async fn try_once(&self) -> Result<(), String> {
        let text = |error: io::Error| error.to_string();
        let Target { addr, key, source } = &self.target;
        let any = match addr {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let source = source.filter(|source| source.is_ipv4() == addr.is_ipv4()).unwrap_or(any);
        let socket = UdpSocket::bind((source, 0)).await.map_err(text)?;
        socket.connect(addr).await.map_err(text)?;
        let id = rand::random();
        let mut message = notify(id, &self.image);
        let mut verifier = match key {
            None => None,
            Some((name, None)) => return Err(format!("there is no [key.\"{name}\"] in kofn.toml")),
            Some((_, Some(key))) => {
                let mut signer = Signer::new(key.clone());
                signer.sign(&mut message, seconds());
                Some(signer.into_verifier())
            }
        };
        socket.send(&message).await.map_err(text)?;
        let mut buffer = [0; 1500];
        loop {
            let octets = socket.recv(&mut buffer).await.map_err(text)?;
            let answer = &buffer[..octets];
            let Some(rcode) = acknowledgement(answer, id, self.apex.borrow()) else { continue };
            if let Some(verifier) = &mut verifier {
                verifier.verify(answer, seconds()).map_err(|error| error.to_string())?;
            }
            return if rcode == Rcode::NOERROR { Ok(()) } else { Err(format!("it says {rcode}")) };
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
