//! The depth cache from both sides: what the writer puts in is what a reader of the mapped file sees, never torn.

use pitlane::client::depth::{DepthFault, DepthReader, Snapshot};
use pitlane::feed::cache::DepthCache;
use pitlane::types::*;
use pitlane::wire::depth::{DepthLevel, LEVELS};
use std::sync::atomic::{AtomicBool, Ordering};

mod feed_support;
use feed_support::{book, canceled, filled, market, replaced, rested, state};

const TICKER: TickerId = TickerId(1);

fn level(price: u32, quantity: u64, orders: u32) -> DepthLevel {
    DepthLevel { price: Price(price), quantity, orders }
}

/// The snapshot after these events.
fn shown(events: &[Event]) -> Snapshot {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("depth");
    let mut cache = DepthCache::create(&path, &market(2), LEVELS).unwrap();
    for (index, event) in events.iter().enumerate() {
        cache.on(&book(TICKER, *event), index as u64 + 1);
    }
    assert_eq!(cache.contradictions(), 0);
    DepthReader::open(&path).unwrap().read(TICKER).unwrap()
}

#[test]
fn orders_at_a_price_are_one_level_and_the_best_comes_first() {
    let seen = shown(&[
        rested(1, Side::Buy, 100, 5),
        rested(2, Side::Buy, 101, 7),
        rested(3, Side::Buy, 100, 1),
        rested(4, Side::Sell, 110, 2),
        rested(5, Side::Sell, 109, 3),
    ]);
    assert_eq!(seen.bids(), [level(101, 7, 1), level(100, 6, 2)]);
    assert_eq!(seen.asks(), [level(109, 3, 1), level(110, 2, 1)]);
    assert_eq!(seen.facts.feed_sequence, 5);
    assert_eq!(seen.facts.symbol, market(2).tickers[1].symbol);
}

#[test]
fn a_trade_reduces_its_level_and_shows_as_the_last() {
    let seen = shown(&[rested(1, Side::Sell, 109, 3), filled(1, Side::Sell, 109, 2, 1, true)]);
    assert_eq!(seen.asks(), [level(109, 1, 1)]);
    assert_eq!((seen.facts.last_price, seen.facts.last_quantity), (Price(109), Quantity(2)));
    assert_eq!((seen.facts.volume, seen.facts.trades), (2, 1));
}

#[test]
fn a_hidden_trade_counts_as_volume_and_touches_no_level() {
    let seen = shown(&[rested(1, Side::Sell, 109, 3), filled(2, Side::Sell, 108, 2, 0, false)]);
    assert_eq!(seen.asks(), [level(109, 3, 1)]);
    assert_eq!((seen.facts.last_price, seen.facts.volume), (Price(108), 2));
}

#[test]
fn a_replaced_order_moves_and_a_cancelled_one_leaves() {
    let seen = shown(&[
        rested(1, Side::Buy, 100, 5),
        rested(2, Side::Buy, 99, 5),
        replaced(1, 3, Side::Buy, (100, 5), (98, 4), Display::Anonymous, true, true),
        canceled(2, Side::Buy, 99, 5, 0, true),
        state(TradingState::Trading),
    ]);
    assert_eq!(seen.bids(), [level(98, 4, 1)]);
    assert_eq!(seen.facts.state, TradingState::Trading);
}

#[test]
fn what_is_beyond_ten_levels_comes_up_when_better_ones_leave() {
    let mut events: Vec<Event> = (0..10).map(|n| rested(n, Side::Buy, 100 + n as u32, 1)).collect();
    events.push(canceled(9, Side::Buy, 109, 1, 0, true));
    events.push(rested(20, Side::Buy, 50, 2));
    let seen = shown(&events);
    assert_eq!(seen.bids().len(), 10);
    assert_eq!(seen.bids()[9], level(50, 2, 1));
    assert!(seen.facts.complete);

    events.push(rested(21, Side::Buy, 49, 2));
    assert!(shown(&events).facts.complete, "the ten shown are still the best");
    events.push(canceled(20, Side::Buy, 50, 2, 0, true));
    assert!(!shown(&events).facts.complete, "with room for ten levels, the eleventh is only a count");
}

#[test]
fn an_event_that_contradicts_the_levels_is_counted_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("depth");
    let mut cache = DepthCache::create(&path, &market(2), 100).unwrap();
    cache.on(&book(TICKER, canceled(9, Side::Buy, 109, 1, 0, true)), 1);
    assert_eq!(cache.contradictions(), 1);
    let reader = DepthReader::open(&path).unwrap();
    assert_eq!(reader.read(TICKER).unwrap().facts.feed_sequence, 0);
}

#[test]
fn files_that_are_no_cache_and_tickers_that_are_not_there_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("depth");
    assert!(matches!(DepthReader::open(&path), Err(DepthFault::Open(_))));
    std::fs::write(&path, [7; 64]).unwrap();
    assert!(matches!(DepthReader::open(&path), Err(DepthFault::NotACache)));
    std::fs::write(&path, vec![0; 4096]).unwrap();
    assert!(matches!(DepthReader::open(&path), Err(DepthFault::NotACache)));

    let mut cache = DepthCache::create(&path, &market(2), 100).unwrap();
    let reader = DepthReader::open(&path).unwrap();
    assert!(matches!(reader.read(TickerId(2)), Err(DepthFault::UnknownTicker(_))));
    assert_eq!(reader.ticker(market(2).tickers[1].symbol), Some(TICKER));
    assert_eq!(reader.ticker(Symbol(*b"NOBODY  ")), None);
    cache.alive(55);
    assert_eq!((reader.alive_ns(), reader.is_closed()), (55, false));
    cache.close();
    assert!(reader.is_closed());

    let mut claims_more = std::fs::read(&path).unwrap();
    claims_more[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    std::fs::write(dir.path().join("claims"), &claims_more).unwrap();
    assert!(matches!(DepthReader::open(&dir.path().join("claims")), Err(DepthFault::NotACache)));
}

/// The writer keeps one bid and one offer, both always of the same size `n`, which is also the message's number, and
/// volume the sum. A torn copy would mix sizes of two updates.
#[test]
fn a_reader_never_sees_half_an_update() {
    const UPDATES: u64 = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("depth");
    let mut cache = DepthCache::create(&path, &market(2), 100).unwrap();
    let reader = DepthReader::open(&path).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            let mut looks = 0u64;
            while !done.load(Ordering::Acquire) || looks == 0 {
                // A writer put aside by the system inside an update may exhaust the retries; look again then.
                let Ok(seen) = reader.read(TICKER) else { continue };
                let Ok(best) = reader.best(TICKER) else { continue };
                looks += 1;
                let n = seen.facts.feed_sequence;
                assert!(n >= last, "updates do not go back");
                last = n;
                let quantity = |levels: &[DepthLevel]| levels.first().map_or(0, |level| level.quantity);
                assert_eq!((quantity(seen.bids()), quantity(seen.asks())), (n / 2, n / 2 + n % 2), "at update {n}");
                let n = best.feed_sequence;
                let quantity = |level: Option<DepthLevel>| level.map_or(0, |level| level.quantity);
                assert_eq!((quantity(best.bid), quantity(best.ask)), (n / 2, n / 2 + n % 2), "at update {n}");
            }
        });
        for n in 1..=UPDATES {
            // Odd updates add a share to the offer, even ones to the bid.
            let side = if n % 2 == 1 { Side::Sell } else { Side::Buy };
            cache.on(&book(TICKER, rested(n, side, if n % 2 == 1 { 101 } else { 100 }, 1)), n);
        }
        done.store(true, Ordering::Release);
    });
}
