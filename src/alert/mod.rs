//! Layer 3: alerts. What is wrong is told to a command and to a webhook when it begins, and again when it is over.
//!
//! ```text
//! status ──look──► Conditions ──since the last look──► Change ──► Mailbox ──► command   each at its own pace,
//!  at each generation, and every second                     └───► Mailbox ──► webhook   with attempts of its own
//! ```
//!
//! * An alert is the difference of two looks, so no part of the server has to know that alerts exist.
//! * What happens between two deliveries goes with the next: a burst is one message, and never a queue.
//! * Somebody who cannot be told holds up nobody else.
//!
//! Not here: what is wrong (the status says it, `app` reads it there).

mod change;
mod command;
mod mailbox;
mod message;
mod outlet;
mod watch;
mod webhook;

pub use change::{Change, Conditions, State};
pub use outlet::{DeliveryError, test};
pub use watch::{Alerts, Sources};
