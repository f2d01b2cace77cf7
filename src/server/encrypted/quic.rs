//! DNS over QUIC (RFC 9250): a stream for each query, and a task for each stream.
//!
//! One endpoint serves an address: connections may change the client's port, so the kernel must not spread their packets.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream,
};
use quinn::{ServerConfig, TokioRuntime, TransportConfig, VarInt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::Encrypted as Config;
use crate::metrics::ConnectionEvent;
use crate::server::defer::{Clerk, seconds};
use crate::server::desk::{self, Desk, FRAME};
use crate::server::engine::Engine;
use crate::server::limit::{Limit, Place};
use crate::server::reply::Reply;
use crate::server::watch::Ends;
use crate::transfer::send::Remainder;

/// Queries under way at once on one connection.
const STREAMS: u32 = 64;
/// Octets that a client may send ahead on one stream, and on all of a connection.
const STREAM_WINDOW: u32 = FRAME as u32;
const WINDOW: u32 = 4 * STREAM_WINDOW;
/// Octets of replies that a connection holds for its client.
const SEND_WINDOW: u64 = 4 * FRAME as u64;
/// Handshakes under way from which on who begins another must first show that its address is its own (RFC 9000 section 8.1.2).
const UNPROVEN: usize = 16;
/// How long clients may take for their last replies when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long queries that are being answered may take then, and clients that have just come for their first one.
const STREAMS_PATIENCE: Duration = Duration::from_secs(1);
/// Error codes of RFC 9250 section 4.3.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// The thread of the QUIC doors.
pub(super) struct Worker {
    runtime: Runtime,
    sockets: Vec<UdpSocket>,
    tls: Arc<rustls::ServerConfig>,
    engine: Engine,
    config: Config,
}

/// What the connections of an endpoint share.
#[derive(Clone)]
struct Door {
    desk: Rc<RefCell<Desk>>,
    limit: Arc<Limit>,
    handshakes: Arc<Semaphore>,
    config: Rc<Config>,
    /// How many queries are being answered, and how many connections have none yet.
    under_way: Rc<watch::Sender<usize>>,
}

/// A query that is being answered, or is about to come on a new connection. It counts until it is dropped.
struct UnderWay(Rc<watch::Sender<usize>>);

impl Worker {
    pub(super) fn new(
        sockets: Vec<UdpSocket>,
        tls: Arc<rustls::ServerConfig>,
        engine: Engine,
        config: &Config,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, sockets, tls, engine, config: config.clone() })
    }

    /// Answers, from when it is `ours` to do so, until `stop` says anything.
    pub(super) fn run(self, clerk: &Arc<Clerk>, stop: &watch::Receiver<()>, mut ours: watch::Receiver<bool>) {
        let door = Door {
            desk: Rc::new(RefCell::new(Desk::new(self.engine, Arc::clone(clerk)))),
            limit: Arc::new(Limit::new(self.config.connections, self.config.per_prefix)),
            handshakes: Arc::new(Semaphore::new(self.config.handshakes)),
            config: Rc::new(self.config),
            under_way: Rc::default(),
        };
        let server = server_config(self.tls, &door.config);
        let mut stop = stop.clone();
        let tasks = LocalSet::new();
        self.runtime.block_on(tasks.run_until(async {
            tokio::task::spawn_local(desk::follow(Rc::clone(&door.desk)));
            tokio::select! {
                _ = ours.wait_for(|ours| *ours) => {}
                _ = stop.changed() => return,
            }
            let mut endpoints = Vec::new();
            for socket in self.sockets {
                let mut config = EndpointConfig::default();
                config.cid_generator(|| Box::new(RandomIds));
                match Endpoint::new(config, Some(server.clone()), socket, Arc::new(TokioRuntime)) {
                    Ok(endpoint) => endpoints.push(endpoint),
                    Err(error) => tracing::error!("QUIC is not answered: {error}"),
                }
            }
            for endpoint in endpoints.clone() {
                tokio::task::spawn_local(door.clone().accept(endpoint));
            }
            // The error is that the other end was dropped.
            let _ = stop.changed().await;
            // Who begins now is not heard, and begins again with the next process; who has begun may ask.
            endpoints.iter().for_each(|endpoint| endpoint.set_server_config(None));
            tokio::task::yield_now().await;
            // What was asked is answered before its connection ends.
            let _ = timeout(STREAMS_PATIENCE, door.under_way.subscribe().wait_for(|streams| *streams == 0)).await;
            for endpoint in &endpoints {
                endpoint.close(NO_ERROR, b"");
                let _ = timeout(STOP_PATIENCE, endpoint.wait_idle()).await;
            }
        }));
    }
}

