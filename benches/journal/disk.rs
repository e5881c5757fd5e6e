//! What the disk behind the log costs: how many records a second can be acknowledged once each of them is synced, and
//! what an append costs while that goes on.
//!
//! The floor of the first is one record written and synced at a time on the same disk, in alternating slices, once for
//! each way to write. Target: with 1,000 records in flight at least 200 times that. The floor of the second is the same stores to
//! plain memory on the same core while the same disk works: a batch of appends and a batch of copies in turn, so that
//! what the host and the disk's interrupts take from the core falls on both alike; beside it the copies with nothing
//! behind. Target: p99.99 of the append at most twice the floor's. A slip of the first means that groups are
//! cut too small or that a sync moves more than data; of the second, that the persister disturbs the memory it reads.

use super::{BATCH, BATCHES, histogram, note, print, time_copies};
use hdrhistogram::Histogram;
use pitlane::journal::{
    Disk, Failure, LogOptions, LogWriter, Persister, PersisterCounters, PersisterLinks, RECORD_BYTES, SegmentOptions,
    SegmentWriter, Segments, SystemDisk,
};
use pitlane::os::clock::{SteadyClock, monotonic_ns};
use pitlane::os::mapped::Mapped;
use pitlane::os::pages::room;
use pitlane::runtime::counters::Counters;
use pitlane::runtime::idle::IdleStrategy;
use pitlane::runtime::link::{MarkReader, mark};
use pitlane::runtime::runner::{Runner, StopFlag, ThreadPlan};
use pitlane::types::{Nanos, Number, Sequenced};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Records that wait for their commit at most.
const IN_FLIGHT: u64 = 1_000;
/// Length of a slice of each kind.
const SLICE: Duration = Duration::from_millis(500);
/// Records that a slice has room for.
const ROOM: usize = 2_000_000;

/// Where a bench works.
#[derive(Clone, Copy)]
struct Places<'a> {
    memory: &'a Path,
    disk: &'a Path,
    /// The persister's. A thread inherits its maker's core, and here that is the appender's.
    core: usize,
}

/// A log in memory whose records a persister moves to `disk`.
struct Pair {
    log: LogWriter,
    synced: MarkReader,
    persister: Runner,
    counters: Counters,
}

impl Pair {
    fn open(Places { memory, disk, core }: Places<'_>, way: fn() -> SystemDisk, records: usize) -> Pair {
        let options = LogOptions { path: memory.join("log"), bytes: LogOptions::bytes_for(records), lock: false };
        let mut log = LogWriter::create(options, 1, 1).expect("a log");
        let mut system = way();
        let segments = Segments::take(&disk.join("segments"), 1, |_| {}).expect("an empty directory");
        // One for all, so that no segment is made while it is measured.
        let bytes = SegmentOptions::bytes_for(records);
        let segments = SegmentWriter::new(segments, bytes, log.link(), &mut system).expect("room on the disk");
        let (mark, synced) = mark();
        let links = PersisterLinks {
            synced: mark,
            room: log.release(),
            closed: StopFlag::new(),
            stop: StopFlag::new(),
            failure: Failure::default(),
        };
        let mut counters = Counters::anonymous(16).expect("memory");
        let agent = Persister::new(
            log.reader(),
            segments,
            Box::new(system),
            links,
            PersisterCounters::new(&mut counters),
            Box::new(SteadyClock),
        );
        let plan = ThreadPlan { name: "persister".into(), core: Some(core), agents: vec![Box::new(agent)] };
        let idle = IdleStrategy::Sleep(Duration::from_micros(20), Duration::from_millis(1));
        let persister = Runner::spawn(vec![plan], idle, StopFlag::new()).expect("a thread");
        Pair { log, synced, persister, counters }
    }

    fn close(self, Places { memory, disk, .. }: Places<'_>) {
        self.persister.stop_flag().request();
        self.persister.join().expect("the persister ends");
        std::fs::remove_file(memory.join("log")).expect("the log is ours");
        std::fs::remove_dir_all(disk.join("segments")).expect("the segments are ours");
    }
}

pub fn run(memory: &Path, core: usize, slices: usize) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let disk = tempfile::tempdir_in(root).expect("a directory");
    let kind = room(disk.path()).expect("a file system").kind;
    println!("\nsegments on {kind}; slices of {SLICE:?}; the disk's thread on core {core}");
    let places = Places { memory, disk: disk.path(), core };
    commits(places, ("as an exchange does it", SystemDisk::new), slices);
    commits(places, ("without io_uring", SystemDisk::plain), slices);
    appends(places, slices);
}

