//! The journal's bytes: the header of a log file, and of each record in it. Little-endian.
//!
//! A record is this header and a payload padded with zeros to whole cache lines. Its length is stored last: zero
//! means that the record is not there yet, whatever else the bytes hold. Three things prove a record: a checksum of
//! the header, one of the payload, and the chain, a number made of all records before it, which tells a stale or
//! misplaced block (each sound in itself) from the one that belongs there. Writing to the file, publishing the
//! length and deciding what a fault means is the journal's business.
//!
//! Hot: [`RecordHeader::seal`] runs for each record on the sequencer's thread.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Size of a record's header: one cache line.
pub const HEADER_BYTES: usize = 64;
/// Records start at multiples of this, so a header never straddles cache lines.
pub const ALIGNMENT: usize = 64;
/// Longest payload, without padding.
pub const PAYLOAD_MAX: usize = 64 * 1024;
/// Version of the record layout that we write and read.
pub const RECORD_VERSION: u16 = 1;
/// Kind of a record whose payload is a sequenced command.
pub const KIND_COMMAND: u16 = 1;
/// Highest number of a record, or generation of a mark. Nobody gets there; what is read from a file is held to it, whatever
/// its checksum says, so that sums with it do not overflow.
pub const NUMBER_MAX: u64 = 1 << 62;
/// Where the first record of a log file starts: one page is the file header's.
pub const RECORDS_START: usize = 4096;
/// Version of the file layout that we write and read: a ring, with marks in its first page ([`super::log_mark`]).
pub const LOG_VERSION: u32 = 2;
/// First bytes of a log file.
pub const LOG_MAGIC: [u8; 8] = *b"PITLOG\r\n";

const _: () = assert!(RECORDS_START.is_multiple_of(ALIGNMENT));

/// Why bytes are not a record of this log. `journal` decides whether that is a torn end or damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordError {
    /// The bytes end before the record does.
    Truncated,
    /// A length above [`PAYLOAD_MAX`].
    TooLong(u32),
    /// The header's checksum does not match.
    HeaderChecksum,
    /// A layout of another version.
    Version(u16),
    /// The payload's checksum does not match.
    PayloadChecksum,
    /// Sound, but another number than the one that belongs here.
    Number {
        /// What belongs here.
        expected: u64,
        /// What stands here.
        found: u64,
    },
    /// Sound and of the right number, but it does not follow the record before it.
    Chain,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RecordError::Truncated => f.write_str("the bytes end inside the record"),
            RecordError::TooLong(length) => write!(f, "length {length} is above the largest payload"),
            RecordError::HeaderChecksum => f.write_str("the header's checksum does not match"),
            RecordError::Version(version) => write!(f, "record layout version {version} is not known"),
            RecordError::PayloadChecksum => f.write_str("the payload's checksum does not match"),
            RecordError::Number { expected, found } => write!(f, "number {found} stands where {expected} belongs"),
            RecordError::Chain => f.write_str("the record does not follow the one before it"),
        }
    }
}

impl std::error::Error for RecordError {}

/// What stands ahead of a record's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RecordHeader {
    /// Payload bytes without padding; 0: nothing is here yet. Stored last.
    pub length: U32,
    /// What the payload is; [`KIND_COMMAND`].
    pub kind: U16,
    /// Layout of header and payload.
    pub version: U16,
    /// Place in the one order of events, dense.
    pub number: U64,
    /// Reign of the writer; rises with each change of the primary.
    pub epoch: U64,
    /// The record's time, nanoseconds since the Unix epoch.
    pub time: U64,
    /// Chain value of the records before it; see [`chain`].
    pub chain: U64,
    /// Where it came from: session and its own count, for tracing.
    pub origin: U64,
    /// Zero.
    pub reserved: U64,
    /// CRC32C of the payload with its padding.
    pub crc_payload: U32,
    /// CRC32C of the header up to here, with the final length.
    pub crc_header: U32,
}
const _: () = assert!(size_of::<RecordHeader>() == HEADER_BYTES);
/// The header's own checksum is its last field and covers all before it.
const CRC_HEADER_COVERS: usize = HEADER_BYTES - size_of::<U32>();

