//! A stream of orders for the core, made by running the core over it, so that what is cancelled and replaced is open:
//! 55 % adds (geometric distance from the touch, mean 64 ticks), 35 % cancels, 5 % replaces and 5 % trading immediate
//! orders around so many resting ones. Shared by the benches of the core and of replay.

use pitlane::engine::book::{Events, Progress, Shard};
use pitlane::engine::digest;
use pitlane::engine::oms::{Decision, Oms, Route};
use pitlane::runtime::prefetch::fetch;
use pitlane::types::{
    AccountId, AccountSpec, AuctionSpec, Command, CommandKind, Event, Fees, Firm, Limits, Market, MatcherId, Money,
    Nanos, Number, Outcome, Price, Quantity, SelfMatch, Sequenced, SessionId, SessionSpec, SideCode, Symbol, TickerId,
    TickerSpec, TimeInForce, UserRef,
};

const SESSIONS: u16 = 8;
const TICK: u32 = 100;
const MID: u32 = 500 * 10_000;

pub struct Core {
    oms: Oms,
    shard: Shard,
    out: Events,
    number: Number,
    time: Nanos,
}

impl Core {
    pub fn new(resting: usize) -> Core {
        let market = market(resting);
        Core {
            oms: Oms::new(&market),
            shard: Shard::new(&market, MatcherId(0)).expect("the bench's ladder fits"),
            out: Events::new(),
            number: Number(0),
            time: Nanos(1),
        }
    }

    /// What the sequencer and the matcher ask for while earlier commands are under way.
    #[inline]
    pub fn look(&self, waiting: &[Command]) {
        if let Some(command) = waiting.get(8) {
            fetch(self.oms.line_of_number(command));
        }
        if let Some((slot, line)) = waiting.get(5).and_then(|command| self.oms.line_of_order(command)) {
            fetch(line);
            self.shard.lines_of_slot(slot).into_iter().for_each(fetch);
        }
        if let Some((slot, _)) = waiting.get(2).and_then(|command| self.oms.line_of_order(command)) {
            self.shard.lines_beside_slot(slot).into_iter().for_each(fetch);
        }
    }

    /// One command through the whole core; `each` sees the events. Gives the record it became.
    #[inline]
    pub fn take(&mut self, mut command: Command, mut each: impl FnMut(&Event)) -> Option<Sequenced> {
        self.time.0 += 1_000;
        let Decision::Record(verdict) = self.oms.decide(&mut command, self.time) else { return None };
        self.number = self.number.next();
        let record = Sequenced { number: self.number, time: self.time, verdict, command };
        let route = self.oms.route(&record);
        self.oms.apply(&record);
        if let Route::None = route {
            return Some(record);
        }
        let mut progress = self.shard.execute(&record, &mut self.out);
        loop {
            for &(ticker, event) in self.out.iter() {
                each(&event);
                self.oms.on_event(&Outcome { number: record.number, time: record.time, ticker, event });
            }
            if progress == Progress::Done {
                return Some(record);
            }
            progress = self.shard.resume(&mut self.out);
        }
    }
}

pub fn market(resting: usize) -> Market {
    let wide = Limits {
        enabled: true,
        order_quantity_max: Quantity(999_999),
        order_notional_max: Money(1 << 60),
        open_orders_max: 1 << 26,
        position_max: 1 << 40,
        gross_exposure_max: Money(1 << 90),
        messages_per_second_max: 0,
        price_collar: 0,
        credit: Money(1 << 90),
    };
    let accounts = (0..SESSIONS).map(|i| AccountSpec {
        name: format!("account-{i}"),
        firm: Firm(*b"FIRM"),
        cash: Money(1 << 60),
        limits: wide,
    });
    let sessions = (0..SESSIONS).map(|i| SessionSpec {
        user: format!("USER{i:02}"),
        account: AccountId(i),
        self_match: SelfMatch::OFF,
        cancel_on_disconnect: false,
    });
    Market {
        session_name: *b"BENCH00001",
        tickers: vec![TickerSpec {
            symbol: Symbol(*b"BENCH   "),
            tick: Price(TICK),
            lot: Quantity(1),
            price_min: Price(TICK),
            price_max: Price(2 * MID),
            reference: Price(MID),
            matcher: MatcherId(0),
            fees: Fees { maker: -20, taker: 30, cross: 0 },
            auction: AuctionSpec::default(),
        }],
        accounts: accounts.collect(),
        sessions: sessions.collect(),
        matchers: 1,
        orders_max: (resting * 2).next_power_of_two() as u32,
        trades_kept: 1_024,
    }
}

/// xorshift64*: enough for a mix, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Geometric with mean 64.
    fn distance(&mut self) -> u32 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((1.0 - unit).ln() / (1.0f64 - 1.0 / 65.0).ln()) as u32
    }
}

