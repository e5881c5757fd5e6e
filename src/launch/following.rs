//! The shadow on its thread beside a running venue: follows what is synced, takes snapshots when they are due, tells the
//! journal digests of the state, and holds the live matchers against its own. Cold.
//!
//! It opens itself on its own thread, from the newest snapshot, while the venue trades already; until it has caught up it
//! is simply behind. A turn is bounded in records; a snapshot takes a turn of its own, during which the shadow falls behind
//! by what is traded meanwhile, and nobody waits for it. When a disk refuses it gives its memory back, raises a counter and
//! begins anew after a pause: the journal goes on, only the next start would take longer. A state that differs is another
//! matter: then either this memory or that of the venue is wrong, and the process ends.
//!
//! **Digests.** At every `digest_records` records, unless it is far behind, the shadow works out the digest of its whole
//! state and sends it as a command of the venue, by the operator's cold way into the sequencer. When that record is
//! executed, each live matcher tells a summary of its books ([`crate::engine::book::Shard::summary`]), and the shadow
//! compares it with its twin's at the same record.

use super::LaunchFault;
use super::checks::Mismatch;
use super::shadow::Shadow;
use crate::config::Config;
use crate::journal::Disk;
use crate::matcher::Summary;
use crate::os::clock::Clock;
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::{MarkReader, Receiver, Sender};
use crate::runtime::runner::StopFlag;
use crate::types::{Command, Nanos, Number};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Records taken in one turn at most: a millisecond.
const RECORDS_A_TURN_MAX: usize = 2_048;
/// Digests behind from which on some are left out, so that the shadow catches up; then the last of them are told.
const BEHIND_MAX: u64 = 4;
const BEHIND_TOLD: u64 = 2;
/// Records since the newest snapshot that are worth another one at a stop, if they are fewer than between two.
const LAST_RECORDS_MIN: u64 = 1 << 16;
/// Records that a stop catches up on for a last snapshot: a second or two.
const LAST_RECORDS_MAX: u64 = 2_000_000;
/// Pause after a disk that refused.
const REOPEN_AFTER_NS: u64 = 30 * Nanos::SECOND;
/// Summaries of one shard that wait for their fellow; more are not under way at once.
const SUMMARIES_MAX: usize = 16;

/// The ends of the links that the shadow holds.
pub struct FollowingLinks {
    /// Highest record that is synced.
    pub synced: MarkReader,
    /// On the way to the sequencer.
    pub digests: Sender<Command>,
    /// One from each matcher.
    pub summaries: Vec<Receiver<Summary>>,
    /// Closes the intake.
    pub closed: StopFlag,
    /// Ends the process.
    pub stop: StopFlag,
    /// Where the cause is left.
    pub cause: Cause,
}

/// Why the shadow ended the process, for whoever ends it.
#[derive(Clone, Default, Debug)]
pub struct Cause(Arc<Mutex<Option<LaunchFault>>>);

impl Cause {
    /// Takes it, if there is one.
    pub fn take(&self) -> Option<LaunchFault> {
        self.0.lock().expect("nobody panics while holding it").take()
    }

    fn note(&self, fault: LaunchFault) {
        *self.0.lock().expect("nobody panics while holding it") = Some(fault);
    }
}

/// Counters of the shadow.
pub struct FollowingCounters {
    /// The last record it has taken.
    number: Counter,
    /// Snapshots written and verified.
    snapshots: Counter,
    /// Last record of the newest, and how long it took.
    snapshot_number: Counter,
    snapshot_ms: Counter,
    /// 1 while one is being written, verified and tidied up behind.
    taking: Counter,
    /// When it was written, in the host's steady time; 0 for one of an earlier run.
    snapshot_ns: Counter,
    /// Digests told to the journal, and summaries of live matchers that agreed.
    digests: Counter,
    summaries: Counter,
    /// 1 while a disk refuses or the files beside the segments cannot be used.
    failed: Counter,
}

impl FollowingCounters {
    /// Adds them all.
    pub fn new(counters: &mut Counters) -> FollowingCounters {
        let mut add = |name: &str| counters.add(&format!("shadow.{name}"));
        FollowingCounters {
            number: add("number"),
            snapshots: add("snapshots"),
            snapshot_number: add("snapshot_number"),
            snapshot_ms: add("snapshot_ms"),
            taking: add("taking"),
            snapshot_ns: add("snapshot_ns"),
            digests: add("digests"),
            summaries: add("summaries"),
            failed: add("failed"),
        }
    }
}

