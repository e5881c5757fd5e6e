//! Order flow out of a recorded public feed: a file of ITCH 5.0 messages, each after its length in two bytes.
//!
//! The feed shows what rested, not what came in, so incoming orders are put back: an execution becomes an immediate
//! order of the other side, for that size at that price; a trade against a hidden order becomes the hidden order and
//! the one that meets it. Cold: a file becomes steps before the load starts, within [`ItchOptions::steps_max`].
//!
//! Who plays, and in which ticker: makers by order number, takers in turn; symbols by their name, or dealt out over
//! the listed tickers with their prices moved to the ticker's reference price. Where the recorded queue and ours differ
//! (an execution that met a better price here), a later cancel finds its order gone; the player counts that.

use super::{FlowAction, FlowStep};
use crate::types::{Price, Quantity, Side, TickerId, TickerSpec};
use crate::wire::itch::{self, ItchError, Message};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// Keys of incoming and hidden orders count up from here, above all order numbers a feed gives.
const OWN_KEYS: u64 = 1 << 62;

/// Who plays what.
#[derive(Clone, Debug)]
pub struct ItchOptions {
    /// Tickers to play in, with their symbols, ticks and ranges.
    pub tickers: Vec<(TickerId, TickerSpec)>,
    /// Deal symbols that are not listed over the tickers, in the order in which they appear. Else they are left out.
    pub deal_unlisted: bool,
    /// Sessions `0..makers` share the resting orders. At least 1.
    pub makers: u16,
    /// The next `takers` sessions share the incoming ones. At least 1.
    pub takers: u16,
    /// Reading ends after so many steps.
    pub steps_max: usize,
}

/// How messages were turned into steps. Each message is counted once, by what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ItchCounts {
    /// Messages read.
    pub messages: u64,
    /// Orders that came to rest.
    pub entered: u64,
    /// Cancels, partial cancels and replaces played.
    pub changed: u64,
    /// Executions of resting orders played.
    pub executed: u64,
    /// Trades against hidden orders played.
    pub hidden: u64,
    /// About an order the file never added, or that is used up.
    pub unknown_reference: u64,
    /// An order number that is still live.
    pub duplicate_reference: u64,
    /// A symbol that is not listed and not dealt out.
    pub unlisted: u64,
    /// A price outside the ticker's range, or no shares.
    pub out_of_range: u64,
    /// About something other than orders, or an auction.
    pub not_orders: u64,
}

/// A feed as a flow.
#[derive(Clone, Debug)]
pub struct ItchFlow {
    /// All steps, in order.
    pub steps: Vec<FlowStep>,
    /// How it went.
    pub counts: ItchCounts,
}

/// Why a file cannot be played.
#[derive(Debug)]
pub enum ItchFault {
    /// It could not be read.
    Read(std::path::PathBuf, std::io::Error),
    /// It ends inside the message that starts at this byte.
    Cut(usize),
    /// The message at this byte is none.
    Message(usize, ItchError),
    /// There is no ticker, maker or taker to play with.
    Nobody,
}

impl fmt::Display for ItchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ItchFault::Read(path, error) => write!(f, "reading {}: {error}", path.display()),
            ItchFault::Cut(at) => write!(f, "the file ends inside the message at byte {at}"),
            ItchFault::Message(at, error) => write!(f, "no ITCH 5.0 message at byte {at}: {error}"),
            ItchFault::Nobody => write!(f, "a feed needs a ticker, a maker and a taker to be played"),
        }
    }
}

impl std::error::Error for ItchFault {}

impl ItchFlow {
    /// Reads a file.
    /// # Errors
    /// It cannot be read, is cut short, or holds something else.
    pub fn open(path: &Path, options: ItchOptions) -> Result<ItchFlow, ItchFault> {
        let bytes = std::fs::read(path).map_err(|error| ItchFault::Read(path.to_owned(), error))?;
        ItchFlow::parse(&bytes, options)
    }

    /// Turns length-framed messages into steps.
    /// # Errors
    /// The first frame that is cut short or is no message.
    pub fn parse(bytes: &[u8], options: ItchOptions) -> Result<ItchFlow, ItchFault> {
        if options.tickers.is_empty() || options.makers == 0 || options.takers == 0 {
            return Err(ItchFault::Nobody);
        }
        let mut reader = Reader::new(options);
        let mut at = 0;
        while at < bytes.len() && reader.flow.steps.len() < reader.options.steps_max {
            let length = bytes.get(at..at + 2).ok_or(ItchFault::Cut(at))?;
            let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            let message = bytes.get(at + 2..end).ok_or(ItchFault::Cut(at))?;
            let message = itch::parse(message).map_err(|error| ItchFault::Message(at, error))?;
            reader.on_message(&message);
            at = end;
        }
        Ok(reader.flow)
    }
}

