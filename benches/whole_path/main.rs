//! The whole path, wire to wire: a client's order into the running exchange and its answer back, against the floor.
//!
//! The exchange is the product itself in a process of its own: risk, journal, matching, feed and all, its hot agents
//! sharing the last core. The client spins on the first. Beside it stand floors that do nothing but carry the same
//! bytes: a ring hop to another process and back, a TCP echo over the same network engine. Their slices alternate
//! with the exchange's within the same run, because the floor of a shared host moves; what counts are the ratios.
//! A slip here that the benches of the parts do not show lies between the parts: the order of turns, a system call
//! on the way, a cold line, a hand-over too many.
//!
//! `cargo bench --bench whole_path` takes a few minutes, `-- --quick` half a minute; `-- --only shared` (or `tcp`,
//! `throughput`, `stamps`) one part. `-- --against PROGRAM` has another build of `pitlane` take its turns too: before and after
//! of a change, in one run. Needs two idle cores; on a busy machine only the ratios mean something, and not much.

mod contest;
mod exchange;
mod machine;
mod series;
mod throughput;

use contest::{Contestant, EchoFloor, RingFloor, Venue, echo_if_asked, pin_last, play};
use exchange::{Exchange, PROGRAM, Setup};
use pitlane::client::floor;
use pitlane::os::{affinity, signal};
use series::{CANCEL, ORDER, verdict};
use std::io;
use std::thread;
use throughput::{Flow, Pipes};

/// Sessions of the curve.
const SESSIONS: [usize; 4] = [1, 4, 16, 64];
/// What is required of the p50 of an order over shared memory, against the ring hop.
const SHARED_P50_MAX: f64 = 2.0;
/// Over TCP against the echo: p50 and p99.
const TCP_P50_MAX: f64 = 1.2;
const TCP_P99_MAX: f64 = 1.5;
/// What stamping one message in 251 may add to the p50 over shared memory, against the same with none.
const STAMPED_P50_MAX: f64 = 1.02;
/// Orders a second, pipelined.
const SHARED_ORDERS_MIN: f64 = 1_000_000.0;
const TCP_ORDERS_MIN: f64 = 300_000.0;
/// A ring hop below this says that both cores share their execution units (measured: 80 and 120 to 140 ns there, 300 to
/// 540 on cores of their own); likewise an echo.
const RING_LOW_NS: u64 = 200;
const ECHO_LOW_NS: u64 = 3_000;
/// Requests in flight, all sessions together.
const WINDOW: u64 = 512;
/// Room in the log and in the streams that a part needs.
const PING: Setup = Setup { engine: "io_uring", logins: 4, log_mebibytes: 512, stream_mebibytes: 64, sample: 251 };
const CURVE: Setup = Setup { engine: "", logins: 64, log_mebibytes: 512, stream_mebibytes: 16, sample: 251 };
const FLOOD: Setup = Setup { engine: "io_uring", logins: 4, log_mebibytes: 3_072, stream_mebibytes: 512, sample: 251 };

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    pairs: usize,
    trips: usize,
    curve_pairs: usize,
    repeats: usize,
    flood_requests: u64,
}

const FULL: Effort = Effort { pairs: 30, trips: 3_000, curve_pairs: 12, repeats: 7, flood_requests: 300_000 };
const QUICK: Effort = Effort { pairs: 8, trips: 1_500, curve_pairs: 3, repeats: 3, flood_requests: 100_000 };

