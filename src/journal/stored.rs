//! One segment as it lies there, packed or not: opened, judged, walked; and who finds a place in them or follows them as
//! they grow. Cold.

use super::fault::JournalFault;
use super::names::{archive_path, is_archive, list, segment_path};
use super::packed;
use super::walk::{Break, Position, RecordView, Walk};
use super::{RECORD_BYTES, TailState, Torn};
use crate::os::mapped::Mapped;
use crate::wire::record::{Link, RECORDS_START};
use crate::wire::segment::{SegmentHeader, SegmentMark};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One segment as found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its place among the segments.
    pub number: u64,
    /// Number of its first record.
    pub first: u64,
    /// What the record after its last must carry.
    pub end: Link,
    /// Where that goes, in bytes from the beginning of the file.
    pub at: usize,
    /// Bytes of the file.
    pub bytes: usize,
    /// How it ended.
    pub state: TailState,
    pub(super) generation: u64,
    /// What its newest mark knows to be synced, in bytes from the beginning of the file.
    pub(super) synced: usize,
}

/// A segment open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub walk: Walk,
    pub header: SegmentHeader,
    pub mark: SegmentMark,
    path: PathBuf,
}

impl Segment {
    pub fn open(path: &Path) -> Result<Segment, JournalFault> {
        // A living venue may have packed it since its name was read.
        let archive = archive_path(path);
        let path = if !path.exists() && archive.exists() { &archive } else { path };
        let refuse = |why: String| JournalFault::Misplaced { path: path.to_path_buf(), why };
        let opened = if is_archive(path) { packed::read(path) } else { Mapped::open(path, false) };
        let memory = opened.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData if is_archive(path) => {
                refuse(format!("the archive cannot be unpacked: {error}"))
            }
            io::ErrorKind::InvalidData => refuse("it is empty".into()),
            _ => JournalFault::io("open the segment", path)(error),
        })?;
        let mut page = [0; RECORDS_START];
        let there = memory.len().min(RECORDS_START);
        memory.read(0, &mut page[..there]);
        let (header, mark) = SegmentHeader::parse(&page[..there]).map_err(|error| refuse(error.to_string()))?;
        if header.capacity.get() != memory.len() as u64 {
            return Err(refuse("its size is not what it was made with".into()));
        }
        let next = Position { at: RECORDS_START, link: header.link() };
        Ok(Segment { walk: Walk::new(Arc::new(memory), next), header, mark, path: path.to_path_buf() })
    }

    /// Whether it is segment `number` of `group`.
    pub fn check_place(&self, number: u64, group: Option<u64>) -> Result<(), JournalFault> {
        let found = self.header.group.get();
        if let Some(expected) = group.filter(|group| *group != found) {
            return Err(JournalFault::Foreign { path: self.path.clone(), expected, found });
        }
        let carried = self.header.number.get();
        if carried != number {
            let why = format!("it is segment {carried} by its header");
            return Err(JournalFault::Misplaced { path: self.path.clone(), why });
        }
        Ok(())
    }

    /// Whether its first record is the one that `expected` announces; `None` for the first segment of a journal.
    pub fn check_follows(&self, expected: Option<Link>) -> Result<(), JournalFault> {
        let first = self.header.link();
        let why = if expected.is_none() && first.number != 1 {
            format!("it is the first and begins with record {}; those before are missing", first.number)
        } else if expected.is_some_and(|link| link != first) {
            "it does not go on where the segment before it ends: one of the two is of another journal".into()
        } else {
            return Ok(());
        };
        Err(JournalFault::Misplaced { path: self.path.clone(), why })
    }

    /// What its end is, once the walk stands there. Only the last one may have room left or a torn end.
    pub fn judge(&self, found: Break, is_last: bool) -> Result<TailState, JournalFault> {
        let Break { at, bytes, published, .. } = found;
        let (synced, through) = (self.mark.synced.get(), self.mark.through.get());
        let is_full = self.walk.memory().len() - at < RECORD_BYTES;
        let later_began = (at as u64) < through && (at + bytes) as u64 > through;
        if (at as u64) < synced || later_began || !is_last && (!is_full || bytes > 0) {
            return Err(self.damaged());
        }
        let torn = Torn { at, bytes, published, quarantine: None };
        Ok(if bytes == 0 { TailState::Clean } else { TailState::Torn(torn) })
    }

    /// Reads up to the record that `link` announces, or to the end; gives what the record there must carry.
    pub fn walk_to(&mut self, link: Link) -> Result<Link, JournalFault> {
        while self.walk.position().link.number < link.number {
            match self.walk.next_view() {
                Ok(Some(_)) => {}
                // What is wrong there is judged with the marks.
                Ok(None) | Err(JournalFault::Damaged { .. }) => break,
                Err(other) => return Err(other),
            }
        }
        Ok(self.walk.position().link)
    }

    /// A walk's fault with the file it is about.
    pub fn damaged(&self) -> JournalFault {
        let Position { at, link } = self.walk.position();
        JournalFault::DamagedSegment { path: self.path.clone(), number: link.number, at }
    }
}

