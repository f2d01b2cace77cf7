//! The encrypted doors: DNS over TLS (RFC 7858).
//!
//! ```text
//! accept ─► Limit (in all, per network) ─► Handshake (count, time) ─► frames ─► Connection, as TCP has it
//! ```
//!
//! * They have threads of their own, so that whoever floods them with handshakes takes the cores' time from UDP only by the
//!   share that the kernel gives each thread.
//! * A handshake holds up no other: each is a task, their number is bounded, and so is the time of each.

mod handshake;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::bind::{BindError, free_for_tcp, tcp};
use super::engine::Engine;
use super::limit::Limit;
use super::service::Service;
use super::tcp::{Doors, Worker};
use crate::config::{Encrypted as Config, Settings};
use crate::metrics::{Registry, Transport};
use crate::snapshot::Reader;
use crate::tls::Certificates;

pub(super) use handshake::Handshake;

/// The sockets of the encrypted doors, bound and not yet served.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) addresses: Vec<(Transport, SocketAddr)>,
    /// For each worker the listeners of DNS over TLS.
    tls: Vec<Vec<TcpListener>>,
    pub(super) certificates: Arc<Certificates>,
    config: Config,
}

/// Binds the sockets of every encrypted door.
pub(super) fn bind(settings: &Settings) -> Result<Bound, BindError> {
    let config = settings.encrypted.clone();
    let mut addresses = Vec::new();
    let tls = listeners(&config.tls, settings.workers, |bound| addresses.push((Transport::Tls, bound)))?;
    Ok(Bound { addresses, tls, certificates: Arc::default(), config })
}

/// For each worker a listener on each of `addresses`.
fn listeners(
    addresses: &[SocketAddr],
    workers: usize,
    mut told: impl FnMut(SocketAddr),
) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut listeners: Vec<_> = (0..workers.max(1)).map(|_| Vec::new()).collect();
    for address in addresses {
        let bound = free_for_tcp(*address)?;
        for own in &mut listeners {
            own.push(tcp(bound).map_err(|source| BindError::new(*address, "TCP", source))?);
        }
        told(bound);
    }
    Ok(listeners)
}

impl Bound {
    /// The workers to run, each with the name of its thread; none if there is no door.
    pub(super) fn workers(self, reader: &Reader, registry: &Registry) -> io::Result<Vec<(String, Worker)>> {
        let mut workers = Vec::new();
        if !self.config.is_open() {
            return Ok(workers);
        }
        let limit = || Arc::new(Limit::new(self.config.connections, self.config.per_prefix));
        let handshake = |protocol| Handshake::new(self.certificates.server_config(protocol), &self.config);
        let (tls_limit, tls) = (limit(), Service::Tls(handshake(b"dot")));
        for (index, listeners) in self.tls.into_iter().enumerate() {
            let engine = Engine::new(reader, registry.register(), Transport::Tls);
            let (service, limit, idle) = (tls.clone(), Arc::clone(&tls_limit), self.config.idle);
            let doors = vec![Doors { listeners, engine, service, limit, idle }];
            workers.push((format!("tls-{index}"), Worker::new(doors)?));
        }
        Ok(workers)
    }
}
