//! The gateway over real sockets on the loopback: logins, replay, misbehaving clients, back-pressure. Every claim is
//! held against both network engines. The far side (sequencer, matcher, egress) is the test itself; time is an input.
#![allow(unsafe_code, reason = "a counting allocator, for the claim that a live gateway does not allocate")]

#[path = "support/market.rs"]
mod market;

use market::{WIDE, account, session, ticker};
use pitlane::gateway::agent::Gateway;
use pitlane::gateway::core::{Core, Rate};
use pitlane::gateway::login::LoginDesk;
use pitlane::gateway::net::{Engine, SocketOptions, listen, open};
use pitlane::gateway::session::SessionTimes;
use pitlane::gateway::streams::Streams;
use pitlane::gateway::tcp::{PAYLOAD_MAX, Tcp, TcpOptions};
use pitlane::os::clock::ManualClock;
use pitlane::runtime::agent::Agent;
use pitlane::runtime::counters::Counters;
use pitlane::runtime::link::{self, Receiver, Sender};
use pitlane::types::*;
use pitlane::wire::ouch::{Inbound, Outbound, Tags, inbound};
use pitlane::wire::soup::{self, ClientPacket, LoginAccepted, LoginReject, LoginRequest, ServerPacket, SessionName};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// The system's allocator, counting the calls of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of the heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// More turns than any claim can need; who gets here has hung.
const TURNS_MAX: u32 = 5_000_000;
const SECOND: u64 = Nanos::SECOND;
const NAME: SessionName = SessionName(*b"    DAY001");

/// Settings of a run that differ between claims.
#[derive(Clone, Copy)]
struct Setting {
    rate: Rate,
    link: usize,
    stream_bytes: usize,
    lag_bytes_max: usize,
    receive_buffer_bytes: u32,
    send_buffer_bytes: u32,
    /// Grace of all sessions, as if they had open orders.
    grace_ns: u64,
}

const SETTING: Setting = Setting {
    rate: Rate { messages_per_second: 0, burst: 0 },
    link: 1024,
    stream_bytes: 1 << 20,
    lag_bytes_max: 1 << 20,
    receive_buffer_bytes: 0,
    send_buffer_bytes: 0,
    grace_ns: 0,
};

type Check = fn(&str, &[u8]) -> Option<SessionId>;

struct Venue {
    gateway: Gateway<ManualClock>,
    desk: LoginDesk<Check, ManualClock>,
    commands: Receiver<Command>,
    reports: Sender<Report>,
    address: SocketAddr,
    number: u64,
}

fn market() -> Market {
    Market {
        session_name: NAME.0,
        tickers: vec![ticker("AAPL"), ticker("MSFT")],
        accounts: vec![account("alpha", "ALFA", WIDE), account("beta", "BETA", WIDE)],
        sessions: vec![session("ALICE", 0, false), session("BOB", 1, true)],
        matchers: 1,
        orders_max: 1000,
        trades_kept: 1_024,
    }
}

const ALICE: SessionId = SessionId(0);
const BOB: SessionId = SessionId(1);

/// Passwords are the user's name backwards; what counts here is the way of the answer.
fn check(user: &str, password: &[u8]) -> Option<SessionId> {
    match (user, password) {
        ("ALICE", b"ECILA") => Some(ALICE),
        ("BOB", b"BOB") => Some(BOB),
        _ => None,
    }
}

