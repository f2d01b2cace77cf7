//! Response rate limiting: whoever asks in the name of others has a bounded part of us to send them.
//!
//! ```text
//! reply by UDP ─► larger than `ratio` queries? ─► exempt, or a cookie of ours? ─► bucket of (network, kind) ─► as it is
//!                  └ no: as it is                  └ yes: as it is                                          ├► slip: TC
//!                                                                                                           └► nothing
//! ```
//!
//! * A bucket has no name in it: who forges queries chooses the names. So a network that is attacked with large replies
//!   keeps getting the small ones, such as hands.
//! * The table has a fixed size and is one worker's own. What it forgets first is what has been silent longest, and of those
//!   what has most left: forgetting a full bucket changes nothing.
//! * The hash has a key of its own, so nobody can choose names for networks that meet another's bucket.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use super::Client;
use crate::config::RateLimit;
use crate::metrics::Outcome;

/// One worker's buckets.
#[derive(Debug)]
pub(super) struct Buckets {
    lines: Box<[Line]>,
    key: [u8; 16],
}

/// What is to be done with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent.
    Send,
    /// It is sent, and would not be if limits were not only tried.
    Exceed,
    /// It is sent without its records.
    Slip,
    /// It is not sent.
    Drop,
}

/// As many buckets as a cache line holds.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line([Bucket; 4]);

/// What one network may still be sent of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    /// Of the hash, and never 0 where there is a bucket.
    tag: u32,
    /// The second in which it was filled up last.
    at: u32,
    /// Replies.
    left: u32,
    /// Replies over the limit, modulo 2³².
    over: u32,
}

/// Replies that share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Answer,
    NoData,
    NxDomain,
    Referral,
    Error,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { lines: Box::default(), key: rand::random() }
    }
}

impl Buckets {
    /// Judges a reply to `client` that is counted as `outcome`, where `workers` workers share the work.
    pub(super) fn judge(&mut self, limit: &RateLimit, workers: usize, client: &Client, outcome: Outcome) -> Verdict {
        let kind = Kind::of(outcome);
        let rate = kind.rate(limit);
        if rate == 0 || limit.exempt.find(client.address).is_some() {
            return Verdict::Send;
        }
        // Those who ask are dealt out to the workers.
        let rate = (rate / workers as u32).max(1);
        self.seat(limit.networks);
        let bucket = self.bucket(network_hash(&self.key, limit, client.address, kind));
        bucket.fill(client.now, rate, limit.burst);
        bucket.take(limit.slip)
    }

    /// Makes the table of the size that is wanted. Nothing to do but after new settings.
    fn seat(&mut self, networks: usize) {
        let lines = networks.div_ceil(BUCKETS);
        if self.lines.len() != lines {
            self.lines = vec![Line::default(); lines].into();
        }
    }

    /// The bucket of a hash, or one for it that is still to be filled.
    fn bucket(&mut self, hash: u64) -> &mut Bucket {
        let line = (((hash >> 32) * self.lines.len() as u64) >> 32) as usize;
        let (buckets, tag) = (&mut self.lines[line].0, hash as u32 | 1);
        let place = buckets.iter().position(|bucket| bucket.tag == tag).unwrap_or_else(|| {
            let worth = |bucket: &Bucket| (bucket.tag != 0, bucket.at, u32::MAX - bucket.left);
            let least = (0..BUCKETS).min_by_key(|place| worth(&buckets[*place])).expect("a line has buckets");
            buckets[least] = Bucket { tag, ..Bucket::default() };
            least
        });
        &mut buckets[place]
    }
}

impl Bucket {
    /// Puts in what has become due. A clock that was set back counts as a long silence.
    fn fill(&mut self, now: u32, rate: u32, burst: u32) {
        let (most, silent) = (rate.saturating_mul(burst), now.wrapping_sub(self.at));
        self.left = match silent {
            0 => self.left.min(most),
            _ if silent < burst => self.left.saturating_add(rate.saturating_mul(silent)).min(most),
            _ => most,
        };
        self.at = now;
    }

    fn take(&mut self, slip: u32) -> Verdict {
        if self.left > 0 {
            self.left -= 1;
            return Verdict::Send;
        }
        self.over = self.over.wrapping_add(1);
        if slip > 0 && self.over.is_multiple_of(slip) { Verdict::Slip } else { Verdict::Drop }
    }
}

impl Kind {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answer | Outcome::Chaos => Self::Answer,
            Outcome::NoData => Self::NoData,
            Outcome::NxDomain => Self::NxDomain,
            Outcome::Referral => Self::Referral,
            _ => Self::Error,
        }
    }

    fn rate(self, limit: &RateLimit) -> u32 {
        match self {
            Self::Answer => limit.rates.answers,
            Self::NoData => limit.rates.nodata,
            Self::NxDomain => limit.rates.nxdomains,
            Self::Referral => limit.rates.referrals,
            Self::Error => limit.rates.errors,
        }
    }
}

fn network_hash(key: &[u8; 16], limit: &RateLimit, address: IpAddr, kind: Kind) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    match address {
        IpAddr::V4(v4) => hasher.write_u64(u64::from(v4.to_bits() >> (32 - limit.ipv4_prefix)) | (kind as u64) << 32),
        IpAddr::V6(v6) => {
            hasher.write_u128(v6.to_bits() >> (128 - limit.ipv6_prefix));
            hasher.write_u8(kind as u8);
        }
    }
    hasher.finish()
}

