//! A cross: one price for all, then the orders of both sides against each other in their priority. Warm.
//!
//! Priority of a side: market orders for the cross; then price by price, at each the displayed ones by time, those for
//! the cross by time, the hidden ones by time; last, and only against the larger side, the imbalance-only ones. Trading
//! goes on until one side has nothing left within the price. An order that ends leaves its ladder, so that the next one
//! is always at a head and nothing is sorted or remembered.
//!
//! **Self-match prevention** holds here too: of two own orders the later one counts as the incoming one. What it takes
//! away can leave the rest of the book crossed at another price. So the price is looked for again until nothing more would
//! trade, and each price is told as a cross of its own; the first is told even when nothing traded. Without prevention
//! there is never a second: the price with the most shares leaves no two orders that could trade.
//!
//! **Bounded turns.** Looks for the price and trades are counted; the state between two turns is a few ranks.

use super::crossing::{Cross, Pair, Round, Step, takes_waiting};
use super::events::Events;
use super::occupancy::NOWHERE;
use super::order::Order;
use super::self_match::{is_own, taken_off};
use super::shard::Shard;
use super::tape::Trade;
use super::ticker::Trades;
use super::uncross::Search;
use crate::types::{CrossKind, Event, Liquidity, Price, Quantity, Side, Slot, TickerId};

/// Most events between two checks for room: two of a prevented trade, or the end of a cross.
const STEP_EVENTS_MAX: usize = 3;

/// Who trades next on a side.
enum Next {
    Order(Slot),
    Nobody,
    /// The turn is over.
    Later,
}

impl Shard {
    /// Goes on with the cross; true when it is done.
    pub(super) fn cross(&mut self, ticker: TickerId, cross: &mut Cross, looks: &mut u32, out: &mut Events) -> bool {
        loop {
            if out.room() < STEP_EVENTS_MAX || *looks == 0 {
                return false;
            }
            let book = &self.books[ticker.index()];
            match &mut cross.step {
                Step::Start => cross.step = Step::Search(Search::new(book, true, takes_waiting(cross.kind))),
                Step::Search(search) => match search.go(book, book.reference(), looks) {
                    None => return false,
                    Some(None) => {
                        if !cross.told {
                            self.cross_done(ticker, cross, Price(0), 0, out);
                        }
                        return true;
                    }
                    Some(Some(found)) => {
                        let price = book.scale.price(Side::Sell, found.tick);
                        let round = Round { found, price, traded: 0, waiting: [1; 2], leftover: [0; 2] };
                        cross.step = Step::Trade(round);
                    }
                },
                Step::Trade(round) => {
                    let mut round = *round;
                    let done = self.trade_in_cross(ticker, cross.kind, &mut round, looks, out);
                    cross.step = Step::Trade(round);
                    if done {
                        self.cross_done(ticker, cross, round.price, round.traded, out);
                        cross.printed |= round.traded > 0;
                        (cross.told, cross.step) = (true, Step::Start);
                    }
                }
            }
        }
    }

    /// Tells a price of the cross, which becomes the reference of what comes. What printed before the cross wakes no stop.
    fn cross_done(&mut self, ticker: TickerId, cross: &Cross, price: Price, quantity: u64, out: &mut Events) {
        let book = &mut self.books[ticker.index()];
        let price = if quantity == 0 { Price(0) } else { price };
        if quantity > 0 {
            if !cross.printed {
                book.trades = Trades::NONE;
            }
            book.trades.note(price);
            book.static_reference = price;
        }
        let match_number = book.numbers.next_match();
        out.push(ticker, Event::CrossDone { cross: cross.kind, price, quantity, match_number });
    }

