//! One connection that our own listener has accepted, message by message.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use hickory_server::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_server::net::tcp::TcpStream;
use hickory_server::net::xfer::{BufDnsStreamHandle, DnsStreamHandle, Protocol};
use hickory_server::proto::op::SerialMessage;
use tokio::time::timeout;

use super::pace::{Pace, Paced};
use super::{Adapter, Said};
use crate::metrics::ConnectionEvent;
use crate::server::defer::seconds;
use crate::server::desk::FRAME;
use crate::server::reply::Reply;
use crate::server::stream::Stream;
use crate::server::watch::Ends;
use crate::transfer::send::Remainder;
use crate::wire::HEADER;

/// Messages of a transfer that wait for the client: the next is made when it has taken one.
const AHEAD: usize = 1;
/// Octets of queries that a client may send while it has yet to take its replies; the stream is read when it is written.
const WAITING: usize = FRAME;

/// One connection.
struct Connection<'a> {
    stream: TcpStream<AsyncIoTokioAsStd<Paced>>,
    pace: Arc<Pace>,
    replies: BufDnsStreamHandle,
    ends: Ends,
    adapter: &'a Adapter,
    idle: Duration,
    waiting: VecDeque<Vec<u8>>,
    /// Octets of all that waits.
    held: usize,
}

/// The client will send no more, or has gone.
struct Ended;

/// Answers until the client closes its side, asks nothing for `idle`, takes nothing for as long, or sends what is no DNS.
pub(in crate::server) async fn converse(stream: Stream, ends: Ends, adapter: &Adapter, idle: Duration) {
    let (stream, pace) = Paced::new(stream);
    let (stream, replies) = TcpStream::from_stream_with_buffer_size(AsyncIoTokioAsStd(stream), ends.client, AHEAD);
    let waiting = VecDeque::new();
    let mut connection = Connection { stream, pace, replies, ends, adapter, idle, waiting, held: 0 };
    while let Ok(message) = connection.next().await {
        if connection.answer(&message).await.is_err() {
            break;
        }
    }
}

