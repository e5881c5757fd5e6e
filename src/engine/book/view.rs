//! Looking into a shard: depth, queues, digest. Cold; for checks, snapshots and tools.

use super::arena::{Arena, Node};
use super::ladder::Ladder;
use super::marks::Special;
use super::occupancy::NOWHERE;
use super::order::{FOR_CROSS, Order};
use super::scale::Rank;
use super::shard::Shard;
use crate::types::{OrderReference, Peg, Phase, Price, Quantity, Side, Slot, TickerId, TradingState};

/// What one price shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Depth {
    /// The price.
    pub price: Price,
    /// Displayed open shares.
    pub quantity: u64,
    /// Displayed orders.
    pub count: u32,
}

/// An order in the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resting {
    /// Its slot.
    pub slot: Slot,
    /// Its number at the venue.
    pub reference: OrderReference,
    /// Limit price.
    pub price: Price,
    /// Open shares, those a reserve order does not show too.
    pub leaves: Quantity,
    /// Shares that show.
    pub shown: Quantity,
    /// Whether it shows on the feed.
    pub displayed: bool,
}

/// A stop that has not woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sleeping {
    /// Its slot.
    pub slot: Slot,
    /// Where it wakes.
    pub stop: Price,
    /// Open shares.
    pub leaves: Quantity,
}

/// A pegged order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pegged {
    /// Its slot.
    pub slot: Slot,
    /// What it follows.
    pub peg: Peg,
    /// By how much it is better than that, in 1/10,000.
    pub offset: i32,
    /// Open shares.
    pub leaves: Quantity,
    /// What it costs now; none while it sleeps.
    pub price: Option<Price>,
}

impl Shard {
    /// The best price of a side, hidden orders included.
    pub fn best(&self, ticker: TickerId, side: Side) -> Option<Price> {
        let book = &self.books[ticker.index()];
        let rank = book.side(side).best();
        (rank != NOWHERE).then(|| book.scale.price(side, rank))
    }

    /// What the side shows, best price first. Prices with hidden orders only are left out.
    pub fn depth(&self, ticker: TickerId, side: Side) -> impl Iterator<Item = Depth> + '_ {
        let book = &self.books[ticker.index()];
        let ladder = book.side(side);
        let shown = |slot: &Slot| self.arena.orders[slot.index()].is_shown();
        ranks(ladder).filter(|&rank| ladder.head(rank, 0) != Slot::NONE).map(move |rank| Depth {
            price: book.scale.price(side, rank),
            quantity: ladder.open_at(rank)[0],
            count: queue(ladder, &self.arena, rank).take_while(shown).count() as u32,
        })
    }

    /// The side's orders in the order in which they would trade.
    pub fn orders(&self, ticker: TickerId, side: Side) -> impl Iterator<Item = Resting> + '_ {
        self.on_ladder(ticker, side.index())
    }

    /// The side's orders for a cross: market orders, then price by price, those that trade only against what is left over
    /// last at each.
    pub fn cross_orders(&self, ticker: TickerId, side: Side) -> impl Iterator<Item = Resting> + '_ {
        self.on_ladder(ticker, side.index() + usize::from(FOR_CROSS))
    }

    fn on_ladder(&self, ticker: TickerId, ladder: usize) -> impl Iterator<Item = Resting> + '_ {
        let ladder = &self.books[ticker.index()].sides[ladder];
        ranks(ladder).flat_map(move |rank| queue(ladder, &self.arena, rank)).map(|slot| {
            let order = &self.arena.orders[slot.index()];
            Resting {
                slot,
                reference: order.reference,
                price: order.price,
                leaves: self.specials.open(order),
                shown: order.shown_open(),
                displayed: order.is_shown(),
            }
        })
    }

    /// The sleeping stops of a side in the order in which they would wake.
    pub fn stops(&self, ticker: TickerId, side: Side) -> Vec<Sleeping> {
        let asleep =
            |order: &&Order| order.special.has(Special::ASIDE) && order.peg.is_none() && !order.leaves.is_zero();
        let here = |order: &&Order| order.ticker == ticker && order.side() == side;
        let mut found: Vec<_> = self.arena.orders.iter().filter(asleep).filter(here).collect();
        found.sort_by_key(|order| self.specials.stops.key(order.tag.slot));
        let told = |order: &Order| Sleeping { slot: order.tag.slot, stop: self.stop_of(order), leaves: order.leaves };
        found.into_iter().map(told).collect()
    }

    /// The pegs of a side: by kind, then as they would trade.
    pub fn pegs(&self, ticker: TickerId, side: Side) -> Vec<Pegged> {
        let book = &self.books[ticker.index()];
        let touch = book.touch(side);
        let mut found = Vec::new();
        for peg in Peg::ALL {
            let tree = side.index() * Peg::ALL.len() + peg.index();
            let next = |place| self.peg_after(ticker, tree, place);
            let slots = core::iter::successors(next(None), |slot| next(Some(self.specials.pegs.place(*slot))));
            found.extend(slots.map(|slot| Pegged {
                slot,
                peg,
                offset: self.specials.pegs.offset(slot),
                leaves: self.arena.orders[slot.index()].leaves,
                price: self.peg_distance(book, &touch, peg, slot).map(|far| book.scale.price_at(side, far)),
            }));
        }
        found
    }

    /// The state of trading in a ticker of this shard.
    pub fn state(&self, ticker: TickerId) -> TradingState {
        self.books[ticker.index()].phase.trading_state()
    }

    /// The phase of a ticker of this shard.
    pub fn phase(&self, ticker: TickerId) -> Phase {
        self.books[ticker.index()].phase
    }

    /// A number that two shards share only if they would answer every further record alike: of the counters and states
    /// of all books, and of every field and both places of every resting order.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest(0x9E37_79B9_7F4A_7C15);
        for book in self.books.iter().filter(|book| book.ours) {
            digest.mix(book.numbers.references);
            digest.mix(book.numbers.matches);
            digest.mix(u64::from(book.phase.letter()));
            digest.pair(book.trades.last.0, book.static_reference.0);
            digest.pair(book.band.lower.0, book.band.upper.0);
            digest.mix(u64::from(book.band.limit));
            for ladder in &book.sides {
                for slot in ranks(ladder).flat_map(|rank| queue(ladder, &self.arena, rank)) {
                    digest.order(&self.arena.orders[slot.index()]);
                    let links = self.arena.chains.of(Node::of(slot));
                    digest.pair(links.older.slot().0, links.newer.slot().0);
                }
            }
        }
        self.digest_specials(&mut digest);
        for trade in self.tape.iter() {
            digest.mix(trade.match_number.0 << 1 | u64::from(trade.broken));
        }
        digest.0
    }

    /// What orders that are not plain have beside their line, and the stops, which are in no level: session by session.
    fn digest_specials(&self, digest: &mut Digest) {
        for session in 0..self.arena.sessions.len() {
            let mut at = self.arena.oldest(session as u16);
            while !at.is_none() {
                let order = &self.arena.orders[at.slot().index()];
                if order.special != Special::NONE {
                    self.digest_special(digest, order);
                }
                at = self.arena.chains.of(at).newer;
            }
        }
    }

    fn digest_special(&self, digest: &mut Digest, order: &Order) {
        digest.pair(order.tag.slot.0, u32::from(order.special.0));
        if order.special.has(Special::TERMS) {
            let beside = &self.specials.beside[order.tag.slot.index()];
            digest.pair(beside.reserve.0, beside.floor.0);
            digest.pair(beside.random.0, beside.refills);
            digest.pair(beside.minimum.0, beside.limit.0);
        }
        if order.special.has(Special::TIMED) {
            let (end, count) = self.specials.expiries.key(order.tag.slot);
            digest.mix(end);
            digest.mix(count);
        }
        if let Some(peg) = order.peg {
            digest.order(order);
            digest.pair(u32::from(peg.letter()), self.specials.pegs.offset(order.tag.slot) as u32);
            digest.mix(u64::from(self.specials.pegs.need(order.tag.slot)));
        } else if order.special.has(Special::ASIDE) {
            digest.order(order);
            let (distance, count) = self.specials.stops.key(order.tag.slot);
            digest.mix(distance);
            digest.mix(count);
        }
    }
}

