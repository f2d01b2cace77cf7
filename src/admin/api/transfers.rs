//! Zones that come from other servers, and what servers that follow this one serve.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where the transfers are.
pub const TRANSFERS_PATH: &str = "/api/v1/transfers";
/// Where a look at the primaries of `zone` is asked for, by POST and on the control socket only; `force=true` takes what they
/// have even if it is not newer.
pub const RETRY_PATH: &str = "/api/v1/transfers/retry";

/// The answer to [`TRANSFERS_PATH`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transfers {
    /// The zones that come from primaries, by name.
    pub secondaries: Vec<Secondary>,
    /// The servers that are watched, by zone.
    pub watched: Vec<Watched>,
    /// The servers that were told of a change, by zone.
    #[serde(default)]
    pub notified: Vec<Notified>,
}

/// One zone that comes from primaries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Secondary {
    /// The apex.
    pub zone: String,
    /// `waiting` (never came), `current`, `retrying` (served, but no primary could be asked of late) or `expired`
    /// (not served any more).
    pub state: String,
    /// The primary's serial of what is here.
    pub serial: Option<u32>,
    /// How many records are here.
    pub records: usize,
    /// The primaries, in their order.
    pub primaries: Vec<SocketAddr>,
    /// Who sent what is here.
    pub primary: Option<SocketAddr>,
    /// When it came.
    pub received: Option<Timestamp>,
    /// When a primary said last that there is nothing newer.
    pub checked: Option<Timestamp>,
    /// When a primary is asked next.
    pub next: Option<Timestamp>,
    /// Until when it is served if no primary can be asked.
    pub expires: Option<Timestamp>,
    /// Why the last look at the primaries failed, if it did.
    pub error: Option<String>,
    /// The catalog that lists the zone, if no file configures it.
    pub catalog: Option<String>,
    /// What of its policy does not fit it.
    pub misfits: Vec<String>,
    /// Transfers since the start that brought differences.
    pub incremental: u64,
    /// Transfers since the start that brought the whole zone.
    pub whole: u64,
    /// Looks at the primaries since the start that failed.
    pub failed: u64,
}

/// What one watched server serves of one zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Watched {
    /// The apex.
    pub zone: String,
    /// The server.
    pub server: SocketAddr,
    /// What this server serves.
    pub ours: Option<u32>,
    /// What it served when it answered last.
    pub theirs: Option<u32>,
    /// For how many seconds that has not been what this server serves; at least so many when it is older than anything
    /// this run has served. `None` when it never answered.
    pub lag: Option<f64>,
    /// Whether it lags by more than `lag_limit`, or has not answered for as long.
    pub late: bool,
    /// When it answered last.
    pub answered: Option<Timestamp>,
    /// Why it did not the last time, if it did not.
    pub error: Option<String>,
}

/// How far one server has taken note of a change of one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Notified {
    /// The apex.
    pub zone: String,
    /// The server.
    pub server: SocketAddr,
    /// The serial that it is told of.
    pub serial: u32,
    /// How often it was told.
    pub tries: u32,
    /// When it acknowledged that.
    pub acknowledged: Option<Timestamp>,
    /// Why it has not, as far as is known.
    pub error: Option<String>,
}

/// The answer to [`RETRY_PATH`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Retried {
    /// The apex.
    pub zone: String,
    /// What was here before.
    pub before: Option<u32>,
    /// What is here now; the same where there was nothing newer.
    pub after: Option<u32>,
    /// Why no primary could be asked, if none could.
    pub error: Option<String>,
}