/// A place in the journal behind which a snapshot stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Behind {
    /// The segment that has, or will have, the record that comes next.
    pub(super) segment: u64,
    /// What that record must carry.
    pub(super) link: Link,
}

/// Finds the place that `link` announces. `None` where the segments do not have it: they end before, begin behind, or are
/// of another history.
/// # Errors
/// Any [`JournalFault`] about the one segment that is read.
pub fn find(directory: &Path, link: Link) -> Result<Option<Behind>, JournalFault> {
    for (number, path) in list(directory)?.into_iter().rev() {
        let mut segment = Segment::open(&path)?;
        if segment.header.first_number.get() <= link.number {
            let reached = segment.walk_to(link)?;
            return Ok((reached == link).then_some(Behind { segment: number, link }));
        }
    }
    Ok(None)
}

/// Follows segments that somebody is writing, as far as they are synced.
#[derive(Debug)]
pub struct Follower {
    directory: PathBuf,
    group: u64,
    current: Option<Segment>,
    /// The segment after the current one.
    number_next: u64,
    next: Option<Link>,
}

impl Follower {
    /// From behind a snapshot, or from the first record.
    pub fn new(directory: &Path, group: u64, behind: Option<Behind>) -> Follower {
        let number_next = behind.map_or(1, |behind| behind.segment);
        Follower {
            directory: directory.to_path_buf(),
            group,
            current: None,
            number_next,
            next: behind.map(|behind| behind.link),
        }
    }

    /// The next record, if its number is at most `synced`; `None` otherwise, and at the end of what is there.
    /// # Errors
    /// A record that is not as it was written, or a segment that does not belong where it is.
    pub fn next_view(&mut self, synced: u64) -> Result<Option<RecordView>, JournalFault> {
        if self.next.is_some_and(|next| next.number > synced) {
            return Ok(None);
        }
        loop {
            let Some(segment) = &mut self.current else {
                if !self.turn_to_next()? {
                    return Ok(None);
                }
                continue;
            };
            match segment.walk.next_view() {
                Ok(Some(view)) => {
                    self.next = Some(segment.walk.position().link);
                    return Ok(Some(view));
                }
                Err(JournalFault::Damaged { .. }) => return Err(segment.damaged()),
                Err(other) => return Err(other),
                Ok(None) if segment.walk.memory().len() - segment.walk.position().at >= RECORD_BYTES => {
                    return Ok(None);
                }
                Ok(None) => self.current = None,
            }
        }
    }

    /// What the next record must carry; `None` before the first one was seen.
    pub fn link(&self) -> Option<Link> {
        self.next
    }

    /// Opens the next segment; false where it is not there yet.
    fn turn_to_next(&mut self) -> Result<bool, JournalFault> {
        let plain = segment_path(&self.directory, self.number_next);
        let archive = archive_path(&plain);
        let Some(path) = [plain, archive].into_iter().find(|path| path.exists()) else { return Ok(false) };
        let mut segment = Segment::open(&path)?;
        segment.check_place(self.number_next, Some(self.group))?;
        if let Some(next) = self.next {
            // The first one may begin before the snapshot.
            if segment.walk_to(next)? != next {
                let why = "it does not go on where the records before it end".to_owned();
                return Err(JournalFault::Misplaced { path, why });
            }
        } else {
            segment.check_follows(None)?;
        }
        self.number_next += 1;
        self.current = Some(segment);
        Ok(true)
    }
}

/// The last record that the segments are sure to have by the marks of the last of them, without reading any; 0 for none.
/// # Errors
/// Any [`JournalFault`] about the last segment's first page.
pub fn last_number_at_least(directory: &Path) -> Result<u64, JournalFault> {
    let Some((_, path)) = list(directory)?.pop() else { return Ok(0) };
    let segment = Segment::open(&path)?;
    let synced = (segment.mark.synced.get() as usize).saturating_sub(RECORDS_START) / RECORD_BYTES;
    Ok(segment.header.first_number.get() + synced as u64 - 1)
}

/// Number of the first record of a segment.
/// # Errors
/// Any [`JournalFault`] about its first page.
pub(super) fn first_number(path: &Path) -> Result<u64, JournalFault> {
    Ok(Segment::open(path)?.header.first_number.get())
}

/// The place before the first segment that is there, where earlier ones were taken away because snapshots stand behind them.
/// # Errors
/// Any [`JournalFault`] about that segment's first page.
pub fn first_there(directory: &Path) -> Result<Option<Behind>, JournalFault> {
    match list(directory)?.into_iter().next() {
        Some((segment, path)) if segment > 1 => Ok(Some(Behind { segment, link: Segment::open(&path)?.header.link() })),
        Some(_) | None => Ok(None),
    }
}
