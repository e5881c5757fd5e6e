//! How much room the journal has left, and who may still use it.
//!
//! Room is counted in records: what the log can take, and, where the disk is full or slow, what it can take until the
//! limit of that. As it shrinks, fewer may write, so that those who make the venue's risk smaller are heard the longest:
//!
//! | room, in records | [`Intake`] | who is heard |
//! |---|---|---|
//! | above the reserve | `All` | everybody |
//! | to the reserve | `NoOrders` | new orders are refused, each by a record with its reason |
//! | to half of it | `CancelsOnly` | clients may only cancel and reduce; each is refused a few more orders, then disconnected without a record |
//! | to an eighth of it, at most [`OPERATOR_RECORDS_MAX`] | `OperatorOnly` | clients are not read; operators and the calendar are heard |
//! | none | `Nobody` | nobody |
//!
//! What the disk alone lacks goes no further than `OperatorOnly`, and where acknowledgements do not wait for the disk, no
//! further than `CancelsOnly`: cancels then go on in the log as long as that has room.
//!
//! The second half of the reserve exists because refusals are records, too: however many orders are sent, they eat the first
//! half and a quarter of it ([`PressureLimits::asked_max`]), the rest is for cancels. Those few are refused by records and
//! not cut off, because a client that was cut off must learn what became of its last orders before it goes on. Every bound
//! but the last is one of policy; the last is the log's end. A level is left again only when there is a quarter of the
//! reserve (for the disk, of its limit if that is less) more room than it was entered at, so that nobody is taken and
//! refused in turns.
//!
//! Three threads. The persister's [`Gauge`] tells the sequencer by one word through which number there is room, which also
//! bounds how far the disk may be behind: the sequencer sees a disk that stands still without a word from the persister,
//! because its own numbers go on. The sequencer's [`Pressure`] judges before each command, one load and two comparisons
//! while there is room; its verdict is in the record, so that a replay asks no disk. The gateway sees the level by
//! [`IntakeReader`] and closes connections at `CancelsOnly`.

use crate::runtime::counters::{Counter, Counters};
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records kept for operators at most: more than people send.
pub const OPERATOR_RECORDS_MAX: u64 = 1_024;
/// Bit of the word that says that the bound is a full disk and not a slow one.
const FULL: u64 = 1;
/// A number that no journal reaches.
const NO_BOUND: u64 = u64::MAX >> 1;

/// Who may write records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Intake {
    /// Everybody.
    All = 0,
    /// No new orders.
    NoOrders = 1,
    /// Of clients, those that cancel or reduce.
    CancelsOnly = 2,
    /// Operators and the calendar.
    OperatorOnly = 3,
    /// The log is full.
    Nobody = 4,
}

impl Intake {
    const LEVELS: [Intake; 5] =
        [Intake::All, Intake::NoOrders, Intake::CancelsOnly, Intake::OperatorOnly, Intake::Nobody];
}

/// The stated limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PressureLimits {
    /// Room, in records, below which new orders are refused.
    pub reserve: u64,
    /// Records in the log and not yet on the disk from which on they are refused, too; 0: only the log bounds them.
    pub unsynced_max: u64,
    /// Whether acknowledgements wait for the disk.
    pub acknowledges_on_disk: bool,
}

/// Records that there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Room {
    /// In the log.
    log: u64,
    /// Until the disk's limit.
    disk: u64,
}

impl PressureLimits {
    /// Requests that each of so many sessions may have refused at `CancelsOnly`, and queries it may make: together a quarter
    /// of the reserve.
    pub fn asked_max(&self, sessions: usize) -> u64 {
        self.reserve / 8 / sessions.max(1) as u64
    }

    /// The level that so much room means, as far as one of the two has it.
    fn level(&self, room: u64) -> Intake {
        let bounds = [0, (self.reserve / 8).min(OPERATOR_RECORDS_MAX), self.reserve / 2, self.reserve];
        let within = bounds.iter().position(|&bound| room <= bound);
        within.map_or(Intake::All, |at| Intake::LEVELS[bounds.len() - at])
    }

    fn level_of(&self, room: Room) -> Intake {
        // A cancel that is acknowledged from the log needs no room on the disk, and the log has room for operators.
        let milder = if self.acknowledges_on_disk { Intake::OperatorOnly } else { Intake::CancelsOnly };
        self.level(room.log).max(self.level(room.disk).min(milder))
    }

    /// The level after `now` when there is so much room: a stricter one at once, a milder one with a margin.
    fn next(&self, now: Intake, room: Room) -> Intake {
        let margin = self.reserve / 4;
        // A disk that is level leaves no more room than its limit.
        let margin_disk = if self.unsynced_max == 0 { margin } else { margin.min(self.unsynced_max / 4) };
        let margin = Room { log: room.log.saturating_sub(margin), disk: room.disk.saturating_sub(margin_disk) };
        self.level_of(room).max(self.level_of(margin).min(now))
    }
}

