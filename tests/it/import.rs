//! What other servers were told is served: each of four puts the same two pools into its own words.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::Scratch;

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/import").join(name).display().to_string()
}

/// The addresses of forty answers.
fn dealt(scratch: &Scratch, name: &str) -> BTreeSet<String> {
    let mut addresses = BTreeSet::new();
    for _ in 0..40 {
        let run = scratch.kofn(&["query", name, "A", "--json"]);
        assert_eq!(run.code, 0, "{run:?}");
        let answer = run.json()["answer"].as_array().expect("an answer").clone();
        addresses.extend(answer.iter().map(|record| record["data"].as_str().expect("an address").to_owned()));
    }
    addresses
}

fn imported(from: &str, file: &str) -> Scratch {
    let scratch = Scratch::new();
    let run = scratch.kofn(&["import", from, &data(file)]);
    assert_eq!(run.code, 0, "{run:?}");
    let run = scratch.kofn(&["check"]);
    assert_eq!(run.code, 0, "{run:?}");
    let www: Vec<_> = (1..=3).map(|host| format!("192.0.2.{host}")).collect();
    assert_eq!(dealt(&scratch, &format!("www.{from}.test")), www.into_iter().collect(), "{from}");
    scratch
}

#[test]
fn gdnsd_plugins_are_pools() {
    let scratch = imported("gdnsd", "gdnsd");
    let policy = std::fs::read_to_string(scratch.path("zones/gdnsd.test.toml")).expect("a policy");
    for line in ["path = \"/check\"", "spread = \"all\"", "panic = 0.6", "\"192.0.2.4\" = 9.0", "k = 1"] {
        assert!(policy.contains(line), "{line} in\n{policy}");
    }
}

#[test]
fn lua_records_of_powerdns_are_pools() {
    let scratch = imported("powerdns", "powerdns.test.zone");
    let policy = std::fs::read_to_string(scratch.path("zones/powerdns.test.toml")).expect("a policy");
    for line in ["type = \"tcp\"", "port = 8080", "\"192.0.2.4\" = 9.0"] {
        assert!(policy.contains(line), "{line} in\n{policy}");
    }
}

#[test]
fn record_sets_of_route_53_are_pools() {
    let scratch = imported("route53", "route53.json");
    let policy = std::fs::read_to_string(scratch.path("zones/route53.test.toml")).expect("a policy");
    for line in ["type = \"http\"", "fall = 3", "interval = \"10s\"", "\"192.0.2.4\" = 9.0"] {
        assert!(policy.contains(line), "{line} in\n{policy}");
    }
}

#[test]
fn addresses_of_tinydns_are_pools() {
    let scratch = imported("tinydns", "tinydns");
    let zone = std::fs::read_to_string(scratch.path("zones/tinydns.test.zone")).expect("a zone");
    assert!(zone.contains("TXT \"two words: ok\""), "{zone}");
}

#[test]
fn nothing_is_written_over_and_what_cannot_be_read_is_told() {
    let scratch = imported("gdnsd", "gdnsd");
    let run = scratch.kofn(&["import", "gdnsd", &data("gdnsd")]);
    assert_eq!(run.code, 73, "{run:?}");
    assert!(run.err.contains("zones/gdnsd.test.zone exists"), "{run:?}");
    let run = scratch.kofn(&["import", "route53", &data("tinydns"), "--out", "x"]);
    assert!(run.code == 65 && run.out.contains("import/tinydns:1:1: "), "{run:?}");
    assert_eq!(scratch.kofn(&["import", "tinydns", "nowhere"]).code, 66);
}
