//! A small market for the tests of this folder.

use crate::types::*;

/// First login: firm ALFA, no self-match rule, orders stay when its connection is lost.
pub const ALICE: SessionId = SessionId(0);
/// Second login: firm BETA, cancels its newest on a self-match, orders leave when its connection is lost.
pub const BOB: SessionId = SessionId(1);

/// Tickers AAPL and MSFT, accounts of two firms, the logins ALICE and BOB.
pub fn market() -> Market {
    let ticker = |name: &str| TickerSpec {
        symbol: Symbol::from_text(name).unwrap(),
        tick: Price(100),
        lot: Quantity(1),
        price_min: Price(100),
        price_max: Price(10_000_000),
        reference: Price(1_000_000),
        matcher: MatcherId(0),
        fees: Fees::default(),
        auction: AuctionSpec::default(),
    };
    let limits = Limits {
        enabled: true,
        order_quantity_max: Quantity(1_000_000),
        order_notional_max: Money(i128::MAX),
        open_orders_max: 1000,
        position_max: 1_000_000,
        gross_exposure_max: Money(i128::MAX),
        messages_per_second_max: 0,
        price_collar: 0,
        credit: Money(0),
    };
    let account = |name: &str, firm: &str| AccountSpec {
        name: name.into(),
        firm: Firm::from_text(firm).unwrap(),
        cash: Money(0),
        limits,
    };
    let session = |user: &str, account: u16, self_match: SelfMatch, cancel_on_disconnect: bool| SessionSpec {
        user: user.into(),
        account: AccountId(account),
        self_match,
        cancel_on_disconnect,
    };
    Market {
        session_name: *b"    DAY001",
        tickers: vec![ticker("AAPL"), ticker("MSFT")],
        accounts: vec![account("alpha", "ALFA"), account("beta", "BETA")],
        sessions: vec![
            session("ALICE", 0, SelfMatch::OFF, false),
            session("BOB", 1, SelfMatch::from_letter(b'W').unwrap(), true),
        ],
        matchers: 1,
        orders_max: 1000,
        trades_kept: 1_024,
    }
}
