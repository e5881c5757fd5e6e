//! One order: its cache line in the arena, and what the events say of it. Hot.
//!
//! What the client asked and what became of it stands here; where the order stands in its queues is kept apart, in
//! [`super::arena`], because neighbours change each other's links and nothing else.

use super::marks::Special;
use super::scale::Rank;
use crate::types::{
    Command, Display, OrderReference, OrderTag, Peg, Price, Quantity, SelfMatch, Side, SideCode, Slot, TickerId,
};

/// An order, in the arena or on its way in.
///
/// The tag is kept as the events carry it, so that naming an order is one 16-byte copy.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Order {
    pub tag: OrderTag,
    pub reference: OrderReference,
    pub price: Price,
    /// Rank of the price on its side; meaningless for a market order.
    pub rank: Rank,
    /// Open shares; of a reserve order in the book those it shows. 0: the entry is free.
    pub leaves: Quantity,
    /// Shares traded so far, over all replaces.
    pub executed: Quantity,
    /// Shares taken by self-match prevention: a replace counts them as used.
    pub removed: Quantity,
    pub ticker: TickerId,
    pub side_code: SideCode,
    pub display: Display,
    /// These three in the order of the command, so that they are copied as one word.
    pub self_match: SelfMatch,
    /// The client's group for mass cancels, 0 for none.
    pub group: u16,
    /// Group of the self-match rule, spaces for none.
    pub self_match_group: [u8; 2],
    /// As in the command: 0 may take, 1 may not, 2 steps back instead.
    pub post_only: u8,
    pub special: Special,
    /// Which pair of ladders it stands on: [`CONTINUOUS`] or [`FOR_CROSS`].
    pub shelf: u8,
    /// Which queue of its level: 0 before 1.
    pub queue: u8,
    /// What its price follows: it then stands in a tree of pegs when it rests.
    pub peg: Option<Peg>,
}

/// The ladders of continuous trading.
pub(super) const CONTINUOUS: u8 = 0;
/// The ladders of orders for a cross.
pub(super) const FOR_CROSS: u8 = 2;

const _: () = assert!(size_of::<Order>() == 64 && align_of::<Order>() == 64, "an order is one cache line");

impl Order {
    /// The order an Enter asks for.
    #[inline(always)]
    pub fn entered(command: &Command, slot: Slot, reference: OrderReference, rank: Rank) -> Order {
        Order {
            tag: Order::tag_of(command, slot),
            reference,
            price: command.price,
            rank,
            leaves: command.quantity,
            executed: Quantity(0),
            removed: Quantity(0),
            ticker: command.ticker,
            group: command.group,
            self_match: command.self_match,
            self_match_group: command.self_match_group,
            side_code: command.side,
            display: command.display,
            post_only: command.post_only,
            special: Special::NONE,
            shelf: CONTINUOUS,
            queue: u8::from(!command.display.is_shown()),
            peg: None,
        }
    }

    /// The name of the order a command enters, or of the one it wanted to make.
    #[inline]
    pub fn tag_of(command: &Command, slot: Slot) -> OrderTag {
        OrderTag {
            slot,
            user_ref: command.user_ref,
            session: command.session,
            account: command.account,
            channel: command.channel,
        }
    }

    #[inline]
    pub fn side(&self) -> Side {
        self.side_code.side()
    }

    /// Where it stands.
    #[inline]
    pub fn place(&self) -> Place {
        Place { rank: self.rank, shown: self.queue == 0, open: self.leaves.0 }
    }

    /// Which of its book's ladders it stands on.
    #[inline]
    pub fn ladder(&self) -> usize {
        // Two bits, so that the compiler sees it cannot leave the four ladders.
        (self.side().index() + usize::from(self.shelf)) & 3
    }

    /// Shares that show, of an order that does not sleep.
    #[inline(always)]
    pub fn shown_plain(&self) -> Quantity {
        // No branch: whether an order shows is not to be foreseen.
        Quantity(self.leaves.0 * u32::from(self.is_shown()))
    }

    #[inline]
    pub fn is_shown(&self) -> bool {
        self.display.is_shown()
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

    /// Shares that show in the book now.
    #[inline]
    pub fn shown_open(&self) -> Quantity {
        if self.special.has(Special::ASIDE) { Quantity(0) } else { self.shown_plain() }
    }
}

/// Where an order stands, and with how many open shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub rank: Rank,
    pub shown: bool,
    pub open: u32,
}
