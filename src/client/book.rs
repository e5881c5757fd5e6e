//! Builds the displayed books from ITCH 5.0 messages, order by order.
//!
//! For programs that follow the feed and for checks of the feed itself: a message that does not fit what came before
//! is counted as an anomaly by kind, never a panic, and the book goes on as well as it can. Not the engine: maps grow
//! with the orders, so its memory is bounded by what rests. One thread, no clock; order in a level is the order of
//! arrival, which is the venue's time priority (a replaced order arrives anew).

use crate::types::{
    CrossKind, DayNanos, Firm, MatchNumber, OrderReference, Price, Quantity, Side, Symbol, TradingState,
};
use crate::wire::depth::DepthLevel;
use crate::wire::itch::{self, Message, NetOrderImbalance};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Trades remembered for each ticker.
const TRADES_KEPT: usize = 64;

/// Messages that did not fit, by kind. All zero on a good feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Anomalies {
    /// Not an ITCH message, or with a letter or number that means nothing.
    pub malformed: u64,
    /// Names an order that is not there.
    pub unknown_reference: u64,
    /// Adds an order whose number is taken.
    pub duplicate_reference: u64,
    /// Takes more shares than the order has.
    pub excess_shares: u64,
    /// Names an order under another ticker.
    pub wrong_locate: u64,
    /// Executes an order at its displayed price before one that has priority.
    pub out_of_turn: u64,
    /// Leaves best bid and offer locked or crossed while the ticker trades.
    pub crossed: u64,
    /// Is earlier than the message before it.
    pub time_backwards: u64,
}

impl Anomalies {
    /// All of them together.
    pub fn total(&self) -> u64 {
        let Anomalies { malformed, unknown_reference, duplicate_reference, excess_shares, .. } = self;
        let Anomalies { wrong_locate, out_of_turn, crossed, time_backwards, .. } = self;
        malformed
            + unknown_reference
            + duplicate_reference
            + excess_shares
            + wrong_locate
            + out_of_turn
            + crossed
            + time_backwards
    }
}

/// An order on display.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BookOrder {
    /// Its number at the venue.
    pub reference: OrderReference,
    /// Price.
    pub price: Price,
    /// Shares on display.
    pub shares: Quantity,
    /// Its firm, blank when it shows without.
    pub firm: Firm,
}

/// An execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trade {
    /// When.
    pub time: DayNanos,
    /// Its number.
    pub match_number: MatchNumber,
    /// Price.
    pub price: Price,
    /// Shares; a cross can have more than an order may.
    pub shares: u64,
    /// Side that rested; `None` for hidden orders and crosses.
    pub resting: Option<Side>,
    /// Whether it was declared void later.
    pub broken: bool,
}

/// A cross as it builds up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Building {
    /// Which.
    pub cross: CrossKind,
    /// When it was told.
    pub time: DayNanos,
    /// Shares that would trade.
    pub paired: u64,
    /// Shares of the larger side that would not.
    pub imbalance: u64,
    /// The larger side.
    pub larger: Option<Side>,
    /// Price at which all orders would trade most; 0 for none.
    pub near: Price,
    /// Price at which the orders for the cross alone would; 0 for none.
    pub far: Price,
    /// Price for which shares and imbalance are.
    pub reference: Price,
}

#[derive(Default)]
struct Level {
    shares: u64,
    /// By arrival.
    orders: BTreeMap<u64, BookOrder>,
}

/// Where an order is.
#[derive(Clone, Copy)]
struct Place {
    locate: u16,
    side: Side,
    price: u32,
    arrival: u64,
}

/// One ticker's displayed book.
pub struct TickerBook {
    /// Name.
    pub symbol: Symbol,
    /// Shares of a round lot; 0 before the directory said.
    pub round_lot: u32,
    /// State of trading; `None` before the feed said.
    pub state: Option<TradingState>,
    /// Shares traded, void trades not counted as far as they are remembered.
    pub volume: u64,
    /// Executions.
    pub executions: u64,
    /// The cross under way, as last told; `None` when there is none.
    pub building: Option<Building>,
    sides: [BTreeMap<u32, Level>; 2],
    trades: VecDeque<Trade>,
}

impl TickerBook {
    fn new(symbol: Symbol) -> TickerBook {
        TickerBook {
            symbol,
            round_lot: 0,
            state: None,
            volume: 0,
            executions: 0,
            building: None,
            sides: Default::default(),
            trades: VecDeque::with_capacity(TRADES_KEPT),
        }
    }

