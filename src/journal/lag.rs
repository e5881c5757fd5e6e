//! [`Lag`]: how far the disk is behind the log, in records and in time, and the alarm about it.
//!
//! A cold agent on a thread other than the persister's, because the one who waits for a disk cannot say how long. It
//! watches two marks: when something is unsynced it remembers how far the log was and when it saw that, and until the disk
//! has come there the oldest unsynced record is at least so old. A turn is two loads and a look at the clock. What follows
//! from the lag is not decided here: see [`super::pressure`].

use crate::os::clock::Clock;
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::MarkReader;

const MILLISECOND_NS: u64 = 1_000_000;

/// What is told. Names begin with `disk.`.
struct LagCounters {
    behind_records: Counter,
    behind_ms: Counter,
    behind_ms_max: Counter,
    slow: Counter,
    slow_times: Counter,
}

/// The agent.
pub struct Lag<C> {
    appended: MarkReader,
    synced: MarkReader,
    clock: C,
    alarm_ns: u64,
    /// A record that was in the log and not on the disk, and when that was seen.
    waiting: Option<(u64, u64)>,
    is_slow: bool,
    counters: LagCounters,
}

impl<C: Clock + Send> Lag<C> {
    /// Alarms when the oldest unsynced record is `alarm_ms` old; 0 never.
    pub fn new(appended: MarkReader, synced: MarkReader, clock: C, alarm_ms: u32, counters: &mut Counters) -> Lag<C> {
        let mut add = |name: &str| counters.add(&format!("disk.{name}"));
        let counters = LagCounters {
            behind_records: add("behind_records"),
            behind_ms: add("behind_ms"),
            behind_ms_max: add("behind_ms_max"),
            slow: add("slow"),
            slow_times: add("slow_times"),
        };
        let alarm_ns = if alarm_ms == 0 { u64::MAX } else { u64::from(alarm_ms) * MILLISECOND_NS };
        Lag { appended, synced, clock, alarm_ns, waiting: None, is_slow: false, counters }
    }

    /// Age of the oldest unsynced record, at least; 0 when all is synced.
    fn age_ns(&mut self, appended: u64, synced: u64) -> u64 {
        if synced >= appended {
            self.waiting = None;
            return 0;
        }
        let now = self.clock.now();
        match self.waiting {
            Some((number, since)) if synced < number => now.saturating_sub(since),
            Some(_) | None => {
                self.waiting = Some((appended, now));
                0
            }
        }
    }
}

impl<C: Clock + Send> Agent for Lag<C> {
    fn name(&self) -> &str {
        "lag"
    }

    /// Never counts as work: looking at a busy disk is no reason to look more often.
    fn work(&mut self) -> usize {
        // In this order, so that what is synced meanwhile does not look unsynced.
        let (appended, synced) = (self.appended.value(), self.synced.value());
        let age_ns = self.age_ns(appended, synced);
        let age_ms = age_ns / MILLISECOND_NS;
        self.counters.behind_records.set(appended.saturating_sub(synced));
        self.counters.behind_ms.set(age_ms);
        self.counters.behind_ms_max.set(age_ms.max(self.counters.behind_ms_max.value()));
        let is_slow = age_ns >= self.alarm_ns;
        if is_slow && !self.is_slow {
            self.counters.slow_times.add(1);
        }
        self.is_slow = is_slow;
        self.counters.slow.set(u64::from(is_slow));
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::link::mark;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Default)]
    struct Hand(Arc<AtomicU64>);

    impl Clock for Hand {
        fn now(&mut self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn the_alarm_is_on_while_the_oldest_unsynced_record_is_too_old() {
        let (mut appended, appended_reader) = mark();
        let (mut synced, synced_reader) = mark();
        let (hand, mut counters) = (Hand::default(), Counters::anonymous(8).unwrap());
        let mut lag = Lag::new(appended_reader, synced_reader, hand.clone(), 100, &mut counters);
        let mut seen = Vec::new();
        // Time in ms, last record in the log, last one on the disk.
        for (ms, log, disk) in [
            (0, 5, 5),
            (10, 9, 5),
            (60, 20, 8),
            (110, 30, 9),
            (150, 31, 9),
            (209, 40, 29),
            (210, 40, 29),
            (211, 40, 30),
        ] {
            hand.0.store(ms * MILLISECOND_NS, Ordering::Relaxed);
            appended.set(log);
            synced.set(disk);
            assert_eq!(lag.work(), 0);
            seen.push((lag.counters.behind_records.value(), lag.counters.behind_ms.value(), lag.counters.slow.value()));
        }
        let expected =
            [(0, 0, 0), (4, 0, 0), (12, 50, 0), (21, 0, 0), (22, 40, 0), (11, 99, 0), (11, 100, 1), (10, 0, 0)];
        assert_eq!(seen, expected);
        assert_eq!((lag.counters.behind_ms_max.value(), lag.counters.slow_times.value()), (100, 1));
    }
}