impl Venue {
    fn open(engine: Engine, setting: Setting) -> Venue {
        let market = market();
        let mut counters = Counters::anonymous(64).unwrap();
        let (commands, commands_far) = link::bounded(setting.link);
        let (reports_far, reports) = link::bounded(1024);
        let (attempts, attempts_far) = link::bounded(16);
        let (answers_far, answers) = link::bounded(16);
        let streams = Streams::new(&market, setting.stream_bytes);
        let core = Core::new(&market, streams, commands, attempts, setting.rate, &mut counters)
            .with_grace(vec![ALICE, BOB], setting.grace_ns);
        let clock = ManualClock { now_ns: 1000 * SECOND, step_ns: 0 };
        let mut gateway = Gateway::new(core, market.sessions.len(), reports, answers, clock);
        let options = SocketOptions {
            receive_buffer_bytes: setting.receive_buffer_bytes,
            send_buffer_bytes: setting.send_buffer_bytes,
            busy_poll_us: 0,
        };
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), options).unwrap();
        let address = listener.local_addr().unwrap();
        let (network, _) = open(listener, engine, 8);
        let tcp =
            TcpOptions { connections_max: 8, times: SessionTimes::default(), lag_bytes_max: setting.lag_bytes_max };
        gateway.add(Box::new(Tcp::new(network, tcp)));
        gateway.start();
        // Each reading of the desk's clock takes a second, so that refusals are held and yet never waited for.
        let clock = ManualClock { now_ns: 0, step_ns: SECOND };
        let check: Check = check;
        let desk = LoginDesk::new(&market, check, clock, attempts_far, answers_far, &mut counters);
        Venue { gateway, desk, commands: commands_far, reports: reports_far, address, number: 0 }
    }

    fn turn(&mut self) {
        self.gateway.work();
        self.desk.work();
    }

    /// Enough turns for whatever is on its way, for the clock to be read and for two looks at the listener.
    fn settle(&mut self) {
        (0..2_100).for_each(|_| self.turn());
    }

    fn pass(&mut self, ns: u64) {
        self.gateway.clock().now_ns += ns;
        self.settle();
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, received: Vec::new(), ended: false }
    }

    /// A client that is logged in, from message `sequence` on.
    fn live(&mut self, user: &str, password: &str, sequence: u64) -> Client {
        let mut client = self.client();
        client.login(user, password, sequence);
        match client.next(self) {
            Some(Packet::Accepted(_)) => client,
            other => panic!("{user} was not let in: {other:?}"),
        }
    }

    fn report(&mut self, session: SessionId, body: ReportBody) {
        self.number += 1;
        let (number, time) = (Number(self.number), Nanos(self.number * 1000));
        let mut report = Report { session, number, time, body };
        if let ReportBody::Answer(answer) = &mut report.body {
            answer.record.number = number;
        }
        self.reports.try_push(report).expect("the tests keep within the link");
    }

    /// A cancel of `quantity` shares, as the shortest report that can be told apart.
    fn report_cancel(&mut self, session: SessionId, quantity: u32) {
        let order =
            OrderTag { slot: Slot(0), user_ref: UserRef(1), session, account: AccountId(0), channel: Channel::NONE };
        let event = Event::Canceled {
            order,
            reference: OrderReference(1 << 16 | 1),
            side: Side::Buy,
            price: Price(100),
            quantity: Quantity(quantity),
            leaves: Quantity(0),
            reason: CancelReason::User,
            shown: Quantity(quantity),
        };
        self.report(session, ReportBody::Order(event, Party::Incoming));
    }

    fn command(&mut self) -> Command {
        for _ in 0..TURNS_MAX {
            if let Some(command) = self.commands.pop() {
                return command;
            }
            self.turn();
        }
        panic!("no command came");
    }
}

#[derive(Clone, PartialEq, Debug)]
enum Packet {
    Accepted(LoginAccepted),
    Rejected(LoginReject),
    Message(Outbound),
    Heartbeat,
    End,
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    ended: bool,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn packet(&mut self, packet: ClientPacket<'_>) {
        let mut bytes = [0u8; 512];
        let length = packet.encode(&mut bytes);
        self.send(&bytes[..length]);
    }

    fn login(&mut self, user: &str, password: &str, sequence: u64) {
        self.packet(ClientPacket::Login(LoginRequest::new(user, password, SessionName::BLANK, sequence).unwrap()));
    }

