//! MoldUDP64 1.00: the numbered datagrams that carry the feed, and the requests that fill gaps.
//!
//! A packet is checked whole before any block is handed out, so its iterator cannot fail and a bad datagram has no
//! half effect. Writers append blocks to the caller's buffer, whose length is the bound: a full datagram says so
//! and stays as it is. Hot on the publisher's and the receiver's threads; no state between packets.
//!
//! Source: MoldUDP64 1.00, downstream packet, request packet.

use zerocopy::byteorder::big_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// UDP payload that fits an Ethernet frame of 1500 bytes with IPv4: nothing is fragmented.
pub const DATAGRAM_MAX: usize = 1472;
/// Size of the header and of a request.
pub const HEADER_BYTES: usize = size_of::<Header>();
/// Length field ahead of each message.
pub const BLOCK_HEAD_BYTES: usize = 2;
/// Most messages a packet can carry; the count above it ends the session.
pub const COUNT_MAX: u16 = END_OF_SESSION - 1;
const END_OF_SESSION: u16 = 0xFFFF;
const HEARTBEAT: u16 = 0;

/// Name of a stream: ten bytes, compared whole.
pub type Session = [u8; 10];

/// What stands ahead of the blocks; alone it is a heartbeat or the end of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Which stream.
    pub session: Session,
    /// Number of the first block; without blocks: the next number.
    pub sequence: U64,
    /// Number of blocks; 0 for a heartbeat, 0xFFFF for the end of the session.
    pub count: U16,
}
const _: () = assert!(size_of::<Header>() == 20);

impl Header {
    /// The whole datagram that says "nothing new; `next` comes next".
    pub fn heartbeat(session: Session, next: u64) -> Header {
        Header { session, sequence: U64::new(next), count: U16::new(HEARTBEAT) }
    }

    /// The whole datagram that says "this session is over; `next` would have come next".
    pub fn end_of_session(session: Session, next: u64) -> Header {
        Header { session, sequence: U64::new(next), count: U16::new(END_OF_SESSION) }
    }
}

/// What a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Carries messages.
    Data,
    /// Says which number comes next.
    Heartbeat,
    /// As a heartbeat, and no message will follow.
    EndOfSession,
}

/// Why a datagram is not MoldUDP64: it is dropped and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoldError {
    /// Shorter than a header; a request has exactly its size.
    WrongLength(usize),
    /// The blocks announced do not fit the datagram.
    Truncated,
    /// The numbers run past 64 bits.
    NumberOverflow,
}

impl core::fmt::Display for MoldError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            MoldError::WrongLength(length) => write!(f, "datagram of {length} bytes has no room for its header"),
            MoldError::Truncated => f.write_str("blocks run past the datagram"),
            MoldError::NumberOverflow => f.write_str("message numbers run past 64 bits"),
        }
    }
}

impl std::error::Error for MoldError {}

/// A downstream packet whose blocks are known to add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoldPacket<'a> {
    header: &'a Header,
    blocks: &'a [u8],
    trailing_bytes: usize,
}

impl<'a> MoldPacket<'a> {
    /// Takes a datagram and checks every block's length. Cost: one step a block.
    /// # Errors
    /// See [`MoldError`]. Bytes after the last block are no error; see [`MoldPacket::trailing_bytes`].
    pub fn parse(datagram: &'a [u8]) -> Result<MoldPacket<'a>, MoldError> {
        let (header, rest) = Header::ref_from_prefix(datagram).map_err(|_| MoldError::WrongLength(datagram.len()))?;
        let mut packet = MoldPacket { header, blocks: &[], trailing_bytes: rest.len() };
        if packet.kind() == Kind::Data {
            let mut left = rest;
            for _ in 0..header.count.get() {
                (_, left) = split_block(left).ok_or(MoldError::Truncated)?;
            }
            packet.blocks = &rest[..rest.len() - left.len()];
            packet.trailing_bytes = left.len();
        }
        let count = u64::from(packet.count());
        header.sequence.get().checked_add(count).ok_or(MoldError::NumberOverflow)?;
        Ok(packet)
    }

    /// What it is.
    #[inline]
    pub fn kind(&self) -> Kind {
        match self.header.count.get() {
            HEARTBEAT => Kind::Heartbeat,
            END_OF_SESSION => Kind::EndOfSession,
            _ => Kind::Data,
        }
    }

    /// Which stream.
    #[inline]
    pub fn session(&self) -> Session {
        self.header.session
    }

    /// Number of the first block; without blocks: the next number.
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.header.sequence.get()
    }

