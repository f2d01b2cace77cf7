//! Route 53: change batches for `aws route53 change-resource-record-sets`, and the health checks that they name.
//!
//! ```text
//! a pool with two tiers of one member each, and k = 1   failover
//! any other pool with k = 1                             weighted, one set a member
//! any other pool                                        multivalue answers, of which Route 53 hands out up to eight
//! ```

mod checks;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::set::{Set, note_transfer};
use super::{Exported, Subject};
use crate::pool::Spread;
use crate::wire::Type;
use checks::Checks;

/// What `change-resource-record-sets` takes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeBatch<'a> {
    comment: String,
    changes: &'a [Change],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    action: &'static str,
    resource_record_set: RecordSet,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RecordSet {
    name: String,
    #[serde(rename = "Type")]
    rtype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_answer: Option<bool>,
    #[serde(rename = "TTL")]
    ttl: u32,
    resource_records: Vec<ResourceRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceRecord {
    value: String,
}

/// The types that Route 53 has.
const TYPES: [Type; 16] = [
    Type::A,
    Type::AAAA,
    Type::CAA,
    Type::CNAME,
    Type::DS,
    Type::HTTPS,
    Type::MX,
    Type::NAPTR,
    Type::NS,
    Type::PTR,
    Type::SOA,
    Type::SRV,
    Type::SSHFP,
    Type::SVCB,
    Type::TLSA,
    Type::TXT,
];
/// A batch holds 1,000 records and 32,000 characters of values; an UPSERT counts twice.
const RECORDS: usize = 500;
const CHARACTERS: usize = 16_000;
/// How many addresses Route 53 puts into a multivalue answer.
const MULTIVALUE: usize = 8;
/// The largest weight.
const HEAVIEST: f64 = 255.0;

/// The zone as change batches; with `apex` its SOA and NS records too, of which a hosted zone has its own.
pub fn to_route53(subject: &Subject<'_>, apex: bool) -> Exported {
    let mut exported = Exported::default();
    let mut checks = Checks::default();
    let mut changes = Vec::new();
    for set in subject.sets(&mut exported) {
        let place = format!("{} {}", set.owner, set.rtype);
        if !TYPES.contains(&set.rtype) {
            exported.note(&place, "Route 53 has no records of this type; left out");
        } else if set.is_apex && matches!(set.rtype, Type::SOA | Type::NS) && !apex {
            exported.note(&place, "left out: a hosted zone has its own; --apex writes it");
        } else if set.pool.is_some() {
            set.note_idle(&mut exported);
            changes.extend(pool(&set, &mut checks, &mut exported));
        } else {
            changes.push(record_set(&set, set.values()));
        }
    }
    note_transfer(&mut exported, subject, subject.zone);
    let changes: Vec<Change> =
        changes.into_iter().map(|set| Change { action: "UPSERT", resource_record_set: set }).collect();
    let batches = batches(&changes);
    for (number, batch) in (1..).zip(&batches) {
        let of = if batches.len() > 1 { format!(", {number} of {}", batches.len()) } else { String::new() };
        let comment = format!("{}{of}", subject.zone.apex());
        let name = if number == 1 { "changes".to_owned() } else { format!("changes-{number}") };
        let text = json(&ChangeBatch { comment, changes: batch });
        exported.file(format!("{}.{name}.json", subject.stem), text);
    }
    if let Some(text) = checks.document() {
        exported.file(format!("{}.health-checks.json", subject.stem), text);
    }
    exported
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("the JSON types have no maps but of strings") + "\n"
}

/// The changes by request.
fn batches(changes: &[Change]) -> Vec<&[Change]> {
    let (mut batches, mut from, mut records, mut characters) = (Vec::new(), 0, 0, 0);
    for (at, change) in changes.iter().enumerate() {
        let values = &change.resource_record_set.resource_records;
        let size = values.iter().map(|record| record.value.len()).sum::<usize>();
        if at > from && (records + values.len() > RECORDS || characters + size > CHARACTERS) {
            batches.push(&changes[from..at]);
            (from, records, characters) = (at, 0, 0);
        }
        (records, characters) = (records + values.len(), characters + size);
    }
    batches.push(&changes[from..]);
    batches
}

fn record_set(set: &Set<'_>, values: Vec<String>) -> RecordSet {
    RecordSet {
        name: octal(&set.owner.to_string()),
        rtype: set.rtype.to_string(),
        ttl: set.ttl,
        resource_records: values.into_iter().map(|value| ResourceRecord { value: octal(&value) }).collect(),
        ..RecordSet::default()
    }
}

/// Route 53 writes octets in octal where master files write them in decimal.
fn octal(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        result += before;
        let code = escape.get(1..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        match code.and_then(|digits| digits.parse::<u8>().ok()) {
            Some(octet) => {
                result += &format!("\\{octet:03o}");
                rest = &escape[4..];
            }
            None => {
                let end = escape.char_indices().nth(2).map_or(escape.len(), |(at, _)| at);
                result += &escape[..end];
                rest = &escape[end..];
            }
        }
    }
    result + rest
}

/// The sets of one pool.
fn pool(set: &Set<'_>, checks: &mut Checks, exported: &mut Exported) -> Vec<RecordSet> {
    let Some(pool) = set.pool else { return Vec::new() };
    let members = set.members();
    let tiers = set.tiers();
    let is_one = set.hand() == 1 && pool.policy.spread != Spread::All;
    let ids = checks.of_pool(set, exported);
    let with = |address: &IpAddr, rest: RecordSet| RecordSet {
        set_identifier: Some(address.to_string()),
        health_check_id: ids.get(address).cloned(),
        ..rest
    };
    let single = |address: &IpAddr| record_set(set, vec![address.to_string()]);
    if let ([first], [second]) =
        (&tiers.first().map_or(&[][..], Vec::as_slice), &tiers.get(1).map_or(&[][..], Vec::as_slice))
        && tiers.len() == 2
        && is_one
        && !ids.is_empty()
    {
        let failover = |address: &IpAddr, word| with(address, RecordSet { failover: Some(word), ..single(address) });
        return vec![failover(first, "PRIMARY"), failover(second, "SECONDARY")];
    }
    if tiers.len() > 1 {
        exported.note(
            &set.owner,
            "tiers are left out, all members are alike; failover needs k = 1, a check, and two members",
        );
    }
    if matches!(pool.policy.spread, Spread::Affinity) {
        exported.note(&set.owner, "spread = \"affinity\" is left out: a client gets another answer each time");
    }
    if is_one {
        let weights = weights(&members, set, exported);
        let weighted = |(address, _): &(IpAddr, f64)| {
            let weight = weights.get(address).copied();
            with(address, RecordSet { weight, ..single(address) })
        };
        return members.iter().map(weighted).collect();
    }
    if set.is_weighted() {
        exported.note(&set.owner, "weights are left out: multivalue answers have none");
    }
    if set.hand() != members.len().min(MULTIVALUE) {
        let message = format!("up to {MULTIVALUE} members are in an answer, not {}", set.hand());
        exported.note(&set.owner, message);
    }
    let multivalue =
        |(address, _): &(IpAddr, f64)| with(address, RecordSet { multi_value_answer: Some(true), ..single(address) });
    members.iter().map(multivalue).collect()
}

/// Whole numbers from 1 to 255 in the proportions of the weights.
fn weights(members: &[(IpAddr, f64)], set: &Set<'_>, exported: &mut Exported) -> BTreeMap<IpAddr, u32> {
    let heaviest = members.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let is_whole =
        |scale: f64| members.iter().all(|(_, weight)| ((weight * scale).round() - weight * scale).abs() < 1e-9);
    let whole = (1..=100).map(f64::from).find(|scale| is_whole(*scale) && heaviest * scale <= HEAVIEST);
    let scale = whole.unwrap_or(HEAVIEST / heaviest);
    if whole.is_none() {
        exported.note(&set.owner, "the weights are rounded: Route 53 has whole numbers up to 255");
    }
    members.iter().map(|(address, weight)| (*address, (weight * scale).round().max(1.0) as u32)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::{notes, read};
    use super::*;

    fn sets(exported: &Exported, at: usize) -> Vec<Value> {
        let document: Value = serde_json::from_str(&exported.files[at].text).expect("JSON");
        let changes = document["Changes"].as_array().expect("changes").clone();
        changes.into_iter().map(|change| change["ResourceRecordSet"].clone()).collect()
    }

    #[test]
    fn octets_are_octal() {
        assert_eq!(octal("\"a\\127b\\\"\\\\009\""), "\"a\\177b\\\"\\\\009\"");
        assert_eq!(octal("plain"), "plain");
    }

    #[test]
    fn pools_are_weighted_failover_or_multivalue() {
        let (zone, policy) = read(
            "w A 192.0.2.1\nw A 192.0.2.2\nf A 192.0.2.3\nf A 192.0.2.4\nm A 192.0.2.5\nm A 192.0.2.6\nm A 192.0.2.7\n*.x TXT a\nh HINFO a b\n",
            "[check.up]\ntype = \"http\"\npath = \"/up\"\ninterval = 10\nbody = \"ok\"\nfall = 3\n\
             [pool.w]\nk = 1\nweights = { \"192.0.2.1\" = 0.5 }\n\
             [pool.f]\nk = 1\nttl = 15\ncheck = \"up\"\ntiers = [[\"192.0.2.4\"], [\"192.0.2.3\"]]\n\
             [pool.m]\nk = 8\ncheck = \"up\"\n",
        );
        let exported = to_route53(&Subject { stem: "a.test", zone: &zone, policy: &policy }, false);
        let names: Vec<&str> = exported.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.test.changes.json", "a.test.health-checks.json"]);
        let sets = sets(&exported, 0);
        let of = |name: &str| sets.iter().filter(|set| set["Name"] == name).collect::<Vec<_>>();
        assert_eq!(of("w.a.test.").iter().map(|set| set["Weight"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2)]);
        let failover = of("f.a.test.");
        assert_eq!((&failover[0]["Failover"], &failover[0]["SetIdentifier"]), (&"PRIMARY".into(), &"192.0.2.4".into()));
        assert_eq!((&failover[1]["TTL"], &failover[1]["HealthCheckId"]), (&15.into(), &"kofn-up-192-0-2-3".into()));
        let multivalue = of("m.a.test.");
        assert!(
            multivalue.len() == 3 && multivalue.iter().all(|set| set["MultiValueAnswer"] == true),
            "{multivalue:?}"
        );
        assert_eq!(of("*.x.a.test.")[0]["ResourceRecords"][0]["Value"], "\"a\"");
        let checks: Value = serde_json::from_str(&exported.files[1].text).expect("JSON");
        let checks = checks["HealthChecks"].as_array().expect("checks");
        assert_eq!(checks.len(), 5);
        let config = &checks[0]["HealthCheckConfig"];
        assert_eq!((&config["Type"], &config["SearchString"]), (&"HTTP_STR_MATCH".into(), &"ok".into()), "{config}");
        assert_eq!((&config["RequestInterval"], &config["FailureThreshold"]), (&10.into(), &3.into()));
        assert_eq!(
            notes(&exported),
            [
                "a.test. NS: left out: a hosted zone has its own; --apex writes it",
                "a.test. SOA: left out: a hosted zone has its own; --apex writes it",
                "h.a.test. HINFO: Route 53 has no records of this type; left out",
            ]
        );
    }

    #[test]
    fn a_batch_is_no_larger_than_a_request_may_be() {
        let records: String = (0..1200).map(|n| format!("h{n} A 192.0.2.1\n")).collect();
        let (zone, policy) = read(&records, "");
        let exported = to_route53(&Subject { stem: "a.test", zone: &zone, policy: &policy }, true);
        let sizes: Vec<usize> = (0..exported.files.len()).map(|at| sets(&exported, at).len()).collect();
        assert_eq!(sizes, [500, 500, 203]);
        assert_eq!(exported.files[2].name, "a.test.changes-3.json");
    }
}
