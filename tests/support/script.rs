//! A few words in which examples of matching read like the market: who does what, and what is said of it.

use super::lanes::{account, execute, ticker};
use pitlane::engine::book::{Events, Shard};
use pitlane::types::*;

/// Sessions A and B trade for one account, C for another of the same firm, D for another firm.
pub const A: u16 = 0;
pub const B: u16 = 1;
pub const C: u16 = 2;
pub const D: u16 = 3;

const ACCOUNTS: [u16; 4] = [0, 0, 1, 2];

/// One ticker with whole ticks from 1 to 1,000.
pub fn market() -> Market {
    let session = |index: usize| SessionSpec {
        user: format!("S{index}"),
        account: AccountId(ACCOUNTS[index]),
        self_match: SelfMatch::OFF,
        cancel_on_disconnect: true,
    };
    Market {
        session_name: *b"EXAMPLE   ",
        tickers: vec![ticker("X", 0, 1, 1, 1_000)],
        accounts: vec![account("a", "AAAA"), account("c", "AAAA"), account("d", "DDDD")],
        sessions: (0..4).map(session).collect(),
        matchers: 1,
        orders_max: 1_000,
        trades_kept: 1_024,
    }
}

/// What was said, as far as an example cares: `who` is the session, and an order is the latest of its session unless an
/// example gives numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    Accepted { who: u16 },
    Rests { who: u16, quantity: u32 },
    Fills { resting: u16, incoming: u16, quantity: u32, price: u32 },
    Canceled { who: u16, quantity: u32, leaves: u32, reason: CancelReason },
    SelfMatch { who: u16, quantity: u32, leaves: u32 },
    Replaced { who: u16, open: u32, rests: bool },
    ReplaceIgnored { who: u16 },
    Modified { who: u16, side: SideCode, leaves: u32 },
    Refills { who: u16, shows: u32, keeps: u32 },
    Wakes { who: u16, quantity: u32 },
    Nothing,
    State(TradingState),
    Crosses { buy: u16, sell: u16, quantity: u32, price: u32 },
    CrossDone { quantity: u64, price: u32 },
    Band { lower: u32, upper: u32, limit: bool },
    Broken { buy: u16, sell: u16, quantity: u32 },
}

pub fn crosses(buy: u16, sell: u16, quantity: u32, price: u32) -> Said {
    Said::Crosses { buy, sell, quantity, price }
}

pub fn cross_done(quantity: u64, price: u32) -> Said {
    Said::CrossDone { quantity, price }
}

pub fn trades() -> Said {
    Said::State(TradingState::Trading)
}

pub fn accepted(who: u16) -> Said {
    Said::Accepted { who }
}

pub fn rests(who: u16, quantity: u32) -> Said {
    Said::Rests { who, quantity }
}

pub fn fills(resting: u16, incoming: u16, quantity: u32, price: u32) -> Said {
    Said::Fills { resting, incoming, quantity, price }
}

pub fn canceled(who: u16, quantity: u32, leaves: u32, reason: CancelReason) -> Said {
    Said::Canceled { who, quantity, leaves, reason }
}

pub fn self_match(who: u16, quantity: u32, leaves: u32) -> Said {
    Said::SelfMatch { who, quantity, leaves }
}

pub fn replaced(who: u16, open: u32, rests: bool) -> Said {
    Said::Replaced { who, open, rests }
}

pub fn refills(who: u16, shows: u32, keeps: u32) -> Said {
    Said::Refills { who, shows, keeps }
}

pub fn wakes(who: u16, quantity: u32) -> Said {
    Said::Wakes { who, quantity }
}

