//! The document that recipients get.

use jiff::Timestamp;
use serde::Serialize;

use super::change::Change;
use super::mailbox::Delivery;

/// One delivery, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    /// All of it in one line for people; chat services show what has this name.
    pub(super) text: String,
    /// `identity.id`, or the name of the machine.
    server: &'a str,
    version: &'static str,
    time: Timestamp,
    changes: &'a [Change],
    /// How many changes were left out.
    omitted: usize,
}

/// Changes that the line of text names.
const NAMED: usize = 3;

impl<'a> Message<'a> {
    pub(super) fn new(server: &'a str, delivery: &'a Delivery, time: Timestamp) -> Self {
        let Delivery { changes, omitted } = delivery;
        let named: Vec<_> = changes.iter().take(NAMED).map(Change::to_string).collect();
        let others = changes.len() - named.len() + omitted;
        let more = if others > 0 { format!("; and {others} more") } else { String::new() };
        let text = format!("kofn {server}: {}{more}", named.join("; "));
        Self { text, server, version: env!("CARGO_PKG_VERSION"), time, changes, omitted: *omitted }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and times become JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::State;
    use super::*;

    #[test]
    fn a_line_says_the_most_important_and_counts_the_rest() {
        let change = |subject: &str| Change {
            state: State::Raised,
            kind: "down",
            subject: subject.to_owned(),
            detail: "timed out".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        };
        let delivery = Delivery { changes: ["a", "b", "c", "d"].map(change).into(), omitted: 5 };
        let message = Message::new("ns1", &delivery, Timestamp::UNIX_EPOCH);
        assert_eq!(message.text, "kofn ns1: down: a: timed out; down: b: timed out; down: c: timed out; and 6 more");
        let json: serde_json::Value = serde_json::from_str(&message.json()).unwrap();
        assert_eq!(json["changes"][3]["subject"], "d");
        assert_eq!((&json["changes"][0]["state"], &json["omitted"]), (&"raised".into(), &5.into()));
    }
}
