//! [`Persister`]: moves the log's records to segments on disk, a group at a time, and says how far they are safe.
//!
//! A cold agent on a thread of its own. It follows the log as any reader does, checks each record once more, and hands
//! what is new to the disk straight from the log's memory: the writes of a group and the sync that makes it durable,
//! then the mark moves. While one group is under way the next one gathers, so that a slow disk makes groups larger
//! and not the queue longer. Between groups it makes the next segment, a chunk of zeros at a time. A turn is bounded
//! by [`GROUP_RECORDS_MAX`] and a chunk.
//!
//! What is synced may leave the log: the persister clears it and gives the room back. So the log is bounded by its size and
//! not by the day: it holds what the disk does not have yet.
//!
//! With `survives = "power-loss"` its mark is the commit mark. When the disk is slow the gate fills (with the other
//! promise the log), then the links, then the gateways leave their sockets unread; nothing is dropped, nobody waits here.
//!
//! The first write or sync that fails is the last: the intake is closed, the fault is kept for the exit, and nothing is
//! tried again, because a sync that succeeds after one that failed says nothing about what the first had to write. A
//! disk too full for the *next* segment is another matter: nothing is lost, a counter alarms, the step is tried again,
//! and its [`Gauge`] tells the sequencer how many records still fit, so that new orders are refused before records have
//! to wait.

use super::disk::Disk;
use super::fault::JournalFault;
use super::pressure::Gauge;
use super::release::Release;
use super::segment::{GROUP_BYTES_MAX, SegmentWriter};
use super::{LogReader, RECORD_BYTES};
use crate::os::clock::{Clock, wake_on_time};
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::MarkWriter;
use crate::runtime::runner::StopFlag;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

/// Records of one group at most.
pub const GROUP_RECORDS_MAX: usize = GROUP_BYTES_MAX / RECORD_BYTES;
/// Quiet after which a mark says that all is synced. Longer than the pauses of a busy venue, so that no order waits for
/// it; short, because damage to the last group can be told from a write cut off only with that mark.
const SETTLE_AFTER_NS: u64 = 50_000_000;
/// Pause before the next try of a full disk.
const FULL_PAUSE_NS: u64 = 200_000_000;

/// Counters of the persister.
pub struct PersisterCounters {
    /// Records synced.
    pub records: Counter,
    /// Groups they came in, each one sync.
    pub groups: Counter,
    /// Segments of the journal.
    pub segments: Counter,
    /// Records that the segment being written still takes.
    pub segment_free: Counter,
    /// 1 while the disk has no room for the next segment: the alarm, a whole segment ahead at best.
    pub disk_full: Counter,
    /// Turns in which records waited for the next segment.
    pub held_back: Counter,
    /// 1 once the disk has failed.
    pub failed: Counter,
}

impl PersisterCounters {
    /// Adds them all.
    pub fn new(counters: &mut Counters) -> PersisterCounters {
        let mut add = |name: &str| counters.add(&format!("persister.{name}"));
        PersisterCounters {
            records: add("records"),
            groups: add("groups"),
            segments: add("segments"),
            segment_free: add("segment_free"),
            disk_full: add("disk_full"),
            held_back: add("held_back"),
            failed: add("failed"),
        }
    }
}

/// The fault that ended the persister, for whoever ends the process.
#[derive(Clone, Debug, Default)]
pub struct Failure(Arc<Mutex<Option<JournalFault>>>);

impl Failure {
    /// Takes the fault, if there was one.
    pub fn take(&self) -> Option<JournalFault> {
        self.0.lock().expect("nobody panics while holding it").take()
    }

    /// Whether there was one.
    pub fn happened(&self) -> bool {
        self.0.lock().expect("nobody panics while holding it").is_some()
    }

    fn note(&self, fault: JournalFault) {
        *self.0.lock().expect("nobody panics while holding it") = Some(fault);
    }
}

/// What the persister tells others by.
pub struct PersisterLinks {
    /// Highest number that survives a loss of power.
    pub synced: MarkWriter,
    /// Gives the log's room back.
    pub room: Release,
    /// Closes the intake.
    pub closed: StopFlag,
    /// Ends the process.
    pub stop: StopFlag,
    /// Where the fault is left.
    pub failure: Failure,
}

/// The agent.
pub struct Persister {
    log: LogReader,
    segments: SegmentWriter,
    disk: Box<dyn Disk>,
    links: PersisterLinks,
    counters: PersisterCounters,
    clock: Box<dyn Clock + Send>,
    quiet_since_ns: u64,
    full_since_ns: Option<u64>,
    has_failed: bool,
    gauge: Option<Gauge>,
}

