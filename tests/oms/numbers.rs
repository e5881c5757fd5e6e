//! The client's numbers: what they use up, what leaves them free, and whose orders they name.

use crate::desk::*;
use pitlane::engine::oms::IgnoreCause;
use pitlane::types::{Channel, Command, CommandKind, Reject, SideCode, UserRef};

fn query(desk: &mut Desk, channel: Channel) -> u32 {
    let ask = Command { channel, session: ADA, ..Command::new(CommandKind::AccountQuery) };
    desk.verdict(ask).next_user_ref.0
}

#[test]
fn numbers_rise_for_each_channel_of_a_session() {
    let mut desk = Desk::new(&market());
    let on = |channel, user_ref| Command { channel, ..buy(ADA, user_ref, 10, REFERENCE) };
    let (zero, one) = (Channel::named(0), Channel::named(1));
    assert_eq!(desk.ask(on(Channel::NONE, 3)), Reject::None);
    assert_eq!(desk.ignored(on(zero, 3)), IgnoreCause::UsedNumber, "no channel counts with channel 0");
    assert_eq!(desk.ask(on(one, 3)), Reject::None);
    assert_eq!(desk.ask(buy(ADA2, 3, 10, REFERENCE)), Reject::None, "each session counts for itself");
    assert_eq!((query(&mut desk, zero), query(&mut desk, one), query(&mut desk, Channel::named(7))), (4, 4, 1));
    assert_eq!(desk.ignored(buy(ADA, 0, 10, REFERENCE)), IgnoreCause::UsedNumber, "numbers start at 1");
}

#[test]
fn the_last_number_of_all_can_be_used() {
    let mut desk = Desk::new(&market());
    assert_eq!(desk.ask(buy(ADA, u32::MAX, 10, REFERENCE)), Reject::None);
    assert_eq!(query(&mut desk, Channel::NONE), u32::MAX);
    assert_eq!(desk.ask(cancel(ADA, u32::MAX, 0)), Reject::None);
}

#[test]
fn a_refused_order_uses_its_number_up() {
    let mut desk = Desk::new(&market());
    assert_eq!(desk.ask(buy(ADA, 3, 15, REFERENCE)), Reject::InvalidQuantity);
    assert_eq!(query(&mut desk, Channel::NONE), 4);
    assert_eq!(desk.ask(request(CommandKind::MassCancel, ADA, 4, "BBBB")), Reject::FirmNotAuthorized);
    assert_eq!(query(&mut desk, Channel::NONE), 5);
}

#[test]
fn only_the_session_and_channel_that_entered_an_order_can_name_it() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    let unknown = IgnoreCause::UnknownOrder;
    assert_eq!(desk.ignored(cancel(BOB, 1, 0)), unknown);
    assert_eq!(desk.ignored(cancel(ADA2, 1, 0)), unknown, "another session of the same account");
    assert_eq!(desk.ignored(Command { channel: Channel::named(1), ..cancel(ADA, 1, 0) }), unknown);
    assert_eq!(desk.ignored(replace(ADA, 2, 3, 20, REFERENCE)), unknown);
    assert_eq!(desk.ignored(replace(ADA, 0, 3, 20, REFERENCE)), unknown, "no order has number 0");
    assert_eq!(desk.ignored(cancel(ADA, 0, 0)), unknown);
    assert_eq!(desk.ask(cancel(ADA, 1, 0)), Reject::None);
    assert_eq!(desk.ignored(cancel(ADA, 1, 0)), unknown, "it is gone");
}

#[test]
fn a_malformed_cancel_is_passed_over() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    let malformed = Command { refusal: Reject::InvalidTag, ..cancel(ADA, 1, 0) };
    assert_eq!(desk.ignored(malformed), IgnoreCause::Malformed);
}

#[test]
fn a_modify_stays_on_its_side_of_the_book() {
    let mut desk = Desk::new(&market());
    desk.ask(sell(ADA, 1, 100, REFERENCE));
    let modify = |side, quantity| Command { side, kind: CommandKind::Modify, ..cancel(ADA, 1, quantity) };
    assert_eq!(desk.ignored(modify(SideCode::Buy, 50)), IgnoreCause::SideChange);
    assert_eq!(desk.ask(modify(SideCode::SellShort, 50)), Reject::None);
    let order = desk.oms.order(ADA, Channel::NONE, UserRef(1)).expect("open");
    assert_eq!((order.open.0, order.reserved.quantity.0), (50, 50));
}
