//! The slow twin's pegs: each one's price is worked out anew whenever somebody asks, and all of them are sorted.

use super::twin::{Twin, TwinBook, TwinOrder, liquidity, remover};
use pitlane::types::*;

/// Orders with a least quantity that a settling peg passes over.
const PASSED_MAX: usize = 32;

/// The best prices shown.
#[derive(Clone, Copy, Debug)]
pub struct Quote {
    bid: Option<i64>,
    offer: Option<i64>,
}

impl TwinBook {
    pub fn quote(&self) -> Quote {
        // Nobody else asks, and to look at every level for nobody would make the twin slower than it need be.
        let asked = !self.pegs.is_empty();
        let best = |side| asked.then(|| self.depth(side).first().map(|(price, _, _)| i64::from(price.0))).flatten();
        Quote { bid: best(Side::Buy), offer: best(Side::Sell) }
    }

    /// What a peg costs; none while it sleeps.
    pub fn peg_price(&self, order: &TwinOrder, quote: &Quote) -> Option<Price> {
        let (low, high, tick) = self.ladder();
        let (low, high, tick) = (i64::from(low), i64::from(high), i64::from(tick));
        let peg = order.terms.peg.unwrap();
        let (own, across) = match order.side() {
            Side::Buy => (quote.bid, quote.offer),
            Side::Sell => (quote.offer, quote.bid),
        };
        let follows = match peg {
            Peg::Midpoint => (own? + across?) / 2,
            Peg::Primary => own?,
            Peg::Market => across?,
        };
        let inside = if peg == Peg::Midpoint { 1 } else { tick };
        let (lower, upper, _) = self.band;
        let banded = upper != Price(0) && self.phase.matches();
        let (limit, offset) = (i64::from(order.terms.limit), i64::from(order.terms.offset));
        let price = match order.side() {
            Side::Buy => {
                let wanted = follows + offset;
                if wanted > limit {
                    return None;
                }
                let bounds = [across.map(|offer| offer - inside), banded.then_some(i64::from(upper.0)), Some(high)];
                bounds.into_iter().flatten().fold(wanted, i64::min)
            }
            Side::Sell => {
                let wanted = follows - offset;
                if wanted < limit {
                    return None;
                }
                let bounds = [across.map(|bid| bid + inside), banded.then_some(i64::from(lower.0)), Some(low)];
                bounds.into_iter().flatten().fold(wanted, i64::max)
            }
        };
        (low..=high).contains(&price).then_some(Price(price as u32))
    }

    /// The pegs of a side by kind and, in each, as they would trade.
    pub fn pegs(&self, side: Side) -> Vec<TwinOrder> {
        let mut pegs: Vec<_> = self.pegs.iter().filter(|order| order.side() == side).cloned().collect();
        pegs.sort_by_key(|order| (order.terms.peg.unwrap().index(), -i64::from(order.terms.offset), order.reference));
        pegs
    }

    /// The active ones with their prices, best first.
    pub fn active_pegs(&self, side: Side, quote: &Quote) -> Vec<(Price, TwinOrder)> {
        let priced = |order: TwinOrder| self.peg_price(&order, quote).map(|price| (price, order));
        let mut active: Vec<_> = self.pegs(side).into_iter().filter_map(priced).collect();
        // Stable: kinds and the order within them stay at a price.
        active.sort_by_key(|(price, _)| worse(side, *price));
        active
    }

    /// The best order of a side within a limit, and what it costs: at a price the ladder's before pegs.
    pub fn first_met(&self, side: Side, limit: u32, offered: u32, quote: &Quote) -> Option<(TwinOrder, Price)> {
        let on_ladder = self.first_within(side, limit, offered).map(|order| (order.price, order));
        let peg = self.active_pegs(side, quote).into_iter().next();
        let peg = peg.filter(|(price, _)| self.reaches(side, limit, *price));
        let both = [on_ladder, peg].into_iter().flatten();
        both.min_by_key(|(price, _)| worse(side, *price)).map(|(price, order)| (order, price))
    }