impl RecordHeader {
    /// Completes a header whose other fields are set: length, version and both checksums.
    ///
    /// `padded` is the payload with its zeros, [`padded_bytes`]`(payload_bytes)` long. Cost: two CRC32C, about 200
    /// bytes for a command; hot.
    /// # Panics
    /// The sizes do not agree, or the payload is empty (its length would read as "nothing here").
    #[inline]
    #[must_use]
    pub fn seal(mut self, payload_bytes: usize, padded: &[u8]) -> RecordHeader {
        assert!(payload_bytes > 0 && payload_bytes <= PAYLOAD_MAX, "a payload has 1 byte to 64 KiB");
        assert!(padded.len() == padded_bytes(payload_bytes), "the payload comes with its padding");
        self.length = U32::new(payload_bytes as u32);
        self.version = U16::new(RECORD_VERSION);
        self.crc_payload = U32::new(crc32c::crc32c(padded));
        self.crc_header = U32::new(self.checksum());
        self
    }

    /// Where the next record belongs: its number and chain value.
    #[inline]
    pub fn link(&self) -> Link {
        Link {
            number: self.number.get().wrapping_add(1),
            chain: chain(self.chain.get(), self.crc_payload.get(), self.crc_header.get()),
        }
    }

    /// Bytes of the whole record in the log.
    #[inline]
    pub fn record_bytes(&self) -> usize {
        HEADER_BYTES + padded_bytes(self.length.get() as usize)
    }

    fn checksum(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..CRC_HEADER_COVERS])
    }
}

/// What the next record of a log must carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its number.
    pub number: u64,
    /// Its chain value.
    pub chain: u64,
}

/// A record in place, its checksums verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// The header.
    pub header: &'a RecordHeader,
    /// The payload without its padding.
    pub payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the front of `bytes`, or `None` when none is there (length 0).
    /// # Errors
    /// See [`RecordError`]; not the last two, which need to know the record before: [`Record::follows`].
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Record<'a>>, RecordError> {
        let (header, rest) = RecordHeader::ref_from_prefix(bytes).map_err(|_| RecordError::Truncated)?;
        let length = header.length.get();
        if length == 0 {
            return Ok(None);
        }
        // The bound first: a length that is noise must not lead anywhere.
        if length as usize > PAYLOAD_MAX {
            return Err(RecordError::TooLong(length));
        }
        if header.checksum() != header.crc_header.get() {
            return Err(RecordError::HeaderChecksum);
        }
        if header.version.get() != RECORD_VERSION {
            return Err(RecordError::Version(header.version.get()));
        }
        let padded = rest.get(..padded_bytes(length as usize)).ok_or(RecordError::Truncated)?;
        if crc32c::crc32c(padded) != header.crc_payload.get() {
            return Err(RecordError::PayloadChecksum);
        }
        Ok(Some(Record { header, payload: &padded[..length as usize] }))
    }

    /// Whether this is the record that `link` announces.
    /// # Errors
    /// [`RecordError::Number`] or [`RecordError::Chain`].
    pub fn follows(&self, link: Link) -> Result<(), RecordError> {
        let found = self.header.number.get();
        if found != link.number {
            return Err(RecordError::Number { expected: link.number, found });
        }
        if self.header.chain.get() != link.chain { Err(RecordError::Chain) } else { Ok(()) }
    }
}

/// Size of a payload with its padding.
#[inline]
pub const fn padded_bytes(payload_bytes: usize) -> usize {
    payload_bytes.next_multiple_of(ALIGNMENT)
}

/// Chain value of the record that follows one with these three values.
///
/// Each step is invertible in `previous_chain`, so two logs that differ once never meet again by themselves, and the
/// constants (those of the 64-bit finaliser of MurmurHash3) spread each bit over the word. It tells apart blocks
/// that went astray; it is no proof against somebody who forges checksums.
#[inline]
pub const fn chain(previous_chain: u64, previous_crc_payload: u32, previous_crc_header: u32) -> u64 {
    let record = (previous_crc_payload as u64) << 32 | previous_crc_header as u64;
    let mut mixed = previous_chain.rotate_left(29) ^ record;
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    mixed ^ (mixed >> 33)
}

