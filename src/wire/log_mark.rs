//! How far a log has let its oldest records go: two marks in the first page of its file, written in turn. Little-endian.
//!
//! A log is a ring: the record with number `n` stands in slot `(n - first) mod slots`, where `first` is the number in the
//! file's header. Room comes back when the oldest records are safe elsewhere. That takes three steps, each of which may
//! be the process' last:
//! 1. a mark that names the record which is now the oldest, its chain value, and from which record on slots have yet to be
//!    cleared;
//! 2. zeros into those slots, each record's length first;
//! 3. a mark that says that they are cleared.
//!
//! So a mark of the first kind allows leftovers in the slots it names and nowhere else, and one of the second kind allows
//! none. A mark that was cut off leaves the one before it, which is still true: both stand in sectors of their own and the
//! higher generation is the newer. Where one of the two is damaged nobody knows whether it was the newer, so that
//! leftovers are then allowed nowhere.

use super::record::{Link, NUMBER_MAX, is_number};
use super::segment::MARKS_AT;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Which record is the oldest of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct LogMark {
    /// Rises with each mark.
    pub generation: U64,
    /// Number of the oldest record that counts; all before it are in segments.
    pub first_number: U64,
    /// Its chain value.
    pub first_chain: U64,
    /// Slots of all records before this one are cleared; those from here up to `first_number` may hold leftovers.
    pub cleared: U64,
    /// Zero.
    pub reserved: [u8; 4],
    /// CRC32C of all before it.
    pub crc: U32,
}
/// Bytes of a mark.
pub const LOG_MARK_BYTES: usize = size_of::<LogMark>();
const _: () = assert!(LOG_MARK_BYTES == 40);
const CRC_COVERS: usize = LOG_MARK_BYTES - size_of::<U32>();

/// What the two marks of a log say together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogMarks {
    /// The newer of the sound ones.
    pub newest: LogMark,
    /// Whether both are sound and one follows the other.
    pub are_whole: bool,
}

impl LogMark {
    /// A mark whose oldest record is the one that `first` announces.
    pub fn new(generation: u64, first: Link, cleared: u64) -> LogMark {
        let mut mark = LogMark {
            generation: U64::new(generation),
            first_number: U64::new(first.number),
            first_chain: U64::new(first.chain),
            cleared: U64::new(cleared),
            reserved: [0; 4],
            crc: U32::ZERO,
        };
        mark.crc = U32::new(mark.checksum());
        mark
    }

    /// Where a mark of this generation belongs.
    pub fn at(&self) -> usize {
        MARKS_AT[(self.generation.get() % 2) as usize]
    }

    /// What the oldest record must carry.
    pub fn link(&self) -> Link {
        Link { number: self.first_number.get(), chain: self.first_chain.get() }
    }

    /// From its bytes, when it is sound.
    pub fn parse(bytes: &[u8]) -> Option<LogMark> {
        let (mark, _) = LogMark::read_from_prefix(bytes).ok()?;
        let (cleared, first) = (mark.cleared.get(), mark.first_number.get());
        let is_in_bounds = is_number(cleared) && is_number(first) && mark.generation.get() <= NUMBER_MAX;
        (mark.checksum() == mark.crc.get() && is_in_bounds && cleared <= first).then_some(mark)
    }

    fn checksum(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..CRC_COVERS])
    }
}

impl LogMarks {
    /// The marks of a log's first page; `None` when neither is sound.
    pub fn parse(page: &[u8]) -> Option<LogMarks> {
        let [a, b] = MARKS_AT.map(|at| page.get(at..).and_then(LogMark::parse));
        LogMarks::of(a, b)
    }

    /// The same from the marks themselves, as far as they are sound.
    pub fn of(a: Option<LogMark>, b: Option<LogMark>) -> Option<LogMarks> {
        let generation = |mark: &LogMark| mark.generation.get();
        let are_whole = matches!((&a, &b), (Some(a), Some(b)) if generation(a).abs_diff(generation(b)) == 1);
        let newest = [a, b].into_iter().flatten().max_by_key(generation)?;
        Some(LogMarks { newest, are_whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::RECORDS_START;

    fn page(marks: &[LogMark]) -> Vec<u8> {
        let mut page = vec![0; RECORDS_START];
        for mark in marks {
            page[mark.at()..mark.at() + LOG_MARK_BYTES].copy_from_slice(mark.as_bytes());
        }
        page
    }

    #[test]
    fn every_flipped_byte_of_a_mark_leaves_the_other_and_the_doubt() {
        let marks = [4, 5].map(|generation| LogMark::new(generation, Link { number: 11, chain: 99 }, 9));
        let whole = page(&marks);
        assert_eq!(LogMarks::parse(&whole), Some(LogMarks { newest: marks[1], are_whole: true }));
        for (hit, left) in [(0, 1), (1, 0)] {
            for at in marks[hit].at()..marks[hit].at() + LOG_MARK_BYTES {
                let mut page = whole.clone();
                page[at] ^= 0x10;
                assert_eq!(LogMarks::parse(&page), Some(LogMarks { newest: marks[left], are_whole: false }));
            }
        }
    }

    #[test]
    fn zeros_and_marks_that_say_nonsense_are_none() {
        assert_eq!(LogMarks::parse(&page(&[])), None);
        assert_eq!(LogMarks::parse(&[]), None);
        let link = Link { number: 3, chain: 0 };
        assert_eq!(LogMarks::parse(&page(&[LogMark::new(0, link, 4), LogMark::new(1, link, 0)])), None);
        // Checksums are right, and still nobody could count on from there.
        let far = Link { number: NUMBER_MAX + 1, chain: 0 };
        assert_eq!(LogMarks::parse(&page(&[LogMark::new(0, far, 1), LogMark::new(NUMBER_MAX + 1, link, 3)])), None);
        assert!(LogMarks::parse(&page(&[LogMark::new(0, Link { number: NUMBER_MAX, chain: 0 }, 1)])).is_some());
        let apart = page(&[LogMark::new(2, link, 3), LogMark::new(5, link, 3)]);
        assert!(!LogMarks::parse(&apart).unwrap().are_whole);
    }
}
