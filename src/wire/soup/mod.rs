//! SoupBinTCP 3.00 to 4.10: framing, login and heartbeats around OUCH messages on a TCP stream.
//!
//! The readers take the front of a receive buffer and give the first whole packet and its length, or nothing yet;
//! they keep no state, so the caller owns reassembly and its bound. Lengths are held strictly, padding is taken on
//! either side (clients in the field pad the login on both), and what we write is padded as the document says.
//! Session rules (who may send what when) live in the gateway and in the client.
//!
//! Source: SoupBinTCP 3.00, 4.00 and 4.10, sections on logical packets.

mod login;

pub use login::{LoginAccepted, LoginReject, LoginRequest, SessionName};

use login::{ACCEPTED_LENGTH, LOGIN_LENGTH, LOGIN_LENGTH_TIMEOUT, REJECTED_LENGTH};

/// Length field and packet type, ahead of every payload.
pub const HEADER_BYTES: usize = 3;
/// Longest payload the length field can announce.
pub const PAYLOAD_MAX: usize = u16::MAX as usize - 1;
/// Longest packet, its length field included.
pub const PACKET_MAX: usize = HEADER_BYTES + PAYLOAD_MAX;
/// What a server sends after a second of its own silence.
pub const SERVER_HEARTBEAT: [u8; HEADER_BYTES] = [0, 1, b'H'];
/// What a client sends after a second of its own silence.
pub const CLIENT_HEARTBEAT: [u8; HEADER_BYTES] = [0, 1, b'R'];
/// The client leaves.
pub const LOGOUT: [u8; HEADER_BYTES] = [0, 1, b'O'];
/// The session is over for good; the server's last packet.
pub const END_OF_SESSION: [u8; HEADER_BYTES] = [0, 1, b'Z'];

/// Why a byte stream is not SoupBinTCP. After any of these nothing that follows can be trusted: disconnect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SoupError {
    /// A length of 0: a packet has at least its type.
    ZeroLength,
    /// A packet type that the other side never sends.
    UnknownType(u8),
    /// A length that this type cannot have.
    WrongLength {
        /// Packet type.
        kind: u8,
        /// The length field.
        length: u16,
    },
    /// A packet longer than the reader's own bound.
    TooLong(u16),
}

impl core::fmt::Display for SoupError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SoupError::ZeroLength => f.write_str("packet of length 0"),
            SoupError::UnknownType(kind) => write!(f, "unknown packet type {:?}", *kind as char),
            SoupError::WrongLength { kind, length } => {
                write!(f, "packet type {:?} cannot have length {length}", *kind as char)
            }
            SoupError::TooLong(length) => write!(f, "packet length {length} is above the reader's bound"),
        }
    }
}

impl std::error::Error for SoupError {}

