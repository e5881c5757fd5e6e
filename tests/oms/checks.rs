//! Each check of the written order, alone and against every other.

use crate::desk::*;
use pitlane::engine::risk::CHECKS;
use pitlane::types::{
    Command, CommandKind, Display, Firm, Limit, Money, Nanos, Price, Quantity, Reject, Scope, SideCode, TickerId,
    TimeInForce, UserRef,
};

/// What is sent before the command that is checked, and that command.
struct Scene {
    orders_max: u32,
    before: Vec<Command>,
    command: Command,
}

/// A buy 2 % above the reference, by an account whose credit pays for it.
fn entering() -> Scene {
    Scene { orders_max: 64, before: vec![], command: buy(ADA, 10, 100, REFERENCE / 100 * 102) }
}

/// A resting buy, and its replace by a larger one.
fn replacing() -> Scene {
    let before = vec![buy(ADA, 1, 50, REFERENCE / 2)];
    Scene { orders_max: 64, before, command: replace(ADA, 1, 10, 100, REFERENCE / 100 * 102) }
}

/// Makes the check that answers `reject` fail, and no other.
fn spoil(scene: &mut Scene, reject: Reject) {
    let limit = |scene: &mut Scene, limit, value| scene.before.push(set_limit(0, limit, value));
    let command = &mut scene.command;
    match reject {
        Reject::InvalidDisplay => command.refusal = Reject::InvalidDisplay,
        Reject::SessionDisabled => scene.before.push(request(CommandKind::DisableEntry, ADA, 2, "AAAA")),
        Reject::AccountDisabled => limit(scene, Limit::Enabled, 0),
        Reject::KillSwitch => {
            // Switched on without a matcher that cancels: the order of a replace must still be there.
            scene.before.push(Command { scope: Scope::All, ..Command::new(CommandKind::KillOn) });
        }
        Reject::InvalidSymbol => command.ticker = TickerId::UNKNOWN,
        Reject::Halted => scene.before.push(Command::new(CommandKind::Halt)),
        Reject::FirmNotAuthorized => command.firm = Firm(*b"BBBB"),
        Reject::InvalidQuantity => command.quantity = Quantity(command.quantity.0 + 1),
        Reject::InvalidMinQuantity => {
            command.min_quantity = Quantity(10);
            command.tags |= 1 << 3;
        }
        Reject::InvalidMaxFloor => {
            command.max_floor = Quantity(7);
            command.tags |= 1 << 5;
        }
        Reject::TimeInForce => {
            command.expire_seconds = 1;
            command.tags |= 1 << 15;
        }
        Reject::InvalidPostOnly => command.tags |= 1 << 8,
        Reject::InvalidStop => {
            command.value = 1_050_050;
            command.tags |= 1 << 31;
        }
        Reject::InvalidPegType => {
            command.peg_offset = 100;
            command.tags |= 1 << 7;
        }
        Reject::InvalidSide => {
            command.side = SideCode::Sell;
            command.tags |= 1 << 27;
        }
        Reject::InvalidPrice => command.price = Price(command.price.0 + 1),
        Reject::OrderQuantity => limit(scene, Limit::OrderQuantity, 90),
        Reject::OrderNotional => limit(scene, Limit::OrderNotional, 100 * u64::from(REFERENCE)),
        Reject::PriceCollar => limit(scene, Limit::PriceCollar, 199),
        Reject::MessageRate => {
            scene.before.push(request(CommandKind::AccountQuery, ADA, 0, "AAAA"));
            limit(scene, Limit::MessageRate, 1);
        }
        Reject::OpenOrders => limit(scene, Limit::OpenOrders, 0),
        Reject::PositionLimit => limit(scene, Limit::Position, 90),
        Reject::GrossExposure => limit(scene, Limit::GrossExposure, 100 * u64::from(REFERENCE)),
        Reject::BuyingPower => limit(scene, Limit::Credit, 100 * u64::from(REFERENCE)),
        Reject::BookFull => {
            scene.orders_max = 1;
            scene.before.push(buy(BOB, 1, 10, REFERENCE / 2));
        }
        other => panic!("{other:?} is not a check"),
    }
}

fn outcome(scene: &Scene) -> Reject {
    let mut desk = Desk::new(&pitlane::types::Market { orders_max: scene.orders_max, ..market() });
    for &command in &scene.before {
        assert_eq!(desk.verdict(command).reject, Reject::None, "{command:?}");
    }
    desk.verdict(scene.command).reject
}

/// The checks that an Enter, or a Replace, can fail, in their order.
fn order_of_checks(opens: bool) -> Vec<Reject> {
    let only_entering = [
        Reject::InvalidSymbol,
        Reject::FirmNotAuthorized,
        Reject::InvalidPostOnly,
        Reject::OpenOrders,
        Reject::BookFull,
    ];
    let fits = |reject: &Reject| match opens {
        true => *reject != Reject::InvalidSide,
        false => !only_entering.contains(reject),
    };
    [Reject::InvalidDisplay].into_iter().chain(CHECKS).filter(fits).collect()
}

