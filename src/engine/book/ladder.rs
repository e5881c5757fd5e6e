//! One side of one ticker: a level for every tick, best price first. Hot.
//!
//! A level is found by the rank of its price ([`super::scale`]), the best one by a field, the next by the tree of occupied
//! ranks.
//!
//! Bound: a level is [`LEVEL_BYTES`] and a tick has one on each side, so that a ticker costs 64 bytes a tick plus four bits;
//! [`TICKS_MAX`] ticks a shard, 1 GiB, is the limit that construction enforces.

use super::arena::{Arena, Chains, List, Node};
use super::occupancy::{NOWHERE, Occupancy, RANKS_MAX};
use super::order::{Order, Place};
use super::scale::Rank;
use crate::types::Slot;
use core::hint::black_box;

/// Bytes of a level.
pub(super) const LEVEL_BYTES: usize = 32;

/// Most ticks of all tickers of a shard together: 1 GiB of levels on both sides.
pub const TICKS_MAX: usize = 1 << 24;

const _: () = assert!(TICKS_MAX <= RANKS_MAX, "one ticker may use all ticks of its shard");

/// All orders of a side at a price. Two of them share a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
struct Level {
    /// The displayed queue, which trades first, and the hidden one.
    queues: [List; 2],
    /// Open shares of each queue, those that reserve orders keep back with the second, so that a cross need not look at orders to find its price: 64 bits, because millions
    /// of orders of 999,999 shares may rest at a price.
    open: [u64; 2],
}

const _: () = assert!(size_of::<Level>() == LEVEL_BYTES);

impl Level {
    const EMPTY: Level = Level { queues: [List::EMPTY; 2], open: [0; 2] };

    /// The queue an order is about to join, its shares counted.
    #[inline(always)]
    fn joined(&mut self, place: Place) -> &mut List {
        let queue = usize::from(!place.shown);
        self.open[queue] += u64::from(place.open);
        &mut self.queues[queue]
    }

    /// The queue an order is about to leave, its shares no longer counted.
    #[inline(always)]
    fn left(&mut self, place: Place) -> &mut List {
        let queue = usize::from(!place.shown);
        self.open[queue] -= u64::from(place.open);
        &mut self.queues[queue]
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.queues[0].head.is_none() & self.queues[1].head.is_none()
    }

    #[inline]
    fn first(&self) -> Node {
        let [shown, hidden] = self.queues;
        if shown.head.is_none() { hidden.head } else { shown.head }
    }
}

/// The levels of a side.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Lowest occupied rank, kept so that no order has to search for it; [`NOWHERE`] when the side is empty.
    best: u32,
    levels: Box<[Level]>,
    occupied: Occupancy,
    /// Levels that have orders in their first queue, displayed ones: what pegs follow.
    shown: Occupancy,
}

impl Ladder {
    /// Empty, written once so that no page is missing later.
    pub fn new(ticks: u32) -> Ladder {
        let levels = (0..ticks).map(|_| black_box(Level::EMPTY)).collect();
        let [occupied, shown] = [0; 2].map(|_| Occupancy::new(ticks as usize));
        Ladder { best: NOWHERE, levels, occupied, shown }
    }

    /// Whether there is such a level.
    pub fn has(&self, rank: Rank) -> bool {
        (rank as usize) < self.levels.len()
    }

    #[inline]
    pub fn best(&self) -> u32 {
        self.best
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.best == NOWHERE
    }

    /// Lowest rank that shows an order, or [`NOWHERE`].
    pub fn best_shown(&self) -> u32 {
        if self.is_empty() { NOWHERE } else { self.shown.at_or_after(self.best) }
    }

    /// The first occupied rank at or after `rank`, or [`NOWHERE`].
    pub fn next(&self, rank: Rank) -> u32 {
        self.occupied.at_or_after(rank)
    }

    /// Open shares of the level's first and second queue.
    #[inline]
    pub fn open_at(&self, rank: Rank) -> [u64; 2] {
        self.levels[rank as usize].open
    }

    /// The first order of one of the level's queues.
    #[inline]
    pub fn head(&self, rank: Rank, queue: usize) -> Slot {
        self.levels[rank as usize].queues[queue].head.slot()
    }

    /// The order that trades next. The side is not empty.
    #[inline]
    pub fn first(&self) -> Slot {
        self.first_at(self.best)
    }

