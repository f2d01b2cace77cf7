//! How far the reading of zone files is, for whoever waits at a terminal.
//!
//! Drawn on stderr where that is a terminal, and only when it takes long: then a second without a word looks like a fault.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::source::Source;

/// Whoever waits so long is shown what for.
const PATIENCE: Duration = Duration::from_millis(500);

/// One look at zone files.
#[derive(Debug)]
pub(super) struct Progress(Option<Shown>);

#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    begun: Instant,
    is_drawn: AtomicBool,
}

impl Progress {
    /// Begins to read these.
    pub(super) fn over(sources: &[Source]) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let octets = sources.iter().filter_map(|source| source.zone.metadata().ok()).map(|file| file.len());
        let bar = ProgressBar::with_draw_target(Some(octets.sum()), ProgressDrawTarget::hidden());
        Self(Some(Shown { bar: bar.with_style(style()), begun: Instant::now(), is_drawn: AtomicBool::new(false) }))
    }

    /// So many octets more have been read.
    pub(super) fn add(&self, octets: u64) {
        let Some(Shown { bar, begun, is_drawn }) = &self.0 else { return };
        bar.inc(octets);
        if begun.elapsed() >= PATIENCE && !is_drawn.swap(true, Ordering::Relaxed) {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            shown.bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes} of zone files, {eta} left")
        .expect("a valid template")
}
