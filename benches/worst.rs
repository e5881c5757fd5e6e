//! Inputs an enemy of flat latency would choose, each by its name: what one unit of work costs, and the longest single
//! call, because no other order of the shard gets through in between.
//!
//! A slip here is a way to make the venue slow on purpose. The longest call also holds what the host took from this
//! thread meanwhile, so that it is a bound from above; the costs a unit are medians over repeats.
//!
//! `cargo bench --bench worst`; `-- NAME` only the cases whose name contains it.

#[path = "../tests/support/mod.rs"]
mod support;

use pitlane::engine::book::{Events, Progress, Shard};
use pitlane::types::*;
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::lanes::{account, ticker};
use support::random::Random;

const TICK: u32 = 100;
const REPEATS: usize = 7;
const SESSIONS: u16 = 16;

/// What a case cost: units of work, their time, the longest call and how many there were.
#[derive(Clone, Copy, Default)]
struct Cost {
    units: usize,
    total: Duration,
    longest: Duration,
    calls: usize,
}

impl Cost {
    fn ns_a_unit(&self) -> f64 {
        self.total.as_nanos() as f64 / self.units.max(1) as f64
    }
}

/// A shard and the one who sends it records.
struct Desk {
    shard: Shard,
    events: Events,
    user_ref: u32,
}

impl Desk {
    fn new(tickers: Vec<TickerSpec>, orders_max: u32) -> Desk {
        let session = |index: u16| SessionSpec {
            user: format!("S{index}"),
            account: AccountId(index),
            self_match: SelfMatch::OFF,
            cancel_on_disconnect: true,
        };
        let market = Market {
            session_name: *b"BENCH     ",
            tickers,
            accounts: (0..SESSIONS).map(|_| account("a", "FIRM")).collect(),
            sessions: (0..SESSIONS).map(session).collect(),
            matchers: 1,
            orders_max,
            trades_kept: 1_024,
        };
        let shard = Shard::new(&market, MatcherId(0)).expect("the ladders fit");
        pitlane::os::pages::collapse_large_memory();
        Desk { shard, events: Events::new(), user_ref: 0 }
    }

    /// A limit order of session `slot % SESSIONS`.
    fn order(&mut self, side: SideCode, slot: usize, quantity: u32, price: u32) -> Sequenced {
        let mut record = self.record(CommandKind::Enter, (slot % usize::from(SESSIONS)) as u16);
        record.command.side = side;
        record.command.quantity = Quantity(quantity);
        record.command.price = Price(price);
        record.verdict.limit_price = Price(price);
        record.verdict.slot = Slot(slot as u32);
        record
    }

    fn record(&mut self, kind: CommandKind, session: u16) -> Sequenced {
        self.user_ref += 1;
        let mut record = Sequenced { command: Command::new(kind), ..Sequenced::default() };
        record.command.session = SessionId(session);
        record.command.account = AccountId(session);
        record.command.ticker = TickerId(0);
        record.command.user_ref = UserRef(self.user_ref);
        record
    }

    /// The record that takes the ticker to a phase.
    fn phase(&mut self, phase: Phase) -> Sequenced {
        let mut record = self.record(CommandKind::Phase, 0);
        (record.command.ticker, record.command.value) = (TickerId(0), u64::from(phase.letter()));
        record
    }

    /// Plays a record to its end and adds its calls to `cost`. Units are the caller's to count.
    fn play(&mut self, record: &Sequenced, cost: &mut Cost) {
        let mut start = Instant::now();
        let mut progress = self.shard.execute(record, &mut self.events);
        loop {
            black_box(&self.events);
            let took = start.elapsed();
            cost.total += took;
            cost.longest = cost.longest.max(took);
            cost.calls += 1;
            if progress == Progress::Done {
                return;
            }
            start = Instant::now();
            progress = self.shard.resume(&mut self.events);
        }
    }

    /// Plays without measuring.
    fn fill(&mut self, records: impl IntoIterator<Item = Sequenced>) {
        records.into_iter().for_each(|record| self.play(&record, &mut Cost::default()));
    }
}

fn wide() -> Vec<TickerSpec> {
    vec![ticker("WIDE", 0, TICK, TICK, 400_000_000)]
}

