//! Checking what answers a request of ours.

use super::record::{TsigRecord, append_prior, append_variables};
use super::{Key, TsigError};

/// Messages in a row that may come without a signature (RFC 8945 section 5.3.1).
const MOST_UNSIGNED: usize = 99;

/// Checks the messages that answer one signed request, in their order.
#[derive(Debug)]
pub struct Verifier {
    key: Key,
    prior: Vec<u8>,
    continues: bool,
    /// The messages since the last signature: the next one covers them.
    unsigned: Vec<u8>,
    unsigned_count: usize,
}

/// Why a message is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// Broken beyond what its signature could save.
    #[error("the signature is malformed")]
    Malformed,
    /// The first message, or too many in a row, have no signature.
    #[error("the signature is missing")]
    Missing,
    /// Signed with another key than the request was.
    #[error("signed with another key")]
    OtherKey,
    /// The MAC is not the right one.
    #[error("the signature is wrong")]
    BadSig,
    /// Signed at another time than now.
    #[error("signed at another time: the clocks differ by {0} s")]
    BadTime(u64),
    /// The peer says that our request was not acceptable.
    #[error("the peer does not accept our signature: {0}")]
    Refused(TsigError),
}

impl Verifier {
    pub(super) fn new(key: Key, request_mac: Vec<u8>) -> Self {
        Self { key, prior: request_mac, continues: false, unsigned: Vec::new(), unsigned_count: 0 }
    }

    /// Checks the next message; returns how many octets it has without its TSIG record. A message without one is provisional:
    /// only a later signature vouches for it, so ask [`Verifier::is_complete`] at the end.
    ///
    /// # Errors
    /// When the message is not from whom we asked, or its peer refuses to sign.
    pub fn verify(&mut self, message: &[u8], now: u64) -> Result<usize, Unverified> {
        let Some(record) = TsigRecord::find(message).map_err(|_| Unverified::Malformed)? else {
            return self.take_unsigned(message);
        };
        if !record.is_of(&self.key) {
            return Err(Unverified::OtherKey);
        }
        if record.mac.is_empty() && record.error != 0 {
            return Err(Unverified::Refused(TsigError::from_number(record.error)));
        }
        let covered = self.covered(&record, message);
        if !self.key.is_mac(&covered, record.mac) {
            return Err(Unverified::BadSig);
        }
        if record.error != 0 {
            return Err(Unverified::Refused(TsigError::from_number(record.error)));
        }
        if !record.stamp.holds_at(now) {
            return Err(Unverified::BadTime(record.stamp.time.abs_diff(now)));
        }
        self.prior = record.mac.to_vec();
        self.continues = true;
        self.unsigned.clear();
        self.unsigned_count = 0;
        Ok(record.at)
    }

    /// Whether a signature covers every message so far, and there was one.
    pub fn is_complete(&self) -> bool {
        self.continues && self.unsigned_count == 0
    }

    fn take_unsigned(&mut self, message: &[u8]) -> Result<usize, Unverified> {
        if !self.continues || self.unsigned_count == MOST_UNSIGNED {
            return Err(Unverified::Missing);
        }
        self.unsigned.extend_from_slice(message);
        self.unsigned_count += 1;
        Ok(message.len())
    }

    fn covered(&self, record: &TsigRecord<'_>, message: &[u8]) -> Vec<u8> {
        let mut covered = Vec::with_capacity(self.unsigned.len() + message.len() + 128);
        append_prior(&mut covered, &self.prior);
        covered.extend_from_slice(&self.unsigned);
        covered.extend_from_slice(&record.unsigned(message));
        if self.continues {
            covered.extend_from_slice(&record.stamp.octets());
        } else {
            append_variables(&mut covered, &self.key, record.stamp, (record.error, record.other));
        }
        covered
    }
}
