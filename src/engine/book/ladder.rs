//! One side of one ticker: a level for every tick, best price first. Hot.
//!
//! The *rank* of a price counts ticks from the best price the side could have: rank 0 is the ladder's highest price for
//! bids and its lowest for offers. Lower is better on both sides.
//!
//! Bound: a level is [`LEVEL_BYTES`] and a tick has one on each side, so that a ticker costs 64 bytes a tick plus two bits;
//! [`TICKS_MAX`] ticks a shard, 1 GiB, is the limit that construction enforces.

use super::arena::{Arena, Chains, List, Node, Rank};
use super::occupancy::{NOWHERE, Occupancy, RANKS_MAX};
use super::order::Order;
use crate::types::{Price, Side, Slot, TickerSpec};
use core::hint::black_box;

/// Bytes of a level.
pub(super) const LEVEL_BYTES: usize = 32;

/// Most ticks of all tickers of a shard together: 1 GiB of levels on both sides.
pub const TICKS_MAX: usize = 1 << 24;

const _: () = assert!(TICKS_MAX <= RANKS_MAX, "one ticker may use all ticks of its shard");

/// All orders of a side at a price. Two of them share a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
struct Level {
    /// The displayed queue, which trades first, and the hidden one.
    queues: [List; 2],
    /// Open shares of the displayed queue: 64 bits, because millions of orders of 999,999 shares may rest at a price.
    shown_quantity: u64,
    /// Orders in the displayed queue.
    shown_count: u32,
}

const _: () = assert!(size_of::<Level>() == LEVEL_BYTES);

impl Level {
    const EMPTY: Level = Level { queues: [List::EMPTY; 2], shown_quantity: 0, shown_count: 0 };

    /// The queue an order is about to join, its shares counted.
    #[inline(always)]
    fn joined(&mut self, place: Place) -> &mut List {
        self.shown_quantity += if place.shown { u64::from(place.open) } else { 0 };
        self.shown_count += u32::from(place.shown);
        &mut self.queues[usize::from(!place.shown)]
    }

    /// The queue an order is about to leave, its shares no longer counted.
    #[inline(always)]
    fn left(&mut self, place: Place) -> &mut List {
        self.shown_quantity -= if place.shown { u64::from(place.open) } else { 0 };
        self.shown_count -= u32::from(place.shown);
        &mut self.queues[usize::from(!place.shown)]
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.queues[0].head.is_none() & self.queues[1].head.is_none()
    }

    #[inline]
    fn first(&self) -> Node {
        let [shown, hidden] = self.queues;
        if shown.head.is_none() { hidden.head } else { shown.head }
    }
}

/// Where an order stands, and with how many open shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub rank: Rank,
    pub shown: bool,
    pub open: u32,
}

/// What a level shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LevelView {
    pub shown_quantity: u64,
    pub shown_count: u32,
}

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

    /// Price of a rank.
    #[inline]
    pub fn price(&self, side: Side, rank: Rank) -> Price {
        match side {
            Side::Buy => Price(self.high - rank * self.tick),
            Side::Sell => Price(self.low + rank * self.tick),
        }
    }
}

/// The levels of a side.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Lowest occupied rank, kept so that no order has to search for it; [`NOWHERE`] when the side is empty.
    best: u32,
    levels: Box<[Level]>,
    occupied: Occupancy,
}

impl Ladder {
    /// Empty, written once so that no page is missing later.
    pub fn new(ticks: u32) -> Ladder {
        let levels = (0..ticks).map(|_| black_box(Level::EMPTY)).collect();
        Ladder { best: NOWHERE, levels, occupied: Occupancy::new(ticks as usize) }
    }

    #[inline]
    pub fn best(&self) -> u32 {
        self.best
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.best == NOWHERE
    }

    /// The first occupied rank at or after `rank`, or [`NOWHERE`].
    pub fn next(&self, rank: Rank) -> u32 {
        self.occupied.at_or_after(rank)
    }

    /// What the level shows.
    pub fn view(&self, rank: Rank) -> LevelView {
        let level = &self.levels[rank as usize];
        LevelView { shown_quantity: level.shown_quantity, shown_count: level.shown_count }
    }

    /// The order that trades next. The side is not empty.
    #[inline]
    pub fn first(&self) -> Slot {
        self.first_at(self.best)
    }

    /// The order that trades next at an occupied rank.
    #[inline]
    pub fn first_at(&self, rank: Rank) -> Slot {
        self.levels[rank as usize].first().slot()
    }

    /// The order that trades after this one at the same price, or [`Slot::NONE`].
    pub fn after(&self, arena: &Arena, order: &Order) -> Slot {
        let next = arena.chains.of(Node::of(order.tag.slot)).next;
        let last_shown = next.is_none() && order.is_shown();
        if last_shown { self.levels[order.rank as usize].queues[1].head.slot() } else { next.slot() }
    }

    /// Puts a new order at the end of its queue and of its session's list.
    #[inline(always)]
    pub fn enter(&mut self, chains: &mut Chains, session: &mut List, place: Place, slot: Slot) {
        let level = &mut self.levels[place.rank as usize];
        let was_empty = level.is_empty();
        chains.enter(level.joined(place), session, Node::of(slot));
        if was_empty {
            self.settle(place.rank);
        }
    }

    /// Puts an order that its session's list still has at the end of its queue.
    #[inline(always)]
    pub fn append(&mut self, chains: &mut Chains, place: Place, slot: Slot) {
        let level = &mut self.levels[place.rank as usize];
        let was_empty = level.is_empty();
        chains.append(level.joined(place), Node::of(slot));
        if was_empty {
            self.settle(place.rank);
        }
    }

    /// Takes an order out of its queue and off its session's list.
    #[inline(always)]
    pub fn leave(&mut self, chains: &mut Chains, session: &mut List, place: Place, slot: Slot) {
        let links = chains.of(Node::of(slot));
        let level = &mut self.levels[place.rank as usize];
        chains.leave(level.left(place), session, links);
        if level.is_empty() {
            self.vacate(place.rank);
        }
    }

    /// Takes an order out of its queue; its session's list keeps it.
    #[inline(always)]
    pub fn unlink(&mut self, chains: &mut Chains, place: Place, slot: Slot) {
        let links = chains.of(Node::of(slot));
        let level = &mut self.levels[place.rank as usize];
        chains.unlink(level.left(place), links);
        if level.is_empty() {
            self.vacate(place.rank);
        }
    }

    /// The first order of a level is there. A call of its own, like its counterpart, to keep the frequent path short.
    #[inline(never)]
    fn settle(&mut self, rank: Rank) {
        self.occupied.set(rank);
        self.best = self.best.min(rank);
    }

    /// The last order of a level is gone.
    #[inline(never)]
    fn vacate(&mut self, rank: Rank) {
        self.occupied.clear(rank);
        if rank == self.best {
            self.best = self.occupied.at_or_after(rank);
        }
    }

    /// Takes `taken` shares off what the level shows; the order keeps its place.
    #[inline]
    pub fn reduce(&mut self, rank: Rank, shown: bool, taken: u32) {
        self.levels[rank as usize].shown_quantity -= if shown { u64::from(taken) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Fees, MatcherId, Quantity, Symbol};

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
