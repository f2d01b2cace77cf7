//! What the sandbox leaves to be read of what lies elsewhere, and the words of what it refuses.

use std::os::unix::fs::symlink;

use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server, eventually, zone_text};

const PEM: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

/// A policy whose check believes the certificates in `file` of `elsewhere`.
fn policy(elsewhere: &Scratch, file: &str) -> String {
    let ca = elsewhere.path(file);
    format!("[check.web]\ntype = \"https\"\nca = \"{}\"\n[pool.www]\ncheck = \"web\"\n", ca.display())
}

fn including(elsewhere: &Scratch, file: &str) -> String {
    format!("{}$INCLUDE {} ; elsewhere\n", zone_text(1, "192.0.2.1"), elsewhere.path(file).display())
}

fn link(elsewhere: &Scratch, file: &str, scratch: &Scratch, name: &str) {
    symlink(elsewhere.path(file), scratch.path(name)).expect("a link");
}

/// How a zone stands, and what is wrong with it.
#[track_caller]
fn standing(server: &Server, zone: &str) -> (String, String) {
    let status = server.status();
    let zones = status["zones"].as_array().expect("zones");
    let zone = zones.iter().find(|entry| entry["name"] == zone).unwrap_or_else(|| panic!("{zone}: {status}"));
    (zone["state"].as_str().expect("a state").to_owned(), zone["errors"].to_string())
}

#[track_caller]
fn is_current(server: &Server, zone: &str) {
    assert_eq!(standing(server, zone), ("current".to_owned(), "[]".to_owned()), "{zone}");
}

#[test]
fn what_zones_and_policies_lead_to_is_read_wherever_it_lies() {
    let (scratch, elsewhere) = (Scratch::new(), Scratch::new());
    elsewhere.write("zones/linked", &zone_text(1, "192.0.2.1"));
    elsewhere.write("far/zone", &zone_text(1, "192.0.2.1"));
    elsewhere.write("include/names", &format!("b A 192.0.2.1\n$INCLUDE {}\n", elsewhere.path("deep/names").display()));
    elsewhere.write("deep/names", "c A 192.0.2.1\n");
    elsewhere.write("folder/names", "d A 192.0.2.1\n");
    elsewhere.write("ca/web.pem", PEM);
    elsewhere.write("linked-ca/web.pem", PEM);
    elsewhere.write("policies/c", &policy(&elsewhere, "linked-ca/web.pem"));
    scratch.write("zones/include.test.zone", &including(&elsewhere, "include/names"));
    scratch.write("zones/folder.test.zone", &format!("{}$INCLUDE sub/names\n", zone_text(1, "192.0.2.1")));
    scratch.write("zones/ca.test.zone", &zone_text(1, "192.0.2.1"));
    scratch.write("zones/ca.test.toml", &policy(&elsewhere, "ca/web.pem"));
    scratch.write("zones/policy.test.zone", &zone_text(1, "192.0.2.1"));
    link(&elsewhere, "zones/linked", &scratch, "zones/linked.test.zone");
    link(&elsewhere, "chain", &scratch, "zones/chain.test.zone");
    link(&elsewhere, "far/zone", &elsewhere, "chain");
    link(&elsewhere, "folder", &scratch, "zones/sub");
    link(&elsewhere, "policies/c", &scratch, "zones/policy.test.toml");
    let server = Server::start(scratch);
    for zone in ["linked", "chain", "include", "folder", "ca", "policy"] {
        is_current(&server, &format!("{zone}.test."));
    }
    // A new file in the place of the old one lies in the same folder.
    elsewhere.write("zones/new", &zone_text(2, "192.0.2.2"));
    std::fs::rename(elsewhere.path("zones/new"), elsewhere.path("zones/linked")).expect("a new file");
    assert_eq!(server.kofn(&["reload"]).code, 0);
    let status = server.status();
    let zones = status["zones"].as_array().expect("zones");
    assert!(zones.iter().any(|zone| zone["name"] == "linked.test." && zone["serial"] == 2), "{status}");
}

#[test]
fn what_leads_elsewhere_only_later_is_refused_in_the_name_of_the_sandbox() {
    let (scratch, elsewhere) = (Scratch::new(), Scratch::new());
    elsewhere.write("zone", &zone_text(1, "192.0.2.1"));
    elsewhere.write("names", "b A 192.0.2.1\n");
    elsewhere.write("web.pem", PEM);
    elsewhere.write("policy", "");
    for zone in ["first", "policy", "ca"] {
        scratch.write(&format!("zones/{zone}.test.zone"), &zone_text(1, "192.0.2.1"));
    }
    let server = Server::start(scratch);
    if server.status()["privileges"]["landlock"] == "off" {
        return;
    }
    link(&elsewhere, "zone", &server.scratch, "zones/linked.test.zone");
    link(&elsewhere, "policy", &server.scratch, "zones/policy.test.toml");
    server.scratch.write("zones/include.test.zone", &including(&elsewhere, "names"));
    server.scratch.write("zones/ca.test.toml", &policy(&elsewhere, "web.pem"));
    assert_eq!(server.kofn(&["reload"]).code, 65);
    let folder = elsewhere.path("").canonicalize().expect("a folder");
    let words =
        format!("; the sandbox keeps {} closed: `read` of [sandbox] with that folder, and a restart", folder.display());
    for zone in ["linked", "include", "policy", "ca"] {
        let (_, errors) = standing(&server, &format!("{zone}.test."));
        assert!(errors.contains(&words) && errors.contains("Permission denied"), "{zone}: {errors}");
    }
    is_current(&server, "first.test.");
    // What the words say is so.
    let read = format!("[sandbox]\nread = [\"{}\"]\n", folder.display());
    server.signal("TERM");
    let (_, scratch) = server.wait();
    scratch.write("kofn.toml", &read);
    let server = Server::start(scratch);
    for zone in ["linked", "include", "policy", "ca"] {
        is_current(&server, &format!("{zone}.test."));
    }
}

#[test]
fn what_is_to_be_written_elsewhere_only_later_takes_a_restart_and_the_log_says_so() {
    let (scratch, elsewhere) = (Scratch::new(), Scratch::new());
    scratch.write("zones/a.test.zone", &zone_text(1, "192.0.2.1"));
    let mut server = Server::start(scratch);
    if server.status()["privileges"]["landlock"] == "off" {
        return;
    }
    let file = |name: &str| elsewhere.path(name).display().to_string();
    let settings = format!(
        "[dnstap]\nfile = \"{}\"\n[query_log]\nsample = 1\nfile = \"{}\"\n",
        file("tap.fstrm"),
        file("queries.log")
    );
    server.scratch.write("kofn.toml", &settings);
    assert_eq!(server.kofn(&["reload"]).code, 0);
    let folder = elsewhere.path("").canonicalize().expect("a folder");
    let words = format!("; the sandbox keeps {} closed to writing: a restart with these settings", folder.display());
    let mut refused = || server.log_until(|line| line.contains("Permission denied") && line.contains(&words));
    let refused = [refused(), refused()].concat();
    assert!(refused.contains("dnstap is lost") && refused.contains("the log of queries is lost"), "{refused}");
    // What the words say is so.
    server.signal("TERM");
    let (_, scratch) = server.wait();
    let server = Server::start(scratch);
    server.ask("a.test.", RecordType::SOA);
    let written = || std::fs::metadata(elsewhere.path("queries.log")).ok().filter(|file| file.len() > 0);
    eventually("the query is written down", written);
    assert!(elsewhere.path("tap.fstrm").exists());
}
