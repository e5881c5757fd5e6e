//! A small market and short ways to say what a matcher says, for the tests of the feed.
#![allow(dead_code, reason = "each test file uses its part")]

use pitlane::types::*;

pub const TIME: Nanos = Nanos(19_700 * Nanos::DAY + 34_200 * Nanos::SECOND);
pub const FIRM: Firm = Firm(*b"ACME");

/// Tickers `T0`, `T1`, ...
pub fn market(tickers: u16) -> Market {
    let ticker = |n: u16| TickerSpec {
        symbol: Symbol::from_text(&format!("T{n}")).unwrap(),
        tick: Price(1),
        lot: Quantity(1),
        price_min: Price(1),
        price_max: Price(1_000_000),
        reference: Price(100),
        matcher: MatcherId(0),
        fees: Fees::default(),
    };
    Market {
        session_name: *b"PITLANE001",
        tickers: (0..tickers).map(ticker).collect(),
        accounts: Vec::new(),
        sessions: Vec::new(),
        matchers: 1,
        orders_max: 1_000,
    }
}

pub fn published(ticker: TickerId, fact: PublicFact) -> Published {
    Published { number: Number(1), time: TIME, ticker, fact }
}

pub fn book(ticker: TickerId, event: Event) -> Published {
    published(ticker, PublicFact::Book { event, firm: FIRM })
}

pub fn day_start() -> Published {
    published(TickerId::ALL, PublicFact::DayStart)
}

pub fn day_end() -> Published {
    published(TickerId::ALL, PublicFact::DayEnd)
}

pub fn tag() -> OrderTag {
    OrderTag {
        slot: Slot(1),
        user_ref: UserRef(1),
        session: SessionId(0),
        account: AccountId(0),
        channel: Channel::NONE,
    }
}

pub fn rests_as(reference: u64, side: Side, price: u32, quantity: u32, display: Display) -> Event {
    let (price, quantity) = (Price(price), Quantity(quantity));
    Event::Rested { order: tag(), reference: OrderReference(reference), side, display, quantity, price }
}

pub fn rested(reference: u64, side: Side, price: u32, quantity: u32) -> Event {
    rests_as(reference, side, price, quantity, Display::Anonymous)
}

pub fn filled(reference: u64, side: Side, price: u32, quantity: u32, leaves: u32, displayed: bool) -> Event {
    Event::Filled {
        resting: tag(),
        incoming: tag(),
        reference: OrderReference(reference),
        match_number: MatchNumber(reference + 1_000),
        price: Price(price),
        quantity: Quantity(quantity),
        resting_leaves: Quantity(leaves),
        incoming_leaves: Quantity(0),
        resting_side: side,
        displayed,
    }
}

pub fn canceled(reference: u64, side: Side, price: u32, quantity: u32, leaves: u32, displayed: bool) -> Event {
    Event::Canceled {
        order: tag(),
        reference: OrderReference(reference),
        side,
        price: Price(price),
        quantity: Quantity(quantity),
        leaves: Quantity(leaves),
        reason: CancelReason::User,
        displayed,
    }
}

pub fn self_matched(reference: u64, side: Side, price: u32, quantity: u32, leaves: u32, displayed: bool) -> Event {
    Event::SelfMatch {
        order: tag(),
        reference: OrderReference(reference),
        side,
        price: Price(price),
        quantity: Quantity(quantity),
        leaves: Quantity(leaves),
        prevented: Quantity(quantity),
        execution_price: Price(price),
        liquidity: Liquidity::Added,
        strategy: b'Y',
        detailed: false,
        displayed,
    }
}

/// `old` and `new` are price and open shares.
#[allow(clippy::too_many_arguments, reason = "the facts of a replace, said in one line of a test")]
pub fn replaced(
    old_reference: u64,
    reference: u64,
    side: Side,
    old: (u32, u32),
    new: (u32, u32),
    display: Display,
    was_displayed: bool,
    rests: bool,
) -> Event {
    Event::Replaced {
        order: tag(),
        original: UserRef(1),
        old_reference: OrderReference(old_reference),
        reference: OrderReference(reference),
        side,
        side_code: if side == Side::Buy { SideCode::Buy } else { SideCode::Sell },
        display,
        quantity: Quantity(new.1),
        price: Price(new.0),
        old_quantity: Quantity(old.1),
        old_price: Price(old.0),
        was_displayed,
        rests,
    }
}

pub fn modified(reference: u64, side: Side, price: u32, taken: u32, leaves: u32, displayed: bool) -> Event {
    Event::Modified {
        order: tag(),
        reference: OrderReference(reference),
        side_code: if side == Side::Buy { SideCode::Buy } else { SideCode::SellShort },
        price: Price(price),
        taken: Quantity(taken),
        leaves: Quantity(leaves),
        displayed,
    }
}

pub fn state(state: TradingState) -> Event {
    Event::State { state }
}
