//! Looks again and again at what is wrong, and hands what has changed to the recipients.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::change::Conditions;
use super::mailbox::Mailbox;
use super::outlet::Outlet;
use crate::config::Alert;

/// A look is at least so long after the one before: a flood of generations must not keep this task busy.
const REST: Duration = Duration::from_millis(200);

/// A look comes at the latest now: not all that goes wrong makes a generation.
const TICK: Duration = Duration::from_secs(1);

/// What the alerts are made from.
pub struct Sources {
    /// Tells that something may have changed.
    pub generations: watch::Receiver<u64>,
    /// All that is wrong now.
    pub look: Box<dyn Fn() -> Conditions + Send>,
    /// Who is told, as the settings have it now, and by which name this server goes.
    pub settings: Box<dyn Fn() -> (Alert, Arc<str>) + Send>,
}

/// The task that tells people.
pub struct Alerts {
    sources: Sources,
    before: Conditions,
    followed: Option<(Alert, Arc<str>)>,
    mailboxes: Vec<Arc<Mailbox>>,
    /// Those that deliver; dropped, they end.
    outlets: JoinSet<()>,
}

impl Alerts {
    /// Knows of nothing wrong yet: what is so at the first look is told too.
    pub fn new(sources: Sources) -> Self {
        let (before, mailboxes, outlets) = (Conditions::default(), Vec::new(), JoinSet::new());
        Self { sources, before, followed: None, mailboxes, outlets }
    }

    /// Tells, until it is dropped.
    pub async fn run(mut self) {
        loop {
            self.follow_settings();
            if !self.mailboxes.is_empty() {
                self.look();
            }
            sleep(REST).await;
            // Whatever woke it, or nothing: it is time to look. A publisher that is gone has ended the program.
            let _ = timeout(TICK - REST, self.sources.generations.changed()).await;
        }
    }

    fn look(&mut self) {
        let Some((alert, _)) = &self.followed else { return };
        let now = (self.sources.look)().only(|kind| alert.on.contains(&kind));
        let changes = now.since(&self.before, Timestamp::now());
        if !changes.is_empty() {
            self.mailboxes.iter().for_each(|mailbox| mailbox.put(&changes));
        }
        self.before = now;
    }

    /// New recipients begin with an empty mailbox; what was still to be told to the old ones is not.
    fn follow_settings(&mut self) {
        let wanted = (self.sources.settings)();
        if self.followed.as_ref() == Some(&wanted) {
            return;
        }
        let (alert, server) = &wanted;
        self.outlets.abort_all();
        self.mailboxes.clear();
        for outlet in Outlet::all(alert) {
            let mailbox = Arc::new(Mailbox::default());
            self.outlets.spawn(outlet.run(Arc::clone(&mailbox), Arc::clone(server), alert.every));
            self.mailboxes.push(mailbox);
        }
        self.followed = Some(wanted);
    }
}