/// Every order has a price of its own, somewhere in a range of four million ticks: entries and cancels at random.
fn sparse(orders: usize) -> Cost {
    let mut desk = Desk::new(wide(), orders as u32);
    let mut random = Random::new(1);
    let mut entered = Vec::with_capacity(orders);
    // Bids below the middle, offers above it: nothing trades.
    for slot in 0..orders {
        let at = 1 + (slot * 1_999_000 / orders) as u32;
        let bid = slot % 2 == 0;
        let price = if bid { at * TICK } else { (2_000_000 + at) * TICK };
        entered.push(desk.order(if bid { SideCode::Buy } else { SideCode::Sell }, slot, 100, price));
    }
    desk.fill(entered.iter().copied());
    let mut cost = Cost::default();
    for _ in 0..200_000 {
        let slot = random.below(orders as u64) as usize;
        let mut cancel = entered[slot];
        cancel.command.kind = CommandKind::Cancel;
        cancel.command.quantity = Quantity(0);
        desk.play(&cancel, &mut cost);
        desk.play(&entered[slot], &mut cost);
    }
    Cost { units: 400_000, ..cost }
}

/// One immediate order takes `orders` resting ones, `at_a_price` of them at each price.
fn sweep(orders: usize, at_a_price: usize) -> Cost {
    let mut desk = Desk::new(wide(), orders as u32 + 1);
    let mut cost = Cost::default();
    for _ in 0..100 {
        let offers: Vec<_> = (0..orders)
            .map(|slot| desk.order(SideCode::Sell, slot, 1, (1_000_000 + (slot / at_a_price) as u32) * TICK))
            .collect();
        desk.fill(offers);
        let mut taker = desk.order(SideCode::Buy, orders, orders as u32, 3_000_000 * TICK);
        taker.command.time_in_force = TimeInForce::ImmediateOrCancel;
        desk.play(&taker, &mut cost);
    }
    Cost { units: 100 * orders, ..cost }
}

/// A fill-or-kill order that misses by one share behind `orders` prices: the look ahead, and no trade.
fn fill_or_kill(orders: usize) -> Cost {
    let mut desk = Desk::new(wide(), orders as u32 + 1);
    let offers: Vec<_> =
        (0..orders).map(|slot| desk.order(SideCode::Sell, slot, 1, (1_000_000 + slot as u32) * TICK)).collect();
    desk.fill(offers);
    let mut cost = Cost::default();
    for _ in 0..100 {
        let mut taker = desk.order(SideCode::Buy, orders, orders as u32 + 1, 3_000_000 * TICK);
        taker.command.time_in_force = TimeInForce::ImmediateOrCancel;
        taker.command.min_quantity = taker.command.quantity;
        desk.play(&taker, &mut cost);
    }
    Cost { units: 100 * orders, ..cost }
}

/// A buy stop at one price, whose limit is far below, so that it rests when it wakes.
fn stop(desk: &mut Desk, slot: usize) -> Sequenced {
    let mut order = desk.order(SideCode::Buy, slot, 100, (1 + (slot % 1_000) as u32) * TICK);
    order.command.value = u64::from(2_000_000 * TICK);
    order.command.tags = 1 << 31;
    order
}

/// So many stops sleep at one price: cancels and entries among them, at random.
fn stops_asleep(stops: usize) -> Cost {
    let mut desk = Desk::new(wide(), stops as u32);
    let mut random = Random::new(1);
    let entered: Vec<_> = (0..stops).map(|slot| stop(&mut desk, slot)).collect();
    desk.fill(entered.iter().copied());
    let mut cost = Cost::default();
    for _ in 0..100_000 {
        let slot = random.below(stops as u64) as usize;
        let mut cancel = entered[slot];
        cancel.command.kind = CommandKind::Cancel;
        cancel.command.quantity = Quantity(0);
        desk.play(&cancel, &mut cost);
        desk.play(&entered[slot], &mut cost);
    }
    Cost { units: 200_000, ..cost }
}

/// One trade wakes so many stops.
fn stops_waking(stops: usize) -> Cost {
    let mut desk = Desk::new(wide(), stops as u32 + 2);
    let entered: Vec<_> = (0..stops).map(|slot| stop(&mut desk, slot)).collect();
    desk.fill(entered);
    let offer = desk.order(SideCode::Sell, stops, 1, 2_000_000 * TICK);
    desk.fill([offer]);
    let bid = desk.order(SideCode::Buy, stops + 1, 1, 2_000_000 * TICK);
    let mut cost = Cost::default();
    desk.play(&bid, &mut cost);
    Cost { units: stops, ..cost }
}

