//! Durations as counts in mapped memory: what one cold thread records and any process reads, like the counters.
//!
//! A span has a name and a row of buckets, linear within each power of two ([`PARTS`] parts, so that a bucket is at most
//! 1.6 % wide) and rising for ever: who wants a time's worth takes two looks and the difference. One writer, who is
//! cold; readers map the file.
//!
//! Layout (little-endian): a header of 64 bytes (magic 8, version 4, spans 4), then for each span a line of 64 bytes
//! with the length of its name and the name, then all buckets, 8 bytes each, span after span.

use crate::os::mapped::Mapped;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

const MAGIC: u64 = u64::from_le_bytes(*b"PITLSPAN");
const VERSION: u32 = 1;
const LINE_BYTES: usize = 64;
const VERSION_AT: usize = 8;
const SPANS_AT: usize = 12;
/// Parts of each power of two.
const PARTS: u64 = 64;
const PARTS_BITS: u32 = PARTS.trailing_zeros();
/// Durations from here on count as the longest: 68 s.
const NS_END: u64 = 1 << 36;
/// Below [`PARTS`] a bucket a value, then [`PARTS`] for each power of two up to [`NS_END`].
const BUCKETS: usize = (PARTS as usize) * (NS_END.trailing_zeros() - PARTS_BITS + 1) as usize;
/// Most spans a reader believes in.
const SPANS_MAX: usize = 1 << 10;

const fn bucket(ns: u64) -> usize {
    let ns = if ns < NS_END { ns } else { NS_END - 1 };
    if ns < PARTS {
        return ns as usize;
    }
    let power = ns.ilog2() - PARTS_BITS;
    (PARTS as usize) * power as usize + (ns >> power) as usize
}

/// The highest duration a bucket stands for.
const fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let power = bucket / PARTS - 1;
    ((bucket - power * PARTS + 1) << power) - 1
}

const _: () = assert!(bucket(NS_END - 1) == BUCKETS - 1 && highest(BUCKETS - 1) == NS_END - 1);

/// The set, as its process holds it.
#[derive(Debug)]
pub struct Spans {
    memory: Mapped,
    spans: usize,
}

impl Spans {
    /// Spans of these names in the file at `path`, in place of one left by an earlier process.
    /// # Errors
    /// `WouldBlock` when a living process has it, or what the system says.
    pub fn create(path: &Path, names: &[&str]) -> io::Result<Spans> {
        Spans::on(Mapped::replace(path, bytes_for(names.len()))?, names)
    }

    /// The same in memory of this process alone.
    /// # Errors
    /// What the system says.
    pub fn anonymous(names: &[&str]) -> io::Result<Spans> {
        Spans::on(Mapped::anonymous(bytes_for(names.len()))?, names)
    }

    fn on(memory: Mapped, names: &[&str]) -> io::Result<Spans> {
        memory.touch()?;
        memory.write(VERSION_AT, &VERSION.to_le_bytes());
        memory.write(SPANS_AT, &(names.len() as u32).to_le_bytes());
        for (index, name) in names.iter().enumerate() {
            assert!(name.len() < LINE_BYTES, "the span's name is too long: {name}");
            let at = LINE_BYTES * (1 + index);
            memory.write(at, &[name.len() as u8]);
            memory.write(at + 1, name.as_bytes());
        }
        // The magic makes the file one of ours, so it goes last. Pairs with the load in `counts`.
        memory.atomic_u64(0).store(MAGIC, Ordering::Release);
        Ok(Spans { memory, spans: names.len() })
    }

