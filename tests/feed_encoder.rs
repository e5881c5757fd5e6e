//! What the feed says of each event: the rules of ITCH 5.0 as claims about messages.

use pitlane::feed::{FeedEncoder, FeedStore, FeedStream, StoreFull};
use pitlane::types::*;
use pitlane::wire::itch::{self, Message};

mod feed_support;
use feed_support::*;

const TICKER: TickerId = TickerId(1);
const BUY: Side = Side::Buy;

/// The messages of these facts, each as its letter and what matters of it; locate and time are looked at on the way.
fn said(facts: &[Published]) -> Vec<String> {
    let mut store = FeedStore::new(1 << 16);
    let encoder = FeedEncoder::new(&market(3));
    let counts: u32 = facts.iter().map(|fact| encoder.on(fact, &mut store).unwrap()).sum();
    assert_eq!(u64::from(counts), store.count());
    (1..=store.count()).map(|n| shown(store.message(n).unwrap())).collect()
}

fn shown(bytes: &[u8]) -> String {
    let message = itch::parse(bytes).unwrap();
    let head = message.head();
    assert_eq!((head.tracking.get(), DayNanos(head.time.get())), (0, TIME.of_day()));
    let stock = |stock: [u8; 8]| {
        assert_eq!(Some(TickerId(head.locate.get() - 1)), market(3).ticker(Symbol(stock)));
        Symbol(stock).text()
    };
    match message {
        Message::SystemEvent(m) => format!("S {}", m.event as char),
        Message::StockDirectory(m) => format!("R {} {}", stock(m.stock), m.round_lot),
        Message::TradingAction(m) => format!("H {} {}", stock(m.stock), m.state as char),
        Message::AddOrder(m) => {
            format!("A {} {} {} {} {}", m.reference, m.side as char, m.shares, stock(m.stock), m.price)
        }
        Message::AddOrderAttributed(m) => {
            let firm = Firm(m.firm);
            format!("F {} {} {} {} {} {firm}", m.reference, m.side as char, m.shares, stock(m.stock), m.price)
        }
        Message::OrderExecuted(m) => format!("E {} {} {}", m.reference, m.shares, m.match_number),
        Message::Trade(m) => {
            let (side, stock) = (m.side as char, stock(m.stock));
            format!("P {} {side} {} {stock} {} {}", m.reference, m.shares, m.price, m.match_number)
        }
        Message::OrderCancel(m) => format!("X {} {}", m.reference, m.shares),
        Message::OrderDelete(m) => format!("D {}", m.reference),
        Message::OrderReplace(m) => format!("U {} {} {} {}", m.original, m.reference, m.shares, m.price),
        other => panic!("the feed never says {other:?}"),
    }
}

fn of(event: Event) -> Vec<String> {
    said(&[book(TICKER, event)])
}

#[test]
fn an_order_that_rests_is_added_with_its_firm_only_when_it_asks() {
    assert_eq!(of(rested(7, BUY, 100, 5)), ["A 7 B 5 T1 100"]);
    assert_eq!(of(rests_as(7, Side::Sell, 100, 5, Display::Attributed)), ["F 7 S 5 T1 100 ACME"]);
    assert_eq!(of(rests_as(7, BUY, 100, 5, Display::Conformant)), ["A 7 B 5 T1 100"]);
}

#[test]
fn a_hidden_order_shows_only_its_trades_and_not_its_side() {
    assert_eq!(of(rests_as(7, Side::Sell, 100, 5, Display::Hidden)), [""; 0]);
    assert_eq!(of(filled(7, Side::Sell, 100, 3, 2, false)), ["P 0 B 3 T1 100 1007"]);
    assert_eq!(of(canceled(7, Side::Sell, 100, 2, 0, false)), [""; 0]);
}

#[test]
fn an_execution_names_the_resting_order_and_the_last_needs_no_delete() {
    assert_eq!(of(filled(7, BUY, 100, 3, 2, true)), ["E 7 3 1007"]);
    assert_eq!(of(filled(7, BUY, 100, 5, 0, true)), ["E 7 5 1007"]);
}

