//! Whether the workers live, seen from outside: they write nothing down for it.
//!
//! A worker is gone when its thread is, whatever ended it. It hangs when queries wait at one of its sockets at two looks, one
//! after the other, and it has taken none between them.

use std::sync::{Arc, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;

use crate::metrics::Counters;

/// The signs of life of all workers.
#[derive(Debug, Default)]
pub struct Vitals(Vec<Worker>);

/// One thread.
#[derive(Debug)]
struct Worker {
    name: String,
    /// Held by the thread for as long as it runs.
    thread: Weak<()>,
    /// What it takes queries from, if that can be seen, and what it counts them in.
    post: Option<(Vec<Socket>, Arc<Counters>)>,
    /// How many it had taken at the last look if queries were waiting then.
    waiting_at: Option<u64>,
}

impl Vitals {
    /// One more thread; it is to hold what is returned.
    pub(super) fn watch(&mut self, name: &str, post: Option<(Vec<Socket>, Arc<Counters>)>) -> Arc<()> {
        let life = Arc::new(());
        let thread = Arc::downgrade(&life);
        self.0.push(Worker { name: name.to_owned(), thread, post, waiting_at: None });
        life
    }

    /// Says of whom nothing good is known, and what.
    pub fn look(&mut self) -> Vec<String> {
        self.0.iter_mut().filter_map(Worker::look).collect()
    }
}

impl Worker {
    fn look(&mut self) -> Option<String> {
        if self.thread.strong_count() == 0 {
            return Some(format!("the thread {} has ended", self.name));
        }
        let (sockets, counters) = self.post.as_ref()?;
        let taken = counters.taken();
        let waiting = sockets.iter().any(has_queries).then_some(taken);
        let hangs = waiting.is_some() && self.waiting_at == waiting;
        self.waiting_at = waiting;
        hangs.then(|| format!("the thread {} takes no queries, and some wait", self.name))
    }
}

fn has_queries(socket: &Socket) -> bool {
    let mut list = [PollFd::new(socket, PollFlags::IN)];
    // A socket that cannot be asked is none that queries are known to wait at.
    poll(&mut list, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::metrics::{Registry, Transport};

    #[test]
    fn who_has_ended_or_lets_queries_wait_is_named() {
        let counters = Registry::default().register();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        let mut vitals = Vitals::default();
        let life =
            vitals.watch("udp-0", Some((vec![socket.try_clone().expect("a descriptor").into()], counters.clone())));
        assert!(vitals.look().is_empty() && vitals.look().is_empty(), "nothing waits");
        socket.send_to(b"one", address).expect("sent");
        socket.send_to(b"two", address).expect("sent");
        assert!(vitals.look().is_empty(), "it may be about to take them");
        assert_eq!(vitals.look(), ["the thread udp-0 takes no queries, and some wait"]);
        counters.received(Transport::Udp, 1);
        assert!(vitals.look().is_empty(), "one was taken, and that there is always one more is load");
        assert_eq!(vitals.look().len(), 1);
        socket.recv(&mut [0; 8]).and_then(|_| socket.recv(&mut [0; 8])).expect("two");
        assert!(vitals.look().is_empty() && vitals.look().is_empty());
        drop(life);
        assert_eq!(vitals.look(), ["the thread udp-0 has ended"]);
    }
}
