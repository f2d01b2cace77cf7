//! Layer 3: telling other servers what changes, and remembering it for those that ask for no more than that.
//!
//! ```text
//! generations ─► Keeper ─► Journals (served by `server`), state/journal/ (for the next start)
//!     ▲             └────► Herald ─► NOTIFY, again and again until it is acknowledged
//!     └── settle ── Holds: what others see of pools moves at most once in `transfer_hold`
//! ```
//!
//! * A change is in the journal before anybody is told of it, so that who comes for it gets no more than the change.
//! * What fails here fails no transfer: without a journal clients get whole zones, without an acknowledgement they find out
//!   when their refresh timer ends.
//!
//! Not here: who may transfer (`config`), and the transfers themselves (`server`, `transfer`).

mod disk;
mod entry;
mod herald;
mod holds;
mod keeper;
mod targets;

pub use disk::remembered;
pub use herald::{Standing, Standings};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};

use crate::processor;
use crate::snapshot::Publisher;
use crate::transfer::journal::Journals;
use herald::Herald;
use holds::Holds;
use keeper::Keeper;

/// What the task works with.
#[derive(Debug)]
pub struct Context {
    /// Where changes come from, and where pools are settled.
    pub publisher: Arc<Publisher>,
    /// Where changes go.
    pub journals: Arc<Journals>,
    /// The folder that journals are kept in.
    pub folder: PathBuf,
    /// Addresses of our own, which need not be told.
    pub own: Vec<SocketAddr>,
    /// How the NOTIFYs stand.
    pub standings: Arc<Standings>,
    /// Whether the folder is this process's to write in.
    pub ours: watch::Receiver<bool>,
}

/// Runs until it is dropped.
pub async fn run(context: Context) {
    let Context { publisher, journals, folder, own, standings, mut ours } = context;
    let (mut generations, reader) = (publisher.generations(), publisher.reader());
    let mut keeper = Keeper::new(journals, folder);
    let (mut herald, mut holds) = (Herald::new(standings), Holds::default());
    loop {
        // What another process shows meanwhile is the newest that there is: no serial moves under it.
        if ours.wait_for(|ours| *ours).await.is_err() {
            return;
        }
        generations.mark_unchanged();
        let snapshot = reader.load();
        let (look_at, mut looking) = (Arc::clone(&snapshot), keeper);
        // Comparing two large zones takes a while, and so does a disk.
        let looked = processor::aside(move || {
            let changes = looking.look(&look_at);
            (looking, changes)
        });
        let changes = match looked.await {
            Ok((looked, changes)) => {
                keeper = looked;
                changes
            }
            Err(panic) => {
                error!("changes are no longer followed for secondaries: {panic}");
                return;
            }
        };
        for change in &changes {
            herald.tell(change, targets::of(change, &snapshot, &own));
        }
        herald.forget_all_but(&snapshot);
        let now = Instant::now();
        let due = holds.due(&snapshot, now);
        if !due.is_empty() {
            for (zone, pools) in &due {
                info!(%zone, pools = pools.len(), "secondaries get other members now");
            }
            publisher.settle(&due);
            continue;
        }
        tokio::select! {
            changed = generations.changed() => if changed.is_err() { return },
            () = until(holds.next(now)) => {}
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
