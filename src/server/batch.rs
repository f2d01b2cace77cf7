//! Many datagrams a system call: recvmmsg and sendmmsg over memory that is allocated once. The only unsafe code.
//!
//! A [`Batch`] is filled by [`receive`](Batch::receive), worked through by [`answer`](Batch::answer) and emptied by
//! [`send`](Batch::send). The headers that the kernel reads and writes hold raw pointers into the batch's own arrays; they
//! are made anew right before each system call and not followed later, so no pointer is used past its borrow.
#![expect(unsafe_code, reason = "the standard library has neither recvmmsg nor control messages")]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use socket2::Socket;

/// Datagrams in one system call, at most. By 32 the price of the call is lost beside that of the packets; with 64 a
/// saturated worker answered no more queries (0.9 to 1.0 times as many), and the first reply waited longer for the last.
const WIDTH: usize = 32;
/// A receive never asks for fewer: preparing a header costs about a nanosecond, one more call some hundreds.
const NARROWEST: usize = 8;
/// Octets of the longest query taken by UDP. A longer one is cut, and then judged as what is left of it.
const QUERY: usize = 4096;
/// 4096 alone would put the start of every query into the same few cache sets.
const QUERY_STRIDE: usize = QUERY + 192;
/// Room for a packet-info and a drop count, in words so that it is aligned as control messages must be.
const CONTROL_WORDS: usize = 12;

type Control = [u64; CONTROL_WORDS];

/// Makes a UDP socket ready for batches.
///
/// # Errors
/// When the kernel will not say which address a query to a wildcard was sent to.
pub(super) fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    // Without this one, drops are not counted; without the next, they are only less well defended: no reason not to serve.
    let _ = set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
    // Path MTUs learned from ICMP are anybody's word: whoever forges one would have our replies sent in fragments, and
    // fragments can be forged (RFC 9715).
    if address.is_ipv4() {
        let _ = set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT);
    } else {
        let _ = set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT);
    }
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        IpAddr::V6(ip) if ip.is_unspecified() => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        _ => Ok(()),
    }
}

