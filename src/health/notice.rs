//! What a backend says in its answer to a probe, beside being well or not.

use jiff::Timestamp;

/// Said in one answer; `None` where the answer says nothing of it, or where none came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Whether the backend asks to be left out of the answers.
    pub drains: Option<bool>,
    /// When its certificate ends.
    pub certificate_end: Option<Timestamp>,
}

impl Notice {
    /// What is known after `newer`. A backend that drains and then stops is not back because it says nothing any more.
    pub(super) fn followed_by(self, newer: Self) -> Self {
        Self { drains: newer.drains.or(self.drains), certificate_end: newer.certificate_end.or(self.certificate_end) }
    }
}
