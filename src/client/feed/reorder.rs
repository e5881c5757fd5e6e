//! Puts the packets of a MoldUDP64 stream in order: what to deliver, what to keep, what is missing.
//!
//! No socket and no clock: packets come in from wherever, messages go out to a callback, each once and in the order of
//! their numbers. Messages ahead of a gap wait in a ring of fixed slots, one for each number of a window; what lies
//! beyond the window is not kept but asked for again later, so that memory is bounded whatever arrives.

use crate::wire::mold::{self, Packet};

/// Longest message that can wait, so that a slot is one cache line. The longest of ITCH 5.0 has 50 bytes.
const WAITING_BYTES_MAX: usize = 55;
/// Most messages one request can name (MoldUDP64 1.00: 0xFFFF means something else).
const REQUEST_COUNT_MAX: u64 = 0xFFFE;

/// What was seen, for people who watch a feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FeedCounts {
    /// Datagrams taken in.
    pub packets: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages that had come before.
    pub duplicates: u64,
    /// Messages that arrived ahead of a gap.
    pub early: u64,
    /// Of these, messages that could not wait and must be asked for.
    pub beyond_window: u64,
    /// Datagrams that are not MoldUDP64.
    pub malformed: u64,
    /// Datagrams of another session.
    pub foreign: u64,
    /// Requests sent.
    pub requests: u64,
    /// Messages given up by [`super::FeedHandler::skip_gap`].
    pub skipped: u64,
}

/// A message that waits for those before it. `sequence` 0: empty.
#[derive(Clone)]
#[repr(align(64))]
struct Slot {
    sequence: u64,
    length: u8,
    message: [u8; WAITING_BYTES_MAX],
}

const _: () = assert!(size_of::<Slot>() == 64, "one cache line a waiting message");

/// The stream's state. See the module's words.
pub struct Reorder {
    session: Option<[u8; 10]>,
    /// The next number to deliver.
    expected: u64,
    /// Every number below this one has been given out by the server.
    known_end: u64,
    /// Number behind the last message, once the server has said so.
    ended_at: Option<u64>,
    slots: Box<[Slot]>,
    pub(super) counts: FeedCounts,
}

impl Reorder {
    /// Starts at number `first` of `session`; with `None`, of whichever session the first packet names. Up to `window`
    /// messages ahead of the first missing one can wait.
    pub fn new(session: Option<[u8; 10]>, first: u64, window: usize) -> Reorder {
        let first = first.max(1);
        let slot = Slot { sequence: 0, length: 0, message: [0; WAITING_BYTES_MAX] };
        Reorder {
            session,
            expected: first,
            known_end: first,
            ended_at: None,
            slots: vec![slot; window.max(1)].into_boxed_slice(),
            counts: FeedCounts::default(),
        }
    }

    /// Takes one datagram in and delivers what is now in order: the number and bytes of each message. Says how many.
    pub fn on_packet(&mut self, datagram: &[u8], deliver: &mut impl FnMut(u64, &[u8])) -> usize {
        self.counts.packets += 1;
        let Ok(packet) = Packet::parse(datagram) else {
            self.counts.malformed += 1;
            return 0;
        };
        if *self.session.get_or_insert(packet.session()) != packet.session() {
            self.counts.foreign += 1;
            return 0;
        }
        let end = packet.sequence().saturating_add(packet.blocks().count() as u64);
        self.known_end = self.known_end.max(end);
        if packet.is_end_of_session() {
            self.ended_at = Some(end);
        }
        let before = self.expected;
        for (sequence, message) in (packet.sequence()..).zip(packet.blocks()) {
            self.on_message(sequence, message, deliver);
        }
        self.deliver_waiting(deliver);
        (self.expected - before) as usize
    }

    fn on_message(&mut self, sequence: u64, message: &[u8], deliver: &mut impl FnMut(u64, &[u8])) {
        if sequence < self.expected {
            self.counts.duplicates += 1;
        } else if sequence == self.expected {
            self.expected += 1;
            self.counts.delivered += 1;
            deliver(sequence, message);
        } else {
            self.keep(sequence, message);
        }
    }

    #[cold]
    fn keep(&mut self, sequence: u64, message: &[u8]) {
        self.counts.early += 1;
        if sequence - self.expected >= self.slots.len() as u64 || message.len() > WAITING_BYTES_MAX {
            self.counts.beyond_window += 1;
            return;
        }
        let slot = self.slot(sequence);
        let slot = &mut self.slots[slot];
        slot.sequence = sequence;
        slot.length = message.len() as u8;
        slot.message[..message.len()].copy_from_slice(message);
    }

    /// Delivers the messages that waited for the one just delivered. Says how many.
    pub fn deliver_waiting(&mut self, deliver: &mut impl FnMut(u64, &[u8])) -> usize {
        let before = self.expected;
        // Ends: each turn takes one of at most `slots.len()` waiting messages.
        while self.expected < self.known_end {
            let slot = &self.slots[self.slot(self.expected)];
            if slot.sequence != self.expected {
                break;
            }
            deliver(slot.sequence, &slot.message[..usize::from(slot.length)]);
            self.expected += 1;
            self.counts.delivered += 1;
        }
        (self.expected - before) as usize
    }

    /// Whether a message is known to exist that has not come.
    #[inline]
    pub fn has_gap(&self) -> bool {
        self.expected < self.known_end
    }

    /// The missing messages before the first that waits, as a request can name them: first number and count.
    pub fn gap(&self) -> Option<(u64, u16)> {
        if !self.has_gap() {
            return None;
        }
        let window_end = self.expected.saturating_add(self.slots.len() as u64);
        let waiting = (self.expected..self.known_end.min(window_end)).find(|n| self.slots[self.slot(*n)].sequence == *n);
        let end = waiting.unwrap_or(self.known_end);
        Some((self.expected, (end - self.expected).min(REQUEST_COUNT_MAX) as u16))
    }

    /// Gives the missing messages up and goes on behind them. Says how many were lost.
    pub fn skip_gap(&mut self) -> u64 {
        let Some((first, count)) = self.gap() else { return 0 };
        self.expected = first + u64::from(count);
        self.counts.skipped += u64::from(count);
        u64::from(count)
    }

    /// The next number to deliver.
    #[inline]
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// The session, once it is known.
    pub fn session(&self) -> Option<[u8; 10]> {
        self.session
    }

    /// Whether the session is over and everything in it was delivered.
    pub fn is_ended(&self) -> bool {
        self.ended_at.is_some_and(|end| self.expected >= end)
    }

    /// Datagrams taken in so far, of whatever kind.
    pub fn counts(&self) -> FeedCounts {
        self.counts
    }

    #[inline]
    fn slot(&self, sequence: u64) -> usize {
        (sequence % self.slots.len() as u64) as usize
    }
}
