//! A sweep played through without changing anything, and a place in a sweep behind those it passed over. Cold.
//!
//! Who plays is [`super::least`].

use super::ladder::Ladder;
use super::order::Order;
use super::peg_trees::{Cursors, Touch};
use super::taker::Taker;
use crate::types::{Quantity, Slot};

/// A place in a sweep behind orders that were passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub rank: u32,
    /// The last one passed at that rank.
    pub skipped: Slot,
}

impl Past {
    /// Behind this order.
    pub fn behind(order: &Order) -> Past {
        Past { rank: order.rank, skipped: order.tag.slot }
    }
}

/// A sweep played through, as far as it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survey {
    /// What is asked for.
    pub enough: Quantity,
    /// What the incoming order has left, and has traded.
    pub open: Quantity,
    pub traded: Quantity,
    /// Shares that reserve orders of this level will show after all that shows there now.
    pub refills: u64,
    pub rank: u32,
    /// The order to look at, nobody when the level is through.
    pub slot: Slot,
    /// What prices the pegs of a book that has some, and which of them were counted.
    pub pegs: Option<(Touch, Cursors)>,
}

impl Survey {
    pub fn new(taker: &Taker, enough: Quantity, ladder: &Ladder, touch: Option<Touch>) -> Survey {
        let slot = if ladder.is_empty() { Slot::NONE } else { ladder.first() };
        let (open, traded) = (taker.order.leaves, Quantity(0));
        Survey {
            enough,
            open,
            traded,
            refills: 0,
            rank: ladder.best(),
            slot,
            pegs: touch.map(|touch| (touch, [None; 3])),
        }
    }

    /// What shows at the level is through: its refills come next.
    pub fn take_refills(&mut self) {
        let taken = u64::from(self.open.0).min(core::mem::take(&mut self.refills)) as u32;
        self.open.0 -= taken;
        self.traded.0 += taken;
    }

    pub fn is_over(&self) -> bool {
        self.open.is_zero() || self.traded >= self.enough
    }

    pub fn trade(&mut self, quantity: Quantity) {
        let both = self.open.min(quantity);
        self.open = self.open.less(both);
        self.traded.0 += both.0;
    }
}
