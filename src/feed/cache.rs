//! The depth cache: each ticker's best ten levels a side, state and last trade, in a file others map.
//!
//! Written by the feed's thread after each message, hot: a few stores into one block, no system call. The file is a
//! copy of what `levels` keeps, rebuilt at start by replay, so nothing in it is worth saving. A block's version is odd
//! while it changes (seqlock): readers in other processes never make the writer wait, they look again.
//! Layout: `wire::depth`. The reading side is `client::depth`.

use super::depths::Depths;
use super::levels::Levels;
use crate::os::mapped::Mapped;
use crate::types::bytes::{Malformed, Reader};
use crate::types::{Market, Published, Side};
use crate::wire::depth::{self, DepthLevel, LEVELS};
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
    depths: Depths,
}

impl DepthCache {
    /// A cache file for the market at `path`, in place of an earlier one; readers of that one keep what they have and
    /// see that its sign of life stands still. Keeps `levels_max` price levels a side, at least the ten shown.
    /// # Errors
    /// What the system says; `WouldBlock` when a living process writes the file.
    pub fn create(path: &Path, market: &Market, levels_max: usize) -> io::Result<DepthCache> {
        let memory = Mapped::replace(path, depth::file_bytes(market.tickers.len()))?;
        std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE))?;
        memory.touch()?;
        let mut cache = DepthCache { memory, depths: Depths::new(market, levels_max) };
        cache.write_all();
        cache.memory.store_words(depth::SHAPE_AT, &[depth::shape(cache.depths.tickers.len())]);
        // Last: a reader that sees the magic sees a whole file. Pairs with the load in `DepthReader::open`.
        cache.memory.atomic_u64(depth::MAGIC_AT).store(depth::MAGIC, Ordering::Release);
        Ok(cache)
    }

    /// Takes in what the feed said as message `feed_sequence`. Cost: two searches at most and one block.
    #[inline]
    pub fn on(&mut self, published: &Published, feed_sequence: u64) {
        if let Some((index, sides)) = self.depths.take(published, feed_sequence) {
            self.write(index, sides);
        }
    }

    /// Shows what a snapshot holds. Cold.
    /// # Errors
    /// As [`Depths::load`].
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        self.depths.load(from)?;
        self.write_all();
        Ok(())
    }

    /// As if nothing had been said. Cold.
    pub fn clear(&mut self) {
        self.depths.clear();
        self.write_all();
    }

    fn write_all(&mut self) {
        (0..self.depths.tickers.len()).for_each(|index| self.write(index, [true, true]));
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
        self.depths.contradictions()
    }

    /// Writes the block's facts and the sides that changed.
    #[inline]
    fn write(&mut self, index: usize, sides: [bool; 2]) {
        let ticker = &mut self.depths.tickers[index];
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
