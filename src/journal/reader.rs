//! [`LogReader`]: walks a log from its beginning and believes nothing it has not checked.
//!
//! Each step copies the next record out and then verifies the copy: length stored, both checksums, group, dense
//! number, chain, zero padding, and a payload that is a record of ours. A log may be growing while it is read: the
//! end is simply where no length is stored yet, and a later call goes on from there. What bytes beyond the end mean
//! is not decided here but in recovery, which has the log for itself.

use super::fault::JournalFault;
use super::{HEADED_BYTES, PAYLOAD_BYTES, RECORD_BYTES};
use crate::os::mapped::Mapped;
use crate::types::Sequenced;
use crate::wire::record::{
    HEADER_BYTES, KIND_COMMAND, Link, LogError, LogHeader, RECORDS_START, Record, RecordError, RecordHeader,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zerocopy::{FromBytes, TryFromBytes};

/// Reads records in order.
#[derive(Debug)]
pub struct LogReader {
    memory: Arc<Mapped>,
    header: LogHeader,
    path: PathBuf,
    next: Position,
}

/// A record with all that stands around it, for inspection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordView {
    /// Where it stands, in bytes from the beginning of the file.
    pub at: usize,
    /// Its header as stored.
    pub header: RecordHeader,
    /// Its content.
    pub record: Sequenced,
}

/// Where a record is expected, and what makes it the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub at: usize,
    pub link: Link,
}

/// What stands at a position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// No length is stored, or the file ends: the log goes to here.
    End,
    /// The record expected.
    Next(RecordView),
    /// A record in good order, of the kind and version told, that this program cannot read.
    Unknown { kind: u16, version: u16 },
    /// Something else.
    Broken,
}

impl LogReader {
    /// Opens a log, living or dead, for reading only.
    /// # Errors
    /// `Io`, or `NotALog` for a file that is none, was cut short, or has a damaged first page.
    pub fn open(path: &Path) -> Result<LogReader, JournalFault> {
        let memory = Mapped::open(path, false).map_err(|error| open_fault(path, error))?;
        let header = read_header(&memory, path)?;
        Ok(LogReader::over(Arc::new(memory), header, path))
    }

    /// Over a mapping whose header was read.
    pub(super) fn over(memory: Arc<Mapped>, header: LogHeader, path: &Path) -> LogReader {
        let next = Position { at: RECORDS_START, link: header.link() };
        LogReader { memory, header, path: path.to_path_buf(), next }
    }

    /// The next record; `None` at the end, where a later call may find more.
    /// # Errors
    /// `Damaged` or `Unknown`, for the record at [`LogReader::tail`]; a further call gives the same.
    #[allow(clippy::should_implement_trait, reason = "an iterator of results would invite going on after a fault")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Sequenced>, JournalFault> {
        Ok(self.next_view()?.map(|view| view.record))
    }

    /// As [`LogReader::next`], with the record's header.
    /// # Errors
    /// The same.
    #[inline]
    pub fn next_view(&mut self) -> Result<Option<RecordView>, JournalFault> {
        match self.step() {
            Found::End => Ok(None),
            Found::Next(view) => Ok(Some(view)),
            Found::Unknown { kind, version } => Err(self.unknown(kind, version)),
            Found::Broken => Err(JournalFault::Damaged { number: self.next.link.number, at: self.next.at }),
        }
    }

    /// Looks at the next position and, when the record expected stands there, moves past it.
    #[inline]
    pub(super) fn step(&mut self) -> Found {
        let found = examine(&self.memory, self.next);
        if let Found::Next(view) = &found {
            self.next = Position { at: self.next.at + RECORD_BYTES, link: view.header.link() };
        }
        found
    }

    /// The fault of a record at the next position that this program cannot read.
    pub(super) fn unknown(&self, kind: u16, version: u16) -> JournalFault {
        JournalFault::Unknown { number: self.next.link.number, at: self.next.at, kind, version }
    }

    /// Where the next record is expected, in bytes from the beginning of the file.
    pub fn tail(&self) -> usize {
        self.next.at
    }

    /// The number it must have.
    pub fn number_next(&self) -> u64 {
        self.next.link.number
    }

    /// The log's header: group, boot, size.
    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn position(&self) -> Position {
        self.next
    }
}

