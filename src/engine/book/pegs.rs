//! Pegged orders: where they stand, what they cost now, how they come and go. Cold but for one test that there are any.
//!
//! A peg is hidden and follows the best *displayed* prices: the midpoint between them, that of its own side (primary) or
//! that of the other (market), by its offset nearer to the other side. Nobody reprices it: it stands in no level but in a
//! tree of its ticker, side and kind ([`super::peg_trees`]), and what it costs is worked out when somebody asks. So that a
//! touch which moves costs the same with ten thousand pegs as with one.
//!
//! **Distance.** As in [`super::scale`], a side counts from the best price it could have, but in 1/10,000, since a midpoint may
//! lie off the tick. A lower distance is better on both sides, and the offset is subtracted on both.
//!
//! **Asleep.** A peg trades only while the displayed price it needs is there and its uncapped price is within its limit: that
//! of the client, or for none the worst price its account may trade at, as of its acceptance. Its price is then
//! capped: inside the other side's best displayed price (a tick for primary and market, one unit for midpoints, which
//! need no tick), so that it never locks or crosses what shows; and within the price band and the ladder.
//!
//! How an incoming order meets pegs stands in [`super::among`]; what they do to each other and to hidden orders when the
//! touch has moved in [`super::settling`].

use super::events::{Events, Progress};
use super::marks::Special;
use super::occupancy::NOWHERE;
use super::order::Order;
use super::peg_trees::{Active, Cursors, Place, Touch};
use super::requests::{change, replaced};
use super::shard::Shard;
use super::ticker::Book;
use crate::types::{Event, Peg, Price, Quantity, Sequenced, Side, Slot, TickerId};

impl Book {
    /// What prices the pegs of a side as the book shows itself now.
    pub fn touch(&self, side: Side) -> Touch {
        let (tick, ticks) = (self.scale.tick(), self.scale.ticks());
        let shown = |side: Side| Some(self.side(side).best_shown()).filter(|&rank| rank != NOWHERE);
        let own = shown(side).map(|rank| rank * tick);
        let across = shown(side.opposite()).map(|rank| (ticks - 1 - rank) * tick);
        // A price in the middle of two is rounded down: for bids that is further away.
        let middle = |(own, across): (u32, u32)| match side {
            Side::Buy => (own + across).div_ceil(2),
            Side::Sell => (own + across) / 2,
        };
        let band = self.reaches.lanes[side.index()].first * tick;
        let cap = |inside: u32| across.map_or(band, |across| band.max(across + inside));
        Touch { side, follows: [own.zip(across).map(middle), own, across], cap: [cap(1), cap(tick), cap(tick)] }
    }
}

impl Shard {
    /// The best active peg, of those behind the cursors.
    pub(super) fn next_peg(&self, ticker: TickerId, touch: &Touch, cursors: &Cursors) -> Option<Active> {
        let book = &self.books[ticker.index()];
        let mut best: Option<Active> = None;
        for (kind, tree) in book.pegs.trees[touch.side.index()].iter().enumerate() {
            let Some(follows) = touch.follows[kind] else { continue };
            let nodes = &self.specials.pegs;
            let found = match cursors[kind] {
                None => nodes.first(tree, follows),
                Some(place) => nodes.after(tree, place, follows),
            };
            let Some(slot) = found else { continue };
            // One that is worse than the ladder's worst price does not trade, nor does any of its tree behind it.
            let Some(distance) = self.peg_distance(book, touch, Peg::ALL[kind], slot) else { continue };
            if best.is_none_or(|best| distance < best.distance) {
                best = Some(Active { slot, distance });
            }
        }
        best
    }

    /// What a peg costs, as a distance; none while it sleeps.
    pub(super) fn peg_distance(&self, book: &Book, touch: &Touch, peg: Peg, slot: Slot) -> Option<u32> {
        let (follows, nodes) = (touch.follows[peg.index()]?, &self.specials.pegs);
        if nodes.need(slot) > follows {
            return None;
        }
        let uncapped = i64::from(follows) - i64::from(nodes.offset(slot));
        let distance = uncapped.max(i64::from(touch.cap[peg.index()]));
        (distance <= i64::from(book.scale.distance_max())).then_some(distance as u32)
    }

    /// The best active peg of a side.
    pub(super) fn best_peg(&self, ticker: TickerId, touch: &Touch) -> Option<Active> {
        self.next_peg(ticker, touch, &[None; 3])
    }

    /// The best rank of a side, hidden orders and active pegs counted: a peg off the tick at the rank behind it.
    #[inline]
    pub(super) fn best_of(&self, ticker: TickerId, side: Side) -> u32 {
        let book = &self.books[ticker.index()];
        let best = book.side(side).best();
        if book.pegs.count == 0 { best } else { best.min(self.best_peg_rank(ticker, side)) }
    }

    #[cold]
    fn best_peg_rank(&self, ticker: TickerId, side: Side) -> u32 {
        let book = &self.books[ticker.index()];
        self.best_peg(ticker, &book.touch(side)).map_or(NOWHERE, |peg| book.scale.rank_at(peg.distance))
    }

