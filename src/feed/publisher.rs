//! The feed's agent: facts from egress in, datagrams out, requests answered.
//!
//! Hot, on a thread of its own where cores allow, because a multicast send serves every local subscriber inside the
//! call (2 us with one, 8 us with 16). A turn takes what has come, up to a bound, and sends it at once in as few
//! datagrams as it needs: alone an event leaves alone, under load they travel together. The store is the send queue: a
//! socket that takes nothing now leaves the cursor where it is. A full store stops the intake, so egress fills up and
//! in the end the gateways stop reading; the feed never skips a number.
//! In silence a heartbeat says which number comes next; after the end of the day it becomes the end of the session.

use super::rerequest::RequestServer;
use super::store::Cursor;
use super::stream::FeedStream;
use crate::os::clock::monotonic_ns;
use crate::os::udp::{self, MulticastOut};
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::Receiver;
use crate::types::Published;
use crate::wire::mold::{COUNT_MAX, DATAGRAM_MAX, HEADER_BYTES, Header};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use zerocopy::IntoBytes;

/// Facts taken in one turn: what fills two datagrams, so that the first of them does not wait long for the last.
const TAKEN_TURN_MAX: usize = 76;
/// Datagrams sent in one turn: an agent that shares its thread keeps it for about 20 us at most.
const DATAGRAMS_TURN_MAX: usize = 8;
/// Turns with data after which requests get a look all the same. Looking costs a system call, 0.2 us.
const BUSY_TURNS_MAX: u32 = 16;

/// Turns at the end of the process: enough to empty a link of a million facts, and an end if it never empties.
const STOP_TURNS_MAX: usize = 1 << 14;

/// Where and how the feed goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedOptions {
    /// A multicast group, or any unicast address where the network carries no multicast.
    pub destination: SocketAddr,
    /// Interface, reach and local hearing of multicast.
    pub multicast: MulticastOut,
    /// Address of the request server; port 0 takes a free one.
    pub requests: SocketAddr,
    /// Silence after which a heartbeat goes out, in ns.
    pub heartbeat_ns: u64,
    /// Most answers a second for one requesting host.
    pub answers_per_second_max: u32,
}

impl Default for FeedOptions {
    /// The loopback interface of this host, to be heard by programs on it.
    fn default() -> Self {
        FeedOptions {
            destination: (Ipv4Addr::new(239, 255, 50, 1), 26400).into(),
            multicast: MulticastOut { interface: Ipv4Addr::LOCALHOST, ttl: 1, loopback: true },
            requests: (Ipv4Addr::LOCALHOST, 26401).into(),
            heartbeat_ns: 1_000_000_000,
            // A late joiner takes some ten million messages in six seconds.
            answers_per_second_max: 50_000,
        }
    }
}

/// The agent. See the module's words.
pub struct Publisher {
    link: Receiver<Published>,
    stream: FeedStream,
    socket: UdpSocket,
    requests: RequestServer,
    heartbeat_ns: u64,
    /// Everything before it has been sent.
    sent: Cursor,
    /// When something last went out; `None` before the first, which is then due at once.
    sent_ns: Option<u64>,
    /// Whether the end of the session has been said.
    end_said: bool,
    /// When chores are due next: the cache's sign of life and the counters that are levels.
    chores_ns: u64,
    busy_turns: u32,
    datagram: Box<[u8; DATAGRAM_MAX]>,
    counts: PublisherCounters,
}

struct PublisherCounters {
    messages: Counter,
    datagrams: Counter,
    heartbeats: Counter,
    retries: Counter,
    lost: Counter,
    store_bytes: Counter,
    store_full: Counter,
    contradictions: Counter,
}

impl Publisher {
    /// Opens both sockets. What `stream` holds already, from replay, counts as sent: the first heartbeat names the next
    /// number, and who missed the end of it asks.
    /// # Errors
    /// What the system says of the sockets.
    pub fn new(
        stream: FeedStream,
        options: &FeedOptions,
        link: Receiver<Published>,
        counters: &mut Counters,
    ) -> io::Result<Publisher> {
        let session = stream.session();
        Ok(Publisher {
            socket: udp::sender(options.destination, options.multicast)?,
            requests: RequestServer::new(options.requests, session, options.answers_per_second_max, counters)?,
            heartbeat_ns: options.heartbeat_ns,
            sent: stream.store().end(),
            sent_ns: None,
            end_said: false,
            chores_ns: 0,
            busy_turns: 0,
            datagram: Box::new([0; DATAGRAM_MAX]),
            counts: PublisherCounters {
                messages: counters.add("feed.messages"),
                datagrams: counters.add("feed.datagrams"),
                heartbeats: counters.add("feed.heartbeats"),
                retries: counters.add("feed.send_retries"),
                lost: counters.add("feed.datagrams_lost"),
                store_bytes: counters.add("feed.store_bytes"),
                store_full: counters.add("feed.store_full"),
                contradictions: counters.add("feed.contradictions"),
            },
            link,
            stream,
        })
    }

    /// Where requests are answered.
    /// # Errors
    /// What the system says.
    pub fn request_address(&self) -> io::Result<SocketAddr> {
        self.requests.address()
    }

