//! A cross under way: looking for its price, then trading at it. Warm.
//!
//! Who goes on with it is [`super::cross`].

use super::uncross::{Found, Search};
use crate::types::{CrossKind, Liquidity, Price, Slot};

/// A cross under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cross {
    pub kind: CrossKind,
    /// Whether a price with no shares goes without saying.
    pub told: bool,
    /// Whether shares have traded.
    pub printed: bool,
    pub step: Step,
}

#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "one value a shard, in place")]
pub(super) enum Step {
    /// The price is to be looked for.
    Start,
    /// And is being looked for.
    Search(Search),
    /// Orders trade at it.
    Trade(Round),
}

/// Trading at one price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub found: Found,
    pub price: Price,
    pub traded: u64,
    /// By side: where orders for the cross, and where imbalance-only ones, are to be looked for.
    pub waiting: [u32; 2],
    pub leftover: [u32; 2],
}

/// Two standing orders that would trade, the price, and the flags of their reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub older: Slot,
    pub newer: Slot,
    pub price: Price,
    pub flags: [Liquidity; 2],
}

impl Cross {
    /// `quiet`: nothing is told when nothing trades.
    pub fn new(kind: CrossKind, quiet: bool) -> Cross {
        Cross { kind, told: quiet, printed: false, step: Step::Start }
    }
}

/// Whether orders for the next cross take part in it: those that stand during a halt wait for the close.
pub(super) const fn takes_waiting(kind: CrossKind) -> bool {
    match kind {
        CrossKind::Opening | CrossKind::Closing => true,
        CrossKind::Halt => false,
    }
}
