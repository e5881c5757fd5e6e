//! A recorded feed as a flow.

use crate::book::Book;
use pitlane::measure::flow::FlowAction;
use pitlane::measure::flow::itch::{ItchFault, ItchFlow, ItchOptions};
use pitlane::types::{AuctionSpec, DayNanos, Fees, MatcherId, Price, Quantity, Side, Symbol, TickerId, TickerSpec};
use pitlane::wire::itch::*;
use zerocopy::IntoBytes;

/// A file of framed messages, for the test against a whole recording.
const FILE_VARIABLE: &str = "PITLANE_ITCH_FILE";

fn ticker(id: u16, symbol: &str, lot: u32) -> (TickerId, TickerSpec) {
    let spec = TickerSpec {
        symbol: Symbol::from_text(symbol).unwrap(),
        tick: Price(100),
        lot: Quantity(lot),
        price_min: Price(100),
        price_max: Price(10_000_000),
        reference: Price(1_000_000),
        matcher: MatcherId(0),
        fees: Fees::default(),
        auction: AuctionSpec::default(),
    };
    (TickerId(id), spec)
}

fn options(deal_unlisted: bool) -> ItchOptions {
    let tickers = vec![ticker(4, "AAA", 1), ticker(5, "BBB", 100)];
    ItchOptions { tickers, deal_unlisted, makers: 2, takers: 2, steps_max: 1_000_000 }
}

fn time(ns: u64) -> DayNanos {
    DayNanos(34_200_000_000_000 + ns)
}

fn stock(name: &str) -> [u8; 8] {
    Symbol::from_text(name).unwrap().0
}

fn add(ns: u64, reference: u64, side: u8, shares: u32, name: &str, price: u32) -> Vec<u8> {
    let head = AddOrder::head(1, time(ns));
    let (reference, shares, price) = (reference.into(), shares.into(), price.into());
    AddOrder { head, reference, side, shares, stock: stock(name), price }.as_bytes().to_vec()
}

fn execute(ns: u64, reference: u64, shares: u32) -> Vec<u8> {
    let head = OrderExecuted::head(1, time(ns));
    OrderExecuted { head, reference: reference.into(), shares: shares.into(), match_number: 1.into() }
        .as_bytes()
        .to_vec()
}

fn cancel(ns: u64, reference: u64, shares: u32) -> Vec<u8> {
    let head = OrderCancel::head(1, time(ns));
    OrderCancel { head, reference: reference.into(), shares: shares.into() }.as_bytes().to_vec()
}

fn delete(ns: u64, reference: u64) -> Vec<u8> {
    OrderDelete { head: OrderDelete::head(1, time(ns)), reference: reference.into() }.as_bytes().to_vec()
}

fn replace(ns: u64, original: u64, reference: u64, shares: u32, price: u32) -> Vec<u8> {
    let head = OrderReplace::head(1, time(ns));
    let (original, reference) = (original.into(), reference.into());
    OrderReplace { head, original, reference, shares: shares.into(), price: price.into() }.as_bytes().to_vec()
}

fn trade(ns: u64, shares: u32, name: &str, price: u32) -> Vec<u8> {
    let (head, shares, price) = (Trade::head(1, time(ns)), shares.into(), price.into());
    let (reference, match_number) = (0.into(), 1.into());
    Trade { head, reference, side: b'B', shares, stock: stock(name), price, match_number }.as_bytes().to_vec()
}

fn file(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|m| [&(m.len() as u16).to_be_bytes()[..], m].concat()).collect()
}

fn actions(flow: &ItchFlow) -> Vec<FlowAction> {
    flow.steps.iter().map(|step| step.action).collect()
}

#[test]
fn each_message_becomes_what_a_client_would_have_sent() {
    let bytes = file(&[
        add(0, 7, b'B', 300, "AAA", 1_000_000),
        cancel(5, 7, 100),
        execute(6, 7, 50),
        replace(7, 7, 9, 400, 1_000_100),
        trade(8, 25, "AAA", 1_000_150),
        delete(9, 9),
        SystemEvent { head: SystemEvent::head(0, time(10)), event: b'C' }.as_bytes().to_vec(),
    ]);
    let flow = ItchFlow::parse(&bytes, options(false)).unwrap();
    let (hidden, incoming) = (flow.steps[4].action.key(), flow.steps[5].action.key());
    // 100.015 is off the tick: the hidden sell moves up, its buyer with it.
    let between = Price(1_000_200);
    assert_eq!(
        actions(&flow),
        [
            FlowAction::rest(7, Side::Buy, Quantity(300), Price(1_000_000)),
            FlowAction::Reduce { key: 7, by: Quantity(100) },
            FlowAction::take(flow.steps[2].action.key(), Side::Sell, Quantity(50), Price(1_000_000)),
            FlowAction::Replace { key: 7, new_key: 9, quantity: Quantity(400), price: Price(1_000_100) },
            FlowAction::hide(hidden, Side::Sell, Quantity(25), between),
            FlowAction::take(incoming, Side::Buy, Quantity(25), between),
            FlowAction::Cancel { key: 9 },
        ]
    );
    let times: Vec<u64> = flow.steps.iter().map(|step| step.at_ns).collect();
    assert_eq!(times, [0, 5, 6, 7, 8, 8, 9]);
    assert!(flow.steps.iter().all(|step| step.ticker == TickerId(4)));
    let sessions: Vec<u16> = flow.steps.iter().map(|step| step.session).collect();
    assert_eq!(sessions[0], sessions[3], "a replace comes from the order's session");
    assert_eq!((flow.counts.entered, flow.counts.changed, flow.counts.executed), (1, 3, 1));
    assert_eq!((flow.counts.hidden, flow.counts.not_orders, flow.counts.messages), (1, 1, 7));
    let mut book = Book::default();
    flow.steps.iter().for_each(|step| book.play(step));
    assert_eq!((book.late, book.orders(), book.trades.len()), (0, 0, 2));
}

