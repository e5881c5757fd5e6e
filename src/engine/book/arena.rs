//! All orders of a shard by slot, the links between them, and each session's orders in the order of their entry. Hot.
//!
//! Slots are given and taken back by the OMS, so there is no free list here; an entry whose `leaves` are 0 holds no order.
//! A slot is given again only after the OMS saw the end of the order before, and a request is always checked for session
//! and user reference, so that a late cancel cannot hit a stranger.
//!
//! **Links apart from orders.** Every order stands in two lists, the queue of its level and the list of its session, which
//! is what a mass cancel walks. Taking one out writes to four neighbours, and only to their links. Those are 16 bytes in an
//! array of their own: at a million orders they are 16 MB, which a last-level cache holds, instead of four lines of 64 MB.
//!
//! **Node 0** stands for "nobody": a slot's node is one more. The entry exists and takes writes that no one reads, so that
//! taking an order out of the head, the middle or the tail is the same straight code: which of the three it is, is
//! random, and would be guessed wrong often.

use super::marks::Special;
use super::order::{CONTINUOUS, Order};
use crate::types::{
    AccountId, Channel, Display, OrderReference, OrderTag, Price, Quantity, SelfMatch, SessionId, SideCode, Slot,
    TickerId, UserRef,
};
use core::hint::{black_box, select_unpredictable};

/// An order as a member of lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct Node(u32);

impl Node {
    /// Nobody.
    pub const NONE: Node = Node(0);

    #[inline]
    pub fn of(slot: Slot) -> Node {
        Node(slot.0 + 1)
    }

    /// The slot, or [`Slot::NONE`] of nobody.
    #[inline]
    pub fn slot(self) -> Slot {
        Slot(self.0.wrapping_sub(1))
    }

    #[inline]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    #[inline]
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// The neighbours of an order.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(super) struct Links {
    /// In the queue of its level.
    pub prev: Node,
    pub next: Node,
    /// Among the orders of its session.
    pub older: Node,
    pub newer: Node,
}

impl Links {
    const ALONE: Links = Links { prev: Node::NONE, next: Node::NONE, older: Node::NONE, newer: Node::NONE };
}

/// First and last of a list.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct List {
    pub head: Node,
    pub tail: Node,
}

impl List {
    pub const EMPTY: List = List { head: Node::NONE, tail: Node::NONE };

    /// Makes the node the last, and gives the one that was.
    #[inline(always)]
    fn push(&mut self, node: Node) -> Node {
        let tail = self.tail;
        self.tail = node;
        self.head = select_unpredictable(tail.is_none(), node, self.head);
        tail
    }

    /// Closes over a node that leaves from between these two.
    #[inline(always)]
    fn close(&mut self, before: Node, after: Node) {
        self.head = select_unpredictable(before.is_none(), after, self.head);
        self.tail = select_unpredictable(after.is_none(), before, self.tail);
    }
}

/// The links of all nodes.
#[derive(Clone, Debug)]
pub(super) struct Chains(Box<[Links]>);

impl Chains {
    #[inline]
    pub fn of(&self, node: Node) -> Links {
        self.0[node.index()]
    }

    #[inline]
    pub fn at(&self, node: Node) -> &Links {
        &self.0[node.index()]
    }

    /// Puts a node at the end of a level's queue and of a session's list.
    #[inline(always)]
    pub fn enter(&mut self, queue: &mut List, session: &mut List, node: Node) {
        let (prev, older) = (queue.push(node), session.push(node));
        self.0[node.index()] = Links { prev, next: Node::NONE, older, newer: Node::NONE };
        self.0[prev.index()].next = node;
        self.0[older.index()].newer = node;
    }

    /// Takes a node with these links out of a level's queue and of a session's list.
    #[inline(always)]
    pub fn leave(&mut self, queue: &mut List, session: &mut List, links: Links) {
        self.unlink(queue, links);
        self.leave_session(session, links);
    }

