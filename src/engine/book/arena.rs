//! All orders of a shard, and each session's orders in the order they were entered. Hot.
//!
//! The lists of sessions run through the arena like the queues of the levels, so that a mass cancel visits just the
//! orders it may take, oldest first, without looking through the books.

use super::order::{Links, List, NONE, Order};
use crate::types::{SessionId, Slot, UserRef};

/// The orders, by slot, and the head and tail of each session's list.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    pub orders: Box<[Order]>,
    sessions: Box<[List]>,
}

impl Arena {
    /// All entries free; written once so that no page is missing later.
    pub fn new(orders_max: u32, sessions: usize) -> Arena {
        Arena {
            orders: vec![Order::FREE; orders_max as usize].into_boxed_slice(),
            sessions: vec![List::EMPTY; sessions].into_boxed_slice(),
        }
    }

    /// The live order in `slot`, if it is the one this session knows by this number.
    #[inline]
    pub fn find(&mut self, slot: Slot, session: SessionId, user_ref: UserRef) -> Option<&mut Order> {
        let order = self.orders.get_mut(slot.index())?;
        let same = !order.leaves.is_zero() && order.session == session && order.user_ref == user_ref;
        same.then_some(order)
    }

    /// First order of the session's list, or [`NONE`].
    pub fn oldest(&self, session: u16) -> u32 {
        self.sessions[session as usize].head
    }

    /// Stores an order that is new to its session.
    ///
    /// # Panics
    /// When the slot holds a live order: the OMS gave it twice.
    #[inline]
    pub fn put_new(&mut self, slot: Slot, order: &Order) {
        let list = &mut self.sessions[order.session.index()];
        let tail = list.tail;
        let entry = &mut self.orders[slot.index()];
        assert!(entry.leaves.is_zero(), "slot given twice");
        *entry = *order;
        entry.peers = Links { prev: tail, next: NONE };
        list.tail = slot.0;
        match tail {
            NONE => list.head = slot.0,
            tail => self.orders[tail as usize].peers.next = slot.0,
        }
    }

    /// Stores an order that has been replaced; it keeps its place in its session's list.
    pub fn put_replaced(&mut self, slot: Slot, order: &Order) {
        let entry = &mut self.orders[slot.index()];
        // The neighbours may have left since `order` was copied.
        let peers = entry.peers;
        *entry = Order { peers, ..*order };
    }

    /// Frees the entry of an order that has ended and is in no queue.
    #[inline]
    pub fn free(&mut self, slot: Slot) {
        let order = &mut self.orders[slot.index()];
        order.leaves.0 = 0;
        let (session, links) = (order.session, order.peers);
        match links.prev {
            NONE => self.sessions[session.index()].head = links.next,
            prev => self.orders[prev as usize].peers.next = links.next,
        }
        match links.next {
            NONE => self.sessions[session.index()].tail = links.prev,
            next => self.orders[next as usize].peers.prev = links.prev,
        }
    }
}
