//! What `plugin!resource` names: the addresses, and how they were handed out.

use std::net::IpAddr;

use super::vscf::Value;

/// The addresses behind a DYNA record, and how they were handed out.
#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) members: Vec<(IpAddr, f64)>,
    pub(super) tiers: Vec<Vec<IpAddr>>,
    pub(super) service_types: Vec<String>,
    pub(super) up_threshold: Option<f64>,
    pub(super) k: Option<u16>,
    pub(super) spread: Option<&'static str>,
    /// What is otherwise here.
    pub(super) notes: Vec<String>,
}

/// What gdnsd takes where nothing is written.
const UP_THRESHOLD: f64 = 0.5;

/// What `target` names, or why it is no pool.
pub(super) fn find(top: &Value, target: &str) -> Result<Resource, String> {
    let (plugin, name) = target.split_once('!').ok_or("found no `plugin!resource`")?;
    let mut resource = match plugin {
        "multifo" | "weighted" | "simplefo" | "static" => {
            let value = plugin_value(top, plugin).and_then(|plugin| plugin.get(name)).ok_or(ABSENT)?;
            let mut outer = vec![value];
            outer.extend(plugin_value(top, plugin));
            direct(plugin, value, &outer)?
        }
        "metafo" | "geoip" => places(top, plugin, name)?,
        _ => return Err(format!("the plugin {plugin} has no equal; write the pool by hand")),
    };
    if resource.members.is_empty() {
        return Err("it has no addresses; CNAMEs are not balanced, write the one that you want".to_owned());
    }
    resource.members.dedup_by_key(|(address, _)| *address);
    Ok(resource)
}

const ABSENT: &str = "the configuration has no such resource";

fn plugin_value<'v>(top: &'v Value, plugin: &str) -> Option<&'v Value> {
    top.get("plugins")?.get(plugin)
}

