//! Zones: what is served of each, where it comes from, and who follows it.

use std::fmt::Write;

use jiff::Timestamp;

use super::text::{Safe, ago, count, long, whole};
use super::view::Paged;
use crate::admin::api::{Notified, Secondary, Status, Watched, Zone, ZoneState};

/// Zones on the overview, and on a page of their own.
const SOME: usize = 20;
const PAGE: usize = 200;

pub(super) fn overview(status: &Status) -> String {
    let all = by_need(status);
    let mut html = String::from("<h2 id=\"zones-title\">Zones</h2>");
    if all.is_empty() {
        return html + "<p class=\"quiet\">There is no zone: a file NAME.zone in the zones folder adds one.</p>";
    }
    html += &table(status, &all[..all.len().min(SOME)]);
    if all.len() > SOME {
        let _ = write!(html, "<p class=\"all\"><a href=\"/zones\">All {}</a></p>", count(all.len(), "zone"));
    }
    html
}

pub(super) fn all(status: &Status, page: usize) -> String {
    let all = by_need(status);
    let paged = Paged::new(all.len(), page, PAGE);
    let html = format!("<h2 id=\"zones-title\">All zones</h2>{}", table(status, &all[paged.from..paged.to]));
    html + &paged.links("/zones?", "zones")
}

/// Those first that are not served as their files stand.
fn by_need(status: &Status) -> Vec<&Zone> {
    let mut all: Vec<&Zone> = status.zones.iter().collect();
    all.sort_by_key(|zone| (zone.state == ZoneState::Current, zone.warnings.is_empty()));
    all
}

fn table(status: &Status, zones: &[&Zone]) -> String {
    let now = Timestamp::now();
    let mut html = String::from(
        "<table class=\"zones\"><caption>What is served of each zone</caption><thead><tr><th scope=\"col\">Zone</th>\
         <th scope=\"col\">State</th><th scope=\"col\" class=\"number\">Serial</th><th scope=\"col\">Source</th>\
         <th scope=\"col\">Lag of others</th><th scope=\"col\" class=\"number\">Records</th><th scope=\"col\">Read</th>\
         </tr></thead><tbody>",
    );
    for zone in zones {
        let transfers = &status.transfers;
        let secondary = transfers.secondaries.iter().find(|one| one.zone == zone.name);
        let watched = transfers.watched.iter().filter(|one| one.zone == zone.name);
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td class=\"source\">{}</td><td>{}</td>\
             <td class=\"number\">{}</td><td class=\"since\">{}</td></tr>",
            Safe(&zone.name),
            state(zone),
            zone.serial.map_or("–".into(), |serial| serial.to_string()),
            source(zone, secondary),
            lag(watched),
            whole(zone.records as u64),
            ago(zone.loaded, now),
        );
    }
    html + "</tbody></table>"
}

fn state(zone: &Zone) -> String {
    let (class, sign, word, why) = match zone.state {
        ZoneState::Current if zone.warnings.is_empty() => ("good", "✓", "served", &zone.warnings),
        ZoneState::Current => ("good", "✓", "served, with warnings", &zone.warnings),
        ZoneState::Stale => ("warn", "!", "the last good one is served", &zone.errors),
        ZoneState::Held => ("warn", "‖", "a change is held until confirmed", &zone.held),
        ZoneState::Broken => ("bad", "✕", "not served: SERVFAIL", &zone.errors),
    };
    let mut html =
        format!("<span class=\"badge {class}\"><span class=\"sign\" aria-hidden=\"true\">{sign}</span> {word}</span>");
    if let Some((first, rest)) = why.split_first() {
        let _ = write!(html, " <span class=\"why\">{}", Safe(first));
        if !rest.is_empty() {
            let _ = write!(html, "; and {} more", rest.len());
        }
        html += "</span>";
    }
    html
}

fn source(zone: &Zone, secondary: Option<&Secondary>) -> String {
    let Some(secondary) = secondary else { return Safe(&zone.file).to_string() };
    let primary = secondary.primary.or_else(|| secondary.primaries.first().copied());
    let primary = primary.map_or("no primary".into(), |primary| format!("from {primary}"));
    match &secondary.catalog {
        Some(catalog) => format!("{primary}, by the catalog {}", Safe(catalog)),
        None => primary,
    }
}

