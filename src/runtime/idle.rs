//! What a thread does after a turn in which none of its agents had work.
//!
//! Sleeping is out of the question on the path (a wake-up costs 25-45 us), and pure spinning is the fastest only
//! while each spinner has a core to itself: two on one core wait out each other's scheduler slices, 8 ms a round
//! trip against 9 us when the idle one yields. So the strategy follows from how many spinners there are for how many
//! cores, decided once at start. Hot: [`Idle::after_turn`] runs between any two turns.

use std::time::Duration;

/// How an idle thread waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdleStrategy {
    /// Looks again at once. For threads that own their core and leave others to the rest of the host.
    Spin,
    /// Looks again at once so many times in a row, then offers the core each time until there is work. For threads
    /// that own their core while clients and cold threads have no other place than these cores.
    SpinYield(u32),
    /// Offers the core after every empty turn. For threads that share a core.
    Yield,
    /// Sleeps after every empty turn, twice as long each time from the shorter to the longer pause. For cold threads
    /// only: their work can wait, the core is others'. Each wake-up takes a core from whoever spins on it for some 25
    /// us, so that a pause of half a millisecond was the p99 of every order on a host of two cores.
    Sleep(Duration, Duration),
}

/// Empty turns before the first offer of the core: at 20-50 ns a turn some 100 us, so that a stream of messages
/// faster than 10,000 a second never pays for a `sched_yield`.
pub const EMPTY_TURNS_BEFORE_YIELD: u32 = 3_000;

impl IdleStrategy {
    /// The strategy for spinning threads pinned to `cores` (`None` for an unpinned one) where the process may use
    /// `allowed` cores.
    pub fn choose(cores: &[Option<usize>], allowed: usize) -> IdleStrategy {
        let shared = cores.iter().enumerate().any(|(index, core)| core.is_some() && cores[..index].contains(core));
        if shared || cores.len() > allowed {
            IdleStrategy::Yield
        } else if cores.len() == allowed {
            IdleStrategy::SpinYield(EMPTY_TURNS_BEFORE_YIELD)
        } else {
            IdleStrategy::Spin
        }
    }
}

impl core::fmt::Display for IdleStrategy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            IdleStrategy::Spin => write!(f, "spin"),
            IdleStrategy::SpinYield(turns) => write!(f, "spin, yield after {turns} empty turns"),
            IdleStrategy::Yield => write!(f, "yield after each empty turn"),
            IdleStrategy::Sleep(short, long) => write!(f, "sleep {short:?} to {long:?} after each empty turn"),
        }
    }
}

/// Doublings after which a pause is the longest in any case: a thousandfold.
const DOUBLINGS_MAX: u32 = 10;

/// A strategy at work in one thread.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    empty_turns: u32,
}

impl Idle {
    /// Begins as if work had just been done.
    pub const fn new(strategy: IdleStrategy) -> Idle {
        Idle { strategy, empty_turns: 0 }
    }

    /// Takes in how much the last turn did, and waits when it was nothing.
    #[inline]
    pub fn after_turn(&mut self, done: usize) {
        if done > 0 {
            self.empty_turns = 0;
            return;
        }
        match self.strategy {
            // No PAUSE: a turn looks at some twenty cache lines of this core's own, so that there is no tight loop to slow
            // down, and the hint took longer than the turn itself (25 of 49 ns on a Zen 5, 140 cycles on recent Intel).
            IdleStrategy::Spin => {}
            IdleStrategy::SpinYield(limit) if self.empty_turns < limit => self.empty_turns += 1,
            IdleStrategy::SpinYield(_) | IdleStrategy::Yield => std::thread::yield_now(),
            IdleStrategy::Sleep(short, long) => {
                std::thread::sleep((short * (1 << self.empty_turns.min(DOUBLINGS_MAX))).min(long));
                self.empty_turns = self.empty_turns.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinners_never_outnumber_the_cores() {
        assert_eq!(IdleStrategy::choose(&[Some(1)], 2), IdleStrategy::Spin);
        assert_eq!(IdleStrategy::choose(&[Some(0), Some(1)], 2), IdleStrategy::SpinYield(EMPTY_TURNS_BEFORE_YIELD));
        assert_eq!(IdleStrategy::choose(&[None, None, None], 2), IdleStrategy::Yield);
    }

    #[test]
    fn two_threads_on_one_core_yield_however_many_cores_there_are() {
        assert_eq!(IdleStrategy::choose(&[Some(3), Some(3)], 64), IdleStrategy::Yield);
        assert_eq!(IdleStrategy::choose(&[None, None], 64), IdleStrategy::Spin);
    }

    #[test]
    fn work_starts_the_count_of_empty_turns_anew() {
        let mut idle = Idle::new(IdleStrategy::SpinYield(2));
        for done in [0, 0, 0, 1, 0] {
            idle.after_turn(done);
        }
        assert_eq!(idle.empty_turns, 1);
    }
}
