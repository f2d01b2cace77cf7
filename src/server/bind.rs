//! Taking the addresses, before anything runs: so that the program may give up its privileges in between, and so that an
//! address in use is told before a zone is loaded.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
#[cfg(feature = "encrypted")]
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

#[cfg(feature = "encrypted")]
use super::encrypted;
use super::given::{self, Given};
#[cfg(all(target_os = "linux", not(without_batch)))]
use super::udp;
#[cfg(all(target_os = "linux", not(without_batch)))]
use crate::config::Udp;
use crate::config::{Door, Limits, Settings};
use crate::metrics::Transport;
use crate::net::Prefix;
use crate::processor;
#[cfg(feature = "encrypted")]
use crate::tls::Certificates;

/// The sockets of every worker, bound and not yet served.
#[derive(Debug)]
pub struct Bound {
    addresses: Vec<SocketAddr>,
    pub(super) workers: Vec<Sockets>,
    pub(super) limits: Limits,
    pub(super) proxies: Vec<Prefix>,
    #[cfg(all(target_os = "linux", not(without_batch)))]
    pub(super) udp: Udp,
    pub(super) door: Door,
    /// The processor of each worker; empty if they may run anywhere.
    pub(super) processors: Vec<usize>,
    receive_buffer: usize,
    #[cfg(feature = "encrypted")]
    pub(super) encrypted: encrypted::Bound,
}

/// What one worker serves: a socket of each kind for each address.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) udp: Vec<Socket>,
    pub(super) tcp: Vec<TcpListener>,
}

impl Bound {
    /// Where queries are taken, by UDP and TCP alike, in the order of the settings; port 0 has become the one that was given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Octets of queries that may wait for each worker at each address, as far as the system granted what was asked for.
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// The processor of each worker, if they are pinned.
    pub fn processors(&self) -> &[usize] {
        &self.processors
    }