#[test]
fn a_request_that_passes_every_check_is_accepted() {
    assert_eq!(outcome(&entering()), Reject::None);
    assert_eq!(outcome(&replacing()), Reject::None);
}

#[test]
fn each_check_refuses_alone_with_its_own_reason() {
    for (opens, scene) in [(true, entering as fn() -> Scene), (false, replacing)] {
        for reject in order_of_checks(opens) {
            let mut scene = scene();
            spoil(&mut scene, reject);
            assert_eq!(outcome(&scene), reject);
        }
    }
}

#[test]
fn of_any_two_failing_checks_the_earlier_answers() {
    for (opens, scene) in [(true, entering as fn() -> Scene), (false, replacing)] {
        let checks = order_of_checks(opens);
        for (i, &first) in checks.iter().enumerate() {
            for &second in &checks[i + 1..] {
                let mut scene = scene();
                // The later one first, so that what it sends before is not refused by the earlier.
                spoil(&mut scene, second);
                spoil(&mut scene, first);
                assert_eq!(outcome(&scene), first, "{first:?} stands before {second:?}");
            }
        }
    }
}

#[test]
fn quantity_is_one_lot_to_the_protocols_most() {
    for (quantity, reject) in [
        (0, Reject::InvalidQuantity),
        (10, Reject::None),
        (15, Reject::InvalidQuantity),
        (999_990, Reject::None),
        (1_000_000, Reject::InvalidQuantity),
    ] {
        assert_eq!(Desk::new(&market()).ask(buy(ADA, 1, quantity, 10_000)), reject, "{quantity}");
    }
}

#[test]
fn price_is_on_the_tick_and_inside_the_range() {
    for (price, reject) in [
        (9_900, Reject::InvalidPrice),
        (10_000, Reject::None),
        (10_050, Reject::InvalidPrice),
        (2_000_000, Reject::None),
        (2_000_100, Reject::InvalidPrice),
        (Price::MARKET.0, Reject::None),
    ] {
        assert_eq!(Desk::new(&market()).ask(buy(ADA, 1, 10, price)), reject, "{price}");
    }
}

#[test]
fn minimum_quantity_needs_an_immediate_or_hidden_order_that_can_reach_it() {
    let order = |minimum, time_in_force| Command {
        min_quantity: Quantity(minimum),
        time_in_force,
        ..buy(ADA, 1, 100, REFERENCE)
    };
    let ask = |command| Desk::new(&market()).ask(command);
    assert_eq!(ask(order(100, TimeInForce::ImmediateOrCancel)), Reject::None);
    assert_eq!(ask(order(110, TimeInForce::ImmediateOrCancel)), Reject::InvalidMinQuantity);
    assert_eq!(ask(order(10, TimeInForce::Day)), Reject::InvalidMinQuantity);
    let hidden = |minimum| Command { display: Display::Hidden, tags: 1 << 3, ..order(minimum, TimeInForce::Day) };
    assert_eq!(ask(hidden(100)), Reject::None);
    assert_eq!(ask(hidden(110)), Reject::InvalidMinQuantity);
}

#[test]
fn the_collar_holds_the_aggressive_side_only() {
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::PriceCollar, 500));
    for (n, command, reject) in [
        (1, buy(ADA, 1, 10, REFERENCE / 100 * 105), Reject::None),
        (2, buy(ADA, 2, 10, REFERENCE / 100 * 105 + 100), Reject::PriceCollar),
        (3, buy(ADA, 3, 10, 10_000), Reject::None),
        (4, sell(ADA, 4, 10, REFERENCE / 100 * 95 - 100), Reject::PriceCollar),
        (5, sell(ADA, 5, 10, 2_000_000), Reject::None),
    ] {
        assert_eq!(desk.ask(command), reject, "order {n}");
    }
}

#[test]
fn the_collar_follows_the_last_trade() {
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::PriceCollar, 1_000));
    assert_eq!(desk.ask(buy(ADA, 1, 10, 1_180_000)), Reject::PriceCollar);
    desk.ask(sell(BOB, 1, 10, 1_080_000));
    desk.ask(buy(CYD, 1, 10, 1_080_000));
    assert_eq!(desk.ask(buy(ADA, 2, 10, 1_180_000)), Reject::None);
}

#[test]
fn a_market_order_is_reserved_at_the_worst_price_the_collar_allows() {
    let mut desk = Desk::new(&market());
    let limit = |desk: &mut Desk, command| desk.verdict(command).limit_price;
    assert_eq!(limit(&mut desk, buy(ADA, 1, 10, Price::MARKET.0)), Price(2_000_000));
    assert_eq!(limit(&mut desk, sell(ADA, 2, 10, Price::MARKET.0)), Price(10_000));
    desk.settle();
    desk.ask(sell(BOB, 1, 10, 1_000_300));
    desk.ask(buy(CYD, 1, 10, 1_000_300));
    desk.ask(set_limit(0, Limit::PriceCollar, 7));
    // 1,000,300 * 0.0007 is 700.21: up to 1,001,000.21 and down to 999,599.79, inward to the tick.
    assert_eq!(limit(&mut desk, buy(ADA, 3, 10, Price::MARKET.0)), Price(1_001_000));
    assert_eq!(limit(&mut desk, sell(ADA, 4, 10, Price::MARKET.0)), Price(999_600));
    desk.settle();
    desk.ask(set_limit(0, Limit::PriceCollar, u64::MAX));
    assert_eq!(limit(&mut desk, buy(ADA, 5, 10, Price::MARKET.0)), Price(2_000_000));
    assert_eq!(limit(&mut desk, sell(ADA, 6, 10, Price::MARKET.0)), Price(10_000));
}

