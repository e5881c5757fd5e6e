//! Which user references are used up: one high-water mark for each session and channel.
//!
//! A request whose number is not above the mark is a retransmission (OUCH 5.0, UserRefNum). A replace takes its number
//! only if it finds its order, which the OMS learns later; until then the number counts as taken, and falls free again
//! if the replace found nothing. Records and events may come in either order here, so the mark is kept as two facts
//! that do not depend on it: the highest number taken for good, and the latest replace whose fate is open. Earlier
//! replaces need no place: their events come before the latest one's. Hot; sequencer thread.

use crate::types::{Number, SessionId, UserRef};

/// Counters of a session (OUCH 5.0, UserRefIdx).
const COUNTERS: usize = 256;

/// What is known of one counter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Highest number taken for good.
    pub(super) taken: UserRef,
    /// Number of the latest replace whose fate is open.
    pub(super) asked: UserRef,
    /// Its record; 0 when none is open.
    pub(super) asked_by: Number,
}

impl Mark {
    const NONE: Mark = Mark { taken: UserRef(0), asked: UserRef(0), asked_by: Number(0) };
}

/// The marks of all sessions.
pub(super) struct Marks(Box<[Mark]>);

impl Marks {
    pub(super) fn new(sessions: usize) -> Marks {
        Marks(vec![Mark::NONE; sessions * COUNTERS].into_boxed_slice())
    }

    /// The highest number used up or in doubt.
    #[inline]
    pub(super) fn high(&self, session: SessionId, counter: u8) -> UserRef {
        let mark = &self.0[place(session, counter)];
        if mark.asked_by == Number(0) { mark.taken } else { mark.taken.max(mark.asked) }
    }

    /// `user_ref` is taken for good.
    #[inline]
    pub(super) fn take(&mut self, session: SessionId, counter: u8, user_ref: UserRef) {
        let mark = &mut self.0[place(session, counter)];
        mark.taken = mark.taken.max(user_ref);
    }

    /// The replace in record `number` asks for `user_ref`.
    #[inline]
    pub(super) fn ask(&mut self, session: SessionId, counter: u8, user_ref: UserRef, number: Number) {
        let mark = &mut self.0[place(session, counter)];
        (mark.asked, mark.asked_by) = (user_ref, number);
    }

    /// The fate of the replace in record `number` is known, if that record was one.
    #[inline]
    pub(super) fn settle(&mut self, session: SessionId, counter: u8, number: Number) {
        let mark = &mut self.0[place(session, counter)];
        if mark.asked_by == number {
            (mark.asked, mark.asked_by) = (UserRef(0), Number(0));
        }
    }

    /// Every mark at which anything happened, with its place. Cold.
    pub(super) fn set(&self) -> impl Iterator<Item = (usize, Mark)> {
        self.0.iter().copied().enumerate().filter(|(_, mark)| *mark != Mark::NONE)
    }

    /// Puts a mark where it was; false where there is no such place. Cold.
    pub(super) fn restore(&mut self, place: usize, mark: Mark) -> bool {
        self.0.get_mut(place).map(|at| *at = mark).is_some()
    }

    /// The number in force of each counter that is not at its start, with its place. Cold.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, UserRef)> {
        let high = |i: usize| self.high(SessionId((i / COUNTERS) as u16), (i % COUNTERS) as u8);
        (0..self.0.len()).map(move |i| (i, high(i))).filter(|&(_, high)| high != UserRef(0))
    }
}

#[inline]
fn place(session: SessionId, counter: u8) -> usize {
    session.index() * COUNTERS + counter as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: SessionId = SessionId(0);

    #[test]
    fn a_number_a_replace_did_not_use_falls_free() {
        let mut marks = Marks::new(1);
        marks.take(S, 0, UserRef(4));
        (5..8).for_each(|n| marks.ask(S, 0, UserRef(n), Number(u64::from(n) + 100)));
        assert_eq!(marks.high(S, 0), UserRef(7));
        (5..8).for_each(|n| marks.settle(S, 0, Number(n + 100)));
        assert_eq!(marks.high(S, 0), UserRef(4));
    }

    #[test]
    fn a_number_used_after_a_failed_replace_stays_used_however_late_the_failure_is_seen() {
        let mut marks = Marks::new(1);
        marks.ask(S, 0, UserRef(5), Number(10));
        marks.take(S, 0, UserRef(5));
        marks.settle(S, 0, Number(10));
        assert_eq!(marks.high(S, 0), UserRef(5));
    }
}
