//! Endless order flow from a seed, shaped after a real sample (see [`calibration`]).
//!
//! The generator keeps a book of its own for each ticker and needs no answers: it places new orders by distance from
//! its own best price, cancels and executes its own orders, and so stays sensible while the exchange plays along. It
//! never runs dry (a side that grows thin gets orders until it is not) and never grows without end (a full book loses
//! more than it gains). The same options give the same steps on every machine.
//!
//! Its times are those of one busy ticker's opening; set a rate with [`super::Paced`]. It runs on the player's thread:
//! no allocation after `new`, under 150 ns a step (2-vCPU virtual machine, busy with other work).
//!
//! [`calibration`]: super::calibration

use super::calibration as sample;
use super::calibration::Kind;
use super::ladder::{Ladder, TICKS};
use super::random::{Random, Table, weights};
use super::{FlowAction, FlowStep};
use crate::types::{Price, Quantity, Side, TickerId, TickerSpec};

/// Orders of a side below which it only gets new ones: the generator never takes the last.
const SIDE_ORDERS_MIN: usize = 8;
/// Orders of a side the flow opens with.
const OPENING_ORDERS: usize = 24;
/// Ticks between the best prices the flow opens with, about the sample's mean spread.
const OPENING_SPREAD: usize = 22;
/// Ticks the middle may wander to either side before every choice of side pulls it back.
const BAND: i64 = 400;
/// Fewest price levels of a ticker's range that leave room for an opening book and its deepest orders.
const RANGE_MIN: usize = 256;
/// Room in the order table beyond the target: the book turns around well before.
const HEADROOM: usize = 4;

/// What a generator plays, and with whom.
#[derive(Clone, Debug)]
pub struct GeneratorOptions {
    /// Equal seeds give equal flows.
    pub seed: u64,
    /// Tickers, each as busy as any other.
    pub tickers: Vec<GeneratorTicker>,
    /// Sessions `0..makers` rest orders. At least 1.
    pub makers: u16,
    /// The next `takers` sessions send incoming orders. Other accounts than the makers', or self-match prevention
    /// keeps them apart. At least 1.
    pub takers: u16,
    /// Resting orders of each ticker around which the book stays; at least 64. Deeper books are denser, and their
    /// spread is smaller than the sample's.
    pub resting: usize,
    /// Keys count up from the one after this. Flows that one player plays one after the other need keys of their own.
    pub keys_from: u64,
    /// Of 1,000 deletions, so many take only part of the order. The sample has none.
    pub reduced_per_mille: u32,
    /// Of 1,000 deletions, so many bring the order to another price instead. The sample has none: its format shows
    /// a replace as a deletion and a new order.
    pub replaced_per_mille: u32,
}

impl GeneratorOptions {
    /// One maker, one taker, 100 resting orders a ticker, the sample's mix.
    pub const fn new(seed: u64, tickers: Vec<GeneratorTicker>) -> GeneratorOptions {
        GeneratorOptions {
            seed,
            tickers,
            makers: 1,
            takers: 1,
            resting: 100,
            keys_from: 0,
            reduced_per_mille: 0,
            replaced_per_mille: 0,
        }
    }
}

/// One ticker of a generator: its prices as a row of ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GeneratorTicker {
    ticker: TickerId,
    /// Price of tick 0.
    lowest: Price,
    tick: Price,
    lot: Quantity,
    /// Where the flow opens and is pulled back to.
    center: usize,
    /// Ticks it may use.
    range: usize,
}

impl GeneratorTicker {
    /// A listed ticker, around its reference price. `None` when fewer than 256 prices of its range are in reach.
    pub fn new(ticker: TickerId, spec: &TickerSpec) -> Option<GeneratorTicker> {
        let tick = spec.tick.0.max(1);
        let middle = (spec.reference.0 / tick).clamp(spec.price_min.0.div_ceil(tick), spec.price_max.0 / tick);
        let lowest = spec.price_min.0.div_ceil(tick).max(1).max(middle.saturating_sub(TICKS as u32 / 2));
        let highest = (spec.price_max.0 / tick).min(lowest + TICKS as u32 - 1);
        let range = highest.checked_sub(lowest)? as usize + 1;
        let center = (middle - lowest.min(middle)) as usize;
        let center = center.clamp(RANGE_MIN / 2, range.checked_sub(RANGE_MIN / 2)?.max(RANGE_MIN / 2));
        let lot = Quantity(spec.lot.0.max(1));
        let (lowest, tick) = (Price(lowest * tick), Price(tick));
        (range >= RANGE_MIN).then_some(GeneratorTicker { ticker, lowest, tick, lot, center, range })
    }

