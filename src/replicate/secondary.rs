//! One secondary zone: it asks its primaries when it is time or when it is told to, and gives up when it has not heard for
//! too long.
//!
//! ```text
//! refresh, NOTIFY, retry ─► round: primaries in order ─► probe ─┬─ not newer ─► checked
//!                              │                                └─ newer ─► pull ─► publish ─► state folder
//! EXPIRE ─► SERVFAIL ◄─────────┴─ all failed: retry
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use super::clock::{Timers, first_retry, jittered};
use super::context::Context;
use super::exchange::{Peer, PullError};
use super::pull::{How, Pulled, probe, pull};
use super::standing::State;
use super::store::{Kept, Note};
use crate::config::{Primary, Transfer};
use crate::processor;
use crate::snapshot::{Transferred, misfits};
use crate::transfer::tsig::Key;
use crate::wire::{LowerName, Name};
use crate::zone::{Serial, Zone};

/// Why a zone looks at its primaries before it is time.
#[derive(Debug)]
pub(super) enum Trigger {
    /// A primary said that there is something new (RFC 1996).
    Notified(IpAddr),
    /// The primaries have changed.
    Changed,
    /// The policy has changed in what does not matter for transfers: whether it still fits is all there is to see.
    Judge,
    /// Somebody asked; `force` takes a serial that went back.
    Retry { force: bool, reply: oneshot::Sender<Result<Round, String>> },
}

/// What a look at the primaries came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Round {
    /// The primary has nothing newer.
    Same(Serial),
    /// The zone is another now.
    Taken {
        /// What was here before.
        before: Option<Serial>,
        /// What is here now.
        after: Serial,
    },
}

/// What the configuration says of a zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) transfer: Transfer,
    /// The catalog that lists it and the label there.
    pub(super) member: Option<(Name, String)>,
}

/// See the module.
pub(super) struct Secondary {
    apex: Name,
    context: Arc<Context>,
    plan: Arc<ArcSwap<Plan>>,
    held: Option<Held>,
    expired: AtomicBool,
    failures: u32,
    due: Instant,
    last_error: String,
}

/// The zone that is here.
#[derive(Clone, Debug)]
struct Held {
    zone: Arc<Zone>,
    note: Note,
    /// When it is too old to be served.
    expires: Instant,
}

impl Secondary {
    /// With what the state folder has of the zone, which is returned for publication.
    pub(super) fn new(
        apex: &Name,
        context: Arc<Context>,
        plan: Arc<ArcSwap<Plan>>,
        kept: Option<Kept>,
    ) -> (Self, Transferred) {
        let (mut held, mut transferred, mut due) = (None, Transferred::NotReady, Instant::now());
        if let Some(Kept { zone, note }) = kept {
            let zone = Arc::new(zone);
            let timers = Timers::of(&zone, &plan.load().transfer.refresh);
            // A clock that was put back must not make a zone last longer than from now.
            let age = Timestamp::now().duration_since(note.checked).max(SignedDuration::ZERO).unsigned_abs();
            let left = timers.expire.saturating_sub(age);
            transferred = match left.is_zero() {
                true => Transferred::Expired,
                false => Transferred::Data(Arc::clone(&zone)),
            };
            // NOTIFYs went past while the server was down; so it asks soon, but not all zones in one moment.
            due += AFTER_START.mul_f64(rand::random());
            held = Some(Held { zone, note, expires: Instant::now() + left });
        }
        let expired = AtomicBool::new(matches!(transferred, Transferred::Expired));
        let secondary =
            Self { apex: apex.clone(), context, plan, held, expired, failures: 0, due, last_error: String::new() };
        secondary.tell_standing();
        (secondary, transferred)
    }

    /// Runs until the sender of the triggers is gone.
    pub(super) async fn run(mut self, mut triggers: mpsc::Receiver<Trigger>) {
        let mut not_before = Instant::now();
        loop {
            let trigger = tokio::select! {
                () = self.expiry() => {
                    self.expire();
                    continue;
                }
                () = sleep_until(self.due) => None,
                trigger = triggers.recv() => match trigger {
                    None => return,
                    some => some,
                },
            };
            if let Some(Trigger::Judge) = trigger {
                self.tell_misfits();
                self.tell_standing();
                continue;
            }
            if let Some(Trigger::Notified(_)) = trigger {
                // A primary that changes often says so often: what it says while this waits is one look.
                sleep_until(not_before).await;
            }
            not_before = Instant::now() + BETWEEN_NOTIFIES;
            let (force, first) = match &trigger {
                Some(Trigger::Retry { force, .. }) => (*force, None),
                Some(Trigger::Notified(source)) => (false, Some(*source)),
                _ => (false, None),
            };
            // What another process has taken is the newest; two would write one file.
            if self.context.ours.clone().wait_for(|ours| *ours).await.is_err() {
                return;
            }
            let result = {
                let round = self.round(first, force);
                tokio::pin!(round);
                loop {
                    tokio::select! {
                        result = &mut round => break result,
                        () = self.expiry() => self.expire(),
                    }
                }
            };
            let told = self.conclude(result).await;
            if let Some(Trigger::Retry { reply, .. }) = trigger {
                // Who asked may have gone away.
                let _ = reply.send(told);
            }
        }
    }

