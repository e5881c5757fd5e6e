//! The order-entry session against a venue played by the test, packet by packet: logins, numbering, heartbeats, what is
//! kept and sent again, and venues that break the protocol. Over TCP; the rings have `shared_gateway`.

use pitlane::client::orders::*;
use pitlane::runtime::shared_ring;
use pitlane::types::order::SideCode;
use pitlane::types::*;
use pitlane::wire::ouch::outbound::*;
use pitlane::wire::ouch::{Inbound, Outbound, Tags};
use pitlane::wire::soup::{
    ClientPacket, END_OF_SESSION, LoginAccepted, LoginReject, LoginRequest, SERVER_HEARTBEAT, ServerPacket,
    SessionName, SoupError,
};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything here takes; who waits so long has hung.
const LONG: Duration = Duration::from_secs(60);
const NAME: SessionName = SessionName(*b"    DAY001");

/// The venue's end of one connection.
struct Line {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Clone, PartialEq, Debug)]
enum Packet {
    Login(LoginRequest),
    Message(Inbound),
    Heartbeat,
    Logout,
    Gone,
}

impl Line {
    fn next(&mut self) -> Packet {
        loop {
            if let Some((packet, taken)) = ClientPacket::next(&self.received).unwrap() {
                let packet = match packet {
                    ClientPacket::Login(login) => Packet::Login(login),
                    ClientPacket::Unsequenced(message) => Packet::Message(Inbound::parse(message).unwrap()),
                    ClientPacket::Heartbeat => Packet::Heartbeat,
                    ClientPacket::Logout => Packet::Logout,
                    ClientPacket::Debug(_) => panic!("the client sends no free text"),
                };
                self.received.drain(..taken);
                return packet;
            }
            let mut bytes = [0; 65_536];
            match self.stream.read(&mut bytes) {
                Ok(0) | Err(_) => return Packet::Gone,
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
            }
        }
    }

