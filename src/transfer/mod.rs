//! Layer 2: zone transfers as messages. No socket, file or clock: octets and times in, octets or a decision out.
//!
//! ```text
//! in:   answer of a primary ─► response (header, records) ─► intake (AXFR, IXFR; all or nothing) ─► apply ─► Zone
//! out:  request ─► send (one SOA, journal's difference or the whole zone) ─► messages
//! both: request, answers ◄─► tsig: signed and checked as octets
//! ```
//!
//! * What a primary sends is taken whole or not at all; why not is a [`Misbehaviour`].
//! * HMACs are hickory-proto's. What they cover is laid out here, because a signature is over octets and not what they mean.
//!
//! Not here: when a primary is asked, and where the zone is kept (`replicate`).

mod apply;
mod ask;
pub mod catalog;
mod intake;
pub mod journal;
mod misbehaviour;
pub mod notify;
mod response;
pub mod send;
pub mod tsig;

pub use apply::{apply, build};
pub use ask::ask;
pub use intake::{Delta, Intake, Received};
pub use misbehaviour::Misbehaviour;
pub use response::{Question, Response};
