//! Auctions through a whole exchange: a day by the operator's hand, one by the calendar, a pause by a price band, and that a
//! restart finds all of it where it was.

#[path = "support/exchange.rs"]
mod support;

use pitlane::client::operator;
use pitlane::config::{CalendarEntry, Config};
use pitlane::launch::Exchange;
use pitlane::launch::home::log_path;
use pitlane::launch::replayed::replay_whole;
use pitlane::types::{AccountId, CrossKind, Phase, Reject, SideCode, TickerId};
use pitlane::wire::itch::{self, Message};
use pitlane::wire::ouch::Outbound;
use serde_json::{Value, json};
use support::{PATIENCE, accepted, canceled, config, limit, login, rejected, until, verify, wait_until};

const REFERENCE: u32 = 5_855_000;

fn ask(exchange: &Exchange, request: Value) -> Value {
    operator::ask(&exchange.endpoints().operator, &request, PATIENCE).unwrap()
}

fn enter_phase(exchange: &Exchange, phase: &str) {
    let answer = ask(exchange, json!({"do": "phase", "ticker": "AAPL", "phase": phase}));
    assert_eq!(answer["ok"], json!(true), "{answer}");
}

fn with_crosses(config: &mut Config) {
    config.market.tickers[0].auction.cross_orders = true;
    config.market.tickers[0].fees.cross = 7;
}

/// The messages of the feed's store that a replay makes.
fn feed(config: &Config) -> Vec<Vec<u8>> {
    let replayed = replay_whole(config, &log_path(&config.directory)).unwrap();
    let store = replayed.feed.store();
    (1..=store.count()).map(|sequence| store.message(sequence).unwrap().to_vec()).collect()
}

#[test]
fn a_day_by_hand_opens_trades_breaks_and_closes() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    with_crosses(&mut config);
    config.tick_ms = 20;
    let exchange = Exchange::open(config.clone()).unwrap();
    enter_phase(&exchange, "pre-open");
    let (mut maker, mut taker) = (login(&exchange, "USER01", false), login(&exchange, "USER03", true));
    let bid = maker.enter(&limit(SideCode::Buy, 100, REFERENCE + 500)).unwrap();
    accepted(&mut maker, bid);
    let immediate = taker.enter(&limit(SideCode::Sell, 10, REFERENCE).immediate()).unwrap();
    assert_eq!(rejected(&mut taker, immediate), Reject::ImmediateInAuction.wire());
    let offer = taker.enter(&limit(SideCode::Sell, 60, REFERENCE - 500).on(CrossKind::Opening)).unwrap();
    accepted(&mut taker, offer);
    // The feed tells the imbalance on each tick.
    let before = support::counter(exchange.endpoints(), "feed.messages");
    wait_until("imbalances", || support::counter(exchange.endpoints(), "feed.messages") > before + 2);
    enter_phase(&exchange, "open");
    let sold = until(&mut taker, "the cross", |m| matches!(m, Outbound::Executed(e) if e.user_ref == offer));
    let Outbound::Executed(sold) = sold else { unreachable!() };
    assert_eq!((sold.quantity.0, sold.price, sold.liquidity), (60, u64::from(REFERENCE), b'O'));
    let bought = until(&mut maker, "the other side", |m| matches!(m, Outbound::Executed(e) if e.user_ref == bid));
    assert!(matches!(bought, Outbound::Executed(e) if e.match_number == sold.match_number && e.liquidity == b'O'));
    let bust = json!({"do": "bust", "ticker": "AAPL", "match_number": sold.match_number.0});
    assert_eq!(ask(&exchange, bust.clone())["ok"], json!(true));
    for session in [&mut maker, &mut taker] {
        let told = until(session, "the break", |m| matches!(m, Outbound::BrokenTrade(_)));
        assert!(matches!(told, Outbound::BrokenTrade(b) if b.match_number == sold.match_number));
    }
    let again = ask(&exchange, bust);
    assert_eq!((again["ok"].clone(), again["error"].clone()), (json!(false), json!("already broken")));
    enter_phase(&exchange, "pre-close");
    let last = taker.enter(&limit(SideCode::Sell, 10, REFERENCE).on(CrossKind::Closing)).unwrap();
    accepted(&mut taker, last);
    enter_phase(&exchange, "close");
    let state = || ask(&exchange, json!({"do": "status"}))["status"]["tickers"][0]["state"].clone();
    wait_until("the close in the operator's view", || state() == json!("halted"));
    let closed = until(&mut taker, "the close", |m| matches!(m, Outbound::Executed(e) if e.user_ref == last));
    assert!(matches!(closed, Outbound::Executed(e) if e.liquidity == b'C' && e.quantity.0 == 10));
    assert_eq!(canceled(&mut maker, bid), (30, b'T'), "what is left of the day leaves");
    drop((maker, taker));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
    let kinds: Vec<u8> = feed(&config).iter().map(|message| message[0]).collect();
    let count = |kind: u8| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!((count(b'Q'), count(b'B')), (2, 1), "two crosses and a broken trade");
    assert!(count(b'I') > 2 && count(b'C') >= 2, "imbalances, and executions at the price of a cross");
    let replayed = replay_whole(&config, &log_path(&config.directory)).unwrap();
    assert!(replayed.breaches.is_empty() && replayed.twin.oms().is_balanced());
    let position = replayed.twin.oms().position(AccountId(0), TickerId(0));
    assert_eq!(position.quantity, 10, "the broken trade is no position");
}

