//! Round trip of one message over a pair of shared rings, between two processes that both spin.
//!
//! It is the floor of shared-memory order entry: an order cannot be answered faster. A slip here means more lines
//! moved a message, or a slower check of hostile memory. Run with two idle cores: `cargo bench --bench ring`.
//! The sizes: a cancel (9 + 1), the longest message of one slot (56), an accepted order (65 bytes, two slots).

use pitlane::client::floor::{self, Floor};
use std::process::Command;

/// Round trips of one run.
const TRIPS: usize = 300_000;
/// Runs of each size, printed one by one so that a disturbed one shows.
const RUNS: usize = 5;

fn main() -> std::io::Result<()> {
    if std::env::var(floor::ASK).is_ok() {
        pin(1);
    }
    if floor::echo_if_asked()? {
        return Ok(());
    }
    println!("{:>6} {:>4} {:>8} {:>8} {:>8} {:>10}  ns", "bytes", "run", "p50", "p99", "p99.9", "max");
    let mut floor = Floor::start(Command::new(std::env::current_exe()?))?;
    // After the start: the copy inherits what its parent is pinned to, and could then pin itself nowhere else.
    pin(0);
    for bytes in [10, 56, 65] {
        for run in 1..=RUNS {
            let mut trips = floor.round_trips(bytes, TRIPS)?;
            trips.sort_unstable();
            let at = |part: f64| trips[((trips.len() - 1) as f64 * part) as usize];
            println!("{bytes:>6} {run:>4} {:>8} {:>8} {:>8} {:>10}", at(0.5), at(0.99), at(0.999), at(1.0));
        }
    }
    Ok(())
}

/// Pins this process to the core of that index; on a machine with fewer it runs where it may.
fn pin(index: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(&core) = cores.get(index) {
        core_affinity::set_for_current(core);
    }
}
