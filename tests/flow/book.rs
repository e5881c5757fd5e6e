//! A slow, obvious book: what the steps of a flow come to when every one of them is accepted.

use pitlane::measure::flow::lobster::{Level, Snapshot};
use pitlane::measure::flow::{FlowAction, FlowStep};
use pitlane::types::{Price, Quantity, Side, TimeInForce};
use std::collections::{BTreeMap, HashMap, VecDeque};

#[derive(Clone, Copy)]
struct Order {
    key: u64,
    session: u16,
    quantity: u32,
    displayed: bool,
}

/// One ticker's book.
#[derive(Default)]
pub struct Book {
    sides: [BTreeMap<Price, VecDeque<Order>>; 2],
    places: HashMap<u64, (Side, Price)>,
    /// Trades: (price, shares, whether the resting order was displayed).
    pub trades: Vec<(Price, u32, bool)>,
    /// Steps that found their order gone.
    pub late: u64,
    /// Trades in which one session met itself.
    pub self_matches: u64,
}

impl Book {
    pub fn play(&mut self, step: &FlowStep) {
        match step.action {
            FlowAction::Enter { key, side, quantity, price, time_in_force, display, .. } => {
                let order = Order { key, session: step.session, quantity: quantity.0, displayed: display.is_shown() };
                self.enter(order, side.side(), price, time_in_force);
            }
            FlowAction::Replace { key, new_key, quantity, price } => match self.places.get(&key).copied() {
                Some((side, _)) => {
                    let old = self.take_out(key, u32::MAX);
                    let order = Order { key: new_key, quantity: quantity.0, ..old };
                    self.enter(order, side, price, TimeInForce::Day);
                }
                None => self.late += 1,
            },
            FlowAction::Reduce { key, by } => self.reduce(key, by.0),
            FlowAction::Cancel { key } => self.reduce(key, u32::MAX),
        }
    }

    fn reduce(&mut self, key: u64, by: u32) {
        if self.places.contains_key(&key) {
            self.take_out(key, by);
        } else {
            self.late += 1;
        }
    }

    fn enter(&mut self, mut order: Order, side: Side, price: Price, time_in_force: TimeInForce) {
        while order.quantity > 0
            && let Some(best) = self.best(side.opposite())
            && (if side == Side::Buy { best <= price } else { best >= price })
        {
            let queue = &self.sides[side.opposite().index()][&best];
            let resting = *queue.iter().find(|o| o.displayed).unwrap_or(&queue[0]);
            let quantity = resting.quantity.min(order.quantity);
            self.trades.push((best, quantity, resting.displayed));
            self.self_matches += u64::from(resting.session == order.session);
            order.quantity -= quantity;
            self.take_out(resting.key, quantity);
        }
        if order.quantity > 0 && time_in_force == TimeInForce::Day {
            self.sides[side.index()].entry(price).or_default().push_back(order);
            assert!(self.places.insert(order.key, (side, price)).is_none(), "key {} entered twice", order.key);
        }
    }

    fn take_out(&mut self, key: u64, by: u32) -> Order {
        let (side, price) = self.places[&key];
        let queue = self.sides[side.index()].get_mut(&price).unwrap();
        let at = queue.iter().position(|o| o.key == key).unwrap();
        let order = queue[at];
        queue[at].quantity = order.quantity.saturating_sub(by);
        if queue[at].quantity == 0 {
            queue.remove(at);
            self.places.remove(&key);
        }
        if queue.is_empty() {
            self.sides[side.index()].remove(&price);
        }
        order
    }

    pub fn best(&self, side: Side) -> Option<Price> {
        match side {
            Side::Buy => self.sides[0].last_key_value().map(|(&p, _)| p),
            Side::Sell => self.sides[1].first_key_value().map(|(&p, _)| p),
        }
    }

    pub fn orders(&self) -> usize {
        self.places.len()
    }

    pub fn place(&self, key: u64) -> Option<(Side, Price)> {
        self.places.get(&key).copied()
    }

    pub fn quantity(&self, key: u64) -> Option<Quantity> {
        let &(side, price) = self.places.get(&key)?;
        self.sides[side.index()][&price].iter().find(|o| o.key == key).map(|o| Quantity(o.quantity))
    }

    /// The displayed levels of both sides.
    pub fn snapshot(&self) -> Snapshot {
        let level = |(&price, queue): (&Price, &VecDeque<Order>)| {
            let quantity = queue.iter().filter(|o| o.displayed).map(|o| u64::from(o.quantity)).sum();
            (quantity > 0).then_some(Level { price, quantity })
        };
        Snapshot::new(self.sides[0].iter().rev().filter_map(level), self.sides[1].iter().filter_map(level))
    }
}
