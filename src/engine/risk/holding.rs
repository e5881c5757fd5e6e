//! What one account holds of one ticker: shares, what they cost, profit taken, and what its open orders could add.
//!
//! Profit is exact. The cost of the open shares is one amount, not a price times a count: shares that leave take their
//! part of it, rounded toward zero, and the rest stays with the shares that remain. So at all times
//! `realised - cost = money received for shares sold - money paid for shares bought`, without a lost unit; the average
//! cost is only shown. Hot; one cache line; sequencer thread.

use crate::types::{Money, Price, Quantity, Side};

/// Shares, cost and profit of one account in one ticker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub(crate) struct Holding {
    /// Shares held; below zero when sold short.
    pub(crate) quantity: i64,
    /// Most shares the open orders could still trade, buys and sells.
    pub(crate) open: [i64; 2],
    /// What the open shares cost; below zero what a short sale brought.
    pub(crate) cost: Money,
    /// Profit of closed shares, without fees.
    pub(crate) realised: Money,
}

const _: () = assert!(size_of::<Holding>() == 64, "one cache line");

impl Holding {
    pub(crate) const NONE: Holding = Holding { quantity: 0, open: [0; 2], cost: Money::ZERO, realised: Money::ZERO };

    /// The position on `side` if every open order of that side filled and none of the other, in shares.
    #[inline]
    pub(crate) fn worst(&self, side: Side) -> i64 {
        let held = match side {
            Side::Buy => self.quantity,
            Side::Sell => -self.quantity,
        };
        held + self.open[side.index()]
    }

    /// Books `quantity` shares bought or sold at `price`.
    #[inline]
    pub(crate) fn trade(&mut self, side: Side, quantity: Quantity, price: Price) {
        let sign: i64 = match side {
            Side::Buy => 1,
            Side::Sell => -1,
        };
        let shares = i64::from(quantity.0);
        let closed = if self.quantity.signum() == -sign { shares.min(self.quantity.abs()) } else { 0 };
        if closed > 0 {
            self.close(closed, price);
        }
        let opened = sign * (shares - closed);
        self.quantity += opened;
        self.cost.0 += i128::from(opened) * i128::from(price.0);
    }

    /// Takes `closed` of the shares held out at `price`.
    fn close(&mut self, closed: i64, price: Price) {
        let held = self.quantity.abs();
        let part = if closed == held { self.cost.0 } else { share_of(self.cost.0, closed, held) };
        let signed = self.quantity.signum() * closed;
        self.realised.0 += i128::from(signed) * i128::from(price.0) - part;
        self.cost.0 -= part;
        self.quantity -= signed;
    }

    /// Profit of the open shares at `mark`.
    pub(crate) fn unrealised(&self, mark: Price) -> Money {
        Money(i128::from(self.quantity) * i128::from(mark.0)) - self.cost
    }

    /// Cost of one open share, rounded toward zero; nothing when flat.
    pub(crate) fn average(&self) -> Money {
        if self.quantity == 0 { Money::ZERO } else { Money(self.cost.0 / i128::from(self.quantity)) }
    }
}

/// `amount * part / whole`, rounded toward zero. Products that fit in 64 bits, which is nearly all, spare the slow wide
/// division.
#[inline]
fn share_of(amount: i128, part: i64, whole: i64) -> i128 {
    match i64::try_from(amount).ok().and_then(|amount| amount.checked_mul(part)) {
        Some(product) => i128::from(product / whole),
        None => amount * i128::from(part) / i128::from(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(trades: &[(Side, u32, u32)]) -> Holding {
        let mut holding = Holding::NONE;
        trades.iter().for_each(|&(side, shares, price)| holding.trade(side, Quantity(shares), Price(price)));
        holding
    }

    #[test]
    fn selling_above_the_average_cost_realises_the_difference() {
        let holding = after(&[(Side::Buy, 100, 1_000), (Side::Buy, 300, 1_200), (Side::Sell, 200, 1_500)]);
        assert_eq!(holding.quantity, 200);
        assert_eq!(holding.average(), Money(1_150));
        assert_eq!(holding.realised, Money(200 * (1_500 - 1_150)));
        assert_eq!(holding.unrealised(Price(1_100)), Money(200 * (1_100 - 1_150)));
    }

    #[test]
    fn selling_through_zero_closes_the_long_and_opens_a_short_at_the_trade_price() {
        let holding = after(&[(Side::Buy, 100, 1_000), (Side::Sell, 250, 1_300)]);
        assert_eq!((holding.quantity, holding.cost), (-150, Money(-150 * 1_300)));
        assert_eq!(holding.realised, Money(100 * 300));
        assert_eq!(holding.average(), Money(1_300));
        let flat = after(&[(Side::Buy, 100, 1_000), (Side::Sell, 250, 1_300), (Side::Buy, 150, 1_400)]);
        assert_eq!((flat.quantity, flat.cost, flat.realised), (0, Money::ZERO, Money(100 * 300 - 150 * 100)));
    }

    #[test]
    fn a_part_that_does_not_divide_stays_with_the_open_shares() {
        let holding = after(&[(Side::Buy, 1, 10), (Side::Buy, 2, 11), (Side::Sell, 1, 11)]);
        // 32 for three shares: the share that leaves takes 10, the two that stay have cost 22.
        assert_eq!((holding.cost, holding.realised), (Money(22), Money(1)));
    }

    proptest! {
        #[test]
        fn no_unit_of_money_is_lost_by_rounding(
            trades in prop::collection::vec((any::<bool>(), 1u32..1_000_000, 1u32..2_000_000_000), 0..100),
        ) {
            let trades: Vec<_> =
                trades.into_iter().map(|(buy, q, p)| (if buy { Side::Buy } else { Side::Sell }, q, p)).collect();
            let received: i128 = trades
                .iter()
                .map(|&(side, q, p)| {
                    let amount = i128::from(q) * i128::from(p);
                    if side == Side::Buy { -amount } else { amount }
                })
                .sum();
            let holding = after(&trades);
            prop_assert_eq!(holding.realised.0 - holding.cost.0, received);
            prop_assert_eq!(holding.cost.0.signum(), i128::from(holding.quantity.signum()));
        }
    }
}
