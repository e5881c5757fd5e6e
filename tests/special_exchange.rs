//! Reserve, stop, timed, stepping-back and pegged orders through a whole exchange: what the client sends comes back, the records of
//! passing time end what is over, and a restart keeps every order where it stood.

#[path = "support/exchange.rs"]
mod support;

use pitlane::client::orders::OrderSession;
use pitlane::launch::Exchange;
use pitlane::types::{Display, Peg, Price, Quantity, Reject, SideCode, UserRef};
use pitlane::wire::ouch::{Outbound, outbound};
use support::{canceled, config, counter, executed, limit, login, rejected, until, verify, wait_until};

const BASE: u32 = 5_855_000;

fn acceptance(session: &mut OrderSession, order: UserRef) -> outbound::Accepted {
    match until(session, "an acceptance", |m| matches!(m, Outbound::Accepted(a) if a.user_ref == order)) {
        Outbound::Accepted(accepted) => accepted,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_refill_is_told_to_its_owner_and_priority_survives_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    let iceberg = maker.enter(&limit(SideCode::Sell, 300, BASE).showing(Quantity(100))).unwrap();
    assert_eq!(acceptance(&mut maker, iceberg).tags.max_floor(), Some(Quantity(100)));
    let plain = maker.enter(&limit(SideCode::Sell, 50, BASE)).unwrap();
    acceptance(&mut maker, plain);
    let mut taker = login(&exchange, "USER03", true);
    taker.enter(&limit(SideCode::Buy, 100, BASE).immediate()).unwrap();
    let told = until(&mut maker, "a restatement", |m| matches!(m, Outbound::Restated(_)));
    let Outbound::Restated(told) = told else { unreachable!() };
    assert_eq!((told.user_ref, told.tags.display_quantity()), (iceberg, Some(Quantity(100))));
    let stop = maker.enter(&limit(SideCode::Sell, 10, BASE - 500).stopped_at(Price(BASE - 100))).unwrap();
    acceptance(&mut maker, stop);
    drop((maker, taker));
    exchange.close().unwrap();

    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", true);
    let mut taker = login(&exchange, "USER04", false);
    let bid = taker.enter(&limit(SideCode::Buy, 60, BASE).immediate()).unwrap();
    assert_eq!(executed(&mut taker, bid), (50, u64::from(BASE)), "the order that the refill queued behind");
    assert_eq!(executed(&mut taker, bid), (10, u64::from(BASE)));
    let refilled = until(&mut maker, "10 of the refill", |m| matches!(m, Outbound::Executed(e) if e.quantity.0 == 10));
    assert!(matches!(refilled, Outbound::Executed(e) if e.user_ref == iceberg && e.liquidity == b'u'));
    // The stop wakes by a trade at its price and meets the bid below.
    taker.enter(&limit(SideCode::Buy, 10, BASE - 300)).unwrap();
    let mut other = login(&exchange, "USER02", false);
    let low = other.enter(&limit(SideCode::Sell, 1, BASE - 300)).unwrap();
    assert_eq!(executed(&mut other, low), (1, u64::from(BASE - 300)));
    assert_eq!(executed(&mut maker, stop), (9, u64::from(BASE - 300)));
    drop((maker, taker, other));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn an_order_whose_time_is_over_leaves_by_a_record_that_replay_reads() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.tick_ms = 20;
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    let timed = maker.enter(&limit(SideCode::Buy, 10, BASE).for_seconds(1)).unwrap();
    let accepted = acceptance(&mut maker, timed);
    assert_eq!((accepted.time_in_force, accepted.tags.expire_seconds()), (b'6', Some(1)));
    assert_eq!(canceled(&mut maker, timed), (10, b'T'));
    let before = counter(exchange.endpoints(), "sequencer.records");
    wait_until("time passes", || counter(exchange.endpoints(), "sequencer.records") > before + 2);
    drop(maker);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn the_houses_options_are_served_and_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    let offer = maker.enter(&limit(SideCode::Sell, 100, BASE).good_till_cancel()).unwrap();
    let accepted = acceptance(&mut maker, offer);
    assert_eq!((accepted.time_in_force, accepted.tags.good_till_cancel()), (b'0', Some(b'Y')));
    let mut post_only = limit(SideCode::Buy, 100, BASE);
    post_only.tags = post_only.tags.with_post_only(b'P').with_post_only_action(b'R');
    let mut taker = login(&exchange, "USER03", true);
    let bid = taker.enter(&post_only).unwrap();
    let accepted = acceptance(&mut taker, bid);
    assert_eq!(accepted.price, u64::from(BASE - 100), "one tick back, and the acceptance says so");
    let stop = taker.enter(&limit(SideCode::Buy, 1, BASE).stopped_at(Price(BASE))).unwrap();
    assert_eq!(acceptance(&mut taker, stop).tags.stop_price(), Some(u64::from(BASE)));
    let mut senseless = limit(SideCode::Buy, 100, BASE).showing(Quantity(10));
    senseless.display = Display::Hidden;
    let refused = taker.enter(&senseless).unwrap();
    assert_eq!(rejected(&mut taker, refused), Reject::InvalidMaxFloor.wire());
    drop((maker, taker));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn pegs_trade_between_what_shows_and_a_restart_keeps_them() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    for order in [limit(SideCode::Buy, 100, BASE), limit(SideCode::Sell, 100, BASE + 300)] {
        let order = maker.enter(&order).unwrap();
        acceptance(&mut maker, order);
    }
    let mut peg = limit(SideCode::Buy, 100, BASE + 300).pegged(Peg::Midpoint, -10);
    let midpoint = maker.enter(&peg).unwrap();
    let accepted = acceptance(&mut maker, midpoint);
    assert_eq!((accepted.tags.price_type(), accepted.tags.peg_offset()), (Some(b'M'), Some(-10)));
    peg.display = Display::Anonymous;
    let shown = maker.enter(&peg).unwrap();
    assert_eq!(rejected(&mut maker, shown), Reject::InvalidPegType.wire());
    drop(maker);
    exchange.close().unwrap();

    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", true);
    let mut taker = login(&exchange, "USER03", false);
    let sale = taker.enter(&limit(SideCode::Sell, 40, BASE).immediate()).unwrap();
    let told = until(&mut taker, "a sale", |m| matches!(m, Outbound::Executed(e) if e.user_ref == sale));
    let price = u64::from(BASE + 140);
    assert!(matches!(told, Outbound::Executed(e) if (e.price, e.liquidity) == (price, b'm')), "{told:?}");
    let told = until(&mut maker, "a purchase", |m| matches!(m, Outbound::Executed(e) if e.user_ref == midpoint));
    assert!(matches!(told, Outbound::Executed(e) if (e.price, e.liquidity) == (price, b'k')), "{told:?}");
    drop((maker, taker));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}
