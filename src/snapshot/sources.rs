//! Where the zones of a snapshot come from: files, primaries and catalogs, merged.
//!
//! ```text
//! reload    ─► files (NAME.zone, or `from`)  ─────────────┐
//!           └► waiting (NAME.toml of no zone of its own) ─┤ policy of a member
//! replicate ─► members (zones that catalogs list) ────────┼─► the zones that are served
//!           └► transferred (their data) ──────────────────┘
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::config::ZonePolicy;
use crate::wire::Name;
use crate::zone::Zone;

/// A zone to be served, and its policy.
#[derive(Clone, Debug)]
pub struct ZoneSource {
    /// The name of the zone.
    pub apex: Name,
    /// Its data; `None` when it has none that can be served, so that queries get SERVFAIL. What has no file of its own
    /// gets its data by [`super::Publisher::replace_transferred`].
    pub zone: Option<Arc<Zone>>,
    /// Its policy.
    pub policy: Arc<ZonePolicy>,
}

/// The data of a zone that has no file.
#[derive(Clone, Debug, Default)]
pub enum Transferred {
    /// None have come yet.
    #[default]
    NotReady,
    /// They are too old to be served (RFC 1035 section 3.3.13, EXPIRE).
    Expired,
    /// They can be served.
    Data(Arc<Zone>),
}

impl Transferred {
    fn zone(&self) -> Option<Arc<Zone>> {
        match self {
            Self::Data(zone) => Some(Arc::clone(zone)),
            Self::NotReady | Self::Expired => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) files: Vec<ZoneSource>,
    pub(super) waiting: BTreeMap<Name, Arc<ZonePolicy>>,
    pub(super) members: BTreeMap<Name, Arc<ZonePolicy>>,
    transferred: HashMap<Name, Transferred>,
}

impl Sources {
    /// Takes data over; those of zones that are not configured wait for that.
    pub(super) fn transfer(&mut self, data: Vec<(Name, Transferred)>) {
        self.transferred.extend(data);
    }

    /// Everything that is to be served. A zone with a file or a `from` of its own is no member of a catalog.
    pub(super) fn merged(&self) -> Vec<ZoneSource> {
        let mut zones: Vec<ZoneSource> = self.files.iter().map(|source| self.with_data(source.clone())).collect();
        let mut members = self.members.clone();
        self.files.iter().for_each(|source| drop(members.remove(&source.apex)));
        zones.extend(members.into_iter().map(|(apex, member)| {
            let policy = match self.waiting.get(&apex) {
                Some(waiting) => Arc::new(laid_over(waiting, &member)),
                None => member,
            };
            self.with_data(ZoneSource { apex, zone: None, policy })
        }));
        zones
    }

    pub(super) fn is_expired(&self, apex: &Name) -> bool {
        matches!(self.transferred.get(apex), Some(Transferred::Expired))
    }

    fn with_data(&self, mut source: ZoneSource) -> ZoneSource {
        if source.policy.has_no_file() {
            source.zone = self.transferred.get(&source.apex).and_then(Transferred::zone);
        }
        source
    }
}

/// The policy of a member: what its own file says, but the zone comes from where the catalog says.
fn laid_over(waiting: &ZonePolicy, member: &ZonePolicy) -> ZonePolicy {
    let mut policy = waiting.clone();
    policy.transfer.from.clone_from(&member.transfer.from);
    policy
}
