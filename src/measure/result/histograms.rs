//! The histogram log of a run: written interval by interval, and read back.
//!
//! The format is HdrHistogram's own (interval log, V2 encoding, compressed), so that its tools in any language read
//! what was measured here; values are ns, the log's column of maxima is in ms, as those tools expect. A series is an
//! interval's tag. Cold: written between slices, never while one is measured.

use crate::measure::latency::Latencies;
use crate::measure::load::schedule::Sample;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriter, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, SystemTime};

/// Length of an interval.
pub const INTERVAL_NS: u64 = 250_000_000;
/// Largest log read: a run of hours, and no file of somebody else's that fills the memory.
const LOG_BYTES_MAX: u64 = 1 << 30;
const NS_A_MS: f64 = 1e6;

/// Writes intervals.
pub struct HistogramLog<'a, W: Write> {
    log: IntervalLogWriter<'a, 'a, W, V2DeflateSerializer>,
    interval: Latencies,
}

impl<'a, W: Write> HistogramLog<'a, W> {
    /// Begins a log whose times count from `started`.
    /// # Errors
    /// What `out` says.
    pub fn begin(out: &'a mut W, serializer: &'a mut V2DeflateSerializer, started: SystemTime) -> io::Result<Self> {
        let log = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("Pitlane: latencies in ns; a tag names a series")
            .with_start_time(started)
            .with_base_time(started)
            .with_max_value_divisor(NS_A_MS)
            .begin_log_with(out, serializer)?;
        Ok(HistogramLog { log, interval: Latencies::new() })
    }

    /// Adds what was sampled of a series from `begin_ns` on (steady time), which was `at_ns` after the log's start.
    /// A sample belongs to the interval in which it was meant to be sent.
    /// # Errors
    /// What the file says.
    pub fn add(
        &mut self,
        series: &str,
        samples: &[Sample],
        begin_ns: u64,
        at_ns: u64,
        of: fn(&Sample) -> u64,
    ) -> io::Result<()> {
        let mut samples: Vec<(u64, u64)> =
            samples.iter().map(|s| (s.due_ns.saturating_sub(begin_ns) / INTERVAL_NS, of(s))).collect();
        samples.sort_unstable_by_key(|&(interval, _)| interval);
        for chunk in samples.chunk_by(|a, b| a.0 == b.0) {
            self.interval.clear();
            chunk.iter().for_each(|&(_, ns)| self.interval.record(ns));
            self.write(series, at_ns + chunk[0].0 * INTERVAL_NS)?;
        }
        Ok(())
    }

    fn write(&mut self, series: &str, at_ns: u64) -> io::Result<()> {
        let tag = Tag::new(series).ok_or_else(|| io::Error::other(format!("{series:?} is no tag of a log")))?;
        let (at, long) = (Duration::from_nanos(at_ns), Duration::from_nanos(INTERVAL_NS));
        self.log
            .write_histogram(self.interval.histogram(), at, long, Some(tag))
            .map_err(|fault| io::Error::other(fault.to_string()))
    }
}

/// One interval of a series.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Seconds from the log's start.
    pub at_seconds: f64,
    /// What was recorded.
    pub latencies: Latencies,
}

/// All intervals of a log by series, each in the order written.
pub type SeriesOf = BTreeMap<String, Vec<Interval>>;

/// Reads a log, of this program or of any other that writes the format in ns.
/// # Errors
/// What the system says; `InvalidData` with the place and the cause.
pub fn read(path: &std::path::Path) -> io::Result<SeriesOf> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > LOG_BYTES_MAX {
        return Err(invalid(format!("{bytes} bytes, at most {LOG_BYTES_MAX} are read")));
    }
    parse(&std::fs::read(path)?)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

