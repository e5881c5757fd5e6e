//! Reads the depth cache: best prices, ten levels, last trade of a ticker, from another process's mapped file.
//!
//! For programs on the same host that want the state now and not each message. A read is a copy of a few cache lines
//! and two looks at the block's version: no system call, no lock, tens of nanoseconds, and the writer never notices.
//! If the version changed in between, the copy may be torn and is taken again, a bounded number of times.
//! A reader proves by [`DepthReader::alive_ns`] that the writer still lives; a feed that is quiet renews it too.

use crate::os::mapped::Mapped;
use crate::types::{Price, Quantity, Symbol, TickerId};
use crate::wire::depth::{self, DepthFacts, DepthLevel, FACTS_WORDS, LEVELS};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};

/// Copies taken before a reader gives up: an update lasts some hundred nanoseconds, so this many mean that the writer
/// died or was put aside by the system inside one.
const RETRIES_MAX: u32 = 1 << 16;

/// Why a cache could not be opened or read.
#[derive(Debug)]
pub enum DepthFault {
    /// The file could not be mapped.
    Open(io::Error),
    /// The file is not a depth cache of this layout, or not finished.
    NotACache,
    /// The market has no such ticker.
    UnknownTicker(TickerId),
    /// The block stayed in change for all retries, or holds what no writer of ours writes.
    Unreadable(TickerId),
}

impl fmt::Display for DepthFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DepthFault::Open(error) => write!(f, "cannot map the depth cache: {error}"),
            DepthFault::NotACache => write!(f, "the file is not a depth cache of layout {}", depth::LAYOUT),
            DepthFault::UnknownTicker(ticker) => write!(f, "the depth cache has no ticker {ticker}"),
            DepthFault::Unreadable(ticker) => {
                write!(f, "ticker {ticker} stays in change: its writer died or stands still; open the cache again")
            }
        }
    }
}

impl std::error::Error for DepthFault {}

/// A ticker at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Symbol, state, last trade, volume, and the feed message the snapshot includes.
    pub facts: DepthFacts,
    bids: [DepthLevel; LEVELS],
    asks: [DepthLevel; LEVELS],
}

/// The best prices of a ticker at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Best {
    /// Best bid.
    pub bid: Option<DepthLevel>,
    /// Best offer.
    pub ask: Option<DepthLevel>,
    /// Price of the last trade; 0 before the first.
    pub last_price: Price,
    /// Shares of the last trade.
    pub last_quantity: Quantity,
    /// The feed message this includes.
    pub feed_sequence: u64,
}

impl Snapshot {
    /// Bids, best first, at most ten.
    pub fn bids(&self) -> &[DepthLevel] {
        present(&self.bids)
    }

    /// Offers, best first, at most ten.
    pub fn asks(&self) -> &[DepthLevel] {
        present(&self.asks)
    }
}

fn present(levels: &[DepthLevel; LEVELS]) -> &[DepthLevel] {
    let count = levels.iter().take_while(|level| level.orders > 0).count();
    &levels[..count]
}

/// A mapped cache. Shared freely between threads of the reading process.
#[derive(Debug)]
pub struct DepthReader {
    memory: Mapped,
    tickers: usize,
}

impl DepthReader {
    /// Maps the cache at `path`, for reading only.
    /// # Errors
    /// [`DepthFault::Open`], or [`DepthFault::NotACache`] also when its writer is just making it.
    pub fn open(path: &Path) -> Result<DepthReader, DepthFault> {
        let memory = Mapped::open(path, false).map_err(DepthFault::Open)?;
        if memory.len() < depth::HEADER_BYTES {
            return Err(DepthFault::NotACache);
        }
        // Pairs with the last store of `DepthCache::create`.
        let magic = memory.atomic_u64(depth::MAGIC_AT).load(Ordering::Acquire);
        let shape = memory.atomic_u64(depth::SHAPE_AT).load(Ordering::Relaxed);
        let tickers = depth::tickers_of(shape).filter(|tickers| {
            // Blocks that a foreign shape claims beyond the file would be a crash later.
            magic == depth::MAGIC && *tickers <= (memory.len() - depth::HEADER_BYTES) / depth::BLOCK_BYTES
        });
        let tickers = tickers.ok_or(DepthFault::NotACache)?;
        Ok(DepthReader { memory, tickers })
    }

