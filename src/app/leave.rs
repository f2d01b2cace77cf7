//! The end of a process that another has taken over from: who is connected to it is served for a while.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::server::Rest;
use crate::shutdown::Signals;

/// Waits until all connections have ended by themselves, or `patience` is over, or a signal says to stop.
pub(super) async fn linger(rest: Rest, patience: Duration, signals: &mut Signals) {
    let (end, wait) = rest.split();
    let mut ended = spawn_blocking(wait);
    tokio::select! {
        _ = &mut ended => return,
        () = sleep(patience) => info!("limits.handover is over: what has arrived is answered, and connections end"),
        () = super::stop_requested(signals, None) => warn!("stopping: connections end"),
    }
    drop(end);
    let _ = ended.await;
}
