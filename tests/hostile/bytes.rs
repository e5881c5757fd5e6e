//! Bytes that are not what they should be, on the socket and in shared memory.

use crate::rig::{Raw, Venue, login_bytes, message, packet};
use crate::support::{PATIENCE, canceled, limit};
use pitlane::config::Engine;
use pitlane::os::mapped::Mapped;
use pitlane::os::unix::{self, FILES_MAX};
use pitlane::runtime::shared_ring::{CLIENT_FILE, Half, RingReader, RingWriter, VENUE_FILE, ends};
use pitlane::types::{SideCode, UserRef};
use pitlane::wire::mold::Request;
use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Runs a claim on both network engines.
fn both(claim: impl Fn(Venue)) {
    for engine in [Engine::Plain, Engine::Uring] {
        claim(Venue::open(|config| config.gateway.engine = engine));
    }
}

#[test]
fn packets_that_drip_in_byte_by_byte_are_packets() {
    both(|venue| {
        let mut raw = Raw::connect(venue.orders());
        let order = packet(&message(&limit(SideCode::Sell, 100, 5_855_000), 1));
        for byte in login_bytes("USER02", None).iter().chain(&order) {
            raw.send(&[*byte]);
        }
        assert_eq!(raw.next()[0], b'A');
        assert_eq!(raw.next()[..2], *b"SS", "the day's start");
        assert_eq!(raw.next()[..2], *b"SA", "the acceptance");
        venue.close();
    });
}

#[test]
fn bytes_that_break_the_protocol_end_their_connection_alone() {
    let order = message(&limit(SideCode::Sell, 100, 5_855_000), 1);
    let unknown_kind = packet(&[b'!'; 40]);
    let truncated = packet(&order[..order.len() - 9]);
    let half_an_option = packet(&[&order[..], &[3, 7]].concat());
    let cases: [(&str, &[u8], &str); 13] = [
        ("a length of zero", &[0, 0, b'U'], "protocol"),
        ("a length beyond any packet", &[0xFF, 0xFF, b'U', 1, 2, 3], "protocol"),
        ("a length beyond the longest message", &[0x02, 0x00, b'U'], "protocol"),
        ("an unknown packet type", &[0, 1, b'?'], "protocol"),
        ("a packet only the venue sends", &[0, 1, b'H'], "protocol"),
        ("a heartbeat with a payload", &[0, 3, b'R', 1, 2], "protocol"),
        ("a login of no known length", &[0, 5, b'L', 1, 2, 3, 4], "protocol"),
        ("a message without a type", &[0, 1, b'U'], "malformed"),
        ("an unknown message type", &unknown_kind, "malformed"),
        ("a truncated message", &truncated, "malformed"),
        ("an option cut short", &half_an_option, "malformed"),
        ("a client that says goodbye", &[0, 1, b'O'], "logout"),
        ("text of another protocol", b"GET / HTTP/1.1\r\nHost: venue\r\n\r\n", "protocol"),
    ];
    both(|mut venue| {
        for (what, bytes, cause) in cases {
            let name = format!("gateway.closed.{cause}");
            let before = venue.counter(&name);
            let mut raw = Raw::log_in(venue.orders(), "USER03", None);
            raw.send(bytes);
            assert_eq!(raw.until_closed(), "S", "{what}: the day's start, then the end");
            venue.counts(&name, before + 1);
            venue.bystander.trade();
        }
        assert_eq!(venue.counter("gateway.messages_in"), 2 * (1 + cases.len() as u64), "only the bystander's");
        venue.close();
    });
}

#[test]
fn what_comes_before_the_login_or_is_a_second_one_ends_the_connection() {
    let order = packet(&message(&limit(SideCode::Sell, 100, 5_855_000), 1));
    both(|venue| {
        let mut unannounced = Raw::connect(venue.orders());
        unannounced.send(&order);
        assert_eq!(unannounced.until_closed(), "");
        venue.counts("gateway.closed.protocol", 1);
        let mut twice = Raw::log_in(venue.orders(), "USER03", None);
        twice.send(&login_bytes("USER03", None));
        assert_eq!(twice.until_closed(), "S");
        venue.counts("gateway.closed.protocol", 2);
        venue.close();
    });
}

#[test]
fn a_connection_cut_in_the_middle_of_a_packet_is_gone_and_what_was_whole_counts() {
    both(|venue| {
        let mut raw = Raw::log_in(venue.orders(), "USER02", None);
        let order = |user_ref| packet(&message(&limit(SideCode::Sell, 100, 5_855_000), user_ref));
        raw.send(&order(1));
        raw.send(&order(2)[..20]);
        assert_eq!([raw.next()[1], raw.next()[1]], *b"SA");
        drop(raw);
        venue.counts("gateway.closed.gone", 1);
        let mut back = venue.login("USER02", false);
        assert_eq!(canceled(&mut back, UserRef(1)), (100, b'Z'));
        venue.close();
    });
}

