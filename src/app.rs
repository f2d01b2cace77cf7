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
mod taken;
mod transfers;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustix::stdio::dup2_stderr;
use rustix::system::uname;
use socket2::Socket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};
use tracing::{error, info, warn};

use crate::admin::{self, Control, ControlError, ListenError, Ownership, Steering, api};
use crate::alert::Alerts;
use crate::announce;
use crate::config::Settings;
use crate::handover::{self, Heir, Step};
use crate::health::Table;
use crate::metrics::{Registry, Transport};
use crate::privileges::{SandboxError, UserError};
use crate::probe::{self, Feed, FirstRound, Prober};
use crate::reload::drains::Drainer;
use crate::reload::{
    Change, Extent, Fault, Follower, Handle, Loader, Look, Looks, Overview, Pass, SettingsSource, Severity, Standing,
};
use crate::replicate::{Replicator, Standings, Watches};
use crate::scribe::Scribe;
use crate::server::{BindError, Bound, Handoff, Running};
use crate::shutdown::{Request, Signals};
use crate::snapshot::{Facts, Publisher, Snapshot};
use crate::supervisor;
use crate::tap::Taps;
use crate::{processor, residency};
use drains::Keeper;
use estate::{Custody, Estate};
use memory::Memory;
use pulse::Pulse;
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
        let (certificates, listening) = (certificates::shown(&self.bound), listening(&self.bound));
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
        let sources = Arc::new(watched(&publisher, (table, registry), overview.clone(), others, process));
        fronts.spawn(Alerts::new(alerts::sources(&publisher, &sources)).run());
        let (drains, retry) = (Arc::new(Keeper(drains)), transfers::retry_by(replicator.handle()));
        let steering = Steering { reload: reload_by(handle.clone()), drains, retry };
        tasks.spawn(replicator.run(notifies));
        fronts.spawn(show(listener, self.admin, sources, steering));
        tell_ready(&overview, &publisher.reader().load());
        tasks.spawn(stay_small());
        let serving = Serving { running, fronts, tasks, custody, estate: self.estate, ownership, solver, scribe };
        serving.conclude(&mut signals, &handle, &mut asked, &publisher).await
    }
}

/// What is at work.
struct Serving {
    running: Running,
    /// What faces people and the service manager.
    fronts: JoinSet<()>,
    tasks: JoinSet<()>,
    custody: Custody,
    estate: Estate,
    ownership: Ownership,
    solver: Solver,
    scribe: Scribe,
}

