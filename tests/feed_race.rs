//! The book that a subscriber builds from the feed is the visible part of the engine's, for orders of every kind.
//!
//! Random records of all kinds go through the shards; what egress makes public of their events goes into the feed's store
//! and its depth cache, and a client's builder reads the messages. Reserve orders show a part, stops and hidden orders
//! nothing, and a refill is an order of its own that stands last. `PITLANE_RACE_COMMANDS` and `PITLANE_RACE_SEED` scale it.

mod support;

use pitlane::client::book::{Anomalies, BookBuilder, TickerBook};
use pitlane::egress::fan::{self, Outlet};
use pitlane::engine::book::{Events, Resting};
use pitlane::feed::{DepthCache, FeedStream};
use pitlane::types::*;
use support::flow::Flow;
use support::lanes::{Lane, MATCHERS, market};

const COMMANDS_DEFAULT: u64 = 100_000;
const CHECK_EVERY: u64 = 50;
/// Room in the store for the messages of a record, on the average of a run.
const RECORD_BYTES: usize = 256;

/// What leaves for the feed.
struct ToFeed {
    stream: FeedStream,
    reports: u64,
}

impl Outlet for ToFeed {
    fn report(&mut self, _report: Report) {
        self.reports += 1;
    }

    fn publish(&mut self, published: Published) {
        self.stream.on(&published).expect("room in the store");
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Number, price and shares of each visible order, in the order in which they would trade.
fn visible(orders: impl Iterator<Item = Resting>) -> Vec<(u64, u32, u32)> {
    orders.filter(|order| order.displayed).map(|order| (order.reference.0, order.price.0, order.shown.0)).collect()
}

fn built(book: &TickerBook, side: Side) -> Vec<(u64, u32, u32)> {
    book.orders(side).iter().map(|order| (order.reference.0, order.price.0, order.shares.0)).collect()
}

fn compare(lanes: &[Lane], market: &Market, builder: &BookBuilder) {
    for (index, spec) in market.tickers.iter().enumerate() {
        let ticker = TickerId(index as u16);
        let Some(book) = builder.book(ticker.locate()) else { continue };
        for side in [Side::Buy, Side::Sell] {
            let orders = lanes[spec.matcher.index()].shard.orders(ticker, side);
            assert_eq!(built(book, side), visible(orders), "{ticker} {side:?}");
        }
    }
}

#[test]
fn a_book_built_from_the_feed_is_the_visible_part_of_the_engines() {
    let (seed, commands) = (setting("PITLANE_RACE_SEED", 5), setting("PITLANE_RACE_COMMANDS", COMMANDS_DEFAULT));
    println!("PITLANE_RACE_SEED={seed} PITLANE_RACE_COMMANDS={commands}");
    let market = market(1_000);
    let directory = tempfile::tempdir().unwrap();
    let cache = DepthCache::create(&directory.path().join("depth"), &market, 4_096).unwrap();
    let mut outlet =
        ToFeed { stream: FeedStream::new(&market, commands as usize * RECORD_BYTES, Some(cache)), reports: 0 };
    let mut lanes: Vec<_> = (0..MATCHERS).map(|m| Lane::new(&market, MatcherId(m))).collect();
    let (mut flow, mut events, mut builder) = (Flow::new(seed, &market), Events::new(), BookBuilder::new());
    let start = Sequenced { command: Command::new(CommandKind::DayStart), ..Sequenced::default() };
    fan::opening(&start, 0, &mut outlet);
    let mut next = 1;
    for count in 1..=commands {
        let (to, record) = flow.next(&mut lanes);
        for lane in &mut lanes[to] {
            for (ticker, event) in lane.play(&record, &mut events) {
                fan::event(&record, ticker, &event, &mut outlet);
            }
        }
        for sequence in next..=outlet.stream.store().count() {
            builder.on_message(outlet.stream.store().message(sequence).unwrap());
        }
        next = outlet.stream.store().count() + 1;
        if count % CHECK_EVERY == 0 {
            compare(&lanes, &market, &builder);
        }
    }
    assert_eq!(builder.anomalies(), Anomalies::default(), "the feed told of an order that was not there");
    assert_eq!(outlet.stream.contradictions(), 0, "the depth cache was told of shares that were not there");
    assert!(outlet.reports > commands / 2);
}
