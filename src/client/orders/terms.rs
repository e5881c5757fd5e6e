//! The words of a session: where the venue is and who logs in, what comes in, and why something did not work.

use crate::runtime::shared_ring::Violation;
use crate::wire::ouch::{OuchError, Outbound};
use crate::wire::soup::{LoginReject, SessionName, SoupError};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::kept::Keep;

/// Where the venue is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// SoupBinTCP.
    Tcp(SocketAddr),
    /// The Unix socket that leads to rings in shared memory.
    Shared(PathBuf),
}

/// Who logs in, how the session behaves. Everything with a default but the first three.
#[derive(Clone, Debug)]
pub struct OrderOptions {
    /// Where.
    pub address: Address,
    /// User name, at most six characters.
    pub user: String,
    /// Password, at most ten.
    pub password: String,
    /// Session wanted; blank for the current one.
    pub session: SessionName,
    /// Number of the next message wanted: 1 for everything of the day, 0 for new ones only.
    pub sequence: u64,
    /// Most requests without an answer; at this many the next one is refused. 0 keeps none: nothing is sent again.
    pub unanswered_max: usize,
    /// What is kept of the received stream.
    pub keep: Keep,
    /// How long connecting and the login's answer may take.
    pub connect_limit: Duration,
    /// Own silence after which a heartbeat goes out (TCP).
    pub heartbeat: Duration,
    /// The venue's silence after which the connection counts as lost (TCP).
    pub silence: Duration,
}

impl OrderOptions {
    /// The current session from its first message on, up to 1,024 requests in flight, customary times.
    pub fn new(address: Address, user: &str, password: &str) -> OrderOptions {
        OrderOptions {
            address,
            user: user.to_owned(),
            password: password.to_owned(),
            session: SessionName::BLANK,
            sequence: 1,
            unanswered_max: 1024,
            keep: Keep::Nothing,
            connect_limit: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(15),
        }
    }
}

/// What came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "one size on the caller's stack; boxing would allocate")]
pub enum Incoming {
    /// A message of the numbered stream.
    Message {
        /// Its number.
        sequence: u64,
        /// Its content.
        message: Outbound,
    },
    /// Nothing follows on this connection. The day is over if a System Event of the stream said so before; else the venue
    /// has stopped and goes on with the session at its next start: reconnect then, from the next number as ever.
    EndOfSession,
}

/// Why a request was not sent. The session goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The way to the venue is full: poll, and try again.
    Full,
    /// As many requests wait for their answers as may.
    Unanswered,
    /// After a reconnect, until what the venue missed has been sent again: poll, and try again.
    Recovering,
    /// There is no connection.
    NotConnected,
    /// Not a message: empty or too long.
    Length,
}

/// Why the connection is gone. Everything received before stands; [`super::OrderSession::reconnect`] continues behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The venue closed it, or it was never there.
    Closed,
    /// The login was refused.
    Rejected(LoginReject),
    /// Nothing came from the venue for too long.
    Silent,
    /// Packets where they do not belong, or a stream that goes on elsewhere than asked.
    Protocol,
    /// Bytes that are not SoupBinTCP.
    Soup(SoupError),
    /// Bytes that are not OUCH.
    Ouch(OuchError),
    /// The shared memory holds what an honest venue does not write.
    Violation(Violation),
    /// What the system said.
    System(io::ErrorKind),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Closed => f.write_str("the venue closed the connection"),
            Fault::Rejected(reason) => write!(f, "login refused: {}", reject_text(*reason)),
            Fault::Silent => f.write_str("the venue is silent"),
            Fault::Protocol => f.write_str("the venue broke the session protocol"),
            Fault::Soup(fault) => write!(f, "not SoupBinTCP: {fault}"),
            Fault::Ouch(fault) => write!(f, "not OUCH: {fault}"),
            Fault::Violation(violation) => write!(f, "{violation}"),
            Fault::System(kind) => write!(f, "connection: {kind}"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Fault {
        Fault::System(fault.kind())
    }
}

impl From<SoupError> for Fault {
    fn from(fault: SoupError) -> Fault {
        Fault::Soup(fault)
    }
}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Fault {
        Fault::Violation(violation)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Full => "the way to the venue is full",
            Refusal::Unanswered => "too many requests wait for their answers",
            Refusal::Recovering => "requests from before the reconnect are still to be sent again",
            Refusal::NotConnected => "not connected",
            Refusal::Length => "not a message: empty or too long",
        })
    }
}

impl std::error::Error for Refusal {}

/// The reason as people read it.
fn reject_text(reason: LoginReject) -> &'static str {
    match reason {
        LoginReject::NotAuthorized => "user or password not accepted",
        LoginReject::SessionNotAvailable => "session or sequence number not available",
        LoginReject::Other(_) => "refused for a reason this client does not know",
    }
}