#[test]
fn messages_of_all_sessions_of_an_account_count_and_cancels_pass() {
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::MessageRate, 3));
    assert_eq!(desk.ask(buy(ADA, 1, 10, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(buy(ADA2, 1, 10, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(cancel(ADA, 1, 0)), Reject::None);
    assert_eq!(desk.ask(buy(ADA, 2, 10, REFERENCE)), Reject::MessageRate);
    assert_eq!(desk.ask(buy(BOB, 1, 10, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(cancel(ADA2, 1, 0)), Reject::None, "a cancel is never refused for its rate");
    desk.now = Nanos(START.0 + Nanos::SECOND * 9 / 8);
    assert_eq!(desk.ask(buy(ADA, 3, 10, REFERENCE)), Reject::None);
}

#[test]
fn open_orders_are_counted_until_their_end_is_seen() {
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::OpenOrders, 2));
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    desk.ask(buy(ADA, 2, 10, REFERENCE));
    desk.send(cancel(ADA, 1, 0));
    assert_eq!(desk.verdict(buy(ADA, 3, 10, REFERENCE)).reject, Reject::OpenOrders);
    desk.settle();
    assert_eq!(desk.ask(buy(ADA, 4, 10, REFERENCE)), Reject::None);
}

#[test]
fn the_position_limit_counts_every_open_order_of_the_side() {
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::Position, 100));
    assert_eq!(desk.ask(buy(ADA, 1, 60, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(buy(ADA, 2, 50, REFERENCE)), Reject::PositionLimit);
    assert_eq!(desk.ask(sell(BOB, 1, 60, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(buy(ADA, 3, 50, REFERENCE)), Reject::PositionLimit, "filled shares count on");
    assert_eq!(desk.ask(sell(ADA, 4, 160, REFERENCE * 2)), Reject::None, "from 60 long to 100 short");
    assert_eq!(desk.ask(sell(ADA, 5, 10, REFERENCE * 2)), Reject::PositionLimit);
    assert_eq!(desk.ask(Command { ticker: BETA, ..buy(ADA, 6, 100, REFERENCE) }), Reject::None, "each ticker alone");
}

#[test]
fn gross_exposure_adds_positions_and_both_sides_of_open_orders() {
    let mut desk = Desk::new(&market());
    let shares = |n: u64| n * u64::from(REFERENCE);
    desk.ask(set_limit(0, Limit::GrossExposure, shares(100)));
    desk.ask(sell(BOB, 1, 40, REFERENCE));
    assert_eq!(desk.ask(buy(ADA, 1, 40, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(Command { ticker: BETA, ..sell(ADA, 2, 30, REFERENCE) }), Reject::None);
    assert_eq!(desk.ask(buy(ADA, 3, 40, REFERENCE)), Reject::GrossExposure);
    assert_eq!(desk.ask(buy(ADA, 4, 30, REFERENCE + 100)), Reject::GrossExposure, "valued at its price");
    assert_eq!(desk.ask(buy(ADA, 5, 40, 10_000)), Reject::GrossExposure, "but not below the mark");
    assert_eq!(desk.ask(buy(ADA, 6, 30, 10_000)), Reject::None);
    assert_eq!(desk.oms.account(pitlane::types::AccountId(0)).gross_exposure, Money(i128::from(shares(100))));
}

#[test]
fn buying_power_covers_price_and_fee_and_a_sell_needs_only_its_fee() {
    let mut desk = Desk::new(&market());
    let cost = 100 * (u64::from(REFERENCE) + 3);
    desk.ask(set_limit(0, Limit::Credit, cost - 1));
    assert_eq!(desk.ask(buy(ADA, 1, 100, REFERENCE)), Reject::BuyingPower);
    desk.ask(set_limit(0, Limit::Credit, cost));
    assert_eq!(desk.ask(buy(ADA, 2, 100, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(sell(ADA, 3, 10, REFERENCE * 2)), Reject::BuyingPower, "not even a fee is left");
    desk.ask(set_limit(0, Limit::Credit, cost + 30));
    assert_eq!(desk.ask(sell(ADA, 4, 10, REFERENCE * 2)), Reject::None);
}

#[test]
fn a_number_that_was_used_is_ignored_before_any_check() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 5, 10, REFERENCE));
    let again = Command { refusal: Reject::InvalidDisplay, ..buy(ADA, 5, 10, REFERENCE) };
    assert_eq!(desk.ignored(again), pitlane::engine::oms::IgnoreCause::UsedNumber);
    assert_eq!(desk.ask(Command { user_ref: UserRef(6), ..again }), Reject::InvalidDisplay);
}
