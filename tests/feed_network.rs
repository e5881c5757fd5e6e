//! Publisher and handler over real sockets of this host: each message arrives once and in order, whatever is lost.
//!
//! Both are turned by the test's thread, with a clock of its own; what the network loses, doubles or swaps is decided
//! by a relay between them, from a seed.

use pitlane::client::feed::{FeedFault, FeedHandler, FeedSource, FeedState};
use pitlane::feed::{FeedOptions, FeedPorts, FeedStream, Publisher};
use pitlane::os::clock::SteadyClock;
use pitlane::os::udp::MulticastOut;
use pitlane::runtime::counters::Counters;
use pitlane::runtime::link::{self, Sender};
use pitlane::types::*;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

mod feed_support;
use feed_support::*;

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;
const HEARTBEAT_NS: u64 = 1_000_000_000;
/// Turns after which a test gives up: a turn is some microseconds, so this is well over what a busy host needs.
const TURNS_MAX: usize = 2_000_000;

struct Site {
    publisher: Publisher,
    egress: Sender<Published>,
    counters: Counters,
    now_ns: u64,
}

impl Site {
    fn new(destination: SocketAddr, stream: FeedStream) -> Site {
        let (egress, link) = link::bounded(1 << 12);
        let mut counters = Counters::anonymous(32).unwrap();
        let options = FeedOptions {
            destination,
            multicast: MulticastOut { interface: LOCAL, ttl: 0, loopback: true },
            requests: (LOCAL, 0).into(),
            heartbeat_ns: HEARTBEAT_NS,
            answers_per_second_max: u32::MAX,
            ..FeedOptions::default()
        };
        let ports = FeedPorts::open(&options).unwrap();
        let publisher = Publisher::new(stream, &options, ports, SteadyClock, link, &mut counters);
        Site { publisher, egress, counters, now_ns: 1 }
    }

    fn turn(&mut self) -> usize {
        // So that each turn looks for requests.
        self.now_ns += 3_000;
        self.publisher.turn(self.now_ns)
    }

    fn say(&mut self, facts: &[Published]) {
        for fact in facts {
            while self.egress.try_push(*fact).is_err() {
                self.turn();
            }
        }
    }

    fn requests(&self) -> Vec<SocketAddr> {
        vec![self.publisher.request_address().unwrap()]
    }

    fn counted(&self, name: &str) -> u64 {
        self.counters.values().into_iter().find(|(at, _)| at == name).unwrap().1
    }
}

fn stream() -> FeedStream {
    FeedStream::new(&market(3), 1 << 20, None)
}

/// A handler with what it has delivered, as blocks, so that it compares with the store at once.
struct Listener {
    handler: FeedHandler,
    blocks: Vec<u8>,
    next: u64,
}

impl Listener {
    fn join(source: &FeedSource) -> Listener {
        Listener { handler: FeedHandler::join(source).unwrap(), blocks: Vec::new(), next: 1 }
    }

    fn poll(&mut self, now_ns: u64) -> Result<usize, FeedFault> {
        let Listener { handler, blocks, next } = self;
        handler.poll(now_ns, |sequence, message| {
            assert_eq!(sequence, *next, "each message once and in order");
            *next += 1;
            blocks.extend_from_slice(&(message.len() as u16).to_be_bytes());
            blocks.extend_from_slice(message);
        })
    }

    /// Turns the site and polls until everything has come and, if asked, the session has ended.
    fn follow(&mut self, site: &mut Site, until: FeedState) {
        for _ in 0..TURNS_MAX {
            site.turn();
            self.poll(site.now_ns).unwrap();
            let whole = self.handler.expected() == site.publisher.stream().store().end().sequence();
            if whole && self.handler.state() == until {
                return;
            }
            // The test's clock: retries and heartbeats come due after enough turns, however long those take.
            site.now_ns += HEARTBEAT_NS / 1_000;
        }
        panic!(
            "gave up at {} in state {:?}: {:?}",
            self.handler.expected(),
            self.handler.state(),
            self.handler.counts()
        );
    }

    fn check(&self, site: &Site) {
        assert_eq!(self.blocks, site.publisher.stream().store().bytes());
    }
}

fn source(group: SocketAddrV4, servers: Vec<SocketAddr>) -> FeedSource {
    FeedSource { retry_ns: 20_000_000, receive_buffer_bytes: 1 << 20, ..FeedSource::new(group, servers) }
}

/// A group on a port that nobody uses now, and a source for it; `None` where groups cannot be joined.
fn group() -> Option<SocketAddrV4> {
    let port = UdpSocket::bind((LOCAL, 0)).unwrap().local_addr().unwrap().port();
    let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 71, 2), port);
    pitlane::os::udp::listener(group, LOCAL, 1 << 16).ok().map(|_| group)
}

