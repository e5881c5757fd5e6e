//! After a record: pegs that now stand across hidden orders or across each other trade. Cold.
//!
//! What a record does to the touch moves the price of every peg at once, and pegs may become active or come across what does
//! not show. So after each record, once its stops have woken, the best buy peg is held against the best of all sells, and
//! if it reaches none, the best sell peg against the best of all bids. Two that meet trade: the later entered of
//! them is the incoming one, the price is that of the one that was there, and self-match prevention asks the incoming
//! one's rule. Then stops that this reached wake, and the question is asked anew, until neither peg reaches anybody. It
//! ends because each step takes shares off somebody. No peg is visited that does not trade, however the touch moved.
//!
//! **Who lets small ones go by.** A hidden order with a least quantity is passed over by a peg with less; after
//! [`PASSED_MAX`] such orders the peg looks no further, so that the question has a bounded price after every record.
//!
//! **Bounded turns.** A settlement goes through the tickers of its record in turns, and within a ticker step by step; work
//! that a woken stop leaves unfinished is done before it goes on.

use super::crossing::Pair;
use super::events::{Events, Progress};
use super::peg_trees::Active;
use super::self_match::is_own;
use super::shard::Shard;
use super::survey::Past;
use super::taker::{STEP_EVENTS_MAX, liquidity_of};
use super::tape::Trade;
use super::work::{Settlement, Work};
use crate::types::{Event, Price, Sequenced, Side, Slot, TickerId};

/// Tickers looked at, or steps taken, in one turn.
const STEPS_A_TURN_MAX: usize = 128;
/// Orders with a least quantity that a peg passes over.
const PASSED_MAX: usize = 32;

impl Shard {
    /// What follows a record in a shard that has pegs, if it is done.
    #[cold]
    #[inline(never)]
    pub(super) fn settle_after(&mut self, record: &Sequenced, progress: Progress, out: &mut Events) -> Progress {
        match progress {
            Progress::More => Progress::More,
            Progress::Done => self.settle(Settlement::after(record), out),
        }
    }

    /// Goes on with a settlement as far as this turn reaches.
    #[cold]
    pub(super) fn settle(&mut self, mut settlement: Settlement, out: &mut Events) -> Progress {
        for _ in 0..STEPS_A_TURN_MAX {
            let ticker = TickerId(settlement.next);
            let Some(book) = self.books.get(ticker.index()) else { return Progress::Done };
            if settlement.next >= settlement.end {
                return Progress::Done;
            }
            if book.pegs.count == 0 || !book.phase.matches() {
                settlement.next += 1;
                continue;
            }
            if out.room() < STEP_EVENTS_MAX {
                break;
            }
            if !self.settle_step(ticker, out) {
                settlement.next += 1;
                continue;
            }
            if self.awaken(ticker, Progress::Done, out) == Progress::More {
                self.settling = Some(settlement);
                return Progress::More;
            }
        }
        self.work = Work::Settle(settlement);
        Progress::More
    }

    /// Lets the first two that meet trade, if any do.
    fn settle_step(&mut self, ticker: TickerId, out: &mut Events) -> bool {
        for side in [Side::Buy, Side::Sell] {
            let Some(peg) = self.best_peg(ticker, &self.books[ticker.index()].touch(side)) else { continue };
            let price = self.books[ticker.index()].scale.price_at(side, peg.distance);
            if let Some((other, other_price)) = self.met_by(ticker, &peg, price) {
                self.settle_pair((peg.slot, price), (other, other_price), out);
                return true;
            }
        }
        false
    }

    /// The best order of the other side within the peg's price, and what it costs; at an equal price the ladder's.
    fn met_by(&self, ticker: TickerId, peg: &Active, price: Price) -> Option<(Slot, Price)> {
        let (book, order) = (&self.books[ticker.index()], &self.arena.orders[peg.slot.index()]);
        let other = order.side().opposite();
        let limit = book.scale.distance(other, price);
        let on_ladder = self.first_for(peg.slot, book.scale.walk_end_of(order.side(), price));
        let pegged = self.best_peg(ticker, &book.touch(other)).filter(|peg| i64::from(peg.distance) <= limit);
        let at_ladder = on_ladder.map(|slot| self.arena.orders[slot.index()].rank * book.scale.tick());
        match (on_ladder, pegged) {
            (None, None) => None,
            (None, Some(peg)) => Some((peg.slot, book.scale.price_at(other, peg.distance))),
            (Some(_), Some(peg)) if at_ladder > Some(peg.distance) => {
                Some((peg.slot, book.scale.price_at(other, peg.distance)))
            }
            (Some(slot), _) => Some((slot, self.arena.orders[slot.index()].price)),
        }
    }

    /// The first order of the other ladder before a rank that does not let the peg go by.
    fn first_for(&self, peg: Slot, walk_end: u32) -> Option<Slot> {
        let order = &self.arena.orders[peg.index()];
        let (ticker, other) = (order.ticker, order.side().opposite());
        let ladder = self.books[ticker.index()].side(other);
        let mut slot = if ladder.best() < walk_end { ladder.first() } else { Slot::NONE };
        for _ in 0..PASSED_MAX {
            if slot == Slot::NONE {
                return None;
            }
            let resting = &self.arena.orders[slot.index()];
            if !self.passes_over(resting, order.leaves) {
                return Some(slot);
            }
            slot = self.next_past(&mut Past::behind(resting), ticker, other, walk_end);
        }
        None
    }

    fn settle_pair(&mut self, peg: (Slot, Price), other: (Slot, Price), out: &mut Events) {
        let [one, two] = [peg, other].map(|(slot, _)| self.arena.orders[slot.index()]);
        let ((older, price), (newer, _)) = if one.reference < two.reference { (peg, other) } else { (other, peg) };
        let [resting, incoming] = [older, newer].map(|slot| self.arena.orders[slot.index()]);
        let liquidity = liquidity_of(&resting);
        if is_own(&incoming, &resting, &self.firms) {
            let pair = Pair { older, newer, price, flags: [liquidity, liquidity.of_remover()] };
            return self.prevent_pair(&pair, out);
        }
        let quantity = resting.leaves.min(incoming.leaves);
        let [(_, resting_leaves), (_, incoming_leaves)] = [older, newer].map(|slot| self.take_off(slot, quantity));
        let book = &mut self.books[resting.ticker.index()];
        let match_number = book.numbers.next_match();
        book.trades.note(price);
        self.tape.push(Trade::filled(&incoming, &resting, match_number, quantity, liquidity).at(price));
        let event = Event::Filled {
            resting: resting.tag,
            incoming: incoming.tag,
            reference: resting.reference,
            match_number,
            price,
            quantity,
            resting_leaves,
            incoming_leaves,
            resting_side: resting.side(),
            displayed: resting.is_shown(),
            liquidity,
        };
        out.push(resting.ticker, event);
    }
}
