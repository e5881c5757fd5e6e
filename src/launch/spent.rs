//! [`Spent`]: where the time of a start went, for the line that people who wait for one ask for first. Cold.
//!
//! A start is a row of phases on one thread, whatever helpers each of them has, so that the parts add up to the whole.
//! Each phase ends by naming itself; a phase that comes in several pieces is summed.

use crate::os::clock::Clock;
use std::fmt;

/// Phases of a start, with what is told of each beside its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Memory of streams and feed taken and touched.
    Memory,
    /// Snapshot found, read, verified and made a state.
    Snapshot,
    /// Streams and feed put into their stores from the derived files.
    Streams,
    /// Empty books and order tables, where there is no snapshot.
    Books,
    /// Records of segments and log verified and applied.
    Replay,
    /// The log made or taken over, its memory touched and locked.
    Log,
    /// The disk made ready: what was only in the log moved, the next segment named.
    Disk,
    /// Memory moved to huge pages.
    Pages,
    /// Sockets opened and agents built.
    Stages,
    /// Threads started and pinned.
    Threads,
}

/// As many phases as there are.
const PHASES: usize = Phase::Threads as usize + 1;

impl Phase {
    const ALL: [Phase; PHASES] = [
        Phase::Memory,
        Phase::Snapshot,
        Phase::Streams,
        Phase::Books,
        Phase::Replay,
        Phase::Log,
        Phase::Disk,
        Phase::Pages,
        Phase::Stages,
        Phase::Threads,
    ];

    const fn name(self) -> &'static str {
        match self {
            Phase::Memory => "memory",
            Phase::Snapshot => "snapshot",
            Phase::Streams => "streams and feed",
            Phase::Books => "books",
            Phase::Replay => "replay",
            Phase::Log => "log",
            Phase::Disk => "disk",
            Phase::Pages => "huge pages",
            Phase::Stages => "stages",
            Phase::Threads => "threads",
        }
    }
}

/// Time spent, phase by phase.
pub struct Spent {
    clock: Box<dyn Clock + Send>,
    began_ns: u64,
    last_ns: u64,
    phases_ns: [u64; PHASES],
}

impl Spent {
    /// Begins now. `clock` does not go back.
    pub fn begin(mut clock: Box<dyn Clock + Send>) -> Spent {
        let now_ns = clock.now();
        Spent { clock, began_ns: now_ns, last_ns: now_ns, phases_ns: [0; PHASES] }
    }

    /// What was done since the last end of a phase was this one.
    pub fn ends(&mut self, phase: Phase) {
        let now_ns = self.clock.now();
        self.phases_ns[phase as usize] += now_ns - self.last_ns;
        self.last_ns = now_ns;
    }

    /// All of it, in nanoseconds.
    pub fn whole_ns(&self) -> u64 {
        self.last_ns - self.began_ns
    }

    /// What went to one phase, in nanoseconds.
    pub fn phase_ns(&self, phase: Phase) -> u64 {
        self.phases_ns[phase as usize]
    }
}

/// Phases below this many nanoseconds are nobody's concern and left out.
const TOLD_NS_MIN: u64 = 5_000_000;

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = |ns: u64| (ns + 5_000_000) / 10_000_000;
        let seconds = |ns: u64| format!("{}.{:02} s", hundredths(ns) / 100, hundredths(ns) % 100);
        write!(f, "{}", seconds(self.whole_ns()))?;
        let told = Phase::ALL.into_iter().filter(|phase| self.phase_ns(*phase) >= TOLD_NS_MIN);
        for (index, phase) in told.enumerate() {
            let comma = if index == 0 { ":" } else { "," };
            write!(f, "{comma} {} {}", phase.name(), seconds(self.phase_ns(phase)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock::ManualClock;

    #[test]
    fn phases_are_summed_and_short_ones_are_left_out() {
        let at = |ms: u64| Box::new(ManualClock { now_ns: ms * 1_000_000, step_ns: 0 });
        let mut spent = Spent::begin(at(1_000));
        for (phase, ms) in [(Phase::Memory, 1_250), (Phase::Replay, 2_454), (Phase::Log, 2_458), (Phase::Replay, 3_259)]
        {
            spent.clock = at(ms);
            spent.ends(phase);
        }
        assert_eq!(spent.to_string(), "2.26 s: memory 0.25 s, replay 2.01 s");
        assert_eq!(spent.whole_ns(), Phase::ALL.map(|phase| spent.phase_ns(phase)).iter().sum::<u64>());
    }

    #[test]
    fn every_phase_stands_in_its_place() {
        assert!(Phase::ALL.iter().enumerate().all(|(index, phase)| *phase as usize == index));
    }
}
