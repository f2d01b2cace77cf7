//! The thread that solves rotations.

use std::io;
use std::sync::Arc;
use std::thread;

use crate::processor;
use crate::snapshot::Publisher;

/// The thread that spreads large rotations anew.
pub(super) struct Solver {
    publisher: Arc<Publisher>,
    thread: thread::JoinHandle<()>,
}

impl Solver {
    pub(super) fn start(publisher: Arc<Publisher>) -> io::Result<Self> {
        let solving = Arc::clone(&publisher);
        let thread = thread::Builder::new().name("solver".into()).spawn(move || {
            processor::give_way();
            solving.solve_until_stopped();
        })?;
        Ok(Self { publisher, thread })
    }

    pub(super) fn stop(self) {
        self.publisher.stop();
        // If it panicked it has said so, and nothing is left to solve.
        let _ = self.thread.join();
    }
}
