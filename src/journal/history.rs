//! [`History`]: the whole journal in order, segments first and then what only the log has, for replay and inspection.
//!
//! A log that still has record 1 is the whole journal and is read alone; any other goes on where the segments end.
//! Everything is read without taking it, so that a living exchange's journal can be looked at, too. There the log lets
//! records go as soon as they are in segments: what it no longer has when its turn comes is read from there, and then
//! the log goes on. The end of the last segment is judged only where there is no log, because then nobody is writing. Cold.

use super::fault::JournalFault;
use super::names::{in_sequence, is_archive};
use super::segments;
use super::stored::Segment;
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
    directory: Option<PathBuf>,
    /// Segments still to be read.
    segments: VecDeque<(u64, PathBuf)>,
    /// The last one opened. It stays here while the log is read, for the case that the log has let go what comes next.
    current: Option<Segment>,
    /// What the next record must carry, once it is known.
    expected: Option<Link>,
    log: Option<LogReader>,
    /// Whether the log is read now.
    is_in_log: bool,
    /// Whether the end of the last segment is held against its marks; not where somebody may be writing it.
    judges: bool,
}

impl History {
    /// One file alone, a log or a segment, whichever it is. Ends where its records do.
    /// # Errors
    /// Any [`JournalFault`].
    pub fn of_file(path: &Path) -> Result<History, JournalFault> {
        let mut history = History::nothing();
        if is_archive(path) || is_segment(path) {
            history.current = Some(Segment::open(path)?);
        } else {
            history.log = Some(LogReader::open(path)?);
            history.is_in_log = true;
        }
        Ok(history)
    }

    fn nothing() -> History {
        History {
            directory: None,
            segments: VecDeque::new(),
            current: None,
            expected: None,
            log: None,
            is_in_log: false,
            judges: false,
        }
    }

    /// Opens the log at `log`, if there is one, and the segments in `directory`, if one is given.
    /// # Errors
    /// Any [`JournalFault`]; `Io` when there is neither log nor segment.
    pub fn open(log: &Path, directory: Option<&Path>) -> Result<History, JournalFault> {
        let log_path = log.to_path_buf();
        // The log first: what it lacks by then the directory has.
        let log = LogReader::open(log);
        let segments = directory.map_or(Ok(Vec::new()), segments::list)?;
        let log = match log {
            Err(JournalFault::Io { error, .. })
                if error.kind() == std::io::ErrorKind::NotFound && !segments.is_empty() =>
            {
                None
            }
            other => Some(other?),
        };
        let first = log.as_ref().map(LogReader::number_next);
        let judges = log.is_none();
        let directory = directory.map(Path::to_path_buf);
        let mut history = History { directory, log, judges, ..History::nothing() };
        match first {
            Some(1) => history.is_in_log = true,
            Some(first) if segments.is_empty() => {
                let why = format!("it begins with record {first}, and there are no segments with those before");
                return Err(JournalFault::Apart { log: log_path, why });
            }
            _ => {
                history.queue(segments)?;
                history.turn_to_next()?;
            }
        }
        Ok(history)
    }

    /// The next record; `None` at the end, where a later call may find more.
    /// # Errors
    /// Any [`JournalFault`] about a record that cannot be read.
    pub fn next_view(&mut self) -> Result<Option<RecordView>, JournalFault> {
        // Whether the log had already let go what comes next when the segments were last looked at.
        let mut was_gone = false;
        for _ in 0..=TURNS_BACK_MAX {
            let found = if self.is_in_log { self.next_of_log() } else { self.next_of_segments() };
            match found {
                Ok(None) if self.is_in_log || !self.go_on()? => return Ok(None),
                Ok(None) => {}
                Err(JournalFault::Gone { number, first }) => {
                    let Some(directory) = self.directory.clone() else {
                        return Err(JournalFault::Gone { number, first });
                    };
                    was_gone = self.turn_back(&directory, was_gone)?;
                }
                other => return other,
            }
        }
        Err(self.of_another_history())
    }

