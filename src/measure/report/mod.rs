//! A run as a page for people: one HTML file, made from a run's directory and nothing else. Cold.
//!
//! It says first what the figures are worth (marks), then how they came out beside the machine's floor, then shows the
//! distributions, time, throughput, stages and the machine itself, and ends with all that is needed to repeat it.

pub mod compare;
pub mod page;
pub mod plots;
mod stages;

use super::latency::{Latencies, Percentiles, time};
use super::load::Transport;
use super::result::histograms::{INTERVAL_NS, Interval, SeriesOf, merged};
use super::result::{Case, CoreGaps, Run};
use page::Page;
use plots::{Axis, Line};

/// Furthest percentile drawn: one in so many lies beyond it.
const BEYOND_MAX: f64 = 1e6;

/// A percentile and its name.
type Picked = (&'static str, fn(&Percentiles) -> u64);

/// The page of a run.
pub fn html(run: &Run, series: &SeriesOf) -> String {
    let setting = &run.setting;
    let below = format!(
        "{} · Pitlane {} · {} of {} ms each, {} · flow {}",
        date(run.started_ns),
        run.pitlane,
        plural(setting.slices, "slice"),
        setting.slice_ns / 1_000_000,
        if has_floor(run) { "floor beside it" } else { "without a floor" },
        setting.flow
    );
    let mut page = Page::new("Latency of an order, wire to wire", &below);
    page.marks(&marks(run));
    summary(&mut page, run);
    distributions(&mut page, run, series);
    over_rates(&mut page, run);
    over_time(&mut page, run, series);
    stages::steps(&mut page, run);
    stages::kernel(&mut page, run);
    stages::slowest(&mut page, run);
    jitter(&mut page, &run.jitter);
    terms(&mut page, run);
    page.finish()
}

/// Whether the machine's floor was measured beside it.
fn has_floor(run: &Run) -> bool {
    run.cases.iter().any(|case| case.floor.is_some())
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// All marks, each with the case it belongs to.
fn marks(run: &Run) -> Vec<String> {
    let of_cases =
        run.cases.iter().flat_map(|case| case.marks.iter().map(move |mark| format!("{}: {mark}", case.name)));
    run.marks.iter().cloned().chain(of_cases).collect()
}

/// Date and time of day in UTC, from ns since the epoch (the civil calendar, by Howard Hinnant's days algorithm).
pub fn date(ns: u64) -> String {
    let seconds = (ns / 1_000_000_000) as i64;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest % 3_600 / 60)
}

fn summary(page: &mut Page, run: &Run) {
    page.section(
        "Summary",
        "From the time a client meant to send a request to the time it had the answer, at a fixed rate. The floor is \
         what this machine takes to carry the same bytes there and back with nothing done to them, measured in slices \
         that alternate with ours on the same cores. Red: the load tool itself was late so often that the figure is \
         its core's and not the exchange's.",
    );
    let headings = [
        "case",
        "sent/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "p99.99",
        "max",
        "floor p50",
        "floor p99",
        "÷ floor, p50",
        "÷ floor, p99",
    ];
    let rows: Vec<Vec<String>> = run.cases.iter().map(row).collect();
    page.table(&headings, &rows);
}

fn row(case: &Case) -> Vec<String> {
    let p = case.intended;
    let held = |ns: u64, beyond: u64| format!("{}{}", if case.lateness.holds(beyond) { "" } else { "!" }, time(ns));
    let floor = |of: fn(&Percentiles) -> u64| case.floor.map_or("none".to_owned(), |floor| time(of(&floor)));
    let ratio = |of| case.ratio(of).map_or("none".to_owned(), |spread| spread.to_string());
    vec![
        format!("{}, {}/s", case.transport, plots::rate(case.rate as f64)),
        plots::rate(case.rate_sent as f64),
        held(p.p50, 2),
        held(p.p90, 10),
        held(p.p99, 100),
        held(p.p99_9, 1_000),
        held(p.p99_99, 10_000),
        time(p.max),
        floor(|p| p.p50),
        floor(|p| p.p99),
        ratio(|p| p.p50),
        ratio(|p| p.p99),
    ]
}

/// The distribution as points over 1/(1-p), as far as its count reaches: beyond it, one latency would stand for many.
pub fn curve(latencies: &Latencies) -> Vec<(f64, f64)> {
    let end = (latencies.count() as f64).min(BEYOND_MAX);
    let steps = (end.max(1.0).log10() * 40.0) as u32;
    (0..=steps)
        .map(|step| 10f64.powf(f64::from(step) / 40.0))
        .map(|beyond| (beyond, latencies.beyond(beyond).max(1) as f64))
        .collect()
}

/// Cases of each transport, in the order measured.
fn by_transport(run: &Run) -> impl Iterator<Item = (&'static str, Vec<&Case>)> {
    let of = |t: Transport| (t.text(), run.cases.iter().filter(move |case| case.transport == t.text()).collect());
    [Transport::Shared, Transport::Tcp].map(of).into_iter().filter(|(_, cases): &(_, Vec<_>)| !cases.is_empty())
}

fn distributions(page: &mut Page, run: &Run, series: &SeriesOf) {
    page.section(
        "Distribution",
        "Each step to the right is ten times rarer. Solid: ours. Dashed, same colour: the floor at the same rate. Where \
         the two run together, the machine decides and not the exchange. A line ends where its count does.",
    );
    for (transport, cases) in by_transport(run) {
        let mut all = Vec::new();
        for (colour, case) in cases.iter().enumerate() {
            let [own, _, floor] = case.series();
            for (name, is_dashed) in [(own, false), (floor, true)] {
                let Some(intervals) = series.get(&name) else { continue };
                let word = if is_dashed { "floor, " } else { "" };
                let name = format!("{word}{} a second", plots::rate(case.rate as f64));
                all.push(Line { name, colour, is_dashed, points: curve(&merged(intervals)) });
            }
        }
        page.plot(&format!("Latency by percentile, {transport}"), &plots::lines(Axis::Percentile, Axis::Time, &all));
    }
}

fn over_rates(page: &mut Page, run: &Run) {
    let swept: Vec<_> = by_transport(run).filter(|(_, cases)| cases.len() > 1).collect();
    if swept.is_empty() {
        return;
    }
    page.section("Latency over rate", "Where a line turns upward, requests begin to wait for each other.");
    for (transport, cases) in swept {
        let picks: [Picked; 4] = [("p50", |p| p.p50), ("p90", |p| p.p90), ("p99", |p| p.p99), ("p99.9", |p| p.p99_9)];
        let line = |(colour, (name, of)): (usize, &Picked)| Line {
            name: (*name).to_owned(),
            colour,
            is_dashed: false,
            points: cases.iter().map(|case| (case.rate as f64, of(&case.intended).max(1) as f64)).collect(),
        };
        let all: Vec<Line> = picks.iter().enumerate().map(line).collect();
        page.plot(&format!("Percentiles by rate, {transport}"), &plots::lines(Axis::Rate, Axis::Time, &all));
    }
}

fn over_time(page: &mut Page, run: &Run, series: &SeriesOf) {
    page.section(
        "Over time",
        "A point for each quarter of a second in which a case was measured, one slice put behind the other. What hits \
         the floor's line too came from outside.",
    );
    for case in &run.cases {
        let [own, _, floor] = case.series();
        let (Some(own), floor) = (series.get(&own), series.get(&floor)) else { continue };
        let line = |name: &str, colour, is_dashed, of: fn(&Latencies) -> u64, intervals: &[Interval]| Line {
            name: name.to_owned(),
            colour,
            is_dashed,
            points: in_row(intervals, |latencies| of(latencies).max(1) as f64),
        };
        let p50: fn(&Latencies) -> u64 = |l| l.percentiles().p50;
        let p99: fn(&Latencies) -> u64 = |l| l.percentiles().p99;
        let max: fn(&Latencies) -> u64 = |l| l.percentiles().max;
        let mut all =
            vec![line("p50", 0, false, p50, own), line("p99", 1, false, p99, own), line("longest", 6, false, max, own)];
        if let Some(floor) = floor {
            all.push(line("floor p50", 0, true, p50, floor));
            all.push(line("floor longest", 6, true, max, floor));
        }
        page.plot(&format!("Latency over time, {}", case.name), &plots::lines(Axis::Seconds, Axis::Time, &all));
    }
    let count =
        |intervals: &[Interval]| in_row(intervals, |latencies| latencies.count() as f64 * 1e9 / INTERVAL_NS as f64);
    let lines: Vec<Line> = run
        .cases
        .iter()
        .enumerate()
        .filter_map(|(colour, case)| {
            let points = count(series.get(&case.name)?);
            Some(Line { name: case.name.clone(), colour, is_dashed: false, points })
        })
        .collect();
    page.plot(
        "Requests answered a second, by the time they were due",
        &plots::lines(Axis::Seconds, Axis::RateFromZero, &lines),
    );
}

/// One value an interval, slices in a row: gaps in which something else was measured are left out. The last interval of
/// a slice may be short, and of little count; it is left out where it holds less than half of its neighbours.
fn in_row(intervals: &[Interval], of: impl Fn(&Latencies) -> f64) -> Vec<(f64, f64)> {
    let most = intervals.iter().map(|interval| interval.latencies.count()).max().unwrap_or(0);
    let whole = intervals.iter().filter(|interval| interval.latencies.count() * 2 >= most);
    let step = INTERVAL_NS as f64 / 1e9;
    whole.enumerate().map(|(at, interval)| ((at as f64 + 0.5) * step, of(&interval.latencies))).collect()
}

fn jitter(page: &mut Page, cores: &[CoreGaps]) {
    if cores.is_empty() {
        return;
    }
    page.section(
        "What the machine does by itself",
        "A loop that does nothing but read the counter, on each core for itself, with no exchange running: each time it \
         was kept from running for longer than a microsecond. No program on this core can have a better tail.",
    );
    let sizes: Vec<String> = cores[0].gaps.iter().map(|&(from, _)| format!("≥ {}", time(from))).collect();
    let mut headings = vec!["core"];
    headings.extend(sizes.iter().map(String::as_str));
    headings.extend(["time lost", "longest"]);
    let row = |core: &CoreGaps| {
        let seconds = core.looked_ns.max(1) as f64 / 1e9;
        let mut cells = vec![format!("core {}", core.core)];
        cells.extend(core.gaps.iter().map(|&(_, count)| format!("{:.1} a second", count as f64 / seconds)));
        cells.push(format!("{:.2} %", 100.0 * core.lost_ns as f64 / core.looked_ns.max(1) as f64));
        cells.push(time(core.longest_ns));
        cells
    };
    page.table(&headings, &cores.iter().map(row).collect::<Vec<_>>());
}

fn terms(page: &mut Page, run: &Run) {
    page.section("Machine", "Figures of another machine are other figures.");
    page.facts(&run.machine.lines());
    page.section("Settings", "How it was measured, and the exact command.");
    let setting = &run.setting;
    let of_floor = if has_floor(run) { ", and as many of the floor" } else { "" };
    let mut facts = vec![
        ("flow", setting.flow.clone()),
        ("sessions", setting.sessions.to_string()),
        ("slices", format!("{} of {} for each case{of_floor}", setting.slices, time(setting.slice_ns))),
        ("warm-up of a slice", time(setting.unmeasured_ns)),
        ("requests at once", setting.burst.to_string()),
        ("stamps of the kernel", if setting.kernel_stamps { "one request in 17" } else { "none" }.to_owned()),
    ];
    facts.extend(setting.exchange.iter().map(|line| match line.split_once(' ') {
        Some((name, rest)) => (name, rest.trim().to_owned()),
        None => ("", line.clone()),
    }));
    page.facts(&facts);
    page.raw(&format!("<pre>{}</pre>", page::escaped(&run.command)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400_000_000_000), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_795_648_133_764_000_000), "2026-11-25 23:08 UTC");
    }

    #[test]
    fn a_curve_ends_where_its_count_does() {
        let mut latencies = Latencies::new();
        (1..=1_000).for_each(|ns| latencies.record(ns));
        let points = curve(&latencies);
        let (first, last) = (points[0], points[points.len() - 1]);
        assert_eq!((first.0, first.1), (1.0, 1.0));
        assert!((last.0 - 1_000.0).abs() < 1.0 && last.1 >= 999.0, "{last:?}");
        assert_eq!(curve(&Latencies::new()).len(), 1);
    }
}
