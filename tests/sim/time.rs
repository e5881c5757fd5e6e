//! Simulated time: it stands still but when the scheduler moves it. The wall's clock may be set, the steady one may not.

use pitlane::os::clock::Clock;
use pitlane::sequencer::TimeSource;
use pitlane::types::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Where the wall's clock stands at the beginning: some morning in 2027.
const WALL_START_NS: i64 = 1_800_000_000_000_000_000;

/// Both clocks; clones are the same clock.
#[derive(Clone)]
pub struct Time {
    steady_ns: Arc<AtomicU64>,
    wall_ahead_ns: Arc<AtomicI64>,
}

impl Time {
    pub fn new() -> Time {
        Time {
            steady_ns: Arc::new(AtomicU64::new(1_000_000_000)),
            wall_ahead_ns: Arc::new(AtomicI64::new(WALL_START_NS)),
        }
    }

    pub fn now_ns(&self) -> u64 {
        self.steady_ns.load(Relaxed)
    }

    pub fn pass(&self, ns: u64) {
        self.steady_ns.fetch_add(ns, Relaxed);
    }

    /// Somebody sets the host's clock.
    pub fn set_wall(&self, by_ns: i64) {
        self.wall_ahead_ns.fetch_add(by_ns, Relaxed);
    }
}

impl Clock for Time {
    fn now(&mut self) -> u64 {
        self.now_ns()
    }
}

/// The wall's clock, as times of records.
pub struct WallTime(pub Time);

impl TimeSource for WallTime {
    fn now(&mut self) -> Nanos {
        Nanos((self.0.now_ns() as i64 + self.0.wall_ahead_ns.load(Relaxed)) as u64)
    }
}
