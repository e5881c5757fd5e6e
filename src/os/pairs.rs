//! The processor's counter and the host's steady clock, read together again and again: what makes times of another
//! process' stamps that lie between its own.
//!
//! One rate over minutes will not do: the steady clock is steered, and a part in a million is a microsecond after a
//! second. Between two readings ten milliseconds apart the two run straight beside each other to within nanoseconds, and how
//! far each reading lies off the line of its neighbours says how far that is true. Taking one is some 50 ns without a
//! system call; memory is taken at the beginning. Asking is cold.

use super::clock::{monotonic_ns, tsc};

/// Time between two readings.
pub const PAIR_EVERY_NS: u64 = 10_000_000;
/// Counts around a reading that make it as good as any: about 0.1 us.
const GAP_FINE: u64 = 256;
/// Counts around a reading beyond which it is not kept: whoever took it was off its core.
const GAP_MAX: u64 = 4_096;
/// Tries for a good one.
const TRIES: u32 = 4;

/// Counter and clock at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Pair {
    counted: u64,
    ns: u64,
}

/// Readings of one stretch of time, in their order.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    kept: Vec<Pair>,
    due_ns: u64,
}

impl Pairs {
    /// Room for so many, touched; none are kept with 0.
    pub fn new(capacity: usize) -> Pairs {
        let mut kept = vec![Pair { counted: 1, ns: 1 }; capacity];
        kept.clear();
        Pairs { kept, due_ns: 0 }
    }

    /// Forgets all; keeps the memory.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.due_ns = 0;
    }

    /// Takes a reading if one is due at `now_ns`.
    #[inline]
    pub fn note_if_due(&mut self, now_ns: u64) {
        if now_ns >= self.due_ns && self.kept.len() < self.kept.capacity() {
            self.note();
        }
    }

    /// Takes a reading, unless there is no room or the thread is kept off its core at each try.
    #[cold]
    pub fn note(&mut self) {
        let (mut closest, mut pair) = (u64::MAX, Pair::default());
        for _ in 0..TRIES {
            let before = tsc();
            let ns = monotonic_ns();
            let gap = tsc().wrapping_sub(before);
            if gap < closest {
                (closest, pair) = (gap, Pair { counted: before + gap / 2, ns });
            }
            if gap <= GAP_FINE {
                break;
            }
        }
        self.due_ns = pair.ns + PAIR_EVERY_NS;
        self.keep(closest, pair);
    }

    fn keep(&mut self, gap: u64, pair: Pair) {
        let is_later = self.kept.last().is_none_or(|last| last.counted < pair.counted && last.ns < pair.ns);
        if gap <= GAP_MAX && is_later && self.kept.len() < self.kept.capacity() {
            self.kept.push(pair);
        }
    }

    /// The time at which the counter stood so; `None` outside the first and the last reading.
    pub fn ns(&self, counted: u64) -> Option<u64> {
        let after = self.kept.partition_point(|pair| pair.counted <= counted);
        match (after.checked_sub(1).map(|before| self.kept[before]), self.kept.get(after)) {
            (Some(before), Some(&after)) => Some(between(before, after, counted)),
            (Some(last), None) if last.counted == counted => Some(last.ns),
            _ => None,
        }
    }

    /// How far the worst reading lies off the line of its neighbours; 0 with fewer than three.
    pub fn error_ns(&self) -> u64 {
        let off = |three: &[Pair]| between(three[0], three[2], three[1].counted).abs_diff(three[1].ns);
        self.kept.windows(3).map(off).max().unwrap_or(0)
    }
}

/// On the straight line through two readings.
fn between(one: Pair, other: Pair, counted: u64) -> u64 {
    let (counts, passed) = (u128::from(other.counted - one.counted), u128::from(other.ns - one.ns));
    one.ns + (u128::from(counted - one.counted) * passed / counts) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(u64, u64)]) -> Pairs {
        let mut all = Pairs::new(pairs.len());
        pairs.iter().for_each(|&(counted, ns)| all.keep(0, Pair { counted, ns }));
        all
    }

    #[test]
    fn times_lie_on_the_line_between_two_readings_and_nowhere_else() {
        // A clock that is steered faster in its second half.
        let pairs = of(&[(1_000, 500), (3_000, 1_500), (5_000, 2_600)]);
        let asked = [999, 1_000, 2_000, 3_000, 4_000, 5_000, 5_001];
        let wanted = [None, Some(500), Some(1_000), Some(1_500), Some(2_050), Some(2_600), None];
        assert_eq!(asked.map(|counted| pairs.ns(counted)), wanted);
        assert_eq!(pairs.error_ns(), 50, "the middle one lies so far off the line of the outer two");
        assert_eq!((of(&[]).ns(7), of(&[(7, 9)]).ns(7), of(&[(7, 9)]).ns(8)), (None, Some(9), None));
    }

    #[test]
    fn readings_that_are_late_out_of_order_or_too_many_are_not_kept() {
        let mut pairs = Pairs::new(2);
        pairs.keep(GAP_MAX + 1, Pair { counted: 1, ns: 1 });
        pairs.keep(0, Pair { counted: 10, ns: 10 });
        pairs.keep(0, Pair { counted: 10, ns: 11 });
        pairs.keep(0, Pair { counted: 9, ns: 12 });
        assert_eq!(pairs.kept.len(), 1);
        pairs.keep(0, Pair { counted: 20, ns: 20 });
        pairs.keep(0, Pair { counted: 30, ns: 30 });
        assert_eq!(pairs.kept.last(), Some(&Pair { counted: 20, ns: 20 }));
        let mut none = Pairs::new(0);
        none.note_if_due(u64::MAX);
        assert_eq!(none.ns(tsc()), None);
    }

    #[test]
    fn a_stamp_between_two_readings_gets_the_clocks_own_time() {
        let mut pairs = Pairs::new(64);
        let mut stamps = Vec::new();
        for _ in 0..30 {
            pairs.note();
            let before = monotonic_ns();
            let counted = tsc();
            stamps.push((before, counted, monotonic_ns()));
        }
        pairs.note();
        let error = pairs.error_ns() + 1_000;
        let right = |&(before, counted, after): &(u64, u64, u64)| {
            pairs.ns(counted).is_none_or(|ns| ns + error >= before && ns <= after + error)
        };
        assert!(stamps.iter().all(right), "{stamps:?} {pairs:?}");
        assert!(stamps.iter().any(|&(_, counted, _)| pairs.ns(counted).is_some()));
    }
}
