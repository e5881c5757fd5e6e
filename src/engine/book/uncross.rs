//! The price of a cross: most shares, then least imbalance, then nearest the reference, then the higher. Warm.
//!
//! Let demand at a price be all buys with that limit or a higher one, supply all sells with that limit or a lower one.
//! Going up, demand only falls and supply only rises, so there is one highest price `p` at which demand still covers
//! supply. Up to `p` supply bounds the volume and more of it is better; above `p` demand does and less distance is
//! better. The best price is therefore at `p`, or one tick above, or in the stretch around them in which no order has a
//! limit and both sums stay the same. Prices between levels are thus looked at without walking them.
//!
//! The walk to `p` consumes levels from the best of each side inwards, always on the side that has less, and stops where
//! the two meet. It ends after the levels that trade, not after all that rest, and can be stopped after any look.

use super::occupancy::NOWHERE;
use super::order::FOR_CROSS;
use super::scale::Scale;
use super::ticker::Book;
use crate::types::{Price, Side};

/// Levels looked at in one turn: about twenty microseconds when none is in the cache.
pub(super) const LEVELS_A_TURN_MAX: u32 = 512;

/// Where a cross would trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Ticks above the lowest price.
    pub tick: u32,
    /// Shares that trade.
    pub paired: u64,
    /// Shares of the larger side that do not.
    pub imbalance: u64,
    /// The larger side.
    pub surplus: Option<Side>,
}

/// All shares of a side at a price, the price in ticks above the lowest. One below or above the ladder: none.
#[derive(Clone, Copy, Debug)]
struct Shares {
    tick: i64,
    quantity: u64,
}

/// One side on the way from its best price inwards.
#[derive(Clone, Copy, Debug)]
struct Inwards {
    side: Side,
    /// Next rank to look at; those of both pairs of ladders count alike here.
    rank: u32,
    /// Shares consumed, market orders first.
    total: u64,
    last: Option<Shares>,
    before: Option<Shares>,
    /// Levels seen and not consumed.
    ahead: [Option<Shares>; 2],
}

/// Which orders count.
#[derive(Clone, Copy, Debug)]
struct Counts {
    resting: bool,
    waiting: bool,
}

/// A search under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// Whether the orders of continuous trading count, and those that wait for a cross.
    counts: Counts,
    buys: Inwards,
    sells: Inwards,
}

impl Search {
    /// Over the resting orders of the book, those that wait for a cross, or both.
    pub fn new(book: &Book, resting: bool, waiting: bool) -> Search {
        let waiting = waiting && book.spec.cross_orders;
        let inwards = |side: Side| {
            let market = if waiting { book.for_cross(side).open_at(0)[0] } else { 0 };
            Inwards { side, rank: 0, total: market, last: None, before: None, ahead: [None; 2] }
        };
        Search { counts: Counts { resting, waiting }, buys: inwards(Side::Buy), sells: inwards(Side::Sell) }
    }

    /// Goes on until the price is known or `looks` are used up; then `None`. The inner `None`: nothing would trade.
    pub fn go(&mut self, book: &Book, reference: Price, looks: &mut u32) -> Option<Option<Found>> {
        let ticks = i64::from(book.scale.ticks());
        loop {
            let (Some(bid), Some(offer)) = (self.buys.ahead[0], self.sells.ahead[0]) else {
                let side = if self.buys.ahead[0].is_none() { &mut self.buys } else { &mut self.sells };
                if !side.look(book, self.counts, looks) {
                    return None;
                }
                continue;
            };
            let covered = self.buys.total >= self.sells.total;
            let lowest_bid = self.buys.last.map_or(ticks - 1, |level| level.tick);
            let highest_offer = self.sells.last.map_or(0, |level| level.tick);
            if covered && offer.tick <= lowest_bid {
                self.sells.consume();
            } else if !covered && bid.tick >= highest_offer {
                self.buys.consume();
            } else {
                let below = if covered { lowest_bid } else { highest_offer - 1 };
                if !self.see_beyond(book, below, looks) {
                    return None;
                }
                return Some(self.best(below, covered, ticks).map(|stretch| stretch.at(&book.scale, reference)));
            }
        }
    }

    /// Makes sure that the next level on each side of the meeting point is known.
    fn see_beyond(&mut self, book: &Book, below: i64, looks: &mut u32) -> bool {
        let counts = self.counts;
        [(&mut self.buys, below), (&mut self.sells, below + 1)].into_iter().all(|(side, meeting)| {
            let at_meeting = side.ahead[0].is_some_and(|level| level.tick == meeting);
            !at_meeting || side.ahead[1].is_some() || side.look(book, counts, looks)
        })
    }

