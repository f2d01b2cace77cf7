//! A transfer to a client, message by message.
//!
//! ```text
//! Request ─► decide (image, journal) ─► Content: Soa │ Difference │ Whole ─► Sending::next ─► message, message, …
//! ```
//!
//! A [`Sending`] holds a place in the zone and no copy of it: a million records go out in the memory of one message, and a
//! client that reads slowly costs no more.

mod content;
mod pack;
mod request;

pub use content::{Content, decide};
pub use request::{Request, Wanted};

use super::tsig::Signer;
use crate::zone::Image;
use pack::Packer;

/// Octets of the largest message.
const LARGEST: usize = u16::MAX as usize;
/// Octets of an OPT record without options.
const OPT: usize = 11;

/// A transfer under way.
#[derive(Debug)]
pub struct Sending {
    request: Request,
    content: Content,
    signer: Option<Signer>,
    names: crate::wire::Names,
    is_first: bool,
}

/// What remains after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// There is more to send.
    More,
    /// This was the last message.
    Nothing,
}

/// A record is too large for any message, so the zone cannot be transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record is too large for a message")]
pub struct TooLarge;

impl Sending {
    /// Sends `content` in answer to `request`, signed if the request was.
    pub fn new(request: Request, content: Content, signer: Option<Signer>) -> Self {
        Self { request, content, signer, names: crate::wire::Names::default(), is_first: true }
    }

    /// Answers by one datagram of at most `limit` octets (RFC 1995 section 2): the difference if it fits, else the SOA record
    /// alone, upon which the client asks again by TCP.
    pub fn datagram(request: Request, content: Content, image: &Image, signer: Option<Signer>, limit: usize) -> Self {
        let fits = match &content {
            Content::Whole(_) => false,
            Content::Soa(_) => true,
            Content::Difference(walk) => {
                let overhead = request.question().len() + 12 + OPT + signer.as_ref().map_or(0, Signer::octets);
                walk.octets() + overhead <= limit
            }
        };
        let content = if fits { content } else { Content::soa(image) };
        Self::new(request, content, signer)
    }

    /// Writes the next message over what `message` holds. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the zone holds what no message can.
    pub fn next(&mut self, message: &mut Vec<u8>, now: u64) -> Result<Remainder, TooLarge> {
        let reserved = OPT * usize::from(self.request.edns) + self.signer.as_ref().map_or(0, Signer::octets);
        message.resize(LARGEST - reserved, 0);
        self.names.clear();
        let mut packer = Packer::begin(&self.request, self.is_first, &mut self.names, message);
        let done = self.content.fill(&mut packer);
        if !done && packer.records() == 0 {
            return Err(TooLarge);
        }
        let octets = packer.finish();
        self.is_first = false;
        message.truncate(octets);
        if self.request.edns {
            append_opt(message);
        }
        if let Some(signer) = &mut self.signer {
            signer.sign(message, now);
        }
        Ok(if done { Remainder::Nothing } else { Remainder::More })
    }
}

/// Every message that answers a query with OPT has one (RFC 6891 section 6.1.1).
fn append_opt(message: &mut Vec<u8>) {
    const PAYLOAD: [u8; 2] = 1232u16.to_be_bytes();
    message.extend_from_slice(&[0, 0, 41, PAYLOAD[0], PAYLOAD[1], 0, 0, 0, 0, 0, 0]);
    message[11] += 1;
}

#[cfg(test)]
mod tests;
