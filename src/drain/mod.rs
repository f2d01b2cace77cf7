//! Layer 1: drains. Who is kept out of new answers though alive, and when the last copy of an old answer is gone.
//!
//! ```text
//! state/drains.toml ──► Drains ──covers──► members that leave the hands ─┐
//!          ▲                                                             ▼
//!       edit (comments stay)                     leaves(pool, member, TTL, now) ──► Clock ──► gone at
//! ```
//!
//! * The clock counts from what was published, not from queries: the publisher knows when a member left the hands and
//!   which TTLs were in them, so that no query writes anything.
//! * Everything is pure: time is an argument.
//!
//! Not here: the file and its watch (`reload`), and the words of its faults (`config`).

mod clock;
mod edit;
mod list;
mod moment;

pub use clock::{Clock, Copies, Kept};
pub use edit::{EditError, add, date, remove};
pub use list::{Drain, Drains};
pub use moment::Moment;
