//! The segments of a directory, as they are found: each verified, in its place, and the last one's end judged.
//!
//! Segments are files `segment-NNNNNNNN`, counted from 1, each full but the last. A journal is all of them or none: a
//! segment that is missing, of another partition, of another journal, in another's place or damaged is refused with
//! its own words, and nothing is changed. The last one may end in a write that a loss of power cut off. Its marks tell
//! that from damage: what was synced before the group under way must be there to the last byte; of the group itself
//! the sound beginning counts; and where anything stands behind the group, a later one had begun, so that this one
//! was synced, too. Damage inside the very last group before a loss of power, and nowhere else, cannot be told from
//! a write cut off; a log of the same boot or a replica can.
//!
//! Cold. [`Segments::take`] holds the directory by its lock from then on; [`survey`] only looks.

use super::fault::JournalFault;
use super::recovery::quarantine;
use super::walk::{Break, Position, Walk};
use super::{RECORD_BYTES, TailState, Torn};
use crate::os::mapped::Mapped;
use crate::types::Sequenced;
use crate::wire::record::{Link, RECORDS_START};
use crate::wire::segment::{SegmentHeader, SegmentMark};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the name of a segment begins with.
const PREFIX: &str = "segment-";
/// Digits behind it.
const DIGITS: usize = 8;
/// What the name of a segment that is being prepared ends with.
pub(super) const PREPARED: &str = "new";

/// Where segment `number` is.
pub fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{number:0DIGITS$}"))
}

/// Where the directory's lock is.
pub fn lock_path(directory: &Path) -> PathBuf {
    directory.join("lock")
}

