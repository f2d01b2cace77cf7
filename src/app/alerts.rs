//! What of the status is an alert.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::server_name;
use crate::admin::api::{self, Family, Pool, Status, Transfers, ZoneState};
use crate::admin::{self, Judge};
use crate::alert::{self, Conditions};
use crate::config::AlertKind;
use crate::snapshot::Publisher;

/// The alerts' view of everything.
pub(super) fn sources(publisher: &Arc<Publisher>, status: &Arc<admin::Sources>) -> alert::Sources {
    let (reader, status) = (publisher.reader(), Arc::clone(status));
    alert::Sources {
        generations: publisher.generations(),
        look: Box::new(move || conditions(&status.status_of(admin::Zones::Faulty))),
        settings: Box::new(move || {
            let settings = Arc::clone(&reader.load().settings);
            (settings.alert.clone(), server_name(&settings))
        }),
    }
}

/// The same for whoever looks: all that is wrong, whether or not anybody is told, and when it was seen first.
pub(super) fn list() -> Judge {
    let seen: Mutex<BTreeMap<(AlertKind, String), Timestamp>> = Mutex::default();
    Box::new(move |status| {
        let (conditions, now) = (conditions(status), Timestamp::now());
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *seen);
        let alert = |(kind, subject, detail): (AlertKind, &str, &str)| {
            let key = (kind, subject.to_owned());
            let since = before.get(&key).copied().unwrap_or(now);
            seen.insert(key, since);
            api::Alert { kind: kind.name().to_owned(), subject: subject.to_owned(), detail: detail.to_owned(), since }
        };
        conditions.iter().map(alert).collect()
    })
}

/// Everything in `status` that somebody should be told of.
fn conditions(status: &Status) -> Conditions {
    let mut conditions = Conditions::default();
    for pool in &status.pools {
        for family in &pool.families {
            of_family(pool, family, &mut conditions);
        }
    }
    if status.health.frozen.is_some() {
        let api::Health { failing, probes, .. } = status.health;
        let detail = format!("{failing} of {probes} probes fail and no witness answers");
        conditions.add(AlertKind::Frozen, "all verdicts", detail);
    }
    if let Some(first) = status.faults.first() {
        conditions.add(AlertKind::Fault, "settings or zones folder", first.as_str());
    }
    for zone in &status.zones {
        let (what, why) = match zone.state {
            ZoneState::Current => continue,
            ZoneState::Stale => ("not taken", &zone.errors),
            ZoneState::Held => ("held until confirmed", &zone.held),
            ZoneState::Broken => ("SERVFAIL", &zone.errors),
        };
        let why = why.first().map_or("", String::as_str);
        conditions.add(AlertKind::Fault, format!("zone {}, {what}", zone.name), why);
    }
    of_transfers(&status.transfers, &mut conditions);
    for certificate in status.certificates.iter().filter(|certificate| certificate.days_left < CERTIFICATE_DAYS) {
        let detail = format!("it ends at {}", certificate.ends);
        conditions.add(
            AlertKind::Certificate,
            format!("{}, {}", certificate.names.join(" "), certificate.file),
            detail,
        );
    }
    conditions
}

/// Days before its end from which on a certificate is told of.
const CERTIFICATE_DAYS: i64 = 14;

fn of_transfers(transfers: &Transfers, conditions: &mut Conditions) {
    for secondary in transfers.secondaries.iter().filter(|secondary| secondary.state != "current") {
        if let Some(error) = &secondary.error {
            let subject = format!("zone {} from its primaries, {}", secondary.zone, secondary.state);
            conditions.add(AlertKind::Transfer, subject, error.as_str());
        }
    }
    for watched in transfers.watched.iter().filter(|watched| watched.late) {
        let detail = match (&watched.error, watched.theirs, watched.ours) {
            (Some(error), ..) => error.clone(),
            (None, Some(theirs), Some(ours)) => format!("it serves {theirs}, this server {ours}"),
            (None, ..) => String::new(),
        };
        conditions.add(AlertKind::Transfer, format!("zone {} at {}", watched.zone, watched.server), detail);
    }
}

