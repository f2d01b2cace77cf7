//! How large answers are.
//!
//! Reckoned, not built: header, question, OPT, the records with a pointer for their owner, and when signed one RRSIG of
//! ECDSA P-256 (RFC 6605: 64 octets) for the set. Cookies and NSID, which few ask for, are not in it.

use serde::Serialize;

use super::Family;
use super::subject::Subject;

/// Octets of a DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Octets {
    pub(super) plain: usize,
    pub(super) signed: usize,
}

impl Octets {
    /// Of an answer with so many addresses.
    pub(super) fn of(subject: &Subject, records: usize) -> Self {
        let apex = subject.apex.borrow().len();
        let owner = subject.owner.as_ref().map_or(apex + LABEL, |owner| owner.borrow().len());
        let address = if subject.family == Family::A { 4 } else { 16 };
        let plain = HEADER + owner + TYPE_AND_CLASS + records * (RECORD + address) + OPT;
        Self { plain, signed: plain + RECORD + SIGNATURE_FIELDS + apex + SIGNATURE }
    }
}

const HEADER: usize = 12;
const TYPE_AND_CLASS: usize = 4;
/// A record without its data: a pointer, type, class, TTL and length.
const RECORD: usize = 12;
/// OPT without options (RFC 6891 section 6.1.2).
const OPT: usize = 11;
/// What an RRSIG has before the signer's name (RFC 4034 section 3.1).
const SIGNATURE_FIELDS: usize = 18;
const SIGNATURE: usize = 64;
/// The `www` of an imagined pool.
const LABEL: usize = 4;
