//! A whole exchange whose orders survive a loss of power: the gate, the disk beneath it, and what a start makes of
//! segments and log.

#[path = "support/disk.rs"]
mod disk;
#[path = "support/exchange.rs"]
mod support;

use disk::{HeldDisk, durable};
use pitlane::client::operator;
use pitlane::client::orders::{Incoming, OrderSession, Refusal};
use pitlane::config::{Config, Survives};
use pitlane::journal::{History, JournalFault, LogOptions, LogWriter, SegmentWriter, Segments, SystemDisk, host_boot};
use pitlane::launch::closing::Closing;
use pitlane::launch::home::{group, log_path};
use pitlane::launch::{Exchange, LaunchFault};
use pitlane::types::SideCode;
use pitlane::wire::ouch::Outbound;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use support::{
    PATIENCE, accepted, config, counter, counting_on, limit, login, options, trade, until, verify, wait_until,
};

/// Numbers of the orders that were accepted, of all that has come.
fn answers(session: &mut OrderSession) -> Vec<u32> {
    let mut accepted = Vec::new();
    while let Some(incoming) = session.poll().unwrap() {
        if let Incoming::Message { message: Outbound::Accepted(m), .. } = incoming {
            accepted.push(m.user_ref.0);
        }
    }
    accepted
}

/// A run of `count` orders, and a question before them, from start to stop.
fn run_of(config: &Config, count: usize) -> Closing {
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut session = counting_on(&exchange, false);
    trade(&mut session, count);
    drop(session);
    exchange.close().unwrap()
}

fn refusal(config: &Config) -> String {
    let refused = Exchange::open(config.clone()).err().expect("the start is refused");
    assert!(matches!(&refused, LaunchFault::Journal(fault) if fault.is_damage()), "{refused}");
    refused.to_string()
}

