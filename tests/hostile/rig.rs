//! An exchange with a bystander, and a client that writes what it likes.

use crate::support::{PATIENCE, config, counter, login, options, verify, wait_until};
use pitlane::client::operator;
use pitlane::client::orders::{Fault, Incoming, NewOrder, OrderOptions, OrderSession};
use pitlane::config::Config;
use pitlane::launch::Exchange;
use pitlane::launch::closing::Closing;
use pitlane::types::{Price, Quantity, SideCode, Symbol, UserRef};
use pitlane::wire::ouch::Outbound;
use pitlane::wire::ouch::inbound::Inbound;
use pitlane::wire::soup::{ClientPacket, LoginRequest, ServerPacket, SessionName};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the bystander trades; nobody else does.
const MSFT: Symbol = Symbol(*b"MSFT    ");
const PRICE: Price = Price(1_503_400);

/// Two sessions, one a transport, that trade with one another and expect to hear of nothing else.
pub struct Bystander {
    maker: OrderSession,
    taker: OrderSession,
}

impl Bystander {
    fn log_in(exchange: &Exchange) -> Bystander {
        Bystander { maker: login(exchange, "USER01", false), taker: login(exchange, "USER04", true) }
    }

    /// One trade. The answers are all that comes, in their order, but for the day's start and earlier days' trades.
    pub fn trade(&mut self) {
        let order = |side, quantity| NewOrder::limit(side, Quantity(quantity), MSFT, PRICE);
        let offer = self.maker.enter(&order(SideCode::Sell, 10)).unwrap();
        assert_eq!(next(&mut self.maker), ('A', offer));
        let bid = self.taker.enter(&order(SideCode::Buy, 10).immediate()).unwrap();
        assert_eq!([next(&mut self.taker), next(&mut self.taker)], [('A', bid), ('E', bid)]);
        assert_eq!(next(&mut self.maker), ('E', offer));
    }
}

/// Letter and order of the next message; the day's start is passed over.
fn next(session: &mut OrderSession) -> (char, UserRef) {
    loop {
        let heard = session.wait(PATIENCE).unwrap_or_else(|fault| panic!("a bystander loses its connection: {fault}"));
        match heard.expect("a bystander is answered") {
            Incoming::Message { message: Outbound::SystemEvent(_), .. } => {}
            Incoming::Message { message: Outbound::Accepted(m), .. } => return ('A', m.user_ref),
            Incoming::Message { message: Outbound::Executed(m), .. } => return ('E', m.user_ref),
            other => panic!("a bystander hears {other:?}"),
        }
    }
}

/// A running exchange that can be looked at.
pub struct Venue {
    pub config: Config,
    pub exchange: Exchange,
    pub bystander: Bystander,
    directory: TempDir,
}

