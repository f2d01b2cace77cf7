//! PowerDNS: zone files (`pdnsutil list-zone` prints them) with LUA records.

use std::net::IpAddr;

use super::Input;
use super::lua::{self, Lua};
use super::plan::{CheckPlan, Plan, PoolPlan, absolute, address_type};

/// Makes zones of zone files whose LUA records pick addresses.
pub fn from_powerdns(inputs: &[Input]) -> Plan {
    let mut plan = Plan::default();
    for input in inputs {
        match &input.apex {
            Some(apex) => zone(&mut plan, input, apex),
            None => plan.note(&input.name, "the name says no zone; NAME.zone would"),
        }
    }
    plan
}

/// What a LUA record picks from.
#[derive(Default)]
struct Picked {
    members: Vec<(IpAddr, f64)>,
    tiers: Vec<Vec<IpAddr>>,
    check: Option<CheckPlan>,
    k: Option<u16>,
    spread: Option<&'static str>,
}

fn zone(plan: &mut Plan, input: &Input, apex: &str) {
    let (mut origin, mut owner) = (apex.to_owned(), apex.to_owned());
    plan.zone(apex);
    for (number, line) in input.text.lines().enumerate() {
        let place = format!("{}:{}", input.name, number + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["$ORIGIN", name, ..] = words[..] {
            origin = absolute(name, &origin);
        }
        let continued = line.starts_with(char::is_whitespace);
        if !continued && words.first().is_some_and(|word| !word.starts_with(['$', ';', ')'])) {
            owner = absolute(words[0], &origin);
        }
        let at = words.iter().position(|word| *word == "LUA").filter(|at| *at > 0 || continued);
        let Some(at) = at.filter(|_| !line.trim_start().starts_with(';')) else {
            plan.zone(apex).line(line);
            continue;
        };
        plan.zone(apex).line(format_args!("; {}", line.trim()));
        let rtype = words.get(at + 1).copied().unwrap_or_default();
        if !matches!(rtype, "A" | "AAAA") {
            plan.note(place, format!("LUA {rtype}: only A and AAAA are balanced; write the record that you want"));
            continue;
        }
        let ttl = words[..at].iter().skip(usize::from(!continued)).find_map(|word| word.parse::<u32>().ok());
        match line.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).and_then(|(call, _)| picked(call)) {
            Some(picked) => pool(plan, (apex, &owner), picked, ttl, &place),
            None => {
                plan.note(place, format!("LUA {rtype} {owner}: a program that has no equal; write the pool by hand"));
            }
        }
    }
}

fn pool(plan: &mut Plan, (apex, owner): (&str, &str), picked: Picked, ttl: Option<u32>, place: &str) {
    for (address, _) in &picked.members {
        let ttl = ttl.map(|ttl| format!("{ttl} ")).unwrap_or_default();
        plan.zone(apex).line(format_args!("{owner} {ttl}{} {address}", address_type(*address)));
    }
    let check = picked.check.map(|check| plan.zone(apex).check("members", check));
    let weights = picked.members.into_iter().filter(|(_, weight)| (*weight - 1.0).abs() > f64::EPSILON);
    let pool = PoolPlan {
        k: picked.k,
        ttl,
        spread: picked.spread,
        check,
        tiers: picked.tiers,
        weights: weights.collect(),
        ..PoolPlan::default()
    };
    match plan.zone(apex).policy.pool.get(owner).cloned() {
        Some(first) if first.check != pool.check || first.k != pool.k => {
            plan.note(place, format!("{owner}: A and AAAA have one policy here, that of the first record"));
        }
        Some(_) => {}
        None => drop(plan.zone(apex).policy.pool.insert(owner.to_owned(), pool)),
    }
}

/// What the call `text` picks from; `None` when it does anything else.
fn picked(text: &str) -> Option<Picked> {
    let Lua::Call(name, arguments) = lua::parse(text)? else { return None };
    let mut picked = Picked::default();
    let options = |at: usize| arguments.get(at).cloned().unwrap_or(Lua::Table(Vec::new()));
    let list = match name.as_str() {
        "ifportup" => {
            let port = arguments.first()?.number()? as u16;
            picked.check =
                Some(timed(CheckPlan { kind: "tcp", port: Some(port), ..CheckPlan::default() }, &options(2)));
            select(&mut picked, &options(2));
            arguments.get(1)?
        }
        "ifurlup" => {
            picked.check = Some(timed(page(arguments.first()?.text()?, &options(2))?, &options(2)));
            select(&mut picked, &options(2));
            arguments.get(1)?
        }
        "pickrandom" | "pickhashed" | "pickchashed" | "pickwhashed" | "pickwrandom" | "pickselfweighted" => {
            picked.k = Some(1);
            picked.spread = name.contains("hashed").then_some("affinity");
            arguments.first().filter(|_| name != "pickselfweighted")?
        }
        "pickrandomsample" => {
            picked.k = Some(arguments.first()?.number()? as u16);
            arguments.get(1)?
        }
        "all" => {
            picked.spread = Some("all");
            arguments.first()?
        }
        _ => return None,
    };
    members(list, &mut picked)?;
    Some(picked)
}

