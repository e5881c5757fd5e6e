//! The shadow beside a running venue: snapshots while it trades, digests in the journal, live matchers held against its own,
//! and a state that differs ends the process.

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/journal.rs"]
mod journal;

use exchange::{config, counter, counting_on, limit, login, trade, verify, wait_until};
use journal::{Maker, knobs, with_segments};
use pitlane::config::Config;
use pitlane::journal::{History, snapshots};
use pitlane::launch::home::log_path;
use pitlane::launch::twin::Twin;
use pitlane::launch::{Exchange, LaunchFault};
use pitlane::os::pages;
use pitlane::types::{Command, Number, SideCode};
use std::fs;
use tempfile::TempDir;

/// Records between two digests, as a configuration has them that does not say.
const DIGEST_EVERY: u64 = 1 << 16;

/// A small venue with segments and a shadow that takes a snapshot every `records` records.
fn venue(records: u64) -> (TempDir, Config) {
    // In memory where there is a tmpfs: what survives which loss is not the question here.
    let directory = tempfile::tempdir_in(pages::memory_backed(256 << 20)).unwrap();
    let mut config = config(&directory.path().join("memory"));
    fs::create_dir_all(&config.directory).unwrap();
    config.market.orders_max = 1 << 12;
    with_segments(&mut config, &directory.path().join("segments"), 1 << 20);
    config.journal.snapshots.records = records;
    (directory, config)
}

#[test]
fn snapshots_are_taken_while_the_venue_trades_and_the_next_start_begins_behind_one() {
    let (_directory, config) = venue(150);
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut seller = login(&exchange, "USER01", true);
    for round in 1..=3u64 {
        trade(&mut seller, 200);
        wait_until("a snapshot is there", || counter(&endpoints, "shadow.snapshots") >= round);
    }
    assert_eq!(counter(&endpoints, "shadow.failed"), 0);
    drop(seller);
    let closing = exchange.close().unwrap();
    let kept = snapshots::list(&knobs(&config).directory).unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    verify(&config, &closing);
    let again = Exchange::open(config.clone()).unwrap();
    let said = again.announcement().join("\n");
    assert!(said.contains(&format!("from the snapshot behind record {}", kept[0].0)), "{said}");
    // What was said before is there, and it goes on.
    trade(&mut counting_on(&again, true), 3);
    let mut buyer = login(&again, "USER03", true);
    let order = buyer.enter(&limit(SideCode::Buy, 1, 5_855_000)).unwrap();
    exchange::executed(&mut buyer, order);
    drop(buyer);
    let closing = again.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn the_shadow_tells_digests_and_live_matchers_agree_with_it() {
    let (_directory, config) = venue(1 << 40);
    let mut maker = Maker::new(&config, 21);
    while maker.number.0 < DIGEST_EVERY - 20 {
        maker.step();
    }
    maker.finish();
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = counting_on(&exchange, true);
    trade(&mut session, 60);
    wait_until("a digest was told", || counter(&endpoints, "shadow.digests") == 1);
    wait_until("the live matcher agreed", || {
        counter(&endpoints, "shadow.summaries") == u64::from(config.market.matchers)
    });
    trade(&mut session, 1);
    drop(session);
    let closing = exchange.close().unwrap();
    // Replay compares it, too.
    verify(&config, &closing);
    let mut history = History::open(&log_path(&config.directory), Some(&knobs(&config).directory)).unwrap();
    let mut told = Vec::new();
    while let Some(view) = history.next_view().unwrap() {
        told.extend(view.record.command.as_state_digest());
    }
    assert_eq!(told.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [Number(DIGEST_EVERY)]);
}

#[test]
fn a_state_that_differs_ends_the_run_with_its_number() {
    let (_directory, mut config) = venue(1 << 40);
    (config.gateway.stream_bytes, config.feed.store_bytes) = (16 << 20, 32 << 20);
    let mut maker = Maker::new(&config, 22);
    // Behind so many records that the start does not look there.
    let mut digest = 0;
    while maker.number.0 < 4 * DIGEST_EVERY {
        if maker.number == Number(DIGEST_EVERY) && digest == 0 {
            digest = Twin::digest(&maker.twin);
            maker.send(Command::state_digest(Number(DIGEST_EVERY), digest ^ 4));
        }
        maker.step();
    }
    assert_ne!(digest, 0);
    maker.finish();
    let exchange = Exchange::open(config.clone()).unwrap();
    let stop = exchange.stop_flag();
    wait_until("the shadow ends the run", || stop.is_requested());
    match exchange.close() {
        Err(fault @ LaunchFault::State(mismatch)) => {
            assert_eq!((mismatch.number, mismatch.found), (Number(DIGEST_EVERY), digest), "{fault}");
        }
        other => panic!("ended with {other:?}"),
    }
}

#[test]
fn a_shadow_whose_files_cannot_be_made_raises_a_counter_and_the_venue_trades_on() {
    let (_directory, config) = venue(50);
    fs::create_dir_all(&knobs(&config).directory).unwrap();
    fs::write(knobs(&config).directory.join("derived"), b"in the way").unwrap();
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    wait_until("it is told", || counter(&endpoints, "shadow.failed") == 1);
    let mut seller = login(&exchange, "USER01", true);
    trade(&mut seller, 120);
    assert_eq!(counter(&endpoints, "shadow.snapshots"), 0);
    drop(seller);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}
