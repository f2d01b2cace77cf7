//! Load by UDP.

use std::io::Result;
use std::net::{Ipv4Addr, UdpSocket};

use crate::arguments::{Arguments, WINDOW_MOST};
use crate::clock::Clock;
use crate::load::{Asked, Cursor, Load};
use crate::system::{Inbox, Post, enlarge_buffers, rest, send_train, take_trains};
use crate::tally::Tally;

/// Each query from another port than those before and behind it, as from many resolvers.
pub fn fresh(arguments: &Arguments, load: &Load) -> Result<Tally> {
    let clock = Clock::start();
    let mut tally = Tally::new(clock, arguments.warm, arguments.secs, &arguments.pids);
    let mut ports = Port::open_all(arguments)?;
    let mut free = vec![arguments.window; ports.len()];
    let mut post = Post::new(arguments.server, BATCH)?;
    let mut inbox = Inbox::new(BATCH, DATAGRAM, false);
    let (mut cursor, mut turns, mut swept) = (Cursor::default(), Turns::default(), 0);
    loop {
        let now = clock.now();
        if !tally.goes_on(now) {
            return Ok(tally);
        }
        while let Some(turn) = turns.next(&mut free) {
            ports[turn].ask_by(&mut post, load, &mut cursor, now);
        }
        post.send();
        let now = clock.now();
        let mut received = 0;
        for (port, free) in ports.iter_mut().zip(&mut free) {
            let here = port.receive(&mut inbox, load, now, &mut tally)?;
            *free += here;
            received += here;
        }
        if now > swept + SWEEP {
            swept = now;
            for (port, free) in ports.iter_mut().zip(&mut free) {
                *free += port.give_up(now, &mut tally);
            }
        }
        if received < FEW {
            wait(clock, &mut tally);
        }
    }
}

/// Whose turn it is: round and round, so that neighbours never come from one port, however many replies each has had.
#[derive(Default)]
struct Turns {
    at: usize,
    last: Option<usize>,
}

impl Turns {
    /// The next port that has a query free, and is not the one that had the last turn.
    #[inline]
    fn next(&mut self, free: &mut [usize]) -> Option<usize> {
        for _ in 0..free.len() {
            let at = self.at;
            self.at = if at + 1 == free.len() { 0 } else { at + 1 };
            if free[at] > 0 && (self.last != Some(at) || free.len() == 1) {
                free[at] -= 1;
                self.last = Some(at);
                return Some(at);
            }
        }
        None
    }
}

/// Queries from few ports in trains, as from forwarders and large resolvers.
pub fn flows(arguments: &Arguments, load: &Load) -> Result<Tally> {
    let clock = Clock::start();
    let mut tally = Tally::new(clock, arguments.warm, arguments.secs, &arguments.pids);
    let mut ports = Port::open_all(arguments)?;
    if arguments.joined {
        ports.iter().try_for_each(|port| take_trains(&port.socket))?;
    }
    let mut inbox = if arguments.joined { Inbox::new(16, 65536, true) } else { Inbox::new(64, DATAGRAM, false) };
    let train = (arguments.window / 2).clamp(1, MOST_IN_TRAIN);
    let mut train_octets = vec![0; MOST_IN_TRAIN * 512];
    let (mut cursor, mut next) = (Cursor::default(), None);
    loop {
        let now = clock.now();
        if !tally.goes_on(now) {
            return Ok(tally);
        }
        let mut received = 0;
        for port in &mut ports {
            if port.under_way > 0 {
                received += port.receive(&mut inbox, load, clock.now(), &mut tally)?;
            }
            port.give_up(now, &mut tally);
            // A whole train or nothing, but never silence.
            while arguments.window - port.under_way >= train {
                let first = next.take().unwrap_or_else(|| load.next(&mut cursor));
                let (size, mut end, now) = (load.length(first), 0, clock.now());
                let mut asked = first;
                for _ in 0..train {
                    let id = port.note(asked, now);
                    end += load.write(asked, id, &mut train_octets[end..]);
                    asked = load.next(&mut cursor);
                    if load.length(asked) != size {
                        break;
                    }
                }
                next = Some(asked);
                send_train(&port.socket, &train_octets[..end], size)?;
            }
        }
        if received < FEW {
            wait(clock, &mut tally);
        }
    }
}

