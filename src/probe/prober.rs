//! The task that starts probes, takes their results and passes changes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use tokio::task::{self, AbortHandle, JoinError, JoinHandle, JoinSet};
use tokio::time::{self, sleep_until};

use super::ask::{Askers, Ended};
use super::expiry::Expiry;
use super::failure::Failure;
use super::feed::{Feed, Targets};
use super::hold::{Holds, Kept};
use super::schedule::{Ending, ProbeId, Room, Schedule};
use super::witness::Witnesses;
use crate::config::Check;
use crate::health::{Belief, Change, Flip, ProbeKey, Reason, Table, Testimony, Verdict};
use crate::processor;

/// Probes what the snapshots ask for.
#[derive(Debug)]
pub struct Prober {
    feed: Feed,
    table: Arc<Table>,
    targets: Targets,
    witnesses: Witnesses,
    /// As it was last told to the operator.
    told: Belief,
    /// A new snapshot is due although no member has changed.
    announce: bool,
    schedule: Schedule,
    askers: Askers,
    running: JoinSet<Ended>,
    handles: HashMap<task::Id, Running>,
    /// How many of those that run are commands.
    commands: usize,
    holds: Holds,
    /// Whose change the snapshot does not have yet.
    changed: Vec<ProbeKey>,
    /// The snapshot is taking verdicts over.
    refreshing: Option<JoinHandle<()>>,
    first_round: watch::Sender<bool>,
    complained: Option<Instant>,
    expiry: Expiry,
    random: SmallRng,
}

/// A probe under way.
#[derive(Debug)]
struct Running {
    id: ProbeId,
    runs_a_command: bool,
    begun: Instant,
    handle: AbortHandle,
}

/// Tells when every probe has had a first result, and the snapshot has it.
#[derive(Clone, Debug)]
pub struct FirstRound(watch::Receiver<bool>);

impl FirstRound {
    /// Returns when the round is over, or the prober has ended.
    pub async fn done(&mut self) {
        // A prober that has ended will say nothing more, and whoever waits must go on.
        let _ = self.0.wait_for(|done| *done).await;
    }
}

impl Prober {
    /// Takes over the targets of the newest snapshot; nothing is probed before [`Prober::run`].
    pub fn new(mut feed: Feed, table: Arc<Table>) -> Self {
        feed.generations.mark_unchanged();
        let mut prober = Self {
            feed,
            table,
            targets: Targets::default(),
            witnesses: Witnesses::default(),
            told: Belief::default(),
            announce: false,
            schedule: Schedule::default(),
            askers: Askers::default(),
            running: JoinSet::new(),
            handles: HashMap::new(),
            commands: 0,
            holds: Holds::default(),
            changed: Vec::new(),
            refreshing: None,
            first_round: watch::Sender::new(false),
            complained: None,
            expiry: Expiry::default(),
            random: SmallRng::from_rng(&mut rand::rng()),
        };
        prober.follow();
        prober
    }

    /// The end of the first round over the targets that [`Prober::new`] found.
    pub fn first_round(&self) -> FirstRound {
        FirstRound(self.first_round.subscribe())
    }

    /// Probes until it is dropped, which ends all probes, or until there will be no more snapshots.
    pub async fn run(mut self) {
        loop {
            let belief = self.table.belief();
            // No member changes by a freeze or its end, but whoever watches the snapshots is to look.
            self.announce |= belief.frozen != self.told.frozen;
            tell(&mut self.told, belief);
            self.settle();
            let due = self.schedule.next_due(self.room()).map(time::Instant::from_std);
            tokio::select! {
                changed = self.feed.generations.changed() => match changed {
                    Ok(()) => self.follow(),
                    Err(_) => return,
                },
                Some(ended) = self.running.join_next_with_id() => self.end(ended),
                broken = self.holds.broken() => self.schedule.hasten(broken, now()),
                () = sleep_until(due.unwrap_or_else(time::Instant::now)), if due.is_some() => self.start(),
                () = finished(self.refreshing.as_mut()) => self.refreshing = None,
                testimony = self.witnesses.next(belief) => self.hear(testimony),
            }
        }
    }

