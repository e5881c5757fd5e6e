//! Which kinds of order go together: every cell of the matrix, asked of the OMS, and what each kind must say by itself.

use crate::desk::*;
use pitlane::engine::risk::{KINDS, Kind, MATRIX, kinds_of};
use pitlane::types::{
    AccountId, Channel, Command, Display, Event, Limit, Money, Price, Quantity, Reject, TimeInForce, UserRef,
};

/// Makes the order one of this kind.
fn become_(kind: Kind, command: &mut Command) {
    match kind {
        Kind::Market => command.price = Price::MARKET,
        Kind::Stop => {
            command.price = Price::MARKET;
            stop_at(command);
        }
        Kind::StopLimit => stop_at(command),
        Kind::Immediate => command.time_in_force = TimeInForce::ImmediateOrCancel,
        Kind::Whole => {
            command.time_in_force = TimeInForce::ImmediateOrCancel;
            command.min_quantity = command.quantity;
            command.tags |= 1 << 3;
        }
        Kind::Timed => {
            command.time_in_force = TimeInForce::GoodTillTime;
            command.expire_seconds = 60;
            command.tags |= 1 << 15;
        }
        Kind::Kept => {
            command.time_in_force = TimeInForce::GoodTillCancel;
            command.tags |= 1;
        }
        Kind::Hidden => command.display = Display::Hidden,
        Kind::PostOnly => {
            command.post_only = 1;
            command.tags |= 1 << 12;
        }
        Kind::StepsBack => {
            command.post_only = 2;
            command.tags |= 1 << 12 | 1 << 8;
        }
        Kind::Reserve => {
            command.max_floor = Quantity(20);
            command.tags |= 1 << 5;
        }
        Kind::Pegged => {
            (command.price_type, command.display) = (b'R', Display::Hidden);
            command.tags |= 1 << 6;
        }
        Kind::Minimum => {
            command.min_quantity = Quantity(30);
            command.tags |= 1 << 3;
            // By itself it needs an order that does not show at rest.
            if command.time_in_force != TimeInForce::ImmediateOrCancel {
                command.display = Display::Hidden;
            }
        }
    }
}

fn stop_at(command: &mut Command) {
    command.value = u64::from(REFERENCE) + 10_000;
    command.tags |= 1 << 31;
}

fn of(kinds: &[Kind]) -> Command {
    let mut command = buy(ADA, 1, 100, REFERENCE);
    kinds.iter().for_each(|&kind| become_(kind, &mut command));
    command
}

fn bit(kind: Kind) -> u16 {
    1 << kind as u16
}

#[test]
fn every_cell_of_the_matrix_refuses_or_accepts_as_it_says_and_a_refusal_changes_nothing() {
    let mut seen = 0;
    for a in KINDS {
        for b in KINDS {
            let command = of(&[a, b]);
            // Two kinds of one field, or one that brings a third with it, are no cell that can be asked alone.
            if kinds_of(&command, true) != bit(a) | bit(b) {
                continue;
            }
            let expected = MATRIX[a as usize][b as usize];
            let mut desk = Desk::new(&market());
            let before = desk.oms.digest();
            assert_eq!(desk.verdict(command).reject, expected, "{a:?} with {b:?}");
            if expected != Reject::None {
                assert_eq!(desk.oms.orders().count(), 0);
                assert_ne!(desk.oms.digest(), before, "but its number is used up");
                assert_eq!(desk.oms.account(pitlane::types::AccountId(0)).open_orders, 0);
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} cells");
}

#[test]
fn each_kind_alone_is_served() {
    for kind in KINDS {
        assert_eq!(Desk::new(&market()).ask(of(&[kind])), Reject::None, "{kind:?}");
    }
}

#[test]
fn a_floor_is_whole_lots_and_a_thousandth_of_the_order_at_least() {
    let ask = |quantity, floor, random| {
        let mut command = buy(ADA, 1, quantity, REFERENCE);
        command.max_floor = Quantity(floor);
        command.random_reserve = random;
        command.tags = 1 << 5 | 1 << 13;
        Desk::new(&market()).ask(command)
    };
    assert_eq!(ask(100, 0, 0), Reject::None, "0 shows all");
    assert_eq!(ask(100, 100, 0), Reject::None);
    assert_eq!(ask(100, 110, 0), Reject::InvalidMaxFloor);
    assert_eq!(ask(100, 5, 0), Reject::InvalidMaxFloor, "off the lot");
    assert_eq!(ask(10_000, 10, 0), Reject::None);
    assert_eq!(ask(10_010, 10, 0), Reject::InvalidMaxFloor, "a thousand and one parts");
    assert_eq!(ask(100, 30, 20), Reject::None);
    assert_eq!(ask(100, 30, 30), Reject::InvalidMaxFloor, "a part of nothing");
    assert_eq!(ask(100, 30, 5), Reject::InvalidMaxFloor);
    assert_eq!(ask(100, 0, 10), Reject::InvalidMaxFloor, "nothing to vary");
}

#[test]
fn an_expiry_is_a_second_to_a_day_and_goes_with_good_till_time() {
    let ask = |time_in_force, seconds| {
        let mut command = buy(ADA, 1, 100, REFERENCE);
        (command.time_in_force, command.expire_seconds, command.tags) = (time_in_force, seconds, 1 << 15);
        Desk::new(&market()).ask(command)
    };
    assert_eq!(ask(TimeInForce::GoodTillTime, 0), Reject::TimeInForce);
    assert_eq!(ask(TimeInForce::GoodTillTime, 1), Reject::None);
    assert_eq!(ask(TimeInForce::GoodTillTime, 86_399), Reject::None);
    assert_eq!(ask(TimeInForce::GoodTillTime, 86_400), Reject::TimeInForce);
    assert_eq!(ask(TimeInForce::Day, 60), Reject::TimeInForce);
    assert_eq!(ask(TimeInForce::Day, 0), Reject::None);
}

#[test]
fn the_collar_of_a_stop_counts_from_its_stop_price() {
    let stop = |price| {
        let mut command = buy(ADA, 1, 100, price);
        command.value = u64::from(REFERENCE) * 2 - 10_000;
        command.tags = 1 << 31;
        command
    };
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::PriceCollar, 100));
    let near = REFERENCE * 2 - 5_000;
    assert_eq!(desk.verdict(stop(near)).reject, Reject::None, "far from the last trade, near its stop");
    assert_eq!(desk.ask(buy(ADA, 2, 100, near)), Reject::PriceCollar);
    let market = desk.verdict(Command { user_ref: pitlane::types::UserRef(3), ..stop(Price::MARKET.0) });
    assert_eq!(market.limit_price, Price(2_000_000), "its collar cut to the range");
}

