//! The simulator: whole runs of the exchange on one thread, every choice and every fault drawn from a seed.
//!
//! The agents are the very ones that run on threads; clocks, connections, datagrams and the disk beneath them are
//! simulated, the log is a real file in memory. A seed draws a world (sizes of links, logs and segments, the promise, which
//! faults there are), then some lives of the venue's process, each ended by a kill, a loss of power, an orderly stop or a
//! failing disk, and each followed by a judgement. Then faults end, and everything must finish.
//!
//! `PITLANE_SIM_SEED=7` runs one seed and prints what happens; `PITLANE_SIM_SEEDS=1000` and `PITLANE_SIM_FROM=0` choose
//! how many and from where (`make sim SEEDS=… FROM=…`).

#[path = "../support"]
mod support {
    pub mod random;
}

mod client;
mod disk;
mod feed;
mod files;
mod judge;
mod medium;
mod network;
mod person;
mod plan;
mod run;
mod time;
mod trace;
mod venue;

use run::{Bug, run};
use std::time::Instant;
use trace::Tally;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 300;
/// In longer runs every so many seeds are run a second time; in an ordinary one all are.
const AGAIN_EVERY: u64 = 10;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: found {text:?}, expected a whole number")))
}

#[test]
fn nothing_acknowledged_is_lost_and_everything_finishes() {
    if let Some(seed) = number("PITLANE_SIM_SEED") {
        let outcome = run(seed, true, None);
        println!("hash {:016x}\n{:#?}", outcome.hash, outcome.tally);
        return;
    }
    let (from, count) = (number("PITLANE_SIM_FROM").unwrap_or(0), number("PITLANE_SIM_SEEDS").unwrap_or(SEEDS));
    let (began, mut total) = (Instant::now(), Tally::new());
    for seed in from..from + count {
        let first = run(seed, false, None);
        if count <= SEEDS || seed.is_multiple_of(AGAIN_EVERY) {
            let second = run(seed, false, None);
            assert_eq!(first.hash, second.hash, "seed {seed} did not run the same way twice");
        }
        for (what, count) in first.tally {
            *total.entry(what).or_default() += count;
        }
        if count > SEEDS && (seed + 1 - from).is_multiple_of(1_000) {
            println!(
                "{} seeds, {:.0} a second",
                seed + 1 - from,
                (seed + 1 - from) as f64 / began.elapsed().as_secs_f64()
            );
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("seeds {from} to {}: nothing wrong, {rate:.1} seeds a second", from + count - 1);
    for (what, count) in total {
        println!("{count:>14}  {what}");
    }
}

/// Seeds in which each planted bug must have been noticed.
const BUG_SEEDS: u64 = 60;

/// The first seed that notices a planted bug, and how.
fn noticed(bug: Bug) -> (u64, String) {
    let found = (0..BUG_SEEDS).find_map(|seed| {
        let panic = std::panic::catch_unwind(|| run(seed, false, Some(bug))).err()?;
        Some((seed, panic.downcast_ref::<String>().cloned().unwrap_or_default()))
    });
    found.unwrap_or_else(|| panic!("{bug:?} was not noticed in {BUG_SEEDS} seeds"))
}

#[test]
fn a_disk_that_says_synced_and_is_not_is_noticed() {
    let (seed, how) = noticed(Bug::DiskLies);
    println!("{how}");
    assert!(how.starts_with(&format!("seed {seed}, step ")), "a failure names its seed and step: {how}");
}

#[test]
fn a_recovery_that_loses_the_last_record_is_noticed() {
    let (_, how) = noticed(Bug::LosesLastRecord);
    assert!(how.contains("records must be there"), "{how}");
}

#[test]
fn a_gate_that_opens_before_the_promise_holds_is_noticed() {
    let (_, how) = noticed(Bug::PromiseTooWeak);
    assert!(how.contains("records must be there"), "{how}");
}

#[test]
fn a_live_book_that_differs_from_the_journal_ends_the_run() {
    // A bit that shows earlier, in what somebody is told, is another bug's proof.
    let how = (0..BUG_SEEDS).find_map(|seed| {
        let panic = std::panic::catch_unwind(|| run(seed, false, Some(Bug::BookDiffers))).err()?;
        panic.downcast_ref::<String>().filter(|how| how.contains("the state behind record")).cloned()
    });
    println!("{}", how.expect("no shadow noticed a book that differs"));
}

#[test]
fn an_answer_delivered_twice_is_noticed() {
    println!("{}", noticed(Bug::AnswersTwice).1);
}
