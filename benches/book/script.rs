//! The records of the bench, made in advance by playing them on a shard, to know what is open.

use super::support::lanes::{account, ticker};
use super::support::random::Random;
use pitlane::engine::book::{Events, Progress, Shard};
use pitlane::types::*;

pub const TICK: u32 = 100;
pub const PRICE_MAX: u32 = 4_000_000;
const CENTRE: u32 = PRICE_MAX / 2;
/// Mean distance from the touch in ticks.
const DISTANCE_MEAN: f64 = 64.0;
const QUANTITY: u32 = 100;
const SESSIONS: u16 = 16;

fn market(orders_max: u32) -> Market {
    let session = |index: u16| SessionSpec {
        user: format!("S{index}"),
        account: AccountId(index),
        self_match: SelfMatch::OFF,
        cancel_on_disconnect: true,
    };
    Market {
        session_name: *b"BENCH     ",
        tickers: vec![ticker("BENCH", 0, TICK, TICK, PRICE_MAX)],
        accounts: (0..SESSIONS).map(|_| account("a", "FIRM")).collect(),
        sessions: (0..SESSIONS).map(session).collect(),
        matchers: 1,
        orders_max,
        trades_kept: 1_024,
    }
}

/// Records made in advance: those that fill the book, and those that are measured.
pub struct Script {
    pub market: Market,
    pub fill: Vec<Sequenced>,
    pub flow: Vec<Sequenced>,
}

/// Makes a script by playing it on a shard of its own, to know what is open.
struct Author {
    random: Random,
    shard: Shard,
    events: Events,
    /// Open orders in no order, the place of each slot in that list, and what a request about it must name.
    open: Vec<u32>,
    places: Vec<usize>,
    tags: Vec<OrderTag>,
    sides: Vec<SideCode>,
    free: Vec<u32>,
    user_ref: u32,
}

impl Author {
    fn new(seed: u64, market: &Market) -> Author {
        let slots = market.orders_max;
        let nobody = OrderTag {
            slot: Slot::NONE,
            user_ref: UserRef(0),
            session: SessionId(0),
            account: AccountId(0),
            channel: Channel::NONE,
        };
        Author {
            random: Random::new(seed),
            shard: Shard::new(market, MatcherId(0)).unwrap(),
            events: Events::new(),
            open: Vec::new(),
            places: vec![0; slots as usize],
            tags: vec![nobody; slots as usize],
            sides: vec![SideCode::Buy; slots as usize],
            free: (0..slots).rev().collect(),
            user_ref: 0,
        }
    }

    fn record(&mut self, kind: CommandKind) -> Sequenced {
        self.user_ref += 1;
        let mut record = Sequenced { command: Command::new(kind), ..Sequenced::default() };
        record.command.ticker = TickerId(0);
        record.command.user_ref = UserRef(self.user_ref);
        record
    }

    fn price(&mut self, side: SideCode) -> Price {
        let uniform = (self.random.bits() >> 11) as f64 / (1u64 << 53) as f64;
        let ticks = ((1.0 - uniform).ln() / (1.0 - 1.0 / (DISTANCE_MEAN + 1.0)).ln()) as u32;
        let away = ticks.min(10_000) * TICK;
        Price(if side == SideCode::Buy { CENTRE - away } else { CENTRE + TICK + away })
    }

    fn enter(&mut self) -> Sequenced {
        let mut record = self.record(CommandKind::Enter);
        let command = &mut record.command;
        command.session = SessionId(self.random.below(u64::from(SESSIONS)) as u16);
        command.account = AccountId(command.session.0);
        command.side = self.random.of(&[SideCode::Buy, SideCode::Sell]);
        command.quantity = Quantity(QUANTITY);
        let price = self.price(record.command.side);
        record.command.price = price;
        record.verdict.limit_price = price;
        record.verdict.slot = Slot(self.free.pop().expect("a free slot"));
        record
    }

