//! Route 53: what `aws route53 list-resource-record-sets` and `list-health-checks` print, and change batches.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::Input;
use super::plan::{CheckPlan, Plan, PoolPlan, ZonePlan, absolute, weights};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Document {
    resource_record_sets: Vec<RecordSet>,
    health_checks: Vec<HealthCheck>,
    changes: Vec<Change>,
}

/// An element of a change batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    action: String,
    resource_record_set: RecordSet,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RecordSet {
    name: String,
    #[serde(rename = "Type")]
    rtype: String,
    #[serde(rename = "TTL")]
    ttl: Option<u32>,
    set_identifier: Option<String>,
    multi_value_answer: Option<bool>,
    weight: Option<f64>,
    failover: Option<String>,
    region: Option<String>,
    geo_location: Option<serde_json::Value>,
    geo_proximity_location: Option<serde_json::Value>,
    cidr_routing_config: Option<serde_json::Value>,
    alias_target: Option<serde_json::Value>,
    health_check_id: Option<String>,
    resource_records: Vec<ResourceRecord>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceRecord {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthCheck {
    id: String,
    health_check_config: HealthCheckConfig,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HealthCheckConfig {
    #[serde(rename = "IPAddress")]
    address: Option<IpAddr>,
    port: Option<u16>,
    #[serde(rename = "Type")]
    kind: String,
    resource_path: Option<String>,
    fully_qualified_domain_name: Option<String>,
    search_string: Option<String>,
    request_interval: Option<u32>,
    failure_threshold: Option<u32>,
    inverted: bool,
    disabled: bool,
}

/// How many addresses Route 53 puts into a multivalue answer.
const MULTIVALUE: u16 = 8;

/// Makes zones of documents with record sets, with health checks, or with both.
pub fn from_route53(inputs: &[Input]) -> Plan {
    let (mut plan, mut sets, mut checks) = (Plan::default(), Vec::new(), BTreeMap::new());
    for input in inputs {
        match serde_json::from_str::<Document>(&input.text) {
            Ok(document) => {
                sets.extend(document.resource_record_sets.into_iter().map(|set| (input.name.clone(), set)));
                for Change { action, resource_record_set } in document.changes {
                    match action.as_str() {
                        "CREATE" | "UPSERT" => sets.push((input.name.clone(), resource_record_set)),
                        _ => {
                            let place = format!("{}: {}", input.name, resource_record_set.name);
                            plan.note(place, format!("{action} is left out; only what is there can be served"));
                        }
                    }
                }
                checks.extend(document.health_checks.into_iter().map(|check| (check.id, check.health_check_config)));
            }
            Err(error) => {
                let place = format!("{}:{}:{}", input.name, error.line(), error.column());
                let (message, _) = error
                    .to_string()
                    .split_once(" at line ")
                    .map(|(a, b)| (a.to_owned(), b.to_owned()))
                    .unwrap_or_default();
                plan.note(place, format!("{message}; the output of list-resource-record-sets or list-health-checks"));
            }
        }
    }
    for (_, set) in sets.iter().filter(|(_, set)| set.rtype == "SOA") {
        plan.zone(&decimal(&set.name)).line("; from Route 53");
    }
    let mut balanced: BTreeMap<(String, String), Vec<RecordSet>> = BTreeMap::new();
    for (file, set) in sets {
        let name = absolute(&decimal(&set.name), ".");
        let place = format!("{file}: {name} {}", set.rtype);
        let Some(apex) = plan.zone_of(&name) else {
            plan.note(place, "left out: no SOA above it was given, so its zone is not known");
            continue;
        };
        if set.alias_target.is_some() {
            plan.note(place, "left out: an alias to another service has no equal");
        } else if matches!(set.rtype.as_str(), "A" | "AAAA")
            && (set.set_identifier.is_some() || set.health_check_id.is_some())
        {
            balanced.entry((apex, name)).or_default().push(set);
        } else {
            if set.set_identifier.is_some() {
                plan.note(place, "only A and AAAA are balanced; all values are served at once");
            }
            write(plan.zone(&apex), &name, &set);
        }
    }
    for ((apex, name), sets) in balanced {
        pool(&mut plan, &apex, &name, &sets, &checks);
    }
    plan
}

/// Route 53 writes octets in octal, `*` as `\052`, where master files write them in decimal.
fn decimal(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        result += before;
        let octet = escape.get(1..4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let length = match octet {
            Some(b'*') => {
                result.push('*');
                4
            }
            Some(octet) => {
                result += &format!("\\{octet:03}");
                4
            }
            None => {
                let end = escape.char_indices().nth(2).map_or(escape.len(), |(at, _)| at);
                result += &escape[..end];
                end
            }
        };
        rest = &escape[length..];
    }
    result + rest
}

fn write(zone: &mut ZonePlan, name: &str, set: &RecordSet) {
    for record in &set.resource_records {
        zone.line(format_args!("{name} {} {} {}", set.ttl.unwrap_or(300), set.rtype, decimal(&record.value)));
    }
}

fn pool(plan: &mut Plan, apex: &str, name: &str, sets: &[RecordSet], checks: &BTreeMap<String, HealthCheckConfig>) {
    // When all are unhealthy, Route 53 takes all to be healthy; not sooner.
    let mut pool =
        PoolPlan { ttl: sets.iter().filter_map(|set| set.ttl).min(), panic: Some(0.0), ..PoolPlan::default() };
    let mut tiers: [Vec<IpAddr>; 2] = Default::default();
    let mut weighted: Vec<(IpAddr, f64)> = Vec::new();
    for set in sets {
        let addresses: Vec<IpAddr> =
            set.resource_records.iter().filter_map(|record| record.value.parse().ok()).collect();
        if let Some(weight) = set.weight {
            // The weight of a set is shared by its values, of which all are in an answer.
            let share = weight / addresses.len().max(1) as f64;
            weighted.extend(addresses.iter().map(|address| (*address, share)));
            pool.k = Some(1);
            if addresses.len() > 1 {
                plan.note(name, "the values of a weighted set were answered together; here one at a time");
            }
        }
        match set.failover.as_deref() {
            Some("PRIMARY") => tiers[0].extend(&addresses),
            Some(_) => tiers[1].extend(&addresses),
            None => {}
        }
        write(plan.zone(apex), name, set);
    }
    if sets.iter().any(|set| set.multi_value_answer == Some(true)) {
        pool.k = Some(MULTIVALUE);
    }
    if sets.iter().any(|set| {
        set.region.is_some()
            || set.geo_location.is_some()
            || set.geo_proximity_location.is_some()
            || set.cidr_routing_config.is_some()
    }) {
        plan.note(name, "routing by latency or place has no equal; the addresses are one pool for everyone");
    }
    if !weighted.is_empty() && weighted.iter().all(|(_, weight)| *weight == 0.0) {
        plan.note(name, "all weights are 0, which is as if all were alike; so they are here");
    }
    (pool.weights, _) = weights(&weighted);
    if tiers.iter().all(|tier| !tier.is_empty()) {
        // Of a failover set all values are in an answer.
        let is_single = sets.iter().all(|set| set.resource_records.len() == 1);
        (pool.k, pool.spread) = if is_single { (Some(1), None) } else { (None, Some("all")) };
        pool.tiers = tiers.into();
    } else if pool.k.is_none() {
        pool.spread = Some("all");
    }
    pool.check = check(plan, apex, name, sets, checks);
    plan.zone(apex).policy.pool.insert(name.to_owned(), pool);
}

/// The check of a pool: the first that its sets have, with whom it asks where that is not the member.
fn check(
    plan: &mut Plan,
    apex: &str,
    name: &str,
    sets: &[RecordSet],
    checks: &BTreeMap<String, HealthCheckConfig>,
) -> Option<String> {
    let mut kept: Option<CheckPlan> = None;
    let mut asked = BTreeMap::new();
    for set in sets {
        let Some(id) = &set.health_check_id else {
            if sets.iter().any(|set| set.health_check_id.is_some()) {
                let what = set.set_identifier.as_deref().unwrap_or(&set.rtype);
                plan.note(name, format!("the set {what} had no health check; here the check asks all members"));
            }
            continue;
        };
        let found = checks.get(id).ok_or_else(|| "was not given".to_owned());
        match found.and_then(|config| Ok((config, check_plan(config)?))) {
            Err(reason) => plan.note(name, format!("the health check {id} {reason}; left out")),
            Ok((config, plan_of_it)) => {
                let members = set.resource_records.iter().filter_map(|record| record.value.parse::<IpAddr>().ok());
                match config.address {
                    Some(address) => {
                        asked.extend(members.filter(|member| *member != address).map(|member| (member, address)));
                    }
                    None => plan.note(
                        name,
                        format!(
                            "the health check {id} asked the addresses of a name; here each member is asked itself"
                        ),
                    ),
                }
                match &kept {
                    Some(first) if *first != plan_of_it => {
                        plan.note(name, "its members had different health checks; the first is the pool's");
                    }
                    Some(_) => {}
                    None => kept = Some(plan_of_it),
                }
            }
        }
    }
    let check = CheckPlan { address: asked, ..kept? };
    Some(plan.zone(apex).check("members", check))
}

/// What it asks of a member, or why it is no check.
fn check_plan(config: &HealthCheckConfig) -> Result<CheckPlan, String> {
    let kind = match config.kind.as_str() {
        "HTTP" | "HTTP_STR_MATCH" => "http",
        "HTTPS" | "HTTPS_STR_MATCH" => "https",
        "TCP" => "tcp",
        other => return Err(format!("is {other}, which has no equal")),
    };
    if config.inverted {
        return Err("is inverted, which has no equal".to_owned());
    }
    if config.disabled {
        return Err("is disabled".to_owned());
    }
    Ok(CheckPlan {
        kind,
        port: config.port,
        path: config.resource_path.clone().filter(|_| kind != "tcp"),
        host: config.fully_qualified_domain_name.clone().filter(|_| kind != "tcp"),
        // Route 53 does not look at certificates.
        verify: (kind == "https").then_some(false),
        body: config.search_string.clone(),
        interval: config.request_interval.map(|seconds| format!("{seconds}s")),
        rise: config.failure_threshold,
        fall: config.failure_threshold,
        ..CheckPlan::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_sets_become_pools() {
        let text = r#"{"ResourceRecordSets": [
            {"Name": "a.test.", "Type": "SOA", "TTL": 900, "ResourceRecords": [{"Value": "ns. h. 1 2 3 4 5"}]},
            {"Name": "\\052.a.test.", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": "\"x\\177y\""}]},
            {"Name": "www.a.test.", "Type": "A", "SetIdentifier": "1", "MultiValueAnswer": true, "TTL": 60, "HealthCheckId": "h",
             "ResourceRecords": [{"Value": "192.0.2.1"}]},
            {"Name": "www.a.test.", "Type": "A", "SetIdentifier": "2", "MultiValueAnswer": true, "TTL": 30,
             "ResourceRecords": [{"Value": "192.0.2.2"}]},
            {"Name": "w.a.test.", "Type": "A", "SetIdentifier": "1", "Weight": 200, "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.3"}]},
            {"Name": "w.a.test.", "Type": "A", "SetIdentifier": "2", "Weight": 50, "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.6"}]},
            {"Name": "w.a.test.", "Type": "A", "SetIdentifier": "3", "Weight": 0, "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.7"}]},
            {"Name": "f.a.test.", "Type": "A", "SetIdentifier": "1", "Failover": "PRIMARY", "TTL": 60, "HealthCheckId": "i", "ResourceRecords": [{"Value": "192.0.2.4"}]},
            {"Name": "f.a.test.", "Type": "A", "SetIdentifier": "2", "Failover": "SECONDARY", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.5"}]},
            {"Name": "x.a.test.", "Type": "A", "AliasTarget": {"DNSName": "elb."}},
            {"Name": "l.a.test.", "Type": "A", "SetIdentifier": "us", "Region": "us-east-1", "TTL": 60, "HealthCheckId": "c", "ResourceRecords": [{"Value": "192.0.2.8"}]},
            {"Name": "out.test.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.4"}]}
        ], "HealthChecks": [
            {"Id": "h", "HealthCheckConfig": {"Type": "HTTP", "IPAddress": "192.0.2.1", "Port": 80, "ResourcePath": "/up", "RequestInterval": 10, "FailureThreshold": 3}},
            {"Id": "i", "HealthCheckConfig": {"Type": "HTTPS", "IPAddress": "198.51.100.4", "Port": 443, "RequestInterval": 30, "FailureThreshold": 2}},
            {"Id": "c", "HealthCheckConfig": {"Type": "CALCULATED"}}]}"#;
        let plan = from_route53(&[Input { name: "r.json".into(), apex: None, text: text.into() }]);
        let zone = &plan.zones["a.test."];
        assert!(zone.text.contains("*.a.test. 60 TXT \"x\\127y\"\n"), "{}", zone.text);
        let pool = |name: &str| &zone.policy.pool[&format!("{name}.a.test.")];
        let www = pool("www");
        assert_eq!(
            (www.k, www.ttl, www.panic, www.check.as_deref()),
            (Some(8), Some(30), Some(0.0), Some("members-2"))
        );
        assert_eq!((zone.policy.check["members-2"].fall, zone.policy.check["members-2"].rise), (Some(3), Some(3)));
        assert_eq!(pool("w").weights.values().copied().collect::<Vec<_>>(), [100.0, 25.0, 0.0]);
        assert_eq!((pool("f").tiers.len(), pool("f").k), (2, Some(1)));
        let asked = &zone.policy.check["members"];
        assert_eq!((asked.address.len(), asked.verify), (1, Some(false)), "{asked:?}");
        let notes: Vec<_> = plan.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "r.json: x.a.test. A: left out: an alias to another service has no equal",
                "r.json: out.test. A: left out: no SOA above it was given, so its zone is not known",
                "f.a.test.: the set 2 had no health check; here the check asks all members",
                "l.a.test.: routing by latency or place has no equal; the addresses are one pool for everyone",
                "l.a.test.: the health check c is CALCULATED, which has no equal; left out",
                "www.a.test.: the set 2 had no health check; here the check asks all members",
            ]
        );
        let bad = from_route53(&[Input { name: "r.json".into(), apex: None, text: "{\n x".into() }]);
        assert!(bad.notes[0].to_string().starts_with("r.json:2:2: key must be a string; "), "{:?}", bad.notes);
    }
}