/// Opening for reading takes no lock, so that only an empty file has a word of its own.
fn open_fault(path: &Path, error: std::io::Error) -> JournalFault {
    match error.kind() {
        std::io::ErrorKind::InvalidData => JournalFault::NotALog { path: path.to_path_buf(), why: "it is empty" },
        _ => JournalFault::io("open the log", path)(error),
    }
}

/// The header of a log, checked in every byte of its page.
pub(super) fn read_header(memory: &Mapped, path: &Path) -> Result<LogHeader, JournalFault> {
    let refuse = |why| Err(JournalFault::NotALog { path: path.to_path_buf(), why });
    if memory.len() < RECORDS_START {
        return refuse("it is shorter than a header");
    }
    let mut page = [0u8; RECORDS_START];
    memory.read(0, &mut page);
    let header = match LogHeader::parse(&page) {
        Ok(header) => header,
        Err(LogError::NotALog) => return refuse("it does not begin like one"),
        Err(LogError::Version(_)) => return refuse("its layout is of another version"),
        Err(LogError::Checksum) => return refuse("its header is damaged"),
    };
    if page[size_of::<LogHeader>()..].iter().any(|byte| *byte != 0) {
        refuse("its first page is damaged")
    } else if header.capacity.get() != memory.len() as u64 {
        refuse("its size is not what it was made with")
    } else {
        Ok(header)
    }
}

/// The header at the front of `bytes`, whatever record it is of, when its checksum holds: proof that somebody wrote
/// a record here.
pub(super) fn sound_header(bytes: &[u8]) -> Option<RecordHeader> {
    let (header, _) = RecordHeader::read_from_prefix(bytes).ok()?;
    match Record::parse(bytes) {
        Ok(Some(_)) | Err(RecordError::Version(_) | RecordError::PayloadChecksum | RecordError::Truncated) => {
            Some(header)
        }
        Ok(None) | Err(RecordError::HeaderChecksum | RecordError::TooLong(_)) => None,
        Err(RecordError::Number { .. } | RecordError::Chain) => unreachable!("parsing knows no record before"),
    }
}

/// Whether a header is that of the record `link` announces.
pub(super) fn is_next(header: &RecordHeader, link: Link) -> bool {
    Record { header, payload: &[] }.follows(link).is_ok()
}

/// Copies out what stands at a position and checks the copy.
#[inline]
fn examine(memory: &Mapped, expected: Position) -> Found {
    let Position { at, link } = expected;
    let room = memory.len() - at;
    // The length first. Pairs with the store in `LogWriter::append`: with it, all of the record is there.
    if room < HEADER_BYTES || memory.atomic_u32(at).load(Ordering::Acquire) == 0 {
        return Found::End;
    }
    let mut bytes = [0u8; RECORD_BYTES];
    let bytes = &mut bytes[..room.min(RECORD_BYTES)];
    memory.read(at, bytes);
    match Record::parse(bytes) {
        Ok(Some(record)) if record.follows(link).is_ok() => understand(&record, at),
        // In good order, but longer than any record we know, or of a later layout.
        Err(RecordError::Truncated | RecordError::Version(_)) => match sound_header(bytes) {
            Some(header) if is_next(&header, link) => unknown(&header),
            _ => Found::Broken,
        },
        _ => Found::Broken,
    }
}

/// Header and payload as one record, where this program has words for its kind and all its fields.
#[inline]
fn understand(found: &Record<'_>, at: usize) -> Found {
    let header = *found.header;
    if header.kind.get() != KIND_COMMAND || found.payload.len() != PAYLOAD_BYTES {
        return unknown(&header);
    }
    let mut bytes = [0u8; size_of::<Sequenced>()];
    bytes[..8].copy_from_slice(&header.number.get().to_le_bytes());
    bytes[8..HEADED_BYTES].copy_from_slice(&header.time.get().to_le_bytes());
    bytes[HEADED_BYTES..].copy_from_slice(found.payload);
    match Sequenced::try_read_from_bytes(&bytes) {
        Ok(record) => Found::Next(RecordView { at, header, record }),
        Err(_) => unknown(&header),
    }
}

fn unknown(header: &RecordHeader) -> Found {
    Found::Unknown { kind: header.kind.get(), version: header.version.get() }
}
