//! A reply that does not leave with the batch of its query.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::{SockAddr, Socket};

use super::control::{Control, Local};

/// Who sent a query, and to which address of ours.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Way {
    /// The sender.
    pub(in super::super) peer: SocketAddr,
    pub(super) local: Option<Local>,
}

impl Way {
    /// The address of ours that was asked, where `bound` is that of the socket.
    pub(in super::super) fn local(&self, bound: SocketAddr) -> SocketAddr {
        let asked = self.local.map_or(bound.ip(), Local::address);
        SocketAddr::new(asked, bound.port())
    }

    /// Sends a reply back along this way. The socket may block for as long as its send timeout says.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub(in super::super) fn send(&self, reply: &[u8], socket: &Socket) -> io::Result<()> {
        let mut control = Control::default();
        let control_octets = control.write(self.local, 0);
        let address = SockAddr::from(self.peer);
        let mut vector = libc::iovec { iov_base: reply.as_ptr().cast_mut().cast(), iov_len: reply.len() };
        // SAFETY: a struct of integers and pointers, of which all zeros is a value.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_namelen = address.len();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = if control_octets == 0 { ptr::null_mut() } else { (&raw mut control).cast() };
        header.msg_controllen = control_octets as _;
        // SAFETY: each pointer is to a local or to an argument that outlives the call, with its own size, and sendmsg writes
        // to none of them.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
