//! What is going on: traffic, the looks at the files, and what is wrong, as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Change;

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Queries {
    /// Packets and TCP messages that came in.
    pub received: u64,
    /// How they ended: the sum is `received` whenever the workers rest. Outcomes that never happened are left out.
    pub outcomes: BTreeMap<String, u64>,
}

/// The traffic of the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recent {
    /// How many seconds `rate` and what follows are about.
    pub seconds: f64,
    /// Messages a second.
    pub rate: f64,
    /// Messages a second by how they ended; what did not happen is left out.
    pub outcomes: BTreeMap<String, f64>,
    /// Messages a second by how they came; what did not happen is left out.
    pub transports: BTreeMap<String, f64>,
    /// Seconds within which half of the messages were answered, of those that were timed: from when they were read to
    /// when the replies were sent. `null` when none was, or when that is above all bounds.
    pub median: Option<f64>,
    /// The same of 99 in 100.
    pub p99: Option<f64>,
    /// How many were timed.
    pub timed: u64,
    /// Messages a second over the last minutes, oldest first, in steps of `step` seconds.
    pub curve: Vec<f64>,
    /// See `curve`.
    pub step: f64,
}

/// The looks at the files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reloads {
    /// How many found no error, since the start.
    pub good: u64,
    /// How many found errors, or held something.
    pub faulty: u64,
    /// When the last one ended.
    pub last: Option<Timestamp>,
    /// How many seconds it took.
    pub took: f64,
    /// When something new was taken last.
    pub taken: Option<Timestamp>,
    /// What that changed.
    pub changed: Vec<Change>,
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Alert {
    /// `down`, `panic`, `frozen`, `fault`, `transfer` or `certificate`.
    pub kind: String,
    /// Of whom it is told.
    pub subject: String,
    /// More about it; may be empty.
    pub detail: String,
    /// When it was seen first.
    pub since: Timestamp,
}

/// Whatever was not done, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusal {
    /// The reason.
    pub error: String,
}