type Word = Arc<CachePadded<AtomicU64>>;

/// The persister's end: tells through which number there is room.
#[derive(Debug)]
pub struct Gauge {
    word: Word,
    limits: PressureLimits,
}

impl Gauge {
    /// `synced` records are on the disk. `full_after`: the number of the last record that a full disk has room for.
    #[inline]
    pub fn set(&mut self, synced: u64, full_after: Option<u64>) {
        let slow_after = match self.limits.unsynced_max {
            0 => NO_BOUND,
            records => synced + records + self.limits.reserve,
        };
        let word = match full_after {
            Some(after) if after <= slow_after => after << 1 | FULL,
            Some(_) | None => slow_after << 1,
        };
        // A bound and nothing more: no other memory is read on the strength of it. Pairs with the loads in `Pressure`.
        if self.word.load(Ordering::Relaxed) != word {
            self.word.store(word, Ordering::Relaxed);
        }
    }
}

/// The gateway's end: the level the sequencer is at.
#[derive(Clone, Debug)]
pub struct IntakeReader(Word);

impl IntakeReader {
    /// Of an exchange whose journal never ends: tests of the gateway alone.
    pub fn unbounded() -> IntakeReader {
        IntakeReader(Word::default())
    }

    /// Whether clients may still do more than cancel. The line is written when the level changes, and at no other time.
    #[inline]
    pub fn takes_requests(&self) -> bool {
        // Advice: the sequencer judges what comes all the same. Pairs with the store in `Pressure::look`.
        self.0.load(Ordering::Relaxed) < Intake::CancelsOnly as u64
    }
}

/// What the sequencer counts here.
#[derive(Debug)]
pub struct PressureCounters {
    /// The level, see [`Intake`].
    pub intake: Counter,
    /// Times it changed.
    pub changes: Counter,
    /// 1 while clients are not read for want of room.
    pub log_full: Counter,
}

impl PressureCounters {
    /// Adds them all.
    pub fn new(counters: &mut Counters) -> PressureCounters {
        let mut add = |name: &str| counters.add(&format!("sequencer.{name}"));
        PressureCounters { intake: add("intake"), changes: add("intake_changes"), log_full: add("log_full") }
    }
}

/// The sequencer's end.
#[derive(Debug)]
pub struct Pressure {
    word: Word,
    told: Word,
    limits: PressureLimits,
    now: Intake,
    /// Room above which a level of `All` needs no closer look.
    calm_above: u64,
    is_full: bool,
    has_disk: bool,
    counters: PressureCounters,
}

/// The three ends. `synced` is the last record on the disk; `None` without segments, where the gauge has no use.
pub fn pressure(
    limits: PressureLimits,
    synced: Option<u64>,
    counters: PressureCounters,
) -> (Pressure, Gauge, IntakeReader) {
    let (word, told) = (Word::new(CachePadded::new(AtomicU64::new(NO_BOUND << 1))), Word::default());
    let mut gauge = Gauge { word: Arc::clone(&word), limits };
    if let Some(synced) = synced {
        gauge.set(synced, None);
    }
    let reader = IntakeReader(Arc::clone(&told));
    let (calm_above, has_disk) = (limits.reserve, synced.is_some());
    let pressure = Pressure { word, told, limits, now: Intake::All, calm_above, is_full: false, has_disk, counters };
    (pressure, gauge, reader)
}

impl Pressure {
    /// Whether everybody may write the record after `number`, when the log has room for at least `log_free` more. If not,
    /// [`Pressure::look`] says who may. Hot.
    #[inline]
    pub fn is_calm(&self, number: u64, log_free: u64) -> bool {
        let disk = self.word.load(Ordering::Relaxed) >> 1;
        log_free.min(disk.saturating_sub(number)) > self.calm_above && self.now == Intake::All
    }

    /// Who may write the record after `number`, when the log has room for `log_free` more.
    #[cold]
    pub fn look(&mut self, number: u64, log_free: u64) -> Intake {
        let word = self.word.load(Ordering::Relaxed);
        let room = Room { log: log_free, disk: (word >> 1).saturating_sub(number) };
        self.is_full = word & FULL != 0;
        let next = self.limits.next(self.now, room);
        if next != self.now {
            self.now = next;
            self.told.store(next as u64, Ordering::Relaxed);
            self.counters.intake.set(next as u64);
            self.counters.log_full.set(u64::from(next >= Intake::OperatorOnly));
            self.counters.changes.add(1);
        }
        next
    }

