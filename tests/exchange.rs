//! The whole exchange, in this process, as clients see it: over TCP, over shared memory, on the feed, across restarts.

#[path = "support/exchange.rs"]
mod support;

use pitlane::client::book::BookBuilder;
use pitlane::client::feed::{FeedHandler, FeedSource, FeedState};
use pitlane::client::orders::{NewOrder, Replacement};
use pitlane::config::Placement;
use pitlane::launch::Exchange;
use pitlane::launch::closing::Closing;
use pitlane::launch::home::log_path;
use pitlane::launch::replayed::replay_whole;
use pitlane::os::affinity;
use pitlane::os::clock::monotonic_ns;
use pitlane::os::uring::SocketRing;
use pitlane::types::{Channel, MatcherId, Price, Quantity, Reject, Side, SideCode, Symbol, TickerId, UserRef};
use pitlane::wire::ouch::Outbound;
use std::time::{Duration, Instant};
use support::{AAPL, PATIENCE, accepted, canceled, config, counter, executed, limit, login, rejected, until, verify};

#[test]
fn orders_over_tcp_and_shared_memory_meet_in_one_book() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    let mut taker = login(&exchange, "USER03", true);
    let offer = maker.enter(&limit(SideCode::Sell, 100, 5_855_000)).unwrap();
    accepted(&mut maker, offer);
    let bid = taker.enter(&limit(SideCode::Buy, 60, 5_855_000).immediate()).unwrap();
    assert_eq!(executed(&mut taker, bid), (60, 5_855_000));
    assert_eq!(executed(&mut maker, offer), (60, 5_855_000));
    // What both received is what the venue's streams hold, byte for byte.
    let streams = [maker.stream_bytes().to_vec(), taker.stream_bytes().to_vec()];
    drop((maker, taker));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
    let replayed = replay_whole(&config, &log_path(&config.directory)).unwrap();
    for (index, bytes) in [0u16, 2].into_iter().zip(streams) {
        let whole = replayed.streams.bytes(pitlane::types::SessionId(index));
        assert_eq!(&whole[..bytes.len()], bytes.as_slice(), "stream of session {index}");
    }
}

#[test]
fn a_client_that_was_away_reads_what_it_missed_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    // This login keeps its orders when it disconnects.
    let mut maker = login(&exchange, "USER01", false);
    let offer = maker.enter(&limit(SideCode::Sell, 100, 5_855_000)).unwrap();
    accepted(&mut maker, offer);
    maker.disconnect();
    let mut taker = login(&exchange, "USER04", false);
    let bid = taker.enter(&limit(SideCode::Buy, 100, 5_856_000)).unwrap();
    executed(&mut taker, bid);
    maker.reconnect().unwrap();
    assert_eq!(executed(&mut maker, offer), (100, 5_855_000));
    let next = maker.next_sequence();
    assert_eq!(maker.wait(Duration::from_millis(100)).unwrap(), None, "once is enough");
    assert_eq!(maker.next_sequence(), next);
    drop((maker, taker));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn a_restart_keeps_orders_streams_and_feed() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    let offer = maker.enter(&limit(SideCode::Sell, 100, 5_855_000)).unwrap();
    accepted(&mut maker, offer);
    let (heard, sequence) = (maker.stream_bytes().to_vec(), maker.next_sequence());
    drop(maker);
    let first = exchange.close().unwrap();
    assert_eq!(Closing::read(directory.path()).unwrap(), first);

    let exchange = Exchange::open(config.clone()).unwrap();
    assert!(
        Closing::read(directory.path()).is_err(),
        "a run that dies from here on leaves no last words of the run before"
    );
    let mut maker = login(&exchange, "USER01", true);
    while maker.next_sequence() < sequence {
        maker.wait(PATIENCE).unwrap();
    }
    assert_eq!(maker.stream_bytes(), heard, "the replayed answers have the same bytes");
    let mut taker = login(&exchange, "USER03", false);
    let bid = taker.enter(&limit(SideCode::Buy, 30, 5_855_000).immediate()).unwrap();
    assert_eq!(executed(&mut taker, bid), (30, 5_855_000));
    assert_eq!(executed(&mut maker, offer), (30, 5_855_000));
    drop((maker, taker));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn other_reference_data_on_the_same_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    Exchange::open(config.clone()).unwrap().close().unwrap();
    config.market.tickers[0].lot = Quantity(100);
    let refused = Exchange::open(config).err().expect("the records would mean something else");
    assert!(refused.to_string().contains("begun with other tickers"), "{refused}");
}

