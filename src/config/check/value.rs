//! Readers of the values that only checks take.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::super::reader::Item;
use super::StatusRanges;
use crate::wire::{Name, Type};
use crate::zone::text::{self, Limits};

/// A command: the program, with its path made absolute by the folder of the file, and its arguments.
pub(super) type Command = (PathBuf, Vec<String>);

pub(super) fn request_path(item: &Item<'_>) -> Option<String> {
    // The characters of path and query, RFC 3986 sections 3.3 and 3.4.
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@/?".contains(c);
    match item.as_str().filter(|path| path.starts_with('/') && path.len() <= 4096 && path.chars().all(legal)) {
        Some(path) => Some(path.to_owned()),
        None => item.wrong("a path that starts with a slash, percent-encoded, such as \"/healthz\""),
    }
}

pub(super) fn host(item: &Item<'_>) -> Option<String> {
    match item.as_str().filter(|host| is_host(host)) {
        Some(host) => Some(host.to_owned()),
        None => item.wrong("a host with or without a port, such as \"www.example.test\""),
    }
}

/// Whether `text` is a name or an address, with or without a port.
pub(super) fn is_host(text: &str) -> bool {
    let host = without_port(text);
    let port = text.trim_start_matches(['[']).strip_prefix(host).unwrap_or_default().trim_start_matches(']');
    let port_is_right = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    port_is_right && (host.parse::<IpAddr>().is_ok() || is_host_name(host))
}

/// What stands before the port, without the brackets of an IPv6 address.
pub(super) fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => match host.split_once(':') {
            // Two colons without brackets are an IPv6 address.
            Some((name, port)) if !port.contains(':') => name,
            _ => host,
        },
    }
}

/// A name as it can stand in a certificate, where an underscore is borne.
fn is_host_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(legal) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

pub(super) fn statuses(item: &Item<'_>) -> Option<StatusRanges> {
    let read = |item: &Item<'_>| match (item.as_integer(), item.as_str()) {
        (Some(status), _) => u16::try_from(status).ok().map(|status| status..=status),
        (_, Some(text)) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        }
        _ => None,
    };
    let legal =
        |range: &RangeInclusive<u16>| 100 <= *range.start() && range.start() <= range.end() && *range.end() <= 599;
    let ranges: Option<Vec<_>> = match item.elements() {
        Some(elements) => elements.iter().map(|element| read(element).filter(legal)).collect(),
        None => read(item).filter(legal).map(|range| vec![range]),
    };
    match ranges.filter(|ranges| !ranges.is_empty()) {
        Some(ranges) => Some(ranges.into()),
        None => item.wrong("status codes from 100 to 599, such as 200, \"200-399\" or [200, \"301-308\"]"),
    }
}

pub(super) fn query_name(item: &Item<'_>) -> Option<Name> {
    match item.as_str().and_then(|text| Name::from_text(text.as_bytes()).ok()) {
        Some(name) => Some(name),
        None => item.wrong("a whole name, such as \"www.example.test\""),
    }
}

pub(super) fn query_type(item: &Item<'_>) -> Option<Type> {
    // Above 127 and below 256 stand no types of records, but OPT's kin and whole transfers.
    let asked = |rtype: &Type| rtype.0 != 0 && *rtype != Type::OPT && !(128..256).contains(&rtype.0);
    match item.as_str().and_then(|text| Type::from_text(text.as_bytes())).filter(asked) {
        Some(rtype) => Some(rtype),
        None => item.wrong("a type of records, such as \"A\" or \"TYPE65280\""),
    }
}

/// The RDATA of `text` for a record of type `rtype`, or what is wrong with it.
pub(super) fn rdata(rtype: Type, text: &str) -> Result<Vec<u8>, String> {
    let line = format!(". 0 IN {rtype} {text}\n");
    let loaded = text::read_bytes(line.as_bytes(), Path::new(""), Some(&Name::root()), &Limits::default());
    if let Some(fault) = loaded.faults.iter().next() {
        return Err(fault.found.clone());
    }
    let mut records = loaded.records.iter();
    match (records.next(), records.next()) {
        (Some(record), None) if record.rtype == rtype => Ok(record.rdata.to_vec()),
        _ => Err(format!("no data of one {rtype} record")),
    }
}

pub(super) fn command(item: &Item<'_>) -> Option<Command> {
    const EXPECTED: &str = "a program and its arguments, such as [\"./alive.sh\", \"--quick\"]";
    let words: Option<Vec<String>> = item.elements().and_then(|words| {
        words.iter().map(|word| word.as_str().filter(|text| !text.contains('\0')).map(str::to_owned)).collect()
    });
    match words.as_deref() {
        Some([program, arguments @ ..]) if !program.is_empty() => {
            // As a shell has it: with a slash it is a path, without one it is looked for.
            let path = if program.contains('/') { item.folder().join(program) } else { program.into() };
            Some((path, arguments.to_vec()))
        }
        _ => item.wrong(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (host, name) in [
            ("www.example.test", "www.example.test"),
            ("www.example.test:8443", "www.example.test"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[::1]:8080", "::1"),
            ("[::1]", "::1"),
            ("_a.test", "_a.test"),
        ] {
            assert!(is_host(host), "{host}");
            assert_eq!(without_port(host), name);
        }
        for text in ["", "a b", "a..b", "a.test.", "a:b", "a:99999", "-a", "*.a", "[::1]8080", "ü"] {
            assert!(!is_host(text), "{text}");
        }
    }

    #[test]
    fn an_answer_is_the_data_of_one_record() {
        assert_eq!(rdata(Type::A, "192.0.2.1"), Ok(vec![192, 0, 2, 1]));
        assert_eq!(rdata(Type::TXT, "\"a b\""), Ok(b"\x03a b".to_vec()));
        assert_eq!(rdata(Type::CNAME, "a.test"), rdata(Type::CNAME, "a.test."));
        for text in ["", "192.0.2", "192.0.2.1\n. 0 IN A 192.0.2.2", "192.0.2.1 192.0.2.2"] {
            assert!(rdata(Type::A, text).is_err(), "{text}");
        }
    }
}
