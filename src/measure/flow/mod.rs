//! Order flow in one shape, whatever it comes from: a recorded book, an ITCH file, or the seeded generator.
//!
//! A flow is an iterator of [`FlowStep`]s: small `Copy` values that say what a client would have sent, and when,
//! counted from the flow's start. Orders carry the flow's own keys; the player turns them into user references.
//! Files are read and turned into steps before the load starts (cold); the generator makes steps while it runs
//! (no allocation, no system call). Pacing is a layer of its own: see [`Paced`].

pub mod calibration;
pub mod generator;
pub mod itch;
mod ladder;
pub mod lobster;
pub mod ping;
pub mod random;

use crate::types::{Display, Price, Quantity, Side, SideCode, TickerId, TimeInForce};

/// One thing a client sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowStep {
    /// When it is meant to be sent, in ns from the start of the flow. Never goes back.
    pub at_ns: u64,
    /// Which ticker.
    pub ticker: TickerId,
    /// Which of the player's sessions sends it: an index.
    pub session: u16,
    /// What is sent.
    pub action: FlowAction,
}

/// What a step does. Keys name orders across all sessions of a flow; a key is entered at most once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowAction {
    /// New order.
    Enter {
        /// The flow's name for it.
        key: u64,
        /// Side as a client names it.
        side: SideCode,
        /// Shares.
        quantity: Quantity,
        /// Limit price.
        price: Price,
        /// How long it stays.
        time_in_force: TimeInForce,
        /// Whether it shows.
        display: Display,
        /// Whether it must not take.
        post_only: bool,
        /// Least quantity of a first execution, 0 for none.
        min_quantity: Quantity,
    },
    /// New price and open size for an order; it loses its place.
    Replace {
        /// The order meant.
        key: u64,
        /// Its name from now on.
        new_key: u64,
        /// Open shares wanted. The player adds what was executed, because the protocol counts the whole chain.
        quantity: Quantity,
        /// Limit price.
        price: Price,
    },
    /// Fewer shares; the order keeps its place.
    Reduce {
        /// The order meant.
        key: u64,
        /// Shares to take off.
        by: Quantity,
    },
    /// The order goes.
    Cancel {
        /// The order meant.
        key: u64,
    },
}

impl FlowAction {
    /// A displayed day order.
    pub const fn rest(key: u64, side: Side, quantity: Quantity, price: Price) -> FlowAction {
        FlowAction::Enter {
            key,
            side: code(side),
            quantity,
            price,
            time_in_force: TimeInForce::Day,
            display: Display::Anonymous,
            post_only: false,
            min_quantity: Quantity(0),
        }
    }

    /// A day order that does not show.
    pub const fn hide(key: u64, side: Side, quantity: Quantity, price: Price) -> FlowAction {
        FlowAction::Enter {
            key,
            side: code(side),
            quantity,
            price,
            time_in_force: TimeInForce::Day,
            display: Display::Hidden,
            post_only: false,
            min_quantity: Quantity(0),
        }
    }

    /// An immediate order: what it cannot trade at once is cancelled.
    pub const fn take(key: u64, side: Side, quantity: Quantity, price: Price) -> FlowAction {
        FlowAction::Enter {
            key,
            side: code(side),
            quantity,
            price,
            time_in_force: TimeInForce::ImmediateOrCancel,
            display: Display::Anonymous,
            post_only: false,
            min_quantity: Quantity(0),
        }
    }

    /// The order it enters, changes or ends.
    pub const fn key(&self) -> u64 {
        match *self {
            FlowAction::Enter { key, .. }
            | FlowAction::Replace { key, .. }
            | FlowAction::Reduce { key, .. }
            | FlowAction::Cancel { key } => key,
        }
    }
}

/// The plain letter of a side.
pub const fn code(side: Side) -> SideCode {
    match side {
        Side::Buy => SideCode::Buy,
        Side::Sell => SideCode::Sell,
    }
}