/// A symbol's ticker, and how far its prices are moved.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    shift: i64,
}

#[derive(Clone, Copy)]
struct Live {
    place: Place,
    side: Side,
    price: Price,
    left: u32,
    session: u16,
}

struct Reader {
    options: ItchOptions,
    flow: ItchFlow,
    /// Symbols met so far; `None` for one that is left out.
    places: HashMap<[u8; 8], Option<Place>>,
    live: HashMap<u64, Live>,
    dealt: usize,
    taken: u64,
    own_keys: u64,
    first_ns: Option<u64>,
    now: u64,
}

impl Reader {
    fn new(options: ItchOptions) -> Reader {
        Reader {
            options,
            flow: ItchFlow { steps: Vec::new(), counts: ItchCounts::default() },
            places: HashMap::new(),
            live: HashMap::new(),
            dealt: 0,
            taken: 0,
            own_keys: OWN_KEYS,
            first_ns: None,
            now: 0,
        }
    }

    fn on_message(&mut self, message: &Message<'_>) {
        self.flow.counts.messages += 1;
        match message {
            Message::AddOrder(m) => {
                self.add(message, m.reference.get(), m.side, m.shares.get(), m.stock, m.price.get())
            }
            Message::AddOrderAttributed(m) => {
                self.add(message, m.reference.get(), m.side, m.shares.get(), m.stock, m.price.get());
            }
            Message::OrderExecuted(m) => self.execute(message, m.reference.get(), m.shares.get()),
            Message::OrderExecutedWithPrice(m) => self.execute(message, m.reference.get(), m.shares.get()),
            Message::OrderCancel(m) => self.take_off(message, m.reference.get(), m.shares.get()),
            Message::OrderDelete(m) => self.take_off(message, m.reference.get(), u32::MAX),
            Message::OrderReplace(m) => {
                self.replace(message, m.original.get(), m.reference.get(), m.shares.get(), m.price.get());
            }
            Message::Trade(m) => self.trade(message, m.shares.get(), m.stock, m.price.get()),
            Message::SystemEvent(_)
            | Message::StockDirectory(_)
            | Message::TradingAction(_)
            | Message::ShortSaleRestriction(_)
            | Message::ParticipantPosition(_)
            | Message::DeclineLevels(_)
            | Message::DeclineStatus(_)
            | Message::IpoQuoting(_)
            | Message::AuctionCollar(_)
            | Message::OperationalHalt(_)
            | Message::CrossTrade(_)
            | Message::BrokenTrade(_)
            | Message::NetOrderImbalance(_)
            | Message::RetailInterest(_)
            | Message::DirectListing(_) => self.flow.counts.not_orders += 1,
        }
    }

    fn add(&mut self, message: &Message<'_>, reference: u64, side: u8, shares: u32, stock: [u8; 8], price: u32) {
        let side = if side == b'B' { Side::Buy } else { Side::Sell };
        if self.live.contains_key(&reference) {
            self.flow.counts.duplicate_reference += 1;
            return;
        }
        let Some(place) = self.place(stock, price) else { return };
        let Some((price, quantity)) = self.terms(place, side, shares, price) else { return };
        self.flow.counts.entered += 1;
        let session = (reference % u64::from(self.options.makers)) as u16;
        self.live.insert(reference, Live { place, side, price, left: quantity.0, session });
        self.push(message, place, session, FlowAction::rest(reference, side, quantity, price));
    }

    fn execute(&mut self, message: &Message<'_>, reference: u64, shares: u32) {
        let Some(order) = self.take(reference, shares) else { return };
        self.flow.counts.executed += 1;
        let (key, taker) = (self.own_key(), self.taker());
        let action = FlowAction::take(key, order.side.opposite(), Quantity(order.left), order.price);
        self.push(message, order.place, taker, action);
    }

    fn take_off(&mut self, message: &Message<'_>, reference: u64, shares: u32) {
        let Some(order) = self.take(reference, shares) else { return };
        self.flow.counts.changed += 1;
        let action = if self.live.contains_key(&reference) {
            FlowAction::Reduce { key: reference, by: Quantity(order.left) }
        } else {
            FlowAction::Cancel { key: reference }
        };
        self.push(message, order.place, order.session, action);
    }

