//! The task that gives each secondary zone a task of its own, and takes it away again.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, info, warn};

use super::catalogs::Catalogs;
use super::context::Context;
use super::lag::{self, Watches};
use super::secondary::{Plan, Round, Secondary, Trigger};
use super::standing::Standings;
use super::store::{Kept, Store};
use crate::config::ZonePolicy;
use crate::processor;
use crate::snapshot::{Publisher, Transferred};
use crate::transfer::notify::Notified;
use crate::wire::Name;

/// Asks the task.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Command>);

#[derive(Debug)]
struct Command {
    zone: Name,
    force: bool,
    reply: oneshot::Sender<Result<Round, String>>,
}

impl Handle {
    /// Looks at the primaries of a zone now, and returns what came of it; `force` takes what they have even if it is not
    /// newer. `None` when the server is about to end.
    pub async fn retry(&self, zone: &Name, force: bool) -> Option<Result<Round, String>> {
        let (reply, told) = oneshot::channel();
        self.0.send(Command { zone: zone.clone(), force, reply }).await.ok()?;
        told.await.ok()
    }
}

/// See the module.
pub struct Replicator {
    context: Arc<Context>,
    catalogs: Catalogs,
    generations: watch::Receiver<u64>,
    tasks: JoinSet<()>,
    secondaries: HashMap<Name, Running>,
    commands: mpsc::Receiver<Command>,
    handle: Handle,
}

/// A secondary zone that has its task.
struct Running {
    plan: Arc<ArcSwap<Plan>>,
    policy: Arc<ZonePolicy>,
    triggers: mpsc::Sender<Trigger>,
    task: AbortHandle,
}

impl std::fmt::Debug for Replicator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replicator").field("secondaries", &self.secondaries.len()).finish_non_exhaustive()
    }
}

impl Replicator {
    /// Follows the zones of `publisher`, and keeps what comes below `state` while that is `ours`. Nothing happens yet.
    pub fn new(publisher: Arc<Publisher>, state: &Path, ours: watch::Receiver<bool>) -> Self {
        let generations = publisher.generations();
        let context = Context::new(publisher, Store::below(state), Standings::default(), ours);
        let (sender, commands) = mpsc::channel(16);
        Self {
            context,
            catalogs: Catalogs::default(),
            generations,
            tasks: JoinSet::new(),
            secondaries: HashMap::new(),
            commands,
            handle: Handle(sender),
        }
    }

    /// Asks the task.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// How the zones stand, now and later.
    pub fn standings(&self) -> Standings {
        self.context.standings.clone()
    }

    /// What the servers in `watch` serve, now and later.
    pub fn watches(&self) -> Watches {
        self.context.watches.clone()
    }

    /// Serves what the state folder has of the zones that are configured, and starts to follow them.
    pub async fn restore(&mut self) {
        // What a catalog lists is known only when the catalog is there.
        while self.reconcile().await {}
    }

