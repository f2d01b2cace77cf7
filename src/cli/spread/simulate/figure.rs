//! `kofn spread --simulate --svg`: the clients that each member serves, minute by minute.

use plotters::prelude::*;

use super::Played;
use crate::simulate::{Minute, Report};

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The figure as SVG text.
pub(super) fn svg(played: &Played) -> String {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
    draw(&played.report, &root).expect("a figure in memory");
    drop(root);
    text
}

fn draw(report: &Report, root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn {
    root.fill(&WHITE)?;
    let top = report.minutes.iter().flat_map(|minute| &minute.served).copied().fold(1.0, f64::max) * 1.1;
    let mut builder = ChartBuilder::on(root);
    let mut chart = builder
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(1.0..report.minutes.len().max(2) as f64, 0.0..top)?;
    let mut mesh = chart.configure_mesh();
    let whole = |number: &f64| format!("{number:.0}");
    mesh.x_desc("minute").y_desc("clients served").light_line_style(WHITE);
    mesh.x_label_formatter(&whole).y_label_formatter(&whole).draw()?;
    let most = MOST.min(report.members.len());
    for (member, address) in report.members.iter().enumerate().take(most) {
        let colour = HSLColor(member as f64 / most as f64, 0.7, 0.4);
        let at = |(number, minute): (usize, &Minute)| ((number + 1) as f64, minute.served[member]);
        let line: Vec<(f64, f64)> = report.minutes.iter().enumerate().map(at).collect();
        let key = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
        chart.draw_series([PathElement::new(line, colour.stroke_width(2))])?.label(address.to_string()).legend(key);
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()
}

const WIDTH: u32 = 960;
const HEIGHT: u32 = 480;
/// Lines, in address order: an eye cannot tell more apart.
const MOST: usize = 24;