fn parse(text: &[u8]) -> io::Result<SeriesOf> {
    let mut series = SeriesOf::new();
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(text) {
        let entry = entry.map_err(|fault| {
            let hdrhistogram::serialization::interval_log::LogIteratorError::ParseError { offset } = fault;
            let line = text[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1;
            invalid(format!("line {line} is no line of a histogram log"))
        })?;
        let LogEntry::Interval(interval) = entry else { continue };
        let at_seconds = interval.start_timestamp().as_secs_f64();
        let name = interval.tag().map_or_else(String::new, |tag| tag.as_str().to_owned());
        let wrong = |what: &str| invalid(format!("series {name:?} at {at_seconds:.3} s: {what}"));
        let coded = decode(interval.encoded_histogram()).ok_or_else(|| wrong("its histogram is not base64"))?;
        let histogram: Histogram<u64> =
            deserializer.deserialize(&mut coded.as_slice()).map_err(|fault| wrong(&fault.to_string()))?;
        let latencies = Latencies::from_histogram(&histogram).ok_or_else(|| wrong("values beyond 60 s"))?;
        series.entry(name).or_default().push(Interval { at_seconds, latencies });
    }
    if series.is_empty() { Err(invalid("no histogram is in it".into())) } else { Ok(series) }
}

/// Standard base64 (RFC 4648, section 4), which is all the log needs and too little for a dependency of its own.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end().as_bytes();
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.chunks_exact(4) {
        let word = four.iter().try_fold(0u32, |word, &byte| {
            let digit = if byte == b'=' { Some(0) } else { value(byte) };
            Some(word << 6 | digit?)
        })?;
        bytes.extend_from_slice(&word.to_be_bytes()[1..]);
    }
    // A `=` anywhere but at the end is no base64.
    if text[..text.len() - padding].contains(&b'=') {
        return None;
    }
    bytes.truncate(bytes.len() - padding);
    Some(bytes)
}

/// A series whole.
pub fn merged(intervals: &[Interval]) -> Latencies {
    let mut all = Latencies::new();
    intervals.iter().for_each(|interval| all.merge(&interval.latencies));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<u8> {
        let (mut out, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        let mut log = HistogramLog::begin(&mut out, &mut serializer, SystemTime::UNIX_EPOCH).unwrap();
        let sample =
            |n: u64| Sample { due_ns: 7 + n * 1_000_000, answered_ns: 7 + n * 1_000_000 + n + 1, ..Sample::default() };
        // Half a second and one interval more: three intervals.
        let samples: Vec<Sample> = (0..600).map(sample).collect();
        log.add("tcp-1000", &samples, 7, 2_000_000_000, Sample::intended_ns).unwrap();
        log.add("tcp-1000-floor", &samples[..1], 7, 3_000_000_000, Sample::intended_ns).unwrap();
        out
    }

    #[test]
    fn what_is_written_comes_back_by_series_and_interval() {
        let series = parse(&log()).unwrap();
        assert_eq!(series.keys().collect::<Vec<_>>(), ["tcp-1000", "tcp-1000-floor"]);
        let intervals = &series["tcp-1000"];
        let seen: Vec<(f64, u64)> = intervals.iter().map(|i| (i.at_seconds, i.latencies.count())).collect();
        assert_eq!(seen, [(2.0, 250), (2.25, 250), (2.5, 100)]);
        let all = merged(intervals).percentiles();
        assert_eq!((all.count, all.min, all.max), (600, 1, 600));
    }

    #[test]
    fn a_log_cut_anywhere_or_with_a_byte_changed_is_refused_or_read_but_never_believed_blindly() {
        let good = log();
        let count = |bytes: &[u8]| parse(bytes).map(|series| series.values().flatten().count());
        assert_eq!(count(&good).unwrap(), 4);
        for cut in 0..good.len() {
            assert!(count(&good[..cut]).map_or(true, |intervals| intervals <= 4), "cut at {cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x15;
            let _ = count(&bad);
        }
        assert_eq!(parse(b"").unwrap_err().to_string(), "no histogram is in it");
        assert_eq!(parse(b"#comment\nhello\n").unwrap_err().to_string(), "line 2 is no line of a histogram log");
        let text = String::from_utf8(good).unwrap().replace("HIST", "HI=T");
        assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("is not base64"));
    }

    #[test]
    fn base64_is_read_as_the_standard_has_it() {
        let cases = [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")];
        for (text, bytes) in cases {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert!(["Zg=", "Z===", "Zg=a", "Zm9!"].iter().all(|text| decode(text).is_none()));
    }
}
