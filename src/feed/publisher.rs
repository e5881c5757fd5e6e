//! The feed's agent: facts from egress in, datagrams out, requests answered.
//!
//! Hot, on a thread of its own where cores allow, because a multicast send serves every local subscriber inside the
//! call (2 us with one, 8 us with 16). A turn takes what has come, up to a bound, and sends it at once in as few
//! datagrams as it needs: alone an event leaves alone, under load they travel together. Where the thread is shared,
//! such a call stands between a client and its answer; there the feed is told to [`Hold`] back for a few turns, so that
//! it sends while nobody waits. The store is the send queue: a socket that takes nothing now leaves the cursor where it
//! is. A full store stops the intake, so egress fills up and in the end the gateways stop reading; the feed never skips
//! a number.
//! In silence a heartbeat says which number comes next; after the end of the day, and when the process ends in order, it
//! becomes the end of the session.

use super::options::{FeedOptions, Hold};
use super::port::{FeedPorts, Port};
use super::rerequest::RequestServer;
use super::store::Cursor;
use super::stream::FeedStream;
use crate::os::clock::{Clock, CountedClock, SteadyClock};
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::Receiver;
use crate::runtime::runner::StopFlag;
use crate::types::Published;
use crate::wire::mold::{COUNT_MAX, DATAGRAM_MAX, HEADER_BYTES, Header};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use zerocopy::IntoBytes;

/// Facts taken in one turn: what fills two datagrams, so that the first of them does not wait long for the last.
const TAKEN_TURN_MAX: usize = 76;
/// Datagrams sent in one turn: an agent that shares its thread keeps it for about 20 us at most.
const DATAGRAMS_TURN_MAX: usize = 8;
/// Turns between two readings of the clock: 22 ns a reading, against times that need no more than a millisecond.
const CLOCK_TURNS: u32 = 64;
/// Time between two looks for requests. A look costs a system call, 0.2 us, whether one came or not: more often, and an
/// order that comes to an idle thread would meet one too many times. Who asks waits for a datagram's way anyway.
const LOOK_NS: u64 = 50_000;
/// Turns at the end of the process: enough to empty a link of a million facts, and an end if it never empties.
const STOP_TURNS_MAX: usize = 1 << 14;

/// The agent. See the module's words. `P` and `C` are the system's but in simulation.
pub struct Publisher<P = UdpSocket, C = SteadyClock> {
    link: Receiver<Published>,
    stream: FeedStream,
    socket: P,
    requests: RequestServer<P>,
    clock: C,
    heartbeat_ns: u64,
    /// Everything before it has been sent.
    sent: Cursor,
    /// When something last went out; `None` before the first, which is then due at once.
    sent_ns: Option<u64>,
    /// Whether the end of the session has been said.
    end_said: bool,
    /// The process ends.
    ending: StopFlag,
    hold: Hold,
    /// Since when something taken has been waiting (`u64::MAX` for nothing), and when the last fact came.
    held_since_ns: u64,
    fact_ns: u64,
    hold_clock: CountedClock,
    /// When chores are due next: the cache's sign of life and the counters that are levels.
    chores_ns: u64,
    /// When requests are due a look.
    look_ns: u64,
    turns: u32,
    /// As of the last reading of the clock.
    now_ns: u64,
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

impl<P: Port, C: Clock + Send> Publisher<P, C> {
    /// On the sockets of `ports`; `clock` does not go back. What `stream` holds already, from replay, counts as sent: the first heartbeat names the next
    /// number, and who missed the end of it asks.
    pub fn new(
        stream: FeedStream,
        options: &FeedOptions,
        ports: FeedPorts<P>,
        mut clock: C,
        link: Receiver<Published>,
        counters: &mut Counters,
    ) -> Publisher<P, C> {
        let session = stream.session();
        Publisher {
            socket: ports.out,
            requests: RequestServer::new(ports.requests, session, options.answers_per_second_max, counters),
            heartbeat_ns: options.heartbeat_ns,
            sent: stream.store().end(),
            sent_ns: None,
            end_said: false,
            ending: StopFlag::new(),
            hold: options.hold,
            held_since_ns: u64::MAX,
            fact_ns: 0,
            hold_clock: CountedClock::new(),
            chores_ns: 0,
            look_ns: 0,
            turns: 0,
            now_ns: clock.now(),
            clock,
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
        }
    }

