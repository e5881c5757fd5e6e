//! Requests that are well-formed and wrong: impossible numbers, other people's orders, numbers used twice.

use crate::rig::{Venue, message};
use crate::support::{AAPL, accepted, canceled, executed, limit, rejected, until};
use pitlane::client::orders::{OrderSession, Replacement};
use pitlane::types::{Channel, Firm, MatcherId, Price, Quantity, Reject, SideCode, Symbol, UserRef};
use pitlane::wire::ouch::inbound::{self, Inbound};
use pitlane::wire::ouch::{Outbound, Tags};

#[test]
fn impossible_quantities_prices_and_letters_are_refused_with_their_reason() {
    let mut venue = Venue::open(|_| {});
    let plain = limit(SideCode::Buy, 100, 5_855_000).message(UserRef(0));
    let with = |change: fn(&mut inbound::EnterOrder)| {
        let mut order = plain;
        change(&mut order);
        order
    };
    let cases = [
        (with(|o| o.quantity = Quantity(0)), Reject::InvalidQuantity),
        (with(|o| o.quantity = Quantity(1_000_000)), Reject::InvalidQuantity),
        (with(|o| o.quantity = Quantity(u32::MAX)), Reject::InvalidQuantity),
        (with(|o| o.price = 0), Reject::InvalidPrice),
        (with(|o| o.price = 5_855_001), Reject::InvalidPrice),
        (with(|o| o.price = 1_999_999_900), Reject::InvalidPrice),
        (with(|o| o.price = 1_999_999_999), Reject::InvalidPrice),
        (with(|o| (o.quantity, o.price) = (Quantity(999_999), 5_855_000)), Reject::OrderQuantity),
        (with(|o| o.symbol = Symbol::BLANK), Reject::InvalidSymbol),
        (with(|o| o.symbol = Symbol([0xFF; 8])), Reject::InvalidSymbol),
        (with(|o| o.side = b'?'), Reject::InvalidSide),
        (with(|o| o.time_in_force = 0), Reject::Other),
        (with(|o| o.display = b'?'), Reject::InvalidDisplay),
        (with(|o| o.capacity = 0xFF), Reject::Other),
        (with(|o| o.cross = b'Y'), Reject::InvalidCross),
    ];
    for (user, shared) in [("USER02", false), ("USER03", true)] {
        let mut session = venue.login(user, shared);
        let before = venue.counter("sequencer.refused");
        for (index, (order, reject)) in cases.into_iter().enumerate() {
            let order = inbound::EnterOrder { user_ref: UserRef(index as u32 + 1), ..order };
            session.transmit(&Inbound::Enter(order)).unwrap();
            assert_eq!(rejected(&mut session, order.user_ref), reject.wire(), "{order:?}");
        }
        venue.counts("sequencer.refused", before + cases.len() as u64);
        // Any price from 2,000,000,000 on is a market order, the largest of all too: nobody offers, so it is cancelled.
        let market = inbound::EnterOrder { user_ref: UserRef(100), price: u64::MAX, time_in_force: b'3', ..plain };
        session.transmit(&Inbound::Enter(market)).unwrap();
        assert_eq!(canceled(&mut session, UserRef(100)), (100, b'I'));
        venue.bystander.trade();
    }
    venue.close();
}