#[test]
fn shares_taken_off_are_a_cancel_and_the_last_a_delete() {
    assert_eq!(of(canceled(7, BUY, 100, 2, 3, true)), ["X 7 2"]);
    assert_eq!(of(canceled(7, BUY, 100, 3, 0, true)), ["D 7"]);
    assert_eq!(of(self_matched(7, BUY, 100, 2, 3, true)), ["X 7 2"]);
    assert_eq!(of(self_matched(7, BUY, 100, 3, 0, true)), ["D 7"]);
    assert_eq!(of(self_matched(7, BUY, 100, 3, 0, false)), [""; 0]);
    assert_eq!(of(modified(7, BUY, 100, 2, 3, true)), ["X 7 2"]);
    assert_eq!(of(modified(7, BUY, 100, 3, 0, true)), ["D 7"]);
    assert_eq!(of(modified(7, Side::Sell, 100, 0, 3, true)), [""; 0], "only the kind of selling changed");
    assert_eq!(of(modified(7, BUY, 100, 2, 3, false)), [""; 0]);
}

#[test]
fn a_replace_is_one_message_only_from_shown_to_shown() {
    let replace =
        |display, was_displayed, rests| of(replaced(7, 8, BUY, (100, 5), (101, 6), display, was_displayed, rests));
    assert_eq!(replace(Display::Anonymous, true, true), ["U 7 8 6 101"]);
    assert_eq!(replace(Display::Attributed, true, true), ["U 7 8 6 101"]);
    assert_eq!(replace(Display::Hidden, true, true), ["D 7"]);
    assert_eq!(replace(Display::Anonymous, true, false), ["D 7"]);
    assert_eq!(replace(Display::Hidden, true, false), ["D 7"]);
    assert_eq!(replace(Display::Anonymous, false, true), ["A 8 B 6 T1 101"]);
    assert_eq!(replace(Display::Attributed, false, true), ["F 8 B 6 T1 101 ACME"]);
    assert_eq!(replace(Display::Hidden, false, true), [""; 0]);
    assert_eq!(replace(Display::Anonymous, false, false), [""; 0], "a later Rested brings it");
}

#[test]
fn what_is_not_public_is_not_said() {
    let (order, reference) = (tag(), OrderReference(7));
    assert_eq!(of(Event::Nothing), [""; 0]);
    assert_eq!(of(Event::Accepted { order, reference, quantity: Quantity(5), price: Price(100) }), [""; 0]);
    assert_eq!(of(Event::ReplaceIgnored { order }), [""; 0]);
    assert_eq!(said(&[book(TickerId::ALL, Event::Nothing)]), [""; 0]);
}

#[test]
fn the_day_opens_with_the_directory_and_closes_with_three_events() {
    let facts = [day_start(), book(TickerId(0), state(TradingState::Trading)), day_end()];
    let day = ["S O", "R T0 1", "R T1 1", "R T2 1", "S S", "S Q", "H T0 T", "S M", "S E", "S C"];
    assert_eq!(said(&facts), day);
    assert_eq!(of(state(TradingState::Halted)), ["H T1 H"]);
}

#[test]
fn a_fact_that_does_not_fit_the_store_is_taken_whole_or_not() {
    let encoder = FeedEncoder::new(&market(3));
    for room in [0, 40, 51, 200, 311] {
        let mut store = FeedStore::new(room);
        assert_eq!(encoder.on(&day_start(), &mut store), Err(StoreFull), "with room for {room} bytes");
        assert_eq!(store.count(), 0);
    }
    assert_eq!(encoder.on(&book(TICKER, rested(7, BUY, 100, 5)), &mut FeedStore::new(51)), Err(StoreFull));
    assert_eq!(encoder.on(&book(TICKER, rested(7, BUY, 100, 5)), &mut FeedStore::new(52)), Ok(1));
    assert_eq!(encoder.on(&day_end(), &mut FeedStore::new(155)), Err(StoreFull));
}

#[test]
fn equal_events_give_equal_bytes() {
    let day = || {
        let mut stream = FeedStream::new(&market(3), 1 << 20, None);
        for published in random_day(7, 2_000) {
            stream.on(&published).unwrap();
        }
        (stream.store().bytes().to_vec(), stream.store().digest(), stream.store().count(), stream.is_ended())
    };
    let first = day();
    assert_eq!(first, day());
    assert!(first.2 > 1_000 && first.3);
}

/// itchy is a decoder by other people; it takes the letters of each field apart and refuses those it does not know.
#[test]
fn an_independent_decoder_reads_a_whole_day() {
    let mut stream = FeedStream::new(&market(3), 1 << 20, None);
    random_day(11, 2_000).iter().for_each(|published| assert!(stream.on(published).is_ok()));
    let read: Result<Vec<_>, _> = itchy::MessageStream::from_reader(stream.store().bytes()).collect();
    assert_eq!(read.unwrap().len() as u64, stream.store().count());
}
