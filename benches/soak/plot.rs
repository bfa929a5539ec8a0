//! A small picture of a soak: one panel for each thing that was read, outages shaded.

use std::fmt::Write;
use std::time::Duration;

use super::samples::{NAMES, Sample};

const WIDTH: f64 = 720.0;
const PANEL: f64 = 84.0;
/// Of a panel, the part that lines are drawn in.
const LINES: f64 = 56.0;
const LEFT: f64 = 8.0;
const TOP: f64 = 34.0;
/// Points of one line; more are left out, the largest of their neighbours stays.
const POINTS_MAX: usize = 240;

/// The picture as SVG, below 30 kB.
pub fn svg(samples: &[Sample], outages: &[(Duration, Duration)], caption: &str) -> String {
    let height = TOP + PANEL * NAMES.len() as f64;
    let end = samples.last().map_or(1.0, |sample| sample.at.as_secs_f64()).max(1.0);
    let x = |at: Duration| LEFT + (WIDTH - 2.0 * LEFT) * (at.as_secs_f64() / end).min(1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{caption}</text>\n"
    );
    for (from, to) in outages {
        let (from, to) = (x(*from), x(*to));
        let (width, tall) = ((to - from).max(0.5), height - TOP);
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{tall}\" \
             fill=\"#f4c7c3\"/>"
        );
    }
    for (column, name) in NAMES.iter().enumerate() {
        let top = TOP + PANEL * column as f64;
        let most = samples.iter().map(|sample| sample.values[column]).max().unwrap_or(0);
        let y = |value: u64| top + PANEL - 8.0 - LINES * value as f64 / most.max(1) as f64;
        let points: Vec<String> = thinned(samples, column)
            .map(|(at, value)| format!("{:.1},{:.1}", x(at), y(value)))
            .collect();
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.0}\">{}: up to {}</text>\n\
             <polyline fill=\"none\" stroke=\"#1a5fb4\" points=\"{}\"/>",
            top + 14.0,
            name.replace('_', " "),
            shown(name, most),
            points.join(" ")
        );
    }
    svg += "</svg>\n";
    svg
}

fn thinned(samples: &[Sample], column: usize) -> impl Iterator<Item = (Duration, u64)> {
    let group = samples.len().div_ceil(POINTS_MAX).max(1);
    samples.chunks(group).map(move |group| {
        let most = group.iter().map(|sample| sample.values[column]).max();
        (group[0].at, most.unwrap_or(0))
    })
}

fn shown(name: &str, value: u64) -> String {
    match name.ends_with("_bytes") {
        true => format!("{:.1} MB", value as f64 / 1e6),
        false => value.to_string(),
    }
}
