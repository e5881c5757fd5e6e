//! An incoming order meets the book: look ahead, sweep, and what becomes of the rest. Hot.
//!
//! Order of decisions: post-only, least quantity, then one resting order after the other, best price first, displayed
//! before hidden, then time; a trade is at the resting order's price. An own order under the incoming order's self-match
//! rule does not trade; the rule says which of the two gives way.
//!
//! An order that finds nothing to trade with is by far the most frequent, and goes straight into the book.

use super::arena::{Arena, Rank};
use super::events::{Events, Progress};
use super::ladder::Place;
use super::order::Order;
use super::self_match::is_own;
use super::shard::{Shard, Work};
use super::trades::Trade;
use crate::types::{CancelReason, Event, Price, Quantity, Sequenced, Slot, TimeInForce};

/// Most events between two checks for room: two of a prevented trade, and the end of the incoming order.
const STEP_EVENTS_MAX: usize = 3;

/// An incoming order that may trade. Its arena entry is written only if it comes to rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub order: Order,
    /// First rank of the other side that is too dear.
    pub walk_end: Rank,
    /// What does not trade at once rests.
    pub stays: bool,
    /// It was in the book before: its entry and its place in the session's list exist.
    pub replaced: bool,
}

/// Why a sweep stopped filling.
enum Met {
    /// Nothing more within the limit, or the taker is filled.
    Nothing,
    /// A full buffer.
    NoRoom,
    /// An own order: the self-match rule applies.
    Own(Slot),
}

/// How far an order reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Its limit: that of the request, or the bound of the price band.
    pub price: Price,
    /// Rank of its limit on its own side.
    pub rank: Rank,
    /// First rank of the other side that is too dear.
    pub walk_end: Rank,
    /// What does not trade at once rests.
    pub stays: bool,
    /// It rests and the other side has nothing within its limit: it goes into the book as it is.
    pub rests: bool,
}

