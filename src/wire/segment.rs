//! The first page of a segment: whose it is, where in the journal it stands, and how far it was synced. Little-endian.
//!
//! A segment is a file of a fixed size on a disk that holds the very records of the log, at the same alignment, from
//! [`RECORDS_START`] on. The header is written once, before the file gets its name. The two marks behind it are
//! written in turn, each together with the group of records it speaks of: what stood before the group was synced, and
//! the group goes so far. After a loss of power they tell a write that was cut off, which is no loss, from damage to
//! what had been acknowledged. Each lies in a sector of its own, so that tearing one leaves the other.

use super::record::{Link, NUMBER_MAX, RECORDS_START, is_number};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"PITSEG\r\n";
/// Version of the file layout that we write and read.
pub const SEGMENT_VERSION: u32 = 1;
/// Where the marks stand, each in a sector of its own, whether a sector has 512 bytes or the page is one.
pub const MARKS_AT: [usize; 2] = [1024, 2048];

/// What a segment starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SegmentHeader {
    /// [`SEGMENT_MAGIC`].
    pub magic: [u8; 8],
    /// [`SEGMENT_VERSION`].
    pub version: U32,
    /// [`RECORDS_START`].
    pub records_start: U32,
    /// Partition that the journal belongs to.
    pub group: U64,
    /// Place among the segments, from 1.
    pub number: U64,
    /// Bytes of the whole file.
    pub capacity: U64,
    /// Number of the first record.
    pub first_number: U64,
    /// Its chain value: a number made of all records of the segments before.
    pub first_chain: U64,
    /// Zero.
    pub reserved: [u8; 4],
    /// CRC32C of all before it.
    pub crc: U32,
}
const _: () = assert!(size_of::<SegmentHeader>() == 64);
const CRC_HEADER_COVERS: usize = size_of::<SegmentHeader>() - size_of::<U32>();

/// How far a segment was synced when a group was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SegmentMark {
    /// Rises with each mark of a segment; the higher of two is the newer.
    pub generation: U64,
    /// All bytes of the file before this one were synced before the mark was written.
    pub synced: U64,
    /// The group that was written with the mark ends here; the same as `synced` where there was none.
    pub through: U64,
    /// Zero.
    pub reserved: [u8; 4],
    /// CRC32C of all before it.
    pub crc: U32,
}
const _: () = assert!(size_of::<SegmentMark>() == 32);
const CRC_MARK_COVERS: usize = size_of::<SegmentMark>() - size_of::<U32>();
const _: () =
    assert!(MARKS_AT[0] >= size_of::<SegmentHeader>() && MARKS_AT[1] + size_of::<SegmentMark>() <= RECORDS_START);

/// Why bytes do not start a segment of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentError {
    /// Too short, or other first bytes.
    NotASegment,
    /// A layout of another version.
    Version(u32),
    /// The checksum does not match, or the first number is none.
    Checksum,
    /// The header is sound, neither mark is.
    Marks,
    /// Something stands in the page where zeros belong.
    Page,
}

impl core::fmt::Display for SegmentError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SegmentError::NotASegment => f.write_str("it does not begin like a segment"),
            SegmentError::Version(version) => write!(f, "its layout is of another version, {version}"),
            SegmentError::Checksum => f.write_str("its header is damaged"),
            SegmentError::Marks => f.write_str("both its marks are damaged"),
            SegmentError::Page => f.write_str("its first page is damaged"),
        }
    }
}

impl std::error::Error for SegmentError {}

impl SegmentHeader {
    /// The header of segment `number` of `capacity` bytes, whose first record is the one that `first` announces.
    pub fn new(group: u64, number: u64, capacity: u64, first: Link) -> SegmentHeader {
        let mut header = SegmentHeader {
            magic: SEGMENT_MAGIC,
            version: U32::new(SEGMENT_VERSION),
            records_start: U32::new(RECORDS_START as u32),
            group: U64::new(group),
            number: U64::new(number),
            capacity: U64::new(capacity),
            first_number: U64::new(first.number),
            first_chain: U64::new(first.chain),
            reserved: [0; 4],
            crc: U32::ZERO,
        };
        header.crc = U32::new(crc32c::crc32c(&header.as_bytes()[..CRC_HEADER_COVERS]));
        header
    }