    /// Levels of a side, best first, at most `count`.
    pub fn depth(&self, side: Side, count: usize) -> Vec<DepthLevel> {
        let level = |(price, level): (&u32, &Level)| DepthLevel {
            price: Price(*price),
            orders: level.orders.len() as u32,
            quantity: level.shares,
        };
        self.best_first(side).map(level).take(count).collect()
    }

    /// All levels of a side as (price, shares, orders), best first: what a comparison with the engine's book wants.
    pub fn levels(&self, side: Side) -> Vec<(Price, u64, u32)> {
        self.depth(side, usize::MAX).iter().map(|level| (level.price, level.quantity, level.orders)).collect()
    }

    /// All orders of a side in the order in which they would trade.
    pub fn orders(&self, side: Side) -> Vec<BookOrder> {
        self.best_first(side).flat_map(|(_, level)| level.orders.values().copied()).collect()
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<DepthLevel> {
        self.depth(side, 1).first().copied()
    }

    /// The last trades, oldest first.
    pub fn trades(&self) -> impl DoubleEndedIterator<Item = &Trade> {
        self.trades.iter()
    }

    /// The last trade.
    pub fn last_trade(&self) -> Option<&Trade> {
        self.trades.back()
    }

    fn best_first(&self, side: Side) -> Box<dyn Iterator<Item = (&u32, &Level)> + '_> {
        let levels = &self.sides[side.index()];
        match side {
            Side::Buy => Box::new(levels.iter().rev()),
            Side::Sell => Box::new(levels.iter()),
        }
    }

    fn best_price(&self, side: Side) -> Option<u32> {
        let levels = &self.sides[side.index()];
        let best = match side {
            Side::Buy => levels.last_key_value(),
            Side::Sell => levels.first_key_value(),
        };
        best.map(|(price, _)| *price)
    }

    fn is_crossed(&self) -> bool {
        let best = (self.best_price(Side::Buy), self.best_price(Side::Sell));
        matches!(best, (Some(bid), Some(ask)) if bid >= ask)
    }

    fn is_next(&self, place: Place) -> bool {
        let level = self.sides[place.side.index()].get(&place.price);
        let first = level.and_then(|level| level.orders.first_key_value());
        self.best_price(place.side) == Some(place.price) && first.is_some_and(|(arrival, _)| *arrival == place.arrival)
    }

    fn insert(&mut self, place: Place, order: BookOrder) {
        let level = self.sides[place.side.index()].entry(place.price).or_default();
        level.shares += u64::from(order.shares.0);
        level.orders.insert(place.arrival, order);
    }

    /// Takes shares off an order, all if it has fewer. Gives what it had.
    fn take(&mut self, place: Place, shares: u32) -> BookOrder {
        let levels = &mut self.sides[place.side.index()];
        let level = levels.get_mut(&place.price).expect("an order's level exists as long as the order");
        let order = level.orders.get_mut(&place.arrival).expect("an order is in the level of its place");
        let before = *order;
        let taken = shares.min(before.shares.0);
        order.shares = Quantity(before.shares.0 - taken);
        level.shares -= u64::from(taken);
        if order.shares.is_zero() {
            level.orders.remove(&place.arrival);
        }
        if level.orders.is_empty() {
            levels.remove(&place.price);
        }
        before
    }

    fn on_trade(&mut self, trade: Trade, counts: bool) {
        if counts {
            self.volume = self.volume.saturating_add(trade.shares);
        }
        self.executions += 1;
        if self.trades.len() == TRADES_KEPT {
            self.trades.pop_front();
        }
        self.trades.push_back(trade);
    }

    fn on_broken(&mut self, number: u64) {
        let found = self.trades.iter_mut().find(|trade| trade.match_number.0 == number && !trade.broken);
        if let Some(trade) = found {
            trade.broken = true;
            self.volume = self.volume.saturating_sub(trade.shares);
        }
    }
}

/// All books of one feed. See the module's words.
#[derive(Default)]
pub struct BookBuilder {
    /// By locate.
    tickers: BTreeMap<u16, TickerBook>,
    orders: HashMap<u64, Place>,
    arrivals: u64,
    messages: u64,
    time: DayNanos,
    system_event: Option<u8>,
    anomalies: Anomalies,
}

impl BookBuilder {
    /// Empty books.
    pub fn new() -> BookBuilder {
        BookBuilder::default()
    }

