//! The buffer a shard speaks into: fixed in size, owned by the caller, reused for every record. Hot.

use crate::types::{Event, TickerId};

/// Events of one call: what a matcher can pass on in one turn without holding up the others on its core.
pub const EVENTS_MAX: usize = 256;

/// Whether a record is finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an unfinished record must be resumed before the next one"]
pub enum Progress {
    /// All events of the record are out.
    Done,
    /// The buffer is full or the turn is over: take the events (there may be none) and call `resume`.
    More,
}

/// What the last call said, in order, each with its ticker.
#[derive(Clone, Debug)]
pub struct Events {
    items: Box<[(TickerId, Event); EVENTS_MAX]>,
    count: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// An empty buffer. The only allocation.
    pub fn new() -> Events {
        Events { items: Box::new([(TickerId::ALL, Event::Nothing); EVENTS_MAX]), count: 0 }
    }

    /// The events, oldest first.
    #[inline]
    pub fn as_slice(&self) -> &[(TickerId, Event)] {
        &self.items[..self.count]
    }

    /// The events, oldest first.
    #[inline]
    pub fn iter(&self) -> core::slice::Iter<'_, (TickerId, Event)> {
        self.as_slice().iter()
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// How many more fit.
    #[inline]
    pub(super) fn room(&self) -> usize {
        EVENTS_MAX - self.count
    }

    /// # Panics
    /// When full: each step asks for room first.
    #[inline]
    pub(super) fn push(&mut self, ticker: TickerId, event: Event) {
        self.items[self.count] = (ticker, event);
        self.count += 1;
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a (TickerId, Event);
    type IntoIter = core::slice::Iter<'a, (TickerId, Event)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
