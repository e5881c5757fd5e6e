//! `pitlane replay`: runs a stopped exchange's journal through the same engine again, and compares what comes out
//! with what the exchange left behind.

use super::{ConfigArgument, Failure, Outcome};
use crate::launch::LaunchFault;
use crate::launch::closing::Closing;
use crate::launch::home::{log_home, log_path};
use crate::launch::replayed::{Replayed, replay_whole};
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `replay`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Log file; without it the configuration's.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Compare with the digests the exchange wrote when it stopped; exit code 1 when anything differs.
    #[arg(long)]
    verify: bool,
    /// Print the digests as JSON.
    #[arg(long)]
    json: bool,
}

/// Replays, prints, verifies.
///
/// # Errors
/// A damaged journal, other reference data, or (with `--verify`) any difference.
pub fn main(arguments: Arguments) -> Outcome {
    let mut config = arguments.config.load()?;
    // Of a log named by hand, what its exchange left lies beside it.
    if let Some(directory) = arguments.log.as_ref().and_then(|path| path.parent()) {
        config.directory = directory.to_owned();
    }
    let path = arguments.log.unwrap_or_else(|| log_path(log_home(&config)));
    let started = Instant::now();
    let Replayed { closing, breaches, .. } = replay_whole(&config, &path).map_err(failure)?;
    let seconds = started.elapsed().as_secs_f64();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&closing).expect("digests are JSON"));
    } else {
        println!("replayed {} records in {seconds:.2} s, state {}", closing.number, closing.state);
    }
    if let Some(breach) = breaches.first() {
        return Err(Failure::Refused(format!("a risk limit did not hold: {breach}")));
    }
    if !arguments.verify {
        return Ok(());
    }
    let live = Closing::read(&config.directory).map_err(|e| {
        let path = Closing::path(&config.directory);
        Failure::Fault(format!("reading {}: {e}; an exchange writes it when it stops", path.display()))
    })?;
    let differences = live.differences(&closing);
    if differences.is_empty() {
        println!("verified: state, {} client streams and the feed are byte for byte the same", closing.streams.len());
        Ok(())
    } else {
        Err(Failure::Refused(format!("the replay differs from the run:\n{}", differences.join("\n"))))
    }
}

/// A launch fault as a command's failure.
pub fn failure(fault: LaunchFault) -> Failure {
    match fault {
        LaunchFault::Journal(ref journal) if journal.is_damage() => Failure::Damaged(fault.to_string()),
        LaunchFault::Configuration(_) | LaunchFault::OtherMarket { .. } => Failure::Usage(fault.to_string()),
        LaunchFault::State(_) => Failure::Diverged(fault.to_string()),
        LaunchFault::Journal(_) | LaunchFault::System { .. } | LaunchFault::Thread(_) => {
            Failure::Fault(fault.to_string())
        }
    }
}