    fn message(&mut self, message: impl Into<Inbound>) {
        let mut bytes = [0u8; 256];
        let length = message.into().encode(&mut bytes);
        self.packet(ClientPacket::Unsequenced(&bytes[..length]));
    }

    fn receive(&mut self) {
        let mut bytes = [0u8; 65_536];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.ended = true,
            Ok(count) => self.received.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.ended = true,
        }
    }

    /// The next packet, or `None` when the venue has closed.
    fn next(&mut self, venue: &mut Venue) -> Option<Packet> {
        for _ in 0..TURNS_MAX {
            if let Some((packet, taken)) = ServerPacket::next(&self.received).unwrap() {
                let packet = match packet {
                    ServerPacket::LoginAccepted(accepted) => Packet::Accepted(accepted),
                    ServerPacket::LoginRejected(reason) => Packet::Rejected(reason),
                    ServerPacket::Sequenced(message) => Packet::Message(Outbound::parse(message).unwrap()),
                    ServerPacket::Heartbeat => Packet::Heartbeat,
                    ServerPacket::EndOfSession => Packet::End,
                    other => panic!("the venue never sends {other:?}"),
                };
                self.received.drain(..taken);
                return Some(packet);
            }
            if self.ended {
                return None;
            }
            venue.turn();
            self.receive();
        }
        panic!("no packet came");
    }

    /// Quantity of the cancel that comes next.
    fn next_canceled(&mut self, venue: &mut Venue) -> u32 {
        match self.next(venue) {
            Some(Packet::Message(Outbound::Canceled(canceled))) => canceled.quantity.0,
            other => panic!("not a cancel: {other:?}"),
        }
    }

    fn is_closed(&mut self, venue: &mut Venue) -> bool {
        venue.settle();
        self.receive();
        self.receive();
        self.ended
    }
}

fn enter(user_ref: u32) -> inbound::EnterOrder {
    inbound::EnterOrder {
        user_ref: UserRef(user_ref),
        side: b'B',
        quantity: Quantity(100),
        symbol: Symbol::from_text("MSFT").unwrap(),
        price: 1_000_000,
        time_in_force: b'0',
        display: b'Y',
        capacity: b'P',
        sweep: b'N',
        cross: b'N',
        client_order_id: ClientOrderId::from_text("note").unwrap(),
        tags: Tags::NONE,
    }
}

fn both(claim: impl Fn(Engine)) {
    claim(Engine::Plain);
    // Where io_uring is refused this runs plain sockets once more.
    claim(Engine::Uring);
}

#[test]
fn an_order_goes_in_and_its_answer_comes_back() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut alice = venue.live("ALICE", "ECILA", 1);
        alice.message(enter(7));
        let command = venue.command();
        assert_eq!((command.kind, command.session, command.account), (CommandKind::Enter, ALICE, AccountId(0)));
        assert_eq!((command.ticker, command.user_ref, command.refusal), (TickerId(1), UserRef(7), Reject::None));
        let record = Sequenced { command, ..Sequenced::default() };
        let (reference, quantity, price) = (OrderReference(5 << 16 | 2), Quantity(100), Price(1_000_000));
        venue.report(ALICE, ReportBody::Answer(Answer { record, reference, quantity, price }));
        let Some(Packet::Message(Outbound::Accepted(accepted))) = alice.next(&mut venue) else { panic!("no answer") };
        assert_eq!((accepted.user_ref, accepted.reference), (UserRef(7), reference));
        assert_eq!(accepted.symbol.text(), "MSFT");
        assert_eq!(accepted.client_order_id.text(), "note");
    });
}

