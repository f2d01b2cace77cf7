//! `kofn spread --svg`: the overload of each member as bars, a panel for each kind of client.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::report::Report;
use crate::pool::Kind;

type Panel<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The figure as SVG text.
pub(super) fn svg(report: &Report) -> String {
    let mut text = String::new();
    let root =
        SVGBackend::with_string(&mut text, (WIDTH, HEADING + PANEL * Kind::ALL.len() as u32)).into_drawing_area();
    draw(report, &root).expect("a figure in memory");
    drop(root);
    text
}

fn draw(report: &Report, root: &Panel<'_>) -> Drawn {
    root.fill(&WHITE)?;
    let (heading, panels) = root.split_vertically(HEADING);
    head(report, &heading)?;
    let panels = panels.split_evenly((Kind::ALL.len(), 1));
    for (index, (kind, panel)) in Kind::ALL.into_iter().zip(&panels).enumerate() {
        let bars: Vec<f64> = report.members.iter().map(|member| member.overload.all()[index]).collect();
        bars_of(report, kind, &bars, panel)?;
    }
    Ok(())
}

/// What is drawn, and what the lines mean.
fn head(report: &Report, area: &Panel<'_>) -> Drawn {
    let name = report.name.as_deref().map_or(String::new(), |name| format!("{name} {}, ", report.rtype));
    let title =
        format!("{name}{} {} of {}: overload of each member, by kind of client", report.spread, report.k, report.n);
    area.draw_text(&title, &words(16, &BLACK, HPos::Left), (LEFT as i32, 16))?;
    let marks =
        [(FAIR, "fair share".to_owned()), (BOUND, format!("bound {:.3}, which no hands can beat", report.bound))];
    for (place, (colour, meaning)) in [LEFT as i32, LEFT as i32 + 120].into_iter().zip(marks) {
        area.draw(&PathElement::new([(place, 38), (place + 24, 38)], colour.stroke_width(2)))?;
        area.draw_text(&meaning, &words(13, &BLACK, HPos::Left), (place + 30, 38))?;
    }
    Ok(())
}

fn bars_of(report: &Report, kind: Kind, bars: &[f64], panel: &Panel<'_>) -> Drawn {
    let n = bars.len() as f64;
    // All panels have one scale, so that they can be compared.
    let top = report.worst.max(report.bound).max(1.0) * 1.12;
    let mut builder = ChartBuilder::on(panel);
    let mut chart = builder
        .margin_left(10)
        .margin_right(16)
        .margin_top(6)
        .x_label_area_size(22)
        .y_label_area_size(LEFT - 10)
        .build_cartesian_2d(0.0..n, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(WHITE)
        .y_labels(4)
        .y_desc(kind.name())
        .y_label_style(("sans-serif", 12))
        .axis_desc_style(("sans-serif", 14))
        .y_label_formatter(&|overload| format!("{overload:.1}"))
        .draw()?;
    let bar = |(index, overload): (usize, &f64)| {
        let left = index as f64;
        Rectangle::new([(left + GAP, 0.0), (left + 1.0 - GAP, *overload)], BAR.filled())
    };
    chart.draw_series(bars.iter().enumerate().map(bar))?;
    for (height, colour) in [(1.0, FAIR), (report.bound, BOUND)] {
        chart.draw_series([PathElement::new([(0.0, height), (n, height)], colour.stroke_width(2))])?;
    }
    for (index, label) in labels(report) {
        let (x, y) = chart.backend_coord(&(index as f64 + 0.5, 0.0));
        let (left, above) = panel.get_base_pixel();
        panel.draw_text(&label, &words(11, &BLACK, HPos::Center), (x - left, y - above + 12))?;
    }
    Ok(())
}

/// What stands under some of the members: addresses where there is room, else their numbers in address order.
fn labels(report: &Report) -> Vec<(usize, String)> {
    let addresses = report.members.iter().map(|member| member.address.to_string());
    let widest = addresses.clone().map(|text| text.len()).max().unwrap_or(0);
    if report.n * (widest + 1) <= MOST_LETTERS {
        return addresses.enumerate().collect();
    }
    let step = report.n.div_ceil(MOST_LETTERS / 5);
    (0..report.n).step_by(step).map(|index| (index, (index + 1).to_string())).collect()
}

fn words(size: u32, colour: &RGBColor, side: HPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(colour).pos(Pos::new(side, VPos::Center))
}

const WIDTH: u32 = 860;
const HEADING: u32 = 56;
const PANEL: u32 = 130;
/// To the axis, with the margin before the words.
const LEFT: u32 = 64;
/// Of letters of 11 pixels between the margins.
const MOST_LETTERS: usize = 125;
/// The part of its place that a bar leaves free on either side.
const GAP: f64 = 0.14;
/// Colours that are told apart without red and green.
const BAR: RGBColor = RGBColor(86, 140, 190);
const FAIR: RGBColor = RGBColor(90, 90, 90);
const BOUND: RGBColor = RGBColor(213, 94, 0);
