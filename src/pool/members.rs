//! Who may be handed out now, and for each member why or why not.

use std::fmt;
use std::net::IpAddr;

use super::{Empty, Policy};
use crate::health::Verdict;

/// One address of a pool, as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// The address of its record.
    pub address: IpAddr,
    /// Its share relative to the others, once it is warm. 0 keeps it out of every hand.
    pub weight: f64,
    /// The part of its weight that it gets, above 0: less than 1 for a while after it has come back.
    pub warmth: f64,
    /// What the prober says. Only [`Verdict::Down`] counts against it.
    pub verdict: Verdict,
    /// Whether an operator or the backend itself has taken it out of the answers.
    pub drained: bool,
    /// Seconds that a hand with this member may be cached.
    pub ttl: u32,
}

impl Member {
    /// A member that nothing is known against, with the weight of the policy.
    ///
    /// `zone_ttl`, in seconds, is the TTL of its RRset in the zone: a ceiling to the TTL of the policy.
    pub fn new(address: IpAddr, policy: &Policy, zone_ttl: u32) -> Self {
        let (weight, ttl) = (policy.weight_of(address), policy.ttl.min(zone_ttl));
        Self { address, weight, warmth: 1.0, verdict: Verdict::Unknown, drained: false, ttl }
    }
}

/// A member that is handed out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eligible {
    /// The address of its record.
    pub address: IpAddr,
    /// Above 0.
    pub weight: f64,
    /// Seconds that a hand with this member may be cached.
    pub ttl: u32,
}

impl Eligible {
    /// Whether two families of members are dealt in the same hands, however long these last.
    pub fn are_dealt_alike(some: &[Self], others: &[Self]) -> bool {
        let alike = |(one, other): (&Self, &Self)| one.address == other.address && one.weight == other.weight;
        some.len() == others.len() && some.iter().zip(others).all(alike)
    }
}

/// Why a member is handed out, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Handed out.
    Served,
    /// Down, and handed out all the same: too few members are healthy for the verdicts to be believed.
    ServedInPanic,
    /// Drained, and handed out all the same: there is nobody else, and the policy prefers that to nothing.
    ServedDrained,
    /// Its weight is 0.
    Weightless,
    /// An operator has drained it, or it drains by itself.
    Drained,
    /// The prober says that it is down.
    Down,
    /// Its tier waits for those before it to fail.
    Waiting,
}

impl Standing {
    /// Whether such a member is in hands.
    pub const fn is_served(self) -> bool {
        matches!(self, Self::Served | Self::ServedInPanic | Self::ServedDrained)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "served",
            Self::ServedInPanic => "down, served in panic",
            Self::ServedDrained => "drained, served for want of others",
            Self::Weightless => "weight 0",
            Self::Drained => "drained",
            Self::Down => "down",
            Self::Waiting => "in a tier that waits",
        })
    }
}

/// The members of one family, judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Who is handed out, in the order of the members given.
    pub eligible: Vec<Eligible>,
    /// Whether too few members are healthy for the verdicts to be believed.
    pub panic: bool,
    /// One for each member given, in their order.
    pub standings: Vec<Standing>,
}

/// Judges the members of one family.
///
/// Tiers are opened one after another until the healthy share of the open ones reaches the panic threshold. When it
/// does so in none, and no tier reaches it alone either, the prober is distrusted and every tier is handed out whole. A
/// tier that is well alone shows that the prober works: its neighbours are then believed to be down.
pub fn select(members: &[Member], policy: &Policy) -> Selection {
    let candidate = |member: &Member| member.weight > 0.0 && !member.drained;
    let tiers: Vec<usize> = members.iter().map(|member| policy.tier_of(member.address)).collect();
    let mut tallies = vec![Tally::default(); policy.tiers.len() + 1];
    for (member, tier) in members.iter().zip(&tiers).filter(|(member, _)| candidate(member)) {
        tallies[*tier].add(member.verdict);
    }
    let (last_open, panic) = open(&tallies, policy.panic);
    let nobody = tallies.iter().all(|tally| tally.members == 0);
    let standings: Vec<Standing> = members
        .iter()
        .zip(&tiers)
        .map(|(member, tier)| match member {
            member if member.weight <= 0.0 => Standing::Weightless,
            Member { drained: true, .. } if nobody && policy.empty == Empty::Drained => Standing::ServedDrained,
            Member { drained: true, .. } => Standing::Drained,
            Member { verdict: Verdict::Down, .. } if panic => Standing::ServedInPanic,
            Member { verdict: Verdict::Down, .. } => Standing::Down,
            _ if *tier > last_open => Standing::Waiting,
            _ => Standing::Served,
        })
        .collect();
    let served = members.iter().zip(&standings).filter(|(_, standing)| standing.is_served());
    let eligible = served
        .map(|(member, _)| {
            // In panic most hands go to the dead: the few that have come back are not to be spared.
            let warmth = if panic { 1.0 } else { member.warmth };
            Eligible { address: member.address, weight: member.weight * warmth, ttl: member.ttl }
        })
        .collect();
    Selection { eligible, panic, standings }
}

/// The members of a tier that neither weight nor drain keeps out, and how many of them are not down.
#[derive(Clone, Copy, Default)]
struct Tally {
    members: u32,
    healthy: u32,
}