/// Connection IDs of 64 random bits.
///
/// Quinn's own have 24, and each connection holds several. The one in a Retry is not compared with those that are held, so that
/// with thousands of connections now and then a client was sent on to the connection of another, which never answered it.
struct RandomIds;

impl RandomIds {
    const OCTETS: usize = 8;
}

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; Self::OCTETS]>())
    }

    fn cid_len(&self) -> usize {
        Self::OCTETS
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn server_config(tls: Arc<rustls::ServerConfig>, config: &Config) -> ServerConfig {
    let crypto = QuicServerConfig::try_from(tls).expect("TLS 1.3 with the suite of QUIC's first packets");
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(STREAMS.into()).max_concurrent_uni_streams(0_u8.into());
    transport.stream_receive_window(STREAM_WINDOW.into()).receive_window(WINDOW.into()).send_window(SEND_WINDOW);
    transport.datagram_receive_buffer_size(None);
    transport.max_idle_timeout(Some(config.idle.try_into().expect("an hour at most")));
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(Arc::new(transport));
    server.max_incoming(config.handshakes);
    server
}

impl Door {
    async fn accept(self, endpoint: Endpoint) {
        // An endpoint without an address takes nobody in.
        let Ok(bound) = endpoint.local_addr() else { return };
        while let Some(incoming) = endpoint.accept().await {
            let under_way = self.config.handshakes - self.handshakes.available_permits();
            if under_way >= UNPROVEN && incoming.may_retry() && !incoming.remote_address_validated() {
                let _ = incoming.retry();
                continue;
            }
            let Ok(handshake) = Arc::clone(&self.handshakes).try_acquire_owned() else {
                self.desk.borrow().event(ConnectionEvent::HandshakeRefused);
                incoming.refuse();
                continue;
            };
            let Some(place) = self.limit.admit(incoming.remote_address().ip()) else {
                self.desk.borrow().event(ConnectionEvent::Refused);
                incoming.refuse();
                continue;
            };
            self.desk.borrow().event(ConnectionEvent::Accepted);
            let first = self.begin();
            tokio::task::spawn_local(self.clone().open(incoming, bound, (handshake, place), first));
        }
    }

    fn begin(&self) -> UnderWay {
        self.under_way.send_modify(|queries| *queries += 1);
        UnderWay(Rc::clone(&self.under_way))
    }

    async fn open(
        self,
        incoming: Incoming,
        bound: SocketAddr,
        (handshake, place): (OwnedSemaphorePermit, Place),
        first: UnderWay,
    ) {
        let shaken = timeout(self.config.handshake_time, async { incoming.accept()?.await }).await;
        drop(handshake);
        match shaken {
            Ok(Ok(connection)) => {
                self.desk.borrow().event(ConnectionEvent::HandshakeDone);
                self.converse(connection, bound, first).await;
            }
            _ => self.desk.borrow().event(ConnectionEvent::HandshakeFailed),
        }
        self.desk.borrow().event(ConnectionEvent::Closed);
        drop(place);
    }

    /// Answers stream by stream, until the client ends the connection or asks nothing for too long.
    async fn converse(&self, connection: Connection, bound: SocketAddr, first: UnderWay) {
        let (last_query, mut first) = (Rc::new(Cell::new(Instant::now())), Some(first));
        loop {
            let end = last_query.get() + self.config.idle;
            match timeout_at(end, connection.accept_bi()).await {
                Ok(Ok((send, receive))) => {
                    let exchange = Exchange {
                        connection: connection.clone(),
                        bound,
                        desk: Rc::clone(&self.desk),
                        last_query: Rc::clone(&last_query),
                        idle: self.config.idle,
                    };
                    let under_way = first.take().unwrap_or_else(|| self.begin());
                    tokio::task::spawn_local(async move {
                        exchange.serve(send, receive).await;
                        drop(under_way);
                    });
                }
                Ok(Err(_)) => return,
                // A query may have become whole meanwhile.
                Err(_) if last_query.get() + self.config.idle > Instant::now() => {}
                Err(_) => break,
            }
        }
        self.desk.borrow().event(ConnectionEvent::Idle);
        connection.close(NO_ERROR, b"");
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|queries| *queries -= 1);
    }
}

