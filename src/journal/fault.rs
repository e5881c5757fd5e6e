//! What can be wrong with a journal. All of it stops the start: a venue that guesses at its own past trades on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a log cannot be made, read or continued.
#[derive(Debug)]
pub enum JournalFault {
    /// The system refused.
    Io {
        /// What was attempted.
        attempted: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its answer.
        error: io::Error,
    },
    /// Another process writes this log, or the segments of this directory.
    Busy {
        /// The log, or the directory's lock.
        path: PathBuf,
    },
    /// The file is not a log of ours, or its first page is damaged.
    NotALog {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        why: &'static str,
    },
    /// A log of another journal.
    Foreign {
        /// The log.
        path: PathBuf,
        /// The group asked for.
        expected: u64,
        /// The group it belongs to.
        found: u64,
    },
    /// A record that was written is broken, or one is missing. Nothing was changed.
    Damaged {
        /// The first number that cannot be read.
        number: u64,
        /// Where it should stand, in bytes from the beginning of the file.
        at: usize,
    },
    /// The same in a segment on disk.
    DamagedSegment {
        /// The segment.
        path: PathBuf,
        /// The first number that cannot be read.
        number: u64,
        /// Where it should stand.
        at: usize,
    },
    /// A segment that does not belong where it is, or one that is not there.
    Misplaced {
        /// The segment.
        path: PathBuf,
        /// What gave it away.
        why: String,
    },
    /// Log and segments, each sound, are not of one journal, or records between them are missing.
    Apart {
        /// The log.
        log: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The journal is not what a run that ended in order left.
    AfterCleanStop {
        /// The mark that run left.
        mark: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A record that is no longer in the log: it was let go while somebody read it. Nothing is wrong; it is in segments.
    Gone {
        /// The record wanted.
        number: u64,
        /// The oldest one that the log has.
        first: u64,
    },
    /// The disk refused to write or sync. Final: what a failed sync had to write may be lost while the next one
    /// succeeds.
    Disk {
        /// What was attempted.
        attempted: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Its answer.
        error: io::Error,
    },
    /// A record in good order that this version of the program cannot read.
    Unknown {
        /// Its number.
        number: u64,
        /// Where it stands.
        at: usize,
        /// Its kind.
        kind: u16,
        /// The version of its layout.
        version: u16,
    },
}

impl JournalFault {
    /// Whether the journal itself is at fault: what it must hold is broken, missing, misplaced or unknown.
    pub fn is_damage(&self) -> bool {
        match self {
            JournalFault::Damaged { .. }
            | JournalFault::DamagedSegment { .. }
            | JournalFault::Misplaced { .. }
            | JournalFault::Apart { .. }
            | JournalFault::AfterCleanStop { .. }
            | JournalFault::Unknown { .. } => true,
            JournalFault::Io { .. }
            | JournalFault::Busy { .. }
            | JournalFault::NotALog { .. }
            | JournalFault::Foreign { .. }
            | JournalFault::Gone { .. }
            | JournalFault::Disk { .. } => false,
        }
    }

    /// Wraps the system's answer; a lock that is held has a word of its own.
    pub(super) fn io(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalFault {
        let path = path.to_path_buf();
        move |error| match error.kind() {
            io::ErrorKind::WouldBlock => JournalFault::Busy { path },
            _ => JournalFault::Io { attempted, path, error },
        }
    }
}

impl fmt::Display for JournalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalFault::Io { attempted, path, error } if error.kind() == io::ErrorKind::StorageFull => write!(
                f,
                "cannot {attempted} {}: {error}; make room there (mount -o remount,size=2G /dev/shm, in a container \
                 --shm-size=2g), lower journal.log_mebibytes, or name another directory in journal.log",
                path.display()
            ),
            JournalFault::Io { attempted, path, error } => write!(f, "cannot {attempted} {}: {error}", path.display()),
            JournalFault::Busy { path } => write!(f, "another process writes {}", path.display()),
            JournalFault::NotALog { path, why } => write!(f, "{} is not a usable log: {why}", path.display()),
            JournalFault::Foreign { path, expected, found } => {
                write!(f, "{} belongs to group {found:#x}, not {expected:#x}", path.display())
            }
            JournalFault::Damaged { number, at } => {
                write!(f, "the journal is damaged: record {number}, at byte {at}, is broken or missing")
            }
            JournalFault::DamagedSegment { path, number, at } => {
                let path = path.display();
                write!(f, "the journal is damaged: record {number}, at byte {at} of {path}, is broken or missing")
            }
            JournalFault::Misplaced { path, why } => write!(f, "{} cannot be used: {why}", path.display()),
            JournalFault::Apart { log, why } => write!(f, "{} does not fit its segments: {why}", log.display()),
            JournalFault::AfterCleanStop { mark, why } => write!(f, "{}: {why}", mark.display()),
            JournalFault::Gone { number, first } => {
                write!(f, "record {number} has left the log for the segments; the oldest that the log has is {first}")
            }
            JournalFault::Disk { attempted, path, error } if error.kind() == io::ErrorKind::StorageFull => {
                write!(f, "the disk is full: cannot {attempted} {}: {error}; make room and start again", path.display())
            }
            JournalFault::Disk { attempted, path, error } => write!(
                f,
                "the disk failed: cannot {attempted} {}: {error}; it is not tried again, because a sync that succeeds \
                 after one that failed proves nothing",
                path.display()
            ),
            JournalFault::Unknown { number, at, kind, version } => {
                write!(f, "record {number}, at byte {at}, is of kind {kind} version {version}, unknown here")
            }
        }
    }
}

impl std::error::Error for JournalFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JournalFault::Io { error, .. } | JournalFault::Disk { error, .. } => Some(error),
            JournalFault::Busy { .. }
            | JournalFault::NotALog { .. }
            | JournalFault::Foreign { .. }
            | JournalFault::Damaged { .. }
            | JournalFault::DamagedSegment { .. }
            | JournalFault::Misplaced { .. }
            | JournalFault::Apart { .. }
            | JournalFault::AfterCleanStop { .. }
            | JournalFault::Gone { .. }
            | JournalFault::Unknown { .. } => None,
        }
    }
}

/// The log has no room for another record. An answer, not a fault: the sequencer stops taking input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogFull;

impl fmt::Display for LogFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log is full")
    }
}

impl std::error::Error for LogFull {}

/// A file beside the segments that the disk refused.
pub(super) fn disk_fault(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalFault {
    let path = path.to_path_buf();
    move |error| JournalFault::Disk { attempted, path, error }
}
