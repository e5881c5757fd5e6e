//! A sequencer, a venue and the wires between them, in one struct: what is decided is numbered, applied and executed;
//! events wait until the test lets them in.

use crate::venue::Venue;
use pitlane::engine::oms::{Decision, IgnoreCause, Oms, Route};
use pitlane::types::{
    AccountId, AccountSpec, AuctionSpec, Command, CommandKind, Fees, Firm, Limit, Limits, Market, MatcherId, Money,
    Nanos, Number, Outcome, Price, Quantity, Reject, SelfMatch, Sequenced, SessionId, SessionSpec, SideCode, Symbol,
    TickerId, TickerSpec, UserRef, Verdict,
};
use std::collections::VecDeque;

/// The reference of every ticker: 100.00.
pub const REFERENCE: u32 = 1_000_000;
pub const START: Nanos = Nanos(1_700_000_000 * Nanos::SECOND);

/// Three accounts of two firms with a session each, two more sessions of the first account, and two tickers on two
/// shards. Tick 0.01, lot 10, 1.00 to 200.00, maker rebate 0.0002 and taker fee 0.0003 a share, wide limits.
pub fn market() -> Market {
    let firm = |name| Firm::from_text(name).expect("four letters");
    let limits = Limits {
        enabled: true,
        order_quantity_max: Quantity::ORDER_MAX,
        order_notional_max: Money(i128::from(u64::MAX)),
        open_orders_max: 1_000,
        position_max: 10_000_000,
        gross_exposure_max: Money(i128::from(u64::MAX)),
        messages_per_second_max: 0,
        price_collar: 0,
        credit: Money(1_000_000_000_000),
    };
    let account = |name: &str, firm| AccountSpec { name: name.into(), firm, cash: Money::ZERO, limits };
    let ticker = |name, matcher| TickerSpec {
        symbol: Symbol::from_text(name).expect("short"),
        tick: Price(100),
        lot: Quantity(10),
        price_min: Price(10_000),
        price_max: Price(2_000_000),
        reference: Price(REFERENCE),
        matcher: MatcherId(matcher),
        fees: Fees { maker: -2, taker: 3, cross: 0 },
        auction: AuctionSpec::default(),
    };
    let session = |user: &str, account| SessionSpec {
        user: user.into(),
        account: AccountId(account),
        self_match: SelfMatch::OFF,
        cancel_on_disconnect: true,
    };
    Market {
        session_name: *b"0000000001",
        tickers: vec![ticker("ALFA", 0), ticker("BETA", 1)],
        accounts: vec![account("ada", firm("AAAA")), account("bob", firm("BBBB")), account("cyd", firm("AAAA"))],
        sessions: vec![session("ADA1", 0), session("BOB1", 1), session("CYD1", 2), session("ADA2", 0)],
        matchers: 2,
        orders_max: 64,
        trades_kept: 1_024,
    }
}

pub const ADA: SessionId = SessionId(0);
pub const BOB: SessionId = SessionId(1);
pub const CYD: SessionId = SessionId(2);
pub const ADA2: SessionId = SessionId(3);
pub const ALFA: TickerId = TickerId(0);
pub const BETA: TickerId = TickerId(1);

/// What executes records.
pub trait Books {
    /// The events of a record, in the order egress gives them.
    fn execute(&mut self, record: &Sequenced, route: Route) -> Vec<Outcome>;
    /// Shard, slot and open shares of every order.
    fn open(&self) -> Vec<(u16, u32, u32)>;
}

pub struct Desk<B = Venue> {
    pub oms: Oms,
    pub venue: B,
    pub market: Market,
    pub now: Nanos,
    pub journal: Vec<Sequenced>,
    /// Events of each record, as the venue gave them.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Events on their way.
    pub waiting: VecDeque<Outcome>,
}

impl Desk {
    pub fn new(market: &Market) -> Desk {
        Desk::with(market, Venue::new(market))
    }
}