    /// A copy of every socket, and what it is for: whoever has them goes on where this process ends.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn copies(&self) -> io::Result<Vec<(Transport, OwnedFd)>> {
        let mut copies = Vec::new();
        for sockets in &self.workers {
            for socket in &sockets.udp {
                copies.push((Transport::Udp, socket.try_clone()?.into()));
            }
            for listener in &sockets.tcp {
                copies.push((Transport::Tcp, listener.try_clone()?.into()));
            }
        }
        #[cfg(feature = "encrypted")]
        self.encrypted.copy_to(&mut copies)?;
        Ok(copies)
    }

    /// Where queries are taken in secret, in the order of the settings.
    #[cfg(feature = "encrypted")]
    pub fn encrypted_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.encrypted.addresses
    }

    /// The certificates that the encrypted doors show: none yet.
    #[cfg(feature = "encrypted")]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.encrypted.certificates
    }
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not allowed.
    #[error("cannot listen on {0}: not permitted; ports below 1024 take root or CAP_NET_BIND_SERVICE")]
    Permission(SocketAddr),
    /// Somebody else is there.
    #[error("cannot listen on {address}: its {transport} port is in use; `ss -lnp 'sport = {port}'` shows by whom", port = address.port())]
    InUse {
        /// The address of the settings.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
    },
    /// Not an address of this machine.
    #[error("cannot listen on {0}: this machine has no such address; `ip address` shows those it has")]
    NotLocal(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address of the settings.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Binds a UDP and a TCP socket for each worker to each address, but for those that are given.
///
/// # Errors
/// For the first address that cannot be had; what was bound before is released.
pub fn bind(settings: &Settings, given: &mut Given) -> Result<Bound, BindError> {
    let mut workers: Vec<_> = (0..settings.workers.max(1)).map(|_| Sockets::default()).collect();
    let processors = processors(settings, workers.len());
    let mut addresses = Vec::with_capacity(settings.listen.len());
    let mut receive_buffer = settings.udp.receive_buffer;
    for address in &settings.listen {
        let in_udp = |source| BindError::new(*address, "UDP", source);
        let in_tcp = |source| BindError::new(*address, "TCP", source);
        let (mut udps, mut tcps) = (given.take(Transport::Udp, *address), Vec::new());
        let bound = match udps.first() {
            Some(socket) => place(socket).map_err(in_udp)?,
            None => {
                tcps = given.take(Transport::Tcp, *address);
                match tcps.first() {
                    Some(socket) => place(socket).map_err(in_tcp)?,
                    None => free_for_both(*address)?,
                }
            }
        };
        if tcps.is_empty() {
            tcps = given.take(Transport::Tcp, bound);
        }
        if udps.is_empty() {
            udps = own(settings.door, workers.len(), || udp(bound, settings)).map_err(in_udp)?;
        }
        for socket in &udps {
            receive_buffer = receive_buffer.min(outfit(socket, bound, settings).map_err(in_udp)?);
        }
        let tcps = match tcps.is_empty() {
            true => own(settings.door, workers.len(), || tcp(bound)),
            false => tcps.into_iter().map(listener).collect(),
        };
        #[cfg(all(target_os = "linux", not(without_batch)))]
        // Its program counts the sockets of the port: it is to be made when there is one for each worker.
        if settings.door == Door::Batch && settings.udp.steer && udps.len() == workers.len() {
            udp::steer(&udps[0], &processors).map_err(in_udp)?;
        }
        let udps = given::deal(udps, workers.len(), Socket::try_clone).map_err(in_udp)?;
        let tcps = tcps.and_then(|tcps| given::deal(tcps, workers.len(), TcpListener::try_clone)).map_err(in_tcp)?;
        for (sockets, (udps, tcps)) in workers.iter_mut().zip(udps.into_iter().zip(tcps)) {
            sockets.udp.extend(udps);
            sockets.tcp.extend(tcps);
        }
        addresses.push(bound);
    }
    Ok(Bound {
        addresses,
        workers,
        limits: settings.limits.clone(),
        proxies: settings.proxy_protocol.clone(),
        #[cfg(all(target_os = "linux", not(without_batch)))]
        udp: settings.udp,
        door: settings.door,
        processors,
        receive_buffer,
        #[cfg(feature = "encrypted")]
        encrypted: encrypted::bind(settings, given)?,
    })
}

impl BindError {
    pub(super) fn new(address: SocketAddr, transport: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission(address),
            io::ErrorKind::AddrInUse => Self::InUse { address, transport },
            io::ErrorKind::AddrNotAvailable => Self::NotLocal(address),
            _ => Self::Other { address, source },
        }
    }
}

/// Makes sure that nobody has the port, and chooses one that is free by UDP and by TCP if it is 0.
///
/// Sockets that share a port would be let in beside those of another kofn, and each would get half of the queries. So one
/// socket that does not share is bound first.
fn free_for_both(address: SocketAddr) -> Result<SocketAddr, BindError> {
    let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let bound = alone(address, Type::DGRAM, Protocol::UDP)
            .and_then(|socket| Ok((socket.local_addr()?.as_socket().expect("an IP socket has an IP address"), socket)));
        let (bound, _udp) = bound.map_err(|source| BindError::new(address, "UDP", source))?;
        match alone(bound, Type::STREAM, Protocol::TCP).and_then(|socket| socket.listen(1)) {
            Ok(()) => return Ok(bound),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            Err(source) => return Err(BindError::new(address, "TCP", source)),
        }
    }
}

/// The same for a door that needs TCP alone.
#[cfg(feature = "encrypted")]
pub(super) fn free_for_tcp(address: SocketAddr) -> Result<SocketAddr, BindError> {
    let bound = alone(address, Type::STREAM, Protocol::TCP).and_then(|socket| {
        socket.listen(1)?;
        Ok(socket.local_addr()?.as_socket().expect("an IP socket has an IP address"))
    });
    bound.map_err(|source| BindError::new(address, "TCP", source))
}

