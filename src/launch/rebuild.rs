//! From the journal back to the state of every stage. Cold; runs before any thread does.
//!
//! The newest snapshot that can be used gives a state to begin with ([`super::restore`]); without one it is the empty one.
//! Segments behind it are verified first, then the log is recovered (its end judged, a torn one cut) and goes on where they end.
//! Each record passes the twin: OMS, books, client streams and feed come out as they were, because all are functions of
//! the journal. After a loss of power the log is gone with the memory it was in; a fresh one then follows the segments.
//! A journal that was begun with other reference data is refused: the same records would mean something else.

use super::LaunchFault;
use super::checks::{Checks, Mismatch};
use super::home::{group, log_home, log_path};
use super::restore::{self, Base};
use super::spent::{Phase, Spent};
use super::stores::Stores;
use super::twin::Twin;
use crate::config::{Config, Survives};
use crate::egress::fan::Outlet;
use crate::engine::digest;
use crate::journal::history::{History, go_on_in};
use crate::journal::segments::{self, Behind, Lock};
use crate::journal::{Blank, Disk, JournalFault, LogOptions, LogReader, LogWriter, Segments, Tail, TailState, recover};
use crate::os::pages;
use crate::types::{Command, CommandKind, Market, Nanos, Number, Sequenced};
use crate::wire::record::Link;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// What a journal gave.
pub struct Rebuilt {
    /// The state after its last record.
    pub twin: Twin,
    /// Goes on appending after it.
    pub writer: LogWriter,
    /// Number and time of the last record.
    pub last: (Number, Nanos),
    /// What was found and done, for the message at start.
    pub found: String,
    /// What people should know beside that, each said once.
    pub notes: Vec<String>,
    /// The segments, where there are to be any.
    pub segments: Option<Segments>,
    /// Memory that books and order tables took, as the system counts it.
    pub engine_bytes: usize,
}

/// Opens segments and log, or creates what is not there, and brings the state and `stores` to where they end: from the
/// newest snapshot that can be used, or from the first record. `boot` is the present run of the host; `disk` is what
/// the segments are on, `spent` is told what took how long.
///
/// # Errors
/// A journal that is damaged, held by another process, of other reference data, or that the system refuses.
pub fn rebuild(
    config: &Config,
    boot: u64,
    stores: &mut Stores,
    disk: &mut dyn Disk,
    spent: &mut Spent,
) -> Result<Rebuilt, LaunchFault> {
    let options = LogOptions {
        path: log_path(log_home(config)),
        bytes: config.journal.log_bytes,
        lock: config.journal.lock_required,
    };
    let made = std::fs::create_dir_all(log_home(config));
    made.map_err(LaunchFault::system("creating the directory", log_home(config).display()))?;
    // Less what is brought of the stores meanwhile.
    let resident = |stores: &Stores| pages::resident_bytes().saturating_sub(stores.bytes_there());
    let before = resident(stores);
    let blank = Making::begin(&options)?;
    let mut notes = Vec::new();
    let (lock, base) = match &config.journal.segments {
        Some(knobs) => {
            let lock = Lock::hold(&knobs.directory)?;
            let fill = |base: &Base| {
                spent.ends(Phase::Snapshot);
                let filled = restore::fill(stores, base, &knobs.directory);
                spent.ends(Phase::Streams);
                filled
            };
            (Some(lock), restore::newest(config, &knobs.directory, &mut notes, fill)?)
        }
        None => (None, None),
    };
    // Where there was none to look at, what this took belongs to what follows.
    if base.is_some() || !notes.is_empty() {
        spent.ends(Phase::Snapshot);
    }
    let mut replay = Replay::begin(config, base)?;
    spent.ends(Phase::Books);
    let engine_bytes = resident(stores).saturating_sub(before);
    let segments = match (&config.journal.segments, lock) {
        (Some(knobs), Some(lock)) => {
            let (group, behind) = (group(&config.market), replay.behind);
            let every = config.journal.snapshots.digest_records;
            replay.checks = Checks::near(every, segments::last_number_at_least(&knobs.directory)?);
            let taken = Segments::take_after(lock, group, behind, disk, |record| replay.take(record, stores))
                .map_err(|fault| with_archives(fault, &notes))?;
            replay.refuse(&knobs.directory)?;
            notes.extend(taken.last().and_then(|last| note_of_torn(&last.path, &last.state)));
            Some(taken)
        }
        _ => None,
    };
    let end = segments.as_ref().and_then(Segments::end);
    let (tail, found) = log_after(&options, config, boot, end, &mut replay, stores, &mut notes)?;
    spent.ends(Phase::Replay);
    let writer = match tail {
        Some(tail) => LogWriter::resume(options, tail)?,
        None => blank.finish(options)?.begin(group(&config.market), boot, end)?,
    };
    spent.ends(Phase::Log);
    let found = match replay.behind {
        Some(_) => format!("{found}, from the snapshot behind record {}", replay.base),
        None => found,
    };
    let Replay { twin, last, .. } = replay;
    Ok(Rebuilt { twin, writer, last, found, notes, segments, engine_bytes })
}