impl Tally {
    fn add(&mut self, verdict: Verdict) {
        self.members += 1;
        self.healthy += u32::from(verdict != Verdict::Down);
    }

    /// A tier without members is never enough: the next one is asked.
    fn is_enough(self, share: f64) -> bool {
        self.healthy > 0 && f64::from(self.healthy) >= share * f64::from(self.members)
    }
}

/// The last tier that is open, and whether this is panic.
fn open(tallies: &[Tally], share: f64) -> (usize, bool) {
    let mut before = Tally::default();
    for (tier, tally) in tallies.iter().enumerate() {
        before = Tally { members: before.members + tally.members, healthy: before.healthy + tally.healthy };
        if before.is_enough(share) {
            return (tier, false);
        }
    }
    let trusted = before.members == 0 || tallies.iter().any(|tally| tally.is_enough(share));
    (tallies.len(), !trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `u` up, `d` down, `x` drained, `0` weight 0, `-` unknown; one member each, from 192.0.2.0.
    fn members(marks: &str, policy: &Policy) -> Vec<Member> {
        let one = |(index, mark): (usize, char)| {
            let last = u8::try_from(index).expect("a small pool");
            let mut member = Member::new(IpAddr::from([192, 0, 2, last]), policy, 300);
            match mark {
                'u' => member.verdict = Verdict::Up,
                'd' => member.verdict = Verdict::Down,
                'x' => member.drained = true,
                '0' => member.weight = 0.0,
                _ => {}
            }
            member
        };
        marks.chars().enumerate().map(one).collect()
    }

    /// `*` served, `.` not.
    fn served(marks: &str, policy: &Policy) -> (String, bool) {
        let selection = select(&members(marks, policy), policy);
        let mark = |standing: &Standing| if standing.is_served() { '*' } else { '.' };
        assert_eq!(selection.eligible.len(), selection.standings.iter().filter(|one| one.is_served()).count());
        (selection.standings.iter().map(mark).collect(), selection.panic)
    }

    fn expect(marks: &str, policy: &Policy, right: &str, panic: bool) {
        assert_eq!(served(marks, policy), (right.to_owned(), panic), "{marks}");
    }

    /// Tiers of the first four addresses, the next four, and the rest.
    fn tiered() -> Policy {
        let tier = |text: &str| vec![text.parse().expect("a prefix")];
        Policy { tiers: vec![tier("192.0.2.0/30"), tier("192.0.2.4/30")], ..Policy::default() }
    }

    #[test]
    fn the_dead_the_drained_and_the_weightless_are_out() {
        let policy = Policy::default();
        expect("uu-ud0xu", &policy, "****...*", false);
        let right = [Standing::Down, Standing::Weightless, Standing::Drained, Standing::Served, Standing::Served];
        assert_eq!(select(&members("d0xu-", &policy), &policy).standings, right);
    }

    #[test]
    fn below_the_threshold_everyone_is_served_but_the_drained_and_the_weightless() {
        let policy = Policy::default();
        expect("uudd", &policy, "**..", false);
        expect("uddd", &policy, "****", true);
        expect("ddddx0", &policy, "****..", true);
        expect("udddd", &Policy { panic: 0.2, ..Policy::default() }, "*....", false);
        expect("ddddd", &Policy { panic: 0.0, ..Policy::default() }, "*****", true);
    }

    #[test]
    fn who_has_just_come_back_gets_less_but_not_in_panic() {
        let policy = Policy::default();
        let weights = |marks: &str| {
            let mut members = members(marks, &policy);
            members[0].warmth = 0.1;
            select(&members, &policy).eligible.iter().map(|one| one.weight).collect::<Vec<_>>()
        };
        assert_eq!(weights("uuu"), [0.1, 1.0, 1.0]);
        assert_eq!(weights("udd"), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn tiers_open_one_after_another() {
        let policy = tiered();
        expect("uuuuuuuuuuuu", &policy, "****........", false);
        expect("uudduuuuuuuu", &policy, "**..........", false);
        expect("uddduuuuuuuu", &policy, "*...****....", false);
        expect("ddddudduuuuu", &policy, "....*..*****", false);
        expect("xxxxuuuuuuuu", &policy, "....****....", false);
    }

    #[test]
    fn a_tier_that_is_well_alone_shows_that_the_prober_works() {
        let policy = tiered();
        expect("dddddddduu", &policy, "........**", false);
        expect("ddddddddud", &policy, "........*.", false);
        expect("dddddddddd", &policy, "**********", true);
        expect("dddudddddd", &policy, "**********", true);
    }

    #[test]
    fn with_nobody_else_the_drained_are_served_unless_nodata_is_asked_for() {
        expect("xx0", &Policy::default(), "**.", false);
        expect("xx0", &Policy { empty: Empty::NoData, ..Policy::default() }, "...", false);
        expect("00", &Policy::default(), "..", false);
        expect("", &Policy::default(), "", false);
    }

    #[test]
    fn the_ttl_of_the_zone_is_a_ceiling() {
        let policy = Policy::default();
        let ttl = |zone| Member::new(IpAddr::from([192, 0, 2, 1]), &policy, zone).ttl;
        assert_eq!([ttl(10), ttl(300)], [10, 30]);
    }
}