impl Shard {
    /// A new order.
    ///
    /// Lists first, then all that is copied from the command: so the copies need no more registers than there are.
    #[inline(always)]
    pub(super) fn enter(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot) = (&record.command, record.verdict.slot);
        let side = command.side.side();
        let book = &mut self.books[command.ticker.index()];
        let rank = book.scale.rank(side, command.price);
        let ticks = book.scale.ticks();
        let crosses = book.side(side.opposite()).best() < ticks.wrapping_sub(rank);
        let lane = book.reaches.lanes[side.index()];
        // Off the lane: a market order, or a limit beyond the price band.
        let straight = rank.wrapping_sub(lane.first) < lane.span;
        if !straight || crosses || command.time_in_force == TimeInForce::ImmediateOrCancel || command.is_cross() {
            return self.enter_taker(record, out);
        }
        let reference = book.numbers.next_reference();
        let Arena { orders, chains, sessions } = &mut self.arena;
        let place = Place { rank, shown: command.display.is_shown(), open: command.quantity.0 };
        book.sides[side.index()].enter(chains, &mut sessions[command.session.index()], place, slot);
        let entry = &mut orders[slot.index()];
        assert!(entry.leaves.is_zero(), "slot given twice");
        *entry = Order::entered(command, slot, reference, rank);
        let (order, quantity) = (Order::tag_of(command, slot), command.quantity);
        let (price, display) = (command.price, command.display);
        out.push(command.ticker, Event::Accepted { order, reference, quantity, price });
        out.push(command.ticker, Event::Rested { order, reference, side, display, quantity, price });
        Progress::Done
    }

    /// A new order that trades, or may not stay.
    #[inline(never)]
    fn enter_taker(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot) = (&record.command, record.verdict.slot);
        if command.is_cross() {
            return self.enter_cross(record, out);
        }
        let book = &mut self.books[command.ticker.index()];
        let Reach { price, rank, walk_end, stays, .. } = book.reach(command.side.side(), record);
        let reference = book.numbers.next_reference();
        let (order, quantity) = (Order::tag_of(command, slot), command.quantity);
        out.push(command.ticker, Event::Accepted { order, reference, quantity, price });
        let order = Order { price, ..Order::entered(command, slot, reference, rank) };
        self.take(&mut Taker { order, walk_end, stays, replaced: false }, command.min_quantity, out)
    }

    /// Decides whether the order trades at all, then lets it.
    pub(super) fn take(&mut self, taker: &mut Taker, min_quantity: Quantity, out: &mut Events) -> Progress {
        if taker.order.post_only && self.crosses(taker) {
            self.drop_rest(taker, CancelReason::PostOnly, out);
            return Progress::Done;
        }
        if !min_quantity.is_zero() && self.tradable(taker, min_quantity) < min_quantity {
            self.drop_rest(taker, CancelReason::ImmediateRemainder, out);
            return Progress::Done;
        }
        self.sweep(taker, out)
    }

    /// Whether the other side has an order within the taker's limit.
    #[inline]
    fn crosses(&self, taker: &Taker) -> bool {
        let book = &self.books[taker.order.ticker.index()];
        book.side(taker.order.side().opposite()).best() < taker.walk_end
    }

    /// Trades while there is something within the limit and room to say so.
    pub(super) fn sweep(&mut self, taker: &mut Taker, out: &mut Events) -> Progress {
        loop {
            match self.fill(taker, out) {
                Met::Nothing => {
                    self.finish(taker, out);
                    return Progress::Done;
                }
                Met::NoRoom => {
                    self.work = Work::Sweep(*taker);
                    return Progress::More;
                }
                Met::Own(slot) => self.prevent(taker, slot, out),
            }
        }
    }

    /// Fills the taker from the best resting orders, one after the other, until something else is to be done.
    fn fill(&mut self, taker: &mut Taker, out: &mut Events) -> Met {
        let Shard { arena: Arena { orders, chains, sessions }, books, firms, trades, .. } = self;
        let resting_side = taker.order.side().opposite();
        let book = &mut books[taker.order.ticker.index()];
        let ladder = &mut book.sides[resting_side.index()];
        while !taker.order.leaves.is_zero() && ladder.best() < taker.walk_end {
            if out.room() < STEP_EVENTS_MAX {
                return Met::NoRoom;
            }
            let slot = ladder.first();
            let resting = &mut orders[slot.index()];
            if is_own(&taker.order, resting, firms) {
                return Met::Own(slot);
            }
            let (rank, shown) = (ladder.best(), resting.is_shown());
            let quantity = taker.order.leaves.min(resting.leaves);
            taker.order.execute(quantity);
            resting.execute(quantity);
            let (match_number, price) = (book.numbers.next_match(), resting.price);
            book.last = price;
            trades.push(Trade::filled(&taker.order, resting, match_number, quantity));
            let event = Event::Filled {
                resting: resting.tag,
                incoming: taker.order.tag,
                reference: resting.reference,
                match_number,
                price,
                quantity,
                resting_leaves: resting.leaves,
                incoming_leaves: taker.order.leaves,
                resting_side,
                displayed: shown,
            };
            out.push(taker.order.ticker, event);
            if resting.leaves.is_zero() {
                let place = Place { rank, shown, open: quantity.0 };
                ladder.leave(chains, &mut sessions[resting.tag.session.index()], place, slot);
            } else {
                ladder.reduce(rank, shown, quantity.0);
            }
        }
        Met::Nothing
    }

    /// What is left rests, or is cancelled with the reason that stopped it.
    #[inline]
    fn finish(&mut self, taker: &mut Taker, out: &mut Events) {
        let order = &taker.order;
        if order.leaves.is_zero() {
            self.end_replaced(taker);
        } else if taker.stays {
            self.rest(taker);
            let event = Event::Rested {
                order: order.tag,
                reference: order.reference,
                side: order.side(),
                display: order.display,
                quantity: order.leaves,
                price: order.price,
            };
            out.push(order.ticker, event);
        } else {
            let more_beyond = !self.books[order.ticker.index()].side(order.side().opposite()).is_empty();
            let collared = order.price.is_market() && more_beyond;
            let reason = if collared { CancelReason::Collar } else { CancelReason::ImmediateRemainder };
            self.drop_rest(taker, reason, out);
        }
    }

    /// Stores what is left of the order and puts it at the end of its queue.
    #[inline]
    pub(super) fn rest(&mut self, taker: &Taker) {
        let (order, slot) = (&taker.order, taker.order.tag.slot);
        let ladder = &mut self.books[order.ticker.index()].sides[order.side().index()];
        let Arena { orders, chains, sessions } = &mut self.arena;
        let entry = &mut orders[slot.index()];
        if taker.replaced {
            *entry = *order;
            ladder.append(chains, order.place(), slot);
        } else {
            assert!(entry.leaves.is_zero(), "slot given twice");
            *entry = *order;
            ladder.enter(chains, &mut sessions[order.tag.session.index()], order.place(), slot);
        }
    }

    /// Cancels what is left of an order that is not in the book.
    fn drop_rest(&mut self, taker: &mut Taker, reason: CancelReason, out: &mut Events) {
        let order = &mut taker.order;
        let quantity = core::mem::take(&mut order.leaves);
        let event = Event::Canceled {
            order: order.tag,
            reference: order.reference,
            side: order.side(),
            price: order.price,
            quantity,
            leaves: Quantity(0),
            reason,
            displayed: false,
        };
        out.push(order.ticker, event);
        self.end_replaced(taker);
    }

    /// A taker that was in the book before and ended without coming back leaves its entry and its session's list.
    fn end_replaced(&mut self, taker: &Taker) {
        if taker.replaced {
            self.arena.end(taker.order.tag.slot);
        }
    }
}
