//! The system calls that the standard library lacks: the only file with `unsafe`.
#![expect(unsafe_code, reason = "sendmmsg, recvmmsg, segmentation and raw sockets have no safe wrapper in std")]

use std::io::{Error, ErrorKind, Result};
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Runs the calling thread on one core from now on.
pub fn pin(cpu: usize) -> Result<()> {
    // SAFETY: a cpu_set_t is plain bits, and CPU_SET checks the index against its size.
    let result = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    check(result as isize).map(|_| ())
}

/// Begins to connect and does not wait: neither for the server nor, where its queue is full, for the next try.
pub fn connect(server: SocketAddrV4) -> Result<TcpStream> {
    // SAFETY: a new descriptor that nobody else owns, and an address that lives until the call returns.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
        check(socket as isize)?;
        let stream = TcpStream::from_raw_fd(socket);
        let mut address: libc::sockaddr_in = zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_port = server.port().to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes(server.ip().octets());
        let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        match check(libc::connect(socket, (&raw const address).cast(), length) as isize) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(stream),
        }
    }
}

/// Lets closing a connection reset it, so that its port is free at once and a long run does not use up all ports.
pub fn close_by_reset(stream: &TcpStream) -> Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set(stream, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// Sleeps for so many nanoseconds, or until something has come to the socket.
pub fn rest(socket: Option<&UdpSocket>, nanoseconds: u64) {
    let mut awaited = socket.map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let [tv_sec, tv_nsec] = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000].map(|time| time as i64);
    let pause = libc::timespec { tv_sec, tv_nsec };
    let awaited = awaited.as_mut_slice();
    // SAFETY: the list and the time live until the call returns, and the length is that of the list. Whatever it returns, the
    // caller looks at its sockets and at the clock.
    unsafe { libc::ppoll(awaited.as_mut_ptr(), awaited.len() as libc::nfds_t, &raw const pause, std::ptr::null()) };
}

/// Room for replies in a socket.
pub fn enlarge_buffers(socket: &UdpSocket) -> Result<()> {
    let octets: libc::c_int = 4 << 20;
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &octets)?;
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &octets)
}

/// Lets the kernel hand over datagrams of one sender and one size together.
pub fn take_trains(socket: &UdpSocket) -> Result<()> {
    let on: libc::c_int = 1;
    set(socket, libc::SOL_UDP, libc::UDP_GRO, &on)
}

fn set<T>(socket: &impl AsRawFd, level: i32, name: i32, value: &T) -> Result<()> {
    // SAFETY: the value is read for its size, and lives until the call returns.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), size_of::<T>() as libc::socklen_t)
    };
    check(result as isize).map(|_| ())
}

fn check(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Error::last_os_error())
}

/// Receives many datagrams with one call.
pub struct Inbox {
    octets: Vec<u8>,
    control: Vec<[u64; 8]>,
    vectors: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    room: usize,
}

impl Inbox {
    /// Takes up to `count` datagrams, or `trains` of them, of at most `room` octets.
    pub fn new(count: usize, room: usize, trains: bool) -> Self {
        // SAFETY: null pointers and zero lengths are a valid iovec and mmsghdr.
        let (vector, message): (libc::iovec, libc::mmsghdr) = unsafe { (zeroed(), zeroed()) };
        let mut inbox = Self {
            octets: vec![0; count * room],
            control: vec![[0; 8]; if trains { count } else { 0 }],
            vectors: vec![vector; count],
            messages: vec![message; count],
            room,
        };
        for index in 0..count {
            let vector = &mut inbox.vectors[index];
            vector.iov_base = inbox.octets[index * room..].as_mut_ptr().cast();
            vector.iov_len = room;
            let header = &mut inbox.messages[index].msg_hdr;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            if let Some(control) = inbox.control.get_mut(index) {
                header.msg_control = control.as_mut_ptr().cast();
            }
        }
        inbox
    }

    /// Takes what has arrived, hands each datagram to `each`, and returns how many there were.
    pub fn receive(&mut self, socket: &UdpSocket, mut each: impl FnMut(&[u8])) -> Result<usize> {
        for (message, control) in self.messages.iter_mut().zip(&self.control) {
            message.msg_hdr.msg_controllen = size_of_val(control);
        }
        // SAFETY: the headers point into vectors of this value that are never resized, and recvmmsg keeps to the lengths.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                self.messages.len() as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let received = match check(result as isize) {
            Ok(received) => received,
            // A server that is gone is told by ICMP; its queries count as lost.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => 0,
            Err(error) => return Err(error),
        };
        let mut datagrams = 0;
        for index in 0..received {
            let length = (self.messages[index].msg_len as usize).min(self.room);
            let octets = &self.octets[index * self.room..index * self.room + length];
            let size = segment_size(&self.messages[index].msg_hdr).unwrap_or(length).max(1);
            for datagram in octets.chunks(size) {
                datagrams += 1;
                each(datagram);
            }
        }
        Ok(datagrams)
    }
}

/// The size of each datagram of a train.
fn segment_size(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has filled the control buffer as far as msg_controllen says, which these macros keep to.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null() || (*control).cmsg_level != libc::SOL_UDP || (*control).cmsg_type != libc::UDP_GRO {
            return None;
        }
        Some(libc::CMSG_DATA(control).cast::<libc::c_int>().read_unaligned() as usize)
    }
}

