//! Displayed shares and orders by price, one side of one ticker: what the depth cache shows the best ten of.
//!
//! Owned by the feed's thread, hot. A sorted array with the best price at the end: most changes are near the best, so
//! little moves. Its memory is bounded and taken at start. When a side has more price levels than fit, the worst one
//! leaves the array, and what happens at its price or beyond is only counted as orders: the array is then exact for
//! every better price, and exact again for all once those orders are gone.

use crate::types::bytes::{Malformed, Reader, Writer};
use crate::types::{Price, Quantity, Side};
use crate::wire::depth::DepthLevel;

/// Price as sorted: a better price has the higher key, whichever the side.
type Key = u32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Level {
    key: Key,
    orders: u32,
    quantity: u64,
}

/// One side's levels. See the module's words.
#[derive(Debug)]
pub struct Levels {
    side: Side,
    /// Ascending by key: the best is last. Never longer than its first capacity.
    levels: Vec<Level>,
    levels_max: usize,
    /// Orders at `beyond_key` and worse, which have no level here.
    beyond_orders: u32,
    /// Best key that has no level; means something only while `beyond_orders` is above 0.
    beyond_key: Key,
}

/// How far from the best price a change was: 0 is the best level. `None`: no level here shows it.
pub type Rank = Option<usize>;

impl Levels {
    /// An empty side that keeps at most `levels_max` price levels (at least one).
    pub fn new(side: Side, levels_max: usize) -> Levels {
        let levels_max = levels_max.max(1);
        // Written once, so that its pages are there before trading begins.
        let mut levels = vec![Level { key: Key::MAX, orders: 0, quantity: 0 }; levels_max];
        levels.clear();
        Levels { side, levels, levels_max, beyond_orders: 0, beyond_key: 0 }
    }

    /// An order of `quantity` shares now shows at `price`. Cost: a binary search and a move of the better levels.
    #[inline]
    pub fn add(&mut self, price: Price, quantity: Quantity) -> Rank {
        let key = self.key(price);
        if self.is_beyond(key) {
            self.beyond_orders += 1;
            return None;
        }
        let at = self.levels.partition_point(|level| level.key < key);
        if let Some(level) = self.levels.get_mut(at).filter(|level| level.key == key) {
            level.orders += 1;
            level.quantity += u64::from(quantity.0);
            return Some(self.levels.len() - 1 - at);
        }
        let level = Level { key, orders: 1, quantity: u64::from(quantity.0) };
        if self.levels.len() == self.levels_max {
            return self.add_to_full(at, level);
        }
        self.levels.insert(at, level);
        Some(self.levels.len() - 1 - at)
    }

    /// The worst level, the new one or the one it displaces, becomes a count.
    #[cold]
    fn add_to_full(&mut self, at: usize, level: Level) -> Rank {
        let worst = if at == 0 { level } else { self.levels[0] };
        self.beyond_key = worst.key;
        self.beyond_orders += worst.orders;
        if at == 0 {
            return None;
        }
        self.levels.copy_within(1..at, 0);
        self.levels[at - 1] = level;
        Some(self.levels.len() - at)
    }

    /// `quantity` shares left an order at `price`; `ended` when the order left with them.
    ///
    /// # Errors
    /// [`NotThere`] when the level does not hold that much: the caller's events contradict each other.
    #[inline]
    pub fn take(&mut self, price: Price, quantity: Quantity, ended: bool) -> Result<Rank, NotThere> {
        let key = self.key(price);
        let orders = u32::from(ended);
        if self.is_beyond(key) {
            self.beyond_orders -= orders;
            return Ok(None);
        }
        let at = self.levels.partition_point(|level| level.key < key);
        let level = self.levels.get_mut(at).filter(|level| level.key == key).ok_or(NotThere)?;
        let left = level.quantity.checked_sub(u64::from(quantity.0)).ok_or(NotThere)?;
        level.orders = level.orders.checked_sub(orders).ok_or(NotThere)?;
        level.quantity = left;
        let rank = self.levels.len() - 1 - at;
        if self.levels[at].orders == 0 {
            self.levels.remove(at);
        }
        Ok(Some(rank))
    }

