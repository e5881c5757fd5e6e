//! One connection's side of SoupBinTCP, without input or output: packets and times go in, what to do comes out.
//!
//! A connection is new, then waits for its login to be checked (elsewhere, because a password hash takes
//! milliseconds), then is live for one session until it closes. The owner of the bytes asks [`Session::on_packet`]
//! for each packet, [`Session::on_login`] when the check has answered, and [`Session::on_time`] now and then. Times are
//! nanoseconds of a clock that does not go back. Hot, O(1).
//!
//! Decisions where the protocol leaves one: requested sequence 0 (or blank) is "no replay"; above the next number the
//! login is refused with `S`, because the client has seen messages that this venue does not have; blank session means
//! the current one. A second login request and packets of the server's kind end the connection. After the end of
//! the day a login is still taken, so that a late client gets what it missed and the end of session after it.

use crate::gateway::streams::Streams;
use crate::types::{Nanos, SessionId};
use crate::wire::soup::{ClientPacket, LoginAccepted, LoginReject, LoginRequest, ServerPacket, SessionName};

/// Times of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionTimes {
    /// A connection that has not been logged in after this is closed.
    pub login_ns: u64,
    /// Own silence after which a heartbeat is due.
    pub heartbeat_ns: u64,
    /// Client silence after which the connection is closed, unless its login names another time.
    pub silence_ns: u64,
    /// After the end of session the client has this long to close first; closing on it could lose the packet.
    pub linger_ns: u64,
}

impl Default for SessionTimes {
    /// The customary ones: 30 s, 1 s, 15 s; and 2 s.
    fn default() -> Self {
        let seconds = |count| count * Nanos::SECOND;
        SessionTimes { login_ns: seconds(30), heartbeat_ns: seconds(1), silence_ns: seconds(15), linger_ns: seconds(2) }
    }
}

/// Why a connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseCause {
    /// The client closed, or the network did.
    Gone,
    /// The client logged out.
    Logout,
    /// Not logged in in time.
    LoginLate,
    /// Login refused.
    LoginRefused,
    /// A packet that the protocol does not allow here, or bytes that are none.
    Protocol,
    /// A message that is not OUCH.
    Malformed,
    /// Not a sign of life in time.
    Silent,
    /// A newer login of the same session took over.
    Superseded,
    /// It reads too slowly: its lag is above the limit.
    Lagging,
    /// The day is over, or the process ends.
    Ended,
    /// It kept asking for more than cancels when the journal has room for no more.
    NoRoom,
}

impl CloseCause {
    /// All, in the order of [`CloseCause::index`].
    pub const ALL: [CloseCause; 11] = [
        CloseCause::Gone,
        CloseCause::Logout,
        CloseCause::LoginLate,
        CloseCause::LoginRefused,
        CloseCause::Protocol,
        CloseCause::Malformed,
        CloseCause::Silent,
        CloseCause::Superseded,
        CloseCause::Lagging,
        CloseCause::Ended,
        CloseCause::NoRoom,
    ];

    /// Position in a table with an entry a cause.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Word for a counter's name.
    pub const fn word(self) -> &'static str {
        match self {
            CloseCause::Gone => "gone",
            CloseCause::Logout => "logout",
            CloseCause::LoginLate => "login_late",
            CloseCause::LoginRefused => "login_refused",
            CloseCause::Protocol => "protocol",
            CloseCause::Malformed => "malformed",
            CloseCause::Silent => "silent",
            CloseCause::Superseded => "superseded",
            CloseCause::Lagging => "lagging",
            CloseCause::Ended => "ended",
            CloseCause::NoRoom => "no_room",
        }
    }
}

/// User and password of a login, as sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// User name with its padding.
    pub user: [u8; 6],
    /// Password with its padding.
    pub password: [u8; 10],
}

impl std::fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &String::from_utf8_lossy(&self.user)).finish_non_exhaustive()
    }
}