#[test]
fn all_subscribers_of_the_group_get_the_whole_day() {
    let Some(group) = group() else { return eprintln!("no multicast on this host's loopback interface") };
    let mut site = Site::new(group.into(), stream());
    let mut first = Listener::join(&source(group, site.requests()));
    let mut second = Listener::join(&source(group, site.requests()));
    for facts in random_day(3, 3_000).chunks(50) {
        site.say(facts);
        site.turn();
        first.poll(site.now_ns).unwrap();
        second.poll(site.now_ns).unwrap();
    }
    first.follow(&mut site, FeedState::Ended);
    second.follow(&mut site, FeedState::Ended);
    first.check(&site);
    second.check(&site);
}

/// What lies between a unicast publisher and its handler: loses, doubles and swaps datagrams.
struct Relay {
    socket: UdpSocket,
    to: SocketAddr,
    random: Random,
    kept: Option<Vec<u8>>,
}

impl Relay {
    fn turn(&mut self) {
        let mut bytes = [0; 2048];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            let datagram = &bytes[..length];
            match self.random.below(6) {
                0 => {}
                1 => {
                    self.send(datagram);
                    self.send(datagram);
                }
                2 => self.kept = Some(datagram.to_vec()),
                _ => {
                    self.send(datagram);
                    if let Some(kept) = self.kept.take() {
                        self.send(&kept);
                    }
                }
            }
        }
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.to).unwrap();
    }
}

#[test]
fn lost_doubled_and_swapped_datagrams_leave_no_trace() {
    for seed in 1..=4 {
        let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut site = Site::new(socket.local_addr().unwrap(), stream());
        let mut listener = Listener::join(&source(SocketAddrV4::new(LOCAL, 0), site.requests()));
        let to = listener.handler.address().unwrap();
        let mut relay = Relay { socket, to, random: Random(seed), kept: None };
        for facts in random_day(seed, 2_000).chunks(7) {
            site.say(facts);
            site.turn();
            relay.turn();
            listener.poll(site.now_ns).unwrap();
        }
        // From here on only answers and what was kept; the last datagrams lost show by the end of the session.
        for _ in 0..TURNS_MAX {
            site.now_ns += HEARTBEAT_NS / 100;
            site.turn();
            relay.turn();
            listener.poll(site.now_ns).unwrap();
            if listener.handler.state() == FeedState::Ended {
                break;
            }
        }
        listener.check(&site);
        let counts = listener.handler.counts();
        assert!(counts.requests > 0 && counts.early > 0, "seed {seed}: {counts:?}");
    }
}

#[test]
fn who_joins_after_the_day_gets_all_of_it_from_the_request_server() {
    let nobody = UdpSocket::bind((LOCAL, 0)).unwrap();
    let mut site = Site::new(nobody.local_addr().unwrap(), stream());
    site.say(&random_day(5, 3_000));
    while site.turn() > 0 {}
    assert!(site.publisher.stream().is_ended());
    // Knows the session's name and hears nothing at all: it asks.
    let mut late = source(SocketAddrV4::new(LOCAL, 0), site.requests());
    late.session = Some(market(3).session_name);
    let mut listener = Listener::join(&late);
    for _ in 0..TURNS_MAX {
        site.turn();
        listener.poll(site.now_ns).unwrap();
        if listener.next > site.publisher.stream().store().count() {
            break;
        }
        site.now_ns += 1_000;
    }
    listener.check(&site);
    assert_eq!(listener.handler.state(), FeedState::Waiting, "only the group can say that this was all");
}

#[test]
fn who_joins_late_catches_up_while_the_feed_goes_on() {
    let Some(group) = group() else { return eprintln!("no multicast on this host's loopback interface") };
    let mut site = Site::new(group.into(), stream());
    let day = random_day(6, 4_000);
    let (morning, afternoon) = day.split_at(2_000);
    site.say(morning);
    while site.turn() > 0 {}
    // A window smaller than what it is behind: what cannot wait is asked for again.
    let mut late = source(group, site.requests());
    late.window = 64;
    let mut listener = Listener::join(&late);
    for facts in afternoon.chunks(9) {
        site.say(facts);
        site.turn();
        listener.poll(site.now_ns).unwrap();
    }
    listener.follow(&mut site, FeedState::Ended);
    listener.check(&site);
    assert!(listener.handler.counts().beyond_window > 0);
}

