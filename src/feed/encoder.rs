//! What the public is told of an event: ITCH 5.0 messages, straight into the store.
//!
//! A pure function of the event and the market's directory, run by the feed's thread for each committed event, and by
//! replay; equal events give equal bytes. The matcher's event already says everything, so no table of orders is kept.
//! Hidden orders have no message until they trade, and then nothing says whose they were.
//! Source: TotalView-ITCH 5.0; which event makes which message is decided at each arm below.

use super::store::{FeedStore, StoreFull};
use crate::types::{
    DayNanos, Display, Event, Firm, Market, OrderReference, Price, PublicFact, Published, Quantity, Side, Symbol,
    TickerId, TradingState,
};
use crate::wire::itch::{
    AddOrder, AddOrderAttributed, BrokenTrade, CrossTrade, MESSAGE_MAX, NetOrderImbalance, OrderCancel, OrderDelete,
    OrderExecuted, OrderExecutedWithPrice, OrderReplace, StockDirectory, SystemEvent, Trade, TradingAction,
};
use zerocopy::{Immutable, IntoBytes};

/// System Event letters of the start of a day, around the directory: messages, system hours, market hours start.
const START_LETTERS: [u8; 3] = *b"OSQ";
/// And of its end: market hours, system hours, messages end.
const END_LETTERS: [u8; 3] = *b"MEC";
/// `P` names no order and always says buy, so that it betrays nothing of a hidden order (ITCH 5.0, Trade message).
const TRADE_SIDE: Side = Side::Buy;

/// Turns facts into messages. Holds the directory and nothing that changes.
pub struct FeedEncoder {
    directory: Vec<(Symbol, Quantity)>,
    /// By account: an order may come to rest by another's record.
    firms: Vec<Firm>,
}

/// Where and when: what every message's head needs.
#[derive(Clone, Copy)]
struct Head {
    symbol: Symbol,
    locate: u16,
    time: DayNanos,
}

impl FeedEncoder {
    /// For the tickers of this market.
    pub fn new(market: &Market) -> FeedEncoder {
        FeedEncoder {
            directory: market.tickers.iter().map(|spec| (spec.symbol, spec.lot)).collect(),
            firms: market.accounts.iter().map(|account| account.firm).collect(),
        }
    }

    /// Appends the messages of one fact, all or none. Says how many: none for what is not public, one for an event in
    /// a book, several for the start and the end of the day.
    /// # Errors
    /// [`StoreFull`]: the store is as before; give the fact again when there is room, or stop.
    #[inline]
    pub fn on(&self, published: &Published, store: &mut FeedStore) -> Result<u32, StoreFull> {
        match &published.fact {
            PublicFact::Book { event, firm } => {
                // Both orders of a cross trade are told; of all else one message.
                let messages = if matches!(event, Event::Crossed { .. }) { 2 } else { 1 };
                if !store.fits(messages, messages * MESSAGE_MAX) {
                    return Err(StoreFull);
                }
                let Some(head) = self.head(published) else { return Ok(0) };
                let owner = self.firm_of(event).unwrap_or(*firm);
                book(event, owner, head, store)
            }
            PublicFact::DayStart => self.day_start(published.time.of_day(), store),
            PublicFact::DayEnd => day_end(published.time.of_day(), store),
        }
    }

    /// Firm of an order that comes to be shown. It need not be that of the record: a refill or a stop that wakes comes with
    /// the record of whoever traded.
    #[inline]
    fn firm_of(&self, event: &Event) -> Option<Firm> {
        match event {
            Event::Rested { order, .. } | Event::Replaced { order, .. } | Event::Refreshed { order, .. } => {
                self.firms.get(order.account.index()).copied()
            }
            Event::Nothing | Event::Accepted { .. } | Event::ReplaceIgnored { .. } => None,
            Event::Filled { .. } | Event::Canceled { .. } | Event::SelfMatch { .. } | Event::Modified { .. } => None,
            Event::State { .. } | Event::Triggered { .. } | Event::Repriced { .. } => None,
            Event::Crossed { .. } | Event::CrossDone { .. } | Event::Imbalance { .. } => None,
            Event::Band { .. } | Event::Broken { .. } => None,
        }
    }

    fn head(&self, published: &Published) -> Option<Head> {
        let (symbol, _) = *self.directory.get(published.ticker.index())?;
        Some(Head { symbol, locate: published.ticker.locate(), time: published.time.of_day() })
    }