/// One query and what answers it.
struct Exchange {
    connection: Connection,
    /// Where the endpoint is bound.
    bound: SocketAddr,
    desk: Rc<RefCell<Desk>>,
    last_query: Rc<Cell<Instant>>,
    idle: Duration,
}

impl Exchange {
    async fn serve(self, mut send: SendStream, mut receive: RecvStream) {
        let message = match timeout(self.idle, read_message(&mut receive)).await {
            Ok(Ok(message)) => message,
            Ok(Err(Broken)) => return self.connection.close(PROTOCOL_ERROR, b""),
            Err(_) => {
                let _ = send.reset(EXCESSIVE_LOAD);
                return;
            }
        };
        self.last_query.set(Instant::now());
        // Section 4.2.1: the stream stands for the ID, which is 0.
        if !message.starts_with(&[0, 0]) {
            return self.connection.close(PROTOCOL_ERROR, b"");
        }
        let ends = Ends { client: self.connection.remote_address(), local: self.local() };
        let reply = self.desk.borrow_mut().reply(&message, ends);
        let sent = match reply {
            Reply::One(reply) => timeout(self.idle, write_message(&mut send, &reply)).await.is_ok_and(|sent| sent),
            Reply::Transfer(mut sending, _place) => {
                let (mut message, mut remainder, mut sent) = (Vec::new(), Remainder::More, true);
                while sent && remainder == Remainder::More {
                    sent = match sending.next(&mut message, seconds()) {
                        Ok(left) => {
                            remainder = left;
                            timeout(self.idle, write_message(&mut send, &message)).await.is_ok_and(|sent| sent)
                        }
                        Err(_) => false,
                    };
                }
                sent
            }
            Reply::Silence => false,
        };
        if sent {
            let _ = send.finish();
            // What the client has not acknowledged would be lost with the connection.
            let _ = timeout(self.idle, send.stopped()).await;
        } else {
            let _ = send.reset(NO_ERROR);
        }
    }

    /// The address of ours that was asked: where the endpoint is bound to all, the system says which it was.
    fn local(&self) -> SocketAddr {
        let asked = self.connection.local_ip().unwrap_or(self.bound.ip());
        SocketAddr::new(asked, self.bound.port())
    }
}

/// What came is no message, or not whole.
struct Broken;

/// A length and as many octets (section 4.2). They are held as they come: a length alone takes no memory.
async fn read_message(receive: &mut RecvStream) -> Result<Vec<u8>, Broken> {
    let mut frame = Vec::new();
    loop {
        let whole = match frame.split_first_chunk() {
            Some((length, message)) => usize::from(u16::from_be_bytes(*length)).checked_sub(message.len()),
            None => Some(FRAME),
        };
        match whole {
            Some(0) => return Ok(frame.split_off(2)),
            // More than one message.
            None => return Err(Broken),
            Some(_) => {}
        }
        let chunk = receive.read_chunk(FRAME, true).await.map_err(|_| Broken)?.ok_or(Broken)?;
        frame.extend_from_slice(&chunk.bytes);
    }
}

async fn write_message(send: &mut SendStream, message: &[u8]) -> bool {
    let length = (message.len() as u16).to_be_bytes();
    send.write_all(&[&length[..], message].concat()).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_connections_get_one_id() {
        let ids: HashSet<ConnectionId> = (0..100_000).map(|_| RandomIds.generate_cid()).collect();
        assert_eq!(ids.len(), 100_000, "of 24 bits some 300 would be twice there");
        assert!(ids.iter().all(|id| id.len() == RandomIds.cid_len()));
    }
}
