//! What a matcher's event changes: fills move shares and money, ends free slots, and reservations follow.
//!
//! Each step here only lowers what an account could come to (see [`crate::engine::risk`]), so events may come as late
//! as they like. Hot; sequencer thread.

use super::Oms;
use super::life::Step;
use super::lookup::Key;
use super::orders::Place;
use crate::engine::risk::{Owner, Reservation, Role};
use crate::types::{Event, MatcherId, Number, OrderTag, Outcome, Price, Quantity, Side, TickerId};

impl Oms {
    /// Takes in one event. In the order egress gives them: by record number.
    ///
    /// # Panics
    /// When a matcher reports on an order that is not there: the two tables have come apart.
    #[inline]
    pub fn on_event(&mut self, outcome: &Outcome) {
        const NOTHING: Quantity = Quantity(0);
        match &outcome.event {
            Event::Accepted { order, .. } => {
                let place = self.place_of(outcome.ticker, order);
                let order = self.orders.at_mut(place);
                order.life = order.life.after(Step::Accept);
            }
            Event::Filled { .. } => self.on_fill(outcome),
            Event::Canceled { order, leaves, .. } => {
                // A replace whose total was used up already cancels its order, and its number falls free.
                self.marks.settle(order.session, order.channel.counter(), outcome.number);
                self.reduce(outcome.ticker, order, *leaves, NOTHING);
            }
            Event::SelfMatch { order, quantity, leaves, .. } => {
                self.reduce(outcome.ticker, order, *leaves, *quantity);
            }
            Event::Modified { order, leaves, .. } => self.reduce(outcome.ticker, order, *leaves, NOTHING),
            Event::Replaced { order, quantity, price, limit, .. } => {
                self.on_replaced(outcome.number, outcome.ticker, order, *quantity, (*price).min(*limit));
            }
            // Its order ended before, and nothing of the replace is left there.
            Event::ReplaceIgnored { order } => {
                self.marks.settle(order.session, order.channel.counter(), outcome.number);
            }
            Event::Crossed { .. } => self.on_crossed(outcome),
            Event::CrossDone { price, quantity, .. } if *quantity > 0 => self.risk.trade(outcome.ticker, *price),
            Event::Band { limit, .. } => self.risk.on_band(outcome.ticker, *limit, outcome.time),
            Event::Broken { .. } => self.on_broken(outcome),
            Event::CrossDone { .. } | Event::Imbalance { .. } => {}
            // Not made by any matcher yet.
            Event::Refreshed { .. } | Event::Triggered { .. } | Event::Repriced { .. } => {}
            // A resting remainder is as open as it was; halts are taken from their records.
            Event::Nothing | Event::Rested { .. } | Event::State { .. } => {}
        }
    }

    #[inline]
    fn on_fill(&mut self, outcome: &Outcome) {
        let Event::Filled { resting, incoming, price, quantity, resting_leaves, incoming_leaves, .. } = &outcome.event
        else {
            return;
        };
        self.risk.trade(outcome.ticker, *price);
        let sides = [(resting, *resting_leaves, Role::Maker), (incoming, *incoming_leaves, Role::Taker)];
        for (order, leaves, role) in sides {
            let owner = self.orders.at(self.place_of(outcome.ticker, order)).owner();
            self.risk.fill(owner, *quantity, *price, role);
            self.reduce(outcome.ticker, order, leaves, *quantity);
        }
    }

    /// A trade of a cross. The last price follows once, with the end of the cross.
    #[cold]
    fn on_crossed(&mut self, outcome: &Outcome) {
        let Event::Crossed { buy, sell, price, quantity, buy_leaves, sell_leaves, .. } = &outcome.event else {
            return;
        };
        for (order, leaves) in [(buy, *buy_leaves), (sell, *sell_leaves)] {
            let owner = self.orders.at(self.place_of(outcome.ticker, order)).owner();
            self.risk.fill(owner, *quantity, *price, Role::Cross);
            self.reduce(outcome.ticker, order, leaves, *quantity);
        }
    }

    /// A trade is undone. Its orders may have ended long ago, so only accounts are named.
    #[cold]
    fn on_broken(&mut self, outcome: &Outcome) {
        let Event::Broken { buy, sell, match_number, price, quantity, buy_liquidity, sell_liquidity } = &outcome.event
        else {
            return;
        };
        self.risk.note_broken(*match_number);
        let sides = [(buy, Side::Buy, *buy_liquidity), (sell, Side::Sell, *sell_liquidity)];
        for (order, side, liquidity) in sides {
            let owner = Owner { account: order.account, ticker: outcome.ticker, side };
            self.risk.unfill(owner, *quantity, *price, Role::of(liquidity));
        }
    }

    /// `used` shares of the order count against its chain, and `leaves` are open; none end it.
    #[inline]
    fn reduce(&mut self, ticker: TickerId, tag: &OrderTag, leaves: Quantity, used: Quantity) {
        let place = self.place_of(ticker, tag);
        if leaves.is_zero() {
            return self.end(self.matcher_at(ticker), place);
        }
        let order = self.orders.at_mut(place);
        order.life = order.life.after(Step::Reduce);
        order.open = leaves;
        order.used.0 += used.0;
        self.reserve_again(place);
    }

    #[inline]
    fn end(&mut self, matcher: MatcherId, place: Place) {
        let order = *self.orders.at(place);
        self.orders.release(matcher, place);
        self.lookup.remove(Key::new(order.session, order.counter, order.user_ref));
        self.risk.close_order(order.account);
        self.tally.closed(order.session, order.ticker);
        self.risk.reserve(order.owner(), order.reserved, Reservation::NONE);
    }

    #[inline]
    fn on_replaced(&mut self, number: Number, ticker: TickerId, tag: &OrderTag, open: Quantity, price: Price) {
        self.marks.take(tag.session, tag.channel.counter(), tag.user_ref);
        self.marks.settle(tag.session, tag.channel.counter(), number);
        let place = self.place_of(ticker, tag);
        let order = self.orders.at_mut(place);
        order.open = open;
        // Of a market order, and of a price that stepped back or met a band, no more than what its record reserved: an event
        // raises nothing, and what is reserved by now depends on how late events come.
        order.price = price;
        if order.replace_last == number {
            order.life = order.life.after(Step::ReplaceLast);
            (order.replace_last, order.asked_total, order.asked_price) = (Number(0), Quantity(0), Price(0));
        } else {
            order.life = order.life.after(Step::ReplaceMore);
        }
        self.reserve_again(place);
    }

    /// Reserves an order anew after a change.
    #[inline]
    pub(super) fn reserve_again(&mut self, place: Place) {
        let order = self.orders.at_mut(place);
        let (owner, from, to) = (order.owner(), order.reserved, order.worst());
        order.reserved = to;
        self.risk.reserve(owner, from, to);
    }

    #[inline]
    fn matcher_at(&self, ticker: TickerId) -> MatcherId {
        self.risk.matcher(ticker).expect("an event of an order names its ticker")
    }

    #[inline]
    fn place_of(&self, ticker: TickerId, tag: &OrderTag) -> Place {
        self.orders.place(self.matcher_at(ticker), tag.slot)
    }
}
