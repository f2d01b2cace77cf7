//! What one recvmmsg brings: datagrams, and trains of datagrams that the kernel has joined.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::Socket;

use super::control::{Control, Said};
use super::{QUERY, WIDTH};

/// A receive never asks for fewer: preparing a header costs about a nanosecond, one more call some hundreds.
const NARROWEST: usize = 8;
/// Octets of the longest train: what the length field of IP can say.
const TRAIN: usize = 65_535;
/// Whole pages alone would put the start of every query into the same few cache sets.
const OFFSET: usize = 192;

/// The memory for receiving up to [`WIDTH`] datagrams at once.
pub(super) struct Arrivals {
    /// How many the next receive asks for: twice what the last one brought.
    pub(super) width: usize,
    /// Whether the last receive brought all that it asked for.
    full: bool,
    received: usize,
    /// Octets of one slot of `octets`.
    slot: usize,
    octets: Box<[u8]>,
    pub(super) peers: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// One datagram, or one train.
pub(super) struct Arrival<'b> {
    octets: &'b [u8],
    said: Said,
    pub(super) peer: &'b libc::sockaddr_in6,
}

impl Arrivals {
    /// Memory for datagrams alone, or for trains. What no datagram has touched takes no memory of the machine.
    pub(super) fn new(trains: bool) -> Self {
        // SAFETY: these are structs of integers and pointers, of which all zeros is a value.
        let (peer, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        let slot = OFFSET + if trains { TRAIN.next_multiple_of(64) } else { QUERY };
        Self {
            width: NARROWEST,
            full: false,
            received: 0,
            slot,
            octets: vec![0; WIDTH * slot].into(),
            peers: vec![peer; WIDTH].into(),
            controls: vec![Control::default(); WIDTH].into(),
            vectors: vec![vector; WIDTH].into(),
            headers: vec![header; WIDTH].into(),
        }
    }

    /// Takes what has arrived, without waiting, and says how many datagrams and trains that were.
    pub(super) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.received = 0;
        self.prepare();
        // SAFETY: the first `width` headers point to distinct elements of `peers`, `vectors` and `controls`, with the size of
        // an element each, and each vector to a slot of `octets` that no other has. All of them are our own and longer than
        // `width`; `&mut self` keeps everybody else from them until the call returns.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.width as _,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.full = self.received == self.width;
        self.width = (self.received * 2).clamp(NARROWEST, WIDTH);
        Ok(self.received)
    }

    fn prepare(&mut self) {
        let (octets, slot) = (self.octets.as_mut_ptr(), self.slot);
        for (index, vector) in self.vectors[..self.width].iter_mut().enumerate() {
            *vector = libc::iovec { iov_base: octets.wrapping_add(index * slot).cast(), iov_len: slot - OFFSET };
        }
        let (peers, vectors) = (self.peers.as_mut_ptr(), self.vectors.as_mut_ptr());
        let controls = self.controls.as_mut_ptr();
        for (index, header) in self.headers[..self.width].iter_mut().enumerate() {
            let header = &mut header.msg_hdr;
            header.msg_name = peers.wrapping_add(index).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as _;
            header.msg_iov = vectors.wrapping_add(index);
            header.msg_iovlen = 1;
            header.msg_control = controls.wrapping_add(index).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
    }

    /// Whether more is likely to be there than the last receive took.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// What the last receive brought.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arrival<'_>> {
        self.headers[..self.received].iter().enumerate().map(|(index, header)| {
            // SAFETY: `receive` pointed this header to `controls[index]` before the kernel filled it, and nothing has been
            // written there since: `&self` is borrowed for as long as the arrival lives.
            let said = unsafe { Control::read(&header.msg_hdr) };
            let octets = &self.octets[index * self.slot..][..header.msg_len as usize];
            Arrival { octets, said, peer: &self.peers[index] }
        })
    }
}

impl<'b> Arrival<'b> {
    pub(super) fn said(&self) -> Said {
        self.said
    }

    /// The queries in the order they came in; a datagram without octets is one, too. Of one longer than [`QUERY`] what is
    /// left of it is given.
    pub(super) fn queries(&self) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let segment = if self.said.segment == 0 { self.octets.len() } else { self.said.segment };
        let mut rest = Some(self.octets);
        std::iter::from_fn(move || {
            let octets = rest?;
            let (query, others) = octets.split_at(segment.min(octets.len()));
            rest = Some(others).filter(|others| !others.is_empty());
            Some(&query[..query.len().min(QUERY)])
        })
    }

    /// The sender.
    #[inline(always)]
    pub(super) fn client(&self) -> SocketAddr {
        let (peer, port) = (self.peer, u16::from_be(self.peer.sin6_port));
        // An IPv4 address lies where IPv6 has its flow label.
        if i32::from(peer.sin6_family) == libc::AF_INET {
            SocketAddrV4::new(Ipv4Addr::from(peer.sin6_flowinfo.to_ne_bytes()), port).into()
        } else {
            SocketAddrV6::new(Ipv6Addr::from(peer.sin6_addr.s6_addr), port, 0, peer.sin6_scope_id).into()
        }
    }
}