    /// Asks what is to be probed now.
    fn follow(&mut self) {
        let targets = (self.feed.targets)();
        // Every flip makes a snapshot, and hardly any changes what is probed.
        if targets == self.targets {
            return;
        }
        let now = now();
        self.table.guard(self.witnesses.follow(&targets.witnesses));
        let keys: Vec<ProbeKey> = targets.probes.iter().map(|(key, _)| key.clone()).collect();
        self.table.follow(&keys, now);
        self.askers.follow(targets.probes.iter().map(|(_, check)| &**check));
        for gone in self.schedule.follow(targets.probes.clone(), now) {
            self.holds.let_go(gone);
            self.handles.values().filter(|running| running.id == gone).for_each(|running| running.handle.abort());
        }
        self.targets = targets;
    }

    fn room(&self) -> Room {
        let Targets { limit, commands, .. } = self.targets;
        let under_way = self.running.len() - self.commands;
        Room { sockets: under_way < limit, commands: self.commands < commands }
    }

    fn start(&mut self) {
        while let Some((id, key, check)) = self.schedule.start_due(self.room(), now()) {
            let (asker, held) = (self.askers.of(&check), self.holds.sender(id));
            let handle = self.running.spawn(async move { asker.probe(key.address, held).await });
            self.commands += usize::from(check.runs_a_command());
            self.handles
                .insert(handle.id(), Running { id, runs_a_command: check.runs_a_command(), begun: now(), handle });
        }
    }

    fn end(&mut self, ended: Result<(task::Id, Ended), JoinError>) {
        let (task, ended) = match ended {
            Ok((task, ended)) => (task, Some(ended)),
            Err(error) => (error.id(), None),
        };
        let Running { id, runs_a_command, begun, .. } =
            self.handles.remove(&task).expect("each task is noted where it starts");
        self.commands -= usize::from(runs_a_command);
        // Its record may be gone, and then nobody asks any more.
        let Some((key, check)) = self.schedule.probe(id) else { return };
        let Some(Ended { result, notice }) = ended else {
            tracing::error!(address = %key.address, check = %check.name, "a probe has panicked");
            return self.schedule.end(id, Ending::Nothing, now(), &mut self.random);
        };
        self.table.time(key, now().saturating_duration_since(begun));
        if let Some(end) = notice.certificate_end {
            self.expiry.tell(key, check, end, now());
        }
        if let Some(drains) = self.table.note(key, notice) {
            log_drain(key, check, drains);
            self.changed.push(key.clone());
        }
        let (result, kept) = match result {
            Ok(kept) => (Ok(()), kept),
            Err(failure) => (Err(failure), Kept::Nothing),
        };
        let passed = result.is_ok();
        let ending = match result {
            Err(failure) if failure.is_ours() => {
                complain(&mut self.complained, &failure);
                Ending::Nothing
            }
            Err(_) if self.table.belief().has_thawed_since(begun) => Ending::Nothing,
            result => {
                let change = self.table.observe(key, result.map_err(Reason::new), now());
                if let Some(Change::Flip(flip)) = &change {
                    log(flip, check);
                }
                self.changed.extend(change.map(|change| change.key().clone()));
                Ending::Result { passed, flip_hangs: self.table.flip_hangs(key) }
            }
        };
        self.schedule.end(id, ending, now(), &mut self.random);
        if !self.holds.keep(id, kept) {
            self.schedule.hasten(id, now());
        }
    }

    /// Lets go what has waited for the witnesses, or freezes.
    fn hear(&mut self, testimony: Testimony) {
        for change in self.table.testify(testimony, now()) {
            if let (Change::Flip(flip), Some(check)) = (&change, self.schedule.check(change.key())) {
                log(flip, check);
            }
            self.changed.push(change.key().clone());
        }
    }

