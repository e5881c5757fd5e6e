//! What crosses, bands and busts do to accounts, with the real shards behind the desk.

use crate::desk::*;
use crate::phases::{auctions, enter_phase};
use crate::shards::Shards;
use pitlane::types::{
    AccountId, ClientOrderId, Command, CommandKind, Event, Limit, Market, MatchNumber, Money, Nanos, Phase, Price,
    Quantity, Reject, TickerId, phase,
};

const ADA_ACCOUNT: AccountId = AccountId(0);
const BOB_ACCOUNT: AccountId = AccountId(1);

fn desk(market: &Market) -> Desk<Shards> {
    Desk::with(market, Shards::new(market))
}

/// The same market with a cross fee of 0.0005 a share.
fn with_fee() -> Market {
    let mut market = auctions();
    market.tickers[0].fees.cross = 5;
    market
}

fn bust(number: MatchNumber) -> Command {
    Command { ticker: ALFA, value: number.0, ..Command::new(CommandKind::Bust) }
}

/// Match numbers of the latest record.
fn matches(desk: &Desk<Shards>) -> Vec<MatchNumber> {
    let number = |event: &Event| match *event {
        Event::Filled { match_number, .. } | Event::Crossed { match_number, .. } => Some(match_number),
        _ => None,
    };
    desk.latest().iter().filter_map(|outcome| number(&outcome.event)).collect()
}

#[test]
fn a_cross_moves_shares_cash_and_fees_at_its_one_price_and_frees_what_was_reserved() {
    let mut desk = desk(&with_fee());
    desk.ask(enter_phase(Phase::PreOpen));
    assert_eq!(desk.ask(buy(ADA, 1, 100, REFERENCE + 1_000)), Reject::None);
    assert_eq!(desk.ask(Command { cross: b'O', ..sell(BOB, 1, 60, REFERENCE - 1_000) }), Reject::None);
    assert_eq!(desk.oms.position(ADA_ACCOUNT, ALFA).quantity, 0, "nothing trades before the cross");
    assert_eq!(desk.ask(enter_phase(Phase::Trading)), Reject::None);
    let price = desk.oms.position(ADA_ACCOUNT, ALFA).mark;
    assert_eq!(price, Price(REFERENCE), "of the prices between both limits the one nearest the reference");
    let value = 60 * i128::from(price.0);
    let (ada, bob) = (desk.oms.account(ADA_ACCOUNT), desk.oms.account(BOB_ACCOUNT));
    assert_eq!((ada.cash, ada.fees), (Money(-value - 300), Money(300)));
    assert_eq!((bob.cash, bob.fees), (Money(value - 300), Money(300)));
    assert_eq!((bob.reserved, bob.open_orders), (Money::ZERO, 0));
    assert_eq!(
        desk.oms.order(ADA, pitlane::types::Channel::NONE, pitlane::types::UserRef(1)).unwrap().open,
        Quantity(40)
    );
    desk.ask(enter_phase(Phase::Closed));
    assert_eq!((desk.oms.account(ADA_ACCOUNT).reserved, desk.oms.orders().count()), (Money::ZERO, 0));
    assert!(desk.oms.is_balanced());
}

#[test]
fn a_broken_trade_leaves_both_accounts_as_if_it_had_not_been() {
    let mut desk = desk(&with_fee());
    desk.ask(sell(BOB, 1, 100, REFERENCE));
    desk.ask(buy(ADA, 1, 30, REFERENCE));
    let kept = [ADA_ACCOUNT, BOB_ACCOUNT].map(|account| desk.oms.account(account));
    let positions = [ADA_ACCOUNT, BOB_ACCOUNT].map(|account| desk.oms.position(account, ALFA).quantity);
    desk.ask(buy(ADA, 2, 70, REFERENCE));
    let number = matches(&desk)[0];
    assert_eq!(desk.ask(bust(number)), Reject::None);
    assert!(matches!(desk.latest()[0].event, Event::Broken { quantity: Quantity(70), .. }));
    for (index, account) in [ADA_ACCOUNT, BOB_ACCOUNT].into_iter().enumerate() {
        let (now, before) = (desk.oms.account(account), kept[index]);
        assert_eq!((now.cash, now.fees), (before.cash, before.fees));
        assert_eq!(desk.oms.position(account, ALFA).quantity, positions[index]);
    }
    assert_eq!(desk.oms.account(ADA_ACCOUNT).gross_exposure, kept[0].gross_exposure);
    assert!(desk.oms.is_balanced());
    assert_eq!(desk.ask(bust(number)), Reject::AlreadyBroken);
    assert_eq!(desk.oms.account(ADA_ACCOUNT).cash, kept[0].cash);
}

#[test]
fn a_trade_of_a_cross_can_be_broken_and_gives_its_fee_back() {
    let mut desk = desk(&with_fee());
    desk.ask(enter_phase(Phase::HaltAuction));
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.ask(sell(BOB, 1, 100, REFERENCE));
    desk.ask(enter_phase(Phase::Trading));
    let number = matches(&desk)[0];
    assert_eq!(desk.oms.account(ADA_ACCOUNT).fees, Money(500));
    desk.ask(bust(number));
    let (ada, bob) = (desk.oms.account(ADA_ACCOUNT), desk.oms.account(BOB_ACCOUNT));
    assert_eq!([ada.cash, ada.fees, bob.cash, bob.fees, ada.gross_exposure], [Money::ZERO; 5]);
    assert!(desk.oms.is_balanced());
}

