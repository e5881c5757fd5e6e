//! Stores that are full: the intake ends, in a way that is defined and loses nothing.

use crate::support::{AAPL, PATIENCE, accepted, canceled, config, counter, limit, login, until, verify, wait_until};
use pitlane::client::operator;
use pitlane::client::orders::{Incoming, NewOrder, OrderSession, Refusal};
use pitlane::journal::LogOptions;
use pitlane::launch::{Exchange, LaunchFault};
use pitlane::types::{Channel, Price, Quantity, Reject, SideCode, UserRef};
use pitlane::wire::ouch::Outbound;
use serde_json::json;

/// Records of the small log.
const RECORDS: u64 = 400;

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
fn a_log_that_fills_refuses_orders_then_hears_cancels_then_operators_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.journal.log_bytes = LogOptions::bytes_for(RECORDS as usize);
    config.journal.reserve_percent = 50;
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    let records = || counter(&endpoints, "sequencer.records");
    let mut session = login(&exchange, "USER01", true);
    let order = limit(SideCode::Sell, 100, 5_855_000);
    // The day's start and orders, until the room left is the reserve.
    for _ in 1..RECORDS / 2 {
        let order = session.enter(&order).unwrap();
        accepted(&mut session, order);
    }
    // Refused by records until half of the reserve is left, then a few more, then cut off.
    let mut refused = 0;
    let cut_off = loop {
        let order = session.enter(&order).unwrap();
        match session.wait(PATIENCE) {
            Ok(Some(Incoming::Message { message: Outbound::Rejected(j), .. })) => {
                assert_eq!((j.user_ref, j.reason), (order, Reject::JournalFull.wire()));
                refused += 1;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => break order,
        }
    };
    let few = RECORDS / 2 / 8 / config.market.sessions.len() as u64;
    let bound = RECORDS / 4 + few;
    // The sequencer may have seen at leisure that the half was reached, or with the next order.
    assert!((bound..=bound + 1).contains(&refused), "{refused}");
    assert_eq!((records(), counter(&endpoints, "sequencer.shed")), (RECORDS / 2 + refused, refused));
    assert_eq!(counter(&endpoints, "gateway.closed.no_room"), 1);
    // It may come back and cancel, until the rest is for operators.
    let mut again = login(&exchange, "USER01", false);
    let mut next = 0;
    again.query(Channel::NONE).unwrap();
    until(
        &mut again,
        "the next number",
        |m| matches!(m, Outbound::AccountQueryResponse(a) if { next = a.next_user_ref.0; true }),
    );
    assert_eq!(next, cut_off.0, "what was cut off took no number");
    let operators = RECORDS / 2 / 8;
    let cancels = RECORDS - operators - records();
    for order in (1..=cancels as u32).map(UserRef) {
        again.cancel(Channel::NONE, order, Quantity(0)).unwrap();
        assert_eq!(canceled(&mut again, order).0, 100);
    }
    again.cancel(Channel::NONE, UserRef(cancels as u32 + 1), Quantity(0)).unwrap();
    wait_until("clients are not read", || counter(&endpoints, "sequencer.log_full") == 1);
    let ask = |request| operator::ask(&endpoints.operator, &request, PATIENCE).unwrap();
    for at in 0..operators {
        let ticker = if at.is_multiple_of(2) { "halt" } else { "resume" };
        assert_eq!(ask(json!({"do": ticker, "ticker": "MSFT"}))["number"], RECORDS - operators + at + 1);
    }
    let status = ask(json!({"do": "status"}));
    assert_eq!(status["status"]["committed"], RECORDS);
    assert!(status["status"]["alarms"].to_string().contains("the log is full"), "{status}");
    assert!(again.is_connected());
    drop((session, again));
    let closing = exchange.close().unwrap();
    assert_eq!(closing.number, RECORDS);
    // The verdicts stand in the records: a replay, which sees no log fill, gives the same.
    verify(&config, &closing);

    let exchange = Exchange::open(config.clone()).unwrap();
    let mut session = login(&exchange, "USER01", false);
    let (mut accepted, mut gone) = (0, 0);
    wait_until("the day's answers come again", || {
        while let Some(incoming) = session.poll().unwrap() {
            let Incoming::Message { message, .. } = incoming else { continue };
            accepted += u64::from(matches!(message, Outbound::Accepted(_)));
            gone += u64::from(matches!(message, Outbound::Canceled(_)));
        }
        (accepted, gone) == (RECORDS / 2 - 1, cancels)
    });
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
