//! How fast one session may send: a token bucket kept as a single time.
//!
//! Instead of tokens it keeps the time at which the bucket would be full again; a message moves it on by one
//! interval, and is allowed while it stays within the burst. No refill to compute, no remainder to lose. Hot, O(1);
//! the caller brings the time. Over the limit nothing is refused: the gateway stops reading until the next message
//! is due, so that the client feels TCP's back-pressure and loses nothing.

use crate::types::Nanos;

/// The limit of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Throttle {
    /// Time a message costs; 0 switches the limit off.
    interval_ns: u64,
    /// How far the session may run ahead.
    burst_ns: u64,
    /// When the bucket is full again.
    full_at_ns: u64,
}

impl Throttle {
    /// `messages_per_second` on average (0: no limit), `burst` of them at once (at least 1).
    pub fn new(messages_per_second: u32, burst: u32) -> Throttle {
        let interval_ns = Nanos::SECOND.checked_div(u64::from(messages_per_second)).unwrap_or(0);
        // Cannot overflow: an interval is at most 2^30 and a burst at most 2^32.
        Throttle { interval_ns, burst_ns: interval_ns * u64::from(burst.max(1)), full_at_ns: 0 }
    }

    /// Takes a message in if it is within the limit at `now_ns`, a time that does not go back.
    #[inline]
    pub fn try_take(&mut self, now_ns: u64) -> bool {
        let full_at_ns = self.full_at_ns.max(now_ns) + self.interval_ns;
        let within = full_at_ns - now_ns <= self.burst_ns;
        if within {
            self.full_at_ns = full_at_ns;
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(throttle: &mut Throttle, now_ns: u64) -> usize {
        (0..1000).take_while(|_| throttle.try_take(now_ns)).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut throttle = Throttle::new(1000, 5);
        assert_eq!(taken(&mut throttle, 7), 5);
        assert_eq!(taken(&mut throttle, 7 + 999_999), 0);
        assert_eq!(taken(&mut throttle, 7 + 1_000_000), 1);
        assert_eq!(taken(&mut throttle, 7 + 3_000_000), 2);
    }

    #[test]
    fn silence_saves_up_no_more_than_the_burst() {
        let mut throttle = Throttle::new(10, 3);
        assert_eq!(taken(&mut throttle, 100 * Nanos::SECOND), 3);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut throttle = Throttle::new(0, 0);
        assert_eq!(taken(&mut throttle, 1), 1000);
    }
}