fn main() -> io::Result<()> {
    if std::env::var(floor::ASK).is_ok() {
        pin_last()?;
    }
    if floor::echo_if_asked()? || echo_if_asked()? {
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let value =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let (only, against) = (value("--only"), value("--against").map(String::as_str));
    let effort = if quick { QUICK } else { FULL };
    machine::describe(&arguments)?;
    let wanted = |part: &str| only.is_none_or(|only| only == part);
    if wanted("shared") {
        shared_memory(effort, against)?;
    }
    if wanted("stamps") {
        stamps(effort)?;
    }
    if wanted("tcp") {
        tcp(effort)?;
    }
    if wanted("throughput") {
        throughput(effort)?;
    }
    machine::conclude()
}

/// Runs a measurement on a thread pinned to the first core; children are started before, by threads that are not.
fn measured<T: Send>(measure: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let on_first = || {
        affinity::devices_first()?.first().map_or(Ok(()), |&core| affinity::pin(core))?;
        measure()
    };
    thread::scope(|scope| scope.spawn(on_first).join().map_err(|_| io::Error::other("a measurement panicked"))?)
}

fn shared_memory(effort: Effort, against: Option<&str>) -> io::Result<()> {
    println!("\nShared memory, one order at a time, journal on; {} pairs of {} trips", effort.pairs, effort.trips);
    let mut floor = RingFloor::start()?;
    let programs = [("exchange", Some(PROGRAM)), ("exchange before", against)];
    let mut exchanges = Vec::new();
    for (name, program) in programs {
        let Some(program) = program else { continue };
        let exchange = Exchange::start(program, PING)?;
        signal::halt(exchange.id())?;
        exchanges.push((name, exchange));
    }
    exchanges[0].1.announced.iter().for_each(|line| println!("    {line}"));
    let mut venues: Vec<Venue> = exchanges.iter().map(|(name, exchange)| Venue::new(name, exchange)).collect();
    let series = measured(|| {
        let mut contestants: Vec<&mut dyn Contestant> = vec![&mut floor];
        for venue in &mut venues {
            venue.grow(1, true)?;
            contestants.push(venue);
        }
        play(&mut contestants, effort.pairs, effort.trips)
    })?;
    let (floor, exchanges) = series.split_first().ok_or(io::ErrorKind::UnexpectedEof)?;
    println!("{}", floor.drift(RING_LOW_NS));
    for kind in [ORDER, CANCEL] {
        series.iter().for_each(|series| println!("{}", series.line(kind)));
    }
    for exchange in exchanges {
        verdict(exchange, floor, SHARED_P50_MAX, None).iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

/// What measuring costs: the same program with stamps and with none, and none again, which says what the method itself sees.
fn stamps(effort: Effort) -> io::Result<()> {
    println!("\nStamps, shared memory, one order at a time; {} slices of {} trips each", effort.pairs, effort.trips);
    let start = |name, sample| {
        let exchange = Exchange::start(PROGRAM, Setup { sample, ..PING })?;
        signal::halt(exchange.id())?;
        Ok::<_, io::Error>((name, exchange))
    };
    let exchanges = [start("unstamped", 0)?, start("stamped 1 in 251", 251)?, start("unstamped again", 0)?];
    let mut venues: Vec<Venue> = exchanges.iter().map(|(name, exchange)| Venue::new(name, exchange)).collect();
    let series = measured(|| {
        let mut contestants: Vec<&mut dyn Contestant> = Vec::new();
        for venue in &mut venues {
            venue.grow(1, true)?;
            contestants.push(venue);
        }
        play(&mut contestants, effort.pairs, effort.trips)
    })?;
    series.iter().for_each(|series| println!("{}", series.line(ORDER)));
    for other in &series[1..] {
        verdict(other, &series[0], STAMPED_P50_MAX, None).iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn tcp(effort: Effort) -> io::Result<()> {
    println!("\nTCP on loopback, one order at a time, sessions in turn, journal on");
    let plain = Exchange::start(PROGRAM, Setup { engine: "plain", ..CURVE })?;
    signal::halt(plain.id())?;
    let uring = Exchange::start(PROGRAM, Setup { engine: "io_uring", ..CURVE })?;
    uring.announced.iter().for_each(|line| println!("    {line}"));
    signal::halt(uring.id())?;
    let mut echoes = [EchoFloor::start("plain", 64)?, EchoFloor::start("io_uring", 64)?];
    let mut venues = [Venue::new("exchange plain", &plain), Venue::new("exchange io_uring", &uring)];
    for sessions in SESSIONS {
        let pairs = if sessions == 1 { effort.pairs } else { effort.curve_pairs };
        let ([echo_a, echo_b], [venue_a, venue_b]) = (&mut echoes, &mut venues);
        let series = measured(|| {
            for echo in [&mut *echo_a, &mut *echo_b] {
                echo.grow(sessions)?;
            }
            for venue in [&mut *venue_a, &mut *venue_b] {
                venue.grow(sessions, false)?;
            }
            play(&mut [echo_a as &mut dyn Contestant, venue_a, echo_b, venue_b], pairs, effort.trips)
        })?;
        println!("  {sessions} session(s), {pairs} pairs of {} trips", effort.trips);
        for pair in series.chunks_exact(2) {
            let [floor, exchange] = pair else { continue };
            println!("{}\n{}\n{}", floor.drift(ECHO_LOW_NS), floor.line(ORDER), exchange.line(ORDER));
            verdict(exchange, floor, TCP_P50_MAX, Some(TCP_P99_MAX)).iter().for_each(|line| println!("{line}"));
        }
    }
    Ok(())
}

fn throughput(effort: Effort) -> io::Result<()> {
    println!("\nThroughput, pipelined, journal on; medians of {} repeats", effort.repeats);
    let cases = [
        ("shared memory", true, FLOOD.engine, SHARED_ORDERS_MIN),
        ("TCP, plain", false, "plain", TCP_ORDERS_MIN),
        ("TCP, io_uring", false, "io_uring", TCP_ORDERS_MIN),
    ];
    for (name, shared, engine, required) in cases {
        for sessions in [1, 2, 4] {
            let exchange = Exchange::start(PROGRAM, Setup { engine, ..FLOOD })?;
            let mut pipes = measured(|| Pipes::log_in(&exchange, sessions, shared))?;
            for (flow, word) in [(Flow::Resting, "resting"), (Flow::Trading, "trading")] {
                let runs = measured(|| flood(&mut pipes, sessions, flow, effort))?;
                let what = format!("{name}, {sessions} session(s), {word}");
                throughput::lines(&what, &runs, required).iter().for_each(|line| println!("{line}"));
            }
            let [full, held] = ["gateway.link_full", "sequencer.held_back"].map(|name| exchange.counter(name));
            println!("    {:<34} turns held at the gateway {}, at the sequencer {}", "", full?, held?);
        }
    }
    Ok(())
}

/// Repeats of one flow after one that is not counted.
fn flood(pipes: &mut Pipes, sessions: usize, flow: Flow, effort: Effort) -> io::Result<Vec<throughput::Run>> {
    // Even, so that each order that trades has its other half.
    let requests = effort.flood_requests / sessions as u64 / 2 * 2;
    let window = WINDOW / sessions as u64;
    pipes.run(flow, requests / 4 * 2, window)?;
    (0..effort.repeats).map(|_| pipes.run(flow, requests, window)).collect()
}