#[test]
fn what_cannot_be_played_is_counted_and_left_out() {
    let bytes = file(&[
        delete(0, 1),
        execute(0, 1, 5),
        replace(0, 1, 2, 5, 1_000_000),
        add(0, 3, b'S', 5, "AAA", 1_000_000),
        add(0, 3, b'S', 5, "AAA", 1_000_000),
        add(0, 4, b'S', 5, "ZZZ", 1_000_000),
        add(0, 5, b'S', 5, "AAA", 4_000_000_000),
        add(0, 6, b'S', 0, "AAA", 1_000_000),
        execute(0, 3, 9),
        cancel(0, 3, 1),
    ]);
    let flow = ItchFlow::parse(&bytes, options(false)).unwrap();
    let counts = flow.counts;
    assert_eq!((counts.unknown_reference, counts.duplicate_reference), (4, 1));
    assert_eq!((counts.unlisted, counts.out_of_range, flow.steps.len()), (1, 2, 2));
    let taken = FlowAction::take(flow.steps[1].action.key(), Side::Buy, Quantity(5), Price(1_000_000));
    assert_eq!(flow.steps[1].action, taken, "no more than the order has");
}

#[test]
fn unlisted_symbols_are_dealt_out_around_the_reference_price() {
    let bytes = file(&[
        add(0, 1, b'B', 150, "XX", 5_000),
        add(0, 2, b'B', 150, "YY", 70_050),
        add(0, 3, b'S', 150, "ZZ", 80_000),
        add(0, 4, b'S', 150, "XX", 5_130),
    ]);
    let flow = ItchFlow::parse(&bytes, options(true)).unwrap();
    let tickers: Vec<u16> = flow.steps.iter().map(|step| step.ticker.0).collect();
    assert_eq!(tickers, [4, 5, 4, 4]);
    let million = Price(1_000_000);
    assert_eq!(
        actions(&flow),
        [
            FlowAction::rest(1, Side::Buy, Quantity(150), million),
            FlowAction::rest(2, Side::Buy, Quantity(200), million),
            FlowAction::rest(3, Side::Sell, Quantity(150), million),
            FlowAction::rest(4, Side::Sell, Quantity(150), Price(1_000_200)),
        ]
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_or_ends_between_messages() {
    let whole = file(&[add(0, 1, b'B', 150, "AAA", 5_000), delete(1, 1)]);
    for length in 0..whole.len() {
        let flow = ItchFlow::parse(&whole[..length], options(false));
        match length {
            0 | 38 => assert!(flow.is_ok(), "{length} bytes are whole messages"),
            _ => assert!(matches!(flow, Err(ItchFault::Cut(0 | 38))), "{length} bytes"),
        }
    }
    assert!(matches!(ItchFlow::parse(&[0, 1, b'?'], options(false)), Err(ItchFault::Message(0, _))));
    let nobody = ItchOptions { makers: 0, ..options(false) };
    assert!(matches!(ItchFlow::parse(&whole, nobody), Err(ItchFault::Nobody)));
}

#[test]
fn reading_ends_at_the_most_steps_asked_for() {
    let whole = file(&[add(0, 1, b'B', 150, "AAA", 5_000), delete(1, 1)]);
    let flow = ItchFlow::parse(&whole, ItchOptions { steps_max: 1, ..options(false) }).unwrap();
    assert_eq!(flow.steps.len(), 1);
}

/// Reads the file named by the environment and prints what became of its messages.
#[test]
fn a_whole_recording_is_read() {
    let Some(path) = std::env::var_os(FILE_VARIABLE) else {
        println!("skipped: {FILE_VARIABLE} names no file of framed ITCH 5.0 messages");
        return;
    };
    let flow = ItchFlow::open(path.as_ref(), options(true)).unwrap();
    println!("{:?}, {} steps", flow.counts, flow.steps.len());
    let counts = flow.counts;
    let accounted = counts.entered
        + counts.changed
        + counts.executed
        + counts.hidden
        + counts.unknown_reference
        + counts.duplicate_reference
        + counts.unlisted
        + counts.out_of_range
        + counts.not_orders;
    assert_eq!(counts.messages, accounted, "each message is counted once");
}
