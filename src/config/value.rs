//! Readers of the values that more than one key takes.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Item, Read};
use crate::net::Prefix;

/// The port of an address that has none, in every place but the admin listener.
pub(super) const DNS_PORT: u16 = 53;

/// A whole number in bounds.
pub(super) fn integer<T: TryFrom<i64>, const LEAST: i64, const MOST: i64>(item: &Item<'_>) -> Option<T> {
    let number = item.as_integer().filter(|number| (LEAST..=MOST).contains(number));
    match number.and_then(|number| T::try_from(number).ok()) {
        Some(number) => Some(number),
        None => item.wrong(format_args!("a whole number from {LEAST} to {MOST}")),
    }
}

/// `"5s"`, `"500ms"`, `"1m30s"`, or whole seconds; the bounds are in milliseconds.
pub(super) fn duration<const LEAST: u64, const MOST: u64>(item: &Item<'_>) -> Option<Duration> {
    let written = match (item.as_str(), item.as_integer()) {
        (Some(text), _) => parse_duration(text),
        (_, Some(seconds)) => u64::try_from(seconds).ok().map(Duration::from_secs),
        _ => None,
    };
    let (least, most) = (Duration::from_millis(LEAST), Duration::from_millis(MOST));
    match written.filter(|duration| (least..=most).contains(duration)) {
        Some(duration) => Some(duration),
        None => item.wrong(format_args!(
            "a duration from {} to {}, such as \"5s\", \"500ms\" or \"1m30s\", or whole seconds",
            show_duration(least),
            show_duration(most)
        )),
    }
}

/// Text of at least one character and at most `MOST` octets.
pub(super) fn text<const MOST: usize>(item: &Item<'_>) -> Option<String> {
    match item.as_str().filter(|text| (1..=MOST).contains(&text.len())) {
        Some(text) => Some(text.to_owned()),
        None => item.wrong(format_args!("text of 1 to {MOST} octets")),
    }
}

/// A path; one that is not absolute starts at the folder of the file that names it.
pub(super) fn path(item: &Item<'_>) -> Option<PathBuf> {
    match item.as_str().filter(|path| !path.is_empty()) {
        Some(path) => Some(item.folder().join(path)),
        None => item.wrong("a path, relative to this file or absolute"),
    }
}

/// An address with a port, or without one for port 53.
pub(super) fn dns_address(item: &Item<'_>) -> Option<SocketAddr> {
    match item.as_str().and_then(parse_address) {
        Some(address) => Some(address),
        None => item.wrong("an address with or without a port, such as \"192.0.2.1\" or \"[2001:db8::1]:53\""),
    }
}

pub(super) fn parse_address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = text.parse().ok();
    with_port.or_else(|| bare.parse().ok().map(|address: IpAddr| SocketAddr::new(address, DNS_PORT)))
}

/// A prefix, or an address alone.
pub(super) fn prefix(item: &Item<'_>) -> Option<Prefix> {
    let Some(text) = item.as_str() else {
        return item.wrong("an address or a prefix, such as \"192.0.2.1\" or \"2001:db8::/32\"");
    };
    match text.parse() {
        Ok(prefix) => Some(prefix),
        Err(error) => item.wrong_as(format_args!("found \"{text}\""), error),
    }
}

/// A list of prefixes and addresses.
pub(super) fn prefixes(item: &Item<'_>) -> Option<Vec<Prefix>> {
    list(item, "a list of addresses and prefixes, such as [\"192.0.2.1\", \"2001:db8::/48\"]", prefix)
}

/// A number from 0 to 1.
pub(super) fn share(item: &Item<'_>) -> Option<f64> {
    match item.as_number().filter(|share| (0.0..=1.0).contains(share)) {
        Some(share) => Some(share),
        None => item.wrong("a share from 0 to 1"),
    }
}

/// True or false.
pub(super) fn boolean(item: &Item<'_>) -> Option<bool> {
    item.as_bool().or_else(|| item.wrong("true or false"))
}

/// One of a few words.
pub(super) fn word<T: Copy>(item: &Item<'_>, words: &[(&str, T)]) -> Option<T> {
    let found = item.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
    match found {
        Some((_, meaning)) => Some(*meaning),
        None => {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            item.wrong(any_of(&words))
        }
    }
}

/// A list of what `read` reads, with every fault of every element.
pub(super) fn list<T>(item: &Item<'_>, expected: impl Display, read: Read<T>) -> Option<Vec<T>> {
    let Some(elements) = item.elements() else { return item.wrong(expected) };
    let values: Vec<Option<T>> = elements.iter().map(read).collect();
    values.into_iter().collect()
}

/// "a, b or c".
pub(super) fn any_of(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => word.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// The longest duration that is read, so that sums of a few of them never overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*milliseconds)?;
        total = total.checked_add(Duration::from_millis(part)).filter(|total| *total <= LONGEST)?;
        rest = tail;
    }
    Some(total)
}

fn show_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (unit, milliseconds) in UNITS {
        if left >= milliseconds {
            shown += &format!("{}{unit}", left / milliseconds);
            left %= milliseconds;
        }
    }
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

/// In milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, milliseconds) in
            [("5s", 5000), ("500ms", 500), ("1m30s", 90_000), ("1h", 3_600_000), ("2d1ms", 172_800_001), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(milliseconds)), text);
        }
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5sec", "99999999999999999999s", "9999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_without_a_port_means_53() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5300", "192.0.2.1:5300"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5300", "[2001:db8::1]:5300"),
        ] {
            assert_eq!(parse_address(text).map(|address| address.to_string()), Some(address.to_owned()));
        }
        for text in ["", "localhost", "192.0.2.1:", "192.0.2.1:99999", "[192.0.2.1"] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }
}
