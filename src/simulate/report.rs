//! What came of it.

use std::net::IpAddr;

use super::crowd::Crowd;
use super::scenario::Event;

/// The whole play.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Clients of all resolvers.
    pub clients: u64,
    /// Clients of the largest resolver: they all move at once.
    pub largest: u32,
    /// Answers that the server gave.
    pub answers: u64,
    /// Everyone who was a member at some time, in address order.
    pub members: Vec<IpAddr>,
    /// One after the other.
    pub minutes: Vec<Minute>,
    /// The first minute, from 0, that begins after the arrivals.
    pub settled: usize,
    /// The greatest overload from then on; none without a minute in which someone was served.
    pub worst: Option<Worst>,
    /// One for each kill and drain, in the order of time.
    pub departures: Vec<Departure>,
}

/// The means of a minute, in clients; lists are in the order of the report's members.
#[derive(Clone, Debug, PartialEq)]
pub struct Minute {
    /// Clients that a member is the first choice of.
    pub tried: Vec<f64>,
    /// Clients that a member serves: its own, and those of the dead that go on to it.
    pub served: Vec<f64>,
    /// The share of clients that a member should serve, 0 to 1; 0 for who was not there to serve the whole minute.
    pub fair: Vec<f64>,
    /// Clients that hold nothing but dead members.
    pub lost: f64,
    /// Clients whose resolver has no answer: it ran out and nobody has asked since.
    pub idle: f64,
    /// Clients that have arrived: served, lost or idle.
    pub present: f64,
    /// Seconds booked so far, until the minute is finished.
    booked: u32,
}

/// The member that had the most to bear, against its fair share of those who were served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// From 0.
    pub minute: usize,
    /// The index of the member.
    pub member: usize,
    /// Its share of the clients over its fair share.
    pub overload: f64,
}

/// How the clients of a member left it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure {
    /// The kill or the drain.
    pub event: Event,
    /// Clients that it was the first choice of, just before.
    pub before: f64,
    /// Seconds until at most a hundredth of them was left for good; none if more are left at the end.
    pub left: Option<u32>,
    /// Those left at the end, or when it came back.
    pub rest: f64,
}

impl Minute {
    pub(super) fn new(members: usize) -> Self {
        let zero = vec![0.0; members];
        Self { tried: zero.clone(), served: zero.clone(), fair: zero, lost: 0.0, idle: 0.0, present: 0.0, booked: 0 }
    }

    /// Books who is there in one second.
    pub(super) fn second(&mut self, crowd: &Crowd, fair: &[f64]) {
        for (sum, share) in self.fair.iter_mut().zip(fair) {
            // One second without a share, and the minute is no measure of the member.
            let present = *share > 0.0 && (*sum > 0.0 || self.booked == 0);
            *sum = if present { *sum + share } else { 0.0 };
        }
        self.idle += crowd.idle() as f64;
        self.present += crowd.present() as f64;
        self.booked += 1;
    }

    /// Turns sums into means.
    pub(super) fn finish(&mut self) {
        let seconds = f64::from(self.booked.max(1));
        let lists = [&mut self.tried, &mut self.served, &mut self.fair];
        lists.into_iter().flatten().for_each(|sum| *sum /= seconds);
        [&mut self.lost, &mut self.idle, &mut self.present].into_iter().for_each(|sum| *sum /= seconds);
    }

    /// The share of those served that `member` serves, over its fair share; none where that is 0.
    pub fn overload(&self, member: usize) -> Option<f64> {
        let served: f64 = self.served.iter().sum();
        (self.fair[member] > 0.0 && served > 0.0).then(|| self.served[member] / served / self.fair[member])
    }
}

impl Worst {
    /// The worst of the minutes from `first` on: while clients arrive, the few first ones are no measure.
    pub(super) fn of(minutes: &[Minute], first: usize) -> Option<Self> {
        let mut worst: Option<Self> = None;
        for (number, minute) in minutes.iter().enumerate().skip(first) {
            for member in 0..minute.served.len() {
                let Some(overload) = minute.overload(member) else { continue };
                if worst.is_none_or(|worst| overload > worst.overload) {
                    worst = Some(Self { minute: number, member, overload });
                }
            }
        }
        worst
    }
}
