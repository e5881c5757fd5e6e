//! The mark of a clean stop: a small file beside the journal that names its last record. Cold.
//!
//! Written when everything is in its place: the last record's outputs have left, segments are synced. Taken away before
//! the next run appends anything. So a mark that is there says that the run before ended in order, and where: a journal
//! that now ends before that record, or in another one, has lost something since, which nothing else could tell. Without
//! a mark the run before died, or this is the first one; that is no fault.
//!
//! Deleting it loses that knowledge and no data.

use super::fault::JournalFault;
use crate::wire::record::Link;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const NAME: &str = "clean-stop";
const TITLE: &str = "pitlane clean stop";
/// Longest mark that is read: three short lines.
const BYTES_MAX: u64 = 256;

/// How the run before ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastStop {
    /// In order; what is there is what it left.
    Clean,
    /// Not in order, or there was none.
    Unknown,
}

fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

fn text(group: u64, next: Link) -> String {
    format!("{TITLE}\ngroup {group:016x}\nlast record {}, chain {:016x}\n", next.number - 1, next.chain)
}

/// Writes the mark of a journal of `group` that goes on with `next`; when it returns the mark outlives what the
/// directory outlives.
/// # Errors
/// `Io`.
pub fn write(directory: &Path, group: u64, next: Link) -> Result<(), JournalFault> {
    let written = || -> io::Result<()> {
        let unfinished = path(directory).with_extension("new");
        let mut file = File::create(&unfinished)?;
        file.write_all(text(group, next).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path(directory))?;
        File::open(directory)?.sync_all()
    };
    written().map_err(JournalFault::io("mark the clean stop in", directory))
}

/// Holds the mark in `directory` against a journal that goes on with `next`. Changes nothing.
/// # Errors
/// `AfterCleanStop` when the journal is not what the mark says, `Io` when the mark cannot be read.
pub fn check(directory: &Path, group: u64, next: Link) -> Result<LastStop, JournalFault> {
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
    if found == text(group, next) {
        return Ok(LastStop::Clean);
    }
    let says = found.lines().nth(2).unwrap_or("nothing that can be read");
    let why = format!(
        "it says that the last run ended in order with {says}; the journal ends with record {}, chain {:016x}: what is \
         missing was lost since. Bring it back, or delete this file to go on without",
        next.number - 1,
        next.chain
    );
    Err(JournalFault::AfterCleanStop { mark: path, why })
}

/// Takes the mark away, before anything is appended.
/// # Errors
/// `Io`.
pub fn forget(directory: &Path) -> Result<(), JournalFault> {
    let gone = match std::fs::remove_file(path(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(directory).and_then(|directory| directory.sync_all()),
    };
    gone.map_err(JournalFault::io("remove the mark of the last stop in", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: u64 = 7;
    const NEXT: Link = Link { number: 12, chain: 0xAB };

    #[test]
    fn a_journal_that_ends_where_the_mark_says_was_stopped_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let check = |next| check(directory.path(), GROUP, next);
        assert_eq!(check(NEXT).unwrap(), LastStop::Unknown);
        write(directory.path(), GROUP, NEXT).unwrap();
        assert_eq!(check(NEXT).unwrap(), LastStop::Clean);
        for other in [Link { number: 11, ..NEXT }, Link { number: 13, ..NEXT }, Link { chain: 1, ..NEXT }] {
            let refused = check(other).unwrap_err();
            assert!(refused.is_damage() && refused.to_string().contains("last record 11"), "{refused}");
        }
        forget(directory.path()).unwrap();
        forget(directory.path()).unwrap();
        assert_eq!(check(NEXT).unwrap(), LastStop::Unknown);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_mark_cut_or_changed_at_any_byte_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), GROUP, NEXT).unwrap();
        let good = std::fs::read(path(directory.path())).unwrap();
        let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
        bad.extend((0..good.len()).map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 0x80;
            bytes
        }));
        bad.push([good.clone(), vec![b'x'; 1 << 16]].concat());
        for bytes in bad {
            std::fs::write(path(directory.path()), &bytes).unwrap();
            assert!(check(directory.path(), GROUP, NEXT).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
