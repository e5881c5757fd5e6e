//! The journal against what happens to it: killed writers, cut files, flipped bytes, strangers, noise.

use pitlane::journal::{Blank, JournalFault, LogFull, LogOptions, LogReader, LogWriter, RECORD_BYTES, Tail, TailState};
use pitlane::journal::{recover, verify};
use pitlane::os::pages;
use pitlane::types::{
    Command, CommandKind, Nanos, Number, Price, Quantity, Reject, Sequenced, SessionId, Slot, UserRef,
};
use pitlane::wire::record::{Link, Record};
use proptest::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zerocopy::IntoBytes;

const GROUP: u64 = 0xC0FFEE;
const BOOT: u64 = 77;
const HEADER: usize = 4096;

/// Records with many fields in use, made from their number.
fn record(number: u64) -> Sequenced {
    let mut record = Sequenced { number: Number(number), time: Nanos(1_000 + number * 7), ..Sequenced::default() };
    record.command = Command::new(if number.is_multiple_of(3) { CommandKind::Cancel } else { CommandKind::Enter });
    record.command.session = SessionId(number as u16 % 5);
    record.command.user_ref = UserRef(number as u32);
    record.command.quantity = Quantity(100 + number as u32);
    record.command.price = Price(1_000_000 + number as u32);
    record.command.value = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    record.verdict.slot = Slot(number as u32);
    record.verdict.reject = if number.is_multiple_of(4) { Reject::Halted } else { Reject::None };
    record
}

/// A directory with one log in it.
struct Site {
    _directory: TempDir,
    path: PathBuf,
    room: usize,
}

/// What a start on some log comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// The log ends after `records`; `torn` says whether a length was stored in a torn tail.
    Ends {
        records: u64,
        torn: Option<bool>,
    },
    Damaged(u64),
    NotALog,
}

const fn clean(records: u64) -> Outcome {
    Outcome::Ends { records, torn: None }
}

const fn torn(records: u64, published: bool) -> Outcome {
    Outcome::Ends { records, torn: Some(published) }
}

impl Site {
    fn new(room: usize) -> Site {
        // In memory where there is a tmpfs: recovery syncs what it quarantines, thousands of times here.
        let directory = tempfile::tempdir_in(pages::memory_backed(32 << 20)).unwrap();
        let path = directory.path().join("log");
        Site { _directory: directory, path, room }
    }

    fn options(&self) -> LogOptions {
        LogOptions { path: self.path.clone(), bytes: LogOptions::bytes_for(self.room), lock: false }
    }

    fn writer(&self) -> LogWriter {
        LogWriter::create(self.options(), GROUP, BOOT).unwrap()
    }

    /// A closed log of `count` records, as bytes.
    fn written(&self, count: u64) -> Vec<u8> {
        let mut writer = self.writer();
        (1..=count).for_each(|number| writer.append(&record(number)).unwrap());
        drop(writer);
        std::fs::read(&self.path).unwrap()
    }

    /// Puts `bytes` in the log's place and starts on them.
    fn start_on(&self, bytes: &[u8]) -> Outcome {
        std::fs::write(&self.path, bytes).unwrap();
        let outcome = match recover(&self.options(), GROUP) {
            Ok((reader, tail)) => return self.go_on(reader, tail),
            Err(JournalFault::Damaged { number, at }) => {
                assert_eq!(at, at_of(number).start);
                Outcome::Damaged(number)
            }
            Err(JournalFault::NotALog { .. }) => Outcome::NotALog,
            Err(other) => panic!("{other}"),
        };
        assert!(std::fs::read(&self.path).unwrap() == bytes, "a log that is refused stays as it is");
        outcome
    }

