//! What a primary does that it must not, or that we will not take from it.

use crate::wire::{Rcode, Type};
use crate::zone::Serial;

/// Why an answer of a primary was not taken. Nothing that is served has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// Not a DNS message.
    #[error("it sent what is no DNS message")]
    Malformed,
    /// Another ID, question or opcode.
    #[error("it answered something that was not asked")]
    NotTheAnswer,
    /// An rcode other than NOERROR.
    #[error("it answered {0}")]
    Refused(Rcode),
    /// RDATA that its type cannot have.
    #[error("it sent {0} data that is malformed")]
    Rdata(Type),
    /// An answer about its zone without AA: it does not hold the zone, or not any more.
    #[error("it does not hold the zone")]
    NotAuthoritative,
    /// An answer without the SOA that was asked for.
    #[error("its answer does not start with the zone's SOA")]
    NoSoa,
    /// A class other than IN.
    #[error("it sent a record of another class")]
    Class,
    /// A record that is not at or below the apex.
    #[error("it sent a record that is not in the zone")]
    OutOfZone,
    /// The SOA at the end differs from the one at the start.
    #[error("the zone changed while it was sent, the last SOA is not the first")]
    EndDiffers,
    /// The connection ended before the transfer did.
    #[error("the transfer broke off")]
    Short,
    /// Octets behind the last record, or records behind the last SOA.
    #[error("it sent records behind the end of the transfer")]
    Trailing,
    /// Its differences begin at a serial that is not ours, or at one where the last did not end.
    #[error("its differences start at serial {found}, not at {expected}")]
    Chain {
        /// Where they had to start.
        expected: Serial,
        /// Where they did.
        found: Serial,
    },
    /// It deletes what is not there, or adds what is.
    #[error("its differences do not fit the zone that is here")]
    Unfit,
    /// One SOA, newer than ours, and nothing else (RFC 1995 section 4 allows that by UDP only).
    #[error("it announced serial {0} and sent nothing of it")]
    Nothing(Serial),
    /// The serial of the transfer is older than the one it announced, or older than ours.
    #[error("it sent serial {found} where {expected} was due")]
    Older {
        /// What it announced.
        expected: Serial,
        /// What it sent.
        found: Serial,
    },
    /// The zone has no SOA or no NS at its apex, or is too large for the server.
    #[error("what it sent is no zone: {0}")]
    NoZone(&'static str),
    /// More than the limit.
    #[error("it sent more than limits.transfer_octets")]
    TooMuch,
}