    /// Asks the primaries in order, one that said that there is something new before all.
    async fn round(&self, first: Option<IpAddr>, force: bool) -> Result<Step, String> {
        let plan = self.plan.load_full();
        let (mut order, others): (Vec<&Primary>, Vec<&Primary>) =
            plan.transfer.from.iter().partition(|primary| Some(primary.addr.ip()) == first);
        order.extend(others);
        let mut errors: Vec<String> = Vec::new();
        for primary in order {
            match self.ask(primary, force).await {
                Ok(step) => return Ok(step),
                Err(error) => errors.push(format!("{}: {error}", primary.addr)),
            }
        }
        Err(errors.join("; "))
    }

    async fn ask(&self, primary: &Primary, force: bool) -> Result<Step, PullError> {
        let snapshot = self.context.reader.load();
        let settings = &snapshot.settings;
        let key = match &primary.key {
            Some(name) => Some(Key::find(&settings.keys, name).ok_or_else(|| PullError::NoKey(name.clone()))?),
            None => None,
        };
        let peer = Peer { primary: primary.clone(), key };
        let bounds =
            super::pull::Bounds { octets: settings.limits.transfer_octets, time: settings.limits.transfer_time };
        drop(snapshot);
        let theirs = {
            let _slot = self.context.probes.acquire().await;
            probe(&peer, &self.apex, &self.context.links).await?
        };
        let held = self.held.as_ref();
        let ours = held.map(|held| held.zone.serial());
        match ours {
            Some(ours) if theirs == ours && !force => return Ok(Step::Same),
            Some(ours) if !theirs.is_after(ours) && !force => return Err(PullError::Behind { theirs, ours }),
            _ => {}
        }
        let _slot = self.context.transfers.acquire().await;
        let base = held.map(|held| &held.zone).filter(|_| !force);
        let began = Instant::now();
        match pull(&peer, &self.apex, (base, theirs), &self.context.links, bounds).await? {
            None => Ok(Step::Same),
            Some(pulled) => match ours {
                Some(ours) if !pulled.zone.serial().is_after(ours) && !force => {
                    Err(PullError::Behind { theirs: pulled.zone.serial(), ours })
                }
                _ => Ok(Step::Taken(primary.addr, pulled, began.elapsed())),
            },
        }
    }

    /// Serves and keeps what came, and says when the next look is due.
    async fn conclude(&mut self, result: Result<Step, String>) -> Result<Round, String> {
        let told = match result {
            Ok(Step::Same) => Ok(Round::Same(self.checked().await)),
            Ok(Step::Taken(primary, pulled, took)) => Ok(self.take(primary, pulled, took).await),
            Err(message) => Err(self.fail(message)),
        };
        let bounds = self.plan.load().transfer.refresh.clone();
        let wait = match (&self.held, &told) {
            (Some(held), Ok(_)) => Timers::of(&held.zone, &bounds).refresh,
            (Some(held), Err(_)) => Timers::of(&held.zone, &bounds).retry,
            (None, _) => first_retry(self.failures, &bounds),
        };
        self.due = Instant::now() + jittered(wait, rand::random());
        self.tell_standing();
        told
    }

    async fn take(&mut self, primary: SocketAddr, pulled: Pulled, took: Duration) -> Round {
        let Pulled { zone, records, how } = pulled;
        let now = Timestamp::now();
        let before = self.held.as_ref().map(|held| held.zone.serial());
        let after = zone.serial();
        let plan = self.plan.load_full();
        let member = plan.member.as_ref().map(|(_, label)| label.clone());
        let note = Note { primary, serial: after.0, received: now, checked: now, member };
        let expires = Instant::now() + Timers::of(&zone, &plan.transfer.refresh).expire;
        let count = zone.record_count();
        info!(zone = %self.apex, %primary, serial = %after, records = count, how = how.name(), ?took, "zone transferred");
        self.recover();
        self.context.publisher.replace_transferred(vec![(self.apex.clone(), Transferred::Data(Arc::clone(&zone)))]);
        self.held = Some(Held { zone, note: note.clone(), expires });
        self.context.standings.change(&self.apex, |standing| match how {
            How::Axfr => standing.whole += 1,
            How::Ixfr => standing.incremental += 1,
        });
        self.tell_misfits();
        let (store, apex) = (self.context.store.clone(), self.apex.clone());
        let saved = processor::aside(move || store.save(&apex, &records, &note)).await.expect("writing does not panic");
        if let Err(error) = saved {
            warn!(zone = %self.apex, "served, but not kept for the next start: {error}");
        }
        Round::Taken { before, after }
    }

