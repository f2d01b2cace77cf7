//! The encrypted doors: DNS over TLS (RFC 7858), over HTTPS (RFC 8484) and over QUIC (RFC 9250).
//!
//! ```text
//! accept ─► Limit (in all, per network) ─► Handshake (count, time) ─┬► frames ─► Connection, as TCP has it
//!                                                                   ├► HTTP/2 ─► https: a task for each request
//! QUIC ───► Limit ─► handshake (count, time, address proven) ───────┴► streams ─► quic: a task for each stream
//! ```
//!
//! * They have threads of their own, which give way to those of UDP and TCP: where one core is all there is and UDP could fill it,
//!   each is promised about a tenth, so that whoever floods them with handshakes takes no more.
//! * A handshake holds up no other: each is a task, their number is bounded, and so is the time of each.

mod freshness;
mod handshake;
mod https;
mod quic;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::bind::{BindError, free_for_tcp, listener, quic as quic_socket, tcp};
use super::defer::Clerk;
use super::desk::Desk;
use super::engine::Parts;
use super::given::{self, Given};
use super::limit::Limit;
use super::proxy::Trusted;
use super::service::Service;
use super::stream::Stream;
use super::tcp::{self as streams, Doors};
use super::watch::Ends;
use crate::config::{Encrypted as Config, Settings};
use crate::metrics::Transport;
use crate::processor;
use crate::tls::Certificates;

pub(super) use handshake::Handshake;
use https::Conversation;

/// The sockets of the encrypted doors, bound and not yet served.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) addresses: Vec<(Transport, SocketAddr)>,
    /// For each worker the listeners of DNS over TLS.
    tls: Vec<Vec<TcpListener>>,
    /// For each worker the listeners of DNS over HTTPS.
    https: Vec<Vec<TcpListener>>,
    quic: Vec<UdpSocket>,
    pub(super) certificates: Arc<Certificates>,
    config: Config,
}

/// A thread of the encrypted doors: its name, whether its connections may outlive its listeners, and its work.
pub(super) type Thread = (String, bool, Box<dyn FnOnce(&Arc<Clerk>, &watch::Receiver<()>) + Send>);

/// HTTPS as its connections have it.
#[derive(Clone)]
pub(super) struct Https {
    handshake: Handshake,
    path: Arc<str>,
}

impl Https {
    /// Serves one connection to its end.
    pub(super) async fn serve(
        self,
        stream: Stream,
        ends: Ends,
        inside: Option<Arc<Limit>>,
        desk: Rc<RefCell<Desk>>,
        idle: Duration,
    ) {
        if let Some((stream, ends, _place)) = self.handshake.accept(stream, ends, inside, &desk).await {
            let last_query = Rc::new(Cell::new(Instant::now()));
            Conversation { ends, desk, path: self.path, idle, last_query }.serve(stream).await;
        }
    }
}

/// Binds the sockets of every encrypted door.
pub(super) fn bind(settings: &Settings, given: &mut Given) -> Result<Bound, BindError> {
    let config = settings.encrypted.clone();
    let mut addresses = Vec::new();
    let mut doors = |transport, own| listeners(transport, own, settings.workers, given, &mut addresses);
    let tls = doors(Transport::Tls, &config.tls)?;
    let https = doors(Transport::Https, &config.https)?;
    let mut quic = Vec::new();
    for address in &config.quic {
        let (bound, socket) = match given.take(Transport::Quic, *address).into_iter().next() {
            Some(socket) => adopted(socket).map_err(|source| BindError::new(*address, "UDP", source))?,
            None => quic_socket(*address)?,
        };
        addresses.push((Transport::Quic, bound));
        quic.push(socket);
    }
    Ok(Bound { addresses, tls, https, quic, certificates: Arc::default(), config })
}