    /// A log that was recovered holds what was written, takes records again, and then is as if nothing had happened.
    fn go_on(&self, mut reader: LogReader, tail: Tail) -> Outcome {
        let mut records = 0;
        while let Some(found) = reader.next().unwrap() {
            records += 1;
            assert_eq!(found, record(records));
        }
        assert_eq!((records, reader.tail()), (tail.last_number(), tail.at()));
        let torn = match tail.state() {
            TailState::Clean => None,
            TailState::Torn(torn) => {
                let quarantine = torn.quarantine.as_ref().expect("recovery keeps a copy");
                assert_eq!((std::fs::read(quarantine).unwrap().len(), torn.at), (torn.bytes, tail.at()));
                std::fs::remove_file(quarantine).unwrap();
                Some(torn.published)
            }
        };
        let mut writer = LogWriter::resume(self.options(), tail).unwrap();
        assert_eq!((writer.records(), writer.number_next()), (records, records + 1));
        writer.append(&record(records + 1)).unwrap();
        drop((writer, reader));
        assert_eq!(verify(&self.path).unwrap(), (records + 1, TailState::Clean));
        Outcome::Ends { records, torn }
    }
}

/// Bytes of the file where a record stands.
fn at_of(number: u64) -> Range<usize> {
    let start = HEADER + (number as usize - 1) * RECORD_BYTES;
    start..start + RECORD_BYTES
}

fn is_used(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte != 0)
}