    /// A new peg. It rests at once; whether it meets somebody is seen as after any record, and as the latest of all it then
    /// is the incoming one. So there is one way in which pegs take, whatever made them active.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_peg(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, ticker) = (&record.command, record.command.ticker);
        let reference = self.books[ticker.index()].numbers.next_reference();
        let plain = Order::entered(command, record.verdict.slot, reference, 0);
        let mut order = Order { peg: command.peg(), post_only: 0, ..plain };
        let (tag, quantity, price) = (order.tag, command.quantity, command.price);
        out.push(ticker, Event::Accepted { order: tag, reference, quantity, price });
        self.fit(&mut order, command, record.verdict.limit_price, true);
        self.set_expiry(&mut order, command, record.time);
        self.rest_peg(&mut order, true);
        let (side, display, shown) = (order.side(), order.display, Quantity(0));
        out.push(ticker, Event::Rested { order: tag, reference, side, display, quantity, shown, price });
        Progress::Done
    }

    /// An order in its slot becomes a peg or stays one. What has no meaning for a peg, a stop price above all, is gone.
    #[cold]
    #[inline(never)]
    pub(super) fn replace_by_peg(&mut self, record: &Sequenced, before: &Order, out: &mut Events) -> Progress {
        let command = &record.command;
        let (old_open, old_shown) = (self.specials.open(before), before.shown_open());
        self.lift(before);
        let mut order = *before;
        change(&mut order, command);
        (order.peg, order.post_only, order.rank) = (command.peg(), 0, 0);
        order.leaves = Quantity(command.quantity.0 - before.executed.0 - before.removed.0);
        order.reference = self.books[before.ticker.index()].numbers.next_reference();
        self.fit(&mut order, command, record.verdict.limit_price, false);
        self.set_expiry(&mut order, command, record.time);
        out.push(
            before.ticker,
            replaced(before, &order, [old_open, old_shown, Quantity(0)], record.verdict.limit_price, true),
        );
        self.rest_peg(&mut order, false);
        Progress::Done
    }

    /// Stores a peg and puts it into its tree. `fresh`: it is not in the arena and its session's list yet.
    fn rest_peg(&mut self, order: &mut Order, fresh: bool) {
        let slot = order.tag.slot;
        order.special.set(Special::ASIDE, true);
        let entry = &mut self.arena.orders[slot.index()];
        assert!(!fresh || entry.leaves.is_zero(), "slot given twice");
        *entry = *order;
        if fresh {
            self.arena.enter_session(slot);
        }
        self.hang_peg(order);
    }

    /// Puts a peg into its tree, by what it has beside its line.
    pub(super) fn hang_peg(&mut self, order: &Order) {
        let (slot, side) = (order.tag.slot, order.side());
        let beside = &self.specials.beside[slot.index()];
        let book = &mut self.books[order.ticker.index()];
        // Within the limit while the reference less the offset is no better than it.
        let need = book.scale.distance(side, beside.limit) + i64::from(beside.offset);
        let need = need.clamp(0, i64::from(u32::MAX)) as u32;
        let tree = &mut book.pegs.trees[side.index()][kind_of(order).index()];
        self.specials.pegs.insert(tree, slot, Place::new(beside.offset, order.reference.0), need);
        book.pegs.count += 1;
        self.pegs_count += 1;
        if book.pegs.count == 1 {
            book.settle();
        }
    }

    /// Takes a peg out of its tree; everything else about it stays.
    pub(super) fn unpeg(&mut self, order: &Order) {
        let book = &mut self.books[order.ticker.index()];
        let tree = &mut book.pegs.trees[order.side().index()][kind_of(order).index()];
        self.specials.pegs.remove(tree, order.tag.slot);
        book.pegs.count -= 1;
        self.pegs_count -= 1;
        if book.pegs.count == 0 {
            book.settle();
        }
        self.arena.orders[order.tag.slot.index()].special.set(Special::ASIDE, false);
    }

    /// What an order costs: a peg that is active at this distance, any other by its limit.
    pub(super) fn price_at(&self, order: &Order, distance: u32) -> Price {
        match order.peg {
            None => order.price,
            Some(_) => self.books[order.ticker.index()].scale.price_at(order.side(), distance),
        }
    }

    /// The first peg of a ticker's tree, by side and kind, behind a place.
    pub(super) fn peg_after(&self, ticker: TickerId, tree: usize, place: Option<Place>) -> Option<Slot> {
        let (nodes, trees) = (&self.specials.pegs, self.books[ticker.index()].pegs.trees.as_flattened());
        match place {
            None => nodes.first(&trees[tree], u32::MAX),
            Some(place) => nodes.after(&trees[tree], place, u32::MAX),
        }
    }
}

/// Which kind of peg it is.
fn kind_of(order: &Order) -> Peg {
    order.peg.expect("an order in a tree of pegs is pegged")
}
