//! Service types, as checks.

use super::super::plan::{CheckPlan, Plan};
use super::vscf::Value;

/// The check of a pool whose members were monitored by these service types; `None` when they were not.
pub(super) fn of(
    plan: &mut Plan,
    top: &Value,
    names: &[String],
    (apex, owner): (&str, &str),
    place: &str,
) -> Option<String> {
    let mut kept: Option<String> = None;
    for name in names {
        let value = top.get("service_types").and_then(|types| types.get(name));
        match check(name, value) {
            // Always up.
            Ok(None) => {}
            Ok(Some(check)) if kept.is_none() => {
                if check.command.iter().any(|word| word.contains(ADDRESS)) {
                    let note = format!("service type {name}: a shell puts the address where %%ITEM%% was");
                    plan.note(place, note);
                }
                if [check.interval.is_none(), check.rise.is_none(), check.fall.is_none()].contains(&true) {
                    let note = format!(
                        "service type {name}: what is not written has kofn's defaults, which are quicker (every 5s, fall 2, \
                         rise 3) than gdnsd's (every 10s, 10, 20)"
                    );
                    plan.note(top_place(place), note);
                }
                kept = Some(plan.zone(apex).check(name, check));
            }
            Ok(Some(_)) => {
                plan.note(place, format!("{owner}: a pool has one check; {name} is left out"));
            }
            Err(reason) => {
                plan.note(place, format!("{owner}: the service type {name} {reason}; left out of the check"));
            }
        }
    }
    kept
}

/// What is told once for a file.
fn top_place(place: &str) -> &str {
    place.rsplit_once(':').map_or(place, |(file, _)| file)
}

const ITEM: &str = "%%ITEM%%";
const ADDRESS: &str = "$KOFN_ADDRESS";

fn check(name: &str, value: Option<&Value>) -> Result<Option<CheckPlan>, String> {
    let Some(value) = value else {
        return match name {
            "up" | "default" => Ok(None),
            "down" => Err("is always down, which has no equal".to_owned()),
            _ => Err("is not in the configuration".to_owned()),
        };
    };
    let seconds = |key: &str| Some(format!("{}s", value.get(key)?.word()?));
    let common = CheckPlan {
        port: value.number("port"),
        interval: seconds("interval"),
        timeout: seconds("timeout"),
        rise: value.number("up_thresh").or_else(|| value.number("ok_thresh")),
        fall: value.number("down_thresh"),
        ..CheckPlan::default()
    };
    match value.get("plugin").and_then(Value::word) {
        Some("tcp_connect") => Ok(Some(CheckPlan { kind: "tcp", ..common })),
        Some("http_status") => {
            let codes = value.get("ok_codes").map(Value::words).filter(|codes| !codes.is_empty());
            let codes = codes.unwrap_or_else(|| vec!["200"]);
            Ok(Some(CheckPlan {
                kind: "http",
                path: value.get("url_path").and_then(Value::word).map(str::to_owned),
                host: value.get("vhost").and_then(Value::word).map(str::to_owned),
                expect: codes.into_iter().filter_map(|code| code.parse().ok()).collect(),
                ..common
            }))
        }
        Some("extmon") => {
            let words = value.get("cmd").map(Value::words).unwrap_or_default();
            if words.is_empty() {
                return Err("(extmon) has no cmd".to_owned());
            }
            let is_direct = value.get("direct").and_then(Value::word) == Some("true");
            let once = |count: Option<u32>| if is_direct { Some(1) } else { count };
            let check = CheckPlan { kind: "exec", command: command(&words), ..common };
            Ok(Some(CheckPlan { rise: once(check.rise), fall: once(check.fall), ..check }))
        }
        plugin => Err(format!("({}) has no equal", plugin.unwrap_or("no plugin"))),
    }
}

/// kofn gives the address in the environment; what wants it among its arguments needs a shell.
fn command(words: &[&str]) -> Vec<String> {
    if !words.iter().any(|word| word.contains(ITEM)) {
        return words.iter().map(|word| (*word).to_owned()).collect();
    }
    let quote = |word: &&str| {
        if *word == ITEM {
            return format!("\"{ADDRESS}\"");
        }
        let plain = format!("'{}'", word.replace('\'', "'\\''"));
        plain.replace(ITEM, &format!("'\"{ADDRESS}\"'"))
    };
    let line: Vec<String> = words.iter().map(quote).collect();
    ["/bin/sh", "-c"].into_iter().map(str::to_owned).chain([format!("exec {}", line.join(" "))]).collect()
}
