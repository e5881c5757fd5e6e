//! Counts of the processor's time-stamp counter as nanoseconds. Cold.
//!
//! The rate is measured against the host's steady clock: once some milliseconds have passed since the beginning, and ever
//! better over the whole time since. How far the two lie apart is told, so that a counter that is not worth its name (one that stops,
//! or follows the processor's frequency) is seen and not believed.

use super::clock::{monotonic_ns, tsc};

/// For how long the counter is compared with the clock before it is believed.
const FIRST_NS: u64 = 5_000_000;
/// Fraction bits of the rate.
const RATE_BITS: u32 = 32;
/// Tries to read both at one moment; the closest pair is taken.
const PAIR_TRIES: u32 = 8;

/// Converts counts.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Counter and clock at the beginning.
    begin: (u64, u64),
    /// Nanoseconds a count, times 2^[`RATE_BITS`].
    rate: u64,
    first_rate: u64,
}

/// Counter and clock as near to one moment as can be had.
fn paired() -> (u64, u64) {
    let pair = |_| {
        let before = tsc();
        let now = monotonic_ns();
        (tsc().wrapping_sub(before), (before, now))
    };
    (0..PAIR_TRIES).map(pair).min_by_key(|(gap, _)| *gap).map_or((0, 0), |(_, pair)| pair)
}

impl Counts {
    /// Begins to measure; waits for nothing.
    pub fn new() -> Counts {
        Counts { begin: paired(), rate: 0, first_rate: 0 }
    }

    /// The same, and waits until the rate is known: some milliseconds.
    pub fn settled() -> Counts {
        let mut counts = Counts::new();
        while !counts.refine() {
            std::hint::spin_loop();
        }
        counts
    }

    /// Measures the rate over all the time since the beginning. False while that is too short.
    pub fn refine(&mut self) -> bool {
        let (counted, now) = paired();
        let (counts, passed) = (counted.wrapping_sub(self.begin.0), now.saturating_sub(self.begin.1));
        if passed >= FIRST_NS && counts > 0 {
            self.rate = u64::try_from((u128::from(passed) << RATE_BITS) / u128::from(counts)).unwrap_or(u64::MAX);
            self.first_rate = if self.first_rate == 0 { self.rate } else { self.first_rate };
        }
        self.is_known()
    }

    /// Whether the rate is known; before that every number of counts is 0 ns.
    pub fn is_known(&self) -> bool {
        self.rate > 0
    }

    /// So many counts in ns.
    #[inline]
    pub fn ns(&self, counts: u64) -> u64 {
        ((u128::from(counts) * u128::from(self.rate)) >> RATE_BITS) as u64
    }

    /// Counts a second, in thousands.
    pub fn khz(&self) -> u64 {
        if self.rate == 0 { 0 } else { ((1_000_000u128 << RATE_BITS) / u128::from(self.rate)) as u64 }
    }

    /// How far the rate of the first milliseconds lies from that of all the time since, in parts in a million.
    pub fn drift_ppm(&self) -> u64 {
        (u128::from(self.rate.abs_diff(self.first_rate)) * 1_000_000 / u128::from(self.first_rate.max(1))) as u64
    }
}

impl Default for Counts {
    fn default() -> Self {
        Counts::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_ns_are_what_the_clock_says() {
        assert!(!Counts::new().is_known());
        let mut counts = Counts::settled();
        let (first, started) = paired();
        while monotonic_ns() - started < 20_000_000 {
            std::hint::spin_loop();
        }
        let (last, ended) = paired();
        counts.refine();
        let (shown, passed) = (counts.ns(last - first), ended - started);
        assert!(shown.abs_diff(passed) <= passed / 100, "{shown} ns for {passed}");
        assert!(counts.khz() > 0 && counts.ns(0) == 0);
    }
}
