//! Route 53: what `aws route53 list-resource-record-sets` and `list-health-checks` print.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Deserialize;

use super::Input;
use super::plan::{CheckPlan, Plan, PoolPlan, ZonePlan};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Document {
    resource_record_sets: Vec<RecordSet>,
    health_checks: Vec<HealthCheck>,
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
    port: Option<u16>,
    #[serde(rename = "Type")]
    kind: String,
    resource_path: Option<String>,
    fully_qualified_domain_name: Option<String>,
    search_string: Option<String>,
    request_interval: Option<u32>,
    failure_threshold: Option<u32>,
}

/// How many addresses Route 53 puts into a multivalue answer.
const MULTIVALUE: usize = 8;

/// Makes zones of documents with record sets, with health checks, or with both.
pub fn from_route53(inputs: &[Input]) -> Plan {
    let (mut plan, mut sets, mut checks) = (Plan::default(), Vec::new(), BTreeMap::new());
    for input in inputs {
        match serde_json::from_str::<Document>(&input.text) {
            Ok(document) => {
                sets.extend(document.resource_record_sets);
                checks.extend(document.health_checks.into_iter().map(|check| (check.id, check.health_check_config)));
            }
            Err(error) => plan
                .note(&input.name, format!("{error}; the output of list-resource-record-sets or list-health-checks")),
        }
    }
    for set in sets.iter().filter(|set| set.rtype == "SOA") {
        let zone = plan.zone(&set.name);
        zone.line("; from Route 53");
    }
    let mut balanced: BTreeMap<(String, String), Vec<RecordSet>> = BTreeMap::new();
    for set in sets {
        let name = unescape(&set.name);
        let Some(apex) = plan.zone_of(&name) else {
            plan.note(name, "no SOA above it was given, so its zone is not known");
            continue;
        };
        if set.alias_target.is_some() {
            plan.note(format!("{name} {}", set.rtype), "an alias to another service has no equal");
        } else if set.set_identifier.is_some() && matches!(set.rtype.as_str(), "A" | "AAAA") {
            balanced.entry((apex, name)).or_default().push(set);
        } else {
            if set.set_identifier.is_some() {
                plan.note(
                    format!("{name} {}", set.rtype),
                    "only A and AAAA are balanced; all values are served at once",
                );
            }
            write(plan.zone(&apex), &name, &set);
        }
    }
    for ((apex, name), sets) in balanced {
        pool(&mut plan, &apex, &name, &sets, &checks);
    }
    plan
}

/// Route 53 writes `*` and other octets as `\052`.
fn unescape(name: &str) -> String {
    name.replace("\\052", "*").to_ascii_lowercase()
}

fn write(zone: &mut ZonePlan, name: &str, set: &RecordSet) {
    for record in &set.resource_records {
        zone.line(format_args!("{name} {} {} {}", set.ttl.unwrap_or(300), set.rtype, record.value));
    }
}

fn pool(plan: &mut Plan, apex: &str, name: &str, sets: &[RecordSet], checks: &BTreeMap<String, HealthCheckConfig>) {
    let mut pool = PoolPlan { ttl: sets.iter().filter_map(|set| set.ttl).min(), ..PoolPlan::default() };
    let mut tiers: [Vec<IpAddr>; 2] = Default::default();
    let mut asked = BTreeSet::new();
    for set in sets {
        let addresses: Vec<IpAddr> =
            set.resource_records.iter().filter_map(|record| record.value.parse().ok()).collect();
        if let Some(weight) = set.weight {
            // The weight of a set is shared by its values.
            let share = weight / addresses.len().max(1) as f64;
            pool.weights.extend(addresses.iter().map(|address| (*address, share)));
            pool.k = Some(1);
        }
        match set.failover.as_deref() {
            Some("PRIMARY") => tiers[0].extend(&addresses),
            Some(_) => tiers[1].extend(&addresses),
            None => {}
        }
        asked.extend(&set.health_check_id);
        write(plan.zone(apex), name, set);
    }
    if sets.iter().any(|set| set.multi_value_answer == Some(true)) {
        let text = format!(
            "a multivalue answer held up to {MULTIVALUE} addresses; kofn deals 2, and `k` of the pool says otherwise"
        );
        plan.note(name, text);
    }
    if sets.iter().any(|set| {
        set.region.is_some()
            || set.geo_location.is_some()
            || set.geo_proximity_location.is_some()
            || set.cidr_routing_config.is_some()
    }) {
        plan.note(name, "routing by latency or place has no equal; the addresses are one pool for everyone");
    }
    if tiers.iter().all(|tier| !tier.is_empty()) {
        pool.tiers = tiers.into();
    }
    pool.check = check(plan, apex, name, &asked, checks);
    plan.zone(apex).policy.pool.insert(name.to_owned(), pool);
}

