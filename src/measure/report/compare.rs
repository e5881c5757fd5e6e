//! Two runs side by side: their distributions over one another, and which percentiles moved by more than chance.
//!
//! Each run has a percentile of every slice; the two sets are compared by rank, so that what a run does by itself from
//! slice to slice is the measure of what counts as a change. Where both have a floor, the quotients with it are
//! compared, because the machine itself moves between two runs; the times stand beside them. Runs of another flow, of
//! other settings or another machine are not compared at all. Cold.

use super::page::Page;
use super::plots::{self, Axis, Line};
use super::{Picked, curve, date};
use crate::measure::latency::{Percentiles, time};
use crate::measure::result::histograms::{SeriesOf, merged};
use crate::measure::result::{Case, Run, Slice};
use crate::measure::spread::{Spread, VALUES_MIN, deviations, is_moved};

/// A run as read from its directory.
pub type Read = (Run, SeriesOf);

/// Percentiles compared.
const COMPARED: [Picked; 5] =
    [("p50", |p| p.p50), ("p90", |p| p.p90), ("p99", |p| p.p99), ("p99.9", |p| p.p99_9), ("max", |p| p.max)];

/// How one percentile of one case came out.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Which case.
    pub case: String,
    /// Which percentile.
    pub percentile: &'static str,
    /// Both runs, in ns.
    pub times: [Spread; 2],
    /// Both as quotients with their floors, where they have them.
    pub ratios: Option<[Spread; 2]>,
    /// What is said about it.
    pub verdict: Verdict,
}

/// Whether it moved.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verdict {
    /// Within what each run does by itself.
    Within,
    /// Moved by so much of itself: above zero is longer.
    Moved(f64),
    /// Too few slices to tell.
    TooFew,
}

impl Verdict {
    /// What people read.
    pub fn text(self) -> String {
        match self {
            Verdict::Within => "within the runs' own spread".to_owned(),
            Verdict::Moved(by) if by > 0.0 => format!("SLOWER by {:.1} %", 100.0 * by),
            Verdict::Moved(by) => format!("faster by {:.1} %", -100.0 * by),
            Verdict::TooFew => format!("cannot be told: fewer than {VALUES_MIN} slices"),
        }
    }
}

/// Why two runs are not compared; empty when they are.
pub fn differences(first: &Run, second: &Run) -> Vec<String> {
    let mut all = Vec::new();
    let mut held = |what: &str, one: String, other: String| {
        if one != other {
            all.push(format!("{what}: {one} against {other}"));
        }
    };
    let (a, b) = (&first.setting, &second.setting);
    held("flow", a.flow.clone(), b.flow.clone());
    held("sessions", a.sessions.to_string(), b.sessions.to_string());
    held("requests at once", a.burst.to_string(), b.burst.to_string());
    held("stamps of the kernel", a.kernel_stamps.to_string(), b.kernel_stamps.to_string());
    held("length of a slice", time(a.slice_ns), time(b.slice_ns));
    held("warm-up of a slice", time(a.unmeasured_ns), time(b.unmeasured_ns));
    if !first.machine.is_like(&second.machine) {
        let shown = |run: &Run| {
            let m = &run.machine;
            format!("{}, {} cores, kernel {}, clock {}", m.processor, m.cores, m.kernel, m.clock)
        };
        held("machine", shown(first), shown(second));
    }
    if !first.cases.iter().any(|case| second.cases.iter().any(|other| other.name == case.name)) {
        let names = |run: &Run| run.cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>().join(", ");
        held("no case in common", names(first), names(second));
    }
    all
}

/// Every percentile of every case that both have.
pub fn changes(first: &Run, second: &Run) -> Vec<Change> {
    let pairs = first.cases.iter().filter_map(|a| Some((a, second.cases.iter().find(|b| b.name == a.name)?)));
    pairs.flat_map(|(a, b)| COMPARED.map(|(name, of)| change(a, b, name, of))).collect()
}

