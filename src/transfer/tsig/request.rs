//! Checking a request, and answering one that does not pass.

use std::collections::BTreeMap;

use super::super::notify::bare_reply;
use super::record::{Broken, Stamp, TsigRecord, append, append_variables};
use super::{FUDGE, Key, Signer, TsigError};
use crate::config::TsigKey;
use crate::wire::{Name, Rcode};

/// A request that may be believed.
#[derive(Debug)]
pub struct Opened {
    /// The request without its TSIG record.
    pub message: Vec<u8>,
    /// Signs what answers it; `None` when the request was not signed.
    pub signer: Option<Signer>,
}

/// A request that may not be believed, and what is sent back.
#[derive(Debug)]
pub struct Rejection {
    /// What is wrong; `None` when the message breaks the format.
    pub error: Option<TsigError>,
    /// The key that the request named.
    pub key: Option<Name>,
    /// The answer, whole.
    pub reply: Vec<u8>,
}

/// Checks the signature of a request, if it has one. `now` is in seconds since 1970.
///
/// # Errors
/// With the answer that RFC 8945 section 5.2 asks for. The message must have a header.
pub fn open(message: &[u8], keys: &BTreeMap<Name, TsigKey>, now: u64) -> Result<Opened, Rejection> {
    let record = match TsigRecord::find(message) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(Opened { message: message.to_vec(), signer: None }),
        Err(Broken) => {
            return Err(Rejection { error: None, key: None, reply: bare_reply(message, Rcode::FORMERR, false) });
        }
    };
    let Some(key) = Key::find(keys, &record.name).filter(|key| record.is_of(key)) else {
        return Err(reject_unsigned(message, &record, TsigError::BadKey));
    };
    let whole = key.mac_octets();
    if record.mac.len() > whole || record.mac.len() < 10.max(whole / 2) {
        let reply = bare_reply(message, Rcode::FORMERR, false);
        return Err(Rejection { error: None, key: Some(record.name), reply });
    }
    let unsigned = record.unsigned(message);
    let mut covered = unsigned.clone();
    append_variables(&mut covered, &key, record.stamp, (record.error, record.other));
    if record.mac.len() < whole {
        // Whether the part that came is right, only the local policy could make of interest; ours takes none.
        return Err(reject_unsigned(message, &record, TsigError::BadTrunc));
    }
    if !key.is_mac(&covered, record.mac) {
        return Err(reject_unsigned(message, &record, TsigError::BadSig));
    }
    let mut signer = Signer::answering(key, record.mac);
    if !record.stamp.holds_at(now) {
        // Signed, and with the client's own time, so that it can believe ours (RFC 8945 section 5.2.3).
        let mut reply = bare_reply(message, Rcode::NOTAUTH, false);
        let ours = Stamp { time: now, fudge: FUDGE }.octets();
        signer.sign_with(&mut reply, record.stamp, (TsigError::BadTime.number(), &ours[..6]));
        return Err(Rejection { error: Some(TsigError::BadTime), key: Some(record.name), reply });
    }
    Ok(Opened { message: unsigned, signer: Some(signer) })
}

fn reject_unsigned(message: &[u8], record: &TsigRecord<'_>, error: TsigError) -> Rejection {
    let mut reply = bare_reply(message, Rcode::NOTAUTH, false);
    let (name, algorithm) = (record.name.borrow(), record.algorithm.borrow().as_bytes());
    append(&mut reply, (name, algorithm), record.stamp, &[], (error.number(), &[]));
    Rejection { error: Some(error), key: Some(record.name.clone()), reply }
}
