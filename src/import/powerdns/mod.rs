//! PowerDNS: zone files (`pdnsutil list-zone` prints them) with LUA records.

mod lua;

use std::net::IpAddr;

use super::Input;
use super::entries::{Entry, entries, seconds};
use super::plan::{CheckPlan, Plan, PoolPlan, absolute, address_type, weights};
use lua::Lua;

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
    /// What is otherwise here.
    notes: Vec<String>,
}

fn zone(plan: &mut Plan, input: &Input, apex: &str) {
    let (mut origin, mut owner, mut default) = (apex.to_owned(), apex.to_owned(), None);
    plan.zone(apex);
    for entry in entries(&input.text) {
        match entry.directive().as_deref() {
            Some("$ORIGIN") => origin = absolute(entry.word(1), &origin),
            Some("$TTL") => default = seconds(entry.word(1)),
            Some("$INCLUDE") => {
                let place = format!("{}:{}", input.name, entry.line);
                plan.note(
                    place,
                    format!("$INCLUDE {} stays; copy that file too, and look at its LUA records", entry.word(1)),
                );
            }
            _ => {}
        }
        if entry.words.first().is_some_and(|word| !entry.continued && !word.text.starts_with('$')) {
            owner = absolute(entry.word(0), &origin);
        }
        match entry.type_at(&["LUA"]) {
            Some(at) => record(plan, (input, apex), &owner, &entry, (at, default)),
            None => plan.zone(apex).line(entry.text),
        }
    }
}

/// `www 60 IN LUA A "…" "…"`: the program may be cut into several strings.
fn record(
    plan: &mut Plan,
    (input, apex): (&Input, &str),
    owner: &str,
    entry: &Entry<'_>,
    (at, default): (usize, Option<u32>),
) {
    let place = format!("{}:{}", input.name, entry.line);
    plan.zone(apex).line(entry.commented());
    let rtype = entry.word(at + 1);
    if !matches!(rtype, "A" | "AAAA") {
        return plan
            .note(place, format!("{owner} LUA {rtype}: only A and AAAA are balanced; write the record that you want"));
    }
    let before = entry.words.get(usize::from(!entry.continued)..at).unwrap_or_default();
    let ttl = before.iter().find_map(|word| seconds(&word.text)).or(default);
    let program: String = entry.words.iter().skip(at + 2).map(|word| word.text.as_str()).collect();
    match picked(&program) {
        Ok(picked) => pool(plan, (apex, owner), rtype, (picked, ttl), &place),
        Err(reason) => plan.note(place, format!("{owner} LUA {rtype}: {reason}; write the pool by hand")),
    }
}

fn pool(plan: &mut Plan, (apex, owner): (&str, &str), rtype: &str, (picked, ttl): (Picked, Option<u32>), place: &str) {
    for note in &picked.notes {
        plan.note(place, format!("{owner}: {note}"));
    }
    for (address, _) in &picked.members {
        if address_type(*address) != rtype {
            plan.note(place, format!("{owner}: {address} in a LUA {rtype} record is left out"));
            continue;
        }
        let ttl = ttl.map(|ttl| format!("{ttl} ")).unwrap_or_default();
        plan.zone(apex).line(format_args!("{owner} {ttl}{rtype} {address}"));
    }
    // One that is up serves until all are down, and then all do.
    let panic = picked.check.is_some().then_some(0.0);
    if picked.check.is_some() {
        let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
        let note = "one failure took a member out and one success brought it back; here `fall` (2) and `rise` (3) of the checks say how many";
        plan.note(file, note);
    }
    let check = picked.check.map(|check| plan.zone(apex).check("members", check));
    let (weights, rounded) = weights(&picked.members);
    if rounded {
        plan.note(place, format!("{owner}: weights are from 0.01 to 100 here, so the smallest are larger"));
    }
    let ttl = ttl.map(|ttl| ttl.min(LONGEST_TTL));
    let pool = PoolPlan {
        k: picked.k,
        ttl,
        spread: picked.spread,
        check,
        panic,
        tiers: picked.tiers,
        weights,
        ..PoolPlan::default()
    };
    match plan.zone(apex).policy.pool.get_mut(owner) {
        Some(first) => {
            let differs =
                first.check != pool.check || first.k != pool.k || first.spread != pool.spread || first.ttl != pool.ttl;
            first.weights.extend(pool.weights);
            // A tier of each family is one tier.
            for (at, tier) in pool.tiers.into_iter().enumerate() {
                match first.tiers.get_mut(at) {
                    Some(known) => known.extend(tier),
                    None => first.tiers.push(tier),
                }
            }
            if differs {
                plan.note(place, format!("{owner}: A and AAAA have one policy here, that of the first record"));
            }
        }
        None => drop(plan.zone(apex).policy.pool.insert(owner.to_owned(), pool)),
    }
}