/// The resource `value` of a plugin that has addresses itself; `outer` are the tables that it inherits from, nearest first.
fn direct(plugin: &str, value: &Value, outer: &[&Value]) -> Result<Resource, String> {
    let families: Vec<&Value> = ["addrs_v4", "addrs_v6"].into_iter().filter_map(|key| value.get(key)).collect();
    let parts = if families.is_empty() { vec![value] } else { families };
    let setting = |part: &Value, key: &str| {
        let found = part.get(key).or_else(|| outer.iter().find_map(|from| from.get(key)));
        found.map(|value| value.words().into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let mut resource = Resource::default();
    for key in ["service_types", "up_thresh", "multi", "ignore_health"] {
        if parts.iter().any(|part| setting(part, key) != setting(parts[0], key)) {
            resource.notes.push(format!("{key} differs by family; the first is kept"));
        }
    }
    let first = |key: &str| setting(parts[0], key);
    let is_true = |key: &str| first(key).is_some_and(|words| words == ["true"]);
    resource.service_types = first("service_types").unwrap_or_default();
    let threshold = first("up_thresh").and_then(|words| words.first()?.parse().ok());
    match plugin {
        // It hands out everyone who is up.
        "multifo" => {
            resource.spread = Some("all");
            resource.up_threshold = Some(threshold.unwrap_or(UP_THRESHOLD));
            if is_true("ignore_health") {
                resource.service_types.clear();
                resource.notes.push("ignore_health: the members are not checked".to_owned());
            }
        }
        "weighted" => {
            resource.k = Some(1);
            resource.up_threshold = Some(threshold.unwrap_or(UP_THRESHOLD));
            if is_true("multi") {
                resource.notes.push("several weighted addresses an answer; here 1, and `k` says otherwise".to_owned());
            }
            let is_group = |(_, value): &(String, Value)| matches!(value, Value::Hash(_));
            if parts.iter().any(|part| part.entries().iter().any(is_group)) {
                let note = "groups have no equal; all members are one pool, and `together` or `apart` by prefix may do";
                resource.notes.push(note.to_owned());
            }
        }
        "simplefo" => {
            (resource.k, resource.up_threshold) = (Some(1), Some(0.0));
            let of = |key: &str| {
                parts.iter().filter_map(|part| part.get(key)?.word()?.parse().ok()).collect::<Vec<IpAddr>>()
            };
            resource.tiers = vec![of("primary"), of("secondary")];
        }
        _ => resource.k = Some(1),
    }
    for part in parts {
        members(part, &mut resource.members);
    }
    Ok(resource)
}

/// A resource of metafo, whose datacenters are tiers, or of geoip, where who asks decides; both know `NAME/DATACENTER`.
fn places(top: &Value, plugin: &str, name: &str) -> Result<Resource, String> {
    let whole = plugin_value(top, plugin).ok_or(ABSENT)?;
    let resources = whole.get("resources").ok_or(ABSENT)?;
    let (name, only) = match (resources.get(name), name.rsplit_once('/')) {
        (None, Some((name, place))) => (name, Some(place)),
        _ => (name, None),
    };
    let value = resources.get(name).ok_or(ABSENT)?;
    let map = value.get("dcmap").ok_or(ABSENT)?;
    let order = value.get("datacenters").map(Value::words).unwrap_or_default();
    let order: Vec<&str> = match order.is_empty() {
        true => map.entries().iter().map(|(place, _)| place.as_str()).collect(),
        false => order,
    };
    let mut found = Resource::default();
    for place in order.into_iter().filter(|place| only.is_none_or(|only| only == *place)) {
        let at = map.get(place).ok_or_else(|| format!("its dcmap has no {place}"))?;
        let inner = place_resource(top, at, &[value, whole])?;
        let addresses = inner.members.iter().map(|(address, _)| *address).collect();
        // Tiers inside of a place are tiers, too.
        found.tiers.extend(if inner.tiers.is_empty() { vec![addresses] } else { inner.tiers });
        if !found.members.is_empty() && (found.service_types != inner.service_types || found.k != inner.k) {
            found.notes.push(format!("{place} is handed out or checked otherwise than the first; that is kept"));
        } else {
            (found.service_types, found.k, found.spread) = (inner.service_types, inner.k, inner.spread);
            found.up_threshold = inner.up_threshold;
        }
        found.notes.extend(inner.notes);
        found.members.extend(inner.members);
    }
    found.tiers.retain(|tier| !tier.is_empty());
    if plugin == "geoip" && only.is_none() {
        let note = "routing by place has no equal; the addresses of all places are one pool for everyone";
        found.notes.push(note.to_owned());
        found.tiers.clear();
    }
    if found.tiers.len() < 2 {
        found.tiers.clear();
    }
    Ok(found)
}

/// `%plugin!resource`, `!resource`, an address, a list of them, or the resource itself.
fn place_resource(top: &Value, at: &Value, outer: &[&Value]) -> Result<Resource, String> {
    let default = at.get("plugin").or_else(|| outer.iter().find_map(|from| from.get("plugin"))).and_then(Value::word);
    let default = default.unwrap_or("multifo");
    match at.word() {
        Some(word) if word.starts_with('%') => find(top, &word[1..]),
        Some(word) if word.starts_with('!') => find(top, &format!("{default}{word}")),
        Some(_) => direct("multifo", at, outer),
        None if matches!(at, Value::List(_)) => direct("multifo", at, outer),
        None => direct(default, at, outer),
    }
}

/// An address, `[address, weight]`, `[address, …]`, and groups of these.
fn members(value: &Value, found: &mut Vec<(IpAddr, f64)>) {
    match value {
        Value::Word(word) => found.extend(word.parse().map(|address| (address, 1.0))),
        Value::List(_) => {
            let words = value.words();
            match words[..] {
                [address, weight] if weight.parse::<IpAddr>().is_err() => {
                    found.extend(address.parse().ok().zip(weight.parse().ok()));
                }
                _ => found.extend(words.into_iter().filter_map(|word| Some((word.parse().ok()?, 1.0)))),
            }
        }
        Value::Hash(entries) => entries.iter().for_each(|(_, value)| members(value, found)),
    }
}
