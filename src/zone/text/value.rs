//! Single values in text: numbers, TTLs, moments, and strings with escapes.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::wire::read_escape;

/// Reads a decimal number of digits alone.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |value, octet| match octet {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u32::from(octet - b'0')),
        _ => None,
    })
}

/// Reads seconds, either a plain number or numbers that each have a unit: `w`, `d`, `h`, `m` or `s` (`1h30m`).
pub(super) fn seconds(text: &[u8]) -> Option<u32> {
    if text.last()?.is_ascii_digit() {
        return number(text);
    }
    let (mut total, mut rest) = (0u32, text);
    while !rest.is_empty() {
        let digits = rest.iter().position(|octet| !octet.is_ascii_digit())?;
        let unit = match rest[digits].to_ascii_lowercase() {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number(&rest[..digits])?.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(total)
}

/// Reads `YYYYMMDDHHmmSS` or seconds since 1970, modulo 2³² (RFC 4034 section 3.2).
pub(super) fn moment(text: &[u8]) -> Option<u32> {
    if text.len() != 14 {
        return number(text);
    }
    let part = |range: std::ops::Range<usize>| i16::try_from(number(&text[range])?).ok();
    let small = |range: std::ops::Range<usize>| i8::try_from(part(range)?).ok();
    let date = Date::new(part(0..4)?, small(4..6)?, small(6..8)?).ok()?;
    let time = Time::new(small(8..10)?, small(10..12)?, small(12..14)?, 0).ok()?;
    let moment = DateTime::from_parts(date, time).to_zoned(TimeZone::UTC).ok()?;
    u32::try_from(moment.timestamp().as_second()).ok()
}

/// Writes a moment as `YYYYMMDDHHmmSS`.
pub(super) fn print_moment(moment: u32) -> String {
    let timestamp = Timestamp::from_second(i64::from(moment)).expect("jiff reaches beyond the year 2106");
    timestamp.strftime("%Y%m%d%H%M%S").to_string()
}

/// Appends text with its escapes resolved. `None` when an escape is broken.
pub(super) fn append_unescaped(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    loop {
        let plain = rest.iter().position(|octet| *octet == b'\\').unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        if plain == rest.len() {
            return Some(());
        }
        rest = &rest[plain + 1..];
        out.push(read_escape(&mut rest).ok()?);
    }
}

/// Reads a decimal number with at most `places` digits behind the point, as a count of its smallest unit.
pub(super) fn fixed_point(text: &[u8], places: usize) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|octet| *octet == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &b""[..]),
    };
    if fraction.len() > places || (point.is_some() && fraction.is_empty()) {
        return None;
    }
    let mut value = i64::from(number(whole)?);
    for place in 0..places {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        value = value * 10 + i64::from(number(&[digit])?);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_units_or_none_at_all() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("1h30m", Some(5400)),
            ("1W2D3H4M5S", Some(788_645)),
            ("1h30", None),
            ("h", None),
            ("", None),
            ("1y", None),
            ("9999999w", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn moments_are_dates_or_seconds() {
        assert_eq!(moment(b"19700101000001"), Some(1));
        assert_eq!(moment(b"20260229000000"), None);
        assert_eq!(moment(b"21060207062815"), Some(u32::MAX));
        assert_eq!(moment(b"1700000000"), Some(1_700_000_000));
        assert_eq!(print_moment(1_700_000_000), "20231114221320");
        assert_eq!(print_moment(u32::MAX), "21060207062815");
    }

    #[test]
    fn fixed_points_keep_their_places() {
        assert_eq!(fixed_point(b"12.5", 3), Some(12_500));
        assert_eq!(fixed_point(b"-0.01", 2), Some(-1));
        for bad in ["", "-", "1.", ".5", "1.234", "1x", "1.-"] {
            assert_eq!(fixed_point(bad.as_bytes(), 2), None, "{bad}");
        }
    }

    #[test]
    fn escapes_are_resolved() {
        let mut out = Vec::new();
        assert_eq!(append_unescaped(b"a\\\"\\065\\\\", &mut out), Some(()));
        assert_eq!(out, b"a\"A\\");
        assert_eq!(append_unescaped(b"\\25", &mut out), None);
    }
}
