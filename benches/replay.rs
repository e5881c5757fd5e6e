//! What a start costs: a journal read, verified and applied, without a snapshot.
//!
//! What it measures, over segments in memory (the disk is another bench's business): records a second of reading and
//! verifying alone, and of the whole of what a start does, state, client streams and feed together, with reading on a thread
//! of its own. The memory of the stores is there before: what a host takes to give it is not the replay's. Targets: 3 million
//! records a second applied on one core, and 5 seconds for a start behind 10 million records. A slip means a longer
//! time without a market after each crash.
//!
//! `cargo bench --bench replay`; `-- --records N` for another number than two million, `-- --runs N`, and `-- --read` to read only.

#[path = "core/stream.rs"]
#[allow(dead_code, reason = "each bench uses its part")]
mod stream;

use pitlane::config::{Config, SegmentKnobs};
use pitlane::journal::{LogOptions, LogWriter, RECORD_BYTES, SegmentOptions, SegmentWriter, Segments, SystemDisk};
use pitlane::launch::home::group;
use pitlane::launch::rebuild::rebuild;
use pitlane::launch::spent::Spent;
use pitlane::launch::stores::Stores;
use pitlane::os::clock::SteadyClock;
use pitlane::os::pages;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use stream::{Maker, market};

/// Orders that rest while the day goes on.
const RESTING: usize = 10_000;
/// Records of a segment: 64 MiB.
const SEGMENT_RECORDS: usize = (64 << 20) / RECORD_BYTES;

fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).and_then(|text| text.parse().ok())
}

fn main() {
    // `cargo test` runs benches with this argument to see that they start.
    let is_test = std::env::args().any(|argument| argument == "--test");
    let records = argument("--records").unwrap_or(if is_test { 20_000 } else { 2_000_000 });
    let runs = argument("--runs").unwrap_or(if is_test { 1 } else { 5 });
    let reads_only = std::env::args().any(|argument| argument == "--read");
    let root = pages::memory_backed(4 << 30);
    let directory = tempfile::tempdir_in(root).expect("a directory");
    let config = configuration(directory.path(), records);
    let made = make(&config, records);
    println!("{made} records of {RESTING} resting orders in segments in memory, {runs} runs");
    let mut read: Vec<f64> = (0..runs).map(|_| read(&config, made)).collect();
    print("read and verified", made, &mut read);
    if reads_only {
        return;
    }
    let mut started: Vec<f64> = (0..runs).map(|_| start(&config, made)).collect();
    print("state, streams and feed", made, &mut started);
}

fn print(name: &str, records: u64, seconds: &mut [f64]) {
    seconds.sort_by(f64::total_cmp);
    let (low, median, high) = (seconds[0], seconds[seconds.len() / 2], seconds[seconds.len() - 1]);
    let rate = records as f64 / median / 1e6;
    let whole = 1e7 / records as f64 * median;
    println!("{name:<26} median {median:.3} s ({low:.3} to {high:.3}), {rate:.2} M records/s; 10 M take {whole:.1} s");
}

fn configuration(directory: &Path, records: usize) -> Config {
    let mut config = Config::example();
    config.directory = directory.join("memory");
    config.market = market(RESTING);
    config.journal.log_bytes = LogOptions::bytes_for(1_000);
    config.journal.segments = Some(SegmentKnobs { directory: directory.join("segments"), bytes: 1 << 20, line: 1 });
    // A report has some 70 bytes, a fact of the feed some 50, and a record gives about one of each.
    config.gateway.stream_bytes = (records * 40).next_power_of_two().max(1 << 20);
    config.feed.store_bytes = (records * 120).next_power_of_two().max(1 << 20);
    std::fs::create_dir_all(&config.directory).expect("a directory");
    config
}

/// Writes the journal: an exchange's day, without the exchange.
fn make(config: &Config, records: usize) -> u64 {
    let knobs = config.journal.segments.as_ref().expect("they were just configured");
    let group = group(&config.market);
    let path = config.directory.join("maker");
    let options = LogOptions { path: path.clone(), bytes: LogOptions::bytes_for(SEGMENT_RECORDS), lock: false };
    let mut log = LogWriter::create(options, group, 1).expect("a log");
    let (mut reader, mut release, mut disk) = (log.reader(), log.release(), SystemDisk::plain());
    let taken = Segments::take(&knobs.directory, group, |_| {}).expect("an empty directory");
    let bytes = SegmentOptions::bytes_for(SEGMENT_RECORDS);
    let mut segments = SegmentWriter::new(taken, bytes, log.link(), &mut disk).expect("room");
    let mut maker = Maker::new(RESTING);
    maker.fill();
    while log.number_next() <= records as u64 {
        maker.commands.clear();
        for record in maker.records.drain(..) {
            log.append(&record).expect("there is room");
            let began = reader.tail();
            reader.next().expect("a sound log").expect("the record");
            segments.append(reader.bytes_since(began, 1), reader.link(), &mut disk).expect("room");
            if segments.free_records() == 0 {
                while segments.prepare(&mut disk).expect("room") {}
                segments.roll(&mut disk).expect("room");
            }
            release.release(reader.link());
        }
        maker.step();
    }
    segments.settle(&mut disk).expect("room");
    std::fs::remove_file(path).expect("the log is ours");
    reader.link().number - 1
}

fn read(config: &Config, records: u64) -> f64 {
    let knobs = config.journal.segments.as_ref().expect("they were just configured");
    let began = Instant::now();
    let mut count = 0u64;
    let taken = Segments::take(&knobs.directory, group(&config.market), |record| {
        count += 1;
        black_box(record);
    });
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(taken.expect("a sound journal").end().expect("segments").number - 1, records);
    assert_eq!(count, records);
    seconds
}

fn start(config: &Config, records: u64) -> f64 {
    let _ = std::fs::remove_file(config.directory.join("log"));
    let mut stores = Stores::new(config, None).expect("memory");
    // What the host takes to give memory is not the replay's.
    let memory_bytes = config.gateway.stream_bytes * config.market.sessions.len() + config.feed.store_bytes;
    while stores.bytes_there() < memory_bytes {
        std::thread::sleep(Duration::from_millis(1));
    }
    let began = Instant::now();
    let mut spent = Spent::begin(Box::new(SteadyClock));
    let rebuilt = rebuild(config, 1, &mut stores, &mut SystemDisk::plain(), &mut spent).expect("a sound journal");
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(rebuilt.last.0.0, records);
    println!("start {spent}");
    seconds
}
