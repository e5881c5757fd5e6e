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

use super::archive;
use super::disk::{self, Disk, SystemDisk, home};
use super::fault::JournalFault;
use super::recovery::quarantine_path;
use super::segment::disk_fault;
pub use super::survey::survey;
use super::survey::survey_after;
use super::walk::{Break, Position, RecordView, Walk};
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
/// What the name of a segment's archive ends with.
pub(super) const ARCHIVED_SUFFIX: &str = ".lz4";
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

/// Number and file of each segment, in order; where there is a segment and its archive, the segment: archiving it was cut
/// off before that was taken away.
/// # Errors
/// What the system says, but for there being no such directory, which has no segments.
pub fn list(directory: &Path) -> Result<Vec<(u64, PathBuf)>, JournalFault> {
    let mut found = numbered(directory, PREFIX, DIGITS, &["", ARCHIVED_SUFFIX])?;
    // By number, and of one number the shorter name first, which is the segment itself.
    found.sort_unstable();
    found.dedup_by_key(|(number, _)| *number);
    Ok(found)
}

/// Number and file of each name in a directory that is `prefix`, so many digits, and one of `suffixes`; in no order.
/// # Errors
/// What the system says, but for there being no such directory, which has none.
pub(super) fn numbered(
    directory: &Path,
    prefix: &str,
    digits_count: usize,
    suffixes: &[&str],
) -> Result<Vec<(u64, PathBuf)>, JournalFault> {
    let fault = || JournalFault::io("read the directory", directory);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault())?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let digits = rest.and_then(|rest| rest.split_at_checked(digits_count));
        let digits =
            digits.filter(|(text, suffix)| text.bytes().all(|b| b.is_ascii_digit()) && suffixes.contains(suffix));
        if let Some(number) = digits.and_then(|(text, _)| text.parse().ok()) {
            found.push((number, directory.join(name)));
        }
    }
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
        let opened = if is_archive(path) { archive::read(path) } else { Mapped::open(path, false) };
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

/// Verifies all segments, for a directory that nobody writes, which is made sure of; `after` where not all segments must be there.
/// # Errors
/// `Busy`, and any other [`JournalFault`].
pub fn verify(
    directory: &Path,
    group: Option<u64>,
    after: Option<Behind>,
    told: impl FnMut(&Found),
) -> Result<(), JournalFault> {
    let path = lock_path(directory);
    let lock = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(JournalFault::io("open", &path))?),
    };
    match lock.as_ref().map(File::try_lock_shared) {
        Some(Err(TryLockError::WouldBlock)) => Err(JournalFault::Busy { path }),
        Some(Err(TryLockError::Error(error))) => Err(JournalFault::io("lock", &path)(error)),
        Some(Ok(())) | None => survey_after(directory, group, after, |_| {}, told),
    }
}

/// Where the archive of a segment is.
pub(super) fn archive_path(segment: &Path) -> PathBuf {
    let mut name = segment.as_os_str().to_owned();
    name.push(ARCHIVED_SUFFIX);
    PathBuf::from(name)
}

/// Whether this is the name of an archive.
pub(super) fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ARCHIVED_SUFFIX.strip_prefix('.') == extension.to_str())
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
        Segments::take_after(Lock::hold(directory)?, group, None, &mut SystemDisk::plain(), each)
    }

    /// The same behind a snapshot, of a directory whose lock is held: only records behind it are verified, and go to `each`.
    /// # Errors
    /// As [`Segments::take`].
    pub fn take_after(
        lock: Lock,
        group: u64,
        after: Option<Behind>,
        disk: &mut dyn Disk,
        each: impl FnMut(&Sequenced),
    ) -> Result<Segments, JournalFault> {
        let Lock { directory, file: lock } = lock;
        let directory = directory.as_path();
        let mut last = None;
        survey_after(directory, Some(group), after, each, |found| last = Some(found.clone()))?;
        if let Some(found) = &mut last
            && let TailState::Torn(torn) = &mut found.state
        {
            cut(&found.path, torn, disk)?;
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

/// A directory of segments held against other processes.
#[derive(Debug)]
pub struct Lock {
    directory: PathBuf,
    file: File,
}

impl Lock {
    /// Takes it; makes the directory if need be.
    /// # Errors
    /// `Busy` when a living process has it; `Io`.
    pub fn hold(directory: &Path) -> Result<Lock, JournalFault> {
        Ok(Lock { directory: directory.to_path_buf(), file: hold(directory)? })
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
/// next start treats alike; a sync that fails leaves zeros that are in memory only, which the segments' writer knows.
fn cut(path: &Path, torn: &mut Torn, disk: &mut dyn Disk) -> Result<(), JournalFault> {
    let file = disk::open(path).map_err(JournalFault::io("open the segment", path))?;
    let mut bytes = vec![0; torn.bytes];
    file.read_exact_at(&mut bytes, torn.at as u64).map_err(JournalFault::io("read the torn end of", path))?;
    torn.quarantine = Some(keep(path, &bytes, disk).map_err(disk_fault("keep the torn end of", path))?);
    bytes.fill(0);
    let cleared = disk.write(&file, torn.at as u64, &bytes).and_then(|()| disk.sync(&file));
    cleared.map_err(disk_fault("clear the torn end of", path))
}

/// Copies what was torn beside its segment, under a name that nothing has.
fn keep(path: &Path, bytes: &[u8], disk: &mut dyn Disk) -> io::Result<PathBuf> {
    let kept = quarantine_path(path, "torn")?;
    let copy = disk.create(&kept)?;
    let written =
        disk.write(&copy, 0, bytes).and_then(|()| disk.sync(&copy)).and_then(|()| disk.sync_names(home(&kept)));
    if let Err(error) = written {
        let _ = disk.remove(&kept);
        return Err(error);
    }
    Ok(kept)
}
