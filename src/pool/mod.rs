//! Layer 1: pools. Which members of an owner name may be handed out, and in which hands.
//!
//! ```text
//! A or AAAA RRset ─► Members ──select──► eligible ──spread──► Ring ──lay──► Rotation
//!   health, drains ──┘  weights, tiers,    │        hands and    │  k records of wire
//!                       panic, reasons     │        slots        │  a hand, ready to copy
//!                                          └──── status          └──► deal(cursor)
//! ```
//!
//! * Members are in address order, and one family at a time: A and AAAA are two pools that share a [`Policy`].
//! * A hand holds min(k, eligible members) distinct addresses, whatever else is asked for. It never repeats one.
//! * A member of weight 0 is in no hand, not even when all others are down.
//! * Everything is pure: time, randomness and verdicts are arguments, and the same arguments make the same rotation.
//!
//! Not here: how verdicts come about (`health`, `probe`), and the name in front of the records (`answer`).

mod affinity;
mod bound;
mod draw;
mod figures;
mod game;
mod members;
mod policy;
mod prefixes;
mod ring;
mod rotation;
mod sites;
mod tally;

pub use bound::bound;
pub use figures::{Death, Figures, Kind, PerKind, plain};
pub use members::{Eligible, Member, Selection, Standing, select};
pub use policy::{Empty, PerFamily, Policy, Spread};
pub use prefixes::PrefixFigures;
pub use rotation::{Hand, Rotation};
pub use tally::{Dealt, Tally};
