//! `[catalog]`: the zone is a list of zones (RFC 9432), which this server writes or follows.

use super::primary::{Primary, primaries};
use super::reader::{Section, keys};

/// A zone that lists zones. With `[transfer] from` it is followed, without it is written by this server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Where the zones that it lists come from; empty when they come from where the catalog does.
    pub from: Vec<Primary>,
}

keys! {
    CATALOG "[catalog]" {
        FROM: Vec<Primary> = "from", primaries, "[]",
            "The primaries of the zones that the catalog lists; without any they are those of the catalog. Only for a \
             catalog that comes by transfer.";
    }
}

pub(super) fn read(section: &Section<'_>) -> Catalog {
    Catalog { from: section.value(&FROM) }
}
