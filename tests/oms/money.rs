//! Positions, profit, fees and cash.

use crate::desk::*;
use pitlane::types::{AccountId, Command, Money, Price};

const ADA_ACCOUNT: AccountId = AccountId(0);
const BOB_ACCOUNT: AccountId = AccountId(1);

#[test]
fn a_trade_moves_cash_shares_and_fees_of_both_sides() {
    let mut desk = Desk::new(&market());
    desk.ask(sell(BOB, 1, 100, REFERENCE));
    desk.ask(buy(ADA, 1, 100, REFERENCE + 500));
    let (ada, bob) = (desk.oms.account(ADA_ACCOUNT), desk.oms.account(BOB_ACCOUNT));
    let value = 100 * i128::from(REFERENCE);
    assert_eq!((ada.cash, ada.fees), (Money(-value - 300), Money(300)), "the taker pays 3 a share");
    assert_eq!((bob.cash, bob.fees), (Money(value + 200), Money(-200)), "the maker is paid 2 a share");
    assert_eq!(desk.oms.position(ADA_ACCOUNT, ALFA).quantity, 100);
    assert_eq!(desk.oms.position(BOB_ACCOUNT, ALFA).quantity, -100);
    assert_eq!((ada.reserved, ada.open_orders), (Money::ZERO, 0));
    assert_eq!(ada.gross_exposure, Money(value));
    assert!(desk.oms.is_balanced());
}

#[test]
fn profit_is_taken_at_the_average_cost_and_the_rest_is_marked_to_the_last_trade() {
    let mut desk = Desk::new(&market());
    for (n, (quantity, price)) in [(100, REFERENCE), (300, REFERENCE + 400)].into_iter().enumerate() {
        let n = n as u32 + 1;
        desk.ask(sell(BOB, n, quantity, price));
        desk.ask(buy(ADA, n, quantity, price));
    }
    desk.ask(buy(BOB, 3, 200, REFERENCE + 1_000));
    desk.ask(sell(ADA, 3, 200, REFERENCE + 1_000));
    let position = desk.oms.position(ADA_ACCOUNT, ALFA);
    assert_eq!(position.quantity, 200);
    assert_eq!(position.average, Money(i128::from(REFERENCE) + 300));
    assert_eq!(position.realised, Money(200 * 700));
    assert_eq!((position.mark, position.unrealised), (Price(REFERENCE + 1_000), Money(200 * 700)));
    let account = desk.oms.account(ADA_ACCOUNT);
    assert_eq!((account.realised, account.unrealised), (position.realised, position.unrealised));
}

#[test]
fn a_sale_through_zero_turns_a_long_into_a_short() {
    let mut desk = Desk::new(&market());
    desk.ask(sell(BOB, 1, 100, REFERENCE));
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.ask(buy(BOB, 2, 250, REFERENCE + 300));
    desk.ask(sell(ADA, 2, 250, REFERENCE));
    let position = desk.oms.position(ADA_ACCOUNT, ALFA);
    assert_eq!((position.quantity, position.realised), (-150, Money(100 * 300)));
    assert_eq!(position.average, Money(i128::from(REFERENCE) + 300));
    assert_eq!(desk.oms.account(ADA_ACCOUNT).gross_exposure, Money(150 * i128::from(REFERENCE)));
    assert!(desk.oms.is_balanced());
}

#[test]
fn a_trade_with_oneself_costs_only_the_fees() {
    let mut desk = Desk::new(&market());
    desk.ask(sell(ADA, 1, 100, REFERENCE));
    desk.ask(buy(ADA2, 1, 100, REFERENCE));
    let account = desk.oms.account(ADA_ACCOUNT);
    assert_eq!((account.cash, account.realised), (Money(-100), Money::ZERO));
    assert_eq!(desk.oms.position(ADA_ACCOUNT, ALFA).quantity, 0);
    assert_eq!((account.gross_exposure, account.open_orders), (Money::ZERO, 0));
}

#[test]
fn an_order_reserves_until_its_end() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    let reserved = |desk: &Desk| desk.oms.account(ADA_ACCOUNT).reserved;
    let one = i128::from(REFERENCE) + 3;
    assert_eq!(reserved(&desk), Money(100 * one));
    assert_eq!(desk.oms.position(ADA_ACCOUNT, ALFA).open_buys, 100);
    desk.ask(sell(BOB, 1, 30, REFERENCE));
    assert_eq!(reserved(&desk), Money(70 * one));
    desk.ask(cancel(ADA, 1, 50));
    assert_eq!(reserved(&desk), Money(20 * one), "30 traded, 20 more may");
    desk.ask(cancel(ADA, 1, 0));
    assert_eq!(reserved(&desk), Money::ZERO);
    let view = desk.oms.account(ADA_ACCOUNT);
    assert_eq!((view.open_orders, view.gross_exposure), (0, Money(30 * i128::from(REFERENCE))));
    assert_eq!(desk.oms.orders().count(), 0);
}

#[test]
fn an_order_that_never_rests_leaves_no_reservation() {
    let mut desk = Desk::new(&market());
    desk.ask(sell(BOB, 1, 40, REFERENCE));
    desk.ask(buy(ADA, 1, 100, Price::MARKET.0));
    desk.ask(Command { post_only: 1, ..sell(BOB, 2, 50, REFERENCE) });
    desk.ask(Command { post_only: 1, ..buy(ADA, 2, 50, REFERENCE) });
    let account = desk.oms.account(ADA_ACCOUNT);
    assert_eq!((account.reserved, account.open_orders), (Money::ZERO, 0));
    assert_eq!(desk.oms.account(BOB_ACCOUNT).open_orders, 1);
    assert!(desk.oms.is_balanced());
}
