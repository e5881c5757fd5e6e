//! A whole exchange whose disk runs full or stands still: who is heard, who is refused, and that it passes by itself.

#[path = "support/disk.rs"]
mod disk;
#[path = "support/exchange.rs"]
mod support;

use disk::{HeldDisk, durable};
use pitlane::client::operator;
use pitlane::client::orders::{Incoming, OrderSession, Refusal, Replacement};
use pitlane::config::Survives;
use pitlane::journal::{Intake, LogOptions};
use pitlane::launch::Exchange;
use pitlane::launch::endpoints::Endpoints;
use pitlane::launch::home::log_path;
use pitlane::launch::replayed::replay_whole;
use pitlane::types::{Channel, Firm, Price, Quantity, Reject, SideCode, Symbol, UserRef};
use pitlane::wire::ouch::{Outbound, Tags};
use serde_json::{Value, json};
use std::time::Duration;
use support::{PATIENCE, accepted, canceled, config, counter, limit, login, rejected, verify, wait_until};

fn enter(session: &mut OrderSession) -> UserRef {
    session.enter(&limit(SideCode::Sell, 10, 5_855_000)).unwrap()
}

fn ask(endpoints: &Endpoints, request: Value) -> Value {
    operator::ask(&endpoints.operator, &request, PATIENCE).unwrap()
}

fn alarms(endpoints: &Endpoints) -> String {
    ask(endpoints, json!({"do": "status"}))["status"]["alarms"].to_string()
}

/// Letter and reason of the next answer to an order.
fn answer(session: &mut OrderSession) -> (char, u16) {
    loop {
        match session.wait(PATIENCE).unwrap() {
            Some(Incoming::Message { message: Outbound::Accepted(_), .. }) => return ('A', 0),
            Some(Incoming::Message { message: Outbound::Rejected(j), .. }) => return ('J', j.reason),
            Some(_) => {}
            None => panic!("no answer"),
        }
    }
}

/// Cancels, reductions, operators and whoever looks are served while new orders are refused.
fn others_are_served(session: &mut OrderSession, endpoints: &Endpoints, order: UserRef) {
    session.cancel(Channel::NONE, order, Quantity(4)).unwrap();
    assert_eq!(canceled(session, order).0, 6);
    let smaller = Replacement::limit(Quantity(3), Price(5_855_000));
    let smaller = session.replace(order, &smaller).unwrap();
    support::until(session, "a reduction by replace", |m| matches!(m, Outbound::Replaced(r) if r.user_ref == smaller));
    // A replace that wants more is a new order: refused, which takes the old one away, as any refused replace does.
    let next = UserRef(order.0 + 1);
    session.replace(next, &Replacement::limit(Quantity(10), Price(5_855_100))).unwrap();
    assert_eq!(canceled(session, next).0, 10);
    session.mass_cancel(Firm(*b"ALFA"), Symbol::BLANK, Tags::NONE).unwrap();
    assert_eq!(canceled(session, smaller).0, 3);
    assert_eq!(ask(endpoints, json!({"do": "halt", "ticker": "MSFT"}))["ok"], true);
}