/// For each worker a listener on each of `wanted`; where they are goes to `addresses`.
fn listeners(
    transport: Transport,
    wanted: &[SocketAddr],
    workers: usize,
    given: &mut Given,
    addresses: &mut Vec<(Transport, SocketAddr)>,
) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let workers = workers.max(1);
    let mut listeners: Vec<_> = (0..workers).map(|_| Vec::new()).collect();
    for address in wanted {
        let failed = |source| BindError::new(*address, "TCP", source);
        let sockets = given.take(transport, *address);
        let sockets: Vec<TcpListener> = if sockets.is_empty() {
            let bound = free_for_tcp(*address)?;
            (0..workers).map(|_| tcp(bound)).collect::<io::Result<_>>().map_err(failed)?
        } else {
            sockets.into_iter().map(listener).collect::<io::Result<_>>().map_err(failed)?
        };
        addresses.push((transport, sockets[0].local_addr().map_err(failed)?));
        let dealt = given::deal(sockets, workers, TcpListener::try_clone).map_err(failed)?;
        listeners.iter_mut().zip(dealt).for_each(|(own, dealt)| own.extend(dealt));
    }
    Ok(listeners)
}

fn adopted(socket: socket2::Socket) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = UdpSocket::from(socket);
    Ok((socket.local_addr()?, socket))
}

impl Bound {
    /// Adds a copy of every socket.
    pub(super) fn copy_to(&self, copies: &mut Vec<(Transport, OwnedFd)>) -> io::Result<()> {
        for (transport, listeners) in [(Transport::Tls, &self.tls), (Transport::Https, &self.https)] {
            for listener in listeners.iter().flatten() {
                copies.push((transport, listener.try_clone()?.into()));
            }
        }
        for socket in &self.quic {
            copies.push((Transport::Quic, socket.try_clone()?.into()));
        }
        Ok(())
    }

    /// The threads to start; none if there is no door. QUIC begins when `ours` says so: its packets belong to connections, and
    /// while another process has some, each would spoil those of the other.
    pub(super) fn threads(
        self,
        parts: Parts<'_>,
        proxies: &Trusted,
        ours: &watch::Receiver<bool>,
    ) -> io::Result<Vec<Thread>> {
        let mut threads: Vec<Thread> = Vec::new();
        let Self { tls, https, quic, certificates, config, .. } = self;
        if !config.is_open() {
            return Ok(threads);
        }
        let handshake = |protocol| Handshake::new(certificates.server_config(protocol), &config);
        let path = Arc::from(config.https_path.as_str());
        let services = [
            (Transport::Tls, tls, Service::Tls(handshake(b"dot"))),
            (Transport::Https, https, Service::Https(Https { handshake: handshake(b"h2"), path })),
        ];
        for (transport, listeners, service) in services {
            let limit = Arc::new(Limit::new(config.connections, config.per_prefix));
            for (index, listeners) in listeners.into_iter().enumerate().filter(|(_, own)| !own.is_empty()) {
                let (service, limit, idle) = (service.clone(), Arc::clone(&limit), config.idle);
                let proxies = proxies.clone();
                let doors = Doors { listeners, engine: parts.engine(transport), service, limit, idle, proxies };
                let worker = streams::Worker::new(vec![doors])?;
                let name = format!("{}-{index}", transport.label());
                threads.push(polite(name, true, move |clerk, stop| worker.run(clerk, stop)));
            }
        }
        if !quic.is_empty() {
            let worker =
                quic::Worker::new(quic, certificates.server_config(b"doq"), parts.engine(Transport::Quic), &config)?;
            let ours = ours.clone();
            threads.push(polite("quic".into(), false, move |clerk, stop| worker.run(clerk, stop, ours)));
        }
        Ok(threads)
    }
}

/// A handshake is dear, and whoever wants may begin thousands: plain queries are not to wait for them.
fn polite(
    name: String,
    lingers: bool,
    work: impl FnOnce(&Arc<Clerk>, &watch::Receiver<()>) + Send + 'static,
) -> Thread {
    let work = move |clerk: &Arc<Clerk>, stop: &watch::Receiver<()>| {
        processor::give_way();
        work(clerk, stop);
    };
    (name, lingers, Box::new(work))
}
