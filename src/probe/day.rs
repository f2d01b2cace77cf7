//! A day of flapping, simulated: the schedule and the verdicts together, beside a model of each in a few lines.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::schedule::{Ending, Room, Schedule};
use crate::config::{Asked, Check, CheckKind, TcpCheck};
use crate::health::{CheckId, ProbeKey, Reason, Rules, Table, Verdict};

const DAY: Duration = Duration::from_hours(24);
const MEMBERS: u32 = 36;
const ROOM: Room = Room { sockets: true, commands: true };
const RULES: Rules = Rules {
    interval: Duration::from_secs(5),
    timeout: Duration::from_secs(2),
    fast_interval: Duration::from_secs(1),
    rise: 3,
    fall: 2,
    jitter_percent: 10,
};

/// A backend that dies and comes back now and then, and sometimes lets a single probe fail.
struct Backend {
    lives: bool,
    turns: Instant,
}

impl Backend {
    fn answers(&mut self, now: Instant, random: &mut SmallRng) -> bool {
        while self.turns <= now {
            self.lives = !self.lives;
            let most = if self.lives { 1800.0 } else { 120.0 };
            self.turns += Duration::from_secs_f64(most * random.random::<f64>());
        }
        self.lives && random.random::<f64>() > 0.01
    }
}

/// The rules of docs/health.md over what one member has answered since its last flip, and how often it was asked.
#[derive(Default)]
struct Model {
    up: Option<bool>,
    results: String,
    flips: usize,
    probes: usize,
    /// What the pauses up to its next probe would be without jitter.
    pauses: Duration,
}

impl Model {
    fn take(&mut self, passed: bool) {
        self.results.push(if passed { 'P' } else { 'F' });
        let risen = self.results.ends_with("PPP");
        let flips = match self.up {
            None => true,
            Some(true) => self.results.matches('F').count() == 2,
            Some(false) => risen,
        };
        if flips {
            self.flips += 1;
            self.up = Some(passed);
        }
        if flips || risen {
            self.results.clear();
        }
        self.probes += 1;
        // The pause after the first probe is drawn from the whole interval.
        if self.probes > 1 {
            self.pauses += if self.hangs() { RULES.fast_interval } else { RULES.interval };
        }
    }

    fn hangs(&self) -> bool {
        match self.up {
            Some(true) => self.results.contains('F'),
            _ => self.results.ends_with('P'),
        }
    }
}

fn probe(member: u32) -> (ProbeKey, Arc<Check>) {
    let kind = CheckKind::Tcp(TcpCheck { port: 1, hold: false });
    let id = CheckId::new("tcp port=1", RULES);
    let check = Arc::new(Check { name: "port".into(), kind, asked: Asked::Member, id });
    (ProbeKey { address: IpAddr::V4(Ipv4Addr::from_bits(member)), check: check.id.clone() }, check)
}

#[test]
fn a_day_of_flapping_leaves_no_drift_no_debt_and_no_wrong_verdict() {
    let mut random = SmallRng::seed_from_u64(24);
    let start = Instant::now();
    let (mut schedule, table) = (Schedule::default(), Table::default());
    let probes: Vec<_> = (0..MEMBERS).map(probe).collect();
    table.follow(&probes.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), start);
    schedule.follow(probes, start);
    let mut backends: Vec<_> = (0..MEMBERS).map(|_| Backend { lives: true, turns: start }).collect();
    let mut models: Vec<_> = (0..MEMBERS).map(|_| Model::default()).collect();
    while let Some(now) = schedule.next_due(ROOM).filter(|now| *now < start + DAY) {
        let (id, key, _) = schedule.start_due(ROOM, now).expect("one is due");
        let IpAddr::V4(address) = key.address else { panic!("an address of IPv4") };
        let (backend, model) = (&mut backends[address.to_bits() as usize], &mut models[address.to_bits() as usize]);
        let passed = backend.answers(now, &mut random);
        model.take(passed);
        let result = if passed { Ok(()) } else { Err(Reason::new("refused")) };
        table.observe(&key, result, now);
        let verdict = if model.up == Some(true) { Verdict::Up } else { Verdict::Down };
        let hangs = (table.verdict(&key), table.flip_hangs(&key));
        assert_eq!(hangs, (verdict, model.hangs()), "{key} after probe {} at {:?}", model.probes, now - start);
        // Half of a second at most, as real ones take, but never longer than the shortest pause.
        let took = Duration::from_millis(random.random_range(0..500));
        schedule.end(id, Ending::Result { passed, flip_hangs: hangs.1 }, now + took, &mut random);
        assert!(schedule.queued() <= MEMBERS as usize, "{} entries wait", schedule.queued());
    }
    for (member, model) in models.iter().enumerate() {
        // Jitter of 10 % adds up to some 40 s of deviation over the 17,000 probes of a day; a debt of 1 % would be 864 s.
        let drift = model.pauses.abs_diff(DAY);
        assert!(drift < Duration::from_secs(240), "member {member}: {drift:?} over {} probes", model.probes);
        assert!(model.flips > 100, "member {member} flipped {} times", model.flips);
    }
    assert_eq!((table.findings().len(), table.belief().probes), (MEMBERS as usize, MEMBERS as usize));
    let failing = models.iter().filter(|model| model.up == Some(false) && !model.hangs()).count();
    assert!(table.belief().failing >= failing && table.belief().failing <= MEMBERS as usize);
    table.follow(&[], start + DAY);
    schedule.follow(Vec::new(), start + DAY);
    assert_eq!((table.findings().len(), schedule.next_due(ROOM), schedule.queued()), (0, None, 0));
}
