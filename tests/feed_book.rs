//! The book built from the feed is the book the events describe, and so is the depth cache beside it.

use pitlane::client::book::{Anomalies, BookBuilder, TickerBook};
use pitlane::client::depth::DepthReader;
use pitlane::feed::{DepthCache, FeedStream};
use pitlane::types::*;
use pitlane::wire::itch::{self, AddOrder, OrderCancel, OrderDelete, OrderExecuted, OrderReplace};
use proptest::prelude::*;
use zerocopy::IntoBytes;

mod feed_support;
use feed_support::*;

const TICKER: TickerId = TickerId(1);

/// Number, price, shares and firm of each order, in the order in which they would trade.
fn orders(book: &TickerBook, side: Side) -> Vec<(u64, u32, u32)> {
    book.orders(side).iter().map(|order| (order.reference.0, order.price.0, order.shares.0)).collect()
}

fn model_orders(model: &Model, side: Side) -> Vec<(u64, u32, u32)> {
    model.displayed(side).iter().map(|order| (order.reference, order.price, order.quantity)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn books_from_the_feed_equal_the_model(seed in any::<u64>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("depth");
        let cache = DepthCache::create(&path, &market(2), 12).unwrap();
        let reader = DepthReader::open(&path).unwrap();
        let mut stream = FeedStream::new(&market(2), 1 << 18, Some(cache));
        let (mut model, mut builder) = (Model::new(seed), BookBuilder::new());
        stream.on(&day_start()).unwrap();
        stream.on(&book(TICKER, state(TradingState::Trading))).unwrap();
        let mut next = 1;
        for _ in 0..400 {
            for event in model.step() {
                stream.on(&book(TICKER, event)).unwrap();
            }
            for n in next..=stream.store().count() {
                builder.on_message(stream.store().message(n).unwrap());
            }
            next = stream.store().count() + 1;
            let built = builder.book(TICKER.locate()).unwrap();
            let seen = reader.read(TICKER).unwrap();
            for side in [Side::Buy, Side::Sell] {
                prop_assert_eq!(orders(built, side), model_orders(&model, side));
                let shown = if side == Side::Buy { seen.bids() } else { seen.asks() };
                let truth = built.depth(side, 10);
                if seen.facts.complete {
                    prop_assert_eq!(&truth[..], shown);
                } else {
                    prop_assert_eq!(&truth[..shown.len()], shown);
                }
            }
            prop_assert_eq!((built.volume, seen.facts.volume), (model.volume, model.volume));
        }
        prop_assert_eq!(builder.anomalies(), Anomalies::default());
        prop_assert_eq!(stream.contradictions(), 0);
        let open = model.displayed(Side::Buy).len() + model.displayed(Side::Sell).len();
        prop_assert_eq!(builder.orders_open(), open);
    }

    #[test]
    fn arbitrary_messages_never_panic(
        messages in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 50)), 0..200),
    ) {
        let mut builder = BookBuilder::new();
        for (kind, mut bytes) in messages {
            builder.on_message(&bytes);
            // One of the right size, few tickers, few orders, few prices: so that it meets what came before.
            let letters = b"SRHYLVWKJhAFECXDUPQBINO";
            bytes[0] = letters[usize::from(kind) % letters.len()];
            bytes[1..3].copy_from_slice(&u16::from(kind % 3).to_be_bytes());
            bytes[11..18].fill(0);
            bytes[18] %= 5;
            bytes[19] = if bytes[19].is_multiple_of(2) { b'B' } else { b'S' };
            bytes.truncate(itch::message_bytes(bytes[0]).unwrap());
            builder.on_message(&bytes);
        }
        for (_, book) in builder.books() {
            for side in [Side::Buy, Side::Sell] {
                let levels: u64 = book.levels(side).iter().map(|level| level.1).sum();
                let orders: u64 = book.orders(side).iter().map(|order| u64::from(order.shares.0)).sum();
                prop_assert_eq!(levels, orders);
            }
        }
    }
}

struct Feed(BookBuilder, u64);

impl Feed {
    fn new() -> Feed {
        Feed(BookBuilder::new(), 0)
    }

    fn time(&mut self) -> DayNanos {
        self.1 += 1;
        DayNanos(self.1)
    }

    fn add(&mut self, reference: u64, side: Side, shares: u32, price: u32) {
        let head = AddOrder::head(1, self.time());
        let (side, stock) = (side.letter(), *b"T0      ");
        let (reference, shares, price) = (reference.into(), shares.into(), price.into());
        self.0.on_message(AddOrder { head, reference, side, shares, stock, price }.as_bytes());
    }

    fn execute(&mut self, locate: u16, reference: u64, shares: u32) {
        let head = OrderExecuted::head(locate, self.time());
        let message =
            OrderExecuted { head, reference: reference.into(), shares: shares.into(), match_number: 9.into() };
        self.0.on_message(message.as_bytes());
    }

    fn anomalies(&self) -> Anomalies {
        self.0.anomalies()
    }
}

