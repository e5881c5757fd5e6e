//! Where a record will touch memory, for a caller that knows the next records and may fetch those lines early. Hot.
//!
//! With a million orders open a cancel of any of them waits for memory twice: for the order and its links, then for the
//! neighbours that the links name. A matcher with several records waiting can ask for the lines of a later one while it
//! executes an earlier one: first [`Shard::lines_of`], a record or two later [`Shard::lines_beside`], then `execute`.
//! These are hints only: a slot may have changed hands in between, and then a line was fetched in vain.

use super::arena::Node;
use super::shard::Shard;
use crate::types::{CommandKind, Sequenced, Slot};
use core::ptr::from_ref;

impl Shard {
    /// The order's entry and its links.
    #[inline]
    pub fn lines_of(&self, record: &Sequenced) -> [*const u8; 2] {
        self.lines_of_slot(record.verdict.slot)
    }

    /// The same for a caller that knows no more than the slot.
    #[inline]
    pub fn lines_of_slot(&self, slot: Slot) -> [*const u8; 2] {
        let Some(order) = self.arena.orders.get(slot.index()) else { return [from_ref(self).cast(); 2] };
        [from_ref(order).cast(), from_ref(self.arena.chains.at(Node::of(slot))).cast()]
    }

    /// The links of its neighbours in the queue of its level and in the list of its session; nothing new for an Enter,
    /// whose neighbours are the last of their lists and were used lately.
    #[inline]
    pub fn lines_beside(&self, record: &Sequenced) -> [*const u8; 4] {
        let slot = record.verdict.slot;
        if record.command.kind == CommandKind::Enter || slot.index() >= self.arena.orders.len() {
            return [from_ref(self).cast(); 4];
        }
        self.lines_beside_slot(slot)
    }

    /// The same for a caller that knows no more than the slot of an order that is there.
    #[inline]
    pub fn lines_beside_slot(&self, slot: Slot) -> [*const u8; 4] {
        let links = self.arena.chains.of(Node::of(slot));
        [links.prev, links.next, links.older, links.newer].map(|node| from_ref(self.arena.chains.at(node)).cast())
    }
}
