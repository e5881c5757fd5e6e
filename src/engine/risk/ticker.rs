//! What the checks need to know of one ticker. Hot; one cache line; sequencer thread.

use super::Reservation;
use crate::types::{MatcherId, Phase, Price, Quantity, Side, TickerSpec};

/// Steps, range, prices and fees of one ticker.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Ticker {
    tick: Multiple,
    lot: Multiple,
    price_min: Price,
    price_max: Price,
    /// Price of the day that values positions for the exposure limit.
    pub(super) mark: Price,
    /// Price of the last trade, before it the reference of the configuration.
    pub(super) last: Price,
    pub(super) fee_maker: i32,
    pub(super) fee_taker: i32,
    /// Most a share can cost in fees: the largest of all, and never a rebate.
    fee_worst: u32,
    pub(super) matcher: MatcherId,
    pub(super) phase: Phase,
}

const _: () = assert!(size_of::<Ticker>() == 64, "one cache line");

impl Ticker {
    pub(super) fn new(spec: &TickerSpec) -> Ticker {
        Ticker {
            tick: Multiple::of(spec.tick.0),
            lot: Multiple::of(spec.lot.0),
            price_min: spec.price_min,
            price_max: spec.price_max,
            mark: spec.reference,
            last: spec.reference,
            fee_maker: spec.fees.maker,
            fee_taker: spec.fees.taker,
            fee_worst: spec.fees.maker.max(spec.fees.taker).max(spec.fees.cross).max(0).unsigned_abs(),
            matcher: spec.matcher,
            phase: spec.auction.phase_start,
        }
    }

    /// Whether `quantity` is one the ticker trades in.
    #[inline]
    pub(super) fn takes_quantity(&self, quantity: Quantity) -> bool {
        (1..=Quantity::ORDER_MAX.0).contains(&quantity.0) && self.lot.divides(quantity.0)
    }

    /// Whether `price` is a limit price of the ticker.
    #[inline]
    pub(super) fn takes_price(&self, price: Price) -> bool {
        (self.price_min..=self.price_max).contains(&price) && self.tick.divides(price.0)
    }

    /// Whether a difference of prices is whole ticks.
    pub(super) fn is_in_ticks(&self, difference: i32) -> bool {
        self.tick.divides(difference.unsigned_abs())
    }

    /// Whether a limit of `price` reaches further through `reference` than `collar` allows; 0 allows all.
    #[inline]
    pub(super) fn beyond_collar(&self, side: Side, price: Price, reference: Price, collar: u32) -> bool {
        if collar == 0 {
            return false;
        }
        let bound = collar_bound(side, reference, collar);
        match side {
            Side::Buy => u64::from(price.0) > bound,
            Side::Sell => u64::from(price.0) < bound,
        }
    }

    /// The worst price a market order may trade at: as far from the reference as `collar` allows, on the tick, inside
    /// the ticker's range; 0 allows the whole range.
    pub(super) fn market_limit(&self, side: Side, reference: Price, collar: u32) -> Price {
        let step = u64::from(self.tick.of);
        let bound = match (collar, side) {
            (0, Side::Buy) => return self.price_max,
            (0, Side::Sell) => return self.price_min,
            (_, Side::Buy) => collar_bound(side, reference, collar) / step * step,
            (_, Side::Sell) => collar_bound(side, reference, collar).next_multiple_of(step),
        };
        Price(bound.clamp(u64::from(self.price_min.0), u64::from(self.price_max.0)) as u32)
    }

    /// Cash an order of this reservation could take.
    #[inline]
    pub(super) fn cash(&self, side: Side, held: Reservation) -> i64 {
        let price = match side {
            Side::Buy => i64::from(held.price.0),
            Side::Sell => 0,
        };
        // 20 bits of quantity and 33 of price and fee.
        i64::from(held.quantity.0) * (price + i64::from(self.fee_worst))
    }

    /// Exposure of an order of this reservation.
    #[inline]
    pub(super) fn exposure(&self, held: Reservation) -> i64 {
        i64::from(held.quantity.0) * i64::from(held.price.max(self.mark).0)
    }
}

/// Highest price of a buy, lowest of a sell. Cannot overflow: 32 + 32 bits are divided by 10,000 before the sum.
#[inline]
fn collar_bound(side: Side, reference: Price, collar: u32) -> u64 {
    let reference = u64::from(reference.0);
    let reach = reference * u64::from(collar) / 10_000;
    match side {
        Side::Buy => reference + reach,
        Side::Sell => reference.saturating_sub(reach),
    }
}

/// Divisibility by a number known at start, without a division: for 32-bit numbers, `n` is a multiple of `d` exactly
/// when `n * ceil(2^64 / d)` wraps to less than that factor (Lemire, Kaser and Kurz, 2019).
#[derive(Clone, Copy, Debug)]
struct Multiple {
    factor: u64,
    of: u32,
}

impl Multiple {
    /// Steps of 0 mean steps of 1; the configuration refuses them.
    const fn of(step: u32) -> Multiple {
        let of = if step == 0 { 1 } else { step };
        Multiple { factor: (u64::MAX / of as u64).wrapping_add(1), of }
    }

    #[inline]
    const fn divides(self, number: u32) -> bool {
        self.factor.wrapping_mul(number as u64) <= self.factor.wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn divisibility_agrees_with_the_remainder(step in 1u32..=u32::MAX, number: u32, times in 0u32..2_000) {
            let multiple = Multiple::of(step);
            prop_assert_eq!(multiple.divides(number), number.is_multiple_of(step));
            prop_assert!(step.checked_mul(times).is_none_or(|n| multiple.divides(n)));
        }

        #[test]
        fn small_steps_divide_as_they_should(step in 1u32..200, number: u32) {
            prop_assert_eq!(Multiple::of(step).divides(number), number.is_multiple_of(step));
        }
    }
}
