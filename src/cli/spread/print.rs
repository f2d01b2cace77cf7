//! `kofn spread` for people.

use std::fmt::Write;

use anstyle::Style;
use comfy_table::{Cell, CellAlignment, Color, Table};

use super::report::{Kinds, OneMember, Prefixes, Report};
use crate::cli::table::table;
use crate::cli::{GOOD, WARN, counted};
use crate::pool::Kind;

pub(super) fn text(report: &Report) -> String {
    let bold = Style::new().bold();
    let mut text = format!(
        "{bold}{} {}{bold:#}: deals {} of {}, {}; {} a lap, {}\n",
        report.name.as_deref().unwrap_or("imagined"),
        report.rtype,
        report.k,
        counted(report.n as u64, "member", "members"),
        report.spread,
        counted(report.slots as u64, "hand", "hands"),
        counted(report.subsets as u64, "different set of members", "different sets of members"),
    );
    for out in &report.held_out {
        let _ = writeln!(text, "not dealt: {}, {}", out.address, out.standing);
    }
    let _ = writeln!(
        text,
        "\nworst overload {bold}{:.3}{bold:#} times the fair share; {}\n\n{}",
        report.worst,
        verdict(report),
        comparison(report).trim_fmt()
    );
    let _ = writeln!(text, "octets of the answer with OPT; signed: with one RRSIG of ECDSA P-256\n");
    text.push_str(&deaths(report));
    if let Some(prefixes) = &report.prefixes {
        text.push_str(&by_prefix(prefixes));
    }
    let _ = writeln!(text, "\n{}", members(report).trim_fmt());
    if report.members.len() > MOST_ROWS {
        let _ = writeln!(text, "and {} more, less loaded; --json has all", report.members.len() - MOST_ROWS);
    }
    text
}

fn verdict(report: &Report) -> String {
    let above = (report.worst / report.bound - 1.0) * 100.0;
    match above {
        ..0.005 => format!("{GOOD}no hands can do better{GOOD:#}"),
        _ => format!("no hands can do better than {:.3}, {above:.2} % less", report.bound),
    }
}

/// The hands beside what others would hand out.
fn comparison(report: &Report) -> Table {
    let mut table = table(&["WORST OF", "LOWEST", "HIGHEST", "FIRST", "ANY", "OCTETS", "SIGNED"]);
    let (n, sizes) = (report.n, &report.octets);
    let ours = format!("{} {} of {n}", report.spread, report.k);
    let mut rows = vec![
        (ours, report.overload, sizes.hand),
        (format!("plain random {} of {n}", report.k), report.plain, sizes.hand),
        (format!("plain random 8 of {n}"), report.eight, sizes.eight),
        (format!("all {n}"), report.full, sizes.full),
    ];
    if n <= 8 || report.k == 8 {
        rows.remove(2);
    }
    for (title, kinds, octets) in rows {
        let mut row = vec![Cell::new(title)];
        row.extend(numbers(kinds, report.bound));
        row.extend([octets.plain, octets.signed].map(|octets| right(octets.to_string())));
        table.add_row(row);
    }
    table
}

fn deaths(report: &Report) -> String {
    let deaths = &report.deaths;
    if report.k < 2 {
        return "a death leaves its clients nothing to go on to: hands have one address\n".to_owned();
    }
    format!(
        "a death, until answers change: {:.0} % of the sorting clients of the dead go to one neighbour (median; {:.0} % at \
         most),\nand the worst overload is {:.2}\n",
        deaths.heir_median * 100.0,
        deaths.heir_most * 100.0,
        deaths.worst
    )
}

fn by_prefix(prefixes: &Prefixes) -> String {
    let mut text = format!(
        "\nIPv6 clients that take the longest common prefix; members lie in {}\n",
        counted(prefixes.count as u64, "/64", "different /64")
    );
    if prefixes.count > 1 && !prefixes.is_grouped {
        let _ =
            writeln!(text, "{WARN}warning{WARN:#}: neither `together` nor `apart` is set for AAAA; see docs/spread.md");
    }
    let mut table = table(&["CLIENTS", "WORST", "MEMBER", "ITS SHARE"]);
    table.add_row([
        Cell::new("all over 2000::/3"),
        right(format!("{:.2}", prefixes.all_over)),
        Cell::new(""),
        right(""),
    ]);
    for near in prefixes.near.iter().take(MOST_ROWS) {
        table.add_row([
            Cell::new(format!("in {}", near.prefix)),
            right(format!("{:.2}", near.worst)),
            Cell::new(near.member),
            right(format!("{:.0} %", near.share * 100.0)),
        ]);
    }
    let _ = writeln!(text, "{}", table.trim_fmt());
    text
}

/// In address order; of a large pool, only those with the worst overload.
fn members(report: &Report) -> Table {
    let mut table = table(&["MEMBER", "WEIGHT", "FAIR", "LOWEST", "HIGHEST", "FIRST", "ANY", "HEIR"]);
    let mut order: Vec<&OneMember> = report.members.iter().collect();
    if order.len() > MOST_ROWS {
        order.sort_by(|one, other| other.overload.worst().total_cmp(&one.overload.worst()));
        order.truncate(MOST_ROWS);
        order.sort_by_key(|member| member.address);
    }
    for member in order {
        let mut row =
            vec![Cell::new(member.address), right(member.weight), right(format!("{:.2} %", member.fair * 100.0))];
        row.extend(numbers(member.overload, report.bound));
        row.push(right(format!("{:.0} %", member.heir * 100.0)));
        table.add_row(row);
    }
    table
}

fn numbers(kinds: Kinds, bound: f64) -> [Cell; Kind::ALL.len()] {
    kinds.all().map(|overload| {
        let colour = match overload / bound {
            ..1.05 => Color::Green,
            ..2.0 => Color::Yellow,
            _ => Color::Red,
        };
        right(format!("{overload:.2}")).fg(colour)
    })
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

const MOST_ROWS: usize = 40;