fn change(a: &Case, b: &Case, percentile: &'static str, of: fn(&Percentiles) -> u64) -> Change {
    let times = |case: &Case| case.slices.iter().map(|slice| of(&slice.own) as f64).collect::<Vec<_>>();
    let quotient = |slice: &Slice| Some(of(&slice.own) as f64 / of(slice.floor.as_ref()?).max(1) as f64);
    let ratios = |case: &Case| case.slices.iter().map(quotient).collect::<Option<Vec<_>>>();
    let (times_a, times_b) = (times(a), times(b));
    let beside = ratios(a).zip(ratios(b));
    let (one, other) = beside.as_ref().map_or((&times_a, &times_b), |(one, other)| (one, other));
    let verdict = match deviations(one, other) {
        None => Verdict::TooFew,
        Some(far) if is_moved(far) => {
            let (from, to) = (Spread::of(one.iter().copied()).median, Spread::of(other.iter().copied()).median);
            Verdict::Moved(to / from.max(f64::MIN_POSITIVE) - 1.0)
        }
        Some(_) => Verdict::Within,
    };
    Change {
        case: a.name.clone(),
        percentile,
        times: [Spread::of(times_a), Spread::of(times_b)],
        ratios: beside.map(|(one, other)| [Spread::of(one), Spread::of(other)]),
        verdict,
    }
}

fn times(spread: &Spread) -> String {
    let [low, median, high] = [spread.low, spread.median, spread.high].map(|ns| time(ns.round() as u64));
    format!("{median} [{low} - {high}]")
}

/// Cells of a change, for a table.
pub fn cells(change: &Change) -> Vec<String> {
    let ratio = |at: usize| change.ratios.as_ref().map_or("none".to_owned(), |ratios| ratios[at].to_string());
    let is_slower = matches!(change.verdict, Verdict::Moved(by) if by > 0.0);
    vec![
        change.case.clone(),
        change.percentile.to_owned(),
        times(&change.times[0]),
        times(&change.times[1]),
        ratio(0),
        ratio(1),
        format!("{}{}", if is_slower { "!" } else { "" }, change.verdict.text()),
    ]
}

/// Headings over [`cells`].
pub const HEADINGS: [&str; 7] = ["case", "percentile", "A", "B", "A ÷ floor", "B ÷ floor", "from A to B"];

/// The page; the caller has seen that there are no [`differences`].
pub fn html(names: [&str; 2], (first, series_a): &Read, (second, series_b): &Read) -> String {
    let below = format!("A: {} ({}) · B: {} ({})", names[0], date(first.started_ns), names[1], date(second.started_ns));
    let mut page = Page::new("Two runs side by side", &below);
    let marks =
        |name: &str, run: &Run| super::marks(run).into_iter().map(|m| format!("{name}: {m}")).collect::<Vec<_>>();
    page.marks(&[marks("A", first), marks("B", second)].concat());
    page.section(
        "What moved",
        "Medians over slices, quartiles in brackets. A change counts when the slices of the two runs lie apart by rank \
         as chance would do it once in a hundred times; where both have a floor, the quotients with it decide, because \
         the machine moves too. About one in a hundred of the rows may say \"moved\" for nothing.",
    );
    page.table(&HEADINGS, &changes(first, second).iter().map(cells).collect::<Vec<_>>());
    page.section("Distributions", "Solid: B. Dashed, same colour: A.");
    for case in &first.cases {
        let (Some(a), Some(b)) = (series_a.get(&case.name), series_b.get(&case.name)) else { continue };
        let line = |name: &str, colour, is_dashed, intervals| Line {
            name: name.to_owned(),
            colour,
            is_dashed,
            points: curve(&merged(intervals)),
        };
        let mut all = vec![line("B", 0, false, b), line("A", 0, true, a)];
        let floor = format!("{}-floor", case.name);
        if let (Some(a), Some(b)) = (series_a.get(&floor), series_b.get(&floor)) {
            all.extend([line("floor of B", 6, false, b), line("floor of A", 6, true, a)]);
        }
        page.plot(&format!("Latency by percentile, {}", case.name), &plots::lines(Axis::Percentile, Axis::Time, &all));
    }
    page.section("Commands", "Machine and settings are alike; A first.");
    page.raw(&format!(
        "<pre>{}\n{}</pre>",
        super::page::escaped(&first.command),
        super::page::escaped(&second.command)
    ));
    page.facts(&second.machine.lines());
    page.finish()
}
