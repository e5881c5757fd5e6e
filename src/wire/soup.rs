//! SoupBinTCP 3.00 to 4.10: framing, login and heartbeats around OUCH messages on a TCP stream.
//!
//! The readers take the front of a receive buffer and give the first whole packet and its length, or nothing yet;
//! they keep no state, so the caller owns reassembly and its bound. Lengths are held strictly, padding is taken on
//! either side (clients in the field pad the login on both), and what we write is padded as the document says.
//! Session rules (who may send what when) live in the gateway and in the client.
//!
//! Source: SoupBinTCP 3.00, 4.00 and 4.10, sections on logical packets.

use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

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

const LOGIN_LENGTH: u16 = 47;
const LOGIN_LENGTH_TIMEOUT: u16 = 52;
const ACCEPTED_LENGTH: u16 = 31;
const REJECTED_LENGTH: u16 = 2;

/// Login Request without its optional last field (SoupBinTCP 3.00, 4.00).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct LoginLayout {
    length: U16,
    kind: u8,
    username: [u8; 6],
    password: [u8; 10],
    session: [u8; 10],
    sequence: [u8; 20],
}
const _: () = assert!(size_of::<LoginLayout>() == LOGIN_LENGTH as usize + 2);
/// The timeout field that 4.10 adds.
const TIMEOUT_BYTES: usize = 5;
const _: () = assert!(LOGIN_LENGTH as usize + TIMEOUT_BYTES == LOGIN_LENGTH_TIMEOUT as usize);

/// Login Accepted.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AcceptedLayout {
    length: U16,
    kind: u8,
    session: [u8; 10],
    sequence: [u8; 20],
}
const _: () = assert!(size_of::<AcceptedLayout>() == ACCEPTED_LENGTH as usize + 2);

/// Who logs in, and from where the stream shall go on. Text fields are as sent, padding included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoginRequest {
    /// Login name; compared without case and padding by [`LoginRequest::is_user`].
    pub username: [u8; 6],
    /// Password as sent; [`LoginRequest::password`] gives it without padding.
    pub password: [u8; 10],
    /// Session wanted; blank for the current one.
    pub session: SessionName,
    /// The next sequenced message wanted; 0 asks for new messages only. A blank field reads as 0. `None` when the
    /// field holds no number that a stream could reach: the login is refused as "session not available".
    pub sequence: Option<u64>,
    /// Client silence in milliseconds after which the server closes (4.10); `None` when not sent or not a number.
    pub heartbeat_timeout_ms: Option<u32>,
}

impl LoginRequest {
    /// Longest encoding, length field included.
    pub const BYTES_MAX: usize = LOGIN_LENGTH_TIMEOUT as usize + 2;

    /// A login as a client writes it; `None` when a text is too long or not printable ASCII.
    pub fn new(username: &str, password: &str, session: SessionName, sequence: u64) -> Option<LoginRequest> {
        Some(LoginRequest {
            username: padded_right(username)?,
            password: padded_right(password)?,
            session,
            sequence: Some(sequence),
            heartbeat_timeout_ms: None,
        })
    }

    /// Whether the login names `user`: case and padding do not count (SoupBinTCP, Login Request).
    pub fn is_user(&self, user: &str) -> bool {
        trimmed(&self.username).eq_ignore_ascii_case(trimmed(user.as_bytes()))
    }

    /// The password without padding, letters as sent. The protocol compares it without case.
    pub fn password(&self) -> &[u8] {
        trimmed(&self.password)
    }

    /// Writes the packet, 52 long when it has a timeout and 47 when not; gives its size.
    /// # Panics
    /// `out` is too short, or the timeout is above 99,999 ms, which the field cannot hold.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let timeout = self.heartbeat_timeout_ms.map(|ms| {
            assert!(ms <= 99_999, "the timeout field has five digits");
            digits::<TIMEOUT_BYTES>(u64::from(ms))
        });
        let length = if timeout.is_some() { LOGIN_LENGTH_TIMEOUT } else { LOGIN_LENGTH };
        let layout = LoginLayout {
            length: U16::new(length),
            kind: b'L',
            username: self.username,
            password: self.password,
            session: self.session.0,
            sequence: digits(self.sequence.unwrap_or(0)),
        };
        let fixed = size_of::<LoginLayout>();
        out[..fixed].copy_from_slice(layout.as_bytes());
        if let Some(field) = timeout {
            out[fixed..fixed + TIMEOUT_BYTES].copy_from_slice(&field);
        }
        usize::from(length) + 2
    }

    /// From a payload of one of the two lengths, already checked.
    fn read(payload: &[u8]) -> LoginRequest {
        let (fixed, timeout) = payload.split_at(size_of::<LoginLayout>() - HEADER_BYTES);
        LoginRequest {
            username: field(fixed, 0),
            password: field(fixed, 6),
            session: SessionName(field(fixed, 16)),
            sequence: number(&fixed[26..46]),
            heartbeat_timeout_ms: match trimmed(timeout) {
                [] => None,
                text => number(text).and_then(|ms| u32::try_from(ms).ok()),
            },
        }
    }
}

