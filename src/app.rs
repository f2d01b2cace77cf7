//! Layer 4: the program. [`Taken::take`] takes what it needs of the system, [`App::run`] serves, then drains.
//!
//! ```text
//! take:  DNS sockets, admin, state folder; the user, the sandbox    what cannot be had is told before anything is read
//! run:   zones ─► first round of probes ─► workers ─► ready ─► … ─► SIGTERM ─► sockets drained ─► end
//! ```
//!
//! The tasks do not know each other; what one needs of another is handed to it here.

mod alerts;
mod certificates;
mod drains;
mod elsewhere;
mod estate;
mod leave;
mod memory;
mod pulse;
mod serving;
mod solver;
mod status;
mod taken;
mod transfers;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::system::uname;
use socket2::Socket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};
use tracing::{error, info, warn};

use crate::admin::{self, Control, ControlError, ListenError, Steering, api};
use crate::alert::Alerts;
use crate::announce;
use crate::config::Settings;
use crate::handover::{self, Heir};
use crate::health::Table;
use crate::metrics::Registry;
use crate::privileges::{SandboxError, UserError};
use crate::probe::{self, Feed, FirstRound, Prober};
use crate::processor;
use crate::reload::drains::Drainer;
use crate::reload::{Follower, Loader, Overview, SettingsSource};
use crate::replicate::Replicator;
use crate::residency;
use crate::scribe::Scribe;
use crate::server::{BindError, Bound, Handoff};
use crate::shutdown::Signals;
use crate::snapshot::{Facts, Publisher, Snapshot};
use crate::supervisor;
use crate::tap::Taps;
use drains::Keeper;
use estate::{Custody, Estate};
use memory::Memory;
use pulse::Pulse;
use serving::{Serving, stop_requested, take_over};
use solver::Solver;
pub use taken::Taken;

/// How long the first answer may wait for the first verdicts. A backend that takes longer counts as healthy until its
/// probe ends.
const FIRST_ROUND: Duration = Duration::from_secs(3);

/// So long after it is ready the program has done what it does but once.
const STARTED: Duration = Duration::from_secs(3);
/// How often memory that is of no use is given back. What is in use is mapped again, which costs some 20 µs.
const RESIDENCY: Duration = Duration::from_mins(1);

/// The folder in the state folder that has the journals of zones.
const JOURNALS: &str = "journal";

