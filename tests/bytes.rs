//! Segments on a disk that kept some blocks and lost, doubled or exchanged others: each outcome is the one that the rules
//! give, worked out here from the bytes alone.
//!
//! The oracle knows what was written, and so needs none of the proofs that the product has to find (checksums of records,
//! numbers, the chain): a record counts when it is the one that was written. What it shares with the product is what is
//! promised: before the newest sound mark's `synced` nothing may be missing; the group under way may be cut off anywhere,
//! unless something stands behind it, because then it was synced, too; an earlier segment is whole or damaged.

use pitlane::journal::segments::segment_path;
use pitlane::journal::{
    JournalFault, LogOptions, LogWriter, RECORD_BYTES, SegmentOptions, SegmentWriter, Segments, SystemDisk, TailState,
};
use pitlane::os::pages;
use pitlane::types::{Command, CommandKind, Nanos, Number, Quantity, Sequenced, UserRef};
use pitlane::wire::record::Record;
use std::ops::Range;
use tempfile::TempDir;

const GROUP: u64 = 0xB17E5;
const HEADER: usize = 4096;
/// Records of a segment: 6,144 bytes, whole sectors.
const ROOM: u64 = 32;
const SEGMENT_BYTES: usize = SegmentOptions::bytes_for(ROOM as usize);
/// What a disk writes as a whole at least.
const SECTOR: usize = 512;
/// Where the two marks stand.
const MARKS: [usize; 2] = [1024, 2048];

fn record(number: u64) -> Sequenced {
    let mut record = Sequenced { number: Number(number), time: Nanos(9_000 + number), ..Sequenced::default() };
    record.command = Command::new(CommandKind::Enter);
    record.command.user_ref = UserRef(number as u32);
    record.command.quantity = Quantity(number as u32);
    // No byte run of a record is all zeros, so that losing any of its sectors shows.
    record.command.value = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 0x0101_0101_0101_0101;
    record
}

/// A directory of two segments, the second under way.
struct Journal {
    directory: TempDir,
    /// The segments as they are, and the second as it was before its last group.
    first: Vec<u8>,
    second: Vec<u8>,
    before: Vec<u8>,
    /// Records in both.
    count: u64,
}

impl Journal {
    /// Written group by group, the last one being under way unless it is `settled`.
    fn written(groups: &[u64], settled: bool) -> Journal {
        let directory = tempfile::tempdir_in(pages::memory_backed(32 << 20)).unwrap();
        let options = LogOptions { path: directory.path().join("log"), bytes: LogOptions::bytes_for(100), lock: false };
        let mut log = LogWriter::create(options.clone(), GROUP, 1).unwrap();
        let (mut disk, path) = (SystemDisk::plain(), directory.path().join("segments"));
        let taken = Segments::take(&path, GROUP, |_| {}).unwrap();
        let mut segments = SegmentWriter::new(taken, SEGMENT_BYTES, log.link(), &mut disk).unwrap();
        let (mut count, mut before) = (0, Vec::new());
        for group in groups {
            (0..*group).for_each(|more| log.append(&record(count + more + 1)).unwrap());
            let bytes = std::fs::read(&options.path).unwrap();
            let records = &bytes[HEADER + count as usize * RECORD_BYTES..];
            let records = &records[..*group as usize * RECORD_BYTES];
            let last = Record::parse(&records[records.len() - RECORD_BYTES..]).unwrap().unwrap();
            before = std::fs::read(segment_path(&path, segments.count())).unwrap();
            segments.append(records, last.header.link(), &mut disk).unwrap();
            count += group;
            if segments.free_records() == 0 {
                while segments.prepare(&mut disk).unwrap() {}
                segments.roll(&mut disk).unwrap();
            }
        }
        if settled {
            segments.settle(&mut disk).unwrap();
        }
        assert_eq!(segments.count(), 2);
        let of = |number| std::fs::read(segment_path(&path, number)).unwrap();
        Journal { first: of(1), second: of(2), before, count, directory }
    }

    /// What a start makes of the directory with `bytes` as segment `number`.
    fn start_on(&self, number: u64, bytes: &[u8]) -> Outcome {
        let directory = self.directory.path().join("segments");
        std::fs::write(segment_path(&directory, 1), &self.first).unwrap();
        std::fs::write(segment_path(&directory, 2), &self.second).unwrap();
        std::fs::write(segment_path(&directory, number), bytes).unwrap();
        let mut records = Vec::new();
        let taken = Segments::take(&directory, GROUP, |record| records.push(*record));
        match taken {
            Ok(taken) => {
                assert_eq!(records, (1..=records.len() as u64).map(record).collect::<Vec<_>>());
                let state = taken.last().unwrap().state.clone();
                let torn = match state {
                    TailState::Clean => false,
                    TailState::Torn(torn) => {
                        std::fs::remove_file(torn.quarantine.expect("what is cut is kept")).unwrap();
                        true
                    }
                };
                Outcome::Ends { records: records.len() as u64, torn }
            }
            Err(JournalFault::DamagedSegment { number, .. }) => Outcome::Damaged(number),
            Err(JournalFault::Misplaced { .. }) => Outcome::Refused,
            Err(other) => panic!("{other}"),
        }
    }

