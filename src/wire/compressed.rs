//! Names inside messages, which may point back at names that stand before them (RFC 1035 section 4.1.4).

use super::name::{MAX_LABEL, MAX_NAME, NameError};

/// Appends the name that starts at `at` in `message` to `out`, uncompressed, and returns where the octets behind it begin.
/// After an error `out` holds a part of the name.
///
/// Each pointer must lead to before the last one: so no chain of them goes round, and none takes more than a walk over the
/// message.
///
/// # Errors
/// When there is no whole legal name.
pub fn expand_name(message: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, NameError> {
    let start = out.len();
    let (mut at, mut before, mut end) = (at, at, None);
    loop {
        let length = usize::from(*message.get(at).ok_or(NameError::Short)?);
        match length {
            0 => {
                out.push(0);
                break;
            }
            1..=MAX_LABEL => {
                out.extend_from_slice(message.get(at..=at + length).ok_or(NameError::Short)?);
                at += 1 + length;
            }
            POINTER.. => {
                let low = usize::from(*message.get(at + 1).ok_or(NameError::Short)?);
                end = end.or(Some(at + 2));
                at = (length - POINTER) << 8 | low;
                if at >= before {
                    return Err(NameError::Forward);
                }
                before = at;
            }
            _ => return Err(NameError::LongLabel),
        }
        if out.len() - start >= MAX_NAME {
            return Err(NameError::LongName);
        }
    }
    Ok(end.unwrap_or(at + 1))
}

const POINTER: usize = 0xc0;

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(message: &[u8], at: usize) -> Result<(Vec<u8>, usize), NameError> {
        let mut out = Vec::new();
        expand_name(message, at, &mut out).map(|end| (out, end))
    }

    #[test]
    fn pointers_lead_back() {
        let message = b"\x01a\x00\x01b\xc0\x00\x01c\xc0\x03\x00";
        assert_eq!(expand(message, 0), Ok((b"\x01a\x00".to_vec(), 3)));
        assert_eq!(expand(message, 3), Ok((b"\x01b\x01a\x00".to_vec(), 7)));
        assert_eq!(expand(message, 7), Ok((b"\x01c\x01b\x01a\x00".to_vec(), 11)));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (message, error) in [
            (&b"\x01a"[..], NameError::Short),
            (b"\x03ab", NameError::Short),
            (b"\xc0", NameError::Short),
            (b"\xc0\x00", NameError::Forward),
            (b"\x01a\xc0\x00", NameError::Forward),
            (b"\x40a\x00", NameError::LongLabel),
        ] {
            assert_eq!(expand(message, 0), Err(error), "{message:?}");
        }
        let long =
            [&b"\x3f"[..], &[b'a'; 63], b"\x3f", &[b'a'; 63], b"\x3f", &[b'a'; 63], b"\x3e", &[b'a'; 62], b"\x00"];
        assert_eq!(expand(&long.concat(), 0), Err(NameError::LongName));
        let mut fits = long.concat();
        fits[192] = 61;
        fits.remove(193);
        assert_eq!(expand(&fits, 0).map(|(name, end)| (name.len(), end)), Ok((255, 255)));
    }
}
