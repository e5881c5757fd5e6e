//! [`Release`]: gives the log's room back when its oldest records are safe in segments.
//!
//! Cold, the persister's thread alone: so the sequencer never waits for zeros to be written. The steps and what each leaves
//! to a process killed in it are those of [`crate::wire::log_mark`]: a mark that names the new oldest record, zeros into
//! the slots of those before it, a mark that these are cleared, and only then the word to the writer. So the writer
//! only ever stores into zeros, and what recovery says of a log's end (zeros, a torn write, or damage) holds in a ring
//! as it does in a file that is filled once.

use super::RECORD_BYTES;
use super::slots::Slots;
use crate::os::mapped::Mapped;
use crate::runtime::link::MarkWriter;
use crate::wire::log_mark::LogMark;
use crate::wire::record::Link;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use zerocopy::IntoBytes;

/// The right to let a log's oldest records go. One for each log.
#[derive(Debug)]
pub struct Release {
    memory: Arc<Mapped>,
    slots: Slots,
    /// The oldest record that counts.
    first: Link,
    /// Of the newest mark.
    generation: u64,
    /// Tells the writer: slots of all records before this one are free.
    room: MarkWriter,
}

impl Release {
    pub(super) fn new(memory: Arc<Mapped>, slots: Slots, newest: LogMark, mut room: MarkWriter) -> Release {
        debug_assert!(newest.cleared == newest.first_number, "what was left over is cleared at the start");
        let first = newest.link();
        room.set(first.number);
        Release { memory, slots, first, generation: newest.generation.get(), room }
    }

    /// The oldest record that the log still has to keep.
    pub fn first(&self) -> Link {
        self.first
    }

    /// Lets all records before the one that `first` announces go: whoever calls has them elsewhere.
    /// Cost: two marks, and zeros into the room that is given back.
    /// # Panics
    /// When the log has never had some of them: a bug.
    pub fn release(&mut self, first: Link) {
        let cleared = self.first.number;
        if first.number <= cleared {
            return;
        }
        self.mark(first, cleared);
        // The mark before the zeros, for who reads this log from another process: it must not take a record that is gone
        // for one that has not come. Pairs with the load of the length in `walk::examine`.
        fence(Ordering::Release);
        for range in self.slots.stretches(cleared, first.number) {
            range.step_by(RECORD_BYTES).for_each(|at| clear_record(&self.memory, at));
        }
        self.mark(first, first.number);
        self.first = first;
        // Publish last: from here on the writer stores into these slots. Pairs with the load in `LogWriter`.
        self.room.set(first.number);
    }

    fn mark(&mut self, first: Link, cleared: u64) {
        self.generation += 1;
        let mark = LogMark::new(self.generation, first, cleared);
        self.memory.write(mark.at(), mark.as_bytes());
    }
}

/// Zeroes a slot, the length first: a record without length is none, whatever the rest holds.
pub(super) fn clear_record(memory: &Mapped, at: usize) {
    memory.atomic_u32(at).store(0, Ordering::Relaxed);
    // Keeps the zeros behind the length. Pairs with the load of the length in `walk::examine`.
    fence(Ordering::Release);
    memory.write(at, &[0; RECORD_BYTES]);
}

/// Writes both marks anew: `first` is the oldest record and nothing is left over. Gives the newer one. A process killed
/// between the two leaves one that was true before.
pub(super) fn settle_marks(memory: &Mapped, generation: u64, first: Link) -> LogMark {
    let mark = |generation| LogMark::new(generation, first, first.number);
    for mark in [mark(generation), mark(generation + 1)] {
        memory.write(mark.at(), mark.as_bytes());
    }
    mark(generation + 1)
}
