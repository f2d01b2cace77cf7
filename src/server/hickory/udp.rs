//! One worker's UDP sockets: a task each, one datagram at a time.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::net::udp::UdpStream;
use hickory_server::net::xfer::{BufDnsStreamHandle, DnsStreamHandle, Protocol};
use hickory_server::proto::op::SerialMessage;
use socket2::Socket;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinSet, unconstrained, yield_now};
use tokio::time::sleep;

use super::{Adapter, Said};
use crate::metrics::Event;
use crate::server::late::{Back, Datagram, Queue};
use crate::server::proxy::Trusted;
use crate::server::watch::Ends;

/// Receives that may fail one behind the other before the next has to wait: an ICMP message is told by one of them.
const FAILURES: u32 = 16;
/// How long it then waits.
const PAUSE: Duration = Duration::from_millis(50);
/// Datagrams answered after the end: a flood is not to keep us for ever.
const LAST: usize = 4096;

/// One thread's sockets.
pub(in crate::server) struct Worker {
    runtime: Runtime,
    doors: Vec<Door>,
}

/// One socket.
struct Door {
    stream: UdpStream<TokioRuntimeProvider>,
    replies: BufDnsStreamHandle,
    /// The same socket, for what is answered beside the stream.
    socket: Arc<UdpSocket>,
    /// Where it is bound.
    address: SocketAddr,
    adapter: Arc<Adapter>,
    queue: Queue,
    proxies: Trusted,
}

impl Worker {
    pub(in crate::server) fn new(
        sockets: Vec<Socket>,
        adapter: Adapter,
        queue: &Queue,
        proxies: &Trusted,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let adapter = Arc::new(adapter);
        let guard = runtime.enter();
        let doors: io::Result<_> =
            sockets.into_iter().map(|socket| Door::new(socket, &adapter, queue, proxies)).collect();
        drop(guard);
        Ok(Self { doors: doors?, runtime })
    }

    /// Answers until the other end of `stop` is dropped, and then what has arrived by then.
    pub(in crate::server) fn run(self, stop: &watch::Receiver<()>) {
        let Self { runtime, doors } = self;
        runtime.block_on(async {
            let doors: JoinSet<()> = doors.into_iter().map(|door| door.serve(stop.clone())).collect();
            doors.join_all().await;
        });
    }
}

impl Door {
    fn new(socket: Socket, adapter: &Arc<Adapter>, queue: &Queue, proxies: &Trusted) -> io::Result<Self> {
        let socket: UdpSocket = socket.into();
        let stream = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        // The address is for replies that name none, and all of ours do.
        let address = socket.local_addr()?;
        let (stream, replies) = UdpStream::with_bound(stream, address);
        let (socket, adapter) = (Arc::new(socket), Arc::clone(adapter));
        Ok(Self { stream, replies, socket, address, adapter, queue: queue.clone(), proxies: proxies.clone() })
    }

    async fn serve(mut self, mut stop: watch::Receiver<()>) {
        let mut failures = 0;
        loop {
            let message = tokio::select! {
                _ = stop.changed() => break,
                message = self.stream.next() => message,
            };
            match message {
                Some(Ok(message)) => {
                    failures = 0;
                    self.answer(message).await;
                }
                Some(Err(_)) => {
                    failures += 1;
                    if failures >= FAILURES {
                        sleep(PAUSE).await;
                    }
                }
                None => break,
            }
        }
        // A socket is ready only once the runtime has looked, and the end may have come before its first look.
        yield_now().await;
        for _ in 0..LAST {
            // The stream sends what it has before it receives.
            match unconstrained(self.stream.next()).now_or_never() {
                Some(Some(Ok(message))) => self.answer(message).await,
                _ => break,
            }
        }
    }

    async fn answer(&mut self, message: SerialMessage) {
        let (octets, peer) = message.into_parts();
        let Ok((query, client)) = self.proxies.open(&octets, &peer) else {
            self.adapter.desk().engine.moment().drop_proxied();
            return;
        };
        let ends = Ends { client: client.unwrap_or(peer), local: self.address };
        match self.adapter.exchange(query, ends, Protocol::Udp).await {
            Said::Reply(reply) => {
                // Port 0 cannot be sent to; a forged sender may say so. The queue takes more than the one reply that waits.
                let is_sent = peer.port() != 0
                    && self.replies.with_remote_addr(peer).send(SerialMessage::new(reply, peer)).is_ok();
                if !is_sent {
                    self.adapter.desk().engine.event(Event::SendFailed, 1);
                }
            }
            Said::Silence => {}
            Said::Deferred => {
                if self.queue.try_send(Datagram { octets: query.to_vec(), ends, back: self.back(peer) }).is_err() {
                    self.adapter.desk().engine.moment().drop_deferred();
                }
            }
        }
    }

    fn back(&self, peer: SocketAddr) -> Back {
        let socket = Arc::clone(&self.socket);
        Box::new(move |reply| socket.send_to(reply, peer).map(drop))
    }
}
