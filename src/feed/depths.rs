//! What the feed has said of each ticker: its displayed levels, its state, its trades. The depth cache shows the best of
//! it; a snapshot keeps it.
//!
//! A function of the public facts alone. Owned by whoever follows the feed: the publisher's thread, where it is hot, or a
//! shadow that follows the journal. Bounded by the levels kept a side, all taken at start.

use super::levels::{Levels, NotThere};
use crate::types::bytes::{Malformed, Reader, Writer};
use crate::types::{Display, Event, Market, Price, PublicFact, Published, Quantity, Side};
use crate::wire::depth::{DepthFacts, FACTS_WORDS, LEVELS};

/// Which sides of a block an event changed within the ten levels shown; `None` when the feed says nothing of it.
pub(super) type Touched = Option<[bool; 2]>;

/// All tickers. See the module's words.
pub struct Depths {
    pub(super) tickers: Vec<TickerDepth>,
    contradictions: u64,
}

/// What is known of one ticker.
pub(super) struct TickerDepth {
    pub(super) facts: DepthFacts,
    pub(super) sides: [Levels; 2],
    /// Of its block in the cache.
    pub(super) version: u64,
}

impl Depths {
    /// Empty; keeps `levels_max` price levels a side, at least the ten shown.
    pub fn new(market: &Market, levels_max: usize) -> Depths {
        let levels_max = levels_max.max(LEVELS);
        let tickers = market.tickers.iter().map(|spec| TickerDepth {
            facts: DepthFacts::new(spec.symbol),
            sides: [Levels::new(Side::Buy, levels_max), Levels::new(Side::Sell, levels_max)],
            version: 0,
        });
        Depths { tickers: tickers.collect(), contradictions: 0 }
    }

    /// Takes in what the feed said as message `feed_sequence`; says what of whom changed.
    #[inline]
    pub(super) fn take(&mut self, published: &Published, feed_sequence: u64) -> Option<(usize, [bool; 2])> {
        let PublicFact::Book { event, .. } = published.fact else { return None };
        let index = published.ticker.index();
        let ticker = self.tickers.get_mut(index)?;
        match ticker.apply(&event) {
            Ok(sides) => {
                let sides = sides?;
                ticker.facts.feed_sequence = feed_sequence;
                ticker.facts.time = published.time;
                Some((index, sides))
            }
            Err(NotThere) => {
                self.contradictions += 1;
                None
            }
        }
    }

    /// The same for one who shows it to nobody.
    pub fn on(&mut self, published: &Published, feed_sequence: u64) {
        self.take(published, feed_sequence);
    }

    /// Events that named shares no level holds. Above 0, matcher and feed disagree.
    pub fn contradictions(&self) -> u64 {
        self.contradictions
    }

    /// Takes it down. Cold.
    pub fn save(&self, out: &mut Writer) {
        for ticker in &self.tickers {
            ticker.facts.words().iter().for_each(|word| out.u64(*word));
            ticker.sides.iter().for_each(|levels| levels.save(out));
        }
    }

    /// Becomes what was taken down, in the memory there is. Cold.
    /// # Errors
    /// Bytes that no feed of this market wrote; then it is neither the old nor the new.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        for ticker in &mut self.tickers {
            let mut words = [0; FACTS_WORDS];
            for word in &mut words {
                *word = from.u64("facts of a ticker")?;
            }
            let facts = DepthFacts::from_words(&words).filter(|facts| facts.symbol == ticker.facts.symbol);
            ticker.facts = facts.ok_or_else(|| from.malformed("facts of a ticker"))?;
            for levels in &mut ticker.sides {
                levels.load(from)?;
            }
        }
        Ok(())
    }

    /// As if nothing had been said. Cold.
    pub fn clear(&mut self) {
        for ticker in &mut self.tickers {
            ticker.facts = DepthFacts::new(ticker.facts.symbol);
            ticker.sides.iter_mut().for_each(Levels::clear);
        }
    }
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