#[test]
fn orders_that_are_not_there_are_counted() {
    let mut feed = Feed::new();
    feed.execute(1, 5, 1);
    let head = OrderDelete::head(1, feed.time());
    feed.0.on_message(OrderDelete { head, reference: 5.into() }.as_bytes());
    let head = OrderReplace::head(1, feed.time());
    let (original, reference, shares, price) = (5.into(), 6.into(), 1.into(), 1.into());
    feed.0.on_message(OrderReplace { head, original, reference, shares, price }.as_bytes());
    assert_eq!(feed.anomalies(), Anomalies { unknown_reference: 3, ..Anomalies::default() });
}

#[test]
fn a_number_used_twice_and_shares_that_are_not_there_are_counted() {
    let mut feed = Feed::new();
    feed.add(5, Side::Buy, 10, 100);
    feed.add(5, Side::Buy, 10, 100);
    let head = OrderCancel::head(1, feed.time());
    feed.0.on_message(OrderCancel { head, reference: 5.into(), shares: 11.into() }.as_bytes());
    assert_eq!(feed.anomalies(), Anomalies { duplicate_reference: 1, excess_shares: 1, ..Anomalies::default() });
    assert_eq!(feed.0.orders_open(), 0);
}

#[test]
fn an_execution_out_of_turn_or_under_another_ticker_is_counted() {
    let mut feed = Feed::new();
    feed.add(5, Side::Sell, 10, 100);
    feed.add(6, Side::Sell, 10, 100);
    feed.add(7, Side::Sell, 10, 101);
    feed.execute(1, 6, 1);
    feed.execute(1, 7, 1);
    feed.execute(2, 5, 1);
    feed.execute(1, 5, 9);
    feed.execute(1, 6, 9);
    assert_eq!(feed.anomalies(), Anomalies { out_of_turn: 2, wrong_locate: 1, ..Anomalies::default() });
    assert_eq!(feed.0.book(1).unwrap().levels(Side::Sell), [(Price(101), 9, 1)]);
}

#[test]
fn a_crossed_book_is_an_anomaly_only_while_the_ticker_trades() {
    let mut feed = Feed::new();
    feed.add(1, Side::Sell, 10, 100);
    feed.add(2, Side::Buy, 10, 100);
    assert_eq!(feed.anomalies().crossed, 0);
    let mut stream = FeedStream::new(&market(1), 1 << 12, None);
    stream.on(&book(TickerId(0), state(TradingState::Trading))).unwrap();
    feed.0.on_message(stream.store().message(1).unwrap());
    feed.add(3, Side::Buy, 10, 99);
    assert_eq!(feed.anomalies().crossed, 1);
}

#[test]
fn time_that_goes_back_is_counted() {
    let mut feed = Feed::new();
    feed.add(1, Side::Sell, 10, 100);
    feed.1 = 0;
    feed.0.on_message(OrderDelete { head: OrderDelete::head(1, DayNanos(0)), reference: 1.into() }.as_bytes());
    assert_eq!(feed.anomalies(), Anomalies { time_backwards: 1, ..Anomalies::default() });
}

#[test]
fn trades_are_remembered_and_a_void_one_leaves_the_volume() {
    let mut feed = Feed::new();
    feed.add(1, Side::Sell, 100, 100);
    (0..70).for_each(|_| feed.execute(1, 1, 1));
    let book = feed.0.book(1).unwrap();
    assert_eq!((book.trades().count(), book.volume, book.executions), (64, 70, 70));
    let last = book.last_trade().unwrap();
    assert_eq!((last.price, last.shares, last.resting), (Price(100), 1, Some(Side::Sell)));
    let head = itch::BrokenTrade::head(1, feed.time());
    feed.0.on_message(itch::BrokenTrade { head, match_number: 9.into() }.as_bytes());
    assert_eq!(feed.0.book(1).unwrap().volume, 69);
}

#[test]
fn a_cross_builds_up_until_it_is_done_and_one_without_shares_is_no_trade() {
    let mut stream = FeedStream::new(&market(1), 1 << 12, None);
    let imbalance = Event::Imbalance {
        cross: CrossKind::Opening,
        paired: 900,
        imbalance: 100,
        direction: b'S',
        near: Price(102),
        far: Price(0),
        reference: Price(101),
        variation: b'L',
    };
    let done = |quantity| Event::CrossDone {
        cross: CrossKind::Opening,
        price: Price(102),
        quantity,
        match_number: MatchNumber(7),
    };
    let mut builder = BookBuilder::new();
    let mut told = 0;
    for (event, paired, executions) in
        [(imbalance, Some(900), 0), (done(900), None, 1), (imbalance, Some(900), 1), (done(0), None, 1)]
    {
        stream.on(&book(TickerId(0), event)).unwrap();
        told += 1;
        builder.on_message(stream.store().message(told).unwrap());
        let ticker = builder.book(1).unwrap();
        assert_eq!((ticker.building.map(|b| b.paired), ticker.executions), (paired, executions));
    }
    let ticker = builder.book(1).unwrap();
    assert_eq!((ticker.volume, builder.anomalies()), (900, Anomalies::default()));
}
