//! The numbered streams: per session, every answer and notice of the day as the very bytes the client is sent.
//!
//! A stream is one run of SoupBinTCP Sequenced Data packets in memory that is there before it is used, only ever appended to. A live
//! connection is a position in it: sending is a slice from the position to the end, a replay after a login is the
//! same with an earlier position, and nothing is encoded twice. Streams are a function of the reports, and these of the
//! journal: [`Streams::digest`] lets a replay prove that it gave the same bytes.
//!
//! Owned by the gateway; built before it and filled from the journal at start. Hot: [`Streams::append`] and
//! [`Streams::slice_from`], O(1). A full stream is an answer: the gateway then stops taking reports, egress stops,
//! and in the end the clients are held back; the day's size of a stream is therefore a setting with a margin.

use crate::gateway::outbound::Outbound;
use crate::os::touched::{Rest, Touched};
use crate::types::{Market, Report, ReportBody, SessionId};
use crate::wire::ouch::MESSAGE_MAX;
use crate::wire::soup::{self, HEADER_BYTES};
use std::io;

/// Messages between two entries of a stream's index: finding a number walks at most so many packets.
const INDEX_EVERY: u64 = 64;
/// Room that an append wants, so that it can encode before it knows the length.
const PACKET_BYTES_MAX: usize = HEADER_BYTES + MESSAGE_MAX;
/// The shortest packet of a stream is a System Event; it bounds the number of index entries.
const PACKET_BYTES_MIN: usize = HEADER_BYTES + 10;

/// How far ahead of the end a line is asked for: some eight messages.
const LINES_AHEAD_BYTES: usize = 512;

/// A stream has no room for another message. Nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamFull(pub SessionId);

impl std::fmt::Display for StreamFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the stream of session {} is full", self.0)
    }
}

impl std::error::Error for StreamFull {}

/// One session's stream.
struct Stream {
    bytes: Touched,
    end: usize,
    /// Messages so far; the next one is number `count + 1`.
    count: u64,
    /// Where messages 1, 65, 129, ... begin.
    index: Vec<u64>,
    ended: bool,
}

/// The streams of all sessions.
pub struct Streams {
    outbound: Outbound,
    streams: Box<[Stream]>,
}

impl Stream {
    fn new(bytes: Touched) -> Stream {
        // Written, not zeroed or only reserved: such memory would come untouched and fault page by page while trading.
        let mut index = vec![u64::MAX; bytes.capacity() / (PACKET_BYTES_MIN * INDEX_EVERY as usize) + 2];
        index.clear();
        Stream { bytes, end: 0, count: 0, index, ended: false }
    }

    /// Takes in the message of `length` that already stands behind the place of its header.
    #[inline]
    fn close_packet(&mut self, length: usize) {
        if self.count.is_multiple_of(INDEX_EVERY) {
            self.index.push(self.end as u64);
        }
        let packet = &mut self.bytes[self.end..self.end + HEADER_BYTES + length];
        packet[..HEADER_BYTES].copy_from_slice(&soup::sequenced_header(length));
        self.end += packet.len();
        self.count += 1;
        // A stream's memory is met once a day, each line cold. A store that nobody waits for fetches it in time; what
        // lies behind the end is nobody's.
        if let Some(byte) = self.bytes.get_mut(self.end + LINES_AHEAD_BYTES) {
            *byte = 0xEE;
        }
    }

    /// Packets in the first `bytes` bytes, which become the index; `None` where they are not whole packets.
    fn count_packets(&mut self, bytes: usize) -> Option<u64> {
        let (mut at, mut count) = (0, 0u64);
        self.index.clear();
        while at < bytes {
            if count.is_multiple_of(INDEX_EVERY) {
                if self.index.len() == self.index.capacity() {
                    return None;
                }
                self.index.push(at as u64);
            }
            at += if bytes - at < HEADER_BYTES { return None } else { self.packet_bytes(at) };
            count += 1;
        }
        (at == bytes).then_some(count)
    }

    /// Size of the packet at `position`, which is a packet's begin before the end.
    #[inline]
    fn packet_bytes(&self, position: usize) -> usize {
        2 + usize::from(u16::from_be_bytes([self.bytes[position], self.bytes[position + 1]]))
    }
}