    /// Runs until it is dropped.
    pub async fn run(mut self, mut notified: mpsc::Receiver<Notified>) {
        self.tasks.spawn(lag::run(Arc::clone(&self.context), self.generations.clone()));
        loop {
            tokio::select! {
                changed = self.generations.changed() => match changed {
                    Ok(()) => while self.reconcile().await {},
                    Err(_) => return,
                },
                Some(Notified { zone, from, .. }) = notified.recv() => {
                    if let Some(running) = self.secondaries.get(&zone) {
                        // One that waits is enough: it is read when the look before it is over.
                        let _ = running.triggers.try_send(Trigger::Notified(from));
                    }
                }
                Some(command) = self.commands.recv() => self.obey(command),
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        error!("a secondary zone's task failed: {error}");
                    }
                }
            }
        }
    }

    fn obey(&self, Command { zone, force, reply }: Command) {
        let Some(running) = self.secondaries.get(&zone) else {
            // Who asked may have gone away, here and below.
            let _ = reply.send(Err(format!("{zone} is no secondary zone of this server")));
            return;
        };
        let triggers = running.triggers.clone();
        tokio::spawn(async move { triggers.send(Trigger::Retry { force, reply }).await });
    }

    /// Gives tasks to the zones that need one and takes away those that are over; says whether that changed the zones.
    async fn reconcile(&mut self) -> bool {
        self.generations.mark_unchanged();
        let snapshot = self.context.reader.load();
        if self.catalogs.follow(&snapshot, &self.context) {
            return true;
        }
        let secondaries = snapshot.zones().iter().filter(|(_, zone)| !zone.policy.transfer.from.is_empty());
        let wanted: BTreeMap<&Name, Arc<ZonePolicy>> =
            secondaries.map(|(apex, zone)| (apex, Arc::clone(&zone.policy))).collect();
        let gone: Vec<Name> = self.secondaries.keys().filter(|apex| !wanted.contains_key(apex)).cloned().collect();
        gone.iter().for_each(|apex| self.end(apex));
        let mut new = Vec::new();
        for (apex, policy) in wanted {
            let plan = Plan { transfer: policy.transfer.clone(), member: self.catalogs.member(apex) };
            match self.secondaries.get_mut(apex) {
                Some(running) if running.plan.load().member != plan.member => {
                    // The catalog lists it under another label: its state is to be forgotten (RFC 9432 section 5.4).
                    self.end(apex);
                    self.forget(apex);
                    new.push((apex.clone(), plan, policy));
                }
                Some(running) if !Arc::ptr_eq(&running.policy, &policy) => {
                    running.policy = policy;
                    let same = **running.plan.load() == plan;
                    running.plan.store(Arc::new(plan));
                    let trigger = if same { Trigger::Judge } else { Trigger::Changed };
                    // If it does not fit, the zone is about to look in any case.
                    let _ = running.triggers.try_send(trigger);
                }
                Some(_) => {}
                None => new.push((apex.clone(), plan, policy)),
            }
        }
        !new.is_empty() && self.begin(new).await
    }

    /// Starts zones with what the state folder has of them; says whether it had anything.
    async fn begin(&mut self, new: Vec<(Name, Plan, Arc<ZonePolicy>)>) -> bool {
        let store = self.context.store.clone();
        let apexes: Vec<Name> = new.iter().map(|(apex, ..)| apex.clone()).collect();
        let kept = processor::aside(move || load_all(&store, &apexes)).await.expect("reading does not panic");
        let mut transferred = Vec::new();
        for ((apex, plan, policy), kept) in new.into_iter().zip(kept) {
            let kept = kept.unwrap_or_else(|message| {
                warn!(zone = %apex, "what the state folder has of the zone cannot be used: {message}");
                None
            });
            let label = plan.member.as_ref().map(|(_, label)| label);
            let kept = kept.filter(|kept| label.is_none() || kept.note.member.as_ref() == label);
            let plan = Arc::new(ArcSwap::from_pointee(plan));
            let (secondary, data) = Secondary::new(&apex, Arc::clone(&self.context), Arc::clone(&plan), kept);
            // A zone of which there is nothing has to be said, too: there may be data of one that was there before.
            transferred.push((apex.clone(), data));
            let (triggers, receiver) = mpsc::channel(1);
            let task = self.tasks.spawn(secondary.run(receiver));
            self.secondaries.insert(apex, Running { plan, policy, triggers, task });
        }
        let has_data = transferred.iter().any(|(_, data)| matches!(data, Transferred::Data(_)));
        self.context.publisher.replace_transferred(transferred);
        has_data
    }

    fn end(&mut self, apex: &Name) {
        let Some(running) = self.secondaries.remove(apex) else { return };
        info!(zone = %apex, "the zone is not transferred any more");
        running.task.abort();
        let was_member = running.plan.load().member.is_some();
        self.context.standings.remove(apex);
        self.context.publisher.replace_transferred(vec![(apex.clone(), Transferred::NotReady)]);
        if was_member {
            self.forget(apex);
        }
    }

    fn forget(&self, apex: &Name) {
        if let Err(error) = self.context.store.remove(apex) {
            warn!(zone = %apex, "the state folder still has the zone: {error}");
        }
    }
}

/// Reads zones of the state folder, as many at a time as there are cores. They come back in their order.
fn load_all(store: &Store, apexes: &[Name]) -> Vec<Result<Option<Kept>, String>> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(apexes.len());
    let queue = Mutex::new(apexes.iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || std::iter::from_fn(next).map(|(index, apex)| (index, store.load(apex))).collect::<Vec<_>>();
    let mut loads: Vec<(usize, _)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("reading does not panic")).collect()
    });
    loads.sort_unstable_by_key(|(index, _)| *index);
    loads.into_iter().map(|(_, load)| load).collect()
}