/// When the steps of a flow are meant to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As the flow says.
    AsGiven,
    /// The flow's own gaps, stretched or shrunk so that the mean gap becomes that of `per_second`: the bursts stay.
    Scaled {
        /// Mean gap of the flow as given, in ns.
        mean_gap_ns: u64,
        /// Steps a second on average.
        per_second: u64,
    },
    /// One step every 1/`per_second`.
    Even {
        /// Steps a second.
        per_second: u64,
    },
    /// `size` steps at once, then a pause that keeps the average.
    Bursts {
        /// Steps a burst.
        size: u64,
        /// Steps a second on average.
        per_second: u64,
    },
}

impl Pace {
    /// Its own gaps at a given average, for a flow already read. A flow without a span (one instant) plays evenly.
    pub fn scaled(steps: &[FlowStep], per_second: u64) -> Pace {
        let gaps = steps.len().saturating_sub(1) as u64;
        let span = steps.last().map_or(0, |last| last.at_ns - steps[0].at_ns);
        match span.checked_div(gaps) {
            None | Some(0) => Pace::Even { per_second },
            Some(mean_gap_ns) => Pace::Scaled { mean_gap_ns, per_second },
        }
    }
}

/// A flow with its send times set by a [`Pace`]. The order of steps never changes.
#[derive(Clone, Debug)]
pub struct Paced<I> {
    steps: I,
    pace: Pace,
    count: u64,
}

impl<I: Iterator<Item = FlowStep>> Paced<I> {
    /// Sets the send times of `steps`. A rate of 0 is taken as 1.
    pub fn new(steps: I, pace: Pace) -> Paced<I> {
        Paced { steps, pace, count: 0 }
    }
}

/// Ns from the start to step `index` (from 0) at an even rate. 128 bits inside: no rounding adds up, none overflows.
pub(super) const fn even_at(index: u64, per_second: u64) -> u64 {
    let rate = if per_second == 0 { 1 } else { per_second };
    (index as u128 * 1_000_000_000 / rate as u128) as u64
}

impl<I: Iterator<Item = FlowStep>> Iterator for Paced<I> {
    type Item = FlowStep;

    #[inline]
    fn next(&mut self) -> Option<FlowStep> {
        let mut step = self.steps.next()?;
        let index = self.count;
        self.count += 1;
        step.at_ns = match self.pace {
            Pace::AsGiven => step.at_ns,
            Pace::Scaled { mean_gap_ns, per_second } => {
                let per_flow_second = u128::from(mean_gap_ns.max(1)) * u128::from(per_second.max(1));
                (u128::from(step.at_ns) * 1_000_000_000 / per_flow_second) as u64
            }
            Pace::Even { per_second } => even_at(index, per_second),
            Pace::Bursts { size, per_second } => even_at(index - index % size.max(1), per_second),
        };
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(times: &[u64]) -> Vec<FlowStep> {
        let action = FlowAction::Cancel { key: 1 };
        times.iter().map(|&at_ns| FlowStep { at_ns, ticker: TickerId(0), session: 0, action }).collect()
    }

    fn times(of: &[u64], pace: Pace) -> Vec<u64> {
        Paced::new(steps(of).into_iter(), pace).map(|s| s.at_ns).collect()
    }

    #[test]
    fn even_pace_puts_steps_a_fixed_time_apart() {
        assert_eq!(times(&[7, 7, 9], Pace::Even { per_second: 1_000_000 }), [0, 1_000, 2_000]);
    }

    #[test]
    fn bursts_keep_the_average() {
        let pace = Pace::Bursts { size: 2, per_second: 1_000 };
        assert_eq!(times(&[0; 5], pace), [0, 0, 2_000_000, 2_000_000, 4_000_000]);
    }

    #[test]
    fn scaled_pace_keeps_the_shape() {
        let recorded = steps(&[0, 0, 30_000]);
        let pace = Pace::scaled(&recorded, 100_000);
        assert_eq!(times(&[0, 0, 30_000], pace), [0, 0, 20_000], "two gaps, 10 us on average");
        assert_eq!(Pace::scaled(&steps(&[5, 5]), 10), Pace::Even { per_second: 10 }, "no span");
    }

    #[test]
    fn a_rate_of_nothing_does_not_divide_by_it() {
        assert_eq!(times(&[0, 1], Pace::Even { per_second: 0 }), [0, 1_000_000_000]);
        assert_eq!(times(&[0, 1], Pace::Scaled { mean_gap_ns: 0, per_second: 0 }), [0, 1_000_000_000]);
    }
}
