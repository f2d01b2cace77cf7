//! Drains as JSON.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How all drains stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Drains {
    /// What is wrong with drains.toml, with places; the last good list holds then.
    pub faults: Vec<String>,
    /// What stands in drains.toml.
    pub drains: Vec<Drain>,
    /// The members that are drained, and those that are gone from their zones while old answers may name them.
    pub members: Vec<DrainedMember>,
}

/// One drain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Drain {
    /// The address or the prefix.
    pub addr: String,
    /// The owner of the pool; `null` for every pool.
    pub pool: Option<String>,
    /// When it began.
    pub since: Option<Timestamp>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

/// One member on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DrainedMember {
    /// The owner of its pool.
    pub pool: String,
    /// Its address.
    pub address: IpAddr,
    /// Where it is on its way out.
    pub place: Place,
    /// The drains that keep it out; empty for one that drains by itself, or is gone from its zone.
    pub by: Vec<String>,
    /// Whether its record is gone from the zone.
    pub removed: bool,
    /// When it was handed out last; `null` while it is, and where nobody knows.
    pub last_handed_out: Option<Timestamp>,
    /// The largest TTL, in seconds, of the answers that named it last.
    pub largest_ttl: Option<u32>,
    /// When the last lawful copy of such an answer is gone, or was; `null` while it is handed out.
    pub gone: Option<Timestamp>,
    /// Seconds until then; 0 when it is past.
    pub gone_in: Option<u64>,
}

/// Where a member is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In answers all the same, for want of others.
    Served,
    /// In no answer, but old ones may live in caches.
    Cached,
    /// No lawful copy is left.
    Gone,
}

/// What is asked for at [`DRAIN_PATH`](super::DRAIN_PATH).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DrainAsk {
    /// The address or the prefix.
    pub addr: String,
    /// The owner of the pool; `null` for every pool.
    pub pool: Option<String>,
    /// How long, such as `2h`.
    #[serde(rename = "for")]
    pub lasts: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Even if nobody is left, or nobody is there.
    pub force: bool,
}

/// What is asked for at [`UNDRAIN_PATH`](super::UNDRAIN_PATH).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UndrainAsk {
    /// The address or the prefix, as it was drained.
    pub addr: String,
    /// The owner of the pool; `null` for whatever pool the drain names.
    pub pool: Option<String>,
}
