//! Layer 2: what other servers were told, as zones and policies. Text in, text out; `cli` reads and writes the files.
//!
//! ```text
//! gdnsd      config and zones, DYNA ──────┐
//! powerdns   zone files with LUA records ─┼──► Plan ──► NAME.zone, NAME.toml, and notes on what has no equal
//! route53    JSON of record sets ─────────┤
//! tinydns    a data file ─────────────────┘
//! ```
//!
//! * What can be carried over is; what cannot be is a note with its place, and never left out in silence.
//! * Zone text that the other server shares with us passes through as it is, comments and all.

mod entries;
mod gdnsd;
mod plan;
mod powerdns;
mod route53;
mod tinydns;

pub use gdnsd::from_gdnsd;
pub use plan::{CheckPlan, Note, Plan, PoolPlan, ZonePlan};
pub use powerdns::from_powerdns;
pub use route53::from_route53;
pub use tinydns::from_tinydns;

/// One file of the other server.
#[derive(Clone, Debug)]
pub struct Input {
    /// As it is named in notes.
    pub name: String,
    /// The zone that its name says, for zone files; with a final dot.
    pub apex: Option<String>,
    /// What it holds.
    pub text: String,
}
