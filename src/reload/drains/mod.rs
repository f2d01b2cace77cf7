//! Drains at work: the file, who writes it, and how long copies of the drained live.
//!
//! ```text
//! state/drains.toml ──watch──► Book ──► Publisher (out of all hands) ──► Clock ──► Listing, for `drain --list` and status
//!      ▲                        │                                         │
//!      └─ kofn drain, undrain, ends of time                               └► state/drain-clock.json, over restarts
//! ```
//!
//! * The file is the truth: what stands in it is drained. While it has a fault, the last good list holds.
//! * Who is drained is out of all hands when the command returns.

mod book;
mod drainer;
mod listing;
mod refusal;

pub use book::{Ask, Book};
pub use drainer::{DrainHandle, Drainer};
pub use listing::{Listing, Place, Standing};
pub use refusal::Refusal;
