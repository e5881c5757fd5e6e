//! Orders that must not trade with each other: the rule of the incoming order, and what it changes. Warm.
//!
//! A sweep asks [`is_own`] at each resting order; all else runs only when the answer is yes, or when an order with a least
//! quantity must know beforehand how much it would trade.

use super::events::Events;
use super::matching::Taker;
use super::order::Order;
use super::shard::Shard;
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
    /// Self-match prevention: what the rule takes off the resting order, then what it takes off the taker.
    #[cold]
    #[inline(never)]
    pub(super) fn prevent(&mut self, taker: &mut Taker, slot: Slot, out: &mut Events) {
        let ticker = taker.order.ticker;
        let resting = &mut self.arena.orders[slot.index()];
        let prevented = taker.order.leaves.min(resting.leaves);
        let (off_resting, off_taker) = taken_off(taker.order.self_match.mode, resting.leaves, taker.order.leaves);
        let execution_price = resting.price;
        if !off_resting.is_zero() {
            let before = *resting;
            resting.remove(off_resting);
            out.push(ticker, self_match(resting, off_resting, prevented, execution_price, &taker.order, true));
            if resting.leaves.is_zero() {
                self.take_out(&before);
            } else {
                self.reduce_level(&before, off_resting);
            }
        }
        if !off_taker.is_zero() {
            taker.order.remove(off_taker);
            let order = &taker.order;
            out.push(ticker, self_match(order, off_taker, prevented, execution_price, order, false));
        }
    }

    /// How many shares a sweep would trade now, counted until `enough`. Plays the sweep through, since an own order may
    /// stop it, shrink it or drop out of it.
    ///
    /// Cost: the orders within the limit, up to `enough` shares: the one request that is not flat.
    #[cold]
    pub(super) fn tradable(&self, taker: &Taker, enough: Quantity) -> Quantity {
        let order = &taker.order;
        let ladder = self.books[order.ticker.index()].side(order.side().opposite());
        let (mut open, mut traded) = (order.leaves, Quantity(0));
        let mut rank = ladder.best();
        while rank < taker.walk_end {
            let mut slot = ladder.first_at(rank);
            while slot != Slot::NONE {
                let resting = &self.arena.orders[slot.index()];
                let both = open.min(resting.leaves);
                if !is_own(order, resting, &self.firms) {
                    traded.0 += both.0;
                    open = open.less(both);
                } else {
                    match order.self_match.mode {
                        SelfMatchMode::CancelNewest | SelfMatchMode::CancelBoth => return traded,
                        SelfMatchMode::CancelOldest | SelfMatchMode::Off => {}
                        SelfMatchMode::Decrement => open = open.less(both),
                    }
                }
                if open.is_zero() || traded >= enough {
                    return traded;
                }
                slot = ladder.after(&self.arena, resting);
            }
            rank = ladder.next(rank + 1);
        }
        traded
    }
}

/// The event of one of the two orders, after the shares have been taken off it.
fn self_match(
    order: &Order,
    quantity: Quantity,
    prevented: Quantity,
    execution_price: Price,
    incoming: &Order,
    rests: bool,
) -> Event {
    let shown = order.is_shown();
    let liquidity = match (rests, shown) {
        (false, _) => Liquidity::Removed,
        (true, true) => Liquidity::Added,
        (true, false) => Liquidity::AddedHidden,
    };
    Event::SelfMatch {
        order: order.tag,
        reference: order.reference,
        side: order.side(),
        price: order.price,
        quantity,
        leaves: order.leaves,
        prevented,
        execution_price,
        liquidity,
        strategy: incoming.self_match.letter,
        detailed: incoming.self_match.detailed != 0,
        displayed: rests && shown,
    }
}
