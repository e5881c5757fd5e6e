//! `pitlane snapshot`: takes a snapshot of a stopped exchange's state, so that its next start is quick, or shows one.
//!
//! A running exchange takes its own; beside one this command is refused, because both would cut and write the same derived
//! files.

use super::replay::failure;
use super::{ConfigArgument, Failure, Outcome};
use crate::config::Config;
use crate::journal::segments::Lock;
use crate::journal::{SystemDisk, snapshots};
use crate::launch::LaunchFault;
use crate::launch::closing::hex;
use crate::launch::derived::Place;
use crate::launch::home::group;
use crate::launch::restore;
use crate::launch::shadow::Shadow;
use crate::launch::twin::Twin;
use crate::types::{AccountId, Market, Side, TickerId};
use clap::Args;
use std::path::{Path, PathBuf};

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
        return show(&config, &path);
    }
    let Some(knobs) = &config.journal.segments else {
        return Err(Failure::Usage("a snapshot takes journal.segments, a directory on a disk".into()));
    };
    let _held = Lock::hold(&knobs.directory).map_err(|fault| failure(LaunchFault::Journal(fault)))?;
    let mut notes = Vec::new();
    let mut shadow = Shadow::open(&config, knobs, &mut notes, Box::new(SystemDisk::plain())).map_err(failure)?;
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

/// Prints what a snapshot says of itself, and what is in it.
///
/// # Errors
/// One that cannot be read.
pub fn show(config: &Config, path: &Path) -> Outcome {
    let snapshot = snapshots::read(path).map_err(|fault| Failure::Damaged(fault.to_string()))?;
    let (head, market) = (snapshot.head, &config.market);
    let of = if head.group == group(market) { "this partition" } else { "another partition" };
    println!("snapshot   behind record {} of {of}, at {} ns since 1970", head.number, head.time.0);
    println!("state      {}, market {:016x}", hex(head.state), head.market);
    println!("journal    the next record carries chain {:016x}", head.link.chain);
    for (kind, index, bytes) in snapshot.parts() {
        println!("part       {kind}.{index}: {bytes} bytes");
    }
    let damaged = |why| Failure::Damaged(format!("snapshot {}: {why}", path.display()));
    let (places, _) = restore::outputs(market, &snapshot).map_err(damaged)?;
    let names = market.sessions.iter().map(|session| session.user.as_str()).chain(["feed"]);
    for (name, place) in names.zip(places.sessions.iter().chain([&places.feed])) {
        let Place { messages, bytes, digest, .. } = place;
        println!("output     {name}: {messages} messages, {bytes} bytes, digest {digest:016x}");
    }
    let twin = Twin::load(market, &snapshot).map_err(damaged)?;
    show_state(market, &twin);
    Ok(())
}

fn show_state(market: &Market, twin: &Twin) {
    for (index, spec) in market.tickers.iter().enumerate() {
        let (ticker, shard) = (TickerId(index as u16), &twin.shards()[spec.matcher.index()]);
        let side = |side: Side| {
            let best = shard.best(ticker, side).map_or("-".to_owned(), |price| price.to_string());
            let waiting = shard.cross_orders(ticker, side).count() + shard.stops(ticker, side).len();
            let resting = shard.orders(ticker, side).count() + shard.pegs(ticker, side).len();
            format!("{best} ({resting} resting, {waiting} waiting)")
        };
        let (bids, offers) = (side(Side::Buy), side(Side::Sell));
        println!("ticker     {}: {:?}, bids {bids}, offers {offers}", spec.symbol.text(), shard.phase(ticker));
    }
    for (index, spec) in market.accounts.iter().enumerate() {
        let account = twin.oms().account(AccountId(index as u16));
        let (cash, reserved, orders) = (account.cash, account.reserved, account.open_orders);
        println!("account    {}: cash {cash}, reserved {reserved}, {orders} open orders", spec.name);
    }
}