    /// Whether the cause is a disk that is behind, and not one, or a log, that is full. As of the last look.
    pub fn is_behind(&self) -> bool {
        self.has_disk && !self.is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const LIMITS: PressureLimits = PressureLimits { reserve: 80, unsynced_max: 200, acknowledges_on_disk: true };

    fn ends(limits: PressureLimits, synced: Option<u64>) -> (Pressure, Gauge, IntakeReader) {
        pressure(limits, synced, PressureCounters::new(&mut Counters::anonymous(3).unwrap()))
    }

    /// Levels seen as room falls record by record, each with the room it was entered at.
    fn falling(from: u64) -> Vec<(u64, Intake)> {
        let (mut pressure, _, _) = ends(LIMITS, None);
        let mut seen = Vec::new();
        for room in (0..=from).rev() {
            let calm = pressure.is_calm(0, room);
            let level = pressure.look(0, room);
            assert_eq!(calm, level == Intake::All, "at {room}");
            if seen.last().is_none_or(|&(_, last)| last != level) {
                seen.push((room, level));
            }
        }
        seen
    }

    #[test]
    fn who_is_heard_narrows_at_the_stated_rooms() {
        let expected = [
            (100, Intake::All),
            (80, Intake::NoOrders),
            (40, Intake::CancelsOnly),
            (10, Intake::OperatorOnly),
            (0, Intake::Nobody),
        ];
        assert_eq!(falling(100), expected);
    }

    #[test]
    fn a_level_is_left_only_with_a_quarter_of_the_reserve_more() {
        let (mut pressure, _, reader) = ends(LIMITS, None);
        let rooms = [80, 81, 100, 101, 80, 40, 41, 60, 61, 30, 10, 30, 31, 200];
        let levels = rooms.map(|room| pressure.look(0, room) as u8);
        assert_eq!(levels, [1, 1, 1, 0, 1, 2, 2, 2, 1, 2, 3, 3, 2, 0]);
        assert!(reader.takes_requests());
    }

    #[test]
    fn a_reserve_of_nothing_still_ends_with_the_log() {
        for reserve in 0..4 {
            let (mut pressure, _, _) = ends(PressureLimits { reserve, ..PressureLimits::default() }, None);
            assert_eq!([reserve + 1, 0].map(|room| pressure.look(7, room)), [Intake::All, Intake::Nobody]);
            assert_eq!(pressure.look(7, 100), Intake::All);
        }
    }

    #[test]
    fn a_disk_that_stands_still_is_seen_by_the_numbers_that_go_on() {
        let (mut pressure, mut gauge, reader) = ends(LIMITS, Some(1_000));
        let mut look = |number| pressure.look(number, 1 << 20);
        assert_eq!([1_000, 1_199, 1_200, 1_239].map(&mut look), [0, 0, 1, 1].map(|at| Intake::LEVELS[at]));
        assert!(reader.takes_requests());
        assert_eq!([1_240, 1_270, 2_000].map(&mut look), [2, 3, 3].map(|at| Intake::LEVELS[at]));
        assert!(!reader.takes_requests());
        gauge.set(2_000, None);
        assert_eq!(look(2_000), Intake::All);
        assert!(reader.takes_requests() && pressure.is_behind());
    }

    #[test]
    fn a_limit_far_below_the_reserve_is_left_again_when_the_disk_is_level() {
        for unsynced_max in 1..60 {
            let (mut pressure, mut gauge, _) = ends(PressureLimits { unsynced_max, ..LIMITS }, Some(0));
            assert_eq!(pressure.look(unsynced_max, 1 << 20), Intake::NoOrders);
            gauge.set(unsynced_max, None);
            assert_eq!(pressure.look(unsynced_max, 1 << 20), Intake::All, "{unsynced_max}");
        }
    }

    #[test]
    fn cancels_go_on_in_the_log_where_acknowledgements_do_not_wait_for_the_disk() {
        let (mut pressure, mut gauge, _) = ends(PressureLimits { acknowledges_on_disk: false, ..LIMITS }, Some(0));
        gauge.set(0, Some(100));
        let levels = [(20, 500), (60, 460), (100, 420), (439, 81), (479, 41), (510, 10), (520, 0)];
        let levels = levels.map(|(number, log_free)| pressure.look(number, log_free) as u8);
        assert_eq!(levels, [1, 2, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn a_full_disk_counts_what_still_fits_and_the_nearer_bound_wins() {
        let (mut pressure, mut gauge, _) = ends(LIMITS, Some(0));
        gauge.set(0, Some(100));
        assert_eq!((pressure.look(19, 1 << 20), pressure.look(20, 1 << 20)), (Intake::All, Intake::NoOrders));
        assert!(!pressure.is_behind());
        // Full, but so slow that the other limit comes first.
        gauge.set(0, Some(1_000));
        assert_eq!((pressure.look(200, 1 << 20), pressure.is_behind()), (Intake::NoOrders, true));
        gauge.set(200, None);
        assert_eq!(pressure.look(200, 1 << 20), Intake::All);
        // The log itself, whatever the disk says.
        assert_eq!(pressure.look(200, 5), Intake::OperatorOnly);
    }
}
