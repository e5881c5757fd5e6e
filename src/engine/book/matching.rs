//! An incoming order meets the book: look ahead, sweep, and what becomes of the rest. Hot.
//!
//! Order of decisions: post-only, least quantity, then one resting order after the other, best price first, displayed
//! before hidden, then time; a trade is at the resting order's price. An own order under the incoming order's self-match
//! rule does not trade; the rule says which of the two gives way.

use super::events::{Events, Progress};
use super::order::Order;
use super::shard::{Shard, Work};
use crate::types::{
    CancelReason, Command, Event, Firm, Liquidity, Price, Quantity, SelfMatchMode, Sequenced, Slot, TimeInForce,
};

/// Most events between two checks for room: two of a prevented trade, and the end of the incoming order.
const STEP_EVENTS_MAX: usize = 3;

/// An incoming order. Its arena entry is written only if it comes to rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub order: Order,
    pub slot: Slot,
    /// First rank of the other side that is too dear.
    pub walk_end: u32,
    /// What does not trade at once rests.
    pub stays: bool,
    /// It was in the book before: its entry and its place in the session's list exist.
    pub replaced: bool,
}

impl Shard {
    /// A new order.
    #[inline]
    pub(super) fn enter(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot) = (&record.command, record.verdict.slot);
        let reference = self.books[command.ticker.index()].numbers.next_reference();
        let order = Order::entered(command, reference);
        let (quantity, price) = (command.quantity, command.price);
        out.push(command.ticker, Event::Accepted { order: order.tag(slot), reference, quantity, price });
        let taker = self.taker(order, slot, command, record.verdict.limit_price, false);
        self.take(taker, command.min_quantity, out)
    }

    /// How far the order may reach, and whether it may stay.
    #[inline]
    pub(super) fn taker(&self, order: Order, slot: Slot, command: &Command, limit: Price, replaced: bool) -> Taker {
        let scale = &self.books[order.ticker.index()].scale;
        let (side, market) = (order.side_code.side(), order.price.is_market());
        let walk_end =
            if market { scale.walk_end_of(side, limit) } else { scale.walk_end(scale.rank(side, order.price)) };
        let stays = !market && command.time_in_force != TimeInForce::ImmediateOrCancel;
        Taker { order, slot, walk_end, stays, replaced }
    }

    /// Whether the other side has an order within the taker's limit.
    #[inline]
    pub(super) fn crosses(&self, taker: &Taker) -> bool {
        let side = taker.order.side_code.side().opposite();
        self.books[taker.order.ticker.index()].side(side).best() < taker.walk_end
    }

    /// Decides whether the order trades at all, then lets it.
    #[inline]
    pub(super) fn take(&mut self, mut taker: Taker, min_quantity: Quantity, out: &mut Events) -> Progress {
        if taker.order.post_only && self.crosses(&taker) {
            self.drop_rest(&mut taker, CancelReason::PostOnly, out);
            return Progress::Done;
        }
        if !min_quantity.is_zero() && self.tradable(&taker, min_quantity) < min_quantity {
            self.drop_rest(&mut taker, CancelReason::ImmediateRemainder, out);
            return Progress::Done;
        }
        self.sweep(taker, out)
    }

    /// Trades while there is something within the limit and room to say so.
    #[inline]
    pub(super) fn sweep(&mut self, mut taker: Taker, out: &mut Events) -> Progress {
        while !taker.order.leaves.is_zero() && self.crosses(&taker) {
            if out.room() < STEP_EVENTS_MAX {
                self.work = Work::Sweep(taker);
                return Progress::More;
            }
            self.meet(&mut taker, out);
        }
        self.finish(taker, out);
        Progress::Done
    }

    /// The best resting order and the taker trade, or one gives way.
    fn meet(&mut self, taker: &mut Taker, out: &mut Events) {
        let book = &mut self.books[taker.order.ticker.index()];
        let resting_side = taker.order.side_code.side().opposite();
        let ladder = &mut book.sides[resting_side.index()];
        let rank = ladder.best();
        let slot = ladder.first(rank);
        let resting = &mut self.arena.orders[slot.index()];
        if is_own(&taker.order, resting, &self.firms) {
            return self.prevent(taker, slot, rank, out);
        }
        let quantity = taker.order.leaves.min(resting.leaves);
        taker.order.execute(quantity);
        resting.execute(quantity);
        let displayed = resting.display.is_shown();
        let event = Event::Filled {
            resting: resting.tag(slot),
            incoming: taker.order.tag(taker.slot),
            reference: resting.reference,
            match_number: book.numbers.next_match(),
            price: resting.price,
            quantity,
            resting_leaves: resting.leaves,
            incoming_leaves: taker.order.leaves,
            resting_side,
            displayed,
        };
        out.push(taker.order.ticker, event);
        if resting.leaves.is_zero() {
            ladder.unlink(&mut self.arena.orders, rank, slot, quantity.0);
            self.arena.free(slot);
        } else {
            ladder.reduce(rank, displayed, quantity.0);
        }
    }

    /// Self-match prevention: what the rule takes off the resting order, then what it takes off the taker.
    #[cold]
    fn prevent(&mut self, taker: &mut Taker, slot: Slot, rank: u32, out: &mut Events) {
        let ticker = taker.order.ticker;
        let ladder = &mut self.books[ticker.index()].sides[taker.order.side_code.side().opposite().index()];
        let resting = &mut self.arena.orders[slot.index()];
        let prevented = taker.order.leaves.min(resting.leaves);
        let (off_resting, off_taker) = match taker.order.self_match.mode {
            SelfMatchMode::CancelNewest => (Quantity(0), taker.order.leaves),
            SelfMatchMode::CancelOldest => (resting.leaves, Quantity(0)),
            SelfMatchMode::CancelBoth => (resting.leaves, taker.order.leaves),
            SelfMatchMode::Decrement => (prevented, prevented),
            SelfMatchMode::Off => unreachable!("without a rule no order is an own order"),
        };
        let execution_price = resting.price;
        if !off_resting.is_zero() {
            resting.remove(off_resting);
            let (ended, displayed) = (resting.leaves.is_zero(), resting.display.is_shown());
            out.push(ticker, self_match(resting, slot, off_resting, prevented, execution_price, &taker.order, true));
            if ended {
                ladder.unlink(&mut self.arena.orders, rank, slot, off_resting.0);
                self.arena.free(slot);
            } else {
                ladder.reduce(rank, displayed, off_resting.0);
            }
        }
        if !off_taker.is_zero() {
            taker.order.remove(off_taker);
            let order = &taker.order;
            out.push(ticker, self_match(order, taker.slot, off_taker, prevented, execution_price, order, false));
        }
    }

    /// What is left rests, or is cancelled with the reason that stopped it.
    #[inline]
    fn finish(&mut self, mut taker: Taker, out: &mut Events) {
        if taker.order.leaves.is_zero() {
            if taker.replaced {
                self.arena.free(taker.slot);
            }
        } else if taker.stays {
            self.rest(&taker);
            let order = &taker.order;
            let event = Event::Rested {
                order: order.tag(taker.slot),
                reference: order.reference,
                side: order.side_code.side(),
                display: order.display,
                quantity: order.leaves,
                price: order.price,
            };
            out.push(order.ticker, event);
        } else {
            let other = taker.order.side_code.side().opposite();
            let more_beyond = !self.books[taker.order.ticker.index()].side(other).is_empty();
            let collared = taker.order.price.is_market() && more_beyond;
            let reason = if collared { CancelReason::Collar } else { CancelReason::ImmediateRemainder };
            self.drop_rest(&mut taker, reason, out);
        }
    }

    /// Stores the order and puts it at the end of its queue.
    #[inline]
    pub(super) fn rest(&mut self, taker: &Taker) {
        let order = &taker.order;
        let book = &mut self.books[order.ticker.index()];
        let side = order.side_code.side();
        let rank = book.scale.rank(side, order.price);
        if taker.replaced {
            self.arena.put_replaced(taker.slot, order);
        } else {
            self.arena.put_new(taker.slot, order);
        }
        book.sides[side.index()].append(&mut self.arena.orders, rank, taker.slot);
    }

    /// Cancels what is left of an order that is not in the book.
    fn drop_rest(&mut self, taker: &mut Taker, reason: CancelReason, out: &mut Events) {
        let order = &mut taker.order;
        let quantity = core::mem::take(&mut order.leaves);
        let event = Event::Canceled {
            order: order.tag(taker.slot),
            reference: order.reference,
            side: order.side_code.side(),
            price: order.price,
            quantity,
            leaves: Quantity(0),
            reason,
            displayed: false,
        };
        out.push(order.ticker, event);
        if taker.replaced {
            self.arena.free(taker.slot);
        }
    }

    /// How many shares a sweep would trade now, counted until `enough`. Plays the sweep through, since an own order may
    /// stop it, shrink it or drop out of it.
    ///
    /// Cost: the levels within the limit; their orders too where a self-match rule or hidden orders make it necessary.
    #[cold]
    fn tradable(&self, taker: &Taker, enough: Quantity) -> Quantity {
        let order = &taker.order;
        let ladder = self.books[order.ticker.index()].side(order.side_code.side().opposite());
        let (mut open, mut traded) = (order.leaves, Quantity(0));
        let mut rank = ladder.best();
        while rank < taker.walk_end {
            let mut slot = ladder.first(rank);
            while slot != Slot::NONE {
                let resting = &self.arena.orders[slot.index()];
                let both = open.min(resting.leaves);
                if !is_own(order, resting, &self.firms) {
                    traded.0 += both.0;
                    open = open.less(both);
                } else {
                    match order.self_match.mode {
                        SelfMatchMode::CancelNewest | SelfMatchMode::CancelBoth => return traded,
                        SelfMatchMode::CancelOldest | SelfMatchMode::Off => {}
                        SelfMatchMode::Decrement => open = open.less(both),
                    }
                }
                if open.is_zero() || traded >= enough {
                    return traded;
                }
                slot = ladder.after(&self.arena.orders, rank, slot);
            }
            rank = ladder.next(rank + 1);
        }
        traded
    }
}