#[test]
fn two_exchanges_on_one_directory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let first = Exchange::open(config.clone()).unwrap();
    assert!(Exchange::open(config).is_err());
    first.close().unwrap();
}

#[test]
fn risk_refuses_with_its_own_reason_and_others_trade_on() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut taker = login(&exchange, "USER03", false);
    let cases = [
        (limit(SideCode::Buy, 20_001, 5_855_000), Reject::OrderQuantity),
        (limit(SideCode::Buy, 100, 7_000_000), Reject::PriceCollar),
        (limit(SideCode::Buy, 100, 5_855_050), Reject::InvalidPrice),
        (limit(SideCode::Buy, 0, 5_855_000), Reject::InvalidQuantity),
        (NewOrder::limit(SideCode::Buy, Quantity(1), Symbol(*b"NOWHERE "), Price(100)), Reject::InvalidSymbol),
    ];
    for (order, reject) in cases {
        let user_ref = taker.enter(&order).unwrap();
        assert_eq!(rejected(&mut taker, user_ref), reject.wire(), "{reject:?}");
    }
    let mut maker = login(&exchange, "USER02", true);
    let offer = maker.enter(&limit(SideCode::Sell, 10, 5_855_000)).unwrap();
    accepted(&mut maker, offer);
    drop((taker, maker));
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn a_lost_connection_cancels_the_orders_of_a_login_that_asks_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    for shared in [false, true] {
        let mut session = login(&exchange, "USER02", shared);
        let offer = session.enter(&limit(SideCode::Sell, 10, 5_855_000)).unwrap();
        accepted(&mut session, offer);
        session.disconnect();
        session.reconnect().unwrap();
        assert_eq!(canceled(&mut session, offer), (10, b'Z'));
    }
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn replace_keeps_what_the_order_was_and_loses_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    let mut first = limit(SideCode::SellShort, 100, 5_855_000);
    first.capacity = b'A';
    let order = maker.enter(&first).unwrap();
    accepted(&mut maker, order);
    let by = Replacement::limit(Quantity(50), Price(5_856_000));
    let newer = maker.replace(order, &by).unwrap();
    let answer = until(&mut maker, "the replacement", |m| matches!(m, Outbound::Replaced(_)));
    let Outbound::Replaced(replaced) = answer else { unreachable!() };
    assert_eq!((replaced.original, replaced.user_ref), (order, newer));
    assert_eq!((replaced.side, replaced.capacity), (b'T', b'A'), "neither is in the request");
    assert_eq!((replaced.quantity, replaced.price), (Quantity(50), 5_856_000));
    maker.cancel(Channel::NONE, newer, Quantity(0)).unwrap();
    canceled(&mut maker, newer);
    drop(maker);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
}