/// A new log's file, made by a thread while segments are read; where there is a log already, nothing.
struct Making(Option<JoinHandle<Result<Blank, JournalFault>>>);

impl Making {
    fn begin(options: &LogOptions) -> Result<Making, LaunchFault> {
        if options.path.exists() {
            return Ok(Making(None));
        }
        let options = options.clone();
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || Blank::make(options));
        Ok(Making(Some(thread.map_err(LaunchFault::system("making a thread for", "the log"))?)))
    }

    /// The file; where there was a log that does not count any more, it is made now.
    fn finish(mut self, options: LogOptions) -> Result<Blank, JournalFault> {
        match self.0.take() {
            Some(thread) => thread.join().expect("making a file does not panic"),
            None => Blank::make(options),
        }
    }
}

impl Drop for Making {
    /// A start that failed meanwhile leaves neither thread nor file.
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            drop(thread.join());
        }
    }
}

/// Records on their way into the state.
struct Replay<'a> {
    twin: Twin,
    market: &'a Market,
    last: (Number, Nanos),
    /// The snapshot it began behind, and its place.
    base: Number,
    behind: Option<Behind>,
    /// Digest of other reference data that a record was made with; nothing is applied from there on.
    other: Option<u64>,
    /// Compares with the digests in the journal; nothing is applied behind the first that differs.
    checks: Checks,
    mismatch: Option<Mismatch>,
}

