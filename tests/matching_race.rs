//! The books race their slow twin on random records, and say in examples what they do.
//!
//! Every record goes to a shard and to its twin; the whole lists of events must be equal, and every few hundred records the
//! whole books. `PITLANE_RACE_COMMANDS` and `PITLANE_RACE_SEED` scale the race; a failure prints its seed.

mod support;

use pitlane::engine::book::{EVENTS_MAX, Events};
use pitlane::types::{CommandKind, MatcherId};
use support::flow::Flow;
use support::lanes::{Lane, MATCHERS, market};

/// Records of the race when nobody says otherwise.
const COMMANDS_DEFAULT: u64 = 400_000;
/// Records of one run: one seed, one size of the arena.
const RUN_COMMANDS: u64 = 50_000;
/// Records between two comparisons of whole books.
const CHECK_EVERY: u64 = 500;
/// Slots a shard, from always full to long queues.
const ORDERS_MAX: [u32; 4] = [600, 3_000, 24, 150];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What a run went through, so that a race that tests nothing shows.
#[derive(Default, Debug)]
struct Seen {
    records: u64,
    events: u64,
    /// Sweeps and mass cancels whose events did not fit one buffer.
    sweeps_long: u64,
    cancels_long: u64,
    orders_most: usize,
}

/// Prints the seed when the run does not end well.
struct OnFailure(u64, u64);

impl Drop for OnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with PITLANE_RACE_SEED={} PITLANE_RACE_COMMANDS={}", self.0, self.1);
        }
    }
}

fn run(seed: u64, commands: u64, orders_max: u32, seen: &mut Seen) {
    let _report = OnFailure(seed, commands);
    let market = market(orders_max);
    let mut lanes: Vec<_> = (0..MATCHERS).map(|m| Lane::new(&market, MatcherId(m))).collect();
    let mut flow = Flow::new(seed, &market);
    let mut events = Events::new();
    for count in 1..=commands {
        let (to, record) = flow.next(&mut lanes);
        for lane in &mut lanes[to] {
            let said = lane.play(&record, &mut events);
            seen.events += said.len() as u64;
            let sweeps = record.command.kind == CommandKind::Enter;
            let long = if sweeps { &mut seen.sweeps_long } else { &mut seen.cancels_long };
            *long += u64::from(said.len() > EVENTS_MAX);
        }
        if count % CHECK_EVERY == 0 {
            lanes.iter().for_each(|lane| lane.check(&market));
            seen.orders_most = lanes.iter().map(Lane::open_count).max().unwrap().max(seen.orders_most);
        }
    }
    seen.records += commands;
}

#[test]
fn the_book_says_what_its_slow_twin_says() {
    let commands = setting("PITLANE_RACE_COMMANDS", COMMANDS_DEFAULT);
    let first_seed = setting("PITLANE_RACE_SEED", 1);
    let mut seen = Seen::default();
    for at in 0..commands.div_ceil(RUN_COMMANDS) {
        let seed = first_seed + at;
        let orders_max = ORDERS_MAX[seed as usize % ORDERS_MAX.len()];
        run(seed, RUN_COMMANDS.min(commands - at * RUN_COMMANDS), orders_max, &mut seen);
    }
    println!("seeds from {first_seed}: {seen:?}");
    if commands >= COMMANDS_DEFAULT {
        assert!(seen.sweeps_long > 0 && seen.cancels_long > 0, "no record was long enough to be resumed");
        assert!(seen.orders_most > 1_000, "the books stayed shallow");
    }
}