#[test]
fn other_peoples_and_dead_orders_cannot_be_touched() {
    let mut venue = Venue::open(|_| {});
    let mut owner = venue.login("USER02", false);
    let orders: Vec<UserRef> = (0..3).map(|_| owner.enter(&limit(SideCode::Sell, 100, 5_855_000)).unwrap()).collect();
    accepted(&mut owner, orders[2]);
    let mut stranger = venue.login("USER03", true);
    let before = venue.counter("sequencer.ignored");
    for &order in &orders {
        stranger.cancel(Channel::NONE, order, Quantity(0)).unwrap();
        stranger.modify(Channel::NONE, order, SideCode::SellShort, Quantity(1)).unwrap();
    }
    let replace = Replacement::limit(Quantity(1), Price(5_900_000)).message(orders[0], UserRef(50));
    stranger.transmit(&Inbound::Replace(replace)).unwrap();
    // Orders of nobody, at both ends of the numbers.
    for user_ref in [0, u32::MAX] {
        stranger.cancel(Channel::NONE, UserRef(user_ref), Quantity(0)).unwrap();
    }
    // The other firm's orders are not its to cancel; that is a refusal, because a mass cancel has an answer.
    let mass = inbound::MassCancel { user_ref: UserRef(60), firm: Firm(*b"BRVO"), symbol: AAPL, tags: Tags::NONE };
    stranger.transmit(&Inbound::MassCancel(mass)).unwrap();
    assert_eq!(rejected(&mut stranger, UserRef(60)), Reject::FirmNotAuthorized.wire());
    venue.counts("sequencer.ignored", before + 9);
    // An owner's own dead order is as unknown.
    owner.cancel(Channel::NONE, orders[0], Quantity(0)).unwrap();
    canceled(&mut owner, orders[0]);
    owner.cancel(Channel::NONE, orders[0], Quantity(0)).unwrap();
    venue.counts("sequencer.ignored", before + 10);
    // The other two are as they were: whole, and first in line.
    let bid = limit(SideCode::Buy, 200, 5_855_000).immediate().message(UserRef(61));
    stranger.transmit(&Inbound::Enter(bid)).unwrap();
    for &order in &orders[1..] {
        assert_eq!(executed(&mut owner, order), (100, 5_855_000));
    }
    venue.bystander.trade();
    venue.close();
}

#[test]
fn a_request_number_counts_once() {
    let venue = Venue::open(|_| {});
    let mut session = venue.login("USER02", true);
    let before = venue.counter("sequencer.ignored");
    let mut enter = |user_ref: u32| {
        session.transmit_bytes(&message(&limit(SideCode::Sell, 100, 5_855_000), user_ref)).unwrap();
    };
    // Twice the same, then below it, then the number 0, which no request may have.
    [7, 7, 3, 0, 8].into_iter().for_each(&mut enter);
    accepted(&mut session, UserRef(7));
    let next = until(&mut session, "the next acceptance", |m| matches!(m, Outbound::Accepted(_)));
    assert!(matches!(next, Outbound::Accepted(a) if a.user_ref == UserRef(8)));
    venue.counts("sequencer.ignored", before + 3);
    let closing = venue.close();
    assert!(closing.number > 0);
}

#[test]
fn the_book_of_a_shard_that_is_full_refuses_and_the_other_shard_trades_on() {
    const ORDERS_MAX: u32 = 1_024;
    let mut venue = Venue::open(|config| {
        config.market.orders_max = ORDERS_MAX;
        config.market.matchers = 2;
        for (index, ticker) in config.market.tickers.iter_mut().enumerate() {
            ticker.matcher = MatcherId(index as u16 % 2);
        }
    });
    let mut session = venue.login("USER02", false);
    let place = |session: &mut OrderSession| session.enter(&limit(SideCode::Sell, 1, 5_900_000)).unwrap();
    let mut last = UserRef(0);
    for count in 1..=ORDERS_MAX {
        last = place(&mut session);
        if count % 256 == 0 {
            accepted(&mut session, last);
        }
    }
    let beyond = place(&mut session);
    assert_eq!(rejected(&mut session, beyond), Reject::BookFull.wire());
    venue.bystander.trade();
    // Who trades at once needs a place as well.
    let mut taker = venue.login("USER03", true);
    let bid = taker.enter(&limit(SideCode::Buy, 1, 5_900_000).immediate()).unwrap();
    assert_eq!(rejected(&mut taker, bid), Reject::BookFull.wire());
    // One leaves, and its place serves.
    session.cancel(Channel::NONE, last, Quantity(0)).unwrap();
    canceled(&mut session, last);
    let bid = taker.enter(&limit(SideCode::Buy, 1, 5_900_000).immediate()).unwrap();
    assert_eq!(executed(&mut taker, bid), (1, 5_900_000));
    assert_eq!(venue.counter("sequencer.refused"), 2);
    drop((session, taker));
    venue.close();
}