    /// Takes the next message of the feed in.
    pub fn on_message(&mut self, bytes: &[u8]) {
        self.messages += 1;
        let Ok(message) = itch::parse(bytes) else {
            self.anomalies.malformed += 1;
            return;
        };
        let head = message.head();
        let (locate, time) = (head.locate.get(), DayNanos(head.time.get()));
        self.anomalies.time_backwards += u64::from(time < self.time);
        self.time = self.time.max(time);
        match message {
            Message::AddOrder(m) => {
                self.add(locate, m.reference.get(), m.side, m.shares.get(), m.stock, m.price.get(), Firm::BLANK)
            }
            Message::AddOrderAttributed(m) => {
                self.add(locate, m.reference.get(), m.side, m.shares.get(), m.stock, m.price.get(), Firm(m.firm))
            }
            Message::OrderExecuted(m) => self.execute(m),
            Message::OrderExecutedWithPrice(m) => {
                let taken = self.take(locate, m.reference.get(), m.shares.get());
                if let Some((place, _)) = taken {
                    let trade =
                        trade(time, m.match_number.get(), m.price.get(), m.shares.get().into(), Some(place.side));
                    self.trade(locate, trade, m.printable == b'Y');
                }
            }
            Message::OrderCancel(m) => {
                self.take(locate, m.reference.get(), m.shares.get());
            }
            Message::OrderDelete(m) => {
                self.remove(locate, m.reference.get());
            }
            Message::OrderReplace(m) => self.replace(m),
            Message::Trade(m) => {
                let trade = trade(time, m.match_number.get(), m.price.get(), m.shares.get().into(), None);
                self.ticker(locate, m.stock).on_trade(trade, true);
            }
            Message::CrossTrade(m) => {
                let ticker = self.ticker(locate, m.stock);
                ticker.building = None;
                // A cross in which nothing traded is told too.
                if m.shares.get() > 0 {
                    ticker.on_trade(trade(time, m.match_number.get(), m.price.get(), m.shares.get(), None), true);
                }
            }
            Message::NetOrderImbalance(m) => match building(m, time) {
                Some(building) => self.ticker(locate, m.stock).building = Some(building),
                None => self.anomalies.malformed += 1,
            },
            Message::BrokenTrade(m) => {
                if let Some(ticker) = self.tickers.get_mut(&locate) {
                    ticker.on_broken(m.match_number.get());
                }
            }
            Message::StockDirectory(m) => self.ticker(locate, m.stock).round_lot = m.round_lot.get(),
            Message::TradingAction(m) => match TradingState::from_letter(m.state) {
                Some(state) => self.ticker(locate, m.stock).state = Some(state),
                None => self.anomalies.malformed += 1,
            },
            Message::SystemEvent(m) => self.system_event = Some(m.event),
            // These change no order and no trade.
            Message::ShortSaleRestriction(_)
            | Message::ParticipantPosition(_)
            | Message::DeclineLevels(_)
            | Message::DeclineStatus(_)
            | Message::IpoQuoting(_)
            | Message::AuctionCollar(_)
            | Message::OperationalHalt(_)
            | Message::RetailInterest(_)
            | Message::DirectListing(_) => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields that two message types share, in their order")]
    fn add(&mut self, locate: u16, reference: u64, side: u8, shares: u32, stock: [u8; 8], price: u32, firm: Firm) {
        let side = match side {
            b'B' => Side::Buy,
            b'S' => Side::Sell,
            _ => return self.anomalies.malformed += 1,
        };
        self.ticker(locate, stock);
        self.insert(Place { locate, side, price, arrival: 0 }, reference, shares, firm);
    }

    /// Puts an order last in its level.
    fn insert(&mut self, place: Place, reference: u64, shares: u32, firm: Firm) {
        if shares == 0 {
            return self.anomalies.malformed += 1;
        }
        if self.orders.contains_key(&reference) {
            return self.anomalies.duplicate_reference += 1;
        }
        self.arrivals += 1;
        let place = Place { arrival: self.arrivals, ..place };
        let order = BookOrder {
            reference: OrderReference(reference),
            price: Price(place.price),
            shares: Quantity(shares),
            firm,
        };
        let Some(ticker) = self.tickers.get_mut(&place.locate) else { return };
        self.orders.insert(reference, place);
        ticker.insert(place, order);
        let crossed = ticker.state == Some(TradingState::Trading) && ticker.is_crossed();
        self.anomalies.crossed += u64::from(crossed);
    }

    fn execute(&mut self, message: &itch::OrderExecuted) {
        let (locate, reference, shares) = (message.head.locate.get(), message.reference.get(), message.shares.get());
        if let (Some(place), Some(ticker)) = (self.orders.get(&reference), self.tickers.get(&locate)) {
            self.anomalies.out_of_turn += u64::from(place.locate == locate && !ticker.is_next(*place));
        }
        if let Some((place, _)) = self.take(locate, reference, shares) {
            let time = DayNanos(message.head.time.get());
            let trade = trade(time, message.match_number.get(), place.price, shares.into(), Some(place.side));
            self.trade(locate, trade, true);
        }
    }

    /// The new order takes over side, ticker and firm, and arrives anew.
    fn replace(&mut self, message: &itch::OrderReplace) {
        let locate = message.head.locate.get();
        let Some((place, order)) = self.remove(locate, message.original.get()) else { return };
        let place = Place { price: message.price.get(), ..place };
        self.insert(place, message.reference.get(), message.shares.get(), order.firm);
    }

    fn remove(&mut self, locate: u16, reference: u64) -> Option<(Place, BookOrder)> {
        let place = self.find(locate, reference)?;
        self.orders.remove(&reference);
        Some((place, self.tickers.get_mut(&place.locate)?.take(place, u32::MAX)))
    }

    fn take(&mut self, locate: u16, reference: u64, shares: u32) -> Option<(Place, BookOrder)> {
        let place = self.find(locate, reference)?;
        let before = self.tickers.get_mut(&place.locate)?.take(place, shares);
        if shares >= before.shares.0 {
            self.orders.remove(&reference);
        }
        self.anomalies.excess_shares += u64::from(shares > before.shares.0);
        Some((place, before))
    }

    /// The order, wherever it is; a locate that disagrees is counted and the order believed.
    fn find(&mut self, locate: u16, reference: u64) -> Option<Place> {
        let Some(place) = self.orders.get(&reference).copied() else {
            self.anomalies.unknown_reference += 1;
            return None;
        };
        self.anomalies.wrong_locate += u64::from(place.locate != locate);
        Some(place)
    }

    fn trade(&mut self, locate: u16, trade: Trade, counts: bool) {
        if let Some(ticker) = self.tickers.get_mut(&locate) {
            ticker.on_trade(trade, counts);
        }
    }

    fn ticker(&mut self, locate: u16, stock: [u8; 8]) -> &mut TickerBook {
        self.tickers.entry(locate).or_insert_with(|| TickerBook::new(Symbol(stock)))
    }

    /// The book of this locate.
    pub fn book(&self, locate: u16) -> Option<&TickerBook> {
        self.tickers.get(&locate)
    }

    /// The book of this ticker.
    pub fn named(&self, symbol: Symbol) -> Option<&TickerBook> {
        self.tickers.values().find(|ticker| ticker.symbol == symbol)
    }

    /// All books with their locate, ascending.
    pub fn books(&self) -> impl Iterator<Item = (u16, &TickerBook)> {
        self.tickers.iter().map(|(locate, ticker)| (*locate, ticker))
    }

    /// Orders on display in all books.
    pub fn orders_open(&self) -> usize {
        self.orders.len()
    }

    /// Messages taken in.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Time of the latest message.
    pub fn time(&self) -> DayNanos {
        self.time
    }

    /// Letter of the last system event.
    pub fn system_event(&self) -> Option<u8> {
        self.system_event
    }

    /// What did not fit.
    pub fn anomalies(&self) -> Anomalies {
        self.anomalies
    }
}

/// What the feed told of a cross; `None` for letters that mean nothing.
fn building(m: &NetOrderImbalance, time: DayNanos) -> Option<Building> {
    let larger = match m.direction {
        b'B' => Some(Side::Buy),
        b'S' => Some(Side::Sell),
        b'N' | b'O' | b'P' => None,
        _ => return None,
    };
    Some(Building {
        cross: CrossKind::from_letter(m.cross)?,
        time,
        paired: m.paired.get(),
        imbalance: m.imbalance.get(),
        larger,
        near: Price(m.near_price.get()),
        far: Price(m.far_price.get()),
        reference: Price(m.reference_price.get()),
    })
}

fn trade(time: DayNanos, match_number: u64, price: u32, shares: u64, resting: Option<Side>) -> Trade {
    Trade { time, match_number: MatchNumber(match_number), price: Price(price), shares, resting, broken: false }
}
