//! Pools and their members: who is handed out, who is not and why, and what each was handed beside its due.

use std::fmt::Write;

use jiff::Timestamp;

use super::text::{Safe, ago, count, long, percent, query, rate, short, until, whole};
use super::view::Paged;
use crate::admin::api::{DrainedMember, Family, Health, Member, Place, Pool, Status};

/// Members up to which a pool is shown whole among others.
const WHOLE: usize = 16;
/// Of a larger pool so many members that need a look are shown there.
const WORST: usize = 8;
/// Families on the overview, and on a page of all pools.
const SOME: usize = 20;
/// Members on a page of one pool.
const MEMBERS: usize = 200;

/// The pools of the overview: those first that need a look.
pub(super) fn overview(status: &Status) -> String {
    let all = by_need(status);
    let mut html = String::from("<h2 id=\"pools-title\">Pools</h2>");
    html += &frozen(&status.health);
    if all.is_empty() {
        return html + "<p class=\"quiet\">There are no pools: a policy beside a zone makes them.</p>";
    }
    all.iter().take(SOME).for_each(|(pool, family)| summary(&mut html, status, pool, family));
    if all.len() > SOME {
        let _ = write!(html, "<p class=\"all\"><a href=\"/pools\">All {}</a></p>", count(all.len(), "pool"));
    }
    html
}

/// All of them, by pages.
pub(super) fn all(status: &Status, page: usize) -> String {
    let all = by_need(status);
    let paged = Paged::new(all.len(), page, SOME);
    let mut html = String::from("<h2 id=\"pools-title\">All pools</h2>");
    html += &frozen(&status.health);
    all[paged.from..paged.to].iter().for_each(|(pool, family)| summary(&mut html, status, pool, family));
    html + &paged.links("/pools?", "pools")
}

/// One family with all of its members.
pub(super) fn one(status: &Status, name: &str, rtype: &str, page: usize) -> Option<String> {
    let mut families = status.pools.iter().flat_map(|pool| pool.families.iter().map(move |family| (pool, family)));
    let (pool, family) = families.find(|(pool, family)| pool.name == name && family.rtype == rtype)?;
    let mut members: Vec<&Member> = family.members.iter().collect();
    members.sort_by_key(|member| !needs_look(member));
    let paged = Paged::new(members.len(), page, MEMBERS);
    let mut html = format!("<h2 id=\"pool-title\">{} <small>{}</small></h2>", Safe(&pool.name), Safe(&family.rtype));
    html += &frozen(&status.health);
    html += &words(pool, family);
    html += &table(status, pool, family, &members[paged.from..paged.to]);
    let link = format!("/pool?name={}&amp;type={}&amp;", query(name), query(rtype));
    Some(html + &paged.links(&link, "members"))
}

/// Every family, those first that are in panic or have members that are not handed out.
fn by_need(status: &Status) -> Vec<(&Pool, &Family)> {
    let families = status.pools.iter().flat_map(|pool| pool.families.iter().map(move |family| (pool, family)));
    let mut all: Vec<_> = families.collect();
    all.sort_by_key(|(_, family)| (!family.panic, !family.members.iter().any(needs_look)));
    all
}

fn needs_look(member: &Member) -> bool {
    member.verdict == "down" || !member.served || member.hangs || member.stale
}

fn frozen(health: &Health) -> String {
    let mut html = String::new();
    if let Some(since) = health.frozen {
        let now = Timestamp::now();
        let _ = write!(
            html,
            "<p class=\"word bad\"><strong>Frozen</strong> for {}: {} of {} probes fail and no witness answers, so that the \
             fault may be this server's own. All members stay as they were until a witness answers or half of the probes \
             pass.</p>",
            long(now.duration_since(since).as_secs()),
            health.failing,
            health.probes,
        );
    }
    if health.stale > 0 {
        let _ = write!(
            html,
            "<p class=\"word warn\"><strong>Late probes:</strong> {} overdue, and their verdicts stand as they were.</p>",
            if health.stale == 1 { "1 is".into() } else { format!("{} are", health.stale) },
        );
    }
    html
}

