//! The task that reads the files again: when they change, and when somebody asks.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::loader::Loader;
use super::standing::{Look, Pass};
use super::watch::{Interest, Touched, Watch};
use crate::{processor, residency};

/// Asks the task to read everything again.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Request>);

/// How to look, and where to tell what that did.
type Request = (Look, oneshot::Sender<Pass>);

impl Handle {
    /// Looks at the files, and returns when what is good is served. `None` when the server is about to end.
    pub async fn reload(&self, look: Look) -> Option<Pass> {
        let (reply, passed) = oneshot::channel();
        self.0.send((look, reply)).await.ok()?;
        passed.await.ok()
    }
}

/// The task, ready to run.
#[derive(Debug)]
pub struct Follower {
    loader: Arc<Mutex<Loader>>,
    watch: Option<Watch>,
    refused: BTreeSet<PathBuf>,
    requests: mpsc::Receiver<Request>,
}

impl Follower {
    /// Reads everything for the first time.
    pub async fn start(loader: Loader) -> (Self, Handle) {
        let watch = Watch::new().inspect_err(|error| {
            warn!("changes of files are not followed: {error}; `kofn reload` reads them");
        });
        let (sender, requests) = mpsc::channel(1);
        let loader = Arc::new(Mutex::new(loader));
        let follower = Self { loader, watch: watch.ok(), refused: BTreeSet::new(), requests };
        // Unwatched: with a hundred thousand files the news of our own opening them would cost more than reading them.
        follower.locked(|loader| loader.pass(Look::All)).await;
        (follower, Handle(sender))
    }

    /// Runs until every [`Handle`] is gone.
    pub async fn run(mut self) {
        // What has changed since it was read, unwatched.
        self.turn(Look::Changed).await;
        loop {
            tokio::select! {
                touched = settled(self.watch.as_ref()) => {
                    // What was touched is served at once, however many zones there are. Only then come all the others,
                    // in case that events do not tell everything.
                    if let Touched::Few(touched) = touched {
                        self.locked(move |loader| loader.glance(&touched)).await;
                    }
                    self.turn(Look::Changed).await;
                }
                request = self.requests.recv() => match request {
                    None => return,
                    Some((look, reply)) => {
                        let pass = self.turn(look).await;
                        // Who asked may have gone away meanwhile.
                        let _ = reply.send(pass);
                    }
                }
            }
        }
    }

    /// One look at the files. What they include is known only afterwards: a file that is new among those may have changed
    /// before its watch began, and so there is a second look.
    async fn turn(&mut self, look: Look) -> Pass {
        let interest = self.locked(|loader| loader.interest()).await.unwrap_or_default();
        self.follow(&interest);
        let Some((pass, wanted)) = self.look(look).await else { return Pass::default() };
        if !pass.changed.is_empty() {
            // What the zone was made of, and what it has replaced.
            self.locked(|_| residency::let_go()).await;
        }
        if interest.covers(&wanted) {
            return pass;
        }
        self.follow(&wanted);
        match self.look(Look::Changed).await {
            Some((second, _)) => Pass { changed: [pass.changed, second.changed].concat(), ..second },
            None => pass,
        }
    }

    /// What a look did, and where changes matter after it.
    async fn look(&self, look: Look) -> Option<(Pass, Interest)> {
        let seen = self.locked(move |loader| (loader.pass(look), loader.interest(), loader.is_early())).await;
        let (pass, wanted, is_early) = seen?;
        if let Some(watch) = self.watch.as_ref().filter(|_| is_early) {
            watch.look_again();
        }
        Some((pass, wanted))
    }

    fn follow(&mut self, interest: &Interest) {
        let Some(watch) = &mut self.watch else { return };
        let refused = watch.follow(interest);
        for (folder, error) in refused.iter().filter(|(folder, _)| !self.refused.contains(folder)) {
            warn!("changes in {} are not followed: {error}; `kofn reload` reads them", folder.display());
        }
        self.refused = refused.into_iter().map(|(folder, _)| folder).collect();
    }

    /// Runs on a thread of its own, which gives way to those that answer. `None` when it panicked, which costs that look and nothing that is served.
    async fn locked<T: Send + 'static>(&self, work: impl FnOnce(&mut Loader) -> T + Send + 'static) -> Option<T> {
        let loader = Arc::clone(&self.loader);
        let locked = move || work(&mut loader.lock().unwrap_or_else(PoisonError::into_inner));
        let (done, result) = oneshot::channel();
        let work = move || {
            processor::give_way();
            // Nobody waits any more when the server is about to end.
            let _ = done.send(locked());
        };
        thread::Builder::new()
            .name("reload".into())
            .spawn(work)
            .inspect_err(|error| error!("no thread: {error}"))
            .ok()?;
        result.await.inspect_err(|_| error!("reading the files failed: the thread panicked")).ok()
    }
}

async fn settled(watch: Option<&Watch>) -> Touched {
    match watch {
        Some(watch) => watch.settled().await,
        None => std::future::pending().await,
    }
}
