//! Real crashes: the program itself under load, killed at random moments and at chosen system calls, while it runs,
//! while it starts, while it recovers from the crash before, while it stops; with and without the loss of memory; and
//! held to its promise by clients that keep a record of their own.
//!
//! A **life** is a venue from its first start to its last stop, many crashes long; what it promises and how it is set up
//! is drawn anew for each. `make crash ROUNDS=1000` goes so many rounds, nearly each a crash, and prints what they were. A failure prints its
//! seed and round and keeps the venue's directories. What a seed draws is the same each time; what the threads and
//! the kernel make of it is not, so that a seed narrows a failure down and the kept directories explain it.

mod campaign;
mod check;
mod desk;
#[path = "../support/disk.rs"]
mod disk;
mod line;
#[path = "../support/random.rs"]
mod random;
mod site;
mod trader;
mod wire;

use campaign::Campaign;

/// Rounds in an ordinary run of the tests.
const ROUNDS_OF_A_TEST: u64 = 10;

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: a number is expected, found {text:?}")))
}

#[test]
fn killed_at_random_moments_it_keeps_every_promise_to_clients_that_keep_their_own_record() {
    let rounds = number_from("PITLANE_CRASH_ROUNDS").unwrap_or(ROUNDS_OF_A_TEST);
    let seed = number_from("PITLANE_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    if let Some(told) = Campaign::new(seed).run(rounds) {
        println!("{told}");
    }
}
