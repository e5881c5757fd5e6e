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

use super::disk::{self, Disk, SystemDisk, home};
use super::fault::{JournalFault, disk_fault};
pub use super::names::{list, lock_path, segment_path};
use super::recovery::quarantine_path;
pub use super::stored::{Behind, Follower, Found, find, first_there, last_number_at_least};
pub use super::survey::survey;
use super::survey::survey_after;
use super::{TailState, Torn};
use crate::types::Sequenced;
use crate::wire::record::Link;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

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
