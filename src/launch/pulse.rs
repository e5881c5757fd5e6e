//! The sign of life of a running exchange, and how far its journal is, as counters: cold.
//!
//! The marks that stages meet by live in their memory, so that nobody outside could see how far they are. One agent among
//! the cold ones copies them each time it comes by, some fifty times a second, and says with the host's steady time that
//! it did: files outlive a process, and who reads counters must be able to tell a quiet exchange from one that is gone.

use crate::os::clock::Clock;
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::MarkReader;

const SECOND_NS: u64 = 1_000_000_000;

/// The marks it watches.
pub struct PulseMarks {
    /// Highest record in the log.
    pub appended: MarkReader,
    /// Highest committed record.
    pub committed: MarkReader,
    /// Highest record synced on a disk, where there are segments.
    pub synced: Option<MarkReader>,
    /// Highest record whose outputs have left.
    pub delivered: MarkReader,
}

struct PulseCounters {
    alive_ns: Counter,
    seconds: Counter,
    appended: Counter,
    committed: Counter,
    synced: Counter,
    delivered: Counter,
    log_used: Counter,
}

/// The agent.
pub struct Pulse<C> {
    marks: PulseMarks,
    clock: C,
    began_ns: u64,
    /// Records in the log, and the highest of them, at start.
    log_at_start: (u64, u64),
    counters: PulseCounters,
}

impl<C: Clock + Send> Pulse<C> {
    /// Of an exchange whose log has room for `log_records` and holds `log_used`. `clock` does not go back.
    pub fn new(marks: PulseMarks, mut clock: C, log_records: u64, log_used: u64, counters: &mut Counters) -> Pulse<C> {
        counters.add("journal.log_records").set(log_records);
        let mut add = |name: &str| counters.add(name);
        let counters = PulseCounters {
            alive_ns: add("process.alive_ns"),
            seconds: add("process.seconds"),
            appended: add("journal.appended"),
            committed: add("journal.committed"),
            synced: add("journal.synced"),
            delivered: add("journal.delivered"),
            log_used: add("journal.log_used"),
        };
        let log_at_start = (log_used, marks.appended.value());
        Pulse { began_ns: clock.now(), marks, clock, log_at_start, counters }
    }
}

impl<C: Clock + Send> Agent for Pulse<C> {
    fn name(&self) -> &str {
        "pulse"
    }

    /// Never counts as work: being there is no reason to come by more often.
    fn work(&mut self) -> usize {
        let (marks, counters) = (&self.marks, &self.counters);
        // Each before the one it runs ahead of, so that no lag is seen which is not there.
        let delivered = marks.delivered.value();
        let synced = marks.synced.as_ref().map(MarkReader::value);
        let committed = marks.committed.value();
        let appended = marks.appended.value();
        counters.delivered.set(delivered);
        counters.synced.set(synced.unwrap_or(0));
        counters.committed.set(committed);
        counters.appended.set(appended);
        // What is synced leaves the log; without segments nothing does.
        let (used, number) = self.log_at_start;
        counters.log_used.set(synced.map_or(used + (appended - number), |synced| appended - synced.min(appended)));
        let now = self.clock.now();
        counters.seconds.set((now - self.began_ns.min(now)) / SECOND_NS);
        // Last: who sees it sees the rest at least as new.
        counters.alive_ns.set(now);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock::ManualClock;
    use crate::runtime::link::mark;
    use std::collections::BTreeMap;

    fn told(has_segments: bool) -> BTreeMap<String, u64> {
        let [(mut appended, a), (mut committed, c), (mut synced, s), (mut delivered, d)] =
            std::array::from_fn(|_| mark());
        [&mut appended, &mut committed, &mut synced, &mut delivered].into_iter().for_each(|mark| mark.set(100));
        let marks = PulseMarks { appended: a, committed: c, synced: has_segments.then_some(s), delivered: d };
        let mut counters = Counters::anonymous(8).unwrap();
        let clock = ManualClock { now_ns: 5 * SECOND_NS, step_ns: 0 };
        let mut pulse = Pulse::new(marks, clock, 1_000, 30, &mut counters);
        appended.set(150);
        committed.set(140);
        synced.set(120);
        delivered.set(130);
        pulse.clock.now_ns += 3 * SECOND_NS + 1;
        assert_eq!(pulse.work(), 0);
        counters.values().into_iter().collect()
    }

    #[test]
    fn marks_the_use_of_the_log_and_a_sign_of_life_are_told() {
        let values = told(true);
        let told_of = |name: &str| values[name];
        assert_eq!(
            ["appended", "committed", "synced", "delivered"].map(|n| told_of(&format!("journal.{n}"))),
            [150, 140, 120, 130]
        );
        assert_eq!([told_of("journal.log_records"), told_of("journal.log_used")], [1_000, 30], "30 are not synced");
        assert_eq!([told_of("process.seconds"), told_of("process.alive_ns")], [3, 8 * SECOND_NS + 1]);
    }

    #[test]
    fn a_log_without_segments_fills_from_where_it_was() {
        let values = told(false);
        assert_eq!([values["journal.log_used"], values["journal.synced"]], [80, 0]);
    }
}