    /// The directory stands between the first two system events; the states follow as events of the same record.
    #[cold]
    fn day_start(&self, time: DayNanos, store: &mut FeedStore) -> Result<u32, StoreFull> {
        let messages = START_LETTERS.len() + self.directory.len();
        if !store.fits(messages, messages * MESSAGE_MAX) {
            return Err(StoreFull);
        }
        let [messages_start, hours_start, market_start] = START_LETTERS;
        system(messages_start, time, store)?;
        for (index, (symbol, lot)) in self.directory.iter().enumerate() {
            let locate = TickerId(index as u16).locate();
            say(&listing(Head { symbol: *symbol, locate, time }, *lot), store)?;
        }
        system(hours_start, time, store)?;
        system(market_start, time, store)?;
        Ok(messages as u32)
    }
}

#[cold]
fn day_end(time: DayNanos, store: &mut FeedStore) -> Result<u32, StoreFull> {
    if !store.fits(END_LETTERS.len(), END_LETTERS.len() * MESSAGE_MAX) {
        return Err(StoreFull);
    }
    END_LETTERS.iter().try_fold(0, |said, letter| Ok(said + system(*letter, time, store)?))
}

/// One event in a book. Each arm says what a reader of the feed must learn to have the same displayed book.
#[inline]
fn book(event: &Event, firm: Firm, head: Head, store: &mut FeedStore) -> Result<u32, StoreFull> {
    match *event {
        Event::Nothing | Event::Accepted { .. } | Event::ReplaceIgnored { .. } => Ok(0),
        Event::Rested { reference, side, display, shown: quantity, price, .. } => {
            add(Resting { reference, side, display, quantity, price }, firm, head, store)
        }
        // At the resting order's price, which is the one displayed: never a `C`. The last share needs no `D`.
        Event::Filled { reference, match_number, quantity, displayed: true, .. } => {
            let head = OrderExecuted::head(head.locate, head.time);
            let (reference, shares) = (reference.0.into(), quantity.0.into());
            say(&OrderExecuted { head, reference, shares, match_number: match_number.0.into() }, store)
        }
        Event::Filled { match_number, price, quantity, displayed: false, .. } => say(
            &Trade {
                head: Trade::head(head.locate, head.time),
                reference: 0.into(),
                side: TRADE_SIDE.letter(),
                shares: quantity.0.into(),
                stock: head.symbol.0,
                price: price.0.into(),
                match_number: match_number.0.into(),
            },
            store,
        ),
        Event::Canceled { reference, shown, leaves, .. }
        | Event::SelfMatch { reference, shown, leaves, .. }
        | Event::Modified { reference, shown, leaves, .. } => {
            if shown.is_zero() {
                Ok(0)
            } else {
                reduce(reference, shown, leaves, head, store)
            }
        }
        Event::Replaced { old_reference, reference, side, display, shown, price, old_shown, rests, .. } => {
            let quantity = shown;
            match (!old_shown.is_zero(), rests && !shown.is_zero()) {
                (true, true) => say(
                    &OrderReplace {
                        head: OrderReplace::head(head.locate, head.time),
                        original: old_reference.0.into(),
                        reference: reference.0.into(),
                        shares: quantity.0.into(),
                        price: price.0.into(),
                    },
                    store,
                ),
                // What trades first, or is hidden from now on, leaves the display; a later `Rested` may bring it back.
                (true, false) => delete(old_reference, head, store),
                (false, true) => add(Resting { reference, side, display, quantity, price }, firm, head, store),
                (false, false) => Ok(0),
            }
        }
        Event::State { state } => trading_action(state, head, store),
        _ => book_rare(event, firm, head, store),
    }
}

/// The events of reserve orders, crosses and bands.
#[cold]
fn book_rare(event: &Event, firm: Firm, head: Head, store: &mut FeedStore) -> Result<u32, StoreFull> {
    match *event {
        // The part that is gone was executed to its last share.
        Event::Refreshed { reference, side, display, quantity, price, .. } => {
            add(Resting { reference, side, display, quantity, price }, firm, head, store)
        }
        Event::Repriced { old_reference, reference, display, price, quantity, .. } => {
            if display.is_shown() {
                let (head, original) = (OrderReplace::head(head.locate, head.time), old_reference.0.into());
                let (shares, price) = (quantity.0.into(), price.0.into());
                say(&OrderReplace { head, original, reference: reference.0.into(), shares, price }, store)
            } else {
                Ok(0)
            }
        }
        // Each share of a cross is printed once, by the `Q` that ends it.
        Event::Crossed { buy_reference, sell_reference, match_number, price, quantity, shown, .. } => {
            let mut said = 0;
            for (bit, reference) in [(1, buy_reference), (2, sell_reference)] {
                if shown & bit != 0 {
                    let message = OrderExecutedWithPrice {
                        head: OrderExecutedWithPrice::head(head.locate, head.time),
                        reference: reference.0.into(),
                        shares: quantity.0.into(),
                        match_number: match_number.0.into(),
                        printable: b'N',
                        price: price.0.into(),
                    };
                    said += say(&message, store)?;
                }
            }
            Ok(said)
        }
        Event::CrossDone { cross, price, quantity, match_number } => {
            let message = CrossTrade {
                head: CrossTrade::head(head.locate, head.time),
                shares: quantity.into(),
                stock: head.symbol.0,
                price: price.0.into(),
                match_number: match_number.0.into(),
                cross: cross.letter(),
            };
            say(&message, store)
        }
        Event::Imbalance { cross, paired, imbalance, direction, near, far, reference, variation } => {
            let message = NetOrderImbalance {
                head: NetOrderImbalance::head(head.locate, head.time),
                paired: paired.into(),
                imbalance: imbalance.into(),
                direction,
                stock: head.symbol.0,
                far_price: far.0.into(),
                near_price: near.0.into(),
                reference_price: reference.0.into(),
                cross: cross.letter(),
                variation,
            };
            say(&message, store)
        }
        Event::Broken { match_number, .. } => {
            let head = BrokenTrade::head(head.locate, head.time);
            say(&BrokenTrade { head, match_number: match_number.0.into() }, store)
        }
        Event::Band { .. } | Event::Triggered { .. } => Ok(0),
        Event::Nothing | Event::Accepted { .. } | Event::ReplaceIgnored { .. } | Event::Rested { .. } => Ok(0),
        Event::Filled { .. } | Event::Canceled { .. } | Event::SelfMatch { .. } | Event::Modified { .. } => Ok(0),
        Event::Replaced { .. } | Event::State { .. } => Ok(0),
    }
}