    fn about(&mut self, kind: CommandKind) -> Sequenced {
        let mut record = self.record(kind);
        let slot = self.random.of(&self.open);
        let tag = self.tags[slot as usize];
        record.verdict.slot = Slot(slot);
        record.command.session = tag.session;
        record.command.account = tag.account;
        if kind == CommandKind::Replace {
            record.command.original = tag.user_ref;
            record.command.quantity = Quantity(QUANTITY);
            record.command.price = self.price(self.sides[slot as usize]);
            record.verdict.limit_price = record.command.price;
        } else {
            record.command.user_ref = tag.user_ref;
        }
        record
    }

    /// An immediate order at the price of the other side, as large as keeps the book at `target` orders.
    fn take(&mut self, target: usize) -> Sequenced {
        let mut record = self.enter();
        let command = &mut record.command;
        command.time_in_force = TimeInForce::ImmediateOrCancel;
        let orders = if self.open.len() > target { 6 } else { 2 };
        command.quantity = Quantity(QUANTITY * orders);
        let far = 20_000 * TICK;
        command.price = Price(if command.side == SideCode::Buy { CENTRE + far - TICK } else { CENTRE - far + TICK });
        record
    }

    fn play(&mut self, record: &Sequenced) {
        let mut progress = self.shard.execute(record, &mut self.events);
        loop {
            for at in 0..self.events.len() {
                self.note(self.events.as_slice()[at].1, record);
            }
            if progress == Progress::Done {
                return;
            }
            progress = self.shard.resume(&mut self.events);
        }
    }

    fn note(&mut self, event: Event, record: &Sequenced) {
        match event {
            Event::Accepted { order, .. } => {
                self.tags[order.slot.index()] = order;
                self.sides[order.slot.index()] = record.command.side;
                self.places[order.slot.index()] = self.open.len();
                self.open.push(order.slot.0);
            }
            Event::Replaced { order, .. } => self.tags[order.slot.index()] = order,
            Event::Canceled { order, leaves: Quantity(0), .. } => self.end(order.slot),
            Event::Filled { resting, incoming, resting_leaves, incoming_leaves, .. } => {
                for (order, leaves) in [(resting, resting_leaves), (incoming, incoming_leaves)] {
                    if leaves.is_zero() {
                        self.end(order.slot);
                    }
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, slot: Slot) {
        let place = self.places[slot.index()];
        self.open.swap_remove(place);
        if let Some(&moved) = self.open.get(place) {
            self.places[moved as usize] = place;
        }
        self.free.push(slot.0);
    }
}

/// Shares of a hundred requests; what is left are immediate orders that trade.
#[derive(Clone, Copy)]
pub struct Mix {
    pub adds: u64,
    pub cancels: u64,
    pub replaces: u64,
}

/// New orders and cancels, as most venues see them.
pub const ADDING: Mix = Mix { adds: 55, cancels: 35, replaces: 5 };
/// Quotes that follow the market: hardly anything but replaces.
pub const QUOTING: Mix = Mix { adds: 9, cancels: 6, replaces: 82 };

/// `flow` requests on a book of about `resting` orders.
pub fn script(resting: usize, flow: usize, mix: Mix) -> Script {
    let market = market(resting as u32 + resting as u32 / 8 + 1_024);
    let mut author = Author::new(resting as u64, &market);
    let mut script = Script { market, fill: Vec::with_capacity(resting), flow: Vec::with_capacity(flow) };
    while author.open.len() < resting {
        let record = author.enter();
        author.play(&record);
        script.fill.push(record);
    }
    while script.flow.len() < flow {
        let record = match author.random.below(100) {
            // Where the mix takes more than it adds, the book is filled up again.
            _ if author.open.len() < resting / 2 => author.enter(),
            part if part < mix.adds => author.enter(),
            part if part < mix.adds + mix.cancels => author.about(CommandKind::Cancel),
            part if part < mix.adds + mix.cancels + mix.replaces => author.about(CommandKind::Replace),
            _ => author.take(resting),
        };
        author.play(&record);
        script.flow.push(record);
    }
    script
}
