//! What one request costs in the book: the matcher's share of the latency of an order, and its share of the capacity of a
//! core. A slip here is paid by every order of every ticker on the shard.
//!
//! The flow is 55 % new orders (geometric distance from the touch, 64 ticks on average), 35 % cancels of a random open
//! order, 5 % replaces, 5 % immediate orders that trade with about four others; the number of resting orders stays what it
//! was. It is made before the clock starts and comes to the book in small batches, as from a link: not from far memory.
//!
//! Beside the book run its slow twin, and a bare array-and-bitmap book that keeps no owners, no sessions, no hidden queue
//! and says nothing: the floor of this design on this machine.
//!
//! ```text
//! cargo bench --bench book                   criterion, 10,000 resting orders
//! cargo bench --bench book -- plain          ns a request at 10,000 and 1,000,000, with both ratios
//! valgrind --tool=callgrind --toggle-collect='*measured_batch*' <binary> instructions   instructions a request
//! ```

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::Criterion;
use pitlane::engine::book::{Events, Progress, Shard};
use pitlane::types::*;
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::random::Random;
use support::twin::Twin;

const TICK: u32 = 100;
const PRICE_MAX: u32 = 4_000_000;
const CENTRE: u32 = PRICE_MAX / 2;
/// Mean distance from the touch in ticks.
const DISTANCE_MEAN: f64 = 64.0;
const QUANTITY: u32 = 100;
const SESSIONS: u16 = 16;
/// Requests that reach the book together: 8 KiB of records, which a link's consumer finds in its cache.
const BATCH: usize = 64;

fn market(orders_max: u32) -> Market {
    let session = |index: u16| SessionSpec {
        user: format!("S{index}"),
        account: AccountId(index),
        self_match: SelfMatch::OFF,
        cancel_on_disconnect: true,
    };
    Market {
        session_name: *b"BENCH     ",
        tickers: vec![support::lanes::ticker("BENCH", 0, TICK, TICK, PRICE_MAX)],
        accounts: (0..SESSIONS).map(|_| support::lanes::account("a", "FIRM")).collect(),
        sessions: (0..SESSIONS).map(session).collect(),
        matchers: 1,
        orders_max,
    }
}

/// Records made in advance: those that fill the book, and those that are measured.
struct Script {
    market: Market,
    fill: Vec<Sequenced>,
    flow: Vec<Sequenced>,
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

fn script(resting: usize, flow: usize) -> Script {
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
            0..55 => author.enter(),
            55..90 => author.about(CommandKind::Cancel),
            90..95 => author.about(CommandKind::Replace),
            _ => author.take(resting),
        };
        author.play(&record);
        script.flow.push(record);
    }
    script
}

/// Something that takes records.
trait Book {
    fn play(&mut self, record: &Sequenced);
}

struct Ours(Shard, Events);

impl Book for Ours {
    #[inline]
    fn play(&mut self, record: &Sequenced) {
        let mut progress = self.0.execute(record, &mut self.1);
        black_box(&self.1);
        while progress == Progress::More {
            progress = self.0.resume(&mut self.1);
        }
    }
}

impl Book for Twin {
    fn play(&mut self, record: &Sequenced) {
        black_box(self.execute(record));
    }
}

#[inline(never)]
fn measured_batch<B: Book>(book: &mut B, batch: &[Sequenced; BATCH]) {
    for record in batch {
        book.play(record);
    }
}

/// Nanoseconds a request: of all, and of the median batch.
fn measure<B: Book>(book: &mut B, script: &Script) -> (f64, f64) {
    script.fill.iter().for_each(|record| book.play(record));
    let mut near = [Sequenced::default(); BATCH];
    let mut times = Vec::with_capacity(script.flow.len() / BATCH);
    for batch in script.flow.as_chunks::<BATCH>().0 {
        near.copy_from_slice(batch);
        let near = black_box(&near);
        let start = Instant::now();
        measured_batch(book, near);
        times.push(start.elapsed());
    }
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    let per = |time: Duration, batches: usize| time.as_nanos() as f64 / (batches * BATCH) as f64;
    (per(total, times.len()), per(times[times.len() / 2], 1))
}

fn ours(script: &Script) -> Ours {
    Ours(Shard::new(&script.market, MatcherId(0)).unwrap(), Events::new())
}

fn plain() {
    println!("ns a request: mean, median of batches of {BATCH}");
    for (resting, flow) in [(10_000, 2_000_000), (1_000_000, 2_000_000)] {
        let script = script(resting, flow);
        let mut best = [(f64::MAX, f64::MAX); 2];
        for _ in 0..3 {
            let lap = [measure(&mut ours(&script), &script), measure(&mut bare::Bare::new(&script.market), &script)];
            for (best, lap) in best.iter_mut().zip(lap) {
                *best = (best.0.min(lap.0), best.1.min(lap.1));
            }
        }
        let [book, bare] = best;
        println!("{resting:>9} resting: book {:6.1} {:6.1}", book.0, book.1);
        println!("{:>17}: bare {:6.1} {:6.1}, book takes {:.2} times as long", "", bare.0, bare.1, book.0 / bare.0);
        if resting <= 10_000 {
            let short = Script { flow: script.flow[..100_000].to_vec(), fill: script.fill, market: script.market };
            let twin = measure(&mut Twin::new(&short.market, MatcherId(0)), &short);
            println!(
                "{:>17}: twin {:6.1} {:6.1}, {:.0} times as long as the book",
                "",
                twin.0,
                twin.1,
                twin.0 / book.0
            );
        }
    }
}

