//! Orders that wait for a cross: how they come, change and leave. Warm.
//!
//! They stand on ladders of their own beside those of continuous trading and never meet it. A ladder for a cross has one
//! rank more: rank 0 holds market orders, a limit stands one rank behind its place in the book. Of the two queues of a
//! level the first holds orders that make the price, the second those that only trade against what is left over.
//! They cost 64 bytes a tick of a ticker that takes them, and nothing elsewhere.
//!
//! Which cross it is, is not kept: orders for the opening are taken in pre-open alone and leave with it, so that all that
//! stand at a time wait for the same one.

use super::arena::Arena;
use super::events::{Events, Progress};
use super::order::{FOR_CROSS, Order, Place};
use super::scale::{Rank, Scale};
use super::shard::Shard;
use crate::types::{Display, Event, Price, Quantity, Sequenced, Side};

/// Rank of a limit among the orders for a cross.
pub(super) fn cross_rank(scale: &Scale, side: Side, price: Price) -> Rank {
    if price.is_market() { 0 } else { scale.rank(side, price) + 1 }
}

impl Shard {
    /// A new order for a cross.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_cross(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot) = (&record.command, record.verdict.slot);
        let book = &mut self.books[command.ticker.index()];
        let reference = book.numbers.next_reference();
        let rank = cross_rank(&book.scale, command.side.side(), command.price);
        let mut order = Order::entered(command, slot, reference, rank);
        // The feed never shows them.
        (order.display, order.shelf) = (Display::Hidden, FOR_CROSS);
        order.queue = u8::from(command.is_imbalance_only());
        let Arena { orders, chains, sessions } = &mut self.arena;
        let ladder = &mut book.sides[order.ladder()];
        ladder.enter(chains, &mut sessions[command.session.index()], order.place(), slot);
        let entry = &mut orders[slot.index()];
        assert!(entry.leaves.is_zero(), "slot given twice");
        *entry = order;
        let (order, quantity, price) = (order.tag, command.quantity, command.price);
        out.push(command.ticker, Event::Accepted { order, reference, quantity, price });
        Progress::Done
    }

    /// A replaced one stays an order for its cross, last in its queue.
    #[cold]
    pub(super) fn replace_cross(&mut self, before: &Order, record: &Sequenced, out: &mut Events) -> Progress {
        let (command, slot) = (&record.command, before.tag.slot);
        let book = &mut self.books[before.ticker.index()];
        let Arena { orders, chains, .. } = &mut self.arena;
        let ladder = &mut book.sides[before.ladder()];
        ladder.unlink(chains, before.place(), slot);
        let order = &mut orders[slot.index()];
        super::requests::change(order, command);
        order.display = Display::Hidden;
        order.leaves = Quantity(command.quantity.0 - before.executed.0 - before.removed.0);
        order.reference = book.numbers.next_reference();
        order.rank = cross_rank(&book.scale, before.side(), command.price);
        let place: Place = order.place();
        let counts = [before.leaves, Quantity(0), Quantity(0)];
        out.push(order.ticker, super::requests::replaced(before, order, counts, record.verdict.limit_price, true));
        ladder.append(chains, place, slot);
        Progress::Done
    }
}