/// The agent.
pub struct Following {
    config: Config,
    links: FollowingLinks,
    counters: FollowingCounters,
    clock: Box<dyn Clock + Send>,
    disk: Box<dyn Disk>,
    shadow: Option<Shadow>,
    expected: Expected,
    /// Digests up to here were told by an earlier run, or need not be.
    told: Number,
    /// When the newest snapshot was written, or the shadow opened.
    taken_at_ns: u64,
    /// Last record at the last try to take a snapshot.
    tried: Number,
    reopen_at_ns: u64,
    has_ended: bool,
}

impl Following {
    /// Of an exchange with segments on `disk` that begins behind record `last`. `clock` does not go back.
    pub fn new(
        config: &Config,
        last: Number,
        links: FollowingLinks,
        counters: FollowingCounters,
        (mut clock, disk): (Box<dyn Clock + Send>, Box<dyn Disk>),
    ) -> Following {
        let now_ns = clock.now();
        Following {
            config: config.clone(),
            expected: Expected::of(links.summaries.len()),
            links,
            counters,
            clock,
            disk,
            shadow: None,
            told: last,
            taken_at_ns: now_ns,
            tried: Number(0),
            reopen_at_ns: now_ns,
            has_ended: false,
        }
    }

    fn turn(&mut self) -> Result<usize, LaunchFault> {
        if self.shadow.is_none() {
            return self.open();
        }
        let done = self.follow(RECORDS_A_TURN_MAX)?;
        let compared = self.expected.compare(&mut self.links.summaries).map_err(LaunchFault::State)?;
        self.counters.summaries.add(compared);
        if self.is_due() {
            self.take()?;
            return Ok(done + 1);
        }
        Ok(done)
    }

    fn open(&mut self) -> Result<usize, LaunchFault> {
        if self.clock.now() < self.reopen_at_ns {
            return Ok(0);
        }
        let Some(knobs) = &self.config.journal.segments else { return Ok(0) };
        // What cannot be used was told at the start already.
        let shadow = Shadow::open(&self.config, knobs, &mut Vec::new(), self.disk.another())?;
        self.counters.snapshot_number.set(shadow.taken().0);
        (self.tried, self.taken_at_ns) = (shadow.number(), self.clock.now());
        self.shadow = Some(shadow);
        Ok(1)
    }

    /// Takes up to `records` records.
    fn follow(&mut self, records: usize) -> Result<usize, LaunchFault> {
        let Some(shadow) = &mut self.shadow else { return Ok(0) };
        let (synced, every) = (self.links.synced.value(), self.config.journal.snapshots.digest_records);
        if synced.saturating_sub(shadow.number().0) > BEHIND_MAX * every {
            shadow.checks().skip_to(synced - BEHIND_TOLD * every);
        }
        let mut done = 0;
        while done < records
            && let Some(record) = shadow.step(synced)?
        {
            done += 1;
            if record.command.as_state_digest().is_some() {
                self.expected.note(record.number, shadow.twin().summaries());
            }
            if record.number.0.is_multiple_of(every) && record.number > self.told {
                let told = shadow.checks().newest().filter(|(number, _)| *number == record.number);
                let sent = told.is_some_and(|(number, digest)| {
                    self.links.digests.try_push(Command::state_digest(number, digest)).is_ok()
                });
                self.counters.digests.add(u64::from(sent));
            }
        }
        self.counters.number.set(shadow.number().0);
        Ok(done)
    }

    /// Whether enough has come since the last snapshot, or enough time has passed.
    fn is_due(&mut self) -> bool {
        let knobs = self.config.journal.snapshots;
        let Some(shadow) = &self.shadow else { return false };
        let since = shadow.number().0 - self.tried.0;
        since >= knobs.records
            || since > 0 && knobs.seconds > 0 && self.clock.now() - self.taken_at_ns >= knobs.seconds * Nanos::SECOND
    }

