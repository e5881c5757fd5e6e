//! Digests of the state that stand in the journal, compared by whoever replays it. Cold.
//!
//! A record of the venue says which digest the state had behind an earlier record, a multiple of `digest_records`. Whoever
//! comes to such a number works its own digest out and keeps it until the record comes. Where the distance was another when
//! the record was made, most are passed over. A digest walks all orders, so a
//! start does not work out those that lie far back: what matters there is that the state it goes on with is right.

use super::twin::Twin;
use crate::types::{Number, Sequenced};
use std::collections::VecDeque;
use std::fmt;

/// Digests kept until their record comes: it is at most a few intervals behind.
const KEPT_MAX: usize = 64;

/// A replay came to another state than the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// The record behind which the states differ.
    pub number: Number,
    /// Digest in the journal.
    pub expected: u64,
    /// Digest worked out.
    pub found: u64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { number, expected, found } = self;
        write!(
            f,
            "the state behind record {number} is another than it was: digest {found:016x}, the journal says \
             {expected:016x}; memory or program are at fault, so nothing may go on from here"
        )
    }
}

impl std::error::Error for Mismatch {}

/// Digests worked out and not yet compared.
#[derive(Clone, Debug)]
pub struct Checks {
    /// Records between two digests.
    every: u64,
    /// Numbers before it are not looked at.
    from: u64,
    known: VecDeque<(Number, u64)>,
    compared: u64,
}

impl Checks {
    /// Of all digests, one `every` so many records, of numbers from `from` on.
    pub fn from(every: u64, from: u64) -> Checks {
        Checks { every, from, known: VecDeque::with_capacity(KEPT_MAX), compared: 0 }
    }

    /// Of the digests in the last two intervals before `last`, and all behind.
    pub fn near(every: u64, last: u64) -> Checks {
        Checks::from(every, last.saturating_sub(2 * every))
    }

    /// Leaves out digests of numbers before `from`, to catch up.
    pub fn skip_to(&mut self, from: u64) {
        self.from = self.from.max(from);
    }

    /// Looks at a record that was just applied.
    /// # Errors
    /// Its digest is another than that of the state was.
    #[inline]
    pub fn on(&mut self, record: &Sequenced, twin: &Twin) -> Result<(), Mismatch> {
        if record.number.0.is_multiple_of(self.every) && record.number.0 >= self.from {
            self.note(record.number, twin.digest());
        }
        match record.command.as_state_digest() {
            Some((number, expected)) => self.compare(number, expected),
            None => Ok(()),
        }
    }

    fn note(&mut self, number: Number, digest: u64) {
        if self.known.len() == KEPT_MAX {
            self.known.pop_front();
        }
        self.known.push_back((number, digest));
    }

    fn compare(&mut self, number: Number, expected: u64) -> Result<(), Mismatch> {
        let Some(at) = self.known.iter().position(|(known, _)| *known == number) else { return Ok(()) };
        let found = self.known[at].1;
        self.compared += 1;
        if found == expected { Ok(()) } else { Err(Mismatch { number, expected, found }) }
    }

    /// The newest digest worked out.
    pub fn newest(&self) -> Option<(Number, u64)> {
        self.known.back().copied()
    }

    /// Digests that agreed.
    pub fn compared(&self) -> u64 {
        self.compared
    }
}
