//! Times. The journal and the engine count nanoseconds since the Unix epoch; the protocols count since midnight.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Nanoseconds since the Unix epoch (UTC). Given with each record; never read from a clock inside the engine.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Nanos(pub u64);

/// Nanoseconds since midnight (UTC), as OUCH and ITCH carry them; below 2^47.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct DayNanos(pub u64);

impl Nanos {
    /// Nanoseconds in a second.
    pub const SECOND: u64 = 1_000_000_000;
    /// Nanoseconds in a day.
    pub const DAY: u64 = 86_400 * Self::SECOND;

    /// The time of day on the wire.
    #[inline]
    pub const fn of_day(self) -> DayNanos {
        DayNanos(self.0 % Self::DAY)
    }

    /// Time passed since `earlier`, 0 if that lies ahead.
    #[inline]
    pub const fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for DayNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / Nanos::SECOND, self.0 % Nanos::SECOND);
        write!(f, "{:02}:{:02}:{:02}.{nanos:09}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}