/// For callgrind: prints over how many requests its count is to be divided.
fn instructions() {
    let script = script(10_000, 200_000);
    let mut book = ours(&script);
    script.fill.iter().for_each(|record| book.play(record));
    let batches = script.flow.as_chunks::<BATCH>().0;
    batches.iter().for_each(|batch| measured_batch(&mut book, batch));
    println!("{} requests", batches.len() * BATCH);
}

fn criterion() {
    let script = script(10_000, 1_000_000);
    let mut criterion = Criterion::default().configure_from_args();
    let mut book = ours(&script);
    script.fill.iter().for_each(|record| book.play(record));
    let filled = book.0.clone();
    let batches = script.flow.as_chunks::<BATCH>().0;
    let mut at = 0;
    criterion.bench_function("book/64_requests_at_10000_resting", |bencher| {
        bencher.iter_custom(|count| {
            let mut time = Duration::ZERO;
            for _ in 0..count {
                if at == batches.len() {
                    // The script is through: the book goes back to where the script began.
                    (book.0, at) = (filled.clone(), 0);
                }
                let near = black_box(batches[at]);
                let start = Instant::now();
                measured_batch(&mut book, &near);
                time += start.elapsed();
                at += 1;
            }
            time
        });
    });
    criterion.final_summary();
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("plain") => plain(),
        Some("instructions") => instructions(),
        _ => criterion(),
    }
}

/// The floor: orders in an array, levels in an array, one bitmap, nothing else.
mod bare {
    use super::{Book, CENTRE, PRICE_MAX, TICK, black_box};
    use pitlane::types::*;

    const NONE: u32 = u32::MAX;
    const WORDS: usize = (PRICE_MAX / TICK) as usize / 64 + 1;

    #[derive(Clone, Copy)]
    struct Order {
        tick: u32,
        open: u32,
        prev: u32,
        next: u32,
        side: u32,
    }

    pub struct Bare {
        orders: Vec<Order>,
        /// Head and tail of each tick's queue.
        levels: Vec<[u32; 2]>,
        bits: Vec<u64>,
        best: [u32; 2],
        traded: u64,
    }

    impl Bare {
        pub fn new(market: &Market) -> Bare {
            let free = Order { tick: 0, open: 0, prev: NONE, next: NONE, side: 0 };
            Bare {
                orders: vec![free; market.orders_max as usize],
                levels: vec![[NONE; 2]; WORDS * 64],
                bits: vec![0; WORDS],
                best: [0, WORDS as u32 * 64],
                traded: 0,
            }
        }

        fn add(&mut self, slot: u32, side: u32, tick: u32, open: u32) {
            let tail = std::mem::replace(&mut self.levels[tick as usize][1], slot);
            self.orders[slot as usize] = Order { tick, open, prev: tail, next: NONE, side };
            if tail != NONE {
                self.orders[tail as usize].next = slot;
                return;
            }
            self.levels[tick as usize][0] = slot;
            self.bits[tick as usize / 64] |= 1 << (tick % 64);
            let best = &mut self.best[side as usize];
            *best = if side == 0 { tick.max(*best) } else { tick.min(*best) };
        }

        fn remove(&mut self, slot: u32) {
            let order = self.orders[slot as usize];
            let level = &mut self.levels[order.tick as usize];
            match order.prev {
                NONE => level[0] = order.next,
                prev => self.orders[prev as usize].next = order.next,
            }
            match order.next {
                NONE => level[1] = order.prev,
                next => self.orders[next as usize].prev = order.prev,
            }
            if level[0] == NONE {
                self.bits[order.tick as usize / 64] &= !(1 << (order.tick % 64));
                if self.best[order.side as usize] == order.tick {
                    self.best[order.side as usize] = self.next(order.side, order.tick);
                }
            }
        }

        fn next(&self, side: u32, tick: u32) -> u32 {
            let (mut word, bit) = (tick as usize / 64, tick % 64);
            if side == 0 {
                let mut bits = self.bits[word] & (1u64 << bit).wrapping_sub(1);
                while bits == 0 && word > 0 {
                    word -= 1;
                    bits = self.bits[word];
                }
                return (word as u32 * 64 + 63).saturating_sub(bits.leading_zeros());
            }
            let mut bits = self.bits[word] & !((1u64 << bit) | (1u64 << bit).wrapping_sub(1));
            while bits == 0 && word + 1 < WORDS {
                word += 1;
                bits = self.bits[word];
            }
            word as u32 * 64 + bits.trailing_zeros()
        }

        fn take(&mut self, side: u32, limit: u32, mut open: u32) -> u32 {
            let other = 1 - side;
            while open > 0 {
                let best = self.best[other as usize];
                let within = if side == 0 { best <= limit } else { best >= limit };
                let slot = if within { self.levels[best as usize][0] } else { NONE };
                if slot == NONE {
                    break;
                }
                let order = &mut self.orders[slot as usize];
                let traded = open.min(order.open);
                order.open -= traded;
                open -= traded;
                self.traded += u64::from(traded);
                if order.open == 0 {
                    self.remove(slot);
                }
            }
            open
        }
    }

    impl Book for Bare {
        #[inline]
        fn play(&mut self, record: &Sequenced) {
            let (command, slot) = (&record.command, record.verdict.slot.0);
            let (tick, side) = (command.price.0 / TICK, command.side.side() as u32);
            match command.kind {
                CommandKind::Enter => {
                    let left = self.take(side, tick, command.quantity.0);
                    if left > 0 && command.time_in_force == TimeInForce::Day {
                        self.add(slot, side, tick, left);
                    }
                }
                CommandKind::Cancel => self.remove(slot),
                _ => {
                    let side = self.orders[slot as usize].side;
                    self.remove(slot);
                    self.add(slot, side, tick, command.quantity.0);
                }
            }
            black_box(self.traded);
        }
    }

    const _: () = assert!(CENTRE < PRICE_MAX, "the script stays on the ladder");
}