/// What a log file starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct LogHeader {
    /// [`LOG_MAGIC`].
    pub magic: [u8; 8],
    /// [`LOG_VERSION`].
    pub version: U32,
    /// [`RECORDS_START`], so that a tool finds the records of a later layout.
    pub records_start: U32,
    /// Partition that the log belongs to.
    pub group: U64,
    /// Start of the process that made the file.
    pub boot: U64,
    /// Bytes of the whole file.
    pub capacity: U64,
    /// Number of the first record.
    pub first_number: U64,
    /// Chain value of the first record where others in segments come before it; 0 in a log that begins the journal.
    pub first_chain: U64,
    /// Zero.
    pub reserved: [u8; 4],
    /// CRC32C of all before it.
    pub crc: U32,
}
const _: () = assert!(size_of::<LogHeader>() == 64);
const _: () = assert!(size_of::<LogHeader>() <= RECORDS_START);
const CRC_LOG_COVERS: usize = size_of::<LogHeader>() - size_of::<U32>();

/// Why bytes do not start a log file of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogError {
    /// Too short, or other first bytes: not a log.
    NotALog,
    /// A layout of another version.
    Version(u32),
    /// The checksum does not match, or the first number is none.
    Checksum,
}

impl core::fmt::Display for LogError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LogError::NotALog => f.write_str("not a log file"),
            LogError::Version(version) => write!(f, "log file layout version {version} is not known"),
            LogError::Checksum => f.write_str("the file header's checksum does not match"),
        }
    }
}

impl std::error::Error for LogError {}

/// Whether a record can have this number.
pub const fn is_number(number: u64) -> bool {
    1 <= number && number <= NUMBER_MAX
}

impl LogHeader {
    /// The header of a new file of `capacity` bytes whose first record will be number 1.
    pub fn new(group: u64, boot: u64, capacity: u64) -> LogHeader {
        let mut header = LogHeader {
            magic: LOG_MAGIC,
            version: U32::new(LOG_VERSION),
            records_start: U32::new(RECORDS_START as u32),
            group: U64::new(group),
            boot: U64::new(boot),
            capacity: U64::new(capacity),
            first_number: U64::new(1),
            first_chain: U64::ZERO,
            reserved: [0; 4],
            crc: U32::ZERO,
        };
        header.crc = U32::new(header.checksum());
        header
    }

    /// The same for a file that goes on where segments end.
    #[must_use]
    pub fn following(mut self, link: Link) -> LogHeader {
        (self.first_number, self.first_chain) = (U64::new(link.number), U64::new(link.chain));
        self.crc = U32::new(self.checksum());
        self
    }

    /// From the front of a file.
    /// # Errors
    /// See [`LogError`]. The version is judged before the checksum, whose place a later layout may move.
    pub fn parse(bytes: &[u8]) -> Result<LogHeader, LogError> {
        let (header, _) = LogHeader::read_from_prefix(bytes).map_err(|_| LogError::NotALog)?;
        if header.magic != LOG_MAGIC {
            return Err(LogError::NotALog);
        }
        if header.version.get() != LOG_VERSION {
            return Err(LogError::Version(header.version.get()));
        }
        let is_sound = header.checksum() == header.crc.get() && is_number(header.first_number.get());
        if !is_sound || header.records_start.get() as usize != RECORDS_START {
            return Err(LogError::Checksum);
        }
        Ok(header)
    }

    /// What the file's first record must carry. In a log that begins its journal the chain value comes from this
    /// header, so a record of another file, or of an earlier file of the same name, does not follow it; in one that
    /// follows segments it is theirs, also where these have no record yet.
    pub fn link(&self) -> Link {
        let begun = || chain(self.group.get(), LOG_VERSION, self.crc.get());
        let chain = if self.first_chain.get() == 0 { begun() } else { self.first_chain.get() };
        Link { number: self.first_number.get(), chain }
    }

    fn checksum(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..CRC_LOG_COVERS])
    }
}