    fn replace(&mut self, message: &Message<'_>, original: u64, reference: u64, shares: u32, price: u32) {
        let Some(&order) = self.live.get(&original) else {
            self.flow.counts.unknown_reference += 1;
            return;
        };
        if original != reference && self.live.contains_key(&reference) {
            self.flow.counts.duplicate_reference += 1;
            return;
        }
        self.live.remove(&original);
        let Some((price, quantity)) = self.terms(order.place, order.side, shares, price) else {
            // What cannot rest where the feed says must not stay where it was.
            return self.push(message, order.place, order.session, FlowAction::Cancel { key: original });
        };
        self.flow.counts.changed += 1;
        self.live.insert(reference, Live { price, left: quantity.0, ..order });
        let action = FlowAction::Replace { key: original, new_key: reference, quantity, price };
        self.push(message, order.place, order.session, action);
    }

    /// A trade with a hidden order. The feed does not say which side was hidden; here it sells.
    fn trade(&mut self, message: &Message<'_>, shares: u32, stock: [u8; 8], price: u32) {
        let Some(place) = self.place(stock, price) else { return };
        let Some((price, quantity)) = self.terms(place, Side::Sell, shares, price) else { return };
        self.flow.counts.hidden += 1;
        let (hidden, incoming, taker) = (self.own_key(), self.own_key(), self.taker());
        let maker = (hidden % u64::from(self.options.makers)) as u16;
        self.push(message, place, maker, FlowAction::hide(hidden, Side::Sell, quantity, price));
        self.push(message, place, taker, FlowAction::take(incoming, Side::Buy, quantity, price));
    }

    /// Takes shares off a live order; gives the order with the shares taken in `left`.
    fn take(&mut self, reference: u64, shares: u32) -> Option<Live> {
        let Some(order) = self.live.get_mut(&reference) else {
            self.flow.counts.unknown_reference += 1;
            return None;
        };
        let taken = Live { left: shares.min(order.left), ..*order };
        order.left -= taken.left;
        if order.left == 0 {
            self.live.remove(&reference);
        }
        Some(taken)
    }

    /// Where a symbol is played, decided when it is first met; `None` (counted) when it is not.
    fn place(&mut self, stock: [u8; 8], first_price: u32) -> Option<Place> {
        let options = &self.options;
        let dealt = &mut self.dealt;
        let place = *self.places.entry(stock).or_insert_with(|| {
            if let Some(index) = options.tickers.iter().position(|(_, spec)| spec.symbol.0 == stock) {
                return Some(Place { index, shift: 0 });
            }
            let index = *dealt % options.tickers.len();
            *dealt += usize::from(options.deal_unlisted);
            let shift = i64::from(options.tickers[index].1.reference.0) - i64::from(first_price);
            options.deal_unlisted.then_some(Place { index, shift })
        });
        self.flow.counts.unlisted += u64::from(place.is_none());
        place
    }

    /// Price and size as the ticker takes them: off the tick moves away from the other side, off the lot moves up.
    fn terms(&mut self, place: Place, side: Side, shares: u32, price: u32) -> Option<(Price, Quantity)> {
        let spec = &self.options.tickers[place.index].1;
        let (tick, lot) = (i64::from(spec.tick.0.max(1)), spec.lot.0.max(1));
        let moved = i64::from(price) + place.shift;
        let price = match side {
            Side::Buy => moved.div_euclid(tick) * tick,
            Side::Sell => (moved + tick - 1).div_euclid(tick) * tick,
        };
        let quantity = (u64::from(shares).div_ceil(u64::from(lot)) * u64::from(lot))
            .min(u64::from(Quantity::ORDER_MAX.0 / lot * lot)) as u32;
        let in_range = (i64::from(spec.price_min.0)..=i64::from(spec.price_max.0)).contains(&price);
        let terms = (in_range && quantity > 0).then_some((Price(price as u32), Quantity(quantity)));
        self.flow.counts.out_of_range += u64::from(terms.is_none());
        terms
    }

    fn taker(&mut self) -> u16 {
        self.taken += 1;
        self.options.makers + (self.taken % u64::from(self.options.takers)) as u16
    }

    fn own_key(&mut self) -> u64 {
        self.own_keys += 1;
        self.own_keys
    }

    fn push(&mut self, message: &Message<'_>, place: Place, session: u16, action: FlowAction) {
        let time = message.head().time.get();
        let first = *self.first_ns.get_or_insert(time);
        self.now = self.now.max(time.saturating_sub(first));
        let ticker = self.options.tickers[place.index].0;
        self.flow.steps.push(FlowStep { at_ns: self.now, ticker, session, action });
    }
}