    /// Puts a node that is in no level's queue at the end of a session's list.
    pub fn enter_session(&mut self, session: &mut List, node: Node) {
        let older = session.push(node);
        self.0[node.index()] = Links { prev: Node::NONE, next: Node::NONE, older, newer: Node::NONE };
        self.0[older.index()].newer = node;
    }

    /// Takes a node with these links out of a session's list.
    #[inline(always)]
    fn leave_session(&mut self, session: &mut List, links: Links) {
        self.0[links.older.index()].newer = links.newer;
        self.0[links.newer.index()].older = links.older;
        session.close(links.older, links.newer);
    }

    /// Puts a node at the end of a level's queue; its session's list stays as it is.
    #[inline(always)]
    pub fn append(&mut self, queue: &mut List, node: Node) {
        let prev = queue.push(node);
        let links = &mut self.0[node.index()];
        (links.prev, links.next) = (prev, Node::NONE);
        self.0[prev.index()].next = node;
    }

    /// Takes a node with these links out of a level's queue; its session's list stays as it is.
    #[inline(always)]
    pub fn unlink(&mut self, queue: &mut List, links: Links) {
        self.0[links.prev.index()].next = links.next;
        self.0[links.next.index()].prev = links.prev;
        queue.close(links.prev, links.next);
    }
}

/// The orders, their links, and the list of each session.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    pub orders: Box<[Order]>,
    pub chains: Chains,
    pub sessions: Box<[List]>,
}

impl Arena {
    /// All entries free; each written once, so that no page is missing later. The compiler may not see that what is written
    /// is zero: it would take zeroed memory from the system instead, which is missing until it is used.
    pub fn new(orders_max: u32, sessions: usize) -> Arena {
        Arena {
            orders: (0..orders_max).map(|_| black_box(FREE)).collect(),
            chains: Chains((0..=orders_max).map(|_| black_box(Links::ALONE)).collect()),
            sessions: (0..sessions).map(|_| black_box(List::EMPTY)).collect(),
        }
    }

    /// The live order in `slot`, if it is the one this session knows by this number.
    #[inline]
    pub fn find(&mut self, slot: Slot, session: SessionId, user_ref: UserRef) -> Option<&mut Order> {
        let order = self.orders.get_mut(slot.index())?;
        let same = !order.leaves.is_zero() && order.tag.session == session && order.tag.user_ref == user_ref;
        same.then_some(order)
    }

    /// First order of the session's list.
    pub fn oldest(&self, session: u16) -> Node {
        self.sessions[session as usize].head
    }

    /// Puts an order whose entry is written and which is in no level at the end of its session's list.
    pub fn enter_session(&mut self, slot: Slot) {
        let session = self.orders[slot.index()].tag.session;
        self.chains.enter_session(&mut self.sessions[session.index()], Node::of(slot));
    }

    /// Frees the entry of an order that is in no level any more, and takes it off its session's list.
    pub fn end(&mut self, slot: Slot) {
        let order = &mut self.orders[slot.index()];
        order.leaves = Quantity(0);
        let links = self.chains.of(Node::of(slot));
        self.chains.leave_session(&mut self.sessions[order.tag.session.index()], links);
    }
}

/// The name of no order.
pub(super) const NOBODY: OrderTag = OrderTag {
    slot: Slot::NONE,
    user_ref: UserRef(0),
    session: SessionId::VENUE,
    account: AccountId::NONE,
    channel: Channel::NONE,
};

/// A free entry.
const FREE: Order = Order {
    tag: NOBODY,
    reference: OrderReference(0),
    price: Price(0),
    rank: 0,
    leaves: Quantity(0),
    executed: Quantity(0),
    removed: Quantity(0),
    ticker: TickerId::UNKNOWN,
    group: 0,
    self_match: SelfMatch::OFF,
    self_match_group: [b' '; 2],
    side_code: SideCode::Buy,
    display: Display::Anonymous,
    post_only: 0,
    special: Special::NONE,
    shelf: CONTINUOUS,
    queue: 0,
    peg: None,
};
