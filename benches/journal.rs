//! What one record costs the sequencer's thread: an append to the log, beside a copy of the same bytes.
//!
//! Target: at most 40 ns a record at the median. A slip shows in every order's latency, because nothing goes outward
//! before its record is in the log. The floor is a plain copy of 192 bytes into the same kind of memory; what lies
//! between is two checksums, the chain and the order of the stores.
//!
//! Both are timed in slices that take turns, a batch of records at a time (one reading of the clock costs half an
//! append), over fresh, touched memory, so that each record meets cache lines as cold as in service.
//!
//! What the disk behind it costs is in `journal/disk.rs` and runs after.
//!
//! `cargo bench --bench journal` (or `--profile quick`).

#[path = "journal/disk.rs"]
mod disk;

use hdrhistogram::Histogram;
use pitlane::journal::{LogOptions, LogWriter, RECORD_BYTES};
use pitlane::os::clock::monotonic_ns;
use pitlane::os::mapped::Mapped;
use pitlane::os::{affinity, pages};
use pitlane::types::{Nanos, Number, Sequenced};
use std::hint::black_box;
use std::path::Path;

/// Records between two readings of the clock.
const BATCH: usize = 16;
/// Batches of a slice: 100,000 records, 19 MB, beyond every cache that is a core's own.
const BATCHES: usize = 6_250;
/// Slices of each kind.
const SLICES: usize = 30;

fn main() {
    // `cargo test` runs benches with this argument to see that they start; one short slice does.
    let slices = if std::env::args().any(|argument| argument == "--test") { 1 } else { SLICES };
    // As an exchange does it: the hot thread keeps off the core that serves the disk.
    let cores = affinity::devices_first().expect("the allowed cores are known");
    let pinned = affinity::pin(*cores.last().expect("there is a core"));
    let root = pages::memory_backed(2 << 30);
    let directory = tempfile::tempdir_in(&root).expect("a directory");
    println!("log in {}, pinned {pinned:?}, {slices} slices of {} records", root.display(), BATCH * BATCHES);
    let (mut append, mut copy) = (histogram(), histogram());
    for slice in 0..slices {
        let path = |name: &str| directory.path().join(format!("{name}-{slice}"));
        time_appends(&path("log"), &mut append);
        time_copies(&path("copy"), &mut copy);
    }
    println!("ns a record                 p50     p90     p99   p99.9     max   (batches of {BATCH})");
    print("append", &append);
    print("copy 192 B", &copy);
    println!("append / copy at p50: {:.2}", append.value_at_quantile(0.5) as f64 / copy.value_at_quantile(0.5) as f64);
    disk::run(directory.path(), cores[0], slices.div_ceil(3));
}

/// Hundredths of a nanosecond a record, to a tenth of a second.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds and digits are allowed")
}

fn time_appends(path: &Path, times: &mut Histogram<u64>) {
    let options = LogOptions { path: path.into(), bytes: LogOptions::bytes_for(BATCH * BATCHES), lock: false };
    let mut writer = LogWriter::create(options, 1, 1).expect("a log");
    let mut record = Sequenced::default();
    let before = pages::faults();
    for batch in 0..BATCHES {
        let began = monotonic_ns();
        for index in 0..BATCH {
            record.number = Number((batch * BATCH + index) as u64 + 1);
            record.time = Nanos(record.number.0);
            writer.append(black_box(&record)).expect("there is room");
        }
        note(times, monotonic_ns() - began);
    }
    assert_eq!(pages::faults(), before, "appending faults no page");
    drop(writer);
    std::fs::remove_file(path).expect("the log is ours");
}

fn time_copies(path: &Path, times: &mut Histogram<u64>) {
    let memory = Mapped::create(path, BATCH * BATCHES * RECORD_BYTES).expect("memory");
    memory.touch().expect("memory");
    let mut bytes = [7u8; RECORD_BYTES];
    for batch in 0..BATCHES {
        let began = monotonic_ns();
        for index in 0..BATCH {
            let number = batch * BATCH + index;
            bytes[0] = number as u8;
            memory.write(number * RECORD_BYTES, black_box(&bytes));
        }
        note(times, monotonic_ns() - began);
    }
    drop(memory);
    std::fs::remove_file(path).expect("the file is ours");
}

fn note(times: &mut Histogram<u64>, batch_ns: u64) {
    times.record(batch_ns * 100 / BATCH as u64).expect("no record takes a tenth of a second");
}

fn print(name: &str, times: &Histogram<u64>) {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 100.0;
    let max = times.max() as f64 / 100.0;
    println!("{name:<22}{:>9.1}{:>8.1}{:>8.1}{:>8.1}{max:>8.0}", at(0.5), at(0.9), at(0.99), at(0.999));
}
