//! Order entry over shared memory, from the client library through the rings to the gateway and back: logins, replay
//! across transports, exactly once, and clients that mean harm. The far side of the gateway (sequencer, matcher,
//! egress) is played by the test: it accepts whatever has a number that is due.

#[path = "support/market.rs"]
mod market;

use market::{WIDE, account, session, ticker};
use pitlane::client::orders::*;
use pitlane::gateway::agent::Gateway;
use pitlane::gateway::core::{Core, Rate};
use pitlane::gateway::login::LoginDesk;
use pitlane::gateway::net::{Engine, SocketOptions, listen, open};
use pitlane::gateway::session::{CloseCause, SessionTimes};
use pitlane::gateway::shared::{Shared, SharedOptions};
use pitlane::gateway::streams::Streams;
use pitlane::gateway::tcp::{Tcp, TcpOptions};
use pitlane::os::clock::{SteadyClock, SystemClock};
use pitlane::os::mapped::Mapped;
use pitlane::os::unix::{self, FILES_MAX};
use pitlane::runtime::agent::Agent;
use pitlane::runtime::counters::Counters;
use pitlane::runtime::link::{self, Receiver, Sender};
use pitlane::runtime::shared_ring::{CLIENT_FILE, Half, MESSAGE_MAX, RingReader, RingWriter, VENUE_FILE, ends};
use pitlane::types::order::SideCode;
use pitlane::types::*;
use pitlane::wire::ouch::Outbound;
use pitlane::wire::soup::{LoginReject, LoginRequest, SessionName};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

const ALICE: SessionId = SessionId(0);
const BOB: SessionId = SessionId(1);
/// Longer than anything here takes; who waits so long has hung.
const LONG: Duration = Duration::from_secs(60);

fn market() -> Market {
    Market {
        session_name: *b"    DAY001",
        tickers: vec![ticker("AAPL"), ticker("MSFT")],
        accounts: vec![account("alpha", "ALFA", WIDE), account("beta", "ALFA", WIDE)],
        sessions: vec![session("ALICE", 0, false), session("BOB", 1, true)],
        matchers: 1,
        orders_max: 1000,
        trades_kept: 1_024,
    }
}

/// Passwords are the user's name backwards.
fn check(user: &str, password: &[u8]) -> Option<SessionId> {
    match (user, password) {
        ("ALICE", b"ECILA") => Some(ALICE),
        ("BOB", b"BOB") => Some(BOB),
        _ => None,
    }
}

type Check = fn(&str, &[u8]) -> Option<SessionId>;

/// What the venue's thread owns.
struct Inside {
    gateway: Gateway<SteadyClock>,
    desk: LoginDesk<Check, SystemClock>,
    commands: Receiver<Command>,
    reports: Sender<Report>,
    counters: Counters,
    number: u64,
    /// Highest number taken, by session and channel.
    taken: [[u32; 256]; 2],
    /// Commands in the order they came, but for ignored ones.
    log: Vec<Command>,
    /// While true, commands stay in their link.
    paused: bool,
}

impl Inside {
    fn report(&mut self, session: SessionId, body: ReportBody) {
        self.number += 1;
        let mut report = Report { session, number: Number(self.number), time: Nanos(self.number * 1000), body };
        if let ReportBody::Answer(answer) = &mut report.body {
            answer.record.number = report.number;
        }
        while self.reports.try_push(report).is_err() {
            self.gateway.work();
        }
    }

    /// A cancel of `quantity` shares, as a short report that can be told apart.
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

    /// Answers as a venue would that accepts every new number and ignores every old one.
    fn decide(&mut self, command: Command) {
        let Command { kind, session, user_ref, channel, .. } = command;
        let mut record = Sequenced { command, ..Sequenced::default() };
        if kind.consumes_user_ref() {
            let taken = &mut self.taken[session.index()][usize::from(channel.counter())];
            if user_ref.0 <= *taken {
                return;
            }
            *taken = user_ref.0;
        }
        self.log.push(command);
        let reference = OrderReference(self.log.len() as u64);
        match kind {
            CommandKind::AccountQuery => {
                record.verdict.next_user_ref = UserRef(self.taken[session.index()][usize::from(channel.counter())] + 1);
            }
            CommandKind::Cancel => return self.report_cancel(session, command.quantity.0),
            CommandKind::SessionLost => return,
            _ => {}
        }
        let answer = Answer { record, reference, quantity: command.quantity, price: command.price };
        self.report(session, ReportBody::Answer(answer));
    }

