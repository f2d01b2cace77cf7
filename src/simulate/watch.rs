//! How the clients of one member leave it.

use super::hands::Hands;
use super::report::Departure;
use super::scenario::{Event, Mix};

/// Follows a member from the event that makes its clients leave.
pub(super) struct Watch {
    event: Event,
    pub(super) member: u32,
    /// The hands that hold it, with the share of their holders that try it first.
    hands: Vec<(u32, f64)>,
    before: f64,
    now: f64,
    /// Seconds from the event; none while more than a hundredth is left.
    left: Option<u32>,
    ended: bool,
}

impl Watch {
    pub(super) fn new(event: Event, member: u32) -> Self {
        Self { event, member, hands: Vec::new(), before: 0.0, now: 0.0, left: None, ended: false }
    }

    /// Finds the hands that hold the member, whenever there are new ones.
    pub(super) fn follow(&mut self, hands: &Hands, mix: &Mix) {
        self.hands = hands.of_member(self.member, mix);
    }

    /// Counts the clients that there are to leave.
    pub(super) fn begin(&mut self, hands: &Hands) {
        self.before = self.load(hands);
        self.now = self.before;
    }

    /// The member is back, and nobody leaves any more.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn second(&mut self, second: u32, hands: &Hands) {
        if self.ended {
            return;
        }
        self.now = self.load(hands);
        match self.now > self.before * FEW {
            true => self.left = None,
            false => self.left = self.left.or(Some(second - self.event.at)),
        }
    }

    fn load(&self, hands: &Hands) -> f64 {
        self.hands.iter().map(|(hand, share)| hands.held(*hand) as f64 * share).sum()
    }

    pub(super) fn departure(self) -> Departure {
        Departure { event: self.event, before: self.before, left: self.left, rest: self.now }
    }
}

/// When 99 % have left.
const FEW: f64 = 0.01;