/// The largest that a pool may have.
const LONGEST_TTL: u32 = 604_800;

/// What the call `text` picks from, or why it is no pool.
fn picked(text: &str) -> Result<Picked, String> {
    let program = || "a program that has no equal".to_owned();
    let Some(Lua::Call(name, arguments)) = lua::parse(text) else { return Err(program()) };
    let mut picked = Picked::default();
    let none = Lua::Table(Vec::new());
    let argument = |at: usize| arguments.get(at).unwrap_or(&none);
    let list = match name.as_str() {
        "ifportup" => {
            let port = argument(0).number().filter(|port| (1.0..=65_535.0).contains(port)).ok_or_else(program)? as u16;
            picked.check =
                Some(timed(CheckPlan { kind: "tcp", port: Some(port), ..CheckPlan::default() }, argument(2)));
            select(&mut picked, argument(2));
            argument(1)
        }
        "ifurlup" => {
            let page = argument(0).text().and_then(|url| page(url, argument(2))).ok_or_else(program)?;
            picked.check = Some(timed(page, argument(2)));
            select(&mut picked, argument(2));
            argument(1)
        }
        "pickrandom" | "pickwrandom" => {
            picked.k = Some(1);
            argument(0)
        }
        "pickhashed" | "pickwhashed" | "pickchashed" => {
            (picked.k, picked.spread) = (Some(1), Some("affinity"));
            argument(0)
        }
        "pickrandomsample" => {
            let count = argument(0).number().filter(|count| (1.0..=65_535.0).contains(count)).ok_or_else(program)?;
            picked.k = Some(count as u16);
            argument(1)
        }
        "all" => {
            picked.spread = Some("all");
            argument(0)
        }
        _ => return Err(format!("{name} has no equal")),
    };
    members(list, &mut picked).ok_or("its addresses are not plain ones")?;
    Ok(picked)
}

/// `selector` says how many of those that are up are answered, one at random when it is not written; `backupSelector` how
/// many when none is.
fn select(picked: &mut Picked, options: &Lua) {
    let selector = options.entry("selector").unwrap_or_else(|| "random".to_owned());
    match selector.as_str() {
        "all" => picked.spread = Some("all"),
        "hashed" => (picked.k, picked.spread) = (Some(1), Some("affinity")),
        _ => picked.k = Some(1),
    }
    if !["all", "hashed", "random"].contains(&selector.as_str()) {
        picked
            .notes
            .push(format!("the selector {selector} has no equal; here one of those that are up, each as often"));
    }
    let backup = options.entry("backupSelector").unwrap_or_else(|| "random".to_owned());
    if backup != selector {
        picked
            .notes
            .push(format!("when all were down, the selector was {backup}; here all are dealt like those that are up"));
    }
}

fn timed(check: CheckPlan, options: &Lua) -> CheckPlan {
    let seconds = |key: &str| options.entry(key).map(|seconds| format!("{seconds}s"));
    let fall = options.entry("minimumFailures").and_then(|count| count.parse().ok());
    CheckPlan { interval: seconds("interval"), timeout: seconds("timeout"), fall, ..check }
}

/// What a status had to be unless it was said.
const OK: u16 = 200;

