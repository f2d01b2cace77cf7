//! Names as people write them: master file text with dots and escapes (RFC 1035 section 5.1).

use std::fmt;

use super::name::{MAX_LABEL, MAX_NAME, Name, NameError, NameRef};

impl Name {
    /// Reads master file text as an absolute name, with or without the final dot.
    ///
    /// # Errors
    /// When a label or the name is too long, a label is empty, or an escape is broken.
    pub fn from_text(text: &[u8]) -> Result<Self, NameError> {
        Self::from_text_in(text, NameRef::ROOT)
    }

    /// Reads master file text; without a final dot it is relative to `origin`.
    ///
    /// # Errors
    /// When a label or the name is too long, a label is empty, or an escape is broken.
    pub fn from_text_in(text: &[u8], origin: NameRef<'_>) -> Result<Self, NameError> {
        let mut octets = Vec::with_capacity(text.len() + 1 + origin.len());
        Self::append_text_in(text, origin, &mut octets)?;
        Ok(Self::from_octets(octets))
    }

    /// Does what [`Name::from_text_in`] does, but appends the wire form to `octets`: for those who read names by the
    /// million. After an error `octets` holds a part of the name.
    ///
    /// # Errors
    /// When a label or the name is too long, a label is empty, or an escape is broken.
    pub fn append_text_in(text: &[u8], origin: NameRef<'_>, octets: &mut Vec<u8>) -> Result<(), NameError> {
        let name_start = octets.len();
        if text == b"." {
            octets.push(0);
            return Ok(());
        }
        let mut rest = text;
        let absolute = loop {
            let start = octets.len();
            octets.push(0);
            let ended_by_dot = read_label(&mut rest, octets)?;
            let length = octets.len() - start - 1;
            match length {
                0 => return Err(NameError::EmptyLabel),
                1..=MAX_LABEL => octets[start] = length as u8,
                _ => return Err(NameError::LongLabel),
            }
            if rest.is_empty() {
                break ended_by_dot;
            }
        };
        octets.extend_from_slice(if absolute { &[0] } else { origin.as_bytes() });
        if octets.len() - name_start > MAX_NAME {
            return Err(NameError::LongName);
        }
        Ok(())
    }
}

impl fmt::Display for NameRef<'_> {
    /// Master file text with the final dot (RFC 1035 section 5.1), escaped so that it reads back to the same octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.is_root() {
            return f.write_char('.');
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        f.write_char('\\')?;
                        f.write_char(octet as char)?;
                    }
                    0x21..=0x7e => f.write_char(octet as char)?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_char('.')?;
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.borrow(), f)
    }
}

/// Reads one label up to a dot or the end; says whether a dot ended it.
fn read_label(rest: &mut &[u8], octets: &mut Vec<u8>) -> Result<bool, NameError> {
    loop {
        let plain = rest.iter().position(|octet| matches!(octet, b'.' | b'\\')).unwrap_or(rest.len());
        octets.extend_from_slice(&rest[..plain]);
        let stop = rest.get(plain).copied();
        *rest = rest.get(plain + 1..).unwrap_or_default();
        match stop {
            None => return Ok(false),
            Some(b'\\') => octets.push(read_escape(rest)?),
            Some(_) => return Ok(true),
        }
    }
}

/// Reads what follows a backslash in master file text, three digits or one octet (RFC 1035 section 5.1), and takes it
/// off the front of `rest`.
///
/// # Errors
/// [`NameError::BadEscape`] when nothing follows, or digits that are not three or exceed 255.
pub fn read_escape(rest: &mut &[u8]) -> Result<u8, NameError> {
    match **rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            *rest = &rest[3..];
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            u8::try_from(value).map_err(|_| NameError::BadEscape)
        }
        [b'0'..=b'9', ..] | [] => Err(NameError::BadEscape),
        [octet, ..] => {
            *rest = &rest[1..];
            Ok(octet)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes()).unwrap()
    }

    #[test]
    fn text_reads_and_prints_back() {
        for text in [".", "a.", "www.example.test.", "a\\.b.c.", "\\000\\255.x.", "*.e.", "\\@.x."] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("www.example.test").to_string(), "www.example.test.");
        let origin = name("example.test.");
        assert_eq!(Name::from_text_in(b"www", origin.borrow()).unwrap().to_string(), "www.example.test.");
    }

    #[test]
    fn bad_text_is_refused() {
        let long = "a".repeat(64);
        let chain = "a.".repeat(128);
        for (text, error) in [
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("", NameError::EmptyLabel),
            ("\\256.", NameError::BadEscape),
            ("\\1", NameError::BadEscape),
            ("a\\", NameError::BadEscape),
            (&long, NameError::LongLabel),
            (&chain, NameError::LongName),
        ] {
            assert_eq!(Name::from_text(text.as_bytes()), Err(error), "{text}");
        }
    }
}
