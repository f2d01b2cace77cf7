//! What is simulated: the pool, who asks for it, and what happens meanwhile.

use std::net::IpAddr;

use crate::pool::{Kind, Member, Policy};

/// One play.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The members of one family at the start.
    pub members: Vec<Member>,
    /// The policy of the pool; `ttl` is the one that is served.
    pub policy: Policy,
    /// Who asks.
    pub audience: Audience,
    /// What happens, in any order.
    pub events: Vec<Event>,
    /// How long it is played, at least 1.
    pub minutes: u32,
    /// Seconds from a death until the member is in no new answer.
    pub detection: u32,
    /// The same seed makes the same play.
    pub seed: u64,
}

/// The resolvers and their clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Audience {
    /// Caches, each of which holds one answer at a time.
    pub resolvers: u32,
    /// The exponent of Zipf's law: of R resolvers the r-th has (R/r)^zipf clients, so that the last has one.
    pub zipf: f64,
    /// The share of resolvers that keep answers beyond their TTL, 0 to 1: each for its own time, up to a day.
    pub stretch: f64,
    /// What clients take of a hand.
    pub mix: Mix,
    /// Mean seconds between two questions of one client.
    pub pause: f64,
    /// Seconds over which the resolvers arrive.
    pub ramp: u32,
}

/// The share of each kind of client among those of every resolver; the sum is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix([f64; 4]);

/// Something that happens to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Seconds from the start.
    pub at: u32,
    /// The member.
    pub address: IpAddr,
    /// What happens to it.
    pub change: Change,
}

/// What happens to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It dies. It leaves new answers once that is detected.
    Kill,
    /// It leaves new answers at once, and lives on.
    Drain,
    /// It joins, or comes back, and is in new answers at once.
    Add,
}

impl Change {
    /// The word for it in JSON and print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Drain => "drain",
            Self::Add => "add",
        }
    }
}

/// Why a scenario cannot be played.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// There is no member at the start.
    #[error("the pool has no member")]
    NoMember,
    /// A member does not share the family of the others.
    #[error("{0} is not of the same family as the other members")]
    Family(IpAddr),
    /// An event for who is no member then.
    #[error("{} {}: it is no member at second {}", .0.change.name(), .0.address, .0.at)]
    Stranger(Event),
    /// An event after the end.
    #[error("{} {}: second {} is not within the play of {} s", .event.change.name(), .event.address, .event.at, .seconds)]
    Late {
        /// The event.
        event: Event,
        /// The length of the play.
        seconds: u32,
    },
    /// A number out of its range.
    #[error("{what} is {found}; {right} would be right")]
    Range {
        /// Which number.
        what: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        right: &'static str,
    },
}

impl Mix {
    /// The mix of `shares`, in the order of [`Kind::ALL`], scaled to the sum 1. None if a share is negative or all are 0.
    pub fn new(shares: [f64; 4]) -> Option<Self> {
        let sum: f64 = shares.iter().sum();
        let valid = shares.iter().all(|share| *share >= 0.0) && sum > 0.0 && sum.is_finite();
        valid.then(|| Self(shares.map(|share| share / sum)))
    }

    /// All clients of one kind.
    pub fn only(kind: Kind) -> Self {
        Self(Kind::ALL.map(|other| if other == kind { 1.0 } else { 0.0 }))
    }

    /// The shares, in the order of [`Kind::ALL`].
    pub fn shares(&self) -> [f64; 4] {
        self.0
    }
}

impl Default for Mix {
    /// Most resolvers shuffle what they cache, so most clients take any; some resolvers freeze the order that they got, and
    /// sorting lives on in shared networks.
    fn default() -> Self {
        Self([0.2, 0.1, 0.2, 0.5])
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self { resolvers: 100_000, zipf: 1.0, stretch: 0.5, mix: Mix::default(), pause: 30.0, ramp: 60 }
    }
}

impl Scenario {
    /// Its length.
    pub(super) fn seconds(&self) -> u32 {
        self.minutes * super::MINUTE
    }

    pub(super) fn validate(&self) -> Result<(), Fault> {
        self.validate_numbers()?;
        let first = self.members.first().ok_or(Fault::NoMember)?.address;
        let addresses = self.members.iter().map(|member| member.address);
        let mut known: Vec<IpAddr> = addresses.clone().collect();
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.at);
        for address in addresses.chain(events.iter().map(|event| event.address)) {
            if address.is_ipv4() != first.is_ipv4() {
                return Err(Fault::Family(address));
            }
        }
        for event in events {
            if event.at >= self.seconds() {
                return Err(Fault::Late { event, seconds: self.seconds() });
            }
            match event.change {
                Change::Add => known.push(event.address),
                Change::Kill | Change::Drain if known.contains(&event.address) => {}
                Change::Kill | Change::Drain => return Err(Fault::Stranger(event)),
            }
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), Fault> {
        let Audience { resolvers, zipf, stretch, pause, ramp, .. } = self.audience;
        let rules = [
            ("minutes", f64::from(self.minutes), (1..=MOST_MINUTES).contains(&self.minutes), "1 to 10080"),
            ("resolvers", resolvers.into(), (1..=MOST_RESOLVERS).contains(&resolvers), "1 to 50000000"),
            ("zipf", zipf, (0.0..=1.2).contains(&zipf), "0 to 1.2"),
            ("stretch", stretch, (0.0..=1.0).contains(&stretch), "0 to 1"),
            ("pause", pause, (0.0..=86_400.0).contains(&pause), "0 to 86400 seconds"),
            ("ramp", ramp.into(), ramp < self.minutes.saturating_mul(super::MINUTE), "less than the whole play"),
        ];
        match rules.into_iter().find(|(_, _, valid, _)| !valid) {
            Some((what, found, _, right)) => Err(Fault::Range { what, found, right }),
            None => Ok(()),
        }
    }
}

/// A week.
const MOST_MINUTES: u32 = 7 * 24 * 60;
/// At 16 octets each that is 800 MB, and with the greatest exponent the clients of the first still fit 32 bits.
const MOST_RESOLVERS: u32 = 50_000_000;
