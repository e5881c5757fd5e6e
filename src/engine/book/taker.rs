//! An incoming order on its way through the book, and what reports say of it and of whom it meets. Hot.

use super::marks::Special;
use super::order::Order;
use super::scale::Rank;
use crate::types::{Event, Liquidity, Peg};

/// A post-only order that steps back instead of leaving, as a command says it.
pub(super) const POST_ONLY_REPRICED: u8 = 2;

/// Most events between two checks for room: two of a prevented trade, or a fill and a refill, and the end of the incoming
/// order.
pub(super) const STEP_EVENTS_MAX: usize = 3;

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

/// Flag of a resting order's report.
pub(super) fn liquidity_of(resting: &Order) -> Liquidity {
    if resting.peg == Some(Peg::Midpoint) {
        return Liquidity::AddedMidpoint;
    }
    match (resting.is_shown(), resting.special.has(Special::REFILLED)) {
        (true, true) => Liquidity::AddedReserve,
        (true, false) => Liquidity::Added,
        (false, _) => Liquidity::AddedHidden,
    }
}

/// The word of a stop that wakes.
pub(super) fn triggered(order: &Order) -> Event {
    Event::Triggered {
        order: order.tag,
        reference: order.reference,
        side: order.side(),
        price: order.price,
        quantity: order.leaves,
    }
}
