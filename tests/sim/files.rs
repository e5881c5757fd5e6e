//! What a crash does to the files themselves, beside what the disk does to unsynced sectors: an append cut off in the
//! middle, a log that goes with the memory it was in or comes back in pages of different times, derived files lost.

use crate::plan::LogFate;
use crate::support::random::Random;
use crate::trace::Trace;
use pitlane::config::Config;
use pitlane::journal::RECORD_BYTES;
use pitlane::launch::home::log_path;
use pitlane::wire::record::{LogHeader, RECORDS_START};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the system writes back of a file at a time.
const PAGE_BYTES: usize = 4096;
/// Bytes of a record's length, which is stored last.
const LENGTH_BYTES: usize = 4;
/// Names that a venue can do without, in its own directory.
const DERIVED: [&str; 5] = ["counters", "depth", "closing.json", "endpoints.json", "operator.sock"];

/// A process dies inside an append: any part of the record but its length stands in the log.
pub fn tear_append(config: &Config, last: u64, random: &mut Random, trace: &Trace) {
    let Ok(log) = OpenOptions::new().read(true).write(true).open(log_path(&config.directory)) else { return };
    let end = slot_of(&log, last + 1);
    let mut before = [0; LENGTH_BYTES];
    log.read_exact_at(&mut before, end as u64).expect("the log is readable");
    if before != [0; LENGTH_BYTES] {
        // The oldest record stands there: the log is full, and nothing was being appended.
        return;
    }
    let mut record: Vec<u8> = (0..RECORD_BYTES).map(|_| random.bits() as u8).collect();
    if end > RECORDS_START && random.percent(70) {
        // The record before is what the torn one looks most like.
        log.read_exact_at(&mut record, (end - RECORD_BYTES) as u64).expect("the log is readable");
    }
    // Stores of one record may have reached memory in any order but for the length.
    let from = LENGTH_BYTES + random.below((RECORD_BYTES - LENGTH_BYTES) as u64) as usize;
    let to = from + random.below((RECORD_BYTES - from) as u64 + 1) as usize;
    log.write_all_at(&record[from..to], (end + from) as u64).expect("the log is writable");
    trace.count("append torn", &[end as u64, from as u64, to as u64]);
}

/// A planted bug: the log ends one record early.
pub fn lose_last_record(config: &Config, last: u64) {
    let Ok(log) = OpenOptions::new().read(true).write(true).open(log_path(&config.directory)) else { return };
    if last > 0 {
        log.write_all_at(&[0; RECORD_BYTES], slot_of(&log, last) as u64).expect("the log is writable");
    }
}

/// Where a record stands in a log, which is a ring.
fn slot_of(log: &File, number: u64) -> usize {
    let mut page = vec![0; RECORDS_START];
    log.read_exact_at(&mut page, 0).expect("the log is readable");
    let header = LogHeader::parse(&page).expect("the log is one");
    let slots = (header.capacity.get() as usize - RECORDS_START) / RECORD_BYTES;
    RECORDS_START + (number - header.first_number.get()) as usize % slots * RECORD_BYTES
}

/// Files beside the segments that can be made again (streams, feed, snapshots): some are gone, cut or damaged.
pub fn spoil_derived(config: &Config, random: &mut Random, trace: &Trace) {
    let Some(segments) = &config.journal.segments else { return };
    for path in sorted(&segments.directory) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("segment-")
            || ["lock", "clean-stop"].contains(&name)
            || !path.is_file()
            || random.percent(70)
        {
            continue;
        }
        trace.count("derived file spoilt", &[]);
        let mut bytes = std::fs::read(&path).expect("the test's own file");
        if bytes.is_empty() || random.percent(30) {
            std::fs::remove_file(&path).expect("the test's own file");
            continue;
        }
        let at = random.below(bytes.len() as u64) as usize;
        if random.percent(50) {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << random.below(8);
        }
        std::fs::write(&path, bytes).expect("the test's own file");
    }
}

/// Where the judge keeps segments that the venue takes away for good.
fn kept(segments: &Path) -> PathBuf {
    segments.with_file_name("kept")
}

/// Before a file is taken away: a segment that has no archive is kept for the judge.
pub fn keep_segment(path: &Path) {
    let (Some(home), Some(name)) = (path.parent(), path.file_name()) else { return };
    let is_segment = name.to_str().is_some_and(|name| name.starts_with("segment-") && !name.contains('.'));
    if is_segment && !path.with_extension("lz4").exists() {
        let kept = kept(home);
        std::fs::create_dir_all(&kept).expect("the test's own directory");
        // It may have come back with a loss of power, and be taken away again.
        let _there = std::fs::hard_link(path, kept.join(name));
    }
}

/// The configuration under which all of the journal is found: what the venue took away for good beside what is there.
pub fn whole_journal(config: &Config) -> Config {
    let mut config = config.clone();
    let Some(segments) = &mut config.journal.segments else { return config };
    let kept = sorted(&kept(&segments.directory));
    if kept.is_empty() {
        return config;
    }
    let all = segments.directory.with_file_name("all");
    let _not_there = std::fs::remove_dir_all(&all);
    std::fs::create_dir(&all).expect("the test's own directory");
    let there = sorted(&segments.directory).into_iter().filter(|path| path.is_file());
    for path in kept.into_iter().chain(there) {
        let _there = std::fs::hard_link(&path, all.join(path.file_name().expect("a file has a name")));
    }
    segments.directory = all;
    config
}

/// The log as it is now, for a later loss of power to bring back.
pub fn copy_of_log(config: &Config) -> Option<Vec<u8>> {
    std::fs::read(log_path(&config.directory)).ok()
}

/// The host goes down and comes back: what becomes of the venue's own directory.
pub fn lose_memory(config: &Config, fate: LogFate, older: Option<&Vec<u8>>, random: &mut Random, trace: &Trace) {
    let log = log_path(&config.directory);
    match fate {
        LogFate::Gone => {
            let _not_there = std::fs::remove_file(&log);
        }
        LogFate::Mixed => {
            trace.count("log in pages of different times", &[]);
            mix(&log, older, random);
        }
    }
    for name in DERIVED {
        if fate == LogFate::Gone || random.percent(50) {
            let _not_there = std::fs::remove_file(config.directory.join(name));
        }
    }
}

fn mix(log: &Path, older: Option<&Vec<u8>>, random: &mut Random) {
    let Ok(mut now) = std::fs::read(log) else { return };
    let lost = random.of(&[5, 50, 90]);
    for (index, page) in now.chunks_mut(PAGE_BYTES).enumerate() {
        if !random.percent(lost) {
            continue;
        }
        match older.and_then(|older| older.get(index * PAGE_BYTES..index * PAGE_BYTES + page.len())) {
            Some(before) => page.copy_from_slice(before),
            None if index > 0 => page.fill(0),
            None => {}
        }
    }
    std::fs::write(log, now).expect("the log is writable");
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
