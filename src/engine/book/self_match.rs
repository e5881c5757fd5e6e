//! Orders that must not trade with each other: the rule of the incoming order, and what it changes. Warm.
//!
//! A sweep asks [`is_own`] at each resting order; all else runs only when the answer is yes.

use super::events::Events;
use super::order::Order;
use super::shard::Shard;
use super::taker::{Taker, liquidity_of};
use crate::types::{Event, Firm, Liquidity, Price, Quantity, SelfMatchMode, Slot};

/// Whether the incoming order's rule forbids a trade between the two.
#[inline]
pub(super) fn is_own(incoming: &Order, resting: &Order, firms: &[Firm]) -> bool {
    let rule = incoming.self_match;
    if rule.mode == SelfMatchMode::Off {
        return false;
    }
    let (mine, theirs) = (incoming.tag.account, resting.tag.account);
    let same_owner = mine == theirs || (rule.firm_wide != 0 && firms[mine.index()] == firms[theirs.index()]);
    let any_group = incoming.self_match_group == [b' '; 2];
    same_owner && (any_group || incoming.self_match_group == resting.self_match_group)
}

/// What a rule takes off the resting and off the incoming order.
pub(super) fn taken_off(mode: SelfMatchMode, resting: Quantity, incoming: Quantity) -> (Quantity, Quantity) {
    match mode {
        SelfMatchMode::CancelNewest => (Quantity(0), incoming),
        SelfMatchMode::CancelOldest => (resting, Quantity(0)),
        SelfMatchMode::CancelBoth => (resting, incoming),
        SelfMatchMode::Decrement => (resting.min(incoming), resting.min(incoming)),
        SelfMatchMode::Off => unreachable!("without a rule no order is an own order"),
    }
}

impl Shard {
    /// Self-match prevention: what the rule takes off the resting order, then what it takes off the taker, who would have paid `price`. A reserve order
    /// counts whole, and what it does not show goes first.
    #[cold]
    #[inline(never)]
    pub(super) fn prevent(&mut self, taker: &mut Taker, slot: Slot, price: Price, out: &mut Events) {
        let ticker = taker.order.ticker;
        let before = self.arena.orders[slot.index()];
        let open = self.specials.open(&before);
        let prevented = taker.order.leaves.min(open);
        let (off_resting, off_taker) = taken_off(taker.order.self_match.mode, open, taker.order.leaves);
        if !off_resting.is_zero() {
            self.arena.orders[slot.index()].removed.0 += off_resting.0;
            let shown = if off_resting == open {
                self.take_out(&before);
                before.shown_open()
            } else {
                self.shrink(slot.index(), off_resting)
            };
            let cut = Cut { quantity: off_resting, leaves: open.less(off_resting), prevented, shown };
            out.push(ticker, self_match(&before, cut, price, &taker.order, liquidity_of(&before)));
        }
        if !off_taker.is_zero() {
            taker.order.remove(off_taker);
            let order = &taker.order;
            let cut = Cut { quantity: off_taker, leaves: order.leaves, prevented, shown: Quantity(0) };
            out.push(ticker, self_match(order, cut, price, order, liquidity_of(&before).of_remover()));
        }
    }
}

/// What self-match prevention did to an order.
struct Cut {
    quantity: Quantity,
    leaves: Quantity,
    prevented: Quantity,
    shown: Quantity,
}

/// The event of one of the two orders.
fn self_match(order: &Order, cut: Cut, execution_price: Price, incoming: &Order, liquidity: Liquidity) -> Event {
    Event::SelfMatch {
        order: order.tag,
        reference: order.reference,
        side: order.side(),
        price: order.price,
        quantity: cut.quantity,
        leaves: cut.leaves,
        prevented: cut.prevented,
        execution_price,
        liquidity,
        strategy: incoming.self_match.letter,
        detailed: incoming.self_match.detailed != 0,
        shown: cut.shown,
    }
}