    fn price(&self, tick: usize) -> Price {
        Price(self.lowest.0 + tick as u32 * self.tick.0)
    }

    /// A size as whole lots, one at least.
    fn lots(&self, shares: u32) -> u32 {
        shares.div_ceil(self.lot.0).max(1) * self.lot.0
    }
}

/// The sample's figures, ready to draw from.
#[derive(Clone, Debug)]
struct Tables {
    kinds: Table<Kind>,
    kinds_full: Table<Kind>,
    sizes_new: Table<u32>,
    sizes_hidden: Table<u32>,
    bettered: Table<u32>,
    behind: Table<u32>,
    distances_delete: Table<u32>,
    gaps_short: Table<(u64, u64)>,
    gaps_long: Table<(u64, u64)>,
}

impl Tables {
    fn new() -> Tables {
        Tables {
            kinds: Table::new(&sample::KINDS),
            kinds_full: Table::new(&sample::KINDS_FULL),
            sizes_new: Table::new(&sample::SIZES_NEW),
            sizes_hidden: Table::new(&sample::SIZES_HIDDEN),
            bettered: Table::new(&sample::BETTERED),
            behind: Table::new(&sample::BEHIND),
            distances_delete: Table::new(&sample::DISTANCES_DELETE),
            gaps_short: Table::new(&sample::GAPS_SHORT),
            gaps_long: Table::new(&sample::GAPS_LONG),
        }
    }
}

/// Endless steps; see the file's essay.
#[derive(Clone, Debug)]
pub struct Generator {
    options: GeneratorOptions,
    random: Random,
    tables: Tables,
    ladders: Vec<Ladder>,
    /// Steps of the event under way, last first.
    waiting: [Option<FlowStep>; 2],
    opening_left: usize,
    now: u64,
    gap_was_short: bool,
    keys: u64,
}

impl Generator {
    /// Mean gap between steps in ns, for [`super::Pace::Scaled`]. A hidden execution is two steps at one time.
    pub const MEAN_GAP_NS: u64 = {
        let events = weights(&sample::KINDS) as u64;
        sample::MEAN_GAP_NS * events / (events + sample::KINDS[3].1 as u64)
    };

    /// Prepares all books; takes all memory it will use.
    /// # Panics
    /// Without tickers, makers or takers there is no flow.
    pub fn new(mut options: GeneratorOptions) -> Generator {
        assert!(!options.tickers.is_empty(), "a flow needs a ticker");
        assert!(options.makers > 0 && options.takers > 0, "a flow needs somebody who rests and somebody who takes");
        options.resting = options.resting.max(64);
        let ladders = options.tickers.iter().map(|_| Ladder::new(options.resting * HEADROOM)).collect();
        Generator {
            random: Random::new(options.seed),
            tables: Tables::new(),
            ladders,
            waiting: [None, None],
            opening_left: 2 * OPENING_ORDERS * options.tickers.len(),
            now: 0,
            gap_was_short: false,
            keys: options.keys_from,
            options,
        }
    }

    /// Steps the flow opens with, all at time 0: the first orders of every book.
    pub fn opening_steps(&self) -> usize {
        2 * OPENING_ORDERS * self.options.tickers.len()
    }

    fn event(&mut self) {
        self.now += self.gap();
        let at = self.random.below(self.options.tickers.len() as u64) as usize;
        let ladder = &self.ladders[at];
        let [buys, sells] = [Side::Buy, Side::Sell].map(|side| ladder.count(side));
        if buys.min(sells) < SIDE_ORDERS_MIN {
            return self.place(at, if buys < sells { Side::Buy } else { Side::Sell });
        }
        let full = buys + sells >= self.options.resting;
        let kinds = if full { &self.tables.kinds_full } else { &self.tables.kinds };
        match kinds.draw(&mut self.random) {
            Kind::New => {
                let side = self.side_that_pulls_back(at).opposite();
                self.place(at, side);
            }
            Kind::Delete => self.delete(at),
            Kind::Execute => self.execute(at),
            Kind::ExecuteHidden => self.execute_hidden(at),
        }
    }

