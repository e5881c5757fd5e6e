//! The pre-trade checks, in the one order they run. The first that fails is the answer.
//!
//! An Enter and a Replace pass the same checks. A Replace counts only what it adds to what its order has reserved
//! already, and each limit is compared with where the account would then stand: whatever is admitted leaves the
//! account within its limits. Hot; sequencer thread; reads and changes nothing.
//!
//! | # | refuses | when |
//! |--:|---|---|
//! | 1 | what the gateway found | reading the message already failed, or the journal has no room for new orders |
//! | 2 | `SessionDisabled` | order entry is off for the session |
//! | 3 | `AccountDisabled` | an operator disabled the account |
//! | 4 | `KillSwitch` | on for the venue, the firm or the account |
//! | 5 | `InvalidSymbol` | the ticker is not listed here |
//! | 6 | `Halted` and others | the day has ended, or the ticker's phase does not take it ([`super::phases`]) |
//! | 7 | `FirmNotAuthorized` | another firm than the session's is named |
//! | 8 | `InvalidQuantity` | not 1 to 999,999, or off the lot |
//! | 9 | `InvalidMinQuantity` | above the quantity, or on an order that may rest and shows |
//! | 10 | `InvalidMaxFloor` | a floor off the lot, above the quantity or below a thousandth of it, or a random part as large |
//! | 11 | `TimeInForce` | a good-till-time order without an expiry of a second to a day, another order with one |
//! | 12 | `InvalidPostOnly` | what a post-only order shall do, of one that is not |
//! | 13 | `InvalidStop` | a stop price off the tick or outside the ticker's range |
//! | 14 | `InvalidPegType` | a peg that shows, an offset off the tick, or one of an order that is no peg |
//! | | one of 9 to 14 | kinds that do not go together ([`super::MATRIX`]) |
//! | 15 | `InvalidSide` | a replace that changes between buying and selling |
//! | 16 | `InvalidPrice` | a limit off the tick or outside the ticker's range |
//! | 17 | `OrderQuantity` | more open shares than one order may have |
//! | 18 | `OrderNotional` | open shares at the limit price are worth more than one order may be |
//! | 19 | `PriceCollar` | a limit too far through the reference price, of a stop through its stop price |
//! | 20 | `MessageRate` | too many messages in the last second |
//! | 21 | `OpenOrders` | the account has as many orders as it may have |
//! | 22 | `PositionLimit` | the position could pass its limit on this side |
//! | 23 | `GrossExposure` | positions and orders could pass their limit |
//! | 24 | `BuyingPower` | cash and credit do not cover a buy, or the fee of a sell |
//! | 25 | `BookFull` | no order slot is free (the OMS' own check, after these) |
//!
//! A number that was used before is no refusal: the OMS ignores such a request before any check.

use super::account::{Account, position_max};
use super::kinds;
use super::ticker::Ticker;
use super::{Reservation, Risk};
use crate::types::{
    Command, Firm, Money, Nanos, Phase, Price, Quantity, Reject, Side, SideCode, TickerId, TimeInForce,
};

/// The refusals in the order of their checks, after what the gateway found.
pub const CHECKS: [Reject; 24] = [
    Reject::SessionDisabled,
    Reject::AccountDisabled,
    Reject::KillSwitch,
    Reject::InvalidSymbol,
    Reject::Halted,
    Reject::FirmNotAuthorized,
    Reject::InvalidQuantity,
    Reject::InvalidMinQuantity,
    Reject::InvalidMaxFloor,
    Reject::TimeInForce,
    Reject::InvalidPostOnly,
    Reject::InvalidStop,
    Reject::InvalidPegType,
    Reject::InvalidSide,
    Reject::InvalidPrice,
    Reject::OrderQuantity,
    Reject::OrderNotional,
    Reject::PriceCollar,
    Reject::MessageRate,
    Reject::OpenOrders,
    Reject::PositionLimit,
    Reject::GrossExposure,
    Reject::BuyingPower,
    Reject::BookFull,
];

/// Option tag numbers (OUCH 5.0, appendage).
const TAG_FIRM: u8 = 2;
const TAG_MIN_QUANTITY: u8 = 3;
const TAG_SIDE: u8 = 27;

/// What is asked, with what the OMS knows of it.
pub(crate) struct Request<'a> {
    pub(crate) command: &'a Command,
    /// Whether order entry is on for the session.
    pub(crate) entry_enabled: bool,
    /// The session's firm.
    pub(crate) firm: Firm,
    /// The ticker of the order.
    pub(crate) ticker: TickerId,
    /// Side of the book the order is on.
    pub(crate) side: Side,
    /// Whether an order opens; a Replace continues one.
    pub(crate) opens: bool,
    /// What its order has reserved already.
    pub(crate) held: Reservation,
    /// Shares of the chain that are used up.
    pub(crate) used: Quantity,
}

