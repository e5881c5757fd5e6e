//! Replaces: what they reserve while on their way, chains of them, and their races with fills and cancels.

use crate::desk::*;
use pitlane::engine::oms::{IgnoreCause, Route};
use pitlane::types::{AccountId, Channel, Event, Limit, MatcherId, Money, Price, Reject, Slot, UserRef};

fn reserved(desk: &Desk) -> (u64, Money) {
    let ada = AccountId(0);
    (desk.oms.position(ada, ALFA).open_buys, desk.oms.account(ada).reserved)
}

fn worth(shares: i128, price: u32) -> Money {
    Money(shares * (i128::from(price) + 3))
}

fn next(desk: &Desk) -> u32 {
    desk.oms.next_user_ref(ADA, Channel::NONE).0
}

#[test]
fn a_replace_on_its_way_reserves_the_worst_of_both() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.send(replace(ADA, 1, 2, 40, REFERENCE + 100));
    assert_eq!(reserved(&desk), (100, worth(100, REFERENCE + 100)), "more shares of the old, the price of the new");
    desk.settle();
    assert_eq!(reserved(&desk), (40, worth(40, REFERENCE + 100)));
    assert!(desk.oms.is_balanced());
}

#[test]
fn the_replaced_order_keeps_its_slot_and_answers_to_the_new_number_only() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    let slot = desk.oms.order(ADA, Channel::NONE, UserRef(1)).expect("open").slot;
    desk.ask(replace(ADA, 1, 2, 100, REFERENCE - 100));
    assert_eq!(desk.oms.order(ADA, Channel::NONE, UserRef(2)).expect("open").slot, slot);
    assert_eq!(desk.oms.order(ADA, Channel::NONE, UserRef(1)), None);
    assert_eq!(desk.ignored(cancel(ADA, 1, 0)), IgnoreCause::UnknownOrder);
    assert_eq!(desk.ask(cancel(ADA, 2, 0)), Reject::None);
}

#[test]
fn a_chain_of_replaces_may_be_sent_before_any_answer() {
    let mut desk = Desk::new(&market());
    desk.send(buy(ADA, 1, 100, REFERENCE));
    desk.send(replace(ADA, 1, 2, 150, REFERENCE - 100));
    desk.send(replace(ADA, 2, 3, 50, REFERENCE - 200));
    assert_eq!(desk.ignored(replace(ADA, 1, 4, 100, REFERENCE)), IgnoreCause::UnknownOrder, "1 was given up");
    assert_eq!(reserved(&desk).0, 150);
    desk.send(cancel(ADA, 3, 0));
    desk.settle();
    assert!(matches!(desk.latest()[0].event, Event::Canceled { order, .. } if order.user_ref == UserRef(3)));
    assert_eq!(reserved(&desk), (0, Money::ZERO));
    assert_eq!(desk.oms.account(AccountId(0)).open_orders, 0);
    assert_eq!(next(&desk), 4);
}

#[test]
fn a_replace_counts_what_the_chain_has_executed() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 500, REFERENCE));
    desk.ask(sell(BOB, 1, 100, REFERENCE));
    desk.ask(replace(ADA, 1, 2, 500, REFERENCE));
    assert_eq!(reserved(&desk).0, 400);
    desk.ask(sell(BOB, 2, 100, REFERENCE));
    desk.ask(replace(ADA, 2, 3, 600, REFERENCE));
    let order = desk.oms.order(ADA, Channel::NONE, UserRef(3)).expect("open");
    assert_eq!((order.open.0, order.used.0), (400, 200));
}

#[test]
fn a_replace_that_finds_its_order_filled_leaves_its_number_free() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.send(sell(BOB, 1, 100, REFERENCE));
    desk.send(replace(ADA, 1, 2, 200, REFERENCE));
    assert_eq!(next(&desk), 3, "in doubt, so taken");
    desk.settle();
    assert!(matches!(desk.latest(), [outcome] if matches!(outcome.event, Event::ReplaceIgnored { .. })));
    assert_eq!(next(&desk), 2);
    assert_eq!(reserved(&desk), (0, Money::ZERO));
    assert_eq!(desk.ask(buy(ADA, 2, 10, REFERENCE)), Reject::None);
}

#[test]
fn a_chain_that_finds_its_order_gone_frees_all_its_numbers_but_not_a_later_one() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.send(cancel(ADA, 1, 0));
    desk.send(replace(ADA, 1, 2, 200, REFERENCE));
    desk.send(replace(ADA, 2, 3, 300, REFERENCE));
    desk.settle();
    assert_eq!(next(&desk), 2);
    desk.ask(buy(ADA, 2, 100, REFERENCE));
    desk.send(cancel(ADA, 2, 0));
    desk.send(replace(ADA, 2, 3, 200, REFERENCE));
    desk.send(buy(ADA, 4, 10, REFERENCE));
    desk.settle();
    assert_eq!(next(&desk), 5);
}