/// Whether the incoming order's rule forbids a trade between the two.
#[inline]
fn is_own(incoming: &Order, resting: &Order, firms: &[Firm]) -> bool {
    let rule = incoming.self_match;
    if rule.mode == SelfMatchMode::Off {
        return false;
    }
    let same_firm = || firms[incoming.account.index()] == firms[resting.account.index()];
    let same_owner = incoming.account == resting.account || (rule.firm_wide != 0 && same_firm());
    let any_group = incoming.self_match_group == [b' '; 2];
    same_owner && (any_group || incoming.self_match_group == resting.self_match_group)
}

/// The event of one of the two orders, after the shares have been taken off it.
fn self_match(
    order: &Order,
    slot: Slot,
    quantity: Quantity,
    prevented: Quantity,
    execution_price: Price,
    incoming: &Order,
    rests: bool,
) -> Event {
    let shown = order.display.is_shown();
    let liquidity = match (rests, shown) {
        (false, _) => Liquidity::Removed,
        (true, true) => Liquidity::Added,
        (true, false) => Liquidity::AddedHidden,
    };
    Event::SelfMatch {
        order: order.tag(slot),
        reference: order.reference,
        side: order.side_code.side(),
        price: order.price,
        quantity,
        leaves: order.leaves,
        prevented,
        execution_price,
        liquidity,
        strategy: incoming.self_match.letter,
        detailed: incoming.self_match.detailed != 0,
        displayed: rests && shown,
    }
}