impl<'a> Replay<'a> {
    /// Behind a snapshot, or before the first record.
    fn begin(config: &'a Config, base: Option<Base>) -> Result<Replay<'a>, LaunchFault> {
        let (twin, last, base, behind) = match base {
            Some(base) => (base.twin, (base.head.number, base.head.time), base.head.number, Some(base.behind)),
            None => {
                let twin = Twin::new(&config.market).map_err(|e| LaunchFault::Configuration(e.to_string()))?;
                (twin, (Number(0), Nanos(0)), Number(0), None)
            }
        };
        let checks = Checks::from(config.journal.snapshots.digest_records, 0);
        Ok(Replay { twin, market: &config.market, last, base, behind, other: None, checks, mismatch: None })
    }

    fn take(&mut self, record: &Sequenced, outlet: &mut impl Outlet) {
        let Command { kind, value, .. } = record.command;
        if kind == CommandKind::DayStart && value != digest::of_market(self.market) {
            self.other = self.other.or(Some(value));
        }
        if self.other.is_none() && self.mismatch.is_none() {
            self.twin.apply(record, outlet);
            self.last = (record.number, record.time);
            self.mismatch = self.checks.on(record, &self.twin).err();
        }
    }

    /// Whether the records are of this market, and gave the state that they gave before.
    fn refuse(&self, path: &Path) -> Result<(), LaunchFault> {
        let expected = digest::of_market(self.market);
        if let Some(found) = self.other {
            return Err(LaunchFault::OtherMarket { found, expected, path: path.to_owned() });
        }
        self.mismatch.map_or(Ok(()), |mismatch| Err(LaunchFault::State(mismatch)))
    }
}

/// The end of the log that goes on after segments that end at `end` (`None`: there are none), its own records replayed;
/// `None` where a new one has to. With it what is said of it.
///
/// A log that is there and agrees is continued, whether it is level with the segments or ahead of them. One of an
/// earlier run of the host that is damaged or behind is set aside: what the loss of power left of it counts for less
/// than what was synced. Of this run of the host, such a log is refused: memory lost something, and nobody knows what.
fn log_after(
    options: &LogOptions,
    config: &Config,
    boot: u64,
    end: Option<Link>,
    replay: &mut Replay<'_>,
    stores: &mut Stores,
    notes: &mut Vec<String>,
) -> Result<(Option<Tail>, String), LaunchFault> {
    if !options.path.exists() {
        let found = match end {
            None => "new log".to_owned(),
            Some(_) => format!("{} records replayed from the segments, the log was gone", replay.last.0),
        };
        return Ok((None, found));
    }
    match fitting(options, group(&config.market), boot, end) {
        Ok((mut reader, tail)) => {
            while let Some(record) = reader.next()? {
                replay.take(&record, stores);
            }
            replay.refuse(&options.path)?;
            notes.extend(note_of_torn(&options.path, tail.state()));
            Ok((Some(tail), format!("{} records replayed", replay.last.0)))
        }
        Err(fault) if end.is_some() && is_about_content(&fault) && may_be_set_aside(config, boot, &options.path) => {
            let aside = set_aside(&options.path)?;
            notes.push(format!(
                "the log did not outlive the power whole ({fault}); it was set aside as {} and the segments count",
                aside.display()
            ));
            Ok((None, format!("{} records replayed from the segments", replay.last.0)))
        }
        Err(fault) => Err(LaunchFault::Journal(fault)),
    }
}

/// Takes a log over if it is sound and goes on where the segments end; its reader stands there.
fn fitting(options: &LogOptions, group: u64, boot: u64, end: Option<Link>) -> Result<(LogReader, Tail), JournalFault> {
    let (mut reader, tail) = recover(options, group)?;
    refuse_damaged_end(&tail, boot)?;
    match end {
        Some(end) => go_on_in(&mut reader, end)?,
        None if tail.first_link().number > 1 => {
            let first = tail.first_link().number;
            let why = format!(
                "it begins with record {first}, and those before are in segments that are not there; journal.segments \
                 names their directory"
            );
            return Err(JournalFault::Apart { log: options.path.clone(), why });
        }
        None => {}
    }
    Ok((reader, tail))
}

/// Whether what a log lost is no loss: it was made before the host was started the last time. A log that does not
/// even say when it was made is dispensable only where everything acknowledged is in the segments.
fn may_be_set_aside(config: &Config, boot: u64, path: &Path) -> bool {
    match LogReader::open(path) {
        Ok(log) => log.header().boot.get() != boot,
        Err(_) => config.journal.survives == Survives::PowerLoss,
    }
}

/// Whether the fault is about what the log holds, and not about who holds the log.
fn is_about_content(fault: &JournalFault) -> bool {
    match fault {
        JournalFault::Damaged { .. } | JournalFault::Apart { .. } | JournalFault::NotALog { .. } => true,
        JournalFault::Io { .. }
        | JournalFault::Busy { .. }
        | JournalFault::Foreign { .. }
        | JournalFault::DamagedSegment { .. }
        | JournalFault::Misplaced { .. }
        | JournalFault::Gone { .. }
        | JournalFault::Disk { .. }
        | JournalFault::AfterCleanStop { .. }
        | JournalFault::Unknown { .. } => false,
    }
}

/// Gives a log another name, one that is free.
fn set_aside(path: &Path) -> Result<PathBuf, LaunchFault> {
    let aside = (1..=ASIDE_MAX).map(|number| path.with_extension(format!("earlier-boot-{number}")));
    let aside = aside.into_iter().find(|aside| !aside.exists());
    let aside = aside
        .ok_or_else(|| LaunchFault::Configuration(format!("too many logs were set aside beside {}", path.display())))?;
    std::fs::rename(path, &aside).map_err(LaunchFault::system("setting aside", path.display()))?;
    Ok(aside)
}

/// Logs kept aside; so many losses of power with a log on a disk mean that something else is wrong.
const ASIDE_MAX: usize = 100;

fn note_of_torn(path: &Path, state: &TailState) -> Option<String> {
    match state {
        TailState::Clean => None,
        TailState::Torn(torn) => Some(format!("a torn end of {} was cut and kept: {torn:?}", path.display())),
    }
}

/// Replays a journal that nobody writes, without changing it: every record to `each` after it was applied.
///
/// # Errors
/// A damaged journal, or one of other reference data.
pub fn replay(
    config: &Config,
    path: &Path,
    outlet: &mut impl Outlet,
    mut each: impl FnMut(&Sequenced, &Twin),
) -> Result<(Twin, Number), LaunchFault> {
    let mut replay = Replay::begin(config, None)?;
    let directory = config.journal.segments.as_ref().map(|knobs| knobs.directory.as_path());
    let mut history = History::open(path, directory)?;
    while let Some(view) = history.next_view()? {
        replay.take(&view.record, outlet);
        replay.refuse(path)?;
        each(&view.record, &replay.twin);
    }
    Ok((replay.twin, replay.last.0))
}

/// A replay of everything meets a segment that is not there: perhaps it was archived and its archive taken away, and then
/// only a snapshot leads on.
fn with_archives(fault: JournalFault, notes: &[String]) -> JournalFault {
    match fault {
        JournalFault::Misplaced { path, why } if !notes.is_empty() => {
            let why = format!("{why}; it is needed because no snapshot could be used ({})", notes.join("; "));
            JournalFault::Misplaced { path, why }
        }
        other => other,
    }
}

/// A record whose length was stored was acknowledged, and storing the length is the last step of writing it. If it
/// is broken while the host has not been down, memory was damaged: cutting it off would lose an acknowledged order.
fn refuse_damaged_end(tail: &Tail, boot: u64) -> Result<(), JournalFault> {
    match tail.state() {
        TailState::Torn(torn) if torn.published && tail.boot() == boot => {
            let number = tail.last_number() + 1;
            Err(JournalFault::Damaged { number, at: torn.at })
        }
        TailState::Torn(_) | TailState::Clean => Ok(()),
    }
}