#[test]
fn a_replace_below_what_was_executed_cancels_and_leaves_its_number_free() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.ask(sell(BOB, 1, 60, REFERENCE));
    desk.ask(replace(ADA, 1, 2, 60, REFERENCE));
    assert!(matches!(desk.latest()[0].event, Event::Canceled { order, .. } if order.user_ref == UserRef(1)));
    assert_eq!((next(&desk), desk.oms.orders().count()), (2, 0));
    assert!(desk.oms.is_balanced());
}

#[test]
fn a_cancel_of_the_order_before_a_pending_replace_is_not_taken_for_that_replace() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.send(cancel(ADA, 1, 0));
    desk.send(replace(ADA, 1, 2, 200, REFERENCE));
    desk.let_in(1);
    assert_eq!(next(&desk), 3, "the replace's own answer is still on its way");
    desk.settle();
    assert_eq!(next(&desk), 2);
}

#[test]
fn a_refused_replace_cancels_its_order_and_leaves_its_number_free() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    for details in [replace(ADA, 1, 2, 1_000_000, REFERENCE), replace(ADA, 1, 2, 100, REFERENCE + 1)] {
        let mut desk = Desk::new(&market());
        let slot = desk.verdict(buy(ADA, 1, 100, REFERENCE)).slot;
        let verdict = desk.verdict(details);
        assert!(!verdict.is_accepted());
        assert_eq!(verdict.slot, slot);
        assert_eq!(desk.oms.route(desk.journal.last().expect("a record")), Route::One(MatcherId(0)));
        desk.settle();
        assert_eq!((next(&desk), desk.oms.orders().count(), reserved(&desk)), (2, 0, (0, Money::ZERO)));
    }
}

#[test]
fn a_replace_is_checked_for_what_it_adds() {
    let mut desk = Desk::new(&market());
    desk.ask(set_limit(0, Limit::Position, 150));
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    assert_eq!(desk.ask(replace(ADA, 1, 2, 150, REFERENCE)), Reject::None);
    assert_eq!(desk.ask(replace(ADA, 2, 3, 160, REFERENCE)), Reject::PositionLimit);
    desk.ask(set_limit(0, Limit::Credit, 100 * (u64::from(REFERENCE) + 3)));
    desk.ask(buy(ADA, 4, 100, REFERENCE));
    assert_eq!(desk.ask(replace(ADA, 4, 5, 100, REFERENCE - 100)), Reject::None, "cheaper needs nothing new");
    assert_eq!(desk.ask(replace(ADA, 5, 6, 100, REFERENCE + 100)), Reject::BuyingPower);
}

#[test]
fn a_replace_to_market_is_reserved_at_the_worst_price_and_leaves_nothing() {
    let mut desk = Desk::new(&market());
    desk.ask(sell(BOB, 1, 30, REFERENCE));
    desk.ask(buy(ADA, 1, 100, REFERENCE - 100));
    desk.send(replace(ADA, 1, 2, 100, Price::MARKET.0));
    assert_eq!(reserved(&desk), (100, worth(100, 2_000_000)));
    desk.let_in(1);
    assert_eq!(reserved(&desk), (100, worth(100, 2_000_000)));
    desk.settle();
    assert_eq!((reserved(&desk), desk.oms.position(AccountId(0), ALFA).quantity), ((0, Money::ZERO), 30));
    assert!(desk.oms.is_balanced());
}

#[test]
fn a_slot_is_given_again_only_after_the_end_of_its_order_was_seen() {
    let one = pitlane::types::Market { orders_max: 1, ..market() };
    let mut desk = Desk::new(&one);
    assert_eq!(desk.verdict(buy(ADA, 1, 10, REFERENCE)).slot, Slot(0));
    desk.send(cancel(ADA, 1, 0));
    assert_eq!(desk.verdict(buy(ADA, 2, 10, REFERENCE)).reject, Reject::BookFull);
    desk.settle();
    assert_eq!(desk.verdict(buy(ADA, 3, 10, REFERENCE)).slot, Slot(0));
}

#[test]
fn a_late_answer_to_a_replace_does_not_touch_the_next_order_in_its_slot() {
    let one = pitlane::types::Market { orders_max: 1, ..market() };
    let mut desk = Desk::new(&one);
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    desk.send(cancel(ADA, 1, 0));
    desk.send(replace(ADA, 1, 2, 90, REFERENCE));
    desk.let_in(1);
    desk.send(buy(ADA, 3, 40, REFERENCE));
    desk.settle();
    assert_eq!(reserved(&desk), (40, worth(40, REFERENCE)));
    assert_eq!(next(&desk), 4);
}