fn set(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel reads `size` octets of `value`, which lives until the call returns; the socket is open.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The memory of one worker for receiving and answering up to [`WIDTH`] datagrams at once.
pub(super) struct Batch {
    /// How many the next receive asks for: twice what the last one brought.
    width: usize,
    /// Whether the last receive brought all that it asked for.
    full: bool,
    received: usize,
    /// For each reply: which query it answers, and its octets.
    replied: Vec<(usize, usize)>,
    reply_size: usize,
    queries: Box<[u8]>,
    replies: Box<[u8]>,
    peers: Box<[libc::sockaddr_in6]>,
    arrivals: Box<[Control]>,
    departures: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    lengths: Box<[usize]>,
    /// The address that each query was sent to, where the socket's own does not say it.
    locals: Box<[Option<Local>]>,
    overflow: Option<u32>,
}

impl Batch {
    /// A batch whose replies have `reply_size` octets at most.
    pub(super) fn new(reply_size: usize) -> Self {
        // SAFETY: these are structs of integers and pointers, of which all zeros is a value.
        let (peer, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            width: NARROWEST,
            full: false,
            received: 0,
            replied: Vec::with_capacity(WIDTH),
            reply_size,
            queries: vec![0; WIDTH * QUERY_STRIDE].into(),
            replies: vec![0; WIDTH * stride(reply_size)].into(),
            peers: vec![peer; WIDTH].into(),
            arrivals: vec![[0; CONTROL_WORDS]; WIDTH].into(),
            departures: vec![[0; CONTROL_WORDS]; WIDTH].into(),
            vectors: vec![vector; WIDTH].into(),
            headers: vec![header; WIDTH].into(),
            lengths: vec![0; WIDTH].into(),
            locals: vec![None; WIDTH].into(),
            overflow: None,
        }
    }

    /// Takes what has arrived, without waiting, and says how many datagrams that were.
    ///
    /// # Errors
    /// Whatever the kernel says; `WouldBlock` when nothing has arrived.
    pub(super) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.received = 0;
        self.replied.clear();
        self.prepare_receive();
        // SAFETY: the first `width` headers point to distinct elements of `peers`, `vectors` and `arrivals`, with the size of
        // an element each, and each vector to QUERY octets of `queries` that no other has. All of them are this batch's own
        // and longer than `width`; `&mut self` keeps everybody else from them until the call returns.
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
        for index in 0..self.received {
            self.lengths[index] = self.headers[index].msg_len as usize;
            self.read_control(index);
        }
        self.full = self.received == self.width;
        self.width = (self.received * 2).clamp(NARROWEST, WIDTH);
        Ok(self.received)
    }

    fn prepare_receive(&mut self) {
        let queries = self.queries.as_mut_ptr();
        for (index, vector) in self.vectors[..self.width].iter_mut().enumerate() {
            *vector = libc::iovec { iov_base: queries.wrapping_add(index * QUERY_STRIDE).cast(), iov_len: QUERY };
        }
        let (peers, vectors) = (self.peers.as_mut_ptr(), self.vectors.as_mut_ptr());
        let arrivals = self.arrivals.as_mut_ptr();
        for (index, header) in self.headers[..self.width].iter_mut().enumerate() {
            let header = &mut header.msg_hdr;
            header.msg_name = peers.wrapping_add(index).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as _;
            header.msg_iov = vectors.wrapping_add(index);
            header.msg_iovlen = 1;
            header.msg_control = arrivals.wrapping_add(index).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
    }

    /// Reads what the kernel says beside the datagram: where it was sent to, and how many it had to drop so far.
    fn read_control(&mut self, index: usize) {
        self.locals[index] = None;
        let header = &self.headers[index].msg_hdr;
        // SAFETY: `receive` has just pointed this header to `arrivals[index]`, an aligned array of CONTROL_WORDS words that
        // nobody has touched since the kernel filled it and set `msg_controllen` to what it wrote. The CMSG functions stay
        // within that length; each payload is as long as its type says, and read without regard to its alignment.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(header);
            while !control.is_null() {
                let payload = libc::CMSG_DATA(control);
                match ((*control).cmsg_level, (*control).cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        self.locals[index] = Some(Local::V4(ptr::read_unaligned(payload.cast())));
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        self.locals[index] = Some(Local::V6(ptr::read_unaligned(payload.cast())));
                    }
                    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                        self.overflow = Some(ptr::read_unaligned(payload.cast()));
                    }
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
    }

    /// Whether more is likely to be there than the last receive took.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Datagrams that the kernel has dropped at the socket since it was opened, modulo 2³², as last told; it tells only
    /// once it has dropped some.
    pub(super) fn overflow(&mut self) -> Option<u32> {
        self.overflow.take()
    }

    /// Hands each received query, its sender and room for the reply to `respond`, which says how many octets it wrote;
    /// `None` leaves the query without a reply.
    pub(super) fn answer(&mut self, mut respond: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> Option<usize>) {
        let stride = stride(self.reply_size);
        for index in 0..self.received {
            let query = &self.queries[index * QUERY_STRIDE..][..self.lengths[index]];
            let reply = &mut self.replies[self.replied.len() * stride..][..self.reply_size];
            if let Some(octets) = respond(query, socket_address(&self.peers[index]), reply) {
                self.replied.push((index, octets.min(self.reply_size)));
            }
        }
    }

    /// Sends the replies. What cannot be sent is left out and the rest goes on; says how many were left out.
    ///
    /// The socket may block for as long as its send timeout says, once; after that the batch does not wait again.
    pub(super) fn send(&mut self, socket: &Socket) -> usize {
        self.prepare_send();
        let (mut at, mut lost, mut flags, mut again) = (0, 0, 0, false);
        while at < self.replied.len() {
            match self.send_from(at, socket, flags) {
                Ok(sent) => (at, again) = (at + sent, false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A socket reports what an ICMP message left on it through whichever call comes next, and then this reply
                // has not been tried yet.
                Err(error) if !again && error.kind() != io::ErrorKind::WouldBlock => again = true,
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        flags = libc::MSG_DONTWAIT;
                    }
                    (at, lost, again) = (at + 1, lost + 1, false);
                }
            }
        }
        self.replied.clear();
        lost
    }

    fn send_from(&mut self, at: usize, socket: &Socket, flags: libc::c_int) -> io::Result<usize> {
        let headers = &mut self.headers[at..self.replied.len()];
        // SAFETY: `prepare_send` pointed these headers to initialised elements of `peers`, `vectors` and `departures`, and the
        // vectors to written octets of `replies`. None of those has moved or been borrowed since: between it and the last
        // call, only `headers` and `replied` are used. The kernel writes nothing but `msg_len` of the headers.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as _, flags as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn prepare_send(&mut self) {
        let (replies, stride) = (self.replies.as_mut_ptr(), stride(self.reply_size));
        for (place, (vector, (_, octets))) in self.vectors.iter_mut().zip(&self.replied).enumerate() {
            *vector = libc::iovec { iov_base: replies.wrapping_add(place * stride).cast(), iov_len: *octets };
        }
        let mut control_sizes = [0; WIDTH];
        for (place, (index, _)) in self.replied.iter().enumerate() {
            if let Some(local) = self.locals[*index] {
                control_sizes[place] = write_control(&mut self.departures[place], local);
            }
        }
        let (peers, vectors) = (self.peers.as_mut_ptr(), self.vectors.as_mut_ptr());
        let departures = self.departures.as_mut_ptr();
        for (place, (index, _)) in self.replied.iter().enumerate() {
            let family = self.peers[*index].sin6_family;
            let header = &mut self.headers[place].msg_hdr;
            header.msg_name = peers.wrapping_add(*index).cast();
            header.msg_namelen = address_size(family) as _;
            header.msg_iov = vectors.wrapping_add(place);
            header.msg_iovlen = 1;
            header.msg_control =
                if control_sizes[place] == 0 { ptr::null_mut() } else { departures.wrapping_add(place).cast() };
            header.msg_controllen = control_sizes[place] as _;
        }
    }
}