/// Sends equal-sized datagrams to whom the socket is connected with one call (UDP_SEGMENT).
pub fn send_train(socket: &UdpSocket, octets: &[u8], size: usize) -> Result<()> {
    let mut control = [0u64; 4];
    // SAFETY: all that the header points at lives until the call returns, and the one control message fits its buffer.
    let result = unsafe {
        let mut vector = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        if octets.len() > size {
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            (*message).cmsg_level = libc::SOL_UDP;
            (*message).cmsg_type = libc::UDP_SEGMENT;
            (*message).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
            libc::CMSG_DATA(message).cast::<u16>().write_unaligned(size as u16);
        }
        libc::sendmsg(socket.as_raw_fd(), &raw const header, 0)
    };
    check(result).map(|_| ())
}

/// Sends datagrams with source ports of the caller's choice, many with one call: whole frames, made here and put onto
/// loopback. They pass neither the routing nor the output of the kernel, which a raw socket would have them do; so this
/// takes less than a server that answers does, and the server is what is measured.
pub struct Post {
    socket: OwnedFd,
    octets: Vec<u8>,
    vectors: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    count: usize,
}

impl Post {
    /// Collects up to `most` datagrams to `server`, which must be on loopback: their source address is the same.
    ///
    /// # Errors
    /// Without the right to raw sockets, and where loopback refuses such frames.
    pub fn new(server: SocketAddrV4, most: usize) -> Result<Self> {
        for option in ["route_localnet", "accept_local"] {
            if std::fs::read(format!("/proc/sys/net/ipv4/conf/lo/{option}"))? != b"1\n" {
                return Err(Error::other(format!("loopback without {option}: start this by benches/peers/apart")));
            }
        }
        // SAFETY: a new descriptor that nobody else owns.
        let socket = unsafe {
            let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            check(socket as isize)?;
            OwnedFd::from_raw_fd(socket)
        };
        let (octets, on): (libc::c_int, libc::c_int) = (4 << 20, 1);
        set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &octets)?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &on)?;
        // SAFETY: the name ends with a 0, the address is all integers and lives until the call returns.
        unsafe {
            let mut address: libc::sockaddr_ll = zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_ifindex = check(libc::if_nametoindex(c"lo".as_ptr()) as isize)? as i32;
            let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            check(libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) as isize)?;
        }
        // SAFETY: zero is valid for both.
        let (vector, message): (libc::iovec, libc::mmsghdr) = unsafe { (zeroed(), zeroed()) };
        let mut post = Self {
            socket,
            octets: frame(server).repeat(most),
            vectors: vec![vector; most],
            messages: vec![message; most],
            count: 0,
        };
        for index in 0..most {
            let vector = &mut post.vectors[index];
            vector.iov_base = post.octets[index * ROOM..].as_mut_ptr().cast();
            let header = &mut post.messages[index].msg_hdr;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
        }
        Ok(post)
    }

    /// Whether no more fit.
    pub fn is_full(&self) -> bool {
        self.count == self.messages.len()
    }

    /// Adds a datagram from `port`, whose payload `write` puts at the start of the octets given, and returns its length.
    #[inline]
    pub fn push(&mut self, port: u16, write: impl FnOnce(&mut [u8]) -> usize) {
        let frame = &mut self.octets[self.count * ROOM..(self.count + 1) * ROOM];
        let length = HEADERS + write(&mut frame[HEADERS..]);
        let ip = &mut frame[ETHERNET..HEADERS];
        ip[2..4].copy_from_slice(&((length - ETHERNET) as u16).to_be_bytes());
        ip[10..12].copy_from_slice(&[0, 0]);
        let sum = checksum(&ip[..20]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip[20..22].copy_from_slice(&port.to_be_bytes());
        ip[24..26].copy_from_slice(&((length - ETHERNET - 20) as u16).to_be_bytes());
        self.vectors[self.count].iov_len = length;
        self.count += 1;
    }

    /// Sends what was added. What the kernel refuses is lost, as on any network.
    pub fn send(&mut self) {
        if self.count > 0 {
            // SAFETY: the first `count` headers point at whole frames in this value.
            unsafe {
                libc::sendmmsg(self.socket.as_raw_fd(), self.messages.as_mut_ptr(), self.count as u32, 0);
            }
            self.count = 0;
        }
    }
}

/// A frame to `server` from its own address, without what differs from one to the next. UDP checksum 0 is none (RFC 768).
fn frame(server: SocketAddrV4) -> Vec<u8> {
    let mut frame = vec![0; ROOM];
    // IPv4, behind two addresses that loopback does not look at.
    frame[12..14].copy_from_slice(&[8, 0]);
    let ip = &mut frame[ETHERNET..];
    // No options; DF; 64 hops; UDP.
    ip[..12].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip[12..16].copy_from_slice(&Ipv4Addr::octets(server.ip()));
    ip[16..20].copy_from_slice(&Ipv4Addr::octets(server.ip()));
    ip[22..24].copy_from_slice(&server.port().to_be_bytes());
    frame
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum >> 16) + (sum & 0xffff);
    !((sum >> 16) + sum) as u16
}

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// Octets of the headers of Ethernet, IPv4 and UDP.
const HEADERS: usize = ETHERNET + 28;
/// Octets of the largest query with its headers.
const ROOM: usize = 384;
