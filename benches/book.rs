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
//! cargo bench --bench book                   ns a request by book and mix, with the ratios; p99 of trading orders
//! cargo bench --bench book -- criterion      criterion, 10,000 resting orders
//! valgrind --tool=callgrind --toggle-collect='*measured_batch*' <binary> instructions   instructions a request
//! ```

#[path = "book/bare.rs"]
mod bare;
#[path = "book/script.rs"]
mod script;
#[path = "../tests/support/mod.rs"]
mod support;

use criterion::Criterion;
use pitlane::engine::book::{Events, Progress, Shard};
use pitlane::runtime::prefetch::fetch;
use pitlane::types::*;
use script::{ADDING, Mix, QUOTING, Script, script};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::twin::Twin;

/// Requests that reach the book together: 8 KiB of records, which a link's consumer finds in its cache.
const BATCH: usize = 64;

/// Something that takes records.
trait Book {
    fn play(&mut self, record: &Sequenced);

    /// Plays a batch, knowing all of it from the start.
    fn play_all(&mut self, batch: &[Sequenced; BATCH]) {
        for record in batch {
            self.play(record);
        }
    }
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

/// The book under a matcher that looks ahead.
struct Ahead(Ours);

/// Records between the first look at a record and its execution, and between the second look and its execution.
const LOOK_FIRST: usize = 6;
const LOOK_SECOND: usize = 3;

impl Book for Ahead {
    #[inline]
    fn play(&mut self, record: &Sequenced) {
        self.0.play(record);
    }

    #[inline]
    fn play_all(&mut self, batch: &[Sequenced; BATCH]) {
        for at in 0..BATCH {
            if let Some(record) = batch.get(at + LOOK_FIRST) {
                self.0.0.lines_of(record).into_iter().for_each(fetch);
            }
            if let Some(record) = batch.get(at + LOOK_SECOND) {
                self.0.0.lines_beside(record).into_iter().for_each(fetch);
            }
            self.0.play(&batch[at]);
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
    book.play_all(batch);
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

/// What is measured in the plain run: resting orders, requests, their mix, its name.
const SETTINGS: [(usize, usize, Mix, &str); 4] = [
    (10_000, 2_000_000, ADDING, "55 % adds"),
    (1_000_000, 2_000_000, ADDING, "55 % adds"),
    (10_000_000, 4_000_000, ADDING, "55 % adds"),
    (1_000, 2_000_000, QUOTING, "82 % replaces"),
];

/// Nanoseconds of the immediate orders, each timed alone: p50 and p99. The clock's own 20 ns are in them.
fn trading(book: &mut Ours, script: &Script) -> (u64, u64) {
    script.fill.iter().for_each(|record| book.play(record));
    let mut times = Vec::with_capacity(script.flow.len() / 10);
    for record in &script.flow {
        if record.command.time_in_force == TimeInForce::ImmediateOrCancel {
            let start = Instant::now();
            book.play(record);
            times.push(start.elapsed().as_nanos() as u64);
        } else {
            book.play(record);
        }
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn plain() {
    println!("ns a request: mean, median of batches of {BATCH}");
    for (resting, flow, mix, name) in SETTINGS {
        let script = script(resting, flow, mix);
        let mut best = [(f64::MAX, f64::MAX); 3];
        for _ in 0..3 {
            let lap = [
                measure(&mut ours(&script), &script),
                measure(&mut bare::Bare::new(&script.market), &script),
                measure(&mut Ahead(ours(&script)), &script),
            ];
            for (best, lap) in best.iter_mut().zip(lap) {
                *best = (best.0.min(lap.0), best.1.min(lap.1));
            }
        }
        let [book, bare, ahead] = best;
        println!("{resting:>9} resting: book {:6.1} {:6.1}, {name}", book.0, book.1);
        println!("{:>17}: book {:6.1} {:6.1} looking ahead", "", ahead.0, ahead.1);
        println!("{:>17}: bare {:6.1} {:6.1}, book takes {:.2} times as long", "", bare.0, bare.1, book.0 / bare.0);
        let (p50, p99) = trading(&mut ours(&script), &script);
        println!("{:>17}: immediate orders that trade, one by one: p50 {p50}, p99 {p99}", "");
        if resting == 10_000 {
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
    let script = script(10_000, 200_000, ADDING);
    let mut book = ours(&script);
    script.fill.iter().for_each(|record| book.play(record));
    let batches = script.flow.as_chunks::<BATCH>().0;
    batches.iter().for_each(|batch| measured_batch(&mut book, batch));
    println!("{} requests", batches.len() * BATCH);
}

fn criterion() {
    let script = script(10_000, 1_000_000, ADDING);
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
        Some("criterion") => criterion(),
        Some("instructions") => instructions(),
        _ => plain(),
    }
}