impl Risk {
    /// Runs the checks. The answer is the price the order is reserved at: its limit, or the worst price a market
    /// order may trade at.
    #[inline]
    pub(crate) fn admit(&self, request: &Request<'_>, time: Nanos) -> Result<Price, Reject> {
        let account = &self.accounts[request.command.account.index()];
        let ticker = self.may_trade(request, account)?;
        well_formed(request, ticker)?;
        self.within_limits(request, account, ticker, time)
    }

    /// Checks 1 to 7: who, where, and whether at all.
    #[inline]
    fn may_trade(&self, request: &Request<'_>, account: &Account) -> Result<&Ticker, Reject> {
        let command = request.command;
        if command.refusal != Reject::None {
            return Err(command.refusal);
        }
        if !request.entry_enabled {
            return Err(Reject::SessionDisabled);
        }
        if !account.limits.enabled {
            return Err(Reject::AccountDisabled);
        }
        if self.is_killed(account) {
            return Err(Reject::KillSwitch);
        }
        let ticker = self.tickers.get(request.ticker.index()).ok_or(Reject::InvalidSymbol)?;
        let is_plain = ticker.phase == Phase::Trading && !command.is_cross() && !command.is_imbalance_only();
        if !is_plain || self.day_ended {
            self.fits_phase(request, ticker)?;
        }
        let names_firm = command.has_tag(TAG_FIRM) || command.firm != Firm::BLANK;
        if request.opens && names_firm && command.firm != request.firm {
            return Err(Reject::FirmNotAuthorized);
        }
        Ok(ticker)
    }

    /// Checks 17 to 24: how much.
    #[inline]
    fn within_limits(
        &self,
        request: &Request<'_>,
        account: &Account,
        ticker: &Ticker,
        time: Nanos,
    ) -> Result<Price, Reject> {
        let (command, limits, side) = (request.command, &account.limits, request.side);
        let is_market = command.price.is_market();
        // A stop trades when the market has come to its stop price: that is what its collar counts from. In a cross nobody
        // knows the price before; only the ticker's range bounds a market order.
        let reference = command.stop_at().unwrap_or(ticker.last);
        let collar = limits.price_collar;
        let reach = if command.is_cross() { 0 } else { collar };
        let price = if is_market { ticker.market_limit(side, reference, reach) } else { command.price };
        let open = Quantity(command.quantity.0.saturating_sub(request.used.0));
        if open > limits.order_quantity_max {
            return Err(Reject::OrderQuantity);
        }
        if Money::notional(price, open) > limits.order_notional_max {
            return Err(Reject::OrderNotional);
        }
        if !is_market && ticker.beyond_collar(side, price, reference, collar) {
            return Err(Reject::PriceCollar);
        }
        if limits.messages_per_second_max != 0 && account.rate.count(time) >= limits.messages_per_second_max {
            return Err(Reject::MessageRate);
        }
        if request.opens && account.open_orders >= limits.open_orders_max {
            return Err(Reject::OpenOrders);
        }
        let held = request.held;
        let wanted = held.or(Reservation { quantity: open, price });
        let holding = &self.holdings[self.place(command.account, request.ticker)];
        let added = i64::from(wanted.quantity.0) - i64::from(held.quantity.0);
        if holding.worst(side) + added > position_max(limits) {
            return Err(Reject::PositionLimit);
        }
        let exposure = ticker.exposure(wanted) - ticker.exposure(held);
        if account.exposure + Money(exposure.into()) > limits.gross_exposure_max {
            return Err(Reject::GrossExposure);
        }
        let cash = ticker.cash(side, wanted) - ticker.cash(side, held);
        if account.available() < Money(cash.into()) {
            return Err(Reject::BuyingPower);
        }
        Ok(price)
    }
}

/// Checks 8 to 16: what the ticker and the request itself allow. A Replace keeps what it does not name.
#[inline]
fn well_formed(request: &Request<'_>, ticker: &Ticker) -> Result<(), Reject> {
    let command = request.command;
    if !ticker.takes_quantity(command.quantity) {
        return Err(Reject::InvalidQuantity);
    }
    let names_minimum = request.opens || command.has_tag(TAG_MIN_QUANTITY);
    if names_minimum && !command.min_quantity.is_zero() {
        let may_rest = command.time_in_force != TimeInForce::ImmediateOrCancel;
        let unmet = (may_rest && command.display.is_shown()) || command.is_cross();
        if unmet || command.min_quantity > command.quantity {
            return Err(Reject::InvalidMinQuantity);
        }
    }
    kinds::fits(request, ticker)?;
    if !request.opens && command.has_tag(TAG_SIDE) && SideCode::side(command.side) != request.side {
        return Err(Reject::InvalidSide);
    }
    if !command.price.is_market() && !ticker.takes_price(command.price) {
        return Err(Reject::InvalidPrice);
    }
    Ok(())
}