fn said(event: &Event) -> Said {
    match *event {
        Event::Nothing => Said::Nothing,
        Event::Accepted { order, .. } => accepted(order.session.0),
        Event::Rested { order, quantity, .. } => rests(order.session.0, quantity.0),
        Event::Filled { resting, incoming, quantity, price, .. } => {
            fills(resting.session.0, incoming.session.0, quantity.0, price.0)
        }
        Event::Canceled { order, quantity, leaves, reason, .. } => {
            canceled(order.session.0, quantity.0, leaves.0, reason)
        }
        Event::SelfMatch { order, quantity, leaves, .. } => self_match(order.session.0, quantity.0, leaves.0),
        Event::Replaced { order, quantity, rests, .. } => replaced(order.session.0, quantity.0, rests),
        Event::ReplaceIgnored { order } => Said::ReplaceIgnored { who: order.session.0 },
        Event::Modified { order, side_code, leaves, .. } => {
            Said::Modified { who: order.session.0, side: side_code, leaves: leaves.0 }
        }
        Event::Refreshed { order, quantity, reserve, .. } => refills(order.session.0, quantity.0, reserve.0),
        Event::Triggered { order, quantity, .. } => wakes(order.session.0, quantity.0),
        Event::State { state } => Said::State(state),
        Event::Crossed { buy, sell, quantity, price, .. } => {
            crosses(buy.session.0, sell.session.0, quantity.0, price.0)
        }
        Event::CrossDone { quantity, price, .. } => cross_done(quantity, price.0),
        Event::Band { lower, upper, limit } => Said::Band { lower: lower.0, upper: upper.0, limit },
        Event::Broken { buy, sell, quantity, .. } => {
            Said::Broken { buy: buy.session.0, sell: sell.session.0, quantity: quantity.0 }
        }
        other => panic!("this script has no words for {other:?}"),
    }
}

/// A book with somebody at the keyboard.
pub struct Floor {
    pub shard: Shard,
    events: Events,
    number: u64,
}

impl Default for Floor {
    fn default() -> Floor {
        Floor::new()
    }
}

impl Floor {
    pub fn new() -> Floor {
        Floor::with(|_| {})
    }

    /// A book of a ticker with orders for crosses, in the phase before its opening.
    pub fn opening() -> Floor {
        Floor::with(|auction| (auction.cross_orders, auction.phase_start) = (true, Phase::PreOpen))
    }

    pub fn with(change: impl FnOnce(&mut AuctionSpec)) -> Floor {
        let mut market = market();
        change(&mut market.tickers[0].auction);
        Floor { shard: Shard::new(&market, MatcherId(0)).unwrap(), events: Events::new(), number: 0 }
    }

    /// What the record makes the book say. An Enter gets its number in the journal as slot and as user reference.
    pub fn play(&mut self, record: Sequenced) -> Vec<Said> {
        self.events(record).iter().map(said).collect()
    }

    /// The same, word for word.
    pub fn events(&mut self, mut record: Sequenced) -> Vec<Event> {
        self.number += 1;
        record.number = Number(self.number);
        if record.command.kind == CommandKind::Enter {
            record.verdict.slot = Slot(self.number as u32);
            record.command.user_ref = UserRef(self.number as u32);
        }
        execute(&mut self.shard, &record, &mut self.events).into_iter().map(|(_, event)| event).collect()
    }

    /// Ticker and phase.
    pub fn enter(&mut self, phase: Phase) -> Vec<Said> {
        self.play(to_phase(phase))
    }
}

/// The record that takes the ticker to a phase.
pub fn to_phase(phase: Phase) -> Sequenced {
    let mut record = venue(CommandKind::Phase);
    (record.command.ticker, record.command.value) = (TickerId(0), u64::from(phase.letter()));
    record
}

/// What the records make an empty book say, one after the other.
pub fn play<const N: usize>(records: [Sequenced; N]) -> Vec<Said> {
    let mut floor = Floor::new();
    records.into_iter().flat_map(|record| floor.play(record)).collect()
}

fn record(kind: CommandKind, who: u16) -> Sequenced {
    let mut record = Sequenced { command: Command::new(kind), ..Sequenced::default() };
    record.command.session = SessionId(who);
    record.command.account = AccountId(ACCOUNTS[usize::from(who)]);
    record.command.firm = market().firm_of(SessionId(who));
    record.command.ticker = TickerId(0);
    record
}

fn order(who: u16, side: SideCode, quantity: u32, price: u32) -> Sequenced {
    let mut record = record(CommandKind::Enter, who);
    record.command.side = side;
    record.command.quantity = Quantity(quantity);
    record.command.price = Price(price);
    record.verdict.limit_price = Price(price);
    record
}

pub fn buy(who: u16, quantity: u32, price: u32) -> Sequenced {
    order(who, SideCode::Buy, quantity, price)
}

pub fn sell(who: u16, quantity: u32, price: u32) -> Sequenced {
    order(who, SideCode::Sell, quantity, price)
}

/// A request about the order that was the `nth` record.
fn about(kind: CommandKind, who: u16, nth: u32) -> Sequenced {
    let mut record = record(kind, who);
    record.verdict.slot = Slot(nth);
    record.command.user_ref = UserRef(nth);
    record
}