    fn turn(&mut self) {
        let mut done = self.gateway.work() + self.desk.work();
        while !self.paused
            && let Some(command) = self.commands.pop()
        {
            self.decide(command);
            done += 1;
        }
        if done == 0 {
            std::thread::yield_now();
        }
    }

    fn counter(&self, name: &str) -> u64 {
        let values = self.counters.values();
        values.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }

    fn closed(&self, cause: CloseCause) -> u64 {
        self.gateway.core().counters.closed(cause).value()
    }
}

type Errand = Box<dyn FnOnce(&mut Inside) + Send>;

/// A venue on a thread of its own.
struct Venue {
    errands: Option<mpsc::Sender<Errand>>,
    thread: Option<JoinHandle<()>>,
    directory: tempfile::TempDir,
    tcp: SocketAddr,
}

#[derive(Clone)]
struct Setting {
    link: usize,
    slots: usize,
    lag_bytes_max: usize,
    users: Vec<u32>,
    times: SessionTimes,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting { link: 1024, slots: 256, lag_bytes_max: 1 << 20, users: Vec::new(), times: SessionTimes::default() }
    }
}

impl Venue {
    fn open(setting: Setting) -> Venue {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders");
        let (errands, errands_far) = mpsc::channel::<Errand>();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (mut inside, address) = Venue::build(&setting, path);
            ready.send(address).unwrap();
            loop {
                match errands_far.try_recv() {
                    Ok(errand) => errand(&mut inside),
                    Err(mpsc::TryRecvError::Empty) => inside.turn(),
                    Err(mpsc::TryRecvError::Disconnected) => break,
                }
            }
            inside.gateway.stop();
        });
        let tcp = is_ready.recv().unwrap();
        Venue { errands: Some(errands), thread: Some(thread), directory, tcp }
    }

    fn build(setting: &Setting, path: PathBuf) -> (Inside, SocketAddr) {
        let market = market();
        let mut counters = Counters::anonymous(64).unwrap();
        let (commands, commands_far) = link::bounded(setting.link);
        let (reports_far, reports) = link::bounded(1024);
        let (attempts, attempts_far) = link::bounded(16);
        let (answers_far, answers) = link::bounded(16);
        let rate = Rate { messages_per_second: 0, burst: 0 };
        let core = Core::new(&market, Streams::new(&market, 1 << 24), commands, attempts, rate, &mut counters);
        let mut gateway = Gateway::new(core, market.sessions.len(), reports, answers, SteadyClock);
        let none = SocketOptions { receive_buffer_bytes: 0, send_buffer_bytes: 0, busy_poll_us: 0 };
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), none).unwrap();
        let address = listener.local_addr().unwrap();
        let options = TcpOptions { connections_max: 8, times: setting.times, lag_bytes_max: setting.lag_bytes_max };
        gateway.add(Box::new(Tcp::new(open(listener, Engine::Plain, 8).0, options)));
        let options = SharedOptions {
            slots: setting.slots,
            lag_bytes_max: setting.lag_bytes_max,
            users: setting.users.clone(),
            times: setting.times,
            connections_max: 4,
            ..SharedOptions::new(path)
        };
        gateway.add(Box::new(Shared::open(options, &mut counters).unwrap()));
        gateway.start();
        let check: Check = check;
        let desk = LoginDesk::new(&market, check, SystemClock, attempts_far, answers_far, &mut counters);
        let (commands, reports) = (commands_far, reports_far);
        let taken = [[0; 256]; 2];
        (
            Inside { gateway, desk, commands, reports, counters, number: 0, taken, log: Vec::new(), paused: false },
            address,
        )
    }

    /// Runs something on the venue's thread.
    fn with<R: Send + 'static>(&self, errand: impl FnOnce(&mut Inside) -> R + Send + 'static) -> R {
        let (answer, answered) = mpsc::channel();
        let run: Errand = Box::new(move |inside| drop(answer.send(errand(inside))));
        self.errands.as_ref().unwrap().send(run).unwrap();
        answered.recv_timeout(LONG).expect("the venue answers")
    }

    /// Waits until something holds on the venue's thread.
    fn until(&self, holds: impl Fn(&mut Inside) -> bool + Send + Sync + 'static) {
        let holds = Arc::new(holds);
        let end = std::time::Instant::now() + LONG;
        loop {
            let holds = Arc::clone(&holds);
            if self.with(move |inside| holds(inside)) {
                return;
            }
            assert!(std::time::Instant::now() < end, "it never came to hold");
            std::thread::yield_now();
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("orders")
    }

    fn options(&self, user: &str) -> OrderOptions {
        let password: String = user.chars().rev().collect();
        OrderOptions::new(Address::Shared(self.path()), user, &password)
    }

    fn client(&self, user: &str) -> OrderSession {
        OrderSession::connect(self.options(user)).unwrap()
    }

    fn stream(&self, session: SessionId) -> Vec<u8> {
        self.with(move |inside| inside.gateway.core().streams.bytes(session).to_vec())
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        drop(self.errands.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the venue's thread panicked");
    }
}

fn order() -> NewOrder {
    NewOrder::limit(SideCode::Buy, Quantity(100), Symbol::from_text("MSFT").unwrap(), Price(1_000_000))
}

fn next(client: &mut OrderSession) -> (u64, Outbound) {
    match client.wait(LONG) {
        Ok(Some(Incoming::Message { sequence, message })) => (sequence, message),
        other => panic!("not a message: {other:?}"),
    }
}

fn next_accepted(client: &mut OrderSession) -> (u64, UserRef) {
    match next(client) {
        (sequence, Outbound::Accepted(accepted)) => (sequence, accepted.user_ref),
        other => panic!("not accepted: {other:?}"),
    }
}

fn next_canceled(client: &mut OrderSession) -> u32 {
    match next(client) {
        (_, Outbound::Canceled(canceled)) => canceled.quantity.0,
        other => panic!("not canceled: {other:?}"),
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

/// A client without a library: its memory is its own to spoil.
struct Raw {
    socket: UnixStream,
    writer: RingWriter,
    reader: RingReader,
    own: Arc<Mapped>,
    files: [File; 2],
}

impl Raw {
    fn connect(path: &Path, user: &str, password: &str) -> Raw {
        let mut socket = UnixStream::connect(path).unwrap();
        let mut bytes = [0; LoginRequest::BYTES_MAX];
        let length = LoginRequest::new(user, password, SessionName::BLANK, 1).unwrap().encode(&mut bytes);
        socket.write_all(&bytes[..length]).unwrap();
        let mut files = [const { None }; FILES_MAX];
        let count = unix::receive_with_files(&socket, &mut [0; 64], &mut files).unwrap();
        assert_eq!(count, 33, "Login Accepted");
        let [venue, client] = [VENUE_FILE, CLIENT_FILE].map(|index| File::from(files[index].take().unwrap()));
        let map = |file: &File, writable| {
            Arc::new(Mapped::from_file(file, file.metadata().unwrap().len() as usize, writable).unwrap())
        };
        let own = map(&client, true);
        let (writer, reader) = ends(Half::attach(Arc::clone(&own)).unwrap(), Half::attach(map(&venue, false)).unwrap());
        Raw { socket, writer, reader, own, files: [venue, client] }
    }

    fn is_closed(&mut self) -> bool {
        self.socket.set_read_timeout(Some(LONG)).unwrap();
        matches!(self.socket.read(&mut [0; 1]), Ok(0))
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn an_order_goes_in_by_the_ring_and_its_answer_comes_back() {
    let venue = Venue::open(Setting::default());
    let mut alice = venue.client("ALICE");
    assert_eq!(alice.session().text(), b"DAY001");
    let first = alice.enter(&order()).unwrap();
    let second = alice.enter(&order()).unwrap();
    assert_eq!((first, second), (UserRef(1), UserRef(2)));
    assert_eq!(next_accepted(&mut alice), (1, first));
    assert_eq!(next_accepted(&mut alice), (2, second));
    alice.cancel(Channel::NONE, first, Quantity(7)).unwrap();
    assert_eq!(next_canceled(&mut alice), 7);
    assert_eq!((alice.unanswered(), alice.next_sequence()), (0, 4));
    let log = venue.with(|inside| inside.log.clone());
    let kinds: Vec<_> = log.iter().map(|command| (command.kind, command.session, command.user_ref)).collect();
    let (enter, cancel) = (CommandKind::Enter, CommandKind::Cancel);
    assert_eq!(kinds, [(enter, ALICE, first), (enter, ALICE, second), (cancel, ALICE, first)]);
}

#[test]
fn every_request_reaches_the_venue_and_every_answer_the_client() {
    let venue = Venue::open(Setting::default());
    let mut options = venue.options("ALICE");
    options.keep = Keep::Bytes(1 << 20);
    let mut alice = OrderSession::connect(options).unwrap();
    let firm = Firm::from_text("ALFA").unwrap();
    let sent = alice.enter(&order()).unwrap();
    alice.replace(sent, &Replacement::limit(Quantity(50), Price(1_000_100))).unwrap();
    alice.mass_cancel(firm, Symbol::BLANK, Default::default()).unwrap();
    alice.disable(firm).unwrap();
    alice.enable(firm).unwrap();
    alice.query(Channel::NONE).unwrap();
    let kinds: Vec<u8> = (0..6).map(|_| next(&mut alice).1.kind()).collect();
    assert_eq!(kinds, b"AUXGKQ");
    assert_eq!(alice.next_user_ref(Channel::NONE), UserRef(6));
    assert_eq!(alice.stream_bytes(), venue.stream(ALICE));
    let digest = venue.with(|inside| inside.gateway.core().streams.digest(ALICE));
    assert_eq!(alice.stream_digest(), digest);
}

#[test]
fn a_session_that_changes_between_transports_reads_one_stream_byte_for_byte() {
    let venue = Venue::open(Setting::default());
    let addresses = [Address::Shared(venue.path()), Address::Tcp(venue.tcp)];
    let mut kept = Vec::new();
    let mut sequence = 1;
    for round in 0..12u32 {
        let mut options = venue.options("ALICE");
        options.address = addresses[round as usize % 2].clone();
        options.sequence = sequence;
        options.keep = Keep::Bytes(1 << 16);
        let mut alice = OrderSession::connect(options).unwrap();
        venue.with(move |inside| (0..40).for_each(|at| inside.report_cancel(ALICE, 100 * round + at)));
        // Not all of them: the rest is for the next connection.
        for at in 0..25 + round {
            assert_eq!(next(&mut alice).0, sequence + u64::from(at));
        }
        sequence = alice.next_sequence();
        kept.extend_from_slice(alice.stream_bytes());
        if round % 3 == 0 {
            alice.logout();
        }
    }
    let mut options = venue.options("ALICE");
    (options.sequence, options.keep) = (sequence, Keep::Bytes(1 << 16));
    let mut alice = OrderSession::connect(options).unwrap();
    while alice.next_sequence() <= 12 * 40 {
        next(&mut alice);
    }
    kept.extend_from_slice(alice.stream_bytes());
    assert_eq!(kept, venue.stream(ALICE));
}

#[test]
fn a_newer_login_takes_the_session_over_whatever_carries_it() {
    let venue = Venue::open(Setting::default());
    let mut first = venue.client("ALICE");
    let mut second = venue.client("ALICE");
    assert_eq!(fault(&mut first), Fault::Closed);
    let mut options = venue.options("ALICE");
    options.address = Address::Tcp(venue.tcp);
    let mut third = OrderSession::connect(options).unwrap();
    assert_eq!(fault(&mut second), Fault::Closed);
    let mut fourth = venue.client("ALICE");
    assert!(matches!(fault(&mut third), Fault::Closed | Fault::System(_)));
    fourth.enter(&order()).unwrap();
    assert_eq!(next_accepted(&mut fourth).0, 1);
    venue.until(|inside| inside.closed(CloseCause::Superseded) == 3);
}

#[test]
fn requests_that_a_broken_connection_swallowed_are_entered_exactly_once() {
    let venue = Venue::open(Setting { link: 8, slots: 16, ..Setting::default() });
    let mut options = venue.options("ALICE");
    options.unanswered_max = 100;
    options.keep = Keep::Bytes(1 << 20);
    let mut alice = OrderSession::connect(options).unwrap();
    let mut random = Random(0x9E37_79B9);
    let wanted = 600;
    let mut accepted = Vec::new();
    while accepted.len() < wanted {
        if alice.next_user_ref(Channel::NONE).0 <= wanted as u32 {
            // A refusal is an answer: poll, and try again.
            let _ = alice.enter(&order());
        }
        match alice.poll() {
            Ok(Some(Incoming::Message { message: Outbound::Accepted(message), .. })) => {
                accepted.push(message.user_ref.0);
            }
            Ok(_) => {}
            Err(fault) => panic!("{fault}"),
        }
        if random.next().is_multiple_of(50) {
            alice.disconnect();
            alice.reconnect().unwrap();
        }
    }
    let all: Vec<u32> = (1..=wanted as u32).collect();
    assert_eq!(accepted, all, "every answer once and in order");
    let entered = venue.with(|inside| {
        let enters = inside.log.iter().filter(|command| command.kind == CommandKind::Enter);
        enters.map(|command| command.user_ref.0).collect::<Vec<_>>()
    });
    assert_eq!(entered, all, "every order once and in order");
    while alice.stream_bytes().len() < venue.stream(ALICE).len() {
        alice.wait(LONG).unwrap();
    }
    assert_eq!(alice.stream_bytes(), venue.stream(ALICE));
}

#[test]
fn wrong_logins_are_refused_as_over_tcp() {
    let venue = Venue::open(Setting::default());
    let refused = |change: &dyn Fn(&mut OrderOptions)| {
        let mut options = venue.options("ALICE");
        change(&mut options);
        OrderSession::connect(options).err()
    };
    let credentials = Some(Fault::Rejected(LoginReject::NotAuthorized));
    assert_eq!(refused(&|options| options.password = "WRONG".into()), credentials);
    assert_eq!(refused(&|options| options.user = "NOBODY".into()), credentials);
    let place = Some(Fault::Rejected(LoginReject::SessionNotAvailable));
    assert_eq!(refused(&|options| options.session = SessionName::from_text("OTHER").unwrap()), place);
    assert_eq!(refused(&|options| options.sequence = 2), place, "more than there is");
    assert_eq!(refused(&|_| {}), None);
}

#[test]
fn users_who_may_not_connect_are_turned_away_unheard() {
    let venue = Venue::open(Setting { users: vec![unix::own_uid() + 1], ..Setting::default() });
    assert!(matches!(OrderSession::connect(venue.options("ALICE")), Err(Fault::Closed | Fault::System(_))));
    assert_eq!(venue.with(|inside| inside.counter("gateway.shared.peers_refused")), 1);
}

#[test]
fn a_connection_that_does_not_log_in_is_closed() {
    let mut setting = Setting::default();
    setting.times.login_ns = 20_000_000;
    let venue = Venue::open(setting);
    let mut socket = UnixStream::connect(venue.path()).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(venue.with(|inside| inside.closed(CloseCause::LoginLate)), 1);
}

#[test]
fn a_fifth_connection_finds_no_place_until_one_leaves() {
    let venue = Venue::open(Setting::default());
    let waiting: Vec<UnixStream> = (0..4).map(|_| UnixStream::connect(venue.path()).unwrap()).collect();
    venue.until(|inside| inside.counter("gateway.shared.connections") == 4);
    assert!(OrderSession::connect(venue.options("ALICE")).is_err());
    assert_eq!(venue.with(|inside| inside.counter("gateway.shared.places_full")), 1);
    drop(waiting);
    venue.until(|inside| inside.counter("gateway.shared.connections") == 0);
    venue.client("ALICE");
}

#[test]
fn a_login_beyond_the_memory_made_at_start_gets_memory_of_its_own() {
    let venue = Venue::open(Setting::default());
    for _ in 0..10 {
        let mut alice = venue.client("ALICE");
        alice.enter(&order()).unwrap_or_else(|refusal| panic!("{refusal}"));
        alice.logout();
    }
    venue.until(|inside| inside.closed(CloseCause::Logout) + inside.closed(CloseCause::Superseded) == 10);
}

#[test]
fn the_death_of_a_client_cancels_its_orders_if_its_session_wants_that() {
    let venue = Venue::open(Setting::default());
    let mut bob = venue.client("BOB");
    bob.enter(&order()).unwrap();
    next_accepted(&mut bob);
    drop(bob);
    let alice = venue.client("ALICE");
    drop(alice);
    venue.until(|inside| inside.closed(CloseCause::Gone) == 2);
    venue.until(|inside| inside.log.last().is_some_and(|command| command.kind == CommandKind::SessionLost));
    let lost = venue.with(|inside| inside.log.iter().filter(|c| c.kind == CommandKind::SessionLost).count());
    assert_eq!(lost, 1, "only the one that wants it");
}

#[test]
fn what_a_client_sent_before_it_died_is_taken() {
    let venue = Venue::open(Setting { link: 4, ..Setting::default() });
    let mut alice = venue.client("ALICE");
    venue.with(|inside| inside.paused = true);
    for _ in 0..4 {
        alice.enter(&order()).unwrap();
    }
    drop(alice);
    venue.until(|inside| inside.closed(CloseCause::Gone) == 1);
    venue.with(|inside| inside.paused = false);
    venue.until(|inside| inside.log.len() == 4);
}

#[test]
fn the_end_of_the_day_follows_the_last_message() {
    let venue = Venue::open(Setting::default());
    let mut alice = venue.client("ALICE");
    venue.with(|inside| {
        inside.report_cancel(ALICE, 5);
        inside.report(ALICE, ReportBody::DayEnd);
    });
    assert_eq!(next_canceled(&mut alice), 5);
    assert_eq!(next(&mut alice).1.kind(), b'S');
    assert_eq!(alice.wait(LONG), Ok(Some(Incoming::EndOfSession)));
    let mut late = venue.client("ALICE");
    assert_eq!(next_canceled(&mut late), 5);
    assert_eq!(next(&mut late).1.kind(), b'S');
    assert_eq!(late.wait(LONG), Ok(Some(Incoming::EndOfSession)));
}

#[test]
fn a_venue_without_room_holds_the_client_back_and_loses_nothing() {
    let venue = Venue::open(Setting { link: 4, slots: 16, ..Setting::default() });
    venue.with(|inside| inside.paused = true);
    let mut alice = venue.client("ALICE");
    let mut sent = 0;
    while alice.enter(&order()) != Err(Refusal::Full) {
        sent += 1;
        // Lets the venue take what it can, so that the refusal is for good.
        venue.with(|inside| (0..4).for_each(|_| inside.turn()));
        assert!(sent < 100, "a ring of 16 slots and a link of 4 commands hold no more than 21");
    }
    venue.with(|inside| inside.paused = false);
    for user_ref in 1..=sent {
        assert_eq!(next_accepted(&mut alice), (u64::from(user_ref), UserRef(user_ref)));
    }
}

#[test]
fn a_client_that_does_not_drain_its_answers_is_disconnected_alone() {
    let venue = Venue::open(Setting { slots: 16, lag_bytes_max: 4096, ..Setting::default() });
    let mut raw = Raw::connect(&venue.path(), "ALICE", "ECILA");
    let mut bob = venue.client("BOB");
    for at in 0..400 {
        venue.with(move |inside| {
            inside.report_cancel(ALICE, at);
            inside.report_cancel(BOB, at);
        });
        assert_eq!(next_canceled(&mut bob), at);
    }
    assert!(raw.is_closed());
    assert_eq!(venue.with(|inside| inside.closed(CloseCause::Lagging)), 1);
    assert!(bob.is_connected());
    // What it missed is still there for it.
    let mut options = venue.options("ALICE");
    options.keep = Keep::Digest;
    let mut alice = OrderSession::connect(options).unwrap();
    (0..400).for_each(|at| assert_eq!(next_canceled(&mut alice), at));
    assert_eq!(alice.stream_digest(), venue.with(|inside| inside.gateway.core().streams.digest(ALICE)));
}

#[test]
fn messages_that_do_not_belong_end_the_connection() {
    let cases: [(&[u8], CloseCause); 7] = [
        (b"S\x41", CloseCause::Protocol),
        (b"\x00", CloseCause::Protocol),
        (b"L", CloseCause::Protocol),
        (b"Ox", CloseCause::Protocol),
        (b"U", CloseCause::Malformed),
        (b"U\x00\x00\x00", CloseCause::Malformed),
        (b"O", CloseCause::Logout),
    ];
    for (message, cause) in cases {
        let venue = Venue::open(Setting::default());
        let mut raw = Raw::connect(&venue.path(), "ALICE", "ECILA");
        raw.writer.try_send(b"R").unwrap();
        raw.writer.try_send(b"+free text").unwrap();
        raw.writer.try_send(message).unwrap();
        assert!(raw.is_closed(), "{message:?}");
        assert_eq!(venue.with(move |inside| inside.closed(cause)), 1, "{message:?}");
    }
}

#[test]
fn a_client_that_spoils_its_memory_harms_nobody_else() {
    let venue = Venue::open(Setting { slots: 32, ..Setting::default() });
    let mut bob = venue.client("BOB");
    for seed in 1..=60u64 {
        let mut random = Random(seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
        let mut raw = Raw::connect(&venue.path(), "ALICE", "ECILA");
        let words = raw.own.len() / 8;
        let closed = |raw: &Raw| {
            let mut byte = [0; 1];
            raw.socket.set_nonblocking(true).unwrap();
            matches!((&raw.socket).read(&mut byte), Ok(0))
        };
        // An honest beginning now and then, so that the venue is somewhere in the ring.
        for _ in 0..random.next() % 20 {
            let _ = raw.writer.try_send(b"R");
        }
        let mut rounds = 0;
        while !closed(&raw) {
            for _ in 0..64 {
                // The header line, the consumed count and the slots; the first 4 KiB page is mostly padding.
                let at = match random.next() % 8 {
                    0 => 16,
                    _ => 512 + random.next() as usize % (words - 512),
                };
                let near = (random.next() % 64) | (random.next() % 230) << 32 | (random.next() % 4) << 48;
                let word = if random.next() & 1 == 0 { random.next() } else { near };
                raw.own.atomic_u64(at * 8).store(word, Relaxed);
            }
            venue.with(|inside| inside.report_cancel(ALICE, 1));
            rounds += 1;
            assert!(rounds < 10_000, "seed {seed}: spoiled memory is found out");
        }
        bob.enter(&order()).unwrap();
        assert_eq!(next_accepted(&mut bob).1, UserRef(seed as u32), "seed {seed}");
    }
    assert!(venue.with(|inside| inside.counter("gateway.shared.violations")) > 0);
}

#[test]
fn a_client_cannot_write_where_the_venue_writes() {
    let venue = Venue::open(Setting::default());
    let mut raw = Raw::connect(&venue.path(), "ALICE", "ECILA");
    let [venue_file, client_file] = &raw.files;
    let bytes = venue_file.metadata().unwrap().len() as usize;
    assert!(Mapped::from_file(venue_file, bytes, true).is_err());
    for file in [venue_file, client_file] {
        assert!(unix::is_fixed_in_size(file));
        assert!(file.set_len(0).is_err());
    }
    venue.with(|inside| inside.report_cancel(ALICE, 3));
    let mut message = [0; MESSAGE_MAX];
    while raw.reader.poll(&mut message).unwrap().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(message[..2], *b"SC");
}

#[test]
fn a_replay_longer_than_the_ring_arrives_whole() {
    let venue = Venue::open(Setting { slots: 16, lag_bytes_max: 1024, ..Setting::default() });
    venue.with(|inside| (0..5000).for_each(|at| inside.report_cancel(ALICE, at)));
    let mut alice = venue.client("ALICE");
    for at in 0..5000 {
        assert_eq!(next_canceled(&mut alice), at);
    }
}
