//! One TCP connection: frames of two length octets and a message (RFC 1035 section 4.2.2), many at once (RFC 7766
//! section 6.2.1.1).
//!
//! ```text
//! readable ─► read all that is there ─► answer every whole frame ─► one write ─► readable …
//!                     └ half a frame is held ┘             └ what the client does not take is held, and nothing is read ┘
//! ```
//!
//! A client that does not read is not read from: its queries wait in its own machine. So a connection never holds more than
//! one [`Desk`]'s input and output.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};

use super::defer::{Work, seconds};
use super::desk::{Desk, FRAME, READ, WRITE};
use super::engine::{Answered, Moment, Settled};
use super::watch::{Begun, Ends};
use crate::metrics::{ConnectionEvent, Outcome, QueryType};
use crate::transfer::send::Remainder;
use crate::wire::HEADER;

/// One connection over a stream of octets, plain or encrypted, served by one task.
pub(super) struct Connection<S> {
    stream: S,
    ends: Ends,
    desk: Rc<RefCell<Desk>>,
    idle: Duration,
    /// Octets received and not yet answered: less than a frame, or more while the client does not read.
    held: Vec<u8>,
    /// Octets of replies that the stream has not taken yet.
    unsent: Vec<u8>,
    /// Whether the stream itself holds octets that it has taken: an encrypted one makes records of them first.
    unflushed: bool,
    /// Whether the last turn had many queries.
    long: bool,
}

