//! What is wrong, who is drained, the last look at the files, and certificates.

use std::fmt::Write;

use jiff::Timestamp;

use super::pools::clock;
use super::text::{Safe, ago, count, short, until};
use crate::admin::api::{Change, Status};

/// Of each list so much, and of what was taken last.
const SOME: usize = 20;
const TAKEN: usize = 5;

/// Everything that somebody should look at.
pub(super) fn alerts(status: &Status) -> String {
    let (all, now) = (&status.alerts, Timestamp::now());
    if all.is_empty() {
        return "<h2 id=\"alerts-title\" class=\"good\"><span class=\"sign\" aria-hidden=\"true\">✓</span> All is well</h2>".into();
    }
    let mut html = format!(
        "<h2 id=\"alerts-title\" class=\"bad\"><span class=\"sign\" aria-hidden=\"true\">!</span> {} a look</h2>\
         <ul class=\"alerts\">",
        if all.len() == 1 { "1 thing needs".into() } else { format!("{} things need", all.len()) },
    );
    for alert in all.iter().take(SOME / 2) {
        let _ = write!(
            html,
            "<li><span class=\"badge bad\">{}</span> <span class=\"subject\">{}</span> <span class=\"why\">{}</span> \
             <span class=\"when\">{}</span></li>",
            Safe(&alert.kind),
            Safe(&alert.subject),
            Safe(&alert.detail),
            ago(Some(alert.since), now),
        );
    }
    html += "</ul>";
    if let Some(rest) = all.len().checked_sub(SOME / 2).filter(|rest| *rest > 0) {
        let _ = write!(html, "<p class=\"all\">And {rest} more, in <a href=\"/api/v1/status\">the status</a>.</p>");
    }
    html
}

/// Members on their way out.
pub(super) fn drains(status: &Status) -> String {
    let (drains, now) = (&status.drains, Timestamp::now());
    if drains.members.is_empty() && drains.drains.is_empty() && drains.faults.is_empty() {
        return String::new();
    }
    let mut html = String::from("<h2 id=\"drains-title\">Drains</h2>");
    faults(&mut html, &drains.faults);
    if !drains.drains.is_empty() {
        html += "<ul class=\"list\">";
        for drain in drains.drains.iter().take(SOME) {
            let pool = drain.pool.as_ref().map_or("every pool".into(), |pool| Safe(pool).to_string());
            let until = drain.until.map_or(String::new(), |at| format!(", ends {}", until(at, now)));
            let reason = drain.reason.as_ref().map_or(String::new(), |reason| format!(": {}", Safe(reason)));
            let since = drain.since.map_or(String::new(), |at| format!(", since {}", ago(Some(at), now)));
            let _ = write!(html, "<li><strong>{}</strong> in {pool}{since}{until}{reason}</li>", Safe(&drain.addr));
        }
        html += "</ul>";
    }
    if drains.members.is_empty() {
        return html;
    }
    html += "<table><caption>Members on their way out</caption><thead><tr><th scope=\"col\">Member</th>\
             <th scope=\"col\">Pool</th><th scope=\"col\">Last handed out</th><th scope=\"col\">Can it be stopped?</th>\
             </tr></thead><tbody>";
    for member in drains.members.iter().take(SOME) {
        let gone = if member.removed { "gone from the zone; " } else { "" };
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{gone}{}</td></tr>",
            member.address,
            Safe(&member.pool),
            ago(member.last_handed_out, now),
            clock(member, now),
        );
    }
    html + "</tbody></table>"
}

/// The last look at the files.
pub(super) fn files(status: &Status) -> String {
    let (reloads, now) = (&status.reloads, Timestamp::now());
    let mut html = String::from("<h2 id=\"files-title\">Files</h2>");
    let _ = write!(
        html,
        "<p>Last looked at {}, which took {}. {} since the start; {} of them found faults.</p>",
        ago(reloads.last, now),
        short(reloads.took),
        count((reloads.good + reloads.faulty) as usize, "look"),
        reloads.faulty,
    );
    if let Some(taken) = reloads.taken {
        let _ = write!(html, "<p>Last change taken {}:</p><ul class=\"list\">", ago(Some(taken), now));
        reloads.changed.iter().take(TAKEN).for_each(|change| changed(&mut html, change));
        html += "</ul>";
        if reloads.changed.len() > TAKEN {
            let _ = write!(html, "<p class=\"all\">And {} more.</p>", count(reloads.changed.len() - TAKEN, "zone"));
        }
    }
    let of_zones = status.zones.iter().flat_map(|zone| zone.errors.iter().chain(&zone.held));
    let all: Vec<String> = status.faults.iter().chain(of_zones).cloned().collect();
    faults(&mut html, &all);
    if all.is_empty() {
        html += "<p class=\"quiet\">There is no fault in them.</p>";
    }
    html
}

fn changed(html: &mut String, change: &Change) {
    let what = match (&change.before, &change.after) {
        (None, Some(after)) => format!("new, serial {}, {}", after.serial, count(after.records, "record")),
        (Some(before), Some(after)) => {
            let (serials, records) = ((before.serial, after.serial), (before.records, after.records));
            format!("serial {} → {}, records {} → {}", serials.0, serials.1, records.0, records.1)
        }
        (Some(_), None) => "no longer served".into(),
        (None, None) => "without data".into(),
    };
    let _ = write!(html, "<li><strong>{}</strong> {what}", Safe(&change.zone));
    for pool in change.pools.iter().take(SOME) {
        let _ = write!(html, "; {} {}: ", Safe(&pool.pool), Safe(&pool.rtype));
        let _ = write!(html, "{} added, {} removed", pool.added.len(), pool.removed.len());
    }
    *html += "</li>";
}

fn faults(html: &mut String, all: &[String]) {
    if all.is_empty() {
        return;
    }
    *html += "<ul class=\"faults\">";
    all.iter().take(SOME).for_each(|fault| {
        let _ = write!(html, "<li><code>{}</code></li>", Safe(fault));
    });
    *html += "</ul>";
    if all.len() > SOME {
        let _ = write!(html, "<p class=\"all\">And {} more: <code>kofn check</code> names them.</p>", all.len() - SOME);
    }
}

/// What the encrypted doors show.
pub(super) fn certificates(status: &Status) -> String {
    if status.certificates.is_empty() {
        return String::new();
    }
    let now = Timestamp::now();
    let mut html = String::from(
        "<h2 id=\"certificates-title\">Certificates</h2><table><caption>What the encrypted doors show</caption><thead><tr>\
         <th scope=\"col\">Names</th><th scope=\"col\">End</th><th scope=\"col\">File</th></tr></thead><tbody>",
    );
    for one in &status.certificates {
        let class = match one.days_left {
            ..=-1 => "bad",
            0..14 => "warn",
            _ => "good",
        };
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{}</span></td><td class=\"source\">{}</td></tr>",
            Safe(one.names.join(", ")),
            until(one.ends, now),
            Safe(&one.file),
        );
    }
    html + "</tbody></table>"
}