    fn next_of_log(&mut self) -> Result<Option<RecordView>, JournalFault> {
        let Some(log) = &mut self.log else { return Ok(None) };
        if let Some(Link { number, .. }) = self.expected.filter(|end| end.number < log.number_next()) {
            return Err(JournalFault::Gone { number, first: log.number_next() });
        }
        if let Some(end) = self.expected {
            go_on_in(log, end)?;
            self.expected = None;
        }
        log.next_view()
    }

    /// The next record of the current segment; `None` at its end, which was judged.
    fn next_of_segments(&mut self) -> Result<Option<RecordView>, JournalFault> {
        let Some(segment) = &mut self.current else { return Ok(None) };
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
        Ok(None)
    }

    /// From a segment's end to the next one, or to the log; false where there is neither.
    fn go_on(&mut self) -> Result<bool, JournalFault> {
        if !self.segments.is_empty() {
            self.turn_to_next()?;
            return Ok(true);
        }
        self.is_in_log = self.log.is_some();
        Ok(self.is_in_log)
    }

    /// The log has let go what comes next, or something on the way to it: goes to the segment read last and those that
    /// came after it, to go on from there. Says whether it was the very record that comes next.
    fn turn_back(&mut self, directory: &Path, was_gone: bool) -> Result<bool, JournalFault> {
        let log = self.log.as_mut().expect("it was the log that let a record go");
        let needed = self.expected.unwrap_or(log.link());
        *log = LogReader::open(log.path())?;
        self.expected = Some(needed);
        let is_gone = log.number_next() > needed.number;
        if is_gone && was_gone {
            // It was gone before the last look at the segments: it is in neither.
            if let Some(segment) = &mut self.current {
                let found = segment.walk.survey(|_| {})?;
                segment.judge(found, true)?;
            }
            go_on_in(log, needed)?;
        }
        let read_to = self.read_to();
        let mut segments = segments::list(directory)?;
        segments.retain(|(place, _)| *place > read_to);
        self.is_in_log = false;
        self.queue(segments)?;
        self.walk_on_to(needed)?;
        Ok(is_gone)
    }

    /// Goes on in the segments to the record that `needed` announces. Those before it were read in the log.
    fn walk_on_to(&mut self, needed: Link) -> Result<(), JournalFault> {
        loop {
            match self.current.as_ref().map(|segment| segment.walk.position().link) {
                Some(at) if at == needed => return Ok(()),
                Some(at) if at.number >= needed.number => return Err(self.of_another_history()),
                Some(_) if self.next_of_segments()?.is_some() => {}
                Some(_) | None if self.segments.is_empty() => return Err(self.of_another_history()),
                Some(_) | None => self.turn_to_next()?,
            }
        }
    }

    fn of_another_history(&self) -> JournalFault {
        let log = self.log.as_ref().map_or_else(PathBuf::new, |log| log.path().to_path_buf());
        JournalFault::Apart {
            log,
            why: "what it has let go is not in the segments: they are of another history".into(),
        }
    }

    /// The place of the last segment that was opened.
    fn read_to(&self) -> u64 {
        self.current.as_ref().map_or(0, |segment| segment.header.number.get())
    }

    /// Puts segments in line to be read, which must be those after the ones read.
    fn queue(&mut self, segments: Vec<(u64, PathBuf)>) -> Result<(), JournalFault> {
        let read_to = self.read_to();
        let directory = self.directory.as_deref().unwrap_or(Path::new("."));
        for (index, (number, _)) in segments.iter().enumerate() {
            in_sequence(directory, read_to + index as u64 + 1, *number)?;
        }
        self.segments = segments.into();
        Ok(())
    }

    /// Opens the segment after the current one, if there is one.
    fn turn_to_next(&mut self) -> Result<(), JournalFault> {
        if let Some((number, path)) = self.segments.pop_front() {
            let segment = Segment::open(&path)?;
            segment.check_place(number, self.log.as_ref().map(|log| log.header().group.get()))?;
            // Of the first segment nothing is expected but that it is the first.
            let end = self.current.as_ref().map(|segment| segment.walk.position().link);
            segment.check_follows(end)?;
            self.current = Some(segment);
        }
        Ok(())
    }
}

/// Steps between log and segments for one record. What the log has let go is in segments, so that one look there finds
/// it; but a log that is let go faster than somebody reads it may do so again on the way to the record.
const TURNS_BACK_MAX: u32 = 10_000;

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
