//! What `kofn spread` finds out; the form of `--json`.

use std::net::IpAddr;

use serde::Serialize;

use super::octets::Octets;
use super::subject::Subject;
use crate::pool::{Death, Figures, Kind, PerKind, PrefixFigures, Rotation, bound, plain};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The owner; none of an imagined pool.
    pub(super) name: Option<String>,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) spread: &'static str,
    /// Members that are handed out.
    pub(super) n: usize,
    /// Addresses in a hand.
    pub(super) k: usize,
    /// Hands in a lap.
    pub(super) slots: usize,
    /// Different sets of members among them.
    pub(super) subsets: usize,
    /// What the worst overload of no hands can be below.
    pub(super) bound: f64,
    pub(super) worst: f64,
    /// The worst of each kind of client.
    pub(super) overload: Kinds,
    /// The same for a plain random draw of k.
    pub(super) plain: Kinds,
    /// For a plain random draw of eight.
    pub(super) eight: Kinds,
    /// For all addresses in each answer, in random order.
    pub(super) full: Kinds,
    pub(super) octets: Sizes,
    pub(super) deaths: Deaths,
    /// AAAA only: clients that sort by common prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefixes: Option<Prefixes>,
    pub(super) held_out: Vec<HeldOut>,
    pub(super) members: Vec<OneMember>,
}

/// A number for each kind of client.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Kinds {
    pub(super) lowest: f64,
    pub(super) highest: f64,
    pub(super) first: f64,
    pub(super) any: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Sizes {
    pub(super) hand: Octets,
    pub(super) eight: Octets,
    pub(super) full: Octets,
}

/// What happens when one member dies, before any answer changes and clients go on to the next address.
#[derive(Debug, Serialize)]
pub(super) struct Deaths {
    /// The part of the dead member's sorting clients that lands on one neighbour: in half of all deaths it is more.
    pub(super) heir_median: f64,
    pub(super) heir_most: f64,
    /// The worst overload of the others, whoever dies.
    pub(super) worst: f64,
}

/// What clients that sort by common prefix do.
#[derive(Debug, Serialize)]
pub(super) struct Prefixes {
    /// How many /64 the members lie in.
    pub(super) count: usize,
    /// Whether `together` or `apart` is set.
    pub(super) is_grouped: bool,
    /// The worst overload with clients all over 2000::/3.
    pub(super) all_over: f64,
    pub(super) near: Vec<Near>,
}

/// All clients in one /64.
#[derive(Debug, Serialize)]
pub(super) struct Near {
    pub(super) prefix: String,
    pub(super) worst: f64,
    /// Who has it.
    pub(super) member: IpAddr,
    /// Its part of these clients.
    pub(super) share: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct HeldOut {
    pub(super) address: IpAddr,
    pub(super) standing: String,
}

#[derive(Debug, Serialize)]
pub(super) struct OneMember {
    pub(super) address: IpAddr,
    pub(super) weight: f64,
    /// The fair share, 0 to 1.
    pub(super) fair: f64,
    pub(super) overload: Kinds,
    /// The part of its sorting clients that goes to one neighbour when it dies.
    pub(super) heir: f64,
    /// The worst overload of the others then.
    pub(super) worst_after: f64,
}

impl Report {
    pub(super) fn of(subject: &Subject) -> Self {
        let eligible = &subject.selection.eligible;
        let rotation = Rotation::build(eligible, &subject.policy, SEED);
        let figures = Figures::of(&rotation);
        let weights: Vec<f64> = eligible.iter().map(|member| member.weight).collect();
        let (n, k) = (eligible.len(), usize::from(rotation.deal(0).count));
        let draw = |size: usize| Kinds::worst_of(&plain(&weights, size));
        let octets = |records: usize| Octets::of(subject, records.min(n));
        Self {
            name: subject.owner.as_ref().map(ToString::to_string),
            rtype: subject.family.rtype().to_string(),
            spread: subject.policy.spread.name(),
            n,
            k,
            slots: figures.slots,
            subsets: figures.subsets,
            bound: bound(eligible, &subject.policy),
            worst: figures.overload.worst(),
            overload: Kinds::worst_of(&figures.overload),
            plain: draw(k),
            eight: draw(EIGHT),
            full: draw(n),
            octets: Sizes { hand: octets(k), eight: octets(EIGHT), full: octets(n) },
            deaths: Deaths::of(&figures.deaths),
            prefixes: PrefixFigures::of(&rotation)
                .filter(|_| subject.owner.is_some())
                .map(|figures| Prefixes::of(&figures, subject)),
            held_out: held_out(subject),
            members: members(subject, &figures),
        }
    }
}

fn held_out(subject: &Subject) -> Vec<HeldOut> {
    let judged = subject.members.iter().zip(&subject.selection.standings);
    let out = judged.filter(|(_, standing)| !standing.is_served());
    out.map(|(member, standing)| HeldOut { address: member.address, standing: standing.to_string() }).collect()
}

fn members(subject: &Subject, figures: &Figures) -> Vec<OneMember> {
    let eligible = &subject.selection.eligible;
    let total: f64 = eligible.iter().map(|member| member.weight).sum();
    let one = |(index, death): (usize, &Death)| OneMember {
        address: eligible[index].address,
        weight: eligible[index].weight,
        fair: eligible[index].weight / total,
        overload: Kinds::each(|kind| figures.overload.of(kind)[index]),
        heir: death.heir,
        worst_after: death.worst,
    };
    figures.deaths.iter().enumerate().map(one).collect()
}

impl Kinds {
    fn each(of: impl Fn(Kind) -> f64) -> Self {
        let [lowest, highest, first, any] = Kind::ALL.map(of);
        Self { lowest, highest, first, any }
    }

    fn worst_of(numbers: &PerKind) -> Self {
        Self::each(|kind| numbers.worst_of(kind))
    }

    pub(super) fn all(self) -> [f64; 4] {
        [self.lowest, self.highest, self.first, self.any]
    }

    pub(super) fn worst(self) -> f64 {
        self.all().into_iter().fold(0.0, f64::max)
    }
}

impl Deaths {
    fn of(deaths: &[Death]) -> Self {
        let mut heirs: Vec<f64> = deaths.iter().map(|death| death.heir).filter(|heir| *heir > 0.0).collect();
        heirs.sort_unstable_by(f64::total_cmp);
        Self {
            heir_median: heirs.get(heirs.len() / 2).copied().unwrap_or(0.0),
            heir_most: heirs.last().copied().unwrap_or(0.0),
            worst: deaths.iter().map(|death| death.worst).fold(0.0, f64::max),
        }
    }
}

impl Prefixes {
    fn of(figures: &PrefixFigures, subject: &Subject) -> Self {
        let eligible = &subject.selection.eligible;
        let total: f64 = eligible.iter().map(|member| member.weight).sum();
        let near = figures.near.iter().filter_map(|(prefix, overload)| {
            let (member, worst) = eligible.iter().zip(overload).max_by(|one, other| one.1.total_cmp(other.1))?;
            let share = worst * member.weight / total;
            Some(Near { prefix: prefix.to_string(), worst: *worst, member: member.address, share })
        });
        Self {
            count: figures.prefixes,
            is_grouped: subject.policy.together.aaaa.is_some() || subject.policy.apart.aaaa.is_some(),
            all_over: figures.all_over.iter().copied().fold(0.0, f64::max),
            near: near.collect(),
        }
    }
}

/// Any ring of these members is as good; this one is the same each time.
const SEED: u64 = 1;
/// What a well-known service answers with.
const EIGHT: usize = 8;