    /// Whether an order with this limit, cut to the tick, trades with one of a side at a price.
    fn reaches(&self, side: Side, limit: u32, price: Price) -> bool {
        let (low, high, tick) = self.ladder();
        match side {
            Side::Sell => limit >= low && price.0 <= low + (limit.min(high) - low) / tick * tick,
            Side::Buy => limit <= high && price.0 >= high - (high - limit.max(low)) / tick * tick,
        }
    }

    /// The best price of a side, hidden orders and active pegs counted.
    pub fn best_of_all(&self, side: Side) -> Option<Price> {
        let peg = self.active_pegs(side, &self.quote()).first().map(|(price, _)| *price);
        self.prices(side).first().copied().into_iter().chain(peg).min_by_key(|price| worse(side, *price))
    }
}

fn worse(side: Side, price: Price) -> i64 {
    if side == Side::Buy { -i64::from(price.0) } else { i64::from(price.0) }
}

impl Twin {
    /// Two that now stand across each other trade; false when there are none.
    pub(super) fn settle_pegs(&mut self, ticker: TickerId) -> bool {
        let book = &self.books[&ticker];
        if !book.phase.matches() {
            return false;
        }
        let quote = book.quote();
        for side in [Side::Buy, Side::Sell] {
            let other = side.opposite();
            let Some((price, peg)) = book.active_pegs(side, &quote).into_iter().next() else { continue };
            let within = |at: Price| worse(other, at) <= worse(other, price);
            let ladder = book.orders(other).into_iter().take_while(|order| within(order.price));
            let on_ladder = ladder.take(PASSED_MAX).find(|order| order.takes(peg.leaves));
            let on_ladder = on_ladder.map(|order| (order.price, order));
            let pegged = book.active_pegs(other, &quote).into_iter().next().filter(|(at, _)| within(*at));
            let both = [on_ladder, pegged].into_iter().flatten();
            if let Some((other_price, order)) = both.min_by_key(|(at, _)| worse(other, *at)) {
                self.settle_pair((peg, price), (order, other_price));
                return true;
            }
        }
        false
    }

    fn settle_pair(&mut self, peg: (TwinOrder, Price), other: (TwinOrder, Price)) {
        let ((older, price), (mut newer, _)) =
            if peg.0.reference < other.0.reference { (peg, other) } else { (other, peg) };
        if self.is_own(&newer, &older) {
            let flags = [liquidity(&older), remover(liquidity(&older))];
            return self.prevent_standing(older, newer, flags, price);
        }
        self.fill(&mut newer, older, price);
        self.store(&newer);
    }

    pub(super) fn prevent_standing(&mut self, older: TwinOrder, newer: TwinOrder, flags: [Liquidity; 2], price: Price) {
        let smaller = older.leaves.min(newer.leaves);
        let rule = newer.command.self_match;
        let (older_loses, newer_loses) = match rule.mode {
            SelfMatchMode::Off => unreachable!(),
            SelfMatchMode::CancelNewest => (0, newer.leaves),
            SelfMatchMode::CancelOldest => (older.leaves, 0),
            SelfMatchMode::CancelBoth => (older.leaves, newer.leaves),
            SelfMatchMode::Decrement => (smaller, smaller),
        };
        for ((mut order, loses), flag) in [(older, older_loses), (newer, newer_loses)].into_iter().zip(flags) {
            if loses == 0 {
                continue;
            }
            let shown = order.lose(loses);
            order.removed += loses;
            self.store(&order);
            let event = Event::SelfMatch {
                order: order.tag(),
                reference: order.reference,
                side: order.side(),
                price: order.price,
                quantity: Quantity(loses),
                leaves: Quantity(order.leaves),
                prevented: Quantity(smaller),
                execution_price: price,
                liquidity: flag,
                strategy: rule.letter,
                detailed: rule.detailed == 1,
                shown: Quantity(shown),
            };
            self.say(order.command.ticker, event);
        }
    }
}