    fn take(&mut self) -> Result<(), LaunchFault> {
        let Some(shadow) = &mut self.shadow else { return Ok(()) };
        (self.tried, self.taken_at_ns) = (shadow.number(), self.clock.now());
        self.counters.taking.set(1);
        let taken = shadow.take().and_then(|taken| shadow.tidy().map(|_| taken));
        self.counters.taking.set(0);
        let taken = taken?;
        self.counters.snapshots.add(1);
        self.counters.snapshot_number.set(taken.number.0);
        self.counters.snapshot_ms.set(taken.took.as_millis() as u64);
        self.counters.snapshot_ns.set(self.clock.now());
        self.counters.failed.set(0);
        Ok(())
    }

    fn fail(&mut self, fault: LaunchFault) {
        self.counters.failed.set(1);
        self.shadow = None;
        self.expected = Expected::of(self.links.summaries.len());
        self.reopen_at_ns = self.clock.now() + REOPEN_AFTER_NS;
        if matches!(fault, LaunchFault::State(_)) {
            self.has_ended = true;
            self.links.cause.note(fault);
            self.links.closed.request();
            self.links.stop.request();
        }
    }

    /// A last snapshot, if it is worth one and does not take long.
    fn last(&mut self) -> Result<(), LaunchFault> {
        let Some(shadow) = &self.shadow else { return Ok(()) };
        let (taken, number, synced) = (shadow.taken().0, shadow.number().0, self.links.synced.value());
        if synced - taken < LAST_RECORDS_MIN.min(self.config.journal.snapshots.records)
            || synced - number > LAST_RECORDS_MAX
        {
            return Ok(());
        }
        while self.follow(RECORDS_A_TURN_MAX)? > 0 {}
        self.take()
    }
}

impl Agent for Following {
    fn name(&self) -> &str {
        "shadow"
    }

    fn work(&mut self) -> usize {
        if self.has_ended {
            return 0;
        }
        self.turn().unwrap_or_else(|fault| {
            self.fail(fault);
            0
        })
    }

    fn stop(&mut self) {
        if !self.has_ended
            && let Err(fault) = self.last()
        {
            self.fail(fault);
        }
    }
}

/// Summaries of the twin's shards that wait for those of the live ones.
struct Expected(Vec<VecDeque<Summary>>);

impl Expected {
    fn of(shards: usize) -> Expected {
        Expected(vec![VecDeque::with_capacity(SUMMARIES_MAX); shards])
    }

    fn note(&mut self, number: Number, summaries: impl Iterator<Item = u64>) {
        for (waiting, summary) in self.0.iter_mut().zip(summaries) {
            if waiting.len() == SUMMARIES_MAX {
                waiting.pop_front();
            }
            waiting.push_back(Summary { number, summary });
        }
    }

    /// Compares what has come. A summary without a fellow is passed over: one side began later, or had no room.
    fn compare(&mut self, live: &mut [Receiver<Summary>]) -> Result<u64, Mismatch> {
        let mut agreed = 0;
        for (waiting, live) in self.0.iter_mut().zip(live) {
            while let (Some(own), Some(other)) = (waiting.front().copied(), live.peek().copied()) {
                if own.number <= other.number {
                    waiting.pop_front();
                }
                if other.number <= own.number {
                    live.skip();
                }
                if own.number == other.number {
                    if own.summary != other.summary {
                        let (expected, found) = (own.summary, other.summary);
                        return Err(Mismatch { number: own.number, expected, found });
                    }
                    agreed += 1;
                }
            }
        }
        Ok(agreed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::link::bounded;

    #[test]
    fn a_live_matcher_that_stands_elsewhere_is_found_and_one_that_began_later_is_not_blamed() {
        let (mut tell, hear) = bounded::<Summary>(8);
        let mut live = [hear];
        let mut expected = Expected::of(1);
        [5, 9, 12].iter().for_each(|&n| expected.note(Number(n), [n * 10].into_iter()));
        for (number, summary) in [(9, 90), (10, 7), (12, 121)] {
            tell.try_push(Summary { number: Number(number), summary }).unwrap();
        }
        let found = expected.compare(&mut live);
        assert_eq!(found, Err(Mismatch { number: Number(12), expected: 120, found: 121 }));
        expected.note(Number(20), [1].into_iter());
        tell.try_push(Summary { number: Number(20), summary: 1 }).unwrap();
        assert_eq!(expected.compare(&mut live), Ok(1));
    }
}