/// A desk with a bid and an offer a thousand ticks apart in slots 0 and 1, and so many pegs of all kinds, half of each side;
/// the sells ask for more than the touch gives and sleep, but for one in `awake`.
fn pegged(pegs: usize, awake: usize) -> Desk {
    let mut desk = Desk::new(wide(), pegs as u32 + 4);
    let quote =
        [desk.order(SideCode::Buy, 0, 100, 2_000_000 * TICK), desk.order(SideCode::Sell, 1, 100, 2_001_000 * TICK)];
    desk.fill(quote);
    let entered: Vec<_> = (0..pegs)
        .map(|at| {
            let sells = at % 2 == 1;
            let limit = if sells && !at.is_multiple_of(awake) { 3_000_000 } else { 2_000_500 };
            let side = if sells { SideCode::Sell } else { SideCode::Buy };
            let mut peg = desk.order(side, 4 + at, 100, limit * TICK);
            (peg.command.display, peg.command.price_type) = (Display::Hidden, b"RPM"[at / 2 % 3]);
            (peg.command.peg_offset, peg.command.tags) = (-((600 + at as i32 % 100) * TICK as i32), 1 << 6 | 1 << 7);
            peg
        })
        .collect();
    desk.fill(entered);
    desk
}

/// The touch moves up and down under so many pegs: a better bid comes and goes.
fn touch_moves(pegs: usize) -> Cost {
    let mut desk = pegged(pegs, 5);
    let mut cost = Cost::default();
    for at in 0..100_000 {
        let bid = desk.order(SideCode::Buy, 2, 100, (2_000_001 + at % 100) * TICK);
        desk.play(&bid, &mut cost);
        let mut cancel = bid;
        (cancel.command.kind, cancel.command.quantity) = (CommandKind::Cancel, Quantity(0));
        desk.play(&cancel, &mut cost);
    }
    Cost { units: 200_000, ..cost }
}

/// One order trades with so many pegs.
fn pegs_taken(pegs: usize) -> Cost {
    let mut cost = Cost::default();
    for _ in 0..10 {
        let mut desk = pegged(pegs, 1);
        let mut taker = desk.order(SideCode::Sell, 2, 100 * pegs as u32, TICK);
        taker.command.time_in_force = TimeInForce::ImmediateOrCancel;
        desk.play(&taker, &mut cost);
    }
    Cost { units: 10 * pegs / 2, ..cost }
}

/// One order takes a reserve order of so many parts, again and again refilled.
fn refills(parts: u32) -> Cost {
    let mut desk = Desk::new(wide(), 2);
    let mut cost = Cost::default();
    for _ in 0..100 {
        let mut iceberg = desk.order(SideCode::Sell, 0, parts, 1_000_000 * TICK);
        (iceberg.command.max_floor, iceberg.command.tags) = (Quantity(1), 1 << 5);
        desk.fill([iceberg]);
        let taker = desk.order(SideCode::Buy, 1, parts, 1_000_000 * TICK);
        desk.play(&taker, &mut cost);
    }
    Cost { units: 100 * parts as usize, ..cost }
}

/// One session cancels all its `orders`; other orders go through between any two calls.
fn mass_cancel(orders: usize) -> Cost {
    let mut desk = Desk::new(wide(), orders as u32);
    let mut cost = Cost::default();
    let bids: Vec<_> = (0..orders)
        .map(|slot| {
            let mut bid = desk.order(SideCode::Buy, slot, 100, (1 + (slot % 50_000) as u32) * TICK);
            (bid.command.session, bid.command.account) = (SessionId(3), AccountId(3));
            bid
        })
        .collect();
    desk.fill(bids);
    let cancel = desk.record(CommandKind::MassCancel, 3);
    desk.play(&cancel, &mut cost);
    Cost { units: orders, ..cost }
}

/// A desk whose ticker gathers `orders` for a cross: bids and offers across each other, in turn, over `prices` of each.
fn gathered(orders: usize, prices: usize) -> Desk {
    let mut desk = Desk::new(wide(), orders as u32);
    let gather = desk.phase(Phase::PreOpen);
    desk.fill([gather]);
    let both: Vec<_> = (0..orders)
        .map(|slot| {
            let (side, away) = ([SideCode::Buy, SideCode::Sell][slot % 2], (slot / 2 % prices) as u32);
            let tick = if side == SideCode::Buy { 2_000_000 + away } else { 2_000_000 - away };
            desk.order(side, slot, 100, tick * TICK)
        })
        .collect();
    desk.fill(both);
    desk
}

