//! Message rate of one account: how many of its messages became records in any one second, from record times alone.
//!
//! A second is cut in slices. The count at a time is that of its slice and the slices a second reaches back into, so
//! it is never below the true count of the last second and at most one slice's worth above it. Fixed one-second
//! windows were the shorter way, but let twice the limit pass around a boundary. Hot; sequencer thread.

use crate::types::Nanos;

/// Slices of a second. More are sharper and cost more lines of cache.
const SLICES: u64 = 8;
/// Ring of slices: those of a second, the running one, rounded up to a power of two so that a mask finds the place.
pub(super) const RING: usize = 16;
/// A second of slices and the running one.
const _: () = assert!((SLICES as usize) < RING && RING.is_power_of_two());
const SLICE_NANOS: u64 = Nanos::SECOND / SLICES;

/// Counts of the slices that still matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    /// Slice of the latest message, since the epoch.
    pub(super) newest: u64,
    /// Sum over the slices a second before `newest` reaches back into, and `newest`.
    pub(super) total: u32,
    pub(super) counts: [u32; RING],
}

impl Rate {
    pub(super) const fn new() -> Rate {
        Rate { newest: 0, total: 0, counts: [0; RING] }
    }

    /// Messages in the second that ends at `time`.
    #[inline]
    pub(super) fn count(&self, time: Nanos) -> u32 {
        let passed = (time.0 / SLICE_NANOS).saturating_sub(self.newest);
        match passed {
            0 => self.total,
            1..=SLICES => self.total - self.expiring(passed),
            _ => 0,
        }
    }

    /// Counts one message at `time`; times never go back.
    #[inline]
    pub(super) fn add(&mut self, time: Nanos) {
        let slice = time.0 / SLICE_NANOS;
        if slice > self.newest {
            self.advance(slice);
        }
        self.total = self.total.saturating_add(1);
        let count = &mut self.counts[self.newest as usize % RING];
        *count = count.saturating_add(1);
    }

    /// Folds the counts into `digest`.
    pub(super) fn digest(&self, digest: &mut crate::engine::digest::Digest) {
        digest.add(self.newest);
        digest.add(u64::from(self.total));
        self.counts.iter().for_each(|&count| digest.add(u64::from(count)));
    }

    /// Messages in the oldest slices, which `passed` more slices push out.
    fn expiring(&self, passed: u64) -> u32 {
        let oldest = self.newest.wrapping_sub(SLICES);
        (0..passed).map(|i| self.counts[oldest.wrapping_add(i) as usize % RING]).sum()
    }

    fn advance(&mut self, slice: u64) {
        let passed = slice - self.newest;
        if passed > SLICES {
            *self = Rate { newest: slice, ..Rate::new() };
            return;
        }
        self.total -= self.expiring(passed);
        // Places that leave the second are cleared; places that join it were cleared when they left, or never used.
        let oldest = self.newest.wrapping_sub(SLICES);
        (0..passed).for_each(|i| self.counts[oldest.wrapping_add(i) as usize % RING] = 0);
        self.newest = slice;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_around_a_boundary_are_counted_together() {
        let mut rate = Rate::new();
        let second = Nanos(5 * Nanos::SECOND);
        (0..10).for_each(|i| rate.add(Nanos(second.0 - 1 - (9 - i))));
        assert_eq!(rate.count(second), 10, "a new calendar second forgets nothing");
        assert_eq!(rate.count(Nanos(second.0 + Nanos::SECOND + SLICE_NANOS)), 0);
    }

    proptest! {
        #[test]
        fn the_count_is_never_below_the_last_second_and_at_most_a_slice_above(
            gaps in prop::collection::vec(0u64..400_000_000, 1..200),
        ) {
            let mut rate = Rate::new();
            let mut times = Vec::new();
            let mut now = 1_700_000_000 * Nanos::SECOND;
            for gap in gaps {
                now += gap;
                let within = |span: u64| times.iter().filter(|&&t| now - t < span).count() as u32;
                let (low, high) = (within(Nanos::SECOND), within(Nanos::SECOND + SLICE_NANOS));
                let count = rate.count(Nanos(now));
                prop_assert!((low..=high).contains(&count), "{count} not in {low}..={high}");
                rate.add(Nanos(now));
                times.push(now);
            }
        }
    }
}
