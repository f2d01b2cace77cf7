//! The pulse that a service manager may ask for (`WatchdogSec=`): given only while everything that must live does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use crate::health::Table;
use crate::server::Vitals;
use crate::supervisor;

/// Who must live.
pub(super) struct Pulse {
    /// Those who answer.
    pub(super) workers: Vitals,
    /// The task of the probes.
    pub(super) prober: AbortHandle,
    /// What the probes say, and how old that is.
    pub(super) table: Arc<Table>,
}

impl Pulse {
    /// Starts it, if a service manager asks for it.
    pub(super) fn start(self, granted: Option<Duration>, tasks: &mut JoinSet<()>) {
        if let Some(granted) = granted {
            tasks.spawn(self.run(granted));
        }
    }

    /// Tells the service manager, several times in what it grants, for as long as all live. That this runs at all shows that
    /// the runtime of the tasks does.
    async fn run(mut self, granted: Duration) {
        let mut beats = interval(granted / BEATS);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Vec::new();
        loop {
            beats.tick().await;
            let faults = self.look();
            if faults.is_empty() {
                supervisor::alive();
            } else if faults != told {
                error!("the service manager is told no more that all is well: {}", faults.join("; "));
            }
            told = faults;
        }
    }

    fn look(&mut self) -> Vec<String> {
        let mut faults = self.workers.look();
        let probes = self.table.belief().probes;
        if self.prober.is_finished() {
            faults.push("the prober has ended".into());
        } else if probes > 0 && self.table.stale(Instant::now()) == probes {
            faults.push("all probes are overdue".into());
        }
        faults
    }
}

/// One beat may come late, and what hangs takes two looks to be seen.
const BEATS: u32 = 4;
