//! The health checks of Route 53, one for each member: it has no other way to say whom to ask.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::super::Exported;
use super::super::set::Set;
use super::json;
use crate::config::{Check, CheckKind, HttpCheck};

/// What `list-health-checks` prints, as far as it is needed to make them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    health_checks: Vec<HealthCheck<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthCheck<'a> {
    id: &'a str,
    caller_reference: &'a str,
    health_check_config: &'a HealthCheckConfig,
}

#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthCheckConfig {
    #[serde(rename = "IPAddress")]
    address: String,
    port: u16,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fully_qualified_domain_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_string: Option<String>,
    request_interval: u64,
    failure_threshold: u32,
    #[serde(rename = "EnableSNI", skip_serializing_if = "Option::is_none")]
    enable_sni: Option<bool>,
}

/// By what the records call them until Route 53 has given them ids of its own.
#[derive(Default)]
pub(super) struct Checks(BTreeMap<String, HealthCheckConfig>);

impl Checks {
    /// The ids of the checks of the members of a pool; none where the pool has none that Route 53 could make.
    pub(super) fn of_pool(&mut self, set: &Set<'_>, exported: &mut Exported) -> BTreeMap<IpAddr, String> {
        let mut ids = BTreeMap::new();
        let Some(check) = set.pool.and_then(|pool| pool.check.as_deref()) else { return ids };
        for note in differences(check) {
            exported.note(&format!("{} check {}", set.owner, check.name), note);
        }
        for (address, _) in set.members() {
            let asked = check.address_for(address);
            let Some(config) = config(check, asked) else { continue };
            if is_private(asked) {
                exported.note(&set.owner, format!("Route 53 cannot ask {asked}, and refuses its check"));
            }
            ids.insert(address, self.id(&check.name, asked, config));
        }
        ids
    }

    /// Checks that ask the same are one.
    fn id(&mut self, name: &str, address: IpAddr, config: HealthCheckConfig) -> String {
        if let Some((id, _)) = self.0.iter().find(|(_, known)| **known == config) {
            return id.clone();
        }
        let word: String =
            format!("{name}-{address}").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        // An id has 64 characters at most, and there may be checks of one name in one zone only.
        let word: String = word.chars().skip(word.len().saturating_sub(55)).collect();
        let names = std::iter::once(format!("kofn-{word}")).chain((2..).map(|number| format!("kofn-{word}-{number}")));
        let id = names.into_iter().find(|id| !self.0.contains_key(id)).expect("there are more numbers than checks");
        self.0.insert(id.clone(), config);
        id
    }

    pub(super) fn document(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let checks =
            self.0.iter().map(|(id, config)| HealthCheck { id, caller_reference: id, health_check_config: config });
        Some(json(&Document { health_checks: checks.collect() }))
    }
}

/// The intervals that Route 53 has.
const OFTEN: u64 = 10;
const SELDOM: u64 = 30;
/// The largest threshold.
const MOST: u32 = 10;

fn config(check: &Check, address: IpAddr) -> Option<HealthCheckConfig> {
    let rules = check.rules();
    let common = HealthCheckConfig {
        address: address.to_string(),
        request_interval: if rules.interval.as_secs() < SELDOM { OFTEN } else { SELDOM },
        failure_threshold: rules.fall.min(MOST),
        ..HealthCheckConfig::default()
    };
    match &check.kind {
        CheckKind::Tcp(tcp) => Some(HealthCheckConfig { port: tcp.port, kind: "TCP", ..common }),
        CheckKind::Http(http) => Some(HealthCheckConfig {
            port: http.port,
            kind: kind(http),
            resource_path: Some(http.path.clone()),
            fully_qualified_domain_name: Some(http.server_name().trim_end_matches('.').to_owned()),
            search_string: http.body.clone(),
            enable_sni: http.tls.is_some().then_some(true),
            ..common
        }),
        CheckKind::Dns(_) | CheckKind::Exec(_) => None,
    }
}

const fn kind(http: &HttpCheck) -> &'static str {
    match (http.tls.is_some(), http.body.is_some()) {
        (false, false) => "HTTP",
        (false, true) => "HTTP_STR_MATCH",
        (true, false) => "HTTPS",
        (true, true) => "HTTPS_STR_MATCH",
    }
}

/// What of a check Route 53 does otherwise.
fn differences(check: &Check) -> Vec<String> {
    let rules = check.rules();
    let mut notes = Vec::new();
    match &check.kind {
        CheckKind::Dns(_) | CheckKind::Exec(_) => {
            return vec!["Route 53 has no checks of this type; the members are taken to be healthy".to_owned()];
        }
        CheckKind::Http(http) => {
            if http.tls.is_some() {
                notes.push("Route 53 does not look at the certificate".to_owned());
            }
            if http.expect.to_string() != "200-399" {
                notes.push(format!("Route 53 takes any status from 200 to 399, not {}", http.expect));
            }
        }
        CheckKind::Tcp(_) => {}
    }
    if ![OFTEN, SELDOM].contains(&rules.interval.as_secs()) {
        let interval = if rules.interval.as_secs() < SELDOM { OFTEN } else { SELDOM };
        notes.push(format!("the interval is {interval} s; Route 53 has {OFTEN} and {SELDOM}"));
    }
    if rules.rise != rules.fall || rules.fall > MOST {
        let threshold = rules.fall.min(MOST);
        notes.push(format!(
            "{threshold} results in a row flip a member, either way; Route 53 has one number up to {MOST}"
        ));
    }
    notes
}

/// Whether Route 53 would refuse to ask.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_multicast()
        }
    }
}
