//! The player's live orders: found by the flow's key when something is to be done with them, and by session and user
//! reference when the venue reports on them.
//!
//! Bounded, all memory at start. An order's place is free again when it has ended and nothing about it is waiting for
//! an answer. While a replace is on its way the order has two user references: the venue may report under either.

use super::map::Map;
use crate::types::{Display, Quantity, UserRef};

/// One live order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// The flow's name for it, the newest.
    pub key: u64,
    /// The player's session it belongs to.
    pub session: u16,
    /// The number to use in the next request: of the last request that gave one.
    pub user_ref: UserRef,
    /// The number the venue uses, as far as it has said.
    pub confirmed: UserRef,
    /// What the next request must repeat.
    pub display: Display,
    /// Shares that may trade in all, as last asked for.
    pub total: u32,
    /// Shares traded.
    pub executed: u32,
    /// Shares open, by the venue's reports.
    pub leaves: u32,
    /// Requests about it without an answer.
    pub waiting: u32,
    ended: bool,
}

/// All of them.
pub(super) struct Orders {
    slots: Box<[Order]>,
    free: Vec<u32>,
    by_key: Map,
    by_ref: Map,
}

fn reference(session: u16, user_ref: UserRef) -> u64 {
    u64::from(session) << 32 | u64::from(user_ref.0)
}

impl Orders {
    /// For at most `capacity` orders at once, and `requests_max` requests without an answer.
    pub fn new(capacity: usize, requests_max: usize) -> Orders {
        let blank = Order {
            key: 0,
            session: 0,
            user_ref: UserRef(0),
            confirmed: UserRef(0),
            display: Display::Anonymous,
            total: 0,
            executed: 0,
            leaves: 0,
            waiting: 0,
            ended: true,
        };
        Orders {
            slots: vec![blank; capacity].into_boxed_slice(),
            free: (0..capacity as u32).rev().collect(),
            by_key: Map::new(capacity),
            // An order has one, and another for each replace on its way.
            by_ref: Map::new(capacity + requests_max),
        }
    }

    /// Whether another order has room.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Whether a key names an order, or one that ended and still waits for answers.
    pub fn is_known(&self, key: u64) -> bool {
        self.by_key.find(key).is_some()
    }

    /// A new order that was sent. The caller has looked that there is room and that the key is free.
    pub fn enter(&mut self, key: u64, session: u16, user_ref: UserRef, quantity: Quantity, display: Display) -> u32 {
        let slot = self.free.pop().expect("looked at before the order was sent");
        self.by_key.insert(key, slot);
        self.by_ref.insert(reference(session, user_ref), slot);
        self.slots[slot as usize] = Order {
            key,
            session,
            user_ref,
            confirmed: user_ref,
            display,
            total: quantity.0,
            executed: 0,
            leaves: quantity.0,
            waiting: 1,
            ended: false,
        };
        slot
    }

    /// A replace was sent: `new_key` and `user_ref` name the order from now on.
    pub fn rename(&mut self, slot: u32, new_key: u64, user_ref: UserRef, total: u32) {
        let order = &mut self.slots[slot as usize];
        self.by_key.remove(order.key);
        // A key that is taken leaves this order without one: later steps go to the other.
        self.by_key.insert(new_key, slot);
        self.by_ref.insert(reference(order.session, user_ref), slot);
        (order.key, order.user_ref, order.total) = (new_key, user_ref, total);
        order.waiting += 1;
    }

    /// The venue says an order goes by its new number.
    pub fn confirm(&mut self, slot: u32, user_ref: UserRef, leaves: Quantity) {
        let order = &mut self.slots[slot as usize];
        self.by_ref.remove(reference(order.session, order.confirmed));
        (order.confirmed, order.leaves) = (user_ref, leaves.0);
    }

    /// A replace came to nothing: its number names nothing.
    pub fn unname(&mut self, slot: u32, user_ref: UserRef) {
        let order = &mut self.slots[slot as usize];
        self.by_ref.remove(reference(order.session, user_ref));
        if order.user_ref == user_ref {
            order.user_ref = order.confirmed;
        }
    }

    /// A live order by the flow's key.
    #[inline]
    pub fn by_key(&self, key: u64) -> Option<u32> {
        self.by_key.find(key).filter(|&slot| !self.slots[slot as usize].ended)
    }

    /// An order by a number of its session.
    #[inline]
    pub fn by_ref(&self, session: u16, user_ref: UserRef) -> Option<u32> {
        self.by_ref.find(reference(session, user_ref))
    }

    #[inline]
    pub fn order(&mut self, slot: u32) -> &mut Order {
        &mut self.slots[slot as usize]
    }

    /// The order is over. Once is enough.
    pub fn end(&mut self, slot: u32) {
        if !core::mem::replace(&mut self.slots[slot as usize].ended, true) {
            self.release(slot);
        }
    }

    /// One request about the order waits no longer.
    #[inline]
    pub fn answered(&mut self, slot: u32) {
        let order = &mut self.slots[slot as usize];
        order.waiting -= 1;
        if order.ended {
            self.release(slot);
        }
    }

    /// Frees the place of an order that has ended and waits for nothing.
    fn release(&mut self, slot: u32) {
        let order = self.slots[slot as usize];
        if order.waiting > 0 {
            return;
        }
        if self.by_key.find(order.key) == Some(slot) {
            self.by_key.remove(order.key);
        }
        self.by_ref.remove(reference(order.session, order.confirmed));
        self.free.push(slot);
    }

    /// Orders whose place is taken.
    pub fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: UserRef = UserRef(1);
    const B: UserRef = UserRef(2);

    fn one() -> (Orders, u32) {
        let mut orders = Orders::new(1, 4);
        let slot = orders.enter(70, 3, A, Quantity(100), Display::Anonymous);
        (orders, slot)
    }

    #[test]
    fn a_place_is_free_once_the_order_has_ended_and_all_is_answered() {
        let (mut orders, slot) = one();
        assert!(orders.is_full());
        orders.end(slot);
        assert_eq!((orders.by_key(70), orders.by_ref(3, A), orders.count()), (None, Some(slot), 1));
        orders.answered(slot);
        assert_eq!((orders.by_ref(3, A), orders.count()), (None, 0));
        assert!(!orders.is_full() && !orders.is_known(70), "its key too");
    }

    #[test]
    fn an_order_under_replacement_is_found_by_both_numbers() {
        let (mut orders, slot) = one();
        orders.answered(slot);
        orders.rename(slot, 71, B, 150);
        assert_eq!((orders.by_key(70), orders.by_key(71)), (None, Some(slot)));
        assert_eq!((orders.by_ref(3, A), orders.by_ref(3, B)), (Some(slot), Some(slot)));
        orders.confirm(slot, B, Quantity(120));
        orders.answered(slot);
        assert_eq!((orders.by_ref(3, A), orders.by_ref(3, B)), (None, Some(slot)));
        assert_eq!((orders.order(slot).leaves, orders.order(slot).total), (120, 150));
        orders.end(slot);
        assert_eq!((orders.by_ref(3, B), orders.count()), (None, 0));
    }

    #[test]
    fn a_replace_that_came_to_nothing_leaves_the_order_its_number() {
        let (mut orders, slot) = one();
        orders.answered(slot);
        orders.rename(slot, 71, B, 150);
        orders.unname(slot, B);
        orders.answered(slot);
        assert_eq!((orders.by_ref(3, A), orders.by_ref(3, B)), (Some(slot), None));
        assert_eq!(orders.order(slot).user_ref, A);
    }
}