    /// Trades while both sides have somebody; true when one has not.
    fn trade_in_cross(
        &mut self,
        ticker: TickerId,
        kind: CrossKind,
        round: &mut Round,
        looks: &mut u32,
        out: &mut Events,
    ) -> bool {
        while out.room() >= STEP_EVENTS_MAX && *looks > 0 {
            *looks -= 1;
            let buy = match self.next_in_cross(ticker, Side::Buy, kind, round, looks) {
                Next::Order(slot) => slot,
                Next::Nobody => return true,
                Next::Later => return false,
            };
            let sell = match self.next_in_cross(ticker, Side::Sell, kind, round, looks) {
                Next::Order(slot) => slot,
                Next::Nobody => return true,
                Next::Later => return false,
            };
            let (buyer, seller) = (&self.arena.orders[buy.index()], &self.arena.orders[sell.index()]);
            let (older, newer) = if buyer.reference < seller.reference { (buyer, seller) } else { (seller, buyer) };
            if is_own(newer, older, &self.firms) {
                let flags = [liquidity(kind, older), liquidity(kind, newer)];
                let pair = Pair { older: older.tag.slot, newer: newer.tag.slot, price: round.price, flags };
                self.prevent_pair(&pair, out);
            } else {
                let quantity = buyer.leaves.min(seller.leaves);
                round.traded += u64::from(quantity.0);
                self.fill_in_cross(buy, sell, quantity, kind, round.price, out);
            }
        }
        false
    }

    /// The order of a side that trades next within the price.
    fn next_in_cross(&self, ticker: TickerId, side: Side, kind: CrossKind, round: &mut Round, looks: &mut u32) -> Next {
        let book = &self.books[ticker.index()];
        let (ladder, crosses, at) = (book.side(side), book.for_cross(side), side.index());
        let limit = book.scale.tick_of(side, round.found.tick);
        let mut waiting = NOWHERE;
        if book.spec.cross_orders && takes_waiting(kind) {
            let market = crosses.head(0, 0);
            if market != Slot::NONE {
                return Next::Order(market);
            }
            // Levels of imbalance-only orders alone are passed over, once.
            loop {
                waiting = crosses.next(round.waiting[at]);
                if waiting == NOWHERE || waiting - 1 > limit || crosses.head(waiting, 0) != Slot::NONE {
                    break;
                }
                if *looks == 0 {
                    return Next::Later;
                }
                *looks -= 1;
                round.waiting[at] = waiting + 1;
            }
        }
        let (resting, waiting) = (ladder.best(), waiting.saturating_sub(u32::from(waiting != NOWHERE)));
        let rank = resting.min(waiting);
        if rank > limit {
            return self.next_leftover(ticker, side, kind, round, looks);
        }
        let shown = if resting == rank { ladder.head(rank, 0) } else { Slot::NONE };
        Next::Order(match (shown, waiting == rank) {
            (Slot::NONE, true) => crosses.head(rank + 1, 0),
            (Slot::NONE, false) => ladder.head(rank, 1),
            (shown, _) => shown,
        })
    }

    /// The next imbalance-only order within the price, if its side is the smaller one.
    fn next_leftover(&self, ticker: TickerId, side: Side, kind: CrossKind, round: &mut Round, looks: &mut u32) -> Next {
        let book = &self.books[ticker.index()];
        let limit = book.scale.tick_of(side, round.found.tick);
        let joins = round.found.surplus == Some(side.opposite());
        if !joins || !book.spec.cross_orders || !takes_waiting(kind) {
            return Next::Nobody;
        }
        let (crosses, from) = (book.for_cross(side), &mut round.leftover[side.index()]);
        loop {
            let rank = crosses.next(*from);
            if rank > limit + 1 {
                return Next::Nobody;
            }
            let head = crosses.head(rank, 1);
            if head != Slot::NONE {
                return Next::Order(head);
            }
            if *looks == 0 {
                return Next::Later;
            }
            *looks -= 1;
            *from = rank + 1;
        }
    }

