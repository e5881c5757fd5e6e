//! [`History`]: the whole journal in order, segments first and then what only the log has, for replay and inspection.
//!
//! A log that begins with record 1 is the whole journal and is read alone; one that begins later goes on where the
//! segments end. Everything is read without taking it, so that a living exchange's journal can be looked at, too; the
//! end of the last segment is judged only where there is no log to go on with, because then nobody is writing. Cold.

use super::fault::JournalFault;
use super::segments::{self, Segment};
use super::{LogReader, RecordView};
use crate::wire::record::Link;
use crate::wire::segment::SEGMENT_MAGIC;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads records in order, wherever they are.
#[derive(Debug)]
pub struct History {
    segments: VecDeque<(u64, PathBuf)>,
    current: Option<Segment>,
    /// What the next record must carry, once it is known.
    expected: Option<Link>,
    log: Option<LogReader>,
    /// Whether the end of the last segment is held against its marks; not where somebody may be writing it.
    judges: bool,
}

impl History {
    /// One file alone, a log or a segment, whichever it is. Ends where its records do.
    /// # Errors
    /// Any [`JournalFault`].
    pub fn of_file(path: &Path) -> Result<History, JournalFault> {
        let mut history =
            History { segments: VecDeque::new(), current: None, expected: None, log: None, judges: false };
        if is_segment(path) {
            history.current = Some(Segment::open(path)?);
        } else {
            history.log = Some(LogReader::open(path)?);
        }
        Ok(history)
    }

    /// Opens the log at `log`, if there is one, and the segments in `directory`, if one is given.
    /// # Errors
    /// Any [`JournalFault`]; `Io` when there is neither log nor segment.
    pub fn open(log: &Path, directory: Option<&Path>) -> Result<History, JournalFault> {
        let segments = directory.map_or(Ok(Vec::new()), segments::list)?;
        let log = match LogReader::open(log) {
            Err(JournalFault::Io { error, .. })
                if error.kind() == std::io::ErrorKind::NotFound && !segments.is_empty() =>
            {
                None
            }
            other => Some(other?),
        };
        if log.as_ref().is_some_and(|log| log.number_next() == 1) {
            return Ok(History { segments: VecDeque::new(), current: None, expected: None, log, judges: false });
        }
        for (index, (number, _)) in segments.iter().enumerate() {
            segments::in_sequence(directory.unwrap_or(Path::new(".")), index as u64 + 1, *number)?;
        }
        let judges = log.is_none();
        let mut history = History { segments: segments.into(), current: None, expected: None, log, judges };
        match &history.log {
            Some(log) if history.segments.is_empty() => {
                let first = log.number_next();
                let why = format!("it begins with record {first}, and there are no segments with those before");
                return Err(JournalFault::Apart { log: log.path().to_path_buf(), why });
            }
            _ => history.turn_to_next()?,
        }
        Ok(history)
    }

    /// The next record; `None` at the end, where a later call may find more.
    /// # Errors
    /// Any [`JournalFault`] about a record that cannot be read.
    pub fn next_view(&mut self) -> Result<Option<RecordView>, JournalFault> {
        while let Some(segment) = &mut self.current {
            let is_last = self.segments.is_empty();
            match segment.walk.next_view() {
                Ok(Some(view)) => return Ok(Some(view)),
                Err(unknown @ JournalFault::Unknown { .. }) => return Err(unknown),
                // The last one: where it ends, well or not, the log goes on.
                Ok(None) | Err(_) if is_last && !self.judges => {}
                Ok(None) | Err(_) => {
                    let found = segment.walk.survey(|_| {})?;
                    segment.judge(found, is_last)?;
                }
            }
            self.expected = Some(segment.walk.position().link);
            self.turn_to_next()?;
        }
        self.log.as_mut().map_or(Ok(None), LogReader::next_view)
    }

    /// Opens the segment after the current one, or finds the place in the log.
    fn turn_to_next(&mut self) -> Result<(), JournalFault> {
        self.current = match self.segments.pop_front() {
            Some((number, path)) => {
                let segment = Segment::open(&path)?;
                segment.check_place(number, self.log.as_ref().map(|log| log.header().group.get()))?;
                segment.check_follows(self.expected)?;
                Some(segment)
            }
            None => None,
        };
        match (&self.current, &mut self.log, self.expected) {
            (None, Some(log), Some(end)) => go_on_in(log, end),
            _ => Ok(()),
        }
    }
}

/// Whether a file begins like a segment.
fn is_segment(path: &Path) -> bool {
    let mut magic = [0; SEGMENT_MAGIC.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == SEGMENT_MAGIC
}

/// Brings a log's reader to the record that comes after the segments.
/// # Errors
/// `Apart` when the log does not have the place, or another history before it.
pub fn go_on_in(log: &mut LogReader, end: Link) -> Result<(), JournalFault> {
    let apart = |log: &LogReader, why: String| Err(JournalFault::Apart { log: log.path().to_path_buf(), why });
    let first = log.number_next();
    if first > end.number {
        let (from, to) = (end.number, first - 1);
        return apart(log, format!("records {from} to {to} are in neither: the segments end before the log begins"));
    }
    while log.number_next() < end.number && log.next()?.is_some() {}
    let link = log.link();
    if link.number < end.number {
        let (log_last, last) = (link.number - 1, end.number - 1);
        return apart(
            log,
            format!("it ends with record {log_last}, the segments with record {last}: it is of an earlier time"),
        );
    }
    if link != end {
        return apart(log, format!("record {} of it is another than that of the segments", end.number - 1));
    }
    Ok(())
}
