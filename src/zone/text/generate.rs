//! `$GENERATE start-stop[/step]`: what `$` and `${offset,width,base}` stand for in each record.

use super::fault::{Blame, Spot, quote};
use super::scanner::Token;
use super::value::number;

/// The values that `$` takes.
#[derive(Debug)]
pub(super) struct Generate {
    start: u32,
    stop: u32,
    step: u32,
}

impl Generate {
    pub(super) fn read(token: Token<'_>) -> Result<Self, Blame> {
        Self::parse(token.text).filter(|_| !token.quoted).ok_or_else(|| {
            let found = format!("{} as the range of $GENERATE", quote(token.text));
            Blame::new(token.spot, found, "a range such as 1-254 or 0-100/2")
        })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (range, step) = match text.iter().position(|octet| *octet == b'/') {
            Some(slash) => (&text[..slash], number(&text[slash + 1..])?),
            None => (text, 1),
        };
        let hyphen = range.iter().position(|octet| *octet == b'-')?;
        let (start, stop) = (number(&range[..hyphen])?, number(&range[hyphen + 1..])?);
        let fits = start <= stop && stop <= i32::MAX as u32 && step > 0;
        fits.then_some(Self { start, stop, step })
    }

    pub(super) fn values(&self) -> impl Iterator<Item = u32> {
        (self.start..=self.stop).step_by(self.step as usize)
    }

    /// Replaces `out` by `template` with its `$` replaced: `$$` and `\$` are a plain `$`.
    pub(super) fn expand(&self, template: &[u8], spot: Spot, value: u32, out: &mut Vec<u8>) -> Result<(), Blame> {
        out.clear();
        let mut rest = template;
        while let Some((octet, tail)) = rest.split_first() {
            rest = tail;
            match (octet, tail) {
                (b'$', [b'$', after @ ..]) => {
                    out.extend_from_slice(b"\\$");
                    rest = after;
                }
                (b'$', [b'{', after @ ..]) => {
                    let modified = modify(after, value, out);
                    let bad = || Blame::new(spot, format!("{} as a modifier", quote(template)), A_MODIFIER);
                    rest = modified.ok_or_else(bad)?;
                }
                (b'$', _) => out.extend_from_slice(value.to_string().as_bytes()),
                (b'\\', [escaped, after @ ..]) => {
                    out.extend_from_slice(&[b'\\', *escaped]);
                    rest = after;
                }
                _ => out.push(*octet),
            }
        }
        Ok(())
    }
}

/// Appends what `${offset,width,base}` stands for; the result is what follows the brace.
fn modify<'a>(text: &'a [u8], value: u32, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let end = text.iter().position(|octet| *octet == b'}')?;
    let mut parts = text[..end].split(|octet| *octet == b',');
    let offset = parts.next()?;
    let offset = match offset.strip_prefix(b"-") {
        Some(digits) => -i64::from(number(digits)?),
        None => i64::from(number(offset)?),
    };
    let width = parts.next().map_or(Some(0), number)?;
    let width = usize::try_from(width).ok().filter(|width| *width <= 255)?;
    let base = parts.next().unwrap_or(b"d");
    let value = u32::try_from(i64::from(value) + offset).ok().filter(|_| parts.next().is_none())?;
    let digits = match base {
        b"d" => format!("{value:0width$}"),
        b"o" => format!("{value:0width$o}"),
        b"x" => format!("{value:0width$x}"),
        b"X" => format!("{value:0width$X}"),
        b"n" => nibbles(value, width),
        b"N" => nibbles(value, width).to_uppercase(),
        _ => return None,
    };
    out.extend_from_slice(digits.as_bytes());
    Some(&text[end + 1..])
}

/// Hexadecimal digits from the lowest up, each a label, as names under ip6.arpa have them; the width counts dots too.
fn nibbles(value: u32, width: usize) -> String {
    let mut digits = String::new();
    let mut rest = value;
    loop {
        digits.push(char::from_digit(rest & 15, 16).expect("four bits are a digit"));
        rest >>= 4;
        if rest == 0 && digits.len() >= width {
            return digits;
        }
        digits.push('.');
    }
}

const A_MODIFIER: &str = "${offset,width,base} with base d, o, x, X, n or N, and no negative result";

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str, value: u32) -> Option<String> {
        let spot = Spot { line: 1, column: 1 };
        let mut out = Vec::new();
        let generate = Generate { start: 0, stop: 1, step: 1 };
        generate.expand(template.as_bytes(), spot, value, &mut out).ok()?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn modifiers_shift_pad_and_change_the_base() {
        for (template, expected) in [
            ("a$", Some("a26")),
            ("$.$", Some("26.26")),
            ("${1}", Some("27")),
            ("${-6,4}", Some("0020")),
            ("${0,3,x}", Some("01a")),
            ("${0,0,X}", Some("1A")),
            ("${0,3,o}", Some("032")),
            ("${0,0,n}", Some("a.1")),
            ("${0,7,N}", Some("A.1.0.0")),
            ("a$$b\\$", Some("a\\$b\\$")),
            ("${-27}", None),
            ("${1", None),
            ("${0,1,y}", None),
            ("${0,256}", None),
            ("${0,1,d,1}", None),
        ] {
            assert_eq!(expand(template, 26).as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn ranges_rise() {
        let values =
            |text: &str| Generate::parse(text.as_bytes()).map(|generate| generate.values().collect::<Vec<_>>());
        assert_eq!(values("1-3"), Some(vec![1, 2, 3]));
        assert_eq!(values("0-5/2"), Some(vec![0, 2, 4]));
        for bad in ["3-1", "1", "-1", "1-2/0", "1-2147483648", "a-b", "1-2/"] {
            assert_eq!(values(bad), None, "{bad}");
        }
    }
}
