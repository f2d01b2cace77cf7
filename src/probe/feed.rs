//! What the prober needs of the world: what to probe, when that changes, and whom to tell of what it found.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Check;
use crate::health::ProbeKey;
use crate::snapshot::Publisher;

/// What is probed now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Each (address, check) once.
    pub probes: Vec<(ProbeKey, Arc<Check>)>,
    /// Probes under way at once, at least 1.
    pub limit: usize,
    /// Commands under way at once beside them, at least 1.
    pub commands: usize,
    /// Who is asked whether the fault is our own.
    pub witnesses: Vec<SocketAddr>,
}

/// Is told whose verdict, or whose doubt, has changed.
pub type TakeVerdicts = Arc<dyn Fn(&[ProbeKey]) + Send + Sync>;

/// The seam between the prober and the snapshots.
pub struct Feed {
    /// Tells that `targets` may have changed.
    pub generations: watch::Receiver<u64>,
    /// The targets of the newest snapshot.
    pub targets: Box<dyn Fn() -> Targets + Send + Sync>,
    /// Takes over what is known of these probes; may take its time, and is called off the tasks.
    pub changed: TakeVerdicts,
}

impl Feed {
    /// Probes what `publisher` serves, and lets it take the verdicts over.
    pub fn of(publisher: &Arc<Publisher>) -> Self {
        let (reader, publisher) = (publisher.reader(), Arc::clone(publisher));
        let targets = move || {
            let snapshot = reader.load();
            let settings = &snapshot.settings;
            Targets {
                probes: snapshot.probes(),
                limit: settings.limits.probes,
                commands: settings.limits.commands,
                witnesses: settings.witnesses.clone(),
            }
        };
        Self {
            generations: publisher.generations(),
            targets: Box::new(targets),
            changed: Arc::new(move |probes| publisher.refresh(probes)),
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("generations", &self.generations).finish_non_exhaustive()
    }
}
