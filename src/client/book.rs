//! Builds the displayed books from ITCH 5.0 messages, order by order.
//!
//! For programs that follow the feed and for checks of the feed itself: a message that does not fit what came before
//! is counted as an anomaly by kind, never a panic, and the book goes on as well as it can. Not the engine: maps grow
//! with the orders, so its memory is bounded by what rests. One thread, no clock; order in a level is the order of
//! arrival, which is the venue's time priority (a replaced order arrives anew).

mod ticker;

pub use ticker::{BookOrder, Building, TickerBook, Trade};

use crate::types::{
    CrossKind, DayNanos, Firm, MatchNumber, OrderReference, Price, Quantity, Side, Symbol, TradingState,
};
use crate::wire::itch::{self, Message, NetOrderImbalance};
use std::collections::{BTreeMap, HashMap};
use ticker::Place;

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
