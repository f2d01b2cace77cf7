//! Layer 3: the prober. It asks every member of every pool whether it is well, and tells of each change of a verdict.
//!
//! ```text
//!  snapshot ──generation──► Schedule ──due──► probe (tcp, http) ──result──► health::Table
//!      ▲                        ▲               a task each, at most          │
//!      │                        └──when next────`limits.probes` at once ──────┤
//!      └──────── refresh, many at once ◄─────────────────────────── Change ────┘
//! ```
//!
//! * One probe for each (address, check) of the live snapshot, and none outlives its record.
//! * The interval is from start to start. What is late is not made up for, so nothing piles up.
//! * A probe that could not be sent for want of sockets says nothing of the member.
//!
//! Not here: what a result means (`health`), and what a verdict means for the answers (`pool`).

mod ask;
#[cfg(test)]
mod day;
mod dns;
mod exec;
mod expiry;
mod failure;
mod feed;
mod hold;
mod http;
mod prober;
mod schedule;
mod tcp;
mod warmth;
mod witness;

pub use feed::{Feed, TakeVerdicts, Targets};
pub use prober::{FirstRound, Prober};
pub use warmth::warm;
