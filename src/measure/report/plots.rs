//! Plots as SVG text: lines over logarithmic axes, and bars. Cold.
//!
//! Drawn by plotters without fonts of its own, so that the page's fonts show. Colours are from Okabe and Ito's set,
//! which people with any kind of colour vision tell apart; dashes say floor.

use crate::measure::latency::time;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours in the order of series.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
    RGBColor(240, 228, 66),
];
const INK: RGBColor = RGBColor(51, 60, 72);
const GRID: RGBColor = RGBColor(226, 230, 236);
const SIZE: (u32, u32) = (960, 400);
const FONT: &str = "sans-serif";

/// One line of a plot.
pub struct Line {
    /// In the key.
    pub name: String,
    /// Which colour, by place in the set.
    pub colour: usize,
    /// A floor, a first run: drawn in dashes.
    pub is_dashed: bool,
    /// Points from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Red, green, blue.
pub struct RGB(pub u8, pub u8, pub u8);

/// A colour by its place in the set.
pub fn rgb(place: usize) -> RGB {
    let RGBColor(red, green, blue) = COLOURS[place % COLOURS.len()];
    RGB(red, green, blue)
}

/// What an axis shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Axis {
    /// 1/(1-p), from p0 to p99.9999.
    Percentile,
    /// Nanoseconds, logarithmic.
    Time,
    /// Seconds from the start.
    Seconds,
    /// Requests a second, logarithmic.
    Rate,
    /// Requests a second, from 0.
    RateFromZero,
}

impl Axis {
    fn is_logarithmic(self) -> bool {
        matches!(self, Axis::Percentile | Axis::Time | Axis::Rate)
    }

    fn label(self, value: f64) -> String {
        match self {
            Axis::Percentile => percentile(value),
            Axis::Time => short_time(value),
            Axis::Seconds => format!("{} s", trimmed(value)),
            Axis::Rate | Axis::RateFromZero => rate(value),
        }
    }
}

/// `p99.9` for 1,000.
pub fn percentile(beyond: f64) -> String {
    match beyond.round() as u64 {
        0 | 1 => "p0".to_owned(),
        2 => "p50".to_owned(),
        beyond => {
            let digits = beyond.ilog10() as usize;
            match digits {
                1 => "p90".to_owned(),
                2 => "p99".to_owned(),
                digits => format!("p99.{}", "9".repeat(digits - 2)),
            }
        }
    }
}

fn short_time(ns: f64) -> String {
    let text = time(ns.round().max(0.0) as u64);
    text.replace(".00 ", " ").replace(".0 ", " ")
}

