//! Segments on a disk against what happens to them: cut and flipped bytes, strangers, full and failing disks.
//!
//! The persister is turned by hand, so that each group, and with it what counts as synced, is the test's choice.

use pitlane::journal::segments::{Found, segment_path};
use pitlane::journal::{
    Disk, Failure, JournalFault, LogOptions, LogWriter, Persister, PersisterCounters, PersisterLinks, RECORD_BYTES,
    SegmentOptions, SegmentWriter, Segments, SystemDisk, TailState,
};
use pitlane::os::clock::SteadyClock;
use pitlane::os::pages;
use pitlane::runtime::agent::Agent;
use pitlane::runtime::counters::Counters;
use pitlane::runtime::link::{MarkReader, mark};
use pitlane::runtime::runner::StopFlag;
use pitlane::types::{Command, CommandKind, Nanos, Number, Price, Quantity, Sequenced, SessionId, UserRef};
use pitlane::wire::record::RECORDS_START;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const GROUP: u64 = 0xC0FFEE;
const HEADER: usize = 4096;
/// Records of a segment here.
const ROOM: usize = 8;
const SEGMENT_BYTES: usize = SegmentOptions::bytes_for(ROOM);

fn record(number: u64) -> Sequenced {
    let mut record = Sequenced { number: Number(number), time: Nanos(1_000 + number * 7), ..Sequenced::default() };
    record.command = Command::new(CommandKind::Enter);
    record.command.session = SessionId(number as u16 % 5);
    record.command.user_ref = UserRef(number as u32);
    record.command.quantity = Quantity(100 + number as u32);
    record.command.price = Price(1_000_000 + number as u32);
    record
}

/// What a disk does beside its work, as the test wishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Mood {
    #[default]
    Well,
    /// Every write or sync gives this error.
    Fails(i32),
    /// Every write reaches the system's memory, and its sync gives this error.
    FailsLate(i32),
    /// Every write falls short by a byte.
    Short,
    /// No blocks for a new segment.
    Full,
}

/// A disk with a mood that can be changed from outside, how often it was asked to write, and which records it synced.
#[derive(Clone, Default)]
struct MoodyDisk(Arc<Mutex<(Mood, u64, Stretches)>>);

/// First byte and the byte after the last.
type Stretches = Vec<(u64, u64)>;

impl MoodyDisk {
    fn turn(&self, mood: Mood) {
        self.0.lock().unwrap().0 = mood;
    }

    /// Stretches of records that it synced since it was last asked.
    fn synced(&self) -> Stretches {
        std::mem::take(&mut self.0.lock().unwrap().2)
    }

    /// How often it was asked to write.
    fn writes(&self) -> u64 {
        self.0.lock().unwrap().1
    }
}

impl Disk for MoodyDisk {
    fn allocate(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        match self.0.lock().unwrap().0 {
            Mood::Full => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            _ => SystemDisk::plain().allocate(file, bytes),
        }
    }

    fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        match state.0 {
            Mood::Fails(error) => Err(io::Error::from_raw_os_error(error)),
            Mood::FailsLate(error) => {
                SystemDisk::plain().write_synced(file, pieces)?;
                Err(io::Error::from_raw_os_error(error))
            }
            Mood::Short => SystemDisk::plain().write_synced(file, pieces).map(|written| written - 1),
            Mood::Well | Mood::Full => {
                let stretches = pieces.iter().map(|(at, bytes)| (*at, at + bytes.len() as u64));
                state.2.extend(stretches.filter(|(at, _)| *at >= RECORDS_START as u64));
                SystemDisk::plain().write_synced(file, pieces)
            }
        }
    }

    fn describe(&self) -> &'static str {
        "a disk of moods"
    }
}

/// A log and a directory of segments.
struct Site {
    directory: TempDir,
}

/// A log with its persister, turned by hand.
struct Rig {
    log: LogWriter,
    persister: Persister,
    synced: MarkReader,
    closed: StopFlag,
    stop: StopFlag,
    failure: Failure,
    counters: Counters,
}

impl Site {
    fn new() -> Site {
        // In memory where there is a tmpfs: each outcome here syncs, and there are thousands.
        Site { directory: tempfile::tempdir_in(pages::memory_backed(32 << 20)).unwrap() }
    }

    fn segments(&self) -> PathBuf {
        self.directory.path().join("segments")
    }

    fn segment(&self, number: u64) -> PathBuf {
        segment_path(&self.segments(), number)
    }

