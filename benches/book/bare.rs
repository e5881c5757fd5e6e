//! The floor: orders in an array, levels in an array, one bitmap, nothing else. It trusts every record.

use super::Book;
use super::script::{PRICE_MAX, TICK};
use pitlane::types::*;
use std::hint::black_box;

const NONE: u32 = u32::MAX;
const WORDS: usize = (PRICE_MAX / TICK) as usize / 64 + 1;

#[derive(Clone, Copy)]
struct Order {
    tick: u32,
    open: u32,
    prev: u32,
    next: u32,
    side: u32,
}

pub struct Bare {
    orders: Vec<Order>,
    /// Head and tail of each tick's queue.
    levels: Vec<[u32; 2]>,
    bits: Vec<u64>,
    best: [u32; 2],
    traded: u64,
}

impl Bare {
    pub fn new(market: &Market) -> Bare {
        let free = Order { tick: 0, open: 0, prev: NONE, next: NONE, side: 0 };
        Bare {
            orders: vec![free; market.orders_max as usize],
            levels: vec![[NONE; 2]; WORDS * 64],
            bits: vec![0; WORDS],
            best: [0, WORDS as u32 * 64],
            traded: 0,
        }
    }

    fn add(&mut self, slot: u32, side: u32, tick: u32, open: u32) {
        let tail = std::mem::replace(&mut self.levels[tick as usize][1], slot);
        self.orders[slot as usize] = Order { tick, open, prev: tail, next: NONE, side };
        if tail != NONE {
            self.orders[tail as usize].next = slot;
            return;
        }
        self.levels[tick as usize][0] = slot;
        self.bits[tick as usize / 64] |= 1 << (tick % 64);
        let best = &mut self.best[side as usize];
        *best = if side == 0 { tick.max(*best) } else { tick.min(*best) };
    }

    fn remove(&mut self, slot: u32) {
        let order = self.orders[slot as usize];
        let level = &mut self.levels[order.tick as usize];
        match order.prev {
            NONE => level[0] = order.next,
            prev => self.orders[prev as usize].next = order.next,
        }
        match order.next {
            NONE => level[1] = order.prev,
            next => self.orders[next as usize].prev = order.prev,
        }
        if level[0] == NONE {
            self.bits[order.tick as usize / 64] &= !(1 << (order.tick % 64));
            if self.best[order.side as usize] == order.tick {
                self.best[order.side as usize] = self.next(order.side, order.tick);
            }
        }
    }

    fn next(&self, side: u32, tick: u32) -> u32 {
        let (mut word, bit) = (tick as usize / 64, tick % 64);
        if side == 0 {
            let mut bits = self.bits[word] & (1u64 << bit).wrapping_sub(1);
            while bits == 0 && word > 0 {
                word -= 1;
                bits = self.bits[word];
            }
            return (word as u32 * 64 + 63).saturating_sub(bits.leading_zeros());
        }
        let mut bits = self.bits[word] & !((1u64 << bit) | (1u64 << bit).wrapping_sub(1));
        while bits == 0 && word + 1 < WORDS {
            word += 1;
            bits = self.bits[word];
        }
        word as u32 * 64 + bits.trailing_zeros()
    }

    fn take(&mut self, side: u32, limit: u32, mut open: u32) -> u32 {
        let other = 1 - side;
        while open > 0 {
            let best = self.best[other as usize];
            let within = if side == 0 { best <= limit } else { best >= limit };
            let slot = if within { self.levels[best as usize][0] } else { NONE };
            if slot == NONE {
                break;
            }
            let order = &mut self.orders[slot as usize];
            let traded = open.min(order.open);
            order.open -= traded;
            open -= traded;
            self.traded += u64::from(traded);
            if order.open == 0 {
                self.remove(slot);
            }
        }
        open
    }
}

impl Book for Bare {
    #[inline]
    fn play(&mut self, record: &Sequenced) {
        let (command, slot) = (&record.command, record.verdict.slot.0);
        let (tick, side) = (command.price.0 / TICK, command.side.side() as u32);
        match command.kind {
            CommandKind::Enter => {
                let left = self.take(side, tick, command.quantity.0);
                if left > 0 && command.time_in_force == TimeInForce::Day {
                    self.add(slot, side, tick, left);
                }
            }
            CommandKind::Cancel => self.remove(slot),
            _ => {
                let side = self.orders[slot as usize].side;
                self.remove(slot);
                self.add(slot, side, tick, command.quantity.0);
            }
        }
        black_box(self.traded);
    }
}
