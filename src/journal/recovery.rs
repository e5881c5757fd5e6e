//! What the end of a log means, decided at start by whoever is going to write it.
//!
//! The first position that does not hold the next record is the break. There are three cases and no fourth:
//! - nothing but zeros from there to the end: the log ended cleanly (a killed process leaves this, too);
//! - something, but no header of any record in it: a write was cut off, the tail is **torn**. What stands there is
//!   copied to a quarantine file and cleared. A record cut off before its length was stored was never committed;
//! - a header in good order that is not the next record, at the break or at any later line: writing went on after
//!   it, so a record is broken or missing in the **middle**. Nothing is changed and the start is refused with the
//!   number: only a replica, or people, can say what stood there.
//!
//! Cold. The log is held by its lock from here until the writer that continues it goes.

use super::LogOptions;
use super::fault::JournalFault;
use super::reader::{LogReader, read_header};
use super::walk::{Break, Position, Walk};
use crate::os::mapped::Mapped;
use crate::wire::record::{ALIGNMENT, Link, LogHeader};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Quarantine files kept beside a log. So many torn tails in one log mean that something else is wrong.
const QUARANTINES_MAX: usize = 1_000;

/// The end of a verified log, and the right to continue it.
#[derive(Debug)]
pub struct Tail {
    pub(super) memory: Arc<Mapped>,
    pub(super) header: LogHeader,
    pub(super) next: Position,
    state: TailState,
}

/// How a log ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TailState {
    /// With its last record.
    Clean,
    /// In a write that was cut off.
    Torn(Torn),
}

/// A write that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// Where it began, in bytes from the beginning of the file.
    pub at: usize,
    /// Bytes up to the last that is not zero, in whole lines.
    pub bytes: usize,
    /// Whether a length was stored. Lengths are stored last, so that a process that died does not leave this: the
    /// record was committed once, and was damaged since or lost to a host that died.
    pub published: bool,
    /// The copy of what stood there; `None` where nothing was changed.
    pub quarantine: Option<PathBuf>,
}

impl Tail {
    /// How the log ended.
    pub fn state(&self) -> &TailState {
        &self.state
    }

    /// The number of the last record, 0 when there is none.
    pub fn last_number(&self) -> u64 {
        self.next.link.number - 1
    }

    /// What the next record must carry.
    pub fn link(&self) -> Link {
        self.next.link
    }

    /// What the first record had to.
    pub fn first_link(&self) -> Link {
        self.header.link()
    }

    /// Bytes of the file up to the end of the last record.
    pub fn at(&self) -> usize {
        self.next.at
    }

    /// The run of the host in which the log was made. When it is not the present one, the host died since, and what
    /// the log lost at its end may have been acknowledged.
    pub fn boot(&self) -> u64 {
        self.header.boot.get()
    }
}

/// Takes the log of `group` over: verifies every record, decides what its end means, clears a torn one.
/// Gives a reader at the first record, for replay, and the tail, for [`super::LogWriter::resume`].
/// # Errors
/// Any [`JournalFault`]; the log is as it was.
pub fn recover(options: &LogOptions, group: u64) -> Result<(LogReader, Tail), JournalFault> {
    let path = &options.path;
    let (mut reader, memory) = take(path, Some(group))?;
    let header = *reader.header();
    let mut state = survey(reader.walk())?;
    let next = reader.walk().position();
    if let TailState::Torn(torn) = &mut state {
        let kept = quarantine(path, "quarantine", memory.published(torn.at, torn.bytes));
        torn.quarantine = Some(kept.map_err(JournalFault::io("keep the torn tail of", path))?);
        clear(&memory, torn.at, torn.bytes);
    }
    let reader = LogReader::over(Arc::clone(&memory), header, path);
    Ok((reader, Tail { memory, header, next, state }))
}

/// Verifies a log that nobody writes and says how it ends; changes nothing. With it the number of the last record.
/// # Errors
/// As [`recover`].
pub fn verify(path: &Path) -> Result<(u64, TailState), JournalFault> {
    let (mut reader, _) = take(path, None)?;
    let state = survey(reader.walk())?;
    Ok((reader.number_next() - 1, state))
}

/// Opens a log under its lock and checks whose it is.
fn take(path: &Path, group: Option<u64>) -> Result<(LogReader, Arc<Mapped>), JournalFault> {
    let memory = Mapped::open(path, true).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => JournalFault::NotALog { path: path.to_path_buf(), why: "it is empty" },
        _ => JournalFault::io("open the log", path)(error),
    })?;
    let header = read_header(&memory, path)?;
    let found = header.group.get();
    match group {
        Some(expected) if expected != found => Err(JournalFault::Foreign { path: path.to_path_buf(), expected, found }),
        _ => {
            let memory = Arc::new(memory);
            Ok((LogReader::over(Arc::clone(&memory), header, path), memory))
        }
    }
}

/// Reads to the break and says what it is. Leaves the walk there. Nobody writes while the lock is ours.
fn survey(walk: &mut Walk) -> Result<TailState, JournalFault> {
    let Break { at, bytes, published, writing_went_on } = walk.survey(|_| {})?;
    if writing_went_on {
        return Err(walk.damaged());
    }
    let torn = Torn { at, bytes, published, quarantine: None };
    Ok(if bytes == 0 { TailState::Clean } else { TailState::Torn(torn) })
}

/// Copies a torn tail beside its file, under the first free number, and syncs the copy where that means something.
/// Through a mapping, because hugetlbfs knows no `write`; there the file ends in zeros up to a whole page.
pub(super) fn quarantine(file: &Path, suffix: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    for number in 1..=QUARANTINES_MAX {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{suffix}-{number}"));
        let path = PathBuf::from(name);
        match Mapped::create(&path, bytes.len()) {
            Ok(copy) => {
                copy.touch()?;
                copy.write(0, bytes);
                copy.file().map_or(Ok(()), |file| file.sync_all())?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many quarantine files are there already"))
}

/// Zeroes a torn tail. Dying in the middle leaves a shorter one, which the next start treats alike.
fn clear(memory: &Mapped, at: usize, bytes: usize) {
    const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
    for offset in (0..bytes).step_by(ALIGNMENT) {
        memory.write(at + offset, &ZEROS[..ALIGNMENT.min(bytes - offset)]);
    }
}
