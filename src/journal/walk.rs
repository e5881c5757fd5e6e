//! Walks records in mapped memory and believes nothing it has not checked: what reading a log and reading a segment
//! have in common.
//!
//! Each step copies the next record out and then verifies the copy: length stored, both checksums, group, dense
//! number, chain, zero padding, and a payload that is a record of ours. Memory may be growing while it is read: the
//! end is simply where no length is stored yet, and a later step goes on from there. [`Walk::survey`] says what
//! stands beyond the end of memory that nobody writes.
//!
//! A segment is walked once, a log round and round ([`Slots`]). In a log the end may also be where the record of a lap
//! before still stands; and whoever only looks at a living one may find that what it wants has been let go meanwhile:
//! it is told so, and where to go on.

use super::fault::JournalFault;
use super::slots::Slots;
use super::{HEADED_BYTES, PAYLOAD_BYTES, RECORD_BYTES};
use crate::os::mapped::Mapped;
use crate::types::Sequenced;
use crate::wire::log_mark::{LOG_MARK_BYTES, LogMark, LogMarks};
use crate::wire::record::{ALIGNMENT, HEADER_BYTES, KIND_COMMAND, Link, Record, RecordError, RecordHeader};
use crate::wire::segment::MARKS_AT;
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
    /// The log has let the record expected go; the one with this number is the oldest it has.
    Gone { first: u64 },
    /// Something else.
    Broken,
}

/// Looks at a slot of a living log before what stands there counts as broken: it may have been cleared, and even written
/// anew, between the load of the length and the copy. Two looks see that; more only if a whole lap passed in between.
const LOOKS_MAX: u32 = 100;

/// What follows the last record that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Break {
    /// Where, in bytes from the beginning of the file.
    pub at: usize,
    /// Bytes from there up to the last that is not zero, in whole lines; 0 at a clean end. In a log they go on over the
    /// ring's end.
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
    /// The ring that a log is; `None` in a segment.
    ring: Option<Slots>,
    /// Whether somebody else may let records go that this walk has yet to read.
    may_be_lapped: bool,
}

impl Walk {
    /// Over a segment.
    pub fn new(memory: Arc<Mapped>, next: Position) -> Walk {
        Walk { memory, next, ring: None, may_be_lapped: false }
    }

    /// Over a log, from the record on that `link` announces.
    pub fn around(memory: Arc<Mapped>, ring: Slots, link: Link) -> Walk {
        let next = Position { at: ring.at(link.number), link };
        Walk { memory, next, ring: Some(ring), may_be_lapped: false }
    }

    /// For a log that somebody else may be writing and letting records go of.
    pub fn beside_a_writer(self) -> Walk {
        Walk { may_be_lapped: true, ..self }
    }

    /// The next record; `None` at the end, where a later call may find more.
    /// # Errors
    /// `Damaged` or `Unknown`, for the record at the present position; a further call gives the same. `Gone` for one
    /// that the log has let go.
    #[inline]
    pub fn next_view(&mut self) -> Result<Option<RecordView>, JournalFault> {
        match self.step() {
            Found::End => Ok(None),
            Found::Next(view) => Ok(Some(view)),
            Found::Unknown { kind, version } => Err(self.unknown(kind, version)),
            Found::Gone { first } => Err(JournalFault::Gone { number: self.next.link.number, first }),
            Found::Broken => Err(self.damaged()),
        }
    }

    /// Looks at the next position and, when the record expected stands there, moves past it.
    #[inline]
    fn step(&mut self) -> Found {
        let mut found = examine(&self.memory, self.next, self.ring);
        if self.may_be_lapped && matches!(found, Found::End | Found::Broken) {
            found = self.look_again(found);
        }
        if let Found::Next(view) = &found {
            let at = match self.ring {
                Some(ring) => ring.after(self.next.at),
                None => self.next.at + RECORD_BYTES,
            };
            self.next = Position { at, link: view.header.link() };
        }
        found
    }

    /// What a slot of a living log holds that does not hold the record expected.
    #[cold]
    fn look_again(&self, mut found: Found) -> Found {
        for _ in 0..LOOKS_MAX {
            // After the slot: what was let go was marked before it was cleared. See `Release::release`.
            match living_marks(&self.memory) {
                Some(marks) if marks.newest.first_number.get() > self.next.link.number => {
                    return Found::Gone { first: marks.newest.first_number.get() };
                }
                _ if !matches!(found, Found::Broken) => return found,
                _ => found = examine(&self.memory, self.next, self.ring),
            }
        }
        found
    }

