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
use crate::server::stream::Stream;

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

    /// The encrypted stream; `None`, and counted, when there is no place, or the client is too slow or fails.
    pub(in crate::server) async fn accept(&self, stream: Stream, desk: &RefCell<Desk>) -> Option<TlsStream<Stream>> {
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
