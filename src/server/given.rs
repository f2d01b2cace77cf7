//! Sockets that this process was given, by the process before it or by a service manager, instead of binding them itself.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use socket2::{Socket, Type};

use crate::metrics::Transport;

/// Sockets that wait to be claimed for an address of the settings.
#[derive(Debug, Default)]
pub struct Given(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// What it is for, if that was said; else its type tells what it may be for.
    transport: Option<Transport>,
    address: SocketAddr,
    socket: Socket,
}

impl Given {
    /// One more; a descriptor that is no bound socket of the Internet is given back.
    ///
    /// # Errors
    /// With the descriptor.
    pub fn push(&mut self, transport: Option<Transport>, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        let socket = Socket::from(descriptor);
        match socket.local_addr().ok().and_then(|address| address.as_socket()) {
            Some(address) => self.0.push(Entry { transport, address, socket }),
            None => return Err(socket.into()),
        }
        Ok(())
    }

    /// A TCP listener at `address`, for what is no DNS.
    pub fn listener(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.0.iter().position(|entry| entry.transport.is_none() && entry.is_for(Transport::Tcp, address))?;
        Some(self.0.remove(at).socket.into())
    }

    /// Those for `address`, in their order, and where that is: port 0 stands for the port of the first that was once bound so.
    pub(super) fn take(&mut self, transport: Transport, address: SocketAddr) -> Vec<Socket> {
        let fits = |entry: &Entry, address| entry.is_for(transport, address);
        let Some(first) = self.0.iter().find(|entry| fits(entry, address)) else { return Vec::new() };
        let address = first.address;
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|entry| fits(entry, address));
        self.0 = left;
        let taken: Vec<Entry> = taken;
        taken.into_iter().map(|entry| entry.socket).collect()
    }

    /// Where the sockets are that nobody has claimed; they are closed.
    pub fn unclaimed(self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.0.into_iter().map(|entry| entry.address).collect();
        addresses.dedup();
        addresses
    }
}

impl Entry {
    fn is_for(&self, transport: Transport, address: SocketAddr) -> bool {
        let kind = match transport {
            Transport::Udp | Transport::Quic => Type::DGRAM,
            Transport::Tcp | Transport::Tls | Transport::Https => Type::STREAM,
        };
        let same = match address.port() {
            // Whoever takes any port has to be told which of the sockets were for that.
            0 => self.transport.is_some() && self.address.ip() == address.ip(),
            _ => self.address == address,
        };
        same && self.transport.is_none_or(|own| own == transport) && self.socket.r#type().is_ok_and(|own| own == kind)
    }
}

/// Deals sockets out to so many workers: each has its own, or several of them, or one that it shares. None may be closed: what
/// waits at it would be lost.
pub(super) fn deal<S>(sockets: Vec<S>, workers: usize, share: impl Fn(&S) -> io::Result<S>) -> io::Result<Vec<Vec<S>>> {
    let mut dealt: Vec<Vec<S>> = (0..workers).map(|_| Vec::new()).collect();
    for worker in sockets.len()..workers {
        dealt[worker].push(share(&sockets[worker % sockets.len()])?);
    }
    for (index, socket) in sockets.into_iter().enumerate() {
        dealt[index % workers].push(socket);
    }
    Ok(dealt)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn udp() -> (SocketAddr, OwnedFd) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        (socket.local_addr().expect("bound"), socket.into())
    }

    #[test]
    fn sockets_are_claimed_by_address_and_kind() {
        let mut given = Given::default();
        let (other, other_fd) = udp();
        // A port that is free by UDP need not be by TCP.
        let both = || {
            let (address, descriptor) = udp();
            Some((address, descriptor, TcpListener::bind(address).ok()?))
        };
        let (one, one_fd, listener) = (0..100).find_map(|_| both()).expect("a port that is free by both");
        given.push(Some(Transport::Udp), one_fd.try_clone().expect("a copy")).expect("a socket");
        given.push(Some(Transport::Udp), one_fd).expect("a socket");
        given.push(Some(Transport::Quic), other_fd).expect("a socket");
        given.push(None, listener.into()).expect("a socket");
        assert!(given.push(None, std::fs::File::open("/dev/null").expect("a file").into()).is_err());
        let any = SocketAddr::new(one.ip(), 0);
        assert!(given.take(Transport::Udp, other).is_empty(), "that is for QUIC");
        assert_eq!(given.take(Transport::Udp, any).len(), 2, "both of the first port");
        assert!(given.take(Transport::Tcp, any).is_empty(), "nobody said that any port was asked for");
        assert_eq!(given.take(Transport::Tcp, one).len(), 1);
        assert_eq!(given.unclaimed(), [other]);
    }

    #[test]
    fn none_is_closed_and_no_worker_has_none() {
        let dealt = |sockets: usize, workers| {
            let named: Vec<usize> = (0..sockets).collect();
            deal(named, workers, |name| Ok(*name)).expect("shared")
        };
        assert_eq!(dealt(2, 2), [[0], [1]]);
        assert_eq!(dealt(5, 2), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(dealt(2, 5), [[0], [1], [0], [1], [0]]);
    }
}
