//! One order and its cancel, for ever: the flow that asks nothing of the book.
//!
//! Orders rest below the market and leave again, session after session in turn, so that what is measured is the way
//! there and back. No allocation.

use super::{FlowAction, FlowStep};
use crate::types::{Price, Quantity, Side, TickerId, TickerSpec};

/// Shares of each order.
const QUANTITY: u32 = 100;
/// How far below the reference an order rests, as one part of it in so many: outside any touch, inside a collar.
const BELOW_PART: u32 = 25;

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Ping {
    ticker: TickerId,
    price: Price,
    quantity: Quantity,
    sessions: u16,
    steps: u64,
}

impl Ping {
    /// On one ticker, over so many sessions in turn (at least one).
    pub fn new(ticker: TickerId, spec: &TickerSpec, sessions: u16) -> Ping {
        let tick = spec.tick.0.max(1);
        let below = spec.reference.0 - spec.reference.0 / BELOW_PART;
        let price = Price((below / tick * tick).max(spec.price_min.0));
        let lot = spec.lot.0.max(1);
        Ping { ticker, price, quantity: Quantity(QUANTITY.div_ceil(lot) * lot), sessions: sessions.max(1), steps: 0 }
    }
}

impl Iterator for Ping {
    type Item = FlowStep;

    #[inline]
    fn next(&mut self) -> Option<FlowStep> {
        let key = self.steps / 2;
        let action = match self.steps % 2 {
            0 => FlowAction::rest(key, Side::Buy, self.quantity, self.price),
            _ => FlowAction::Cancel { key },
        };
        self.steps += 1;
        Some(FlowStep { at_ns: 0, ticker: self.ticker, session: (key % u64::from(self.sessions)) as u16, action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AuctionSpec, Fees, MatcherId, Symbol};

    #[test]
    fn each_order_is_followed_by_its_cancel_and_sessions_take_turns() {
        let spec = TickerSpec {
            symbol: Symbol(*b"AAPL    "),
            tick: Price(100),
            lot: Quantity(1),
            price_min: Price(100),
            price_max: Price(10_000_000),
            reference: Price(5_855_000),
            matcher: MatcherId(0),
            fees: Fees::default(),
            auction: AuctionSpec::default(),
        };
        let steps: Vec<FlowStep> = Ping::new(TickerId(3), &spec, 2).take(6).collect();
        let rest = |key| FlowAction::rest(key, Side::Buy, Quantity(100), Price(5_620_800));
        let cancel = |key| FlowAction::Cancel { key };
        let actions: Vec<FlowAction> = steps.iter().map(|step| step.action).collect();
        assert_eq!(actions, [rest(0), cancel(0), rest(1), cancel(1), rest(2), cancel(2)]);
        assert_eq!(steps.iter().map(|step| step.session).collect::<Vec<_>>(), [0, 0, 1, 1, 0, 0]);
        assert!(steps.iter().all(|step| step.ticker == TickerId(3)));
    }
}