pub fn cancel(who: u16, nth: u32, total: u32) -> Sequenced {
    let mut record = about(CommandKind::Cancel, who, nth);
    record.command.quantity = Quantity(total);
    record
}

pub fn modify(who: u16, nth: u32, side: SideCode, total: u32) -> Sequenced {
    let mut record = about(CommandKind::Modify, who, nth);
    record.command.side = side;
    record.command.quantity = Quantity(total);
    record
}

/// The order keeps its number, so that later requests can name it.
pub fn replace(who: u16, nth: u32, total: u32, price: u32) -> Sequenced {
    let mut record = about(CommandKind::Replace, who, nth);
    record.command.original = UserRef(nth);
    record.command.quantity = Quantity(total);
    record.command.price = Price(price);
    record.verdict.limit_price = Price(price);
    record
}

pub fn venue(kind: CommandKind) -> Sequenced {
    Sequenced { command: Command::new(kind), ..Sequenced::default() }
}

pub fn of_session(kind: CommandKind, who: u16) -> Sequenced {
    record(kind, who)
}

/// Time has come to so many seconds after the start of all.
pub fn tick(seconds: u64) -> Sequenced {
    Sequenced { time: Nanos(seconds * 1_000_000_000), ..venue(CommandKind::Tick) }
}

/// Changes of a record, to be chained.
pub trait Terms: Sized {
    fn with(self, change: impl FnOnce(&mut Command)) -> Sequenced;

    fn hidden(self) -> Sequenced {
        self.with(|command| command.display = Display::Hidden)
    }

    fn immediate(self) -> Sequenced {
        self.with(|command| command.time_in_force = TimeInForce::ImmediateOrCancel)
    }

    fn at_least(self, quantity: u32) -> Sequenced {
        self.immediate().with(|command| command.min_quantity = Quantity(quantity))
    }

    fn post_only(self) -> Sequenced {
        self.with(|command| command.post_only = 1)
    }

    /// A market order: what was its limit is how far the collar lets it go.
    fn market(self) -> Sequenced {
        self.with(|command| command.price = Price::MARKET)
    }

    /// Shows so many shares at a time.
    fn showing(self, floor: u32) -> Sequenced {
        self.tag(5).with(|command| command.max_floor = Quantity(floor))
    }

    /// Hidden, and trading with nobody who gives less.
    fn hidden_least(self, quantity: u32) -> Sequenced {
        self.hidden().tag(3).with(|command| command.min_quantity = Quantity(quantity))
    }

    /// Asleep until a trade at this price.
    fn stop(self, price: u32) -> Sequenced {
        self.tag(31).with(|command| command.value = u64::from(price))
    }

    /// Hidden, at the price it follows made better by the offset; what was its limit bounds that.
    fn pegged(self, peg: Peg, offset: i32) -> Sequenced {
        self.hidden().tag(6).tag(7).with(|command| (command.price_type, command.peg_offset) = (peg.letter(), offset))
    }

    /// Over after so many seconds.
    fn for_seconds(self, seconds: u32) -> Sequenced {
        self.tag(15).with(|command| {
            (command.time_in_force, command.expire_seconds) = (TimeInForce::GoodTillTime, seconds);
        })
    }

    fn good_till_cancel(self) -> Sequenced {
        self.tag(0).with(|command| command.time_in_force = TimeInForce::GoodTillCancel)
    }

    /// Post-only, one tick back from the best price where it would take.
    /// For the opening cross.
    fn on_open(self) -> Sequenced {
        self.with(|command| command.cross = b'O')
    }

    /// For the closing cross.
    fn on_close(self) -> Sequenced {
        self.with(|command| command.cross = b'C')
    }

    fn imbalance_only(self) -> Sequenced {
        self.with(|command| command.tags |= Command::IMBALANCE_ONLY)
    }

    fn steps_back(self) -> Sequenced {
        self.tag(12).tag(8).with(|command| command.post_only = 2)
    }

    fn self_match(self, mode: SelfMatchMode) -> Sequenced {
        self.with(|command| command.self_match = SelfMatch { mode, firm_wide: 0, detailed: 1, letter: b'O' })
    }

    fn group(self, group: u16) -> Sequenced {
        self.with(|command| command.group = group)
    }

    fn tag(self, tag: u8) -> Sequenced {
        self.with(|command| command.tags |= 1 << tag)
    }
}

impl Terms for Sequenced {
    fn with(mut self, change: impl FnOnce(&mut Command)) -> Sequenced {
        change(&mut self.command);
        self
    }
}
