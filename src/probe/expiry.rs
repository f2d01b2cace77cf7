//! Warns of certificates that are about to end, once a day for each member.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::config::Check;
use crate::health::ProbeKey;

/// How near the end of a certificate is a warning.
const NEAR: SignedDuration = SignedDuration::from_hours(14 * 24);

const DAY: Duration = Duration::from_hours(24);

/// Whose certificate was warned of, and when.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    told: HashMap<IpAddr, Instant>,
}

impl Expiry {
    /// Takes what a certificate says; returns whether that was worth a warning now.
    pub(super) fn tell(&mut self, key: &ProbeKey, check: &Check, end: Timestamp, now: Instant) -> bool {
        let left = end.duration_since(Timestamp::now());
        if left >= NEAR {
            self.told.remove(&key.address);
            return false;
        }
        if self.told.get(&key.address).is_some_and(|told| now.duration_since(*told) < DAY) {
            return false;
        }
        self.told.insert(key.address, now);
        let days = left.as_hours().div_euclid(24);
        tracing::warn!(address = %key.address, check = %check.name, days, "the certificate of a member ends soon");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Asked, CheckKind, TcpCheck};
    use crate::health::{CheckId, Rules};

    #[test]
    fn a_certificate_near_its_end_is_told_once_a_day() {
        let second = Duration::from_secs(1);
        let rules =
            Rules { interval: second, timeout: second, fast_interval: second, rise: 1, fall: 1, jitter_percent: 0 };
        let id = CheckId::new("tcp", rules);
        let kind = CheckKind::Tcp(TcpCheck { port: 1, hold: false });
        let check = Check { name: "c".into(), kind, asked: Asked::Member, id: id.clone() };
        let key = ProbeKey { address: IpAddr::from([192, 0, 2, 1]), check: id };
        let (mut expiry, now, wall) = (Expiry::default(), Instant::now(), Timestamp::now());
        let days = |days: i64| wall + SignedDuration::from_hours(24 * days);
        assert!(!expiry.tell(&key, &check, days(15), now));
        assert!(expiry.tell(&key, &check, days(13), now));
        assert!(!expiry.tell(&key, &check, days(13), now + DAY / 2));
        assert!(expiry.tell(&key, &check, days(12), now + DAY));
        assert!(!expiry.tell(&key, &check, days(90), now + DAY), "it was renewed");
        assert!(expiry.tell(&key, &check, days(-1), now + DAY));
    }
}
