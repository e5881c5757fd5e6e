//! An incoming order meets the book: look ahead, sweep, and what becomes of the rest. Hot.
//!
//! Order of decisions: post-only, least quantity, then one resting order after the other, best price first, displayed
//! before hidden, then time; a trade is at the resting order's price. An own order under the incoming order's self-match
//! rule does not trade; the rule says which of the two gives way.
//!
//! An order that finds nothing to trade with is by far the most frequent, and goes straight into the book.

use super::arena::Arena;
use super::events::{Events, Progress};
use super::marks::{Special, is_plain_day, is_special};
use super::order::{Order, Place};
use super::self_match::is_own;
use super::shard::Shard;
use super::taker::{POST_ONLY_REPRICED, STEP_EVENTS_MAX, Taker, liquidity_of, triggered};
use super::tape::Trade;
use super::ticker::Reach;
use super::work::Work;
use crate::types::{CancelReason, Event, Liquidity, Price, Quantity, Sequenced, Slot, TimeInForce};

/// Why a sweep stopped filling.
enum Met {
    /// Nothing more within the limit, or the taker is filled.
    Nothing,
    /// A full buffer.
    NoRoom,
    /// An own order: the self-match rule applies.
    Own(Slot),
    /// An order that is not plain.
    Special(Slot),
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
        if !straight || crosses || command.is_cross() || !is_plain_day(command) {
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
        let shown = Quantity(quantity.0 * u32::from(display.is_shown()));
        out.push(command.ticker, Event::Rested { order, reference, side, display, quantity, shown, price });
        Progress::Done
    }

