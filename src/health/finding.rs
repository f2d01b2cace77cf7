//! A verdict as one process leaves it to the next.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::Verdict;

/// What was found of a member by one check, under whichever rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The member.
    pub address: IpAddr,
    /// What is asked of it, as [`CheckId::target`](super::CheckId::target) says it.
    pub target: Arc<str>,
    /// The verdict.
    pub verdict: Verdict,
    /// When the verdict became that.
    pub since: Instant,
}
