//! An incoming order meets a book that has pegs: at each step the better of the ladder's best order and the best peg. Cold.
//!
//! At an equal price the ladder's orders go first, displayed and hidden, then midpoints, primary pegs and market pegs. A trade
//! is at the peg's price of that moment.
//!
//! **One touch for one order.** What the pegs cost is taken once, as the incoming order finds the book, and holds until it is
//! through, over as many turns as that needs. A sweep that takes the touch away would else push the primary pegs off just
//! before their turn, so that they never traded at their own price; and a look ahead could not know what it will find.

use super::events::{Events, Progress};
use super::least::LOOKS_MAX;
use super::peg_trees::{Active, Touch};
use super::shard::Shard;
use super::survey::Past;
use super::taker::{STEP_EVENTS_MAX, Taker};
use super::work::Work;
use crate::types::Slot;

/// Who trades next with an incoming order.
enum Next {
    Nobody,
    Ladder(Slot),
    Peg(Active),
}

impl Shard {
    /// Lets an order trade that passed all its conditions.
    #[inline]
    pub(super) fn trade(&mut self, taker: &mut Taker, out: &mut Events) -> Progress {
        let book = &self.books[taker.order.ticker.index()];
        if book.pegs.count == 0 {
            return self.sweep(taker, out);
        }
        let touch = book.touch(taker.order.side().opposite());
        self.sweep_among(taker, &touch, None, out)
    }

    /// Trades while there is something within the limit and room to say so.
    #[cold]
    #[inline(never)]
    pub(super) fn sweep_among(
        &mut self,
        taker: &mut Taker,
        touch: &Touch,
        mut past: Option<Past>,
        out: &mut Events,
    ) -> Progress {
        for _ in 0..LOOKS_MAX {
            if out.room() < STEP_EVENTS_MAX {
                break;
            }
            match self.next_among(taker, touch, &mut past) {
                Next::Nobody => {
                    self.finish(taker, out);
                    return Progress::Done;
                }
                Next::Ladder(slot) => {
                    let order = self.arena.orders[slot.index()];
                    if !self.meet(taker, slot, order.price, out) {
                        past = Some(Past::behind(&order));
                    }
                }
                Next::Peg(peg) => {
                    let order = self.arena.orders[peg.slot.index()];
                    let met = self.meet(taker, peg.slot, self.price_at(&order, peg.distance), out);
                    debug_assert!(met, "a peg lets nobody go by");
                }
            }
        }
        self.work = Work::SweepAmong(*taker, *touch, past);
        Progress::More
    }

    fn next_among(&self, taker: &Taker, touch: &Touch, past: &mut Option<Past>) -> Next {
        let (ticker, side) = (taker.order.ticker, taker.order.side().opposite());
        if taker.order.leaves.is_zero() {
            return Next::Nobody;
        }
        let book = &self.books[ticker.index()];
        let (ladder, scale) = (book.side(side), &book.scale);
        let slot = match past {
            Some(past) => self.next_past(past, ticker, side, taker.walk_end),
            None if ladder.best() < taker.walk_end => ladder.first(),
            None => Slot::NONE,
        };
        let peg = self.best_peg(ticker, touch).filter(|peg| scale.rank_at(peg.distance) < taker.walk_end);
        match peg {
            None if slot == Slot::NONE => Next::Nobody,
            None => Next::Ladder(slot),
            Some(peg) if slot == Slot::NONE => Next::Peg(peg),
            Some(peg) => {
                let at_ladder = self.arena.orders[slot.index()].rank * scale.tick();
                if at_ladder <= peg.distance { Next::Ladder(slot) } else { Next::Peg(peg) }
            }
        }
    }
}