/// Buckets of a line.
const BUCKETS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rates;
    use crate::metrics::Transport;

    const NOW: u32 = 1_700_000_000;

    fn limit(rate: u32) -> RateLimit {
        let rates = Rates { answers: rate, nodata: rate, nxdomains: rate, referrals: rate, errors: rate };
        let networks = 1024;
        RateLimit {
            on: true,
            rates,
            burst: 1,
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            networks,
            ..RateLimit::default()
        }
    }

    fn client(address: impl Into<IpAddr>, now: u32) -> Client {
        Client { address: address.into(), transport: Transport::Udp, now }
    }

    /// How many of so many answers are sent, slipped and dropped.
    fn of(times: u32, buckets: &mut Buckets, limit: &RateLimit, client: &Client) -> [usize; 3] {
        let verdicts: Vec<_> = (0..times).map(|_| buckets.judge(limit, 1, client, Outcome::Answer)).collect();
        let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
        [Verdict::Send, Verdict::Slip, Verdict::Drop].map(count)
    }

    #[test]
    fn a_network_is_sent_its_rate_each_second() {
        let (mut buckets, limit) = (Buckets::default(), limit(10));
        assert_eq!(of(100, &mut buckets, &limit, &client([192, 0, 2, 1], NOW)), [10, 45, 45]);
        assert_eq!(of(5, &mut buckets, &limit, &client([192, 0, 2, 200], NOW)), [0, 2, 3], "the same /24");
        assert_eq!(of(5, &mut buckets, &limit, &client([192, 0, 3, 1], NOW)), [5, 0, 0]);
        assert_eq!(of(20, &mut buckets, &limit, &client([192, 0, 2, 1], NOW + 1)), [10, 5, 5]);
        assert_eq!(of(20, &mut buckets, &limit, &client([192, 0, 2, 1], NOW - 3600)), [10, 5, 5], "a clock set back");
    }

    #[test]
    fn what_is_not_taken_is_saved_up_to_the_burst() {
        let (mut buckets, limit) = (Buckets::default(), RateLimit { burst: 3, ..limit(10) });
        assert_eq!(of(100, &mut buckets, &limit, &client([192, 0, 2, 1], NOW))[0], 30);
        assert_eq!(of(100, &mut buckets, &limit, &client([192, 0, 2, 1], NOW + 2))[0], 20);
        assert_eq!(of(100, &mut buckets, &limit, &client([192, 0, 2, 1], NOW + 99))[0], 30);
    }

    #[test]
    fn kinds_and_families_do_not_meet() {
        let (mut buckets, limit) = (Buckets::default(), limit(1));
        let v6 = client("2001:db8:0:1::1".parse::<IpAddr>().expect("an address"), NOW);
        for asked in [client([192, 0, 2, 1], NOW), v6] {
            for outcome in [Outcome::Answer, Outcome::NoData, Outcome::NxDomain, Outcome::Referral, Outcome::Refused] {
                assert_eq!(buckets.judge(&limit, 1, &asked, outcome), Verdict::Send, "{outcome:?}");
                assert_ne!(buckets.judge(&limit, 1, &asked, outcome), Verdict::Send, "{outcome:?}");
            }
        }
        let neighbour = client("2001:db8:0:ff::1".parse::<IpAddr>().expect("an address"), NOW);
        assert_ne!(buckets.judge(&limit, 1, &neighbour, Outcome::Answer), Verdict::Send, "the same /56");
    }

    #[test]
    fn workers_share_the_rate() {
        let (mut buckets, limit) = (Buckets::default(), limit(10));
        let asked = client([192, 0, 2, 1], NOW);
        let sent = (0..20).filter(|_| buckets.judge(&limit, 4, &asked, Outcome::Answer) == Verdict::Send);
        assert_eq!(sent.count(), 2);
        assert_eq!(buckets.judge(&limit, 1000, &client([192, 0, 3, 1], NOW), Outcome::Answer), Verdict::Send);
    }

    #[test]
    fn slips_are_as_many_as_is_said() {
        for (slip, expected) in [(0, [1, 0, 100]), (1, [1, 100, 0]), (2, [1, 50, 50]), (10, [1, 10, 90])] {
            let limit = RateLimit { slip, ..limit(1) };
            assert_eq!(of(101, &mut Buckets::default(), &limit, &client([192, 0, 2, 1], NOW)), expected);
        }
    }

    #[test]
    fn a_flood_of_networks_does_not_free_those_that_are_limited() {
        let (mut buckets, limit) = (Buckets::default(), limit(10));
        let victims: Vec<Client> = (0..50).map(|index| client([192, 0, index, 1], NOW)).collect();
        for victim in &victims {
            of(20, &mut buckets, &limit, victim);
        }
        for network in 0..100_000u32 {
            let forged = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 | network << 8));
            buckets.judge(&limit, 1, &client(forged, NOW), Outcome::Answer);
        }
        let sent: usize = victims.iter().map(|victim| of(10, &mut buckets, &limit, victim)[0]).sum();
        // Where two victims fell on one line with two others, one of them was forgotten.
        assert!(sent <= 20, "{sent} replies of 500");
        assert_eq!(buckets.lines.len(), 256);
    }
}
