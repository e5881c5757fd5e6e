//! Stop orders: asleep until a trade reaches their price, then like orders that come now. Cold but for one comparison.
//!
//! A stop sleeps in the arena and in its session's list, so that cancels of every kind find it, and in a tree of its ticker
//! and side ordered by stop price, nearest the market first, then by age. It is in no level and not on the feed.
//!
//! **When.** A buy wakes when a trade of its ticker printed at its stop price or above, a sell at or below; every trade of
//! a record counts, not its last one alone, so that how a sweep ended does not undo what it printed. Stops wake after the
//! record's own matching is done: buys before sells, each side nearest first. What a woken order trades can wake further
//! ones; each stop wakes once, so the chain ends, and it goes on through as many bounded turns as it needs, all within the
//! record that set it off. A stop that enters where the last trade has been already wakes at once.

use super::events::{Events, Progress};
use super::marks::Special;
use super::order::Order;
use super::shard::Shard;
use super::taker::{STEP_EVENTS_MAX, Taker, triggered};
use super::ticker::{Book, OUT_OF_REACH};
use super::waiting::Key;
use super::work::Work;
use crate::types::{Price, Quantity, Side, Slot, TickerId};

/// Place of a stop in its tree: nearest the market first, then by age.
fn key(side: Side, stop: Price, order: &Order) -> Key {
    let distance = match side {
        Side::Buy => stop.0,
        Side::Sell => u32::MAX - stop.0,
    };
    (u64::from(distance), order.reference.0)
}

/// The price in such a key.
fn price(side: Side, key: Key) -> Price {
    match side {
        Side::Buy => Price(key.0 as u32),
        Side::Sell => Price(u32::MAX - key.0 as u32),
    }
}

impl Book {
    /// Whether trades have reached this stop price.
    pub fn has_reached(&self, side: Side, stop: Price) -> bool {
        match side {
            Side::Buy => self.trades.high >= stop,
            Side::Sell => self.trades.low <= stop,
        }
    }

    /// Whether a stop that comes now would wake at once: its price is reached, and the ticker matches.
    pub fn wakes_at(&self, side: Side, stop: Price) -> bool {
        self.phase.matches() && self.has_reached(side, stop)
    }

    /// The side whose next stop is due. Called while the ticker matches.
    #[inline]
    pub fn due(&self) -> Option<Side> {
        let [buy, sell] = self.stops.nearest;
        if self.trades.high >= buy {
            return Some(Side::Buy);
        }
        (self.trades.low <= sell).then_some(Side::Sell)
    }
}

impl Shard {
    /// Lays a stop to sleep. `fresh`: it is not in the arena and its session's list yet.
    pub(super) fn sleep(&mut self, order: &Order, stop: Price, fresh: bool) {
        let (slot, side) = (order.tag.slot, order.side());
        let entry = &mut self.arena.orders[slot.index()];
        assert!(!fresh || entry.leaves.is_zero(), "slot given twice");
        *entry = *order;
        entry.special.set(Special::ASIDE, true);
        if fresh {
            self.arena.enter_session(slot);
        }
        self.lay_to_sleep(order, key(side, stop, order));
    }

    /// Puts a stop into its tree under this key.
    pub(super) fn lay_to_sleep(&mut self, order: &Order, key: Key) {
        let stops = &mut self.books[order.ticker.index()].stops;
        self.specials.stops.insert(&mut stops.trees[order.side().index()], order.tag.slot, key);
        self.look_for_nearest(order.ticker, order.side());
    }

    /// Takes a sleeping stop out of its tree; everything else about it stays. Gives its stop price.
    pub(super) fn rouse(&mut self, order: &Order) -> Price {
        let (slot, side) = (order.tag.slot, order.side());
        let stop = price(side, self.specials.stops.key(slot));
        let stops = &mut self.books[order.ticker.index()].stops;
        self.specials.stops.remove(&mut stops.trees[side.index()], slot);
        self.look_for_nearest(order.ticker, side);
        self.arena.orders[slot.index()].special.set(Special::ASIDE, false);
        stop
    }

    /// Where a sleeping stop wakes.
    pub(super) fn stop_of(&self, order: &Order) -> Price {
        price(order.side(), self.specials.stops.key(order.tag.slot))
    }

    fn look_for_nearest(&mut self, ticker: TickerId, side: Side) {
        let nodes = &self.specials.stops;
        let stops = &mut self.books[ticker.index()].stops;
        let first = nodes.first(&stops.trees[side.index()]);
        stops.nearest[side.index()] = first.map_or(OUT_OF_REACH[side.index()], |slot| price(side, nodes.key(slot)));
    }

    /// What follows the matching of a record, or of a part of it: stops that its trades reached.
    #[inline]
    pub(super) fn awaken(&mut self, ticker: TickerId, progress: Progress, out: &mut Events) -> Progress {
        if progress == Progress::More {
            return Progress::More;
        }
        let book = &mut self.books[ticker.index()];
        // While the ticker does not match nothing wakes: what counts later is the last price then.
        if book.due().is_none() || !book.phase.matches() {
            book.trades.settle();
            return Progress::Done;
        }
        self.wake_due(ticker, out)
    }

    /// Wakes stops, one after the other, while some are due and there is room.
    #[cold]
    #[inline(never)]
    pub(super) fn wake_due(&mut self, ticker: TickerId, out: &mut Events) -> Progress {
        while let Some(side) = self.books[ticker.index()].due() {
            // Each says at least that it woke, so that the room bounds the turn.
            if out.room() <= STEP_EVENTS_MAX {
                self.work = Work::Wake(ticker);
                return Progress::More;
            }
            let tree = &self.books[ticker.index()].stops.trees[side.index()];
            let slot = self.specials.stops.first(tree).expect("the nearest stop is in its tree");
            let (mut taker, least) = self.wake(slot, out);
            if self.take(&mut taker, least, out) == Progress::More {
                return Progress::More;
            }
        }
        self.books[ticker.index()].trades.settle();
        Progress::Done
    }

    /// Says that a stop woke up, and makes it an incoming order, with the least it takes.
    fn wake(&mut self, slot: Slot, out: &mut Events) -> (Taker, Quantity) {
        let order = self.arena.orders[slot.index()];
        self.rouse(&order);
        let order = self.arena.orders[slot.index()];
        out.push(order.ticker, triggered(&order));
        (self.taker_of_stop(order, true), self.specials.least(&order, order.special.has(Special::IMMEDIATE)))
    }

    /// A stop order as one that comes now: a limit beyond the price band becomes its bound.
    pub(super) fn taker_of_stop(&self, mut order: Order, replaced: bool) -> Taker {
        let book = &self.books[order.ticker.index()];
        let scale = &book.scale;
        let is_market = order.price.is_market();
        let (reaches, at) = (&book.reaches, order.side().index());
        if !is_market && order.rank < reaches.lanes[at].first {
            order.rank = reaches.lanes[at].first;
            order.price = scale.price(order.side(), order.rank);
        }
        let walk_end = if is_market {
            scale.walk_end_of(order.side(), self.specials.beside[order.tag.slot.index()].limit)
        } else {
            scale.walk_end(order.rank)
        };
        let walk_end = walk_end.min(reaches.walk_max[at]);
        let stays = !is_market && !order.special.has(Special::IMMEDIATE);
        Taker { order, walk_end, stays, replaced }
    }
}
