//! Layer 0: what was counted. Passive: nothing here knows what it counts for, nor who reads it.
//!
//! ```text
//! worker 1 ──count──► Counters ─┐
//! worker 2 ──count──► Counters ─┼─ Registry ──totals──► Totals (admin, tests)
//! worker n ──count──► Counters ─┘
//! ```
//!
//! * Every packet is counted twice, on purpose: once as received, before anybody looks into it, and once with its one
//!   [`Outcome`]. So `totals.outcomes() == totals.received()` whenever the workers rest, and a path through the
//!   server that forgets a packet shows in the sum.
//! * Each [`Counters`] has one writer, which adds with a plain load and a plain store: no locked instruction and no
//!   cache line that two workers write. Readers sum; what they see may lag by a few packets, never more.

mod counters;
mod labels;
mod times;

pub use counters::{Counters, Registry, Totals};
pub use labels::{ConnectionEvent, Event, Outcome, QueryType, Transport};
pub use times::Times;
