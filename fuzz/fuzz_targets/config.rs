//! Any text as kofn.toml and as a zone's policy: no panic, and faults that can be printed.

#![no_main]

use std::path::Path;

use kofn::config::{Settings, ZonePolicy};
use kofn::wire::Name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    let apex = Name::from_text(b"example.test.").expect("a name");
    let faults = [
        Settings::parse(source, Path::new("kofn.toml")).err(),
        ZonePolicy::parse(source, Path::new("zone.toml"), apex.borrow()).err(),
    ];
    for fault in faults.iter().flatten().flatten() {
        assert!(!fault.to_string().is_empty());
    }
});