fn all(path: &Path) -> Vec<Sequenced> {
    let mut reader = LogReader::open(path).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

#[test]
fn a_log_made_ahead_is_one_when_it_begins_and_leaves_nothing_when_it_is_given_up() {
    let site = Site::new(8);
    let files = || std::fs::read_dir(site.path.parent().unwrap()).unwrap().count();
    let blank = Blank::make(site.options()).unwrap();
    assert!(!site.path.exists() && files() == 1, "it has no name yet");
    assert!(matches!(Blank::make(site.options()), Err(JournalFault::Busy { .. })), "somebody makes it");
    drop(blank);
    assert_eq!(files(), 0);
    let link = Link { number: 41, chain: 7 };
    let mut writer = Blank::make(site.options()).unwrap().begin(GROUP, BOOT, Some(link)).unwrap();
    writer.append(&record(41)).unwrap();
    assert_eq!(files(), 1);
    drop(writer);
    assert_eq!(recover(&site.options(), GROUP).unwrap().1.last_number(), 41);
    // One that was made meanwhile keeps its name.
    std::fs::rename(&site.path, site.path.with_extension("aside")).unwrap();
    let blank = Blank::make(site.options()).unwrap();
    std::fs::rename(site.path.with_extension("aside"), &site.path).unwrap();
    assert!(matches!(blank.begin(GROUP, BOOT, None), Err(JournalFault::Io { .. })));
    assert_eq!((files(), recover(&site.options(), GROUP).unwrap().1.last_number()), (1, 41));
}

#[test]
fn what_was_appended_is_read_back_in_order() {
    let site = Site::new(1_000);
    site.written(1_000);
    assert_eq!(all(&site.path), (1..=1_000).map(record).collect::<Vec<_>>());
}

#[test]
fn inspection_sees_each_header_where_it_stands() {
    let site = Site::new(3);
    site.written(3);
    let mut reader = LogReader::open(&site.path).unwrap();
    assert_eq!((reader.header().group.get(), reader.header().boot.get()), (GROUP, BOOT));
    let view = reader.next_view().unwrap().unwrap();
    assert_eq!((view.at, view.header.number.get(), view.record), (HEADER, 1, record(1)));
    assert_eq!(view.header.origin.get(), 1 << 32 | 1);
    let next = reader.next_view().unwrap().unwrap();
    assert_eq!(next.header.chain.get(), view.header.link().chain);
}

#[test]
fn equal_records_make_equal_bytes() {
    assert!(Site::new(8).written(7) == Site::new(8).written(7));
}

#[test]
fn a_full_log_refuses_and_stays_as_it_is() {
    let site = Site::new(2);
    let mut writer = site.writer();
    assert_eq!((writer.free_records(), writer.capacity_records()), (2, 2));
    writer.append(&record(1)).unwrap();
    writer.append(&record(2)).unwrap();
    assert_eq!((writer.append(&record(3)), writer.free_records(), writer.records()), (Err(LogFull), 0, 2));
    drop(writer);
    assert_eq!(verify(&site.path).unwrap(), (2, TailState::Clean));
}

#[test]
fn a_log_without_room_for_a_record_is_not_made() {
    let site = Site::new(0);
    assert!(matches!(LogWriter::create(site.options(), GROUP, BOOT), Err(JournalFault::NotALog { .. })));
    assert!(!site.path.exists());
}

#[test]
#[should_panic(expected = "dense")]
fn a_number_left_out_is_a_bug() {
    let _ = Site::new(2).writer().append(&record(2));
}

#[test]
fn a_reader_follows_a_living_log() {
    const COUNT: u64 = 20_000;
    let site = Site::new(COUNT as usize);
    let mut writer = site.writer();
    let (mut follower, mut by_path) = (writer.reader(), LogReader::open(&site.path).unwrap());
    assert_eq!(by_path.next().unwrap(), None);
    let followed = std::thread::spawn(move || {
        for number in 1..=COUNT {
            let found = loop {
                match follower.next().unwrap() {
                    Some(found) => break found,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(found, record(number));
        }
    });
    (1..=COUNT).for_each(|number| writer.append(&record(number)).unwrap());
    followed.join().unwrap();
    assert_eq!(std::iter::from_fn(|| by_path.next().unwrap()).count() as u64, COUNT);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let site = Site::new(4);
    let start = || recover(&site.options(), GROUP);
    let is_busy = |started: Result<_, JournalFault>| matches!(started, Err(JournalFault::Busy { .. }));
    let writer = site.writer();
    assert!(is_busy(start()) && matches!(verify(&site.path), Err(JournalFault::Busy { .. })));
    drop(writer);
    let (reader, tail) = start().unwrap();
    assert!(is_busy(start()), "the tail holds the lock");
    let writer = LogWriter::resume(site.options(), tail).unwrap();
    drop(reader);
    assert!(is_busy(start()), "the writer holds the lock");
    drop(writer);
    assert!(start().is_ok());
}

#[test]
fn an_existing_log_is_never_made_anew() {
    let site = Site::new(4);
    let bytes = site.written(3);
    assert!(matches!(LogWriter::create(site.options(), GROUP, BOOT), Err(JournalFault::Io { .. })));
    assert!(std::fs::read(&site.path).unwrap() == bytes);
}

#[test]
fn a_log_half_made_by_a_killed_process_is_no_obstacle() {
    let site = Site::new(10);
    std::fs::write(site.path.with_extension("new"), [0; 5_000]).unwrap();
    drop(site.writer());
    assert!(!site.path.with_extension("new").exists());
    assert_eq!(verify(&site.path).unwrap(), (0, TailState::Clean));
}

#[test]
fn the_log_of_another_group_is_refused() {
    let site = Site::new(4);
    site.written(3);
    let fault = recover(&site.options(), GROUP + 1).unwrap_err();
    assert!(matches!(fault, JournalFault::Foreign { expected, found, .. } if (expected, found) == (GROUP + 1, GROUP)));
}

#[test]
fn records_of_another_log_are_not_taken_for_ours() {
    let (ours, theirs) = (Site::new(4), Site::new(4));
    let good = ours.written(1);
    let mut writer = LogWriter::create(theirs.options(), GROUP, BOOT + 1).unwrap();
    (1..=3).for_each(|number| writer.append(&record(number)).unwrap());
    drop(writer);
    let other = std::fs::read(&theirs.path).unwrap();
    let mut bytes = good.clone();
    bytes[at_of(2)].copy_from_slice(&other[at_of(2)]);
    assert_eq!(ours.start_on(&bytes), Outcome::Damaged(2));
    bytes[HEADER..].copy_from_slice(&other[HEADER..]);
    assert_eq!(ours.start_on(&bytes), Outcome::Damaged(1));
}

#[test]
fn records_moved_repeated_or_left_out_are_damage() {
    let site = Site::new(8);
    let good = site.written(5);
    let after = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        site.start_on(&bytes)
    };
    assert_eq!(after(&|bytes| bytes.copy_within(at_of(3), at_of(2).start)), Outcome::Damaged(2));
    assert_eq!(after(&|bytes| bytes.copy_within(at_of(5), at_of(6).start)), Outcome::Damaged(6));
    assert_eq!(after(&|bytes| bytes.copy_within(at_of(5), at_of(7).start)), Outcome::Damaged(6));
    assert_eq!(after(&|bytes| bytes[at_of(4)].fill(0)), Outcome::Damaged(4));
    assert_eq!(after(&|bytes| bytes[at_of(1)].fill(0)), Outcome::Damaged(1));
    assert_eq!(after(&|bytes| bytes[at_of(5)].fill(0)), clean(4));
    assert_eq!(after(&|_| {}), clean(5));
}

/// The stores of an append, in their order: payload, header, length. A process may die after any byte of them.
#[test]
fn a_writer_killed_at_any_byte_of_an_append_leaves_a_log_that_goes_on() {
    let site = Site::new(6);
    let full = site.written(4);
    let start = at_of(4).start;
    let mut bytes = full.clone();
    bytes[at_of(4)].fill(0);
    for at in (start + 64..start + 192).chain(start + 4..start + 64) {
        let expected = if is_used(&bytes[at_of(4)]) { torn(3, false) } else { clean(3) };
        assert_eq!(site.start_on(&bytes), expected, "died before byte {at}");
        bytes[at] = full[at];
    }
    assert_eq!(site.start_on(&bytes), torn(3, false));
    assert_eq!(site.start_on(&full), clean(4));
}

#[test]
fn a_log_zeroed_from_any_byte_on_ends_with_its_last_whole_record() {
    let site = Site::new(6);
    let full = site.written(4);
    for cut in at_of(3).start..=at_of(4).end {
        let mut bytes = full.clone();
        bytes[cut..].fill(0);
        let records = (2..=4).rev().find(|number| bytes[at_of(*number)] == full[at_of(*number)]).unwrap();
        let expected = if is_used(&bytes[at_of(records + 1)]) { torn(records, true) } else { clean(records) };
        assert_eq!(site.start_on(&bytes), expected, "zero from byte {cut}");
    }
}

#[test]
fn a_file_cut_short_at_any_length_is_refused() {
    let site = Site::new(4);
    let full = site.written(3);
    for length in (0..full.len()).step_by(7).chain(full.len() - RECORD_BYTES..full.len()) {
        assert_eq!(site.start_on(&full[..length]), Outcome::NotALog, "cut to {length}");
        assert!(LogReader::open(&site.path).is_err());
    }
    assert_eq!(site.start_on(&[full.as_slice(), &[0; 64]].concat()), Outcome::NotALog);
}

#[test]
fn every_flipped_byte_has_its_defined_outcome() {
    let site = Site::new(6);
    let good = site.written(4);
    for at in (0..128).chain(HEADER - 64..good.len()) {
        for mask in [0x01, 0x80, 0xFF] {
            let mut bytes = good.clone();
            bytes[at] ^= mask;
            let expected = if at < HEADER {
                Outcome::NotALog
            } else if at < at_of(4).start {
                Outcome::Damaged(((at - HEADER) / RECORD_BYTES) as u64 + 1)
            } else if at < at_of(4).end {
                torn(3, true)
            } else {
                // Only the bytes of a length make what follows the last record look as if it had been published.
                torn(4, at < at_of(5).start + 4)
            };
            assert_eq!(site.start_on(&bytes), expected, "byte {at} flipped by {mask:#x}");
        }
    }
}

#[test]
fn a_record_of_a_later_program_is_named_and_kept() {
    let site = Site::new(4);
    let mut bytes = site.written(2);
    // A payload with a kind of command that this program has no word for, sealed as a later one would.
    let mut payload = [0u8; 128];
    payload.copy_from_slice(&bytes[at_of(2)][64..]);
    payload[16] = 0xEE;
    let header = Record::parse(&bytes[at_of(2)]).unwrap().unwrap().header.seal(112, &payload);
    bytes[at_of(2)][..64].copy_from_slice(header.as_bytes());
    bytes[at_of(2)][64..].copy_from_slice(&payload);
    std::fs::write(&site.path, &bytes).unwrap();
    let fault = recover(&site.options(), GROUP).unwrap_err();
    assert!(matches!(fault, JournalFault::Unknown { number: 2, kind: 1, version: 1, .. }), "{fault}");
    assert!(std::fs::read(&site.path).unwrap() == bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever stands in a file, reading it ends, and gives nothing that was not written.
    #[test]
    fn noise_is_never_read_as_a_record(noise in prop::collection::vec(any::<u8>(), 0..6000), keep_header: bool) {
        let site = Site::new(4);
        let mut bytes = site.written(0);
        let from = if keep_header { HEADER } else { 0 };
        let length = noise.len().min(bytes.len() - from);
        bytes[from..from + length].copy_from_slice(&noise[..length]);
        std::fs::write(&site.path, &bytes).unwrap();
        if let Ok(mut reader) = LogReader::open(&site.path) {
            let read = reader.next();
            let nothing = matches!(read, Ok(None) | Err(JournalFault::Damaged { number: 1, .. }));
            prop_assert!(nothing, "{read:?}");
        }
        let _ = recover(&site.options(), GROUP);
    }

    /// Whatever is done to a log, what is read of it is a beginning of what was written.
    #[test]
    fn only_a_beginning_of_what_was_written_is_ever_read(
        count in 1..12u64,
        strokes in prop::collection::vec((0..4096usize, 0..300usize, any::<u8>()), 1..4),
    ) {
        let site = Site::new(12);
        let mut bytes = site.written(count);
        for (at, length, value) in strokes {
            let at = HEADER + at % (bytes.len() - HEADER);
            let end = (at + length).min(bytes.len());
            bytes[at..end].fill(value);
        }
        std::fs::write(&site.path, &bytes).unwrap();
        let mut reader = LogReader::open(&site.path).unwrap();
        let mut read = 0;
        while let Ok(Some(found)) = reader.next() {
            read += 1;
            prop_assert_eq!(found, record(read));
        }
        prop_assert!(read <= count);
        if let Ok((_, tail)) = recover(&site.options(), GROUP) {
            prop_assert_eq!(tail.last_number(), read);
        }
    }

    /// All values of the fields survive the journey.
    #[test]
    fn any_record_comes_back_as_it_was(time: u64, value: u64, price: u32, slot: u32, tags: u32, floor: u32) {
        let site = Site::new(1);
        let mut written = record(1);
        (written.time, written.verdict.slot, written.verdict.limit_price) = (Nanos(time), Slot(slot), Price(price));
        (written.command.value, written.command.tags, written.command.max_floor) = (value, tags, Quantity(floor));
        site.writer().append(&written).unwrap();
        prop_assert_eq!(all(&site.path), [written]);
    }
}

/// The power went when the first segment had its name and no record yet, and took the log with it.
#[test]
fn a_log_behind_a_first_segment_without_records_carries_its_chain() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions { path: directory.path().join("log"), bytes: LogOptions::bytes_for(4), lock: false };
    let announced = Link { number: 1, chain: 0xFEED };
    let mut log = LogWriter::create_following(options, GROUP, BOOT, Some(announced)).unwrap();
    assert_eq!(log.link(), announced);
    log.append(&record(1)).unwrap();
    let mut reader = log.reader_from(announced);
    assert_eq!(reader.next().unwrap(), Some(record(1)));
}