#[test]
fn logins_are_taken_in_every_form_the_field_sends() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        venue.report_cancel(ALICE, 1);
        venue.report_cancel(ALICE, 2);
        let request = LoginRequest {
            username: *b"alice ",
            password: *b"  ecila   ",
            session: SessionName(*b"DAY001    "),
            sequence: Some(2),
            heartbeat_timeout_ms: Some(5000),
        };
        let mut client = venue.client();
        client.packet(ClientPacket::Login(request));
        let expected = LoginAccepted { session: NAME, sequence: Some(2) };
        assert_eq!(client.next(&mut venue), Some(Packet::Accepted(expected)));
        assert_eq!(client.next_canceled(&mut venue), 2);
        // Sequence 0 wants only what comes.
        let mut bytes = [0u8; 64];
        let plain = LoginRequest::new("ALICE", "ECILA", SessionName::BLANK, 0).unwrap();
        let length = ClientPacket::Login(plain).encode(&mut bytes);
        assert_eq!(length, 49);
        let mut client = venue.client();
        client.send(&bytes[..length]);
        let expected = LoginAccepted { session: NAME, sequence: Some(3) };
        assert_eq!(client.next(&mut venue), Some(Packet::Accepted(expected)));
        venue.report_cancel(ALICE, 3);
        assert_eq!(client.next_canceled(&mut venue), 3);
    });
}

#[test]
fn wrong_logins_are_refused_with_their_reason_and_closed() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let other_day = SessionName::from_text("DAY002").unwrap();
        let login = |user: &str, password: &str, session, sequence| {
            LoginRequest::new(user, password, session, sequence).unwrap()
        };
        let refused = [
            (login("ALICE", "WRONG", SessionName::BLANK, 1), LoginReject::NotAuthorized),
            (login("NOBODY", "ECILA", SessionName::BLANK, 1), LoginReject::NotAuthorized),
            (login("BOB", "ECILA", other_day, 1), LoginReject::NotAuthorized),
            (login("ALICE", "ECILA", other_day, 1), LoginReject::SessionNotAvailable),
            // Above the next number: the client has seen messages that this venue does not have.
            (login("ALICE", "ECILA", SessionName::BLANK, 2), LoginReject::SessionNotAvailable),
        ];
        for (request, reason) in refused {
            let mut client = venue.client();
            client.packet(ClientPacket::Login(request));
            assert_eq!(client.next(&mut venue), Some(Packet::Rejected(reason)), "{request:?}");
            assert_eq!(client.next(&mut venue), None);
        }
        assert!(venue.commands.is_empty());
    });
}

#[test]
fn the_newer_login_wins_and_its_orders_stay() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut first = venue.live("BOB", "BOB", 1);
        let mut second = venue.live("BOB", "BOB", 1);
        assert!(first.is_closed(&mut venue));
        venue.report_cancel(BOB, 9);
        assert_eq!(second.next_canceled(&mut venue), 9);
        assert!(venue.commands.is_empty(), "a session that moves is not lost");
        drop(second);
        assert_eq!(venue.command().kind, CommandKind::SessionLost);
    });
}

#[test]
fn a_lost_session_is_cancelled_only_where_it_wants_that() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let (alice, mut bob) = (venue.live("ALICE", "ECILA", 1), venue.live("BOB", "BOB", 1));
        drop(alice);
        venue.settle();
        assert!(venue.commands.is_empty());
        bob.packet(ClientPacket::Logout);
        let command = venue.command();
        assert_eq!((command.kind, command.session), (CommandKind::SessionLost, BOB));
        assert_eq!((command.account, command.firm.text()), (AccountId(1), "BETA".into()));
        assert!(bob.is_closed(&mut venue));
        assert!(venue.commands.is_empty());
    });
}

#[test]
fn who_does_not_come_back_in_time_after_the_start_is_lost_where_it_wants_that_and_once() {
    both(|engine| {
        let mut venue = Venue::open(engine, Setting { grace_ns: 5 * SECOND, ..SETTING });
        venue.pass(4 * SECOND);
        assert!(venue.commands.is_empty());
        venue.pass(SECOND);
        let command = venue.command();
        assert_eq!((command.kind, command.session), (CommandKind::SessionLost, BOB));
        venue.pass(10 * SECOND);
        let mut bob = venue.live("BOB", "BOB", 1);
        bob.message(enter(1));
        venue.settle();
        assert_eq!(venue.command().kind, CommandKind::Enter);
        assert!(venue.commands.is_empty());
    });
}

