//! A UDP worker: one thread, a socket for each address, and nothing but batches between them and the engine.

use std::io::PipeReader;
use std::os::fd::AsFd;

use socket2::Socket;

use super::batch::{Batch, Poll};
use super::engine::Engine;
use crate::metrics::Event;

/// Batches of one socket before the others, and the end, are looked at.
const TURN: usize = 16;
/// Turns after the end: a full receive buffer holds about six, and a flood is not to keep us for ever.
const LAST_TURNS: usize = 8;

/// One thread's sockets and engine.
pub(super) struct Worker {
    sockets: Vec<Socket>,
    /// The drop count that the kernel told last, for each socket.
    overflows: Vec<u32>,
    engine: Engine,
    reply_size: usize,
}

impl Worker {
    pub(super) fn new(sockets: Vec<Socket>, engine: Engine, reply_size: usize) -> Self {
        Self { overflows: vec![0; sockets.len()], sockets, engine, reply_size }
    }

    /// Answers until the other end of `stop` is closed, and then what has arrived by then.
    pub(super) fn run(mut self, stop: &PipeReader) {
        let mut batch = Batch::new(self.reply_size);
        let mut poll = Poll::new(&self.sockets, stop.as_fd());
        let mut more = false;
        while !poll.is_stopped() {
            poll.wait(!more);
            more = false;
            for place in 0..self.sockets.len() {
                if poll.is_ready(place) {
                    more |= self.turn(place, &mut batch);
                }
            }
        }
        for place in 0..self.sockets.len() {
            let _ = (0..LAST_TURNS).any(|_| !self.turn(place, &mut batch));
        }
    }

    /// Answers what waits at one socket, for a while; says whether there is likely more.
    fn turn(&mut self, place: usize, batch: &mut Batch) -> bool {
        let socket = &self.sockets[place];
        for _ in 0..TURN {
            // An error here is that nothing waits, or one that an ICMP message left on the socket and that is gone with
            // having been told. There is no packet to count.
            if batch.receive(socket).is_err() {
                return false;
            }
            let mut moment = self.engine.moment();
            batch.answer(|query, peer, reply| moment.answer(query, peer, reply));
            let lost = batch.send(socket);
            if lost > 0 {
                self.engine.event(Event::SendFailed, lost as u64);
            }
            if let Some(overflow) = batch.overflow() {
                let told = std::mem::replace(&mut self.overflows[place], overflow);
                self.engine.event(Event::ReceiveOverflow, u64::from(overflow.wrapping_sub(told)));
            }
            if !batch.is_full() {
                return false;
            }
        }
        true
    }
}