#[test]
fn the_calendar_opens_the_day_once_and_a_restart_goes_on_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    let at = |at, phase| CalendarEntry { at, phase, tickers: vec![TickerId(0), TickerId(1)] };
    config.calendar = vec![at(0, Phase::PreOpen), at(1, Phase::Trading)];
    config.market.tickers[..2].iter_mut().for_each(|ticker| ticker.auction.phase_start = Phase::Closed);
    let exchange = Exchange::open(config.clone()).unwrap();
    wait_until("the calendar", || support::counter(exchange.endpoints(), "sequencer.records") == 5);
    let mut maker = login(&exchange, "USER01", false);
    let bid = maker.enter(&limit(SideCode::Buy, 100, REFERENCE)).unwrap();
    accepted(&mut maker, bid);
    drop(maker);
    exchange.close().unwrap();
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut taker = login(&exchange, "USER03", false);
    let offer = taker.enter(&limit(SideCode::Sell, 10, REFERENCE).immediate()).unwrap();
    assert_eq!(support::executed(&mut taker, offer), (10, u64::from(REFERENCE)));
    assert_eq!(support::counter(exchange.endpoints(), "sequencer.records"), 1, "no record of the calendar again");
    drop(taker);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
    let replayed = replay_whole(&config, &log_path(&config.directory)).unwrap();
    let phases = [0, 1, 2].map(|ticker| replayed.twin.shards()[0].phase(TickerId(ticker)));
    assert_eq!(phases, [Phase::Trading; 3]);
}

#[test]
fn a_band_pauses_the_ticker_and_a_restart_in_the_pause_ends_it_through_a_cross() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.tick_ms = 10;
    let auction = &mut config.market.tickers[0].auction;
    (auction.band_static, auction.band_limit_ms, auction.band_pause_ms) = (100, 50, 1_500);
    let exchange = Exchange::open(config.clone()).unwrap();
    let (mut maker, mut taker) = (login(&exchange, "USER01", false), login(&exchange, "USER03", true));
    let phase = |config: &Config| {
        let replayed = replay_whole(config, &log_path(&config.directory)).unwrap();
        replayed.twin.oms().phase(TickerId(0))
    };
    // The band is there from the first tick on.
    wait_until("a tick", || support::counter(exchange.endpoints(), "sequencer.records") > 3);
    let bid = maker.enter(&limit(SideCode::Buy, 100, REFERENCE + 300_000)).unwrap();
    let taken = until(&mut maker, "an acceptance", |m| matches!(m, Outbound::Accepted(a) if a.user_ref == bid));
    assert!(matches!(taken, Outbound::Accepted(a) if a.price < u64::from(REFERENCE + 100_000)), "at the bound");
    wait_until("the pause", || {
        let probe = taker.enter(&limit(SideCode::Sell, 1, REFERENCE + 500_000).immediate()).unwrap();
        let answer = until(&mut taker, "an answer", |m| {
            matches!(m, Outbound::Rejected(r) if r.user_ref == probe)
                || matches!(m, Outbound::Canceled(c) if c.user_ref == probe)
        });
        matches!(answer, Outbound::Rejected(_))
    });
    let offer = taker.enter(&limit(SideCode::Sell, 40, REFERENCE)).unwrap();
    accepted(&mut taker, offer);
    drop((maker, taker));
    exchange.close().unwrap();
    let was = phase(&config);
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut taker = login(&exchange, "USER03", true);
    let crossed = until(&mut taker, "the cross", |m| matches!(m, Outbound::Executed(e) if e.user_ref == offer));
    assert!(matches!(crossed, Outbound::Executed(e) if e.quantity.0 == 40 && e.liquidity == b'K'), "{was:?}");
    drop(taker);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
    assert_eq!(phase(&config), Phase::Trading);
    let messages = feed(&config);
    let states = messages.iter().filter_map(|m| match itch::parse(m) {
        Ok(Message::TradingAction(action)) if &action.stock == b"AAPL    " => Some(action.state),
        _ => None,
    });
    assert_eq!(states.collect::<Vec<_>>(), b"TPT");
}
