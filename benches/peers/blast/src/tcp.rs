//! Load by TCP.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddrV4, TcpStream};

use crate::arguments::Arguments;
use crate::clock::Clock;
use crate::load::{Asked, Cursor, Load};
use crate::system::{close_by_reset, connect};
use crate::tally::Tally;

/// Some connections with some queries under way on each.
pub fn pipelined(arguments: &Arguments, load: &Load) -> Result<Tally> {
    let clock = Clock::start();
    let mut tally = Tally::new(clock, arguments.warm, arguments.secs, &arguments.pids);
    let mut cursor = Cursor::default();
    let open = || {
        let connection = Connection::open(arguments.server, arguments.window)?;
        connection.stream.set_nodelay(true).map(|()| connection)
    };
    let mut connections = (0..arguments.sockets).map(|_| open()).collect::<Result<Vec<_>>>()?;
    loop {
        let now = clock.now();
        if !tally.goes_on(now) {
            return Ok(tally);
        }
        let mut received = 0;
        for connection in &mut connections {
            connection.ask(load, &mut cursor, clock.now());
            let alive = connection.send()? && connection.receive()?;
            received += connection.judge(load, clock.now(), &mut tally);
            if !alive {
                tally.counts.lost += connection.under_way as u64;
                *connection = open()?;
            }
        }
        if received == 0 {
            let waited = clock.now() - now;
            tally.counts.waited += waited;
        }
    }
}

/// A connection for each query; some at a time.
pub fn one_each(arguments: &Arguments, load: &Load) -> Result<Tally> {
    let clock = Clock::start();
    let mut tally = Tally::new(clock, arguments.warm, arguments.secs, &arguments.pids);
    let mut cursor = Cursor::default();
    let mut connections = Vec::new();
    for _ in 0..arguments.sockets {
        let mut connection = Connection::open(arguments.server, 1)?;
        connection.begin_again(arguments.server, load, &mut cursor, clock.now())?;
        connections.push((connection, clock.now()));
    }
    loop {
        let now = clock.now();
        if !tally.goes_on(now) {
            return Ok(tally);
        }
        let mut ended = 0;
        for (connection, since) in &mut connections {
            let alive = connection.send()? && connection.receive()?;
            let now = clock.now();
            let judged = connection.judge(load, now, &mut tally);
            let late = now > *since + PATIENCE;
            if judged == 0 && (late || !alive) {
                tally.counts.lost += 1;
            }
            if judged > 0 || late || !alive {
                connection.begin_again(arguments.server, load, &mut cursor, now)?;
                *since = now;
                ended += 1;
            }
        }
        if ended == 0 {
            let waited = clock.now() - now;
            tally.counts.waited += waited;
        }
    }
}

struct Connection {
    stream: TcpStream,
    outbox: Vec<u8>,
    sent: usize,
    inbox: Vec<u8>,
    filled: usize,
    ring: Vec<Option<(u16, Asked, u64)>>,
    next: u16,
    under_way: usize,
    window: usize,
}

impl Connection {
    fn open(server: SocketAddrV4, window: usize) -> Result<Self> {
        let stream = connect(server)?;
        let ring = vec![None; (2 * window).next_power_of_two()];
        let inbox = vec![0; INBOX];
        Ok(Self { stream, outbox: Vec::new(), sent: 0, inbox, filled: 0, ring, next: 0, under_way: 0, window })
    }

    /// Begins anew with another connection, which asks one query and ends by a reset.
    fn begin_again(&mut self, server: SocketAddrV4, load: &Load, cursor: &mut Cursor, now: u64) -> Result<()> {
        self.stream = connect(server)?;
        close_by_reset(&self.stream)?;
        self.outbox.clear();
        self.ring.fill(None);
        (self.sent, self.filled, self.under_way) = (0, 0, 0);
        self.ask(load, cursor, now);
        self.send().map(|_| ())
    }

    /// Prepares as many queries as may be under way.
    fn ask(&mut self, load: &Load, cursor: &mut Cursor, now: u64) {
        if self.sent < self.outbox.len() {
            return;
        }
        self.outbox.clear();
        self.sent = 0;
        let mut query = [0; 512];
        while self.under_way < self.window {
            self.next = self.next.wrapping_add(1);
            let place = usize::from(self.next) & (self.ring.len() - 1);
            if self.ring[place].is_some() {
                continue;
            }
            let asked = load.next(cursor);
            self.ring[place] = Some((self.next, asked, now));
            let length = load.write(asked, self.next, &mut query);
            self.outbox.extend((length as u16).to_be_bytes());
            self.outbox.extend(&query[..length]);
            self.under_way += 1;
        }
    }

    /// Sends what is prepared, as far as it goes; `false` when the connection is over.
    fn send(&mut self) -> Result<bool> {
        if self.sent == self.outbox.len() {
            return Ok(true);
        }
        match self.stream.write(&self.outbox[self.sent..]) {
            Ok(octets) => self.sent += octets,
            Err(error) => return is_alive(error),
        }
        Ok(true)
    }

    fn receive(&mut self) -> Result<bool> {
        match self.stream.read(&mut self.inbox[self.filled..]) {
            Ok(0) => return Ok(false),
            Ok(octets) => self.filled += octets,
            Err(error) => return is_alive(error),
        }
        Ok(true)
    }

    /// Judges the whole replies that have arrived, and returns how many there were.
    fn judge(&mut self, load: &Load, now: u64, tally: &mut Tally) -> usize {
        let (mut at, mut judged) = (0, 0);
        while let Some(length) = self.inbox[at..self.filled].first_chunk().map(|two| u16::from_be_bytes(*two)) {
            let Some(reply) = self.inbox[..self.filled].get(at + 2..at + 2 + usize::from(length)) else { break };
            at += 2 + usize::from(length);
            let id = reply.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
            let place = usize::from(id) & (self.ring.len() - 1);
            match self.ring[place].take() {
                Some((noted, asked, since)) if noted == id && reply.len() >= 12 => {
                    self.under_way -= 1;
                    judged += 1;
                    tally.reply(load.judge(asked, reply), reply, now.saturating_sub(since));
                }
                _ => tally.counts.stray += 1,
            }
        }
        self.inbox.copy_within(at..self.filled, 0);
        self.filled -= at;
        judged
    }
}

fn is_alive(error: std::io::Error) -> Result<bool> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted => Ok(true),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Ok(false),
        _ => Err(error),
    }
}

/// Octets of replies that are taken with one call: more than all replies under way.
const INBOX: usize = 256 << 10;
/// Nanoseconds after which a query counts as lost.
const PATIENCE: u64 = 3_000_000_000;
