//! What each phase takes: every cell of kind of order, time in force and phase.

use crate::desk::*;
use pitlane::engine::risk::phases::{Kind, TABLE};
use pitlane::types::{
    AuctionSpec, ClientOrderId, Command, CommandKind, Display, Limit, Market, Phase, Price, Quantity, Reject,
    TimeInForce, phase,
};

const TIMES: [TimeInForce; 3] = [TimeInForce::Day, TimeInForce::ImmediateOrCancel, TimeInForce::GoodTillCancel];

pub fn auctions() -> Market {
    let mut market = market();
    market.tickers.iter_mut().for_each(|ticker| ticker.auction.cross_orders = true);
    market
}

pub fn enter_phase(phase: Phase) -> Command {
    Command { ticker: ALFA, value: u64::from(phase.letter()), ..Command::new(CommandKind::Phase) }
}

/// Every kind of order there is, by what a client writes.
fn kinds() -> Vec<(&'static str, Command)> {
    let limit = buy(ADA, 1, 100, REFERENCE);
    let market = Command { price: Price::MARKET, ..limit };
    let mut kinds = vec![
        ("limit", limit),
        ("market", market),
        ("post only", Command { post_only: 1, ..limit }),
        ("fill or kill", Command { min_quantity: limit.quantity, ..limit }),
        ("peg", Command { price_type: b'M', display: Display::Hidden, tags: 1 << 6, ..market }),
        ("stop", Command { tags: 1 << 31, value: u64::from(REFERENCE), ..limit }),
    ];
    for (name, cross) in [("on open", b'O'), ("on close", b'C')] {
        kinds.push((name, Command { cross, ..limit }));
        kinds.push((name, Command { cross, ..market }));
        kinds.push((name, Command { cross, tags: Command::IMBALANCE_ONLY, ..limit }));
    }
    kinds
}

/// The table of the documentation again, as sentences.
fn expected(name: &str, time: TimeInForce, phase: Phase) -> Reject {
    let immediate = time == TimeInForce::ImmediateOrCancel;
    let lasts = time == TimeInForce::GoodTillCancel;
    let in_auction = matches!(phase, Phase::PreOpen | Phase::HaltAuction | Phase::Paused);
    match (name, phase) {
        (_, Phase::Closed) => Reject::Closed,
        (_, Phase::Halted) => Reject::Halted,
        ("on open", Phase::PreOpen) | ("on close", Phase::Trading | Phase::PreClose) if lasts => Reject::TimeInForce,
        ("on open", Phase::PreOpen) => Reject::None,
        ("on open", _) => Reject::NoOpening,
        ("on close", Phase::Trading | Phase::PreClose) => Reject::None,
        ("on close", _) => Reject::NoClosing,
        ("stop", _) => Reject::None,
        _ if in_auction && immediate => Reject::ImmediateInAuction,
        ("peg", _) if immediate => Reject::InvalidPegType,
        ("market", _) if in_auction => Reject::MarketInAuction,
        ("market", _) if lasts => Reject::TimeInForce,
        ("post only", _) if immediate => Reject::InvalidPostOnly,
        ("fill or kill", _) if !immediate => Reject::InvalidMinQuantity,
        _ => Reject::None,
    }
}

#[test]
fn every_cell_of_kind_time_and_phase_has_its_own_answer_and_a_refusal_changes_nothing() {
    for phase in Phase::ALL {
        for (name, command) in kinds() {
            for time in TIMES {
                let mut desk = Desk::new(&auctions());
                desk.ask(enter_phase(phase));
                assert_eq!(desk.oms.phase(ALFA), phase);
                let order = Command { time_in_force: time, ..command };
                let verdict = desk.verdict(order);
                let what = format!("{name} {time:?} in {phase:?}");
                assert_eq!(verdict.reject, expected(name, time, phase), "{what}");
                if verdict.reject != Reject::None {
                    assert_eq!(desk.oms.orders().count(), 0, "{what}");
                    assert_eq!(desk.oms.account(pitlane::types::AccountId(0)).reserved.0, 0, "{what}");
                }
            }
        }
    }
}

#[test]
fn only_cancels_pass_where_nothing_is_taken() {
    for phase in [Phase::Closed, Phase::Halted] {
        assert!(Kind::ALL.iter().all(|kind| kind.answer(phase) != Reject::None));
        let mut desk = Desk::new(&auctions());
        desk.ask(buy(ADA, 1, 100, REFERENCE));
        desk.ask(enter_phase(phase));
        assert_eq!(desk.ask(cancel(ADA, 1, 0)), Reject::None);
        assert_eq!(desk.oms.orders().count(), 0);
    }
}

