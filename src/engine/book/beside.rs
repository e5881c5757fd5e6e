//! What an order that is not plain has beside its cache line: marks in the line itself, and the rest in a table by slot.
//!
//! The frequent paths ask one byte of the order, [`Special`], and leave through a cold call when it says so. A reserve order
//! keeps what it does not show here, a hidden order with a least quantity that quantity, a sleeping market order how far it
//! may reach, a peg its offset. When an order expires and where a stop wakes stand in the keys of the trees they wait in
//! ([`super::waiting`]). Warm; [`BESIDE_BYTES`] a slot, taken and written at start.

use super::arena::Arena;
use super::order::Order;
use super::peg_trees::PegNodes;
use super::shard::Shard;
use super::waiting::Nodes;
use crate::types::{Command, OrderReference, Price, Quantity, TimeInForce};
use core::hint::black_box;

/// Most floors of a reserve order: the checks before it refuse more in a new order.
const FLOORS_MAX: u32 = 1_000;

/// Option tags that make a new order special: least quantity, floor, price type, random refills, good till cancel, stop price.
const TAGS_SPECIAL: u32 =
    1 << TAG_MIN_QUANTITY | 1 << TAG_FLOOR | 1 << TAG_PEG | 1 << TAG_RANDOM | 1 << TAG_KEPT | 1 << TAG_STOP;
/// Tags 129 and 128 of the wire stand in these bits of [`Command::tags`].
pub(super) const TAG_KEPT: u8 = 0;
pub(super) const TAG_STOP: u8 = 31;
pub(super) const TAG_MIN_QUANTITY: u8 = 3;
const TAG_FLOOR: u8 = 5;
const TAG_PEG: u8 = 6;
const TAG_OFFSET: u8 = 7;
const TAG_RANDOM: u8 = 13;

/// Whether the request says more than a plain order's does.
#[inline(always)]
pub(super) fn is_special(command: &Command) -> bool {
    let waits = !matches!(command.time_in_force, TimeInForce::Day | TimeInForce::ImmediateOrCancel);
    waits | (command.tags & TAGS_SPECIAL != 0)
}

/// Whether it is a day order's and says no more than a plain order's does: the frequent case, in two comparisons.
#[inline(always)]
pub(super) fn is_plain_day(command: &Command) -> bool {
    (command.time_in_force == TimeInForce::Day) & (command.tags & TAGS_SPECIAL == 0)
}

/// Marks of an order. None of them: a plain order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct Special(pub u8);

impl Special {
    pub const NONE: Special = Special(0);
    /// It shows a part; `leaves` in its line are that part.
    pub const RESERVE: Special = Special(1);
    /// It rests, and trades only with an order that gives at least its minimum.
    pub const MINIMUM: Special = Special(1 << 1);
    /// In no level: a stop that has not woken, or a peg.
    pub const ASIDE: Special = Special(1 << 2);
    /// It waits for its expiry.
    pub const TIMED: Special = Special(1 << 3);
    /// Its entry in the table means something.
    pub const TERMS: Special = Special(1 << 4);
    /// It outlives the day.
    pub const KEPT: Special = Special(1 << 5);
    /// The part it shows came from its reserve.
    pub const REFILLED: Special = Special(1 << 6);
    /// A sleeping stop that will not rest.
    pub const IMMEDIATE: Special = Special(1 << 7);

    /// What a fill or a cancel must ask about.
    const CARE: u8 = Special::RESERVE.0 | Special::MINIMUM.0 | Special::ASIDE.0 | Special::TIMED.0;

    #[inline(always)]
    pub fn needs_care(self) -> bool {
        self.0 & Special::CARE != 0
    }

    #[inline(always)]
    pub fn has(self, mark: Special) -> bool {
        self.0 & mark.0 != 0
    }

