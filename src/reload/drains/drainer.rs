//! The task of the drains: it follows their file, ends them when their time is over, and does what is asked of it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{error, warn};

use super::book::{Ask, Book};
use super::listing::Listing;
use super::refusal::Refusal;
use crate::drain::Moment;
use crate::net::Prefix;
use crate::processor;
use crate::reload::watch::Watch;
use crate::snapshot::Publisher;
use crate::wire::Name;

/// The clock of people may be set while we wait for a time on it: so often it is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// After a new generation the clock file may lag so long: flips of a large pool come many at a time.
const LAG: Duration = Duration::from_secs(1);

/// Asks the task.
#[derive(Clone, Debug)]
pub struct DrainHandle(mpsc::Sender<Request>);

#[derive(Debug)]
enum Request {
    List(oneshot::Sender<Listing>),
    Drain(Ask, oneshot::Sender<Result<Listing, Refusal>>),
    Undrain(Prefix, Option<Name>, oneshot::Sender<Result<Listing, Refusal>>),
    Keep(oneshot::Sender<()>),
}

impl DrainHandle {
    /// How all drains stand; `None` when the server is about to end, here and below.
    pub async fn list(&self) -> Option<Listing> {
        let (reply, listing) = oneshot::channel();
        self.0.send(Request::List(reply)).await.ok()?;
        listing.await.ok()
    }

    /// Drains, and returns when the members are out of all hands.
    pub async fn drain(&self, ask: Ask) -> Option<Result<Listing, Refusal>> {
        let (reply, done) = oneshot::channel();
        self.0.send(Request::Drain(ask, reply)).await.ok()?;
        done.await.ok()
    }

    /// Writes what is known into the state folder, and returns when it is there.
    pub async fn keep(&self) -> Option<()> {
        let (reply, kept) = oneshot::channel();
        self.0.send(Request::Keep(reply)).await.ok()?;
        kept.await.ok()
    }

    /// Ends drains, and returns when the members may be handed out again.
    pub async fn undrain(&self, addr: Prefix, pool: Option<Name>) -> Option<Result<Listing, Refusal>> {
        let (reply, done) = oneshot::channel();
        self.0.send(Request::Undrain(addr, pool, reply)).await.ok()?;
        done.await.ok()
    }
}

/// The task, ready to run.
#[derive(Debug)]
pub struct Drainer {
    book: Arc<Mutex<Book>>,
    watch: Option<Watch>,
    generations: watch::Receiver<u64>,
    requests: mpsc::Receiver<Request>,
}

impl Drainer {
    /// Reads the drains of the state folder, so that no zone that is read later hands them out.
    ///
    /// # Errors
    /// When the reading panicked.
    pub async fn start(
        state: PathBuf,
        publisher: Arc<Publisher>,
        ours: watch::Receiver<bool>,
    ) -> io::Result<(Self, DrainHandle)> {
        let generations = publisher.generations();
        let now = now();
        let book = processor::aside(move || Book::open(&state, publisher, &now, ours)).await?;
        let watch = Watch::new().inspect_err(|error| warn!("changes of drains.toml are not followed: {error}"));
        let (sender, requests) = mpsc::channel(8);
        Ok((Self { book: Arc::new(Mutex::new(book)), watch: watch.ok(), generations, requests }, DrainHandle(sender)))
    }

    /// Takes what is drained when the zones have been read first for handed out until now.
    pub async fn assume_copies(&self) {
        locked(&self.book, Book::assume_copies).await;
    }

    /// Runs until every [`DrainHandle`] is gone.
    pub async fn run(self) {
        let Self { book, watch, generations, requests } = self;
        // Side by side, not in turns: a change that is about to settle must not be lost to a request.
        tokio::select! {
            () = follow(&book, watch) => {}
            () = serve(&book, generations, requests) => {}
        }
    }
}

/// Reads the file whenever it has changed and has settled since: a file that is just being written is half a list.
async fn follow(book: &Arc<Mutex<Book>>, watch: Option<Watch>) {
    let Some(mut watch) = watch else { return std::future::pending().await };
    loop {
        let interest = locked(book, |book, _| book.interest()).await.unwrap_or_default();
        // Watch first and read then, so that no change falls between.
        for (folder, error) in watch.follow(&interest) {
            warn!("changes in {} are not followed: {error}", folder.display());
        }
        locked(book, Book::read).await;
        watch.settled().await;
    }
}

/// Does what is asked for, and what is due.
async fn serve(book: &Arc<Mutex<Book>>, mut generations: watch::Receiver<u64>, mut requests: mpsc::Receiver<Request>) {
    let mut keep_at = None;
    loop {
        let end = locked(book, |book, _| book.next_end()).await.flatten();
        tokio::select! {
            () = sleep_until(Instant::now() + wait(end)), if end.is_some() => {
                if end.is_some_and(|end| end <= Timestamp::now()) {
                    locked(book, Book::end).await;
                }
            }
            changed = generations.changed(), if keep_at.is_none() => {
                if changed.is_ok() {
                    keep_at = Some(Instant::now() + LAG);
                }
            }
            () = sleep_until(keep_at.unwrap_or_else(Instant::now)), if keep_at.is_some() => {
                keep_at = None;
                locked(book, Book::keep_clock).await;
            }
            request = requests.recv() => match request {
                None => return,
                Some(request) => answer(book, request).await,
            }
        }
    }
}

async fn answer(book: &Arc<Mutex<Book>>, request: Request) {
    let (done, reply) = match request {
        Request::List(reply) => {
            let listing = locked(book, |book, now| book.listing(now)).await;
            // Who asked may have gone away meanwhile, here and below.
            let _ = listing.map(|listing| reply.send(listing));
            return;
        }
        Request::Keep(reply) => {
            let _ = locked(book, Book::keep_clock).await.map(|()| reply.send(()));
            return;
        }
        Request::Drain(ask, reply) => (locked(book, move |book, now| book.drain(&ask, now)).await, reply),
        Request::Undrain(addr, pool, reply) => {
            (locked(book, move |book, now| book.undrain(addr, pool.as_ref(), now)).await, reply)
        }
    };
    let listing = locked(book, |book, now| book.listing(now)).await;
    let _ = done.zip(listing).map(|(done, listing)| reply.send(done.map(|()| listing)));
}

/// Runs on a thread that gives way to those that answer: to take a member out of a large pool takes milliseconds.
/// `None` when it panicked, which costs that request and nothing that is served.
async fn locked<T: Send + 'static>(
    book: &Arc<Mutex<Book>>,
    work: impl FnOnce(&mut Book, &Moment) -> T + Send + 'static,
) -> Option<T> {
    let (book, now) = (Arc::clone(book), now());
    let locked = move || work(&mut book.lock().unwrap_or_else(PoisonError::into_inner), &now);
    processor::aside(locked).await.inspect_err(|panic| error!("drains: {panic}")).ok()
}

/// By the runtime's clock, which tests can move, and by that of people.
fn now() -> Moment {
    Moment { steady: Instant::now().into_std(), wall: Timestamp::now() }
}

/// Until `end`, or until it is time to look at the clock of people again.
fn wait(end: Option<Timestamp>) -> Duration {
    let left = end.map(|end| end.duration_since(Timestamp::now()));
    left.map_or(LOOK, |left| Duration::try_from(left).unwrap_or_default()).min(LOOK)
}