#[test]
fn a_table_row_stands_for_its_kind() {
    let kinds = Kind::ALL.iter().zip(TABLE);
    assert!(
        kinds.clone().all(|(kind, row)| Phase::ALL.iter().zip(row).all(|(phase, cell)| kind.answer(*phase) == cell))
    );
    assert_eq!(kinds.count(), TABLE.len());
}

#[test]
fn cross_orders_that_make_no_sense_are_refused() {
    let on_close = Command { cross: b'C', ..buy(ADA, 1, 100, REFERENCE) };
    let only = Command::IMBALANCE_ONLY;
    let cases = [
        (Command { post_only: 1, ..on_close }, Reject::InvalidCross),
        (Command { tags: only, price: Price::MARKET, ..on_close }, Reject::InvalidImbalanceOnly),
        (Command { tags: only, cross: b'N', ..on_close }, Reject::InvalidImbalanceOnly),
        (Command { min_quantity: Quantity(10), ..on_close }, Reject::InvalidMinQuantity),
        (Command { max_floor: Quantity(10), tags: 1 << 5, ..on_close }, Reject::InvalidMaxFloor),
        (Command { value: u64::from(REFERENCE), tags: 1 << 31, ..on_close }, Reject::InvalidCross),
        (Command { time_in_force: TimeInForce::GoodTillTime, expire_seconds: 5, ..on_close }, Reject::TimeInForce),
    ];
    for (command, reject) in cases {
        assert_eq!(Desk::new(&auctions()).ask(command), reject, "{command:?}");
    }
    assert_eq!(Desk::new(&market()).ask(on_close), Reject::CrossNotServed);
}

#[test]
fn a_market_order_for_a_cross_reserves_at_the_highest_price() {
    let mut desk = Desk::new(&auctions());
    desk.ask(set_limit(0, Limit::PriceCollar, 100));
    let order = Command { cross: b'C', price: Price::MARKET, ..buy(ADA, 1, 100, REFERENCE) };
    let verdict = desk.verdict(order);
    assert_eq!((verdict.reject, verdict.limit_price), (Reject::None, Price(2_000_000)));
}

#[test]
fn a_replace_of_a_cross_order_is_asked_as_one() {
    let mut desk = Desk::new(&auctions());
    desk.ask(enter_phase(Phase::PreOpen));
    desk.ask(Command { cross: b'O', tags: Command::IMBALANCE_ONLY, ..buy(ADA, 1, 100, REFERENCE) });
    assert_eq!(desk.ask(replace(ADA, 1, 2, 100, Price::MARKET.0)), Reject::InvalidImbalanceOnly);
    desk.ask(Command { cross: b'O', ..buy(ADA, 3, 100, REFERENCE) });
    let immediate = Command { time_in_force: TimeInForce::ImmediateOrCancel, ..replace(ADA, 3, 4, 200, REFERENCE) };
    assert_eq!(desk.ask(immediate), Reject::None, "its cross decides, not its time in force");
    assert_eq!(desk.journal.last().unwrap().command.cross, b'O');
}

#[test]
fn the_calendar_does_not_start_what_an_operator_stopped() {
    let mut desk = Desk::new(&auctions());
    let calendar = |phase| Command { client_order_id: phase::CALENDAR, ..enter_phase(phase) };
    desk.ask(Command { ticker: ALFA, ..Command::new(CommandKind::Halt) });
    assert_eq!(desk.ask(calendar(Phase::Trading)), Reject::StoppedByOperator);
    let by_hand =
        Command { client_order_id: ClientOrderId::from_text("uid:0").unwrap(), ..enter_phase(Phase::Trading) };
    assert_eq!(desk.ask(by_hand), Reject::None);
    desk.ask(Command::new(CommandKind::Halt));
    assert_eq!(desk.ask(calendar(Phase::Closed)), Reject::None, "but it closes it");
    assert_eq!(desk.oms.phase(ALFA), Phase::Closed);
}

#[test]
fn a_day_starts_where_the_reference_data_says() {
    let mut market = auctions();
    market.tickers[1].auction = AuctionSpec { phase_start: Phase::Closed, ..AuctionSpec::default() };
    let mut desk = Desk::new(&market);
    desk.ask(Command::new(CommandKind::DayStart));
    assert_eq!((desk.oms.phase(ALFA), desk.oms.phase(BETA)), (Phase::Trading, Phase::Closed));
    let unknown = Command { value: u64::from(b'?'), ..enter_phase(Phase::Trading) };
    assert_eq!(desk.ask(unknown), Reject::Other);
}
