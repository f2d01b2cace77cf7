//! The options of a UDP socket that the loop lives by, and what the kernel made of them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::Socket;

/// Octets of payload that every path carries whole: IPv6 promises packets of 1,280.
const SAFE: u16 = 1232;

/// Makes a UDP socket ready for batches, with replies of `payload` octets at most.
///
/// # Errors
/// When the kernel will not say which address a query to a wildcard was sent to.
pub(in crate::server) fn prepare(socket: &Socket, address: SocketAddr, payload: u16) -> io::Result<()> {
    // A kernel without it gives each datagram on its own, which works as well.
    let _ = set(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    // Path MTUs learned from ICMP are anybody's word: whoever forges one would have our replies sent in fragments, and
    // fragments can be forged (RFC 9715). None of these lets the kernel listen to it; without them the socket is only less
    // well defended, which is no reason not to serve.
    let _ = if address.is_ipv6() {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
    } else if payload <= SAFE {
        // DF (RFC 9715 section 3.1). It also spares the kernel a number for each packet by which fragments would be joined.
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        IpAddr::V6(ip) if ip.is_unspecified() => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        _ => Ok(()),
    }
}

/// Lets the kernel look for packets at the interface while it would wait for its interrupt, for so many microseconds.
///
/// # Errors
/// When the kernel is made without it, or does not let us.
pub(in crate::server) fn poll_busily(socket: &Socket, microseconds: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL, microseconds as libc::c_int)
}

/// Asks for a receive buffer of so many octets, whatever the system's limit is if we may; says how many were given.
///
/// # Errors
/// When the socket has no such option.
pub(in crate::server) fn size_receive_buffer(socket: &Socket, octets: usize) -> io::Result<usize> {
    if set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets as libc::c_int).is_err() {
        socket.set_recv_buffer_size(octets)?;
    }
    // The kernel takes twice what it is asked for, for what it keeps beside the data, and says so.
    Ok(socket.recv_buffer_size()? / 2)
}

/// Gives each packet to the socket of the processor that took it from the network: to the `n`th that was bound to the address
/// if it is the `n`th of `processors`. Packets of other processors are dealt out as without it.
///
/// # Errors
/// When the kernel does not have that.
pub(in crate::server) fn steer(socket: &Socket, processors: &[usize]) -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let processor = (libc::SKF_AD_OFF + libc::SKF_AD_CPU) as u32;
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, processor)];
    for (worker, processor) in (0..).zip(processors) {
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, *processor as u32));
        program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, worker));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_any(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &filter)
}

/// Whether the kernel joins datagrams of one client into trains for this socket (Linux 5.0).
pub(super) fn receives_trains(socket: &Socket) -> bool {
    get::<libc::c_int>(socket, libc::SOL_UDP, libc::UDP_GRO).is_ok_and(|on| on != 0)
}

/// Whether the kernel takes trains of replies apart (Linux 4.18). One that does not would send them as one datagram.
pub(super) fn sends_trains(socket: &Socket) -> bool {
    get::<libc::c_int>(socket, libc::SOL_UDP, libc::UDP_SEGMENT).is_ok()
}

/// Datagrams that the kernel has dropped at the socket since it was opened, modulo 2³².
pub(in crate::server) fn dropped(socket: &Socket) -> Option<u32> {
    const SO_MEMINFO: libc::c_int = 55;
    const DROPS: usize = 8;
    get::<[u32; DROPS + 1]>(socket, libc::SOL_SOCKET, SO_MEMINFO).ok().map(|info| info[DROPS])
}

/// Segments that a TCP socket has sent without data: acknowledgements and nothing else.
#[cfg(test)]
pub(in crate::server) fn bare_segments(socket: &Socket) -> u32 {
    // Of `struct tcp_info`: tcpi_segs_out is the first half of one of its pairs, and tcpi_data_segs_out the second of another.
    const SEGMENTS: usize = 17;
    const WITH_DATA: usize = 19;
    let info = get::<[u64; WITH_DATA + 1]>(socket, libc::IPPROTO_TCP, libc::TCP_INFO).expect("a TCP socket");
    let half = |pair: usize, half: usize| {
        let octets = info[pair].to_ne_bytes();
        u32::from_ne_bytes(std::array::from_fn(|index| octets[4 * half + index]))
    };
    half(SEGMENTS, 0) - half(WITH_DATA, 1)
}

pub(super) fn set(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set_any(socket, level, option, &value)
}

fn set_any<T>(socket: &Socket, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `size` octets of `value`, and what pointers in it lead to; all of that lives until the call
    // returns. The socket is open.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `T` is a number or an array of numbers.
fn get<T: Default + Copy>(socket: &Socket, level: libc::c_int, option: libc::c_int) -> io::Result<T> {
    let (mut value, mut size) = (T::default(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the kernel writes at most `size` octets to `value`, and any octets are a value of a `T` made of numbers, which
    // are all that this file asks for; both live until the call returns.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut size) };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}
