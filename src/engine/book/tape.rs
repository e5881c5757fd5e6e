//! The last trades of a shard, kept so that one of them can be broken. Written by each trade, hot; searched cold.
//!
//! A ring of whole cache lines, all taken at start: the newest trade takes the place of the oldest. A trade is written
//! where the one before it ends, so that the hot path touches memory in a row.

use super::order::Order;
use crate::types::{Liquidity, MatchNumber, OrderTag, Price, Quantity, Side, TickerId};
use core::hint::black_box;

/// Trades looked at in one turn of a search.
const LOOKS_MAX: usize = 2_048;

/// One execution with both its parties.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Trade {
    /// The order that rested and the one that came; the buyer and the seller of a cross.
    pub parties: [OrderTag; 2],
    /// 0 for a place not written yet.
    pub match_number: MatchNumber,
    pub price: Price,
    pub quantity: Quantity,
    /// Flags of their reports.
    pub liquidity: [Liquidity; 2],
    /// Side of the first of them. So that a sweep copies both as they are, whichever of them buys.
    pub first_side: Side,
    pub broken: bool,
}

const _: () = assert!(size_of::<Trade>() == 64, "a trade is one cache line");

/// The ring.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    ring: Box<[Trade]>,
    next: usize,
}

/// A search for a trade to break.
#[derive(Clone, Copy, Debug)]
pub(super) struct BustWalk {
    pub ticker: TickerId,
    match_number: MatchNumber,
    at: usize,
}

impl BustWalk {
    pub fn new(ticker: TickerId, match_number: u64) -> BustWalk {
        BustWalk { ticker, match_number: MatchNumber(match_number), at: 0 }
    }
}

/// What a turn of a search came to.
pub(super) enum Sought {
    /// The trade, which nobody had broken before.
    Whole(Trade),
    /// No such trade is kept, or it was broken before.
    Nothing,
    /// There is more to look at.
    Later,
}

impl Trade {
    /// Of a sweep, `quantity` shares at the resting order's price.
    #[inline]
    pub fn filled(
        taker: &Order,
        resting: &Order,
        match_number: MatchNumber,
        quantity: Quantity,
        added: Liquidity,
    ) -> Trade {
        Trade {
            parties: [resting.tag, taker.tag],
            match_number,
            price: resting.price,
            quantity,
            liquidity: [added, Liquidity::Removed],
            first_side: resting.side(),
            broken: false,
        }
    }

    /// The same at another price than the resting order's own, and with the incoming order's flag by the resting one's.
    pub fn at(self, price: Price) -> Trade {
        let [added, _] = self.liquidity;
        Trade { price, liquidity: [added, added.of_remover()], ..self }
    }
}

impl Tape {
    /// Room for `kept` trades, at least one.
    pub fn new(kept: u32) -> Tape {
        let nobody = super::arena::NOBODY;
        let none = Trade {
            parties: [nobody; 2],
            match_number: MatchNumber(0),
            price: Price(0),
            quantity: Quantity(0),
            liquidity: [Liquidity::Added; 2],
            first_side: Side::Buy,
            broken: false,
        };
        Tape { ring: (0..kept.max(1)).map(|_| black_box(none)).collect(), next: 0 }
    }

    #[inline]
    pub fn push(&mut self, trade: Trade) {
        self.ring[self.next] = trade;
        self.next += 1;
        if self.next == self.ring.len() {
            self.next = 0;
        }
    }

    /// Goes on with a search as far as this turn reaches, and marks the trade it finds as broken.
    pub fn look_for(&mut self, walk: &mut BustWalk) -> Sought {
        // The locate is part of the number: of another ticker there is no such trade.
        if walk.ticker.locate() != walk.match_number.0 as u16 {
            return Sought::Nothing;
        }
        let end = self.ring.len().min(walk.at + LOOKS_MAX);
        let mut looked = self.ring[walk.at..end].iter_mut();
        if let Some(trade) = looked.find(|trade| trade.match_number == walk.match_number) {
            let before = core::mem::replace(&mut trade.broken, true);
            return if before { Sought::Nothing } else { Sought::Whole(*trade) };
        }
        walk.at = end;
        if end == self.ring.len() { Sought::Nothing } else { Sought::Later }
    }

    /// Trades there is room for.
    pub fn kept(&self) -> usize {
        self.ring.len()
    }

    /// Where the next trade goes.
    pub fn next_place(&self) -> usize {
        self.next
    }

    /// The next trade goes there. It is a place of the tape.
    pub fn set_next_place(&mut self, next: usize) {
        assert!(next < self.ring.len(), "a place of the tape");
        self.next = next;
    }

    /// Every trade kept, as far as later records depend on it.
    pub fn iter(&self) -> impl Iterator<Item = &Trade> {
        self.ring.iter().filter(|trade| trade.match_number.0 != 0)
    }
}
