//! Price bands: what moves them, and when orders press against them. Cold; what orders read of it is [`super::reaches`].
//!
//! Two bands bound the prices that trade: the dynamic one around the last trade as of the last tick of the timer or the
//! last cross, the static one around the last cross (before it the reference of the configuration). The narrower bound
//! of each side holds. A limit beyond it is taken at the bound; orders that rest at the bound with nothing to trade
//! against are the *limit state*, in which the bounds stay. Bounds and limit state change only by tick and cross, so that
//! plain orders pay one comparison with a number that stands ready.
//!
//! A resting order that a moved band leaves outside keeps its price: it was inside when it came.

use super::events::Events;
use super::reaches::{Band, Reaches};
use super::ticker::Book;
use crate::types::{Event, Price, Side, TickerId};

impl Book {
    /// Makes what orders read follow phase, bounds and pegs.
    pub fn settle(&mut self) {
        self.reaches = Reaches::new(&self.scale, self.band, self.phase.matches(), self.pegs.count != 0);
    }

    /// At a tick: bounds against which orders press stay, and that is the limit state; others move. A band that followed
    /// the trades at its own bound would never hold a price up: each tick would let it go further.
    pub fn move_band(&mut self, ticker: TickerId, out: &mut Events) {
        if self.band != Band::NONE && self.is_pressed(self.band) {
            self.tell_band(ticker, Band { limit: true, ..self.band }, out);
        } else {
            self.center_band(ticker, out);
        }
    }

    /// Moves the bounds to where the last trade and the last cross put them, looks whether orders press against one, and
    /// tells what changed.
    pub fn center_band(&mut self, ticker: TickerId, out: &mut Events) {
        if self.spec.band_dynamic == 0 && self.spec.band_static == 0 {
            return;
        }
        let band = self.bounds();
        self.tell_band(ticker, Band { limit: self.is_pressed(band), ..band }, out);
    }

    fn tell_band(&mut self, ticker: TickerId, band: Band, out: &mut Events) {
        if band != self.band {
            self.band = band;
            self.settle();
            out.push(ticker, Event::Band { lower: band.lower, upper: band.upper, limit: band.limit });
        }
    }

    /// Whether the ticker matches and orders stand at a bound, or beyond it, with nothing to trade against.
    fn is_pressed(&self, band: Band) -> bool {
        let best = |side: Side| self.side(side).best();
        let (bid, offer) = (self.scale.rank(Side::Buy, band.upper), self.scale.rank(Side::Sell, band.lower));
        self.phase.matches() && (best(Side::Buy) <= bid || best(Side::Sell) <= offer)
    }

    /// Nothing presses against a bound any more: the ticker does not match.
    pub fn leave_limit(&mut self, ticker: TickerId, out: &mut Events) {
        self.band.limit = false;
        out.push(ticker, Event::Band { lower: self.band.lower, upper: self.band.upper, limit: false });
    }

    /// The narrower bound of each side, on the tick.
    fn bounds(&self) -> Band {
        let around = |reference: Price, width: u32| {
            let (at, (low, high)) = (u64::from(reference.0), self.scale.ends());
            let reach = if width == 0 { u64::from(u32::MAX) } else { at * u64::from(width) / 10_000 };
            let (lower, upper) = (self.scale.around(at.saturating_sub(reach)).1, self.scale.around(at + reach).0);
            (lower.clamp(low, high), upper.clamp(low, high))
        };
        let (lower, upper) = around(self.reference(), self.spec.band_dynamic);
        let (lower_static, upper_static) = around(self.static_reference, self.spec.band_static);
        let (narrow_lower, narrow_upper) = (lower.max(lower_static), upper.min(upper_static));
        // Two bands that do not meet leave no price: then the dynamic one holds.
        if narrow_lower <= narrow_upper {
            return Band { lower: narrow_lower, upper: narrow_upper, limit: false };
        }
        Band { lower: lower.min(upper), upper, limit: false }
    }
}
