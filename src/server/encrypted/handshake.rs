//! TLS handshakes: so many at once and no longer than so long.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use rustls::{HandshakeKind, ServerConfig};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Encrypted as Config;
use crate::metrics::ConnectionEvent;
use crate::server::desk::Desk;
use crate::server::limit::{Limit, Place};
use crate::server::proxy;
use crate::server::stream::Stream;
use crate::server::watch::Ends;

/// Makes plain streams of one door encrypted ones. Clones share the bound.
#[derive(Clone)]
pub(in crate::server) struct Handshake {
    acceptor: TlsAcceptor,
    places: Arc<Semaphore>,
    time: Duration,
}

impl Handshake {
    pub(super) fn new(tls: Arc<ServerConfig>, config: &Config) -> Self {
        let places = Arc::new(Semaphore::new(config.handshakes));
        Self { acceptor: TlsAcceptor::from(tls), places, time: config.handshake_time }
    }

    /// The encrypted stream and its ends; `None`, and counted, when there is no place, or the client is too slow or fails. With
    /// `inside` the client is who a proxy names inside of the stream, and is admitted by this limit.
    pub(in crate::server) async fn accept(
        &self,
        stream: Stream,
        ends: Ends,
        inside: Option<Arc<Limit>>,
        desk: &RefCell<Desk>,
    ) -> Option<(TlsStream<Stream>, Ends, Option<Place>)> {
        let mut stream = self.shake(stream, desk).await?;
        let Some(limit) = inside else { return Some((stream, ends, None)) };
        let Ok(client) = proxy::take_inside(&mut stream, ends.client).await else {
            desk.borrow().event(ConnectionEvent::ProxyMalformed);
            return None;
        };
        let Some(place) = limit.admit(client.ip()) else {
            desk.borrow().event(ConnectionEvent::Refused);
            return None;
        };
        Some((stream, Ends { client, ..ends }, Some(place)))
    }

    async fn shake(&self, stream: Stream, desk: &RefCell<Desk>) -> Option<TlsStream<Stream>> {
        let Ok(_place) = self.places.try_acquire() else {
            desk.borrow().event(ConnectionEvent::HandshakeRefused);
            return None;
        };
        let shaken = timeout(self.time, self.acceptor.accept(stream)).await.ok().and_then(Result::ok);
        let kind = shaken.as_ref().map(|stream| stream.get_ref().1.handshake_kind());
        let desk = desk.borrow();
        desk.event(if kind.is_some() { ConnectionEvent::HandshakeDone } else { ConnectionEvent::HandshakeFailed });
        if kind == Some(Some(HandshakeKind::Resumed)) {
            desk.event(ConnectionEvent::Resumed);
        }
        shaken
    }
}