    /// Number of blocks.
    #[inline]
    pub fn count(&self) -> u16 {
        if self.kind() == Kind::Data { self.header.count.get() } else { 0 }
    }

    /// Number of the message that follows this packet.
    #[inline]
    pub fn next_sequence(&self) -> u64 {
        self.sequence() + u64::from(self.count())
    }

    /// Bytes after the last block. The protocol has none; a receiver may ignore them, a test must not.
    #[inline]
    pub fn trailing_bytes(&self) -> usize {
        self.trailing_bytes
    }

    /// The messages with their numbers, in order.
    #[inline]
    pub fn messages(&self) -> Messages<'a> {
        Messages { sequence: self.sequence(), blocks: self.blocks }
    }
}

/// Iterator over a packet's messages; see [`MoldPacket::messages`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    sequence: u64,
    blocks: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = (u64, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u64, &'a [u8])> {
        let (message, left) = split_block(self.blocks)?;
        let sequence = self.sequence;
        self.sequence += 1;
        self.blocks = left;
        Some((sequence, message))
    }
}

/// The first block's message, and the rest.
#[inline]
fn split_block(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<BLOCK_HEAD_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The datagram, or the count, has no room for the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatagramFull;

/// Lays messages down in a datagram.
///
/// Shape: the header is written at once, for a packet without messages a heartbeat; [`PacketWriter::finish`]
/// completes it.
#[derive(Debug)]
pub struct PacketWriter<'a> {
    out: &'a mut [u8],
    end: usize,
    count: u16,
}

impl<'a> PacketWriter<'a> {
    /// Starts a packet in `out`, whose length bounds the datagram.
    /// # Panics
    /// `out` is shorter than a header.
    #[inline]
    pub fn new(out: &'a mut [u8], session: Session, sequence: u64) -> PacketWriter<'a> {
        out[..HEADER_BYTES].copy_from_slice(Header::heartbeat(session, sequence).as_bytes());
        PacketWriter { out, end: HEADER_BYTES, count: 0 }
    }

    /// Appends one message.
    /// # Errors
    /// [`DatagramFull`]: it does not fit; the packet is as before.
    #[inline]
    pub fn try_push(&mut self, message: &[u8]) -> Result<(), DatagramFull> {
        let start = self.end + BLOCK_HEAD_BYTES;
        let length = u16::try_from(message.len()).map_err(|_| DatagramFull)?;
        if self.count == COUNT_MAX || start + message.len() > self.out.len() {
            return Err(DatagramFull);
        }
        self.out[self.end..start].copy_from_slice(&length.to_be_bytes());
        self.end = start + message.len();
        self.out[start..self.end].copy_from_slice(message);
        self.count += 1;
        Ok(())
    }

    /// Number of messages so far.
    #[inline]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Longest message that still fits, if any does.
    #[inline]
    pub fn room(&self) -> Option<usize> {
        if self.count == COUNT_MAX {
            return None;
        }
        (self.out.len() - self.end).checked_sub(BLOCK_HEAD_BYTES).map(|room| room.min(usize::from(u16::MAX)))
    }

    /// Writes the count and gives the datagram's length.
    #[inline]
    pub fn finish(self) -> usize {
        self.out[HEADER_BYTES - 2..HEADER_BYTES].copy_from_slice(&self.count.to_be_bytes());
        self.end
    }
}

/// A client asks for messages again, by unicast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Which stream.
    pub session: Session,
    /// First number wanted.
    pub sequence: u64,
    /// How many. 0 and 0xFFFF mean nothing in the protocol and get no answer.
    pub count: u16,
}

impl Request {
    /// Takes a request datagram.
    /// # Errors
    /// [`MoldError::WrongLength`]: a request has exactly 20 bytes.
    #[inline]
    pub fn parse(datagram: &[u8]) -> Result<Request, MoldError> {
        let header = Header::read_from_bytes(datagram).map_err(|_| MoldError::WrongLength(datagram.len()))?;
        Ok(Request { session: header.session, sequence: header.sequence.get(), count: header.count.get() })
    }

    /// The datagram.
    #[inline]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let Request { session, sequence, count } = *self;
        zerocopy::transmute!(Header { session, sequence: U64::new(sequence), count: U16::new(count) })
    }
}
