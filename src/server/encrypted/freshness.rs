//! For how long an HTTP cache may keep a reply.

use crate::wire::HEADER;

/// The least TTL of the answer, or of the authority section if there is no answer, in seconds (RFC 8484 section 5.1); 0 for a
/// reply without records. `reply` is one that the engine wrote.
pub(super) fn freshness(reply: &[u8]) -> u32 {
    least_ttl(reply).unwrap_or(0)
}

fn least_ttl(reply: &[u8]) -> Option<u32> {
    let count = |at: usize| reply.get(at..at + 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]));
    let (questions, answers, authorities) = (count(4)?, count(6)?, count(8)?);
    let mut rest = reply.get(HEADER..)?;
    for _ in 0..questions {
        rest = after_name(rest)?.get(4..)?;
    }
    let mut least = None;
    for _ in 0..if answers > 0 { answers } else { authorities } {
        let (fixed, after) = after_name(rest)?.split_first_chunk::<10>()?;
        let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
        rest = after.get(usize::from(u16::from_be_bytes([fixed[8], fixed[9]]))..)?;
    }
    least
}

fn after_name(mut octets: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = octets.split_first()?;
        octets = match length {
            0 => return Some(rest),
            0xc0.. => return rest.get(1..),
            length => rest.get(usize::from(*length)..)?,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x01a\x04test\0\0\x01\0\x01";

    fn record(ttl: u32) -> Vec<u8> {
        [b"\xc0\x0c\0\x01\0\x01", &ttl.to_be_bytes()[..], b"\0\x04\x7f\0\0\x01"].concat()
    }

    fn reply(answers: &[u32], authorities: &[u32]) -> Vec<u8> {
        let counts = [0, 0, 0x80, 0, 0, 1, 0, answers.len() as u8, 0, authorities.len() as u8, 0, 0];
        let records = answers.iter().chain(authorities).flat_map(|ttl| record(*ttl));
        counts.into_iter().chain(QUESTION.iter().copied()).chain(records).collect()
    }

    #[test]
    fn a_reply_is_fresh_for_its_least_ttl() {
        assert_eq!(freshness(&reply(&[300, 30, 60], &[5])), 30);
        assert_eq!(freshness(&reply(&[], &[10])), 10);
        assert_eq!(freshness(&reply(&[], &[])), 0);
        assert_eq!(freshness(b"short"), 0);
    }
}
