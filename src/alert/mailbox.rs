//! What is still to be told to one recipient: as much as a person reads, and the number of the rest.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::change::Change;

/// Changes in one delivery.
const MOST: usize = 100;

/// The changes that wait for a recipient.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Delivery>,
    filled: Notify,
}

/// What is told at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    /// In the order of time.
    pub(super) changes: Vec<Change>,
    /// How many more there were.
    pub(super) omitted: usize,
}

impl Mailbox {
    pub(super) fn put(&self, changes: &[Change]) {
        let mut waiting = self.lock();
        let taken = changes.len().min(MOST - waiting.changes.len());
        waiting.changes.extend_from_slice(&changes[..taken]);
        waiting.omitted += changes.len() - taken;
        self.filled.notify_one();
    }

    /// Waits until there is something.
    pub(super) async fn filled(&self) {
        while self.lock().changes.is_empty() {
            self.filled.notified().await;
        }
    }

    pub(super) fn take(&self) -> Delivery {
        mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Delivery> {
        // Whole after each statement, so a panic elsewhere spoils nothing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::change::State;
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let change = |subject: String| Change {
            state: State::Raised,
            kind: "down",
            subject,
            detail: String::new(),
            time: Timestamp::UNIX_EPOCH,
        };
        let changes: Vec<_> = (0..MOST + 7).map(|number| change(number.to_string())).collect();
        let mailbox = Mailbox::default();
        mailbox.put(&changes[..60]);
        mailbox.put(&changes[60..]);
        mailbox.put(&changes[..1]);
        assert_eq!(mailbox.take(), Delivery { changes: changes[..MOST].to_vec(), omitted: 8 });
        assert_eq!(mailbox.take(), Delivery::default());
    }
}