    fn rig(&self, disk: Box<dyn Disk>) -> Rig {
        self.rig_of(disk, 1)
    }

    /// A new log of a boot of its own: two with the same are one journal.
    fn rig_of(&self, mut disk: Box<dyn Disk>, boot: u64) -> Rig {
        let options =
            LogOptions { path: self.directory.path().join("log"), bytes: LogOptions::bytes_for(1_000), lock: false };
        let _ = std::fs::remove_file(&options.path);
        let segments = Segments::take(&self.segments(), GROUP, |_| {}).unwrap();
        let mut log = LogWriter::create_following(options, GROUP, boot, segments.end()).unwrap();
        let segments = SegmentWriter::new(segments, SEGMENT_BYTES, log.link(), &mut *disk).unwrap();
        let (closed, stop, failure) = (StopFlag::new(), StopFlag::new(), Failure::default());
        let (mark, synced) = mark();
        let links = PersisterLinks {
            synced: mark,
            room: log.release(),
            closed: closed.clone(),
            stop: stop.clone(),
            failure: failure.clone(),
        };
        let mut counters = Counters::anonymous(16).unwrap();
        let persister = Persister::new(
            log.reader(),
            segments,
            disk,
            links,
            PersisterCounters::new(&mut counters),
            Box::new(SteadyClock),
        );
        Rig { log, persister, synced, closed, stop, failure, counters }
    }

    /// Segments of a journal whose groups are as given; `settled` says whether its writer ended orderly.
    fn written(&self, groups: &[u64], settled: bool) {
        let mut rig = self.rig(Box::new(SystemDisk::plain()));
        groups.iter().for_each(|group| rig.append_and_sync(*group));
        if settled {
            rig.persister.stop();
        }
    }

    fn take(&self) -> Result<(Vec<Sequenced>, Option<Found>), JournalFault> {
        let mut records = Vec::new();
        let taken = Segments::take(&self.segments(), GROUP, |record| records.push(*record))?;
        Ok((records, taken.last().cloned()))
    }

    /// What a start comes to; whatever was cut off is put away, so that the next look finds the directory as it was.
    fn outcome(&self) -> Outcome {
        match self.take() {
            Ok((records, last)) => {
                assert_eq!(records, (1..=records.len() as u64).map(record).collect::<Vec<_>>());
                let torn = match last.map(|found| found.state) {
                    Some(TailState::Torn(torn)) => {
                        std::fs::remove_file(torn.quarantine.expect("what is cut is kept")).unwrap();
                        true
                    }
                    _ => false,
                };
                Outcome::Ends { records: records.len() as u64, torn }
            }
            Err(JournalFault::DamagedSegment { number, .. }) => Outcome::Damaged(number),
            Err(JournalFault::Misplaced { why, .. }) => Outcome::Misplaced(why),
            Err(other) => panic!("{other}"),
        }
    }

