//! What an order that is not plain has beside its cache line, in a table by slot.
//!
//! A reserve order keeps what it does not show here, a hidden order with a least quantity that quantity, a sleeping market
//! order how far it may reach, a peg its offset: what is meant is told by the marks in its line ([`super::marks`]). When an order expires and where a stop wakes stand in the keys of the trees they wait in
//! ([`super::waiting`]). Warm; [`BESIDE_BYTES`] a slot, taken and written at start.

use super::marks::Special;
use super::order::Order;
use super::peg_trees::PegNodes;
use super::waiting::Nodes;
use crate::types::{OrderReference, Price, Quantity};
use core::hint::black_box;

/// Bytes of an entry.
const BESIDE_BYTES: usize = 28;

/// An entry of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Beside {
    /// Shares of a reserve order that rests and does not show them.
    pub reserve: Quantity,
    /// Shares to show at a time; 0 shows all.
    pub floor: Quantity,
    /// Shares by which a refill may differ from the floor.
    pub random: Quantity,
    /// Refills so far.
    pub refills: u32,
    /// Least quantity of a trade, 0 for any.
    pub minimum: Quantity,
    /// How far a market order may reach when it wakes; what a peg may cost.
    pub limit: Price,
    /// By how much a peg is better than what it follows, in 1/10,000.
    pub offset: i32,
}

const _: () = assert!(size_of::<Beside>() == BESIDE_BYTES);

impl Beside {
    pub const NOTHING: Beside = Beside {
        reserve: Quantity(0),
        floor: Quantity(0),
        random: Quantity(0),
        refills: 0,
        minimum: Quantity(0),
        limit: Price(0),
        offset: 0,
    };

    /// Shares that the next refill shows: the floor give or take the random part, in whole lots. Drawn from the number of
    /// the part before and the count of refills: replay must show the same, and an onlooker, who does not know what the
    /// order asked for, learns nothing from numbers that everybody gets.
    pub fn refill(&self, reference: OrderReference, lot: u32) -> Quantity {
        let lots = self.random.0 / lot;
        let drawn = mix(reference.0 ^ u64::from(self.refills) << 48) % (2 * u64::from(lots) + 1);
        let size = self.floor.0.saturating_sub(lots * lot) + drawn as u32 * lot;
        // Never nothing: an order that shows nothing would be refilled for ever.
        Quantity(size.max(1).min(self.reserve.0))
    }
}

/// Spreads each bit over the whole word.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// The tables by slot of a shard's orders that are not plain.
#[derive(Clone, Debug)]
pub(super) struct Specials {
    pub beside: Box<[Beside]>,
    /// Places in the trees of sleeping stops, and in the tree of expiries: a stop may have both.
    pub stops: Nodes,
    pub expiries: Nodes,
    pub pegs: PegNodes,
}

impl Specials {
    pub fn new(orders_max: u32) -> Specials {
        Specials {
            beside: (0..orders_max).map(|_| black_box(Beside::NOTHING)).collect(),
            stops: Nodes::new(orders_max),
            expiries: Nodes::new(orders_max),
            pegs: PegNodes::new(orders_max),
        }
    }

    /// Open shares, those of the reserve too.
    #[inline]
    pub fn open(&self, order: &Order) -> Quantity {
        if order.special.has(Special::RESERVE) {
            return Quantity(order.leaves.0 + self.beside[order.tag.slot.index()].reserve.0);
        }
        order.leaves
    }

    /// Shares that the order will show when it comes to rest with all it has.
    pub fn shown_at_rest(&self, order: &Order) -> Quantity {
        if !order.is_shown() {
            return Quantity(0);
        }
        match order.special.has(Special::TERMS).then(|| self.beside[order.tag.slot.index()].floor) {
            Some(floor) if !floor.is_zero() => floor.min(order.leaves),
            Some(_) | None => order.leaves,
        }
    }

    /// The least that an incoming order takes as its first step; 0 for any. Displayed orders that may rest have none.
    pub fn least(&self, order: &Order, immediate: bool) -> Quantity {
        if !order.special.has(Special::TERMS) || (order.is_shown() && !immediate) {
            return Quantity(0);
        }
        let minimum = self.beside[order.tag.slot.index()].minimum;
        // What is too large for what is left asks for all that is left; of an immediate order it asks for the impossible.
        if immediate { minimum } else { minimum.min(order.leaves) }
    }
}