    /// Number of tickers.
    pub fn tickers(&self) -> usize {
        self.tickers
    }

    /// The ticker of this name. Walks all blocks: look up once, then read by id.
    pub fn ticker(&self, symbol: Symbol) -> Option<TickerId> {
        let name = u64::from_le_bytes(symbol.0);
        let named = |index: &usize| self.memory.atomic_u64(depth::word_at(*index, 1)).load(Ordering::Relaxed) == name;
        (0..self.tickers).find(named).map(|index| TickerId(index as u16))
    }

    /// The writer's last sign of life, on the host's monotonic clock (`os::clock::monotonic_ns`); renewed about every
    /// second.
    pub fn alive_ns(&self) -> u64 {
        self.memory.atomic_u64(depth::ALIVE_AT).load(Ordering::Relaxed)
    }

    /// Whether the writer has ended its day: what is here is final.
    pub fn is_closed(&self) -> bool {
        self.memory.atomic_u64(depth::CLOSED_AT).load(Ordering::Acquire) == 1
    }

    /// The whole of a ticker, consistent.
    /// # Errors
    /// [`DepthFault::UnknownTicker`], [`DepthFault::Unreadable`].
    pub fn read(&self, ticker: TickerId) -> Result<Snapshot, DepthFault> {
        let at = self.block(ticker)?;
        let mut words = [0; depth::BLOCK_WORDS - 1];
        self.consistent(at, ticker, || self.memory.load_words(at + 8, &mut words))?;
        let (facts, levels) = words.split_first_chunk::<FACTS_WORDS>().expect("a block is longer than its facts");
        let level = |index: usize| DepthLevel::from_words([levels[2 * index], levels[2 * index + 1]]);
        Ok(Snapshot {
            facts: DepthFacts::from_words(facts).ok_or(DepthFault::Unreadable(ticker))?,
            bids: std::array::from_fn(level),
            asks: std::array::from_fn(|index| level(LEVELS + index)),
        })
    }

    /// Only the best prices and the last trade: four cache lines fewer than [`DepthReader::read`].
    /// # Errors
    /// As [`DepthReader::read`].
    #[inline]
    pub fn best(&self, ticker: TickerId) -> Result<Best, DepthFault> {
        let at = self.block(ticker)?;
        let (mut facts, mut bid, mut ask) = ([0; FACTS_WORDS], [0; 2], [0; 2]);
        self.consistent(at, ticker, || {
            self.memory.load_words(at + 8, &mut facts);
            self.memory.load_words(at + 8 * depth::BIDS_WORD, &mut bid);
            self.memory.load_words(at + 8 * depth::ASKS_WORD, &mut ask);
        })?;
        let facts = DepthFacts::from_words(&facts).ok_or(DepthFault::Unreadable(ticker))?;
        let level = |words| Some(DepthLevel::from_words(words)).filter(|level| level.orders > 0);
        Ok(Best {
            bid: level(bid),
            ask: level(ask),
            last_price: facts.last_price,
            last_quantity: facts.last_quantity,
            feed_sequence: facts.feed_sequence,
        })
    }

    #[inline]
    fn block(&self, ticker: TickerId) -> Result<usize, DepthFault> {
        if ticker.index() >= self.tickers {
            return Err(DepthFault::UnknownTicker(ticker));
        }
        Ok(depth::word_at(ticker.index(), 0))
    }

    /// Runs `copy` until the block's version is even and the same before and after it.
    #[inline]
    fn consistent(&self, at: usize, ticker: TickerId, mut copy: impl FnMut()) -> Result<(), DepthFault> {
        let version = self.memory.atomic_u64(at);
        for _ in 0..RETRIES_MAX {
            // Pairs with the writer's last store: the copy sees at least that update.
            let before = version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                copy();
                // Keeps the copy before the second look. Pairs with the writer's fence: if the copy saw any of a newer
                // update, the second look sees its odd version.
                fence(Ordering::Acquire);
                if version.load(Ordering::Relaxed) == before {
                    return Ok(());
                }
            }
            std::hint::spin_loop();
        }
        Err(DepthFault::Unreadable(ticker))
    }
}