#[test]
fn who_comes_back_in_time_after_the_start_keeps_its_orders() {
    both(|engine| {
        let mut venue = Venue::open(engine, Setting { grace_ns: 5 * SECOND, ..SETTING });
        let bob = venue.live("BOB", "BOB", 1);
        venue.pass(6 * SECOND);
        assert!(venue.commands.is_empty());
        // And is a session like any other.
        drop(bob);
        assert_eq!(venue.command().kind, CommandKind::SessionLost);
        venue.pass(6 * SECOND);
        assert!(venue.commands.is_empty());
    });
}

#[test]
fn without_a_grace_time_nobody_is_given_up() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        venue.pass(100_000 * SECOND);
        assert!(venue.commands.is_empty());
    });
}

#[test]
fn a_lost_session_is_told_before_what_it_sends_after_coming_back() {
    both(|engine| {
        let mut venue = Venue::open(engine, Setting { link: 2, ..SETTING });
        let mut alice = venue.live("ALICE", "ECILA", 1);
        let bob = venue.live("BOB", "BOB", 1);
        (1..=2).for_each(|user_ref| alice.message(enter(user_ref)));
        venue.settle();
        drop(bob);
        let mut bob = venue.live("BOB", "BOB", 1);
        bob.message(enter(1));
        venue.settle();
        let kinds = [(); 4].map(|()| {
            let command = venue.command();
            (command.session, command.kind)
        });
        let (enter, lost) = (CommandKind::Enter, CommandKind::SessionLost);
        assert_eq!(kinds, [(ALICE, enter), (ALICE, enter), (BOB, lost), (BOB, enter)]);
    });
}

#[test]
fn a_silent_client_is_disconnected_and_a_quiet_venue_gives_signs_of_life() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let (mut alice, mut bob) = (venue.live("ALICE", "ECILA", 1), venue.live("BOB", "BOB", 1));
        for _ in 0..8 {
            venue.pass(2 * SECOND);
            alice.packet(ClientPacket::Heartbeat);
            assert_eq!(alice.next(&mut venue), Some(Packet::Heartbeat));
        }
        assert!(bob.is_closed(&mut venue), "16 s without a sign of life");
        assert!(!alice.is_closed(&mut venue));
        assert_eq!(venue.command().kind, CommandKind::SessionLost);
    });
}

#[test]
fn a_login_may_name_its_own_silence() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut client = venue.client();
        let mut request = LoginRequest::new("ALICE", "ECILA", SessionName::BLANK, 1).unwrap();
        request.heartbeat_timeout_ms = Some(3000);
        client.packet(ClientPacket::Login(request));
        assert!(matches!(client.next(&mut venue), Some(Packet::Accepted(_))));
        venue.pass(2900 * 1_000_000);
        assert!(!client.is_closed(&mut venue));
        venue.pass(200 * 1_000_000);
        assert!(client.is_closed(&mut venue));
    });
}

#[test]
fn who_does_not_log_in_is_disconnected() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut client = venue.client();
        venue.settle();
        // Signs of life and half a login are no login.
        client.packet(ClientPacket::Heartbeat);
        client.send(&[0, 47, b'L', b'A']);
        venue.pass(29 * SECOND);
        assert!(!client.is_closed(&mut venue));
        venue.pass(2 * SECOND);
        assert!(client.is_closed(&mut venue));
    });
}