/// Makes the stream by running a core over it: what is cancelled and replaced is then really open.
pub struct Maker {
    core: Core,
    random: Random,
    open: Vec<(SessionId, UserRef)>,
    places: std::collections::HashMap<(SessionId, UserRef), usize>,
    refs: Vec<u32>,
    resting: usize,
    /// What was made since somebody took it: commands and, where they became one, records.
    pub commands: Vec<Command>,
    pub records: Vec<Sequenced>,
}

impl Maker {
    /// An exchange that has just begun its day.
    pub fn new(resting: usize) -> Maker {
        let mut maker = Maker {
            core: Core::new(resting),
            random: Random(0x5EED_0001),
            open: Vec::new(),
            places: std::collections::HashMap::new(),
            refs: vec![0; usize::from(SESSIONS)],
            resting,
            commands: Vec::new(),
            records: Vec::new(),
        };
        let mut start = Command::new(CommandKind::DayStart);
        start.value = digest::of_market(&market(resting));
        maker.give(start);
        maker
    }

    /// Fills the book.
    pub fn fill(&mut self) {
        while self.open.len() < self.resting {
            self.add();
        }
    }

    /// One more request of the mix.
    pub fn step(&mut self) {
        let resting = self.resting;
        match self.random.below(100) {
            // More adds than cancels and trades take out would let the book grow; the mix is steered to stay level.
            0..55 if self.open.len() < resting + resting / 20 => self.add(),
            0..90 if self.open.len() > resting / 2 => self.cancel(),
            90..95 => self.replace(),
            _ => self.take(),
        }
    }

    fn give(&mut self, command: Command) {
        self.commands.push(command);
        let (open, places) = (&mut self.open, &mut self.places);
        let mut ended = Vec::new();
        let mut began = Vec::new();
        let record = self.core.take(command, |event| match *event {
            Event::Rested { order, .. } => began.push((order.session, order.user_ref)),
            Event::Replaced { order, original, rests, .. } => {
                ended.push((order.session, original));
                if rests {
                    began.push((order.session, order.user_ref));
                }
            }
            Event::Filled { resting, resting_leaves, .. } if resting_leaves.is_zero() => {
                ended.push((resting.session, resting.user_ref));
            }
            Event::Canceled { order, leaves, .. } if leaves.is_zero() => ended.push((order.session, order.user_ref)),
            _ => {}
        });
        self.records.extend(record);
        for key in ended {
            if let Some(at) = places.remove(&key) {
                open.swap_remove(at);
                if let Some(moved) = open.get(at) {
                    places.insert(*moved, at);
                }
            }
        }
        for key in began {
            places.insert(key, open.len());
            open.push(key);
        }
    }

    fn fresh(&mut self, kind: CommandKind, session: SessionId) -> Command {
        let mut command = Command::new(kind);
        self.refs[session.index()] += 1;
        command.session = session;
        command.account = AccountId(session.0);
        command.firm = Firm(*b"FIRM");
        command.ticker = TickerId(0);
        command.user_ref = UserRef(self.refs[session.index()]);
        command
    }

    fn add(&mut self) {
        let session = SessionId(self.random.below(u64::from(SESSIONS)) as u16);
        let mut command = self.fresh(CommandKind::Enter, session);
        let away = (1 + self.random.distance()) * TICK;
        let buys = self.random.below(2) == 0;
        command.side = if buys { SideCode::Buy } else { SideCode::Sell };
        command.price = Price(if buys { MID - away } else { MID + away });
        command.quantity = Quantity(100 * (1 + self.random.below(10) as u32));
        self.give(command);
    }

    fn cancel(&mut self) {
        let at = self.random.below(self.open.len() as u64) as usize;
        let (session, user_ref) = self.open[at];
        let mut command = Command::new(CommandKind::Cancel);
        command.session = session;
        command.account = AccountId(session.0);
        command.user_ref = user_ref;
        self.give(command);
    }

    fn replace(&mut self) {
        let at = self.random.below(self.open.len() as u64) as usize;
        let (session, original) = self.open[at];
        let buys = self
            .core
            .oms
            .order(session, pitlane::types::Channel::NONE, original)
            .is_some_and(|o| o.side == pitlane::types::Side::Buy);
        let mut command = self.fresh(CommandKind::Replace, session);
        let away = (1 + self.random.distance()) * TICK;
        command.original = original;
        command.price = Price(if buys { MID - away } else { MID + away });
        command.quantity = Quantity(100 * (20 + self.random.below(10) as u32));
        self.give(command);
    }

    fn take(&mut self) {
        let session = SessionId(self.random.below(u64::from(SESSIONS)) as u16);
        let mut command = self.fresh(CommandKind::Enter, session);
        let buys = self.random.below(2) == 0;
        command.side = if buys { SideCode::Buy } else { SideCode::Sell };
        command.price = Price(if buys { MID + 20 * TICK } else { MID - 20 * TICK });
        command.time_in_force = TimeInForce::ImmediateOrCancel;
        command.quantity = Quantity(100 * (1 + self.random.below(5) as u32));
        self.give(command);
    }
}