/// Why the program cannot have what it needs.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No handler of signals.
    #[error("signals: {0}")]
    Signals(io::Error),
    /// The state folder.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// An address to answer on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin address.
    #[error(transparent)]
    Admin(#[from] ListenError),
    /// The user to become.
    #[error(transparent)]
    User(#[from] UserError),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Nobody to take over from.
    #[error("{}: no server passes on what it has: {error}; start one with `kofn serve`", state.display())]
    NoPredecessor {
        /// The state folder.
        state: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What the next process asks for, or the one before has passed on.
    #[error("handover: {0}")]
    State(io::Error),
}

/// The program, with all of its sockets and nothing read yet.
#[derive(Debug)]
pub struct App {
    signals: Signals,
    control: Control,
    bound: Bound,
    admin: Option<TcpListener>,
    table: Arc<Table>,
    memory: Arc<Memory>,
    publisher: Arc<Publisher>,
    loader: Loader,
    journals: PathBuf,
    state: PathBuf,
    replicator: Replicator,
    privileges: api::Privileges,
    ours: watch::Sender<bool>,
    estate: Estate,
    giver: Socket,
    heir: Option<Heir>,
    log: Option<OwnedFd>,
    watchdog: Option<Duration>,
    started: Timestamp,
}

impl App {
    /// Takes the signals, and makes what serves of what was taken. A runtime must be there.
    ///
    /// # Errors
    /// When the system refuses a handler of signals.
    pub fn build(source: SettingsSource, settings: Settings, taken: Taken) -> Result<Self, BuildError> {
        let signals = Signals::new().map_err(BuildError::Signals)?;
        let Taken { bound, admin, control, privileges, giver, heir, log, watchdog } = taken;
        let estate = Estate::of(&bound, admin.as_ref(), &control, &giver, watchdog).map_err(BuildError::State)?;
        // Until the process before lets go of the state folder, it is that one's.
        let ours = watch::Sender::new(heir.is_none());
        let table = Arc::new(Table::default());
        let memory = Memory::open(&settings.state, &table, ours.subscribe());
        let (facts, journals) = (Facts::of(Arc::clone(&table)), settings.state.join(JOURNALS));
        facts.remember(announce::remembered(&journals));
        let publisher = Publisher::new(Arc::new(settings.clone()), facts);
        let state = settings.state.clone();
        let replicator = Replicator::new(Arc::clone(&publisher), &settings.state, ours.subscribe());
        let loader = Loader::new(source, settings, Arc::clone(&publisher)).beside(certificates::followed(&bound));
        let started = Timestamp::now();
        Ok(Self {
            signals,
            control,
            bound,
            admin,
            table,
            memory,
            publisher,
            loader,
            state,
            journals,
            replicator,
            privileges,
            ours,
            estate,
            giver,
            heir,
            log,
            watchdog,
            started,
        })
    }

    /// Reads the zones, waits for the first verdicts, and serves until a signal says to stop. What has arrived by then is
    /// still answered.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub async fn run(self) -> io::Result<()> {
        let Self { publisher, table, memory, mut signals, mut replicator, .. } = self;
        let (Control { listener, mut ownership }, ours) = (self.control, self.ours);
        let solver = Solver::start(Arc::clone(&publisher))?;
        // Before the zones: whoever is drained is in no hand from the first.
        let (drainer, drains) = Drainer::start(self.state, Arc::clone(&publisher), ours.subscribe()).await?;
        let overview = self.loader.overview();
        let (follower, handle) = tokio::select! {
            started = Follower::start(self.loader) => started,
            () = stop_requested(&mut signals, None) => return Ok(()),
        };
        // Before the first probes: members of transferred zones are probed, too.
        replicator.restore().await;
        drainer.assume_copies().await;
        let mut tasks = JoinSet::new();
        tasks.spawn(drainer.run());
        let prober = Prober::new(Feed::of(&publisher), Arc::clone(&table));
        let first_round = prober.first_round();
        let prober = tasks.spawn(prober.run());
        tasks.spawn(Arc::clone(&memory).run(publisher.generations()));
        tasks.spawn(probe::warm(Arc::clone(&publisher)));
        tokio::select! {
            () = wait_for(first_round) => {}
            () = stop_requested(&mut signals, Some(&handle)) => return Ok(()),
        }
        let registry = Arc::new(Registry::default());
        let announcing = announcing(&publisher, self.journals, self.bound.addresses(), ours.subscribe());
        let (notified, notifies) = mpsc::channel(NOTIFIES);
        let (taps, scribe) = write_down(&publisher, &registry, &mut tasks)?;
        let handoff = Handoff { taps, journals: Arc::clone(&announcing.journals), notified, ours: ours.subscribe() };
        let (certificates, listening) = (certificates::shown(&self.bound), status::listening(&self.bound));
        let mut running = self.bound.run(&publisher.reader(), &registry, handoff)?;
        if let Some(heir) = self.heir {
            take_over(heir, self.log).await?;
        }
        ownership.set_ours(true);
        let custody = Custody { ours, memory: Arc::clone(&memory), drains: drains.clone() };
        custody.take();
        let (steps, mut asked) = mpsc::unbounded_channel();
        handover::offer(self.giver, steps)?;
        // What faces people and the service manager ends at once when another process takes over.
        let mut fronts = JoinSet::new();
        let told = announcing.standings.clone();
        tasks.spawn(announce::run(announcing));
        tasks.spawn(follower.run());
        Pulse { workers: running.vitals(), prober, table: Arc::clone(&table) }.start(self.watchdog, &mut fronts);
        let others = (replicator.standings(), replicator.watches(), told);
        let process = (certificates, listening, self.privileges, self.started);
        let sources = Arc::new(status::watched(&publisher, (table, registry), overview.clone(), others, process));
        fronts.spawn(Alerts::new(alerts::sources(&publisher, &sources)).run());
        let (drains, retry) = (Arc::new(Keeper(drains)), transfers::retry_by(replicator.handle()));
        let steering = Steering { reload: status::reload_by(handle.clone()), drains, retry };
        tasks.spawn(replicator.run(notifies));
        fronts.spawn(show(listener, self.admin, sources, steering));
        tell_ready(&overview, &publisher.reader().load());
        tasks.spawn(stay_small());
        let serving = Serving { running, fronts, tasks, custody, estate: self.estate, ownership, solver, scribe };
        serving.conclude(&mut signals, &handle, &mut asked, &publisher).await
    }
}

/// Starts whoever writes down what the doors show.
fn write_down(publisher: &Publisher, registry: &Registry, tasks: &mut JoinSet<()>) -> io::Result<(Arc<Taps>, Scribe)> {
    let (reader, taps) = (publisher.reader(), Arc::new(Taps::default()));
    let name = server_name(&reader.load().settings);
    let scribe = Scribe::start(reader, Arc::clone(&taps), registry.register(), name)?;
    tasks.spawn(scribe.follow(publisher.generations()));
    Ok((taps, scribe))
}

/// Answers on the control socket and the admin listener.
async fn show(control: UnixListener, admin: Option<TcpListener>, sources: Arc<admin::Sources>, steering: Steering) {
    if let Err(error) = admin::serve(control, admin, sources, steering).await {
        error!("admin and control socket ended: {error}");
    }
}

/// What others are told of, and how.
fn announcing(
    publisher: &Arc<Publisher>,
    folder: PathBuf,
    own: &[SocketAddr],
    ours: watch::Receiver<bool>,
) -> announce::Context {
    let (journals, standings) = Default::default();
    announce::Context { publisher: Arc::clone(publisher), journals, folder, own: own.to_vec(), standings, ours }
}

/// NOTIFYs that wait: a fleet of zones may change in one moment, and what does not fit is told again by who sent it.
const NOTIFIES: usize = 1024;

/// Gives back what only the start has needed, and what was used once since, until it is dropped.
async fn stay_small() {
    let mut pauses = interval_at(Instant::now() + STARTED, RESIDENCY);
    loop {
        pauses.tick().await;
        // If it panicked nothing is lost but some memory.
        let _ = processor::aside(residency::let_go).await;
    }
}

async fn wait_for(mut first_round: FirstRound) {
    if timeout(FIRST_ROUND, first_round.done()).await.is_err() {
        warn!(
            "the first round of probes is not over after {FIRST_ROUND:?}; who has neither a result nor a verdict from before is served"
        );
    }
}

fn tell_ready(overview: &watch::Receiver<Arc<Overview>>, snapshot: &Snapshot) {
    let overview = overview.borrow();
    let served = snapshot.zones().iter().filter(|(_, zone)| zone.zone.is_some()).count();
    if served == 0 {
        warn!("there is no zone to serve; a file NAME.zone in the zones folder adds one, now or later");
    }
    let broken = overview.zones.iter().filter(|zone| zone.has_file && zone.served.is_none()).count();
    info!(zones = served, broken, "ready");
    supervisor::ready(&summary(served, overview.faults.len() + broken));
}

/// One line for people who ask the service manager.
fn summary(zones: usize, faults: usize) -> String {
    let zones = if zones == 1 { "1 zone".to_owned() } else { format!("{zones} zones") };
    match faults {
        0 => format!("serving {zones}"),
        1 => format!("serving {zones}; 1 fault, see `kofn status`"),
        _ => format!("serving {zones}; {faults} faults, see `kofn status`"),
    }
}

/// What this server calls itself before people: `identity.id`, or the name of the machine.
pub fn server_name(settings: &Settings) -> Arc<str> {
    match &settings.identity.id {
        Some(id) => id.as_str().into(),
        None => uname().nodename().to_string_lossy().into(),
    }
}
