//! Signing, one message after another.

use super::record::{Stamp, append, append_prior, append_variables};
use super::{FUDGE, Key, Verifier};

/// Signs a request, or the messages that answer one.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Key,
    /// The MAC that the next one covers: that of the request, then that of each message. Empty before the request.
    prior: Vec<u8>,
    /// Whether a message that answers was signed already: those after the first cover times alone (RFC 8945 section 5.3.1).
    continues: bool,
    /// What is covered, kept to save the allocation of 64 KiB a message.
    covered: Vec<u8>,
}

impl Signer {
    /// For a request.
    pub fn new(key: Key) -> Self {
        Self { key, prior: Vec::new(), continues: false, covered: Vec::new() }
    }

    /// For what answers a request with this MAC.
    pub(super) fn answering(key: Key, request_mac: &[u8]) -> Self {
        Self { prior: request_mac.to_vec(), ..Self::new(key) }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// How many octets longer a message gets.
    pub fn octets(&self) -> usize {
        self.key.name().len() + 10 + self.key.algorithm().len() + 16 + self.key.mac_octets()
    }

    /// Signs a message, which must be whole but for its TSIG record. `now` is in seconds since 1970.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: u64) {
        self.sign_with(message, Stamp { time: now, fudge: FUDGE }, (0, &[]));
    }

    pub(super) fn sign_with(&mut self, message: &mut Vec<u8>, stamp: Stamp, error: (u16, &[u8])) {
        self.covered.clear();
        if !self.prior.is_empty() {
            append_prior(&mut self.covered, &self.prior);
        }
        self.covered.extend_from_slice(message);
        if self.continues {
            self.covered.extend_from_slice(&stamp.octets());
        } else {
            append_variables(&mut self.covered, &self.key, stamp, error);
        }
        // The first message after a request continues nothing; a request starts with no prior at all.
        self.continues = !self.prior.is_empty();
        self.prior = self.key.mac(&self.covered);
        append(message, (self.key.name(), self.key.algorithm()), stamp, &self.prior, error);
    }

    /// What checks the answers to the request that was signed.
    pub fn into_verifier(self) -> Verifier {
        Verifier::new(self.key, self.prior)
    }
}