    fn fill_in_cross(
        &mut self,
        buy: Slot,
        sell: Slot,
        quantity: Quantity,
        kind: CrossKind,
        price: Price,
        out: &mut Events,
    ) {
        let [(buyer, buy_leaves), (seller, sell_leaves)] = [buy, sell].map(|slot| self.take_off(slot, quantity));
        let match_number = self.books[buyer.ticker.index()].numbers.next_match();
        let (buy_liquidity, sell_liquidity) = (liquidity(kind, &buyer), liquidity(kind, &seller));
        let trade = Trade {
            parties: [buyer.tag, seller.tag],
            match_number,
            price,
            quantity,
            liquidity: [buy_liquidity, sell_liquidity],
            first_side: Side::Buy,
            broken: false,
        };
        self.tape.push(trade);
        let event = Event::Crossed {
            buy: buyer.tag,
            sell: seller.tag,
            buy_reference: buyer.reference,
            sell_reference: seller.reference,
            match_number,
            price,
            buy_price: buyer.price,
            sell_price: seller.price,
            quantity,
            buy_leaves,
            sell_leaves,
            buy_liquidity,
            sell_liquidity,
            shown: u8::from(buyer.is_shown()) | u8::from(seller.is_shown()) << 1,
            cross: kind,
        };
        out.push(buyer.ticker, event);
        for (slot, before, leaves) in [(buy, buyer, buy_leaves), (sell, seller, sell_leaves)] {
            if before.leaves == quantity && !leaves.is_zero() {
                self.refill(slot, out);
            }
        }
    }

    /// Takes traded shares off a standing order and, when none are left, the order out of all it is in. Gives the order as it
    /// was and what it has open now. The shown part of a reserve order that is used up stays, for its refill.
    pub(super) fn take_off(&mut self, slot: Slot, quantity: Quantity) -> (Order, Quantity) {
        let order = self.arena.orders[slot.index()];
        let leaves = self.specials.open(&order).less(quantity);
        self.arena.orders[slot.index()].executed.0 += quantity.0;
        if leaves.is_zero() {
            self.take_out(&order);
        } else if order.leaves > quantity {
            self.arena.orders[slot.index()].leaves = order.leaves.less(quantity);
            self.reduce_level(&order, quantity);
        }
        (order, leaves)
    }

    /// Self-match prevention between two orders that both stand: the older counts as resting, and reserve orders whole.
    #[cold]
    pub(super) fn prevent_pair(&mut self, pair: &Pair, out: &mut Events) {
        let orders = [pair.older, pair.newer].map(|slot| self.arena.orders[slot.index()]);
        let open = orders.map(|order| self.specials.open(&order));
        let (rule, prevented) = (orders[1].self_match, open[0].min(open[1]));
        let off = taken_off(rule.mode, open[0], open[1]);
        for (order, open, off, flag) in
            [(orders[0], open[0], off.0, pair.flags[0]), (orders[1], open[1], off.1, pair.flags[1])]
        {
            if off.is_zero() {
                continue;
            }
            let slot = order.tag.slot.index();
            self.arena.orders[slot].removed.0 += off.0;
            let shown = if off == open {
                self.take_out(&order);
                order.shown_open()
            } else {
                self.shrink(slot, off)
            };
            let event = Event::SelfMatch {
                order: order.tag,
                reference: order.reference,
                side: order.side(),
                price: order.price,
                quantity: off,
                leaves: open.less(off),
                prevented,
                execution_price: pair.price,
                liquidity: flag,
                strategy: rule.letter,
                detailed: rule.detailed != 0,
                shown,
            };
            out.push(order.ticker, event);
        }
    }
}

/// The flag of an order's report.
fn liquidity(kind: CrossKind, order: &Order) -> Liquidity {
    let imbalance_only = order.shelf == super::order::FOR_CROSS && order.queue == 1;
    match (kind, imbalance_only) {
        (CrossKind::Opening, false) => Liquidity::OpeningCross,
        (CrossKind::Opening, true) => Liquidity::OpeningImbalanceOnly,
        (CrossKind::Closing, false) => Liquidity::ClosingCross,
        (CrossKind::Closing, true) => Liquidity::ClosingImbalanceOnly,
        (CrossKind::Halt, _) => Liquidity::HaltCross,
    }
}
