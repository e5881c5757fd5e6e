//! Stores that are full: the intake ends, in a way that is defined and loses nothing.

use crate::support::{AAPL, PATIENCE, config, counter, limit, login, verify, wait_until};
use pitlane::client::operator;
use pitlane::client::orders::{Incoming, NewOrder, OrderSession, Refusal};
use pitlane::journal::LogOptions;
use pitlane::launch::{Exchange, LaunchFault};
use pitlane::types::{Channel, Price, Quantity, SideCode};
use pitlane::wire::ouch::Outbound;
use serde_json::json;

/// Records of the small log.
const RECORDS: usize = 300;

/// Sends orders until `done`; gives the numbers of those that were accepted.
fn send_until(session: &mut OrderSession, order: &NewOrder, mut done: impl FnMut() -> bool) -> Vec<u32> {
    let mut accepted = Vec::new();
    wait_until("enough was sent", || {
        match session.enter(order) {
            Ok(_) | Err(Refusal::Full | Refusal::Unanswered) => {}
            Err(other) => panic!("{other}"),
        }
        accepted.extend(answers(session));
        done()
    });
    accepted
}

/// Orders accepted by what has come.
fn answers(session: &mut OrderSession) -> Vec<u32> {
    let mut accepted = Vec::new();
    while let Some(incoming) = session.poll().unwrap() {
        if let Incoming::Message { message: Outbound::Accepted(m), .. } = incoming {
            accepted.push(m.user_ref.0);
        }
    }
    accepted
}

#[test]
fn a_full_log_ends_the_intake_and_every_answered_order_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.journal.log_bytes = LogOptions::bytes_for(RECORDS);
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", true);
    let order = limit(SideCode::Sell, 100, 5_855_000);
    let mut accepted = send_until(&mut session, &order, || counter(&endpoints, "sequencer.log_full") == 1);
    // The room is all used: the day's start, and an order in each other record.
    wait_until("the last answer is there", || {
        accepted.extend(answers(&mut session));
        accepted.len() == RECORDS - 1
    });
    assert_eq!(accepted, (1..RECORDS as u32).collect::<Vec<_>>());
    assert_eq!(counter(&endpoints, "sequencer.records"), RECORDS as u64);
    // Who looks is answered, clients keep their connection, and more of them may come; orders wait.
    let status = operator::ask(&endpoints.operator, &json!({"do": "status"}), PATIENCE).unwrap();
    assert_eq!(status["status"]["committed"], RECORDS as u64);
    let mut late = login(&exchange, "USER03", false);
    late.enter(&limit(SideCode::Buy, 100, 5_855_000)).unwrap();
    assert!(session.is_connected());
    drop((session, late));
    let closing = exchange.close().unwrap();
    assert_eq!(closing.number, RECORDS as u64);
    verify(&config, &closing);

    let exchange = Exchange::open(config.clone()).unwrap();
    let mut session = login(&exchange, "USER01", false);
    let mut again = Vec::new();
    wait_until("the day's answers come again", || {
        again.extend(answers(&mut session));
        again.len() == accepted.len()
    });
    assert_eq!(again, accepted);
    session.enter(&order).unwrap();
    let endpoints = exchange.endpoints().clone();
    wait_until("the log is as full as before", || counter(&endpoints, "sequencer.log_full") == 1);
    drop(session);
    assert_eq!(exchange.close().unwrap(), closing, "the same day, not a record more");
}

#[test]
fn a_full_stream_stops_the_venue_and_with_a_larger_one_it_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.gateway.stream_bytes = 8 << 10;
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", false);
    let order = limit(SideCode::Sell, 1, 5_855_000);
    let accepted = send_until(&mut session, &order, || counter(&endpoints, "gateway.stream_full") > 0);
    // Who looks is answered.
    let status = operator::ask(&endpoints.operator, &json!({"do": "status"}), PATIENCE).unwrap();
    assert!(status["status"]["counters"]["gateway.stream_full"].as_u64() > Some(0));
    assert!(session.is_connected());
    drop(session);
    let stopped = exchange.close().expect_err("what could not leave is told");
    assert!(stopped.to_string().contains("gateway.stream_mebibytes"), "{stopped}");
    // Too small for what the journal answers: the start says so, with the knob to turn.
    let refused = Exchange::open(config.clone()).err().expect("the streams have no room");
    assert!(matches!(refused, LaunchFault::Configuration(_)), "{refused}");
    assert!(refused.to_string().contains("gateway.stream_mebibytes"), "{refused}");

    config.gateway.stream_bytes = 2 << 20;
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut session = login(&exchange, "USER01", true);
    let mut again = Vec::new();
    session.query(Channel::NONE).unwrap();
    let mut next = 0;
    wait_until("the day's answers and the next number come", || {
        while let Some(incoming) = session.poll().unwrap() {
            match incoming {
                Incoming::Message { message: Outbound::Accepted(m), .. } => again.push(m.user_ref.0),
                Incoming::Message { message: Outbound::AccountQueryResponse(m), .. } => next = m.next_user_ref.0,
                _ => {}
            }
        }
        next > 0
    });
    assert_eq!(again, (1..next).collect::<Vec<_>>(), "each order of the journal is answered, once");
    assert!(again.starts_with(&accepted), "those that were answered before among them");
    drop(session);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn a_full_feed_store_stops_the_venue_and_with_a_larger_one_it_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.feed.store_bytes = 8 << 10;
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut session = login(&exchange, "USER01", false);
    let order = NewOrder::limit(SideCode::Sell, Quantity(1), AAPL, Price(5_855_000));
    send_until(&mut session, &order, || counter(&endpoints, "feed.store_full") > 0);
    assert!(session.is_connected());
    drop(session);
    let stopped = exchange.close().expect_err("what could not leave is told");
    assert!(stopped.to_string().contains("feed.store_mebibytes"), "{stopped}");
    let refused = Exchange::open(config.clone()).err().expect("the feed's store has no room");
    assert!(matches!(refused, LaunchFault::Configuration(_)), "{refused}");
    assert!(refused.to_string().contains("feed.store_mebibytes"), "{refused}");
    config.feed.store_bytes = 2 << 20;
    let closing = Exchange::open(config.clone()).unwrap().close().unwrap();
    verify(&config, &closing);
}