#[test]
fn a_bust_that_leaves_an_account_beyond_a_limit_is_no_breach_and_lets_it_take_no_more() {
    let mut desk = desk(&auctions());
    desk.ask(set_limit(0, Limit::Position, 100));
    desk.ask(sell(BOB, 1, 100, REFERENCE));
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.ask(buy(BOB, 2, 100, REFERENCE));
    assert_eq!(desk.ask(sell(ADA, 2, 100, REFERENCE)), Reject::None);
    let sold = matches(&desk)[0];
    assert_eq!(desk.ask(buy(ADA, 3, 100, REFERENCE / 2)), Reject::None, "flat again, so it may buy");
    desk.ask(bust(sold));
    assert_eq!(desk.oms.limits_hold(), Ok(()));
    assert_eq!(desk.ask(buy(ADA, 4, 10, REFERENCE / 2)), Reject::PositionLimit);
}

#[test]
fn a_number_that_is_no_trade_of_the_ticker_is_refused() {
    let mut desk = desk(&auctions());
    assert_eq!(desk.ask(bust(MatchNumber(1 << 16 | 2))), Reject::UnknownTrade, "the number is another ticker's");
    assert_eq!(desk.ask(bust(MatchNumber(1))), Reject::UnknownTrade);
    assert_eq!(desk.ask(Command { ticker: TickerId::ALL, ..bust(MatchNumber(1 << 16 | 1)) }), Reject::InvalidSymbol);
    desk.ask(bust(MatchNumber(1 << 16 | 1)));
    assert_eq!(desk.latest()[0].event, Event::Nothing, "nothing traded yet");
}

fn banded() -> Market {
    let mut market = auctions();
    let auction = &mut market.tickers[0].auction;
    (auction.band_dynamic, auction.band_limit_ms, auction.band_pause_ms) = (500, 1_000, 2_000);
    market
}

#[test]
fn orders_that_press_against_a_bound_for_long_enough_pause_the_ticker_and_a_cross_ends_the_pause() {
    let mut desk = desk(&banded());
    let tick = |desk: &mut Desk<Shards>, ms: u64| {
        desk.now = Nanos(START.0 + ms * 1_000_000);
        desk.ask(Command::new(CommandKind::Tick));
        desk.oms.band_due(desk.now)
    };
    assert_eq!(tick(&mut desk, 0), None);
    assert_eq!(desk.ask(buy(ADA, 1, 100, REFERENCE / 100 * 110)), Reject::None);
    let Event::Accepted { price, .. } = desk.latest()[0].event else { panic!("not accepted") };
    assert_eq!(price, Price(REFERENCE / 100 * 105), "taken at the bound");
    assert_eq!(tick(&mut desk, 100), None);
    assert_eq!(tick(&mut desk, 1_099), None);
    assert_eq!(tick(&mut desk, 1_100), Some((ALFA, Phase::Paused)));
    desk.ask(Command { client_order_id: phase::BAND, ..enter_phase(Phase::Paused) });
    assert_eq!(desk.oms.band_due(desk.now), None);
    assert_eq!(desk.ask(sell(BOB, 1, 100, REFERENCE / 100 * 103)), Reject::None, "orders gather");
    assert_eq!(tick(&mut desk, 3_099), None);
    assert_eq!(tick(&mut desk, 3_100), Some((ALFA, Phase::Trading)));
    desk.ask(Command { client_order_id: phase::BAND, ..enter_phase(Phase::Trading) });
    assert_eq!(desk.oms.position(ADA_ACCOUNT, ALFA).quantity, 100);
    assert_eq!(tick(&mut desk, 10_000), None, "nobody presses any more");
}

#[test]
fn a_pause_by_hand_lasts_until_somebody_ends_it() {
    let mut desk = desk(&banded());
    desk.ask(Command { client_order_id: ClientOrderId::BLANK, ..enter_phase(Phase::Paused) });
    assert_eq!(desk.oms.band_due(Nanos(START.0 + 1_000 * Nanos::SECOND)), None);
}

#[test]
fn fees_and_amounts_at_the_extremes_are_exact() {
    let mut market = auctions();
    let ticker = &mut market.tickers[0];
    (ticker.price_max, ticker.reference) = (Price::LIMIT_MAX, Price(1_000_000_000));
    ticker.tick = Price(1_000_000);
    ticker.lot = Quantity(1);
    (ticker.fees.maker, ticker.fees.taker, ticker.fees.cross) = (i32::MAX, i32::MIN, i32::MAX);
    (ticker.price_max, ticker.price_min) = (Price(1_999_000_000), Price(1_000_000));
    market.accounts.iter_mut().for_each(|account| {
        account.limits.credit = Money(i128::from(u64::MAX));
    });
    let mut desk = desk(&market);
    let (shares, price) = (i128::from(Quantity::ORDER_MAX.0), 1_999_000_000);
    assert_eq!(desk.ask(sell(BOB, 1, Quantity::ORDER_MAX.0, price)), Reject::None);
    assert_eq!(desk.ask(buy(ADA, 1, Quantity::ORDER_MAX.0, price)), Reject::None);
    let (ada, bob) = (desk.oms.account(ADA_ACCOUNT), desk.oms.account(BOB_ACCOUNT));
    assert_eq!(ada.fees, Money(shares * i128::from(i32::MIN)));
    assert_eq!(bob.fees, Money(shares * i128::from(i32::MAX)));
    assert_eq!(ada.cash, Money(-shares * i128::from(price)) - ada.fees);
    assert!(desk.oms.is_balanced());
    assert_eq!(desk.ask(sell(BOB, 2, Quantity::ORDER_MAX.0 + 1, price)), Reject::InvalidQuantity);
}