    pub fn set(&mut self, mark: Special, on: bool) {
        self.0 = if on { self.0 | mark.0 } else { self.0 & !mark.0 };
    }
}

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
    const NOTHING: Beside = Beside {
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

impl Order {
    /// Shares that show in the book now.
    #[inline]
    pub fn shown_open(&self) -> Quantity {
        if self.special.has(Special::ASIDE) { Quantity(0) } else { self.shown_plain() }
    }
}

impl Shard {
    /// Takes from a request what a special order keeps: what is not named stays as it is, or is nothing when `fresh`.
    pub(super) fn fit(&mut self, order: &mut Order, command: &Command, limit: Price, fresh: bool) {
        let lot = self.books[order.ticker.index()].lot;
        let beside = &mut self.specials.beside[order.tag.slot.index()];
        if fresh || !order.special.has(Special::TERMS) {
            *beside = Beside::NOTHING;
        }
        let immediate = command.time_in_force == TimeInForce::ImmediateOrCancel;
        if command.has_tag(TAG_FLOOR) {
            beside.floor = command.max_floor;
        }
        if command.has_tag(TAG_RANDOM) {
            beside.random = Quantity(command.random_reserve);
        }
        if command.has_tag(TAG_MIN_QUANTITY) || immediate {
            beside.minimum = command.min_quantity;
        }
        // A kind named without an offset has none.
        if command.has_tag(TAG_PEG) || command.has_tag(TAG_OFFSET) {
            beside.offset = command.peg_offset;
        }
        // However a Replace grows the order, it is shown in a bounded number of parts.
        if !beside.floor.is_zero() {
            beside.floor.0 = beside.floor.0.max(order.leaves.0.div_ceil(FLOORS_MAX).next_multiple_of(lot.0));
        }
        (beside.limit, beside.reserve, beside.refills) = (limit, Quantity(0), 0);
        let kept = match command.time_in_force {
            TimeInForce::GoodTillCancel => true,
            // The tag says no longer; without it a day order of the wire stays what it was.
            TimeInForce::Day => !command.has_tag(TAG_KEPT) && order.special.has(Special::KEPT),
            TimeInForce::ImmediateOrCancel | TimeInForce::GoodTillTime => false,
            TimeInForce::ExtendedHours | TimeInForce::AfterHours => false,
        };
        order.special.set(Special::KEPT, kept);
        order.special.set(Special::TERMS, true);
        order.special.set(Special::IMMEDIATE, immediate);
        order.special.set(Special::RESERVE, false);
        order.special.set(Special::MINIMUM, false);
        order.special.set(Special::REFILLED, false);
        order.special.set(Special::ASIDE, false);
    }

    /// Splits an order that comes to rest into what it shows and what it keeps back, and marks a least quantity.
    #[cold]
    pub(super) fn settle_special(&mut self, order: &mut Order) {
        let shown = self.specials.shown_at_rest(order);
        let beside = &mut self.specials.beside[order.tag.slot.index()];
        let has_terms = order.special.has(Special::TERMS);
        order.special.set(Special::MINIMUM, has_terms && !order.is_shown() && !beside.minimum.is_zero());
        let splits = has_terms && order.is_shown() && shown < order.leaves;
        order.special.set(Special::RESERVE, splits);
        if splits {
            beside.reserve = order.leaves.less(shown);
            order.leaves = shown;
        }
    }

    /// Takes `taken` shares off an order that keeps some and its place: from what does not show first. Gives how many of
    /// them showed.
    pub(super) fn shrink(&mut self, slot: usize, taken: Quantity) -> Quantity {
        let Shard { arena: Arena { orders, .. }, specials, books, .. } = self;
        let order = &mut orders[slot];
        let mut off = taken;
        if order.special.has(Special::RESERVE) {
            let reserve = &mut specials.beside[slot].reserve;
            let unseen = off.min(*reserve);
            *reserve = reserve.less(unseen);
            off = off.less(unseen);
            books[order.ticker.index()].sides[order.ladder()].bring_out(order.rank, unseen.0);
        }
        order.leaves = order.leaves.less(off);
        if order.special.has(Special::ASIDE) {
            return Quantity(0);
        }
        books[order.ticker.index()].sides[order.ladder()].reduce(order.rank, order.place().shown, off.0);
        if order.is_shown() { off } else { Quantity(0) }
    }
}
