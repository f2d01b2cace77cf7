//! When a secondary asks again, and when it gives up: REFRESH, RETRY and EXPIRE of the SOA (RFC 1035 section 3.3.13), kept
//! within bounds and spread, so that a thousand zones do not ask in the same second.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::wire::Type;
use crate::zone::{NodeId, Zone};

/// The timers of one zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timers {
    pub(super) refresh: Duration,
    pub(super) retry: Duration,
    pub(super) expire: Duration,
}

impl Timers {
    /// Those of the SOA, REFRESH and RETRY within `bounds`. What expires before it is asked again twice would be lost by one
    /// lost packet.
    pub(super) fn of(zone: &Zone, bounds: &RangeInclusive<Duration>) -> Self {
        let soa = zone.rrset(NodeId::APEX, Type::SOA);
        let numbers = soa.and_then(|soa| soa.iter().next()).and_then(|soa| soa.rdata.last_chunk::<20>());
        let seconds = |at: usize| {
            let octets =
                numbers.map_or([0; 4], |numbers| [numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
            Duration::from_secs(u64::from(u32::from_be_bytes(octets)))
        };
        let within = |time: Duration| time.clamp(*bounds.start(), *bounds.end());
        let (refresh, retry) = (within(seconds(4)), within(seconds(8)));
        Self { refresh, retry, expire: seconds(12).max(refresh + retry) }
    }
}

/// When to ask again while there is no zone whose SOA could say: soon at first, then less often.
pub(super) fn first_retry(failures: u32, bounds: &RangeInclusive<Duration>) -> Duration {
    let doubled = FIRST_RETRY * 2u32.saturating_pow(failures.saturating_sub(1).min(12));
    doubled.min(LAST_RETRY).min(*bounds.end())
}

/// Up to a tenth sooner; `chance` is from 0 to 1.
pub(super) fn jittered(time: Duration, chance: f64) -> Duration {
    time.mul_f64(1.0 - 0.1 * chance)
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::wire::Name;
    use crate::zone::text::{Limits, read_bytes};

    fn timers(soa: &str, bounds: RangeInclusive<u64>) -> [u64; 3] {
        let apex = Name::from_text(b"test").unwrap();
        let text = format!("@ 60 SOA ns h 1 {soa} 60\n@ 60 NS ns\n");
        let zone =
            Zone::build(&apex, &read_bytes(text.as_bytes(), Path::new("z"), Some(&apex), &Limits::default()).records);
        let bounds = Duration::from_secs(*bounds.start())..=Duration::from_secs(*bounds.end());
        let timers = Timers::of(&zone.unwrap(), &bounds);
        [timers.refresh, timers.retry, timers.expire].map(|time| time.as_secs())
    }

    #[test]
    fn the_soa_is_followed_within_bounds() {
        assert_eq!(timers("3600 600 86400", 2..=86_400), [3600, 600, 86_400]);
        assert_eq!(timers("1 0 86400", 2..=86_400), [2, 2, 86_400]);
        assert_eq!(timers("4000000000 700 4000000001", 2..=60), [60, 60, 4_000_000_001]);
        assert_eq!(timers("3600 600 60", 2..=86_400)[2], 4200, "it is asked at least twice before it expires");
    }

    #[test]
    fn who_has_no_zone_asks_soon_and_then_less_often() {
        let bounds = Duration::from_secs(2)..=Duration::from_secs(86_400);
        let times: Vec<u64> = (1..12).map(|failures| first_retry(failures, &bounds).as_secs()).collect();
        assert_eq!(times, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(jittered(Duration::from_secs(100), 0.5), Duration::from_secs(95));
    }
}
