//! [`Slots`]: where the records of a log stand. A log is a ring: all records are of one size, and the one with number `n`
//! stands in slot `(n - origin) mod count`, `origin` being the first number the file was made for.
//!
//! A log whose records are never let go is filled once and never wraps; it is the same ring. Hot where the writer steps on.

use super::RECORD_BYTES;
use crate::wire::record::{LogHeader, RECORDS_START};
use std::ops::Range;

/// The slots of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slots {
    origin: u64,
    /// Never 0.
    count: u64,
}

impl Slots {
    /// Those of a file with this header; `None` when its size leaves no room for a record.
    pub fn of(header: &LogHeader) -> Option<Slots> {
        let bytes = usize::try_from(header.capacity.get()).ok()?.checked_sub(RECORDS_START)?;
        let count = (bytes / RECORD_BYTES) as u64;
        (count > 0).then_some(Slots { origin: header.first_number.get(), count })
    }

    /// Slots there are.
    #[inline]
    pub fn count(self) -> u64 {
        self.count
    }

    /// Where the record with this number stands, in bytes from the beginning of the file.
    #[inline]
    pub fn at(self, number: u64) -> usize {
        debug_assert!(number >= self.origin, "the file was made for later records");
        RECORDS_START + ((number - self.origin) % self.count) as usize * RECORD_BYTES
    }

    /// Where the slots end; what is behind, less than a record, is zeros.
    #[inline]
    pub fn end(self) -> usize {
        RECORDS_START + self.count as usize * RECORD_BYTES
    }

    /// The slot after the one at `at`.
    #[inline]
    pub fn after(self, at: usize) -> usize {
        let next = at + RECORD_BYTES;
        if next == self.end() { RECORDS_START } else { next }
    }

    /// The slots of the records from `from` up to, without it, `to`, in their order: one stretch of bytes or, over the
    /// ring's end, two.
    pub fn stretches(self, from: u64, to: u64) -> [Range<usize>; 2] {
        let records = to.saturating_sub(from);
        assert!(records <= self.count, "records a lap apart share a slot");
        let at = self.at(from);
        let bytes = records as usize * RECORD_BYTES;
        let first = bytes.min(self.end() - at);
        [at..at + first, RECORDS_START..RECORDS_START + bytes - first]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_over_the_end_goes_on_at_the_beginning() {
        let header = LogHeader::new(1, 1, (RECORDS_START + 5 * RECORD_BYTES + 100) as u64);
        let slots = Slots::of(&header).unwrap();
        let at = |slot: usize| RECORDS_START + slot * RECORD_BYTES;
        assert_eq!(
            (slots.count(), slots.at(1), slots.at(5), slots.at(6), slots.at(13)),
            (5, at(0), at(4), at(0), at(2))
        );
        assert_eq!((slots.after(at(3)), slots.after(at(4)), slots.end()), (at(4), at(0), at(5)));
        assert_eq!(slots.stretches(2, 4), [at(1)..at(3), at(0)..at(0)]);
        assert_eq!(slots.stretches(4, 8), [at(3)..at(5), at(0)..at(2)]);
        assert_eq!(slots.stretches(3, 8), [at(2)..at(5), at(0)..at(2)]);
        assert_eq!(slots.stretches(6, 6), [at(0)..at(0), at(0)..at(0)]);
        assert_eq!(Slots::of(&LogHeader::new(1, 1, (RECORDS_START + RECORD_BYTES - 1) as u64)), None);
    }
}