#[test]
fn a_full_disk_refuses_orders_while_cancels_pass_and_takes_them_again_when_there_is_room() {
    for survives in [Survives::ProcessCrash, Survives::PowerLoss] {
        let Some((_directory, mut config)) = durable(config, survives) else { return };
        // The reserve is most of a segment.
        config.journal.reserve_percent = 12;
        let disk = HeldDisk::default();
        disk.room_for(Some(1));
        let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
        let endpoints = exchange.endpoints().clone();
        let mut session = login(&exchange, "USER01", true);
        wait_until("the alarm, a segment ahead", || counter(&endpoints, "persister.disk_full") == 1);
        let mut taken = 0;
        while (0..16).map(|_| enter(&mut session)).count() > 0 {
            let answers: Vec<_> = (0..16).map(|_| answer(&mut session)).collect();
            taken += answers.iter().filter(|&&(letter, _)| letter == 'A').count();
            if let Some(refusal) = answers.iter().find(|(letter, _)| *letter == 'J') {
                assert_eq!(refusal.1, Reject::JournalFull.wire());
                break;
            }
        }
        assert!(taken > 50, "{taken}");
        assert!(alarms(&endpoints).contains("free some"), "{}", alarms(&endpoints));
        assert_eq!(counter(&endpoints, "sequencer.intake"), Intake::NoOrders as u64);
        others_are_served(&mut session, &endpoints, UserRef(1));
        disk.room_for(None);
        wait_until("there is room again", || counter(&endpoints, "sequencer.intake") == 0);
        let order = enter(&mut session);
        accepted(&mut session, order);
        assert_eq!(alarms(&endpoints), "[]");
        drop(session);
        let closing = exchange.close().unwrap();
        verify(&config, &closing);
        let tally = replay_whole(&config, &log_path(&config.directory)).unwrap().tally;
        assert!(matches!(tally.refused[..], [(Reject::JournalFull, _)]), "{:?}", tally.refused);
    }
}

