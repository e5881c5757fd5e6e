//! The core on one thread, no I/O: OMS decision, risk, record, book, events back into positions and fees.
//!
//! What it measures: nanoseconds from a command to its last event applied, over a stream of 55 % adds (geometric
//! distance from the touch, mean 64 ticks), 35 % cancels, 5 % replaces and 5 % trading immediate orders, at 10,000 and
//! 1,000,000 resting orders. A slip here slows every order of every client by the same amount. The stream is made
//! beforehand by running the same core once, so that only the core is timed; each run starts from a fresh core.
//!
//! `cargo bench --bench core`; `-- --once` makes one pass for an instruction count, `-- --small-pages` leaves out the
//! huge pages that the exchange asks for at its start.

#[path = "core/stream.rs"]
#[allow(dead_code, reason = "each bench uses its part")]
mod stream;

use pitlane::types::Command;
use std::hint::black_box;
use std::time::Instant;
use stream::{Core, Maker};

const TIMED: usize = 500_000;
const RUNS: usize = 7;

/// The commands that fill the book, then those that are timed.
fn stream(resting: usize) -> (Vec<Command>, Vec<Command>) {
    let mut maker = Maker::new(resting);
    maker.fill();
    let fill = std::mem::take(&mut maker.commands);
    (0..TIMED).for_each(|_| maker.step());
    (fill, maker.commands)
}

fn pass(fill: &[Command], timed: &[Command], resting: usize, ahead: bool) -> f64 {
    let mut core = Core::new(resting);
    if std::env::args().all(|a| a != "--small-pages") {
        pitlane::os::pages::collapse_large_memory();
    }
    for command in fill {
        core.take(*command, |_| {});
    }
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