/// The session joined, and the number of the next Sequenced Data packet on this connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoginAccepted {
    /// Name of the session.
    pub session: SessionName,
    /// Number of the next sequenced message; `None` when the server wrote no number.
    pub sequence: Option<u64>,
}

impl LoginAccepted {
    /// Size of the packet, length field included.
    pub const BYTES: usize = ACCEPTED_LENGTH as usize + 2;

    /// Writes the packet; gives its size.
    /// # Panics
    /// `out` is too short.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let layout = AcceptedLayout {
            length: U16::new(ACCEPTED_LENGTH),
            kind: b'A',
            session: self.session.0,
            sequence: digits(self.sequence.unwrap_or(0)),
        };
        out[..Self::BYTES].copy_from_slice(layout.as_bytes());
        Self::BYTES
    }

    fn read(payload: &[u8]) -> LoginAccepted {
        LoginAccepted { session: SessionName(field(payload, 0)), sequence: number(&payload[10..30]) }
    }
}

/// Why a login is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginReject {
    /// `A`: user or password not accepted.
    NotAuthorized,
    /// `S`: the session asked for is not available.
    SessionNotAvailable,
    /// A letter the document does not list; servers of ours never send one.
    Other(u8),
}

impl LoginReject {
    /// Size of the packet, length field included.
    pub const BYTES: usize = REJECTED_LENGTH as usize + 2;

    /// Its letter on the wire.
    pub const fn letter(self) -> u8 {
        match self {
            LoginReject::NotAuthorized => b'A',
            LoginReject::SessionNotAvailable => b'S',
            LoginReject::Other(letter) => letter,
        }
    }

    /// From its letter.
    pub const fn from_letter(letter: u8) -> LoginReject {
        match letter {
            b'A' => LoginReject::NotAuthorized,
            b'S' => LoginReject::SessionNotAvailable,
            other => LoginReject::Other(other),
        }
    }
}

/// A session's name: ten bytes, padded on the left when we write it, compared without padding.
#[derive(Clone, Copy, Eq, Debug)]
pub struct SessionName(pub [u8; 10]);

impl SessionName {
    /// Any session: whatever is current.
    pub const BLANK: SessionName = SessionName([b' '; 10]);

    /// From text, padded on the left; `None` when it is too long or not printable ASCII.
    pub fn from_text(text: &str) -> Option<SessionName> {
        let right: [u8; 10] = padded_right(text)?;
        let mut bytes = right;
        bytes.rotate_right(10 - text.len());
        Some(SessionName(bytes))
    }

    /// The name without padding.
    pub fn text(&self) -> &[u8] {
        trimmed(&self.0)
    }

    /// Whether it names no session.
    pub fn is_blank(&self) -> bool {
        self.text().is_empty()
    }
}

impl PartialEq for SessionName {
    fn eq(&self, other: &SessionName) -> bool {
        self.text() == other.text()
    }
}

/// Text without spaces on either side: clients in the field pad on both.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

/// Decimal digits with padding on either side; blank is 0; `None` for anything else or a number above 64 bits.
fn number(text: &[u8]) -> Option<u64> {
    trimmed(text).iter().try_fold(0u64, |sum, &digit| {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(value)
    })
}

/// Decimal digits of `value`, padded on the left with spaces. The caller knows that they fit `N`.
fn digits<const N: usize>(mut value: u64) -> [u8; N] {
    let mut text = [b' '; N];
    for place in text.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text
}

fn padded_right<const N: usize>(text: &str) -> Option<[u8; N]> {
    let fits = text.len() <= N && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    fits.then(|| {
        let mut bytes = [b' '; N];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    })
}

/// `N` bytes of a payload whose length was checked.
fn field<const N: usize>(payload: &[u8], at: usize) -> [u8; N] {
    *payload[at..].first_chunk().expect("the packet's length was checked")
}
