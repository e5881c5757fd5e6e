//! The depth cache: each ticker's best ten levels a side, state and last trade, in a file others map.
//!
//! Written by the feed's thread after each message, hot: a few stores into one block, no system call. The file is a
//! copy of what `levels` keeps, rebuilt at start by replay, so nothing in it is worth saving. A block's version is odd
//! while it changes (seqlock): readers in other processes never make the writer wait, they look again.
//! Layout: `wire::depth`. The reading side is `client::depth`.

use super::levels::{Levels, NotThere};
use crate::os::mapped::Mapped;
use crate::types::{Display, Event, Market, Price, PublicFact, Published, Quantity, Side};
use crate::wire::depth::{self, DepthFacts, DepthLevel, LEVELS};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};

/// Everybody on the host may read: what stands in the cache is public on the feed.
const FILE_MODE: u32 = 0o644;

/// Writer of the cache. See the module's words.
pub struct DepthCache {
    memory: Mapped,
    tickers: Vec<TickerDepth>,
    contradictions: u64,
}

/// What is known of one ticker.
struct TickerDepth {
    facts: DepthFacts,
    sides: [Levels; 2],
    version: u64,
}

/// Which sides of a block an event changed within the ten levels shown; `None` when the feed says nothing of it.
type Touched = Option<[bool; 2]>;

impl DepthCache {
    /// A cache file for the market at `path`, in place of an earlier one; readers of that one keep what they have and
    /// see that its sign of life stands still. Keeps `levels_max` price levels a side, at least the ten shown.
    /// # Errors
    /// What the system says; `WouldBlock` when a living process writes the file.
    pub fn create(path: &Path, market: &Market, levels_max: usize) -> io::Result<DepthCache> {
        let memory = Mapped::replace(path, depth::file_bytes(market.tickers.len()))?;
        std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE))?;
        memory.touch()?;
        let levels_max = levels_max.max(LEVELS);
        let tickers = market.tickers.iter().map(|spec| TickerDepth {
            facts: DepthFacts::new(spec.symbol),
            sides: [Levels::new(Side::Buy, levels_max), Levels::new(Side::Sell, levels_max)],
            version: 0,
        });
        let mut cache = DepthCache { memory, tickers: tickers.collect(), contradictions: 0 };
        for index in 0..cache.tickers.len() {
            cache.write(index, [true, true]);
        }
        cache.memory.store_words(depth::SHAPE_AT, &[depth::shape(cache.tickers.len())]);
        // Last: a reader that sees the magic sees a whole file. Pairs with the load in `DepthReader::open`.
        cache.memory.atomic_u64(depth::MAGIC_AT).store(depth::MAGIC, Ordering::Release);
        Ok(cache)
    }

    /// Takes in what the feed said as message `feed_sequence`. Cost: two searches at most and one block.
    #[inline]
    pub fn on(&mut self, published: &Published, feed_sequence: u64) {
        let PublicFact::Book { event, .. } = published.fact else { return };
        let index = published.ticker.index();
        let Some(ticker) = self.tickers.get_mut(index) else { return };
        match ticker.apply(&event) {
            Ok(None) => {}
            Ok(Some(sides)) => {
                ticker.facts.feed_sequence = feed_sequence;
                ticker.facts.time = published.time;
                self.write(index, sides);
            }
            Err(NotThere) => self.contradictions += 1,
        }
    }

    /// Renews the sign of life: `now_ns` of the host's monotonic clock.
    pub fn alive(&mut self, now_ns: u64) {
        self.memory.store_words(depth::ALIVE_AT, &[now_ns]);
    }

    /// Marks the file as final: nothing more will be written.
    pub fn close(&mut self) {
        self.memory.atomic_u64(depth::CLOSED_AT).store(1, Ordering::Release);
    }

    /// Events that named shares no level holds. Above 0, matcher and feed disagree.
    pub fn contradictions(&self) -> u64 {
        self.contradictions
    }

    /// Writes the block's facts and the sides that changed.
    #[inline]
    fn write(&mut self, index: usize, sides: [bool; 2]) {
        let ticker = &mut self.tickers[index];
        ticker.facts.complete = ticker.sides.iter().all(|levels| levels.knows(LEVELS));
        let version = self.memory.atomic_u64(depth::word_at(index, 0));
        // Odd before the first change: the fence keeps the stores below behind it. Pairs with the reader's fence.
        version.store(ticker.version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.memory.store_words(depth::word_at(index, 1), &ticker.facts.words());
        for (side, first) in [(Side::Buy, depth::BIDS_WORD), (Side::Sell, depth::ASKS_WORD)] {
            if sides[side.index()] {
                let words = shown(&ticker.sides[side.index()]);
                self.memory.store_words(depth::word_at(index, first), &words);
            }
        }
        ticker.version += 2;
        // Even again, last of all. Pairs with the reader's first load.
        version.store(ticker.version, Ordering::Release);
    }
}

