//! gdnsd: the configuration's plugins and the DYNA records that name them (gdnsd.config(5), gdnsd-plugin-multifo(8),
//! gdnsd-plugin-weighted(8), gdnsd-plugin-simplefo(8)).

use std::net::IpAddr;

use super::Input;
use super::plan::{CheckPlan, Plan, PoolPlan, absolute, address_type};
use super::vscf::{self, Value};

/// The addresses behind a DYNA record, and how they were handed out.
struct Resource {
    members: Vec<(IpAddr, f64)>,
    tiers: Vec<Vec<IpAddr>>,
    service_types: Vec<String>,
    up_threshold: Option<f64>,
    k: Option<u16>,
    spread: Option<&'static str>,
}

/// Makes zones of a gdnsd configuration, the input without an apex, and its zone files.
pub fn from_gdnsd(inputs: &[Input]) -> Plan {
    let mut plan = Plan::default();
    let mut top = Value::Hash(Vec::new());
    for input in inputs.iter().filter(|input| input.apex.is_none()) {
        match vscf::parse(&input.text) {
            Ok(value) => top = value,
            Err(error) => plan.note(&input.name, error.to_string()),
        }
        if input.text.contains("$include") {
            plan.note(&input.name, "$include is not followed; paste what it names");
        }
    }
    for input in inputs {
        if let Some(apex) = &input.apex {
            plan.zone(apex);
            zone(&mut plan, &top, input, apex);
        }
    }
    plan
}

/// A word of a zone file, up to a comment.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let end = line.find(|next| {
        quoted ^= next == '"';
        next == ';' && !quoted
    });
    line[..end.unwrap_or(line.len())].split_whitespace().collect()
}

fn zone(plan: &mut Plan, top: &Value, input: &Input, apex: &str) {
    let (mut origin, mut owner) = (apex.to_owned(), apex.to_owned());
    for (number, line) in input.text.lines().enumerate() {
        let place = format!("{}:{}", input.name, number + 1);
        let words = words(line);
        if let ["$ORIGIN", name, ..] = words[..] {
            origin = absolute(name, &origin);
        }
        let continued = line.starts_with(char::is_whitespace);
        if !continued && words.first().is_some_and(|word| !word.starts_with(['$', ')', '('])) {
            owner = absolute(words[0], &origin);
        }
        let Some(at) = words.iter().position(|word| matches!(*word, "DYNA" | "DYNC")) else {
            plan.zone(apex).line(line);
            continue;
        };
        let target = words.get(at + 1).copied().unwrap_or_default();
        plan.zone(apex).line(format_args!("; {}", line.trim()));
        if words[at] == "DYNC" {
            plan.note(place, format!("DYNC {target}: only addresses are balanced; write the CNAME that you want"));
            continue;
        }
        let before = words.get(usize::from(!continued)..at).unwrap_or_default();
        let ttl = before.iter().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        match resource(top, target) {
            Ok(resource) => pool(plan, top, (apex, &owner), resource, ttl.copied().unwrap_or_default(), &place),
            Err(reason) => plan.note(place, format!("DYNA {target}: {reason}")),
        }
    }
}