    /// Passes changes on, one batch after another, and notes the end of the first round.
    fn settle(&mut self) {
        if self.refreshing.is_some() {
            return;
        }
        if std::mem::take(&mut self.announce) || !self.changed.is_empty() {
            let (take_over, keys) = (Arc::clone(&self.feed.changed), std::mem::take(&mut self.changed));
            self.refreshing = Some(processor::aside(move || take_over(&keys)));
        } else if self.schedule.all_heard() && self.table.belief().withheld == 0 {
            self.first_round.send_if_modified(|done| !std::mem::replace(done, true));
        }
    }
}

async fn finished(refreshing: Option<&mut JoinHandle<()>>) {
    match refreshing {
        Some(handle) => {
            if handle.await.is_err() {
                tracing::error!("the snapshot could not take verdicts over");
            }
        }
        None => std::future::pending().await,
    }
}

fn log(flip: &Flip, check: &Check) {
    let (address, check) = (flip.key.address, &check.name);
    match (flip.to, &flip.reason) {
        (Verdict::Up, _) if flip.from != Verdict::Down => tracing::debug!(%address, %check, "member is up"),
        (_, Some(reason)) => tracing::warn!(%address, %check, %reason, "member is down"),
        (_, None) => tracing::info!(%address, %check, "member is up again"),
    }
}

fn log_drain(key: &ProbeKey, check: &Check, drains: bool) {
    let (address, check) = (key.address, &check.name);
    match drains {
        true => tracing::warn!(%address, %check, "member asks to be left out of the answers"),
        false => tracing::info!(%address, %check, "member asks to be in the answers again"),
    }
}

/// Says what has become of the belief in results.
fn tell(told: &mut Belief, belief: Belief) {
    let answered = |belief: &Belief| belief.testimony.is_none_or(|testimony| testimony.answered);
    match (told.frozen, belief.frozen) {
        (None, Some(_)) => tracing::error!(
            failing = belief.failing,
            probes = belief.probes,
            "most probes fail and no witness answers: the fault is taken to be ours, and all verdicts are frozen"
        ),
        (Some(_), None) => tracing::warn!("verdicts are no longer frozen"),
        _ if answered(told) && !answered(&belief) => {
            tracing::warn!("no witness answers; members that go down stay in the answers for an interval longer");
        }
        _ if !answered(told) && answered(&belief) => tracing::info!("a witness answers again"),
        _ => {}
    }
    *told = belief;
}