/// The words of the best ten levels; where there is none, zeros.
fn shown(levels: &Levels) -> [u64; 2 * LEVELS] {
    let mut words = [0; 2 * LEVELS];
    for (pair, level) in words.as_chunks_mut::<2>().0.iter_mut().zip(levels.best_first()) {
        *pair = DepthLevel::words(level);
    }
    words
}

impl TickerDepth {
    /// Brings levels and facts to where they stand after `event`.
    fn apply(&mut self, event: &Event) -> Result<Touched, NotThere> {
        match *event {
            Event::Nothing | Event::Accepted { .. } | Event::ReplaceIgnored { .. } => Ok(None),
            Event::Rested { side, display, shown, price, .. } => Ok(self.add(side, display, price, shown)),
            Event::Filled { price, quantity, resting_leaves, resting_side, displayed, .. } => {
                let touched = self.take(resting_side, displayed, price, quantity, resting_leaves.is_zero())?;
                self.facts.last_price = price;
                self.facts.last_quantity = quantity;
                self.facts.volume += u64::from(quantity.0);
                self.facts.trades += 1;
                Ok(touched.or(Some([false; 2])))
            }
            Event::Canceled { side, price, shown, leaves, .. }
            | Event::SelfMatch { side, price, shown, leaves, .. } => {
                self.take(side, !shown.is_zero(), price, shown, leaves.is_zero())
            }
            Event::Modified { side_code, price, shown, leaves, .. } => {
                self.take(side_code.side(), !shown.is_zero(), price, shown, leaves.is_zero())
            }
            Event::Replaced { side, display, shown, price, old_shown, old_price, rests, .. } => {
                let left = self.take(side, !old_shown.is_zero(), old_price, old_shown, true)?;
                let came = if rests { self.add(side, display, price, shown) } else { None };
                Ok(both(left, came))
            }
            Event::Refreshed { side, display, price, quantity, .. } => {
                self.take(side, display.is_shown(), price, Quantity(0), true)?;
                Ok(self.add(side, display, price, quantity))
            }
            Event::Repriced { side, display, old_price, price, quantity, .. } => {
                let left = self.take(side, display.is_shown(), old_price, quantity, true)?;
                Ok(both(left, self.add(side, display, price, quantity)))
            }
            Event::Crossed { buy_price, sell_price, quantity, buy_leaves, sell_leaves, shown, .. } => {
                let bought = self.take(Side::Buy, shown & 1 != 0, buy_price, quantity, buy_leaves.is_zero())?;
                let sold = self.take(Side::Sell, shown & 2 != 0, sell_price, quantity, sell_leaves.is_zero())?;
                Ok(both(bought, sold))
            }
            Event::CrossDone { price, quantity, .. } => {
                if quantity > 0 {
                    self.facts.last_price = price;
                    self.facts.last_quantity = Quantity(u32::try_from(quantity).unwrap_or(u32::MAX));
                    self.facts.volume += quantity;
                    self.facts.trades += 1;
                }
                Ok(Some([false; 2]))
            }
            Event::Triggered { .. } | Event::Imbalance { .. } | Event::Band { .. } | Event::Broken { .. } => Ok(None),
            Event::State { state } => {
                self.facts.state = state;
                Ok(Some([false; 2]))
            }
        }
    }

    fn add(&mut self, side: Side, display: Display, price: Price, quantity: Quantity) -> Touched {
        if !display.is_shown() {
            return None;
        }
        let rank = self.sides[side.index()].add(price, quantity);
        Some(touched(side, rank))
    }

    fn take(
        &mut self,
        side: Side,
        displayed: bool,
        price: Price,
        quantity: Quantity,
        ended: bool,
    ) -> Result<Touched, NotThere> {
        if !displayed {
            return Ok(None);
        }
        let rank = self.sides[side.index()].take(price, quantity, ended)?;
        Ok(Some(touched(side, rank)))
    }
}

fn both(one: Touched, other: Touched) -> Touched {
    match (one, other) {
        (Some(one), Some(other)) => Some([one[0] | other[0], one[1] | other[1]]),
        (touched, None) | (None, touched) => touched,
    }
}

fn touched(side: Side, rank: Option<usize>) -> [bool; 2] {
    let mut sides = [false; 2];
    sides[side.index()] = rank.is_some_and(|rank| rank < LEVELS);
    sides
}
