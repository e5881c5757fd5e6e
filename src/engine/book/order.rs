//! One order: its cache line in the arena, and what the events say of it. Hot.
//!
//! The arena is a plain array indexed by [`Slot`]. Slots are given and taken back by the OMS, so there is no free list
//! here; an entry whose `leaves` are 0 holds no order. A slot is given again only after the OMS saw the end of the order
//! before, and an entry is always checked for session and user reference, so that a late cancel cannot hit a stranger.

use crate::types::{
    AccountId, Channel, Command, Display, OrderReference, OrderTag, Price, Quantity, SelfMatch, SessionId, SideCode,
    Slot, TickerId, UserRef,
};

/// No neighbour in a list.
pub(super) const NONE: u32 = Slot::NONE.0;

/// Neighbours in a list through the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(super) struct Links {
    pub prev: u32,
    pub next: u32,
}

impl Links {
    pub const ALONE: Links = Links { prev: NONE, next: NONE };
}

/// First and last of a list through the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(super) struct List {
    pub head: u32,
    pub tail: u32,
}

impl List {
    pub const EMPTY: List = List { head: NONE, tail: NONE };
}

/// An order, in the arena or on its way in.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Order {
    pub price: Price,
    /// Open shares. 0: the entry is free.
    pub leaves: Quantity,
    /// Shares traded so far, over all replaces.
    pub executed: Quantity,
    /// Shares taken by self-match prevention: a replace counts them as used.
    pub removed: Quantity,
    /// Neighbours in the queue of its level.
    pub queue: Links,
    /// Neighbours among the orders of its session in this shard.
    pub peers: Links,
    pub reference: OrderReference,
    pub user_ref: UserRef,
    pub session: SessionId,
    pub account: AccountId,
    pub ticker: TickerId,
    pub channel: Channel,
    /// The client's group for mass cancels, 0 for none.
    pub group: u16,
    /// Group of the self-match rule, spaces for none.
    pub self_match_group: [u8; 2],
    pub self_match: SelfMatch,
    pub side_code: SideCode,
    pub display: Display,
    pub post_only: bool,
}

const _: () = assert!(size_of::<Order>() == 64 && align_of::<Order>() == 64, "an order is one cache line");

impl Order {
    /// A free entry.
    pub const FREE: Order = Order {
        price: Price(0),
        leaves: Quantity(0),
        executed: Quantity(0),
        removed: Quantity(0),
        queue: Links::ALONE,
        peers: Links::ALONE,
        reference: OrderReference(0),
        user_ref: UserRef(0),
        session: SessionId::VENUE,
        account: AccountId::NONE,
        ticker: TickerId::UNKNOWN,
        channel: Channel::NONE,
        group: 0,
        self_match_group: [b' '; 2],
        self_match: SelfMatch::OFF,
        side_code: SideCode::Buy,
        display: Display::Anonymous,
        post_only: false,
    };

    /// The order an Enter asks for.
    #[inline]
    pub fn entered(command: &Command, reference: OrderReference) -> Order {
        Order {
            price: command.price,
            leaves: command.quantity,
            executed: Quantity(0),
            removed: Quantity(0),
            queue: Links::ALONE,
            peers: Links::ALONE,
            reference,
            user_ref: command.user_ref,
            session: command.session,
            account: command.account,
            ticker: command.ticker,
            channel: command.channel,
            group: command.group,
            self_match_group: command.self_match_group,
            self_match: command.self_match,
            side_code: command.side,
            display: command.display,
            post_only: command.post_only != 0,
        }
    }

    /// The name the events call it by.
    #[inline]
    pub fn tag(&self, slot: Slot) -> OrderTag {
        OrderTag { slot, user_ref: self.user_ref, session: self.session, account: self.account, channel: self.channel }
    }

    /// Takes traded shares off.
    #[inline]
    pub fn execute(&mut self, traded: Quantity) {
        self.leaves = self.leaves.less(traded);
        self.executed.0 += traded.0;
    }

    /// Takes shares off because they would have met an own order.
    #[inline]
    pub fn remove(&mut self, taken: Quantity) {
        self.leaves = self.leaves.less(taken);
        self.removed.0 += taken.0;
    }
}
