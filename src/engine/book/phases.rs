//! From one phase to the next: the cross on the way, the orders whose time is over, then the state. Warm.
//!
//! One walk serves all records that change phases, ticker by ticker: the operator's and the calendar's, halts, the start
//! and the end of the day. Every step is taken in bounded turns, since a cross or a close may concern every order there is.

use super::events::{Events, Progress};
use super::marks::Special;
use super::occupancy::NOWHERE;
use super::order::FOR_CROSS;
use super::passage::{PhaseWalk, Step, first};
use super::peg_trees::{PEG_TREES, Place};
use super::shard::{Shard, nothing};
use super::uncross::LEVELS_A_TURN_MAX;
use super::work::Work;
use crate::types::{CancelReason, Event, Phase, Slot, TickerId};

/// Looks of one turn: levels in a search, trades, orders or tickers.
const LOOKS_MAX: u32 = LEVELS_A_TURN_MAX;
/// Room that a step may need.
const STEP_EVENTS_MAX: usize = 3;

impl Shard {
    /// Goes on with the walk as far as this turn reaches.
    #[cold]
    pub(super) fn phases(&mut self, mut walk: PhaseWalk, out: &mut Events) -> Progress {
        let mut looks = LOOKS_MAX;
        while let Some(book) = self.books.get(walk.next as usize) {
            let ticker = TickerId(walk.next);
            if !book.ours || !(walk.ticker == TickerId::ALL || walk.ticker == ticker) {
                walk.next += 1;
                continue;
            }
            if out.room() < STEP_EVENTS_MAX || looks == 0 {
                self.work = Work::Phases(walk);
                return Progress::More;
            }
            looks -= 1;
            walk = self.phase_step(ticker, walk, &mut looks, out);
            // A ticker is through: stops that its cross reached wake before the next one is looked at.
            if matches!(walk.step, Step::Begin) {
                self.after = Some(walk);
                if self.awaken(ticker, Progress::Done, out) == Progress::More {
                    return Progress::More;
                }
                self.after = None;
            }
        }
        if walk.spoke { Progress::Done } else { nothing(walk.ticker, out) }
    }

    /// One step of one ticker.
    fn phase_step(&mut self, ticker: TickerId, mut walk: PhaseWalk, looks: &mut u32, out: &mut Events) -> PhaseWalk {
        let book = &self.books[ticker.index()];
        walk.step = match walk.step {
            Step::Begin => walk.begin(book),
            Step::Cross(mut cross) => {
                if self.cross(ticker, &mut cross, looks, out) {
                    walk.after_cross(&self.books[ticker.index()])
                } else {
                    Step::Cross(cross)
                }
            }
            Step::Waiting(reason) => {
                let ladders = &book.sides[usize::from(FOR_CROSS)..];
                match ladders.iter().find(|ladder| !ladder.is_empty()).map(|ladder| ladder.first()) {
                    Some(slot) => {
                        self.cancel_whole(slot, reason, out);
                        walk.step
                    }
                    None => walk.after_waiting(book),
                }
            }
            Step::Day(ladder, slot) => self.day_step(ticker, ladder, slot, out),
            Step::Pegs(tree, place) => self.pegs_step(ticker, tree, place, out),
            Step::State => {
                self.enter_phase(ticker, walk.to(book), out);
                (walk.next, walk.spoke) = (walk.next + 1, true);
                Step::Begin
            }
        };
        walk
    }

    /// The close looks at one order of the book: those of the day leave.
    fn day_step(&mut self, ticker: TickerId, ladder: usize, slot: Slot, out: &mut Events) -> Step {
        let book = &self.books[ticker.index()];
        if slot == Slot::NONE {
            return if ladder == 0 { Step::Day(1, first(book, 1)) } else { Step::Pegs(0, None) };
        }
        let order = &self.arena.orders[slot.index()];
        let mut after = book.sides[ladder].after(&self.arena, order);
        if after == Slot::NONE {
            let rank = book.sides[ladder].next(order.rank + 1);
            after = if rank == NOWHERE { Slot::NONE } else { book.sides[ladder].first_at(rank) };
        }
        self.end_day_of(slot, out);
        Step::Day(ladder, after)
    }

    /// The close looks at one peg.
    fn pegs_step(&mut self, ticker: TickerId, tree: usize, place: Option<Place>, out: &mut Events) -> Step {
        if let Some(slot) = self.peg_after(ticker, tree, place) {
            let place = self.specials.pegs.place(slot);
            self.end_day_of(slot, out);
            return Step::Pegs(tree, Some(place));
        }
        if tree + 1 == PEG_TREES { Step::State } else { Step::Pegs(tree + 1, None) }
    }

    /// An order of the day leaves. Those with an end of their own, or with none, stay.
    fn end_day_of(&mut self, slot: Slot, out: &mut Events) {
        let marks = self.arena.orders[slot.index()].special;
        if !marks.has(Special::KEPT) && !marks.has(Special::TIMED) {
            self.cancel_whole(slot, CancelReason::Expired, out);
        }
    }

    fn enter_phase(&mut self, ticker: TickerId, to: Phase, out: &mut Events) {
        let book = &mut self.books[ticker.index()];
        let opens = to.matches() && !book.phase.matches();
        book.phase = to;
        book.settle();
        out.push(ticker, Event::State { state: to.trading_state() });
        if opens {
            book.center_band(ticker, out);
        } else if !to.matches() && book.band.limit {
            book.leave_limit(ticker, out);
        }
    }
}