    fn next_message(&mut self) -> Inbound {
        loop {
            match self.next() {
                Packet::Message(message) => return message,
                Packet::Heartbeat => {}
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    fn login(&mut self, sequence: u64) -> LoginRequest {
        let Packet::Login(login) = self.next() else { panic!("a login comes first") };
        self.packet(ServerPacket::LoginAccepted(LoginAccepted { session: NAME, sequence: Some(sequence) }));
        login
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn packet(&mut self, packet: ServerPacket<'_>) {
        let mut bytes = [0; 512];
        let length = packet.encode(&mut bytes);
        self.bytes(&bytes[..length]);
    }

    fn message(&mut self, message: impl Into<Outbound>) {
        let mut bytes = [0; 256];
        let length = message.into().encode(&mut bytes);
        self.packet(ServerPacket::Sequenced(&bytes[..length]));
    }
}

/// A venue that follows a script on a thread of its own.
struct Venue {
    options: OrderOptions,
    thread: Option<JoinHandle<()>>,
}

/// Where the script takes connections from.
struct Lines(TcpListener);

impl Lines {
    fn accept(&self) -> Line {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Line { stream, received: Vec::new() }
    }

    /// A connection that is let in at message `sequence`.
    fn live(&self, sequence: u64) -> Line {
        let mut line = self.accept();
        line.login(sequence);
        line
    }
}

impl Venue {
    fn play(script: impl FnOnce(Lines) + Send + 'static) -> Venue {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || script(Lines(listener)));
        Venue { options: OrderOptions::new(address, "ALICE", "SECRET"), thread: Some(thread) }
    }

    fn connect(&self) -> OrderSession {
        OrderSession::connect(self.options.clone()).unwrap()
    }

    fn connect_error(&self) -> Fault {
        OrderSession::connect(self.options.clone()).err().expect("no session comes of this")
    }

    fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

fn order() -> NewOrder {
    NewOrder::limit(SideCode::Buy, Quantity(100), Symbol::from_text("MSFT").unwrap(), Price(1_000_000))
}

fn rejected(user_ref: u32) -> Rejected {
    let client_order_id = ClientOrderId::BLANK;
    Rejected { time: DayNanos(1), user_ref: UserRef(user_ref), reason: 1, client_order_id, tags: Tags::NONE }
}

fn canceled(user_ref: u32) -> Canceled {
    let (user_ref, quantity) = (UserRef(user_ref), Quantity(1));
    Canceled { time: DayNanos(1), user_ref, quantity, reason: b'U', tags: Tags::NONE }
}

fn query_answer(next: u32, tags: Tags) -> AccountQueryResponse {
    AccountQueryResponse { time: DayNanos(1), next_user_ref: UserRef(next), tags }
}

fn next(client: &mut OrderSession) -> (u64, Outbound) {
    match client.wait(LONG) {
        Ok(Some(Incoming::Message { sequence, message })) => (sequence, message),
        other => panic!("not a message: {other:?}"),
    }
}

/// Polls until the connection is gone, and says why.
fn fault(client: &mut OrderSession) -> Fault {
    loop {
        match client.wait(LONG) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the connection stays"),
            Err(fault) => return fault,
        }
    }
}

fn user_ref(message: &Inbound) -> u32 {
    message.user_ref_consumed().expect("a request with a number").0
}

#[test]
fn the_login_names_user_session_and_place() {
    let mut venue = Venue::play(|lines| {
        let login = lines.accept().login(7);
        assert!(login.is_user("alice"));
        assert_eq!((login.password(), login.sequence), (&b"SECRET"[..], Some(7)));
        assert_eq!((login.session, login.heartbeat_timeout_ms), (SessionName::from_text("MINE").unwrap(), None));
    });
    venue.options.session = SessionName::from_text("MINE").unwrap();
    venue.options.sequence = 7;
    let client = venue.connect();
    assert_eq!((client.session(), client.next_sequence()), (NAME, 7));
    venue.join();
}

#[test]
fn refused_logins_tell_why() {
    for reason in [LoginReject::NotAuthorized, LoginReject::SessionNotAvailable, LoginReject::Other(b'?')] {
        let venue = Venue::play(move |lines| {
            let mut line = lines.accept();
            line.next();
            line.packet(ServerPacket::Debug(b"hello"));
            line.packet(ServerPacket::LoginRejected(reason));
        });
        assert_eq!(venue.connect_error(), Fault::Rejected(reason));
    }
}

#[test]
fn a_venue_that_goes_on_elsewhere_than_asked_is_not_believed() {
    let mut venue = Venue::play(|lines| {
        lines.live(8);
        lines.live(8);
    });
    venue.options.sequence = 7;
    assert_eq!(venue.connect_error(), Fault::Protocol);
    venue.options.sequence = 0;
    assert_eq!(venue.connect().next_sequence(), 8, "0 asks for whatever comes next");
}

#[test]
fn a_user_that_fits_no_login_is_refused_here() {
    let mut venue = Venue::play(|lines| drop(lines.accept()));
    venue.options.user = "much too long".into();
    assert_eq!(venue.connect_error(), Fault::Rejected(LoginReject::NotAuthorized));
}

#[test]
fn a_venue_that_does_not_answer_the_login_is_given_up() {
    let mut venue = Venue::play(|lines| {
        let mut line = lines.accept();
        line.next();
        assert_eq!(line.next(), Packet::Gone);
    });
    venue.options.connect_limit = Duration::from_millis(20);
    assert_eq!(venue.connect_error(), Fault::Silent);
}

#[test]
fn messages_are_numbered_however_the_bytes_arrive() {
    let venue = Venue::play(|lines| {
        let mut line = lines.live(1);
        let mut bytes = Vec::new();
        for user_ref in 1..=300 {
            let mut packet = [0; 64];
            let mut message = [0; 64];
            let length = Outbound::from(canceled(user_ref)).encode(&mut message);
            let length = ServerPacket::Sequenced(&message[..length]).encode(&mut packet);
            bytes.extend_from_slice(&packet[..length]);
            bytes.extend_from_slice(&SERVER_HEARTBEAT);
        }
        // Pieces of every length from one byte on.
        let mut rest = &bytes[..];
        for length in 1.. {
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            line.bytes(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        line.bytes(&END_OF_SESSION);
        assert_eq!(line.next(), Packet::Logout);
    });
    let mut client = venue.connect();
    for number in 1..=300 {
        let (sequence, message) = next(&mut client);
        assert_eq!((sequence, message), (number, canceled(number as u32).into()));
    }
    assert_eq!(client.wait(LONG), Ok(Some(Incoming::EndOfSession)));
    client.logout();
    assert!(!client.is_connected());
    assert_eq!(client.enter(&order()), Err(Refusal::NotConnected));
    assert_eq!(client.poll(), Err(Fault::Closed));
}

#[test]
fn a_long_replay_passes_through_the_buffer_many_times() {
    const COUNT: u32 = 50_000;
    let venue = Venue::play(|lines| {
        let mut line = lines.live(1);
        (1..=COUNT).for_each(|user_ref| line.message(canceled(user_ref)));
        line.next();
    });
    let mut client = venue.connect();
    for number in 1..=COUNT {
        assert_eq!(next(&mut client), (u64::from(number), canceled(number).into()));
    }
}

#[test]
fn bytes_that_are_not_the_protocol_end_the_connection() {
    let cases: [(&[u8], Fault); 4] = [
        (&[0, 0], Fault::Soup(SoupError::ZeroLength)),
        (&[0, 1, b'?'], Fault::Soup(SoupError::UnknownType(b'?'))),
        (&[0, 2, b'J', b'A'], Fault::Protocol),
        (&[0, 2, b'S', b'?'], Fault::Ouch(pitlane::wire::ouch::OuchError::UnknownType(b'?'))),
    ];
    for (bytes, expected) in cases {
        let venue = Venue::play(move |lines| {
            let mut line = lines.live(1);
            line.bytes(bytes);
            line.next();
        });
        let mut client = venue.connect();
        assert_eq!(fault(&mut client), expected, "{bytes:?}");
        assert!(!client.is_connected());
    }
}

#[test]
fn a_client_with_nothing_to_say_sends_heartbeats() {
    let mut venue = Venue::play(|lines| {
        let mut line = lines.live(1);
        for _ in 0..3 {
            assert_eq!(line.next(), Packet::Heartbeat);
        }
        line.message(canceled(1));
    });
    venue.options.heartbeat = Duration::from_millis(1);
    let mut client = venue.connect();
    assert_eq!(next(&mut client).0, 1);
}

#[test]
fn a_silent_venue_counts_as_lost() {
    let mut venue = Venue::play(|lines| while lines.live(1).next() != Packet::Gone {});
    venue.options.silence = Duration::from_millis(20);
    let mut client = venue.connect();
    assert_eq!(fault(&mut client), Fault::Silent);
}

#[test]
fn after_a_reconnect_what_the_venue_missed_is_sent_again_before_anything_new() {
    let venue = Venue::play(|lines| {
        let mut line = lines.live(1);
        (1..=5).for_each(|expected| assert_eq!(user_ref(&line.next_message()), expected));
        line.message(rejected(1));
        drop(line);
        let mut line = lines.accept();
        let login = line.login(2);
        assert_eq!((login.session, login.sequence), (NAME, Some(2)), "the same session, behind the last message");
        assert!(matches!(line.next_message(), Inbound::AccountQuery(_)));
        // 2 was processed, its answer is in the replay; 3 used up its number without an answer of its own.
        line.message(rejected(2));
        line.message(query_answer(4, Tags::NONE));
        (4..=6).for_each(|expected| assert_eq!(user_ref(&line.next_message()), expected));
        (4..=6).for_each(|user_ref| line.message(rejected(user_ref)));
        line.next();
    });
    let mut client = venue.connect();
    for expected in 1..=5 {
        assert_eq!(client.enter(&order()), Ok(UserRef(expected)));
    }
    assert_eq!(next(&mut client), (1, rejected(1).into()));
    assert!(matches!(fault(&mut client), Fault::Closed | Fault::System(_)));
    assert_eq!(client.unanswered(), 4);
    client.reconnect().unwrap();
    assert!(client.is_recovering());
    assert_eq!(client.enter(&order()), Err(Refusal::Recovering), "a higher number would overtake the lower ones");
    assert_eq!(next(&mut client), (2, rejected(2).into()));
    assert_eq!(next(&mut client).0, 3);
    let sent = loop {
        match client.enter(&order()) {
            Err(Refusal::Recovering) => assert_eq!(client.poll(), Ok(None)),
            other => break other,
        }
    };
    assert_eq!((sent, client.unanswered()), (Ok(UserRef(6)), 3));
    (4..=6).for_each(|expected| assert_eq!(next(&mut client), (u64::from(expected), rejected(expected).into())));
    assert_eq!(client.unanswered(), 0);
}

#[test]
fn each_channel_is_asked_and_counts_for_itself() {
    let channel = |index| Tags::NONE.with_user_ref_index(index);
    let venue = Venue::play(move |lines| {
        let mut line = lines.live(1);
        (0..4).for_each(|_| assert!(line.next_message().user_ref_consumed().is_some()));
        drop(line);
        let mut line = lines.live(1);
        let asked: Vec<_> = (0..2).map(|_| line.next_message().tags().channel().counter()).collect();
        assert_eq!(asked, [9, 0]);
        line.message(query_answer(2, channel(9)));
        line.message(query_answer(1, Tags::NONE));
        let again: Vec<_> =
            (0..3).map(|_| line.next_message()).map(|m| (m.tags().channel().counter(), user_ref(&m))).collect();
        assert_eq!(again, [(0, 1), (9, 2), (0, 2)]);
        line.next();
    });
    let mut client = venue.connect();
    let on_nine = NewOrder { tags: channel(9), ..order() };
    let sent = [on_nine, order(), on_nine, order()].map(|order| client.enter(&order).unwrap().0);
    assert_eq!(sent, [1, 1, 2, 2]);
    assert!(matches!(fault(&mut client), Fault::Closed | Fault::System(_)));
    client.reconnect().unwrap();
    while client.is_recovering() {
        client.wait(Duration::ZERO).unwrap();
    }
    assert_eq!(client.unanswered(), 3);
}

#[test]
fn a_connection_that_breaks_again_while_recovering_starts_over() {
    let venue = Venue::play(|lines| {
        let mut line = lines.live(1);
        (1..=3).for_each(|expected| assert_eq!(user_ref(&line.next_message()), expected));
        drop(line);
        lines.live(1).next_message();
        let mut line = lines.live(1);
        line.next_message();
        line.message(query_answer(1, Tags::NONE));
        (1..=3).for_each(|expected| assert_eq!(user_ref(&line.next_message()), expected));
        line.message(rejected(3));
        line.next();
    });
    let mut client = venue.connect();
    (1..=3).for_each(|expected| assert_eq!(client.enter(&order()), Ok(UserRef(expected))));
    for _ in 0..2 {
        assert!(matches!(fault(&mut client), Fault::Closed | Fault::System(_)));
        client.reconnect().unwrap();
    }
    next(&mut client);
    next(&mut client);
    assert_eq!((client.unanswered(), client.is_recovering()), (0, false));
}

#[test]
fn a_program_that_starts_in_the_middle_of_the_day_learns_its_next_number() {
    let venue = Venue::play(|lines| {
        let mut line = lines.live(1);
        line.message(rejected(20));
        line.next_message();
        line.message(query_answer(42, Tags::NONE));
        assert_eq!(user_ref(&line.next_message()), 42);
    });
    let mut client = venue.connect();
    next(&mut client);
    assert_eq!(client.next_user_ref(Channel::NONE), UserRef(21), "the replay already tells");
    client.query(Channel::NONE).unwrap();
    next(&mut client);
    assert_eq!(client.enter(&order()), Ok(UserRef(42)));
}

#[test]
fn as_many_requests_wait_for_answers_as_may() {
    let mut venue = Venue::play(|lines| {
        let mut line = lines.live(1);
        (1..=2).for_each(|expected| assert_eq!(user_ref(&line.next_message()), expected));
        assert!(matches!(line.next_message(), Inbound::Cancel(_)), "a cancel needs no place");
        line.message(rejected(1));
        assert_eq!(user_ref(&line.next_message()), 3);
    });
    venue.options.unanswered_max = 2;
    let mut client = venue.connect();
    client.enter(&order()).unwrap();
    client.enter(&order()).unwrap();
    assert_eq!(client.enter(&order()), Err(Refusal::Unanswered));
    client.cancel(Channel::NONE, UserRef(2), Quantity(0)).unwrap();
    next(&mut client);
    assert_eq!(client.enter(&order()), Ok(UserRef(3)));
}

#[test]
fn a_venue_that_does_not_read_holds_the_client_back_and_gets_all_of_it() {
    let (resume, resumed) = mpsc::channel();
    let mut venue = Venue::play(move |lines| {
        let mut line = lines.live(1);
        let count: u32 = resumed.recv_timeout(LONG).unwrap();
        (1..=count).for_each(|expected| assert_eq!(user_ref(&line.next_message()), expected));
        line.message(rejected(count));
        line.next();
    });
    venue.options.unanswered_max = 0;
    let mut client = venue.connect();
    let mut count = 0;
    let refusal = loop {
        match client.enter(&order()) {
            Ok(_) => count += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, Refusal::Full);
    resume.send(count).unwrap();
    assert_eq!(next(&mut client), (1, rejected(count).into()));
}

#[test]
fn what_is_no_message_is_not_sent() {
    let venue = Venue::play(|lines| assert_eq!(lines.live(1).next(), Packet::Logout));
    let mut client = venue.connect();
    assert_eq!(client.transmit_bytes(&[]), Err(Refusal::Length));
    assert_eq!(client.transmit_bytes(&[0; shared_ring::MESSAGE_MAX]), Err(Refusal::Length));
    client.logout();
}

#[test]
fn what_is_kept_is_the_stream_across_a_reconnect() {
    let packet = |user_ref| {
        let (mut message, mut packet) = ([0; 64], [0; 64]);
        let length = Outbound::from(canceled(user_ref)).encode(&mut message);
        let length = ServerPacket::Sequenced(&message[..length]).encode(&mut packet);
        packet[..length].to_vec()
    };
    let mut venue = Venue::play(move |lines| {
        let mut line = lines.live(1);
        line.bytes(&packet(1));
        line.bytes(&SERVER_HEARTBEAT);
        // Half a packet is not kept.
        line.bytes(&packet(2)[..9]);
        drop(line);
        let mut line = lines.live(2);
        line.bytes(&[packet(2), packet(3)].concat());
        line.next();
    });
    venue.options.keep = Keep::Bytes(64);
    let mut client = venue.connect();
    next(&mut client);
    assert!(matches!(fault(&mut client), Fault::Closed | Fault::System(_)));
    client.reconnect().unwrap();
    next(&mut client);
    next(&mut client);
    let whole = [packet(1), packet(2), packet(3)].concat();
    assert_eq!(client.stream_bytes(), whole);
    let checksum = crc32c::crc32c(&whole);
    assert_eq!(client.stream_digest(), (whole.len() as u64) << 32 | u64::from(checksum));
}

#[test]
fn held_requests_leave_together_when_released_or_polled() {
    let ((held, is_held), (looked, has_looked)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let mut venue = Venue::play(move |lines| {
        let mut line = lines.live(1);
        is_held.recv().unwrap();
        line.stream.set_nonblocking(true).unwrap();
        let nothing = line.stream.read(&mut [0; 16]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        line.stream.set_nonblocking(false).unwrap();
        looked.send(()).unwrap();
        let numbers: Vec<u32> = (0..4).map(|_| user_ref(&line.next_message())).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        line.message(rejected(4));
    });
    let mut client = venue.connect();
    client.hold();
    for number in 1..4 {
        assert_eq!(client.enter(&order()), Ok(UserRef(number)));
    }
    held.send(()).unwrap();
    has_looked.recv_timeout(LONG).unwrap();
    client.release().unwrap();
    client.hold();
    client.enter(&order()).unwrap();
    assert!(matches!(next(&mut client), (1, Outbound::Rejected(m)) if m.user_ref == UserRef(4)));
    venue.join();
}