/// What a turn came to.
enum Turn {
    /// Less than a query came.
    Nothing,
    /// Queries were answered.
    Answered,
    /// Queries were answered, and then came a message that takes longer than a turn.
    Deferred(Vec<u8>),
    /// The connection is at its end: the client will send no more, or sends no DNS, or has gone.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, ends: Ends, desk: Rc<RefCell<Desk>>, idle: Duration) -> Self {
        Self { stream, ends, desk, idle, held: Vec::new(), unsent: Vec::new(), unflushed: false, long: false }
    }

    /// Answers until the client closes its side, asks nothing for too long, does not read, or sends what is no DNS.
    pub(super) async fn serve(mut self) {
        self.converse().await;
        // An encrypted stream says good-bye, if the client takes it now.
        poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_shutdown(cx).is_ready())).await;
    }

    /// Only whole queries keep a connection alive: an octet now and then does not.
    async fn converse(&mut self) {
        let mut last_query = Instant::now();
        let alarm = sleep_until(last_query + self.idle);
        tokio::pin!(alarm);
        loop {
            let turn = tokio::select! {
                biased;
                turn = poll_fn(|cx| self.poll_turn(cx)) => turn,
                () = &mut alarm => {
                    // Moving the alarm here, and not at each query, makes a query free of it.
                    if last_query.elapsed() >= self.idle {
                        self.desk.borrow().event(ConnectionEvent::Idle);
                        return;
                    }
                    alarm.as_mut().reset(last_query + self.idle);
                    continue;
                }
            };
            if (self.unflushed || !self.unsent.is_empty()) && !self.deliver().await {
                return;
            }
            match turn {
                Turn::Nothing => {}
                Turn::Answered => last_query = Instant::now(),
                Turn::Deferred(message) => {
                    if self.answer_deferred(&message).await.is_err() {
                        return;
                    }
                    last_query = Instant::now();
                }
                Turn::Ended => return,
            }
            // A client that always has more to ask must not keep the others waiting: not for one more turn if that was a long
            // one, and not for many if they are short.
            if self.long {
                tokio::task::yield_now().await;
            } else {
                tokio::task::consume_budget().await;
            }
        }
    }

    /// Reads once, answers every whole frame, and writes the replies.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let desk = Rc::clone(&self.desk);
        let Desk { engine, input, output, .. } = &mut *desk.borrow_mut();
        let held = self.held.len();
        input[..held].copy_from_slice(&self.held);
        // Frames that waited for the client to read come before new ones.
        let received = match has_frame(&self.held) {
            true => 0,
            false => match ready!(self.poll_read(cx, &mut input[held..])) {
                Ok(octets) => octets,
                Err(Ended) => return Poll::Ready(Turn::Ended),
            },
        };
        self.long = held + received >= READ;
        let mut input = &input[..held + received];
        let turn = self.answer(cx, &mut input, output, &mut engine.moment());
        self.held.clear();
        self.held.extend_from_slice(input);
        Poll::Ready(turn)
    }

    /// Answers the frames at the start of `input`, which then starts behind them.
    fn answer(&mut self, cx: &mut Context<'_>, input: &mut &[u8], output: &mut [u8], moment: &mut Moment<'_>) -> Turn {
        let (mut written, mut turn) = (0, Turn::Nothing);
        if frames(input).nth(1).is_some() {
            moment.foresee(frames(input));
        }
        while let Some((query, rest)) = split_frame(input) {
            *input = rest;
            let (length, reply) = output[written..].split_first_chunk_mut().expect("room for one more frame");
            turn = Turn::Answered;
            let Ends { client, local } = self.ends;
            match moment.answer(query, &client, || local, &mut reply[..FRAME - 2]) {
                Answered::Reply(octets) => {
                    *length = (octets as u16).to_be_bytes();
                    written += 2 + octets;
                }
                Answered::Silence => {}
                Answered::Deferred => {
                    turn = Turn::Deferred(query.to_vec());
                    break;
                }
            }
            // Whoever sends this speaks another protocol, or has lost count of its frames.
            if query.len() < HEADER {
                turn = Turn::Ended;
                break;
            }
            if written >= WRITE {
                if self.write(cx, &output[..written]).is_err() {
                    return Turn::Ended;
                }
                written = 0;
                if !self.unsent.is_empty() {
                    return turn;
                }
            }
        }
        if written > 0 && self.write(cx, &output[..written]).is_err() {
            return Turn::Ended;
        }
        turn
    }

    /// At least one octet of what there is.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Ended>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        Poll::Ready(match buffer.filled().len() {
            0 => Err(Ended),
            octets => read.map(|()| octets).map_err(|_| Ended),
        })
    }

    /// Writes as much as the client takes; the rest is held.
    fn write(&mut self, cx: &mut Context<'_>, mut octets: &[u8]) -> Result<(), Ended> {
        while !octets.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, octets) {
                Poll::Ready(Ok(written)) => octets = &octets[written..],
                Poll::Ready(Err(_)) => return Err(Ended),
                Poll::Pending => break,
            }
        }
        self.unsent.extend_from_slice(octets);
        self.unflushed = Pin::new(&mut self.stream).poll_flush(cx).is_pending();
        Ok(())
    }

    /// Waits until the client has taken what is held; says whether it did in time.
    async fn deliver(&mut self) -> bool {
        let unsent = std::mem::take(&mut self.unsent);
        self.unflushed = false;
        let all = async {
            self.stream.write_all(&unsent).await?;
            self.stream.flush().await
        };
        match timeout(self.idle, all).await {
            Ok(delivered) => delivered.is_ok(),
            Err(_) => {
                self.desk.borrow().event(ConnectionEvent::Slow);
                false
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends what a clerk says, message by message; the next is made when the client has taken the last. So a transfer holds
    /// one message, whatever the zone and however slow its client.
    async fn answer_deferred(&mut self, message: &[u8]) -> Result<(), Ended> {
        let (clerk, transport) = {
            let desk = self.desk.borrow();
            (Arc::clone(&desk.clerk), desk.engine.transport())
        };
        let (ends, begun) = (self.ends, Begun::now());
        let settle = |reply: Option<&[u8]>, query_type, label| {
            let settled = Settled { message, ends, begun, reply, label, query_type };
            self.desk.borrow_mut().engine.settle(&settled);
        };
        match clerk.take(message, ends.client, transport) {
            Work::Silence(label) => settle(None, QueryType::None, label),
            Work::Reply(reply, label, qtype) => {
                settle(Some(&reply), qtype, label);
                self.send(&reply).await?;
            }
            Work::Transfer(mut sending, _place) => {
                settle(None, QueryType::Transfer, Outcome::Answer);
                let (mut message, mut remainder) = (Vec::new(), Remainder::More);
                while remainder == Remainder::More {
                    // A record that no message can hold: the client sees the end of the connection, and half a zone.
                    remainder = sending.next(&mut message, seconds()).map_err(|_| Ended)?;
                    self.send(&message).await?;
                    // The other connections of this worker come in between.
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }

    /// Sends one message, and waits until the client has taken it.
    async fn send(&mut self, message: &[u8]) -> Result<(), Ended> {
        self.unsent.extend_from_slice(&(message.len() as u16).to_be_bytes());
        self.unsent.extend_from_slice(message);
        if self.deliver().await { Ok(()) } else { Err(Ended) }
    }
}

/// The client will send no more, or has gone.
struct Ended;

fn has_frame(octets: &[u8]) -> bool {
    split_frame(octets).is_some()
}

/// The messages of all frames that are whole.
fn frames(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (message, rest) = split_frame(octets)?;
        octets = rest;
        Some(message)
    })
}

/// The message of the first frame, and what follows the frame; `None` while it is not whole.
fn split_frame(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config::Settings;
    use crate::metrics::{Registry, Transport};
    use crate::snapshot::{Facts, Publisher};
    use crate::tap::Taps;

    use super::super::defer::{Clerk, Handoff};
    use super::super::engine::Parts;
    use super::super::stream::Stream;

    use socket2::SockRef;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::LocalSet;
    use tokio::time::sleep;

    const IDLE: Duration = Duration::from_secs(10);

    /// The client's end of a connection that is being served. Neither end buffers much, and the server has
    /// a long identifier to tell.
    async fn served(registry: &Registry) -> TcpStream {
        let mut settings = Settings::default();
        settings.identity.nsid = Some("n".repeat(255));
        let publisher = Publisher::new(Arc::new(settings), Facts::default());
        let (reader, taps) = (publisher.reader(), Taps::default());
        let engine = Parts { reader: &reader, registry, taps: &taps }.engine(Transport::Tcp);
        let clerk = Arc::new(Clerk::new(publisher.reader(), Handoff::to_nobody(), 1));
        let desk = Rc::new(RefCell::new(Desk::new(engine, clerk)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("a connection");
        let (stream, peer) = listener.accept().await.expect("a connection");
        SockRef::from(&stream).set_send_buffer_size(1).expect("the least there is");
        SockRef::from(&client).set_recv_buffer_size(READ).expect("an option");
        let ends = Ends { client: peer, local: stream.local_addr().expect("bound") };
        tokio::task::spawn_local(Connection::new(Stream::new(stream), ends, desk, IDLE).serve());
        client
    }

    fn frame() -> Vec<u8> {
        b"\0\x11\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01".to_vec()
    }

    async fn read_frame(client: &mut TcpStream) {
        let octets = client.read_u16().await.expect("a length");
        client.read_exact(&mut vec![0; octets.into()]).await.expect("a reply");
    }

    #[tokio::test(start_paused = true)]
    async fn each_query_starts_the_idle_time_anew() {
        let registry = Registry::default();
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let mut client = served(&registry).await;
                let start = Instant::now();
                for _ in 0..5 {
                    client.write_all(&frame()).await.expect("sent");
                    read_frame(&mut client).await;
                    sleep(IDLE * 9 / 10).await;
                }
                assert_eq!(client.read(&mut [0; 1]).await.expect("the end"), 0);
                assert!(start.elapsed() >= IDLE * 9 / 10 * 4 + IDLE);
            })
            .await;
        assert_eq!(registry.totals().connections(Transport::Tcp, ConnectionEvent::Idle), 1);
        assert_eq!(registry.totals().received(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn octets_that_make_no_query_do_not_keep_a_connection() {
        let registry = Registry::default();
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let mut client = served(&registry).await;
                let start = Instant::now();
                // The error is the connection that is no longer there.
                for octet in frame() {
                    if client.write_all(&[octet]).await.is_err() {
                        break;
                    }
                    sleep(IDLE / 4).await;
                }
                assert!(start.elapsed() < IDLE * 2, "{:?}", start.elapsed());
            })
            .await;
        assert_eq!(registry.totals().connections(Transport::Tcp, ConnectionEvent::Idle), 1);
        assert_eq!(registry.totals().received(), 0);
    }

    #[tokio::test]
    async fn queries_that_waited_for_the_client_to_read_need_no_others_to_be_answered() {
        let registry = Registry::default();
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let mut client = served(&registry).await;
                // All of them come with one read, and their replies are several times what one write may be.
                let query =
                    b"\0\x20\0\x01\0\0\0\x01\0\0\0\0\0\x01\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x03\0\0";
                let many = READ / query.len();
                client.write_all(&query.repeat(many)).await.expect("sent");
                for _ in 0..many {
                    timeout(IDLE / 2, read_frame(&mut client)).await.expect("a reply in time");
                }
            })
            .await;
        assert_eq!(registry.totals().received(), (READ / 34) as u64);
    }

    #[test]
    fn frames_are_split_only_when_they_are_whole() {
        assert!(split_frame(b"").is_none());
        assert!(split_frame(b"\0").is_none());
        assert!(split_frame(b"\0\x02a").is_none());
        assert_eq!(split_frame(b"\0\x02ab\0"), Some((&b"ab"[..], &b"\0"[..])));
        assert_eq!(split_frame(b"\0\0"), Some((&b""[..], &b""[..])));
    }
}
