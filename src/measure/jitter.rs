//! What a core does to a loop that does nothing: every time it was kept from running, and for how long.
//!
//! The loop reads the counter for ever; two readings far apart say that something else had the core: the kernel's tick,
//! an interrupt, another task, the host of a virtual machine. It is what `oslat` does, and it shows which tail no program
//! here can be blamed for. The thread is pinned, takes nothing and calls nothing while it looks.

use super::result::CoreGaps;
use crate::os::affinity;
use crate::os::clock::{monotonic_ns, tsc};
use crate::os::counts::Counts;
use std::io;
use std::thread;

/// Sizes told apart: a gap belongs to the largest that it reaches. Below the first lies the loop's own noise.
pub const SIZES_NS: [u64; 6] = [1_000, 5_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// Readings of the counter between two of the clock.
const READINGS_A_LOOK: u32 = 4_096;

/// Gaps of one core as counts of the counter.
struct Gaps {
    counts: [u64; SIZES_NS.len()],
    lost: u64,
    longest: u64,
}

impl Gaps {
    #[inline]
    fn note(&mut self, gap: u64, sizes: &[u64; SIZES_NS.len()]) {
        if gap < sizes[0] {
            return;
        }
        let size = sizes.iter().rposition(|&size| gap >= size).unwrap_or(0);
        self.counts[size] += 1;
        self.lost += gap;
        self.longest = self.longest.max(gap);
    }
}

/// Looks at these cores for so long, all at once.
/// # Errors
/// A core that this process may not use.
pub fn look(cores: &[usize], look_ns: u64) -> io::Result<Vec<CoreGaps>> {
    let counts = Counts::settled();
    thread::scope(|scope| {
        let started: Vec<_> = cores.iter().map(|&core| scope.spawn(move || look_at(core, look_ns, counts))).collect();
        started.into_iter().map(|thread| thread.join().map_err(|_| io::Error::other("a look panicked"))?).collect()
    })
}

fn look_at(core: usize, look_ns: u64, counts: Counts) -> io::Result<CoreGaps> {
    affinity::pin(core)?;
    // In counts, so that the loop converts nothing.
    let sizes = SIZES_NS.map(|ns| (u128::from(ns) * u128::from(counts.khz()) / 1_000_000) as u64);
    let mut gaps = Gaps { counts: [0; SIZES_NS.len()], lost: 0, longest: 0 };
    let start = monotonic_ns();
    let mut last = tsc();
    loop {
        for _ in 0..READINGS_A_LOOK {
            let now = tsc();
            gaps.note(now.saturating_sub(last), &sizes);
            last = now;
        }
        let looked_ns = monotonic_ns() - start;
        if looked_ns >= look_ns {
            return Ok(CoreGaps {
                core,
                looked_ns,
                gaps: SIZES_NS.into_iter().zip(gaps.counts).collect(),
                lost_ns: counts.ns(gaps.lost),
                longest_ns: counts.ns(gaps.longest),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_once_with_the_largest_size_that_it_reaches() {
        let mut gaps = Gaps { counts: [0; SIZES_NS.len()], lost: 0, longest: 0 };
        for gap in [999, 1_000, 4_999, 5_000, 20_000_000] {
            gaps.note(gap, &SIZES_NS);
        }
        assert_eq!(gaps.counts, [2, 1, 0, 0, 0, 1]);
        assert_eq!((gaps.lost, gaps.longest), (20_010_999, 20_000_000));
    }

    #[test]
    fn another_thread_on_the_core_is_seen_and_a_core_that_is_not_there_is_refused() {
        let core = affinity::allowed().unwrap()[0];
        let stop = std::sync::atomic::AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            scope.spawn(|| {
                affinity::pin(core).unwrap();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let seen = look(&[core], 200_000_000).unwrap();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            seen
        });
        // Two spinners share it: each is kept off for time slices, milliseconds at least once.
        assert!(seen[0].longest_ns >= 1_000_000 && seen[0].lost_ns >= seen[0].longest_ns, "{seen:?}");
        assert!(seen[0].looked_ns >= 200_000_000 && seen[0].lost_ns <= seen[0].looked_ns * 11 / 10, "{seen:?}");
        assert!(look(&[99_999], 1).is_err());
    }
}
