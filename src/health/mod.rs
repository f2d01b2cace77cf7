//! Layer 0: what probes have found, and the verdicts that follow from it.
//!
//! ```text
//! probe ──result──► Table ──Change──► a new snapshot
//!                     │ a Machine for each (address, check)
//!                     └─Report──► status
//! ```
//!
//! * One probe for each (address, check): pools that use equal checks share its verdict.
//! * Verdicts are pure: results and times go in, flips come out. No socket, no clock, no task.
//! * Queries never come here. Verdicts reach them in the snapshot.
//!
//! Not here: how a probe is made (`probe`), and what a verdict means for the answers of a pool (`pool`).

mod belief;
mod finding;
mod key;
mod machine;
mod notice;
mod record;
mod rules;
mod table;

pub use belief::{Belief, Testimony};
pub use finding::Finding;
pub use key::{CheckId, ProbeKey};
pub use machine::{Pending, Verdict};
pub use notice::Notice;
pub use rules::Rules;
pub use table::{Change, Flip, Known, Reason, Report, Table};
