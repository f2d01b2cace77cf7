//! Zone text: master files (RFC 1035 section 5) into records and back, with every fault named by its place.
//!
//! ```text
//! bytes ──scanner──► tokens ──loader──► owner, TTL, type ──rdata──► wire ──► Records
//!                              │  $ORIGIN $TTL $INCLUDE $GENERATE
//!                              └──► Faults (file:line:column: what was found; what would be right)
//! Record ──print──► one line that reads back to the same record
//! ```
//!
//! * Input is octets, not UTF-8, and none of them makes the reader panic.
//! * A fault ends its record, never the file: what follows is read, so that all faults are told at once.
//! * No token is copied: names and RDATA are built in buffers that are used again for the next record.
//!
//! Not here: whether the records make a zone that can be served (`zone::check`).

mod directive;
mod fault;
mod generate;
mod included;
mod loader;
mod location;
mod mnemonic;
mod parameters;
mod prefixes;
mod print;
mod rdata;
mod scanner;
mod value;

use std::path::Path;
use std::sync::Arc;

pub use fault::{Fault, Faults, Severity, Spot};
pub use included::included;
pub use print::{print, print_rdata};

use super::Records;
use crate::wire::Name;

/// What a zone file may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many faults of each severity are kept with their text.
    pub faults: usize,
    /// How many files deep `$INCLUDE` may go; 0 forbids it.
    pub include_depth: usize,
    /// How many times a zone may include a file.
    pub includes: usize,
    /// How many records `$GENERATE` may make in a zone.
    pub generated: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { faults: 50, include_depth: 10, includes: 10_000, generated: 1_000_000 }
    }
}

/// What was read. The records are a whole zone only when there are no errors among the faults.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The zone's name: as given, or the owner of the SOA; the root when neither is known.
    pub apex: Name,
    /// The records within the zone, in the order of the text.
    pub records: Records,
    /// The files that were read, or were to be read, the zone file first: [`super::Place::file`] is an index into them.
    pub files: Vec<Arc<Path>>,
    /// What is wrong.
    pub faults: Faults,
}

/// Reads a zone file and the files that it includes.
///
/// Without `apex` the first record must be the SOA, and its owner is the zone's name. `told` hears now and then how many
/// octets more of the zone file have been read.
pub fn read_file(path: &Path, apex: Option<&Name>, limits: &Limits, told: &dyn Fn(u64)) -> Loaded {
    loader::read_file(path, apex, limits, told)
}

/// Reads a zone from memory; `path` is what faults call it, and `$INCLUDE` is a fault.
///
/// Without `apex` the first record must be the SOA, and its owner is the zone's name.
pub fn read_bytes(text: &[u8], path: &Path, apex: Option<&Name>, limits: &Limits) -> Loaded {
    loader::read_bytes(text, path, apex, &Limits { include_depth: 0, ..*limits })
}
