//! `pitlane snapshot`: takes a snapshot of a stopped exchange's state, so that its next start is quick, or shows one.
//!
//! A running exchange takes its own; beside one this command is refused, because both would cut and write the same derived
//! files.

use super::replay::failure;
use super::{ConfigArgument, Failure, Outcome};
use crate::journal::segments::Lock;
use crate::journal::snapshots;
use crate::launch::LaunchFault;
use crate::launch::closing::hex;
use crate::launch::rebuild::group;
use crate::launch::restore;
use crate::launch::shadow::Shadow;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `snapshot`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Show this snapshot in place of writing one.
    #[arg(long, value_name = "FILE")]
    show: Option<PathBuf>,
}

/// Writes one, or shows one.
///
/// # Errors
/// No segments, a running exchange, damage in the segments, or a snapshot that cannot be used.
pub fn main(arguments: Arguments) -> Outcome {
    let config = arguments.config.load()?;
    if let Some(path) = arguments.show {
        let snapshot = snapshots::read(&path).map_err(|fault| Failure::Damaged(fault.to_string()))?;
        return show(&config, &snapshot);
    }
    let Some(knobs) = &config.journal.segments else {
        return Err(Failure::Usage("a snapshot takes journal.segments, a directory on a disk".into()));
    };
    let _held = Lock::hold(&knobs.directory).map_err(|fault| failure(LaunchFault::Journal(fault)))?;
    let mut notes = Vec::new();
    let mut shadow = Shadow::open(&config, knobs, &mut notes).map_err(failure)?;
    notes.iter().for_each(|note| println!("note       {note}"));
    println!("begins     behind record {}", shadow.number());
    while shadow.step(u64::MAX).map_err(failure)?.is_some() {}
    let taken = shadow.take().map_err(failure)?;
    println!(
        "snapshot   {}: state {} behind record {}, {} bytes, written and verified in {:.2} s",
        taken.path.display(),
        hex(taken.state),
        taken.number,
        taken.bytes,
        taken.took.as_secs_f64()
    );
    let packed = shadow.tidy().map_err(failure)?;
    if packed > 0 {
        println!(
            "segments   {packed} that two snapshots stand behind were put away ({:?})",
            config.journal.snapshots.old_segments
        );
    }
    Ok(())
}

fn show(config: &crate::config::Config, snapshot: &snapshots::Snapshot) -> Outcome {
    let head = snapshot.head;
    let of = if head.group == group(&config.market) { "this partition" } else { "another partition" };
    println!("snapshot   behind record {} of {of}, made {} ns since 1970", head.number, head.time.0);
    println!(
        "state      {}, market {:016x}, the next record carries chain {:016x}",
        hex(head.state),
        head.market,
        head.link.chain
    );
    for (kind, index, bytes) in snapshot.parts() {
        println!("part       {kind}.{index}: {bytes} bytes");
    }
    let (places, _) = restore::outputs(&config.market, snapshot).map_err(Failure::Damaged)?;
    let names = config.market.sessions.iter().map(|session| session.user.as_str()).chain(["feed"]);
    for (name, place) in names.zip(places.sessions.iter().chain([&places.feed])) {
        println!("output     {name}: {} messages, {} bytes, digest {:016x}", place.messages, place.bytes, place.digest);
    }
    Ok(())
}