    /// The order that trades next at an occupied rank.
    #[inline]
    pub fn first_at(&self, rank: Rank) -> Slot {
        self.levels[rank as usize].first().slot()
    }

    /// The order that trades after this one at the same price, or [`Slot::NONE`].
    pub fn after(&self, arena: &Arena, order: &Order) -> Slot {
        let next = arena.chains.of(Node::of(order.tag.slot)).next;
        let last_shown = next.is_none() && order.place().shown;
        if last_shown { self.levels[order.rank as usize].queues[1].head.slot() } else { next.slot() }
    }

    /// The order that trades next at a rank for one who let hidden orders there go by, the last of them `skipped`, or
    /// [`Slot::NONE`].
    pub fn first_past(&self, arena: &Arena, rank: Rank, skipped: Slot) -> Slot {
        let [shown, hidden] = self.levels[rank as usize].queues;
        if !shown.head.is_none() {
            return shown.head.slot();
        }
        if skipped == Slot::NONE { hidden.head.slot() } else { arena.chains.of(Node::of(skipped)).next.slot() }
    }

    /// Puts a new order at the end of its queue and of its session's list.
    #[inline(always)]
    pub fn enter(&mut self, chains: &mut Chains, session: &mut List, place: Place, slot: Slot) {
        let level = &mut self.levels[place.rank as usize];
        let queue = level.joined(place);
        let was_empty = queue.head.is_none();
        chains.enter(queue, session, Node::of(slot));
        if was_empty {
            self.settle(place);
        }
    }

    /// Puts an order that its session's list still has at the end of its queue.
    #[inline(always)]
    pub fn append(&mut self, chains: &mut Chains, place: Place, slot: Slot) {
        let level = &mut self.levels[place.rank as usize];
        let queue = level.joined(place);
        let was_empty = queue.head.is_none();
        chains.append(queue, Node::of(slot));
        if was_empty {
            self.settle(place);
        }
    }

    /// Takes an order out of its queue and off its session's list.
    #[inline(always)]
    pub fn leave(&mut self, chains: &mut Chains, session: &mut List, place: Place, slot: Slot) {
        let links = chains.of(Node::of(slot));
        let level = &mut self.levels[place.rank as usize];
        let queue = level.left(place);
        chains.leave(queue, session, links);
        if queue.head.is_none() {
            self.vacate(place);
        }
    }

    /// Takes an order out of its queue; its session's list keeps it.
    #[inline(always)]
    pub fn unlink(&mut self, chains: &mut Chains, place: Place, slot: Slot) {
        let links = chains.of(Node::of(slot));
        let level = &mut self.levels[place.rank as usize];
        let queue = level.left(place);
        chains.unlink(queue, links);
        if queue.head.is_none() {
            self.vacate(place);
        }
    }

    /// The first order of a queue is there. A call of its own, like its counterpart, to keep the frequent path short.
    #[inline(never)]
    fn settle(&mut self, place: Place) {
        self.occupied.set(place.rank);
        self.best = self.best.min(place.rank);
        if place.shown {
            self.shown.set(place.rank);
        }
    }

    /// The last order of a queue is gone, of the level perhaps too.
    #[inline(never)]
    fn vacate(&mut self, place: Place) {
        let rank = place.rank;
        if place.shown {
            self.shown.clear(rank);
        }
        if !self.levels[rank as usize].is_empty() {
            return;
        }
        self.occupied.clear(rank);
        if rank == self.best {
            self.best = self.occupied.at_or_after(rank);
        }
    }

    /// Counts shares that a reserve order of the level does not show: with those of the hidden queue.
    #[inline]
    pub fn keep_back(&mut self, rank: Rank, shares: u32) {
        self.levels[rank as usize].open[1] += u64::from(shares);
    }

    /// Such shares now show, or leave.
    #[inline]
    pub fn bring_out(&mut self, rank: Rank, shares: u32) {
        self.levels[rank as usize].open[1] -= u64::from(shares);
    }

    /// Takes `taken` shares off a queue of the level; the order keeps its place.
    #[inline]
    pub fn reduce(&mut self, rank: Rank, shown: bool, taken: u32) {
        self.levels[rank as usize].open[usize::from(!shown)] -= u64::from(taken);
    }
}
