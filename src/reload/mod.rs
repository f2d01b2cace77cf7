//! Layer 3: files become what is served, at the start and whenever they change.
//!
//! ```text
//! folders ──watch──► settled ─┐
//! SIGHUP, kofn reload ────────┴─► Follower ──► Loader ──► source (which files) ─► load (text, checks, policy) ─► Publisher
//!                                                 └─► Overview (admin): what is served of each zone, what its files say
//! ```
//!
//! * All or nothing a zone: what has a fault is not taken, its last good state goes on being served, and the log and the
//!   [`Overview`] say why, with the place. The other zones are not held up.
//! * What takes most of a pool, of a zone or of all zones away at once is held until `kofn reload --force` (`change`).
//! * A zone that never was good is published without data, so that its queries get SERVFAIL and not REFUSED.
//! * Reading and building happen on threads of their own; queries go on from the old snapshot until the new one is whole.
//!
//! Not here: how text is read (`zone`, `config`), and how a snapshot is made (`snapshot`).

mod beside;
mod change;
pub mod drains;
mod fault;
mod follow;
pub mod keep;
mod load;
mod loader;
mod progress;
mod settings;
mod source;
mod stamp;
mod standing;
mod watch;

pub use beside::{Beside, ReadFiles};
pub use change::{Change, Extent, PoolChange};
pub use fault::{Fault, Severity};
pub use follow::{Follower, Handle};
pub use load::{Good, Load, load_all};
pub use loader::Loader;
pub use settings::{Overrides, SETTINGS_FILE, SettingsSource};
pub use source::{Listing, POLICY_ENDING, Source, ZONE_ENDING, list};
pub use standing::{Look, Looks, Overview, Pass, Served, Standing};
