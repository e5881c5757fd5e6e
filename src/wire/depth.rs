//! Layout of the depth cache: a mapped file from which any local process reads a ticker without a system call.
//!
//! The file is a header line and one block of 48 words for each ticker, in the order of the ticker ids. A block is
//! six cache lines: the first holds what most readers want beside the best prices, the rest are ten levels a side,
//! best first, so that the best bid follows directly. All words are native 64-bit integers, because writer and
//! readers share a machine; word 0 of a block is a version that is odd while the block is being written (seqlock).
//! This file only says which bits lie where; who may write when is the business of `feed::cache` and `client::depth`.

use crate::types::{Nanos, Price, Quantity, Symbol, TradingState};

/// Levels kept for each side.
pub const LEVELS: usize = 10;
/// First word of the file; written last, so that a reader never sees a half-made header.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PITDEPTH");
/// Version of this layout.
pub const LAYOUT: u32 = 1;
/// Bytes of the header; a multiple of two lines, so that adjacent-line prefetch of a block leaves it alone.
pub const HEADER_BYTES: usize = 128;
/// Words of a block: one line of facts, then two words for each level.
pub const BLOCK_WORDS: usize = BIDS_WORD + 4 * LEVELS;
/// Bytes of a block.
pub const BLOCK_BYTES: usize = BLOCK_WORDS * 8;
/// Word of the first bid.
pub const BIDS_WORD: usize = 8;
/// Word of the first offer.
pub const ASKS_WORD: usize = BIDS_WORD + 2 * LEVELS;

/// Byte offset of the magic in the header.
pub const MAGIC_AT: usize = 0;
/// Byte offset of layout version (low half) and ticker count (high half).
pub const SHAPE_AT: usize = 8;
/// Byte offset of the writer's sign of life: the host's monotonic clock in ns, renewed at each heartbeat of the feed.
pub const ALIVE_AT: usize = 16;
/// Byte offset of the end mark: 1 once the writer has finished its day and will not write again.
pub const CLOSED_AT: usize = 24;

const _: () =
    assert!(BLOCK_BYTES.is_multiple_of(64) && HEADER_BYTES.is_multiple_of(64), "blocks start on a cache line");

/// Bytes of a cache file for this many tickers.
pub const fn file_bytes(tickers: usize) -> usize {
    HEADER_BYTES + tickers * BLOCK_BYTES
}

/// Byte offset of word `word` of ticker `index`.
#[inline]
pub const fn word_at(index: usize, word: usize) -> usize {
    HEADER_BYTES + index * BLOCK_BYTES + word * 8
}

/// The shape word of a file with this many tickers.
pub const fn shape(tickers: usize) -> u64 {
    LAYOUT as u64 | (tickers as u64) << 32
}

/// The ticker count of a shape word, `None` when another layout wrote it.
pub const fn tickers_of(shape: u64) -> Option<usize> {
    if shape as u32 == LAYOUT { Some((shape >> 32) as usize) } else { None }
}

/// One price level: displayed shares and orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DepthLevel {
    /// Price.
    pub price: Price,
    /// Displayed orders at the price; 0 where there is no level.
    pub orders: u32,
    /// Displayed shares at the price.
    pub quantity: u64,
}

impl DepthLevel {
    /// Its two words.
    #[inline]
    pub const fn words(self) -> [u64; 2] {
        [self.price.0 as u64 | (self.orders as u64) << 32, self.quantity]
    }

    /// From its two words.
    #[inline]
    pub const fn from_words(words: [u64; 2]) -> DepthLevel {
        DepthLevel { price: Price(words[0] as u32), orders: (words[0] >> 32) as u32, quantity: words[1] }
    }
}

/// What stands in a block beside the levels: its words 1 to 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DepthFacts {
    /// Name of the ticker.
    pub symbol: Symbol,
    /// State of trading.
    pub state: TradingState,
    /// False when a side held more price levels than the writer keeps and the ten shown may miss some.
    pub complete: bool,
    /// Number of the last feed message the block includes; joins the cache to the feed.
    pub feed_sequence: u64,
    /// Time of the record behind that message.
    pub time: Nanos,
    /// Price of the last trade; 0 before the first.
    pub last_price: Price,
    /// Shares of the last trade.
    pub last_quantity: Quantity,
    /// Shares traded this day, hidden executions included.
    pub volume: u64,
    /// Trades of this day.
    pub trades: u64,
}

/// Words of the facts.
pub const FACTS_WORDS: usize = 7;

impl DepthFacts {
    /// A ticker before anything happened: halted, empty.
    pub const fn new(symbol: Symbol) -> DepthFacts {
        DepthFacts {
            symbol,
            state: TradingState::Halted,
            complete: true,
            feed_sequence: 0,
            time: Nanos(0),
            last_price: Price(0),
            last_quantity: Quantity(0),
            volume: 0,
            trades: 0,
        }
    }

    /// Words 1 to 7 of the block.
    #[inline]
    pub const fn words(&self) -> [u64; FACTS_WORDS] {
        [
            u64::from_le_bytes(self.symbol.0),
            self.state.letter() as u64 | (self.complete as u64) << 8,
            self.feed_sequence,
            self.time.0,
            self.last_price.0 as u64 | (self.last_quantity.0 as u64) << 32,
            self.volume,
            self.trades,
        ]
    }

    /// From words 1 to 7; `None` when the state letter means nothing, which only a foreign writer can cause.
    #[inline]
    pub const fn from_words(words: &[u64; FACTS_WORDS]) -> Option<DepthFacts> {
        let Some(state) = TradingState::from_letter(words[1] as u8) else { return None };
        Some(DepthFacts {
            symbol: Symbol(words[0].to_le_bytes()),
            state,
            complete: (words[1] >> 8) & 1 == 1,
            feed_sequence: words[2],
            time: Nanos(words[3]),
            last_price: Price(words[4] as u32),
            last_quantity: Quantity((words[4] >> 32) as u32),
            volume: words[5],
            trades: words[6],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_levels_come_back_from_their_words() {
        let mut facts = DepthFacts::new(Symbol(*b"ABCD    "));
        facts.state = TradingState::Trading;
        facts.complete = false;
        facts.feed_sequence = 77;
        facts.time = Nanos(u64::MAX - 1);
        facts.last_price = Price(u32::MAX);
        facts.last_quantity = Quantity(u32::MAX - 1);
        facts.volume = 1 << 40;
        facts.trades = 3;
        assert_eq!(DepthFacts::from_words(&facts.words()), Some(facts));

        let level = DepthLevel { price: Price(u32::MAX), orders: u32::MAX - 7, quantity: u64::MAX };
        assert_eq!(DepthLevel::from_words(level.words()), level);
    }

    #[test]
    fn a_block_is_six_cache_lines() {
        assert_eq!(BLOCK_BYTES, 384);
        assert_eq!(word_at(1, 0) - word_at(0, 0), BLOCK_BYTES);
        assert_eq!(file_bytes(2), word_at(2, 0));
        assert_eq!(tickers_of(shape(65_000)), Some(65_000));
        assert_eq!(tickers_of(shape(1) + 1), None);
    }
}
