//! What clients do that take the member whose address shares most bits with their own (RFC 6724 rule 9).
//!
//! A tie keeps the order sent. Only IPv6 hosts sort so between networks, and some look at 64 bits, others at 128: here a
//! client ties between the members of one /64, which is what it does unless it is in that /64 itself.

use std::net::IpAddr;

use super::Rotation;
use crate::net::Prefix;

/// The overload of the members, in address order, by where the clients are.
#[derive(Clone, Debug, PartialEq)]
pub struct PrefixFigures {
    /// How many /64 the members lie in.
    pub prefixes: usize,
    /// With all clients in one /64, which has members; of many /64, some dozens.
    pub near: Vec<(Prefix, Vec<f64>)>,
    /// With clients all over 2000::/3, each address as likely as the other.
    pub all_over: Vec<f64>,
}

impl PrefixFigures {
    /// Counts a lap of `rotation`; `None` unless its members are IPv6.
    pub fn of(rotation: &Rotation) -> Option<Self> {
        let networks: Vec<u64> =
            rotation.members().iter().map(|member| network(member.address)).collect::<Option<_>>()?;
        let mut distinct = networks.clone();
        distinct.dedup();
        let total: f64 = rotation.members().iter().map(|member| member.weight).sum();
        let over = |mut loads: Vec<f64>| {
            let fair = rotation.members().iter().map(|member| member.weight / total);
            loads.iter_mut().zip(fair).for_each(|(load, fair)| *load /= fair);
            loads
        };
        let step = distinct.len().div_ceil(MOST_PREFIXES).max(1);
        let mut near = vec![vec![0.0; networks.len()]; distinct.len().div_ceil(step)];
        let mut all_over = vec![0.0; networks.len()];
        for (sent, count) in rotation.deals() {
            let part = count as f64 / rotation.len() as f64;
            for (client, loads) in distinct.iter().step_by(step).zip(&mut near) {
                // The first of those that share most: a later one replaces it only by sharing more.
                let apart = |member: &&usize| (networks[**member] ^ client).leading_zeros();
                let most = sent.iter().map(|member| apart(&member)).max();
                if let Some(taken) = sent.iter().find(|member| Some(apart(member)) == most) {
                    loads[*taken] += part;
                }
            }
            fall(&sent, &networks, GLOBAL, part, &mut all_over);
        }
        let of = |network: u64| Prefix::of(IpAddr::from((u128::from(network) << 64).to_be_bytes()), 64);
        let clients = distinct.iter().step_by(step).map(|network| of(*network).expect("IPv6 has 64 bits"));
        Some(Self {
            prefixes: distinct.len(),
            near: clients.zip(near.into_iter().map(over)).collect(),
            all_over: over(all_over),
        })
    }
}

/// Spreads `part` of the clients, whose first `known` bits all of `sent` share, over `sent`.
fn fall(sent: &[usize], networks: &[u64], known: u32, part: f64, loads: &mut [f64]) {
    let Some((first, others)) = sent.split_first() else { return };
    let differ = others.iter().map(|member| (networks[*member] ^ networks[*first]).leading_zeros()).min().unwrap_or(64);
    // Clients that part from all of them before they part from each other see a tie.
    let shared = part * 0.5_f64.powi(differ.saturating_sub(known).min(64) as i32);
    loads[*first] += part - shared;
    if differ == 64 {
        loads[*first] += shared;
        return;
    }
    for bit in [0, 1] {
        let side: Vec<usize> =
            sent.iter().copied().filter(|member| networks[*member] >> (63 - differ) & 1 == bit).collect();
        fall(&side, networks, differ + 1, shared / 2.0, loads);
    }
}

fn network(address: IpAddr) -> Option<u64> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some((v6.to_bits() >> 64) as u64),
    }
}

/// Global unicast is 2000::/3 (RFC 4291 section 2.4): three bits say nothing.
const GLOBAL: u32 = 3;
/// More would not be read, and take long in a pool of thousands.
const MOST_PREFIXES: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::{Eligible, PerFamily, Policy};

    fn figures(addresses: &[&str], policy: &Policy) -> PrefixFigures {
        let one = |address: &&str| Eligible { address: address.parse().expect("an address"), weight: 1.0, ttl: 30 };
        let members: Vec<Eligible> = addresses.iter().map(one).collect();
        PrefixFigures::of(&Rotation::build(&members, policy, 1)).expect("IPv6")
    }

    fn worst(loads: &[f64]) -> f64 {
        loads.iter().copied().fold(0.0, f64::max)
    }

    #[test]
    fn in_one_prefix_all_members_tie() {
        let figures = figures(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"], &Policy::default());
        assert_eq!(figures.prefixes, 1);
        assert!(worst(&figures.all_over) < 1.4 && worst(&figures.near[0].1) < 1.4, "{figures:?}");
    }

    #[test]
    fn clients_take_who_is_near_and_together_leaves_them_a_tie() {
        let sites = ["2001:db8:a::1", "2001:db8:a::2", "2600:db8:b::1", "2600:db8:b::2"];
        let full = Policy { k: PerFamily::both(4), ..Policy::default() };
        let alone = figures(&sites, &full);
        // Every hand has both sites, so clients near one never take the other.
        let (_, near) = &alone.near[0];
        assert_eq!((near[2], near[3]), (0.0, 0.0));
        // 2001 and 2600 part at the sixth bit, which a quarter of all clients reach.
        let sum: f64 = alone.all_over.iter().sum();
        assert!((sum - 4.0).abs() < 1e-9, "{alone:?}");
        let together = Policy { together: PerFamily { a: None, aaaa: Some(48) }, ..Policy::default() };
        let together = figures(&sites, &together);
        assert!(worst(&together.near[0].1) < 1.01, "{together:?}");
    }

    #[test]
    fn an_odd_one_out_draws_half_of_all_clients_that_could_have_it() {
        // They part at the fourth bit, the first that varies: half of the clients are on either side.
        let figures = figures(&["2001:db8::1", "3001:db8::1"], &Policy::default());
        assert_eq!(figures.all_over, [1.0, 1.0]);
        assert_eq!(figures.near[0].1, [2.0, 0.0]);
    }
}
