//! The hot path while a snapshot is taken: round trips over shared memory at a fixed rate, with the shadow idle and while it
//! takes down a million orders, in turns within one run.
//!
//! The client spins on the first core, the exchange on the last; the shadow has what is left of the first, or a core of its
//! own where there is one. Two views. What the client sees counts from the moment it sent, and on two cores it shares
//! its core and its caches with the shadow. What the exchange sees, from the gateway's reading to the answer's writing, is
//! its hot thread alone: there only memory, the last cache and the disk's interrupts can come between.

use crate::config;
use pitlane::client::orders::{Address, Incoming, NewOrder, OrderOptions, OrderSession};
use pitlane::launch::Exchange;
use pitlane::measure::latency::Latencies;
use pitlane::os::affinity;
use pitlane::os::clock::monotonic_ns;
use pitlane::runtime::counters::Counters;
use pitlane::runtime::points::WHOLE;
use pitlane::runtime::spans::{SpanCounts, Spans};
use pitlane::types::{Channel, Price, Quantity, SideCode, Symbol};
use pitlane::wire::ouch::Outbound;
use std::path::Path;

/// Round trips a second, and from one to the next.
const RATE: u64 = 20_000;
const PERIOD_NS: u64 = 1_000_000_000 / RATE;
/// Trips between two looks at what the shadow does: ten milliseconds.
const BLOCK: usize = 200;
/// Seconds from one snapshot to the next, and how many are watched.
const SECONDS: u64 = 6;
const SNAPSHOTS: u64 = 8;
/// Without an answer for so long the run is over.
const SILENCE_NS: u64 = 30_000_000_000;
/// What was seen in one state of the shadow.
#[derive(Default)]
struct Seen {
    client: Latencies,
    inside: Latencies,
    late: u64,
}

/// What the shadow does: snapshots so far, and whether one is under way.
fn state(exchange: &Exchange) -> (u64, bool) {
    let all = Counters::read(&exchange.endpoints().counters).expect("counters");
    let value = |name: &str| all.iter().find(|(found, _)| found == name).map_or(0, |(_, value)| *value);
    (value("shadow.snapshots"), value("shadow.taking") == 1)
}

/// On segments with a million resting orders.
pub fn run(directory: &Path, orders_max: u32) {
    let mut config = config(directory, orders_max);
    (config.journal.snapshots.records, config.journal.snapshots.seconds) = (1 << 60, SECONDS);
    (config.threads.yields, config.gateway.grace_ms, config.stages.sample) = (None, 0, 4);
    let exchange = Exchange::open(config).expect("a start");
    exchange.announcement().iter().filter(|line| line.starts_with("thread")).for_each(|line| println!("{line}"));
    let seen = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let cores = affinity::devices_first().expect("cores");
            affinity::pin(cores[0]).expect("a core for the client");
            play(&exchange)
        });
        client.join().expect("the client")
    });
    exchange.close().expect("a stop");
    let [idle, taking] = &seen;
    for (what, of) in [
        ("client, from sending", (|seen| &seen.client) as fn(&Seen) -> &Latencies),
        ("exchange, inside", |seen| &seen.inside),
    ] {
        let (idle, taking) = (of(idle).percentiles(), of(taking).percentiles());
        println!("{what}: {} trips with the shadow idle, {} while a snapshot is taken", idle.count, taking.count);
        let told = [
            ("p50", idle.p50, taking.p50),
            ("p99", idle.p99, taking.p99),
            ("p99.9", idle.p99_9, taking.p99_9),
            ("p99.99", idle.p99_99, taking.p99_99),
        ];
        for (name, idle, taking) in told {
            println!("    {name:<7} {idle:>9} ns {taking:>9} ns, ratio {:.2}", taking as f64 / idle as f64);
        }
    }
    println!("sent more than a period late: {} of the idle ones, {} of the others", idle.late, taking.late);
}

/// Trips at the rate until so many snapshots were taken: those with the shadow idle, and those beside a snapshot.
fn play(exchange: &Exchange) -> [Seen; 2] {
    let address = Address::Shared(exchange.endpoints().shared.clone().expect("shared memory"));
    let options = OrderOptions { unanswered_max: 0, ..OrderOptions::new(address, "USER01", "SECRET") };
    let mut session = OrderSession::connect(options).expect("a login");
    // What the session missed, so that its numbers are known.
    while session.wait(std::time::Duration::from_secs(1)).expect("a session").is_some() {}
    let order = NewOrder::limit(SideCode::Buy, Quantity(100), Symbol(*b"AAPL    "), Price(5_600_000));
    let mut seen = [Seen::default(), Seen::default()];
    let spans = || Spans::read(&exchange.endpoints().stages).expect("stage times")[WHOLE].clone();
    let (mut before, mut spans_before) = (state(exchange), spans());
    let last = before.0 + SNAPSHOTS;
    while before.0 < last {
        let mut block = Seen::default();
        let mut due = monotonic_ns();
        for _ in 0..BLOCK / 2 {
            let user_ref = {
                let began = wait_until(&mut due, &mut block);
                let user_ref = session.enter(&order).expect("an order");
                answered(&mut session, |m| matches!(m, Outbound::Accepted(m) if m.user_ref == user_ref));
                block.client.record(monotonic_ns() - began);
                user_ref
            };
            let began = wait_until(&mut due, &mut block);
            session.cancel(Channel::NONE, user_ref, Quantity(0)).expect("a cancel");
            answered(&mut session, |m| matches!(m, Outbound::Canceled(m) if m.user_ref == user_ref));
            block.client.record(monotonic_ns() - began);
        }
        let (now, spans_now) = (state(exchange), spans());
        // A block during which that changed is neither.
        if now == before {
            let seen = &mut seen[usize::from(now.1)];
            seen.client.merge(&block.client);
            seen.late += block.late;
            add(&mut seen.inside, &spans_now.since(&spans_before));
        }
        (before, spans_before) = (now, spans_now);
    }
    seen
}

/// Stage times come to the file some milliseconds late, so that a block may have some of the one before it.
fn add(all: &mut Latencies, spans: &SpanCounts) {
    spans.hits().for_each(|(ns, count)| all.record_many(ns, count));
}

/// Spins until the next trip is due; gives the time. Who is late does not hurry afterwards.
fn wait_until(due: &mut u64, block: &mut Seen) -> u64 {
    loop {
        let now = monotonic_ns();
        if now >= *due {
            block.late += u64::from(now - *due > PERIOD_NS);
            *due = now + PERIOD_NS;
            return now;
        }
        std::hint::spin_loop();
    }
}

fn answered(session: &mut OrderSession, is_it: impl Fn(&Outbound) -> bool) {
    let began = monotonic_ns();
    loop {
        match session.poll().expect("a session") {
            Some(Incoming::Message { message, .. }) if is_it(&message) => return,
            Some(Incoming::Message { message: Outbound::Rejected(reject), .. }) => {
                panic!("rejected: {}", reject.reason)
            }
            Some(_) => {}
            None => assert!(monotonic_ns() - began < SILENCE_NS, "no answer"),
        }
    }
}