fn page(url: &str, options: &Lua) -> Option<CheckPlan> {
    let url: hyper::Uri = url.parse().ok()?;
    let kind = if url.scheme_str()? == "https" { "https" } else { "http" };
    Some(CheckPlan {
        kind,
        port: url.port_u16().or(Some(if kind == "https" { 443 } else { 80 })),
        path: url.path_and_query().map(ToString::to_string),
        host: url.host().map(str::to_owned),
        body: options.entry("stringmatch"),
        expect: vec![options.entry("httpcode").and_then(|code| code.parse().ok()).unwrap_or(OK)],
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
                if let [weight, Lua::Text(address)] = parts[..]
                    && let Some(weight) = weight.number()
                {
                    picked.members.push((address.parse().ok()?, weight));
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
                    www 60 IN LUA AAAA \"ifportup(443, {'2001:db8::1', '2001:db8::2'}, {interval=2})\"\n\
                    api IN LUA A ( \"ifurlup('https://api.a.test:8443/up', \"\n  \"{{'192.0.2.3'},{'192.0.2.4'}}, {stringmatch='ok', selector='all', backupSelector='all'})\" )\n\
                    w IN LUA AAAA \"pickwrandom({{1000,'2001:db8::1'},{'20','2001:db8::2'}})\"\nn IN LUA A \";return x\"\nc IN LUA CNAME \"x()\"\n\
                    s IN LUA A \"pickrandomsample(3, {'192.0.2.1','192.0.2.2'})\"\nh IN LUA A \"pickhashed({'192.0.2.1','192.0.2.2'})\"\n\
                    f IN LUA A \"createForward()\"\nlua A 192.0.2.9\nm IN LUA A \"ifportup(80, {'192.0.2.8'}, {selector='pickclosest'})\"\n";
        let plan =
            from_powerdns(&[Input { name: "a.test.zone".into(), apex: Some("a.test.".into()), text: text.into() }]);
        let zone = &plan.zones["a.test."];
        assert!(zone.text.contains("\nwww.a.test. 60 A 192.0.2.1\nwww.a.test. 60 A 192.0.2.2\n"), "{}", zone.text);
        assert!(zone.text.contains("\nlua A 192.0.2.9\n"), "{}", zone.text);
        let pool = |name: &str| &zone.policy.pool[&format!("{name}.a.test.")];
        let (www, api, w) = (pool("www"), pool("api"), pool("w"));
        assert_eq!((www.k, www.ttl, www.panic, www.check.as_deref()), (Some(1), Some(60), Some(0.0), Some("members")));
        assert_eq!(zone.policy.check["members"].interval.as_deref(), Some("2s"));
        assert_eq!((api.spread, api.tiers.len(), api.check.as_deref()), (Some("all"), 2, Some("members-2")));
        let up = &zone.policy.check["members-2"];
        assert_eq!(
            (up.kind, up.port, up.body.as_deref(), &up.expect[..]),
            ("https", Some(8443), Some("ok"), &[200][..])
        );
        assert_eq!(w.weights.values().copied().collect::<Vec<_>>(), [100.0, 2.0]);
        assert_eq!((pool("s").k, pool("h").spread), (Some(3), Some("affinity")));
        let notes: Vec<_> = plan.notes.iter().map(ToString::to_string).collect();
        let random = "when all were down, the selector was random; here all are dealt like those that are up";
        assert_eq!(
            notes,
            [
                "a.test.zone: one failure took a member out and one success brought it back; here `fall` (2) and `rise` (3) of the checks say how many".to_owned(),
                "a.test.zone:8: n.a.test. LUA A: a program that has no equal; write the pool by hand".to_owned(),
                "a.test.zone:9: c.a.test. LUA CNAME: only A and AAAA are balanced; write the record that you want".to_owned(),
                "a.test.zone:12: f.a.test. LUA A: createForward has no equal; write the pool by hand".to_owned(),
                "a.test.zone:14: m.a.test.: the selector pickclosest has no equal; here one of those that are up, each as often".to_owned(),
                format!("a.test.zone:14: m.a.test.: {random}"),
            ]
        );
    }
}