/// Number and file of each segment, in order.
/// # Errors
/// What the system says, but for there being no such directory, which has no segments.
pub fn list(directory: &Path) -> Result<Vec<(u64, PathBuf)>, JournalFault> {
    let fault = || JournalFault::io("read the directory", directory);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault())?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let digits = digits.filter(|text| text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit()));
        if let Some(number) = digits.and_then(|text| text.parse().ok()) {
            found.push((number, directory.join(name)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

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
}

/// A segment open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub walk: Walk,
    pub header: SegmentHeader,
    mark: SegmentMark,
    path: PathBuf,
}

impl Segment {
    pub fn open(path: &Path) -> Result<Segment, JournalFault> {
        let refuse = |why: String| JournalFault::Misplaced { path: path.to_path_buf(), why };
        let memory = Mapped::open(path, false).map_err(|error| match error.kind() {
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

    /// A walk's fault with the file it is about.
    pub fn damaged(&self) -> JournalFault {
        let Position { at, link } = self.walk.position();
        JournalFault::DamagedSegment { path: self.path.clone(), number: link.number, at }
    }
}

/// Verifies all segments of a directory, every record to `each` and every segment to `told`; changes nothing. `group`
/// is whose they must be, where that is known. Nobody may be writing.
/// # Errors
/// See [`JournalFault`].
pub fn survey(
    directory: &Path,
    group: Option<u64>,
    mut each: impl FnMut(&Sequenced),
    mut told: impl FnMut(&Found),
) -> Result<(), JournalFault> {
    let files = list(directory)?;
    // All places first: a copy at the end must not make the last real one look unfinished.
    for (index, (number, path)) in files.iter().enumerate() {
        in_sequence(directory, index as u64 + 1, *number)?;
        Segment::open(path)?.check_place(*number, group)?;
    }
    let mut expected = None;
    for (index, (number, path)) in files.iter().enumerate() {
        let mut segment = Segment::open(path)?;
        segment.check_follows(expected)?;
        let end = segment.walk.survey(&mut each)?;
        let state = segment.judge(end, index + 1 == files.len())?;
        let link = segment.walk.position().link;
        told(&Found {
            path: path.clone(),
            number: *number,
            first: segment.header.first_number.get(),
            end: link,
            at: end.at,
            bytes: segment.walk.memory().len(),
            state,
            generation: segment.mark.generation.get(),
        });
        expected = Some(link);
    }
    Ok(())
}

/// As [`survey`], for a directory that nobody writes, which is made sure of.
/// # Errors
/// `Busy`, and those of [`survey`].
pub fn verify(directory: &Path, group: Option<u64>, told: impl FnMut(&Found)) -> Result<(), JournalFault> {
    let path = lock_path(directory);
    let lock = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(JournalFault::io("open", &path))?),
    };
    match lock.as_ref().map(File::try_lock_shared) {
        Some(Err(TryLockError::WouldBlock)) => Err(JournalFault::Busy { path }),
        Some(Err(TryLockError::Error(error))) => Err(JournalFault::io("lock", &path)(error)),
        Some(Ok(())) | None => survey(directory, group, |_| {}, told),
    }
}

/// Whether the segment found is the one that comes next.
pub(super) fn in_sequence(directory: &Path, expected: u64, found: u64) -> Result<(), JournalFault> {
    if found == expected {
        return Ok(());
    }
    let why = format!("it is not there, but segment {found} is");
    Err(JournalFault::Misplaced { path: segment_path(directory, expected), why })
}

/// The segments of a directory, verified, and the right to go on writing them.
#[derive(Debug)]
pub struct Segments {
    pub(super) directory: PathBuf,
    pub(super) group: u64,
    /// Held for the lock, which goes with it, so also when the process dies.
    _lock: File,
    last: Option<Found>,
}

impl Segments {
    /// Takes the directory over, made if there is none: verifies all segments, every record to `each`, and cuts a torn
    /// end off the last one, which is kept beside it.
    /// # Errors
    /// `Busy` when a living process has it; any other [`JournalFault`], and then nothing was changed.
    pub fn take(directory: &Path, group: u64, each: impl FnMut(&Sequenced)) -> Result<Segments, JournalFault> {
        let lock = hold(directory)?;
        let mut last = None;
        survey(directory, Some(group), each, |found| last = Some(found.clone()))?;
        if let Some(found) = &mut last
            && let TailState::Torn(torn) = &mut found.state
        {
            cut(&found.path, torn)?;
        }
        Ok(Segments { directory: directory.to_path_buf(), group, _lock: lock, last })
    }

    /// The last segment; `None` when there is none.
    pub fn last(&self) -> Option<&Found> {
        self.last.as_ref()
    }

    /// What the next record must carry; `None` when there are no segments.
    pub fn end(&self) -> Option<Link> {
        self.last.as_ref().map(|found| found.end)
    }
}

/// Makes the directory if need be and takes its lock.
fn hold(directory: &Path) -> Result<File, JournalFault> {
    if !directory.exists() {
        let made = std::fs::create_dir_all(directory).and_then(|()| match directory.parent() {
            Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        });
        made.map_err(JournalFault::io("make the directory", directory))?;
    }
    let path = lock_path(directory);
    let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let lock = lock.map_err(JournalFault::io("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(JournalFault::Busy { path }),
        Err(TryLockError::Error(error)) => Err(JournalFault::io("lock", &path)(error)),
    }
}

/// Keeps a torn end beside its segment and puts zeros in its place. Dying in the middle leaves a shorter one, which the
/// next start treats alike.
fn cut(path: &Path, torn: &mut Torn) -> Result<(), JournalFault> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(JournalFault::io("open the segment", path))?;
    let mut bytes = vec![0; torn.bytes];
    file.read_exact_at(&mut bytes, torn.at as u64).map_err(JournalFault::io("read the torn end of", path))?;
    let kept = quarantine(path, "torn", &bytes).map_err(JournalFault::io("keep the torn end of", path))?;
    bytes.fill(0);
    let cleared = file.write_all_at(&bytes, torn.at as u64).and_then(|()| file.sync_data());
    cleared.map_err(JournalFault::io("clear the torn end of", path))?;
    torn.quarantine = Some(kept);
    Ok(())
}
