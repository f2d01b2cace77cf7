//! Which probe is due when. Pure: time and randomness are arguments.
//!
//! Probes of a new snapshot start one after another within a second, for the first round must be quick. The second
//! probe of each falls anywhere in the interval, so that from then on they are spread over it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::config::Check;
use crate::health::ProbeKey;

/// Names one probe from when it enters a snapshot to when it leaves it; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ProbeId(u64);

#[cfg(test)]
impl ProbeId {
    pub(super) const fn of(number: u64) -> Self {
        Self(number)
    }
}

type Queue = BinaryHeap<Reverse<(Instant, ProbeId)>>;

/// What may be started now: each kind has a limit of its own, and neither waits for the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) sockets: bool,
    pub(super) commands: bool,
}

/// Every probe, each either waiting for its time or under way.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    ids: HashMap<ProbeKey, ProbeId>,
    slots: HashMap<ProbeId, Slot>,
    /// May hold probes that have left, or are due at another time by now; they are passed over.
    sockets: Queue,
    /// The same for probes that run a command.
    commands: Queue,
    next_id: u64,
    /// Probes without any result so far.
    unheard: usize,
}

#[derive(Debug)]
struct Slot {
    key: ProbeKey,
    check: Arc<Check>,
    /// When the probe starts; `None` while it is under way.
    due: Option<Instant>,
    started: Option<Instant>,
    heard: bool,
    /// When the last broken connection called for a probe, or will.
    hastened: Option<Instant>,
    /// Since a connection broke there was neither a pass nor a flip.
    broken: bool,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a result; `flip_hangs` says whether the next one is wanted sooner.
    Result { passed: bool, flip_hangs: bool },
    /// Without one.
    Nothing,
}

/// The longest time over which the starts of new probes are spread, and the distance between two when they are few.
const FIRST_ROUND: Duration = Duration::from_secs(1);
const FIRST_DISTANCE: Duration = Duration::from_millis(1);

/// Between probes that follow a broken connection, until one passes or the verdict flips: short enough for a flip within
/// milliseconds, and long enough that a large `fall` does not become a burst.
const AFTER_BREAK: Duration = Duration::from_millis(5);

impl Schedule {
    /// Takes over the probes of a snapshot: who is new becomes due, who is gone is forgotten and returned.
    pub(super) fn follow(&mut self, probes: Vec<(ProbeKey, Arc<Check>)>, now: Instant) -> Vec<ProbeId> {
        let mut left = std::mem::take(&mut self.ids);
        let mut entered = Vec::new();
        for (key, check) in probes {
            match left.remove(&key) {
                Some(id) => {
                    self.slots.entry(id).and_modify(|slot| slot.check = check);
                    self.ids.insert(key, id);
                }
                None if !self.ids.contains_key(&key) => entered.push(self.enter(key, check)),
                None => {}
            }
        }
        let distance = FIRST_DISTANCE.min(FIRST_ROUND / u32::try_from(entered.len()).unwrap_or(u32::MAX).max(1));
        let mut at = now;
        for id in entered {
            self.put_off(id, at);
            at += distance;
        }
        for id in left.values() {
            let slot = self.slots.remove(id);
            self.unheard -= usize::from(slot.is_some_and(|slot| !slot.heard));
        }
        left.into_values().collect()
    }

    /// When the next probe is due among those that may start.
    pub(super) fn next_due(&mut self, room: Room) -> Option<Instant> {
        let sockets = next(&mut self.sockets, &self.slots).filter(|_| room.sockets);
        let commands = next(&mut self.commands, &self.slots).filter(|_| room.commands);
        sockets.into_iter().chain(commands).min()
    }

    /// Starts the probe that has been due for longest among those that may start.
    pub(super) fn start_due(&mut self, room: Room, now: Instant) -> Option<(ProbeId, ProbeKey, Arc<Check>)> {
        let due = self.next_due(room).filter(|at| *at <= now)?;
        let commands = room.commands && self.commands.peek().is_some_and(|Reverse((at, _))| *at == due);
        let queue = if commands { &mut self.commands } else { &mut self.sockets };
        let Reverse((_, id)) = queue.pop()?;
        let slot = self.slots.get_mut(&id)?;
        (slot.due, slot.started) = (None, Some(now));
        Some((id, slot.key.clone(), Arc::clone(&slot.check)))
    }

