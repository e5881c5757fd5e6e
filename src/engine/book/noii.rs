//! What the timer's tick changes and tells in the books: bands move, and imbalances of crosses that build up. Warm.
//!
//! Each ticker costs at most two searches for a price ([`super::uncross`]), taken in bounded turns; one with nothing to
//! tell costs a look.

use super::crossing::takes_waiting;
use super::events::Events;
use super::ticker::Book;
use super::uncross::{Found, Search};
use crate::types::{CrossKind, Event, Price, Side, TickerId};

/// A tick under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct TickWalk {
    pub next: u16,
    pub step: Step,
    pub spoke: bool,
}

#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "one value a shard, in place")]
pub(super) enum Step {
    /// The ticker was not looked at yet.
    Fresh,
    /// The price of book and cross is looked for.
    Near(CrossKind, Search),
    /// Then that of the orders for the cross alone.
    Far(CrossKind, Option<Found>, Search),
}

impl TickWalk {
    /// The whole of it; `spoke`: something was said of the record already.
    pub const fn after(spoke: bool) -> TickWalk {
        TickWalk { next: 0, step: Step::Fresh, spoke }
    }
}

impl Book {
    /// One step of one ticker; [`Step::Fresh`] when it is through.
    pub fn tick_step(&mut self, ticker: TickerId, step: Step, looks: &mut u32, out: &mut Events) -> Step {
        match step {
            Step::Fresh if !self.ours => Step::Fresh,
            Step::Fresh => {
                if self.phase.matches() {
                    self.move_band(ticker, out);
                }
                self.phase
                    .building()
                    .map_or(Step::Fresh, |kind| Step::Near(kind, Search::new(self, true, takes_waiting(kind))))
            }
            Step::Near(kind, mut search) => match search.go(self, self.reference(), looks) {
                None => Step::Near(kind, search),
                Some(near) => Step::Far(kind, near, Search::new(self, false, takes_waiting(kind))),
            },
            Step::Far(kind, near, mut search) => match search.go(self, self.reference(), looks) {
                None => Step::Far(kind, near, search),
                Some(far) => {
                    out.push(ticker, self.imbalance(kind, near, far));
                    Step::Fresh
                }
            },
        }
    }

    fn imbalance(&self, cross: CrossKind, near: Option<Found>, far: Option<Found>) -> Event {
        let price = |found: Option<Found>| found.map_or(Price(0), |found| self.scale.price(Side::Sell, found.tick));
        let (near_price, far) = (price(near), price(far));
        let reference = self.inside(near_price);
        let (paired, imbalance, direction) = match near {
            None => (0, 0, b'O'),
            Some(found) => (found.paired, found.imbalance, found.surplus.map_or(b'N', Side::letter)),
        };
        let variation = variation(near_price, reference);
        Event::Imbalance { cross, paired, imbalance, direction, near: near_price, far, reference, variation }
    }

    /// The price nearest the reference between best bid and offer; where those cross, the price of the cross itself.
    fn inside(&self, near: Price) -> Price {
        let best = |side: Side| {
            let rank = self.side(side).best();
            (rank < self.scale.ticks()).then(|| self.scale.price(side, rank))
        };
        let reference = self.reference();
        match (best(Side::Buy), best(Side::Sell)) {
            (Some(bid), Some(offer)) if bid >= offer => near,
            (Some(bid), Some(offer)) => reference.clamp(bid, offer),
            (Some(bid), None) => reference.max(bid),
            (None, Some(offer)) => reference.min(offer),
            (None, None) => reference,
        }
    }
}

/// How far near lies from reference, as a letter (ITCH 5.0, NOII).
fn variation(near: Price, reference: Price) -> u8 {
    if near == Price(0) || reference == Price(0) {
        return b' ';
    }
    match 100 * u64::from(near.0.abs_diff(reference.0)) / u64::from(reference.0) {
        0 => b'L',
        percent @ 1..=9 => b'0' + percent as u8,
        10..=19 => b'A',
        20..=29 => b'B',
        _ => b'C',
    }
}
