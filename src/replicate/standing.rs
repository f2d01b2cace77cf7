//! How each secondary zone stands, for whoever asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::wire::Name;
use crate::zone::Serial;

/// Whether a secondary zone is served, and how sure it is that it is the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No primary has given it yet.
    #[default]
    Waiting,
    /// It was the newest when a primary was asked last.
    Current,
    /// It is served, but no primary could be asked of late.
    Retrying,
    /// No primary could be asked for so long that it is not served any more.
    Expired,
}

impl State {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Current => "current",
            Self::Retrying => "retrying",
            Self::Expired => "expired",
        }
    }
}

/// One secondary zone.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Whether it is served.
    pub state: State,
    /// The primary's serial of what is here.
    pub serial: Option<Serial>,
    /// How many records are here.
    pub records: usize,
    /// The primaries, in their order.
    pub primaries: Vec<SocketAddr>,
    /// Who sent what is here.
    pub primary: Option<SocketAddr>,
    /// When it came.
    pub received: Option<Timestamp>,
    /// When a primary said last that there is nothing newer.
    pub checked: Option<Timestamp>,
    /// When a primary is asked next.
    pub next: Option<Timestamp>,
    /// Until when it is served if no primary can be asked.
    pub expires: Option<Timestamp>,
    /// Why the last look at the primaries failed, if it did.
    pub error: Option<String>,
    /// The catalog that lists the zone, if it is not configured by a file.
    pub catalog: Option<Name>,
    /// What of its policy does not fit it.
    pub misfits: Vec<String>,
    /// Transfers since the start that brought differences.
    pub incremental: u64,
    /// Transfers since the start that brought the whole zone.
    pub whole: u64,
    /// Looks at the primaries since the start that failed.
    pub failed: u64,
}

/// All of them. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Standings(Arc<Mutex<BTreeMap<Name, Standing>>>);

impl Standings {
    /// As of now.
    pub fn all(&self) -> BTreeMap<Name, Standing> {
        self.lock().clone()
    }

    pub(super) fn change(&self, apex: &Name, change: impl FnOnce(&mut Standing)) {
        change(self.lock().entry(apex.clone()).or_default());
    }

    pub(super) fn remove(&self, apex: &Name) {
        self.lock().remove(apex);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