#[test]
fn nothing_leaves_before_the_disk_has_it() {
    let Some((_directory, config)) = durable(config, Survives::PowerLoss) else { return };
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", true);
    trade(&mut session, 1);
    disk.hold();
    let order = session.enter(&limit(SideCode::Sell, 5, 5_855_000)).unwrap();
    let halt = {
        let socket = endpoints.operator.clone();
        std::thread::spawn(move || operator::ask(&socket, &json!({"do": "halt", "ticker": "MSFT"}), PATIENCE).unwrap())
    };
    wait_until("both are in the log", || counter(&endpoints, "sequencer.records") == 4);
    let published = counter(&endpoints, "feed.messages");
    let waited = std::time::Instant::now();
    while waited.elapsed() < Duration::from_millis(300) {
        assert_eq!(session.poll().unwrap(), None, "no answer before the disk has it");
    }
    assert!(!halt.is_finished(), "nor is the operator told");
    assert_eq!(counter(&endpoints, "feed.messages"), published, "nor the feed");
    disk.release();
    accepted(&mut session, order);
    assert_eq!(halt.join().unwrap()["ok"], true);
    drop(session);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn a_slow_disk_fills_the_gate_then_holds_back_and_drops_nothing() {
    let Some((_directory, mut config)) = durable(config, Survives::PowerLoss) else { return };
    config.gateway.stream_bytes = 8 << 20;
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut with = options(&endpoints, "USER01", true);
    with.unanswered_max = 1 << 16;
    let mut session = OrderSession::connect(with).unwrap();
    trade(&mut session, 1);
    disk.hold();
    let mut sent = 1;
    let mut full_since = None;
    // Until nothing has been taken for a while: the gate, the links and the ring are full to the client.
    wait_until("the venue takes no more", || {
        match session.enter(&limit(SideCode::Sell, 1, 5_855_000)) {
            Ok(_) => (sent, full_since) = (sent + 1, None),
            Err(Refusal::Full) => {
                full_since.get_or_insert_with(std::time::Instant::now);
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(session.poll().unwrap(), None, "nothing was synced, nothing is answered");
        full_since.is_some_and(|since: std::time::Instant| since.elapsed() > Duration::from_millis(300))
    });
    let records = counter(&endpoints, "sequencer.records");
    assert!(counter(&endpoints, "sequencer.held_back") > 0 && records < sent, "{records} of {sent}");
    // A slow one from here on, not one that lets everything go at once.
    disk.slow(Duration::from_millis(3));
    disk.release();
    let mut all = vec![1];
    wait_until("all are answered", || {
        all.extend(answers(&mut session));
        all.len() as u64 == sent
    });
    assert_eq!(all, (1..=sent as u32).collect::<Vec<_>>(), "each once, in order");
    drop(session);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn a_disk_that_fails_ends_the_intake_and_the_run_and_no_acknowledged_order_is_lost() {
    let Some((_directory, config)) = durable(config, Survives::PowerLoss) else { return };
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", false);
    trade(&mut session, 20);
    disk.fail();
    session.enter(&limit(SideCode::Sell, 1, 5_855_000)).unwrap();
    wait_until("the failure is counted", || counter(&endpoints, "persister.failed") == 1);
    assert_eq!(answers(&mut session), Vec::<u32>::new());
    // The foreground ends by itself.
    let fault = exchange.run().expect_err("the run has failed");
    assert!(matches!(fault, LaunchFault::Journal(JournalFault::Disk { .. })), "{fault}");
    assert!(fault.to_string().contains("it is not tried again"), "{fault}");
    drop(session);
    // With the log gone, too: what was acknowledged is on the disk.
    std::fs::remove_file(log_path(&config.directory)).unwrap();
    let exchange = Exchange::open(config).unwrap();
    let mut session = login(&exchange, "USER01", false);
    let mut again = Vec::new();
    wait_until("the day's answers come again", || {
        again.extend(answers(&mut session));
        again.len() >= 20
    });
    assert_eq!(again, (1..=20).collect::<Vec<_>>());
}

#[test]
fn with_process_crash_the_disk_may_be_behind_and_catches_up() {
    let Some((_directory, config)) = durable(config, Survives::ProcessCrash) else { return };
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    disk.hold();
    let mut session = login(&exchange, "USER01", false);
    trade(&mut session, 50);
    let status = || operator::ask(&endpoints.operator, &json!({"do": "status"}), PATIENCE).unwrap()["status"].clone();
    let told = status();
    assert!(told["synced"].as_u64() < told["committed"].as_u64(), "{told}");
    disk.release();
    wait_until("the disk has caught up", || status()["synced"] == 51);
    drop(session);
    exchange.close().unwrap();
}

#[test]
fn a_lost_log_is_rebuilt_from_the_segments_and_streams_and_feed_are_the_same() {
    let Some((_directory, config)) = durable(config, Survives::PowerLoss) else { return };
    // Twice, so that a log that itself follows segments is lost, too; and once more with it.
    for round in 1..=3u64 {
        let closing = run_of(&config, 1_000);
        assert_eq!(closing.number, 1 + 1_001 * round);
        verify(&config, &closing);
        let log = log_path(&config.directory);
        if round < 3 {
            std::fs::remove_file(&log).unwrap();
            verify(&config, &closing);
        }
        let exchange = Exchange::open(config.clone()).unwrap();
        let lines = exchange.announcement().join("\n");
        assert_eq!(lines.contains("records replayed from the segments, the log was gone"), round < 3, "{lines}");
        assert!(lines.contains("survives = \"power-loss\"") && lines.contains("segments on "), "{lines}");
        assert_eq!(exchange.close().unwrap(), closing);
        verify(&config, &closing);
    }
    let segments = &config.journal.segments.as_ref().unwrap().directory;
    let mut history = History::open(&log_path(&config.directory), Some(segments)).unwrap();
    let mut numbers = 0;
    while let Some(view) = history.next_view().unwrap() {
        numbers += 1;
        assert_eq!(view.record.number.0, numbers);
    }
    assert_eq!(numbers, 3_004);
}

#[test]
fn a_log_of_a_few_kilobytes_carries_a_day_of_any_length_and_holds_back_when_the_disk_is_slow() {
    const LOG_RECORDS: usize = 200;
    for survives in [Survives::ProcessCrash, Survives::PowerLoss] {
        let Some((_directory, mut config)) = durable(config, survives) else { return };
        config.journal.log_bytes = LogOptions::bytes_for(LOG_RECORDS);
        let disk = HeldDisk::default();
        disk.slow(Duration::from_millis(1));
        let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
        let endpoints = exchange.endpoints().clone();
        let mut session = login(&exchange, "USER01", true);
        // Fewer under way and not on the disk than would fill the log, so that none is refused for want of room.
        let counted = |name: &str| counter(&endpoints, name);
        let unsynced = || counted("sequencer.records").saturating_sub(counted("persister.records"));
        let (mut sent, mut all) = (0, Vec::new());
        wait_until("far more than the log holds is accepted", || {
            while sent - all.len() + (unsynced() as usize) < LOG_RECORDS / 2
                && let Ok(number) = session.enter(&limit(SideCode::Sell, 1, 5_855_000))
            {
                sent = number.0 as usize;
            }
            all.extend(answers(&mut session));
            all.len() > 10 * LOG_RECORDS
        });
        wait_until("all are accepted", || {
            all.extend(answers(&mut session));
            all.len() == sent
        });
        assert_eq!(all, (1..=sent as u32).collect::<Vec<_>>(), "each once, in order");
        // With the disk held the ring fills, and the venue takes no more orders until there is room again.
        wait_until("the disk is level", || unsynced() == 0);
        disk.hold();
        wait_until("room has run short", || {
            let _full = session.enter(&limit(SideCode::Sell, 1, 5_855_000));
            while let Ok(Some(_)) = session.poll() {}
            counter(&endpoints, "sequencer.intake") > 0
        });
        let in_log = unsynced();
        assert!((LOG_RECORDS as u64 * 9 / 10..=LOG_RECORDS as u64).contains(&in_log), "{in_log} in the log");
        disk.release();
        wait_until("there is room again", || counter(&endpoints, "sequencer.intake") == 0);
        drop(session);
        let closing = exchange.close().unwrap();
        assert!(closing.number > 11 * LOG_RECORDS as u64);
        verify(&config, &closing);
        let exchange = Exchange::open(config.clone()).unwrap();
        assert_eq!(exchange.close().unwrap(), closing);
        // What the log has let go cannot be found in it, although it is sound.
        std::fs::remove_dir_all(&config.journal.segments.as_ref().unwrap().directory).unwrap();
        let refused = refusal(&config);
        assert!(refused.contains(&format!("it begins with record {}", closing.number + 1)), "{refused}");
    }
}

#[test]
fn segments_that_come_later_catch_up_with_the_log_that_is_there() {
    let Some((_directory, config)) = durable(config, Survives::PowerLoss) else { return };
    let mut without = config.clone();
    (without.journal.segments, without.journal.survives) = (None, Survives::ProcessCrash);
    let before = run_of(&without, 500);
    let exchange = Exchange::open(config.clone()).unwrap();
    assert!(exchange.announcement().iter().any(|line| line.contains("502 records were only in the log")));
    // Before anybody could log in and be told of them.
    let status = operator::ask(&exchange.endpoints().operator, &json!({"do": "status"}), PATIENCE).unwrap();
    assert_eq!(status["status"]["synced"], 502);
    let closing = exchange.close().unwrap();
    assert_eq!(closing, before);
    std::fs::remove_file(log_path(&config.directory)).unwrap();
    verify(&config, &closing);
    // And the way back is closed: what the log has let go is in the segments alone.
    drop(run_of(&config, 1));
    let refused = refusal(&without);
    assert!(refused.contains("it begins with record 505") && refused.contains("journal.segments"), "{refused}");
}

#[test]
fn power_lost_before_the_first_record_leaves_a_journal_that_goes_on() {
    let Some((directory, config)) = durable(config, Survives::PowerLoss) else { return };
    // As the first start leaves it that ends before its first record: a first segment, named and empty, and no log.
    let segments = &config.journal.segments.as_ref().unwrap().directory;
    let options = LogOptions { path: directory.path().join("gone"), bytes: LogOptions::bytes_for(1), lock: false };
    let gone = LogWriter::create(options, group(&config.market), host_boot()).unwrap();
    let taken = Segments::take(segments, group(&config.market), |_| {}).unwrap();
    drop(SegmentWriter::new(taken, 1 << 20, gone.reader().link(), &mut SystemDisk::plain()).unwrap());
    let closing = run_of(&config, 10);
    assert_eq!(closing.number, 12);
    verify(&config, &closing);
    let closing = run_of(&config, 10);
    assert_eq!(closing.number, 23);
    verify(&config, &closing);
}

#[test]
fn a_log_behind_or_against_its_segments_is_refused_with_words() {
    let Some((directory, config)) = durable(config, Survives::PowerLoss) else { return };
    let log = log_path(&config.directory);
    let kept = directory.path().join("kept");
    run_of(&config, 10);
    std::fs::copy(&log, &kept).unwrap();
    run_of(&config, 10);
    std::fs::copy(&kept, &log).unwrap();
    let refused = refusal(&config);
    assert!(refused.contains("it ends with record 12, the segments with record 23"), "{refused}");
    // Another day of the same partition, longer than the segments.
    let mut other = config.clone();
    other.directory = directory.path().join("other");
    (other.journal.segments, other.journal.survives) = (None, Survives::ProcessCrash);
    run_of(&other, 30);
    std::fs::copy(log_path(&other.directory), &log).unwrap();
    let refused = refusal(&config);
    assert!(refused.contains("record 23 of it is another than that of the segments"), "{refused}");
    // Segments that end before the log begins.
    std::fs::remove_file(&log).unwrap();
    run_of(&config, 5);
    let segments = &config.journal.segments.as_ref().unwrap().directory;
    let first = pitlane::journal::segments::segment_path(segments, 1);
    let mut bytes = std::fs::read(&first).unwrap();
    let end = 4096 + 15 * pitlane::journal::RECORD_BYTES;
    bytes[end..].fill(0);
    std::fs::write(&first, bytes).unwrap();
    let refused = refusal(&config);
    assert!(refused.contains("record 16"), "{refused}");
}

#[test]
fn a_log_of_an_earlier_run_of_the_host_that_is_behind_is_set_aside() {
    let Some((_directory, config)) = durable(config, Survives::PowerLoss) else { return };
    let closing = run_of(&config, 10);
    let log = log_path(&config.directory);
    std::fs::remove_file(&log).unwrap();
    let old = LogOptions { path: log.clone(), bytes: LogOptions::bytes_for(100), lock: false };
    drop(LogWriter::create(old, group(&config.market), host_boot() ^ 1).unwrap());
    let exchange = Exchange::open(config.clone()).unwrap();
    let lines = exchange.announcement().join("\n");
    assert!(
        lines.contains("it was set aside as") && lines.contains("12 records replayed from the segments"),
        "{lines}"
    );
    assert_eq!(exchange.close().unwrap(), closing);
    assert!(log.with_extension("earlier-boot-1").exists());
}

#[test]
fn two_exchanges_on_one_directory_of_segments_are_refused() {
    let Some((directory, config)) = durable(config, Survives::PowerLoss) else { return };
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut second = config.clone();
    second.directory = directory.path().join("second");
    let refused = Exchange::open(second).err().expect("the segments are taken").to_string();
    assert!(refused.contains("another process writes") && refused.ends_with("lock"), "{refused}");
    exchange.close().unwrap();
}

#[test]
fn the_portfolio_tells_nothing_that_is_not_on_the_disk() {
    let Some((_directory, config)) = durable(config, Survives::PowerLoss) else { return };
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config, Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", true);
    trade(&mut session, 1);
    disk.hold();
    session.enter(&limit(SideCode::Sell, 5, 5_855_000)).unwrap();
    wait_until("it is in the log", || counter(&endpoints, "sequencer.records") == 3);
    let ask =
        || operator::ask(&endpoints.operator, &json!({"do": "portfolio", "account": "maker-one"}), PATIENCE).unwrap();
    assert!(ask()["portfolio"]["error"].is_string());
    disk.release();
    until(&mut session, "the acceptance", |m| matches!(m, Outbound::Accepted(_)));
    assert_eq!(ask()["portfolio"]["open_orders"], 2);
    assert!(Path::new(&endpoints.operator).exists());
    drop(session);
    exchange.close().unwrap();
}