impl Connection<'_> {
    /// The next message. Only whole ones keep a connection alive, and a client that takes what it has asked for.
    async fn next(&mut self) -> Result<Vec<u8>, Ended> {
        if let Some(message) = self.waiting.pop_front() {
            self.held -= message.len();
            return Ok(message);
        }
        match self.in_time(Self::poll_next).await? {
            Some(Ok(message)) => Ok(message.into_parts().0),
            _ => Err(Ended),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<SerialMessage>>> {
        self.stream.poll_next_unpin(cx)
    }

    /// Polls until it is ready, for as long as a client may be idle; a transfer may last longer, while the client takes of it.
    async fn in_time<T>(&mut self, mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>) -> Result<T, Ended> {
        loop {
            let (idle, taken) = (self.idle, self.pace.taken());
            if let Ok(ready) = timeout(idle, poll_fn(|cx| poll(self, cx))).await {
                return Ok(ready);
            }
            if !self.pace.is_behind() {
                self.adapter.event(ConnectionEvent::Idle);
                return Err(Ended);
            }
            if self.pace.taken() == taken {
                self.adapter.event(ConnectionEvent::Slow);
                return Err(Ended);
            }
        }
    }

    async fn answer(&mut self, message: &[u8]) -> Result<(), Ended> {
        match self.adapter.exchange(message, self.ends, Protocol::Tcp).await {
            Said::Reply(reply) => self.send(&reply).await?,
            Said::Silence => {}
            Said::Deferred => match self.adapter.reply_deferred(message, self.ends) {
                Reply::One(reply) => self.send(&reply).await?,
                Reply::Silence => {}
                Reply::Transfer(mut sending, _place) => {
                    let (mut message, mut remainder) = (Vec::new(), Remainder::More);
                    while remainder == Remainder::More {
                        // A record that no message can hold: the client sees the end of the connection, and half a zone.
                        remainder = sending.next(&mut message, seconds()).map_err(|_| Ended)?;
                        self.send(&message).await?;
                        // The other connections of this worker come in between.
                        tokio::task::yield_now().await;
                    }
                }
            },
        }
        // Whoever sends this speaks another protocol, or has lost count of its frames.
        if message.len() < HEADER { Err(Ended) } else { Ok(()) }
    }

    /// Hands a reply to the stream, which sends it when it is read next. When it holds as many as it may, it is read until
    /// the client has taken one of them.
    async fn send(&mut self, reply: &[u8]) -> Result<(), Ended> {
        self.in_time(|connection, cx| connection.poll_send(cx, reply)).await?
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, reply: &[u8]) -> Poll<Result<(), Ended>> {
        loop {
            if self.hand(reply) {
                return Poll::Ready(Ok(()));
            }
            match self.stream.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    let message = message.into_parts().0;
                    self.held += message.len();
                    if self.held > WAITING {
                        return Poll::Ready(Err(Ended));
                    }
                    self.waiting.push_back(message);
                }
                // The stream is read when all that it held is written: there is room now. Who will send no more may still read.
                Poll::Ready(_) if self.hand(reply) => return Poll::Ready(Ok(())),
                Poll::Ready(_) => return Poll::Ready(Err(Ended)),
                Poll::Pending if self.hand(reply) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the stream takes one more reply.
    fn hand(&mut self, reply: &[u8]) -> bool {
        self.replies.send(SerialMessage::new(reply.to_vec(), self.ends.client)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::Path;

    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream as Client};
    use tokio::time::sleep;

    use super::super::super::defer::{Clerk, Handoff};
    use super::super::super::engine::Parts;
    use crate::config::{Settings, ZonePolicy};
    use crate::metrics::{Registry, Transport};
    use crate::snapshot::{Facts, Publisher, ZoneSource};
    use crate::tap::Taps;
    use crate::wire::Name;
    use crate::zone::{Zone, text};

    const IDLE: Duration = Duration::from_secs(10);
    const AXFR: &[u8] = b"\0\x16\0\x4d\0\0\0\x01\0\0\0\0\0\0\x04test\0\0\xfc\0\x01";
    /// So many that they take a dozen messages, which no buffer of a connection holds.
    const RECORDS: usize = 4000;

    fn publisher() -> Arc<Publisher> {
        let records: String = (0..RECORDS).map(|number| format!("r{number} TXT {}\n", "t".repeat(200))).collect();
        let source = format!("$TTL 60\n@ SOA ns host 1 1 1 1 5\n@ NS ns.elsewhere.\n{records}");
        let apex = Name::from_text(b"test.").expect("a name");
        let loaded = text::read_bytes(source.as_bytes(), Path::new("zone"), Some(&apex), &text::Limits::default());
        let zone = Arc::new(Zone::build(&apex, &loaded.records).expect("a zone"));
        let policy = ZonePolicy::parse("[transfer]\nto = [\"127.0.0.1\"]\n", Path::new("policy"), apex.borrow());
        let policy = Arc::new(policy.expect("a policy"));
        let publisher = Publisher::new(Arc::new(Settings::default()), Facts::default());
        publisher.replace_zones(vec![ZoneSource { apex, zone: Some(zone), policy }]);
        publisher
    }

    /// Has a client speak to the door, and gives what it read; then the door has let go of it. Neither end buffers much.
    async fn served<T>(registry: &Registry, client: impl AsyncFnOnce(Client) -> T) -> T {
        let (publisher, taps) = (publisher(), Taps::default());
        let engine = Parts { reader: &publisher.reader(), registry, taps: &taps }.engine(Transport::Tcp);
        let clerk = Arc::new(Clerk::new(publisher.reader(), Handoff::to_nobody(), 1));
        let adapter = Adapter::new(engine, clerk, FRAME);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let local = listener.local_addr().expect("bound");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(16 << 10).expect("an option");
        let connected = socket.connect(local).await.expect("a connection");
        let (stream, peer) = listener.accept().await.expect("a connection");
        SockRef::from(&stream).set_send_buffer_size(16 << 10).expect("an option");
        let ends = Ends { client: peer, local };
        tokio::join!(converse(Stream::new(stream), ends, &adapter, IDLE), client(connected)).1
    }

    /// One message; nothing at the end of the connection.
    async fn read_frame(client: &mut Client) -> Option<Vec<u8>> {
        let mut message = vec![0; client.read_u16().await.ok()?.into()];
        client.read_exact(&mut message).await.ok()?;
        Some(message)
    }

    fn answers(message: &[u8]) -> usize {
        usize::from(u16::from_be_bytes([message[6], message[7]]))
    }

    /// What a whole zone has: its records, and once more its SOA.
    const WHOLE: usize = RECORDS + 3;

    #[tokio::test(start_paused = true)]
    async fn a_transfer_may_last_longer_than_a_client_may_be_idle() {
        let registry = Registry::default();
        let (mut messages, mut records) = (0, 0);
        served(&registry, async |mut client| {
            client.write_all(AXFR).await.expect("sent");
            while records < WHOLE {
                let message = read_frame(&mut client).await.expect("the whole zone");
                records += answers(&message);
                messages += 1;
                sleep(IDLE / 2).await;
            }
        })
        .await;
        assert_eq!(records, WHOLE);
        assert!(messages > 8, "{messages}");
        let totals = registry.totals();
        assert_eq!(totals.connections(Transport::Tcp, ConnectionEvent::Slow), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_none_of_its_transfer_is_cut_off() {
        let registry = Registry::default();
        served(&registry, async |mut client| {
            client.write_all(AXFR).await.expect("sent");
            sleep(IDLE * 2).await;
            let mut rest = Vec::new();
            // The error is that what it had not taken was thrown away.
            let _ = client.read_to_end(&mut rest).await;
            assert!(rest.len() < RECORDS * 200);
        })
        .await;
        assert_eq!(registry.totals().connections(Transport::Tcp, ConnectionEvent::Slow), 1);
    }

    #[tokio::test]
    async fn who_asks_no_more_gets_the_whole_transfer() {
        let registry = Registry::default();
        let records = served(&registry, async |mut client| {
            client.write_all(AXFR).await.expect("sent");
            client.shutdown().await.expect("closed");
            let mut records = 0;
            while let Some(message) = read_frame(&mut client).await {
                records += answers(&message);
            }
            records
        });
        assert_eq!(records.await, WHOLE);
    }

    #[tokio::test]
    async fn what_is_asked_during_a_transfer_is_answered_after_it() {
        let registry = Registry::default();
        served(&registry, async |mut client| {
            let query = [b"\0\x16\0\x4e", &AXFR[4..20], b"\0\x06\0\x01"].concat();
            client.write_all(&[AXFR, &query.repeat(200)].concat()).await.expect("sent");
            let mut records = 0;
            while records < WHOLE {
                records += answers(&read_frame(&mut client).await.expect("the whole zone"));
            }
            for _ in 0..200 {
                let reply = read_frame(&mut client).await.expect("a reply");
                assert_eq!((reply[1], answers(&reply)), (0x4e, 1));
            }
        })
        .await;
    }
}