#[test]
fn packets_may_come_byte_by_byte() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut bytes = [0u8; 512];
        let request = LoginRequest::new("ALICE", "ECILA", SessionName::BLANK, 1).unwrap();
        let mut length = ClientPacket::Login(request).encode(&mut bytes);
        length += ClientPacket::Debug(b"hello").encode(&mut bytes[length..]);
        let mut message = [0u8; 128];
        let message_length = Inbound::from(enter(1)).encode(&mut message);
        length += ClientPacket::Unsequenced(&message[..message_length]).encode(&mut bytes[length..]);
        let mut client = venue.client();
        for byte in &bytes[..length] {
            client.send(&[*byte]);
            (0..50).for_each(|_| venue.turn());
        }
        assert_eq!(venue.command().user_ref, UserRef(1));
        // And all at once, the message waiting while the login is checked.
        let mut client = venue.client();
        client.send(&bytes[..length]);
        assert_eq!(venue.command().user_ref, UserRef(1));
    });
}

#[test]
fn what_is_not_the_protocol_is_disconnected() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut message = [0u8; 128];
        let length = Inbound::from(enter(1)).encode(&mut message);
        let mut unsequenced = vec![0u8; length + 3];
        ClientPacket::Unsequenced(&message[..length]).encode(&mut unsequenced);
        let too_long = [(PAYLOAD_MAX as u16 + 2).to_be_bytes().as_slice(), b"U"].concat();
        let mut again = [0u8; 64];
        let again_length =
            ClientPacket::Login(LoginRequest::new("A", "B", SessionName::BLANK, 1).unwrap()).encode(&mut again);
        // After a login: these bytes end the connection.
        for bytes in [
            &[0u8, 0][..],
            &[0, 1, b'S'],
            &[0, 1, b'?'],
            &[0, 2, b'R', 0],
            &too_long,
            &[0xFF, 0xFF],
            &[0, 2, b'U', b'?'],
            &[0, 3, b'U', b'O', 0],
            &[0, 1, b'U'],
            &again[..again_length],
        ] {
            let mut client = venue.live("ALICE", "ECILA", 1);
            client.send(bytes);
            assert!(client.is_closed(&mut venue), "{bytes:?}");
        }
        // Before it: a message, or nothing that makes sense.
        for bytes in [&unsequenced[..], &[0, 0], &[0, 46, b'L'], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut client = venue.client();
            client.send(bytes);
            assert!(client.is_closed(&mut venue), "{bytes:?}");
        }
        assert!(venue.commands.is_empty());
        // The longest packet that is allowed passes.
        let mut client = venue.live("ALICE", "ECILA", 1);
        client.packet(ClientPacket::Debug(&[b'x'; PAYLOAD_MAX]));
        assert!(!client.is_closed(&mut venue));
    });
}

#[test]
fn a_client_that_comes_back_gets_the_very_bytes_it_missed() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut client = venue.live("ALICE", "ECILA", 1);
        for quantity in 1..=200 {
            venue.report_cancel(ALICE, quantity);
        }
        for quantity in 1..=90 {
            assert_eq!(client.next_canceled(&mut venue), quantity);
        }
        drop(client);
        (201..=300).for_each(|quantity| venue.report_cancel(ALICE, quantity));
        venue.settle();
        let mut client = venue.live("ALICE", "ECILA", 91);
        for quantity in 91..=300 {
            assert_eq!(client.next_canceled(&mut venue), quantity);
        }
        let mut client = venue.live("ALICE", "ECILA", 1);
        let all = venue.gateway.core().streams.bytes(ALICE).to_vec();
        while client.received.len() < all.len() {
            venue.turn();
            client.receive();
        }
        assert_eq!(client.received, all);
    });
}

