//! Layer 1: zone data. Text becomes records, records are checked, and checked records become the zone that is served.
//!
//! ```text
//! master file ──text──► Records ──check──► faults
//!                          └──────set────► Zone (immutable, RRsets as wire in one arena)
//! ```

mod records;

pub use records::{Place, Record, Records};