/// So many queries a second. Latency counts from the moment at which a query was due, so that a server that stalls does
/// not pause the clock.
pub fn paced(arguments: &Arguments, load: &Load, rate: f64) -> Result<Tally> {
    let clock = Clock::start();
    let mut tally = Tally::new(clock, arguments.warm, arguments.secs, &arguments.pids);
    let mut ports = Port::open_all(arguments)?;
    let mut inbox = Inbox::new(8, DATAGRAM, false);
    let (mut cursor, mut turn, mut sent) = (Cursor::default(), 0, 0u64);
    let (mut head, mut under_way) = (0, 0);
    let mut query = [0; 512];
    loop {
        let now = clock.now();
        if !tally.goes_on(now) {
            return Ok(tally);
        }
        let due = (sent as f64 * 1e9 / rate) as u64;
        let port = &mut ports[turn];
        // A port that still waits for so many makes the next query late, which its latency then tells.
        if due <= now && port.under_way < port.ring.len() / 2 {
            let asked = load.next(&mut cursor);
            let id = port.note(asked, due);
            let length = load.write(asked, id, &mut query);
            // What the kernel refuses is lost, and counted when it does not come back.
            let _ = port.socket.send(&query[..length]);
            turn = (turn + 1) % arguments.sockets;
            (sent, under_way) = (sent + 1, under_way + 1);
        } else if arguments.sleeps {
            // If the next query is due and has no port, only a reply helps.
            let pause = due.checked_sub(now).unwrap_or(PATIENCE);
            let first = ports[head..].iter().chain(&ports[..head]).find(|port| port.under_way > 0);
            rest(first.map(|port| &port.socket), pause);
        }
        if under_way > 0 {
            while ports[head].under_way == 0 {
                head = (head + 1) % arguments.sockets;
            }
            let port = &mut ports[head];
            let mut done = port.receive(&mut inbox, load, clock.now(), &mut tally)?;
            done += port.give_up(now, &mut tally);
            if done > 0 {
                under_way -= done;
                head = (head + 1) % arguments.sockets;
            }
        }
    }
}

/// A socket, and what was asked from it.
struct Port {
    socket: UdpSocket,
    number: u16,
    ring: Vec<Option<(u16, Asked, u64)>>,
    next: u16,
    under_way: usize,
}

impl Port {
    fn open_all(arguments: &Arguments) -> Result<Vec<Self>> {
        (0..arguments.sockets).map(|_| Self::open(arguments)).collect()
    }

    fn open(arguments: &Arguments) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(arguments.server)?;
        enlarge_buffers(&socket)?;
        let number = socket.local_addr()?.port();
        let ring = vec![None; (4 * arguments.window).next_power_of_two().min(WINDOW_MOST)];
        Ok(Self { socket, number, ring, next: number.wrapping_mul(977), under_way: 0 })
    }

    /// Remembers a query and gives it an ID.
    #[inline]
    fn note(&mut self, asked: Asked, now: u64) -> u16 {
        loop {
            self.next = self.next.wrapping_add(1);
            let place = usize::from(self.next) & (self.ring.len() - 1);
            if self.ring[place].is_none() {
                self.ring[place] = Some((self.next, asked, now));
                self.under_way += 1;
                return self.next;
            }
        }
    }

    #[inline]
    fn ask_by(&mut self, post: &mut Post, load: &Load, cursor: &mut Cursor, now: u64) {
        let asked = load.next(cursor);
        let id = self.note(asked, now);
        if post.is_full() {
            post.send();
        }
        post.push(self.number, |out| load.write(asked, id, out));
    }

    /// Takes the replies that have arrived and returns how many queries they end.
    #[inline]
    fn receive(&mut self, inbox: &mut Inbox, load: &Load, now: u64, tally: &mut Tally) -> Result<usize> {
        let Self { ring, under_way, socket, .. } = self;
        let before = *under_way;
        inbox.receive(socket, |reply| {
            let id = reply.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
            let place = usize::from(id) & (ring.len() - 1);
            match ring[place] {
                Some((noted, asked, since)) if noted == id && reply.len() >= 12 => {
                    ring[place] = None;
                    *under_way -= 1;
                    tally.reply(load.judge(asked, reply), reply, now.saturating_sub(since));
                }
                _ => tally.counts.stray += 1,
            }
        })?;
        Ok(before - self.under_way)
    }

    /// Counts as lost what has waited too long, and returns how much that is.
    fn give_up(&mut self, now: u64, tally: &mut Tally) -> usize {
        let mut lost = 0;
        for place in &mut self.ring {
            if place.is_some_and(|(_, _, since)| now > since + PATIENCE) {
                *place = None;
                lost += 1;
            }
        }
        self.under_way -= lost;
        tally.counts.lost += lost as u64;
        lost
    }
}

/// Leaves the sockets' cache lines to the server for a moment.
fn wait(clock: Clock, tally: &mut Tally) {
    let from = clock.now();
    while clock.now() < from + PAUSE {
        std::hint::spin_loop();
    }
    tally.counts.waited += clock.now() - from;
}

/// Datagrams that are sent or received with one call.
const BATCH: usize = 64;
/// Octets of the largest reply without trains.
const DATAGRAM: usize = 4096;
const MOST_IN_TRAIN: usize = 48;
/// Nanoseconds after which a query counts as lost.
const PATIENCE: u64 = 200_000_000;
/// Nanoseconds between two looks for what is lost.
const SWEEP: u64 = 10_000_000;
/// Replies that are too few to go on at once.
const FEW: usize = 8;
/// Nanoseconds to wait where little has arrived.
const PAUSE: u64 = 8_000;