impl Streams {
    /// Empty streams for the sessions of `market`, each with room for `bytes_per_session`. Cold.
    /// # Panics
    /// The system does not give so much memory; who wants to be told takes it himself, for [`Streams::within`].
    pub fn new(market: &Market, bytes_per_session: usize) -> Streams {
        let memory = market.sessions.iter().map(|_| Touched::take(Streams::memory_bytes(bytes_per_session)));
        let memory: io::Result<Vec<Touched>> = memory.collect();
        Streams::within(market, memory.expect("the system gives the memory of the streams"))
    }

    /// Memory that a stream with room for so many bytes takes: a message, at least.
    pub fn memory_bytes(bytes_per_session: usize) -> usize {
        bytes_per_session.max(PACKET_BYTES_MAX)
    }

    /// Empty streams for the sessions of `market`, each in a stretch of its own. Cold.
    /// # Panics
    /// There are not as many stretches as sessions, or one is smaller than [`Streams::memory_bytes`] of none.
    pub fn within(market: &Market, memory: Vec<Touched>) -> Streams {
        assert_eq!(memory.len(), market.sessions.len(), "a stretch of memory for each session");
        assert!(memory.iter().all(|stretch| stretch.capacity() >= PACKET_BYTES_MAX), "each has room for a message");
        Streams { outbound: Outbound::new(market), streams: memory.into_iter().map(Stream::new).collect() }
    }

    /// Appends the message of `report` to its session's stream. Says whether there was one: some reports have
    /// nothing to tell their client. A day's end also ends the stream.
    /// Cost: one encoding; hot.
    /// # Errors
    /// [`StreamFull`], and the stream is as before.
    /// # Panics
    /// The report's session is not of the market.
    #[inline]
    pub fn append(&mut self, report: &Report) -> Result<bool, StreamFull> {
        let stream = &mut self.streams[report.session.index()];
        let end = stream.end + PACKET_BYTES_MAX;
        if stream.bytes.len() < end && !stream.bytes.finds_room(end) {
            return Err(StreamFull(report.session));
        }
        let room = &mut stream.bytes[end - PACKET_BYTES_MAX + HEADER_BYTES..end];
        let Some(length) = self.outbound.encode(report, room) else { return Ok(false) };
        stream.close_packet(length);
        stream.ended |= report.body == ReportBody::DayEnd;
        Ok(true)
    }

    /// Fills the session's empty stream with `bytes` bytes that `read` gives, which hold `count` messages, the last of
    /// them the day's end if it has `ended`. Cold.
    /// # Errors
    /// What `read` says; `InvalidData` where the bytes are no such messages, `StorageFull` where they are too many. The
    /// stream is empty then.
    pub fn fill(
        &mut self,
        session: SessionId,
        bytes: u64,
        (count, ended): (u64, bool),
        read: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let stream = &mut self.streams[session.index()];
        debug_assert!(stream.count == 0, "only an empty stream is filled");
        let count_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        stream.bytes.grow_to(count_bytes)?;
        let room = stream.bytes.get_mut(..count_bytes);
        read(room.ok_or_else(|| io::Error::new(io::ErrorKind::StorageFull, "gateway.stream_mebibytes is too small"))?)?;
        let is_whole = stream.count_packets(bytes as usize) == Some(count);
        if !is_whole {
            self.clear(session);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not the messages that it should hold"));
        }
        (stream.end, stream.count, stream.ended) = (bytes as usize, count, ended);
        Ok(())
    }

    /// The memory that is not there yet, for whoever brings it.
    pub fn rests(&self) -> impl Iterator<Item = Rest> {
        self.streams.iter().filter_map(|stream| stream.bytes.rest())
    }

    /// The start is over: has `ahead` bytes there behind each end, and asks for nothing more from now on. Cold.
    /// # Errors
    /// The system does not give them.
    pub fn keep_quiet(&mut self, ahead: usize) -> io::Result<()> {
        for stream in &mut self.streams {
            stream.bytes.grow_to(stream.end + ahead)?;
            stream.bytes.keep_quiet();
        }
        Ok(())
    }