    /// Header and newest sound mark, from the first page of a file, whose every byte is checked.
    /// # Errors
    /// See [`SegmentError`]. The version is judged before the checksum, whose place a later layout may move.
    pub fn parse(page: &[u8]) -> Result<(SegmentHeader, SegmentMark), SegmentError> {
        let page = page.get(..RECORDS_START).ok_or(SegmentError::NotASegment)?;
        let (header, _) = SegmentHeader::read_from_prefix(page).map_err(|_| SegmentError::NotASegment)?;
        if header.magic != SEGMENT_MAGIC {
            return Err(SegmentError::NotASegment);
        }
        if header.version.get() != SEGMENT_VERSION {
            return Err(SegmentError::Version(header.version.get()));
        }
        let crc = crc32c::crc32c(&header.as_bytes()[..CRC_HEADER_COVERS]);
        let is_sound = crc == header.crc.get() && is_number(header.first_number.get());
        if !is_sound || header.records_start.get() as usize != RECORDS_START {
            return Err(SegmentError::Checksum);
        }
        let [first, second] = MARKS_AT;
        let between = [size_of::<SegmentHeader>()..first, mark_end(first)..second, mark_end(second)..RECORDS_START];
        if between.into_iter().any(|range| page[range].iter().any(|byte| *byte != 0)) {
            return Err(SegmentError::Page);
        }
        let capacity = header.capacity.get();
        let marks = MARKS_AT.into_iter().filter_map(|at| SegmentMark::parse(&page[at..], capacity));
        marks.max_by_key(|mark| mark.generation.get()).map(|mark| (header, mark)).ok_or(SegmentError::Marks)
    }

    /// What the first record must carry.
    pub fn link(&self) -> Link {
        Link { number: self.first_number.get(), chain: self.first_chain.get() }
    }
}

const fn mark_end(at: usize) -> usize {
    at + size_of::<SegmentMark>()
}

impl SegmentMark {
    /// A mark of a file synced up to `synced`, for a group that ends at `through`.
    pub fn new(generation: u64, synced: usize, through: usize) -> SegmentMark {
        let mut mark = SegmentMark {
            generation: U64::new(generation),
            synced: U64::new(synced as u64),
            through: U64::new(through as u64),
            reserved: [0; 4],
            crc: U32::ZERO,
        };
        mark.crc = U32::new(crc32c::crc32c(&mark.as_bytes()[..CRC_MARK_COVERS]));
        mark
    }

    /// Where a mark of this generation belongs.
    pub fn at(&self) -> usize {
        MARKS_AT[(self.generation.get() % 2) as usize]
    }

    /// From its bytes, when it is sound and of a file of `capacity` bytes.
    fn parse(bytes: &[u8], capacity: u64) -> Option<SegmentMark> {
        let (mark, _) = SegmentMark::read_from_prefix(bytes).ok()?;
        // A mark that was never written is zeros, which the bound refuses.
        let is_sound = crc32c::crc32c(&mark.as_bytes()[..CRC_MARK_COVERS]) == mark.crc.get();
        let (synced, through) = (mark.synced.get(), mark.through.get());
        let is_in_bounds = RECORDS_START as u64 <= synced && synced <= through && through <= capacity;
        (is_sound && is_in_bounds && mark.generation.get() <= NUMBER_MAX).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(marks: &[SegmentMark]) -> Vec<u8> {
        let mut page = vec![0; RECORDS_START];
        let header = SegmentHeader::new(7, 3, 1 << 20, Link { number: 11, chain: 99 });
        page[..size_of::<SegmentHeader>()].copy_from_slice(header.as_bytes());
        for mark in marks {
            page[mark.at()..mark_end(mark.at())].copy_from_slice(mark.as_bytes());
        }
        page
    }

    #[test]
    fn the_newest_sound_mark_counts() {
        let (old, new) = (SegmentMark::new(4, 4096, 8192), SegmentMark::new(5, 8192, 9000));
        let mut page = page(&[old, new]);
        let (header, mark) = SegmentHeader::parse(&page).unwrap();
        assert_eq!((header.link(), mark), (Link { number: 11, chain: 99 }, new));
        page[new.at() + 3] ^= 1;
        assert_eq!(SegmentHeader::parse(&page).unwrap().1, old);
        page[old.at() + 9] ^= 1;
        assert_eq!(SegmentHeader::parse(&page), Err(SegmentError::Marks));
    }

    #[test]
    fn every_flipped_byte_of_the_page_is_noticed_or_costs_a_mark() {
        let marks = [SegmentMark::new(2, 4096, 4096), SegmentMark::new(3, 4096, 5000)];
        let whole = page(&marks);
        for at in 0..whole.len() {
            let mut page = whole.clone();
            page[at] ^= 0x40;
            match SegmentHeader::parse(&page) {
                Ok((_, mark)) => {
                    let hit =
                        marks.iter().find(|m| (m.at()..mark_end(m.at())).contains(&at)).expect("only marks may go");
                    assert!(mark != *hit && marks.contains(&mark));
                }
                Err(error) => assert_ne!(error, SegmentError::Marks, "one is left, byte {at}"),
            }
        }
    }

    #[test]
    fn a_short_page_is_no_segment() {
        let page = page(&[SegmentMark::new(0, 4096, 4096)]);
        for length in 0..page.len() {
            assert_eq!(SegmentHeader::parse(&page[..length]), Err(SegmentError::NotASegment));
        }
    }
}
