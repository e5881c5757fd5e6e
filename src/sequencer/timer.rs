//! Time as records: a Tick when the configured time has passed, so that what happens by the clock (orders whose time is
//! over, imbalances) happens because of a record, and a replay, which makes none itself, sees it where it was.
//!
//! Sequencer thread. Looking at the clock costs more than a turn without work, so that only every [`TURNS_A_LOOK`]th turn
//! looks: a Tick is late by that many turns at most. A timer that missed several of its times catches up with one Tick.

use crate::types::{Command, CommandKind, Nanos};

/// Turns of the stage between two looks at the clock: some ten microseconds on a thread that spins.
const TURNS_A_LOOK: u32 = 64;

/// When the next Tick is due.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// Time between two Ticks; 0 never makes one.
    every: Nanos,
    due: Nanos,
    turns: u32,
}

impl Timer {
    /// A Tick every so many nanoseconds, the first as soon as somebody looks; 0 for none.
    pub const fn new(every: Nanos) -> Timer {
        Timer { every, due: Nanos(0), turns: 0 }
    }

    /// Whether this turn is one that looks at the clock: for the calendar too, so also when no Ticks are made.
    #[inline]
    pub fn looks(&mut self) -> bool {
        self.turns += 1;
        if self.turns < TURNS_A_LOOK {
            return false;
        }
        self.turns = 0;
        true
    }

    /// The record to make at `now`, if its time has come. Call it only where the record can be taken: it is not offered again.
    #[cold]
    pub fn take_due(&mut self, now: Nanos) -> Option<Command> {
        if now < self.due || self.every == Nanos(0) {
            return None;
        }
        self.due = Nanos(now.0 + self.every.0);
        Some(Command::new(CommandKind::Tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_due_once_in_its_time_however_long_nobody_looked() {
        let mut timer = Timer::new(Nanos(100));
        let due = [5, 6, 104, 105, 900, 905, 999, 1_000].map(|now| timer.take_due(Nanos(now)).is_some());
        assert_eq!(due, [true, false, false, true, true, false, false, true]);
    }

    #[test]
    fn only_one_turn_in_many_looks_and_a_timer_that_is_off_makes_nothing() {
        let mut timer = Timer::new(Nanos(1));
        assert_eq!((0..TURNS_A_LOOK * 3).filter(|_| timer.looks()).count(), 3);
        assert_eq!(Timer::new(Nanos(0)).take_due(Nanos(5)), None);
    }
}