    /// The same by the rules alone.
    fn expected(&self, number: u64, bytes: &[u8]) -> Outcome {
        let (whole, first, count) = match number {
            1 => (&self.first, 1, ROOM),
            _ => (&self.second, ROOM + 1, self.count - ROOM),
        };
        let Some((synced, through)) = newest_mark(bytes) else { return Outcome::Refused };
        if page_without_marks(bytes) != page_without_marks(whole) {
            return Outcome::Refused;
        }
        let is_there = |index: u64| bytes[place(index)] == whole[place(index)];
        let sound = (0..count).take_while(|index| is_there(*index)).count() as u64;
        let end = HEADER + sound as usize * RECORD_BYTES;
        // In whole lines of 64 bytes.
        let used = bytes[end..].iter().rposition(|byte| *byte != 0).map_or(0, |last| (last / 64 + 1) * 64);
        let is_last = number == 2;
        let goes_on_behind = end < through && end + used > through;
        if end < synced || goes_on_behind || (!is_last && sound < count) {
            Outcome::Damaged(first + sound)
        } else {
            Outcome::Ends { records: if is_last { ROOM + sound } else { self.count }, torn: used > 0 && is_last }
        }
    }

    fn check(&self, number: u64, bytes: &[u8], what: &str) {
        assert_eq!(self.start_on(number, bytes), self.expected(number, bytes), "segment {number}: {what}");
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Outcome {
    Ends { records: u64, torn: bool },
    Damaged(u64),
    Refused,
}

fn place(index: u64) -> Range<usize> {
    let start = HEADER + index as usize * RECORD_BYTES;
    start..start + RECORD_BYTES
}

fn page_without_marks(bytes: &[u8]) -> Vec<u8> {
    let mut page = bytes[..HEADER].to_vec();
    MARKS.iter().for_each(|at| page[*at..at + 32].fill(0));
    page
}

/// `synced` and `through` of the sound mark with the highest generation.
fn newest_mark(bytes: &[u8]) -> Option<(usize, usize)> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let is_sound = |at: &usize| {
        let crc = u32::from_le_bytes(bytes[at + 28..at + 32].try_into().unwrap());
        crc32(&bytes[*at..at + 28]) == crc && word(at + 8) >= HEADER as u64
    };
    let newest = MARKS.into_iter().filter(is_sound).max_by_key(|at| word(*at))?;
    Some((word(newest + 8) as usize, word(newest + 16) as usize))
}

/// CRC32C, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Groups of the tests: the second segment holds 3, 4 and 20 records.
const GROUPS: [u64; 4] = [32, 3, 4, 20];

#[test]
fn whichever_sectors_of_a_group_reached_the_disk_its_sound_beginning_counts_and_nothing_is_damage() {
    let journal = Journal::written(&GROUPS, false);
    let (before, after) = (&journal.before, &journal.second);
    let sectors: Vec<usize> = (0..after.len() / SECTOR)
        .filter(|sector| before[sector * SECTOR..][..SECTOR] != after[sector * SECTOR..][..SECTOR])
        .collect();
    // 3,840 bytes of records and a mark.
    assert_eq!(sectors.len(), 10);
    let mut ends = std::collections::BTreeSet::new();
    for reached in 0..1u32 << sectors.len() {
        let mut bytes = before.clone();
        for (_, sector) in sectors.iter().enumerate().filter(|(bit, _)| reached >> bit & 1 == 1) {
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            bytes[range.clone()].copy_from_slice(&after[range]);
        }
        let expected = journal.expected(2, &bytes);
        assert_eq!(journal.start_on(2, &bytes), expected, "sectors {reached:b} of {sectors:?}");
        let _seen_before = match expected {
            Outcome::Ends { records, .. } => ends.insert(records),
            other => panic!("a cut-off group is {other:?}, sectors {reached:b}"),
        };
    }
    // From what was synced before to all of it.
    assert!(ends.first() == Some(&39) && ends.last() == Some(&59) && ends.len() > 5, "{ends:?}");
}

#[test]
fn lines_sectors_and_pages_that_are_lost_doubled_or_exchanged_have_their_defined_outcome() {
    for settled in [false, true] {
        let journal = Journal::written(&GROUPS, settled);
        for number in [1, 2] {
            let whole = if number == 1 { &journal.first } else { &journal.second };
            journal.check(number, whole, "as written");
            for block in [64, SECTOR, 2048] {
                harm_blocks(&journal, number, whole, block);
            }
        }
    }
}

/// Each block zeroed; and, of all pairs of larger blocks and of neighbours among small ones, doubled and exchanged.
fn harm_blocks(journal: &Journal, number: u64, whole: &[u8], block: usize) {
    let count = whole.len() / block;
    let of = |index: usize| index * block..(index + 1) * block;
    for one in 0..count {
        let mut bytes = whole.to_vec();
        bytes[of(one)].fill(0);
        journal.check(number, &bytes, &format!("block {one} of {block} bytes zeroed"));
        let others = if block < SECTOR { one + 1..(one + 4).min(count) } else { 0..count };
        for other in others.filter(|other| *other != one) {
            let mut bytes = whole.to_vec();
            bytes.copy_within(of(one), other * block);
            journal.check(number, &bytes, &format!("block {one} of {block} bytes also in the place of {other}"));
            bytes[of(one)].copy_from_slice(&whole[of(other)]);
            journal.check(number, &bytes, &format!("blocks {one} and {other} of {block} bytes exchanged"));
        }
    }
}

#[test]
fn every_byte_of_both_segments_flipped_has_its_defined_outcome() {
    let journal = Journal::written(&GROUPS, false);
    for number in [1, 2] {
        let whole = if number == 1 { &journal.first } else { &journal.second };
        // Of the page the places where something stands, and every 16th of the others.
        let used = |at: &usize| *at >= HEADER || *at < 64 || whole[*at] != 0 || at.is_multiple_of(16);
        for at in (0..whole.len()).filter(used) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            journal.check(number, &bytes, &format!("byte {at} flipped"));
        }
    }
}
