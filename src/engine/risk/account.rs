//! One account: its limits, its money, and the worst its open orders could come to.
//!
//! Amounts that only grow with acceptance and only fall with events stand here, so that each check is one addition
//! and one comparison. Hot; sequencer thread.

use super::rate::Rate;
use crate::engine::digest::Digest;
use crate::types::{AccountSpec, Limit, Limits, Money, Quantity};

/// State of one account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) limits: Limits,
    /// Cash now.
    pub(super) cash: Money,
    /// Cash the open orders could still take: buys at their reserved price, and the worst fee of both sides.
    pub(super) reserved: Money,
    /// Positions at the ticker's mark and open orders at their reserved price, never netted.
    pub(super) exposure: Money,
    /// Fees paid; below zero when rebates exceed them.
    pub(super) fees: Money,
    pub(super) open_orders: u32,
    /// Index of its firm's kill switch.
    pub(super) firm: u16,
    /// Its own kill switch.
    pub(super) killed: bool,
    pub(super) rate: Rate,
}

/// How far an account may stand now: its limits, or where it stood when one was lowered below that. Not state: it
/// decides nothing and only serves the proof that limits hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ceiling {
    pub(super) open_orders: u32,
    pub(super) position: i64,
    pub(super) exposure: Money,
    /// Least cash with credit after reservations.
    pub(super) available: Money,
    /// What broken trades may add to each: an order that was admitted before the break was seen counts on top of it.
    pub(super) broken: Grace,
}

/// How far trades that were broken can have moved an account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grace {
    pub(super) position: i64,
    pub(super) exposure: Money,
    pub(super) cash: Money,
}

impl Ceiling {
    pub(super) fn position(&self) -> i64 {
        self.position.saturating_add(self.broken.position)
    }

    pub(super) fn exposure(&self) -> Money {
        Money(self.exposure.0.saturating_add(self.broken.exposure.0))
    }

    pub(super) fn available(&self) -> Money {
        self.available - self.broken.cash
    }
}

impl Account {
    pub(super) fn new(spec: &AccountSpec, firm: u16) -> Account {
        Account {
            limits: spec.limits,
            cash: spec.cash,
            reserved: Money::ZERO,
            exposure: Money::ZERO,
            fees: Money::ZERO,
            open_orders: 0,
            firm,
            killed: false,
            rate: Rate::new(),
        }
    }

    /// Cash and credit that no open order has a claim on.
    #[inline]
    pub(super) fn available(&self) -> Money {
        self.cash + self.limits.credit - self.reserved
    }

    /// Sets `limit` to `value`; a value too large for its limit means the largest.
    pub(super) fn set_limit(&mut self, limit: Limit, value: u64) {
        let small = u32::try_from(value).unwrap_or(u32::MAX);
        let amount = Money(i128::from(value));
        match limit {
            Limit::None => {}
            Limit::Enabled => self.limits.enabled = value != 0,
            Limit::OrderQuantity => self.limits.order_quantity_max = Quantity(small),
            Limit::OrderNotional => self.limits.order_notional_max = amount,
            Limit::OpenOrders => self.limits.open_orders_max = small,
            Limit::Position => self.limits.position_max = value,
            Limit::GrossExposure => self.limits.gross_exposure_max = amount,
            Limit::MessageRate => self.limits.messages_per_second_max = small,
            Limit::PriceCollar => self.limits.price_collar = small,
            Limit::Credit => self.limits.credit = amount,
        }
    }

    /// Where the account may stand from now on. `position` is its largest possible position in any ticker.
    pub(super) fn ceiling(&self, position: i64) -> Ceiling {
        Ceiling {
            open_orders: self.limits.open_orders_max.max(self.open_orders),
            position: position_max(&self.limits).max(position),
            exposure: self.limits.gross_exposure_max.max(self.exposure),
            available: Money::ZERO.min(self.available()),
            broken: Grace::default(),
        }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        let limits = &self.limits;
        for amount in [self.cash, self.reserved, self.exposure, self.fees] {
            digest.add_wide(amount.0);
        }
        for amount in [limits.order_notional_max, limits.gross_exposure_max, limits.credit] {
            digest.add_wide(amount.0);
        }
        for small in [
            self.open_orders,
            u32::from(self.killed),
            u32::from(limits.enabled),
            limits.order_quantity_max.0,
            limits.open_orders_max,
            limits.messages_per_second_max,
            limits.price_collar,
        ] {
            digest.add(u64::from(small));
        }
        digest.add(limits.position_max);
        self.rate.digest(digest);
    }
}

/// The position limit as a number of shares a position is counted in.
#[inline]
pub(super) fn position_max(limits: &Limits) -> i64 {
    i64::try_from(limits.position_max).unwrap_or(i64::MAX)
}