/// What to do about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// Nothing.
    Done,
    /// Have these checked, then call [`Session::on_login`].
    Check(Credentials),
    /// Keep the packet, and give it again after [`Session::on_login`].
    Wait,
    /// A message of this session.
    Message(SessionId, &'a [u8]),
    /// Close.
    Close(CloseCause),
}

/// What a checked login leads to. The packet is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginOutcome {
    /// Live: the stream goes out from `position` on, after the packet.
    Accepted {
        /// Whose stream.
        session: SessionId,
        /// Where in it.
        position: usize,
        /// To be sent first.
        packet: LoginAccepted,
    },
    /// To be closed after the packet.
    Rejected(LoginReject),
}

impl LoginOutcome {
    /// Writes the packet to the front of `out`; gives its length.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        match self {
            LoginOutcome::Accepted { packet, .. } => ServerPacket::LoginAccepted(*packet).encode(out),
            LoginOutcome::Rejected(reason) => ServerPacket::LoginRejected(*reason).encode(out),
        }
    }
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A heartbeat, unless something else is being sent.
    Heartbeat,
    /// Close.
    Close(CloseCause),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    New,
    /// Its login is being checked; then this place in this session is wanted.
    Checking(Wanted),
    Live(SessionId),
    /// End of session was sent.
    Ended {
        close_at_ns: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    session: SessionName,
    sequence: Option<u64>,
}

/// State of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    phase: Phase,
    times: SessionTimes,
    opened_ns: u64,
    heard_ns: u64,
    spoke_ns: u64,
}

impl Session {
    /// A connection that has just come.
    pub fn new(times: SessionTimes, now_ns: u64) -> Session {
        Session { phase: Phase::New, times, opened_ns: now_ns, heard_ns: now_ns, spoke_ns: now_ns }
    }

    /// Takes a packet in.
    #[inline]
    pub fn on_packet<'a>(&mut self, packet: ClientPacket<'a>, now_ns: u64) -> Step<'a> {
        self.heard_ns = now_ns;
        match (self.phase, packet) {
            (Phase::Live(session), ClientPacket::Unsequenced(message)) => Step::Message(session, message),
            (Phase::Ended { .. }, _) => Step::Done,
            (Phase::Live(_) | Phase::New, ClientPacket::Logout) => Step::Close(CloseCause::Logout),
            (Phase::Live(_) | Phase::New, ClientPacket::Heartbeat | ClientPacket::Debug(_)) => Step::Done,
            (Phase::New, ClientPacket::Login(login)) => self.on_login_request(&login),
            (Phase::Live(_), ClientPacket::Login(_)) => Step::Close(CloseCause::Protocol),
            (Phase::New, ClientPacket::Unsequenced(_)) => Step::Close(CloseCause::Protocol),
            (Phase::Checking(_), _) => Step::Wait,
        }
    }

    #[cold]
    fn on_login_request(&mut self, login: &LoginRequest) -> Step<'static> {
        self.phase = Phase::Checking(Wanted { session: login.session, sequence: login.sequence });
        match login.heartbeat_timeout_ms {
            // 0 asks for no time of its own.
            None | Some(0) => {}
            Some(silence_ms) => self.times.silence_ns = u64::from(silence_ms) * 1_000_000,
        }
        Step::Check(Credentials { user: login.username, password: login.password })
    }

    /// Takes the answer of the check in: whose login it is, or none. `name` is the current session's.
    #[cold]
    pub fn on_login(
        &mut self,
        granted: Option<SessionId>,
        name: SessionName,
        streams: &Streams,
        now_ns: u64,
    ) -> LoginOutcome {
        let Phase::Checking(wanted) = self.phase else {
            return LoginOutcome::Rejected(LoginReject::NotAuthorized);
        };
        let Some(session) = granted else {
            return LoginOutcome::Rejected(LoginReject::NotAuthorized);
        };
        let Some((sequence, position)) = wanted.place(session, name, streams) else {
            return LoginOutcome::Rejected(LoginReject::SessionNotAvailable);
        };
        self.phase = Phase::Live(session);
        // The time the check took is not the client's silence.
        self.heard_ns = now_ns;
        self.spoke_ns = now_ns;
        let packet = LoginAccepted { session: name, sequence: Some(sequence) };
        LoginOutcome::Accepted { session, position, packet }
    }

    /// What is due now. To be asked every few milliseconds.
    #[inline]
    pub fn on_time(&mut self, now_ns: u64) -> Due {
        match self.phase {
            Phase::Live(_) if now_ns.saturating_sub(self.heard_ns) > self.times.silence_ns => {
                Due::Close(CloseCause::Silent)
            }
            Phase::Live(_) if now_ns.saturating_sub(self.spoke_ns) > self.times.heartbeat_ns => Due::Heartbeat,
            Phase::Live(_) => Due::Nothing,
            Phase::New | Phase::Checking(_) if now_ns.saturating_sub(self.opened_ns) > self.times.login_ns => {
                Due::Close(CloseCause::LoginLate)
            }
            Phase::New | Phase::Checking(_) => Due::Nothing,
            Phase::Ended { close_at_ns } if now_ns >= close_at_ns => Due::Close(CloseCause::Ended),
            Phase::Ended { .. } => Due::Nothing,
        }
    }

    /// Something was sent to the client.
    #[inline]
    pub fn spoke(&mut self, now_ns: u64) {
        self.spoke_ns = now_ns;
    }

    /// The last packet of the day, End of Session, was sent: what the client still sends is passed over.
    pub fn end(&mut self, now_ns: u64) {
        self.phase = Phase::Ended { close_at_ns: now_ns + self.times.linger_ns };
    }

    /// The session it is live for.
    #[inline]
    pub fn live(&self) -> Option<SessionId> {
        match self.phase {
            Phase::Live(session) => Some(session),
            Phase::New | Phase::Checking(_) | Phase::Ended { .. } => None,
        }
    }

    /// Whether it has not been logged in yet.
    pub fn is_new(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Checking(_))
    }

    /// Whether its login is being checked.
    pub fn is_checking(&self) -> bool {
        matches!(self.phase, Phase::Checking(_))
    }
}

