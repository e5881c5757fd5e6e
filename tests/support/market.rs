//! The pieces of a small market: what tests of the gateway make theirs from. Included with `#[path]`.

#![allow(dead_code, reason = "each test file uses its part")]

use pitlane::types::*;

/// A ticker of the first matcher with wide prices.
pub fn ticker(name: &str) -> TickerSpec {
    TickerSpec {
        symbol: Symbol::from_text(name).unwrap(),
        tick: Price(100),
        lot: Quantity(1),
        price_min: Price(100),
        price_max: Price(10_000_000),
        reference: Price(1_000_000),
        matcher: MatcherId(0),
        fees: Fees::default(),
        auction: AuctionSpec::default(),
    }
}

/// Limits that nothing here reaches.
pub const WIDE: Limits = Limits {
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

/// An account without cash.
pub fn account(name: &str, firm: &str, limits: Limits) -> AccountSpec {
    AccountSpec { name: name.into(), firm: Firm::from_text(firm).unwrap(), cash: Money(0), limits }
}

/// A login without a self-match rule.
pub fn session(user: &str, account: u16, cancel_on_disconnect: bool) -> SessionSpec {
    SessionSpec { user: user.into(), account: AccountId(account), self_match: SelfMatch::OFF, cancel_on_disconnect }
}
