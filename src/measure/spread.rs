//! Values that were taken several times: their middle, how far they lie apart, and whether two sets differ by more
//! than chance.
//!
//! Cold. Slices of a run are such values. The middle is the median and the spread the quartiles, because a neighbour's
//! noise moves a mean at will. Two sets are compared by their ranks (Mann and Whitney), which asks nothing of how the
//! values are distributed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Fewest values a side from which a comparison can tell anything: five against five, wholly apart, come about by
/// chance once in 126 times.
pub const VALUES_MIN: usize = 5;
/// Deviations of the rank sum beyond which two sets differ: one chance in a hundred.
const DEVIATIONS_MAX: f64 = 2.576;

/// Median and quartiles.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Spread {
    /// A quarter is not above.
    pub low: f64,
    /// Half is not above.
    pub median: f64,
    /// A quarter is not below.
    pub high: f64,
}

impl Spread {
    /// Of some values; all 0 without any.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| values.get(((values.len().max(1) - 1) as f64 * part).round() as usize).copied();
        let [low, median, high] = [0.25, 0.5, 0.75].map(|part| at(part).unwrap_or_default());
        Spread { low, median, high }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} [{:.2}-{:.2}]", self.median, self.low, self.high)
    }
}

/// How far the second of two sets lies above the first, in deviations of what chance does; `None` when either has too
/// few values to tell.
pub fn deviations(first: &[f64], second: &[f64]) -> Option<f64> {
    if first.len() < VALUES_MIN || second.len() < VALUES_MIN {
        return None;
    }
    // Pairs in which the second is above, ties by half.
    let above: f64 = second
        .iter()
        .flat_map(|b| first.iter().map(move |a| (b, a)))
        .map(|(b, a)| if b > a { 1.0 } else { f64::from(u8::from(b == a)) / 2.0 })
        .sum();
    let (n, m) = (first.len() as f64, second.len() as f64);
    Some((above - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt())
}

/// Whether so many deviations are more than chance.
pub fn is_moved(deviations: f64) -> bool {
    deviations.abs() >= DEVIATIONS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_quartiles_are_values_that_were_taken() {
        assert_eq!(Spread::of([5.0, 1.0, 3.0, 2.0, 4.0]), Spread { low: 2.0, median: 3.0, high: 4.0 });
        assert_eq!(Spread::of([]), Spread::default());
        assert_eq!(Spread::of([1.0, 1.5, 2.0]).to_string(), "1.50 [1.50-2.00]");
    }

    #[test]
    fn sets_that_lie_wholly_apart_have_moved_and_mixed_ones_have_not() {
        let low = [1.0, 1.1, 1.2, 1.3, 1.4];
        let high = low.map(|value| value + 1.0);
        let up = deviations(&low, &high).unwrap();
        assert!(is_moved(up) && up > 0.0);
        assert_eq!(deviations(&high, &low), Some(-up));
        assert_eq!(deviations(&low, &low), Some(0.0));
        assert!(!is_moved(deviations(&low, &[1.05, 1.15, 1.25, 1.35, 1.45]).unwrap()));
        assert_eq!(deviations(&low[..4], &high), None, "too few to tell");
    }
}