/// The socket of a QUIC door, and where it is.
#[cfg(feature = "encrypted")]
pub(super) fn quic(address: SocketAddr) -> Result<(SocketAddr, std::net::UdpSocket), BindError> {
    let bound = alone(address, Type::DGRAM, Protocol::UDP).and_then(|socket| {
        socket.set_recv_buffer_size(SEND_BUFFER)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        Ok((socket.local_addr()?.as_socket().expect("an IP socket has an IP address"), socket.into()))
    });
    bound.map_err(|source| BindError::new(address, "UDP", source))
}

fn alone(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = unbound(address, kind, protocol)?;
    // Without this, connections of an earlier run that wait out their time would count as a use of the port.
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The processor of each worker, if they are to be pinned: those that the process may use, in turn.
fn processors(settings: &Settings, workers: usize) -> Vec<usize> {
    if settings.udp.pin { processor::available().into_iter().cycle().take(workers).collect() } else { Vec::new() }
}

/// Where a socket is.
fn place(socket: &Socket) -> io::Result<SocketAddr> {
    Ok(socket.local_addr()?.as_socket().expect("an IP socket has an IP address"))
}

fn udp(address: SocketAddr, settings: &Settings) -> io::Result<Socket> {
    let socket = unbound(address, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    outfit(&socket, address, settings)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Gives a socket the options that its door lives by, whoever has made it; says the size of its receive buffer.
#[cfg_attr(
    not(all(target_os = "linux", not(without_batch))),
    expect(unused_variables, reason = "only sockets of the batch door need to know where they are bound")
)]
fn outfit(socket: &Socket, address: SocketAddr, settings: &Settings) -> io::Result<usize> {
    match settings.door {
        #[cfg(all(target_os = "linux", not(without_batch)))]
        Door::Batch => udp::outfit(socket, address, settings),
        _ => share(socket, settings),
    }
}

/// The same for a socket that several may take from.
fn share(socket: &Socket, settings: &Settings) -> io::Result<usize> {
    // A system that grants less keeps what it has.
    let _ = socket.set_recv_buffer_size(settings.udp.receive_buffer);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    socket.set_nonblocking(true)?;
    let granted = socket.recv_buffer_size()?;
    // Linux takes twice what it is asked for, for what it keeps beside the data, and says so.
    Ok(if cfg!(target_os = "linux") { granted / 2 } else { granted })
}

/// A socket for each worker, or one for all: only Linux and some others spread what comes over several of one port.
fn own<S>(door: Door, workers: usize, socket: impl Fn() -> io::Result<S>) -> io::Result<Vec<S>> {
    let many = if door == Door::Batch { workers } else { 1 };
    (0..many).map(|_| socket()).collect()
}

pub(super) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = unbound(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    listener(socket)
}

/// Makes a bound socket take connections, or one that takes them already.
pub(super) fn listener(socket: Socket) -> io::Result<TcpListener> {
    // Connections inherit this from their listener. A reply is one write: there is nothing to wait for and join to it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

pub(super) fn unbound(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    // `::` is not to take the queries of `0.0.0.0` under addresses like ::ffff:192.0.2.1, which no limit would recognise.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// How often another free port is tried for when the one that UDP got is in use by TCP.
const PORT_ATTEMPTS: u32 = 16;
/// Octets of replies that wait for the interface: several batches of the largest.
pub(super) const SEND_BUFFER: usize = 1 << 20;
/// Connections that wait to be accepted; the system's own limit (somaxconn) may make it less.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn settings(listen: &str) -> Settings {
        Settings { listen: vec![listen.parse().expect("an address")], workers: 3, ..Settings::default() }
    }

    #[test]
    fn all_workers_share_the_port_that_was_given() {
        let bound = bind(&settings("127.0.0.1:0"), &mut Given::default()).expect("a free port");
        let [address] = bound.addresses() else { panic!("one address") };
        assert_ne!(address.port(), 0);
        assert_eq!(bound.workers.len(), 3);
        for sockets in &bound.workers {
            assert_eq!(sockets.udp[0].local_addr().expect("bound").as_socket(), Some(*address));
            assert_eq!(sockets.tcp[0].local_addr().expect("bound"), *address);
        }
    }

    #[test]
    fn a_port_in_use_is_told_with_its_transport() {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = udp.local_addr().expect("bound").to_string();
        let error = bind(&settings(&address), &mut Given::default()).expect_err("in use").to_string();
        assert!(error.starts_with(&format!("cannot listen on {address}: its UDP port is in use")), "{error}");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = tcp.local_addr().expect("bound").to_string();
        let error = bind(&settings(&address), &mut Given::default()).expect_err("in use").to_string();
        assert!(error.starts_with(&format!("cannot listen on {address}: its TCP port is in use")), "{error}");
    }

    #[test]
    fn two_servers_cannot_share_a_port_by_mistake() {
        let first = bind(&settings("127.0.0.1:0"), &mut Given::default()).expect("a free port");
        let error = bind(&settings(&first.addresses()[0].to_string()), &mut Given::default()).expect_err("in use");
        assert!(matches!(error, BindError::InUse { transport: "UDP", .. }));
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let error = bind(&settings("192.0.2.1:0"), &mut Given::default()).expect_err("not ours");
        assert!(matches!(error, BindError::NotLocal(_)), "{error}");
    }

    #[test]
    fn both_families_of_wildcards_share_a_port() {
        let first = bind(&settings("0.0.0.0:0"), &mut Given::default()).expect("a free port");
        let port = first.addresses()[0].port();
        // Another program may have this port for IPv6; then there is nothing to see here.
        if UdpSocket::bind(("::1", port)).is_ok() {
            bind(&settings(&format!("[::]:{port}")), &mut Given::default()).expect("a port of its own family");
        }
    }

    #[test]
    fn connections_inherit_that_replies_go_at_once() {
        let bound = bind(&settings("127.0.0.1:0"), &mut Given::default()).expect("a free port");
        let _client = std::net::TcpStream::connect(bound.addresses()[0]).expect("a connection");
        let accepted = bound.workers.iter().find_map(|sockets| sockets.tcp[0].accept().ok());
        assert!(accepted.expect("one of the workers has it").0.nodelay().expect("an option"));
    }

    #[test]
    fn the_receive_buffer_that_was_granted_is_told() {
        let mut small = settings("127.0.0.1:0");
        small.udp.receive_buffer = 65_536;
        let bound = bind(&small, &mut Given::default()).expect("a free port");
        assert_eq!(bound.receive_buffer(), 65_536, "every system grants this much");
        assert_eq!(bound.workers[2].udp[0].recv_buffer_size().expect("an option"), 2 * 65_536);
    }

    #[test]
    fn a_query_goes_to_the_worker_of_its_processor() {
        let mut steered = settings("127.0.0.1:0");
        let all = processor::available();
        (steered.workers, steered.udp.pin, steered.udp.steer) = (all.len(), true, true);
        let bound = bind(&steered, &mut Given::default()).expect("a kernel with SO_ATTACH_REUSEPORT_CBPF");
        assert_eq!(bound.processors, all);
        let address = bound.addresses()[0];
        for (worker, on) in all.into_iter().enumerate() {
            // By loopback a packet is taken from the network where it is sent.
            let send = move || {
                processor::stay_on(on).expect("one of ours");
                for _ in 0..20 {
                    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
                    client.send_to(b"query", address).expect("sent");
                }
            };
            std::thread::spawn(send).join().expect("sent");
            let socket = &bound.workers[worker].udp[0];
            socket.set_nonblocking(true).expect("an option");
            let mut buffer = [std::mem::MaybeUninit::uninit(); 16];
            let came = std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count();
            assert_eq!(came, 20, "to worker {worker}");
        }
    }
}