/// A pool among others.
fn summary(html: &mut String, status: &Status, pool: &Pool, family: &Family) {
    let _ = write!(
        html,
        "<article class=\"pool\"><h3><a href=\"/pool?name={}&amp;type={}\">{} <small>{}</small></a></h3>{}",
        query(&pool.name),
        query(&family.rtype),
        Safe(&pool.name),
        Safe(&family.rtype),
        words(pool, family),
    );
    if family.members.len() <= WHOLE {
        *html += &table(status, pool, family, &family.members.iter().collect::<Vec<_>>());
    } else {
        let need: Vec<&Member> = family.members.iter().filter(|member| needs_look(member)).collect();
        if !need.is_empty() {
            *html += &table(status, pool, family, &need[..need.len().min(WORST)]);
        }
        let _ = write!(
            html,
            "<p class=\"all\">{}<a href=\"/pool?name={}&amp;type={}\">All {} of {}</a></p>",
            spread(family),
            query(&pool.name),
            query(&family.rtype),
            count(family.members.len(), "member"),
            Safe(&pool.name),
        );
    }
    *html += "</article>";
}

/// How far the shares of a large pool lie apart.
fn spread(family: &Family) -> String {
    let ratio = |member: &Member| Some(member.handed? / member.fair).filter(|ratio| ratio.is_finite());
    let ratios = family.members.iter().filter(|member| member.served).filter_map(ratio);
    let (least, most) = ratios.fold((f64::MAX, 0.0), |(least, most), one| (f64::min(least, one), f64::max(most, one)));
    if most == 0.0 {
        return String::new();
    }
    format!("In the last five minutes each was handed {least:.2} to {most:.2} times its fair share. ")
}

/// What holds for all members.
fn words(pool: &Pool, family: &Family) -> String {
    let (eligible, all) = (family.eligible, family.members.len());
    let state = match () {
        () if eligible == 0 => ("bad", "nobody"),
        () if family.panic => ("bad", "panic"),
        () if eligible < all => ("warn", "partly"),
        () => ("good", "whole"),
    };
    let check = pool.check.as_ref().map_or("no check".to_owned(), |check| format!("check {}", Safe(check)));
    let mut html = format!(
        "<p class=\"facts\"><span class=\"badge {}\">{} of {} in hands</span> {} an answer · {} · TTL {} s · {check} · \
         {} hands a second</p>",
        state.0,
        whole(eligible as u64),
        whole(all as u64),
        match family.spread.as_str() {
            "all" => "all".to_owned(),
            _ => family.k.to_string(),
        },
        Safe(&family.spread),
        family.ttl,
        rate(family.recent_hands as f64 / 300.0),
    );
    if state.1 == "panic" {
        let healthy = family.members.iter().filter(|member| member.verdict != "down").count();
        let _ = write!(
            html,
            "<p class=\"word bad\"><strong>Panic:</strong> {} of {all} members healthy, too few to believe the probes. So all are \
             handed out, the dead with the living, until enough are healthy again.</p>",
            if healthy == 0 { "none".into() } else { format!("only {healthy}") },
        );
    }
    if state.1 == "nobody" {
        html += "<p class=\"word bad\"><strong>Nobody is handed out:</strong> every member is drained or has weight 0, and \
                 the policy wants no answer then.</p>";
    }
    html
}