/// Occupied ranks, best first.
fn ranks(ladder: &Ladder) -> impl Iterator<Item = Rank> + '_ {
    let found = |rank| (rank != NOWHERE).then_some(rank);
    core::iter::successors(found(ladder.best()), move |&rank| found(ladder.next(rank + 1)))
}

/// Orders of a rank as they would trade.
fn queue<'a>(ladder: &'a Ladder, arena: &'a Arena, rank: Rank) -> impl Iterator<Item = Slot> + 'a {
    let found = |slot| (slot != Slot::NONE).then_some(slot);
    core::iter::successors(found(ladder.first_at(rank)), move |&slot: &Slot| {
        found(ladder.after(arena, &arena.orders[slot.index()]))
    })
}

struct Digest(u64);

impl Digest {
    /// Each word passes a multiplication and a rotation, so that order and every bit of it matter.
    fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0xFF51_AFD7_ED55_8CCD).rotate_left(29) ^ word;
    }

    fn pair(&mut self, high: u32, low: u32) {
        self.mix(u64::from(high) << 32 | u64::from(low));
    }

    fn order(&mut self, order: &Order) {
        let (tag, rule) = (order.tag, order.self_match);
        self.mix(order.reference.0);
        self.pair(tag.slot.0, order.price.0);
        self.pair(order.leaves.0, order.executed.0);
        self.pair(order.removed.0, tag.user_ref.0);
        self.pair(u32::from(tag.session.0), u32::from(tag.account.0));
        self.pair(u32::from(order.ticker.0), tag.channel.echo().map_or(256, u32::from));
        self.pair(u32::from(order.group), u32::from(u16::from_le_bytes(order.self_match_group)));
        self.pair(
            u32::from_le_bytes([rule.mode as u8, rule.firm_wide, rule.detailed, rule.letter]),
            u32::from_le_bytes([order.side_code.letter(), order.display.letter(), order.post_only, order.special.0]),
        );
        self.pair(u32::from(order.shelf), u32::from(order.queue));
    }
}
