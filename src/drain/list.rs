//! The drains: which members of which pools, since when and for how long.

use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::net::Prefix;
use crate::wire::Name;

/// Members that are kept out of new answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Their address or prefix.
    pub addr: Prefix,
    /// The owner of their pool, in lower case; `None` for every pool.
    pub pool: Option<Name>,
    /// When it began; `None` when somebody has just written it without saying so.
    pub since: Option<Timestamp>,
    /// After this time it ends by itself.
    pub lasts: Option<Duration>,
    /// Why, for people.
    pub reason: Option<String>,
}

impl Drain {
    /// Whether a member of a pool is meant. The pool's name is in lower case.
    pub fn covers(&self, pool: &Name, address: IpAddr) -> bool {
        self.addr.contains(address) && self.pool.as_ref().is_none_or(|own| own == pool)
    }

    /// When it ends by itself; `None` when it does not, or has not begun.
    pub fn until(&self) -> Option<Timestamp> {
        let span = SignedDuration::try_from(self.lasts?).ok()?;
        self.since?.checked_add(span).ok()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until().is_some_and(|until| until <= now)
    }

    /// Whether it is of the same members of the same pools.
    pub fn is_of(&self, addr: Prefix, pool: Option<&Name>) -> bool {
        self.addr == addr && self.pool.as_ref() == pool
    }
}

/// All drains, in the order of their file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drains(Vec<Drain>);

impl Drains {
    /// These.
    pub fn new(drains: Vec<Drain>) -> Self {
        Self(drains)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Drain> {
        self.0.iter()
    }

    /// Those that keep this member out.
    pub fn covering(&self, pool: &Name, address: IpAddr) -> impl Iterator<Item = &Drain> {
        self.0.iter().filter(move |drain| drain.covers(pool, address))
    }

    /// Whether this member is kept out.
    pub fn cover(&self, pool: &Name, address: IpAddr) -> bool {
        self.covering(pool, address).next().is_some()
    }

    /// Those that have not ended by themselves, as if each began at `now` that does not say when.
    pub fn at(&self, now: Timestamp) -> Self {
        let begun = self.0.iter().map(|drain| Drain { since: drain.since.or(Some(now)), ..drain.clone() });
        Self(begun.filter(|drain| !drain.has_ended(now)).collect())
    }

    /// When the next one ends by itself.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(Drain::until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes()).expect("a name")
    }

    fn drain(addr: &str, pool: Option<&str>, lasts: Option<u64>) -> Drain {
        Drain {
            addr: addr.parse().expect("a prefix"),
            pool: pool.map(name),
            since: Some(Timestamp::UNIX_EPOCH),
            lasts: lasts.map(Duration::from_secs),
            reason: None,
        }
    }

    #[test]
    fn a_drain_covers_its_prefix_in_its_pool() {
        let drains =
            Drains::new(vec![drain("192.0.2.0/24", Some("www.a.test"), None), drain("2001:db8::1", None, None)]);
        let covers = |pool, address: &str| drains.cover(&name(pool), address.parse().expect("an address"));
        assert!(covers("www.a.test", "192.0.2.7"));
        assert!(!covers("api.a.test", "192.0.2.7"), "another pool");
        assert!(!covers("www.a.test", "192.0.3.7"));
        assert!(covers("api.a.test", "2001:db8::1") && !covers("api.a.test", "2001:db8::2"));
    }

    #[test]
    fn a_drain_ends_by_itself_when_its_time_is_over() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let drains = Drains::new(vec![drain("192.0.2.1", None, Some(60)), drain("192.0.2.2", None, None)]);
        assert_eq!(drains.next_end(), Some(at(60)));
        let left = |second| drains.at(at(second)).iter().map(|drain| drain.addr.to_string()).collect::<Vec<_>>();
        assert_eq!(left(59), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(left(60), ["192.0.2.2"]);
        let undated = Drains::new(vec![Drain { since: None, ..drain("192.0.2.1", None, Some(60)) }]);
        assert_eq!(undated.at(at(100)).next_end(), Some(at(160)), "it begins when it is first read");
    }
}