impl Serving {
    /// Waits for the end, and ends everything in its order.
    async fn conclude(
        mut self,
        signals: &mut Signals,
        handle: &Handle,
        asked: &mut mpsc::UnboundedReceiver<Step>,
        publisher: &Publisher,
    ) -> io::Result<()> {
        match until_the_end(signals, handle, asked, &self.estate, &self.custody).await {
            End::Stop => {
                drop(self.estate);
                drain(self.running, signals).await;
            }
            End::Left { pid, released } => {
                let patience = publisher.reader().load().settings.limits.handover;
                info!(pid, "another process has taken over; who is connected is served for {patience:?} at most");
                supervisor::main_is(pid);
                self.ownership.set_ours(false);
                self.fronts.shutdown().await;
                drop(self.estate);
                let running = self.running;
                let rest = tokio::task::spawn_blocking(|| running.leave()).await.map_err(io::Error::other)?;
                // Whoever has taken over may have ended already; that is no concern of this process any more.
                let _ = released.send(());
                leave::linger(rest, patience, signals).await;
            }
        }
        self.fronts.shutdown().await;
        self.tasks.shutdown().await;
        self.custody.memory.keep();
        self.solver.stop();
        self.scribe.stop();
        drop(self.ownership);
        info!("stopped");
        Ok(())
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

/// How a process comes to its end.
enum End {
    /// It was told to stop.
    Stop,
    /// Another process answers.
    Left { pid: u32, released: SyncSender<()> },
}

/// Serves whoever wants to take over, until one has.
async fn until_the_end(
    signals: &mut Signals,
    handle: &Handle,
    asked: &mut mpsc::UnboundedReceiver<Step>,
    estate: &Estate,
    custody: &Custody,
) -> End {
    loop {
        let step = tokio::select! {
            () = stop_requested(signals, Some(handle)) => return End::Stop,
            step = asked.recv() => step,
        };
        match step {
            Some(Step::Asked(reply)) => {
                info!("another process is about to take over");
                match estate.lend(custody).await {
                    // If it has gone meanwhile, the next step says so.
                    Ok(offer) => drop(reply.send(offer)),
                    Err(error) => {
                        error!("no process can take over: {error}");
                        custody.take();
                    }
                }
            }
            Some(Step::Abandoned) => {
                info!("the other process did not take over; this one goes on");
                custody.take();
            }
            Some(Step::Serving { pid, released }) => return End::Left { pid, released },
            // Nobody takes over any more.
            None => {
                stop_requested(signals, Some(handle)).await;
                return End::Stop;
            }
        }
    }
}

/// Tells the process before this one that it may go, and waits until it has let go of everything.
async fn take_over(heir: Heir, log: Option<OwnedFd>) -> io::Result<()> {
    tokio::task::spawn_blocking(move || heir.serving()).await.map_err(io::Error::other)??;
    info!("taken over from the process before");
    // The one that started this process may wait for that line, and then its terminal is no place for the log.
    let _ = writeln!(io::stdout(), "process {} serves", process::id());
    if let Some(log) = log {
        let _ = dup2_stderr(log);
    }
    Ok(())
}

/// Answers on the control socket and the admin listener.
async fn show(control: UnixListener, admin: Option<TcpListener>, sources: Arc<admin::Sources>, steering: Steering) {
    if let Err(error) = admin::serve(control, admin, sources, steering).await {
        error!("admin and control socket ended: {error}");
    }
}

/// How zones come from others and go to them.
type Others = (Standings, Watches, Arc<announce::Standings>);
/// What does not change while the process runs, and the certificates that it shows.
type Process = (certificates::List, Vec<api::Listening>, api::Privileges, Timestamp);

/// What the admin listener and the control socket show.
fn watched(
    publisher: &Arc<Publisher>,
    (table, registry): (Arc<Table>, Arc<Registry>),
    overview: watch::Receiver<Arc<Overview>>,
    (standings, watches, told): Others,
    (certificates, listen, privileges, started): Process,
) -> admin::Sources {
    let (of_zones, naming) = (standings.clone(), publisher.reader());
    admin::Sources {
        reader: publisher.reader(),
        table,
        registry,
        files: Box::new(move |wanted| files_as_json(&overview.borrow(), &of_zones, wanted)),
        transfers: Box::new(move || transfers::as_json(&standings, &watches, &told)),
        certificates,
        listen,
        privileges,
        alerts: alerts::list(),
        name: Box::new(move || server_name(&naming.load().settings)),
        recent: admin::Recent::default(),
        started,
    }
}

/// Where DNS is answered.
fn listening(bound: &Bound) -> Vec<api::Listening> {
    let at = |transport: Transport, address: &SocketAddr| api::Listening {
        transport: transport.label().to_owned(),
        address: *address,
    };
    let plain = bound.addresses().iter();
    let all = plain.flat_map(|address| [at(Transport::Udp, address), at(Transport::Tcp, address)]);
    #[cfg(feature = "encrypted")]
    let all = all.chain(bound.encrypted_addresses().iter().map(|(transport, address)| at(*transport, address)));
    all.collect()
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
        let _ = tokio::task::spawn_blocking(residency::let_go).await;
    }
}

async fn wait_for(mut first_round: FirstRound) {
    if timeout(FIRST_ROUND, first_round.done()).await.is_err() {
        warn!(
            "the first round of probes is not over after {FIRST_ROUND:?}; who has neither a result nor a verdict from before is served"
        );
    }
}

/// Returns when a signal says to stop. Those that say to reload are passed on, if there is already or still somebody to.
async fn stop_requested(signals: &mut Signals, handle: Option<&Handle>) {
    while signals.next().await == Request::Reload {
        let Some(handle) = handle.cloned() else { continue };
        info!("SIGHUP: reading all files again");
        supervisor::reloading();
        tokio::spawn(async move {
            let status = match handle.reload(Look::All).await {
                Some(pass) => summary(pass.served, pass.faults.len()),
                // The server is about to end, and says so itself.
                None => return,
            };
            supervisor::ready(&status);
        });
    }
}

/// A second signal ends what the first one let finish.
async fn drain(running: Running, signals: &mut Signals) {
    info!("stopping: what has arrived is answered");
    supervisor::stopping();
    tokio::select! {
        _ = tokio::task::spawn_blocking(|| running.stop()) => {}
        () = stop_requested(signals, None) => warn!("stopping at once"),
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

fn reload_by(handle: Handle) -> admin::Reload {
    Box::new(move |force| {
        let (handle, look) = (handle.clone(), if force { Look::Forced } else { Look::All });
        Box::pin(async move { handle.reload(look).await.map(pass_as_json) })
    })
}

fn pass_as_json(pass: Pass) -> api::Reloaded {
    let (errors, warnings): (Vec<_>, Vec<_>) = pass.faults.iter().partition(|fault| fault.severity == Severity::Error);
    let (errors, warnings) = (texts(errors), texts(warnings));
    api::Reloaded {
        zones: pass.served,
        changed: pass.changed.into_iter().map(change_as_json).collect(),
        errors,
        warnings,
    }
}

fn change_as_json(change: Change) -> api::Change {
    let extent = |Extent { serial, records }| api::Extent { serial: serial.0, records };
    let pools = change.pools.into_iter().map(|pool| api::PoolChange {
        pool: pool.pool.to_string(),
        rtype: pool.rtype.to_string(),
        members: pool.members,
        added: pool.added,
        removed: pool.removed,
    });
    api::Change {
        zone: change.zone.to_string(),
        before: change.before.map(extent),
        after: change.after.map(extent),
        pools: pools.collect(),
    }
}

fn files_as_json(overview: &Overview, standings: &Standings, wanted: admin::Zones) -> admin::Files {
    let wanted = |zone: &Standing| wanted == admin::Zones::All || !zone.is_current();
    let Looks { good, faulty, last, took, taken } = overview.looks.clone();
    let (taken, changed) = taken.unzip();
    let changed = changed.into_iter().flatten().map(change_as_json).collect();
    admin::Files {
        faults: texts(&overview.faults),
        zones: transfers::zones(&overview.zones, standings, wanted),
        reloads: api::Reloads { good, faulty, last, took: took.as_secs_f64(), taken, changed },
    }
}

fn zone_as_json(standing: &Standing) -> api::Zone {
    let Standing { source, has_file: _, served, errors, held, warnings } = standing;
    api::Zone {
        name: source.apex.to_string(),
        file: source.zone.display().to_string(),
        state: match served {
            None => api::ZoneState::Broken,
            Some(_) if !held.is_empty() => api::ZoneState::Held,
            Some(_) if errors.is_empty() => api::ZoneState::Current,
            Some(_) => api::ZoneState::Stale,
        },
        serial: served.map(|served| served.serial.0),
        records: served.map_or(0, |served| served.records),
        loaded: served.map(|served| served.loaded),
        errors: texts(errors),
        held: texts(held),
        warnings: texts(warnings),
    }
}

fn texts<'a>(faults: impl IntoIterator<Item = &'a Fault>) -> Vec<String> {
    faults.into_iter().map(Fault::to_string).collect()
}

/// The thread that spreads large rotations anew.
struct Solver {
    publisher: Arc<Publisher>,
    thread: thread::JoinHandle<()>,
}

impl Solver {
    fn start(publisher: Arc<Publisher>) -> io::Result<Self> {
        let solving = Arc::clone(&publisher);
        let thread = thread::Builder::new().name("solver".into()).spawn(move || {
            processor::give_way();
            solving.solve_until_stopped();
        })?;
        Ok(Self { publisher, thread })
    }

    fn stop(self) {
        self.publisher.stop();
        // If it panicked it has said so, and nothing is left to solve.
        let _ = self.thread.join();
    }
}