/// Says that probes cannot be sent, though not for each of them.
fn complain(complained: &mut Option<Instant>, failure: &Failure) {
    const QUIET: Duration = Duration::from_secs(10);
    let now = now();
    if complained.is_none_or(|at| now.duration_since(at) >= QUIET) {
        *complained = Some(now);
        tracing::error!(reason = %failure, "probes cannot be sent; verdicts stay as they are");
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Mutex;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::super::TakeVerdicts;
    use super::*;
    use crate::config::{Asked, CheckKind, HttpCheck, TcpCheck};
    use crate::health::{CheckId, Rules};

    /// A world whose targets the test changes, and that notes changes.
    struct World {
        targets: Arc<Mutex<Targets>>,
        generation: watch::Sender<u64>,
        table: Arc<Table>,
        changes: mpsc::UnboundedReceiver<ProbeKey>,
        seen: HashMap<ProbeKey, Verdict>,
        first_round: FirstRound,
        prober: JoinHandle<()>,
    }

    impl World {
        fn start(probes: Vec<(ProbeKey, Arc<Check>)>, limit: usize) -> Self {
            let (sender, changes) = mpsc::unbounded_channel();
            let take_over: TakeVerdicts =
                Arc::new(move |keys| keys.iter().for_each(|key| sender.send(key.clone()).unwrap()));
            let mut world = Self::start_with(probes, limit, take_over);
            world.changes = changes;
            world
        }

        fn start_with(probes: Vec<(ProbeKey, Arc<Check>)>, limit: usize, changed: TakeVerdicts) -> Self {
            let targets = Arc::new(Mutex::new(Targets { probes, limit, commands: 1, ..Targets::default() }));
            let (generation, table) = (watch::Sender::new(1), Arc::new(Table::default()));
            let source = Arc::clone(&targets);
            let feed = Feed {
                generations: generation.subscribe(),
                targets: Box::new(move || source.lock().unwrap().clone()),
                changed,
            };
            let prober = Prober::new(feed, Arc::clone(&table));
            let (first_round, (_, changes)) = (prober.first_round(), mpsc::unbounded_channel());
            let (seen, prober) = (HashMap::new(), tokio::spawn(prober.run()));
            Self { targets, generation, table, changes, seen, first_round, prober }
        }

        fn replace(&self, probes: Vec<(ProbeKey, Arc<Check>)>) {
            self.targets.lock().unwrap().probes = probes;
            self.generation.send_modify(|generation| *generation += 1);
        }

        /// The next flip, as the address and what it became.
        async fn flip(&mut self) -> (IpAddr, Verdict) {
            loop {
                let key = self.changes.recv().await.expect("the prober runs");
                let (address, verdict) = (key.address, self.table.verdict(&key));
                // Doubts come and go between flips.
                if self.seen.insert(key, verdict) != Some(verdict) {
                    return (address, verdict);
                }
            }
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            self.prober.abort();
        }
    }

    fn rules(interval: Duration, timeout: Duration) -> Rules {
        Rules { interval, timeout, fast_interval: interval, rise: 2, fall: 2, jitter_percent: 10 }
    }

    const QUICK: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    fn tcp(port: u16, id: CheckId) -> Check {
        let kind = CheckKind::Tcp(TcpCheck { port, hold: false });
        Check { name: "port".into(), kind, asked: Asked::Member, id }
    }

    fn tcp_probe(address: Ipv4Addr, port: u16) -> (ProbeKey, Arc<Check>) {
        let id = CheckId::new(format!("tcp port={port}"), rules(QUICK, LONG));
        let check = tcp(port, id.clone());
        (ProbeKey { address: address.into(), check: id }, Arc::new(check))
    }

    /// A probe of a page, which hangs for as long as the server says nothing.
    fn http_probe(port: u16, path: &str) -> (ProbeKey, Arc<Check>) {
        let (path, host) = (path.to_owned(), "x.test".to_owned());
        let id = CheckId::new(path.as_str(), rules(LONG, LONG));
        let expect = vec![200..=399].into();
        let http = HttpCheck { port, tls: None, path, host, expect, body: None, hold: false };
        let check = Check { name: "page".into(), kind: CheckKind::Http(http), asked: Asked::Member, id: id.clone() };
        (ProbeKey { address: Ipv4Addr::LOCALHOST.into(), check: id }, Arc::new(check))
    }

    async fn listen(address: Ipv4Addr, port: u16) -> TcpListener {
        TcpListener::bind((address, port)).await.unwrap()
    }

    #[tokio::test]
    async fn a_member_that_dies_goes_down_and_comes_back() {
        let (one, two) = (Ipv4Addr::new(127, 0, 0, 21), Ipv4Addr::new(127, 0, 0, 22));
        let first = listen(one, 0).await;
        let port = first.local_addr().unwrap().port();
        let _second = listen(two, port).await;
        let mut world = World::start(vec![tcp_probe(one, port), tcp_probe(two, port)], 10);
        world.first_round.done().await;
        let mut up = [world.flip().await, world.flip().await];
        up.sort();
        assert_eq!(up, [(one.into(), Verdict::Up), (two.into(), Verdict::Up)]);
        drop(first);
        assert_eq!(world.flip().await, (one.into(), Verdict::Down));
        let report = world.table.report(&tcp_probe(one, port).0).unwrap();
        assert_eq!(report.last_error.unwrap().0.to_string(), "connection refused");
        let _first = listen(one, port).await;
        assert_eq!(world.flip().await, (one.into(), Verdict::Up));
        assert_eq!(world.table.verdict(&tcp_probe(two, port).0), Verdict::Up);
    }

    #[tokio::test]
    async fn when_everything_fails_and_no_witness_answers_nobody_goes_down() {
        let (one, two) = (Ipv4Addr::new(127, 0, 0, 23), Ipv4Addr::new(127, 0, 0, 24));
        let first = listen(one, 0).await;
        let port = first.local_addr().unwrap().port();
        let second = listen(two, port).await;
        let witness = listen(Ipv4Addr::LOCALHOST, 0).await;
        let address = witness.local_addr().unwrap();
        let probes = vec![tcp_probe(one, port), tcp_probe(two, port)];
        let mut world = World::start(probes.clone(), 10);
        world.targets.lock().unwrap().witnesses = vec![address];
        world.replace(probes.clone());
        world.first_round.done().await;
        drop((first, second, witness));
        while world.table.belief().frozen.is_none() {
            world.changes.recv().await.expect("doubts come and go");
        }
        assert!(probes.iter().all(|(key, _)| world.table.verdict(key) == Verdict::Up));
        let _witness = listen(Ipv4Addr::LOCALHOST, address.port()).await;
        while world.table.belief().frozen.is_some() || world.table.verdict(&probes[0].0) == Verdict::Up {
            world.changes.recv().await.expect("the members are dead");
        }
    }

    #[tokio::test]
    async fn the_first_round_ends_after_the_snapshot_has_the_verdicts() {
        let closed = listen(Ipv4Addr::LOCALHOST, 0).await.local_addr().unwrap().port();
        let probes = (1..=50).map(|n| tcp_probe(Ipv4Addr::new(127, 0, 1, n), closed)).collect();
        let (begun, mut batches) = mpsc::unbounded_channel();
        let (end, may_end) = std::sync::mpsc::channel();
        let may_end = Mutex::new(may_end);
        let take_over: TakeVerdicts = Arc::new(move |keys| {
            begun.send(keys.len()).unwrap();
            may_end.lock().unwrap().recv().unwrap();
        });
        let mut world = World::start_with(probes, 7, take_over);
        let mut told = 0;
        while told < 50 {
            told += batches.recv().await.unwrap();
            assert!(
                !*world.first_round.0.borrow(),
                "the snapshot has {told} verdicts at most, and not the last of them"
            );
            end.send(()).unwrap();
        }
        world.first_round.done().await;
    }

    #[tokio::test]
    async fn a_world_without_probes_has_its_first_round_at_once() {
        World::start(Vec::new(), 1).first_round.done().await;
    }

    #[tokio::test]
    async fn whoever_waits_for_the_first_round_outlives_the_prober() {
        let mut world = World::start(vec![http_probe(1, "/")], 1);
        world.prober.abort();
        world.first_round.done().await;
    }

    #[tokio::test]
    async fn a_probe_under_way_ends_with_its_record() {
        let server = listen(Ipv4Addr::LOCALHOST, 0).await;
        let probe = http_probe(server.local_addr().unwrap().port(), "/");
        let world = World::start(vec![probe.clone()], 1);
        let (mut stream, _) = server.accept().await.unwrap();
        world.replace(Vec::new());
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await.expect("the probe hangs up, long before its timeout");
        assert_eq!(world.table.report(&probe.0), None);
        world.replace(vec![probe]);
        server.accept().await.expect("the record is back, and is probed again");
    }

    #[tokio::test]
    async fn no_more_probes_than_the_limit_are_under_way() {
        let server = listen(Ipv4Addr::LOCALHOST, 0).await;
        let port = server.local_addr().unwrap().port();
        let mut world = World::start((0..20).map(|page| http_probe(port, &format!("/{page}"))).collect(), 3);
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(server.accept().await.unwrap().0);
        }
        for _ in 3..20 {
            // Nothing else happens in this world until a connection ends, so a fourth would have come by the flip.
            drop(open.remove(0));
            assert_eq!(world.flip().await.1, Verdict::Down);
            open.push(server.accept().await.unwrap().0);
            assert_eq!(open.len(), 3);
            let fourth = server.accept();
            tokio::select! {
                biased;
                _ = fourth => panic!("a fourth probe"),
                () = task::yield_now() => {}
            }
        }
        drop(open);
        world.first_round.done().await;
    }
}
