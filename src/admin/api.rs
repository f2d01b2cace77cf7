//! The JSON that the admin listener and the control socket speak, shared with the commands that read it.
//!
//! Times are RFC 3339 in UTC; a field that has no value is `null`, never left out, so that a script can rely on it.

mod drains;
mod explain;
mod now;
mod transfers;

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use drains::{Drain, DrainAsk, DrainedMember, Drains, Place, UndrainAsk};
pub use explain::{EXPLAIN_PATH, ExplainedMember, ExplainedPool, Explanation};
pub use now::{Alert, Queries, Recent, Refusal, Reloads};
pub use transfers::{Notified, RETRY_PATH, Retried, Secondary, TRANSFERS_PATH, Transfers, Watched};

/// Where the status is.
pub const STATUS_PATH: &str = "/api/v1/status";
/// Where the pools are, or the one of a name.
pub const POOLS_PATH: &str = "/api/v1/pools";
/// Where the zones are, or the one of a name.
pub const ZONES_PATH: &str = "/api/v1/zones";
/// Where all of this is described.
pub const OPENAPI_PATH: &str = "/api/v1/openapi.json";
/// Where the metrics are, for Prometheus.
pub const METRICS_PATH: &str = "/metrics";
/// Where a reload is asked for, by POST and on the control socket only.
pub const RELOAD_PATH: &str = "/api/v1/reload";
/// The same, and what was held is taken.
pub const FORCED_RELOAD_PATH: &str = "/api/v1/reload?force=true";

/// Where the drains are.
pub const DRAINS_PATH: &str = "/api/v1/drains";
/// Where a drain is asked for, by POST and on the control socket only.
pub const DRAIN_PATH: &str = "/api/v1/drain";
/// Where the end of drains is asked for, by POST and on the control socket only.
pub const UNDRAIN_PATH: &str = "/api/v1/undrain";

/// The answer to [`STATUS_PATH`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// What the server calls itself: `identity.id`, or the name of the machine.
    #[serde(default)]
    pub server: String,
    /// The version of the running program.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// The number of the snapshot that is served.
    pub generation: u64,
    /// What is wrong with kofn.toml and the zones folder, with places.
    pub faults: Vec<String>,
    /// The zones that are configured, served or not, by name.
    pub zones: Vec<Zone>,
    /// How far the probes are believed.
    #[serde(default)]
    pub health: Health,
    /// The pools of all zones, by name.
    pub pools: Vec<Pool>,
    /// Who is drained, and how long old answers name them.
    pub drains: Drains,
    /// Zones from and to other servers.
    #[serde(default)]
    pub transfers: Transfers,
    /// What the encrypted doors show.
    pub certificates: Vec<Certificate>,
    /// Where DNS is answered.
    #[serde(default)]
    pub listen: Vec<Listening>,
    /// What the process may still do.
    #[serde(default)]
    pub privileges: Privileges,
    /// What came in and what became of it.
    pub queries: Queries,
    /// The traffic of the last minutes.
    #[serde(default)]
    pub recent: Recent,
    /// The looks at the files.
    #[serde(default)]
    pub reloads: Reloads,
    /// What is wrong now.
    #[serde(default)]
    pub alerts: Vec<Alert>,
}

/// One address that DNS is answered at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Listening {
    /// `udp`, `tcp`, `tls`, `https` or `quic`.
    pub transport: String,
    /// The address and the port.
    pub address: SocketAddr,
}

/// What the process may still do, after it has given up what it needs no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Privileges {
    /// The user that it runs as: a name, or a number where that has none.
    pub user: String,
    /// Whether it could gain privileges by running a program.
    pub no_new_privileges: bool,
    /// Whether files outside of those that it works with are closed to it: `enforced`, `partly` on an older kernel, or `off`.
    pub landlock: String,
    /// Whether system calls that it never makes are closed to it: `enforced` or `off`.
    pub seccomp: String,
    /// Whether it may run commands: those of `exec` checks and of `alert.command`.
    pub commands: bool,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Certificate {
    /// The DNS names that it is for.
    pub names: Vec<String>,
    /// The file that it is read from.
    pub file: String,
    /// When it ends.
    pub ends: Timestamp,
    /// Whole days until then; below 0 when it has ended.
    pub days_left: i64,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Zone {
    /// The apex.
    pub name: String,
    /// The file that it is read from.
    pub file: String,
    /// Whether it is served, and as what.
    pub state: ZoneState,
    /// The serial that is served.
    pub serial: Option<u32>,
    /// How many records are served.
    pub records: usize,
    /// When the zone that is served was read.
    pub loaded: Option<Timestamp>,
    /// For what the files, as they stand now, are not served, with places.
    pub errors: Vec<String>,
    /// What the files, as they stand now, would take away, and for what they wait until somebody confirms them.
    pub held: Vec<String>,
    /// What is served though it deserves a look.
    pub warnings: Vec<String>,
}

/// What a zone's queries get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ZoneState {
    /// The files as they stand.
    Current,
    /// The last good state, because the files have a fault.
    Stale,
    /// The last good state, because the files would take most of it away.
    Held,
    /// SERVFAIL, because the files never were good since the start.
    Broken,
}