#[test]
fn the_book_built_from_the_feed_is_the_engines_book() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let endpoints = exchange.endpoints().clone();
    let mut source = FeedSource::new(endpoints.feed, vec![endpoints.rerequest]);
    source.session = Some(config.market.session_name);
    let mut handler = FeedHandler::join(&source).unwrap();
    let mut maker = login(&exchange, "USER01", false);
    let mut taker = login(&exchange, "USER04", true);
    let mut last = UserRef(0);
    for step in 0..200u32 {
        let side = if step % 2 == 0 { SideCode::Sell } else { SideCode::Buy };
        let away = 100 * (1 + step % 17);
        let price = if step % 2 == 0 { 5_855_000 + away } else { 5_855_000 - away };
        last = maker.enter(&limit(side, 10 + step, price)).unwrap();
        if step % 5 == 4 {
            taker.enter(&limit(SideCode::Buy, 25, 5_856_000).immediate()).unwrap();
        }
    }
    accepted(&mut maker, last);
    let last = taker.enter(&limit(SideCode::Sell, 10, 5_854_000).immediate()).unwrap();
    executed(&mut taker, last);
    let mut builder = BookBuilder::new();
    let mut heard = 0;
    let mut deliver = |sequence: u64, message: &[u8]| {
        heard = sequence;
        builder.on_message(message);
    };
    let started = Instant::now();
    let mut delivered = 0;
    // The first messages went out before the handler joined, so this asks for them while the exchange lives.
    while (delivered == 0 || delivered < counter(exchange.endpoints(), "feed.messages")) && started.elapsed() < PATIENCE
    {
        delivered += handler.poll(monotonic_ns(), &mut deliver).unwrap_or(0) as u64;
    }
    assert_eq!(handler.state(), FeedState::Live);
    drop((maker, taker));
    let closing = exchange.close().unwrap();
    assert_eq!(heard, closing.feed.messages, "every message came");
    let replayed = replay_whole(&config, &log_path(&config.directory)).unwrap();
    let book = builder.named(AAPL).unwrap();
    for side in [Side::Buy, Side::Sell] {
        let engine: Vec<_> =
            replayed.twin.shards()[0].depth(TickerId(0), side).map(|d| (d.price, d.quantity, d.count)).collect();
        assert!(!engine.is_empty());
        assert_eq!(book.levels(side), engine, "{side:?}");
    }
    verify(&config, &closing);
}

/// Every stage on one of two threads, two matchers, so that events come back in any order of time: the streams, the
/// feed and the state must be what one thread makes of the same journal.
#[test]
fn placement_and_shards_change_nothing_that_clients_see() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.market.matchers = 2;
    for (index, ticker) in config.market.tickers.iter_mut().enumerate() {
        ticker.matcher = MatcherId(index as u16 % 2);
    }
    let allowed = affinity::allowed().unwrap();
    let (one, other) = (allowed[0], *allowed.last().unwrap());
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let first = names(&["gateway", "matcher.1", "feed"]);
    let second = names(&["sequencer", "matcher.0", "egress"]);
    config.threads.placement = Placement::Map(vec![(one, first), (other, second)]);
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut sessions = ["USER01", "USER02", "USER03", "USER04"].map(|user| login(&exchange, user, user > "USER02"));
    let mut random: u64 = 0x9E37_79B9;
    for _ in 0..1_500 {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let pick = (random >> 33) as u32;
        let session = &mut sessions[pick as usize % 4];
        let ticker = &config.market.tickers[(pick / 4) as usize % config.market.tickers.len()];
        let side = if pick & 64 == 0 { SideCode::Buy } else { SideCode::Sell };
        let price = Price(ticker.reference.0 - 500 + 100 * (pick >> 8 & 7));
        let order = NewOrder::limit(side, Quantity(1 + (pick >> 12 & 63)), ticker.symbol, price);
        let order = if pick & 128 == 0 { order.immediate() } else { order };
        while session.enter(&order).is_err() {
            session.poll().unwrap();
        }
    }
    // An order of its own at the end of each session's: when it is answered, all before it are.
    for session in &mut sessions {
        let last = session.enter(&limit(SideCode::Buy, 1, 5_300_000)).unwrap();
        accepted(session, last);
    }
    drop(sessions);
    let closing = exchange.close().unwrap();
    assert!(closing.number > 1_500, "{closing:?}");
    verify(&config, &closing);
}

/// The kernel finishes a dropped ring in the thread that made it, and what that thread waits for meanwhile is interrupted.
#[test]
fn a_ring_that_ends_in_the_clients_thread_does_not_end_its_login() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::open(config(directory.path())).unwrap();
    for _ in 0..20 {
        // Where rings are refused there is nothing to be interrupted by.
        drop(SocketRing::new(1));
        drop(login(&exchange, "USER01", true));
    }
    exchange.close().unwrap();
}
