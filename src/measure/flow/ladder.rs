//! The generator's own book of one ticker: what its orders come to if each is accepted and nothing else trades.
//!
//! Levels are a plain array of ticks around the starting price, each with a queue of orders, oldest first, linked
//! through a table of fixed size. All memory is taken at start; every verb is O(1) but for the walk from one level to
//! the next filled one, bounded by the array. Runs on the player's thread.

use crate::types::Side;

/// Levels a side.
pub(super) const TICKS: usize = 2048;
/// No order.
const NONE: u32 = u32::MAX;

/// One resting order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub key: u64,
    pub quantity: u32,
    pub session: u16,
    pub side: Side,
    pub tick: u16,
    next: u32,
    previous: u32,
}

#[derive(Clone, Copy, Debug)]
struct Queue {
    first: u32,
    last: u32,
}

/// Both sides. Ticks count upward with the price on both.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    queues: [Vec<Queue>; 2],
    best: [Option<usize>; 2],
    counts: [usize; 2],
    orders: Vec<Resting>,
    free: Vec<u32>,
}

impl Ladder {
    pub fn new(orders_max: usize) -> Ladder {
        let empty = Resting { key: 0, quantity: 0, session: 0, side: Side::Buy, tick: 0, next: NONE, previous: NONE };
        let queues = vec![Queue { first: NONE, last: NONE }; TICKS];
        Ladder {
            queues: [queues.clone(), queues],
            best: [None, None],
            counts: [0, 0],
            orders: vec![empty; orders_max],
            free: (0..orders_max as u32).rev().collect(),
        }
    }

    /// The best level that has an order.
    pub fn best(&self, side: Side) -> Option<usize> {
        self.best[side.index()]
    }

    /// Orders of a side.
    pub fn count(&self, side: Side) -> usize {
        self.counts[side.index()]
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Puts an order behind those at its level; `false` when the table is full.
    pub fn rest(&mut self, key: u64, side: Side, tick: usize, quantity: u32, session: u16) -> bool {
        let Some(slot) = self.free.pop() else { return false };
        let queue = &mut self.queues[side.index()][tick];
        let previous = core::mem::replace(&mut queue.last, slot);
        if previous == NONE {
            queue.first = slot;
        } else {
            self.orders[previous as usize].next = slot;
        }
        self.orders[slot as usize] = Resting { key, quantity, session, side, tick: tick as u16, next: NONE, previous };
        self.counts[side.index()] += 1;
        if self.best(side).is_none_or(|best| is_better(side, tick, best)) {
            self.best[side.index()] = Some(tick);
        }
        true
    }

    /// The order that is executed next on a side.
    pub fn oldest_at_best(&self, side: Side) -> Option<u32> {
        self.best(side).map(|tick| self.queues[side.index()][tick].first)
    }

    /// The newest order at the filled level nearest to `distance` ticks behind the best one: looked for outward
    /// first, then back to the best.
    pub fn newest_near(&self, side: Side, distance: usize) -> Option<u32> {
        let best = self.best(side)?;
        let queues = &self.queues[side.index()];
        let filled = |&tick: &usize| queues[tick].last != NONE;
        let tick = match side {
            Side::Buy => {
                let wanted = best.saturating_sub(distance);
                (0..=wanted).rev().find(filled).or_else(|| (wanted..=best).find(filled))
            }
            Side::Sell => {
                let wanted = (best + distance).min(TICKS - 1);
                (wanted..TICKS).find(filled).or_else(|| (best..=wanted).rev().find(filled))
            }
        };
        tick.map(|tick| queues[tick].last)
    }

    pub fn order(&self, slot: u32) -> Resting {
        self.orders[slot as usize]
    }

    /// Takes shares off an order; one without shares leaves.
    pub fn reduce(&mut self, slot: u32, by: u32) {
        let order = &mut self.orders[slot as usize];
        order.quantity -= by;
        if order.quantity == 0 {
            self.remove(slot);
        }
    }

    /// Takes an order out.
    pub fn remove(&mut self, slot: u32) {
        let Resting { side, tick, next, previous, .. } = self.orders[slot as usize];
        let tick = usize::from(tick);
        if next == NONE {
            self.queues[side.index()][tick].last = previous;
        } else {
            self.orders[next as usize].previous = previous;
        }
        if previous == NONE {
            self.queues[side.index()][tick].first = next;
        } else {
            self.orders[previous as usize].next = next;
        }
        self.free.push(slot);
        self.counts[side.index()] -= 1;
        let emptied = next == NONE && previous == NONE;
        if emptied && self.best(side) == Some(tick) {
            self.best[side.index()] = self.next_filled(side, tick);
        }
    }

    fn next_filled(&self, side: Side, from: usize) -> Option<usize> {
        let queues = &self.queues[side.index()];
        let filled = |&tick: &usize| queues[tick].first != NONE;
        match side {
            Side::Buy => (0..from).rev().find(filled),
            Side::Sell => (from + 1..TICKS).find(filled),
        }
    }
}

const fn is_better(side: Side, a: usize, b: usize) -> bool {
    match side {
        Side::Buy => a > b,
        Side::Sell => a < b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_level_follows_orders_coming_and_going() {
        let mut ladder = Ladder::new(4);
        assert!(ladder.rest(1, Side::Buy, 10, 5, 0) && ladder.rest(2, Side::Buy, 12, 5, 0));
        assert!(ladder.rest(3, Side::Buy, 12, 5, 0) && ladder.rest(4, Side::Sell, 20, 5, 0));
        assert!(!ladder.rest(5, Side::Buy, 13, 5, 0), "four orders at most");
        let oldest = ladder.oldest_at_best(Side::Buy).unwrap();
        assert_eq!((ladder.order(oldest).key, ladder.best(Side::Buy)), (2, Some(12)));
        ladder.reduce(oldest, 5);
        let newest = ladder.newest_near(Side::Buy, 0).unwrap();
        assert_eq!(ladder.order(newest).key, 3);
        ladder.remove(newest);
        assert_eq!((ladder.best(Side::Buy), ladder.count(Side::Buy)), (Some(10), 1));
        ladder.reduce(ladder.oldest_at_best(Side::Buy).unwrap(), 5);
        assert_eq!((ladder.best(Side::Buy), ladder.newest_near(Side::Buy, 3)), (None, None));
    }

    #[test]
    fn the_nearest_filled_level_is_looked_for_outward_first() {
        let mut ladder = Ladder::new(8);
        for (key, tick) in [(1, 100), (2, 105), (3, 90)] {
            assert!(ladder.rest(key, Side::Sell, tick, 1, 0));
        }
        let key = |ladder: &Ladder, distance| ladder.order(ladder.newest_near(Side::Sell, distance).unwrap()).key;
        assert_eq!([0, 1, 10, 11, 15, 5_000].map(|d| key(&ladder, d)), [3, 1, 1, 2, 2, 2]);
    }
}
