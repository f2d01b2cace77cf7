//! How many TCP connections may be open: in all, and from one network, so that one client cannot have them all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::Prefix;

/// The connections that are open, over all workers. Locked once to open and once to close one.
#[derive(Debug)]
pub(super) struct Limit {
    all: usize,
    per_network: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    networks: HashMap<Prefix, usize>,
}

impl Limit {
    pub(super) fn new(all: usize, per_network: usize) -> Self {
        Self { all, per_network, open: Mutex::default() }
    }

    /// A place for one connection from `client`, held until it is dropped; `None` when there is none left.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let network = Prefix::network_of(client);
        let mut open = self.open();
        if open.all >= self.all {
            return None;
        }
        let of_network = open.networks.entry(network).or_default();
        if *of_network >= self.per_network {
            return None;
        }
        *of_network += 1;
        open.all += 1;
        Some(Place { limit: Arc::clone(self), network })
    }

    fn release(&self, network: Prefix) {
        let mut open = self.open();
        open.all -= 1;
        if let Entry::Occupied(mut entry) = open.networks.entry(network) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one open connection.
#[derive(Debug)]
pub(super) struct Place {
    limit: Arc<Limit>,
    network: Prefix,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limit.release(self.network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_network_cannot_have_every_place() {
        let limit = Arc::new(Limit::new(3, 2));
        let first = limit.admit(address("192.0.2.1"));
        let second = limit.admit(address("192.0.2.2"));
        assert!(first.is_some() && second.is_some());
        assert!(limit.admit(address("192.0.2.3")).is_none());
        let other = limit.admit(address("2001:db8:0:1::1"));
        assert!(other.is_some());
        assert!(limit.admit(address("198.51.100.1")).is_none(), "three are open");
        drop(first);
        assert!(limit.admit(address("192.0.2.3")).is_some());
    }

    #[test]
    fn ipv6_is_counted_by_site() {
        let limit = Arc::new(Limit::new(9, 1));
        let _one = limit.admit(address("2001:db8:0:1::1"));
        assert!(limit.admit(address("2001:db8:0:2::1")).is_none());
        assert!(limit.admit(address("2001:db8:0:100::1")).is_some());
    }

    #[test]
    fn a_network_without_connections_leaves_nothing_behind() {
        let limit = Arc::new(Limit::new(1, 1));
        drop(limit.admit(address("192.0.2.1")));
        assert_eq!(limit.open().all, 0);
        assert!(limit.open().networks.is_empty());
    }
}
