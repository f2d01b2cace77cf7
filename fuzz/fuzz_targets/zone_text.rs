//! Any octets as a master file: no panic, and what was read prints to text that reads to the same.

#![no_main]

use std::fmt::Write;
use std::path::Path;

use kofn::wire::Name;
use kofn::zone::{Zone, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &[u8]| {
    let apex = Name::from_text(b"example.test.").expect("a name");
    let limits = text::Limits { generated: 1000, ..text::Limits::default() };
    let loaded = text::read_bytes(source, Path::new("zone"), Some(&apex), &limits);
    // A zone may still lack what a zone needs; building says so and does not panic.
    let _ = Zone::build(&apex, &loaded.records);
    let mut printed = String::new();
    for record in loaded.records.iter() {
        writeln!(printed, "{}", text::print(record)).expect("writing to a string");
    }
    let again = text::read_bytes(printed.as_bytes(), Path::new("printed"), Some(&apex), &limits);
    assert_eq!(again.records.len(), loaded.records.len(), "{printed}{:?}", again.faults);
    for (before, after) in loaded.records.iter().zip(again.records.iter()) {
        assert_eq!((before.owner, before.rtype, before.ttl), (after.owner, after.rtype, after.ttl));
        assert_eq!(before.rdata, after.rdata, "{}", text::print(before));
    }
});
