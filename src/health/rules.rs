//! When a probe is made, and how many results in a row it takes to change a verdict.

use std::time::Duration;

/// The rules of one check. Equal rules on the same target make one probe of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rules {
    /// Time from the start of one probe to the start of the next.
    pub interval: Duration,
    /// The most that a whole probe may take, at most the interval.
    pub timeout: Duration,
    /// The interval while a flip hangs, at most `interval`.
    pub fast_interval: Duration,
    /// Passes in a row that bring a member back, at least 1.
    pub rise: u32,
    /// Failures that take a member out, at least 1.
    pub fall: u32,
    /// How far the interval wanders to either side, in per cent of it: 0 to 50.
    pub jitter_percent: u8,
}

impl Rules {
    /// How old the last result may become while probes are made as they should.
    ///
    /// The pause wanders by half of the interval at most, and the next probe may take its whole timeout. It is less than
    /// two intervals, unless the timeout is more than half of one.
    pub fn patience(&self) -> Duration {
        self.interval * 3 / 2 + self.timeout
    }

    /// Time from the start of a probe to the start of the next one; `draw` is a random number from 0 to 1.
    ///
    /// Probes that wander do not fall into step with each other, nor with what the target does every few seconds.
    pub fn pause(&self, flip_hangs: bool, draw: f64) -> Duration {
        let interval = if flip_hangs { self.fast_interval } else { self.interval };
        let wander = f64::from(self.jitter_percent) / 100.0;
        interval.mul_f64(1.0 + wander * (2.0 * draw.clamp(0.0, 1.0) - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        fast_interval: Duration::from_secs(1),
        rise: 3,
        fall: 2,
        jitter_percent: 10,
    };

    #[test]
    fn the_pause_wanders_within_the_jitter() {
        for (hangs, draw, milliseconds) in
            [(false, 0.0, 4500), (false, 0.5, 5000), (false, 1.0, 5500), (true, 0.0, 900), (true, 1.0, 1100)]
        {
            assert_eq!(RULES.pause(hangs, draw), Duration::from_millis(milliseconds), "{hangs} {draw}");
        }
        assert_eq!(Rules { jitter_percent: 0, ..RULES }.pause(false, 0.9), RULES.interval);
    }
}
