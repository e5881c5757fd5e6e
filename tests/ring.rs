//! The log as a ring: records are let go when they are in segments, their room is used again, and whatever a killed
//! process, a flipped byte or a late reader meets around the ring's end has its defined outcome.

use pitlane::journal::segments::segment_path;
use pitlane::journal::{
    Failure, History, JournalFault, LogFull, LogOptions, LogReader, LogWriter, Persister, PersisterCounters,
    PersisterLinks, RECORD_BYTES, Release, SegmentOptions, SegmentWriter, Segments, SystemDisk, TailState, recover,
    verify,
};
use pitlane::os::clock::SteadyClock;
use pitlane::os::pages;
use pitlane::runtime::agent::Agent;
use pitlane::runtime::counters::Counters;
use pitlane::runtime::link::{MarkReader, mark};
use pitlane::runtime::runner::StopFlag;
use pitlane::types::{Command, CommandKind, Nanos, Number, Price, Quantity, Sequenced, SessionId, UserRef};
use pitlane::wire::log_mark::{LOG_MARK_BYTES, LogMark, LogMarks};
use pitlane::wire::record::{Link, NUMBER_MAX};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zerocopy::IntoBytes;

const GROUP: u64 = 0xC0FFEE;
const HEADER: usize = 4096;
/// Slots of the ring here, and bytes behind them that are too few for another.
const SLOTS: u64 = 5;
const SLACK: usize = 70;
const LOG_BYTES: usize = HEADER + SLOTS as usize * RECORD_BYTES + SLACK;

fn record(number: u64) -> Sequenced {
    let mut record = Sequenced { number: Number(number), time: Nanos(1_000 + number * 7), ..Sequenced::default() };
    record.command = Command::new(CommandKind::Enter);
    record.command.session = SessionId(number as u16 % 5);
    record.command.user_ref = UserRef(number as u32);
    record.command.quantity = Quantity(100 + number as u32);
    record.command.price = Price(1_000_000 + number as u32);
    record.command.value = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    record
}

/// Where a record stands in the ring.
fn at_of(number: u64) -> Range<usize> {
    let start = HEADER + ((number - 1) % SLOTS) as usize * RECORD_BYTES;
    start..start + RECORD_BYTES
}

struct Site {
    directory: TempDir,
}

/// What a start on some log comes to: which record is the oldest, which the last, and whether a torn tail had a length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Ends { first: u64, last: u64, torn: Option<bool> },
    Damaged(u64),
    NotALog,
}

const fn clean(first: u64, last: u64) -> Outcome {
    Outcome::Ends { first, last, torn: None }
}

const fn torn(first: u64, last: u64, published: bool) -> Outcome {
    Outcome::Ends { first, last, torn: Some(published) }
}

