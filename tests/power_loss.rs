//! The program itself under orders that must survive a loss of power: killed without warning, its memory taken away,
//! started again; and what it says and which code it ends with when its journal is damaged.
//!
//! Loss of power is played by SIGKILL and the deletion of the log: what is left is what was synced, and the unsynced
//! rest of the last segment, which may or may not be there, as after a real one.

#[path = "support/disk.rs"]
mod disk;
#[path = "support/process.rs"]
mod process;
#[path = "support/exchange.rs"]
mod support;

use pitlane::client::orders::{Incoming, OrderSession, Refusal};
use pitlane::journal::segments::segment_path;
use pitlane::launch::endpoints::Endpoints;
use pitlane::types::SideCode;
use pitlane::wire::ouch::Outbound;
use process::Site;
use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::process::Command;
use support::{limit, options, wait_until};

/// A client's own record: each message it was sent, by its number, and how often each order was accepted.
#[derive(Default)]
struct Record {
    messages: BTreeMap<u64, Outbound>,
    accepted: BTreeMap<u32, u32>,
}

impl Record {
    /// Takes in what has come; the end of the connection is an end, too.
    fn take(&mut self, session: &mut OrderSession) {
        while let Ok(Some(incoming)) = session.poll() {
            let Incoming::Message { sequence, message } = incoming else { continue };
            assert!(self.messages.insert(sequence, message).is_none(), "message {sequence} came twice");
            if let Outbound::Accepted(m) = message {
                *self.accepted.entry(m.user_ref.0).or_default() += 1;
            }
        }
    }

    /// What a client that asks for the whole day is sent now begins with all this, byte for byte.
    fn is_held_by(&self, endpoints: &Endpoints) {
        let mut again = Record::default();
        let mut session = OrderSession::connect(options(endpoints, "USER01", false)).unwrap();
        wait_until("the day's messages come again", || {
            again.take(&mut session);
            again.messages.len() >= self.messages.len()
        });
        for (number, message) in &self.messages {
            assert_eq!(again.messages.get(number), Some(message), "message {number}");
        }
    }
}