#[test]
fn the_day_ends_with_the_last_message_and_the_end_of_session() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut bob = venue.live("BOB", "BOB", 1);
        venue.report(BOB, ReportBody::DayStart);
        venue.report(BOB, ReportBody::DayEnd);
        for event in [b'S', b'E'] {
            match bob.next(&mut venue) {
                Some(Packet::Message(Outbound::SystemEvent(system))) => assert_eq!(system.event, event),
                other => panic!("no system event: {other:?}"),
            }
        }
        assert_eq!(bob.next(&mut venue), Some(Packet::End));
        bob.message(enter(1));
        assert!(!bob.is_closed(&mut venue), "the client closes first, if it does so in time");
        venue.pass(3 * SECOND);
        assert!(bob.is_closed(&mut venue));
        assert!(venue.commands.is_empty(), "after the end nothing is taken and nobody is lost");
        // Who comes late still gets what it missed.
        let mut late = venue.live("BOB", "BOB", 2);
        assert!(matches!(late.next(&mut venue), Some(Packet::Message(_))));
        assert_eq!(late.next(&mut venue), Some(Packet::End));
    });
}

#[test]
fn a_client_that_never_reads_is_disconnected_alone() {
    both(|engine| {
        let setting = Setting {
            stream_bytes: 8 << 20,
            lag_bytes_max: 100_000,
            send_buffer_bytes: 8192,
            receive_buffer_bytes: 8192,
            ..SETTING
        };
        let mut venue = Venue::open(engine, setting);
        let (mut alice, mut bob) = (venue.live("ALICE", "ECILA", 1), venue.live("BOB", "BOB", 1));
        let mut rounds = 0;
        while venue.gateway.core().holder(ALICE).is_some() {
            (0..100).for_each(|_| venue.report_cancel(ALICE, 1));
            venue.report_cancel(BOB, 2);
            assert_eq!(bob.next_canceled(&mut venue), 2);
            rounds += 1;
            assert!(rounds < 3500, "the lag is never seen");
        }
        // What the kernel had taken still comes, then the end.
        while !alice.ended {
            alice.receive();
        }
        assert!(!bob.is_closed(&mut venue));
        // It may come back, and a replay longer than the limit is not a lag.
        let mut alice = venue.live("ALICE", "ECILA", 1);
        let end = venue.gateway.core().streams.end(ALICE);
        assert!(end > 100_000);
        while alice.received.len() < end {
            venue.turn();
            alice.receive();
        }
        assert!(!alice.is_closed(&mut venue));
    });
}

#[test]
fn with_no_room_to_the_sequencer_input_waits_and_nothing_is_lost() {
    both(|engine| {
        let mut venue = Venue::open(engine, Setting { link: 4, receive_buffer_bytes: 8192, ..SETTING });
        let mut alice = venue.live("ALICE", "ECILA", 1);
        let mut bob = venue.live("BOB", "BOB", 1);
        (1..=100).for_each(|user_ref| alice.message(enter(user_ref)));
        venue.settle();
        assert_eq!(venue.commands.len(), 4);
        // Waiting is not silence, and the others still hear from the venue.
        for _ in 0..10 {
            venue.pass(2 * SECOND);
            bob.packet(ClientPacket::Heartbeat);
        }
        assert!(!alice.is_closed(&mut venue));
        venue.report_cancel(BOB, 5);
        while bob.next(&mut venue) == Some(Packet::Heartbeat) {}
        for user_ref in 1..=100 {
            assert_eq!(venue.command().user_ref, UserRef(user_ref));
        }
    });
}

#[test]
fn above_its_rate_a_session_waits_and_the_others_do_not() {
    both(|engine| {
        let rate = Rate { messages_per_second: 10, burst: 5 };
        let mut venue = Venue::open(engine, Setting { rate, ..SETTING });
        let (mut alice, mut bob) = (venue.live("ALICE", "ECILA", 1), venue.live("BOB", "BOB", 1));
        (1..=20).for_each(|user_ref| alice.message(enter(user_ref)));
        venue.settle();
        bob.message(enter(1));
        venue.settle();
        let taken = |venue: &mut Venue| {
            let mut taken = Vec::new();
            while let Some(command) = venue.commands.pop() {
                taken.push((command.session, command.user_ref.0));
            }
            taken
        };
        let expected: Vec<_> = (1..=5).map(|user_ref| (ALICE, user_ref)).chain([(BOB, 1)]).collect();
        assert_eq!(taken(&mut venue), expected);
        venue.pass(300_000_000);
        assert_eq!(taken(&mut venue), [(ALICE, 6), (ALICE, 7), (ALICE, 8)]);
        (0..12).for_each(|_| venue.pass(100_000_000));
        let expected: Vec<_> = (9..=20).map(|user_ref| (ALICE, user_ref)).collect();
        assert_eq!(taken(&mut venue), expected);
    });
}

