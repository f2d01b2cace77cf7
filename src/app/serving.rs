//! The program while it serves, and its end: told to stop, or another process answers in its place.
//!
//! ```text
//! SIGTERM ──────────────────────► Stop: sockets drained ─┐
//! another process ─► Step … ────► Left: sockets let go ──┴─► fronts, tasks, state folder ─► end
//! ```

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::process;
use std::sync::mpsc::SyncSender;

use rustix::stdio::dup2_stderr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::estate::{Custody, Estate};
use super::solver::Solver;
use super::{leave, summary};
use crate::admin::Ownership;
use crate::handover::{Heir, Step};
use crate::reload::{Handle, Look};
use crate::scribe::Scribe;
use crate::server::Running;
use crate::shutdown::{Request, Signals};
use crate::snapshot::Publisher;
use crate::supervisor;

/// What is at work.
pub(super) struct Serving {
    pub(super) running: Running,
    /// What faces people and the service manager.
    pub(super) fronts: JoinSet<()>,
    pub(super) tasks: JoinSet<()>,
    pub(super) custody: Custody,
    pub(super) estate: Estate,
    pub(super) ownership: Ownership,
    pub(super) solver: Solver,
    pub(super) scribe: Scribe,
}

impl Serving {
    /// Waits for the end, and ends everything in its order.
    pub(super) async fn conclude(
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
pub(super) async fn take_over(heir: Heir, log: Option<OwnedFd>) -> io::Result<()> {
    tokio::task::spawn_blocking(move || heir.serving()).await.map_err(io::Error::other)??;
    info!("taken over from the process before");
    // The one that started this process may wait for that line, and then its terminal is no place for the log.
    let _ = writeln!(io::stdout(), "process {} serves", process::id());
    if let Some(log) = log {
        let _ = dup2_stderr(log);
    }
    Ok(())
}

/// Returns when a signal says to stop. Those that say to reload are passed on, if there is already or still somebody to.
pub(super) async fn stop_requested(signals: &mut Signals, handle: Option<&Handle>) {
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
