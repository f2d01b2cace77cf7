//! Layer 1: zone data. Text becomes records, records are checked, and checked records become the zone that is served.
//!
//! ```text
//! master file ──text──► Records ──check──► faults
//!                          └──────set────► Zone (immutable, RRsets as wire in one arena) ──► Image, as others get it ──► Difference
//! ```

mod blocks;
mod build;
mod check;
mod denial;
mod diff;
mod image;
mod index;
mod listing;
mod octets;
mod order;
pub mod rdata;
pub mod record_types;
mod records;
mod rrset;
mod serial;
mod set;
pub mod text;
mod tree;

pub use build::BuildError;
pub use check::{check, load};
pub use denial::{Denial, Hash, Nsec3Chain, Nsec3Link, hash_label};
pub use diff::Difference;
pub use image::{Image, Narrowed, Place as WalkPlace, Shown};
pub use records::{Place, Record, Records};
pub use rrset::{OWNER_IS_QNAME, RECORD_HEADER, Rrset, RrsetRecord};
pub use serial::Serial;
pub use set::ZoneSet;
pub use tree::{Found, NodeId, Sought, Zone};
