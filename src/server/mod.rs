//! Layer 3: the doors. Packets and connections come in here, and go to the engine; nothing here knows what a reply says.
//!
//! ```text
//! bind(&Settings) ─► Bound { addresses } ─run─► Running ─stop─► everything received is answered, threads are joined
//!
//!              ┌ udp-0: recvmmsg ─► Engine ─► sendmmsg ┐
//! one socket   │ udp-1: …                              │  a thread each, own Engine: snapshot reader, dealer, counters
//! each, shared ┤                                       ├─► answer::answer
//! port         │ tcp-0: accept ─► Connection ─► Engine │
//!              └ tcp-1: …                              ┘
//! ```
//!
//! * No worker shares anything with another that is written per query. The kernel spreads flows over the sockets of a port
//!   (`SO_REUSEPORT`); a worker answers what its own socket was given.
//! * One `Moment` for each batch: a batch is answered from one snapshot and at one time.
//! * Every datagram and every whole TCP frame is counted as received, and once by its outcome.
//! * A panic in the engine costs the one query that caused it: SERVFAIL, and the worker goes on.
//!
//! Not here: who may ask what, and what is true (`answer`, `snapshot`).

mod batch;
mod bind;
mod connection;
mod defer;
mod desk;
#[cfg(feature = "encrypted")]
mod encrypted;
mod engine;
mod given;
mod late;
mod limit;
mod proxy;
mod run;
mod service;
mod stream;
mod tcp;
mod udp;
mod vitals;
mod watch;

pub use bind::{BindError, Bound, bind};
pub use defer::Handoff;
pub use given::Given;
pub use run::{Rest, Running};
pub use vitals::Vitals;
