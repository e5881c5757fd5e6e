//! A table of latencies in plain text: a row for each thing measured, a column for each percentile.
//!
//! Cold: made once, when a measurement is over.

use super::latency::{Percentiles, time};
use std::fmt;

const HEADINGS: [&str; 8] = ["count", "min", "p50", "p90", "p99", "p99.9", "p99.99", "max"];

/// Rows in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<(String, Percentiles)>,
}

impl Table {
    /// Without rows.
    pub fn new() -> Table {
        Table::default()
    }

    /// Adds a row.
    pub fn row(mut self, name: &str, percentiles: Percentiles) -> Table {
        self.rows.push((name.to_owned(), percentiles));
        self
    }

    /// For programs: an object of the rows by name.
    pub fn json(&self) -> serde_json::Value {
        self.rows.iter().map(|(name, percentiles)| (name.clone(), percentiles.json())).collect()
    }
}

impl fmt::Display for Table {
    /// Aligned columns, each row ended by a line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        write!(f, "{:width$}", "")?;
        HEADINGS.iter().try_for_each(|heading| write!(f, " {heading:>9}"))?;
        writeln!(f)?;
        for (name, p) in &self.rows {
            write!(f, "{name:width$} {:>9}", p.count)?;
            let times = [p.min, p.p50, p.p90, p.p99, p.p99_9, p.p99_99, p.max];
            times.iter().try_for_each(|&ns| write!(f, " {:>9}", time(ns)))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_under_their_headings() {
        let p =
            Percentiles { count: 1, min: 5, p50: 340, p90: 1_000, p99: 7_300, p99_9: 9, p99_99: 9, max: 12_500_000 };
        let text = Table::new().row("tcp, intended", p).row("shm", p).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "                  count       min       p50       p90       p99     p99.9    p99.99       max"
        );
        assert_eq!(
            lines[1],
            "tcp, intended         1      5 ns    340 ns   1.00 us   7.30 us      9 ns      9 ns   12.5 ms"
        );
        assert!(lines[2].starts_with("shm                   1") && lines[2].len() == lines[0].len());
    }

    #[test]
    fn programs_read_rows_by_name() {
        let json = Table::new().row("shm", Percentiles { p50: 340, ..Percentiles::default() }).json();
        assert_eq!(json["shm"]["p50_ns"], 340);
    }
}
