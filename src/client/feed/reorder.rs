//! Puts the packets of a MoldUDP64 stream in order: what to deliver, what to keep, what is missing.
//!
//! No socket and no clock: packets come in from wherever, messages go out to a callback, each once and in the order of
//! their numbers. Messages ahead of a gap wait in a ring of fixed slots, one for each number of a window; what lies
//! beyond the window is not kept but asked for again later, so that memory is bounded whatever arrives.

use crate::wire::mold::{COUNT_MAX, Kind, MoldPacket, Session};

/// Longest message that can wait, so that a slot is one cache line. The longest of ITCH 5.0 has 50 bytes.
const WAITING_BYTES_MAX: usize = 55;

/// Slots searched for the end of a gap: more messages than one answer can hold (103 of the shortest).
const LOOKED_AT_MAX: u64 = 256;

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
    session: Option<Session>,
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
    pub fn new(session: Option<Session>, first: u64, window: usize) -> Reorder {
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

    /// Takes one datagram in and delivers what is now in order: the number and bytes of each message. Says how many;
    /// `None` for a datagram that is not of this session.
    pub fn on_packet(&mut self, datagram: &[u8], deliver: &mut impl FnMut(u64, &[u8])) -> Option<usize> {
        self.counts.packets += 1;
        let Ok(packet) = MoldPacket::parse(datagram) else {
            self.counts.malformed += 1;
            return None;
        };
        if *self.session.get_or_insert(packet.session()) != packet.session() {
            self.counts.foreign += 1;
            return None;
        }
        self.known_end = self.known_end.max(packet.next_sequence());
        if packet.kind() == Kind::EndOfSession {
            self.ended_at = Some(packet.next_sequence());
        }
        let before = self.expected;
        for (sequence, message) in packet.messages() {
            self.on_message(sequence, message, deliver);
        }
        self.deliver_waiting(deliver);
        Some((self.expected - before) as usize)
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
    /// Looks only so far for one that waits; beyond, what is asked for twice comes as a duplicate.
    pub fn gap(&self) -> Option<(u64, u16)> {
        if !self.has_gap() {
            return None;
        }
        let missing = self.known_end - self.expected;
        let looked_at = missing.min(self.slots.len() as u64).min(LOOKED_AT_MAX);
        let waits = |n: &u64| self.slots[self.slot(*n)].sequence == *n;
        let first_waiting = (self.expected..self.expected + looked_at).find(waits);
        let count = first_waiting.map_or(missing, |first| first - self.expected);
        Some((self.expected, count.min(u64::from(COUNT_MAX)) as u16))
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
    pub fn session(&self) -> Option<Session> {
        self.session
    }

    /// Whether the session is over and everything in it was delivered. A venue that stops says so too; when it goes on with
    /// the session later, it is not over any more.
    pub fn is_ended(&self) -> bool {
        self.ended_at.is_some_and(|end| self.expected >= end && self.known_end <= end)
    }

    /// What was seen so far.
    pub fn counts(&self) -> FeedCounts {
        self.counts
    }

    #[inline]
    fn slot(&self, sequence: u64) -> usize {
        (sequence % self.slots.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mold::{Header, PacketWriter};
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    const SESSION: Session = *b"PITLANE001";

    /// A packet of `count` messages from number `first`; each message is its number.
    fn packet(first: u64, count: u64) -> Vec<u8> {
        let mut bytes = [0; 1472];
        let mut writer = PacketWriter::new(&mut bytes, SESSION, first);
        (first..first + count).for_each(|n| writer.try_push(&n.to_be_bytes()).unwrap());
        let length = writer.finish();
        bytes[..length].to_vec()
    }

    /// Takes the packets in and says which numbers were delivered, after looking that each message is its own.
    fn delivered(reorder: &mut Reorder, packets: &[Vec<u8>]) -> Vec<u64> {
        let mut numbers = Vec::new();
        for packet in packets {
            reorder.on_packet(packet, &mut |n, message: &[u8]| {
                assert_eq!(message, n.to_be_bytes());
                numbers.push(n);
            });
        }
        numbers
    }

    #[test]
    fn messages_ahead_of_a_gap_wait_for_it() {
        let mut reorder = Reorder::new(None, 1, 16);
        assert_eq!(delivered(&mut reorder, &[packet(1, 2), packet(5, 2)]), [1, 2]);
        assert_eq!(reorder.gap(), Some((3, 2)));
        assert_eq!(delivered(&mut reorder, &[packet(3, 1)]), [3]);
        assert_eq!(reorder.gap(), Some((4, 1)));
        assert_eq!(delivered(&mut reorder, &[packet(2, 3)]), [4, 5, 6]);
        assert_eq!((reorder.gap(), reorder.expected()), (None, 7));
        assert_eq!(reorder.counts().duplicates, 2);
    }

    #[test]
    fn a_heartbeat_ahead_shows_that_the_last_messages_were_lost() {
        let mut reorder = Reorder::new(Some(SESSION), 1, 16);
        let heartbeat = Header::heartbeat(SESSION, 4).as_bytes().to_vec();
        assert_eq!(delivered(&mut reorder, &[packet(1, 1), heartbeat]), [1]);
        assert_eq!(reorder.gap(), Some((2, 2)));
    }

    #[test]
    fn the_session_has_ended_when_its_last_message_was_delivered() {
        let mut reorder = Reorder::new(None, 1, 16);
        let end = Header::end_of_session(SESSION, 3).as_bytes().to_vec();
        assert_eq!(delivered(&mut reorder, &[packet(1, 1), end]), [1]);
        assert!(!reorder.is_ended());
        assert_eq!(delivered(&mut reorder, &[packet(2, 1)]), [2]);
        assert!(reorder.is_ended());
    }

    #[test]
    fn what_a_full_window_cannot_keep_is_still_missing() {
        let mut reorder = Reorder::new(None, 1, 4);
        assert_eq!(delivered(&mut reorder, &[packet(2, 10)]), Vec::<u64>::new());
        assert_eq!(reorder.counts().beyond_window, 7);
        assert_eq!(delivered(&mut reorder, &[packet(1, 1)]), [1, 2, 3, 4]);
        assert_eq!(reorder.gap(), Some((5, 7)));
    }

    #[test]
    fn a_gap_given_up_is_counted_and_the_rest_follows() {
        let mut reorder = Reorder::new(None, 1, 16);
        delivered(&mut reorder, &[packet(3, 2)]);
        assert_eq!(reorder.skip_gap(), 2);
        let mut numbers = Vec::new();
        reorder.deliver_waiting(&mut |n, _: &[u8]| numbers.push(n));
        assert_eq!((numbers, reorder.counts().skipped), (vec![3, 4], 2));
    }

    #[test]
    fn other_sessions_and_other_bytes_are_counted_and_ignored() {
        let mut reorder = Reorder::new(Some(*b"ELSEWHERE1"), 1, 16);
        assert_eq!(delivered(&mut reorder, &[packet(1, 2), vec![0; 19]]), Vec::<u64>::new());
        assert_eq!((reorder.counts().foreign, reorder.counts().malformed), (1, 1));
    }

    proptest! {
        #[test]
        fn each_message_is_delivered_once_in_order_whatever_the_network_does(
            window in 1usize..40,
            arrivals in proptest::collection::vec((1u64..60, 1u64..12), 0..60),
        ) {
            const LAST: u64 = 70;
            let mut reorder = Reorder::new(None, 1, window);
            let mut numbers = Vec::new();
            let packets: Vec<_> = arrivals.iter().map(|(first, count)| packet(*first, *count)).collect();
            numbers.extend(delivered(&mut reorder, &packets));
            numbers.extend(delivered(&mut reorder, &[Header::heartbeat(SESSION, LAST + 1).as_bytes().to_vec()]));
            // A server that gives at most three messages; each answer makes progress, so that this many are enough.
            for _ in 0..LAST {
                let Some((first, count)) = reorder.gap() else { break };
                prop_assert!(count > 0);
                numbers.extend(delivered(&mut reorder, &[packet(first, u64::from(count).min(3))]));
            }
            prop_assert_eq!(numbers, (1..=LAST).collect::<Vec<_>>());
        }

        #[test]
        fn arbitrary_datagrams_never_panic(
            datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..20),
            tail in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut reorder = Reorder::new(None, 1, 8);
            for mut datagram in datagrams {
                reorder.on_packet(&datagram, &mut |_, _: &[u8]| {});
                // And one with a header that is right as far as the session.
                datagram.splice(..datagram.len().min(10), SESSION);
                datagram.extend_from_slice(&tail);
                reorder.on_packet(&datagram, &mut |_, _: &[u8]| {});
                reorder.gap();
                reorder.skip_gap();
            }
        }
    }
}
