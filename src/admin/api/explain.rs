//! Why one question is answered as it is, as JSON.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Member;

/// Where the explanation of `name`, `type` and the client `from` is.
pub const EXPLAIN_PATH: &str = "/api/v1/explain";

/// The answer to [`EXPLAIN_PATH`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explanation {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The client.
    pub from: IpAddr,
    /// The number of the snapshot that answers.
    pub generation: u64,
    /// The apex of the zone that answers; `null` when none does.
    pub zone: Option<String>,
    /// Its serial, as its file or its primary has it; `null` when it has no data.
    pub serial: Option<u32>,
    /// How such a reply is counted, such as `answer` or `nxdomain`.
    pub outcome: String,
    /// Why it is this reply, a sentence each.
    pub why: Vec<String>,
    /// The pool that the question leads to, if it does.
    pub pool: Option<ExplainedPool>,
    /// The reply by TCP, in hexadecimal.
    pub reply: String,
}

/// One family of a pool, for one client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedPool {
    /// The owner.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// How members are put into hands.
    pub spread: String,
    /// The name of the check, if the members have one.
    pub check: Option<String>,
    /// How many members may be handed out now.
    pub eligible: usize,
    /// Why members that are down are handed out, if too few are healthy.
    pub panic: Option<String>,
    /// Since when all verdicts are frozen, because most probes fail and no witness answers.
    pub frozen: Option<Timestamp>,
    /// Whether the hands stand in for better ones, which are being worked out.
    pub stands_in: bool,
    /// The addresses of the reply, in their order.
    pub hand: Vec<IpAddr>,
    /// Whether the client gets this hand each time; if not, it is an example.
    pub own: bool,
    /// The TTL of the hand, in seconds; `null` when nobody is handed out.
    pub ttl: Option<u32>,
    /// Where that comes from.
    pub ttl_why: Option<String>,
    /// In address order.
    pub members: Vec<ExplainedMember>,
}

/// One address of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedMember {
    /// As the status has it.
    #[serde(flatten)]
    pub member: Member,
    /// The part of all hands that it is in, 0 to 1.
    pub share: f64,
    /// Why it is handed out, or is not.
    pub why: String,
}