/// What a client sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientPacket<'a> {
    /// Free text, ignored by software.
    Debug(&'a [u8]),
    /// First packet of a connection.
    Login(LoginRequest),
    /// One message of the protocol above.
    Unsequenced(&'a [u8]),
    /// Sign of life.
    Heartbeat,
    /// The client leaves.
    Logout,
}

/// What a server sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerPacket<'a> {
    /// Free text, ignored by software.
    Debug(&'a [u8]),
    /// The login stands.
    LoginAccepted(LoginAccepted),
    /// The login does not, and the server closes.
    LoginRejected(LoginReject),
    /// One message of the numbered stream; an empty one takes a number too.
    Sequenced(&'a [u8]),
    /// One message outside the numbered stream (4.00 and later).
    Unsequenced(&'a [u8]),
    /// Sign of life.
    Heartbeat,
    /// The session is over.
    EndOfSession,
}

impl<'a> ClientPacket<'a> {
    /// The first packet of `bytes` and how many of them it took; `None` while it is not all there.
    /// Cost: O(1); hot.
    /// # Errors
    /// See [`SoupError`]. Length and type are judged as soon as they are there, before the payload arrives.
    #[inline]
    pub fn next(bytes: &'a [u8]) -> Result<Option<(ClientPacket<'a>, usize)>, SoupError> {
        Self::next_within(bytes, PACKET_MAX)
    }

    /// As [`ClientPacket::next`], for a reader whose buffer holds packets up to `packet_max` bytes (length field
    /// included): a longer one is an error at once and not a packet that never becomes whole.
    /// # Errors
    /// See [`SoupError`].
    #[inline]
    pub fn next_within(bytes: &'a [u8], packet_max: usize) -> Result<Option<(ClientPacket<'a>, usize)>, SoupError> {
        let Some((kind, length)) = header(bytes, packet_max)? else { return Ok(None) };
        let sound = match kind {
            b'U' | b'+' => true,
            b'R' | b'O' => length == 1,
            b'L' => length == LOGIN_LENGTH || length == LOGIN_LENGTH_TIMEOUT,
            other => return Err(SoupError::UnknownType(other)),
        };
        if !sound {
            return Err(SoupError::WrongLength { kind, length });
        }
        let Some((payload, taken)) = body(bytes, length) else { return Ok(None) };
        let packet = match kind {
            b'U' => ClientPacket::Unsequenced(payload),
            b'R' => ClientPacket::Heartbeat,
            b'O' => ClientPacket::Logout,
            b'L' => ClientPacket::Login(LoginRequest::read(payload)),
            _ => ClientPacket::Debug(payload),
        };
        Ok(Some((packet, taken)))
    }

    /// Writes the packet to the front of `out`; gives its length.
    /// # Panics
    /// `out` is too short, or a payload is above [`PAYLOAD_MAX`].
    pub fn encode(&self, out: &mut [u8]) -> usize {
        match self {
            ClientPacket::Debug(text) => encode_packet(b'+', text, out),
            ClientPacket::Login(login) => login.encode(out),
            ClientPacket::Unsequenced(message) => encode_packet(b'U', message, out),
            ClientPacket::Heartbeat => encode_packet(b'R', &[], out),
            ClientPacket::Logout => encode_packet(b'O', &[], out),
        }
    }
}

impl<'a> ServerPacket<'a> {
    /// The first packet of `bytes` and how many of them it took; `None` while it is not all there.
    /// Cost: O(1); hot.
    /// # Errors
    /// See [`SoupError`]. Length and type are judged as soon as they are there, before the payload arrives.
    #[inline]
    pub fn next(bytes: &'a [u8]) -> Result<Option<(ServerPacket<'a>, usize)>, SoupError> {
        let Some((kind, length)) = header(bytes, PACKET_MAX)? else { return Ok(None) };
        let sound = match kind {
            b'S' | b'U' | b'+' => true,
            b'H' | b'Z' => length == 1,
            b'A' => length == ACCEPTED_LENGTH,
            b'J' => length == REJECTED_LENGTH,
            other => return Err(SoupError::UnknownType(other)),
        };
        if !sound {
            return Err(SoupError::WrongLength { kind, length });
        }
        let Some((payload, taken)) = body(bytes, length) else { return Ok(None) };
        let packet = match kind {
            b'S' => ServerPacket::Sequenced(payload),
            b'U' => ServerPacket::Unsequenced(payload),
            b'H' => ServerPacket::Heartbeat,
            b'Z' => ServerPacket::EndOfSession,
            b'A' => ServerPacket::LoginAccepted(LoginAccepted::read(payload)),
            b'J' => ServerPacket::LoginRejected(LoginReject::from_letter(payload[0])),
            _ => ServerPacket::Debug(payload),
        };
        Ok(Some((packet, taken)))
    }

    /// Writes the packet to the front of `out`; gives its length.
    /// # Panics
    /// `out` is too short, or a payload is above [`PAYLOAD_MAX`].
    pub fn encode(&self, out: &mut [u8]) -> usize {
        match self {
            ServerPacket::Debug(text) => encode_packet(b'+', text, out),
            ServerPacket::LoginAccepted(accepted) => accepted.encode(out),
            ServerPacket::LoginRejected(reason) => encode_packet(b'J', &[reason.letter()], out),
            ServerPacket::Sequenced(message) => encode_packet(b'S', message, out),
            ServerPacket::Unsequenced(message) => encode_packet(b'U', message, out),
            ServerPacket::Heartbeat => encode_packet(b'H', &[], out),
            ServerPacket::EndOfSession => encode_packet(b'Z', &[], out),
        }
    }
}

/// The three bytes ahead of a Sequenced Data payload of `payload_bytes`, for writers that lay the message down
/// behind them themselves.
/// # Panics
/// The payload is above [`PAYLOAD_MAX`].
#[inline]
pub const fn sequenced_header(payload_bytes: usize) -> [u8; HEADER_BYTES] {
    header_of(b'S', payload_bytes)
}

/// The three bytes ahead of an Unsequenced Data payload of `payload_bytes`.
/// # Panics
/// The payload is above [`PAYLOAD_MAX`].
#[inline]
pub const fn unsequenced_header(payload_bytes: usize) -> [u8; HEADER_BYTES] {
    header_of(b'U', payload_bytes)
}

#[inline]
const fn header_of(kind: u8, payload_bytes: usize) -> [u8; HEADER_BYTES] {
    assert!(payload_bytes <= PAYLOAD_MAX, "a packet's length field has 16 bits");
    let [high, low] = (payload_bytes as u16 + 1).to_be_bytes();
    [high, low, kind]
}

/// Type and length field of the packet at the front, or `None` when not even these are there.
#[inline]
fn header(bytes: &[u8], packet_max: usize) -> Result<Option<(u8, u16)>, SoupError> {
    let Some(&[high, low]) = bytes.first_chunk::<2>() else { return Ok(None) };
    let length = u16::from_be_bytes([high, low]);
    if length == 0 {
        return Err(SoupError::ZeroLength);
    }
    if usize::from(length) + 2 > packet_max {
        return Err(SoupError::TooLong(length));
    }
    Ok(bytes.get(2).map(|&kind| (kind, length)))
}

/// Payload and size of the packet at the front, once it is whole. `length` is at least 1.
#[inline]
fn body(bytes: &[u8], length: u16) -> Option<(&[u8], usize)> {
    let end = usize::from(length) + 2;
    Some((bytes.get(HEADER_BYTES..end)?, end))
}

fn encode_packet(kind: u8, payload: &[u8], out: &mut [u8]) -> usize {
    let end = HEADER_BYTES + payload.len();
    out[..HEADER_BYTES].copy_from_slice(&header_of(kind, payload.len()));
    out[HEADER_BYTES..end].copy_from_slice(payload);
    end
}
