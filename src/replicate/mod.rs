//! Layer 3: zones that come from other servers.
//!
//! ```text
//! snapshot (who is secondary) ─► Replicator ─┬─► Secondary, a task a zone ─► clock (when) ─► exchange, pull (how)
//! NOTIFY, kofn transfer retry ──────────────►┘        └─► Publisher (served), store (kept), standing (told)
//!                                 catalogs ◄─► Publisher: zones that list zones
//! servers in `watch` ◄── lag ──► how old what they serve is
//! ```
//!
//! * A transfer is served whole or not at all, and kept in the state folder, so that a restart serves it at once.
//! * The serial that is compared is the primary's own, whatever is served of the zone.
//! * Everything is bounded: questions and transfers under way, octets and time of each, looks that NOTIFYs ask for.
//!
//! Not here: what a transfer says (`transfer`), and who gets zones from this server.

mod catalogs;
mod clock;
mod context;
mod exchange;
mod lag;
mod pull;
mod replicator;
mod secondary;
mod standing;
mod store;

pub use lag::{Watched, Watches};
pub use replicator::{Handle, Replicator};
pub use secondary::Round;
pub use standing::{Standing, Standings, State};
pub use store::{Kept, Note, Store};
