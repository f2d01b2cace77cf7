//! One recipient: paced, and tried again when it cannot be told.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::change::{Change, State};
use super::command::Command;
use super::mailbox::{Delivery, Mailbox};
use super::message::Message;
use super::webhook::Webhook;
use crate::config::Alert;

/// What falls at one moment is told at once, though it was noticed one by one.
const GATHER: Duration = Duration::from_millis(300);

/// How often one delivery is tried: the pauses double from a second, so that it is given up after some four minutes.
const ATTEMPTS: u32 = 9;

/// The longest that one attempt may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is told.
#[derive(Debug)]
pub(super) enum Outlet {
    Command(Command),
    Webhook(Webhook),
}

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Another attempt may go better.
    #[error("{0}")]
    Passing(String),
    /// The recipient will say the same again.
    #[error("{0}")]
    Final(String),
}

/// Tells everyone of `alert` once that this is a test, and what became of it.
pub async fn test(alert: &Alert, server: &str) -> Vec<(&'static str, Result<(), DeliveryError>)> {
    let time = Timestamp::now();
    let (subject, detail) = ("this is a test".to_owned(), "nothing is wrong".to_owned());
    let delivery =
        Delivery { changes: vec![Change { state: State::Raised, kind: "test", subject, detail, time }], omitted: 0 };
    let message = Message::new(server, &delivery, time);
    let mut results = Vec::new();
    for outlet in Outlet::all(alert) {
        results.push((outlet.name(), outlet.attempt(&message.text, &message.json()).await));
    }
    results
}

impl Outlet {
    /// Everyone who is told.
    pub(super) fn all(alert: &Alert) -> impl Iterator<Item = Self> {
        let command = alert.command.clone().map(|words| Self::Command(Command(words)));
        let webhook = alert.webhook.as_ref().map(|url| Self::Webhook(Webhook::new(url, &alert.webhook_trust)));
        command.into_iter().chain(webhook)
    }

    /// Tells what comes into the mailbox, for ever.
    pub(super) async fn run(self, mailbox: Arc<Mailbox>, server: Arc<str>, every: Duration) {
        loop {
            mailbox.filled().await;
            sleep(GATHER).await;
            let delivery = mailbox.take();
            self.deliver(&Message::new(&server, &delivery, Timestamp::now())).await;
            sleep(every).await;
        }
    }

    async fn deliver(&self, message: &Message<'_>) {
        let json = message.json();
        for attempt in 1..=ATTEMPTS {
            let (error, last) = match self.attempt(&message.text, &json).await {
                Ok(()) => return info!(to = self.name(), "alert delivered: {}", message.text),
                Err(error @ DeliveryError::Final(_)) => (error, true),
                Err(error) => (error, attempt == ATTEMPTS),
            };
            if last {
                return warn!(to = self.name(), attempt, "alert lost: {error}; it said: {}", message.text);
            }
            warn!(to = self.name(), attempt, "alert not delivered, it is tried again: {error}");
            sleep(Duration::from_secs(1 << (attempt - 1))).await;
        }
    }

    async fn attempt(&self, text: &str, json: &str) -> Result<(), DeliveryError> {
        let outcome = match self {
            Self::Command(command) => timeout(PATIENCE, command.run(text, json)).await,
            Self::Webhook(webhook) => timeout(PATIENCE, webhook.post(json)).await,
        };
        outcome.unwrap_or_else(|_| Err(DeliveryError::Passing(format!("no end after {PATIENCE:?}"))))
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Webhook(_) => "webhook",
        }
    }
}
