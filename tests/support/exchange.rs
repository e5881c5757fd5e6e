//! A whole exchange inside the test's process: small, on free ports, in a directory of its own; and what tests of it
//! say over and over. Included with `#[path]` by the test files that use it, so that each is linked with nothing else.

#![allow(dead_code, reason = "each test file uses its part")]

use pitlane::client::orders::{Address, Incoming, Keep, NewOrder, OrderOptions, OrderSession};
use pitlane::config::{Config, Placement};
use pitlane::launch::Exchange;
use pitlane::launch::closing::Closing;
use pitlane::launch::endpoints::Endpoints;
use pitlane::launch::home::log_path;
use pitlane::launch::replayed::replay_whole;
use pitlane::runtime::counters::Counters;
use pitlane::types::{Channel, Price, Quantity, SideCode, Symbol, UserRef};
use pitlane::wire::ouch::Outbound;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bound of every wait; who gets here has hung. Far above what anything takes, because a hot thread that yields gets
/// little of a core on which others compute.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The first ticker of the example; its reference price is 585.50.
pub const AAPL: Symbol = Symbol(*b"AAPL    ");

/// The example, small, on free ports, in a directory of its own.
pub fn config(directory: &Path) -> Config {
    let mut config = Config::example();
    config.directory = directory.to_owned();
    // These tests count records.
    config.tick_ms = 0;
    // Nor does a busy machine make them come back in time.
    config.gateway.grace_ms = 0;
    config.market.orders_max = 1 << 14;
    config.journal.log_bytes = 8 << 20;
    config.gateway.listen = "127.0.0.1:0".parse().unwrap();
    config.gateway.stream_bytes = 2 << 20;
    config.gateway.connections_max = 16;
    // Nor do they poll in time: a session that a busy test leaves alone for a while is not dead.
    config.gateway.silence_ms_max = 99_999;
    config.feed.store_bytes = 4 << 20;
    config.feed.rerequest = "127.0.0.1:0".parse().unwrap();
    config.feed.group = free_group();
    // Tests do not own their cores.
    config.threads.yields = Some(true);
    config.threads.placement = Placement::Shared;
    config
}

/// Multicast groups are free to share, ports are not: a free one keeps tests that run at once apart.
pub fn free_group() -> SocketAddrV4 {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    SocketAddrV4::new(Ipv4Addr::new(239, 195, 7, 7), port)
}

/// How `user` of the example logs in, from the first message of the day on.
pub fn options(endpoints: &Endpoints, user: &str, shared: bool) -> OrderOptions {
    let address =
        if shared { Address::Shared(endpoints.shared.clone().unwrap()) } else { Address::Tcp(endpoints.orders) };
    let mut options = OrderOptions::new(address, user, "SECRET");
    options.keep = Keep::Bytes(1 << 20);
    options.connect_limit = PATIENCE;
    options.silence = 2 * PATIENCE;
    options
}

/// A session of `user` with the exchange at these endpoints.
pub fn login_at(endpoints: &Endpoints, user: &str, shared: bool) -> OrderSession {
    OrderSession::connect(options(endpoints, user, shared)).unwrap_or_else(|fault| panic!("{user} logs in: {fault}"))
}

/// A session of `user`.
pub fn login(exchange: &Exchange, user: &str, shared: bool) -> OrderSession {
    login_at(exchange.endpoints(), user, shared)
}

/// Polls until a message satisfies `wanted`; all before it are passed over.
pub fn until(session: &mut OrderSession, what: &str, mut wanted: impl FnMut(&Outbound) -> bool) -> Outbound {
    let started = Instant::now();
    let mut seen = Vec::new();
    while started.elapsed() < PATIENCE {
        match session.wait(Duration::from_millis(50)).unwrap_or_else(|fault| panic!("waiting for {what}: {fault}")) {
            Some(Incoming::Message { message, .. }) if wanted(&message) => return message,
            Some(Incoming::Message { message, .. }) => seen.push(message),
            Some(Incoming::EndOfSession) => panic!("waiting for {what}: the session ended"),
            None => {}
        }
    }
    panic!("waiting for {what}; there came {seen:?}");
}

/// Waits until `order` is accepted.
pub fn accepted(session: &mut OrderSession, order: UserRef) {
    until(session, "an acceptance", |m| matches!(m, Outbound::Accepted(a) if a.user_ref == order));
}

/// Enters `count` orders that rest, one after another, and waits for each answer.
pub fn trade(session: &mut OrderSession, count: usize) {
    for _ in 0..count {
        let order = session.enter(&limit(SideCode::Sell, 1, 5_855_000)).unwrap();
        accepted(session, order);
    }
}

/// A session of USER01 that takes nothing of what was said before and goes on counting from what the venue says.
pub fn counting_on(exchange: &Exchange, shared: bool) -> OrderSession {
    let mut with = options(exchange.endpoints(), "USER01", shared);
    with.sequence = 0;
    let mut session = OrderSession::connect(with).unwrap();
    session.query(Channel::NONE).unwrap();
    until(&mut session, "the next number", |m| matches!(m, Outbound::AccountQueryResponse(_)));
    session
}

/// Waits until `order` trades; quantity and price of that.
pub fn executed(session: &mut OrderSession, order: UserRef) -> (u32, u64) {
    match until(session, "an execution", |m| matches!(m, Outbound::Executed(e) if e.user_ref == order)) {
        Outbound::Executed(e) => (e.quantity.0, e.price),
        other => unreachable!("{other:?}"),
    }
}

/// Waits until `order` is refused; the reason on the wire.
pub fn rejected(session: &mut OrderSession, order: UserRef) -> u16 {
    match until(session, "a rejection", |m| matches!(m, Outbound::Rejected(j) if j.user_ref == order)) {
        Outbound::Rejected(j) => j.reason,
        other => unreachable!("{other:?}"),
    }
}

/// Waits until `order` is cancelled; shares and reason.
pub fn canceled(session: &mut OrderSession, order: UserRef) -> (u32, u8) {
    match until(session, "a cancel", |m| matches!(m, Outbound::Canceled(c) if c.user_ref == order)) {
        Outbound::Canceled(c) => (c.quantity.0, c.reason),
        other => unreachable!("{other:?}"),
    }
}

/// A counter of a running exchange.
pub fn counter(endpoints: &Endpoints, name: &str) -> u64 {
    let counters = Counters::read(&endpoints.counters).unwrap();
    counters.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

/// Waits until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A day order in the first ticker; `price` in 1/10,000.
pub fn limit(side: SideCode, quantity: u32, price: u32) -> NewOrder {
    NewOrder::limit(side, Quantity(quantity), AAPL, Price(price))
}

/// A replay of the log gives what the run gave, and risk limits held at each step.
pub fn verify(config: &Config, closing: &Closing) {
    let replayed = replay_whole(config, &log_path(&config.directory)).unwrap();
    assert_eq!(closing.differences(&replayed.closing), Vec::<String>::new());
    assert_eq!(replayed.breaches, Vec::<String>::new());
    assert!(replayed.twin.oms().is_balanced());
}
