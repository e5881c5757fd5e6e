//! Changes of phase under way: which tickers, where they go, and what is being done on the way of one. Warm.
//!
//! Who goes on with them is [`super::phases`].

use super::crossing::Cross;
use super::peg_trees::Place;
use super::ticker::Book;
use crate::types::{CancelReason, Command, Passage, Phase, Slot, TickerId};

/// Where the walk's tickers go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// Where the record says.
    Record(Command),
    /// Where their day starts.
    Start,
    /// To the end of the day: no cross, and all orders are gone already.
    End,
}

/// Changes of phase under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhaseWalk {
    /// [`TickerId::ALL`], or the only one.
    pub ticker: TickerId,
    pub goal: Goal,
    pub next: u16,
    pub step: Step,
    pub spoke: bool,
}

/// What is being done on the way of one ticker.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "one value a shard, in place")]
pub(super) enum Step {
    Begin,
    Cross(Cross),
    /// Orders for a cross leave.
    Waiting(CancelReason),
    /// Orders of the day leave, from this one of this ladder on; then pegs, from behind this place of this tree on.
    Day(usize, Slot),
    Pegs(usize, Option<Place>),
    State,
}

impl PhaseWalk {
    const fn of(ticker: TickerId, goal: Goal) -> PhaseWalk {
        PhaseWalk { ticker, goal, next: 0, step: Step::Begin, spoke: false }
    }

    /// Where a record of the venue leads.
    pub fn record(command: &Command) -> PhaseWalk {
        PhaseWalk::of(command.ticker, Goal::Record(*command))
    }

    /// All tickers to the phase in which their day starts.
    pub const START: PhaseWalk = PhaseWalk::of(TickerId::ALL, Goal::Start);

    /// All tickers to the end of the day; `spoke`: something was said of the record already.
    pub const fn end(spoke: bool) -> PhaseWalk {
        PhaseWalk { spoke, ..PhaseWalk::of(TickerId::ALL, Goal::End) }
    }

    pub fn to(&self, book: &Book) -> Phase {
        match &self.goal {
            Goal::Record(command) => book.phase.after(command),
            Goal::Start => book.spec.phase_start,
            Goal::End => Phase::Closed,
        }
    }

    /// The first step of a ticker.
    pub fn begin(&self, book: &Book) -> Step {
        let to = self.to(book);
        match (book.phase.passage(to), self.goal) {
            (Passage::Plain, _) | (_, Goal::End) => self.after_cross(book),
            (Passage::Cross(kind), _) => Step::Cross(Cross::new(kind, false)),
            (Passage::CrossIfCrossed(kind), _) => Step::Cross(Cross::new(kind, true)),
        }
    }

    pub fn after_cross(&self, book: &Book) -> Step {
        let (from, to) = (book.phase, self.to(book));
        if !from.drops_cross_orders(to) {
            return self.after_waiting(book);
        }
        Step::Waiting(match (from.passage(to), from) {
            (Passage::Cross(_) | Passage::CrossIfCrossed(_), _) => CancelReason::Expired,
            (Passage::Plain, Phase::PreOpen) => CancelReason::OpeningHalted,
            (Passage::Plain, _) => CancelReason::Closed,
        })
    }

    pub fn after_waiting(&self, book: &Book) -> Step {
        let closes = self.to(book) == Phase::Closed && book.phase != Phase::Closed;
        if closes { Step::Day(0, first(book, 0)) } else { Step::State }
    }
}

/// The first order of a ladder.
pub(super) fn first(book: &Book, ladder: usize) -> Slot {
    let ladder = &book.sides[ladder];
    if ladder.is_empty() { Slot::NONE } else { ladder.first() }
}
