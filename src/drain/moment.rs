//! One moment on both clocks: the one that never jumps, which the program counts by, and the one of people and files.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// The same moment, twice.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that never jumps, and that means nothing after the process has ended.
    pub steady: Instant,
    /// By the clock of people.
    pub wall: Timestamp,
}

impl Moment {
    /// The time of `steady` on the clock of people.
    pub fn wall_at(&self, steady: Instant) -> Timestamp {
        let span = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let time = match steady.checked_duration_since(self.steady) {
            Some(ahead) => self.wall.checked_add(span(ahead)),
            None => self.wall.checked_sub(span(self.steady.saturating_duration_since(steady))),
        };
        time.unwrap_or(self.wall)
    }

    /// The steady time of `wall`, which is at most `most` ahead: the clock of people may have been set back meanwhile.
    pub fn steady_at(&self, wall: Timestamp, most: Duration) -> Instant {
        let ahead = wall.duration_since(self.wall);
        match Duration::try_from(ahead) {
            Ok(ahead) => self.steady + ahead.min(most),
            // Before the machine has run for so long there is no such time.
            Err(_) => self.steady.checked_sub(ahead.unsigned_abs()).unwrap_or(self.steady),
        }
    }
}