    fn misplaced(&self) -> String {
        match self.outcome() {
            Outcome::Misplaced(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    Ends { records: u64, torn: bool },
    Damaged(u64),
    Misplaced(String),
}

impl Rig {
    fn append(&mut self, count: u64) {
        for _ in 0..count {
            self.log.append(&record(self.log.number_next())).unwrap();
        }
    }

    /// Appends, and turns the persister until it is all synced.
    fn append_and_sync(&mut self, count: u64) {
        self.append(count);
        let last = self.log.number_next() - 1;
        for _ in 0..100 {
            if self.synced.value() == last {
                return;
            }
            self.persister.work();
        }
        panic!("synced {} of {last}", self.synced.value());
    }

    fn counter(&self, name: &str) -> u64 {
        self.counters.values().into_iter().find(|(found, _)| found == name).unwrap().1
    }
}

#[test]
fn segments_hold_the_very_records_of_the_log_and_each_is_named_when_it_is_whole() {
    for disk in [SystemDisk::plain(), SystemDisk::new()] {
        let site = Site::new();
        let mut rig = site.rig(Box::new(disk));
        rig.append_and_sync(5);
        rig.append_and_sync(15);
        assert_eq!(rig.counter("persister.records"), 20);
        assert_eq!(rig.counter("persister.segments"), 3);
        // The log of the same boot before anything has left it.
        let other = Site::new();
        let mut kept = other.rig(Box::new(SystemDisk::plain()));
        kept.append(20);
        let log = std::fs::read(other.directory.path().join("log")).unwrap();
        let mut records = Vec::new();
        for number in 1..=3 {
            let segment = std::fs::read(site.segment(number)).unwrap();
            assert_eq!(segment.len(), SEGMENT_BYTES);
            records.extend_from_slice(&segment[HEADER..]);
        }
        let bytes = 24 * RECORD_BYTES;
        assert!(records[..] == log[HEADER..HEADER + bytes], "byte for byte, zeros behind");
        drop(rig);
        assert_eq!(site.outcome(), Outcome::Ends { records: 20, torn: false });
    }
}

#[test]
fn a_write_cut_off_at_any_byte_is_no_loss_and_a_synced_byte_that_is_gone_is_damage() {
    let site = Site::new();
    site.written(&[11, 3], false);
    let (synced, last) = (11, 14);
    let whole = std::fs::read(site.segment(2)).unwrap();
    for from in HEADER..HEADER + (last - ROOM) * RECORD_BYTES {
        let mut bytes = whole.clone();
        bytes[from..].fill(0);
        std::fs::write(site.segment(2), &bytes).unwrap();
        let same = bytes.iter().zip(&whole).position(|(a, b)| a != b).unwrap_or(HEADER + (last - ROOM) * RECORD_BYTES);
        let records = ROOM + (same - HEADER) / RECORD_BYTES;
        let stump = &bytes[HEADER + (records - ROOM) * RECORD_BYTES..];
        let expected = if records < synced {
            Outcome::Damaged(records as u64 + 1)
        } else {
            Outcome::Ends { records: records as u64, torn: stump.iter().any(|byte| *byte != 0) }
        };
        assert_eq!(site.outcome(), expected, "zeros from byte {from} on");
    }
}

#[test]
fn a_segment_cut_short_at_any_length_is_refused() {
    let site = Site::new();
    site.written(&[11, 3], false);
    let whole = std::fs::read(site.segment(2)).unwrap();
    for length in (0..HEADER).step_by(61).chain(HEADER..whole.len()) {
        std::fs::write(site.segment(2), &whole[..length]).unwrap();
        let why = site.misplaced();
        let expected = match length {
            0 => "it is empty",
            length if length < HEADER => "it does not begin like a segment",
            _ => "its size is not what it was made with",
        };
        assert_eq!(why, expected, "length {length}");
    }
}

/// Flips each byte of the last segment in turn and compares.
fn flip_each(site: &Site, expected: impl Fn(usize) -> Outcome) {
    let whole = std::fs::read(site.segment(2)).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(site.segment(2), &bytes).unwrap();
        match (site.outcome(), expected(at)) {
            // Which words depends on the field; that there are some is the claim.
            (Outcome::Misplaced(_), Outcome::Misplaced(_)) => {}
            (found, expected) => assert_eq!(found, expected, "byte {at} flipped"),
        }
    }
}

/// Whether a byte of the first page belongs to a mark.
fn is_of_mark(at: usize) -> bool {
    (1024..1056).contains(&at) || (2048..2080).contains(&at)
}

#[test]
fn every_flipped_byte_of_a_settled_segment_is_damage() {
    let site = Site::new();
    site.written(&[11, 3], true);
    flip_each(&site, |at| match at {
        at if is_of_mark(at) => Outcome::Ends { records: 14, torn: false },
        0..HEADER => Outcome::Misplaced(String::new()),
        at if at < HEADER + 6 * RECORD_BYTES => Outcome::Damaged(9 + ((at - HEADER) / RECORD_BYTES) as u64),
        _ => Outcome::Ends { records: 14, torn: true },
    });
}

#[test]
fn every_flipped_byte_of_the_group_under_way_is_a_write_cut_off_and_before_it_damage() {
    let site = Site::new();
    site.written(&[11, 3], false);
    flip_each(&site, |at| match at {
        at if is_of_mark(at) => Outcome::Ends { records: 14, torn: false },
        0..HEADER => Outcome::Misplaced(String::new()),
        at if at < HEADER + 3 * RECORD_BYTES => Outcome::Damaged(9 + ((at - HEADER) / RECORD_BYTES) as u64),
        at if at < HEADER + 6 * RECORD_BYTES => {
            Outcome::Ends { records: 8 + ((at - HEADER) / RECORD_BYTES) as u64, torn: true }
        }
        _ => Outcome::Ends { records: 14, torn: true },
    });
}

#[test]
fn damage_to_a_group_that_another_followed_is_damage_even_when_the_newest_mark_was_lost() {
    let site = Site::new();
    site.written(&[9, 2, 2], false);
    let whole = std::fs::read(site.segment(2)).unwrap();
    // The group of 12 and 13 reached the disk, its mark did not: the older one says that 10 and 11 were under way.
    let newer = if whole[1024..1032] > whole[2048..2056] { 1024 } else { 2048 };
    let mut bytes = whole.clone();
    bytes[newer..newer + 32].fill(0);
    std::fs::write(site.segment(2), &bytes).unwrap();
    assert_eq!(site.outcome(), Outcome::Ends { records: 13, torn: false });
    bytes[HEADER + RECORD_BYTES + 100] ^= 1;
    std::fs::write(site.segment(2), &bytes).unwrap();
    assert_eq!(site.outcome(), Outcome::Damaged(10));
}

#[test]
fn damage_in_an_earlier_segment_is_told_with_the_records_number() {
    let site = Site::new();
    site.written(&[20], false);
    let whole = std::fs::read(site.segment(1)).unwrap();
    for number in 1..=ROOM {
        let mut bytes = whole.clone();
        bytes[HEADER + (number - 1) * RECORD_BYTES + 70] ^= 1;
        std::fs::write(site.segment(1), &bytes).unwrap();
        assert_eq!(site.outcome(), Outcome::Damaged(number as u64));
    }
    // Not even its end may be missing, although that looks like a segment with room.
    let mut bytes = whole.clone();
    bytes[HEADER + 7 * RECORD_BYTES..].fill(0);
    std::fs::write(site.segment(1), &bytes).unwrap();
    assert_eq!(site.outcome(), Outcome::Damaged(8));
}

#[test]
fn segments_out_of_place_are_refused_each_with_its_own_words() {
    let site = Site::new();
    site.written(&[20], true);
    let of = |number| std::fs::read(site.segment(number)).unwrap();
    let (first, second, third) = (of(1), of(2), of(3));
    let put = |number, bytes: &[u8]| std::fs::write(site.segment(number), bytes).unwrap();
    // Missing.
    std::fs::remove_file(site.segment(2)).unwrap();
    assert_eq!(site.misplaced(), "it is not there, but segment 3 is");
    std::fs::remove_file(site.segment(1)).unwrap();
    assert_eq!(site.misplaced(), "it is not there, but segment 3 is");
    // Swapped.
    put(1, &second);
    put(2, &first);
    assert_eq!(site.misplaced(), "it is segment 2 by its header");
    // Duplicated.
    put(1, &first);
    put(2, &second);
    put(4, &third);
    assert_eq!(site.misplaced(), "it is segment 3 by its header");
    std::fs::remove_file(site.segment(4)).unwrap();
    assert_eq!(site.outcome(), Outcome::Ends { records: 20, torn: false });
    // Stale: of the same partition and place, but of another day.
    let other = Site::new();
    let mut rig = other.rig_of(Box::new(SystemDisk::plain()), 2);
    rig.append_and_sync(20);
    put(2, &std::fs::read(other.segment(2)).unwrap());
    assert!(site.misplaced().starts_with("it does not go on where the segment before it ends"));
    // Another partition's.
    put(2, &second);
    let refused = Segments::take(&site.segments(), GROUP + 1, |_| {}).unwrap_err();
    assert!(
        matches!(refused, JournalFault::Foreign { expected, found: GROUP, .. } if expected == GROUP + 1),
        "{refused}"
    );
}

#[test]
fn the_same_directory_is_never_written_twice_at_once() {
    let site = Site::new();
    let rig = site.rig(Box::new(SystemDisk::plain()));
    assert!(matches!(site.take(), Err(JournalFault::Busy { .. })));
    drop(rig);
    assert!(site.take().is_ok());
}

#[test]
fn a_journal_goes_on_in_a_fresh_log_and_what_was_prepared_is_made_anew() {
    let site = Site::new();
    site.written(&[11], false);
    std::fs::write(site.segment(3).with_extension("new"), b"half made").unwrap();
    // The log goes with the power: `rig` removes it.
    for round in 1..=3 {
        let mut rig = site.rig(Box::new(SystemDisk::plain()));
        assert_eq!(rig.log.number_next(), 1 + 11 * round);
        rig.append_and_sync(11);
    }
    assert_eq!(site.outcome(), Outcome::Ends { records: 44, torn: false });
}

#[test]
fn a_failed_sync_is_final_closes_the_intake_and_is_never_retried() {
    for (mood, words) in [(Mood::Fails(libc::EIO), "os error 5"), (Mood::Short, "bytes were written")] {
        let site = Site::new();
        let disk = MoodyDisk::default();
        let mut rig = site.rig(Box::new(disk.clone()));
        rig.append_and_sync(3);
        disk.turn(mood);
        rig.append(2);
        rig.persister.work();
        assert_eq!((rig.synced.value(), rig.counter("persister.failed")), (3, 1));
        assert!(rig.closed.is_requested() && rig.stop.is_requested());
        // The disk is well again; that proves nothing about what it lost.
        disk.turn(Mood::Well);
        let writes = disk.writes();
        rig.append(1);
        (0..10).for_each(|_| assert_eq!(rig.persister.work(), 0));
        rig.persister.stop();
        assert_eq!((rig.synced.value(), disk.writes()), (3, writes));
        let fault = rig.failure.take().unwrap().to_string();
        assert!(fault.contains(words) && fault.contains("it is not tried again"), "{fault}");
    }
}

#[test]
fn a_disk_without_room_for_the_next_segment_alarms_first_and_later_holds_back() {
    let site = Site::new();
    let disk = MoodyDisk::default();
    let mut rig = site.rig(Box::new(disk.clone()));
    disk.turn(Mood::Full);
    rig.append_and_sync(3);
    rig.persister.work();
    assert_eq!((rig.counter("persister.disk_full"), rig.counter("persister.held_back")), (1, 0));
    // A segment ahead of the need, so that orders still flow.
    rig.append_and_sync(5);
    rig.append(4);
    (0..5).for_each(|_| assert_eq!(rig.persister.work(), 0));
    assert_eq!((rig.synced.value(), rig.closed.is_requested()), (8, false));
    assert!(rig.counter("persister.held_back") > 0);
    assert!(!site.segment(2).with_extension("new").exists(), "what was not made leaves nothing behind");
    // Somebody makes room.
    disk.turn(Mood::Well);
    std::thread::sleep(std::time::Duration::from_millis(250));
    rig.append_and_sync(0);
    assert_eq!((rig.synced.value(), rig.counter("persister.disk_full")), (12, 0));
    drop(rig);
    assert_eq!(site.outcome(), Outcome::Ends { records: 12, torn: false });
}

/// A sync that failed leaves its pages in memory, as clean as any: who reads them finds them sound, and no later sync
/// would write them.
#[test]
fn what_a_failed_sync_left_in_memory_is_written_again_before_it_counts() {
    let (site, disk) = (Site::new(), MoodyDisk::default());
    let mut rig = site.rig(Box::new(disk.clone()));
    rig.append_and_sync(3);
    disk.turn(Mood::FailsLate(libc::EIO));
    rig.append(2);
    while !rig.failure.happened() {
        rig.persister.work();
    }
    assert_eq!(rig.synced.value(), 3);
    drop(rig);
    disk.turn(Mood::Well);
    disk.synced();
    let segments = Segments::take(&site.segments(), GROUP, |_| {}).unwrap();
    let end = segments.end().unwrap();
    assert_eq!(end.number, 6, "the system's memory has them");
    SegmentWriter::new(segments, SEGMENT_BYTES, end, &mut disk.clone()).unwrap();
    let at = |number: u64| RECORDS_START as u64 + (number - 1) * RECORD_BYTES as u64;
    assert_eq!(disk.synced(), [(at(6), SEGMENT_BYTES as u64), (at(4), at(6))]);
}

/// A start cut a torn end off, and the sync of the zeros failed: the next start finds zeros in the system's memory, and the
/// disk still has the torn records. They must not come back behind what is written then.
#[test]
fn what_a_failed_cut_left_behind_the_end_is_written_over_by_the_next_start() {
    let (site, disk) = (Site::new(), MoodyDisk::default());
    let mut rig = site.rig(Box::new(disk.clone()));
    rig.append_and_sync(3);
    drop(rig);
    disk.synced();
    let segments = Segments::take(&site.segments(), GROUP, |_| {}).unwrap();
    let end = segments.end().unwrap();
    SegmentWriter::new(segments, SEGMENT_BYTES, end, &mut disk.clone()).unwrap();
    // As far as a group can have been torn: here the segment ends before.
    let behind = RECORDS_START + 3 * RECORD_BYTES;
    assert!(disk.synced().contains(&(behind as u64, SEGMENT_BYTES as u64)));
}