/// The cross of `orders` orders that all trade: its price, every trade and the state.
fn auction(orders: usize, prices: usize) -> Cost {
    let mut desk = gathered(orders, prices);
    let mut cost = Cost::default();
    let open = desk.phase(Phase::Trading);
    desk.play(&open, &mut cost);
    Cost { units: orders / 2, ..cost }
}

/// The imbalance of a cross that has `prices` of each side across each other.
fn imbalance(prices: usize) -> Cost {
    let mut desk = gathered(2 * prices, prices);
    let mut cost = Cost::default();
    for _ in 0..10 {
        let tick = desk.record(CommandKind::Tick, 0);
        desk.play(&tick, &mut cost);
    }
    Cost { units: 10 * 2 * prices, ..cost }
}

/// Argument by which this program makes the books of the start-up case and nothing else.
const START_UP: &str = "--start-up-of";

/// Books of so many tickers, made and touched, in a process of its own: memory that an earlier case has touched would come
/// back without a fault. The unit is a mebibyte.
fn start_up(tickers: usize) -> Cost {
    let program = std::env::current_exe().expect("a bench knows its program");
    let output = std::process::Command::new(program).args([START_UP, &tickers.to_string()]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    let (Some(kibibytes), Some(nanos)) = (numbers.next(), numbers.next()) else { return Cost::default() };
    let took = Duration::from_nanos(nanos);
    Cost { units: kibibytes as usize / 1024, total: took, longest: took, calls: 1 }
}

fn start_up_here(tickers: usize) {
    let specs = (0..tickers).map(|n| ticker(&format!("T{n}"), 0, TICK, TICK, 1_600_000)).collect();
    let start = Instant::now();
    let desk = Desk::new(specs, 1_000_000);
    let took = start.elapsed();
    black_box(&desk.shard);
    let map = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let kibibytes = map.lines().find_map(|line| line.strip_prefix("Rss:")?.split_whitespace().next());
    println!("{} {}", kibibytes.unwrap_or("0"), took.as_nanos());
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(START_UP) {
        return start_up_here(arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1));
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let cases: [(&str, &str, &dyn Fn() -> Cost); 19] = [
        ("sparse 100,000", "entry or cancel", &|| sparse(100_000)),
        ("sparse 1,000,000", "entry or cancel", &|| sparse(1_000_000)),
        ("sweep 100 prices", "fill", &|| sweep(100, 1)),
        ("sweep 1,000 prices", "fill", &|| sweep(1_000, 1)),
        ("sweep 1,000 orders at a price", "fill", &|| sweep(1_000, 1_000)),
        ("fill or kill past 1,000 prices", "order looked at", &|| fill_or_kill(1_000)),
        ("10,000 stops at a price", "entry or cancel", &|| stops_asleep(10_000)),
        ("1,000,000 stops at a price", "entry or cancel", &|| stops_asleep(1_000_000)),
        ("10,000 stops wake", "stop", &|| stops_waking(10_000)),
        ("10 pegs, the touch moves", "bid comes or goes", &|| touch_moves(10)),
        ("10,000 pegs, the touch moves", "bid comes or goes", &|| touch_moves(10_000)),
        ("1,000,000 pegs, the touch moves", "bid comes or goes", &|| touch_moves(1_000_000)),
        ("5,000 pegs are taken", "fill", &|| pegs_taken(10_000)),
        ("reserve of 1,000 parts", "part", &|| refills(1_000)),
        ("mass cancel 100,000", "cancel", &|| mass_cancel(100_000)),
        ("auction of 1,000,000, 50,000 prices", "trade", &|| auction(1_000_000, 50_000)),
        ("auction of 1,000,000, one price", "trade", &|| auction(1_000_000, 1)),
        ("imbalance over 100,000 prices", "price", &|| imbalance(50_000)),
        ("start-up 1,000 tickers", "mebibyte", &|| start_up(1_000)),
    ];
    println!("{:<34} {:>10} {:>9} {:>12}  unit", "case", "ns a unit", "calls", "longest us");
    for (name, unit, case) in cases {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let mut runs: Vec<Cost> = (0..REPEATS).map(|_| case()).collect();
        runs.sort_by(|a, b| a.ns_a_unit().total_cmp(&b.ns_a_unit()));
        let (median, longest) = (runs[REPEATS / 2], runs.iter().map(|run| run.longest).min().unwrap_or_default());
        let longest = longest.as_nanos() as f64 / 1e3;
        println!("{name:<34} {:>10.1} {:>9} {longest:>12.1}  {unit}", median.ns_a_unit(), median.calls);
    }
}
