//! The mark of a clean stop: a small file beside the journal that names its last record. Cold.
//!
//! Written when everything is in its place: the last record's outputs have left, segments are synced. Taken away before
//! the next run appends anything. So a mark that is there says that the run before ended in order, and where: a journal
//! that now ends before that record, or in another one, has lost something since, which nothing else could tell. Without
//! a mark the run before died, or this is the first one; that is no fault.
//!
//! The mark carries a checksum of its own, so that damage to it is told from a journal that lost its end. A damaged one is
//! refused all the same, because what it said is the only witness of that end; people may delete it. One without a checksum
//! is of an earlier version of the program. It counts as it did then: when all of it is what it had to be, which a checksum
//! could say no better, the stop was clean; else it is refused, because it may well be right.
//!
//! Deleting it loses that knowledge and no data.

use super::disk::Disk;
use super::fault::JournalFault;
use super::segment::disk_fault;
use crate::wire::record::Link;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "clean-stop";
const TITLE: &str = "pitlane clean stop";
/// What the last line begins with: CRC32C of the lines before it.
const CHECKSUM: &str = "checksum ";
/// Longest mark that is read: four short lines.
const BYTES_MAX: u64 = 256;

/// How the run before ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastStop {
    /// In order; what is there is what it left.
    Clean,
    /// Not in order, or there was none.
    Unknown,
}

/// Where the mark in a directory is.
pub fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// What a mark says of a journal of `group` that goes on with `next`.
fn said(group: u64, next: Link) -> String {
    format!("{TITLE}\ngroup {group:016x}\nlast record {}, chain {:016x}\n", next.number - 1, next.chain)
}

/// The group in what a mark says.
fn group_of(said: &str) -> Option<u64> {
    u64::from_str_radix(said.lines().nth(1)?.strip_prefix("group ")?, 16).ok()
}

/// The line under it.
fn checksum(said: &str) -> String {
    format!("{CHECKSUM}{:08x}\n", crc32c::crc32c(said.as_bytes()))
}

/// Writes the mark of a journal of `group` that goes on with `next`; when it returns the mark outlives what the
/// directory outlives.
/// # Errors
/// `Disk`.
pub fn write(directory: &Path, group: u64, next: Link, disk: &mut dyn Disk) -> Result<(), JournalFault> {
    let path = path(directory);
    let unfinished = path.with_extension("new");
    let said = said(group, next);
    let text = said.clone() + &checksum(&said);
    let mut written = || -> io::Result<()> {
        let file = disk.create(&unfinished)?;
        disk.write(&file, 0, text.as_bytes())?;
        disk.sync(&file)?;
        disk.rename(&unfinished, &path)?;
        disk.sync_names(directory)
    };
    written().map_err(disk_fault("mark the clean stop in", directory))
}

/// Holds the mark in `directory` against a journal that goes on with `next`, of `group` where that is known. Changes nothing.
/// # Errors
/// `AfterCleanStop` when the mark is damaged or the journal is not what it says, `Io` when it cannot be read.
pub fn check(directory: &Path, group: Option<u64>, next: Link) -> Result<LastStop, JournalFault> {
    let path = path(directory);
    let found = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LastStop::Unknown),
        other => other.and_then(|file| io::read_to_string(io::Read::take(file, BYTES_MAX))),
    };
    let found = match found {
        // Bytes that are no text are no mark of ours.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        other => other.map_err(JournalFault::io("read", &path))?,
    };
    let (says, sum) = found.split_at(found.find(CHECKSUM).unwrap_or(found.len()));
    let is_sound = sum == checksum(says);
    // Three lines, all of them whole.
    let is_of_before = sum.is_empty() && says.starts_with(TITLE) && says.lines().count() == 3 && says.ends_with('\n');
    let group = group.or_else(|| group_of(says)).unwrap_or(0);
    if says == said(group, next) && (is_sound || is_of_before) {
        return Ok(LastStop::Clean);
    }
    let last = says.lines().nth(2).unwrap_or("nothing that can be read");
    let journal = format!("the journal ends with record {}, chain {:016x}", next.number - 1, next.chain);
    let why = if is_sound || is_of_before {
        format!(
            "it says that the last run ended in order with {last}; {journal}: what is missing was lost since. Bring it \
             back, or delete this file to go on without"
        )
    } else {
        format!(
            "it is damaged: its lines come to {}, it says {:?}; {journal}, and whether the last run ended there is not \
             known. Delete this file to go on without knowing",
            checksum(says).trim_end(),
            sum.trim_end()
        )
    };
    Err(JournalFault::AfterCleanStop { mark: path, why })
}

