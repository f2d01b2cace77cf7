//! `[rate_limit]`: how many replies by UDP one network is sent.

use super::reader::{Section, keys};
use super::value::{boolean, integer, prefixes};
use crate::net::{Prefix, PrefixTable};

/// Bounds on the replies that one network is sent by UDP, where anybody can ask in its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Whether anything is limited at all.
    pub on: bool,
    /// Replies a second.
    pub rates: Rates,
    /// Seconds' worth of replies that a network may take at once.
    pub burst: u32,
    /// Replies of at most so many times the octets of their query are free.
    pub ratio: usize,
    /// Of so many replies over the limit one is sent truncated; 0 is none.
    pub slip: u32,
    /// Bits of an IPv4 address that are one network.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that are one network.
    pub ipv6_prefix: u8,
    /// Who is never limited.
    pub exempt: PrefixTable<()>,
    /// Networks and kinds that each worker remembers.
    pub networks: usize,
    /// Whether it is only counted what would be limited.
    pub dry_run: bool,
}

/// Replies a second by their kind; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// NOERROR with an answer.
    pub answers: u32,
    /// NOERROR without an answer.
    pub nodata: u32,
    /// NXDOMAIN.
    pub nxdomains: u32,
    /// Referrals.
    pub referrals: u32,
    /// All others.
    pub errors: u32,
}

keys! {
    RATE_LIMIT "[rate_limit]" {
        RESPONSES: u32 = "responses", integer::<u32, 0, 100_000_000>, "0",
            "Replies of each kind that one network is sent by UDP each second, by all workers together; 0 is no limit.";
        ANSWERS: u32 = "answers", integer::<u32, 0, 100_000_000>, "",
            "The same for NOERROR with an answer. Without it, as `responses`.";
        NODATA: u32 = "nodata", integer::<u32, 0, 100_000_000>, "",
            "The same for NOERROR without an answer. Without it, as `responses`.";
        NXDOMAINS: u32 = "nxdomains", integer::<u32, 0, 100_000_000>, "",
            "The same for NXDOMAIN. Without it, as `responses`.";
        REFERRALS: u32 = "referrals", integer::<u32, 0, 100_000_000>, "",
            "The same for referrals. Without it, as `responses`.";
        ERRORS: u32 = "errors", integer::<u32, 0, 100_000_000>, "",
            "The same for REFUSED, FORMERR and all others. Without it, as `responses`.";
        BURST: u32 = "burst", integer::<u32, 1, 60>, "5",
            "Seconds' worth of replies that a network may take at once after it has taken none for as long.";
        RATIO: usize = "ratio", integer::<usize, 0, 100>, "4",
            "Replies of at most so many times the octets of their query are neither limited nor counted: they are worth \
             nothing to whoever forges queries, and the hands of a pool are among them. 0 limits all.";
        SLIP: u32 = "slip", integer::<u32, 0, 100>, "1",
            "Of so many replies over the limit one is sent, without records and with TC, so that who really asks comes \
             again by TCP; the others are dropped. 0 drops all.";
        IPV4_PREFIX: u8 = "ipv4_prefix", integer::<u8, 8, 32>, "24",
            "Bits of an IPv4 address that are one network.";
        IPV6_PREFIX: u8 = "ipv6_prefix", integer::<u8, 16, 128>, "56",
            "Bits of an IPv6 address that are one network.";
        EXEMPT: Vec<Prefix> = "exempt", prefixes, "[]",
            "Who is never limited. Nobody is who sends a server cookie of ours (RFC 7873).";
        NETWORKS: usize = "networks", integer::<usize, 1024, 16_777_216>, "65_536",
            "Networks and kinds that each worker remembers, in 16 octets each; those that were heard of least lately make room.";
        DRY_RUN: bool = "dry_run", boolean, "false",
            "Whether nothing is limited, and only counted what would be (the event `rate_exceeded`).";
    }
}

pub(super) fn read(section: &Section<'_>) -> RateLimit {
    let all = section.value(&RESPONSES);
    let [answers, nodata, nxdomains, referrals, errors] =
        [&ANSWERS, &NODATA, &NXDOMAINS, &REFERRALS, &ERRORS].map(|key| section.written(key).unwrap_or(all));
    let rates = Rates { answers, nodata, nxdomains, referrals, errors };
    RateLimit {
        on: rates != Rates::default(),
        rates,
        burst: section.value(&BURST),
        ratio: section.value(&RATIO),
        slip: section.value(&SLIP),
        ipv4_prefix: section.value(&IPV4_PREFIX),
        ipv6_prefix: section.value(&IPV6_PREFIX),
        exempt: PrefixTable::new(section.value(&EXEMPT).into_iter().map(|prefix| (prefix, ()))),
        networks: section.value(&NETWORKS),
        dry_run: section.value(&DRY_RUN),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Settings;
    use super::*;

    fn parse(keys: &str) -> RateLimit {
        let text = format!("[rate_limit]\n{keys}");
        Settings::parse(&text, Path::new("kofn.toml")).expect("settings").rate_limit
    }

    #[test]
    fn nothing_is_limited_by_default() {
        let limit = parse("burst = 1");
        assert!(!limit.on && limit == RateLimit { burst: 1, ..Settings::default().rate_limit });
        assert!(parse("errors = 1").on);
    }

    #[test]
    fn each_kind_has_the_common_rate_or_its_own() {
        let rates = parse("responses = 100\nnxdomains = 0\nreferrals = 7").rates;
        assert_eq!(rates, Rates { answers: 100, nodata: 100, nxdomains: 0, referrals: 7, errors: 100 });
    }

    #[test]
    fn the_exempt_are_found() {
        let limit = parse("exempt = [\"192.0.2.0/24\", \"::1\"]");
        let exempt = |text: &str| limit.exempt.find(text.parse().expect("an address")).is_some();
        assert!(exempt("192.0.2.9") && exempt("::1") && !exempt("192.0.3.1") && !exempt("::2"));
    }
}