impl Site {
    fn new() -> Site {
        // In memory where there is a tmpfs: recovery syncs what it quarantines, thousands of times here.
        Site { directory: tempfile::tempdir_in(pages::memory_backed(32 << 20)).unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn options(&self) -> LogOptions {
        LogOptions { path: self.path(), bytes: LOG_BYTES, lock: false }
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    /// A new log, in the place of any other.
    fn log(&self) -> Ring {
        let _ = std::fs::remove_file(self.path());
        let mut log = LogWriter::create(self.options(), GROUP, 1).unwrap();
        Ring { release: log.release(), links: vec![log.link()], log }
    }

    /// A closed log that had `last` records of which those before `first` were let go, one by one as room ran out.
    fn written(&self, first: u64, last: u64) -> Vec<u8> {
        let mut ring = self.log();
        for number in 1..=last {
            ring.let_go(number.saturating_sub(SLOTS - 1).min(first));
            ring.append();
        }
        ring.let_go(first);
        drop(ring);
        let bytes = self.bytes();
        std::fs::remove_file(self.path()).unwrap();
        bytes
    }

    /// Puts `bytes` in the log's place and starts on them.
    fn start_on(&self, bytes: &[u8]) -> Outcome {
        std::fs::write(self.path(), bytes).unwrap();
        let outcome = match recover(&self.options(), GROUP) {
            Ok((mut reader, tail)) => {
                let first = tail.first_link().number;
                let records: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
                let last = first + records.len() as u64 - 1;
                assert_eq!((records, tail.last_number()), ((first..=last).map(record).collect::<Vec<_>>(), last));
                let torn = match tail.state() {
                    TailState::Clean => None,
                    TailState::Torn(torn) => {
                        let kept = torn.quarantine.as_ref().expect("recovery keeps a copy");
                        assert_eq!(std::fs::read(kept).unwrap().len(), torn.bytes);
                        std::fs::remove_file(kept).unwrap();
                        Some(torn.published)
                    }
                };
                drop(reader);
                self.go_on(LogWriter::resume(self.options(), tail).unwrap(), first, last);
                return Outcome::Ends { first, last, torn };
            }
            Err(JournalFault::Damaged { number, at }) => {
                assert_eq!(at, at_of(number).start);
                Outcome::Damaged(number)
            }
            Err(JournalFault::NotALog { .. }) => Outcome::NotALog,
            Err(other) => panic!("{other}"),
        };
        assert!(self.bytes() == bytes, "a log that is refused stays as it is");
        outcome
    }

    /// A log that was recovered takes records to the last free slot, lets all of them go, and goes round again.
    fn go_on(&self, mut log: LogWriter, first: u64, last: u64) {
        let mut release = log.release();
        assert_eq!((log.records(), log.number_next()), (last + 1 - first, last + 1));
        let mut reader = log.reader();
        for _ in 0..3 {
            while log.append(&record(log.number_next())).is_ok() {}
            assert_eq!((log.records(), log.free_records()), (SLOTS, 0));
            while reader.next().unwrap().is_some() {}
            release.release(reader.link());
            assert_eq!(log.free_records(), SLOTS as usize);
        }
        let last = log.number_next() - 1;
        drop((log, release, reader));
        assert_eq!(verify(&self.path()).unwrap(), (last, TailState::Clean));
        assert!(self.bytes()[HEADER..].iter().all(|byte| *byte == 0), "what was let go is zeros");
    }
}

/// A log whose records the test lets go.
struct Ring {
    log: LogWriter,
    release: Release,
    /// What each record had to carry, from the first on, and the next must.
    links: Vec<Link>,
}

impl Ring {
    fn append(&mut self) {
        self.log.append(&record(self.log.number_next())).unwrap();
        self.links.push(self.log.link());
    }

    /// All before `first` go.
    fn let_go(&mut self, first: u64) {
        if first > 0 {
            self.release.release(self.links[first as usize - 1]);
        }
    }
}

#[test]
fn a_full_ring_refuses_until_records_are_let_go_and_then_uses_their_room() {
    let site = Site::new();
    let mut ring = site.log();
    (0..SLOTS).for_each(|_| ring.append());
    assert_eq!((ring.log.has_room(), ring.log.append(&record(6))), (false, Err(LogFull)));
    ring.let_go(3);
    assert_eq!((ring.log.has_room(), ring.log.free_records(), ring.log.records()), (true, 2, 3));
    ring.append();
    ring.append();
    assert_eq!((ring.log.has_room(), ring.log.append(&record(8))), (false, Err(LogFull)));
    let mut reader = LogReader::open(&site.path()).unwrap();
    let found: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(found, (3..=7).map(record).collect::<Vec<_>>());
    drop(ring);
    assert_eq!(verify(&site.path()).unwrap(), (7, TailState::Clean));
}

#[test]
fn a_log_that_is_all_let_go_still_knows_which_record_is_next() {
    let site = Site::new();
    for last in 1..=2 * SLOTS {
        let bytes = site.written(last + 1, last);
        assert!(bytes[HEADER..].iter().all(|byte| *byte == 0));
        assert_eq!(site.start_on(&bytes), clean(last + 1, last));
    }
}

/// The stores of an append, in their order, wherever in the ring it happens.
#[test]
fn a_writer_killed_at_any_byte_of_an_append_leaves_a_ring_that_goes_on() {
    let site = Site::new();
    for last in SLOTS - 1..=2 * SLOTS + 1 {
        for first in [last - 2, last] {
            let full = site.written(first, last);
            let slot = at_of(last);
            let mut bytes = full.clone();
            bytes[slot.clone()].fill(0);
            for at in (slot.start + 64..slot.end).chain(slot.start + 4..slot.start + 64) {
                let is_used = bytes[slot.clone()].iter().any(|byte| *byte != 0);
                let expected = if is_used { torn(first, last - 1, false) } else { clean(first, last - 1) };
                if at % 3 == 0 {
                    assert_eq!(site.start_on(&bytes), expected, "record {last}, died before byte {at}");
                }
                bytes[at] = full[at];
            }
            assert_eq!(site.start_on(&full), clean(first, last));
        }
    }
}

/// The stores of letting records go, in their order: a mark, zeros with each length first, a mark.
fn stores_of_a_release(before: &[u8], cleared: u64, first: Link) -> Vec<(usize, u8)> {
    let mark = |generation, cleared| {
        let mark = LogMark::new(generation, first, cleared);
        let at = mark.at();
        mark.as_bytes().to_vec().into_iter().enumerate().map(move |(index, byte)| (at + index, byte))
    };
    let generation = LogMarks::parse(before).unwrap().newest.generation.get();
    let zeros = (cleared..first.number).flat_map(at_of).map(|at| (at, 0));
    mark(generation + 1, cleared).chain(zeros).chain(mark(generation + 2, first.number)).collect()
}

#[test]
fn a_process_killed_at_any_byte_of_letting_records_go_loses_none_that_counts() {
    let site = Site::new();
    for (first, last, to) in [(1, 5, 4), (1, 5, 6), (3, 7, 6), (4, 6, 7), (5, 9, 8), (8, 11, 12)] {
        let before = site.written(first, last);
        let mut ring = site.log();
        (1..=last).for_each(|number| {
            ring.let_go(number.saturating_sub(SLOTS - 1).min(first));
            ring.append();
        });
        ring.let_go(first);
        ring.let_go(to);
        let link = ring.links[to as usize - 1];
        drop(ring);
        let after = site.bytes();
        let mut bytes = before.clone();
        for (done, (at, byte)) in stores_of_a_release(&before, first, link).into_iter().enumerate() {
            if bytes[at] != byte || done % 16 == 0 {
                bytes[at] = byte;
                // The mark counts when it is whole.
                let oldest = LogMarks::parse(&bytes).unwrap().newest.first_number.get();
                assert_eq!(site.start_on(&bytes), clean(oldest, last), "{first} to {to}, store {done}");
                assert!(oldest == to || done < LOG_MARK_BYTES, "from the first mark on the new one is the oldest");
            }
        }
        assert!(bytes == after, "these were the stores");
    }
}

/// Flips each byte in turn and compares.
fn flip_each(site: &Site, good: &[u8], expected: impl Fn(usize) -> Outcome) {
    for at in (0..128).chain(1000..1080).chain(2040..2100).chain(HEADER - 64..good.len()) {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x41;
        assert_eq!(site.start_on(&bytes), expected(at), "byte {at} flipped");
    }
}

fn is_of_mark(at: usize) -> bool {
    [1024, 2048].into_iter().any(|mark| (mark..mark + LOG_MARK_BYTES).contains(&at))
}

#[test]
fn every_flipped_byte_of_a_ring_has_its_defined_outcome_wherever_it_wraps() {
    let site = Site::new();
    for (first, last) in [(1, 4), (2, 6), (3, 7), (4, 6), (5, 8), (6, 5), (9, 12), (11, 10)] {
        let good = site.written(first, last);
        flip_each(&site, &good, |at| match at {
            at if is_of_mark(at) => clean(first, last),
            0..HEADER => Outcome::NotALog,
            at => match (first..=last).find(|number| at_of(*number).contains(&at)) {
                Some(number) if number < last => Outcome::Damaged(number),
                Some(_) => torn(first, last - 1, true),
                None => torn(first, last, (at_of(last + 1).start..at_of(last + 1).start + 4).contains(&at)),
            },
        });
    }
}

/// Marks with a checksum that is right and numbers from which nobody could count on: they are damaged marks.
#[test]
fn marks_that_name_the_end_of_all_numbers_count_for_nothing_whatever_their_checksum() {
    let site = Site::new();
    let whole = site.written(3, 7);
    let newest = LogMarks::parse(&whole).unwrap().newest;
    for number in [u64::MAX, u64::MAX - 3, NUMBER_MAX + 1] {
        let far = Link { number, chain: 1 };
        for cleared in [1, number] {
            let forged = |bytes: &mut Vec<u8>, generation| {
                let mark = LogMark::new(generation, far, cleared);
                bytes[mark.at()..mark.at() + LOG_MARK_BYTES].copy_from_slice(mark.as_bytes());
            };
            // The newer one: the one before it counts, which says the same of a log that is settled.
            let mut bytes = whole.clone();
            forged(&mut bytes, newest.generation.get() + 2);
            assert_eq!(site.start_on(&bytes), clean(3, 7), "{number}");
            // Both.
            forged(&mut bytes, newest.generation.get() + 3);
            assert_eq!(site.start_on(&bytes), Outcome::NotALog, "{number}");
        }
    }
}

#[test]
fn leftovers_of_records_let_go_are_tolerated_only_where_both_marks_allow_them() {
    let site = Site::new();
    let (first, last, to) = (3, 7, 6);
    let before = site.written(first, last);
    let mut ring = site.log();
    (1..=last).for_each(|number| {
        ring.let_go(number.saturating_sub(SLOTS - 1).min(first));
        ring.append();
    });
    let link = ring.links[to as usize - 1];
    drop(ring);
    let stores = stores_of_a_release(&before, first, link);
    let marked = |done: usize| {
        let mut bytes = before.clone();
        stores[..done].iter().for_each(|(at, byte)| bytes[*at] = *byte);
        bytes
    };
    // Marked, and nothing cleared yet; then one record and a part of the second.
    for (cleared, done) in [(3, LOG_MARK_BYTES), (4, LOG_MARK_BYTES + RECORD_BYTES + 100)] {
        let bytes = marked(done);
        let newest = LogMarks::parse(&bytes).unwrap().newest.at();
        flip_each(&site, &bytes, |at| match at {
            // Without the newer mark the older one counts: what it calls the oldest must be there.
            at if (newest..newest + LOG_MARK_BYTES).contains(&at) && cleared == first => clean(first, last),
            at if (newest..newest + LOG_MARK_BYTES).contains(&at) => Outcome::Damaged(first),
            // Without the older one nobody knows whether the slots had been given away: a record there is out of place.
            at if is_of_mark(at) => Outcome::Damaged(last + 1),
            0..HEADER => Outcome::NotALog,
            at => match (first..=last).find(|number| at_of(*number).contains(&at)) {
                Some(number) if number < to => clean(to, last),
                Some(number) if number < last => Outcome::Damaged(number),
                Some(_) => torn(to, last - 1, true),
                None => torn(to, last, false),
            },
        });
    }
}

#[test]
fn records_of_a_lap_before_or_after_are_damage() {
    let site = Site::new();
    let earlier = site.written(1, 5);
    let good = site.written(4, 7);
    let put = |from: &[u8], number: u64, into: u64| {
        let mut bytes = good.clone();
        bytes[at_of(into)].copy_from_slice(&from[at_of(number)]);
        site.start_on(&bytes)
    };
    // Record 1 and 2 have the slots of 6 and 7, record 3 the free one.
    assert_eq!(put(&earlier, 1, 6), Outcome::Damaged(6));
    assert_eq!(put(&earlier, 2, 7), Outcome::Damaged(7));
    assert_eq!(put(&earlier, 3, 8), Outcome::Damaged(8));
    assert_eq!(put(&site.written(10, 9), 8, 8), clean(4, 7), "a cleared slot is a free one");
    assert_eq!(put(&site.written(8, 9), 9, 8), Outcome::Damaged(8));
    assert_eq!(put(&site.written(8, 9), 8, 8), clean(4, 8), "that is the record that follows");
}

/// A ring with its persister, turned by hand or by a thread.
struct Moved {
    log: LogWriter,
    persister: Persister,
    synced: MarkReader,
}

impl Site {
    fn segments(&self) -> PathBuf {
        self.directory.path().join("segments")
    }

    fn moved(&self, mut log: LogWriter) -> Moved {
        let mut disk = SystemDisk::plain();
        let segments = Segments::take(&self.segments(), GROUP, |_| {}).unwrap();
        let first = segments.end().unwrap_or_else(|| log.reader().link());
        let segments = SegmentWriter::new(segments, SegmentOptions::bytes_for(8), first, &mut disk).unwrap();
        let (mut mark, synced) = mark();
        mark.set(segments.next().number - 1);
        let (closed, stop, failure) = (StopFlag::new(), StopFlag::new(), Failure::default());
        let reader = log.reader_from(segments.next());
        let links = PersisterLinks { synced: mark, room: log.release(), closed, stop, failure };
        let counters = PersisterCounters::new(&mut Counters::anonymous(16).unwrap());
        let clock = Box::new(SteadyClock);
        Moved { persister: Persister::new(reader, segments, Box::new(disk), links, counters, clock), log, synced }
    }

    fn create(&self) -> LogWriter {
        LogWriter::create(self.options(), GROUP, 1).unwrap()
    }
}

fn all(mut history: History) -> Vec<Sequenced> {
    std::iter::from_fn(|| history.next_view().unwrap().map(|view| view.record)).collect()
}

#[test]
fn many_laps_of_a_small_ring_reach_the_segments_and_survive_restarts_at_every_point() {
    const LAST: u64 = 60;
    for turns_between in [1, 3, 4, 7] {
        let site = Site::new();
        let mut moved = site.moved(site.create());
        let mut appended = 0;
        while appended < LAST {
            while appended < LAST && appended % turns_between != turns_between - 1 && moved.log.has_room() {
                appended += 1;
                moved.log.append(&record(appended)).unwrap();
            }
            if appended < LAST && moved.log.has_room() {
                appended += 1;
                moved.log.append(&record(appended)).unwrap();
            }
            let synced = moved.synced.value();
            (0..20).find(|_| {
                moved.persister.work();
                moved.synced.value() > synced
            });
            assert!(moved.synced.value() > synced, "what the disk has makes room");
            // Segments and what the log still has are the whole journal, at every moment.
            let history = History::open(&site.path(), Some(&site.segments())).unwrap();
            assert_eq!(all(history), (1..=appended).map(record).collect::<Vec<_>>());
            if appended.is_multiple_of(5) {
                drop(moved);
                let (_, tail) = recover(&site.options(), GROUP).unwrap();
                assert_eq!((tail.last_number(), tail.state()), (appended, &TailState::Clean));
                moved = site.moved(LogWriter::resume(site.options(), tail).unwrap());
            }
        }
        moved.persister.stop();
        assert_eq!((moved.synced.value(), moved.log.records()), (LAST, 0));
        drop(moved);
        let mut records = Vec::new();
        drop(Segments::take(&site.segments(), GROUP, |record| records.push(*record)).unwrap());
        assert_eq!(records, (1..=LAST).map(record).collect::<Vec<_>>());
    }
}

#[test]
fn a_reader_that_the_ring_has_overtaken_is_told_so_and_never_misled() {
    let site = Site::new();
    let mut ring = site.log();
    (0..4).for_each(|_| ring.append());
    let mut late = LogReader::open(&site.path()).unwrap();
    assert_eq!(late.next().unwrap(), Some(record(1)));
    let mut early = LogReader::open(&site.path()).unwrap();
    ring.let_go(3);
    let gone = |reader: &mut LogReader| match reader.next() {
        Err(JournalFault::Gone { number, first }) => (number, first),
        other => panic!("{other:?}"),
    };
    assert_eq!((gone(&mut late), gone(&mut early)), ((2, 3), (1, 3)), "cleared");
    (0..3).for_each(|_| ring.append());
    assert_eq!((gone(&mut late), gone(&mut early)), ((2, 3), (1, 3)), "and written again");
    ring.let_go(8);
    assert_eq!(gone(&mut late), (2, 8), "all gone");
    // One that stands at the end only waits, whatever stands in the slot from the lap before.
    let mut waiting = LogReader::open(&site.path()).unwrap();
    assert_eq!((waiting.number_next(), waiting.next().unwrap()), (8, None));
    (8..=12).for_each(|_| ring.append());
    (8..=12).for_each(|number| assert_eq!(waiting.next().unwrap(), Some(record(number))));
    assert_eq!(waiting.next().unwrap(), None, "record 8 stands where 13 will");
}

#[test]
fn a_living_journal_is_read_whole_while_its_small_ring_goes_round() {
    const LAST: u64 = 3_000;
    let site = Site::new();
    let mut moved = site.moved(site.create());
    let (path, segments) = (site.path(), site.segments());
    let read = std::thread::spawn(move || {
        let mut history = History::open(&path, Some(&segments)).unwrap();
        for number in 1..=LAST {
            let found = loop {
                match history.next_view().unwrap() {
                    Some(view) => break view.record,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(found, record(number));
        }
    });
    for number in 1..=LAST {
        while !moved.log.has_room() {
            moved.persister.work();
        }
        moved.log.append(&record(number)).unwrap();
        if number % 7 == 0 {
            moved.persister.work();
        }
    }
    read.join().unwrap();
}

#[test]
fn what_is_in_neither_log_nor_segments_is_told_and_not_passed_over() {
    let site = Site::new();
    let mut moved = site.moved(site.create());
    for number in 1..=20 {
        while !moved.log.has_room() {
            moved.persister.work();
        }
        moved.log.append(&record(number)).unwrap();
    }
    moved.persister.stop();
    drop(moved);
    let read = || {
        let mut history = History::open(&site.path(), Some(&site.segments()))?;
        while history.next_view()?.is_some() {}
        Ok(())
    };
    assert!(matches!(read(), Ok(())));
    // The last segment lost its end, which the log has let go.
    let last = segment_path(&site.segments(), 3);
    let whole = std::fs::read(&last).unwrap();
    let mut bytes = whole.clone();
    bytes[HEADER + 2 * RECORD_BYTES + 80] ^= 1;
    std::fs::write(&last, &bytes).unwrap();
    assert!(matches!(read(), Err(JournalFault::DamagedSegment { number: 19, .. })), "{:?}", read());
    bytes = whole.clone();
    bytes[HEADER + 2 * RECORD_BYTES..].fill(0);
    bytes[1024..1024 + 32].fill(0);
    bytes[2048..2048 + 32].fill(0);
    bytes[1024..1024 + 32].copy_from_slice(pitlane::wire::segment::SegmentMark::new(0, HEADER, HEADER).as_bytes());
    std::fs::write(&last, &bytes).unwrap();
    match read() {
        Err(JournalFault::Apart { why, .. }) => assert!(why.contains("records 19 to 20 are in neither"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// A directory on hugetlbfs with room for so many pages, and their size; `None`, with a line, where there is none.
fn huge_directory(pages: u64) -> Option<(TempDir, usize)> {
    let mounted = std::fs::read_to_string("/proc/mounts").unwrap();
    let points = mounted.lines().filter(|line| line.split(' ').nth(2) == Some("hugetlbfs"));
    let points = points.filter_map(|line| Some(PathBuf::from(line.split(' ').nth(1)?)));
    for point in points {
        let Some(room) = pitlane::os::pages::room(&point).ok().filter(|room| room.kind == "hugetlbfs") else {
            continue;
        };
        let pool = pitlane::os::pages::huge_pages(Path::new(pitlane::os::pages::SYSFS_HUGE_PAGES));
        let fits = pool.iter().find(|pool| pool.free >= pages && room.total_bytes.is_multiple_of(pool.page_bytes));
        if let Some((directory, pool)) = tempfile::tempdir_in(&point).ok().zip(fits) {
            return Some((directory, pool.page_bytes as usize));
        }
    }
    eprintln!("not checked: no hugetlbfs with {pages} free pages is mounted where this user may write");
    None
}

#[test]
fn a_log_on_huge_pages_has_whole_ones_goes_round_and_is_recovered() {
    let Some((directory, page_bytes)) = huge_directory(2) else { return };
    let options = LogOptions { path: directory.path().join("log"), bytes: LogOptions::bytes_for(10), lock: false };
    let mut log = LogWriter::create(options.clone(), GROUP, 1).unwrap();
    assert_eq!(std::fs::metadata(&options.path).unwrap().len(), page_bytes as u64);
    let slots = log.capacity_records() as u64;
    assert_eq!(slots as usize, (page_bytes - HEADER) / RECORD_BYTES, "all of the page is used");
    let (mut release, mut reader) = (log.release(), log.reader());
    for number in 1..=2 * slots + 3 {
        log.append(&record(number)).unwrap();
        assert_eq!(reader.next().unwrap(), Some(record(number)));
        if number.is_multiple_of(slots / 2) {
            release.release(reader.link());
        }
    }
    drop((log, release, reader));
    let (mut reader, tail) = recover(&options, GROUP).unwrap();
    assert_eq!((tail.last_number(), tail.state()), (2 * slots + 3, &TailState::Clean));
    assert_eq!(reader.next().unwrap(), Some(record(tail.first_link().number)));
}