    /// The levels, best first.
    pub fn best_first(&self) -> impl Iterator<Item = DepthLevel> + '_ {
        let side = self.side;
        self.levels.iter().rev().map(move |level| DepthLevel {
            price: Price(price_key(side, level.key)),
            orders: level.orders,
            quantity: level.quantity,
        })
    }

    /// Whether the best `count` levels are all here.
    #[inline]
    pub fn knows(&self, count: usize) -> bool {
        self.beyond_orders == 0 || self.levels.len() >= count
    }

    /// Takes it down. Cold.
    pub fn save(&self, out: &mut Writer) {
        out.u32(self.beyond_orders);
        out.u32(self.beyond_key);
        out.u32(self.levels.len() as u32);
        for level in &self.levels {
            out.u32(level.key);
            out.u32(level.orders);
            out.u64(level.quantity);
        }
    }

    /// Becomes what was taken down, in the memory there is. Cold.
    /// # Errors
    /// Levels that are too many, not in order, or without orders.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        self.clear();
        (self.beyond_orders, self.beyond_key) = (from.u32("orders beyond")?, from.u32("price beyond")?);
        let count = from.u32("levels of a side")? as usize;
        from.check(count <= self.levels_max, "levels of a side")?;
        let mut last = (self.beyond_orders > 0).then_some(self.beyond_key);
        for _ in 0..count {
            let (key, orders) = (from.u32("price of a level")?, from.u32("orders of a level")?);
            from.check(last.is_none_or(|last| last < key) && orders > 0, "a level of a side")?;
            last = Some(key);
            self.levels.push(Level { key, orders, quantity: from.u64("shares of a level")? });
        }
        Ok(())
    }

    /// As if nothing had come. Cold.
    pub fn clear(&mut self) {
        self.levels.clear();
        (self.beyond_orders, self.beyond_key) = (0, 0);
    }

    #[inline]
    fn is_beyond(&self, key: Key) -> bool {
        self.beyond_orders > 0 && key <= self.beyond_key
    }

    #[inline]
    fn key(&self, price: Price) -> Key {
        price_key(self.side, price.0)
    }
}

/// A removal named shares or orders that no level holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotThere;

/// Price to key and back: its own inverse.
#[inline]
const fn price_key(side: Side, value: u32) -> u32 {
    match side {
        Side::Buy => value,
        Side::Sell => !value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The slow twin: every order by itself, summed up on demand.
    #[derive(Default)]
    struct Orders(Vec<(u32, u32)>);

    impl Orders {
        fn levels(&self, side: Side) -> Vec<DepthLevel> {
            let mut by_price: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
            for (price, quantity) in &self.0 {
                let level = by_price.entry(*price).or_default();
                *level = (level.0 + 1, level.1 + u64::from(*quantity));
            }
            let rows = by_price.into_iter().map(|(price, (orders, quantity))| DepthLevel {
                price: Price(price),
                orders,
                quantity,
            });
            match side {
                Side::Buy => rows.rev().collect(),
                Side::Sell => rows.collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn levels_equal_the_sum_of_the_orders(
            sell in any::<bool>(),
            levels_max in 1usize..12,
            steps in proptest::collection::vec(
                (any::<bool>(), 1u32..25, 1u32..9, any::<prop::sample::Index>()), 1..300,
            ),
        ) {
            let side = if sell { Side::Sell } else { Side::Buy };
            let mut levels = Levels::new(side, levels_max);
            let mut orders = Orders::default();
            for (add, price, quantity, pick) in steps {
                if add || orders.0.is_empty() {
                    levels.add(Price(price), Quantity(quantity));
                    orders.0.push((price, quantity));
                } else {
                    let at = pick.index(orders.0.len());
                    let (price, open) = orders.0[at];
                    let taken = quantity.min(open);
                    levels.take(Price(price), Quantity(taken), taken == open).unwrap();
                    orders.0[at].1 -= taken;
                    orders.0.retain(|order| order.1 > 0);
                }
                let (shown, truth) = (levels.best_first().collect::<Vec<_>>(), orders.levels(side));
                prop_assert!(shown.len() <= levels_max);
                prop_assert_eq!(&truth[..shown.len()], &shown[..], "the levels kept are the best ones");
                if levels.knows(levels_max) {
                    prop_assert_eq!(shown.len(), truth.len().min(levels_max));
                }
            }
        }
    }

    #[test]
    fn a_side_is_exact_again_when_the_orders_beyond_have_gone() {
        let mut bids = Levels::new(Side::Buy, 2);
        for price in [10, 11, 12] {
            bids.add(Price(price), Quantity(5));
        }
        assert!(bids.knows(2) && !bids.knows(3));
        assert_eq!(bids.take(Price(12), Quantity(5), true), Ok(Some(0)));
        assert!(!bids.knows(2), "the bid at 10 is only a count");
        assert_eq!(bids.take(Price(10), Quantity(5), true), Ok(None));
        assert!(bids.knows(2));
        assert_eq!(bids.add(Price(9), Quantity(1)), Some(1));
    }

    #[test]
    fn shares_that_are_not_there_cannot_leave() {
        let mut asks = Levels::new(Side::Sell, 4);
        asks.add(Price(10), Quantity(5));
        assert_eq!(asks.take(Price(11), Quantity(1), false), Err(NotThere));
        assert_eq!(asks.take(Price(10), Quantity(6), true), Err(NotThere));
        assert_eq!(asks.best_first().count(), 1);
    }
}