/// An order that now stands in the book.
struct Resting {
    reference: OrderReference,
    side: Side,
    display: Display,
    quantity: Quantity,
    price: Price,
}

/// `A`, with the firm `F`, for a hidden order nothing.
#[inline]
fn add(order: Resting, firm: Firm, head: Head, store: &mut FeedStore) -> Result<u32, StoreFull> {
    let (reference, shares) = (order.reference.0.into(), order.quantity.0.into());
    let (side, stock, price) = (order.side.letter(), head.symbol.0, order.price.0.into());
    match order.display {
        Display::Hidden => Ok(0),
        Display::Anonymous | Display::Conformant => {
            let head = AddOrder::head(head.locate, head.time);
            say(&AddOrder { head, reference, side, shares, stock, price }, store)
        }
        Display::Attributed => {
            let head = AddOrderAttributed::head(head.locate, head.time);
            say(&AddOrderAttributed { head, reference, side, shares, stock, price, firm: firm.0 }, store)
        }
    }
}

/// `X` while shares are left, `D` when none are.
#[inline]
fn reduce(
    reference: OrderReference,
    taken: Quantity,
    leaves: Quantity,
    head: Head,
    store: &mut FeedStore,
) -> Result<u32, StoreFull> {
    if leaves.is_zero() {
        return delete(reference, head, store);
    }
    let head = OrderCancel::head(head.locate, head.time);
    say(&OrderCancel { head, reference: reference.0.into(), shares: taken.0.into() }, store)
}

#[inline]
fn delete(reference: OrderReference, head: Head, store: &mut FeedStore) -> Result<u32, StoreFull> {
    let head = OrderDelete::head(head.locate, head.time);
    say(&OrderDelete { head, reference: reference.0.into() }, store)
}

fn trading_action(state: TradingState, head: Head, store: &mut FeedStore) -> Result<u32, StoreFull> {
    let (symbol, head) = (head.symbol.0, TradingAction::head(head.locate, head.time));
    // The reason stays blank: halts here come from an operator, and the protocol's codes name causes we do not know.
    let action = TradingAction { head, stock: symbol, state: state.letter(), reserved: b' ', reason: [b' '; 4] };
    say(&action, store)
}

fn system(event: u8, time: DayNanos, store: &mut FeedStore) -> Result<u32, StoreFull> {
    say(&SystemEvent { head: SystemEvent::head(0, time), event }, store)
}

/// A ticker in the directory. What the protocol asks of a listing and the market does not know is "not available",
/// or the plain case: common stock in normal standing.
fn listing(head: Head, lot: Quantity) -> StockDirectory {
    StockDirectory {
        head: StockDirectory::head(head.locate, head.time),
        stock: head.symbol.0,
        market_category: b' ',
        financial_status: b'N',
        round_lot: lot.0.into(),
        round_lots_only: if lot.0 > 1 { b'Y' } else { b'N' },
        classification: b'C',
        sub_type: *b"Z ",
        authenticity: b'P',
        short_sale_threshold: b' ',
        ipo: b'N',
        luld_tier: b' ',
        etp: b'N',
        etp_leverage: 0.into(),
        inverse: b'N',
    }
}

#[inline]
fn say(message: &(impl IntoBytes + Immutable), store: &mut FeedStore) -> Result<u32, StoreFull> {
    store.append(message.as_bytes()).map(|()| 1)
}