    /// A new order that trades, may not stay, or is not plain.
    #[inline(never)]
    fn enter_taker(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot, side) = (&record.command, record.verdict.slot, record.command.side.side());
        if command.is_cross() {
            return self.enter_cross(record, out);
        }
        if is_special(command) || command.post_only == POST_ONLY_REPRICED {
            return self.enter_special(record, out);
        }
        let book = &mut self.books[command.ticker.index()];
        let Reach { price, rank, walk_end, stays, .. } = book.reach(side, record, true);
        let reference = book.numbers.next_reference();
        let (order, quantity) = (Order::tag_of(command, slot), command.quantity);
        out.push(command.ticker, Event::Accepted { order, reference, quantity, price });
        let order = Order { price, ..Order::entered(command, slot, reference, rank) };
        // An order that may rest and has a least quantity is special.
        let immediate = command.time_in_force == TimeInForce::ImmediateOrCancel;
        let least = if immediate { command.min_quantity } else { Quantity(0) };
        let progress = self.take(&mut Taker { order, walk_end, stays, replaced: false }, least, out);
        self.awaken(command.ticker, progress, out)
    }

    /// An accepted order that keeps a reserve or a least quantity, has an expiry, waits for a trade, or steps back.
    #[cold]
    #[inline(never)]
    fn enter_special(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot, side) = (&record.command, record.verdict.slot, record.command.side.side());
        if command.peg().is_some() {
            return self.enter_peg(record, out);
        }
        let best = self.best_of(command.ticker, side.opposite());
        let book = &mut self.books[command.ticker.index()];
        let stop = command.stop_at();
        let mut reach = book.reach(side, record, stop.is_none());
        let steps_back = command.post_only == POST_ONLY_REPRICED && stop.is_none();
        let limit = reach.price;
        let price = if steps_back { book.step_back(side, best, &mut reach, limit) } else { limit };
        let reference = book.numbers.next_reference();
        let mut order = Order { price, ..Order::entered(command, slot, reference, reach.rank) };
        let quantity = command.quantity;
        out.push(command.ticker, Event::Accepted { order: order.tag, reference, quantity, price });
        let immediate = command.time_in_force == TimeInForce::ImmediateOrCancel;
        let mut least = if immediate { command.min_quantity } else { Quantity(0) };
        if is_special(command) {
            self.fit(&mut order, command, record.verdict.limit_price, true);
            self.set_expiry(&mut order, command, record.time);
            least = self.specials.least(&order, immediate);
        }
        let mut taker = Taker { order, walk_end: reach.walk_end, stays: reach.stays, replaced: false };
        if let Some(stop) = stop {
            if !self.books[command.ticker.index()].wakes_at(side, stop) {
                self.sleep(&order, stop, true);
                return Progress::Done;
            }
            out.push(command.ticker, triggered(&order));
            taker = self.taker_of_stop(order, false);
        }
        let progress = self.take(&mut taker, least, out);
        self.awaken(command.ticker, progress, out)
    }

    /// Decides whether the order trades at all, then lets it.
    pub(super) fn take(&mut self, taker: &mut Taker, least: Quantity, out: &mut Events) -> Progress {
        if taker.order.post_only != 0 && self.crosses(taker) {
            self.drop_rest(taker, CancelReason::PostOnly, out);
            return Progress::Done;
        }
        if !least.is_zero() {
            return self.take_at_least(taker, least, out);
        }
        self.trade(taker, out)
    }

    /// Whether the other side has an order within the taker's limit.
    #[inline]
    fn crosses(&self, taker: &Taker) -> bool {
        self.best_of(taker.order.ticker, taker.order.side().opposite()) < taker.walk_end
    }

    /// Trades while there is something within the limit and room to say so, in a book without pegs.
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
                Met::Own(slot) => self.prevent(taker, slot, self.arena.orders[slot.index()].price, out),
                Met::Special(slot) => {
                    if !self.meet(taker, slot, self.arena.orders[slot.index()].price, out) {
                        return self.sweep_past_first(taker, slot, out);
                    }
                }
            }
        }
    }

    /// Fills the taker from the best resting orders, one after the other, until something else is to be done.
    fn fill(&mut self, taker: &mut Taker, out: &mut Events) -> Met {
        let Shard { arena: Arena { orders, chains, sessions }, books, firms, tape, .. } = self;
        let resting_side = taker.order.side().opposite();
        let book = &mut books[taker.order.ticker.index()];
        let ladder = &mut book.sides[resting_side.index()];
        while !taker.order.leaves.is_zero() && ladder.best() < taker.walk_end {
            if out.room() < STEP_EVENTS_MAX {
                return Met::NoRoom;
            }
            let slot = ladder.first();
            let resting = &mut orders[slot.index()];
            if resting.special.needs_care() {
                return Met::Special(slot);
            }
            if is_own(&taker.order, resting, firms) {
                return Met::Own(slot);
            }
            let (rank, shown) = (ladder.best(), resting.is_shown());
            let quantity = taker.order.leaves.min(resting.leaves);
            taker.order.execute(quantity);
            resting.execute(quantity);
            let match_number = book.numbers.next_match();
            let liquidity = if shown { Liquidity::Added } else { Liquidity::AddedHidden };
            tape.push(Trade::filled(&taker.order, resting, match_number, quantity, liquidity));
            let event = Event::Filled {
                resting: resting.tag,
                incoming: taker.order.tag,
                reference: resting.reference,
                match_number,
                price: resting.price,
                quantity,
                resting_leaves: resting.leaves,
                incoming_leaves: taker.order.leaves,
                resting_side,
                displayed: shown,
                liquidity,
            };
            out.push(taker.order.ticker, event);
            book.trades.note(resting.price);
            if resting.leaves.is_zero() {
                let place = Place { rank, shown, open: quantity.0 };
                ladder.leave(chains, &mut sessions[resting.tag.session.index()], place, slot);
            } else {
                ladder.reduce(rank, shown, quantity.0);
            }
        }
        Met::Nothing
    }

    /// One step of a sweep with a resting order that may be of any kind and costs so much; false when it lets the taker go by.
    #[cold]
    #[inline(never)]
    pub(super) fn meet(&mut self, taker: &mut Taker, slot: Slot, price: Price, out: &mut Events) -> bool {
        let resting = self.arena.orders[slot.index()];
        if self.passes_over(&resting, taker.order.leaves) {
            return false;
        }
        if is_own(&taker.order, &resting, &self.firms) {
            self.prevent(taker, slot, price, out);
            return true;
        }
        let quantity = taker.order.leaves.min(resting.leaves);
        taker.order.execute(quantity);
        let book = &mut self.books[taker.order.ticker.index()];
        let open = self.specials.open(&resting);
        let (match_number, liquidity) = (book.numbers.next_match(), liquidity_of(&resting));
        self.tape.push(Trade::filled(&taker.order, &resting, match_number, quantity, liquidity).at(price));
        let event = Event::Filled {
            resting: resting.tag,
            incoming: taker.order.tag,
            reference: resting.reference,
            match_number,
            price,
            quantity,
            resting_leaves: open.less(quantity),
            incoming_leaves: taker.order.leaves,
            resting_side: resting.side(),
            displayed: resting.is_shown(),
            liquidity,
        };
        out.push(taker.order.ticker, event);
        book.trades.note(price);
        self.arena.orders[slot.index()].executed.0 += quantity.0;
        if quantity == open {
            self.take_out(&resting);
        } else if quantity == resting.leaves {
            self.refill(slot, out);
        } else {
            self.arena.orders[slot.index()].leaves = resting.leaves.less(quantity);
            self.reduce_level(&resting, quantity);
        }
        true
    }

    /// The shown part of a reserve order is used up: the next part goes to the end of the queue under a number of its own.
    pub(super) fn refill(&mut self, slot: Slot, out: &mut Events) {
        let Shard { arena: Arena { orders, chains, .. }, specials, books, .. } = self;
        let (order, beside) = (&mut orders[slot.index()], &mut specials.beside[slot.index()]);
        let book = &mut books[order.ticker.index()];
        let ladder = &mut book.sides[order.side().index()];
        ladder.unlink(chains, order.place(), slot);
        let old_reference = order.reference;
        order.leaves = beside.refill(old_reference, book.lot.0);
        ladder.bring_out(order.rank, order.leaves.0);
        beside.reserve = beside.reserve.less(order.leaves);
        beside.refills += 1;
        order.reference = book.numbers.next_reference();
        order.special.set(Special::REFILLED, true);
        ladder.append(chains, order.place(), slot);
        let event = Event::Refreshed {
            order: order.tag,
            old_reference,
            reference: order.reference,
            side: order.side(),
            display: order.display,
            price: order.price,
            quantity: order.leaves,
            reserve: beside.reserve,
        };
        out.push(order.ticker, event);
    }

    /// What is left rests, or is cancelled with the reason that stopped it.
    #[inline]
    pub(super) fn finish(&mut self, taker: &mut Taker, out: &mut Events) {
        let order = &taker.order;
        if order.leaves.is_zero() {
            self.end_taker(taker);
        } else if taker.stays {
            let shown = self.specials.shown_at_rest(order);
            let event = Event::Rested {
                order: order.tag,
                reference: order.reference,
                side: order.side(),
                display: order.display,
                quantity: order.leaves,
                shown,
                price: order.price,
            };
            out.push(order.ticker, event);
            self.rest(taker);
        } else {
            let more_beyond = !self.books[order.ticker.index()].side(order.side().opposite()).is_empty();
            let collared = order.price.is_market() && more_beyond;
            let reason = if collared { CancelReason::Collar } else { CancelReason::ImmediateRemainder };
            self.drop_rest(taker, reason, out);
        }
    }

    /// Stores what is left of the order and puts it at the end of its queue.
    #[inline]
    pub(super) fn rest(&mut self, taker: &mut Taker) {
        if taker.order.special != Special::NONE {
            self.settle_special(&mut taker.order);
        }
        let (order, slot) = (&taker.order, taker.order.tag.slot);
        let ladder = &mut self.books[order.ticker.index()].sides[order.side().index()];
        if order.special.has(Special::RESERVE) {
            ladder.keep_back(order.rank, self.specials.beside[slot.index()].reserve.0);
        }
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
    pub(super) fn drop_rest(&mut self, taker: &mut Taker, reason: CancelReason, out: &mut Events) {
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
            shown: Quantity(0),
        };
        out.push(order.ticker, event);
        self.end_taker(taker);
    }

    /// A taker that ended without coming to rest leaves what it was in before: its entry, its session's list, its expiry.
    fn end_taker(&mut self, taker: &Taker) {
        if taker.order.special.has(Special::TIMED) {
            self.forget_expiry(&taker.order);
        }
        if taker.replaced {
            self.arena.end(taker.order.tag.slot);
        }
    }
}
