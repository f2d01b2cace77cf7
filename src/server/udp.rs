//! A UDP worker: one thread, a socket for each address, and nothing but batches between them and the engine.

use std::io::{self, PipeReader};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::batch::{self, Batch, Poll};
use super::bind::SEND_BUFFER;
use super::engine::{Answered, Engine};
use super::late::{Back, Datagram, Queue};
use super::proxy::Trusted;
use super::watch::Ends;
use crate::config::Settings;
use crate::metrics::Event;

/// Batches of one socket before the others, and the end, are looked at.
const TURN: usize = 16;
/// Turns after the end: a full receive buffer holds about six, and a flood is not to keep us for ever.
const LAST_TURNS: usize = 8;

/// How long a worker waits for an interface that takes no more before it drops a reply.
const SEND_PATIENCE: Duration = Duration::from_millis(20);
/// So many full batches one behind the other may have left a full buffer behind them, whose drops are then asked for.
/// Drops take a buffer of queries, and no buffer is smaller than this.
const SPELL: u32 = 4;
/// Full batches after which drops are asked for although the flood goes on: some milliseconds, or a tenth of a second where
/// trains come.
const LONG_SPELL: u32 = 64;

/// A worker without work for so long lets go of its snapshot. Taking it up again costs the next query an atomic addition.
const REST: Duration = Duration::from_secs(1);

/// Gives a socket the options that batches live by; says the size of its receive buffer.
pub(super) fn outfit(socket: &Socket, address: SocketAddr, settings: &Settings) -> io::Result<usize> {
    batch::prepare(socket, address, settings.limits.udp_payload)?;
    let granted = batch::size_receive_buffer(socket, settings.udp.receive_buffer)?;
    if !settings.udp.busy_poll.is_zero() {
        // Where the system has it not, workers look for queries all the same, only not down to the interface.
        let _ = batch::poll_busily(socket, u32::try_from(settings.udp.busy_poll.as_micros()).unwrap_or(u32::MAX));
    }
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_nonblocking(false)?;
    socket.set_write_timeout(Some(SEND_PATIENCE))?;
    Ok(granted)
}

pub(super) use batch::steer;

/// One thread's sockets and engine.
pub(super) struct Worker {
    doors: Vec<Door>,
    engine: Engine,
    /// Where deferred datagrams go.
    queue: Queue,
    proxies: Trusted,
    reply_size: usize,
    /// How long it looks for queries before it sleeps.
    busy_poll: Duration,
}

/// One socket.
struct Door {
    socket: Arc<Socket>,
    /// Where it is bound.
    address: SocketAddr,
    /// How many datagrams the kernel had dropped when it was asked last.
    dropped: u32,
    /// Full batches since then.
    full: u32,
}

impl Worker {
    pub(super) fn new(
        sockets: Vec<Socket>,
        engine: Engine,
        queue: Queue,
        proxies: Trusted,
        reply_size: usize,
        busy_poll: Duration,
    ) -> Self {
        let door = |socket| {
            let address = bound(&socket);
            Door { socket: Arc::new(socket), address, dropped: 0, full: 0 }
        };
        Self { doors: sockets.into_iter().map(door).collect(), engine, queue, proxies, reply_size, busy_poll }
    }

    /// Answers until the other end of `stop` is closed, and then what has arrived by then.
    pub(super) fn run(mut self, stop: &PipeReader) {
        let sockets: Vec<_> = self.doors.iter().map(|door| &*door.socket).collect();
        let mut batch = Batch::new(&sockets, self.reply_size);
        let mut poll = Poll::new(&sockets, stop.as_fd());
        let mut more = false;
        let mut awake = Awake::new(self.busy_poll);
        while !poll.is_stopped() {
            let looks = awake.looks();
            if !poll.wait((more || looks).then_some(Duration::ZERO).or(Some(REST))) && !more && !looks {
                // What the snapshot holds may have been replaced since, and is not to stay for the sake of one who sleeps.
                self.engine.rest();
                poll.wait(None);
            }
            more = false;
            for place in 0..self.doors.len() {
                if poll.is_ready(place) {
                    more |= self.turn(place, &mut batch);
                    awake.worked();
                } else if looks {
                    // Only a receive looks as far as the interface.
                    more |= self.turn(place, &mut batch);
                }
            }
        }
        for place in 0..self.doors.len() {
            let _ = (0..LAST_TURNS).any(|_| !self.turn(place, &mut batch));
        }
    }

    /// Answers what waits at one socket, for a while; says whether there is likely more.
    fn turn(&mut self, place: usize, batch: &mut Batch) -> bool {
        let Self { doors, engine, queue, proxies, .. } = self;
        let door = &mut doors[place];
        for _ in 0..TURN {
            // An error here is that nothing waits, or one that an ICMP message left on the socket and that is gone with
            // having been told. There is no packet to count.
            let Ok(arrived) = batch.receive(&door.socket) else {
                door.end_of_spell(engine);
                return false;
            };
            let mut moment = engine.moment();
            if arrived > 1 {
                moment.foresee(batch.queries());
            }
            let lost = batch.answer(&door.socket, |octets, way, reply| {
                let Ok((query, client)) = proxies.open(octets, &way.peer) else {
                    moment.drop_proxied();
                    return None;
                };
                // By reference: an address that is copied as it was just written stalls the processor.
                let client = client.as_ref().unwrap_or(&way.peer);
                match moment.answer(query, client, || way.local(door.address), reply) {
                    Answered::Reply(octets) => Some(octets),
                    Answered::Silence => None,
                    Answered::Deferred => {
                        let (way, socket) = (*way, Arc::clone(&door.socket));
                        let ends = Ends { client: *client, local: way.local(door.address) };
                        let back: Back = Box::new(move |reply| way.send(reply, &socket));
                        if queue.try_send(Datagram { octets: query.to_vec(), ends, back }).is_err() {
                            moment.drop_deferred();
                        }
                        None
                    }
                }
            });
            drop(moment);
            if lost > 0 {
                engine.event(Event::SendFailed, lost as u64);
            }
            if !batch.is_full() {
                door.end_of_spell(engine);
                return false;
            }
            door.full += 1;
            if door.full >= LONG_SPELL {
                door.end_of_spell(engine);
            }
        }
        true
    }
}

/// Where a socket is bound.
fn bound(socket: &Socket) -> SocketAddr {
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    address.expect("a socket of ours is bound to an IP address")
}

/// Whether a worker with nothing to do looks for queries, or sleeps.
struct Awake {
    patience: Duration,
    worked: Option<Instant>,
}

impl Awake {
    fn new(patience: Duration) -> Self {
        Self { patience, worked: None }
    }

    fn worked(&mut self) {
        if !self.patience.is_zero() {
            self.worked = Some(Instant::now());
        }
    }

    fn looks(&self) -> bool {
        self.worked.is_some_and(|worked| worked.elapsed() < self.patience)
    }
}

impl Door {
    /// Counts what the kernel has dropped, if it may have: asked beside the packets, it would tell with each of them.
    fn end_of_spell(&mut self, engine: &Engine) {
        if std::mem::take(&mut self.full) < SPELL {
            return;
        }
        if let Some(dropped) = batch::dropped(&self.socket) {
            let before = std::mem::replace(&mut self.dropped, dropped);
            engine.event(Event::ReceiveOverflow, u64::from(dropped.wrapping_sub(before)));
        }
    }
}