#[test]
fn a_full_stream_holds_the_reports_back() {
    both(|engine| {
        let mut venue = Venue::open(engine, Setting { stream_bytes: 300, ..SETTING });
        let mut alice = venue.live("ALICE", "ECILA", 1);
        (1..=50).for_each(|quantity| venue.report_cancel(ALICE, quantity));
        venue.settle();
        let kept = 1024 - venue.reports.free();
        assert!(kept > 0, "what does not fit stays in the link");
        let sent = 50 - kept as u32;
        for quantity in 1..=sent {
            assert_eq!(alice.next_canceled(&mut venue), quantity);
        }
        assert!(venue.gateway.core().counters.stream_full.value() > 0);
    });
}

#[test]
fn bytes_of_all_kinds_never_stop_the_gateway() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let mut seed = 0x5EED_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for round in 0..200 {
            let mut client = if round % 2 == 0 { venue.client() } else { venue.live("ALICE", "ECILA", 1) };
            let mut bytes: Vec<u8> = (0..random() % 300).map(|_| random() as u8).collect();
            // Half of them begin like a message, so that more than the first check is reached.
            if round % 4 >= 2 && bytes.len() > 8 {
                let length = bytes.len() as u16 - 2;
                bytes[..2].copy_from_slice(&length.to_be_bytes());
                bytes[2] = b'U';
                bytes[3] = b"OUXMCDEQ"[round / 4 % 8];
            }
            client.send(&bytes);
            venue.settle();
            while venue.commands.pop().is_some() {}
        }
        let mut bob = venue.live("BOB", "BOB", 1);
        bob.message(enter(1));
        assert_eq!(venue.command().session, BOB);
    });
}

#[test]
fn a_live_gateway_does_not_allocate() {
    both(|engine| {
        let mut venue = Venue::open(engine, SETTING);
        let (mut alice, mut bob) = (venue.live("ALICE", "ECILA", 1), venue.live("BOB", "BOB", 1));
        let mut allocations = 0;
        for round in 1..=2000 {
            alice.message(enter(round));
            bob.packet(ClientPacket::Heartbeat);
            venue.report_cancel(ALICE, round);
            venue.report_cancel(BOB, round);
            venue.gateway.clock().now_ns += 20_000_000;
            let before = ALLOCATIONS.get();
            (0..40).for_each(|_| {
                venue.gateway.work();
            });
            allocations += ALLOCATIONS.get() - before;
            while venue.commands.pop().is_some() {}
            alice.receive();
            bob.receive();
        }
        let sent = venue.gateway.core().streams.bytes(ALICE);
        while alice.received.len() < sent.len() {
            alice.receive();
        }
        assert_eq!(alice.received, sent);
        assert_eq!(venue.gateway.core().counters.messages_in.value(), 2000);
        assert_eq!(allocations, 0);
    });
}

#[test]
fn packets_of_a_stream_have_the_header_of_sequenced_data() {
    let mut venue = Venue::open(Engine::Plain, SETTING);
    venue.report_cancel(ALICE, 1);
    venue.settle();
    let streams = &venue.gateway.core().streams;
    let packet = streams.packet_at(ALICE, 0).unwrap();
    assert_eq!(packet[..3], soup::sequenced_header(packet.len() - 3));
    assert_eq!(packet, streams.bytes(ALICE));
    assert_eq!(streams.packet_at(ALICE, packet.len()), None);
}
