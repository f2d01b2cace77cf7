//! Queries a second, what became of them, and how long answers take.

use std::fmt::Write;

use super::text::{Safe, percent, rate, short, whole};
use crate::admin::api::{Recent, Status};

pub(super) fn section(status: &Status) -> String {
    let recent = &status.recent;
    let mut html = String::from("<h2 id=\"traffic-title\">Traffic</h2><div class=\"tiles\">");
    tile(&mut html, "Queries a second", &rate(recent.rate), &span(recent));
    let of = |time: Option<f64>| match (time, recent.timed) {
        (_, 0) => "–".to_owned(),
        (Some(time), _) => format!("under {}", short(time)),
        (None, _) => "above 200 ms".to_owned(),
    };
    let timed = if recent.timed == 0 { "none was timed of late" } else { "from read to sent, one batch in 32" };
    tile(&mut html, "Half are answered in", &of(recent.median), timed);
    tile(&mut html, "99 in 100 in", &of(recent.p99), timed);
    tile(&mut html, "Since the start", &whole(status.queries.received), "queries");
    html += "</div><div class=\"columns\">";
    html += &curve(recent);
    html += &outcomes(recent);
    html += "</div>";
    html
}

fn tile(html: &mut String, what: &str, value: &str, more: &str) {
    let _ = write!(
        html,
        "<div class=\"tile\"><h3>{what}</h3><p class=\"value\">{value}</p><p class=\"more\">{more}</p></div>"
    );
}

fn span(recent: &Recent) -> String {
    let transports: Vec<String> =
        recent.transports.iter().map(|(by, count)| format!("{} {}", Safe(by.to_uppercase()), rate(*count))).collect();
    if transports.is_empty() { "in the last minute".into() } else { transports.join(" · ") }
}

/// The last five minutes as a line.
fn curve(recent: &Recent) -> String {
    let most = recent.curve.iter().copied().fold(0.0, f64::max);
    let all = &recent.curve;
    if all.len() < 2 || most <= 0.0 {
        return String::new();
    }
    let (first, step) = (59_usize.saturating_sub(all.len() - 1), 300.0 / 59.0);
    let mut line = String::new();
    for (place, value) in all.iter().enumerate() {
        let _ = write!(line, "{:.1},{:.1} ", (first + place) as f64 * step, 58.0 - value / most * 54.0);
    }
    let start = first as f64 * step;
    format!(
        "<figure class=\"curve\"><figcaption>Queries a second, last five minutes; at most {}</figcaption>\
         <svg viewBox=\"0 0 300 60\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"A line of queries a second over the last five minutes, at most {}\">\
         <polygon class=\"under\" points=\"{start:.1},60 {line}300,60\"/><polyline points=\"{line}\"/></svg></figure>",
        rate(most),
        rate(most),
    )
}

fn outcomes(recent: &Recent) -> String {
    if recent.outcomes.is_empty() {
        return "<p class=\"quiet\">No queries in the last minute.</p>".into();
    }
    let mut all: Vec<_> = recent.outcomes.iter().collect();
    all.sort_by(|one, other| other.1.total_cmp(one.1));
    let sum: f64 = recent.outcomes.values().sum();
    let mut html = String::from(
        "<table class=\"outcomes\"><caption>What became of queries, last minute</caption><thead><tr>\
         <th scope=\"col\">Outcome</th><th scope=\"col\" class=\"number\">a second</th>\
         <th scope=\"col\">Share</th></tr></thead><tbody>",
    );
    for (outcome, count) in all {
        let part = count / sum;
        let (rcode, words) = meaning(outcome);
        let class = if outcome.starts_with("drop") || outcome == "servfail" { "bad" } else { "handed" };
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><span class=\"code\">{}</span> {}</th><td class=\"number\">{}</td>\
             <td class=\"share\"><svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"{class}\" width=\"{:.1}\" height=\"8\"/></svg> {}</td></tr>",
            Safe(rcode),
            Safe(words),
            rate(*count),
            part * 100.0,
            percent(part),
        );
    }
    html + "</tbody></table>"
}

/// An outcome as a response code, and in words.
fn meaning(outcome: &str) -> (&str, &str) {
    match outcome {
        "answer" => ("NOERROR", "with an answer"),
        "nodata" => ("NOERROR", "the name has no such type"),
        "nxdomain" => ("NXDOMAIN", "no such name"),
        "referral" => ("NOERROR", "referred to another zone's servers"),
        "chaos" => ("NOERROR", "about the server itself"),
        "refused" => ("REFUSED", "not ours, or not for this client"),
        "formerr" => ("FORMERR", "no proper query"),
        "notimp" => ("NOTIMP", "not served by anyone here"),
        "servfail" => ("SERVFAIL", "the zone has no data"),
        "notauth" => ("NOTAUTH", "not with this key, or not our zone"),
        "yxdomain" => ("YXDOMAIN", "the name became too long"),
        "badvers" => ("BADVERS", "an unknown version of EDNS"),
        "badcookie" => ("BADCOOKIE", "no valid cookie"),
        "drop_short" => ("no reply", "shorter than a header"),
        "drop_response" => ("no reply", "itself a response"),
        "drop_proxy" => ("no reply", "without the proxy's header"),
        "slip" => ("truncated", "over a rate, to be asked for again by TCP"),
        "drop_rate" => ("no reply", "over the rate of its network"),
        "drop_limit" => ("no reply", "over a limit"),
        other => (other, ""),
    }
}
