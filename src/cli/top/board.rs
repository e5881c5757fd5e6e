//! What there is to see of a running exchange between two looks: rates, times, lags, tickers. Cold.

use crate::launch::endpoints::Endpoints;
use crate::measure::latency::time;
use crate::os::clock::monotonic_ns;
use crate::runtime::counters::Counters;
use crate::runtime::spans::{SpanCounts, Spans};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// One look.
pub struct Look {
    at_ns: u64,
    counters: Vec<(String, u64)>,
    spans: Vec<SpanCounts>,
    /// The operator's status, where it may be asked.
    status: Option<Value>,
}

impl Look {
    /// Looks now. `status` is what the operator's socket says; without it there are no lags and no tickers.
    ///
    /// # Errors
    /// A file of counters or of stage times that is gone or not one: the exchange is not there any more.
    pub fn take(endpoints: &Endpoints, status: Option<Value>) -> io::Result<Look> {
        let named = |path: &std::path::Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let counters = Counters::read(&endpoints.counters).map_err(|e| named(&endpoints.counters, e))?;
        let spans = Spans::read(&endpoints.stages).map_err(|e| named(&endpoints.stages, e))?;
        Ok(Look { at_ns: monotonic_ns(), counters, spans, status })
    }
}

/// A count: now, and how much more of it a second.
pub struct Rate {
    /// Its name.
    pub name: String,
    /// Now.
    pub value: u64,
    /// More of it a second since the look before.
    pub per_second: u64,
}

/// Times of a span since the look before.
pub struct StageTimes {
    /// From and to.
    pub name: String,
    /// Stamped messages.
    pub count: u64,
    /// p50, p99, p99.9 and the longest, in ns.
    pub ns: [u64; 4],
}

/// What two looks show.
pub struct Board {
    /// Trading session and age.
    pub title: String,
    /// Counters by their first word: what they belong to.
    pub groups: BTreeMap<String, Vec<Rate>>,
    /// Stages in the order of the way.
    pub stages: Vec<StageTimes>,
    /// Records between two marks: what waits there.
    pub lags: Vec<(&'static str, u64)>,
    /// Ticker, state, last price, volume.
    pub tickers: Vec<[String; 4]>,
}

impl Board {
    /// Of two looks, the later one second.
    pub fn between(before: &Look, now: &Look) -> Board {
        let passed = u128::from(now.at_ns.saturating_sub(before.at_ns).max(1));
        let earlier: BTreeMap<&str, u64> =
            before.counters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mut groups: BTreeMap<String, Vec<Rate>> = BTreeMap::new();
        for (name, value) in &now.counters {
            let more = value.saturating_sub(*earlier.get(name.as_str()).unwrap_or(value));
            let per_second = (u128::from(more) * 1_000_000_000 / passed) as u64;
            let (group, rest) = name.split_once('.').unwrap_or(("", name));
            let rate = Rate { name: rest.to_owned(), value: *value, per_second };
            groups.entry(group.to_owned()).or_default().push(rate);
        }
        let stages = now.spans.iter().zip(&before.spans).map(|(now, before)| {
            let span = now.since(before);
            let ns = [5_000, 9_900, 9_990, 10_000].map(|part| span.at(part));
            StageTimes { name: span.name.clone(), count: span.count(), ns }
        });
        let status = now.status.as_ref();
        let number = |key: &str| status.and_then(|status| status[key].as_u64());
        let lag = |name, ahead: &str, behind: &str| Some((name, number(ahead)?.saturating_sub(number(behind)?)));
        let lags = [
            lag("journal: appended, not committed", "appended", "committed"),
            lag("disk: appended, not synced", "appended", "synced"),
            lag("egress: committed, not delivered", "committed", "delivered"),
        ];
        let seconds = number("seconds").unwrap_or(0);
        let session = status.and_then(|status| status["session"].as_str()).unwrap_or("");
        Board {
            title: format!("{session} up {} h {:02} min {:02} s", seconds / 3_600, seconds / 60 % 60, seconds % 60),
            groups,
            stages: stages.collect(),
            lags: lags.into_iter().flatten().collect(),
            tickers: status.map(tickers).unwrap_or_default(),
        }
    }
}

fn tickers(status: &Value) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all = status["tickers"].as_array().into_iter().flatten();
    all.map(|ticker| ["ticker", "state", "last", "volume"].map(|key| text(&ticker[key]))).collect()
}