    /// Reads to the break, every record to `each`, and says what is there. Nobody may be writing.
    /// # Errors
    /// `Unknown`.
    pub fn survey(&mut self, each: impl FnMut(&Sequenced)) -> Result<Break, JournalFault> {
        let published = self.walk_to_break(u64::MAX, each)?;
        let at = self.next.at;
        let rest = self.memory.published(at, self.memory.len() - at);
        Ok(self.judge(published, &[rest]))
    }

    /// Reads to the break or, without looking at it, to the record with the number `end`; says whether a length is
    /// stored where it stops. Nobody may be writing.
    /// # Errors
    /// `Unknown`.
    pub fn walk_to_break(&mut self, end: u64, mut each: impl FnMut(&Sequenced)) -> Result<bool, JournalFault> {
        while self.next.link.number < end {
            match self.step() {
                Found::Next(view) => each(&view.record),
                Found::End | Found::Gone { .. } => return Ok(false),
                Found::Broken => return Ok(true),
                Found::Unknown { kind, version } => return Err(self.unknown(kind, version)),
            }
        }
        Ok(false)
    }

    /// What a break at the present position means when `rest` is all that may stand from there on, in its order.
    pub fn judge(&self, published: bool, rest: &[&[u8]]) -> Break {
        // A record that fits here but for its payload is a write cut off; another one in its place is not.
        let expected = self.next.link;
        let misplaced = |bytes: &[u8]| sound_header(bytes).is_some_and(|header| !is_next(&header, expected));
        let used: Vec<usize> = rest.iter().map(|bytes| bytes_used(bytes)).collect();
        let sound = |index: usize, from: usize| {
            (from..used[index]).step_by(ALIGNMENT).any(|line| sound_header(&rest[index][line..]).is_some())
        };
        let writing_went_on = (0..rest.len()).any(|index| match index {
            0 => misplaced(rest[0]) || sound(0, ALIGNMENT),
            _ => sound(index, 0),
        });
        let last_used = used.iter().rposition(|used| *used > 0);
        let bytes =
            last_used.map_or(0, |last| rest[..last].iter().map(|bytes| bytes.len()).sum::<usize>() + used[last]);
        Break { at: self.next.at, bytes, published, writing_went_on }
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

    /// Records that stand one behind the other from the present position on, whether they are there yet or not.
    pub fn in_a_stretch(&self) -> usize {
        let end = self.ring.map_or(self.memory.len(), Slots::end);
        (end - self.next.at) / RECORD_BYTES
    }
}

/// The marks of a log that somebody may be writing at this moment: then one of them may look broken, and both only if
/// a whole release passed between the two copies.
pub(super) fn living_marks(memory: &Mapped) -> Option<LogMarks> {
    for _ in 0..LOOKS_MAX {
        let [a, b] = MARKS_AT.map(|at| {
            let mut bytes = [0; LOG_MARK_BYTES];
            memory.read(at, &mut bytes);
            LogMark::parse(&bytes)
        });
        if let Some(marks) = LogMarks::of(a, b) {
            return Some(marks);
        }
    }
    None
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
fn examine(memory: &Mapped, expected: Position, ring: Option<Slots>) -> Found {
    let Position { at, link } = expected;
    let room = memory.len().saturating_sub(at);
    // The length first. Pairs with the store in `LogWriter::append`: with it, all of the record is there. And with that
    // in `clear_record`: without it, the mark that allowed it is there.
    if room < HEADER_BYTES || memory.atomic_u32(at).load(Ordering::Acquire) == 0 {
        return Found::End;
    }
    let mut bytes = [0u8; RECORD_BYTES];
    let bytes = &mut bytes[..room.min(RECORD_BYTES)];
    memory.read(at, bytes);
    match Record::parse(bytes) {
        Ok(Some(record)) if record.follows(link).is_ok() => understand(&record, at),
        Ok(Some(record)) => another(record.header.number.get(), link.number, ring),
        // In good order, but longer than any record we know, or of a later layout.
        Err(RecordError::Truncated | RecordError::Version(_)) => match sound_header(bytes) {
            Some(header) if is_next(&header, link) => unknown(&header),
            _ => Found::Broken,
        },
        _ => Found::Broken,
    }
}

/// A sound record that is not the one expected. In a ring that of the lap before has not been let go yet.
#[cold]
fn another(found: u64, expected: u64, ring: Option<Slots>) -> Found {
    match ring {
        Some(ring) if found.checked_add(ring.count()) == Some(expected) => Found::End,
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
