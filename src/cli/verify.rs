//! `pitlane verify`: checks a stopped exchange's journal, segments, log, mark of the last stop, snapshots and derived files, and
//! says what it found. Changes nothing and starts nothing; what a start would cut or refuse is told.

use super::replay::failure;
use super::{ConfigArgument, Failure, Outcome};
use crate::config::{Config, OldSegments};
use crate::journal::clean::{self, LastStop};
use crate::journal::history::go_on_in;
use crate::journal::snapshots;
use crate::journal::{JournalFault, LogReader, TailState, host_boot, segments};
use crate::launch::LaunchFault;
use crate::launch::closing::hex;
use crate::launch::home::{group, log_home, log_path, mark_home};
use crate::launch::restore;
use crate::wire::record::Link;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Directory with segments, a log or both, in place of a configuration's; whose they are is not checked then.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    directory: Option<PathBuf>,
}

/// Where to look.
struct Places {
    log: PathBuf,
    segments: Option<PathBuf>,
    /// Directory of the mark of the last stop.
    mark: PathBuf,
    group: Option<u64>,
    old: OldSegments,
}

/// Checks and tells.
///
/// # Errors
/// Damage with the record's number, files that do not belong together, or a living exchange on them.
pub fn main(arguments: Arguments) -> Outcome {
    let places = places(&arguments)?;
    let end = match &places.segments {
        Some(directory) => check_segments(directory, places.group, places.old).map_err(damage)?,
        None => None,
    };
    let mut next = end;
    if places.log.exists() {
        next = Some(check_log(&places, end).map_err(damage)?);
    } else if let Some(end) = end {
        println!(
            "log        {} is not there; a start goes on in a fresh one with record {}",
            shown(&places.log),
            end.number
        );
    } else {
        return Err(Failure::Fault(format!("there is no journal: neither {} nor a segment", shown(&places.log))));
    }
    println!("verified   every record is in its place");
    if let Some(next) = next {
        check_stop(&places, next).map_err(damage)?;
    }
    match &arguments.directory {
        Some(_) => Ok(()),
        None => check_snapshots(&arguments.config.load()?),
    }
}

/// A line for each snapshot: whether its state comes out as it says, and the derived files hold what they held.
fn check_snapshots(config: &Config) -> Outcome {
    let Some(knobs) = &config.journal.segments else { return Ok(()) };
    let mut bad = 0;
    for (number, path) in snapshots::list(&knobs.directory).map_err(damage)? {
        match restore::check(config, &knobs.directory, &path) {
            Ok(base) => {
                let messages: u64 = base.places.sessions.iter().map(|place| place.messages).sum();
                println!(
                    "snapshot   behind record {number}: state {}; {messages} answers and {} feed messages are as they were",
                    hex(base.head.state),
                    base.places.feed.messages
                );
            }
            Err(why) => {
                bad += 1;
                println!("snapshot   behind record {number} cannot be used: {why}");
            }
        }
    }
    let text = "a snapshot or a derived file cannot be used; nothing is lost, the next start takes longer";
    if bad == 0 { Ok(()) } else { Err(Failure::Refused(text.into())) }
}

fn places(arguments: &Arguments) -> Result<Places, Failure> {
    if let Some(directory) = &arguments.directory {
        return Ok(Places {
            log: log_path(directory),
            mark: directory.clone(),
            segments: Some(directory.clone()),
            group: None,
            old: OldSegments::Keep,
        });
    }
    let config = arguments.config.load()?;
    let old = config.journal.snapshots.old_segments;
    let (log, mark) = (log_path(log_home(&config)), mark_home(&config).to_owned());
    let segments = config.journal.segments.map(|knobs| knobs.directory);
    Ok(Places { log, segments, mark, group: Some(group(&config.market)), old })
}

fn damage(fault: JournalFault) -> Failure {
    failure(LaunchFault::Journal(fault))
}

fn shown(path: &Path) -> std::path::Display<'_> {
    path.display()
}

/// A line for each segment; what the record after them must carry.
fn check_segments(directory: &Path, group: Option<u64>, old: OldSegments) -> Result<Option<Link>, JournalFault> {
    let mut end = None;
    let after = if old == OldSegments::Delete { segments::first_there(directory)? } else { None };
    if after.is_some() {
        println!("segments   the first ones were taken away, as old_segments says: only a snapshot leads to the state");
    }
    segments::verify(directory, group, after, |found| {
        let range = range(found.first, found.end.number);
        println!("segment    {}: {range}, {}", found.number, end_words(&found.state));
        end = Some(found.end);
    })?;
    Ok(end)
}

/// A line about how the last run ended: whether it left a mark, which must fit the journal's end.
fn check_stop(places: &Places, next: Link) -> Result<(), JournalFault> {
    match clean::check(&places.mark, places.group, next)? {
        LastStop::Clean => println!("last stop  in order, after record {}: its mark fits", next.number - 1),
        LastStop::Unknown => println!("last stop  not in order, or none: there is no mark of one"),
    }
    Ok(())
}

/// A line about the log, and one about how it goes with the segments. What the record after both must carry.
fn check_log(places: &Places, end: Option<Link>) -> Result<Link, JournalFault> {
    let path = &places.log;
    let mut reader = LogReader::open(path)?;
    let (found, first) = (reader.header().group.get(), reader.number_next());
    if let Some(expected) = places.group.filter(|group| *group != found) {
        return Err(JournalFault::Foreign { path: path.clone(), expected, found });
    }
    let is_of_this_boot = reader.header().boot.get() == host_boot();
    let boot = if is_of_this_boot { "this" } else { "an earlier" };
    let (last, state) = crate::journal::verify(path)?;
    if let TailState::Torn(torn) = &state
        && torn.published
        && is_of_this_boot
    {
        return Err(JournalFault::Damaged { number: last + 1, at: torn.at });
    }
    let records = match range(first, last + 1) {
        none if first > last && first > 1 => format!("{none} after {last}"),
        some => some,
    };
    println!("log        {records}, {}, of {boot} run of the host", end_words(&state));
    match end {
        Some(end) => {
            go_on_in(&mut reader, end)?;
            println!(
                "together   the log agrees with the segments and has {} records that they lack",
                last + 1 - end.number
            );
        }
        None if first > 1 => {
            let why = format!("it begins with record {first}, and there are no segments with those before");
            return Err(JournalFault::Apart { log: path.clone(), why });
        }
        None => {}
    }
    while reader.number_next() <= last && reader.next()?.is_some() {}
    Ok(reader.link())
}

fn range(first: u64, next: u64) -> String {
    if next == first { "no record yet".to_owned() } else { format!("records {first} to {}", next - 1) }
}

fn end_words(state: &TailState) -> String {
    match state {
        TailState::Clean => "a clean end".to_owned(),
        TailState::Torn(torn) => {
            format!(
                "a torn end: {} bytes at byte {} of a write that was cut off, which a start puts aside",
                torn.bytes, torn.at
            )
        }
    }
}
