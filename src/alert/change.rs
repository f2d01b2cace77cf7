//! What is wrong now, and how that differs from a moment ago.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::AlertKind;

/// Everything that is wrong at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions(BTreeMap<(AlertKind, String), String>);

/// Whether something begins or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was not so a moment ago.
    Raised,
    /// It is so no more.
    Cleared,
}

/// Something that begins, or is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which of both.
    pub state: State,
    /// The word of the configuration for it.
    pub kind: &'static str,
    /// Of whom it is told.
    pub subject: String,
    /// More about it, such as why a probe failed; may be empty.
    pub detail: String,
    /// When it was seen.
    pub time: Timestamp,
}

impl Conditions {
    /// Adds what is wrong with `subject`.
    pub fn add(&mut self, kind: AlertKind, subject: impl Into<String>, detail: impl Into<String>) {
        self.0.insert((kind, subject.into()), detail.into());
    }

    /// All of it: which kind, of whom, and more about it.
    pub fn iter(&self) -> impl Iterator<Item = (AlertKind, &str, &str)> {
        self.0.iter().map(|((kind, subject), detail)| (*kind, subject.as_str(), detail.as_str()))
    }

    /// What was not so `before`, and then what is so no more. Another detail alone is no change.
    pub(super) fn since(&self, before: &Self, time: Timestamp) -> Vec<Change> {
        let only_in = |here: &Self, there: &Self, state| {
            let fresh = here.0.iter().filter(|(key, _)| !there.0.contains_key(*key));
            let change = |((kind, subject), detail): (&(AlertKind, String), &String)| Change {
                state,
                kind: kind.name(),
                subject: subject.clone(),
                detail: detail.clone(),
                time,
            };
            fresh.map(change).collect::<Vec<_>>()
        };
        [only_in(self, before, State::Raised), only_in(before, self, State::Cleared)].concat()
    }

    /// These alone.
    pub(super) fn only(mut self, wanted: impl Fn(AlertKind) -> bool) -> Self {
        self.0.retain(|(kind, _), _| wanted(*kind));
        self
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, kind, subject, detail, .. } = self;
        match state {
            State::Raised if detail.is_empty() => write!(f, "{kind}: {subject}"),
            State::Raised => write!(f, "{kind}: {subject}: {detail}"),
            State::Cleared => write!(f, "no longer {kind}: {subject}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_told_by_what_differs() {
        let (mut before, mut now) = (Conditions::default(), Conditions::default());
        before.add(AlertKind::Down, "www 192.0.2.1", "timed out");
        before.add(AlertKind::Panic, "www A", "");
        now.add(AlertKind::Down, "www 192.0.2.1", "connection refused");
        now.add(AlertKind::Down, "www 192.0.2.2", "connection refused");
        let told: Vec<_> = now.since(&before, Timestamp::UNIX_EPOCH).iter().map(Change::to_string).collect();
        assert_eq!(told, ["down: www 192.0.2.2: connection refused", "no longer panic: www A"]);
        assert_eq!(now.since(&now, Timestamp::UNIX_EPOCH), []);
        assert_eq!(now.clone().only(|kind| kind == AlertKind::Panic), Conditions::default());
    }
}
