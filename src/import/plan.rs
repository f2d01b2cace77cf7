//! What an import comes to: zones, policies, and notes.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// By apex, with a final dot.
    pub zones: BTreeMap<String, ZonePlan>,
    /// What has no equal, or is otherwise than it was.
    pub notes: Vec<Note>,
}

/// One zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ZonePlan {
    /// The zone file.
    pub text: String,
    /// The policy file.
    pub policy: PolicyPlan,
}

/// The policy of a zone, in the words of the policy file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PolicyPlan {
    /// By name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub check: BTreeMap<String, CheckPlan>,
    /// By owner, with a final dot.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pool: BTreeMap<String, PoolPlan>,
}

/// How members are probed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct CheckPlan {
    /// `tcp`, `http`, `https` or `exec`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whose page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The status codes that pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<u16>,
    /// A program and its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Whom it asks in place of members.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub address: BTreeMap<IpAddr, IpAddr>,
    /// Whether certificates are looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<bool>,
    /// What the body must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// How long at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Passes that bring a member back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rise: Option<u32>,
    /// Failures that take it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fall: Option<u32>,
}

/// How the members of one owner are handed out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoolPlan {
    /// Addresses in an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<u16>,
    /// Seconds that an answer may be cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Seconds to which that falls while a verdict hangs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_min: Option<u32>,
    /// How hands are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<&'static str>,
    /// The name of the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The share of healthy members below which all are handed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panic: Option<f64>,
    /// Who is handed out before whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Vec<IpAddr>>,
    /// Shares that are not 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<IpAddr, f64>,
}

/// Something that an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// File and line, as far as they are known.
    pub place: String,
    /// What was found, and what became of it.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl Plan {
    pub(super) fn note(&mut self, place: impl Into<String>, message: impl Into<String>) {
        let note = Note { place: place.into(), message: message.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn zone(&mut self, apex: &str) -> &mut ZonePlan {
        self.zones.entry(apex.to_ascii_lowercase()).or_default()
    }

    /// The zone with the longest apex that `owner` is in.
    pub(super) fn zone_of(&self, owner: &str) -> Option<String> {
        let owner = owner.to_ascii_lowercase();
        let holds = |apex: &&String| *apex == "." || owner == **apex || owner.ends_with(&format!(".{apex}"));
        self.zones.keys().filter(holds).max_by_key(|apex| apex.len()).cloned()
    }
}

impl ZonePlan {
    pub(super) fn line(&mut self, line: impl fmt::Display) {
        writeln!(self.text, "{line}").expect("text takes text");
    }

    /// The policy file; `None` when the zone needs none.
    pub fn policy_text(&self) -> Option<String> {
        if self.policy == PolicyPlan::default() {
            return None;
        }
        Some(toml::to_string(&self.policy).expect("words, numbers and tables become TOML"))
    }

    /// The check with these keys, by the name of one that exists or a new one that begins with `name`.
    pub(super) fn check(&mut self, name: &str, check: CheckPlan) -> String {
        if let Some((known, _)) = self.policy.check.iter().find(|(_, known)| **known == check) {
            return known.clone();
        }
        let names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}-{number}")));
        let mut free = names.filter(|name| !self.policy.check.contains_key(name));
        let name = free.next().expect("there are more numbers than checks");
        self.policy.check.insert(name.clone(), check);
        name
    }
}

/// `owner` under `origin`, with a final dot, in lower case.
pub(super) fn absolute(owner: &str, origin: &str) -> String {
    let name = match owner {
        "@" | "" => origin.to_owned(),
        _ if owner.ends_with('.') => owner.to_owned(),
        _ if origin == "." => format!("{owner}."),
        _ => format!("{owner}.{origin}"),
    };
    name.to_ascii_lowercase()
}

/// The shares of members, in the bounds of the policy file; none when all are alike. Says whether the smallest had to grow.
pub(super) fn weights(members: &[(IpAddr, f64)]) -> (BTreeMap<IpAddr, f64>, bool) {
    const HEAVIEST: f64 = 100.0;
    const LIGHTEST: f64 = 0.01;
    let largest = members.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let is_alike = members.iter().all(|(_, weight)| (*weight - largest).abs() < f64::EPSILON);
    if is_alike {
        return (BTreeMap::new(), false);
    }
    let scale = if largest > HEAVIEST { HEAVIEST / largest } else { 1.0 };
    let grown = |weight: f64| weight > 0.0 && weight * scale < LIGHTEST;
    let share = |weight: f64| if grown(weight) { LIGHTEST } else { (weight * scale * 1e6).round() / 1e6 };
    let weights = members.iter().map(|(address, weight)| (*address, share(*weight))).collect();
    (weights, members.iter().any(|(_, weight)| grown(*weight)))
}

/// The type of the record that an address makes.
pub(super) const fn address_type(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "A",
        IpAddr::V6(_) => "AAAA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_that_ask_the_same_are_one() {
        let mut zone = ZonePlan::default();
        let tcp = |port| CheckPlan { kind: "tcp", port: Some(port), ..CheckPlan::default() };
        let names = [80, 443, 80].map(|port| zone.check("web", tcp(port)));
        assert_eq!(names, ["web", "web-2", "web"]);
        zone.policy.pool.insert("www.a.test.".into(), PoolPlan { check: Some("web".into()), ..PoolPlan::default() });
        assert_eq!(
            zone.policy_text().unwrap(),
            "[check.web]\ntype = \"tcp\"\nport = 80\n\n[check.web-2]\ntype = \"tcp\"\nport = 443\n\n\
             [pool.\"www.a.test.\"]\ncheck = \"web\"\n"
        );
    }

    #[test]
    fn an_owner_is_in_the_longest_zone() {
        let mut plan = Plan::default();
        plan.zone("a.test.");
        plan.zone("b.a.test.");
        assert_eq!(plan.zone_of("www.B.a.test."), Some("b.a.test.".into()));
        assert_eq!(plan.zone_of("a.test."), Some("a.test.".into()));
        assert_eq!(plan.zone_of("xa.test."), None);
        assert_eq!(absolute("www", "A.test."), "www.a.test.");
    }
}