    /// A primary has nothing newer.
    async fn checked(&mut self) -> Serial {
        let expire = {
            let held = self.held.as_ref().expect("only what is here can be the same");
            Timers::of(&held.zone, &self.plan.load().transfer.refresh).expire
        };
        if self.expired.load(Relaxed) {
            let zone =
                self.held.as_ref().map(|held| Arc::clone(&held.zone)).expect("only what is here can be the same");
            self.context.publisher.replace_transferred(vec![(self.apex.clone(), Transferred::Data(zone))]);
        }
        self.recover();
        let held = self.held.as_mut().expect("only what is here can be the same");
        held.expires = Instant::now() + expire;
        held.note.checked = Timestamp::now();
        let (store, apex, note) = (self.context.store.clone(), self.apex.clone(), held.note.clone());
        let serial = held.zone.serial();
        debug!(zone = %self.apex, %serial, "nothing newer");
        let saved = processor::aside(move || store.save_note(&apex, &note)).await.expect("writing does not panic");
        if let Err(error) = saved {
            warn!(zone = %self.apex, "the state folder does not take the time of the last look: {error}");
        }
        serial
    }

    fn recover(&mut self) {
        let was_down = std::mem::take(&mut self.failures) > 0;
        self.last_error.clear();
        if self.expired.swap(false, Relaxed) {
            warn!(zone = %self.apex, "the zone had expired and is served again");
        } else if was_down {
            info!(zone = %self.apex, "a primary answers again");
        }
    }

    fn fail(&mut self, message: String) -> String {
        self.failures = self.failures.saturating_add(1);
        // What fails the same way each time is told once.
        match &self.held {
            _ if message == self.last_error => debug!(zone = %self.apex, "no transfer: {message}"),
            None => warn!(zone = %self.apex, "no transfer, and nothing to serve: {message}"),
            Some(_) => warn!(zone = %self.apex, "no transfer, what is here is still served: {message}"),
        }
        self.last_error.clone_from(&message);
        self.context.standings.change(&self.apex, |standing| standing.failed += 1);
        message
    }

    /// Returns when the zone becomes too old.
    async fn expiry(&self) {
        match &self.held {
            Some(held) if !self.expired.load(Relaxed) => sleep_until(held.expires).await,
            _ => std::future::pending().await,
        }
    }

    fn expire(&self) {
        self.expired.store(true, Relaxed);
        error!(zone = %self.apex, "the zone has expired: no primary could be asked for too long; its queries get SERVFAIL");
        self.context.publisher.replace_transferred(vec![(self.apex.clone(), Transferred::Expired)]);
        self.tell_standing();
    }

    /// Says what of the policy does not fit the zone, where that is not known yet.
    fn tell_misfits(&self) {
        let snapshot = self.context.reader.load();
        let served = snapshot.zones().exact(&LowerName::of(self.apex.borrow()));
        let (Some(served), Some(held)) = (served, &self.held) else { return };
        let found: Vec<String> = misfits(&held.zone, &served.policy).iter().map(ToString::to_string).collect();
        self.context.standings.change(&self.apex, |standing| {
            for misfit in found.iter().filter(|misfit| !standing.misfits.contains(misfit)) {
                warn!(zone = %self.apex, "{misfit}");
            }
            standing.misfits = found;
        });
    }

    fn tell_standing(&self) {
        let plan = self.plan.load();
        let state = match &self.held {
            None => State::Waiting,
            Some(_) if self.expired.load(Relaxed) => State::Expired,
            Some(_) if self.failures > 0 => State::Retrying,
            Some(_) => State::Current,
        };
        let wall = |at: Instant| {
            let left = SignedDuration::try_from(at.saturating_duration_since(Instant::now())).ok()?;
            Timestamp::now().checked_add(left).ok()
        };
        self.context.standings.change(&self.apex, |standing| {
            standing.state = state;
            standing.primaries = plan.transfer.from.iter().map(|primary| primary.addr).collect();
            standing.catalog = plan.member.as_ref().map(|(catalog, _)| catalog.clone());
            standing.next = wall(self.due);
            standing.error = Some(self.last_error.clone()).filter(|error| !error.is_empty());
            if let Some(Held { zone, note, expires }) = &self.held {
                standing.serial = Some(zone.serial());
                standing.records = zone.record_count();
                standing.primary = Some(note.primary);
                standing.received = Some(note.received);
                standing.checked = Some(note.checked);
                standing.expires = wall(*expires);
            }
        });
    }
}

/// What one primary came to.
enum Step {
    Same,
    Taken(SocketAddr, Pulled, Duration),
}

/// Over this time the first looks after a start are spread.
const AFTER_START: Duration = Duration::from_secs(5);
/// The least time between two looks that NOTIFYs ask for.
const BETWEEN_NOTIFIES: Duration = Duration::from_millis(200);
