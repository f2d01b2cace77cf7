//! Layer 2: everything a query needs, behind one pointer.
//!
//! ```text
//! zones (reload, replicate) ──┐
//! verdicts (probe), drains ───┼─► Publisher ──build──► Snapshot, numbered ──► one ArcSwap ──► workers
//! settings ───────────────────┘   one writer           immutable                             one load a batch
//! ```
//!
//! * A snapshot never changes. A change makes the next one, which shares all that stayed the same.
//! * There is one writer: changes queue at its lock, queries never see it.
//! * Whoever walks the rings takes its [`Steps`] from the [`Reader`]: cursors, from which the publisher's ledger tells how often
//!   each member was handed out.
//! * Generations count published snapshots. They only grow.

mod account;
mod build;
mod departures;
mod facts;
mod fit;
mod ledger;
mod outbound;
mod publish;
mod served;
mod sources;
mod steps;
mod written;

pub use account::{Account, Counts, RECENT};
pub use facts::Facts;
pub use fit::misfits;
pub use outbound::{NarrowedPool, Outbound, Remembered};
pub use publish::{Publisher, Reader};
pub use served::{FamilyPool, Pool, ServedZone, Snapshot};
pub use sources::{Transferred, ZoneSource};
pub use steps::Steps;
pub use written::written_addresses;