#[test]
fn every_acknowledged_order_survives_kills_with_and_without_the_loss_of_memory() {
    let Some(site) = Site::new("power-loss", &[]) else { return };
    let mut venue = site.start();
    assert!(venue.lines.iter().any(|line| line.contains("survives = \"power-loss\"")), "{:?}", venue.lines);
    let mut with = options(&venue.endpoints, "USER01", false);
    with.unanswered_max = 1 << 14;
    let mut session = OrderSession::connect(with).unwrap();
    let mut record = Record::default();
    let mut sent = 0u32;
    const ROUNDS: u32 = 6;
    for round in 1..=ROUNDS {
        // Killed while orders are on their way in every stage, each time after another number of answers.
        let enough = record.accepted.len() + 500 * round as usize + 37;
        wait_until("enough is answered", || {
            for _ in 0..64 {
                match session.enter(&limit(SideCode::Sell, 1, 5_855_000)) {
                    Ok(number) => sent = number.0,
                    Err(Refusal::Full | Refusal::Unanswered | Refusal::Recovering) => break,
                    Err(other) => panic!("{other}"),
                }
            }
            record.take(&mut session);
            record.accepted.len() >= enough
        });
        venue.kill();
        record.take(&mut session);
        let loses_memory = round % 3 != 0;
        if loses_memory {
            std::fs::remove_dir_all(site.venue()).unwrap();
        }
        venue = site.start();
        let journal = venue.lines.iter().find(|line| line.starts_with("journal")).unwrap();
        assert_eq!(journal.contains("from the segments, the log was gone"), loses_memory, "{journal}");
        // Another connection would end this one's: first the look, then the client goes on.
        record.is_held_by(&venue.endpoints);
        session.reconnect().unwrap();
    }
    wait_until("every order sent is answered", || {
        record.take(&mut session);
        record.accepted.len() as u32 == sent
    });
    assert!(record.accepted.iter().all(|(_, times)| *times == 1), "each order is executed once");
    assert!(record.messages.keys().copied().eq(1..=record.messages.len() as u64), "no message was left out");
    record.is_held_by(&venue.endpoints);
    drop(session);
    assert_eq!(venue.stop(), 0);
    let replayed = site.output(&["replay", "--verify"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let verified = site.output(&["verify"]);
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success() && text.contains("verified   every record is in its place"), "{text}");
    assert!(text.contains("together   the log agrees with the segments and has 0 records that they lack"), "{text}");
    let inspected = site.output(&["inspect", "--count", "100000"]);
    let records = inspected.stdout.lines().count();
    // The day's start, the orders, and what the client asked after a reconnect if anything was without an answer.
    let expected = 1 + sent..=1 + sent + ROUNDS;
    assert!(
        expected.contains(&(records as u32)),
        "{records} of {expected:?}: segments and log together, each record once"
    );
}

#[test]
fn damage_ends_the_start_with_code_4_and_the_records_number() {
    let Some(site) = Site::new("power-loss", &[]) else { return };
    let venue = site.start();
    let mut session = OrderSession::connect(options(&venue.endpoints, "USER01", false)).unwrap();
    let mut record = Record::default();
    wait_until("some orders are answered", || {
        let _full = session.enter(&limit(SideCode::Sell, 1, 5_855_000));
        record.take(&mut session);
        record.accepted.len() >= 50
    });
    drop(session);
    assert_eq!(venue.stop(), 0);
    let path = segment_path(&site.segments(), 1);
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[4096 + 9 * pitlane::journal::RECORD_BYTES + 80] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    for words in [&["run"][..], &["verify"], &["verify", "--directory", site.segments().to_str().unwrap()]] {
        let output = match words.len() {
            3 => Command::new(env!("CARGO_BIN_EXE_pitlane")).args(words).output().unwrap(),
            _ => site.output(words),
        };
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{words:?}: {text}");
        assert!(text.contains("record 10, at byte") && text.contains("segment-00000001"), "{text}");
    }
    assert!(std::fs::read(&path).unwrap() == bytes, "nothing was changed");
    // The records before the damage can be read all the same.
    let inspected = site.output(&["inspect", "--log", path.to_str().unwrap()]);
    assert_eq!(inspected.stdout.lines().count(), 9);
    // Put right from a copy, it goes on, with a torn end behind.
    let mut bytes = whole.clone();
    let end = bytes.len() - 200;
    bytes[end] = 1;
    std::fs::write(&path, &bytes).unwrap();
    let venue = site.start();
    assert!(venue.lines.iter().any(|line| line.starts_with("note") && line.contains("torn end")), "{:?}", venue.lines);
    assert!(path.with_extension("torn-1").exists());
    record.is_held_by(&venue.endpoints);
    assert_eq!(venue.stop(), 0);
}

#[test]
fn a_living_venues_journal_is_neither_taken_nor_verified_but_can_be_inspected() {
    let Some(site) = Site::new("power-loss", &[]) else { return };
    let venue = site.start();
    let verified = site.output(&["verify"]);
    assert_eq!(verified.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&verified.stderr).contains("another process writes"));
    let inspected = site.output(&["inspect", "--json"]);
    assert!(inspected.status.success() && inspected.stdout.lines().count() == 1);
    let elsewhere = site.memory.path().join("second");
    let refused = site.output(&["run", "--listen", "127.0.0.1:0", "--directory", elsewhere.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another process writes"));
    assert_eq!(venue.stop(), 0);
}

#[test]
fn promises_that_cannot_be_kept_end_the_start_with_code_2_and_their_line() {
    let Some(site) = Site::new("power-loss", &[]) else { return };
    let text = std::fs::read_to_string(&site.config).unwrap();
    let line_of = |key: &str| 1 + text[..text.find(key).unwrap()].matches('\n').count();
    let refused = |text: String| {
        std::fs::write(&site.config, text).unwrap();
        let output = site.output(&["run"]);
        let mut error = String::new();
        let _ = output.stderr.as_slice().read_to_string(&mut error);
        assert_eq!(output.status.code(), Some(2), "{error}");
        error
    };
    let error = refused(
        text.replace("\"power-loss\"             ", "\"host-loss\"").replace("\"power-loss\"", "\"host-loss\""),
    );
    assert!(error.contains(&format!(":{}: journal.survives", line_of("survives = \""))), "{error}");
    assert!(error.contains("replication is not built yet"), "{error}");
    if site.memory.path().starts_with("/dev/shm") {
        let disk = format!("{:?}", site.segments());
        let error = refused(text.replace(&disk, &format!("{:?}", site.memory.path().join("segments"))));
        assert!(error.contains(&format!("line {}: journal.segments", line_of("segments = "))), "{error}");
        assert!(error.contains("tmpfs"), "{error}");
    }
}
