//! The bytes of a snapshot file: a header, a table of its sections, and the sections one behind the other. Little-endian.
//!
//! Every byte is under a checksum: the header under its own, the table under one in the header, each section under one in
//! the table; and the file's length stands in the header, so that nothing can be behind the last section. What a section
//! holds is its owner's layout. Writing, naming and trusting a snapshot is the journal's business. Cold.

use super::record::is_number;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of a snapshot.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"PITSNAP\n";
/// Version of the file layout that we write and read.
pub const SNAPSHOT_VERSION: u32 = 1;
/// Most sections: one for each of 64 shards and a few more.
pub const SECTIONS_MAX: u32 = 128;

/// What a snapshot starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SnapshotHeader {
    /// [`SNAPSHOT_MAGIC`].
    pub magic: [u8; 8],
    /// [`SNAPSHOT_VERSION`].
    pub version: U32,
    /// Sections in the table.
    pub sections: U32,
    /// Partition it belongs to.
    pub group: U64,
    /// Digest of the reference data.
    pub market: U64,
    /// The last record that is in it.
    pub number: U64,
    /// Time of that record.
    pub time: U64,
    /// Chain value that the record after it carries: ties it to one journal.
    pub chain: U64,
    /// Digest of the state.
    pub state: U64,
    /// Bytes of the whole file.
    pub bytes: U64,
    /// CRC32C of the table.
    pub crc_table: U32,
    /// CRC32C of all before it.
    pub crc: U32,
}
const _: () = assert!(size_of::<SnapshotHeader>() == 80);
const CRC_COVERS: usize = size_of::<SnapshotHeader>() - size_of::<U32>();

/// A line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SectionHeader {
    /// What it holds.
    pub kind: U16,
    /// Which of its kind.
    pub index: U16,
    /// CRC32C of its bytes.
    pub crc: U32,
    /// Its bytes.
    pub bytes: U64,
}
const _: () = assert!(size_of::<SectionHeader>() == 16);

/// Sections in the order of the table, each line with its bytes.
pub type Sections<'a> = Vec<(SectionHeader, &'a [u8])>;

/// Why bytes are not a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotError {
    /// Too short, or other first bytes.
    NotASnapshot,
    /// A layout of another version.
    Version(u32),
    /// It stands behind a record of a number that no record has.
    Place,
    /// A checksum of header or table does not match.
    Checksum,
    /// The file is not as long as it says.
    Length,
    /// The checksum of this section does not match.
    Section(u16),
}

impl core::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SnapshotError::NotASnapshot => f.write_str("it does not begin like a snapshot"),
            SnapshotError::Version(version) => write!(f, "snapshot layout version {version} is not known"),
            SnapshotError::Place => f.write_str("it stands behind a record that no journal has"),
            SnapshotError::Checksum => f.write_str("the checksum of its header does not match"),
            SnapshotError::Length => f.write_str("it is not as long as it says"),
            SnapshotError::Section(index) => write!(f, "the checksum of its section {index} does not match"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl SnapshotHeader {
    /// Completes a header whose other fields are set.
    #[must_use]
    pub fn seal(mut self, table: &[SectionHeader]) -> SnapshotHeader {
        (self.magic, self.version) = (SNAPSHOT_MAGIC, U32::new(SNAPSHOT_VERSION));
        self.sections = U32::new(table.len() as u32);
        let sections: u64 = table.iter().map(|section| section.bytes.get()).sum();
        self.bytes = U64::new((size_of::<SnapshotHeader>() + size_of_val(table)) as u64 + sections);
        self.crc_table = U32::new(crc32c::crc32c(table.as_bytes()));
        self.crc = U32::new(crc32c::crc32c(&self.as_bytes()[..CRC_COVERS]));
        self
    }

    /// Header and sections of a whole file, every checksum verified.
    /// # Errors
    /// See [`SnapshotError`].
    pub fn parse(bytes: &[u8]) -> Result<(SnapshotHeader, Sections<'_>), SnapshotError> {
        let (header, rest) = SnapshotHeader::read_from_prefix(bytes).map_err(|_| SnapshotError::NotASnapshot)?;
        if header.magic != SNAPSHOT_MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        if header.version.get() != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version(header.version.get()));
        }
        if crc32c::crc32c(&header.as_bytes()[..CRC_COVERS]) != header.crc.get() {
            return Err(SnapshotError::Checksum);
        }
        if !is_number(header.number.get()) {
            return Err(SnapshotError::Place);
        }
        if header.bytes.get() != bytes.len() as u64 || header.sections.get() > SECTIONS_MAX {
            return Err(SnapshotError::Length);
        }
        let count = header.sections.get() as usize;
        let table = <[SectionHeader]>::ref_from_prefix_with_elems(rest, count);
        let (table, mut rest) = table.map_err(|_| SnapshotError::Length)?;
        if crc32c::crc32c(table.as_bytes()) != header.crc_table.get() {
            return Err(SnapshotError::Checksum);
        }
        let mut sections = Vec::with_capacity(count);
        for (index, section) in table.iter().enumerate() {
            let length = usize::try_from(section.bytes.get()).map_err(|_| SnapshotError::Length)?;
            let (bytes, behind) = rest.split_at_checked(length).ok_or(SnapshotError::Length)?;
            if crc32c::crc32c(bytes) != section.crc.get() {
                return Err(SnapshotError::Section(index as u16));
            }
            sections.push((*section, bytes));
            rest = behind;
        }
        if rest.is_empty() { Ok((header, sections)) } else { Err(SnapshotError::Length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    fn file() -> Vec<u8> {
        let sections: [&[u8]; 3] = [b"orders", b"", b"books and more"];
        let table: Vec<_> = sections
            .iter()
            .enumerate()
            .map(|(index, bytes)| SectionHeader {
                kind: 1.into(),
                index: (index as u16).into(),
                crc: crc32c::crc32c(bytes).into(),
                bytes: (bytes.len() as u64).into(),
            })
            .collect();
        let header = SnapshotHeader { number: 7.into(), ..SnapshotHeader::new_zeroed() }.seal(&table);
        [header.as_bytes(), table.as_bytes(), &sections.concat()].concat()
    }

    #[test]
    fn a_snapshot_comes_back() {
        let file = file();
        let (header, sections) = SnapshotHeader::parse(&file).unwrap();
        assert_eq!((header.number.get(), sections.len(), sections[2].1), (7, 3, &b"books and more"[..]));
    }

    #[test]
    fn a_snapshot_behind_a_record_that_no_journal_has_is_refused_whatever_its_checksum() {
        for number in [0, u64::MAX] {
            let header = SnapshotHeader { number: number.into(), ..SnapshotHeader::new_zeroed() };
            assert_eq!(SnapshotHeader::parse(header.seal(&[]).as_bytes()).map(drop), Err(SnapshotError::Place));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_and_anything_behind_is_refused() {
        let file = file();
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut bytes = file.clone();
                bytes[at] ^= 1 << bit;
                assert!(SnapshotHeader::parse(&bytes).is_err(), "byte {at}");
            }
            assert!(SnapshotHeader::parse(&file[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(SnapshotHeader::parse(&[&file[..], &[0]].concat()), Err(SnapshotError::Length));
    }
}