    /// The connection that a probe left open has broken: its next one comes at once, and so do those that follow until
    /// one passes or the verdict flips.
    ///
    /// A peer that closes whatever it is asked on calls for one probe each `fast_interval`, no more. A probe under way
    /// finds out by itself.
    pub(super) fn hasten(&mut self, id: ProbeId, now: Instant) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(due) = slot.due else { return };
        let fast_interval = slot.check.rules().fast_interval;
        let at = slot.hastened.map_or(now, |before| now.max(before + fast_interval));
        if at < due {
            (slot.hastened, slot.broken) = (Some(at), true);
            self.put_off(id, at);
        }
    }

    /// Whose probe it is; `None` for one that has left.
    pub(super) fn probe(&self, id: ProbeId) -> Option<(&ProbeKey, &Check)> {
        self.slots.get(&id).map(|slot| (&slot.key, &*slot.check))
    }

    /// The check behind a probe that is followed.
    pub(super) fn check(&self, key: &ProbeKey) -> Option<&Check> {
        self.ids.get(key).and_then(|id| self.slots.get(id)).map(|slot| &*slot.check)
    }

    /// Notes that a probe has ended, and when the next one is due: never before `now`, so that what is late is not
    /// made up for.
    pub(super) fn end(&mut self, id: ProbeId, ending: Ending, now: Instant, random: &mut impl Rng) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let (rules, draw) = (slot.check.rules(), random.random::<f64>());
        let started = slot.started.take().unwrap_or(now);
        slot.broken &= matches!(ending, Ending::Result { passed: false, flip_hangs: true });
        let at = match ending {
            Ending::Result { .. } if !slot.heard => {
                slot.heard = true;
                self.unheard -= 1;
                started + rules.interval.mul_f64(draw)
            }
            Ending::Result { .. } if slot.broken => now + AFTER_BREAK,
            Ending::Result { flip_hangs, .. } => started + rules.pause(flip_hangs, draw),
            Ending::Nothing => started + rules.pause(false, draw),
        };
        self.put_off(id, at.max(now));
    }

    /// Whether every probe has had a result.
    pub(super) fn all_heard(&self) -> bool {
        self.unheard == 0
    }

    /// How many entries the queues hold.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.sockets.len() + self.commands.len()
    }

    fn enter(&mut self, key: ProbeKey, check: Arc<Check>) -> ProbeId {
        let id = ProbeId(self.next_id);
        self.next_id += 1;
        self.unheard += 1;
        self.ids.insert(key.clone(), id);
        let slot = Slot { key, check, due: None, started: None, heard: false, hastened: None, broken: false };
        self.slots.insert(id, slot);
        id
    }

    /// Makes a probe due at `at` and at no other time.
    fn put_off(&mut self, id: ProbeId, at: Instant) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.due = Some(at);
        let queue = if slot.check.runs_a_command() { &mut self.commands } else { &mut self.sockets };
        queue.push(Reverse((at, id)));
    }
}