    /// One order of the opening book.
    fn open(&mut self) {
        let index = self.opening_left;
        self.opening_left -= 1;
        let at = index % self.options.tickers.len();
        let side = if (index / self.options.tickers.len()).is_multiple_of(2) { Side::Buy } else { Side::Sell };
        self.place(at, side);
    }

    /// A displayed order comes to rest on a side; in a full table one leaves instead.
    fn place(&mut self, at: usize, side: Side) {
        if self.ladders[at].is_full() {
            return self.delete(at);
        }
        let tick = self.tick_for(at, side);
        let shares = self.tables.sizes_new.draw(&mut self.random);
        let session = self.random.below(u64::from(self.options.makers)) as u16;
        let (key, ticker) = (self.key(), self.options.tickers[at]);
        let quantity = ticker.lots(shares);
        if self.ladders[at].rest(key, side, tick, quantity, session) {
            self.push(at, session, FlowAction::rest(key, side, Quantity(quantity), ticker.price(tick)));
        }
    }

    /// Where a new order goes: by distance from the best of its side, always short of the other side's.
    fn tick_for(&mut self, at: usize, side: Side) -> usize {
        let distance = self.distance(at);
        let ticker = &self.options.tickers[at];
        let ladder = &self.ladders[at];
        let last = ticker.range as i64 - 1;
        // Without a best price of its own a side starts from the other's, or from where the ticker opens.
        let other = ladder.best(side.opposite()).map(|tick| tick as i64);
        let away = if side == Side::Buy { -1 } else { 1 };
        let start = other.map_or(ticker.center as i64 + away * OPENING_SPREAD as i64 / 2, |tick| {
            tick + away * OPENING_SPREAD as i64
        });
        let best = ladder.best(side).map_or(start, |tick| tick as i64);
        let wanted = best + away * distance;
        let (low, high) = match side {
            Side::Buy => (0, other.map_or(last, |tick| tick - 1)),
            Side::Sell => (other.map_or(0, |tick| tick + 1), last),
        };
        // The band keeps prices far from both ends; the clamp only makes it certain.
        wanted.clamp(low.min(last), high.max(low.min(last))) as usize
    }

    /// Ticks behind the best price; negative is better than it. Prices are bettered the more often the wider the
    /// spread, which so keeps near the sample's.
    fn distance(&mut self, at: usize) -> i64 {
        let ladder = &self.ladders[at];
        let spread = match (ladder.best(Side::Buy), ladder.best(Side::Sell)) {
            (Some(bid), Some(ask)) => (ask - bid) as u32,
            _ => sample::SPREAD,
        };
        if spread > 1 && self.random.chance(sample::BETTER * spread, sample::PLACED * sample::SPREAD) {
            let ticks = self.tables.bettered.draw(&mut self.random);
            return -i64::from(if ticks > spread / sample::SPREAD_PART { 1 } else { ticks });
        }
        i64::from(self.tables.behind.draw(&mut self.random))
    }

    /// An order is taken back, or by option reduced or replaced.
    fn delete(&mut self, at: usize) {
        let [buys, sells] = [Side::Buy, Side::Sell].map(|side| self.ladders[at].count(side) as u64);
        let side = if self.random.below(buys + sells) < buys { Side::Buy } else { Side::Sell };
        let distance = self.tables.distances_delete.draw(&mut self.random);
        let Some(slot) = self.ladders[at].newest_near(side, distance as usize) else { return };
        let order = self.ladders[at].order(slot);
        let chosen = self.random.below(1_000) as u32;
        let half = order.quantity / 2 / self.options.tickers[at].lot.0 * self.options.tickers[at].lot.0;
        if chosen < self.options.reduced_per_mille && half > 0 {
            self.ladders[at].reduce(slot, half);
            self.push(at, order.session, FlowAction::Reduce { key: order.key, by: Quantity(half) });
        } else if chosen < self.options.reduced_per_mille + self.options.replaced_per_mille {
            self.ladders[at].remove(slot);
            let tick = self.tick_for(at, side);
            let new_key = self.key();
            self.ladders[at].rest(new_key, side, tick, order.quantity, order.session);
            let (quantity, price) = (Quantity(order.quantity), self.options.tickers[at].price(tick));
            self.push(at, order.session, FlowAction::Replace { key: order.key, new_key, quantity, price });
        } else {
            self.ladders[at].remove(slot);
            self.push(at, order.session, FlowAction::Cancel { key: order.key });
        }
    }

