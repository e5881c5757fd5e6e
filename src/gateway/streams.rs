//! The numbered streams: per session, every answer and notice of the day as the very bytes the client is sent.
//!
//! A stream is one run of SoupBinTCP Sequenced Data packets in memory taken at start, only ever appended to. A live
//! connection is a position in it: sending is a slice from the position to the end, a replay after a login is the
//! same with an earlier position, and nothing is encoded twice. Streams are a function of the reports, and these of the
//! journal: [`Streams::digest`] lets a replay prove that it gave the same bytes.
//!
//! Owned by the gateway; built before it and filled from the journal at start. Hot: [`Streams::append`] and
//! [`Streams::slice_from`], O(1). A full stream is an answer: the gateway then stops taking reports, egress stops,
//! and in the end the clients are held back; the day's size of a stream is therefore a setting with a margin.

use crate::gateway::outbound::Outbound;
use crate::types::{Market, Report, ReportBody, SessionId};
use crate::wire::ouch::MESSAGE_MAX;
use crate::wire::soup::{self, HEADER_BYTES};

/// Messages between two entries of a stream's index: finding a number walks at most so many packets.
const INDEX_EVERY: u64 = 64;
/// Room that an append wants, so that it can encode before it knows the length.
const PACKET_BYTES_MAX: usize = HEADER_BYTES + MESSAGE_MAX;
/// The shortest packet of a stream is a System Event; it bounds the number of index entries.
const PACKET_BYTES_MIN: usize = HEADER_BYTES + 10;

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
    bytes: Box<[u8]>,
    end: usize,
    /// Messages so far; the next one is number `count + 1`.
    count: u64,
    /// Where messages 1, 65, 129, ... begin.
    index: Vec<u64>,
    checksum: u32,
    ended: bool,
}

/// The streams of all sessions.
pub struct Streams {
    outbound: Outbound,
    streams: Box<[Stream]>,
}

impl Stream {
    fn new(bytes: usize) -> Stream {
        Stream {
            // Written, not zeroed: zeroed memory would come untouched and fault page by page while trading.
            bytes: vec![0xEE; bytes.max(PACKET_BYTES_MAX)].into_boxed_slice(),
            end: 0,
            count: 0,
            index: Vec::with_capacity(bytes / (PACKET_BYTES_MIN * INDEX_EVERY as usize) + 2),
            checksum: 0,
            ended: false,
        }
    }

    /// Takes in the message of `length` that already stands behind the place of its header.
    #[inline]
    fn close_packet(&mut self, length: usize) {
        if self.count.is_multiple_of(INDEX_EVERY) {
            self.index.push(self.end as u64);
        }
        let packet = &mut self.bytes[self.end..self.end + HEADER_BYTES + length];
        packet[..HEADER_BYTES].copy_from_slice(&soup::sequenced_header(length));
        self.checksum = crc32c::crc32c_append(self.checksum, packet);
        self.end += packet.len();
        self.count += 1;
    }

    /// Size of the packet at `position`, which is a packet's begin before the end.
    #[inline]
    fn packet_bytes(&self, position: usize) -> usize {
        2 + usize::from(u16::from_be_bytes([self.bytes[position], self.bytes[position + 1]]))
    }
}

impl Streams {
    /// Empty streams for the sessions of `market`, each with room for `bytes_per_session`. Takes and touches all
    /// memory. Cold.
    pub fn new(market: &Market, bytes_per_session: usize) -> Streams {
        let streams = market.sessions.iter().map(|_| Stream::new(bytes_per_session)).collect();
        Streams { outbound: Outbound::new(market), streams }
    }

    /// Appends the message of `report` to its session's stream. Says whether there was one: some reports have
    /// nothing to tell their client. A day's end also ends the stream.
    /// Cost: one encoding and its checksum; hot.
    /// # Errors
    /// [`StreamFull`], and the stream is as before.
    /// # Panics
    /// The report's session is not of the market.
    #[inline]
    pub fn append(&mut self, report: &Report) -> Result<bool, StreamFull> {
        let stream = &mut self.streams[report.session.index()];
        let Some(room) = stream.bytes.get_mut(stream.end + HEADER_BYTES..stream.end + PACKET_BYTES_MAX) else {
            return Err(StreamFull(report.session));
        };
        let Some(length) = self.outbound.encode(report, room) else { return Ok(false) };
        stream.close_packet(length);
        stream.ended |= report.body == ReportBody::DayEnd;
        Ok(true)
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

    /// Length (upper half, modulo 2^32) and CRC32C of all bytes: equal for equal streams.
    pub fn digest(&self, session: SessionId) -> u64 {
        let stream = &self.streams[session.index()];
        (stream.end as u64) << 32 | u64::from(stream.checksum)
    }
}
