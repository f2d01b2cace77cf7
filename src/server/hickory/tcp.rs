//! One connection that our own listener has accepted, message by message.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_server::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_server::net::tcp::TcpStream;
use hickory_server::net::xfer::{BufDnsStreamHandle, DnsStreamHandle, Protocol};
use hickory_server::proto::op::SerialMessage;
use hickory_server::server::TimeoutStream;

use super::{Adapter, Said};
use crate::metrics::ConnectionEvent;
use crate::server::defer::seconds;
use crate::server::reply::Reply;
use crate::server::stream::Stream;
use crate::server::watch::Ends;
use crate::transfer::send::Remainder;
use crate::wire::HEADER;

/// Messages of a transfer that wait for the client: the next is made when it has taken one.
const AHEAD: usize = 1;
/// Queries that a client may send while it has yet to take a transfer; the stream is read when it is written.
const WAITING: usize = 64;

/// One connection.
struct Connection<'a> {
    stream: TimeoutStream<TcpStream<AsyncIoTokioAsStd<Stream>>>,
    replies: BufDnsStreamHandle,
    ends: Ends,
    adapter: &'a Adapter,
    waiting: VecDeque<Vec<u8>>,
}

/// The client will send no more, or has gone.
struct Ended;

/// Answers until the client closes its side, asks nothing for `idle`, does not read for as long, or sends what is no DNS.
pub(in crate::server) async fn converse(stream: Stream, ends: Ends, adapter: &Adapter, idle: Duration) {
    let (stream, replies) = TcpStream::from_stream_with_buffer_size(AsyncIoTokioAsStd(stream), ends.client, AHEAD);
    let stream = TimeoutStream::new(stream, idle);
    let mut connection = Connection { stream, replies, ends, adapter, waiting: VecDeque::new() };
    while let Ok(message) = connection.next().await {
        if connection.answer(&message).await.is_err() {
            break;
        }
    }
}

impl Connection<'_> {
    /// The next message. Only whole ones keep a connection alive.
    async fn next(&mut self) -> Result<Vec<u8>, Ended> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(message);
        }
        let next = self.stream.next().await;
        self.taken(next)
    }

    fn taken(&self, next: Option<io::Result<SerialMessage>>) -> Result<Vec<u8>, Ended> {
        match next {
            Some(Ok(message)) => Ok(message.into_parts().0),
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                self.adapter.event(ConnectionEvent::Idle);
                Err(Ended)
            }
            _ => Err(Ended),
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
        poll_fn(|cx| {
            loop {
                if self.replies.send(SerialMessage::new(reply.to_vec(), self.ends.client)).is_ok() {
                    return Poll::Ready(Ok(()));
                }
                match self.stream.poll_next_unpin(cx) {
                    Poll::Ready(next) => {
                        let message = self.taken(next)?;
                        if self.waiting.len() == WAITING {
                            return Poll::Ready(Err(Ended));
                        }
                        self.waiting.push_back(message);
                    }
                    Poll::Pending
                        if self.replies.send(SerialMessage::new(reply.to_vec(), self.ends.client)).is_ok() =>
                    {
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}
