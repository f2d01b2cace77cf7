//! Layer 3: writes down what workers show of their messages: dnstap, and the log of queries.
//!
//! ```text
//!                          ┌► dnstap: protobuf ─► frames ─► Outlet: socket of a collector, file
//! Taps ─drain─► one thread ┤
//!                          └► line: text, JSON ─► Log: file, standard error
//! ```
//!
//! * One thread of low priority, which sleeps while nothing is wanted. Workers never wait for it: what it does not take in
//!   time is lost and counted where it was put, and what it cannot deliver is counted here.
//! * It follows the settings that are served, so that sampling can be begun and ended while the server runs.
//! * A collector that goes away is asked again every second; a file that is moved away is begun anew.

mod dnstap;
mod file;
mod frames;
mod line;
mod log;
mod outlet;
mod socket;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Settings;
use crate::metrics::{Counters, Event};
use crate::processor;
use crate::snapshot::{Reader, Snapshot};
use crate::tap::{Exchange, Taps};
use dnstap::Encoder;
use log::Log;
use outlet::Outlet;

/// How long it waits for more when the rings are empty. At a hundred thousand messages a second a ring takes some eighty
/// milliseconds to fill.
const PAUSE: Duration = Duration::from_millis(4);

/// The thread that writes.
#[derive(Debug)]
pub struct Scribe {
    thread: JoinHandle<()>,
    ended: Arc<AtomicBool>,
}

impl Scribe {
    /// Starts it. `name` is what the server is called where nothing else is configured.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(reader: Reader, taps: Arc<Taps>, counters: Arc<Counters>, name: Arc<str>) -> io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let desk = Desk { counters, name, encoder: Encoder::default(), outlets: Vec::new(), log: Log::default() };
        let thread = thread::Builder::new().name("scribe".into()).spawn(move || {
            processor::give_way();
            desk.work(&reader, &taps, &end);
        })?;
        Ok(Self { thread, ended })
    }

    /// Wakes it after each new generation, of which one may want something written down.
    pub fn follow(&self, mut generations: watch::Receiver<u64>) -> impl Future<Output = ()> + use<> {
        let thread: Thread = self.thread.thread().clone();
        async move {
            while generations.changed().await.is_ok() {
                thread.unpark();
            }
        }
    }

    /// Writes down what is still there, ends the streams in order, and returns when that is done.
    pub fn stop(self) {
        self.ended.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // If it panicked it has said so, and nothing is left to write.
        let _ = self.thread.join();
    }
}

/// What the thread works with.
struct Desk {
    counters: Arc<Counters>,
    name: Arc<str>,
    encoder: Encoder,
    outlets: Vec<Outlet>,
    log: Log,
}

impl Desk {
    fn work(mut self, reader: &Reader, taps: &Taps, ended: &AtomicBool) {
        let mut scratch = Vec::new();
        loop {
            // Before the rings are looked at: what was put in before the end is found there.
            let last = ended.load(Ordering::Acquire);
            let snapshot = reader.load();
            let settings = &snapshot.settings;
            self.follow(settings);
            let taken = taps.drain(&mut scratch, |exchange| self.write(exchange, &snapshot));
            self.flush();
            if taken > 0 {
                continue;
            }
            if last {
                break;
            }
            if settings.dnstap.sample > 0.0 || settings.query_log.sample > 0.0 {
                thread::park_timeout(PAUSE);
            } else {
                thread::park();
            }
        }
        self.outlets.iter_mut().for_each(Outlet::end);
    }

    /// Opens and closes what the settings say, and looks whether files are still where they were.
    fn follow(&mut self, settings: &Settings) {
        let dnstap = &settings.dnstap;
        let wanted = |path: &Option<_>| path.clone().filter(|_| dnstap.sample > 0.0);
        let (socket, file) = (wanted(&dnstap.socket), wanted(&dnstap.file));
        self.outlets.retain_mut(|outlet| {
            let stays = outlet.is_at(socket.as_deref(), file.as_deref());
            if !stays {
                outlet.end();
            }
            stays
        });
        for outlet in [socket.map(Outlet::socket), file.map(Outlet::file)].into_iter().flatten() {
            if !self.outlets.iter().any(|other| other.is_same(&outlet)) {
                self.outlets.push(outlet);
            }
        }
        self.outlets.iter_mut().for_each(Outlet::look);
        let version = || format!("kofn {}", env!("CARGO_PKG_VERSION"));
        let identity = dnstap.identity.as_ref().or(settings.identity.id.as_ref());
        self.encoder
            .identify(identity.map_or(&*self.name, String::as_str), &dnstap.version.clone().unwrap_or_else(version));
        self.log.follow(&settings.query_log);
    }

    fn write(&mut self, exchange: &Exchange<'_>, snapshot: &Snapshot) {
        if exchange.purposes.log {
            self.log.write(exchange);
        }
        if !exchange.purposes.dnstap {
            return;
        }
        let dnstap = &snapshot.settings.dnstap;
        let Self { encoder, outlets, counters, .. } = self;
        for frame in encoder.frames(exchange, snapshot, (dnstap.queries, dnstap.responses)) {
            for outlet in &mut *outlets {
                let lost = outlet.put(frame);
                counters.event(Event::TapLost, lost);
            }
        }
    }

    fn flush(&mut self) {
        let lost: u64 = self.outlets.iter_mut().map(Outlet::flush).sum();
        self.counters.event(Event::TapLost, lost + self.log.flush());
    }
}