    /// Empties the session's stream. Cold; at start only.
    pub fn clear(&mut self, session: SessionId) {
        let stream = &mut self.streams[session.index()];
        stream.index.clear();
        (stream.end, stream.count, stream.ended) = (0, 0, false);
    }

    /// Number the next message will have: 1 for the first.
    #[inline]
    pub fn next_sequence(&self, session: SessionId) -> u64 {
        self.streams[session.index()].count + 1
    }

    /// Position behind the last message.
    #[inline]
    pub fn end(&self, session: SessionId) -> usize {
        self.streams[session.index()].end
    }

    /// Whether the day has ended for the session: nothing more is appended.
    #[inline]
    pub fn is_ended(&self, session: SessionId) -> bool {
        self.streams[session.index()].ended
    }

    /// Everything from `position` on: whole packets, when `position` is where one begins.
    /// # Panics
    /// `position` lies behind the end.
    #[inline]
    pub fn slice_from(&self, session: SessionId, position: usize) -> &[u8] {
        let stream = &self.streams[session.index()];
        &stream.bytes[position..stream.end]
    }

    /// The one packet that begins at `position`, `None` at the end. For transports that send message by message.
    /// # Panics
    /// `position` is not where a packet begins.
    #[inline]
    pub fn packet_at(&self, session: SessionId, position: usize) -> Option<&[u8]> {
        let stream = &self.streams[session.index()];
        (position < stream.end).then(|| &stream.bytes[position..position + stream.packet_bytes(position)])
    }

    /// Where message `sequence` begins; the end for the next one to come, `None` beyond it and for 0.
    /// Cost: at most 63 packets walked; at logins only.
    pub fn position_of(&self, session: SessionId, sequence: u64) -> Option<usize> {
        let stream = &self.streams[session.index()];
        if sequence == 0 || sequence > stream.count + 1 {
            return None;
        }
        if sequence == stream.count + 1 {
            return Some(stream.end);
        }
        let before = sequence - 1;
        let mut position = stream.index[(before / INDEX_EVERY) as usize] as usize;
        for _ in 0..before % INDEX_EVERY {
            position += stream.packet_bytes(position);
        }
        Some(position)
    }

    /// All bytes of the session's stream.
    pub fn bytes(&self, session: SessionId) -> &[u8] {
        self.slice_from(session, 0)
    }