/// When the first probe of `queue` is due, past those that are not due then.
fn next(queue: &mut Queue, slots: &HashMap<ProbeId, Slot>) -> Option<Instant> {
    while let Some(Reverse((at, id))) = queue.peek() {
        if slots.get(id).is_some_and(|slot| slot.due == Some(*at)) {
            return Some(*at);
        }
        queue.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;
    use crate::config::{Asked, CheckKind, ExecCheck, TcpCheck};
    use crate::health::{CheckId, Rules};

    const ROOM: Room = Room { sockets: true, commands: true };
    const SECOND: Duration = Duration::from_secs(1);

    fn check() -> Arc<Check> {
        let rules = Rules {
            interval: 5 * SECOND,
            timeout: 2 * SECOND,
            fast_interval: SECOND,
            rise: 3,
            fall: 2,
            jitter_percent: 0,
        };
        let kind = CheckKind::Tcp(TcpCheck { port: 1, hold: true });
        Arc::new(Check { name: "c".into(), kind, asked: Asked::Member, id: CheckId::new("tcp port=1", rules) })
    }

    fn probe(number: u32) -> (ProbeKey, Arc<Check>) {
        let check = check();
        (ProbeKey { address: IpAddr::V4(Ipv4Addr::from_bits(number)), check: check.id.clone() }, check)
    }

    fn random() -> SmallRng {
        SmallRng::seed_from_u64(1)
    }

    /// Starts all that is due at `now`.
    fn start(schedule: &mut Schedule, now: Instant) -> Vec<(ProbeId, ProbeKey)> {
        std::iter::from_fn(|| schedule.start_due(ROOM, now)).map(|(id, key, _)| (id, key)).collect()
    }

    const PASS: Ending = Ending::Result { passed: true, flip_hangs: false };

    #[test]
    fn the_first_round_starts_within_a_second_and_not_at_once() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert_eq!(schedule.next_due(ROOM), None);
        schedule.follow((0..10_000).map(probe).collect(), now);
        assert_eq!(start(&mut schedule, now).len(), 1);
        let half = start(&mut schedule, now + SECOND / 2).len();
        assert!((4_900..=5_100).contains(&half), "{half}");
        assert_eq!(1 + half + start(&mut schedule, now + SECOND).len(), 10_000);
        let mut few = Schedule::default();
        few.follow((0..8).map(probe).collect(), now);
        assert_eq!(start(&mut few, now + Duration::from_millis(7)).len(), 8);
    }

    #[test]
    fn the_second_probe_falls_anywhere_and_the_next_keep_the_interval() {
        let (mut schedule, now, mut random) = (Schedule::default(), Instant::now(), random());
        schedule.follow((0..1000).map(probe).collect(), now);
        for (id, _) in start(&mut schedule, now + SECOND) {
            schedule.end(id, PASS, now + SECOND, &mut random);
        }
        let mut started = 0;
        for second in 1..=5 {
            let ids = start(&mut schedule, now + (1 + second) * SECOND);
            assert!((150..=250).contains(&ids.len()), "{} in second {second}", ids.len());
            started += ids.len();
        }
        assert_eq!(started, 1000);
    }

    /// One probe that has been heard once, and that started at the returned time.
    fn heard(random: &mut SmallRng) -> (Schedule, ProbeId, Instant) {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.follow(vec![probe(1)], now);
        let (id, _) = start(&mut schedule, now)[0].clone();
        schedule.end(id, PASS, now, random);
        let at = now + 5 * SECOND;
        assert_eq!(start(&mut schedule, at).len(), 1);
        (schedule, id, at)
    }

    #[test]
    fn the_interval_is_from_start_to_start_and_short_while_a_flip_hangs() {
        for (ending, took, due) in [
            (PASS, 0, 5),
            (PASS, 2, 5),
            (Ending::Result { passed: false, flip_hangs: true }, 0, 1),
            (Ending::Result { passed: false, flip_hangs: true }, 2, 2),
            (PASS, 9, 9),
            (Ending::Nothing, 1, 5),
        ] {
            let mut random = random();
            let (mut schedule, id, at) = heard(&mut random);
            assert_eq!(schedule.next_due(ROOM), None, "a probe under way is not due");
            schedule.end(id, ending, at + took * SECOND, &mut random);
            assert_eq!(schedule.next_due(ROOM), Some(at + due * SECOND), "{ending:?} after {took} s");
        }
    }

    #[test]
    fn who_leaves_is_not_started_again_and_who_stays_keeps_its_time() {
        let mut random = random();
        let (mut schedule, id, at) = heard(&mut random);
        schedule.end(id, PASS, at, &mut random);
        assert_eq!(schedule.follow(vec![probe(1), probe(2), probe(2)], at), []);
        let new = start(&mut schedule, at);
        assert_eq!(new.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>(), [probe(2).0]);
        assert_eq!(schedule.next_due(ROOM), Some(at + 5 * SECOND));
        assert_eq!(schedule.follow(vec![probe(2)], at), [id]);
        assert_eq!(schedule.next_due(ROOM), None);
        schedule.end(id, PASS, at, &mut random);
        assert_eq!((schedule.next_due(ROOM), schedule.probe(id).is_none()), (None, true));
    }

    #[test]
    fn the_first_round_ends_with_the_last_result() {
        let (mut schedule, now, mut random) = (Schedule::default(), Instant::now(), random());
        assert!(schedule.all_heard());
        schedule.follow(vec![probe(1), probe(2), probe(3)], now);
        let ids: Vec<_> = start(&mut schedule, now + SECOND).into_iter().map(|(id, _)| id).collect();
        schedule.end(ids[0], PASS, now + SECOND, &mut random);
        schedule.end(ids[1], Ending::Nothing, now + SECOND, &mut random);
        assert!(!schedule.all_heard());
        schedule.follow(vec![probe(1), probe(2)], now + SECOND);
        assert!(!schedule.all_heard(), "the second has had no result");
        schedule.end(ids[1], PASS, now + SECOND, &mut random);
        assert!(schedule.all_heard());
        schedule.follow(vec![probe(4)], now + SECOND);
        assert!(!schedule.all_heard());
    }

    #[test]
    fn a_broken_connection_calls_for_probes_until_a_pass_or_a_flip() {
        let mut random = random();
        let (mut schedule, id, at) = heard(&mut random);
        schedule.end(id, PASS, at, &mut random);
        let broken = at + SECOND;
        schedule.hasten(id, broken);
        assert_eq!(schedule.next_due(ROOM), Some(broken));
        let fails = Ending::Result { passed: false, flip_hangs: true };
        for probe in 0..3 {
            let now = broken + probe * AFTER_BREAK;
            assert_eq!(start(&mut schedule, now).len(), 1);
            schedule.end(id, fails, now, &mut random);
            assert_eq!(schedule.next_due(ROOM), Some(now + AFTER_BREAK), "probe {probe}");
        }
        let now = broken + 3 * AFTER_BREAK;
        start(&mut schedule, now);
        schedule.end(id, Ending::Result { passed: false, flip_hangs: false }, now, &mut random);
        assert_eq!(schedule.next_due(ROOM), Some(now + 5 * SECOND), "the flip is there");
        // Whoever closes every connection is asked once each fast interval.
        schedule.hasten(id, now + SECOND / 10);
        assert_eq!(schedule.next_due(ROOM), Some(broken + SECOND));
        start(&mut schedule, broken + SECOND);
        schedule.hasten(id, broken + SECOND);
        assert_eq!(schedule.next_due(ROOM), None, "a probe under way finds out by itself");
        schedule.end(id, PASS, broken + SECOND, &mut random);
        assert_eq!(schedule.next_due(ROOM), Some(broken + 6 * SECOND));
    }

    #[test]
    fn commands_and_sockets_do_not_wait_for_each_other() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let (key, socket) = probe(1);
        let exec = ExecCheck { program: "true".into(), arguments: Vec::new(), pool: String::new(), port: None };
        let command = Arc::new(Check { kind: CheckKind::Exec(exec), ..(*socket).clone() });
        let other = ProbeKey { address: IpAddr::V4(Ipv4Addr::from_bits(2)), ..key.clone() };
        schedule.follow(vec![(other.clone(), command), (key.clone(), socket)], now);
        let no_commands = Room { sockets: true, commands: false };
        assert_eq!(schedule.start_due(no_commands, now + SECOND).map(|started| started.1), Some(key));
        assert_eq!(schedule.next_due(no_commands), None);
        let no_sockets = Room { sockets: false, commands: true };
        assert_eq!(schedule.start_due(no_sockets, now + SECOND).map(|started| started.1), Some(other));
    }
}