#[test]
fn datagrams_that_are_no_requests_are_passed_over_by_the_feed() {
    let mut venue = Venue::open(|_| {});
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(venue.exchange.endpoints().rerequest).unwrap();
    let session = venue.config.market.session_name;
    let request = |session, sequence, count| Request { session, sequence, count }.encode().to_vec();
    let cases = [
        b"?".to_vec(),
        vec![0xFF; 1400],
        request(session, 1, 1)[..19].to_vec(),
        [&request(session, 1, 1)[..], b"!"].concat(),
        request(*b"YESTERDAY ", 1, 1),
        request(session, 0, 1),
        request(session, u64::MAX, 1),
        request(session, 1, 0),
        request(session, 1, u16::MAX),
    ];
    for case in &cases {
        socket.send(case).unwrap();
    }
    venue.counts("feed.requests_ignored", cases.len() as u64);
    venue.bystander.trade();
    // An honest one among them is answered, and nothing before it was.
    socket.send(&request(session, 1, 2)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 2048];
    let length = socket.recv(&mut answer).unwrap();
    assert!(length > 20 && answer[..10] == session && answer[18..20] == [0, 2], "{:?}", &answer[..length]);
    venue.counts("feed.requests_answered", 1);
    venue.close();
}

/// A client of shared memory that has mapped the rings itself.
struct RawRing {
    socket: UnixStream,
    writer: RingWriter,
    _reader: RingReader,
    own: Arc<Mapped>,
}

impl RawRing {
    fn log_in(venue: &Venue, user: &str) -> RawRing {
        let mut socket = UnixStream::connect(venue.exchange.endpoints().shared.as_ref().unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&login_bytes(user, None)).unwrap();
        let mut files = [const { None }; FILES_MAX];
        let mut answer = [0; 64];
        let count = unix::receive_with_files(&socket, &mut answer, &mut files).unwrap();
        assert_eq!((count, answer[2]), (33, b'A'), "{user} is logged in");
        let mut map = |index: usize, writable| {
            let file = File::from(files[index].take().unwrap());
            let bytes = file.metadata().unwrap().len() as usize;
            Arc::new(Mapped::from_file(&file, bytes, writable).unwrap())
        };
        let (venue, own) = (map(VENUE_FILE, false), map(CLIENT_FILE, true));
        let (writer, reader) = ends(Half::attach(Arc::clone(&own)).unwrap(), Half::attach(venue).unwrap());
        RawRing { socket, writer, _reader: reader, own }
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.socket.read(&mut [0; 1]), Ok(0))
    }
}

/// Where a half's count of consumed slots and its slots stand; see `runtime::shared_ring`.
const CONSUMED_AT: usize = 128;
const SLOTS_AT: usize = 4096;

#[test]
fn a_client_that_writes_nonsense_into_its_ring_is_dropped_and_its_orders_with_it() {
    let mut venue = Venue::open(|config| config.gateway.ring_bytes = 4096);
    type Spoil = fn(&Mapped);
    let nonsense: [(&str, Spoil); 6] = [
        ("a number far ahead", |own| own.atomic_u64(SLOTS_AT + 64).store(77 | 40 << 32 | 1 << 48, Relaxed)),
        ("a length of zero", |own| own.atomic_u64(SLOTS_AT + 64).store(2 | 1 << 48, Relaxed)),
        ("a length beyond any", |own| own.atomic_u64(SLOTS_AT + 64).store(2 | 0xFFFF << 32 | 1 << 48, Relaxed)),
        ("a message without its end", |own| own.atomic_u64(SLOTS_AT + 64).store(2 | 120 << 32 | 1 << 48, Relaxed)),
        ("all ones", |own| own.atomic_u64(SLOTS_AT + 64).store(u64::MAX, Relaxed)),
        ("more consumed than was sent", |own| own.atomic_u64(CONSUMED_AT).store(u64::MAX / 2, Relaxed)),
    ];
    for (index, (what, spoil)) in nonsense.into_iter().enumerate() {
        let mut raw = RawRing::log_in(&venue, "USER02");
        let user_ref = index as u32 + 1;
        // An honest beginning: one order, in the first slot.
        let order = message(&limit(SideCode::Sell, 100, 5_855_000), user_ref);
        raw.writer.try_send(&[&b"U"[..], &order].concat()).unwrap();
        // The bystander's two and this one's, of each round.
        venue.counts("gateway.messages_in", 3 + 3 * index as u64);
        spoil(&raw.own);
        if what == "more consumed than was sent" {
            // The venue looks there when the ring seems full to it.
            let query = [&b"UQ"[..]].concat();
            while raw.writer.try_send(&query).is_ok() {}
        }
        assert!(raw.is_closed(), "{what}");
        venue.counts("gateway.shared.violations", index as u64 + 1);
        let mut back = venue.login("USER02", true);
        assert_eq!(canceled(&mut back, UserRef(user_ref)), (100, b'Z'), "{what}");
        drop(back);
        venue.counts("gateway.closed.gone", index as u64 + 1);
        venue.bystander.trade();
    }
    venue.counts("gateway.closed.protocol", 6);
    venue.close();
}

#[test]
fn ring_messages_that_are_no_packets_end_the_connection_alone() {
    let mut venue = Venue::open(|_| {});
    let cases: [(&[u8], &str); 5] =
        [(b"S\x41", "protocol"), (b"L", "protocol"), (b"U", "malformed"), (b"U!!!!", "malformed"), (b"O", "logout")];
    for (bytes, cause) in cases {
        let name = format!("gateway.closed.{cause}");
        let before = venue.counter(&name);
        let mut raw = RawRing::log_in(&venue, "USER03");
        raw.writer.try_send(bytes).unwrap();
        assert!(raw.is_closed(), "{bytes:?}");
        venue.counts(&name, before + 1);
        venue.bystander.trade();
    }
    venue.close();
}