#[test]
fn a_restarted_publisher_goes_on_at_the_next_number() {
    let day = random_day(8, 1_000);
    let (morning, afternoon) = day.split_at(500);
    let mut whole = stream();
    day.iter().for_each(|fact| assert!(whole.on(fact).is_ok()));

    let mut replayed = stream();
    morning.iter().for_each(|fact| assert!(replayed.on(fact).is_ok()));
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    let mut site = Site::new(socket.local_addr().unwrap(), replayed);
    let next = site.publisher.stream().store().end().sequence();
    site.turn();
    let mut bytes = [0; 64];
    assert_eq!(socket.recv(&mut bytes).unwrap(), 20, "a heartbeat comes first");
    assert_eq!(bytes[10..18], next.to_be_bytes());
    site.say(afternoon);
    while site.turn() > 0 {}
    assert_eq!(site.publisher.stream().store().digest(), whole.store().digest());
    assert_eq!(site.publisher.stream().store().bytes(), whole.store().bytes());
}

#[test]
fn silence_is_a_heartbeat_a_period_and_after_the_end_the_end_again() {
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    let mut site = Site::new(socket.local_addr().unwrap(), stream());
    let count = |bytes: &[u8]| u16::from_be_bytes([bytes[18], bytes[19]]);
    let mut bytes = [0; 2048];
    let mut next_count = |site: &mut Site| {
        site.turn();
        let length = socket.recv(&mut bytes).unwrap();
        count(&bytes[..length])
    };
    assert_eq!(next_count(&mut site), 0);
    for _ in 0..10 {
        site.turn();
    }
    assert_eq!(site.counted("feed.heartbeats"), 1, "not before a period of silence");
    site.now_ns += HEARTBEAT_NS;
    assert_eq!(next_count(&mut site), 0);
    site.say(&[day_end()]);
    assert_eq!(next_count(&mut site), 3, "the closing system events");
    // At once, without a period of silence; and again after each.
    while site.counted("feed.heartbeats") < 3 {
        site.turn();
    }
    assert_eq!(next_count(&mut site), 0xFFFF);
    site.now_ns += HEARTBEAT_NS;
    assert_eq!(next_count(&mut site), 0xFFFF);
}

#[test]
fn a_gap_that_nobody_fills_is_reported_and_can_be_given_up() {
    let from = UdpSocket::bind((LOCAL, 0)).unwrap();
    let deaf = UdpSocket::bind((LOCAL, 0)).unwrap();
    let mut lonely = source(SocketAddrV4::new(LOCAL, 0), vec![deaf.local_addr().unwrap()]);
    lonely.attempts_max = 3;
    let mut handler = FeedHandler::join(&lonely).unwrap();
    let mut bytes = [0; 64];
    let mut writer = pitlane::wire::mold::PacketWriter::new(&mut bytes, *b"PITLANE001", 4);
    writer.try_push(b"fourth").unwrap();
    let length = writer.finish();
    from.send_to(&bytes[..length], handler.address().unwrap()).unwrap();

    let mut now_ns = 0;
    let mut polled = |handler: &mut FeedHandler| {
        now_ns += 20_000_000;
        let mut seen = Vec::new();
        let result = handler.poll(now_ns, |sequence, message| seen.push((sequence, message.to_vec())));
        result.map(|_| seen)
    };
    let fault = (0..TURNS_MAX).find_map(|_| polled(&mut handler).err()).unwrap();
    assert!(matches!(fault, FeedFault::Gap { first: 1, count: 3 }), "{fault}");
    assert_eq!(handler.counts().requests, 3);
    assert_eq!(handler.skip_gap(), 3);
    assert_eq!(polled(&mut handler).unwrap(), [(4, b"fourth".to_vec())]);
    assert_eq!(handler.state(), FeedState::Live);
}

#[test]
fn a_full_store_stops_the_intake_and_loses_nothing() {
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    let mut site = Site::new(socket.local_addr().unwrap(), FeedStream::new(&market(3), 200, None));
    for n in 0..10 {
        site.egress.try_push(book(TickerId(0), rested(n, Side::Buy, 100, 1))).unwrap();
    }
    for _ in 0..100 {
        site.turn();
    }
    assert_eq!(site.counted("feed.store_full"), 1);
    assert_eq!(site.counted("feed.messages"), 4, "four added orders and room for no longest message");
    let more = (0..10_000).take_while(|_| site.egress.try_push(day_end()).is_ok()).count();
    assert_eq!(more, site.egress.capacity() - 6, "the others wait in the link");
}

#[test]
fn a_receiver_that_is_not_there_holds_nothing_up() {
    let gone = UdpSocket::bind((LOCAL, 0)).unwrap().local_addr().unwrap();
    let mut site = Site::new(gone, stream());
    site.say(&random_day(9, 500));
    for _ in 0..10_000 {
        site.turn();
    }
    assert_eq!(site.counted("feed.messages"), site.publisher.stream().store().count());
    assert!(site.counted("feed.datagrams") > 0);
    assert!(site.counted("feed.heartbeats") > 0, "all was sent, up to the end of the session");
}