    /// The messages so far, for digests and checks after the agent has stopped.
    pub fn stream(&self) -> &FeedStream {
        &self.stream
    }

    /// Facts that have come and are not stored yet: at the end, those that found no room.
    pub fn facts_waiting(&self) -> usize {
        self.link.len()
    }

    /// One turn at `now_ns` of the monotonic clock. Says how much it did.
    pub fn turn(&mut self, now_ns: u64) -> usize {
        let taken = self.take();
        let sent = self.send(now_ns);
        if taken + sent > 0 && self.busy_turns < BUSY_TURNS_MAX {
            self.busy_turns += 1;
            return taken + sent;
        }
        self.busy_turns = 0;
        self.beat(now_ns);
        if now_ns >= self.chores_ns {
            self.do_chores(now_ns);
        }
        taken + sent + self.requests.work(self.stream.store(), self.sent, now_ns)
    }

    /// Takes facts in until the link is empty, the turn is full or the store is.
    fn take(&mut self) -> usize {
        let mut messages = 0;
        let mut taken = 0;
        while taken < TAKEN_TURN_MAX
            && let Some(published) = self.link.peek()
        {
            let Ok(said) = self.stream.on(published) else {
                self.on_store_full();
                break;
            };
            messages += u64::from(said);
            self.link.pop();
            taken += 1;
        }
        self.counts.messages.add(messages);
        taken
    }

    /// The fact stays in the link. A level and not a count: the agent comes by here each turn from now on.
    #[cold]
    fn on_store_full(&mut self) {
        self.counts.store_full.set(1);
    }

    /// Sends what is stored and not sent.
    fn send(&mut self, now_ns: u64) -> usize {
        for done in 0..DATAGRAMS_TURN_MAX {
            let end = self.stream.store().end();
            if self.sent == end {
                return done;
            }
            let run = self.stream.store().run(self.sent, end, COUNT_MAX, DATAGRAM_MAX - HEADER_BYTES);
            let sequence = self.sent.sequence().into();
            let header = Header { session: self.stream.session(), sequence, count: run.count.into() };
            let length = HEADER_BYTES + run.blocks.len();
            self.datagram[..HEADER_BYTES].copy_from_slice(header.as_bytes());
            self.datagram[HEADER_BYTES..length].copy_from_slice(run.blocks);
            let end = run.end;
            if !self.try_send(length) {
                return done;
            }
            self.sent = end;
            self.sent_ns = Some(now_ns);
            self.counts.datagrams.add(1);
        }
        DATAGRAMS_TURN_MAX
    }

    /// Whether the first `length` bytes of the datagram are off our hands.
    #[inline]
    fn try_send(&mut self, length: usize) -> bool {
        match self.socket.send(&self.datagram[..length]) {
            Ok(_) => true,
            Err(error) => self.on_send_error(&error),
        }
    }

    /// Full buffers pass, and a unicast receiver that is not there yet reports an earlier datagram's fate: these are
    /// tried again next turn. Any other error would come again for the same datagram; it counts as lost on the way,
    /// and receivers ask for it.
    #[cold]
    fn on_send_error(&mut self, error: &io::Error) -> bool {
        let passes = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused
        ) || error.raw_os_error() == Some(libc::ENOBUFS);
        if passes {
            self.counts.retries.add(1);
        } else {
            self.counts.lost.add(1);
        }
        !passes
    }

    /// Heartbeat or end of session, when silence has lasted; the end of the session also as soon as all is sent.
    fn beat(&mut self, now_ns: u64) {
        let all_sent = self.sent == self.stream.store().end();
        let ended = self.stream.is_ended() && all_sent;
        let silent = self.sent_ns.is_none_or(|sent_ns| now_ns.saturating_sub(sent_ns) >= self.heartbeat_ns);
        if !silent && (!ended || self.end_said) {
            return;
        }
        let (session, next) = (self.stream.session(), self.sent.sequence());
        let header = if ended { Header::end_of_session(session, next) } else { Header::heartbeat(session, next) };
        self.datagram[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        if self.try_send(HEADER_BYTES) {
            self.sent_ns = Some(now_ns);
            self.end_said = ended;
            self.counts.heartbeats.add(1);
        }
    }

    /// What must happen now and then whether the feed is silent or not.
    #[cold]
    fn do_chores(&mut self, now_ns: u64) {
        self.chores_ns = now_ns + self.heartbeat_ns;
        self.stream.alive(now_ns);
        self.counts.store_bytes.set(self.stream.store().bytes().len() as u64);
        self.counts.contradictions.set(self.stream.contradictions());
    }
}

impl Agent for Publisher {
    fn name(&self) -> &str {
        "feed"
    }

    fn work(&mut self) -> usize {
        self.turn(monotonic_ns())
    }

    /// Sends what egress had handed over. Egress stops first, so that the link only empties.
    fn stop(&mut self) {
        for _ in 0..STOP_TURNS_MAX {
            let now_ns = monotonic_ns();
            if self.take() + self.send(now_ns) == 0 {
                break;
            }
        }
        self.do_chores(monotonic_ns());
    }
}