/// A count as people read it: 1,234,567.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Board {
    /// Plain lines: for pipes, files and terminals without a screen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for (group, rates) in &self.groups {
            let moved: Vec<&Rate> = rates.iter().filter(|rate| rate.value > 0).collect();
            for rate in moved {
                let name = format!("{group}.{}", rate.name);
                writeln!(f, "  {name:<34} {:>15}  {:>12}/s", grouped(rate.value), grouped(rate.per_second))?;
            }
        }
        for stage in &self.stages {
            let [p50, p99, p99_9, max] = stage.ns.map(time);
            let name = &stage.name;
            writeln!(f, "  {name:<34} p50 {p50:>8}  p99 {p99:>8}  p99.9 {p99_9:>8}  max {max:>8}  n {}", stage.count)?;
        }
        for (name, records) in &self.lags {
            writeln!(f, "  {name:<34} {:>15} records", grouped(*records))?;
        }
        for [ticker, state, last, volume] in &self.tickers {
            writeln!(f, "  {ticker:<8} {state:<14} last {last:>12}  volume {volume:>12}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(at_ns: u64, messages: u64, spans: &Spans, status: Option<Value>) -> Look {
        let counters = vec![("gateway.messages_in".to_owned(), messages), ("gateway.link_full".to_owned(), 0)];
        Look { at_ns, counters, spans: spans.counts(), status }
    }

    #[test]
    fn two_looks_show_rates_times_lags_and_tickers() {
        let spans = Spans::anonymous(&["read to written"]).unwrap();
        let before = look(0, 1_000, &spans, None);
        (0..100).for_each(|_| spans.record(0, 850));
        let status = json!({
            "session": "PITLANE001", "seconds": 3_725, "appended": 120, "committed": 110, "synced": null, "delivered": 100,
            "tickers": [{"ticker": "AAPL", "state": "trading", "last": "585.50", "volume": 7_000}],
        });
        let now = look(500_000_000, 2_234_567, &spans, Some(status));
        let board = Board::between(&before, &now);
        let rate = &board.groups["gateway"][0];
        assert_eq!((rate.name.as_str(), rate.value, rate.per_second), ("messages_in", 2_234_567, 4_467_134));
        assert_eq!((board.stages[0].count, board.stages[0].ns[0].abs_diff(850) <= 14), (100, true));
        assert_eq!(board.lags, [("journal: appended, not committed", 10), ("egress: committed, not delivered", 10)]);
        assert_eq!(board.tickers, [["AAPL", "trading", "585.50", "7000"]]);
        let text = board.to_string();
        assert!(text.starts_with("PITLANE001 up 1 h 02 min 05 s\n"), "{text}");
        assert!(text.contains("2,234,567") && text.contains("4,467,134/s") && !text.contains("link_full"), "{text}");
    }

    #[test]
    fn an_exchange_that_is_gone_is_said_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let endpoints = Endpoints {
            orders: "127.0.0.1:1".parse().unwrap(),
            shared: None,
            operator: at("operator.sock"),
            feed: "239.1.1.1:1".parse().unwrap(),
            feed_interface: [127, 0, 0, 1].into(),
            rerequest: "127.0.0.1:2".parse().unwrap(),
            depth: at("depth"),
            counters: at("counters"),
            stages: at("stages"),
            ways: at("ways"),
            session: "PITLANE001".into(),
        };
        let said = Look::take(&endpoints, None).err().unwrap().to_string();
        assert!(said.contains("counters") && said.contains("No such file"), "{said}");
    }
}
