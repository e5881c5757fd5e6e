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
//! A log is a ring. "The end" is then the oldest record, a lap later: where the break has gone all the way round, the log
//! is full and nothing is left to judge. The oldest record and its chain value stand in the marks of the first page,
//! so that a record of a lap before is not taken for one that counts. A process that died while it let records go may
//! leave some of them, whole or in part, in the slots that the newest mark names; they are in segments and are cleared
//! here without a word. That holds only with both marks sound: where one is damaged, nobody knows whether the writer had
//! been given those slots already, and what stands there is judged like the rest.
//!
//! Cold. The log is held by its lock from here until the writer that continues it goes.

use super::LogOptions;
use super::RECORD_BYTES;
use super::fault::JournalFault;
use super::reader::{LogReader, Page, read_page};
use super::release::{clear_record, settle_marks};
use super::slots::Slots;
use super::walk::{Break, Position, Walk};
use crate::os::mapped::Mapped;
use crate::wire::log_mark::LogMark;
use crate::wire::record::{ALIGNMENT, Link, LogHeader};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Quarantine files kept beside a log. So many torn tails in one log mean that something else is wrong.
const QUARANTINES_MAX: usize = 1_000;

/// The end of a verified log, and the right to continue it.
#[derive(Debug)]
pub struct Tail {
    pub(super) memory: Arc<Mapped>,
    pub(super) header: LogHeader,
    pub(super) slots: Slots,
    pub(super) mark: LogMark,
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
    /// Bytes up to the last that is not zero, in whole lines; in a log they go on over the ring's end.
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

    /// What the oldest record of the log carries, or the next one when it has none.
    pub fn first_link(&self) -> Link {
        self.mark.link()
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
/// Gives a reader at the oldest record, for replay, and the tail, for [`super::LogWriter::resume`].
/// # Errors
/// Any [`JournalFault`]; the log is as it was.
pub fn recover(options: &LogOptions, group: u64) -> Result<(LogReader, Tail), JournalFault> {
    let path = &options.path;
    let (memory, page) = take(path, Some(group))?;
    let Surveyed { mut state, next, rest, left_over } = survey(&memory, &page, path)?;
    if let TailState::Torn(torn) = &mut state {
        let bytes = torn_bytes(&memory, &rest, torn.bytes);
        torn.quarantine = Some(quarantine(path, &bytes).map_err(JournalFault::io("keep the torn tail of", path))?);
        clear(&memory, &rest, torn.bytes);
    }
    let newest = page.marks.newest;
    let mark = if page.marks.are_whole && newest.cleared == newest.first_number {
        newest
    } else {
        let slots = left_over.into_iter().flat_map(|range| range.step_by(RECORD_BYTES));
        slots.for_each(|at| clear_record(&memory, at));
        settle_marks(&memory, newest.generation.get() + 1, newest.link())
    };
    let Page { header, slots, .. } = page;
    let reader = LogReader::over(Arc::clone(&memory), (header, slots), mark.link(), path);
    Ok((reader, Tail { memory, header, slots, mark, next, state }))
}

/// Verifies a log that nobody writes and says how it ends; changes nothing. With it the number of the last record.
/// # Errors
/// As [`recover`].
pub fn verify(path: &Path) -> Result<(u64, TailState), JournalFault> {
    let (memory, page) = take(path, None)?;
    let Surveyed { state, next, .. } = survey(&memory, &page, path)?;
    Ok((next.link.number - 1, state))
}

/// Opens a log under its lock and checks whose it is.
fn take(path: &Path, group: Option<u64>) -> Result<(Arc<Mapped>, Page), JournalFault> {
    let memory = Mapped::open(path, true).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => JournalFault::NotALog { path: path.to_path_buf(), why: "it is empty" },
        _ => JournalFault::io("open the log", path)(error),
    })?;
    let page = read_page(&memory, path)?;
    let found = page.header.group.get();
    match group {
        Some(expected) if expected != found => Err(JournalFault::Foreign { path: path.to_path_buf(), expected, found }),
        _ => Ok((Arc::new(memory), page)),
    }
}

/// A log read to its end.
struct Surveyed {
    state: TailState,
    next: Position,
    /// What stands from the break on, in its order.
    rest: [Range<usize>; 3],
    /// Slots whose records were being let go.
    left_over: [Range<usize>; 2],
}

/// Reads to the break and says what it is. Nobody writes while the lock is ours.
fn survey(memory: &Arc<Mapped>, page: &Page, path: &Path) -> Result<Surveyed, JournalFault> {
    let &Page { slots, marks, .. } = page;
    let first = marks.newest.link();
    // A lap after the oldest record, and after the oldest that may have left something.
    let lap = first.number + slots.count();
    let cleared = if marks.are_whole { marks.newest.cleared.get() } else { first.number };
    let strict = cleared + slots.count();
    if strict < first.number {
        return Err(JournalFault::NotALog { path: path.to_path_buf(), why: "its marks are of another log" });
    }
    let mut walk = Walk::around(Arc::clone(memory), slots, first);
    let published = walk.walk_to_break(lap, |_| {})?;
    let next = walk.position();
    let [front, back] = slots.stretches(next.link.number, strict.max(next.link.number));
    // Less than a record, behind the slots; nobody ever writes there.
    let rest = [front, back, slots.end()..memory.len()];
    let bytes = rest.clone().map(|range| memory.published(range.start, range.len()));
    let published = published && next.link.number < strict;
    let Break { at, bytes, published, writing_went_on } = walk.judge(published, &bytes.each_ref().map(|b| &**b));
    if writing_went_on {
        return Err(walk.damaged());
    }
    let torn = Torn { at, bytes, published, quarantine: None };
    let state = if bytes == 0 { TailState::Clean } else { TailState::Torn(torn) };
    Ok(Surveyed { state, next, rest, left_over: slots.stretches(strict.max(next.link.number), lap) })
}

/// The first `bytes` of what stands in `rest`, in a piece.
fn torn_bytes(memory: &Mapped, rest: &[Range<usize>], bytes: usize) -> Vec<u8> {
    let mut torn: Vec<u8> =
        rest.iter().flat_map(|range| memory.published(range.start, range.len())).copied().take(bytes).collect();
    torn.shrink_to_fit();
    torn
}

/// Copies a torn tail beside its log and syncs the copy where that means something. Through a mapping, because hugetlbfs
/// knows no `write`; there the file ends in zeros up to a whole page.
fn quarantine(log: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = quarantine_path(log, "quarantine")?;
    let copy = Mapped::create(&path, bytes.len())?;
    copy.touch()?;
    copy.write(0, bytes);
    copy.file().map_or(Ok(()), |file| file.sync_all())?;
    Ok(path)
}

/// A name beside a file, with the first number that is free. Nobody else makes such names: the file's lock is ours.
pub(super) fn quarantine_path(file: &Path, suffix: &str) -> io::Result<PathBuf> {
    let name = |number| {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{suffix}-{number}"));
        PathBuf::from(name)
    };
    let free = (1..=QUARANTINES_MAX).map(name).find(|path| !path.exists());
    free.ok_or_else(|| io::Error::other("too many quarantine files are there already"))
}

/// Zeroes the first `bytes` of what stands in `rest`. Dying in the middle leaves a shorter one, which the next start treats
/// alike.
fn clear(memory: &Mapped, rest: &[Range<usize>], mut bytes: usize) {
    const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
    for range in rest {
        let torn = bytes.min(range.len());
        for offset in (0..torn).step_by(ALIGNMENT) {
            memory.write(range.start + offset, &ZEROS[..ALIGNMENT.min(torn - offset)]);
        }
        bytes -= torn;
    }
}
