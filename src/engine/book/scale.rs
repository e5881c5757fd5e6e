//! Prices as ranks: what turns a ticker's price range into two ladders. Hot.
//!
//! The *rank* of a price counts ticks from the best price its side could have: rank 0 is the ladder's highest price for
//! bids and its lowest for offers. Lower is better on both sides, so that matching needs no branch on the side.

use crate::types::{Price, Side, TickerSpec};

/// Ticks from the best price a side could have.
pub(super) type Rank = u32;

/// The prices of a ticker as ranks of either side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Lowest and highest price of the ladder, both on the tick.
    low: u32,
    high: u32,
    tick: u32,
    /// Number of ticks from `low` to `high`, both counted.
    ticks: u32,
    /// 2^64 / (2 * tick), rounded up: turns the division by the tick into a multiplication.
    reciprocal: u64,
}

/// Largest tick: one more of them than the highest limit price allows stays below the price that stands for a market
/// order, so that this is off every ladder.
const TICK_MAX: u32 = Price::MARKET.0 - Price::LIMIT_MAX.0;

/// Why a price range cannot be a ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoScale;

impl Scale {
    pub fn new(spec: &TickerSpec) -> Result<Scale, NoScale> {
        let tick = spec.tick.0;
        if tick == 0 || tick > TICK_MAX || spec.price_max > Price::LIMIT_MAX {
            return Err(NoScale);
        }
        let (low, high) = (spec.price_min.0.div_ceil(tick).max(1) * tick, spec.price_max.0 / tick * tick);
        if low > high {
            return Err(NoScale);
        }
        let reciprocal = u64::MAX / (2 * u64::from(tick)) + 1;
        Ok(Scale { low, high, tick, ticks: (high - low) / tick + 1, reciprocal })
    }

    #[inline]
    pub fn ticks(&self) -> u32 {
        self.ticks
    }

    /// `distance / tick`. Exact: the reciprocal is too large by less than 2 * tick / 2^64 of itself, which for a distance
    /// below 2^32 and a tick up to 2^30 moves the quotient by less than the 1 / tick it could take to reach the next.
    #[inline]
    fn in_ticks(&self, distance: u32) -> u32 {
        ((u128::from(2 * u64::from(distance)) * u128::from(self.reciprocal)) >> 64) as u32
    }

    /// Rank of a limit price on its own side. The price is on the tick and in range: the OMS checked it. A market price
    /// or one out of range gives a rank that is no less than [`Scale::ticks`].
    #[inline]
    pub fn rank(&self, side: Side, price: Price) -> Rank {
        let distance = match side {
            Side::Buy => self.high.wrapping_sub(price.0),
            Side::Sell => price.0.wrapping_sub(self.low),
        };
        self.in_ticks(distance)
    }

    /// First rank of the opposite side that an order with its limit at `rank` would not trade with.
    ///
    /// # Panics
    /// When the limit is outside the ladder: nobody checked it.
    #[inline]
    pub fn walk_end(&self, rank: Rank) -> Rank {
        assert!(rank < self.ticks, "limit price outside the ladder");
        self.ticks - rank
    }

    /// First rank of the opposite side behind any limit: off the tick, below or above the ladder.
    pub fn walk_end_of(&self, side: Side, limit: Price) -> u32 {
        let reach = match side {
            Side::Buy => limit.0.min(self.high).checked_sub(self.low),
            Side::Sell => self.high.checked_sub(limit.0.max(self.low)),
        };
        reach.map_or(0, |reach| self.in_ticks(reach) + 1)
    }

    /// Ticks above the lowest price, of a rank of either side.
    #[inline]
    pub fn tick_of(&self, side: Side, rank: Rank) -> u32 {
        match side {
            Side::Buy => self.ticks - 1 - rank,
            Side::Sell => rank,
        }
    }

    /// The tick nearest to a price, the higher of two that are equally near; an end of the ladder for a price beyond it.
    pub fn nearest_tick(&self, price: Price) -> u32 {
        let above = price.0.clamp(self.low, self.high) - self.low;
        let floor = self.in_ticks(above);
        floor + u32::from(2 * u64::from(above - floor * self.tick) >= u64::from(self.tick))
    }

    /// Lowest and highest price of the ladder.
    pub fn ends(&self) -> (Price, Price) {
        (Price(self.low), Price(self.high))
    }

    /// The highest price of the ladder that is not above `price`, and the lowest that is not below; its ends beyond it.
    pub fn around(&self, price: u64) -> (Price, Price) {
        let above = price.clamp(u64::from(self.low), u64::from(self.high)) as u32 - self.low;
        let floor = self.in_ticks(above);
        let ceiling = floor + u32::from(above > floor * self.tick);
        (Price(self.low + floor * self.tick), Price(self.low + ceiling * self.tick))
    }