fn commits(places: Places<'_>, (name, way): (&str, fn() -> SystemDisk), slices: usize) {
    let (mut single, mut grouped, mut groups, mut ratios) = (0.0, 0.0, 0, Vec::new());
    // A slice of each warms up what the file system keeps of new files.
    for slice in 0..=slices {
        let alone = one_at_a_time(places.disk, way());
        let (together, count) = in_groups(places, way);
        if slice > 0 {
            (single, grouped, groups) = (single + alone, grouped + together, groups + count);
            ratios.push(together / alone);
        }
    }
    let (single, grouped) = (single / slices as f64, grouped / slices as f64);
    ratios.sort_by(f64::total_cmp);
    let (low, median, high) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    println!("{name}: {}", way().describe());
    println!("one record a fdatasync        {single:>12.0} records/s");
    println!("power-loss, {IN_FLIGHT} in flight     {grouped:>12.0} records/s, {} groups", groups / slices as u64);
    println!("ratio, median of slices       {median:>12.0}   ({low:.0} to {high:.0}; target: at least 200)");
}

/// Records a second when each is written and synced before the next, into a file as well prepared as a segment.
fn one_at_a_time(directory: &Path, mut disk: SystemDisk) -> f64 {
    const RECORDS: usize = 20_000;
    let path = directory.join("single");
    let file = std::fs::File::create(&path).expect("a file");
    disk.write_synced(&file, &[(0, &vec![0; RECORDS * RECORD_BYTES])]).expect("room on the disk");
    let began = Instant::now();
    let mut records = 0;
    while began.elapsed() < SLICE && records < RECORDS {
        let at = (records * RECORD_BYTES) as u64;
        disk.write_synced(&file, &[(at, &[7; RECORD_BYTES])]).expect("the disk writes");
        records += 1;
    }
    let rate = records as f64 / began.elapsed().as_secs_f64();
    std::fs::remove_file(&path).expect("the file is ours");
    rate
}

/// Records a second that are synced while so many wait, and the groups they came in.
fn in_groups(places: Places<'_>, way: fn() -> SystemDisk) -> (f64, u64) {
    let mut pair = Pair::open(places, way, ROOM);
    let mut record = Sequenced::default();
    let began = Instant::now();
    while began.elapsed() < SLICE && pair.log.free_records() > 0 {
        while pair.log.number_next() <= pair.synced.value() + IN_FLIGHT && pair.log.free_records() > 0 {
            record.number = Number(pair.log.number_next());
            record.time = Nanos(record.number.0);
            pair.log.append(black_box(&record)).expect("there is room");
        }
        // As the hot threads do where cores are few.
        std::thread::yield_now();
    }
    let rate = pair.synced.value() as f64 / began.elapsed().as_secs_f64();
    let groups = pair.counters.values().iter().find(|(name, _)| name == "persister.groups").map_or(0, |(_, n)| *n);
    pair.close(places);
    (rate, groups)
}

fn appends(places: Places<'_>, slices: usize) {
    let (mut behind, mut beside, mut copies) = (histogram(), histogram(), histogram());
    for _ in 0..slices {
        time_appends(places, &mut behind, &mut beside);
        time_copies(&places.memory.join("copy"), &mut copies);
    }
    println!("ns a record                 p50     p90     p99   p99.9     max   (batches of {BATCH})");
    print("append, synced behind", &behind);
    print("copy 192 B, as well", &beside);
    print("copy 192 B, alone", &copies);
    let ratio = |floor: &Histogram<u64>, q| behind.value_at_quantile(q) as f64 / floor.value_at_quantile(q) as f64;
    for (name, floor) in [("with syncs behind as well", &beside), ("alone", &copies)] {
        let [p50, p999, p9999] = [0.5, 0.999, 0.9999].map(|q| ratio(floor, q));
        println!("append / copy {name}: p50 {p50:.2}, p99.9 {p999:.2}, p99.99 {p9999:.2} (target: 2)");
    }
}

fn time_appends(places: Places<'_>, appends: &mut Histogram<u64>, copies: &mut Histogram<u64>) {
    let mut pair = Pair::open(places, SystemDisk::new, BATCH * BATCHES);
    let path = places.memory.join("beside");
    let memory = Mapped::create(&path, BATCH * BATCHES * RECORD_BYTES).expect("memory");
    memory.touch().expect("memory");
    let mut record = Sequenced::default();
    let mut bytes = [7u8; RECORD_BYTES];
    for batch in 0..BATCHES {
        let began = monotonic_ns();
        for _ in 0..BATCH {
            record.number = Number(pair.log.number_next());
            record.time = Nanos(record.number.0);
            pair.log.append(black_box(&record)).expect("there is room");
        }
        note(appends, monotonic_ns() - began);
        // A pace that a disk can follow, so that it is at work all the time: some two million records a second.
        while monotonic_ns() < began + 4_000 {}
        let began_copy = monotonic_ns();
        for index in 0..BATCH {
            let number = batch * BATCH + index;
            bytes[0] = number as u8;
            memory.write(number * RECORD_BYTES, black_box(&bytes));
        }
        note(copies, monotonic_ns() - began_copy);
        while monotonic_ns() < began + 8_000 {}
    }
    pair.close(places);
    drop(memory);
    std::fs::remove_file(path).expect("the file is ours");
}
