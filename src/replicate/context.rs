//! What all secondary zones share.

use tokio::sync::{Semaphore, watch};

use std::sync::Arc;

use super::exchange::Links;
use super::lag::Watches;
use super::standing::Standings;
use super::store::Store;
use crate::snapshot::{Publisher, Reader};

/// See the module.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) publisher: Arc<Publisher>,
    pub(super) reader: Reader,
    pub(super) store: Store,
    pub(super) standings: Standings,
    pub(super) watches: Watches,
    pub(super) links: Links,
    /// Questions for a SOA under way: small, and mostly waiting.
    pub(super) probes: Semaphore,
    /// Transfers under way.
    pub(super) transfers: Semaphore,
    /// Whether the state folder is this process's to write in.
    pub(super) ours: watch::Receiver<bool>,
}

impl Context {
    pub(super) fn new(
        publisher: Arc<Publisher>,
        store: Store,
        standings: Standings,
        ours: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let reader = publisher.reader();
        let transfers = reader.load().settings.limits.transfers_in;
        Arc::new(Self {
            publisher,
            reader,
            store,
            standings,
            watches: Watches::default(),
            links: Links::default(),
            probes: Semaphore::new(PROBES),
            transfers: Semaphore::new(transfers),
            ours,
        })
    }
}

/// A dead primary of a thousand zones takes ten rounds of a few seconds, and no more sockets than this.
const PROBES: usize = 100;
