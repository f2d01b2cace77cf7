//! Waiting for sockets.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use socket2::Socket;

/// Waits for any of several sockets, or for the end.
pub(in crate::server) struct Poll(Vec<libc::pollfd>);

impl Poll {
    /// Waits for `sockets`, and for the other end of `stop` to be closed.
    pub(in crate::server) fn new(sockets: &[&Socket], stop: BorrowedFd<'_>) -> Self {
        let all = sockets.iter().map(|socket| socket.as_fd()).chain([stop]);
        Self(all.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect())
    }

    /// Waits until one is ready, for so long at most, or for ever; says whether one is.
    pub(in crate::server) fn wait(&mut self, most: Option<Duration>) -> bool {
        for entry in &mut self.0 {
            entry.revents = 0;
        }
        let timeout = most.map_or(-1, |most| most.as_millis().try_into().unwrap_or(libc::c_int::MAX));
        // SAFETY: the pointer and the count are those of one vector, borrowed alone. An error (EINTR, ENOMEM) leaves every
        // `revents` at 0: nothing is ready, and the caller comes again.
        let ready = unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as _, timeout) };
        ready > 0
    }

    /// Whether there is something to receive at the socket of this place.
    pub(in crate::server) fn is_ready(&self, place: usize) -> bool {
        self.0[place].revents != 0
    }

    /// Whether the end has come.
    pub(in crate::server) fn is_stopped(&self) -> bool {
        self.0.last().is_some_and(|stop| stop.revents != 0)
    }
}
