//! The pool as it stands from moment to moment.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::scenario::{Change, Event, Scenario};
use crate::health::Verdict;
use crate::pool::{Eligible, Member, Policy, Rotation, select};

/// Everyone who is a member at some time, in address order, and what is still to come.
pub(super) struct Stage<'a> {
    policy: &'a Policy,
    seed: u64,
    members: Vec<Member>,
    actors: Vec<Actor>,
    steps: VecDeque<Step>,
    eligible: Vec<Eligible>,
    /// The share of the clients that each member should have now: none for the dead and for those out of hands.
    fair: Vec<f64>,
}

/// What the server does not know of a member.
#[derive(Clone, Copy)]
struct Actor {
    joined: bool,
    alive: bool,
}

/// A moment at which something changes.
#[derive(Clone, Copy)]
pub(super) struct Step {
    at: u32,
    pub(super) member: u32,
    turn: Turn,
    /// The event by which clients begin to leave the member.
    pub(super) opens: Option<Event>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Die,
    /// The prober has seen the death, unless the member is back.
    Detect,
    Drain,
    Join,
}

impl Step {
    /// A member that comes back is no longer left.
    pub(super) fn ends_watch(&self) -> bool {
        self.turn == Turn::Join
    }
}

impl<'a> Stage<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let mut members = scenario.members.clone();
        // The members of an RRset share its TTL (RFC 2181 section 5.2), and a newcomer joins the RRset.
        let ttl = members.iter().map(|member| member.ttl).min().unwrap_or(scenario.policy.ttl);
        for event in &scenario.events {
            if !members.iter().any(|member| member.address == event.address) {
                members.push(Member::new(event.address, &scenario.policy, ttl));
            }
        }
        members.sort_by_key(|member| member.address);
        let is_there = |member: &Member| scenario.members.iter().any(|other| other.address == member.address);
        let actors = members.iter().map(|member| Actor { joined: is_there(member), alive: true }).collect();
        let fair = vec![0.0; members.len()];
        let (policy, seed) = (&scenario.policy, scenario.seed);
        let mut stage = Self { policy, seed, members, actors, steps: VecDeque::new(), eligible: Vec::new(), fair };
        stage.steps = stage.plan(scenario).into();
        stage.judge();
        stage
    }

    fn plan(&self, scenario: &Scenario) -> Vec<Step> {
        let mut steps = Vec::new();
        for event in &scenario.events {
            let member = self.index(event.address);
            let step = |at, turn, opens| Step { at, member, turn, opens };
            match event.change {
                Change::Kill => {
                    steps.push(step(event.at, Turn::Die, Some(*event)));
                    steps.push(step(event.at.saturating_add(scenario.detection), Turn::Detect, None));
                }
                Change::Drain => steps.push(step(event.at, Turn::Drain, Some(*event))),
                Change::Add => steps.push(step(event.at, Turn::Join, None)),
            }
        }
        steps.sort_by_key(|step| step.at);
        steps
    }

    /// The next step that is due at `second`.
    pub(super) fn next_until(&mut self, second: u32) -> Option<Step> {
        self.steps.pop_front_if(|step| step.at <= second)
    }

    pub(super) fn apply(&mut self, step: Step) {
        let (member, actor) = (&mut self.members[step.member as usize], &mut self.actors[step.member as usize]);
        match step.turn {
            Turn::Die => actor.alive = false,
            Turn::Detect if !actor.alive => member.verdict = Verdict::Down,
            Turn::Detect => {}
            Turn::Drain => member.drained = true,
            Turn::Join => {
                *actor = Actor { joined: true, alive: true };
                (member.verdict, member.drained) = (Verdict::Up, false);
            }
        }
        self.judge();
    }

    fn judge(&mut self) {
        let joined = self.members.iter().zip(&self.actors).filter(|(_, actor)| actor.joined);
        let joined: Vec<Member> = joined.map(|(member, _)| *member).collect();
        self.eligible = select(&joined, self.policy).eligible;
        let mut fair = vec![0.0; self.members.len()];
        for member in &self.eligible {
            let index = self.index(member.address) as usize;
            fair[index] = if self.actors[index].alive { member.weight } else { 0.0 };
        }
        let total: f64 = fair.iter().sum();
        if total > 0.0 {
            fair.iter_mut().for_each(|share| *share /= total);
        }
        self.fair = fair;
    }

    pub(super) fn rotation(&self) -> Rotation {
        // As many steps as are left tell one rotation from the next.
        Rotation::build(&self.eligible, self.policy, self.seed.wrapping_add(self.steps.len() as u64))
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn index(&self, address: IpAddr) -> u32 {
        let index = self.members.binary_search_by_key(&address, |member| member.address);
        u32::try_from(index.expect("everyone who ever joins is on stage")).expect("fewer than 2^32 members")
    }

    pub(super) fn is_alive(&self, member: u32) -> bool {
        self.actors[member as usize].alive
    }

    pub(super) fn fair(&self) -> &[f64] {
        &self.fair
    }
}
