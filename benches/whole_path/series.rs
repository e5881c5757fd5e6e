//! Slices of one contestant, and what one contestant's are to another's.
//!
//! A ratio is taken slice by slice, each against the slice of its floor beside it in time, and then the median of the
//! ratios: so the host's drift, which moves the floor itself by factors of two to four, cancels out.

use pitlane::measure::latency::{Latencies, Percentiles, time};

/// Spread of the floor's own slices above which a run says more about its neighbours than about the exchange.
const FLOOR_SPREAD_MAX: f64 = 1.3;

/// The two round trips of a trip, by place.
pub const ORDER: usize = 0;
pub const CANCEL: usize = 1;

/// All slices of one contestant.
pub struct Series {
    name: String,
    slices: Vec<[Percentiles; 2]>,
    all: [Latencies; 2],
}

/// Median and quartiles.
#[derive(Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// Of some values; all 0 without any.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| values.get(((values.len().max(1) - 1) as f64 * part).round() as usize).copied();
        let [low, median, high] = [0.25, 0.5, 0.75].map(|part| at(part).unwrap_or_default());
        Spread { low, median, high }
    }
}

impl Series {
    /// Without slices.
    pub fn new(name: &str) -> Series {
        Series { name: name.to_owned(), slices: Vec::new(), all: [Latencies::new(), Latencies::new()] }
    }

    /// Takes a slice in.
    pub fn add(&mut self, slice: &[Latencies; 2]) {
        self.slices.push([slice[ORDER].percentiles(), slice[CANCEL].percentiles()]);
        self.all.iter_mut().zip(slice).for_each(|(all, slice)| all.merge(slice));
    }

    fn median_ns(&self, kind: usize, of: fn(&Percentiles) -> u64) -> u64 {
        Spread::of(self.slices.iter().map(|slice| of(&slice[kind]) as f64).collect()).median as u64
    }

    /// One line: medians over the slices of p50 and p99; p99.9 and the longest over all trips together.
    pub fn line(&self, kind: usize) -> String {
        let all = self.all[kind].percentiles();
        let (p50, p99) = (self.median_ns(kind, |p| p.p50), self.median_ns(kind, |p| p.p99));
        let what = ["order", "cancel"][kind];
        format!(
            "    {:<22} {what:<6} p50 {:>9}  p99 {:>9}  p99.9 {:>9}  max {:>9}  n {}",
            self.name,
            time(p50),
            time(p99),
            time(all.p99_9),
            time(all.max),
            all.count
        )
    }

    /// Quotients with the floor's slices, pair by pair.
    pub fn to(&self, floor: &Series, kind: usize, of: fn(&Percentiles) -> u64) -> Spread {
        let quotient = |(own, floor): (&[Percentiles; 2], &[Percentiles; 2])| {
            of(&own[kind]) as f64 / of(&floor[kind]).max(1) as f64
        };
        Spread::of(self.slices.iter().zip(&floor.slices).map(quotient).collect())
    }

    /// How much the floor itself moved, as a line; `low_ns` is a median that only cores sharing their units reach.
    pub fn drift(&self, low_ns: u64) -> String {
        let medians = || self.slices.iter().map(|slice| slice[ORDER].p50);
        let (low, high) = (medians().min().unwrap_or(0), medians().max().unwrap_or(0));
        let spread = high as f64 / low.max(1) as f64;
        let flag = match (spread > FLOOR_SPREAD_MAX, low < low_ns) {
            (_, true) => "  FLAG: at times the cores shared their execution units",
            (true, false) => "  FLAG: the floor moved; trust the ratios, not the times",
            (false, false) => "",
        };
        format!("    {} p50 by slice {} to {}{flag}", self.name, time(low), time(high))
    }
}

/// The lines of an exchange against its floor, with what is required of the order's round trip.
pub fn verdict(own: &Series, floor: &Series, p50_max: f64, p99_max: Option<f64>) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, what) in [(ORDER, "order"), (CANCEL, "cancel")] {
        let (p50, p99) = (own.to(floor, kind, |p| p.p50), own.to(floor, kind, |p| p.p99));
        let shown = |s: Spread| format!("{:.2} [{:.2}-{:.2}]", s.median, s.low, s.high);
        let required =
            |s: Spread, max: f64| format!(" (required {max:.2}: {})", if s.median <= max { "met" } else { "NOT met" });
        let p50_note = if kind == ORDER { required(p50, p50_max) } else { String::new() };
        let p99_note = p99_max.filter(|_| kind == ORDER).map_or(String::new(), |max| required(p99, max));
        let name = &own.name;
        lines.push(format!(
            "    {name:<18} ratio {what:<6} p50 {}{p50_note}  p99 {}{p99_note}",
            shown(p50),
            shown(p99)
        ));
    }
    lines
}
