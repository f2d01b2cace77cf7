//! Why a drain is not done as it was asked for.

use std::io;
use std::path::PathBuf;

use crate::drain::{Drain, EditError};
use crate::health::Verdict;
use crate::net::Prefix;
use crate::pool::Member;
use crate::snapshot::Snapshot;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It would take the last ones out of some pools.
    #[error("{}; --force does it", .0.join("; "))]
    LastMembers(Vec<String>),
    /// No pool has such a member.
    #[error("no pool has a member {0}; --force drains it before it comes")]
    NoMember(Prefix),
    /// There is no such pool.
    #[error("there is no pool {0}; --force drains its members before it comes")]
    NoPool(String),
    /// It is not drained.
    #[error("{0} is not drained")]
    NotDrained(Prefix),
    /// It is drained with others, that were not meant.
    #[error("{0} is drained as one of {1}; `kofn undrain {1}` ends that")]
    DrainedWithOthers(Prefix, Prefix),
    /// The file has faults, which somebody has to mend first.
    #[error("{}", .0.join("; "))]
    Faults(Vec<String>),
    /// The file cannot be changed.
    #[error("{}: {error}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EditError,
    },
    /// The file cannot be written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Whether a drain is of anybody, and leaves every pool somebody.
pub(super) fn refusal(drain: &Drain, snapshot: &Snapshot) -> Option<Refusal> {
    let (mut pool_seen, mut member_seen, mut last) = (false, false, Vec::new());
    for (_, pool) in snapshot.pools() {
        pool_seen |= drain.pool.as_ref().is_none_or(|own| *own == pool.owner);
        for (rtype, family) in [("A", &pool.a), ("AAAA", &pool.aaaa)] {
            let members = family.as_ref().map_or(&[][..], |family| &family.members);
            let is_meant = |member: &&Member| drain.covers(&pool.owner, member.address);
            member_seen |= members.iter().any(|member| is_meant(&member));
            let (leaving, staying): (Vec<&Member>, Vec<&Member>) =
                members.iter().filter(|member| member.weight > 0.0 && !member.drained).partition(is_meant);
            let is_well = |member: &&Member| member.verdict != Verdict::Down;
            if leaving.is_empty() {
                continue;
            }
            if staying.is_empty() {
                last.push(format!("{} {rtype} would have no member left that is not drained", pool.owner));
            } else if leaving.iter().any(is_well) && !staying.iter().any(is_well) {
                last.push(format!("{} {rtype} would have only members left that are down", pool.owner));
            }
        }
    }
    match (&drain.pool, last.is_empty()) {
        (Some(pool), _) if !pool_seen => Some(Refusal::NoPool(pool.to_string())),
        _ if !member_seen => Some(Refusal::NoMember(drain.addr)),
        (_, false) => Some(Refusal::LastMembers(last)),
        _ => None,
    }
}