    /// An incoming order meets the oldest order at the best price.
    fn execute(&mut self, at: usize) {
        let side = self.side_that_pulls_back(at);
        let Some(slot) = self.ladders[at].oldest_at_best(side) else { return };
        let order = self.ladders[at].order(slot);
        let ticker = self.options.tickers[at];
        let lots = order.quantity / ticker.lot.0;
        let whole = lots < 2 || self.random.chance(sample::EXECUTIONS_COMPLETE, sample::EXECUTIONS);
        let lots = if whole { lots } else { self.random.between(1, u64::from(lots) - 1) as u32 };
        let quantity = lots * ticker.lot.0;
        self.ladders[at].reduce(slot, quantity);
        let (key, session) = (self.key(), self.taker());
        let price = ticker.price(usize::from(order.tick));
        self.push(at, session, FlowAction::take(key, side.opposite(), Quantity(quantity), price));
    }

    /// A hidden order inside the spread and the one that meets it; where the spread has no inside, a displayed one.
    fn execute_hidden(&mut self, at: usize) {
        let (Some(bid), Some(ask)) = (self.ladders[at].best(Side::Buy), self.ladders[at].best(Side::Sell)) else {
            return;
        };
        if ask - bid < 2 {
            return self.execute(at);
        }
        let side = self.side_that_pulls_back(at);
        let ticker = self.options.tickers[at];
        let price = ticker.price(self.random.between(bid as u64 + 1, ask as u64 - 1) as usize);
        let shares = self.tables.sizes_hidden.draw(&mut self.random);
        let quantity = Quantity(ticker.lots(shares));
        let maker = self.random.below(u64::from(self.options.makers)) as u16;
        let (hidden, incoming, taker) = (self.key(), self.key(), self.taker());
        self.push(at, maker, FlowAction::hide(hidden, side, quantity, price));
        self.push(at, taker, FlowAction::take(incoming, side.opposite(), quantity, price));
    }

    /// The side whose orders should rather leave: either by chance, the more surely bids the higher the middle is.
    /// Evenly in the center; only one side at the end of the band.
    fn side_that_pulls_back(&mut self, at: usize) -> Side {
        let ladder = &self.ladders[at];
        let center = self.options.tickers[at].center as i64;
        let middle = match (ladder.best(Side::Buy), ladder.best(Side::Sell)) {
            (Some(bid), Some(ask)) => (bid + ask) as i64 / 2,
            _ => center,
        };
        let band = BAND.min(self.options.tickers[at].range as i64 / 4);
        let off = (middle - center).clamp(-band, band);
        let sells = self.random.below(2 * band as u64) as i64 >= band + off;
        if sells { Side::Sell } else { Side::Buy }
    }

    /// A gap of the sample's shape: short ones follow short ones.
    fn gap(&mut self) -> u64 {
        let (parts, whole) = if self.gap_was_short { sample::SHORT_AFTER_SHORT } else { sample::SHORT_AFTER_LONG };
        self.gap_was_short = self.random.chance(parts, whole);
        let gaps = if self.gap_was_short { &self.tables.gaps_short } else { &self.tables.gaps_long };
        let (from, to) = gaps.draw(&mut self.random);
        from + self.random.below(to - from)
    }

    fn taker(&mut self) -> u16 {
        self.options.makers + self.random.below(u64::from(self.options.takers)) as u16
    }

    fn key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    fn push(&mut self, at: usize, session: u16, action: FlowAction) {
        let step = FlowStep { at_ns: self.now, ticker: self.options.tickers[at].ticker, session, action };
        let place = if self.waiting[0].is_none() { 0 } else { 1 };
        self.waiting[place] = Some(step);
    }

    fn pop(&mut self) -> Option<FlowStep> {
        let step = self.waiting[0].take();
        self.waiting.swap(0, 1);
        step
    }
}

impl Iterator for Generator {
    type Item = FlowStep;

    /// Always another step.
    fn next(&mut self) -> Option<FlowStep> {
        if let Some(step) = self.pop() {
            return Some(step);
        }
        // An event that finds nothing to do is followed by another. This ends: a side without orders gets one.
        while self.waiting[0].is_none() {
            if self.opening_left > 0 { self.open() } else { self.event() }
        }
        self.pop()
    }
}
