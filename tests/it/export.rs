//! What is exported says the same: plain files load as they are, and what Route 53 gets comes back as the same zone and
//! policy.

use crate::harness::Scratch;

const ZONE: &str = r#"$TTL 300
@      SOA ns1 hostmaster 7 3600 600 86400 20
@      NS  ns1
@      MX  10 mail
@      TXT "v=spf1 mx -all" "a \"quoted\" \200 string; with a semicolon"
@      CAA 0 issue "ca.example"
ns1    A   192.0.2.53
mail   A   192.0.2.25
*.wild TXT "any"
many 30 A 192.0.2.1
many 30 A 192.0.2.2
many 30 A 192.0.2.3
many 30 AAAA 2001:db8::1
many 30 AAAA 2001:db8::2
canary 20 A 192.0.2.4
canary 20 A 192.0.2.5
pair 60 A 192.0.2.6
pair 60 A 198.51.100.6
"#;

/// All that Route 53 can say.
const POLICY: &str = r#"[check.web]
type = "https"
port = 8443
path = "/up"
host = "www.a.test"
body = "ok"
verify = false
interval = 10
rise = 3
fall = 3

[check.port]
type = "tcp"
port = 25
interval = 30
rise = 2
fall = 2
address = { "198.51.100.6" = "198.51.100.7" }

[pool.many]
k = 8
ttl = 30
check = "web"
panic = 0

[pool.canary]
k = 1
ttl = 20
panic = 0
weights = { "192.0.2.4" = 9, "192.0.2.5" = 1 }

[pool.pair]
k = 1
ttl = 60
check = "port"
panic = 0
tiers = [["192.0.2.6"], ["198.51.100.6"]]
"#;

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("zones/a.test.zone", ZONE);
    scratch.write("zones/a.test.toml", POLICY);
    scratch
}

/// The lines of a master file without order.
fn records(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Every pool as its policy has it, without the names of checks, which Route 53 does not keep.
fn policy(scratch: &Scratch, folder: &str) -> toml::Table {
    let text = std::fs::read_to_string(scratch.path(&format!("{folder}/a.test.toml"))).expect("a policy");
    let policy: toml::Table = text.parse().expect("TOML");
    let checks = policy["check"].as_table().expect("checks");
    let pools = policy["pool"].as_table().expect("pools").iter().map(|(owner, pool)| {
        let mut pool = pool.as_table().expect("a pool").clone();
        if let Some(name) = pool.remove("check") {
            let mut check = checks[name.as_str().expect("a name")].as_table().expect("a check").clone();
            // Durations may be text, or whole seconds.
            let interval = check.remove("interval").map(|interval| interval.to_string().replace(['"', 's'], ""));
            check.insert("interval".to_owned(), interval.unwrap_or_default().into());
            pool.insert("check".to_owned(), check.into());
        }
        for key in ["panic", "weights"] {
            // 9 and 9.0 are one weight.
            let text = pool.remove(key).map(|value| value.to_string().replace(".0", ""));
            pool.insert(key.to_owned(), text.unwrap_or_default().into());
        }
        (owner.trim_end_matches(".a.test.").to_owned(), toml::Value::Table(pool))
    });
    pools.collect()
}

#[test]
fn what_route_53_gets_comes_back_as_the_same_zone_and_policy() {
    let scratch = scratch();
    let run = scratch.kofn(&["export", "route53", "a.test", "--apex", "--out", "r53"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.out, "r53/a.test.changes.json made\nr53/a.test.health-checks.json made\n");
    assert_eq!(run.err.trim(), "note: many.a.test. check web: Route 53 does not look at the certificate");
    let run = scratch.kofn(&[
        "import",
        "route53",
        "r53/a.test.changes.json",
        "r53/a.test.health-checks.json",
        "--out",
        "back",
        "--json",
    ]);
    assert_eq!(
        (run.code, &run.json()["notes"], &run.json()["faults"]),
        (0, &serde_json::json!([]), &serde_json::json!([]))
    );
    assert_eq!(policy(&scratch, "back"), policy(&scratch, "zones"));
    let printed = |folder: &str| scratch.kofn(&["export", "zone", "a.test", "--zones", folder]).out;
    assert_eq!(records(&printed("back")), records(&printed("zones")));
    // It is the policy that is compared, not its absence.
    scratch.write("zones/a.test.toml", &POLICY.replace("/up", "/down"));
    assert_ne!(policy(&scratch, "back"), policy(&scratch, "zones"));
}

#[test]
fn a_plain_file_is_the_zone_without_pools() {
    let scratch = scratch();
    let run = scratch.kofn(&["export", "zone", "a.test"]);
    assert_eq!(run.code, 0, "{run:?}");
    scratch.write("plain/a.test.zone", &run.out);
    let check = scratch.kofn(&["check", "plain/a.test.zone"]);
    assert!(
        check.code == 0 && check.out.contains("17 records") && check.out.contains("0 errors, 0 warnings"),
        "{check:?}"
    );
    assert_eq!(scratch.kofn(&["export", "zone", "--zones", "plain"]).out, run.out);
    for note in ["canary.a.test.: every answer has all members", "pair.a.test.: every answer", "check, tiers left out"]
    {
        assert!(run.err.contains(note), "{note}: {}", run.err);
    }
    let answer = scratch.kofn(&["query", "many.a.test", "--zones", "plain", "--json"]).json();
    assert_eq!(answer["answer"].as_array().map(Vec::len), Some(3), "{answer:#}");
}

#[test]
fn nothing_is_written_over_unless_it_is_asked_for() {
    let scratch = scratch();
    let export = |arguments: &[&str]| scratch.kofn(&[&["export"], arguments].concat());
    assert_eq!(export(&["octodns", "--out", "o"]).code, 0);
    let run = export(&["octodns", "--out", "o"]);
    assert!(run.code == 73 && run.err.contains("o/a.test.yaml exists"), "{run:?}");
    let run = export(&["octodns", "--out", "o", "--force", "--json"]);
    assert_eq!(run.json()["files"], serde_json::json!(["o/a.test.yaml"]), "{run:?}");
    assert!(run.json()["notes"].as_array().is_some_and(|notes| !notes.is_empty()), "{run:?}");
    for (arguments, code, words) in [
        (&["zone", "b.test"][..], 64, "b.test.: no zone file"),
        (&["zone", "a..test"], 64, "empty label"),
        (&["zone", "--apex"], 64, "route53 alone"),
        (&["route53"], 64, "--out says where"),
        (&["zone", "--json"], 64, "--out"),
        (&["bind"], 64, "bind"),
        (&["zone", "--zones", "none"], 66, "none"),
        (&["zone", "--zones", "o"], 65, "found no zone"),
    ] {
        let run = export(arguments);
        assert!(run.code == code && run.err.contains(words), "{arguments:?}: {run:?}");
    }
    scratch.write("zones/b.test.toml", "[transfer]\nfrom = [\"192.0.2.1\"]\n");
    let run = export(&["zone", "--out", "z"]);
    assert!(run.code == 0 && run.err.contains("b.test.: left out: its records are not in the folder"), "{run:?}");
    scratch.write("zones/a.test.zone", "broken\n");
    let run = export(&["zone", "a.test"]);
    assert!(run.code == 65 && run.err.contains("a.test.zone:1:"), "{run:?}");
}
