//! Whether the player kept its own schedule, and every measured request as it went: what a figure's worth is judged by.
//!
//! A latency counts from the intended time of sending, so a late send hides nothing; but when the player itself was
//! late, the figure says more about the player's core than about the venue. So each late send is put to somebody's
//! account: to the venue, when a step had to wait for its window or for the transport, and else to the player. A
//! percentile holds when the player was late for few enough sends to leave it standing.

use crate::runtime::way_file::Who;
use serde::{Deserialize, Serialize};

/// A send so long after its time is late. Below lie the sends of one burst, one after the other, a microsecond or two
/// each; far above lies what takes a thread off its core (50 us for each tick of a virtual machine's timer).
pub const LATE_NS: u64 = 20_000;
/// A percentile holds while the player was late for at most this part, one in so many, of what lies beyond it.
const BEYOND_PART: u64 = 2;

/// Sends and how many were late.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Lateness {
    /// Measured sends.
    pub sends: u64,
    /// Late by the player's own fault.
    pub late: u64,
    /// Late because the venue had not answered enough, or took nothing more.
    pub held: u64,
    /// The player's own worst.
    pub worst_ns: u64,
}

impl Lateness {
    /// Takes one send in: so long after its time, and whether a step before it was held back.
    #[inline]
    pub fn note(&mut self, slip_ns: u64, was_held: bool) {
        self.sends += 1;
        if slip_ns <= LATE_NS {
            return;
        }
        if was_held {
            self.held += 1;
        } else {
            self.late += 1;
            self.worst_ns = self.worst_ns.max(slip_ns);
        }
    }

    /// Adds another's sends.
    pub fn add(&mut self, other: &Lateness) {
        self.sends += other.sends;
        self.late += other.late;
        self.held += other.held;
        self.worst_ns = self.worst_ns.max(other.worst_ns);
    }

    /// Whether a percentile beyond which lies one send in `beyond` is the venue's and not the player's.
    pub fn holds(&self, beyond: u64) -> bool {
        u128::from(self.late) * u128::from(beyond) * u128::from(BEYOND_PART) <= u128::from(self.sends)
    }

    /// Whether the run says anything about the venue: one whose p99 is the player's does not.
    pub fn is_valid(&self) -> bool {
        self.sends > 0 && self.holds(100)
    }
}

/// One measured request, in the host's steady time. 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// When it was meant to be sent.
    pub due_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// When its first answer was there.
    pub answered_ns: u64,
    /// By what its session and the venue know it; [`Who::NOBODY`] for one without a number of its own, such as a cancel.
    pub who: Who,
}

impl Sample {
    /// From the intended time to the answer.
    pub const fn intended_ns(&self) -> u64 {
        self.answered_ns.saturating_sub(self.due_ns)
    }

    /// From the sending itself to the answer.
    pub const fn service_ns(&self) -> u64 {
        self.answered_ns.saturating_sub(self.sent_ns)
    }
}

/// Samples in the order of their answers: as many as there was memory taken for, later ones are only counted.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    kept: Vec<Sample>,
    beyond: u64,
}

impl Samples {
    /// Room for so many, touched.
    pub fn new(capacity: usize) -> Samples {
        // Written once, so that no page is missing when the first one comes. Zeroes would be promised, not given.
        let mut kept = vec![Sample { due_ns: 1, sent_ns: 1, answered_ns: 1, who: Who::NOBODY }; capacity];
        kept.clear();
        Samples { kept, beyond: 0 }
    }

    /// Keeps one. No allocation; hot.
    #[inline]
    pub fn push(&mut self, sample: Sample) {
        if self.kept.len() < self.kept.capacity() {
            self.kept.push(sample);
        } else {
            self.beyond += 1;
        }
    }

    /// Forgets all; keeps the memory.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.beyond = 0;
    }

    /// Those kept.
    pub fn kept(&self) -> &[Sample] {
        &self.kept
    }

    /// How many found no room.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(slips: &[(u64, bool, u64)]) -> Lateness {
        let mut lateness = Lateness::default();
        for &(slip, held, times) in slips {
            (0..times).for_each(|_| lateness.note(slip, held));
        }
        lateness
    }

    #[test]
    fn a_percentile_holds_while_twice_the_late_sends_fit_beyond_it() {
        let lateness = noted(&[(0, false, 99_950), (LATE_NS + 1, false, 50)]);
        assert!(lateness.holds(100) && lateness.holds(1_000) && !lateness.holds(10_000));
        assert!(lateness.is_valid());
        assert!(!noted(&[(0, false, 993), (LATE_NS + 1, false, 7)]).is_valid());
        assert!(!Lateness::default().is_valid(), "nothing was measured");
    }

    #[test]
    fn what_the_venue_held_back_is_not_the_players_fault() {
        let lateness = noted(&[(0, false, 10), (50_000, true, 10), (70_000, false, 1)]);
        assert_eq!(lateness, Lateness { sends: 21, late: 1, held: 10, worst_ns: 70_000 });
        let mut all = lateness;
        all.add(&lateness);
        assert_eq!((all.sends, all.late, all.held, all.worst_ns), (42, 2, 20, 70_000));
    }

    #[test]
    fn samples_beyond_the_memory_taken_are_counted() {
        let mut samples = Samples::new(2);
        let sample = Sample { due_ns: 10, sent_ns: 15, answered_ns: 40, who: Who::NOBODY };
        (0..3).for_each(|_| samples.push(sample));
        assert_eq!((samples.kept().len(), samples.beyond()), (2, 1));
        assert_eq!((sample.intended_ns(), sample.service_ns()), (30, 25));
        samples.clear();
        assert_eq!((samples.kept().len(), samples.beyond()), (0, 0));
    }
}