impl Persister {
    /// Follows `log` from the record on that `segments` lack. `clock` does not go back.
    pub fn new(
        log: LogReader,
        segments: SegmentWriter,
        disk: Box<dyn Disk>,
        mut links: PersisterLinks,
        counters: PersisterCounters,
        mut clock: Box<dyn Clock + Send>,
    ) -> Persister {
        assert!(log.link() == segments.next(), "the persister begins where the segments end");
        links.room.release(segments.next());
        counters.segments.set(segments.count());
        counters.segment_free.set(segments.free_records() as u64);
        let quiet_since_ns = clock.now();
        Persister {
            log,
            segments,
            disk,
            links,
            counters,
            clock,
            quiet_since_ns,
            full_since_ns: None,
            has_failed: false,
            gauge: None,
        }
    }

    /// Has the sequencer told by `gauge` how much room there is.
    pub fn with_gauge(mut self, gauge: Gauge) -> Persister {
        self.gauge = Some(gauge);
        self
    }

    fn turn(&mut self) -> Result<usize, JournalFault> {
        let mut done = self.move_group()?;
        if done == 0 || self.segments.is_half_full() {
            done += usize::from(self.prepare()?);
        }
        if self.segments.free_records() == 0 && self.segments.is_ahead() {
            self.segments.roll(&mut *self.disk)?;
            self.counters.segments.set(self.segments.count());
            done += 1;
        }
        self.tell_room();
        Ok(done)
    }

    fn tell_room(&mut self) {
        let Some(gauge) = &mut self.gauge else { return };
        let full_after =
            self.full_since_ns.map(|_| self.segments.next().number - 1 + self.segments.room_records() as u64);
        gauge.set(self.links.synced.value(), full_after);
    }

    /// Writes and syncs what the log has beyond the segments, as far as a group and the segment go.
    fn move_group(&mut self) -> Result<usize, JournalFault> {
        let began = self.log.tail();
        // Up to the ring's end: what follows is at its beginning and goes with the next group.
        let most = GROUP_RECORDS_MAX.min(self.segments.free_records()).min(self.log.in_a_stretch());
        let mut records = 0;
        while records < most && self.log.next_view()?.is_some() {
            records += 1;
        }
        if records == 0 {
            return self.rest();
        }
        let bytes = self.log.bytes_since(began, records);
        self.segments.append(bytes, self.log.link(), &mut *self.disk)?;
        self.links.synced.set(self.log.number_next() - 1);
        // After the mark that acknowledgements wait for.
        self.links.room.release(self.log.link());
        self.counters.records.add(records as u64);
        self.counters.groups.add(1);
        self.counters.segment_free.set(self.segments.free_records() as u64);
        self.quiet_since_ns = self.clock.now();
        Ok(records)
    }

    /// Nothing was moved: because the segment is full, or because there is nothing new.
    fn rest(&mut self) -> Result<usize, JournalFault> {
        if self.segments.free_records() == 0 {
            self.counters.held_back.add(1);
        } else if self.clock.now() - self.quiet_since_ns > SETTLE_AFTER_NS {
            self.segments.settle(&mut *self.disk)?;
        }
        Ok(0)
    }

    /// A step towards the next segment. A full disk is told and tried again after a pause.
    fn prepare(&mut self) -> Result<bool, JournalFault> {
        if self.full_since_ns.is_some_and(|since_ns| self.clock.now() - since_ns < FULL_PAUSE_NS) {
            return Ok(false);
        }
        match self.segments.prepare(&mut *self.disk) {
            Err(JournalFault::Disk { error, .. }) if is_full(&error) => {
                self.counters.disk_full.set(1);
                self.full_since_ns = Some(self.clock.now());
                Ok(false)
            }
            other => {
                let stepped = other?;
                self.counters.disk_full.set(0);
                self.full_since_ns = None;
                Ok(stepped)
            }
        }
    }

    /// Moves all that the log has, and says in a mark that it is synced. Nobody is appending.
    /// # Errors
    /// `Disk`, or damage in the log.
    pub fn catch_up(&mut self) -> Result<(), JournalFault> {
        loop {
            if self.move_group()? > 0 {
                continue;
            }
            if self.segments.free_records() > 0 {
                return self.segments.settle(&mut *self.disk);
            }
            while self.segments.prepare(&mut *self.disk)? {}
            self.segments.roll(&mut *self.disk)?;
        }
    }

    fn fail(&mut self, fault: JournalFault) {
        self.has_failed = true;
        self.counters.failed.set(1);
        self.links.failure.note(fault);
        self.links.closed.request();
        self.links.stop.request();
    }
}

impl Agent for Persister {
    fn name(&self) -> &str {
        "persister"
    }

    fn start(&mut self) {
        wake_on_time();
    }

    fn work(&mut self) -> usize {
        if self.has_failed {
            return 0;
        }
        self.turn().unwrap_or_else(|fault| {
            self.fail(fault);
            0
        })
    }

    fn stop(&mut self) {
        if !self.has_failed
            && let Err(fault) = self.catch_up()
        {
            self.fail(fault);
        }
    }
}

/// Whether this says that there is no room, which passes, and not that the disk is broken.
fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