fn check(
    plan: &mut Plan,
    apex: &str,
    name: &str,
    asked: &BTreeSet<&String>,
    checks: &BTreeMap<String, HealthCheckConfig>,
) -> Option<String> {
    let found: Vec<CheckPlan> = asked.iter().filter_map(|id| checks.get(*id)).filter_map(check_plan).collect();
    let Some(first) = found.first() else {
        if !asked.is_empty() {
            plan.note(
                name,
                "its health checks were not given, or are of a kind that has no equal; the pool has no check",
            );
        }
        return None;
    };
    if found.iter().any(|other| other != first) {
        plan.note(name, "its members had different health checks; the first is the pool's");
    }
    Some(plan.zone(apex).check("members", first.clone()))
}

fn check_plan(config: &HealthCheckConfig) -> Option<CheckPlan> {
    let kind = match config.kind.as_str() {
        "HTTP" | "HTTP_STR_MATCH" => "http",
        "HTTPS" | "HTTPS_STR_MATCH" => "https",
        "TCP" => "tcp",
        _ => return None,
    };
    Some(CheckPlan {
        kind,
        port: config.port,
        path: config.resource_path.clone().filter(|_| kind != "tcp"),
        host: config.fully_qualified_domain_name.clone().filter(|_| kind != "tcp"),
        body: config.search_string.clone(),
        interval: config.request_interval.map(|seconds| format!("{seconds}s")),
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
            {"Name": "\\052.a.test.", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": "\"x y\""}]},
            {"Name": "www.a.test.", "Type": "A", "SetIdentifier": "1", "MultiValueAnswer": true, "TTL": 60, "HealthCheckId": "h",
             "ResourceRecords": [{"Value": "192.0.2.1"}]},
            {"Name": "www.a.test.", "Type": "A", "SetIdentifier": "2", "MultiValueAnswer": true, "TTL": 30,
             "ResourceRecords": [{"Value": "192.0.2.2"}]},
            {"Name": "w.a.test.", "Type": "A", "SetIdentifier": "1", "Weight": 10, "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.3"}]},
            {"Name": "f.a.test.", "Type": "A", "SetIdentifier": "1", "Failover": "PRIMARY", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.4"}]},
            {"Name": "f.a.test.", "Type": "A", "SetIdentifier": "2", "Failover": "SECONDARY", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.5"}]},
            {"Name": "x.a.test.", "Type": "A", "AliasTarget": {"DNSName": "elb."}}
        ], "HealthChecks": [{"Id": "h", "HealthCheckConfig": {"Type": "HTTP", "Port": 80, "ResourcePath": "/up", "RequestInterval": 10, "FailureThreshold": 3}}]}"#;
        let plan = from_route53(&[Input { name: "r.json".into(), apex: None, text: text.into() }]);
        let zone = &plan.zones["a.test."];
        assert!(zone.text.contains("*.a.test. 60 TXT \"x y\"\n"), "{}", zone.text);
        let pools = &zone.policy.pool;
        assert_eq!((pools["www.a.test."].ttl, pools["www.a.test."].check.as_deref()), (Some(30), Some("members")));
        assert_eq!(zone.policy.check["members"].fall, Some(3));
        assert_eq!(pools["w.a.test."].weights["192.0.2.3".parse::<IpAddr>().as_ref().unwrap()], 10.0);
        assert_eq!(pools["f.a.test."].tiers.len(), 2);
        let places: Vec<_> = plan.notes.iter().map(|note| note.place.as_str()).collect();
        assert_eq!(places, ["x.a.test. A", "www.a.test."]);
    }
}