impl Venue {
    /// With settings of the case; the bystander has traded.
    pub fn open(change: impl FnOnce(&mut Config)) -> Venue {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path());
        change(&mut config);
        let exchange = Exchange::open(config.clone()).unwrap();
        let mut bystander = Bystander::log_in(&exchange);
        bystander.trade();
        Venue { config, exchange, bystander, directory }
    }

    pub fn login(&self, user: &str, shared: bool) -> OrderSession {
        login(&self.exchange, user, shared)
    }

    /// Options of a login of `user`, to be changed.
    pub fn options(&self, user: &str, shared: bool) -> OrderOptions {
        options(self.exchange.endpoints(), user, shared)
    }

    pub fn orders(&self) -> SocketAddr {
        self.exchange.endpoints().orders
    }

    pub fn counter(&self, name: &str) -> u64 {
        counter(self.exchange.endpoints(), name)
    }

    /// Waits until a counter stands at `value`, and not above.
    pub fn counts(&self, name: &str, value: u64) {
        wait_until(&format!("{name} is {value}, it is {}", self.counter(name)), || self.counter(name) >= value);
        assert_eq!(self.counter(name), value, "{name}");
    }

    /// Asks the operator's socket.
    pub fn operate(&self, request: Value) -> Value {
        operator::ask(&self.exchange.endpoints().operator, &request, PATIENCE).unwrap()
    }

    /// The bystander trades once more, everything stops in order, and the journal gives the same again.
    pub fn close(mut self) -> Closing {
        self.bystander.trade();
        drop(self.bystander);
        let closing = self.exchange.close().unwrap();
        verify(&self.config, &closing);
        closing
    }

    /// Stops in order and starts again on the same directory; whoever was logged in is not.
    pub fn restart(mut self) -> Venue {
        self.bystander.trade();
        let Venue { config, exchange, bystander: Bystander { maker, taker }, directory } = self;
        let heard = [maker, taker].map(|session| session.next_sequence());
        let closing = exchange.close().unwrap();
        verify(&config, &closing);
        let exchange = Exchange::open(config.clone()).unwrap();
        // Behind what it has heard: the rest of the day is nothing new to it.
        let back = |user, shared, sequence| {
            let mut options = options(exchange.endpoints(), user, shared);
            options.sequence = sequence;
            OrderSession::connect(options).unwrap()
        };
        let (maker, taker) = (back("USER01", false, heard[0]), back("USER04", true, heard[1]));
        let bystander = Bystander { maker, taker };
        let mut venue = Venue { config, exchange, bystander, directory };
        venue.raise_numbers();
        venue.bystander.trade();
        venue
    }

    /// After a restart the bystander's programs ask for their next numbers, as any that start in the middle of a day.
    fn raise_numbers(&mut self) {
        for session in [&mut self.bystander.maker, &mut self.bystander.taker] {
            session.query(pitlane::types::Channel::NONE).unwrap();
            let answer = session.wait(PATIENCE).unwrap();
            assert!(matches!(answer, Some(Incoming::Message { message: Outbound::AccountQueryResponse(_), .. })));
        }
    }
}

/// The fault that ends a session.
pub fn fault(session: &mut OrderSession) -> Fault {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Err(fault) = session.wait(Duration::from_millis(50)) {
            return fault;
        }
    }
    panic!("the connection ends");
}

/// A TCP client that sends bytes, right or wrong.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Raw { stream, received: Vec::new() }
    }

    /// Connected and logged in, from the day's first message on.
    pub fn log_in(address: SocketAddr, user: &str, silence_ms: Option<u32>) -> Raw {
        let mut raw = Raw::connect(address);
        raw.send(&login_bytes(user, silence_ms));
        assert!(matches!(raw.next().first(), Some(b'A')), "{user} is logged in");
        raw
    }

    /// Whether the bytes could be handed to the system: a venue that has closed takes none.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes), "the venue is there");
    }

    /// Type and payload of the next packet; empty at the end of the connection.
    pub fn next(&mut self) -> Vec<u8> {
        loop {
            if let Some((_, length)) = ServerPacket::next(&self.received).unwrap() {
                let packet: Vec<u8> = self.received.drain(..length).collect();
                return packet[2..].to_vec();
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Vec::new(),
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                // Closed with bytes of ours unread.
                Err(fault) if fault.kind() == ErrorKind::ConnectionReset => return Vec::new(),
                Err(fault) => panic!("the venue answers or closes: {fault}"),
            }
        }
    }

    /// Reads until the venue closes; the types of the packets that came before, without heartbeats.
    pub fn until_closed(&mut self) -> String {
        let mut types = String::new();
        loop {
            match self.next().first() {
                Some(b'H') => {}
                Some(&kind) => types.push(char::from(kind)),
                None => return types,
            }
        }
    }
}

/// A login request of `user`.
pub fn login_bytes(user: &str, silence_ms: Option<u32>) -> Vec<u8> {
    let mut request = LoginRequest::new(user, "SECRET", SessionName::BLANK, 1).unwrap();
    request.heartbeat_timeout_ms = silence_ms;
    let mut bytes = [0; LoginRequest::BYTES_MAX];
    let length = request.encode(&mut bytes);
    bytes[..length].to_vec()
}

/// A message in its packet.
pub fn packet(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; message.len() + 3];
    let length = ClientPacket::Unsequenced(message).encode(&mut bytes);
    bytes.truncate(length);
    bytes
}

/// An order's message.
pub fn message(order: &NewOrder, user_ref: u32) -> Vec<u8> {
    let mut bytes = [0; pitlane::wire::ouch::MESSAGE_MAX];
    let length = Inbound::Enter(order.message(UserRef(user_ref))).encode(&mut bytes);
    bytes[..length].to_vec()
}