#[test]
fn a_disk_that_stands_still_leaves_answers_alone_alarms_and_at_the_limit_sheds_new_orders() {
    let Some((_directory, mut config)) = durable(config, Survives::ProcessCrash) else { return };
    config.journal.unsynced_records_max = 100;
    config.journal.sync_alarm_ms = 50;
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", false);
    let first = enter(&mut session);
    accepted(&mut session, first);
    wait_until("all is synced", || ask(&endpoints, json!({"do": "status"}))["status"]["synced"] == 2);
    disk.hold();
    // Answers as ever: the hundredth unsynced record is the last that may be an order.
    let taken = (0..100).map(|_| enter(&mut session)).collect::<Vec<_>>();
    taken.into_iter().for_each(|order| accepted(&mut session, order));
    let refused = enter(&mut session);
    assert_eq!(rejected(&mut session, refused), Reject::DiskBehind.wire());
    wait_until("the alarm", || counter(&endpoints, "disk.slow") == 1);
    let told = alarms(&endpoints);
    assert!(told.contains("the disk is behind") && told.contains("new orders are refused"), "{told}");
    others_are_served(&mut session, &endpoints, first);
    disk.release();
    wait_until("the disk has caught up", || counter(&endpoints, "sequencer.intake") == 0);
    wait_until("the alarm is over", || counter(&endpoints, "disk.slow") == 0);
    let order = enter(&mut session);
    accepted(&mut session, order);
    assert_eq!((counter(&endpoints, "disk.slow_times"), counter(&endpoints, "sequencer.shed")), (1, 2));
    drop(session);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn with_power_loss_the_same_limit_sheds_and_the_refusals_too_wait_for_the_disk() {
    let Some((_directory, mut config)) = durable(config, Survives::PowerLoss) else { return };
    config.journal.unsynced_records_max = 100;
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", false);
    let first = enter(&mut session);
    accepted(&mut session, first);
    disk.hold();
    let sent = (0..150).map(|_| enter(&mut session)).count() as u64;
    wait_until("all are in the log", || counter(&endpoints, "sequencer.records") == 2 + sent);
    let waited = std::time::Instant::now();
    while waited.elapsed() < Duration::from_millis(200) {
        assert_eq!(session.poll().unwrap(), None, "nothing was synced, nothing is answered");
    }
    assert_eq!(counter(&endpoints, "sequencer.shed"), sent - 100);
    disk.release();
    let answers: Vec<_> = (0..sent).map(|_| answer(&mut session)).collect();
    assert_eq!(answers[..100], [('A', 0); 100]);
    assert_eq!(answers[100..], [('J', Reject::DiskBehind.wire()); 50]);
    wait_until("there is room again", || counter(&endpoints, "sequencer.intake") == 0);
    let order = enter(&mut session);
    accepted(&mut session, order);
    drop(session);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn a_log_that_fills_behind_a_disk_that_stands_still_hears_operators_to_the_end_and_goes_on_by_itself() {
    const RECORDS: u64 = 400;
    let Some((_directory, mut config)) = durable(config, Survives::ProcessCrash) else { return };
    config.journal.log_bytes = LogOptions::bytes_for(RECORDS as usize);
    config.journal.reserve_percent = 50;
    let disk = HeldDisk::default();
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", true);
    let first = enter(&mut session);
    accepted(&mut session, first);
    wait_until("all is synced", || ask(&endpoints, json!({"do": "status"}))["status"]["synced"] == 2);
    disk.hold();
    // A group may have been on its way, which then leaves the log only later.
    let mut taken = vec![first];
    loop {
        let order = enter(&mut session);
        match answer(&mut session) {
            ('A', _) => taken.push(order),
            refusal => break assert_eq!(refusal, ('J', Reject::DiskBehind.wire())),
        }
    }
    assert!(taken.len() as u64 >= RECORDS / 2 - 1, "{}", taken.len());
    // Cancels and no-effect cancels take the room down to the operators' part.
    let halts = || ask(&endpoints, json!({"do": "halt", "ticker": "MSFT"}))["ok"].clone();
    while counter(&endpoints, "sequencer.log_full") == 0 {
        match session.cancel(Channel::NONE, taken[0], Quantity(9)) {
            Ok(()) | Err(Refusal::Full | Refusal::Unanswered) => {}
            Err(other) => panic!("{other}"),
        }
        while session.poll().unwrap().is_some() {}
    }
    assert_eq!(counter(&endpoints, "sequencer.intake"), Intake::OperatorOnly as u64);
    assert_eq!((halts(), halts()), (json!(true), json!(true)));
    disk.release();
    wait_until("there is room again", || counter(&endpoints, "sequencer.intake") == 0);
    let order = enter(&mut session);
    accepted(&mut session, order);
    assert_eq!(counter(&endpoints, "sequencer.log_full"), 0);
    drop(session);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn cancels_go_on_in_the_log_behind_a_full_disk_and_a_stop_keeps_them_for_the_next_start() {
    let Some((_directory, mut config)) = durable(config, Survives::ProcessCrash) else { return };
    config.journal.reserve_percent = 1;
    let disk = HeldDisk::default();
    disk.room_for(Some(1));
    let exchange = Exchange::open_on(config.clone(), Box::new(disk.clone())).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", true);
    let mut taken = Vec::new();
    while counter(&endpoints, "sequencer.shed") == 0 {
        let sent: Vec<_> = (0..32).map(|_| enter(&mut session)).collect();
        taken.extend(sent.into_iter().filter(|_| answer(&mut session).0 == 'A'));
    }
    // More than the segment has room for.
    for &order in &taken[..1_000] {
        session.cancel(Channel::NONE, order, Quantity(0)).unwrap();
        canceled(&mut session, order);
    }
    assert_eq!(counter(&endpoints, "sequencer.intake"), Intake::CancelsOnly as u64);
    let records = counter(&endpoints, "sequencer.records");
    let synced = ask(&endpoints, json!({"do": "status"}))["status"]["synced"].as_u64().unwrap();
    assert!(synced < records, "{synced} of {records} fit");
    drop(session);
    let stopped = exchange.close().expect_err("the disk has no room for the rest").to_string();
    assert!(stopped.contains("the disk is full") && stopped.contains("make room and start again"), "{stopped}");
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    wait_until("the rest is moved", || {
        ask(&endpoints, json!({"do": "status"}))["status"]["synced"].as_u64() == Some(records)
    });
    let closing = exchange.close().unwrap();
    assert_eq!(closing.number, records);
    verify(&config, &closing);
}
