//! [`LogReader`]: reads a log from its beginning, or from where somebody stopped; what it checks is in [`super::walk`].
//!
//! A log may be growing while it is read: the end is simply where no length is stored yet, and a later call goes on
//! from there. What bytes beyond the end mean is not decided here but in recovery, which has the log for itself.

use super::fault::JournalFault;
use super::walk::{Position, RecordView, Walk};
use crate::os::mapped::Mapped;
use crate::types::Sequenced;
use crate::wire::record::{Link, LogError, LogHeader, RECORDS_START};
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
        let header = read_header(&memory, path)?;
        Ok(LogReader::over(Arc::new(memory), header, path))
    }

    /// Over a mapping whose header was read.
    pub(super) fn over(memory: Arc<Mapped>, header: LogHeader, path: &Path) -> LogReader {
        let next = Position { at: RECORDS_START, link: header.link() };
        LogReader { walk: Walk::new(memory, next), header, path: path.to_path_buf() }
    }

    /// From the record that `link` announces, whose chain value the caller has seen to fit.
    pub(super) fn from(mut self, at: usize, link: Link) -> LogReader {
        self.walk = Walk::new(Arc::clone(self.walk.memory()), Position { at, link });
        self
    }

    /// The next record; `None` at the end, where a later call may find more.
    /// # Errors
    /// `Damaged` or `Unknown`, for the record at [`LogReader::tail`]; a further call gives the same.
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

    /// Bytes of records that were read: whoever follows the log passes them on as they stand.
    pub fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        assert!(range.end <= self.tail(), "only what was read is known to be published");
        self.walk.memory().published(range.start, range.len())
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

    pub(super) fn walk(&mut self) -> &mut Walk {
        &mut self.walk
    }
}

/// Opening for reading takes no lock, so that only an empty file has a word of its own.
fn open_fault(path: &Path, error: std::io::Error) -> JournalFault {
    match error.kind() {
        std::io::ErrorKind::InvalidData => JournalFault::NotALog { path: path.to_path_buf(), why: "it is empty" },
        _ => JournalFault::io("open the log", path)(error),
    }
}

/// The header of a log, checked in every byte of its page.
pub(super) fn read_header(memory: &Mapped, path: &Path) -> Result<LogHeader, JournalFault> {
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
    if page[size_of::<LogHeader>()..].iter().any(|byte| *byte != 0) {
        refuse("its first page is damaged")
    } else if header.capacity.get() != memory.len() as u64 {
        refuse("its size is not what it was made with")
    } else {
        Ok(header)
    }
}