    /// The stretch of best prices. `below` is the highest price at which demand covers supply.
    fn best(&self, below: i64, covered: bool, ticks: i64) -> Option<Stretch> {
        let (buys, sells) = (&self.buys, &self.sells);
        let last = |side: &Inwards| side.last.map_or(0, |level| level.quantity);
        let (bids_at, bid_below) = buys.around(below);
        let (offers_at, offer_above) = sells.around(below + 1);
        // What was consumed last lies on one side of the meeting point: where exactly depends on why the walk ended.
        let (supply_below, demand_above) =
            if covered { (sells.total, buys.total - last(buys)) } else { (sells.total - last(sells), buys.total) };
        let (offer_below, bid_above) = if covered { (sells.last, buys.before) } else { (sells.before, buys.last) };
        let low = (bid_below + 1).max(offer_below.map_or(0, |level| level.tick)).max(0);
        let high = (offer_above - 1).min(bid_above.map_or(ticks - 1, |level| level.tick)).min(ticks - 1);
        let under = (below >= 0).then(|| (supply_below, buys.total + bids_at - supply_below));
        let over = (below + 1 < ticks).then(|| (demand_above, sells.total + offers_at - demand_above));
        let better = match (under, over) {
            (Some(under), Some(over)) => over.0.cmp(&under.0).then(under.1.cmp(&over.1)),
            (Some(_), None) => core::cmp::Ordering::Less,
            (None, _) => core::cmp::Ordering::Greater,
        };
        let (under, over) = (under.unwrap_or((0, 0)), over.unwrap_or((0, 0)));
        let stretch = match better {
            core::cmp::Ordering::Less => Stretch { low, high: below, below, under, over },
            core::cmp::Ordering::Greater => Stretch { low: below + 1, high, below, under, over },
            core::cmp::Ordering::Equal => Stretch { low, high, below, under, over },
        };
        (under.0.max(over.0) > 0).then_some(stretch)
    }
}

impl Inwards {
    /// Sees one more level that has shares; false when the looks are used up.
    fn look(&mut self, book: &Book, counts: Counts, looks: &mut u32) -> bool {
        let (ladder, crosses) = (book.side(self.side), book.for_cross(self.side));
        let seen = loop {
            if *looks == 0 {
                return false;
            }
            *looks -= 1;
            let in_book = if counts.resting { ladder.next(self.rank) } else { NOWHERE };
            // Ranks of orders for a cross are one higher: rank 0 there is for market orders.
            let for_cross = if counts.waiting { crosses.next(self.rank + 1) } else { NOWHERE };
            let rank = in_book.min(for_cross.saturating_sub(u32::from(for_cross != NOWHERE)));
            if rank == NOWHERE {
                break Shares { tick: end(self.side, book.scale.ticks()), quantity: 0 };
            }
            self.rank = rank + 1;
            let shares = if in_book == rank { ladder.open_at(rank).iter().sum() } else { 0 };
            let waiting = if for_cross == rank + 1 { crosses.open_at(rank + 1)[0] } else { 0 };
            // A level of imbalance-only orders alone has no say in the price.
            if shares + waiting > 0 {
                break Shares { tick: i64::from(book.scale.tick_of(self.side, rank)), quantity: shares + waiting };
            }
        };
        let place = usize::from(self.ahead[0].is_some());
        self.ahead[place] = Some(seen);
        true
    }

    fn consume(&mut self) {
        let level = self.ahead[0].take().expect("a level that was looked at");
        self.ahead = [self.ahead[1].take(), None];
        self.total += level.quantity;
        (self.before, self.last) = (self.last, Some(level));
    }

    /// Shares not consumed at the meeting price, and the next price behind it.
    fn around(&self, meeting: i64) -> (u64, i64) {
        let tick = |level: Option<Shares>| level.expect("the level behind the meeting price was looked at").tick;
        match self.ahead[0] {
            Some(level) if level.tick == meeting => (level.quantity, tick(self.ahead[1])),
            level => (0, tick(level)),
        }
    }
}

/// The place behind the last price of a side.
fn end(side: Side, ticks: u32) -> i64 {
    match side {
        Side::Buy => -1,
        Side::Sell => i64::from(ticks),
    }
}

/// Prices that are equally good but for their distance from the reference.
struct Stretch {
    low: i64,
    high: i64,
    /// Highest price at which demand covers supply.
    below: i64,
    /// Volume and what is left over: up to there, and above.
    under: (u64, u64),
    over: (u64, u64),
}

impl Stretch {
    fn at(&self, scale: &Scale, reference: Price) -> Found {
        let tick = i64::from(scale.nearest_tick(reference)).clamp(self.low, self.high);
        let demand_covers = tick <= self.below;
        let (paired, imbalance) = if demand_covers { self.under } else { self.over };
        let surplus = match (imbalance, demand_covers) {
            (0, _) => None,
            (_, true) => Some(Side::Buy),
            (_, false) => Some(Side::Sell),
        };
        Found { tick: tick as u32, paired, imbalance, surplus }
    }
}

const _: () = assert!(FOR_CROSS == 2, "the ladders for a cross follow those of the book");
