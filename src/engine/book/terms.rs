//! What an order that is not plain takes from its request, how it comes to rest, and how it gives shares away. Cold.

use super::arena::Arena;
use super::beside::Beside;
use super::marks::{Special, TAG_FLOOR, TAG_KEPT, TAG_MIN_QUANTITY, TAG_OFFSET, TAG_PEG, TAG_RANDOM};
use super::order::Order;
use super::shard::Shard;
use crate::types::{Command, Price, Quantity, TimeInForce};

/// Most floors of a reserve order: the checks before it refuse more in a new order.
const FLOORS_MAX: u32 = 1_000;

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