    /// Where requests are answered.
    /// # Errors
    /// What the system says.
    pub fn request_address(&self) -> io::Result<SocketAddr> {
        self.requests.address()
    }

    /// Has it say the end of the session when `ending` is requested, by when every fact must be on its way here.
    pub fn with_ending(mut self, ending: StopFlag) -> Self {
        self.ending = ending;
        self
    }

    /// The messages so far, for digests and checks after the agent has stopped.
    pub fn stream(&self) -> &FeedStream {
        &self.stream
    }

    /// Facts that have come and are not stored yet: at the end, those that found no room.
    pub fn facts_waiting(&self) -> usize {
        self.link.len()
    }

    /// One turn at `now_ns` of the monotonic clock. Says how much it did; what it holds back counts as something, so
    /// that the thread does not give its core away meanwhile.
    pub fn turn(&mut self, now_ns: u64) -> usize {
        if now_ns >= self.look_ns {
            self.link.look();
        }
        let taken = self.take();
        let mut done = taken;
        if self.has_unsent() {
            done += if self.is_held(taken) { 1 } else { self.send(now_ns) };
        }
        self.beat(now_ns);
        if now_ns >= self.chores_ns {
            self.do_chores(now_ns);
        }
        if now_ns >= self.look_ns {
            self.look_ns = now_ns + LOOK_NS;
            done += self.requests.work(self.stream.store(), self.sent, now_ns);
        }
        done
    }

    #[inline]
    fn has_unsent(&self) -> bool {
        self.sent != self.stream.store().end()
    }

    /// Whether what is unsent waits for another turn: for quiet, for its bound, or for a datagram to fill.
    #[inline]
    fn is_held(&mut self, taken: usize) -> bool {
        if self.hold == Hold::NONE {
            return false;
        }
        let now_ns = self.hold_clock.now();
        if taken > 0 {
            self.fact_ns = now_ns;
        }
        self.held_since_ns = self.held_since_ns.min(now_ns);
        let waiting = self.stream.store().end().bytes_since(self.sent);
        let held = now_ns - self.held_since_ns < self.hold.wait_ns_max
            // A host's clock that was set back gives a large difference, and so an end of the wait.
            && now_ns.wrapping_sub(self.fact_ns) < self.hold.quiet_ns
            && waiting < DATAGRAM_MAX - HEADER_BYTES
            && !self.stream.is_ended();
        if !held {
            self.held_since_ns = u64::MAX;
        }
        held
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
            self.link.skip();
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
            if !self.has_unsent() {
                return done;
            }
            let end = self.stream.store().end();
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
        let is_over = self.stream.is_ended() || (self.ending.is_requested() && self.link.is_empty());
        let ended = is_over && !self.has_unsent();
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

impl<P: Port, C: Clock + Send> Agent for Publisher<P, C> {
    fn name(&self) -> &str {
        "feed"
    }

    /// An empty turn is a look at the link and a count.
    #[inline]
    fn work(&mut self) -> usize {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(CLOCK_TURNS) {
            self.now_ns = self.clock.now();
        } else if self.link.is_empty() && !self.has_unsent() {
            return 0;
        }
        self.turn(self.now_ns)
    }

    /// Sends what egress had handed over. Egress stops first, so that the link only empties.
    fn stop(&mut self) {
        for _ in 0..STOP_TURNS_MAX {
            let now_ns = self.clock.now();
            if self.take() + self.send(now_ns) == 0 {
                break;
            }
        }
        let now_ns = self.clock.now();
        self.do_chores(now_ns);
        if self.ending.is_requested() {
            self.beat(now_ns);
        }
    }
}
