//! kofn, an authoritative DNS nameserver that deals k of n healthy backends.
//!
//! ```text
//! zones/*.zone ─┐                          ┌─ probe ─────── health flips
//! zones/*.toml ─┼─ reload ─► build ─► Publisher ◄─ replicate ── zones from other servers
//! kofn.toml ────┘                          │  one pointer, one writer, numbered generations
//!                                          ▼
//! server: UDP, TCP, TLS ────┐        Snapshot { zones, pools } ─► announce: journals, NOTIFY
//! server: HTTPS, QUIC ──────┤
//!                           ├─► answer(&Snapshot, query bytes, &Client, …, reply buffer) -> Outcome
//! cli: query, explain ──────┘        Outcome: Reply | Drop | Defer
//! ```
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | 0 | `wire` `net` `metrics` `tap` `health` `processor` `residency` `reach` | the vocabulary |
//! | 1 | `config` `zone` `pool` `drain` `tls` | data that never changes once it is made |
//! | 2 | `snapshot` `answer` `transfer` `simulate` `import` `export` | the world as it is served now, the protocol, zone transfers as messages, a crowd to try pools on, what other servers were told, and zones in the words of others; still pure |
//! | 3 | `server` `probe` `reload` `announce` `admin` `alert` `scribe` | tasks with sockets, files and clocks; none knows another |
//! | 3 | `privileges` `handover` | what is given up before there are tasks, and what passes from process to process |
//! | 4 | `app` `shutdown` `supervisor` `logging` | joins the tasks into one program |
//! | 5 | `cli` | one file a command |
//!
//! Arrows point down: `docs/architecture.md` has the table of who may import whom, and a test executes it.

pub mod admin;
pub mod alert;
pub mod announce;
pub mod answer;
pub mod app;
pub mod cli;
pub mod config;
pub mod drain;
pub mod export;
pub mod handover;
pub mod health;
pub mod import;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod pool;
pub mod privileges;
pub mod probe;
pub mod processor;
pub mod reach;
pub mod reload;
pub mod replicate;
pub mod residency;
pub mod scribe;
pub mod server;
pub mod shutdown;
pub mod simulate;
pub mod snapshot;
pub mod supervisor;
pub mod tap;
#[cfg(feature = "encrypted")]
pub mod tls;
pub mod transfer;
pub mod wire;
pub mod zone;
