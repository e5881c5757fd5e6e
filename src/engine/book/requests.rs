//! What the owner asks of an order that rests: cancel, modify, replace. Hot.
//!
//! The order is found by the slot in the verdict; it may have ended or been replaced since the OMS looked, and then the
//! request is too late: nothing happens, and a Replace says so because its user reference becomes free again.

use super::arena::Arena;
use super::events::{Events, Progress};
use super::marks::{Special, is_plain_day};
use super::order::{CONTINUOUS, Order};
use super::shard::{Shard, nothing};
use crate::types::{CancelReason, Command, Event, Price, Quantity, Sequenced, Slot};

/// Option tags of OUCH 5.0 whose absence keeps what the order has.
const TAG_POST_ONLY: u8 = 12;
const TAG_SIDE: u8 = 27;
const TAG_SELF_MATCH: u8 = 29;
const TAG_SELF_MATCH_GROUP: u8 = 30;
/// The house's tag 130 has this bit.
const TAG_POST_ONLY_ACTION: u8 = 8;
/// All of them.
const TAGS_KEPT: u32 =
    1 << TAG_POST_ONLY_ACTION | 1 << TAG_POST_ONLY | 1 << TAG_SIDE | 1 << TAG_SELF_MATCH | 1 << TAG_SELF_MATCH_GROUP;

impl Shard {
    /// Cancel down to an intended total; the order keeps its place. 0 takes all.
    #[inline(always)]
    pub(super) fn cancel(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot) = (&record.command, record.verdict.slot);
        let Some(order) = self.arena.find(slot, command.session, command.user_ref) else {
            return nothing(command.ticker, out);
        };
        let keep = command.quantity.0.saturating_sub(order.executed.0);
        if keep == 0 {
            self.cancel_whole(slot, CancelReason::User, out);
            return Progress::Done;
        }
        self.cancel_part(slot, keep, out)
    }

    #[cold]
    fn cancel_part(&mut self, slot: Slot, keep: u32, out: &mut Events) -> Progress {
        let before = self.arena.orders[slot.index()];
        let open = self.specials.open(&before);
        if keep >= open.0 {
            return nothing(before.ticker, out);
        }
        let taken = Quantity(open.0 - keep);
        let shown = self.shrink(slot.index(), taken);
        out.push(before.ticker, canceled(&before, taken, Quantity(keep), shown, CancelReason::User));
        Progress::Done
    }

    /// Takes the order out of the book and says so.
    #[inline(always)]
    pub(super) fn cancel_whole(&mut self, slot: Slot, reason: CancelReason, out: &mut Events) {
        let Arena { orders, chains, sessions } = &mut self.arena;
        let order = &mut orders[slot.index()];
        if order.special.needs_care() {
            return self.cancel_special(slot, reason, out);
        }
        let ladder = &mut self.books[order.ticker.index()].sides[order.ladder()];
        ladder.leave(chains, &mut sessions[order.tag.session.index()], order.place(), slot);
        out.push(order.ticker, canceled(order, order.leaves, Quantity(0), order.shown_plain(), reason));
        order.leaves = Quantity(0);
    }

    /// A reserve order leaves with both parts, a stop from its sleep, a peg from its tree.
    #[cold]
    #[inline(never)]
    fn cancel_special(&mut self, slot: Slot, reason: CancelReason, out: &mut Events) {
        let order = self.arena.orders[slot.index()];
        let open = self.specials.open(&order);
        self.take_out(&order);
        out.push(order.ticker, canceled(&order, open, Quantity(0), order.shown_open(), reason));
    }

    /// Another kind of selling, or fewer shares; the order keeps its place.
    pub(super) fn modify(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot) = (&record.command, record.verdict.slot);
        let Some(order) = self.arena.find(slot, command.session, command.user_ref) else {
            return nothing(command.ticker, out);
        };
        let open = self.specials.open(order);
        let keep = command.quantity.0.saturating_sub(order.executed.0);
        if order.side() != command.side.side() || keep > open.0 {
            return nothing(order.ticker, out);
        }
        let taken = Quantity(open.0 - keep);
        order.side_code = command.side;
        let before = *order;
        let shown = if keep == 0 {
            self.take_out(&before);
            before.shown_open()
        } else {
            self.shrink(slot.index(), taken)
        };
        let event = Event::Modified {
            order: before.tag,
            reference: before.reference,
            side_code: before.side_code,
            price: before.price,
            taken,
            leaves: Quantity(keep),
            shown,
        };
        out.push(before.ticker, event);
        Progress::Done
    }

    /// A new order in the place of an old one: same slot, new numbers, last in its queue.
    ///
    /// A refused Replace that names a live order, and one that leaves nothing open, end it instead.
    #[inline(never)]
    pub(super) fn replace(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, verdict) = (&record.command, &record.verdict);
        let slot = verdict.slot;
        let Some(old) = self.arena.find(slot, command.session, command.original) else {
            return too_late(record, out);
        };
        let used = old.executed.0 + old.removed.0;
        if !verdict.is_accepted() || command.quantity.0 <= used {
            self.cancel_whole(slot, CancelReason::User, out);
            return Progress::Done;
        }
        let before = *old;
        if before.shelf != CONTINUOUS {
            return self.replace_cross(&before, record, out);
        }
        let side = before.side();
        let Arena { orders, chains, .. } = &mut self.arena;
        let book = &mut self.books[before.ticker.index()];
        let reach = book.reach(side, record, true);
        if !reach.rests || book.pegs.count != 0 || before.special != Special::NONE || !is_plain_day(command) {
            return self.replace_special(record, &before, reach, out);
        }
        let ladder = &mut book.sides[side.index()];
        ladder.unlink(chains, before.place(), slot);
        let order = &mut orders[slot.index()];
        change(order, command);
        order.price = reach.price;
        order.leaves = Quantity(command.quantity.0 - used);
        order.reference = book.numbers.next_reference();
        order.rank = reach.rank;
        let (old_shown, shown) = (before.shown_plain(), order.shown_plain());
        out.push(order.ticker, replaced(&before, order, [before.leaves, old_shown, shown], verdict.limit_price, true));
        ladder.append(chains, order.place(), slot);
        Progress::Done
    }

    /// Takes an order, as it was, out of all it is in: its level or its sleep, its entry, its session's list, its expiry.
    pub(super) fn take_out(&mut self, order: &Order) {
        if order.special.has(Special::TIMED) {
            self.forget_expiry(order);
        }
        if order.special.has(Special::ASIDE) {
            self.lift(order);
            return self.arena.end(order.tag.slot);
        }
        let Arena { orders, chains, sessions } = &mut self.arena;
        let ladder = &mut self.books[order.ticker.index()].sides[order.ladder()];
        if order.special.has(Special::RESERVE) {
            ladder.bring_out(order.rank, self.specials.beside[order.tag.slot.index()].reserve.0);
        }
        ladder.leave(chains, &mut sessions[order.tag.session.index()], order.place(), order.tag.slot);
        orders[order.tag.slot.index()].leaves = Quantity(0);
    }

    /// Takes shares of a resting order off its level, if it stands in one.
    pub(super) fn reduce_level(&mut self, order: &Order, taken: Quantity) {
        if order.special.has(Special::ASIDE) {
            return;
        }
        let ladder = &mut self.books[order.ticker.index()].sides[order.ladder()];
        ladder.reduce(order.rank, order.place().shown, taken.0);
    }
}

