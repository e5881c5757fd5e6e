//! The login of SoupBinTCP: fixed fields of padded text, read tolerantly and written as the document says.
//!
//! Cold: one request and one answer a connection. Numbers are decimal digits; clients in the field pad text and
//! numbers on either side, so spaces are taken off both, and a blank number reads as 0.
//!
//! Source: SoupBinTCP 3.00 to 4.10, Login Request, Login Accepted, Login Rejected.

use super::HEADER_BYTES;
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length field of a Login Request without a timeout (3.00, 4.00).
pub(super) const LOGIN_LENGTH: u16 = 47;
/// And with one (4.10).
pub(super) const LOGIN_LENGTH_TIMEOUT: u16 = 52;
/// Length field of Login Accepted.
pub(super) const ACCEPTED_LENGTH: u16 = 31;
/// Length field of Login Rejected.
pub(super) const REJECTED_LENGTH: u16 = 2;

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
    pub(super) fn read(payload: &[u8]) -> LoginRequest {
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

    pub(super) fn read(payload: &[u8]) -> LoginAccepted {
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