fn pool(plan: &mut Plan, top: &Value, (apex, owner): (&str, &str), resource: Resource, ttl: &str, place: &str) {
    // gdnsd has the longest TTL, and behind a slash the shortest.
    let longest = ttl.split('/').next().unwrap_or_default().to_owned();
    for (address, _) in &resource.members {
        let line = format!("{owner} {longest} {} {address}", address_type(*address));
        plan.zone(apex).line(line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let check = match &resource.service_types[..] {
        [] => None,
        [name, others @ ..] => {
            if !others.is_empty() {
                plan.note(place, format!("only the first check is kept, {name}: a pool has one, of {others:?} none"));
            }
            service_type(plan, top, name, apex, place)
        }
    };
    let weights = resource.members.iter().filter(|(_, weight)| (*weight - 1.0).abs() > f64::EPSILON);
    let pool = PoolPlan {
        k: resource.k,
        ttl: longest.parse().ok(),
        spread: resource.spread,
        check,
        panic: resource.up_threshold,
        tiers: resource.tiers,
        weights: weights.copied().collect(),
    };
    if plan.zone(apex).policy.pool.insert(owner.to_owned(), pool).is_some() {
        plan.note(place, format!("{owner} has a second DYNA record; its addresses join the pool of the first"));
    }
}

/// What `plugin!resource` names.
fn resource(top: &Value, target: &str) -> Result<Resource, String> {
    let (plugin, name) = target.split_once('!').ok_or("found no `plugin!resource`")?;
    let plugin_value = top.get("plugins").and_then(|plugins| plugins.get(plugin));
    let value = plugin_value.and_then(|value| value.get(name)).ok_or("the configuration has no such resource")?;
    let families = ["addrs_v4", "addrs_v6"].map(|key| value.get(key));
    let parts: Vec<&Value> = match families.iter().flatten().count() {
        0 => vec![value],
        _ => families.into_iter().flatten().collect(),
    };
    let setting = |key: &str| parts.iter().copied().chain([value]).chain(plugin_value).find_map(|from| from.get(key));
    let mut resource = Resource {
        members: Vec::new(),
        tiers: Vec::new(),
        service_types: setting("service_types")
            .map(|types| types.words().into_iter().map(str::to_owned).collect())
            .unwrap_or_default(),
        up_threshold: setting("up_thresh").and_then(|share| share.word()?.parse().ok()),
        k: None,
        spread: None,
    };
    match plugin {
        // It hands out everyone who is up.
        "multifo" => resource.spread = Some("all"),
        "weighted" if setting("multi").and_then(Value::word) == Some("true") => {}
        "weighted" | "static" => resource.k = Some(1),
        "simplefo" => {
            resource.k = Some(1);
            let of = |key: &str| {
                let addresses = parts.iter().filter_map(|part| part.get(key)?.word()?.parse().ok());
                addresses.collect::<Vec<IpAddr>>()
            };
            resource.tiers = vec![of("primary"), of("secondary")];
        }
        _ => return Err(format!("the plugin {plugin} has no equal; write the pool by hand")),
    }
    parts.iter().for_each(|part| members(part, &mut resource.members));
    match resource.members.is_empty() {
        true => Err("it has no addresses (CNAMEs are not balanced)".to_owned()),
        false => Ok(resource),
    }
}

/// Addresses, `[address, weight]`, and groups of these.
fn members(value: &Value, found: &mut Vec<(IpAddr, f64)>) {
    for (_, value) in value.entries() {
        match value {
            Value::Word(word) => found.extend(word.parse().map(|address| (address, 1.0))),
            Value::List(_) => {
                if let [address, weight] = value.words()[..] {
                    found.extend(address.parse().ok().zip(weight.parse().ok()));
                }
            }
            Value::Hash(_) => members(value, found),
        }
    }
}

fn service_type(plan: &mut Plan, top: &Value, name: &str, apex: &str, place: &str) -> Option<String> {
    let empty = Value::Hash(Vec::new());
    let value = top.get("service_types").and_then(|types| types.get(name)).unwrap_or(&empty);
    let seconds = |key: &str| Some(format!("{}s", value.get(key)?.word()?));
    let check = CheckPlan {
        port: value.number("port"),
        interval: seconds("interval"),
        timeout: seconds("timeout"),
        rise: value.number("ok_thresh"),
        fall: value.number("down_thresh"),
        ..CheckPlan::default()
    };
    let check = match (name, value.get("plugin").and_then(Value::word)) {
        (_, Some("tcp_connect")) => CheckPlan { kind: "tcp", ..check },
        (_, Some("http_status")) => {
            let codes = value.get("ok_codes").map(Value::words).filter(|codes| !codes.is_empty());
            let codes = codes.unwrap_or_else(|| vec!["200"]);
            CheckPlan {
                kind: "http",
                path: value.get("url_path").and_then(Value::word).map(str::to_owned),
                host: value.get("vhost").and_then(Value::word).map(str::to_owned),
                expect: codes.into_iter().filter_map(|code| code.parse().ok()).collect(),
                ..check
            }
        }
        // Always up, built in.
        ("up" | "none", None) => return None,
        (_, plugin) => {
            let plugin = plugin.unwrap_or("nothing");
            plan.note(place, format!("the service type {name} ({plugin}) has no equal; the pool has no check"));
            return None;
        }
    };
    Some(plan.zone(apex).check(name, check))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        service_types => {
          web => { plugin => http_status, port => 8080, url_path => /check, vhost => www.a.test, interval => 5, down_thresh => 2 }
          odd => { plugin => extmon, cmd => ["/bin/true"] }
        }
        plugins => {
          multifo => { prod => { service_types => web, up_thresh => 0.4, one => 192.0.2.1, two => 192.0.2.2 } }
          weighted => { both => { multi => true, service_types => odd, addrs_v4 => { a => [ 192.0.2.3, 10 ], b => [ 192.0.2.4, 30 ] },
                                   addrs_v6 => { a => [ 2001:db8::3, 1 ] } } }
          simplefo => { pair => { primary => 192.0.2.5, secondary => 192.0.2.6 } }
        }"#;
    const ZONE: &str = "$TTL 600\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.9 ; kept\nwww 60/30 DYNA multifo!prod\n\
                        \tMX 10 ns1\nboth DYNA weighted!both\npair 30 DYNA simplefo!pair\nfar DYNA geoip!far\nc DYNC x!y\n";

    #[test]
    fn plugins_become_pools_and_the_rest_stays_as_it_was() {
        let config = Input { name: "config".into(), apex: None, text: CONFIG.into() };
        let zone = Input { name: "zones/a.test".into(), apex: Some("a.test.".into()), text: ZONE.into() };
        let plan = from_gdnsd(&[config, zone]);
        let zone = &plan.zones["a.test."];
        assert!(
            zone.text.contains("ns1 A 192.0.2.9 ; kept\n; www 60/30 DYNA multifo!prod\nwww.a.test. 60 A 192.0.2.1\n"),
            "{}",
            zone.text
        );
        assert!(zone.text.contains("both.a.test. AAAA 2001:db8::3\n"), "{}", zone.text);
        let www = &zone.policy.pool["www.a.test."];
        assert_eq!(
            (www.spread, www.panic, www.ttl, www.check.as_deref()),
            (Some("all"), Some(0.4), Some(60), Some("web"))
        );
        let web = &zone.policy.check["web"];
        assert_eq!((web.kind, web.port, web.path.as_deref(), web.fall), ("http", Some(8080), Some("/check"), Some(2)));
        let both = &zone.policy.pool["both.a.test."];
        assert_eq!((both.k, both.check.as_ref(), both.weights.len()), (None, None, 2));
        let pair = &zone.policy.pool["pair.a.test."];
        assert_eq!((pair.k, pair.tiers.len(), pair.tiers[1][0]), (Some(1), 2, "192.0.2.6".parse().unwrap()));
        let notes: Vec<_> = plan.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "zones/a.test:7: the service type odd (extmon) has no equal; the pool has no check",
                "zones/a.test:9: DYNA geoip!far: the configuration has no such resource",
                "zones/a.test:10: DYNC x!y: only addresses are balanced; write the CNAME that you want",
            ]
        );
    }
}
