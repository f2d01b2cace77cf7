//! The commands: what they print, and how they end.

use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server, zone_text};

const COMMANDS: [&str; 17] = [
    "serve",
    "check",
    "query",
    "spread",
    "status",
    "health",
    "explain",
    "reload",
    "restart",
    "drain",
    "undrain",
    "transfer",
    "alert",
    "import",
    "export",
    "completions",
    "man",
];

#[test]
fn every_command_explains_itself() {
    let scratch = Scratch::new();
    let all = scratch.kofn(&["--help"]);
    assert_eq!(all.code, 0);
    for command in COMMANDS {
        assert!(all.out.contains(command), "{}", all.out);
        let help = scratch.kofn(&[command, "--help"]);
        assert_eq!(help.code, 0, "{help:?}");
        assert!(help.out.contains("Usage: kofn"), "{help:?}");
    }
    let version = scratch.kofn(&["--version"]);
    assert_eq!(version.out.trim(), concat!("kofn ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_ends_badly_says_how() {
    let scratch = Scratch::new();
    scratch.write("bad.toml", "listen = 5\n");
    scratch.write("zones/bad.test.zone", "no zone\n");
    for (arguments, code, words) in [
        (&["--nonsense"][..], 64, "--nonsense"),
        (&["--log", "a=b=c"], 64, "--log"),
        (&["query", "a..b"], 64, "empty label"),
        (&["spread"], 64, "--n"),
        (&["spread", "--n", "0"], 64, "--n"),
        (&["spread", "--n", "3", "--weights", "1,2"], 64, "--weights has 2 numbers and --n is 3"),
        (&["spread", "--weights", "1,0"], 64, "0 is no weight"),
        (&["spread", "www.elsewhere.test"], 64, "no zone file"),
        (&["spread", "--n", "10", "--k", "3", "--assert-worst", "1.2"], 1, "1.251, above the 1.2 of --assert-worst"),
        (&["query", "www.bad.test"], 65, "zones/bad.test.zone:1:"),
        (&["check", "none.zone"], 66, "none.zone"),
        (&["query", "a.test", "--zones", "none"], 66, "none"),
        (&["--config", "none.toml"], 66, "none.toml"),
        (&["status"], 69, "no server runs"),
        (&["explain", "a..b"], 64, "empty label"),
        (&["explain", "a.test"], 69, "no server runs"),
        (&["reload"], 69, "no server runs"),
        (&["--listen", "192.0.2.1:0", "--admin", "off"], 69, "192.0.2.1:0"),
        (&["--config", "bad.toml"], 78, "bad.toml:1:10: listen"),
        (&["status", "--config", "bad.toml"], 78, "bad.toml:1:10: listen"),
    ] {
        let run = scratch.kofn(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.err.contains(words), "{arguments:?}: {run:?}");
    }
}

#[test]
fn check_tells_faults_of_zones_policies_and_settings() {
    let scratch = Scratch::with_shipped_zones();
    let clean = scratch.kofn(&["check"]);
    assert_eq!((clean.code, clean.out.contains("1 zone, 0 errors, 0 warnings")), (0, true), "{clean:?}");

    scratch.write("zones/a.test.zone", &(zone_text(1, "192.0.2") + "x A 192.0.2.1 2\n"));
    scratch.write("zones/example.test.toml", "[pool.www]\nk = 0\n[pool.gone]\n");
    scratch
        .write("kofn.toml", "zones = \"zones\"\nlisten = [\"127.0.0.1:5300\"]\n[admin]\nlisten = \"192.0.2.1:80\"\n");
    let faulty = scratch.kofn(&["check"]);
    assert_eq!(faulty.code, 1, "{faulty:?}");
    for place in ["kofn.toml:4:", "zones/a.test.zone:5:", "zones/a.test.zone:6:", "zones/example.test.toml:2:"] {
        assert!(faulty.out.contains(place), "{place}: {}", faulty.out);
    }
    let json = scratch.kofn(&["check", "--json"]).json();
    assert_eq!((&json["errors"], &json["warnings"]), (&3.into(), &1.into()), "{json:#}");
    let fault = json["faults"].as_array().and_then(|faults| faults.iter().find(|fault| fault["line"] == 6)).cloned();
    let fault = fault.unwrap_or_else(|| panic!("no fault of line 6: {json:#}"));
    assert_eq!((&fault["file"], &fault["severity"]), (&"zones/a.test.zone".into(), &"error".into()));

    let one = scratch.kofn(&["check", "zones/a.test.zone"]);
    assert!(one.code == 1 && !one.out.contains("example.test"), "{one:?}");
    let policy = scratch.kofn(&["check", "zones/example.test.toml"]);
    assert!(policy.code == 1 && policy.out.contains("zones/example.test.toml:2:"), "{policy:?}");
    let warned = scratch.kofn(&["check", "kofn.toml"]);
    assert_eq!(warned.code, 0, "warnings are no errors: {warned:?}");
}

#[test]
fn a_policy_that_does_not_fit_its_zone_is_warned_of() {
    let scratch = Scratch::new();
    scratch.write("zones/a.test.zone", &zone_text(1, "192.0.2.1"));
    scratch.write("zones/a.test.toml", "[pool.gone]\n[pool.www]\nttl = 5\n[pool.\"@\"]\n");
    let check = scratch.kofn(&["check"]);
    assert_eq!(check.code, 0, "{check:?}");
    for words in
        ["a.test.toml:1:", "is not in the zone", "a.test.toml:2:", "30 s", "a.test.toml:4:", "no A and no AAAA"]
    {
        assert!(check.out.contains(words), "{words}: {}", check.out);
    }
}

#[test]
fn query_answers_as_the_server_would() {
    let server = Server::start(Scratch::with_shipped_zones());
    let printed = server.kofn(&["query", "www.example.test"]);
    assert!(printed.out.contains("NOERROR") && printed.out.matches("127.0.0.1").count() == 3, "{}", printed.out);
    for (name, rtype) in [("mail.example.test.", RecordType::AAAA), ("example.test.", RecordType::MX)] {
        let json = server.kofn(&["query", name, &rtype.to_string(), "--json", "--tcp", "--from", "192.0.2.1"]).json();
        let served = server.ask(name, rtype);
        let record = &served.answers[0];
        let printed = &json["answer"][0];
        assert_eq!((&printed["data"], &printed["ttl"]), (&record.data.to_string().into(), &record.ttl.into()));
    }
    let unknown = server.kofn(&["query", "nobody.example.test", "--json", "--dnssec"]).json();
    assert_eq!((&unknown["rcode"], &unknown["outcome"]), (&"NXDOMAIN".into(), &"nxdomain".into()));
    assert_eq!((&unknown["edns"]["dnssec_ok"], &unknown["authority"][0]["type"]), (&true.into(), &"SOA".into()));
}

#[test]
fn spread_shows_what_hands_do_to_an_imagined_pool() {
    let scratch = Scratch::new();
    let json = scratch.kofn(&["spread", "--n", "10", "--k", "3", "--json", "--assert-worst", "1.26"]).json();
    assert_eq!((&json["n"], &json["k"], &json["bound"]), (&10.into(), &3.into(), &1.25.into()), "{json:#}");
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {json:#}"));
    for kind in ["lowest", "highest", "first", "any"] {
        assert!(number(&json["overload"][kind]) <= number(&json["worst"]));
        assert!(number(&json["members"][9]["overload"][kind]) <= number(&json["overload"][kind]));
    }
    assert!((1.25..=1.2513).contains(&number(&json["worst"])) && number(&json["slots"]) >= 8.0, "{json:#}");
    assert!((number(&json["plain"]["lowest"]) - 3.0).abs() < 1e-9 && number(&json["plain"]["any"]) < 1.001);
    let weights = scratch.kofn(&["spread", "--weights", "1,1,6", "--json", "--type", "aaaa"]).json();
    assert_eq!(
        (&weights["members"][2]["address"], &weights["members"][2]["weight"]),
        (&"2001:db8::3".into(), &6.0.into())
    );
    assert!(scratch.kofn(&["spread", "--n", "300"]).out.contains("and 260 more"));
}

#[test]
fn spread_draws_what_it_says() {
    let scratch = Scratch::new();
    let run = scratch.kofn(&["spread", "--n", "10", "--k", "3", "--svg", "spread.svg"]);
    assert_eq!(run.code, 0, "{run:?}");
    let drawn = std::fs::read_to_string(scratch.path("spread.svg")).expect("the figure");
    assert!(drawn.starts_with("<svg") && drawn.trim_end().ends_with("</svg>"), "{drawn}");
    for words in ["lowest", "highest", "first", "any", "10.0.0.10", "bound 1.250"] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    // A bar for each of ten members and four kinds of client, and the background.
    assert_eq!(drawn.matches("<rect").count(), 41, "{drawn}");
    let run = scratch.kofn(&["spread", "--n", "3", "--svg", "nowhere/spread.svg"]);
    assert!(run.code == 73 && run.err.contains("nowhere/spread.svg"), "{run:?}");
}

#[test]
fn spread_reads_pools_as_they_are_served() {
    let scratch = Scratch::with_shipped_zones();
    let json = scratch.kofn(&["spread", "WWW.example.test", "--json"]).json();
    assert_eq!((&json["name"], &json["n"], &json["k"]), (&"www.example.test.".into(), &8.into(), &3.into()));
    let answer = scratch.kofn(&["query", "www.example.test", "--json"]).json();
    assert_eq!(json["octets"]["hand"]["plain"], answer["octets"], "{json:#}");
    for (name, words) in [("mail.example.test", "no pool"), ("www.example.test --type AAAA", "no AAAA members")] {
        let arguments: Vec<&str> = ["spread"].into_iter().chain(name.split(' ')).collect();
        let run = scratch.kofn(&arguments);
        assert!(run.code == 64 && run.err.contains(words), "{run:?}");
    }
}

#[test]
fn spread_shows_what_sorting_by_prefix_does() {
    let scratch = Scratch::new();
    let sites = "www AAAA 2001:db8:a::1\nwww AAAA 2001:db8:a::2\nwww AAAA 2001:db8:b::1\nwww AAAA 2001:db8:b::2\n";
    scratch.write("zones/a.test.zone", &(zone_text(1, "192.0.2.1") + sites));
    scratch.write("zones/a.test.toml", "[pool.www]\n");
    let warned = scratch.kofn(&["spread", "www.a.test", "--type", "AAAA"]);
    assert!(
        warned.out.contains("neither `together` nor `apart`") && warned.out.contains("2001:db8:b::/64"),
        "{warned:?}"
    );
    scratch.write("zones/a.test.toml", "[pool.www]\ntogether = 48\n");
    let together = scratch.kofn(&["spread", "www.a.test", "--type", "AAAA"]);
    assert!(!together.out.contains("warning"), "{together:?}");
    let json = scratch.kofn(&["spread", "www.a.test", "--type", "AAAA", "--json"]).json();
    assert_eq!((&json["prefixes"]["count"], &json["prefixes"]["is_grouped"]), (&2.into(), &true.into()), "{json:#}");
}

#[test]
fn status_counts_what_was_asked() {
    let server = Server::start(Scratch::with_shipped_zones());
    server.ask("www.example.test.", RecordType::A);
    server.ask_tcp("www.example.test.", RecordType::AAAA);
    server.ask("nobody.example.test.", RecordType::A);
    let status = server.status();
    assert_eq!(status["queries"]["received"], 3, "{status:#}");
    let outcomes = serde_json::json!({ "answer": 1, "nodata": 1, "nxdomain": 1 });
    assert_eq!(status["queries"]["outcomes"], outcomes);
    assert_eq!(status["zones"][0]["name"], "example.test.");
    assert_eq!(status["pools"][1]["name"], "www.example.test.");
    assert_eq!(status["pid"], server.pid());
    let printed = server.kofn(&["status"]);
    for words in ["example.test.", "www.example.test. A: deals 3 of 8", "127.0.0.18", "VERDICT"] {
        assert!(printed.out.contains(words), "{words}: {}", printed.out);
    }
}

#[test]
fn completions_and_manual_come_from_the_definition() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let completions = scratch.kofn(&["completions", shell]);
        assert!(completions.code == 0 && completions.out.contains("kofn"), "{completions:?}");
    }
    let man = scratch.kofn(&["man"]);
    assert!(man.out.contains(".TH \"KOFN\" \"8\""), "{man:?}");
    for command in COMMANDS {
        assert!(man.out.contains(&format!("\\fBkofn\\-{command}\\fR(8)")), "{command}: {}", man.out);
    }
    assert!(man.out.contains(".SH \"EXIT STATUS\"\nExit codes"), "{}", man.out);
}

#[test]
fn there_is_a_page_for_every_command_and_file() {
    let scratch = Scratch::new();
    let run = scratch.kofn(&["man", "--folder", "man/pages"]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{run:?}");
    let page = |name: &str| std::fs::read_to_string(scratch.path("man/pages").join(name)).expect(name);
    for command in COMMANDS {
        assert!(page(&format!("kofn-{command}.8")).contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(page("kofn-transfer-status.8").contains("kofn transfer status"));
    assert!(page("kofn.toml.5").contains("\n.SH [limits]\n"));
    assert!(page("kofn.toml.5").contains("\\fBudp_payload\\fR (default 1232)"));
    assert!(page("kofn-zones.5").contains("\n.SS [pool.OWNER]\n"));
    assert_eq!(scratch.kofn(&["man", "kofn.toml"]).out, page("kofn.toml.5"));
    assert_eq!(scratch.kofn(&["man", "drain"]).out, page("kofn-drain.8"));
    let run = scratch.kofn(&["man", "kofn-dance"]);
    assert!(run.code == 64 && run.err.contains("kofn-drain, "), "{run:?}");
    let run = scratch.kofn(&["man", "--folder", "man/pages/kofn.8/x"]);
    assert!(run.code == 73 && run.err.contains("kofn.8"), "{run:?}");
}

/// groff, where it is installed, has nothing to say against any page.
#[test]
fn pages_render_without_a_warning() {
    let scratch = Scratch::new();
    assert_eq!(scratch.kofn(&["man", "--folder", "man"]).code, 0);
    for entry in std::fs::read_dir(scratch.path("man")).expect("the pages") {
        let page = entry.expect("a page").path();
        let groff =
            std::process::Command::new("groff").args(["-man", "-Tutf8", "-ww", "-Kutf8", "-z"]).arg(&page).output();
        let Ok(groff) = groff else { return };
        let said = String::from_utf8_lossy(&groff.stderr);
        assert!(groff.status.success() && said.is_empty(), "{}: {said}", page.display());
    }
}
