//! Messages signed with a shared secret (RFC 8945), as octets.
//!
//! ```text
//! us as server   octets ─ open ─► message without TSIG + Signer ─ sign ─► reply, next reply, …
//!                           └──► Rejection: the answer that says why
//! us as client   Signer::new ─ sign ─► request;  into_verifier ─► Verifier ─ verify ─► reply, next reply, …
//! ```
//!
//! * Each signature covers the one before it, so messages of a stream can be neither left out nor swapped.
//! * A MAC is taken whole or not at all: who shares a secret with us has no reason to shorten it (RFC 8945 section 5.2.2.1).
//! * Secrets are never printed, and MACs are compared in constant time.

mod record;
mod request;
mod signer;
mod verifier;

pub use request::{Opened, Rejection, open};
pub use signer::Signer;
pub use verifier::{Unverified, Verifier};

use std::collections::BTreeMap;

use hickory_proto::rr::rdata::tsig::TsigAlgorithm as Hmac;

use crate::config::{TsigAlgorithm, TsigKey};
use crate::wire::{Name, NameRef};

/// Seconds that clocks may differ (RFC 8945 section 10).
pub const FUDGE: u16 = 300;

/// The error field of a TSIG record (RFC 8945 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigError {
    /// The MAC is not the right one.
    BadSig,
    /// We know no key of this name with this algorithm.
    BadKey,
    /// The message was signed too long ago, or in the future.
    BadTime,
    /// The MAC is shorter than we take.
    BadTrunc,
    /// Any other.
    Other(u16),
}

impl TsigError {
    /// The number of the error.
    pub const fn number(self) -> u16 {
        match self {
            Self::BadSig => 16,
            Self::BadKey => 17,
            Self::BadTime => 18,
            Self::BadTrunc => 22,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            16 => Self::BadSig,
            17 => Self::BadKey,
            18 => Self::BadTime,
            22 => Self::BadTrunc,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for TsigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadSig => f.write_str("BADSIG"),
            Self::BadKey => f.write_str("BADKEY"),
            Self::BadTime => f.write_str("BADTIME"),
            Self::BadTrunc => f.write_str("BADTRUNC"),
            Self::Other(number) => write!(f, "TSIG error {number}"),
        }
    }
}

/// A key and its name, ready to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// In lower case, as signatures cover it.
    name: Name,
    key: TsigKey,
}

impl Key {
    /// The key that is called `name`.
    pub fn new(name: &Name, key: &TsigKey) -> Self {
        Self { name: name.to_lower(), key: key.clone() }
    }

    /// The key of this name among those that are configured.
    pub fn find(keys: &BTreeMap<Name, TsigKey>, name: &Name) -> Option<Self> {
        keys.get(name).map(|key| Self::new(name, key))
    }

    /// What the key is called.
    pub fn name(&self) -> NameRef<'_> {
        self.name.borrow()
    }

    /// The algorithm's name in wire form.
    fn algorithm(&self) -> &'static [u8] {
        match self.key.algorithm {
            TsigAlgorithm::HmacSha256 => b"\x0bhmac-sha256\0",
            TsigAlgorithm::HmacSha384 => b"\x0bhmac-sha384\0",
            TsigAlgorithm::HmacSha512 => b"\x0bhmac-sha512\0",
        }
    }

    /// Octets of a MAC.
    fn mac_octets(&self) -> usize {
        match self.key.algorithm {
            TsigAlgorithm::HmacSha256 => 32,
            TsigAlgorithm::HmacSha384 => 48,
            TsigAlgorithm::HmacSha512 => 64,
        }
    }

    fn mac(&self, octets: &[u8]) -> Vec<u8> {
        self.hmac().mac_data(&self.key.secret, octets).expect("the three algorithms are built in")
    }

    /// Whether `mac` is that of `octets`, in constant time.
    fn is_mac(&self, octets: &[u8], mac: &[u8]) -> bool {
        self.hmac().verify_mac(&self.key.secret, octets, mac).is_ok()
    }

    fn hmac(&self) -> Hmac {
        match self.key.algorithm {
            TsigAlgorithm::HmacSha256 => Hmac::HmacSha256,
            TsigAlgorithm::HmacSha384 => Hmac::HmacSha384,
            TsigAlgorithm::HmacSha512 => Hmac::HmacSha512,
        }
    }
}

#[cfg(test)]
mod tests;