fn peg(user_ref: u32, letter: u8, offset: i32) -> Command {
    let mut command = buy(ADA, user_ref, 100, REFERENCE);
    (command.price_type, command.peg_offset, command.display) = (letter, offset, Display::Hidden);
    command.tags = 1 << 6 | 1 << 7;
    command
}

#[test]
fn a_peg_is_hidden_and_its_offset_on_the_tick_but_for_a_midpoint() {
    let ask = |command: Command| Desk::new(&market()).ask(command);
    for letter in *b"MmRP" {
        assert_eq!(ask(peg(1, letter, -200)), Reject::None);
        let shown = Command { display: Display::Anonymous, ..peg(1, letter, 0) };
        assert_eq!(ask(shown), Reject::InvalidPegType);
        let free = matches!(letter, b'M' | b'm');
        assert_eq!(ask(peg(1, letter, 50)), if free { Reject::None } else { Reject::InvalidPegType });
    }
    assert_eq!(ask(Command { display: Display::Anonymous, ..peg(1, b'L', 0) }), Reject::None);
    assert_eq!(ask(peg(1, b'L', 100)), Reject::InvalidPegType, "an offset of nothing");
}

#[test]
fn a_peg_without_a_limit_reserves_the_worst_price_its_account_may_trade_at() {
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::PriceCollar, 100));
    let verdict = desk.verdict(Command { price: Price::MARKET, ..peg(1, b'M', 0) });
    let collared = Price(REFERENCE + REFERENCE / 100);
    assert_eq!((verdict.reject, verdict.limit_price), (Reject::None, collared));
    assert!(desk.oms.account(AccountId(0)).reserved >= Money(100 * i128::from(collared.0)));
}

#[test]
fn a_replace_that_does_not_say_so_is_still_of_a_peg_and_checked_as_one() {
    let mut desk = Desk::new(&market());
    desk.ask(peg(1, b'R', 100));
    let hidden = Command { display: Display::Hidden, ..replace(ADA, 1, 2, 100, REFERENCE - 100) };
    assert_eq!(desk.ask(hidden), Reject::None);
    let offset = Command { original: UserRef(2), user_ref: UserRef(3), peg_offset: 50, tags: 1 << 7, ..hidden };
    assert_eq!(desk.ask(offset), Reject::InvalidPegType, "off the tick for what the order follows");
    assert!(matches!(desk.latest().last().unwrap().event, Event::Canceled { .. }));
    assert!(desk.oms.order(ADA, Channel::NONE, UserRef(2)).is_none());
    desk.ask(peg(3, b'R', 0));
    let plain = Command { tags: 1 << 6, ..replace(ADA, 3, 4, 100, REFERENCE) };
    assert_eq!(desk.ask(plain), Reject::None, "it names another kind and may show");
    assert_eq!(desk.ask(replace(ADA, 4, 5, 100, REFERENCE)), Reject::None);
}
