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
//! * Generations count published snapshots. They only grow.

mod build;
mod departures;
mod facts;
mod fit;
mod outbound;
mod publish;
mod served;
mod sources;
mod written;

pub use facts::Facts;
pub use fit::misfits;
pub use outbound::{NarrowedPool, Outbound, Remembered};
pub use publish::{Publisher, Reader};
pub use served::{FamilyPool, Pool, ServedZone, Snapshot};
pub use sources::{Transferred, ZoneSource};
pub use written::written_addresses;
