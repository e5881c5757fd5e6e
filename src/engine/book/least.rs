//! Least quantities: an incoming order that wants so much or nothing, and resting ones that pass over whoever offers less.
//!
//! **Looking ahead.** An order with a least quantity must know what it would trade before it trades anything. [`Survey`]
//! plays the sweep through without changing a thing, in bounded looks, since orders that do not count (own ones, ones that
//! would be passed over) can be many.
//!
//! **Passing over.** A hidden order may rest with a least quantity. An incoming order that has less left does not trade with
//! it, but with what stands behind it. What the incoming order has left only falls, so whom it passed once it need not ask
//! again: a sweep that met the first of them goes on here, with a place behind the last one passed. The book may stand
//! crossed by such orders; what shows never does, because they are hidden.
//!
//! Cold, all of it: a sweep comes here only when it meets an order that is not plain.

use super::events::{Events, Progress};
use super::marks::Special;
use super::occupancy::NOWHERE;
use super::order::Order;
use super::self_match::is_own;
use super::shard::Shard;
use super::survey::{Past, Survey};
use super::taker::{STEP_EVENTS_MAX, Taker};
use super::work::Work;
use crate::types::{CancelReason, Quantity, SelfMatchMode, Side, Slot, TickerId};

/// Orders looked at in one call: some microseconds when none is in the cache.
pub(super) const LOOKS_MAX: usize = 128;

impl Shard {
    /// Lets an order trade if it would get its least quantity.
    #[cold]
    #[inline(never)]
    pub(super) fn take_at_least(&mut self, taker: &mut Taker, least: Quantity, out: &mut Events) -> Progress {
        let (book, side) = (&self.books[taker.order.ticker.index()], taker.order.side().opposite());
        let touch = (book.pegs.count != 0).then(|| book.touch(side));
        let survey = Survey::new(taker, least, book.side(side), touch);
        self.survey(taker, survey, out)
    }

    /// Goes on looking ahead; when that is through, trades or does not.
    pub(super) fn survey(&mut self, taker: &mut Taker, mut survey: Survey, out: &mut Events) -> Progress {
        for _ in 0..LOOKS_MAX {
            if !self.look(taker, &mut survey) {
                return self.decide(taker, &survey, out);
            }
        }
        self.work = Work::Survey(*taker, survey);
        Progress::More
    }

    fn decide(&mut self, taker: &mut Taker, survey: &Survey, out: &mut Events) -> Progress {
        if survey.traded >= survey.enough {
            return self.trade(taker, out);
        }
        if taker.stays {
            self.finish(taker, out);
        } else {
            self.drop_rest(taker, CancelReason::ImmediateRemainder, out);
        }
        Progress::Done
    }

    /// Looks at one order or goes to the next level; false when all has been seen that matters.
    fn look(&self, taker: &Taker, survey: &mut Survey) -> bool {
        if let Some(peg) = self.peg_before_level(taker, survey) {
            return self.count(&taker.order, &self.arena.orders[peg.index()], survey) && !survey.is_over();
        }
        let ladder = self.books[taker.order.ticker.index()].side(taker.order.side().opposite());
        if survey.rank >= taker.walk_end {
            return false;
        }
        if survey.slot == Slot::NONE {
            survey.take_refills();
            survey.rank = ladder.next(survey.rank + 1);
            survey.slot = if survey.rank == NOWHERE { Slot::NONE } else { ladder.first_at(survey.rank) };
            return !survey.is_over();
        }
        let resting = &self.arena.orders[survey.slot.index()];
        if !resting.is_shown() {
            survey.take_refills();
        }
        if survey.is_over() || !self.count(&taker.order, resting, survey) {
            return false;
        }
        survey.slot = ladder.after(&self.arena, resting);
        !survey.is_over()
    }

    /// The next peg within the limit that is better than the level being looked at.
    fn peg_before_level(&self, taker: &Taker, survey: &mut Survey) -> Option<Slot> {
        let (touch, cursors) = survey.pegs.as_mut()?;
        let (ticker, scale) = (taker.order.ticker, &self.books[taker.order.ticker.index()].scale);
        let peg = self.next_peg(ticker, touch, cursors)?;
        let before = u64::from(peg.distance) < u64::from(survey.rank) * u64::from(scale.tick());
        if !before || scale.rank_at(peg.distance) >= taker.walk_end {
            return None;
        }
        let kind = self.arena.orders[peg.slot.index()].peg.expect("a tree of pegs holds pegs");
        cursors[kind.index()] = Some(self.specials.pegs.place(peg.slot));
        Some(peg.slot)
    }

    /// What the sweep would do with this order; false where it would stop.
    fn count(&self, incoming: &Order, resting: &Order, survey: &mut Survey) -> bool {
        if self.passes_over(resting, survey.open) {
            return true;
        }
        let open = self.specials.open(resting);
        if !is_own(incoming, resting, &self.firms) {
            survey.trade(resting.leaves);
            survey.refills += u64::from(open.less(resting.leaves).0);
            return true;
        }
        match incoming.self_match.mode {
            SelfMatchMode::CancelNewest | SelfMatchMode::CancelBoth => return false,
            SelfMatchMode::CancelOldest | SelfMatchMode::Off => {}
            SelfMatchMode::Decrement => survey.open = survey.open.less(survey.open.min(open)),
        }
        true
    }

    /// Whether a resting order lets one with `offered` shares left go by.
    pub(super) fn passes_over(&self, resting: &Order, offered: Quantity) -> bool {
        let has_minimum = resting.special.has(Special::MINIMUM);
        has_minimum && offered < self.specials.beside[resting.tag.slot.index()].minimum.min(resting.leaves)
    }

    /// A sweep that has just passed over its first order.
    pub(super) fn sweep_past_first(&mut self, taker: &mut Taker, skipped: Slot, out: &mut Events) -> Progress {
        let past = Past::behind(&self.arena.orders[skipped.index()]);
        self.sweep_past(taker, past, out)
    }

    /// Trades behind orders that were passed over.
    #[cold]
    #[inline(never)]
    pub(super) fn sweep_past(&mut self, taker: &mut Taker, mut past: Past, out: &mut Events) -> Progress {
        for _ in 0..LOOKS_MAX {
            if out.room() < STEP_EVENTS_MAX {
                break;
            }
            let (ticker, side) = (taker.order.ticker, taker.order.side().opposite());
            let over = taker.order.leaves.is_zero();
            let next = if over { Slot::NONE } else { self.next_past(&mut past, ticker, side, taker.walk_end) };
            if next == Slot::NONE {
                self.finish(taker, out);
                return Progress::Done;
            }
            let order = self.arena.orders[next.index()];
            if !self.meet(taker, next, order.price, out) {
                past = Past::behind(&order);
            }
        }
        self.work = Work::SweepPast(*taker, past);
        Progress::More
    }

    /// The next order of a side before a rank that was not passed over.
    pub(super) fn next_past(&self, past: &mut Past, ticker: TickerId, side: Side, walk_end: u32) -> Slot {
        let ladder = self.books[ticker.index()].side(side);
        let next = ladder.first_past(&self.arena, past.rank, past.skipped);
        if next != Slot::NONE {
            return next;
        }
        let rank = ladder.next(past.rank + 1);
        if rank >= walk_end {
            return Slot::NONE;
        }
        *past = Past { rank, skipped: Slot::NONE };
        ladder.first_at(rank)
    }
}