    /// Counts one duration of a span.
    pub fn record(&self, span: usize, ns: u64) {
        assert!(span < self.spans, "there are {} spans", self.spans);
        let cell = self.memory.atomic_u64(bucket_at(self.spans, span, bucket(ns)));
        // One writer; readers only need whole values.
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// What has been counted so far.
    pub fn counts(&self) -> Vec<SpanCounts> {
        counts(&self.memory).expect("a set of our own is well-formed")
    }

    /// All spans of the file at `path`, of a living or a dead process.
    /// # Errors
    /// What the system says, or `InvalidData` when the file holds no spans.
    pub fn read(path: &Path) -> io::Result<Vec<SpanCounts>> {
        let memory = Mapped::open(path, false)?;
        counts(&memory).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a file of spans"))
    }
}

const fn bytes_for(spans: usize) -> usize {
    LINE_BYTES * (1 + spans) + spans * BUCKETS * 8
}

const fn bucket_at(spans: usize, span: usize, bucket: usize) -> usize {
    LINE_BYTES * (1 + spans) + (span * BUCKETS + bucket) * 8
}

fn counts(memory: &Mapped) -> Option<Vec<SpanCounts>> {
    if memory.len() < LINE_BYTES || memory.atomic_u64(0).load(Ordering::Acquire) != MAGIC {
        return None;
    }
    let word = |at| memory.atomic_u32(at).load(Ordering::Relaxed);
    let (version, spans) = (word(VERSION_AT), word(SPANS_AT) as usize);
    if version != VERSION || spans > SPANS_MAX || memory.len() < bytes_for(spans) {
        return None;
    }
    let one = |span: usize| {
        let mut line = [0; LINE_BYTES];
        memory.read(LINE_BYTES * (1 + span), &mut line);
        let name = line.get(1..1 + usize::from(line[0]))?;
        let cell = |bucket| memory.atomic_u64(bucket_at(spans, span, bucket)).load(Ordering::Relaxed);
        let buckets = (0..BUCKETS).map(cell).collect();
        Some(SpanCounts { name: String::from_utf8_lossy(name).into_owned(), buckets })
    };
    (0..spans).map(one).collect()
}

/// A span's counts at one look, or between two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanCounts {
    /// Its name.
    pub name: String,
    buckets: Vec<u64>,
}

impl SpanCounts {
    /// What was counted since an earlier look at the same span. A count that fell (another process took the file over)
    /// is taken as new.
    pub fn since(&self, earlier: &SpanCounts) -> SpanCounts {
        let pairs = self.buckets.iter().zip(&earlier.buckets);
        let buckets = pairs.map(|(&now, &before)| now.checked_sub(before).unwrap_or(now)).collect();
        SpanCounts { name: self.name.clone(), buckets }
    }

    /// Durations counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Each bucket that was hit: the highest duration it stands for, and how often.
    pub fn hits(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, &count)| (highest(at), count))
    }

    /// The duration that `part` of 10,000 do not exceed; 0 without any.
    pub fn at(&self, part: u64) -> u64 {
        let wanted = (u128::from(self.count()) * u128::from(part)).div_ceil(10_000).max(1);
        let mut seen = 0;
        let reached = |(ns, count)| {
            seen += u128::from(count);
            (seen >= wanted).then_some(ns)
        };
        self.hits().find_map(reached).unwrap_or(0)
    }

    /// All of them added up, each as the highest of its bucket.
    pub fn sum_ns(&self) -> u128 {
        self.hits().map(|(ns, count)| u128::from(ns) * u128::from(count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket_which_is_narrow() {
        for ns in (0..10_000).chain((13..36).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 12_345])) {
            let top = highest(bucket(ns));
            assert!(top >= ns && top - ns <= ns / 64 + 1, "{ns} counts as {top}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn another_mapping_reads_what_is_recorded_and_two_looks_give_the_time_between() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spans");
        let spans = Spans::create(&path, &["read to sequenced", "matched"]).unwrap();
        (1..=100).for_each(|n| spans.record(1, n * 10));
        let before = Spans::read(&path).unwrap();
        assert_eq!((before[0].name.as_str(), before[0].count(), before[1].count()), ("read to sequenced", 0, 100));
        assert_eq!([before[1].at(5_000), before[1].at(9_900), before[1].at(10_000)], [503, 991, 1_007]);
        spans.record(1, 5_000_000);
        let now = spans.counts();
        let between = now[1].since(&before[1]);
        assert_eq!((between.count(), between.at(10_000).abs_diff(5_000_000) < 80_000), (1, true));
        assert_eq!(before[0].at(5_000), 0);
    }

    #[test]
    fn files_that_are_no_spans_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spans");
        drop(Spans::create(&path, &["a"]).unwrap());
        let good = std::fs::read(&path).unwrap();
        for cut in [0, 8, 63, 64, 127, good.len() - 1] {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(Spans::read(&path).is_err(), "cut at {cut}");
        }
        for at in 0..128 {
            let mut bad = good.clone();
            bad[at] ^= 0xFF;
            std::fs::write(&path, &bad).unwrap();
            let _ = Spans::read(&path);
        }
    }
}
