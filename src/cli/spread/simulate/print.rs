//! A simulation for people.

use std::fmt::Write;

use anstyle::Style;
use comfy_table::{CellAlignment, Table};

use super::Played;
use crate::cli::counted;
use crate::cli::table::table;
use crate::simulate::{Departure, Minute, Report};

pub(super) fn text(played: &Played) -> String {
    let (Played { scenario, report }, bold) = (played, Style::new().bold());
    let largest = f64::from(report.largest) / report.clients as f64;
    let mut text = format!(
        "{bold}{}, {}, {}, seed {}{bold:#}\nthe largest resolver has {} of the clients; the server gave {}\n\n",
        counted(scenario.audience.resolvers.into(), "resolver", "resolvers"),
        counted(report.clients, "client", "clients"),
        counted(report.minutes.len() as u64, "minute", "minutes"),
        scenario.seed,
        percent(largest),
        counted(report.answers, "answer", "answers"),
    );
    let _ = writeln!(text, "{}", members(report).trim_fmt());
    if report.members.len() > ROWS {
        let _ = writeln!(text, "and {} more, less loaded; --json has all", report.members.len() - ROWS);
    }
    text.push('\n');
    if let Some(worst) = report.worst {
        let _ = writeln!(
            text,
            "worst minute: {} of {}, {:.2} times its fair share",
            worst.minute + 1,
            report.members[worst.member],
            worst.overload
        );
    }
    report.departures.iter().for_each(|departure| text.push_str(&told(departure)));
    let lost = report.minutes.iter().map(|minute| minute.lost).fold(0.0, f64::max);
    if lost > 0.0 {
        let _ = writeln!(text, "lost: up to {lost:.0} clients a minute held nothing but dead members");
    }
    text
}

fn members(report: &Report) -> Table {
    let mut table = table(&["MEMBER", "SHARE", "WORST", "IN MINUTE", "CLIENTS BY MINUTE"]);
    let served: Vec<f64> = (0..report.members.len()).map(|member| total(report, member)).collect();
    let (all, top) = (served.iter().sum::<f64>().max(1.0), peak(report));
    let mut order: Vec<usize> = (0..served.len()).collect();
    if order.len() > ROWS {
        // Those who bore the most are those that the reader looks for.
        order.sort_by(|one, other| served[*other].total_cmp(&served[*one]));
        order.truncate(ROWS);
        order.sort_unstable();
    }
    for member in order {
        let worst = worst_of(report, member);
        table.add_row([
            report.members[member].to_string(),
            percent(served[member] / all),
            worst.map_or("-".into(), |(_, overload)| format!("{overload:.2}")),
            worst.map_or("-".into(), |(minute, _)| (minute + 1).to_string()),
            line(report, member, top),
        ]);
    }
    for column in 1..4 {
        table.column_mut(column).expect("a column of five").set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn told(departure: &Departure) -> String {
    let Departure { event, before, left, rest } = departure;
    let (word, address, at) = (event.change.name(), event.address, event.at);
    let end = match left {
        Some(seconds) => format!("99 % had left after {seconds} s"),
        None => format!("{} of them were left at the end", percent(rest / before.max(1.0))),
    };
    format!("{word} {address} at {at} s: {before:.0} clients tried it first; {end}\n")
}

/// One bar a minute, or a mean of several, as high as the load of the busiest member and minute allows.
fn line(report: &Report, member: usize, top: f64) -> String {
    let step = report.minutes.len().div_ceil(BARS).max(1);
    let bar = |minutes: &[Minute]| {
        let mean = minutes.iter().map(|minute| minute.served[member]).sum::<f64>() / minutes.len() as f64;
        let height = (mean / top * EIGHTHS.len() as f64).ceil() as usize;
        if height == 0 { ' ' } else { EIGHTHS[height.min(EIGHTHS.len()) - 1] }
    };
    report.minutes.chunks(step).map(bar).collect()
}

fn total(report: &Report, member: usize) -> f64 {
    report.minutes.iter().map(|minute| minute.served[member]).sum()
}

fn peak(report: &Report) -> f64 {
    report.minutes.iter().flat_map(|minute| &minute.served).copied().fold(1.0, f64::max)
}

/// The minute in which a member had the greatest overload; the minutes of arrivals are no measure.
fn worst_of(report: &Report, member: usize) -> Option<(usize, f64)> {
    let overloads = report.minutes.iter().enumerate().skip(report.settled);
    overloads
        .filter_map(|(number, minute)| Some((number, minute.overload(member)?)))
        .max_by(|one, other| one.1.total_cmp(&other.1))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Members in the table at most.
const ROWS: usize = 40;
/// Bars in a line at most.
const BARS: usize = 30;
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
