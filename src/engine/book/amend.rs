//! Replaces that are not plain: of or into an order that waits, keeps a reserve or a least quantity, or that would trade.
//!
//! A Replace is a new order in the place of an old one: it leaves where it was, keeps what the request does not name, and
//! then acts as an order that comes now. Cold.
//!
//! | the request says | then the order |
//! |---|---|
//! | a stop price | is a stop with that price, whether it slept, had woken or never was one |
//! | none | sleeps on at the stop price it has, if it sleeps |
//! | a floor, random refills, a least quantity | has these; else keeps its own, and a hidden order shows nothing of them |
//! | good till time with seconds | ends so long after this record; without seconds it ends when it would have |
//! | day | ends with the day, unless it was good till cancel and the request does not say otherwise |
//! | post-only or nothing about it | still refuses to take, or steps back if that is what it does |

use super::events::{Events, Progress};
use super::marks::{Special, is_special};
use super::order::Order;
use super::requests::{change, replaced};
use super::shard::Shard;
use super::taker::{POST_ONLY_REPRICED, Taker, triggered};
use super::ticker::Reach;
use crate::types::{Price, Quantity, Sequenced, TimeInForce};

impl Shard {
    /// The order in its slot becomes what the record says. It is live and the request leaves it some shares.
    #[cold]
    #[inline(never)]
    pub(super) fn replace_special(
        &mut self,
        record: &Sequenced,
        before: &Order,
        mut reach: Reach,
        out: &mut Events,
    ) -> Progress {
        if record.command.peg().is_some() {
            return self.replace_by_peg(record, before, out);
        }
        let (command, ticker, side) = (&record.command, before.ticker, before.side());
        let (old_open, old_shown) = (self.specials.open(before), before.shown_open());
        let stop = self.lift(before).filter(|_| command.stop_at().is_none()).or(command.stop_at());
        let mut order = *before;
        change(&mut order, command);
        order.peg = None;
        if stop.is_none() {
            order.price = reach.price;
        } else {
            reach.rank = self.books[ticker.index()].scale.rank(side, command.price);
        }
        order.leaves = Quantity(command.quantity.0 - before.executed.0 - before.removed.0);
        order.special.set(Special::ASIDE, false);
        let best = self.best_of(ticker, side.opposite());
        let book = &mut self.books[ticker.index()];
        reach.rests &= best >= reach.walk_end;
        if order.post_only == POST_ONLY_REPRICED && stop.is_none() {
            order.price = book.step_back(side, best, &mut reach, order.price);
        }
        order.rank = reach.rank;
        order.reference = book.numbers.next_reference();
        let least = self.refit(record, &mut order);
        let rests = reach.rests && stop.is_none();
        let counts = [old_open, old_shown, self.specials.shown_at_rest(&order)];
        out.push(ticker, replaced(before, &order, counts, record.verdict.limit_price, rests));
        let mut taker = Taker { order, walk_end: reach.walk_end, stays: reach.stays, replaced: true };
        if rests {
            self.rest(&mut taker);
            return Progress::Done;
        }
        if let Some(stop) = stop {
            if !self.books[ticker.index()].wakes_at(side, stop) {
                self.sleep(&order, stop, false);
                return Progress::Done;
            }
            out.push(ticker, triggered(&order));
            taker = self.taker_of_stop(order, true);
        }
        let progress = self.take(&mut taker, least, out);
        self.awaken(ticker, progress, out)
    }

    /// Takes an order out of its level, its sleep or its tree; its entry, its session's list and its expiry keep it. Gives the stop
    /// price of one that slept.
    pub(super) fn lift(&mut self, order: &Order) -> Option<Price> {
        if order.peg.is_some() {
            self.unpeg(order);
            return None;
        }
        if order.special.has(Special::ASIDE) {
            return Some(self.rouse(order));
        }
        let ladder = &mut self.books[order.ticker.index()].sides[order.side().index()];
        if order.special.has(Special::RESERVE) {
            ladder.bring_out(order.rank, self.specials.beside[order.tag.slot.index()].reserve.0);
        }
        ladder.unlink(&mut self.arena.chains, order.place(), order.tag.slot);
        None
    }

    /// What the order keeps beside its line from now on; gives the least it takes as an incoming order.
    fn refit(&mut self, record: &Sequenced, order: &mut Order) -> Quantity {
        let command = &record.command;
        let immediate = command.time_in_force == TimeInForce::ImmediateOrCancel;
        if order.special == Special::NONE && !is_special(command) {
            return if immediate { command.min_quantity } else { Quantity(0) };
        }
        self.fit(order, command, record.verdict.limit_price, false);
        self.set_expiry(order, command, record.time);
        self.specials.least(order, immediate)
    }
}