/// `50 k` for 50,000.
pub fn rate(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", trimmed(v / 1e6)),
        v if v >= 1e3 => format!("{} k", trimmed(v / 1e3)),
        v => trimmed(v),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// An axis from `low` to `high` with the marks that people expect: powers of ten and, where few, 2 and 5 of each.
#[derive(Clone)]
struct Scale {
    low: f64,
    high: f64,
    axis: Axis,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone, axis: Axis) -> Scale {
        let high = values.clone().fold(f64::MIN, f64::max);
        let low = values.filter(|&v| !axis.is_logarithmic() || v > 0.0).fold(f64::MAX, f64::min);
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        match axis {
            Axis::Percentile => Scale { low: 1.0, high: 1e6, axis },
            Axis::Time => Scale { low: low * 0.8, high: high * 1.25, axis },
            Axis::Rate => Scale { low: low * 0.85, high: high * 1.18, axis },
            Axis::Seconds => Scale { low: 0.0, high: high.max(0.1), axis },
            Axis::RateFromZero => Scale { low: 0.0, high: high * 1.1, axis },
        }
    }

    fn part(&self, value: f64) -> f64 {
        if self.axis.is_logarithmic() {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    fn marks(&self) -> Vec<f64> {
        if self.axis.is_logarithmic() {
            let decades = (self.high / self.low).log10();
            let steps: &[f64] = if decades > 3.5 || self.axis == Axis::Percentile { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let first = self.low.log10().floor() as i32;
            let powers = (first..first + 20).map(|power| 10f64.powi(power));
            let all = powers.flat_map(|power| steps.iter().map(move |step| power * step));
            return all.filter(|&v| v >= self.low * 0.999 && v <= self.high * 1.001).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|&s| s >= rough).unwrap_or(rough);
        (0..).map(|n| f64::from(n) * step).take_while(|&v| v <= self.high).collect()
    }
}

impl Ranged for Scale {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = self.part(*value).clamp(-0.05, 1.05);
        limit.0 + (f64::from(limit.1 - limit.0) * part).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.marks()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        self.axis.label(*value)
    }
}

/// Lines over two axes, below the key to them: beside the plot, where it hides none of them.
pub fn lines(x: Axis, y: Axis, series: &[Line]) -> String {
    let mut svg = String::new();
    // Drawing into a text cannot fail; were it to, the page would show an empty plot.
    let _ = draw_lines(&mut svg, x, y, series);
    format!("{}{svg}", key(series))
}

fn key(series: &[Line]) -> String {
    let mut html = String::from("<div class=\"key\">");
    for line in series {
        let RGB(red, green, blue) = rgb(line.colour);
        let style = if line.is_dashed { "dashed" } else { "solid" };
        let name = super::page::escaped(&line.name);
        html += &format!("<span><b style=\"border-top:3px {style} rgb({red},{green},{blue})\"></b>{name}</span>");
    }
    html + "</div>"
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_lines(svg: &mut String, x: Axis, y: Axis, series: &[Line]) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let points = || series.iter().flat_map(|line| line.points.iter().copied());
    let (xs, ys) = (Scale::of(points().map(|p| p.0), x), Scale::of(points().map(|p| p.1), y));
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .margin_right(24)
        .set_label_area_size(LabelAreaPosition::Left, 64)
        .set_label_area_size(LabelAreaPosition::Bottom, 32)
        .build_cartesian_2d(xs, ys)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_labels(40)
        .y_labels(40)
        .x_label_formatter(&|value| x.label(*value))
        .y_label_formatter(&|value| y.label(*value))
        .label_style((FONT, 13).into_font().color(&INK))
        .draw()?;
    for line in series {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let style = colour.stroke_width(2);
        let points = line.points.iter().copied();
        if line.is_dashed {
            chart.draw_series(DashedLineSeries::new(points, 5, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(points, style))?;
        }
    }
    root.present()?;
    Ok(())
}

/// One bar of several parts, one below another: a name, and its parts with their sizes.
pub struct Bar {
    /// Beside it.
    pub name: String,
    /// From left to right: size, colour.
    pub parts: Vec<(f64, usize)>,
}

/// Horizontal bars to one scale.
pub fn bars(axis: Axis, all: &[Bar]) -> String {
    let mut svg = String::new();
    let _ = draw_bars(&mut svg, axis, all);
    svg
}

fn draw_bars(svg: &mut String, axis: Axis, all: &[Bar]) -> Drawn {
    const NAMES: i32 = 190;
    const ROW: i32 = 34;
    let (width, height) = (SIZE.0 as i32, ROW * all.len() as i32 + 16);
    let root = SVGBackend::with_string(svg, (SIZE.0, height as u32)).into_drawing_area();
    let sum = |bar: &Bar| bar.parts.iter().map(|part| part.0).sum::<f64>();
    let longest = all.iter().map(sum).fold(1.0, f64::max);
    let text = (FONT, 14).into_font().color(&INK);
    for (row, bar) in all.iter().enumerate() {
        let (top, bottom) = (row as i32 * ROW + 10, row as i32 * ROW + 32);
        let middle = (top + bottom) / 2;
        let right = text.clone().pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(bar.name.clone(), (NAMES - 10, middle), right))?;
        let at = |value: f64| NAMES + (f64::from(width - NAMES - 110) * value / longest).round() as i32;
        let mut from = 0.0;
        for &(size, colour) in &bar.parts {
            let box_ = [(at(from), top), (at(from + size), bottom)];
            root.draw(&Rectangle::new(box_, COLOURS[colour % COLOURS.len()].filled()))?;
            from += size;
        }
        let left = text.clone().pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(axis.label(from), (at(from) + 8, middle), left))?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_marked_as_people_read_them() {
        let marks = |low: f64, high: f64, axis: Axis| {
            let scale = Scale { low, high, axis };
            scale.marks().into_iter().map(|value| axis.label(value)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(marks(1.0, 1e6, Axis::Percentile), "p0 p90 p99 p99.9 p99.99 p99.999 p99.9999");
        assert_eq!(marks(300.0, 20_000.0, Axis::Time), "500 ns 1 us 2 us 5 us 10 us 20 us");
        assert_eq!(marks(0.0, 12.0, Axis::Seconds), "0 s 2 s 4 s 6 s 8 s 10 s 12 s");
        assert_eq!(marks(8_000.0, 110_000.0, Axis::Rate), "10 k 20 k 50 k 100 k");
    }

    #[test]
    fn a_plot_holds_its_lines_and_their_names_and_an_empty_one_is_no_fault() {
        let line = Line { name: "tcp".into(), colour: 0, is_dashed: false, points: vec![(1.0, 900.0), (1e3, 9e4)] };
        let svg = lines(Axis::Percentile, Axis::Time, &[line]);
        assert!(svg.contains("tcp") && svg.contains("polyline") && svg.contains("p99.9999"), "{svg}");
        assert!(lines(Axis::Seconds, Axis::Time, &[]).ends_with("</svg>\n"));
        let svg = bars(Axis::Time, &[Bar { name: "core 0".into(), parts: vec![(500.0, 0), (700.0, 1)] }]);
        assert!(svg.contains("core 0") && svg.contains("1.20 us"), "{svg}");
    }
}
