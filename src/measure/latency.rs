//! Latencies, kept whole: a histogram of nanoseconds, its percentiles, and both as people and programs read them.
//!
//! Recording is a few instructions into memory taken at start (about 220 KB: three significant digits from 1 ns to
//! 60 s), so it may run on the measuring client's thread; the exchange's threads never record. Histograms of several
//! runs or sessions are merged by adding counts; percentiles are never averaged.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// Longest latency told apart; longer ones count as this.
pub const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// Significant decimal digits kept.
const DIGITS: u8 = 3;

/// A histogram of latencies in ns.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    above_max: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies::new()
    }
}

impl Latencies {
    /// Empty, with all its memory.
    pub fn new() -> Latencies {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("constant bounds are valid");
        Latencies { histogram, above_max: 0 }
    }

    /// Counts one latency. No allocation; hot.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.above_max += u64::from(ns > LATENCY_NS_MAX);
        self.histogram.saturating_record(ns);
    }

    /// Counts the same latency so many times.
    pub fn record_many(&mut self, ns: u64, count: u64) {
        self.above_max += if ns > LATENCY_NS_MAX { count } else { 0 };
        self.histogram.saturating_record_n(ns, count);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Latencies) {
        self.histogram.add(&other.histogram).expect("all histograms have the same bounds");
        self.above_max += other.above_max;
    }

    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.histogram.reset();
        self.above_max = 0;
    }

    /// Latencies counted.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Latencies above [`LATENCY_NS_MAX`], counted as that.
    pub fn above_max(&self) -> u64 {
        self.above_max
    }

    /// The counts themselves, for who writes or draws them.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// From counts that somebody else recorded; `None` when they do not fit: values beyond [`LATENCY_NS_MAX`].
    pub fn from_histogram(counts: &Histogram<u64>) -> Option<Latencies> {
        let mut latencies = Latencies::new();
        if counts.max() > LATENCY_NS_MAX {
            return None;
        }
        latencies.histogram.add(counts).ok()?;
        Some(latencies)
    }

    /// The latency beyond which lies one in `beyond`, such as 100,000 for p99.999.
    pub fn beyond(&self, beyond: f64) -> u64 {
        self.histogram.value_at_quantile(1.0 - 1.0 / beyond)
    }

    /// The figures worth showing.
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.histogram.value_at_quantile(quantile);
        Percentiles {
            count: self.histogram.len(),
            min: if self.histogram.is_empty() { 0 } else { self.histogram.min() },
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: self.histogram.max(),
        }
    }

    /// The whole distribution in the text form that HdrHistogram's plotter reads (`.hgrm`), in microseconds.
    /// # Errors
    /// What the writer says.
    pub fn write_hgrm(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
        let mut total = 0;
        for step in self.histogram.iter_quantiles(5) {
            total += step.count_since_last_iteration();
            let (value, quantile) = (step.value_iterated_to() as f64 / 1e3, step.quantile_iterated_to());
            write!(out, "{value:>12.3} {quantile:>14.12} {total:>10}")?;
            if quantile < 1.0 { writeln!(out, " {:>14.2}", 1.0 / (1.0 - quantile))? } else { writeln!(out)? }
        }
        let (mean, deviation) = (self.histogram.mean() / 1e3, self.histogram.stdev() / 1e3);
        writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]")?;
        let (max, count) = (self.histogram.max() as f64 / 1e3, self.histogram.len());
        writeln!(out, "#[Max     = {max:>12.3}, Total count    = {count:>12}]")?;
        writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", self.histogram.buckets(), 2048)
    }
}

/// Percentiles in ns; all 0 when nothing was counted. Each is the highest value its bin stands for, at most 0.1 % above.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Latencies counted.
    pub count: u64,
    /// Shortest.
    pub min: u64,
    /// Half are not longer.
    pub p50: u64,
    /// 90 % are not longer.
    pub p90: u64,
    /// 99 % are not longer.
    pub p99: u64,
    /// 99.9 % are not longer.
    pub p99_9: u64,
    /// 99.99 % are not longer.
    pub p99_99: u64,
    /// Longest.
    pub max: u64,
}

impl Percentiles {
    /// For programs: the fields by name, in ns.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "count": self.count,
            "min_ns": self.min,
            "p50_ns": self.p50,
            "p90_ns": self.p90,
            "p99_ns": self.p99,
            "p99_9_ns": self.p99_9,
            "p99_99_ns": self.p99_99,
            "max_ns": self.max,
        })
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, p99_9, p99_99, max] =
            [self.p50, self.p90, self.p99, self.p99_9, self.p99_99, self.max].map(time);
        write!(f, "p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p99_9}, p99.99 {p99_99}, max {max} (n {})", self.count)
    }
}

/// A time as people read it, to about three digits: `340 ns`, `7.31 us`, `12.5 ms`.
pub fn time(ns: u64) -> String {
    let scaled = |unit: u64, name: &str| {
        let whole = ns / unit;
        let part = ns % unit * 1_000 / unit;
        match whole {
            0..10 => format!("{whole}.{:02} {name}", part / 10),
            10..100 => format!("{whole}.{} {name}", part / 100),
            _ => format!("{whole} {name}"),
        }
    };
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => scaled(1_000, "us"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "ms"),
        _ => scaled(1_000_000_000, "s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        values.into_iter().for_each(|ns| latencies.record(ns));
        latencies
    }

    #[test]
    fn percentiles_of_a_known_distribution_are_right_to_a_thousandth() {
        let percentiles = of((1..=10_000).map(|n| n * 1_000)).percentiles();
        let near = |ns: u64, wanted: u64| ns.abs_diff(wanted) <= wanted / 1_000;
        assert!(near(percentiles.p50, 5_000_000) && near(percentiles.p90, 9_000_000), "{percentiles}");
        assert!(near(percentiles.p99, 9_900_000) && near(percentiles.p99_9, 9_990_000), "{percentiles}");
        assert!(near(percentiles.p99_99, 9_999_000) && near(percentiles.max, 10_000_000), "{percentiles}");
        assert_eq!(percentiles.count, 10_000);
    }

    #[test]
    fn merging_adds_counts() {
        let mut all = of([100, 200]);
        all.merge(&of([300, LATENCY_NS_MAX + 1]));
        assert_eq!((all.count(), all.above_max(), all.percentiles().min), (4, 1, 100));
        all.clear();
        assert_eq!((all.count(), all.above_max(), all.percentiles()), (0, 0, Percentiles::default()));
    }

    #[test]
    fn times_read_with_three_digits() {
        let shown = [0, 999, 1_000, 7_319, 47_650, 999_999, 12_500_000, 60_000_000_000].map(time);
        assert_eq!(shown, ["0 ns", "999 ns", "1.00 us", "7.31 us", "47.6 us", "999 us", "12.5 ms", "60.0 s"]);
    }

    #[test]
    fn the_plot_file_ends_at_the_longest() {
        let mut text = Vec::new();
        of([1_000, 2_000, 3_000]).write_hgrm(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"), "{text}");
        assert!(text.contains("       1.000 0.000000000000          1           1.00\n"), "{text}");
        assert!(text.contains("       3.001 1.000000000000          3\n"), "{text}");
        assert!(text.contains("Total count    =            3]"), "{text}");
    }

    #[test]
    fn programs_read_nanoseconds_by_name() {
        let json = of([340]).percentiles().json();
        assert_eq!((json["p99_9_ns"].as_u64(), json["count"].as_u64()), (Some(340), Some(1)));
    }
}