/// How far the probes are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Health {
    /// How many probes there are: one for each address and check.
    pub probes: usize,
    /// Of how many the last one failed.
    pub failing: usize,
    /// How many are overdue: their verdicts stand as they were.
    pub stale: usize,
    /// How many members go down as soon as a witness answers.
    pub withheld: usize,
    /// Whether a witness has answered when they were asked last; `null` without witnesses.
    pub witnesses: Option<bool>,
    /// Since when all verdicts are frozen, because most probes fail and no witness answers.
    pub frozen: Option<Timestamp>,
    /// How often they have been, since the start.
    pub freezes: u64,
}

/// One pool: the members of one owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pool {
    /// The owner.
    pub name: String,
    /// The zone it is in.
    pub zone: String,
    /// The name of the check, if the members have one.
    pub check: Option<String>,
    /// Its RRsets that are balanced.
    pub families: Vec<Family>,
}

/// The members of one address family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Family {
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// How many addresses an answer holds.
    pub k: u16,
    /// How members are put into hands.
    #[serde(default)]
    pub spread: String,
    /// Seconds that a hand may be cached.
    #[serde(default)]
    pub ttl: u32,
    /// Hands that were dealt since the start.
    #[serde(default)]
    pub hands: u64,
    /// Hands that were dealt in the last five minutes.
    #[serde(default)]
    pub recent_hands: u64,
    /// How many members may be handed out now.
    pub eligible: usize,
    /// Whether so few are healthy that all are served.
    pub panic: bool,
    /// In address order.
    pub members: Vec<Member>,
}

/// One address of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Member {
    /// The address.
    pub address: IpAddr,
    /// Its share, beside the weights of the others.
    pub weight: f64,
    /// The part of its weight that it gets: less than 1 for a while after it has come back.
    #[serde(default = "whole")]
    pub warmth: f64,
    /// Seconds that a hand with it may be cached.
    #[serde(default)]
    pub ttl: u32,
    /// `unknown`, `up` or `down`.
    pub verdict: String,
    /// Whether results have come in against the verdict.
    #[serde(default)]
    pub hangs: bool,
    /// Whether the next result is overdue.
    #[serde(default)]
    pub stale: bool,
    /// Whether it is in the hands that are dealt now.
    pub served: bool,
    /// Why it is, or is not.
    pub standing: String,
    /// Since when the verdict holds.
    pub since: Option<Timestamp>,
    /// When it was asked last.
    pub last_probe: Option<Timestamp>,
    /// Why the last failed probe failed.
    pub last_error: Option<String>,
    /// When the certificate that it has shown ends.
    pub certificate_end: Option<Timestamp>,
    /// How many seconds the last probe took.
    #[serde(default)]
    pub probe_seconds: Option<f64>,
    /// How often the verdict has changed since the start.
    #[serde(default)]
    pub flips: u64,
    /// The part of the weight of all who are served that is its own, 0 to 1.
    #[serde(default)]
    pub fair: f64,
    /// The part of the addresses of the last five minutes that were its own, 0 to 1; `null` when there were none.
    #[serde(default)]
    pub handed: Option<f64>,
    /// Hands with it since the start.
    #[serde(default)]
    pub answers: u64,
    /// Hands that named it first.
    #[serde(default)]
    pub first: u64,
}

fn whole() -> f64 {
    1.0
}

/// The answer to [`RELOAD_PATH`], given when the files have been read and what was good is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reloaded {
    /// The zones that are served now.
    pub zones: usize,
    /// Those whose new state is served, those that are gone among them.
    pub changed: Vec<Change>,
    /// What was not taken and why, with places.
    pub errors: Vec<String>,
    /// What was taken though it deserves a look, and what takes a restart.
    pub warnings: Vec<String>,
}

/// What a reload did to one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// The apex.
    pub zone: String,
    /// What was served before; `null` for a zone that is new, or never was good.
    pub before: Option<Extent>,
    /// What is served now; `null` for a zone that is gone, or never was good.
    pub after: Option<Extent>,
    /// The pools whose members have changed.
    pub pools: Vec<PoolChange>,
}

/// One state of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Extent {
    /// The serial.
    pub serial: u32,
    /// How many records.
    pub records: usize,
}

/// What a reload did to one family of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PoolChange {
    /// The owner.
    pub pool: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// How many members it has now.
    pub members: usize,
    /// Who is new.
    pub added: Vec<IpAddr>,
    /// Who is gone.
    pub removed: Vec<IpAddr>,
}