impl<B: Books> Desk<B> {
    pub fn with(market: &Market, venue: B) -> Desk<B> {
        Desk {
            oms: Oms::new(market),
            venue,
            market: market.clone(),
            now: START,
            journal: Vec::new(),
            outcomes: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Decides on a command; a record is applied and executed, and its events wait.
    pub fn send(&mut self, mut command: Command) -> Decision {
        if command.session != SessionId::VENUE {
            command.account = self.market.sessions[command.session.index()].account;
        }
        let decision = self.oms.decide(&mut command, self.now);
        if let Decision::Record(verdict) = decision {
            let number = Number(self.journal.len() as u64 + 1);
            let record = Sequenced { number, time: self.now, verdict, command };
            assert!(self.oms.is_ready(&record), "whoever decides may apply: {record:?}");
            self.oms.apply(&record);
            let events = self.venue.execute(&record, self.oms.route(&record));
            self.waiting.extend(&events);
            self.journal.push(record);
            self.outcomes.push(events);
            self.limits_hold(&record);
        }
        decision
    }

    fn limits_hold(&self, record: &Sequenced) {
        let (account, ticker) = (record.command.account, record.command.ticker);
        if account != AccountId::NONE && ticker.index() < self.market.tickers.len() {
            assert_eq!(self.oms.limits_hold_at(account, ticker), Ok(()), "after {record:?}");
        }
    }

    /// Lets `count` events in.
    pub fn let_in(&mut self, count: usize) {
        for outcome in self.waiting.drain(..count.min(self.waiting.len())) {
            self.oms.on_event(&outcome);
            assert_eq!(self.oms.limits_hold(), Ok(()), "after {outcome:?}");
        }
    }

    /// Lets all events in.
    pub fn settle(&mut self) {
        self.let_in(usize::MAX);
    }

    /// Sends and settles; the refusal, or none.
    pub fn ask(&mut self, command: Command) -> Reject {
        let verdict = self.verdict(command);
        self.settle();
        verdict.reject
    }

    /// Sends a command that must become a record.
    pub fn verdict(&mut self, command: Command) -> Verdict {
        match self.send(command) {
            Decision::Record(verdict) => verdict,
            Decision::Ignore(cause) => panic!("ignored for {cause:?}: {command:?}"),
        }
    }

    /// Sends a command that must be ignored.
    pub fn ignored(&mut self, command: Command) -> IgnoreCause {
        match self.send(command) {
            Decision::Ignore(cause) => cause,
            Decision::Record(verdict) => panic!("recorded with {verdict:?}: {command:?}"),
        }
    }

    /// The events of the latest record.
    pub fn latest(&self) -> &[Outcome] {
        self.outcomes.last().expect("a record")
    }
}

/// A day order in ALFA.
pub fn enter(session: SessionId, user_ref: u32, side: SideCode, quantity: u32, price: u32) -> Command {
    Command {
        session,
        user_ref: UserRef(user_ref),
        side,
        quantity: Quantity(quantity),
        price: Price(price),
        ticker: ALFA,
        ..Command::new(CommandKind::Enter)
    }
}

pub fn buy(session: SessionId, user_ref: u32, quantity: u32, price: u32) -> Command {
    enter(session, user_ref, SideCode::Buy, quantity, price)
}

pub fn sell(session: SessionId, user_ref: u32, quantity: u32, price: u32) -> Command {
    enter(session, user_ref, SideCode::Sell, quantity, price)
}

pub fn replace(session: SessionId, original: u32, user_ref: u32, quantity: u32, price: u32) -> Command {
    Command {
        original: UserRef(original),
        ticker: TickerId::ALL,
        ..Command { kind: CommandKind::Replace, ..enter(session, user_ref, SideCode::Buy, quantity, price) }
    }
}

pub fn cancel(session: SessionId, user_ref: u32, quantity: u32) -> Command {
    Command { session, user_ref: UserRef(user_ref), quantity: Quantity(quantity), ..Command::new(CommandKind::Cancel) }
}

pub fn request(kind: CommandKind, session: SessionId, user_ref: u32, firm: &str) -> Command {
    let firm = Firm::from_text(firm).expect("four letters");
    Command { session, user_ref: UserRef(user_ref), firm, ..Command::new(kind) }
}

pub fn set_limit(account: u16, limit: Limit, value: u64) -> Command {
    Command { account: AccountId(account), limit, value, ..Command::new(CommandKind::SetLimit) }
}
