//! [`LogReader`]: reads a log from its oldest record, or from where somebody stopped; what it checks is in [`super::walk`].
//!
//! A log may be growing while it is read: the end is simply where no length is stored yet, and a later call goes on
//! from there. It may also let its oldest records go: a reader that opened the file by its path and comes too late is
//! told so (`Gone`). What bytes beyond the end mean is not decided here but in recovery, which has the log for itself.

use super::RECORD_BYTES;
use super::fault::JournalFault;
use super::slots::Slots;
use super::walk::{RecordView, Walk};
use crate::os::mapped::Mapped;
use crate::types::Sequenced;
use crate::wire::log_mark::{LOG_MARK_BYTES, LogMarks};
use crate::wire::record::{Link, LogError, LogHeader, RECORDS_START};
use crate::wire::segment::MARKS_AT;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads records in order.
#[derive(Debug)]
pub struct LogReader {
    walk: Walk,
    header: LogHeader,
    path: PathBuf,
}

impl LogReader {
    /// Opens a log, living or dead, for reading only.
    /// # Errors
    /// `Io`, or `NotALog` for a file that is none, was cut short, or has a damaged first page.
    pub fn open(path: &Path) -> Result<LogReader, JournalFault> {
        let memory = Mapped::open(path, false).map_err(|error| open_fault(path, error))?;
        let (page, memory) = (read_page(&memory, path)?, Arc::new(memory));
        let walk = Walk::around(memory, page.slots, page.marks.newest.link()).beside_a_writer();
        Ok(LogReader { walk, header: page.header, path: path.to_path_buf() })
    }

    /// Over a mapping whose header was read, from the record on that `link` announces. Nobody lets records go that it
    /// has not read.
    pub(super) fn over(memory: Arc<Mapped>, page: (LogHeader, Slots), link: Link, path: &Path) -> LogReader {
        let (header, slots) = page;
        LogReader { walk: Walk::around(memory, slots, link), header, path: path.to_path_buf() }
    }

    /// The next record; `None` at the end, where a later call may find more.
    /// # Errors
    /// `Damaged` or `Unknown`, for the record at [`LogReader::tail`]; a further call gives the same. `Gone` when the log
    /// was opened by its path and has let that record go.
    #[allow(clippy::should_implement_trait, reason = "an iterator of results would invite going on after a fault")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Sequenced>, JournalFault> {
        Ok(self.next_view()?.map(|view| view.record))
    }

    /// As [`LogReader::next`], with the record's header.
    /// # Errors
    /// The same.
    #[inline]
    pub fn next_view(&mut self) -> Result<Option<RecordView>, JournalFault> {
        self.walk.next_view()
    }

    /// Bytes of the records read since it stood at `began`, which whoever follows the log passes on as they stand. They
    /// are good until somebody lets them go.
    /// # Panics
    /// When the reader has gone over the ring's end since: see [`LogReader::in_a_stretch`].
    pub fn bytes_since(&self, began: usize, records: usize) -> &[u8] {
        self.walk.memory().published(began, records * RECORD_BYTES)
    }

    /// Records that stand one behind the other from here on, whether they are there yet or not: up to the ring's end.
    pub fn in_a_stretch(&self) -> usize {
        self.walk.in_a_stretch()
    }

    /// Where the next record is expected, in bytes from the beginning of the file.
    pub fn tail(&self) -> usize {
        self.walk.position().at
    }

    /// The number it must have.
    pub fn number_next(&self) -> u64 {
        self.walk.position().link.number
    }

    /// The log's header: group, boot, size.
    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the next record must carry.
    pub fn link(&self) -> Link {
        self.walk.position().link
    }
}

/// Opening for reading takes no lock, so that only an empty file has a word of its own.
fn open_fault(path: &Path, error: std::io::Error) -> JournalFault {
    match error.kind() {
        std::io::ErrorKind::InvalidData => JournalFault::NotALog { path: path.to_path_buf(), why: "it is empty" },
        _ => JournalFault::io("open the log", path)(error),
    }
}

/// What the first page of a log says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub header: LogHeader,
    pub slots: Slots,
    pub marks: LogMarks,
}

/// The first page of a log, every byte checked.
pub(super) fn read_page(memory: &Mapped, path: &Path) -> Result<Page, JournalFault> {
    let refuse = |why| Err(JournalFault::NotALog { path: path.to_path_buf(), why });
    if memory.len() < RECORDS_START {
        return refuse("it is shorter than a header");
    }
    let mut page = [0u8; RECORDS_START];
    memory.read(0, &mut page);
    let header = match LogHeader::parse(&page) {
        Ok(header) => header,
        Err(LogError::NotALog) => return refuse("it does not begin like one"),
        Err(LogError::Version(_)) => return refuse("its layout is of another version"),
        Err(LogError::Checksum) => return refuse("its header is damaged"),
    };
    let marks = LogMarks::parse(&page).or_else(|| super::walk::living_marks(memory));
    page[..size_of::<LogHeader>()].fill(0);
    MARKS_AT.into_iter().for_each(|at| page[at..at + LOG_MARK_BYTES].fill(0));
    if page.iter().any(|byte| *byte != 0) {
        return refuse("its first page is damaged");
    }
    if header.capacity.get() != memory.len() as u64 {
        return refuse("its size is not what it was made with");
    }
    match (Slots::of(&header), marks) {
        (None, _) => refuse("its size leaves no room for a record"),
        (_, None) => refuse("both its marks are damaged"),
        (_, Some(marks)) if marks.newest.cleared.get() < header.first_number.get() => {
            refuse("its marks are of another log")
        }
        (Some(slots), Some(marks)) => Ok(Page { header, slots, marks }),
    }
}
