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
        auction: AuctionSpec::default(),
    };
    Market {
        session_name: *b"PITLANE001",
        tickers: (0..tickers).map(ticker).collect(),
        accounts: Vec::new(),
        sessions: Vec::new(),
        matchers: 1,
        orders_max: 1_000,
        trades_kept: 1_024,
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

fn shown_of(quantity: u32, displayed: bool) -> Quantity {
    if displayed { Quantity(quantity) } else { Quantity(0) }
}

pub fn rests_as(reference: u64, side: Side, price: u32, quantity: u32, display: Display) -> Event {
    let (price, quantity) = (Price(price), Quantity(quantity));
    let shown = if display.is_shown() { quantity } else { Quantity(0) };
    Event::Rested { order: tag(), reference: OrderReference(reference), side, display, quantity, shown, price }
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
        liquidity: if displayed { Liquidity::Added } else { Liquidity::AddedHidden },
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
        shown: shown_of(quantity, displayed),
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
        shown: shown_of(quantity, displayed),
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
        limit: Price(0),
        old_quantity: Quantity(old.1),
        old_price: Price(old.0),
        old_shown: shown_of(old.1, was_displayed),
        shown: shown_of(new.1, display.is_shown()),
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
        shown: shown_of(taken, displayed),
    }
}

pub fn state(state: TradingState) -> Event {
    Event::State { state }
}

/// A small generator of numbers, so that a day is a function of its seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `below` - 1.
    pub fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }
}

/// An order of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelOrder {
    pub reference: u64,
    pub side: Side,
    pub price: u32,
    pub quantity: u32,
    pub display: Display,
}

/// A plain list of orders by time that makes events as a matcher would, and so knows the book they must lead to.
/// Bids stay below 1,000 and offers above, so that nothing crosses.
pub struct Model {
    pub random: Random,
    pub orders: Vec<ModelOrder>,
    references: u64,
    pub volume: u64,
}

const MIDDLE: u32 = 1_000;

impl Model {
    pub fn new(seed: u64) -> Model {
        Model { random: Random(seed), orders: Vec::new(), references: 0, volume: 0 }
    }

    /// Displayed orders of a side in the order in which they would trade.
    pub fn displayed(&self, side: Side) -> Vec<ModelOrder> {
        let mut orders: Vec<_> =
            self.orders.iter().filter(|order| order.side == side && order.display.is_shown()).copied().collect();
        // A stable sort: time stays the order within a price.
        match side {
            Side::Buy => orders.sort_by_key(|order| std::cmp::Reverse(order.price)),
            Side::Sell => orders.sort_by_key(|order| order.price),
        }
        orders
    }

    fn order(&mut self) -> ModelOrder {
        self.references += 1;
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        self.like(self.references, side)
    }

    /// A new price, size and display for this number.
    fn like(&mut self, reference: u64, side: Side) -> ModelOrder {
        let away = self.random.below(40) as u32 + 1;
        let price = if side == Side::Buy { MIDDLE - away } else { MIDDLE + away };
        let display = match self.random.below(6) {
            0 => Display::Hidden,
            1 => Display::Attributed,
            _ => Display::Anonymous,
        };
        ModelOrder { reference, side, price, quantity: self.random.below(500) as u32 + 1, display }
    }

    /// The next events: one, or for a replace that does not rest at once, several.
    pub fn step(&mut self) -> Vec<Event> {
        if self.orders.is_empty() || self.random.below(5) < 2 {
            let order = self.order();
            self.orders.push(order);
            return vec![rests_as(order.reference, order.side, order.price, order.quantity, order.display)];
        }
        let at = self.random.below(self.orders.len() as u64) as usize;
        match self.random.below(6) {
            0 => self.fill(),
            1 => self.replace(at),
            _ => self.reduce(at),
        }
    }

    /// The displayed order with priority trades, or a hidden one somewhere.
    fn fill(&mut self) -> Vec<Event> {
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let hidden = self.orders.iter().find(|order| order.side == side && !order.display.is_shown()).copied();
        let shown = self.displayed(side).first().copied();
        let Some(order) = (if self.random.below(3) == 0 { hidden } else { shown }) else { return Vec::new() };
        let quantity = self.random.below(u64::from(order.quantity)) as u32 + 1;
        let leaves = self.take(order.reference, quantity);
        self.volume += u64::from(quantity);
        vec![filled(order.reference, side, order.price, quantity, leaves, order.display.is_shown())]
    }

    fn reduce(&mut self, at: usize) -> Vec<Event> {
        let ModelOrder { reference, side, price, quantity, display } = self.orders[at];
        let taken = if self.random.below(2) == 0 { quantity } else { self.random.below(quantity.into()) as u32 + 1 };
        let leaves = self.take(reference, taken);
        let make = [canceled, self_matched, modified][self.random.below(3) as usize];
        vec![make(reference, side, price, taken, leaves, display.is_shown())]
    }

    fn replace(&mut self, at: usize) -> Vec<Event> {
        let old = self.orders.remove(at);
        self.references += 1;
        let new = self.like(self.references, old.side);
        let rests = self.random.below(2) == 0;
        let stays = rests || self.random.below(2) == 0;
        let mut events = vec![replaced(
            old.reference,
            new.reference,
            old.side,
            (old.price, old.quantity),
            (new.price, new.quantity),
            new.display,
            old.display.is_shown(),
            rests,
        )];
        if stays {
            self.orders.push(new);
        }
        if stays && !rests {
            events.push(rests_as(new.reference, new.side, new.price, new.quantity, new.display));
        }
        if !stays {
            events.push(canceled(new.reference, new.side, new.price, new.quantity, 0, false));
        }
        events
    }

    fn take(&mut self, reference: u64, taken: u32) -> u32 {
        let at = self.orders.iter().position(|order| order.reference == reference).unwrap();
        self.orders[at].quantity -= taken;
        let leaves = self.orders[at].quantity;
        self.orders.retain(|order| order.quantity > 0);
        leaves
    }
}

/// A day of the second ticker: start, trading, `steps` steps of a model, end.
pub fn random_day(seed: u64, steps: usize) -> Vec<Published> {
    let mut model = Model::new(seed);
    let mut facts = vec![day_start(), book(TickerId(1), state(TradingState::Trading))];
    for _ in 0..steps {
        facts.extend(model.step().into_iter().map(|event| book(TickerId(1), event)));
    }
    facts.push(day_end());
    facts
}
