//! Layer 2: a crowd of resolvers that asks a pool, second by second, while members die, drain and join.
//!
//! ```text
//! Scenario ─► Stage   who is alive, who is in hands     ─┐ a step: new rotation, its lap into Hands
//!         └─► Crowd   resolvers on a wheel of seconds   ─┤ a second: answers run out, the next are dealt
//!             Hands   how many clients hold which hand  ◄┘
//!               └──split by kind of client──► Report: load by member and minute, worst minute, departures
//! ```
//!
//! * Clients are whole numbers and are never lost from the books: in every minute those that are served, lost and idle sum
//!   to those present.
//! * A resolver is 16 octets and costs work only when its answer runs out. What its clients do with a hand is counted by
//!   hand, not by resolver: a death moves a million clients without a visit to any of them.
//! * Everything is pure and seeded: the same scenario makes the same report.
//!
//! Not here: where members and policy come from, and how a report looks (`cli`).

mod crowd;
mod hands;
mod report;
mod scenario;
mod stage;
mod watch;

use crowd::Crowd;
use hands::Hands;
pub use report::{Departure, Minute, Report, Worst};
pub use scenario::{Audience, Change, Event, Fault, Mix, Scenario};
use stage::Stage;
use watch::Watch;

/// Plays `scenario` and calls `on_minute` with the number of minutes played after each.
///
/// # Errors
///
/// What the scenario asks for cannot be played; see [`Fault`].
pub fn run(scenario: &Scenario, mut on_minute: impl FnMut(u32)) -> Result<Report, Fault> {
    scenario.validate()?;
    let mut play = Play::new(scenario);
    for minute in 0..scenario.minutes {
        for second in minute * MINUTE..(minute + 1) * MINUTE {
            play.second(second);
        }
        play.end_minute();
        on_minute(minute + 1);
    }
    Ok(play.report())
}

/// All that moves.
struct Play<'a> {
    scenario: &'a Scenario,
    stage: Stage<'a>,
    hands: Hands,
    crowd: Crowd,
    minute: Minute,
    minutes: Vec<Minute>,
    watches: Vec<Watch>,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let stage = Stage::new(scenario);
        let crowd = Crowd::new(&scenario.audience, scenario.policy.ttl, scenario.seconds(), scenario.seed);
        let minute = Minute::new(stage.members().len());
        let mut play =
            Self { scenario, stage, hands: Hands::default(), crowd, minute, minutes: Vec::new(), watches: Vec::new() };
        play.deal_anew();
        play
    }

    fn second(&mut self, second: u32) {
        let mut moved = false;
        while let Some(step) = self.stage.next_until(second) {
            // What was held until now is judged by who was alive until now.
            self.settle();
            if let Some(event) = step.opens {
                let mut watch = Watch::new(event, step.member);
                watch.follow(&self.hands, &self.scenario.audience.mix);
                watch.begin(&self.hands);
                self.watches.push(watch);
            }
            self.stage.apply(step);
            if step.ends_watch() {
                self.watches.iter_mut().filter(|watch| watch.member == step.member).for_each(Watch::end);
            }
            moved = true;
        }
        if moved {
            self.deal_anew();
        }
        self.crowd.second(second, &mut self.hands);
        self.hands.second();
        self.minute.second(&self.crowd, self.stage.fair());
        self.watches.iter_mut().for_each(|watch| watch.second(second, &self.hands));
    }

    /// New hands for whoever asks from now on.
    fn deal_anew(&mut self) {
        let rotation = self.stage.rotation();
        let lap = self.hands.add(&rotation, |address| self.stage.index(address));
        self.crowd.deal(lap, self.scenario.policy.spread);
        for watch in &mut self.watches {
            watch.follow(&self.hands, &self.scenario.audience.mix);
        }
    }

    fn settle(&mut self) {
        let alive = |member: u32| self.stage.is_alive(member);
        self.hands.settle(&self.scenario.audience.mix, alive, &mut self.minute);
    }

    fn end_minute(&mut self) {
        self.settle();
        let next = Minute::new(self.stage.members().len());
        let mut minute = std::mem::replace(&mut self.minute, next);
        minute.finish();
        self.minutes.push(minute);
    }

    fn report(self) -> Report {
        let members = self.stage.members().iter().map(|member| member.address).collect();
        let departures = self.watches.into_iter().map(Watch::departure).collect();
        let settled = self.scenario.audience.ramp.div_ceil(MINUTE) as usize;
        let worst = Worst::of(&self.minutes, settled);
        Report {
            clients: self.crowd.clients(),
            largest: self.crowd.largest(),
            answers: self.crowd.answers(),
            members,
            minutes: self.minutes,
            settled,
            worst,
            departures,
        }
    }
}

/// Seconds.
const MINUTE: u32 = 60;
