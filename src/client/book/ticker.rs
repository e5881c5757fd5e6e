//! The displayed book of one ticker as the feed tells it: both sides, recent trades, a cross that builds up.

use crate::types::{
    CrossKind, DayNanos, Firm, MatchNumber, OrderReference, Price, Quantity, Side, Symbol, TradingState,
};
use crate::wire::depth::DepthLevel;
use std::collections::{BTreeMap, VecDeque};

/// Trades remembered for each ticker.
const TRADES_KEPT: usize = 64;

/// An order on display.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BookOrder {
    /// Its number at the venue.
    pub reference: OrderReference,
    /// Price.
    pub price: Price,
    /// Shares on display.
    pub shares: Quantity,
    /// Its firm, blank when it shows without.
    pub firm: Firm,
}

/// An execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trade {
    /// When.
    pub time: DayNanos,
    /// Its number.
    pub match_number: MatchNumber,
    /// Price.
    pub price: Price,
    /// Shares; a cross can have more than an order may.
    pub shares: u64,
    /// Side that rested; `None` for hidden orders and crosses.
    pub resting: Option<Side>,
    /// Whether it was declared void later.
    pub broken: bool,
}

/// A cross as it builds up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Building {
    /// Which.
    pub cross: CrossKind,
    /// When it was told.
    pub time: DayNanos,
    /// Shares that would trade.
    pub paired: u64,
    /// Shares of the larger side that would not.
    pub imbalance: u64,
    /// The larger side.
    pub larger: Option<Side>,
    /// Price at which all orders would trade most; 0 for none.
    pub near: Price,
    /// Price at which the orders for the cross alone would; 0 for none.
    pub far: Price,
    /// Price for which shares and imbalance are.
    pub reference: Price,
}

#[derive(Default)]
struct Level {
    shares: u64,
    /// By arrival.
    orders: BTreeMap<u64, BookOrder>,
}

/// Where an order is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub locate: u16,
    pub side: Side,
    pub price: u32,
    pub arrival: u64,
}

/// One ticker's displayed book.
pub struct TickerBook {
    /// Name.
    pub symbol: Symbol,
    /// Shares of a round lot; 0 before the directory said.
    pub round_lot: u32,
    /// State of trading; `None` before the feed said.
    pub state: Option<TradingState>,
    /// Shares traded, void trades not counted as far as they are remembered.
    pub volume: u64,
    /// Executions.
    pub executions: u64,
    /// The cross under way, as last told; `None` when there is none.
    pub building: Option<Building>,
    sides: [BTreeMap<u32, Level>; 2],
    trades: VecDeque<Trade>,
}

impl TickerBook {
    pub(super) fn new(symbol: Symbol) -> TickerBook {
        TickerBook {
            symbol,
            round_lot: 0,
            state: None,
            volume: 0,
            executions: 0,
            building: None,
            sides: Default::default(),
            trades: VecDeque::with_capacity(TRADES_KEPT),
        }
    }

    /// Levels of a side, best first, at most `count`.
    pub fn depth(&self, side: Side, count: usize) -> Vec<DepthLevel> {
        let level = |(price, level): (&u32, &Level)| DepthLevel {
            price: Price(*price),
            orders: level.orders.len() as u32,
            quantity: level.shares,
        };
        self.best_first(side).map(level).take(count).collect()
    }

    /// All levels of a side as (price, shares, orders), best first: what a comparison with the engine's book wants.
    pub fn levels(&self, side: Side) -> Vec<(Price, u64, u32)> {
        self.depth(side, usize::MAX).iter().map(|level| (level.price, level.quantity, level.orders)).collect()
    }

    /// All orders of a side in the order in which they would trade.
    pub fn orders(&self, side: Side) -> Vec<BookOrder> {
        self.best_first(side).flat_map(|(_, level)| level.orders.values().copied()).collect()
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<DepthLevel> {
        self.depth(side, 1).first().copied()
    }

    /// The last trades, oldest first.
    pub fn trades(&self) -> impl DoubleEndedIterator<Item = &Trade> {
        self.trades.iter()
    }

    /// The last trade.
    pub fn last_trade(&self) -> Option<&Trade> {
        self.trades.back()
    }

    fn best_first(&self, side: Side) -> Box<dyn Iterator<Item = (&u32, &Level)> + '_> {
        let levels = &self.sides[side.index()];
        match side {
            Side::Buy => Box::new(levels.iter().rev()),
            Side::Sell => Box::new(levels.iter()),
        }
    }

    fn best_price(&self, side: Side) -> Option<u32> {
        let levels = &self.sides[side.index()];
        let best = match side {
            Side::Buy => levels.last_key_value(),
            Side::Sell => levels.first_key_value(),
        };
        best.map(|(price, _)| *price)
    }

    pub(super) fn is_crossed(&self) -> bool {
        let best = (self.best_price(Side::Buy), self.best_price(Side::Sell));
        matches!(best, (Some(bid), Some(ask)) if bid >= ask)
    }

    pub(super) fn is_next(&self, place: Place) -> bool {
        let level = self.sides[place.side.index()].get(&place.price);
        let first = level.and_then(|level| level.orders.first_key_value());
        self.best_price(place.side) == Some(place.price) && first.is_some_and(|(arrival, _)| *arrival == place.arrival)
    }

    pub(super) fn insert(&mut self, place: Place, order: BookOrder) {
        let level = self.sides[place.side.index()].entry(place.price).or_default();
        level.shares += u64::from(order.shares.0);
        level.orders.insert(place.arrival, order);
    }

    /// Takes shares off an order, all if it has fewer. Gives what it had.
    pub(super) fn take(&mut self, place: Place, shares: u32) -> BookOrder {
        let levels = &mut self.sides[place.side.index()];
        let level = levels.get_mut(&place.price).expect("an order's level exists as long as the order");
        let order = level.orders.get_mut(&place.arrival).expect("an order is in the level of its place");
        let before = *order;
        let taken = shares.min(before.shares.0);
        order.shares = Quantity(before.shares.0 - taken);
        level.shares -= u64::from(taken);
        if order.shares.is_zero() {
            level.orders.remove(&place.arrival);
        }
        if level.orders.is_empty() {
            levels.remove(&place.price);
        }
        before
    }

    pub(super) fn on_trade(&mut self, trade: Trade, counts: bool) {
        if counts {
            self.volume = self.volume.saturating_add(trade.shares);
        }
        self.executions += 1;
        if self.trades.len() == TRADES_KEPT {
            self.trades.pop_front();
        }
        self.trades.push_back(trade);
    }

    pub(super) fn on_broken(&mut self, number: u64) {
        let found = self.trades.iter_mut().find(|trade| trade.match_number.0 == number && !trade.broken);
        if let Some(trade) = found {
            trade.broken = true;
            self.volume = self.volume.saturating_sub(trade.shares);
        }
    }
}
