//! From the log back to the state of every stage. Cold; runs before any thread does.
//!
//! The log is recovered (its end judged, a torn one cut), then each record passes the twin: OMS, books, client
//! streams and feed come out as they were, because all are functions of the journal. A log that was begun with other
//! reference data is refused: the same records would mean something else.

use super::LaunchFault;
use super::twin::Twin;
use crate::config::Config;
use crate::egress::fan::Outlet;
use crate::engine::digest;
use crate::journal::{JournalFault, LogOptions, LogReader, LogWriter, Tail, TailState, host_boot, recover};
use crate::os::pages;
use crate::types::{Command, CommandKind, Market, Nanos, Number, Sequenced};
use std::path::{Path, PathBuf};

/// What a log gave.
pub struct Rebuilt {
    /// The state after its last record.
    pub twin: Twin,
    /// Goes on appending after it.
    pub writer: LogWriter,
    /// Number and time of the last record.
    pub last: (Number, Nanos),
    /// What the end of the log was, for the message at start; `None` for a new log.
    pub tail: Option<TailState>,
    /// Memory that books and order tables took, as the system counts it.
    pub engine_bytes: usize,
}

/// Where the log of a partition is.
pub fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// Names the group a log belongs to: the partition's name, so that another partition's log is refused.
pub fn group(market: &Market) -> u64 {
    market
        .session_name
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// Opens or creates the log and replays it into `outlet`.
///
/// # Errors
/// A log that is damaged, held by another process, of other reference data, or that the system refuses.
pub fn rebuild(config: &Config, outlet: &mut impl Outlet) -> Result<Rebuilt, LaunchFault> {
    let options = LogOptions {
        path: log_path(&config.directory),
        bytes: config.journal.log_bytes,
        lock: config.journal.lock_required,
    };
    let before = pages::resident_bytes();
    let mut twin = Twin::new(&config.market).map_err(|e| LaunchFault::Configuration(e.to_string()))?;
    let engine_bytes = pages::resident_bytes().saturating_sub(before);
    if !options.path.exists() {
        let writer = LogWriter::create(options, group(&config.market), host_boot())?;
        return Ok(Rebuilt { twin, writer, last: (Number(0), Nanos(0)), tail: None, engine_bytes });
    }
    let (mut reader, tail) = recover(&options, group(&config.market))?;
    refuse_damaged_end(&tail)?;
    let mut last = (Number(0), Nanos(0));
    while let Some(record) = reader.next()? {
        check_market(&record, &config.market, &options.path)?;
        twin.apply(&record, outlet);
        last = (record.number, record.time);
    }
    let state = tail.state().clone();
    let writer = LogWriter::resume(options, tail)?;
    Ok(Rebuilt { twin, writer, last, tail: Some(state), engine_bytes })
}

/// Replays a log that nobody writes, without changing it: every record to `each` after it was applied.
///
/// # Errors
/// A damaged log, or one of other reference data.
pub fn replay(
    config: &Config,
    path: &Path,
    outlet: &mut impl Outlet,
    mut each: impl FnMut(&Sequenced, &Twin),
) -> Result<(Twin, Number), LaunchFault> {
    let mut twin = Twin::new(&config.market).map_err(|e| LaunchFault::Configuration(e.to_string()))?;
    let mut reader = LogReader::open(path)?;
    let mut last = Number(0);
    while let Some(record) = reader.next()? {
        check_market(&record, &config.market, path)?;
        twin.apply(&record, outlet);
        each(&record, &twin);
        last = record.number;
    }
    Ok((twin, last))
}

/// A record whose length was stored was acknowledged, and storing the length is the last step of writing it. If it
/// is broken while the host has not been down, memory was damaged: cutting it off would lose an acknowledged order.
fn refuse_damaged_end(tail: &Tail) -> Result<(), LaunchFault> {
    match tail.state() {
        TailState::Torn(torn) if torn.published && tail.boot() == host_boot() => {
            let number = tail.last_number() + 1;
            Err(LaunchFault::Journal(JournalFault::Damaged { number, at: torn.at }))
        }
        TailState::Torn(_) | TailState::Clean => Ok(()),
    }
}

fn check_market(record: &Sequenced, market: &Market, path: &Path) -> Result<(), LaunchFault> {
    let Command { kind, value, .. } = record.command;
    let expected = digest::of_market(market);
    if kind == CommandKind::DayStart && value != expected {
        return Err(LaunchFault::OtherMarket { found: value, expected, path: path.to_owned() });
    }
    Ok(())
}