    /// Length (upper half, modulo 2^32) and CRC32C of all bytes: equal for equal streams. Reads the whole stream; cold:
    /// summing up message by message stood between each order and its answer.
    pub fn digest(&self, session: SessionId) -> u64 {
        let stream = &self.streams[session.index()];
        (stream.end as u64) << 32 | u64::from(crc32c::crc32c(&stream.bytes[..stream.end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fixture::{ALICE, BOB, market};
    use crate::os::touched::PIECE_BYTES;
    use crate::types::{
        AccountId, CancelReason, Channel, Event, Nanos, Number, OrderReference, OrderTag, Party, Price, Quantity, Side,
        Slot, UserRef,
    };

    fn cancel(session: SessionId, quantity: u32) -> Report {
        // Every third order has a channel, so that packets differ in length.
        let channel = if quantity.is_multiple_of(3) { Channel::named(1) } else { Channel::NONE };
        let order = OrderTag { slot: Slot(0), user_ref: UserRef(1), session, account: AccountId(0), channel };
        let event = Event::Canceled {
            order,
            reference: OrderReference(1),
            side: Side::Buy,
            price: Price(100),
            quantity: Quantity(quantity),
            leaves: Quantity(0),
            reason: CancelReason::User,
            shown: Quantity(quantity),
        };
        let body = ReportBody::Order(event, Party::Incoming);
        Report { session, number: Number(u64::from(quantity)), time: Nanos(5), body }
    }

    fn day_end(session: SessionId) -> Report {
        Report { session, number: Number(1), time: Nanos(5), body: ReportBody::DayEnd }
    }

    #[test]
    fn every_number_is_found_where_its_packet_begins() {
        let mut streams = Streams::new(&market(), 1 << 16);
        let mut begins = Vec::new();
        for quantity in 1..=500 {
            begins.push(streams.end(ALICE));
            assert_eq!(streams.append(&cancel(ALICE, quantity)), Ok(true));
        }
        for (before, begin) in begins.iter().enumerate() {
            assert_eq!(streams.position_of(ALICE, before as u64 + 1), Some(*begin));
        }
        assert_eq!(streams.next_sequence(ALICE), 501);
        assert_eq!(streams.position_of(ALICE, 501), Some(streams.end(ALICE)));
        assert_eq!((streams.position_of(ALICE, 502), streams.position_of(ALICE, 0)), (None, None));
        assert_eq!((streams.next_sequence(BOB), streams.bytes(BOB)), (1, &[][..]));
        // Packet by packet it is the same bytes.
        let (mut position, mut joined) = (0, Vec::new());
        while let Some(packet) = streams.packet_at(ALICE, position) {
            joined.extend_from_slice(packet);
            position += packet.len();
        }
        assert_eq!(joined, streams.bytes(ALICE));
    }

    #[test]
    fn a_full_stream_takes_nothing_and_keeps_what_it_has() {
        let mut streams = Streams::new(&market(), 400);
        let mut quantity = 0;
        while streams.append(&cancel(ALICE, quantity + 1)) == Ok(true) {
            quantity += 1;
        }
        let before = (streams.digest(ALICE), streams.next_sequence(ALICE));
        assert!(quantity > 5);
        assert_eq!(streams.append(&cancel(ALICE, 99)), Err(StreamFull(ALICE)));
        assert_eq!((streams.digest(ALICE), streams.next_sequence(ALICE)), before);
        assert_eq!(streams.append(&cancel(BOB, 1)), Ok(true), "each has room of its own");
    }

    #[test]
    fn a_stream_whose_memory_is_still_to_come_waits_and_goes_on_where_it_was() {
        let memory = market().sessions.iter().map(|_| Touched::reserve(2 * PIECE_BYTES).unwrap()).collect();
        let mut streams = Streams::within(&market(), memory);
        streams.keep_quiet(1).unwrap();
        let mut all_there = Streams::new(&market(), 2 * PIECE_BYTES);
        let mut quantity = 0;
        while streams.append(&cancel(ALICE, quantity + 1)) == Ok(true) {
            quantity += 1;
            assert_eq!(all_there.append(&cancel(ALICE, quantity)), Ok(true));
        }
        assert!(streams.end(ALICE) > PIECE_BYTES - PACKET_BYTES_MAX && streams.end(ALICE) <= PIECE_BYTES);
        assert_eq!(streams.append(&cancel(ALICE, quantity + 1)), Err(StreamFull(ALICE)), "nobody has brought more");
        let rests: Vec<Rest> = streams.rests().collect();
        rests.iter().for_each(|rest| assert!(!rest.bring().unwrap()));
        for quantity in quantity + 1..quantity + 1_000 {
            assert_eq!(streams.append(&cancel(ALICE, quantity)), all_there.append(&cancel(ALICE, quantity)));
        }
        assert_eq!(streams.digest(ALICE), all_there.digest(ALICE));
        assert_eq!(streams.next_sequence(ALICE), u64::from(quantity) + 1_000);
        assert_eq!(streams.rests().count(), 0);
    }

    #[test]
    fn equal_reports_give_equal_digests_and_one_change_another() {
        let filled = |last| {
            let mut streams = Streams::new(&market(), 4096);
            (1..=20).chain([last]).for_each(|quantity| assert!(streams.append(&cancel(ALICE, quantity)).is_ok()));
            streams
        };
        let streams = filled(21);
        assert_eq!(streams.digest(ALICE), filled(21).digest(ALICE));
        assert_ne!(streams.digest(ALICE), filled(22).digest(ALICE));
        assert_eq!(streams.digest(ALICE) as u32, crc32c::crc32c(streams.bytes(ALICE)));
    }

    #[test]
    fn the_day_s_end_is_the_stream_s() {
        let mut streams = Streams::new(&market(), 4096);
        assert!(!streams.is_ended(ALICE));
        assert_eq!(streams.append(&day_end(ALICE)), Ok(true));
        assert!(streams.is_ended(ALICE) && !streams.is_ended(BOB));
    }
}
