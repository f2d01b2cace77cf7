//! What an operator decides about a pool.

use std::net::IpAddr;
use std::time::Duration;

use crate::net::Prefix;

/// One value for each address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PerFamily<T> {
    /// For A records.
    pub a: T,
    /// For AAAA records.
    pub aaaa: T,
}

impl<T: Copy> PerFamily<T> {
    /// The same value for both families.
    pub const fn both(value: T) -> Self {
        Self { a: value, aaaa: value }
    }

    /// The value for the family of `address`.
    pub fn of(&self, address: IpAddr) -> T {
        if address.is_ipv4() { self.a } else { self.aaaa }
    }
}

/// How members are put into hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Spread {
    /// The hands that overload no member, whichever address of a hand the clients take.
    #[default]
    Balanced,
    /// A plain random draw of k members.
    Random,
    /// The same client network gets the same hand for as long as its members last.
    Affinity,
    /// Every member in every answer, rotated; `k` is not looked at.
    All,
}

impl Spread {
    /// Every value, in the order of the manual.
    pub const ALL: [Self; 4] = [Self::Balanced, Self::Random, Self::Affinity, Self::All];

    /// The word for it in TOML, JSON and print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Random => "random",
            Self::Affinity => "affinity",
            Self::All => "all",
        }
    }
}

/// What is answered when no member at all may be handed out: each is drained or has weight 0.
///
/// SERVFAIL is no choice here: some resolvers remember it for a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Empty {
    /// The drained members, which are alive until somebody stops them. Never those of weight 0.
    #[default]
    Drained,
    /// NODATA, said on purpose.
    NoData,
}

impl Empty {
    /// Every value, in the order of the manual.
    pub const ALL: [Self; 2] = [Self::Drained, Self::NoData];

    /// The word for it in TOML, JSON and print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::NoData => "nodata",
        }
    }
}

/// The policy of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Addresses in a hand, at least 1.
    pub k: PerFamily<u16>,
    /// Seconds that a hand may be cached.
    pub ttl: u32,
    /// Seconds to which the TTL falls for a hand with a member whose verdict hangs.
    pub ttl_min: u32,
    /// How members are put into hands.
    pub spread: Spread,
    /// A hand stays within one prefix of this length.
    pub together: PerFamily<Option<u8>>,
    /// A hand takes no two members of one prefix of this length.
    pub apart: PerFamily<Option<u8>>,
    /// The weight of the members in a prefix; the longest prefix decides, and without one the weight is 1.
    pub weights: Vec<(Prefix, f64)>,
    /// Groups of prefixes: a later group is opened when those before are not healthy enough. What is in none is last.
    pub tiers: Vec<Vec<Prefix>>,
    /// The share of healthy members, 0 to 1, below which the prober is distrusted and all members are handed out.
    pub panic: f64,
    /// Over this time after a recovery the weight of a member grows from a tenth to the whole.
    pub slow_start: Duration,
    /// What is answered when no member may be handed out.
    pub empty: Empty,
}

impl Policy {
    /// The weight that the policy gives to `address`: 0 keeps it out of every hand.
    pub fn weight_of(&self, address: IpAddr) -> f64 {
        let holders = self.weights.iter().filter(|(prefix, _)| prefix.contains(address));
        holders.max_by_key(|(prefix, _)| prefix.len()).map_or(1.0, |(_, weight)| *weight)
    }

    /// The part of its weight that a member gets so long after it has come back: it grows in steps, from a tenth.
    ///
    /// Each step has the rotation solved anew, so they are few.
    pub fn warmth(&self, since_recovery: Duration) -> f64 {
        let steps = (since_recovery.as_nanos() * u128::from(WARMTH_STEPS)).checked_div(self.slow_start.as_nanos());
        match steps.and_then(|steps| u32::try_from(steps).ok()) {
            Some(steps) if steps < WARMTH_STEPS => COLD + (1.0 - COLD) * f64::from(steps) / f64::from(WARMTH_STEPS),
            _ => 1.0,
        }
    }

    /// The time from one step of warmth to the next.
    pub fn warmth_step(&self) -> Duration {
        self.slow_start / WARMTH_STEPS
    }

    /// The tier of `address`, from 0.
    pub fn tier_of(&self, address: IpAddr) -> usize {
        let holds = |tier: &Vec<Prefix>| tier.iter().any(|prefix| prefix.contains(address));
        self.tiers.iter().position(holds).unwrap_or(self.tiers.len())
    }
}

/// The part of its weight with which a member comes back, and the steps from there to the whole.
const COLD: f64 = 0.1;
const WARMTH_STEPS: u32 = 10;

impl Default for Policy {
    fn default() -> Self {
        Self {
            k: PerFamily::both(2),
            ttl: 30,
            ttl_min: 5,
            spread: Spread::default(),
            together: PerFamily::both(None),
            apart: PerFamily::both(None),
            weights: Vec::new(),
            tiers: Vec::new(),
            panic: 0.5,
            slow_start: Duration::from_secs(30),
            empty: Empty::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().expect("a prefix")
    }

    #[test]
    fn the_longest_prefix_gives_the_weight() {
        let weights = vec![(prefix("192.0.2.7"), 2.0), (prefix("192.0.2.0/24"), 0.5), (prefix("192.0.0.0/16"), 4.0)];
        let policy = Policy { weights, ..Policy::default() };
        assert_eq!(policy.weight_of(address("192.0.2.7")), 2.0);
        assert_eq!(policy.weight_of(address("192.0.2.8")), 0.5);
        assert_eq!(policy.weight_of(address("192.0.3.8")), 4.0);
        assert_eq!(policy.weight_of(address("198.51.100.1")), 1.0);
        assert_eq!(policy.weight_of(address("2001:db8::1")), 1.0);
    }

    #[test]
    fn who_comes_back_warms_up_in_steps() {
        let policy = Policy::default();
        let warmth = |milliseconds| (policy.warmth(Duration::from_millis(milliseconds)) * 1000.0).round() / 1000.0;
        let steps: Vec<f64> = (0..=10).map(|step| warmth(step * 3000)).collect();
        assert_eq!(steps, [0.1, 0.19, 0.28, 0.37, 0.46, 0.55, 0.64, 0.73, 0.82, 0.91, 1.0]);
        assert_eq!([warmth(2999), warmth(29_999), warmth(1 << 50)], [0.1, 0.91, 1.0]);
        assert_eq!(policy.warmth_step(), Duration::from_secs(3));
        let at_once = Policy { slow_start: Duration::ZERO, ..policy };
        assert_eq!(at_once.warmth(Duration::ZERO), 1.0);
    }

    #[test]
    fn what_is_in_no_tier_is_last() {
        let tiers = vec![vec![prefix("192.0.2.0/24")], vec![prefix("198.51.100.0/24"), prefix("2001:db8::/32")]];
        let policy = Policy { tiers, ..Policy::default() };
        let tier = |text| policy.tier_of(address(text));
        assert_eq!([tier("192.0.2.1"), tier("198.51.100.1"), tier("2001:db8::1"), tier("203.0.113.1")], [0, 1, 1, 2]);
    }
}
