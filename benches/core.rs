//! The core on one thread, no I/O: OMS decision, risk, record, book, events back into positions and fees.
//!
//! What it measures: nanoseconds from a command to its last event applied, over a stream of 55 % adds (geometric
//! distance from the touch, mean 64 ticks), 35 % cancels, 5 % replaces and 5 % trading immediate orders, at 10,000 and
//! 1,000,000 resting orders. A slip here slows every order of every client by the same amount. The stream is made
//! beforehand by running the same core once, so that only the core is timed; each run starts from a fresh core.
//!
//! `cargo bench --bench core`; `-- --once` makes one pass for an instruction count, `-- --small-pages` leaves out the
//! huge pages that the exchange asks for at its start.

use pitlane::engine::book::{Events, Progress, Shard};
use pitlane::engine::oms::{Decision, Oms, Route};
use pitlane::runtime::prefetch::fetch;
use pitlane::types::{
    AccountId, AccountSpec, AuctionSpec, Command, CommandKind, Event, Fees, Firm, Limits, Market, MatcherId, Money,
    Nanos, Number, Outcome, Price, Quantity, SelfMatch, Sequenced, SessionId, SessionSpec, SideCode, Symbol, TickerId,
    TickerSpec, TimeInForce, UserRef,
};
use std::hint::black_box;
use std::time::Instant;

const TIMED: usize = 500_000;
const RUNS: usize = 7;
const SESSIONS: u16 = 8;
const TICK: u32 = 100;
const MID: u32 = 500 * 10_000;

struct Core {
    oms: Oms,
    shard: Shard,
    out: Events,
    number: Number,
    time: Nanos,
}

impl Core {
    fn new(resting: usize) -> Core {
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
    fn look(&self, waiting: &[Command]) {
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

    /// One command through the whole core; `each` sees the events.
    #[inline]
    fn take(&mut self, mut command: Command, mut each: impl FnMut(&Event)) {
        self.time.0 += 1_000;
        let Decision::Record(verdict) = self.oms.decide(&mut command, self.time) else { return };
        self.number = self.number.next();
        let record = Sequenced { number: self.number, time: self.time, verdict, command };
        let route = self.oms.route(&record);
        self.oms.apply(&record);
        if let Route::None = route {
            return;
        }
        let mut progress = self.shard.execute(&record, &mut self.out);
        loop {
            for &(ticker, event) in self.out.iter() {
                each(&event);
                self.oms.on_event(&Outcome { number: record.number, time: record.time, ticker, event });
            }
            if progress == Progress::Done {
                return;
            }
            progress = self.shard.resume(&mut self.out);
        }
    }
}

fn market(resting: usize) -> Market {
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
struct Maker {
    core: Core,
    random: Random,
    open: Vec<(SessionId, UserRef)>,
    places: std::collections::HashMap<(SessionId, UserRef), usize>,
    refs: Vec<u32>,
    commands: Vec<Command>,
}

impl Maker {
    fn give(&mut self, command: Command) {
        self.commands.push(command);
        let (open, places) = (&mut self.open, &mut self.places);
        let mut ended = Vec::new();
        let mut began = Vec::new();
        self.core.take(command, |event| match *event {
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

/// The commands that fill the book, then those that are timed.
fn stream(resting: usize) -> (Vec<Command>, Vec<Command>) {
    let mut maker = Maker {
        core: Core::new(resting),
        random: Random(0x5EED_0001),
        open: Vec::new(),
        places: std::collections::HashMap::new(),
        refs: vec![0; usize::from(SESSIONS)],
        commands: Vec::new(),
    };
    maker.commands.push(Command::new(CommandKind::DayStart));
    let start = maker.commands[0];
    maker.core.take(start, |_| {});
    while maker.open.len() < resting {
        maker.add();
    }
    let fill = std::mem::take(&mut maker.commands);
    for _ in 0..TIMED {
        match maker.random.below(100) {
            // More adds than cancels and trades take out would let the book grow; the mix is steered to stay level.
            0..55 if maker.open.len() < resting + resting / 20 => maker.add(),
            0..90 if maker.open.len() > resting / 2 => maker.cancel(),
            90..95 => maker.replace(),
            _ => maker.take(),
        }
    }
    (fill, maker.commands)
}

fn pass(fill: &[Command], timed: &[Command], resting: usize, ahead: bool) -> f64 {
    let mut core = Core::new(resting);
    if std::env::args().all(|a| a != "--small-pages") {
        pitlane::os::pages::collapse_large_memory();
    }
    fill.iter().for_each(|command| core.take(*command, |_| {}));
    let started = Instant::now();
    for (at, command) in timed.iter().enumerate() {
        if ahead {
            core.look(&timed[at..]);
        }
        core.take(*command, |event| {
            black_box(event);
        });
    }
    started.elapsed().as_nanos() as f64 / timed.len() as f64
}

fn main() {
    let once = std::env::args().any(|a| a == "--once");
    let sizes: &[usize] = if once { &[10_000] } else { &[10_000, 1_000_000] };
    println!("core on one thread: decide, record, match, positions and fees back; {TIMED} commands a run");
    for &resting in sizes {
        let (fill, timed) = stream(resting);
        for ahead in [false, true] {
            let runs = (0..if once { 1 } else { RUNS }).map(|_| pass(&fill, &timed, resting, ahead));
            let mut runs: Vec<f64> = runs.collect();
            runs.sort_by(f64::total_cmp);
            let (low, median, high) = (runs[0], runs[runs.len() / 2], runs[runs.len() - 1]);
            println!(
                "  {resting:>9} resting: median {median:.0} ns a command over {} runs ({low:.0} to {high:.0}){}",
                runs.len(),
                if ahead { ", looking ahead" } else { "" }
            );
        }
    }
}