/// How far servers that are watched are behind.
fn lag<'w>(watched: impl Iterator<Item = &'w Watched>) -> String {
    let each: Vec<String> = watched
        .map(|one| match (one.lag, one.late) {
            (None, _) => format!("<span class=\"bad-text\">{} never answered</span>", one.server),
            (Some(lag), true) => format!("<span class=\"bad-text\">{}: {} late</span>", one.server, long(lag as i64)),
            (Some(lag), false) if lag < 1.0 => format!("{}: none", one.server),
            (Some(lag), false) => format!("{}: {}", one.server, long(lag as i64)),
        })
        .collect();
    if each.is_empty() { "–".into() } else { each.join("<br>") }
}

/// Zones from primaries, and those that are told of changes.
pub(super) fn transfers(status: &Status) -> String {
    let (transfers, now) = (&status.transfers, Timestamp::now());
    if transfers.secondaries.is_empty() && transfers.notified.is_empty() {
        return String::new();
    }
    let mut html = String::from("<h2 id=\"transfers-title\">Transfers</h2>");
    if !transfers.secondaries.is_empty() {
        html += "<table><caption>Zones from other servers</caption><thead><tr><th scope=\"col\">Zone</th>\
                 <th scope=\"col\">State</th><th scope=\"col\" class=\"number\">Serial</th><th scope=\"col\">From</th>\
                 <th scope=\"col\">Looked at</th><th scope=\"col\" class=\"number\">Whole, parts, failed</th></tr></thead><tbody>";
        let mut all: Vec<_> = transfers.secondaries.iter().collect();
        all.sort_by_key(|one| one.state == "current");
        for one in all.iter().take(SOME) {
            let class = match one.state.as_str() {
                "current" => "good",
                "expired" => "bad",
                _ => "warn",
            };
            let why = one
                .error
                .as_ref()
                .map_or(String::new(), |error| format!(" <span class=\"why\">{}</span>", Safe(error)));
            let _ = write!(
                html,
                "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{}</span>{why}</td><td class=\"number\">{}</td>\
                 <td>{}</td><td class=\"since\">{}</td><td class=\"number\">{}, {}, {}</td></tr>",
                Safe(&one.zone),
                Safe(&one.state),
                one.serial.map_or("–".into(), |serial| serial.to_string()),
                one.primary.map_or("–".into(), |primary| primary.to_string()),
                ago(one.checked, now),
                one.whole,
                one.incremental,
                one.failed,
            );
        }
        html += "</tbody></table>";
        html += &rest(all.len());
    }
    if !transfers.notified.is_empty() {
        told(&mut html, &transfers.notified, now);
    }
    html
}

/// Who has taken note of the newest change.
fn told(html: &mut String, notified: &[Notified], now: Timestamp) {
    *html += "<table><caption>Who was told of the newest change</caption><thead><tr><th scope=\"col\">Zone</th>\
             <th scope=\"col\">Server</th><th scope=\"col\" class=\"number\">Serial</th><th scope=\"col\">Acknowledged</th>\
             </tr></thead><tbody>";
    let mut all: Vec<_> = notified.iter().collect();
    all.sort_by_key(|one| one.acknowledged.is_some());
    for one in all.iter().take(SOME) {
        let acknowledged = match (one.acknowledged, &one.error) {
            (Some(at), _) => ago(Some(at), now),
            (None, error) => format!(
                "<span class=\"badge warn\">not yet</span> <span class=\"why\">told {}{}</span>",
                count(one.tries as usize, "time"),
                error.as_ref().map_or(String::new(), |error| format!("; {}", Safe(error))),
            ),
        };
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td>{acknowledged}</td></tr>",
            Safe(&one.zone),
            one.server,
            one.serial,
        );
    }
    *html += "</tbody></table>";
    *html += &rest(all.len());
}

fn rest(all: usize) -> String {
    match all.checked_sub(SOME) {
        Some(rest) if rest > 0 => {
            format!("<p class=\"all\">And {rest} more, in <a href=\"/api/v1/transfers\">the API</a>.</p>")
        }
        _ => String::new(),
    }
}