/// Where a datagram was sent to, and so where its reply must come from.
#[derive(Clone, Copy)]
enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

/// Writes the packet-info of a reply to a query that came to `local`; says how many octets it takes.
fn write_control(control: &mut Control, local: Local) -> usize {
    match local {
        // `ipi_spec_dst` is an address of ours even if the query was broadcast. Interface 0: the way back is the routing
        // table's to choose.
        Local::V4(info) => {
            let info = libc::in_pktinfo { ipi_ifindex: 0, ..info };
            write_message(control, (libc::IPPROTO_IP, libc::IP_PKTINFO), info)
        }
        Local::V6(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            if address.is_multicast() {
                return 0;
            }
            // A link-local address means nothing without its link.
            let ipi6_ifindex = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
            let info = libc::in6_pktinfo { ipi6_ifindex, ..info };
            write_message(control, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info)
        }
    }
}

fn write_message<T: Copy>(control: &mut Control, (level, kind): (libc::c_int, libc::c_int), payload: T) -> usize {
    let size = size_of::<T>() as libc::c_uint;
    // SAFETY: these two only add up sizes; CMSG_DATA adds an offset, within `control` because of the assertion. `control` is
    // aligned for a cmsghdr (words), is borrowed alone, and the payload is written without regard to its alignment.
    unsafe {
        let space = libc::CMSG_SPACE(size) as usize;
        assert!(space <= size_of::<Control>(), "a packet-info fits a control buffer");
        let message: *mut libc::cmsghdr = control.as_mut_ptr().cast();
        (*message).cmsg_len = libc::CMSG_LEN(size) as _;
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), payload);
        space
    }
}

/// The sender as the kernel wrote it. An IPv4 address lies where IPv6 has its flow label.
fn socket_address(peer: &libc::sockaddr_in6) -> SocketAddr {
    let port = u16::from_be(peer.sin6_port);
    if i32::from(peer.sin6_family) == libc::AF_INET {
        SocketAddrV4::new(Ipv4Addr::from(peer.sin6_flowinfo.to_ne_bytes()), port).into()
    } else {
        SocketAddrV6::new(Ipv6Addr::from(peer.sin6_addr.s6_addr), port, 0, peer.sin6_scope_id).into()
    }
}

