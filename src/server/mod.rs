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
//! The portable door has the same threads without recvmmsg: `hickory`.
//!
//! * No worker shares anything with another that is written per query. The kernel spreads flows over the sockets of a port
//!   (`SO_REUSEPORT`); a worker answers what its own socket was given.
//! * One `Moment` for each batch: a batch is answered from one snapshot and at one time.
//! * Every datagram and every whole TCP frame is counted as received, and once by its outcome.
//! * A panic in the engine costs the one query that caused it: SERVFAIL, and the worker goes on.
//!
//! Not here: who may ask what, and what is true (`answer`, `snapshot`).

#[cfg(all(target_os = "linux", not(without_batch)))]
mod batch;
mod bind;
#[cfg(any(feature = "encrypted", all(target_os = "linux", not(without_batch))))]
mod connection;
mod defer;
mod desk;
#[cfg(feature = "encrypted")]
mod encrypted;
mod engine;
mod given;
#[cfg(feature = "portable")]
mod hickory;
mod late;
mod limit;
mod proxy;
#[cfg(any(feature = "encrypted", feature = "portable"))]
mod reply;
mod run;
mod service;
mod stream;
mod tcp;
#[cfg(all(target_os = "linux", not(without_batch)))]
mod udp;
mod vitals;
mod watch;

#[cfg(not(any(feature = "portable", all(target_os = "linux", not(without_batch)))))]
compile_error!("without recvmmsg the server takes the feature `portable`");

pub use bind::{BindError, Bound, bind};
pub use defer::Handoff;
pub use given::Given;
pub use proxy::{Front, Malformed, parse as proxy_header};
pub use run::{Rest, Running};
pub use vitals::Vitals;