/// `selector` says how many of those that are up are answered; one at random when it is not written.
fn select(picked: &mut Picked, options: &Lua) {
    match options.entry("selector").as_deref() {
        Some("all") => picked.spread = Some("all"),
        Some("hashed" | "pickclosest") => (picked.k, picked.spread) = (Some(1), Some("affinity")),
        _ => picked.k = Some(1),
    }
}

fn timed(check: CheckPlan, options: &Lua) -> CheckPlan {
    let seconds = |key: &str| options.entry(key).map(|seconds| format!("{seconds}s"));
    let fall = options.entry("minimumFailures").and_then(|count| count.parse().ok());
    CheckPlan { interval: seconds("interval"), timeout: seconds("timeout"), fall, ..check }
}

fn page(url: &str, options: &Lua) -> Option<CheckPlan> {
    let url: hyper::Uri = url.parse().ok()?;
    let kind = if url.scheme_str()? == "https" { "https" } else { "http" };
    Some(CheckPlan {
        kind,
        port: url.port_u16().or(Some(if kind == "https" { 443 } else { 80 })),
        path: url.path_and_query().map(ToString::to_string),
        host: url.host().map(str::to_owned),
        body: options.entry("stringmatch"),
        expect: options.entry("httpcode").and_then(|code| code.parse().ok()).into_iter().collect(),
        ..CheckPlan::default()
    })
}

/// `{a, b}`, `{{a, b}, {c}}` where later lists stand in for those before, or `{{weight, a}, …}`.
fn members(list: &Lua, picked: &mut Picked) -> Option<()> {
    for element in list.elements() {
        match element {
            Lua::Text(address) => picked.members.push((address.parse().ok()?, 1.0)),
            Lua::Table(_) => {
                let parts: Vec<&Lua> = element.elements().collect();
                if let [Lua::Number(weight), Lua::Text(address)] = parts[..] {
                    picked.members.push((address.parse().ok()?, *weight));
                    continue;
                }
                let texts: Option<Vec<&str>> = parts.into_iter().map(Lua::text).collect();
                let tier: Result<Vec<IpAddr>, _> = texts?.into_iter().map(str::parse).collect();
                let tier = tier.ok()?;
                picked.members.extend(tier.iter().map(|address| (*address, 1.0)));
                picked.tiers.push(tier);
            }
            _ => return None,
        }
    }
    // One tier alone is no order.
    picked.tiers.truncate(if picked.tiers.len() > 1 { usize::MAX } else { 0 });
    (!picked.members.is_empty()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lua_records_become_pools() {
        let text = "$ORIGIN a.test.\n@ 300 IN SOA ns1 h 1 2 3 4 5\nwww 60 IN LUA A \"ifportup(443, {'192.0.2.1', '192.0.2.2'}, {interval=2})\"\n\
                    api IN LUA A \"ifurlup('https://api.a.test:8443/up', {{'192.0.2.3'},{'192.0.2.4'}}, {stringmatch='ok', selector='all'})\"\n\
                    w IN LUA AAAA \"pickwrandom({{10,'2001:db8::1'},{20,'2001:db8::2'}})\"\nn IN LUA A \";return x\"\nc IN LUA CNAME \"x()\"\n\
                    s IN LUA A \"pickrandomsample(3, {'192.0.2.1','192.0.2.2'})\"\n";
        let plan =
            from_powerdns(&[Input { name: "a.test.zone".into(), apex: Some("a.test.".into()), text: text.into() }]);
        let zone = &plan.zones["a.test."];
        assert!(zone.text.contains("\nwww.a.test. 60 A 192.0.2.1\nwww.a.test. 60 A 192.0.2.2\n"), "{}", zone.text);
        let (www, api, w) =
            (&zone.policy.pool["www.a.test."], &zone.policy.pool["api.a.test."], &zone.policy.pool["w.a.test."]);
        assert_eq!((www.k, www.ttl, www.check.as_deref()), (Some(1), Some(60), Some("members")));
        assert_eq!(zone.policy.check["members"].interval.as_deref(), Some("2s"));
        assert_eq!((api.spread, api.tiers.len(), api.check.as_deref()), (Some("all"), 2, Some("members-2")));
        let up = &zone.policy.check["members-2"];
        assert_eq!((up.kind, up.port, up.body.as_deref()), ("https", Some(8443), Some("ok")));
        assert_eq!(w.weights.values().copied().collect::<Vec<_>>(), [10.0, 20.0]);
        assert_eq!(zone.policy.pool["s.a.test."].k, Some(3));
        assert_eq!(plan.notes.len(), 2, "{:?}", plan.notes);
        assert_eq!(plan.notes[0].place, "a.test.zone:6");
    }
}