fn of_family(pool: &Pool, family: &Family, conditions: &mut Conditions) {
    if family.panic {
        let detail = "too few members are healthy, so all are handed out";
        conditions.add(AlertKind::Panic, format!("{} {}", pool.name, family.rtype), detail);
    }
    for member in family.members.iter().filter(|member| member.verdict == "down") {
        let reason = member.last_error.as_deref().unwrap_or_default();
        conditions.add(AlertKind::Down, format!("{} {}", pool.name, member.address), reason);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_down_in_panic_or_at_fault_is_told() {
        let member = |address: &str, verdict: &str| {
            json!({"address": address, "weight": 1.0, "verdict": verdict, "served": true, "standing": "served",
                   "since": null, "last_probe": null, "last_error": "timed out"})
        };
        let zone = |name: &str, state: &str| {
            json!({"name": name, "file": "x", "state": state, "serial": 1, "records": 1, "loaded": null,
                   "errors": ["x:1:1: bad", "x:2:1: worse"], "held": ["less"], "warnings": []})
        };
        let secondary = |name: &str, state: &str, error: Option<&str>| {
            json!({"zone": name, "state": state, "serial": 1, "records": 1, "primaries": [], "primary": null,
                   "received": null, "checked": null, "next": null, "expires": null, "error": error, "catalog": null,
                   "misfits": [], "incremental": 0, "whole": 0, "failed": 0})
        };
        let watched = |server: &str, late: bool| {
            json!({"zone": "g.test.", "server": server, "ours": 7, "theirs": 6, "lag": 60.0, "late": late,
                   "answered": null, "error": null})
        };
        let status: Status = serde_json::from_value(json!({
            "version": "1", "pid": 1, "started": "1970-01-01T00:00:00Z", "generation": 1,
            "faults": ["kofn.toml:1:1: bad"],
            "zones": [zone("a.test.", "current"), zone("b.test.", "stale"), zone("c.test.", "broken"),
                      zone("d.test.", "held")],
            "pools": [{"name": "www.a.test.", "zone": "a.test.", "check": "web", "families": [
                {"type": "A", "k": 2, "eligible": 2, "panic": true,
                 "members": [member("192.0.2.1", "up"), member("192.0.2.2", "down")]}]}],
            "drains": { "faults": [], "drains": [], "members": [] },
            "certificates": [{"names": ["ns1.test"], "file": "a.pem", "ends": "1970-01-02T00:00:00Z", "days_left": 1},
                             {"names": ["ns2.test"], "file": "b.pem", "ends": "1970-02-02T00:00:00Z", "days_left": 32}],
            "transfers": {
                "secondaries": [secondary("e.test.", "current", None), secondary("f.test.", "retrying", Some("refused"))],
                "watched": [watched("192.0.2.8:53", false), watched("192.0.2.9:53", true)]},
            "health": {"probes": 9, "failing": 7, "stale": 0, "withheld": 0, "witnesses": false,
                       "frozen": "1970-01-01T00:00:00Z", "freezes": 1},
            "queries": {"received": 0, "outcomes": {}},
        }))
        .unwrap();
        let mut expected = Conditions::default();
        expected.add(AlertKind::Down, "www.a.test. 192.0.2.2", "timed out");
        expected.add(AlertKind::Panic, "www.a.test. A", "too few members are healthy, so all are handed out");
        expected.add(AlertKind::Frozen, "all verdicts", "7 of 9 probes fail and no witness answers");
        expected.add(AlertKind::Fault, "settings or zones folder", "kofn.toml:1:1: bad");
        expected.add(AlertKind::Fault, "zone b.test., not taken", "x:1:1: bad");
        expected.add(AlertKind::Fault, "zone c.test., SERVFAIL", "x:1:1: bad");
        expected.add(AlertKind::Fault, "zone d.test., held until confirmed", "less");
        expected.add(AlertKind::Transfer, "zone f.test. from its primaries, retrying", "refused");
        expected.add(AlertKind::Transfer, "zone g.test. at 192.0.2.9:53", "it serves 6, this server 7");
        expected.add(AlertKind::Certificate, "ns1.test, a.pem", "it ends at 1970-01-02T00:00:00Z");
        assert_eq!(conditions(&status), expected);
        let list = list();
        let first = list(&status);
        assert_eq!(first.len(), expected.iter().count());
        assert!(first.iter().any(|alert| alert.kind == "panic" && alert.subject == "www.a.test. A"));
        assert_eq!(list(&status), first, "each keeps the time at which it was seen first");
        assert_eq!(list(&Status { pools: Vec::new(), ..status }).len(), first.len() - 2);
    }
}