fn address_size(family: libc::sa_family_t) -> usize {
    if i32::from(family) == libc::AF_INET { size_of::<libc::sockaddr_in>() } else { size_of::<libc::sockaddr_in6>() }
}

/// Replies start in different cache sets, as queries do: whole lines, and an odd number of them.
fn stride(reply_size: usize) -> usize {
    (reply_size.div_ceil(64) | 1) * 64
}

/// Waits for any of several sockets, or for the end.
pub(super) struct Poll(Vec<libc::pollfd>);

impl Poll {
    /// Waits for `sockets`, and for the other end of `stop` to be closed.
    pub(super) fn new(sockets: &[Socket], stop: BorrowedFd<'_>) -> Self {
        let all = sockets.iter().map(AsFd::as_fd).chain([stop]);
        Self(all.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect())
    }

    /// Looks which are ready; waits until one is if `patient`.
    pub(super) fn wait(&mut self, patient: bool) {
        for entry in &mut self.0 {
            entry.revents = 0;
        }
        let timeout = if patient { -1 } else { 0 };
        // SAFETY: the pointer and the count are those of one vector, borrowed alone. An error (EINTR, ENOMEM) leaves every
        // `revents` at 0: nothing is ready, and the caller comes again.
        let _ = unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as _, timeout) };
    }

    /// Whether there is something to receive at the socket of this place.
    pub(super) fn is_ready(&self, place: usize) -> bool {
        self.0[place].revents != 0
    }

    /// Whether the end has come.
    pub(super) fn is_stopped(&self) -> bool {
        self.0.last().is_some_and(|stop| stop.revents != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    use socket2::{Domain, Type};

    fn server(address: &str) -> (Socket, u16) {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("a socket");
        if address.is_ipv6() {
            socket.set_only_v6(true).expect("an option");
        }
        prepare(&socket, address).expect("options");
        socket.bind(&address.into()).expect("a free port");
        let port = socket.local_addr().expect("bound").as_socket().expect("an IP address").port();
        (socket, port)
    }

    fn client(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("an option");
        socket
    }

    /// Receives until `count` have come: loopback delivers within the sender's call, so nothing has to be waited for.
    fn echo(batch: &mut Batch, socket: &Socket, count: usize) {
        let mut seen = 0;
        while seen < count {
            seen += batch.receive(socket).expect("datagrams are there");
            batch.answer(|query, _, reply| {
                reply[..query.len()].copy_from_slice(query);
                Some(query.len())
            });
            assert_eq!(batch.send(socket), 0);
        }
    }

    fn reply(client: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 8192];
        let (octets, from) = client.recv_from(&mut buffer).expect("a reply");
        (buffer[..octets].to_vec(), from)
    }

    #[test]
    fn replies_leave_from_the_address_that_was_asked() {
        for (listen, from, asked) in [
            ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.7"),
            ("127.0.0.9:0", "127.0.0.1:0", "127.0.0.9"),
            ("[::]:0", "[::1]:0", "::1"),
            ("[::1]:0", "[::1]:0", "::1"),
        ] {
            let (socket, port) = server(listen);
            let client = client(from);
            let asked = SocketAddr::new(asked.parse().expect("an address"), port);
            client.send_to(b"query", asked).expect("sent");
            echo(&mut Batch::new(512), &socket, 1);
            assert_eq!(reply(&client), (b"query".to_vec(), asked), "{listen}");
        }
    }

    #[test]
    fn a_batch_answers_each_client_with_its_own_reply() {
        let (socket, port) = server("0.0.0.0:0");
        let clients: Vec<_> = (0..100_u8)
            .map(|index| {
                let client = client("127.0.0.1:0");
                client.send_to(&[index; 20], (format!("127.0.0.{}", index + 1), port)).expect("sent");
                client
            })
            .collect();
        let mut batch = Batch::new(512);
        echo(&mut batch, &socket, clients.len());
        for (index, client) in (0_u8..).zip(&clients) {
            let (octets, from) = reply(client);
            assert_eq!(octets, [index; 20]);
            assert_eq!(from.to_string(), format!("127.0.0.{}:{port}", index + 1));
        }
        assert_eq!(batch.receive(&socket).expect_err("all are taken").kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_sender_is_told_with_its_address_and_port() {
        for (listen, from) in [("127.0.0.1:0", "127.0.0.5:0"), ("[::1]:0", "[::1]:0")] {
            let (socket, port) = server(listen);
            let client = client(from);
            let to = SocketAddr::new(listen.parse::<SocketAddr>().expect("an address").ip(), port);
            client.send_to(b"query", to).expect("sent");
            let mut batch = Batch::new(512);
            assert_eq!(batch.receive(&socket).expect("a datagram"), 1);
            let mut peers = Vec::new();
            batch.answer(|_, peer, _| {
                peers.push(peer);
                None
            });
            assert_eq!(peers, [client.local_addr().expect("bound")]);
            assert_eq!(batch.send(&socket), 0, "nothing is sent without a reply");
        }
    }

    #[test]
    fn a_reply_that_cannot_be_sent_takes_no_other_with_it() {
        let (socket, port) = server("127.0.0.1:0");
        let clients: Vec<_> = (0..5).map(|_| client("127.0.0.1:0")).collect();
        for client in &clients {
            client.send_to(b"query", ("127.0.0.1", port)).expect("sent");
        }
        let mut batch = Batch::new(512);
        assert_eq!(batch.receive(&socket).expect("datagrams"), 5);
        // Port 0 cannot be sent to; a forged sender may say so.
        batch.peers[1].sin6_port = 0;
        batch.peers[4].sin6_port = 0;
        batch.answer(|_, peer, reply| {
            reply[..2].copy_from_slice(&peer.port().to_be_bytes());
            Some(2)
        });
        assert_eq!(batch.send(&socket), 2);
        for index in [0, 2, 3] {
            let port = clients[index].local_addr().expect("bound").port();
            assert_eq!(reply(&clients[index]).0, port.to_be_bytes());
        }
    }

    #[test]
    fn a_query_longer_than_its_buffer_is_cut_and_harms_no_other() {
        let (socket, port) = server("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        client.send_to(&[1; 9000], ("127.0.0.1", port)).expect("sent");
        client.send_to(b"", ("127.0.0.1", port)).expect("sent");
        client.send_to(&[2; 30], ("127.0.0.1", port)).expect("sent");
        let mut batch = Batch::new(512);
        assert_eq!(batch.receive(&socket).expect("datagrams"), 3);
        let mut queries = Vec::new();
        batch.answer(|query, _, _| {
            queries.push(query.to_vec());
            None
        });
        assert_eq!(queries, [vec![1; QUERY], vec![], vec![2; 30]]);
    }

    #[test]
    fn what_the_kernel_drops_is_told() {
        let (socket, port) = server("127.0.0.1:0");
        socket.set_recv_buffer_size(1).expect("the least there is");
        let client = client("127.0.0.1:0");
        let mut batch = Batch::new(512);
        for _ in 0..200 {
            client.send_to(&[0; 100], ("127.0.0.1", port)).expect("sent");
        }
        let mut taken = 0;
        while let Ok(received) = batch.receive(&socket) {
            taken += received;
        }
        assert!(taken < 200, "the buffer held them all");
        // The count comes with the next datagram that finds room.
        client.send_to(&[0; 100], ("127.0.0.1", port)).expect("sent");
        assert_eq!(batch.receive(&socket).expect("a datagram"), 1);
        assert_eq!(batch.overflow(), Some(200 - taken as u32));
        assert_eq!(batch.overflow(), None);
    }

    #[test]
    fn the_width_follows_what_arrives() {
        let (socket, port) = server("127.0.0.1:0");
        let client = client("127.0.0.1:0");
        let mut batch = Batch::new(512);
        for _ in 0..WIDTH * 2 {
            client.send_to(b"query", ("127.0.0.1", port)).expect("sent");
        }
        let sizes: Vec<_> = std::iter::from_fn(|| batch.receive(&socket).ok()).collect();
        assert_eq!(sizes, [8, 16, 32, 8]);
        assert_eq!(batch.width, 16);
    }
}