    /// Smallest step of limit prices.
    #[inline]
    pub fn tick(&self) -> u32 {
        self.tick
    }

    /// How far any price, off the tick too, lies behind the best price its side could have, in 1/10,000; below zero when it is
    /// better than that.
    pub fn distance(&self, side: Side, price: Price) -> i64 {
        match side {
            Side::Buy => i64::from(self.high) - i64::from(price.0),
            Side::Sell => i64::from(price.0) - i64::from(self.low),
        }
    }

    /// Distance of the worst price of the ladder.
    pub fn distance_max(&self) -> u32 {
        self.high - self.low
    }

    /// The price so far behind the best one.
    pub fn price_at(&self, side: Side, distance: u32) -> Price {
        match side {
            Side::Buy => Price(self.high - distance),
            Side::Sell => Price(self.low + distance),
        }
    }

    /// The first rank that is no better than a distance on the ladder.
    pub fn rank_at(&self, distance: u32) -> Rank {
        let floor = self.in_ticks(distance);
        floor + u32::from(distance > floor * self.tick)
    }

    /// Price of a rank.
    #[inline]
    pub fn price(&self, side: Side, rank: Rank) -> Price {
        match side {
            Side::Buy => Price(self.high - rank * self.tick),
            Side::Sell => Price(self.low + rank * self.tick),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AuctionSpec, Fees, MatcherId, Quantity, Symbol};

    fn spec(tick: u32, low: u32, high: u32) -> TickerSpec {
        TickerSpec {
            symbol: Symbol::BLANK,
            tick: Price(tick),
            lot: Quantity(1),
            price_min: Price(low),
            price_max: Price(high),
            reference: Price(low),
            matcher: MatcherId(0),
            fees: Fees::default(),
            auction: AuctionSpec::default(),
        }
    }

    #[test]
    fn a_price_comes_back_from_its_rank() {
        for (tick, low, high) in [(1, 1, 5_000), (100, 100, 2_000_000), (2_500, 1, 1_999_999_900), (7, 50, 99_999)] {
            let scale = Scale::new(&spec(tick, low, high)).unwrap();
            for rank in (0..scale.ticks()).step_by(1 + scale.ticks() as usize / 1_000) {
                for side in [Side::Buy, Side::Sell] {
                    assert_eq!(scale.rank(side, scale.price(side, rank)), rank);
                }
                let price = scale.price(Side::Sell, rank);
                let opposite = scale.rank(Side::Buy, price);
                assert_eq!(scale.walk_end(rank), opposite + 1, "a locked price trades");
                assert_eq!(scale.walk_end_of(Side::Sell, price), opposite + 1);
            }
        }
    }

    #[test]
    fn a_limit_off_the_ladder_is_cut_to_it() {
        let scale = Scale::new(&spec(100, 1_000, 2_000)).unwrap();
        assert_eq!(scale.walk_end_of(Side::Buy, Price::MARKET), 11);
        assert_eq!(scale.walk_end_of(Side::Buy, Price(1_099)), 1);
        assert_eq!(scale.walk_end_of(Side::Buy, Price(999)), 0);
        assert_eq!(scale.walk_end_of(Side::Sell, Price(0)), 11);
        assert_eq!(scale.walk_end_of(Side::Sell, Price(1_901)), 1);
        assert_eq!(scale.walk_end_of(Side::Sell, Price(2_001)), 0);
    }

    #[test]
    fn a_price_that_is_no_limit_is_off_every_ladder() {
        for (tick, low, high) in [(1, 1, 5), (TICK_MAX, TICK_MAX, 1_999_999_900), (100, 100, 1_999_999_900)] {
            let scale = Scale::new(&spec(tick, low, high)).unwrap();
            for side in [Side::Buy, Side::Sell] {
                for price in [Price::MARKET, Price(scale.low - tick), Price(scale.high + tick), Price(u32::MAX)] {
                    assert!(scale.rank(side, price) >= scale.ticks(), "{price} on a ladder of tick {tick}");
                }
            }
        }
    }

    #[test]
    fn a_range_without_a_price_is_no_ladder() {
        assert_eq!(Scale::new(&spec(0, 1, 2)).unwrap_err(), NoScale);
        assert_eq!(Scale::new(&spec(100, 101, 199)).unwrap_err(), NoScale);
        assert_eq!(Scale::new(&spec(1, 1, 2_000_000_000)).unwrap_err(), NoScale);
    }
}