fn table(status: &Status, pool: &Pool, family: &Family, members: &[&Member]) -> String {
    let now = Timestamp::now();
    let most = family.members.iter().map(|member| member.fair.max(member.handed.unwrap_or(0.0))).fold(0.0, f64::max);
    let mut html = format!(
        "<table class=\"members\"><caption>Members of {} {}</caption><thead><tr><th scope=\"col\">Member</th>\
         <th scope=\"col\">State</th><th scope=\"col\">Since</th><th scope=\"col\" class=\"number\">Weight</th>\
         <th scope=\"col\">Handed, last 5 min</th><th scope=\"col\" class=\"number\">Probe</th></tr></thead><tbody>",
        Safe(&pool.name),
        Safe(&family.rtype),
    );
    for member in members {
        let drained = status.drains.members.iter().find(|one| one.pool == pool.name && one.address == member.address);
        let _ = write!(
            html,
            "<tr id=\"m-{}-{}\"><th scope=\"row\">{}</th><td>{}</td><td class=\"since\">{}</td>\
             <td class=\"number weight\">{}</td><td class=\"share\">{}</td><td class=\"number probe\">{}</td></tr>",
            query(&pool.name),
            member.address,
            member.address,
            state(member, drained, now),
            ago(member.since, now),
            weight(member),
            share(member, most),
            probe(member, now),
        );
    }
    html + "</tbody></table>"
}

/// The verdict by a sign and a word, and why.
fn state(member: &Member, drained: Option<&DrainedMember>, now: Timestamp) -> String {
    let (class, sign, word) = match (member.served, member.verdict.as_str()) {
        (false, "down") if drained.is_some() => ("bad", "✕", "down, drained"),
        (false, "down") => ("bad", "✕", "down"),
        (true, "down") => ("bad", "✕", "down, handed out"),
        (false, _) if drained.is_some() || member.standing == "drained" => ("idle", "‖", "drained"),
        (false, _) => ("idle", "‖", member.standing.as_str()),
        (true, _) if member.hangs => ("warn", "!", "in doubt"),
        (true, "unknown") => ("good", "✓", "handed out"),
        (true, _) if member.warmth < 1.0 => ("warn", "↗", "warming up"),
        (true, _) => ("good", "✓", "up"),
    };
    let mut html = format!(
        "<span class=\"badge {class}\"><span class=\"sign\" aria-hidden=\"true\">{sign}</span> {}</span>",
        Safe(word),
    );
    let mut more = |text: String| {
        let _ = write!(html, " <span class=\"why\">{text}.</span>");
    };
    if let Some(error) = member.last_error.as_ref().filter(|_| member.verdict == "down" || member.hangs) {
        more(Safe(error).to_string());
    }
    if member.stale {
        more("its next probe is overdue".into());
    }
    if let Some(drained) = drained {
        more(clock(drained, now));
    }
    html
}

/// When a member can be stopped.
pub(super) fn clock(drained: &DrainedMember, now: Timestamp) -> String {
    match (drained.place, drained.gone) {
        (Place::Served, _) => "handed out all the same, for want of others".into(),
        (Place::Gone, _) => "no lawful copy is left: it can be stopped".into(),
        (Place::Cached, Some(gone)) => format!("old answers may live; all are gone {}", until(gone, now)),
        (Place::Cached, None) => "old answers may live".into(),
    }
}

fn weight(member: &Member) -> String {
    let weight = format!("{:.2}", member.weight);
    let weight = weight.trim_end_matches('0').trim_end_matches('.');
    if member.warmth < 1.0 && member.served {
        format!("{weight} × {}", percent(member.warmth))
    } else {
        weight.to_owned()
    }
}

/// What it was handed, and a mark where its due is.
fn share(member: &Member, most: f64) -> String {
    let scale = |part: f64| if most > 0.0 { part / most * 96.0 } else { 0.0 };
    let handed = member.handed.unwrap_or(0.0);
    let words = match member.handed {
        Some(handed) => format!("{} of {} due", percent(handed), percent(member.fair)),
        None => format!("{} due", percent(member.fair)),
    };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"handed\" width=\"{:.1}\" height=\"8\"/><rect class=\"fair\" x=\"{:.1}\" width=\"1.5\" height=\"8\"/></svg> \
         <span class=\"part\">{words}</span>",
        scale(handed),
        scale(member.fair),
    )
}

fn probe(member: &Member, now: Timestamp) -> String {
    match (member.last_probe, member.probe_seconds) {
        (Some(last), Some(took)) if now.duration_since(last).as_secs() < 60 => short(took),
        (Some(last), _) => ago(Some(last), now),
        _ => "–".into(),
    }
}