impl Wanted {
    /// Number and position of the next message to be sent, if this place exists.
    fn place(&self, session: SessionId, name: SessionName, streams: &Streams) -> Option<(u64, usize)> {
        if !self.session.is_blank() && self.session != name {
            return None;
        }
        let sequence = match self.sequence? {
            0 => streams.next_sequence(session),
            sequence => sequence,
        };
        Some((sequence, streams.position_of(session, sequence)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fixture::{ALICE, market};
    use crate::types::{Number, Report, ReportBody};

    const NAME: SessionName = SessionName(*b"    DAY001");
    const SECOND: u64 = Nanos::SECOND;

    fn streams(messages: u64) -> Streams {
        let mut streams = Streams::new(&market(), 1 << 16);
        for number in 1..=messages {
            let report = Report { session: ALICE, number: Number(number), time: Nanos(1), body: ReportBody::DayStart };
            assert_eq!(streams.append(&report), Ok(true));
        }
        streams
    }

    fn request(name: &str, sequence: Option<u64>) -> LoginRequest {
        let session = SessionName::from_text(name).unwrap();
        LoginRequest { sequence, ..LoginRequest::new("alice", "secret", session, 1).unwrap() }
    }

    fn login(request: LoginRequest, granted: Option<SessionId>) -> LoginOutcome {
        let mut session = Session::new(SessionTimes::default(), 0);
        assert!(matches!(session.on_packet(ClientPacket::Login(request), 0), Step::Check(_)));
        session.on_login(granted, NAME, &streams(10), 0)
    }

    fn live() -> Session {
        let mut session = Session::new(SessionTimes::default(), 0);
        session.on_packet(ClientPacket::Login(request("", Some(1))), 0);
        assert!(matches!(session.on_login(Some(ALICE), NAME, &streams(0), 0), LoginOutcome::Accepted { .. }));
        session
    }

    #[test]
    fn the_place_in_the_stream_is_as_asked() {
        let places = [(Some(1), 1, 0), (Some(4), 4, 39), (Some(11), 11, 130), (Some(0), 11, 130)];
        for (wanted, sequence, at) in places {
            let packet = LoginAccepted { session: NAME, sequence: Some(sequence) };
            let expected = LoginOutcome::Accepted { session: ALICE, position: at, packet };
            for name in ["", "DAY001"] {
                assert_eq!(login(request(name, wanted), Some(ALICE)), expected);
            }
        }
    }

    #[test]
    fn places_and_sessions_that_do_not_exist_are_refused() {
        let unavailable = LoginOutcome::Rejected(LoginReject::SessionNotAvailable);
        assert_eq!(login(request("", Some(12)), Some(ALICE)), unavailable);
        assert_eq!(login(request("", Some(u64::MAX)), Some(ALICE)), unavailable);
        assert_eq!(login(request("", None), Some(ALICE)), unavailable, "no number");
        assert_eq!(login(request("DAY002", Some(1)), Some(ALICE)), unavailable);
        // Who is not let in learns nothing else.
        let refused = LoginOutcome::Rejected(LoginReject::NotAuthorized);
        assert_eq!(login(request("DAY002", Some(99)), None), refused);
    }

    #[test]
    fn before_the_login_only_a_login_has_a_meaning() {
        let step = |packet| Session::new(SessionTimes::default(), 0).on_packet(packet, 0);
        assert_eq!(step(ClientPacket::Unsequenced(b"x")), Step::Close(CloseCause::Protocol));
        assert_eq!(step(ClientPacket::Heartbeat), Step::Done);
        assert_eq!(step(ClientPacket::Debug(b"x")), Step::Done);
        assert_eq!(step(ClientPacket::Logout), Step::Close(CloseCause::Logout));
        let mut session = Session::new(SessionTimes::default(), 0);
        session.on_packet(ClientPacket::Login(request("", Some(1))), 0);
        for packet in [ClientPacket::Unsequenced(b"x"), ClientPacket::Login(request("", Some(1)))] {
            assert_eq!(session.on_packet(packet, 0), Step::Wait);
        }
        // An answer that nobody asked for lets nobody in.
        let mut session = Session::new(SessionTimes::default(), 0);
        let outcome = session.on_login(Some(ALICE), NAME, &streams(0), 0);
        assert_eq!((outcome, session.live()), (LoginOutcome::Rejected(LoginReject::NotAuthorized), None));
    }

    #[test]
    fn a_live_session_takes_messages_until_it_ends() {
        let mut session = live();
        assert_eq!(session.on_packet(ClientPacket::Unsequenced(b"x"), 0), Step::Message(ALICE, b"x"));
        assert_eq!(session.on_packet(ClientPacket::Logout, 0), Step::Close(CloseCause::Logout));
        let again = ClientPacket::Login(request("", Some(1)));
        assert_eq!(session.on_packet(again, 0), Step::Close(CloseCause::Protocol));
        session.end(SECOND);
        assert_eq!(session.on_packet(ClientPacket::Unsequenced(b"x"), SECOND), Step::Done);
        assert_eq!((session.live(), session.on_time(2 * SECOND)), (None, Due::Nothing));
        assert_eq!(session.on_time(3 * SECOND), Due::Close(CloseCause::Ended));
    }

    #[test]
    fn own_silence_is_broken_and_client_silence_ends_it() {
        let mut session = live();
        assert_eq!(session.on_time(SECOND), Due::Nothing);
        assert_eq!(session.on_time(SECOND + 1), Due::Heartbeat);
        session.spoke(SECOND + 1);
        assert_eq!(session.on_time(2 * SECOND), Due::Nothing);
        session.on_packet(ClientPacket::Heartbeat, 14 * SECOND);
        session.spoke(29 * SECOND);
        assert_eq!(session.on_time(29 * SECOND), Due::Nothing);
        assert_eq!(session.on_time(29 * SECOND + 1), Due::Close(CloseCause::Silent));
    }
}