/// Takes the mark away, before anything is appended. When it returns it does not come back with a loss of power, not even
/// one that an earlier start took away and did not get so far.
/// # Errors
/// `Disk`.
pub fn forget(directory: &Path, disk: &mut dyn Disk) -> Result<(), JournalFault> {
    let gone = match disk.remove(&path(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let gone = gone.and_then(|()| disk.sync_names(directory));
    gone.map_err(disk_fault("remove the mark of the last stop in", directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::SystemDisk;

    const GROUP: u64 = 7;
    const NEXT: Link = Link { number: 12, chain: 0xAB };

    fn marked() -> (tempfile::TempDir, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), GROUP, NEXT, &mut SystemDisk::plain()).unwrap();
        let good = std::fs::read(path(directory.path())).unwrap();
        (directory, good)
    }

    #[test]
    fn a_journal_that_ends_where_the_mark_says_was_stopped_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let check = |next| check(directory.path(), Some(GROUP), next);
        assert_eq!(check(NEXT).unwrap(), LastStop::Unknown);
        write(directory.path(), GROUP, NEXT, &mut SystemDisk::plain()).unwrap();
        assert_eq!(check(NEXT).unwrap(), LastStop::Clean);
        assert_eq!(super::check(directory.path(), None, NEXT).unwrap(), LastStop::Clean);
        assert!(super::check(directory.path(), Some(GROUP + 1), NEXT).is_err());
        for other in [Link { number: 11, ..NEXT }, Link { number: 13, ..NEXT }, Link { chain: 1, ..NEXT }] {
            let refused = check(other).unwrap_err();
            assert!(refused.is_damage() && refused.to_string().contains("in order with last record 11"), "{refused}");
        }
        forget(directory.path(), &mut SystemDisk::plain()).unwrap();
        forget(directory.path(), &mut SystemDisk::plain()).unwrap();
        assert_eq!(check(NEXT).unwrap(), LastStop::Unknown);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_mark_cut_or_changed_at_any_byte_is_refused_and_what_changed_is_told_from_a_journal_that_lost_its_end() {
        let (directory, good) = marked();
        let without_sum = std::str::from_utf8(&good).unwrap().find(CHECKSUM).unwrap();
        let mut bad: Vec<Vec<u8>> =
            (0..good.len()).filter(|length| *length != without_sum).map(|length| good[..length].to_vec()).collect();
        for bit in [0x01, 0x20, 0x80] {
            bad.extend((0..good.len()).map(|at| {
                let mut bytes = good.clone();
                bytes[at] ^= bit;
                bytes
            }));
        }
        bad.push([good.clone(), vec![b'x'; 1 << 16]].concat());
        bad.push([good.clone(), good.clone()].concat());
        for bytes in bad {
            std::fs::write(path(directory.path()), &bytes).unwrap();
            let refused = check(directory.path(), Some(GROUP), NEXT).unwrap_err();
            assert!(refused.is_damage() && refused.to_string().contains("it is damaged"), "{refused}");
        }
    }

    #[test]
    fn a_mark_of_an_earlier_version_without_a_checksum_counts_when_all_of_it_fits() {
        let (directory, good) = marked();
        let old =
            std::str::from_utf8(&good).unwrap().lines().take(3).fold(String::new(), |all, line| all + line + "\n");
        std::fs::write(path(directory.path()), &old).unwrap();
        assert_eq!(check(directory.path(), Some(GROUP), NEXT).unwrap(), LastStop::Clean);
        let refused = check(directory.path(), Some(GROUP), Link { number: 9, ..NEXT }).unwrap_err();
        assert!(refused.to_string().contains("in order with last record 11"), "{refused}");
        for at in 0..old.len() {
            let mut bytes = old.clone().into_bytes();
            bytes[at] ^= 0x01;
            std::fs::write(path(directory.path()), &bytes).unwrap();
            assert!(check(directory.path(), Some(GROUP), NEXT).is_err(), "byte {at}");
        }
    }
}
