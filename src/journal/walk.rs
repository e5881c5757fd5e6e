//! Walks records in mapped memory and believes nothing it has not checked: what reading a log and reading a segment
//! have in common.
//!
//! Each step copies the next record out and then verifies the copy: length stored, both checksums, group, dense
//! number, chain, zero padding, and a payload that is a record of ours. Memory may be growing while it is read: the
//! end is simply where no length is stored yet, and a later step goes on from there. [`Walk::survey`] says what
//! stands beyond the end of memory that nobody writes.

use super::fault::JournalFault;
use super::{HEADED_BYTES, PAYLOAD_BYTES, RECORD_BYTES};
use crate::os::mapped::Mapped;
use crate::types::Sequenced;
use crate::wire::record::{ALIGNMENT, HEADER_BYTES, KIND_COMMAND, Link, Record, RecordError, RecordHeader};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zerocopy::{FromBytes, TryFromBytes};

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
enum Found {
    /// No length is stored, or the memory ends: the records go to here.
    End,
    /// The record expected.
    Next(RecordView),
    /// A record in good order, of the kind and version told, that this program cannot read.
    Unknown { kind: u16, version: u16 },
    /// Something else.
    Broken,
}

/// What follows the last record that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Break {
    /// Where, in bytes from the beginning of the file.
    pub at: usize,
    /// Bytes from there up to the last that is not zero, in whole lines; 0 at a clean end.
    pub bytes: usize,
    /// Whether a length is stored there.
    pub published: bool,
    /// Whether a record in good order stands there that is not the next one, or any behind it.
    pub writing_went_on: bool,
}

/// A place in mapped records, moving forward.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    memory: Arc<Mapped>,
    next: Position,
}

impl Walk {
    pub fn new(memory: Arc<Mapped>, next: Position) -> Walk {
        Walk { memory, next }
    }

    /// The next record; `None` at the end, where a later call may find more.
    /// # Errors
    /// `Damaged` or `Unknown`, for the record at the present position; a further call gives the same.
    #[inline]
    pub fn next_view(&mut self) -> Result<Option<RecordView>, JournalFault> {
        match self.step() {
            Found::End => Ok(None),
            Found::Next(view) => Ok(Some(view)),
            Found::Unknown { kind, version } => Err(self.unknown(kind, version)),
            Found::Broken => Err(self.damaged()),
        }
    }

    /// Looks at the next position and, when the record expected stands there, moves past it.
    #[inline]
    fn step(&mut self) -> Found {
        let found = examine(&self.memory, self.next);
        if let Found::Next(view) = &found {
            self.next = Position { at: self.next.at + RECORD_BYTES, link: view.header.link() };
        }
        found
    }

    /// Reads to the break, every record to `each`, and says what is there. Nobody may be writing.
    /// # Errors
    /// `Unknown`.
    pub fn survey(&mut self, mut each: impl FnMut(&Sequenced)) -> Result<Break, JournalFault> {
        let published = loop {
            match self.step() {
                Found::Next(view) => each(&view.record),
                Found::End => break false,
                Found::Broken => break true,
                Found::Unknown { kind, version } => return Err(self.unknown(kind, version)),
            }
        };
        let at = self.next.at;
        let rest = self.memory.published(at, self.memory.len() - at);
        let bytes = bytes_used(rest);
        // A record that fits here but for its payload is a write cut off; another one in its place is not.
        let misplaced = || sound_header(rest).is_some_and(|header| !is_next(&header, self.next.link));
        let behind = || (ALIGNMENT..bytes).step_by(ALIGNMENT).any(|line| sound_header(&rest[line..]).is_some());
        Ok(Break { at, bytes, published, writing_went_on: bytes > 0 && (misplaced() || behind()) })
    }

    /// The fault of the next position when the record that belongs there is broken or missing.
    pub fn damaged(&self) -> JournalFault {
        JournalFault::Damaged { number: self.next.link.number, at: self.next.at }
    }

    fn unknown(&self, kind: u16, version: u16) -> JournalFault {
        JournalFault::Unknown { number: self.next.link.number, at: self.next.at, kind, version }
    }

    pub fn position(&self) -> Position {
        self.next
    }

    pub fn memory(&self) -> &Arc<Mapped> {
        &self.memory
    }
}

/// The header at the front of `bytes`, whatever record it is of, when its checksum holds: proof that somebody wrote
/// a record here.
fn sound_header(bytes: &[u8]) -> Option<RecordHeader> {
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
fn is_next(header: &RecordHeader, link: Link) -> bool {
    Record { header, payload: &[] }.follows(link).is_ok()
}

/// Copies out what stands at a position and checks the copy.
#[inline]
fn examine(memory: &Mapped, expected: Position) -> Found {
    let Position { at, link } = expected;
    let room = memory.len().saturating_sub(at);
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

/// Bytes up to the last that is not zero, in whole lines.
fn bytes_used(rest: &[u8]) -> usize {
    // All of a chunk is looked at without a branch, which the compiler turns into wide instructions: a log is mostly
    // zeros, and this is what starting on a large one costs.
    let is_used = |chunk: &[u8]| chunk.iter().fold(0, |all, byte| all | byte) != 0;
    let chunks = rest.chunks(ALIGNMENT).rposition(is_used);
    chunks.map_or(0, |index| ((index + 1) * ALIGNMENT).min(rest.len()))
}