/// Writes what the Replace changes; what it does not name stays.
#[inline(always)]
pub(super) fn change(order: &mut Order, command: &Command) {
    order.tag.user_ref = command.user_ref;
    order.price = command.price;
    order.display = command.display;
    order.queue = if order.shelf == CONTINUOUS { u8::from(!command.display.is_shown()) } else { order.queue };
    // Most carry none of them.
    if command.tags & TAGS_KEPT == 0 {
        return;
    }
    order.post_only = post_only_after(order.post_only, command);
    if command.has_tag(TAG_SIDE) && command.side.side() == order.side() {
        order.side_code = command.side;
    }
    if command.has_tag(TAG_SELF_MATCH) {
        order.self_match = command.self_match;
    }
    if command.has_tag(TAG_SELF_MATCH_GROUP) {
        order.self_match_group = command.self_match_group;
    }
}

/// Whether the order may take from now on: each of the two options keeps what it does not name.
fn post_only_after(before: u8, command: &Command) -> u8 {
    let action = command.has_tag(TAG_POST_ONLY_ACTION);
    let is_post_only = if command.has_tag(TAG_POST_ONLY) { command.post_only != 0 } else { before != 0 };
    match (is_post_only, action) {
        (false, _) => 0,
        (true, true) => command.post_only.max(1),
        (true, false) => before.max(1),
    }
}

/// The order a Replace meant is gone. A refused one has no user reference to give back.
#[cold]
fn too_late(record: &Sequenced, out: &mut Events) -> Progress {
    let command = &record.command;
    if !record.verdict.is_accepted() {
        return nothing(command.ticker, out);
    }
    let order = Order::tag_of(command, record.verdict.slot);
    out.push(command.ticker, Event::ReplaceIgnored { order });
    Progress::Done
}

/// Shares of an order leave; `shown` of them showed.
#[inline]
fn canceled(order: &Order, quantity: Quantity, leaves: Quantity, shown: Quantity, reason: CancelReason) -> Event {
    Event::Canceled {
        order: order.tag,
        reference: order.reference,
        side: order.side(),
        price: order.price,
        quantity,
        leaves,
        reason,
        shown,
    }
}

/// Both faces of a replaced order. `[old_quantity, old_shown, shown]`: what the old one had, and what of it and of the new
/// one shows.
#[inline]
pub(super) fn replaced(old: &Order, new: &Order, counts: [Quantity; 3], limit: Price, rests: bool) -> Event {
    let [old_quantity, old_shown, shown] = counts;
    Event::Replaced {
        order: new.tag,
        original: old.tag.user_ref,
        old_reference: old.reference,
        reference: new.reference,
        side: new.side(),
        side_code: new.side_code,
        display: new.display,
        quantity: new.leaves,
        price: new.price,
        limit,
        old_quantity,
        old_price: old.price,
        old_shown,
        shown,
        rests,
    }
}
