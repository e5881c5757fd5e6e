//! The receiving end of the feed: joins the group, fills gaps from the request server, delivers in order.
//!
//! One handler belongs to one thread, which calls [`FeedHandler::poll`] as often as it likes; nothing waits inside. Its
//! memory is taken when it joins. A missing message is asked for at once: on the networks a feed runs on datagrams are
//! lost, not reordered. If no answer comes, it asks again after a while and of the next server, a bounded number of
//! times; then the caller learns of the gap and chooses to go on trying or to go on without.
//! A handler that joins late starts at number 1 and asks for everything: the same mechanism, only longer.

mod reorder;

pub use reorder::{FeedCounts, Reorder};

use crate::os::udp;
use crate::wire::mold::{COUNT_MAX, Request, Session};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// Datagrams taken from each socket in one turn.
const DATAGRAMS_TURN_MAX: usize = 64;
/// Largest datagram of a network with jumbo frames; a longer one is cut, and then malformed.
const DATAGRAM_BYTES_MAX: usize = 9216;

/// Where a feed is, and how patient its handler is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedSource {
    /// Multicast group, or the local address that a unicast feed is sent to.
    pub group: SocketAddrV4,
    /// Address of the interface to join on.
    pub interface: Ipv4Addr,
    /// Request servers, asked in turn. None: gaps cannot be filled.
    pub servers: Vec<SocketAddr>,
    /// The session to follow; `None` takes the first that is heard. Named, a late joiner asks before it hears anything.
    pub session: Option<Session>,
    /// Number of the first message to deliver.
    pub first: u64,
    /// Messages kept ahead of a gap, 64 bytes each.
    pub window: usize,
    /// How long an answer may take, in ns.
    pub retry_ns: u64,
    /// Requests for the same message before the gap is reported.
    pub attempts_max: u32,
    /// Room for datagrams between two polls; the system may cap it.
    pub receive_buffer_bytes: usize,
}

impl FeedSource {
    /// The feed of `group` from its beginning, on the loopback interface.
    pub fn new(group: SocketAddrV4, servers: Vec<SocketAddr>) -> FeedSource {
        FeedSource {
            group,
            interface: Ipv4Addr::LOCALHOST,
            servers,
            session: None,
            first: 1,
            window: 1 << 16,
            retry_ns: 5_000_000,
            attempts_max: 40,
            receive_buffer_bytes: 8 << 20,
        }
    }
}

/// Where the handler stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedState {
    /// The group has not been heard yet; what the request servers gave has been delivered.
    Waiting,
    /// Everything known to exist has been delivered.
    Live,
    /// Messages are missing and have been asked for.
    Filling,
    /// The session is over and was delivered whole.
    Ended,
}

/// Why a poll failed.
#[derive(Debug)]
pub enum FeedFault {
    /// A socket failed.
    Socket(io::Error),
    /// No server gives these messages. Poll again to go on asking, or [`FeedHandler::skip_gap`].
    Gap {
        /// First missing number.
        first: u64,
        /// How many, as far as a request can name them.
        count: u16,
    },
}

impl fmt::Display for FeedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeedFault::Socket(error) => write!(f, "cannot receive the feed: {error}"),
            FeedFault::Gap { first, count } => {
                write!(f, "{count} messages from number {first} are missing and no request server gives them")
            }
        }
    }
}

impl std::error::Error for FeedFault {}

impl From<io::Error> for FeedFault {
    fn from(error: io::Error) -> FeedFault {
        FeedFault::Socket(error)
    }
}

/// A request without its answer.
#[derive(Clone, Copy)]
struct Asked {
    first: u64,
    /// Whether the message is known to exist; a request before anything was heard only tries.
    known: bool,
    at_ns: u64,
    attempts: u32,
}

/// Follows one feed. See the module's words.
pub struct FeedHandler {
    group: UdpSocket,
    /// Of the servers' address family; `None` when there are none.
    requests: Option<UdpSocket>,
    servers: Vec<SocketAddr>,
    server: usize,
    retry_ns: u64,
    attempts_max: u32,
    reorder: Reorder,
    /// Whether the group has been heard, so that its packets tell how far the session is.
    heard: bool,
    asked: Option<Asked>,
    datagram: Box<[u8; DATAGRAM_BYTES_MAX]>,
}

impl FeedHandler {
    /// Joins the group and makes ready to ask.
    /// # Errors
    /// What the system says of the sockets.
    pub fn join(source: &FeedSource) -> io::Result<FeedHandler> {
        let local = |server: &SocketAddr| -> SocketAddr {
            if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() }
        };
        let requests = source.servers.first().map(|server| udp::unicast(local(server), source.receive_buffer_bytes));
        Ok(FeedHandler {
            group: udp::listener(source.group, source.interface, source.receive_buffer_bytes)?,
            requests: requests.transpose()?,
            servers: source.servers.clone(),
            server: 0,
            retry_ns: source.retry_ns,
            attempts_max: source.attempts_max,
            reorder: Reorder::new(source.session, source.first, source.window),
            heard: false,
            asked: None,
            datagram: Box::new([0; DATAGRAM_BYTES_MAX]),
        })
    }

    /// Takes in what has come and delivers what is in order: number and bytes of each message. Says how many were
    /// delivered. `now_ns` is any clock that does not go back; a coarse one will do.
    /// # Errors
    /// See [`FeedFault`]; messages delivered before it stay delivered, and polling may go on.
    pub fn poll(&mut self, now_ns: u64, mut deliver: impl FnMut(u64, &[u8])) -> Result<usize, FeedFault> {
        let mut delivered = self.reorder.deliver_waiting(&mut deliver);
        for _ in 0..DATAGRAMS_TURN_MAX {
            let Some(length) = arrived(self.group.recv(&mut self.datagram[..]))? else { break };
            if let Some(count) = self.reorder.on_packet(&self.datagram[..length], &mut deliver) {
                self.heard = true;
                delivered += count;
            }
        }
        if self.asked.is_some() {
            delivered += self.poll_answers(&mut deliver)?;
        }
        self.ask(now_ns)?;
        Ok(delivered)
    }

    /// Only what a known server sends counts as an answer; IPv4 servers seen through an IPv6 socket do too.
    fn poll_answers(&mut self, deliver: &mut impl FnMut(u64, &[u8])) -> Result<usize, FeedFault> {
        let mut delivered = 0;
        let Some(requests) = &self.requests else { return Ok(0) };
        for _ in 0..DATAGRAMS_TURN_MAX {
            let Some((length, from)) = arrived(requests.recv_from(&mut self.datagram[..]))? else { break };
            if self.servers.iter().any(|server| same_host_and_port(*server, from)) {
                delivered += self.reorder.on_packet(&self.datagram[..length], deliver).unwrap_or(0);
            }
        }
        Ok(delivered)
    }

    /// Asks for the first gap: at once when it is new or an answer has moved it, else when the last request has gone
    /// unanswered for long enough.
    fn ask(&mut self, now_ns: u64) -> Result<(), FeedFault> {
        let known = self.reorder.has_gap();
        // Until the group is heard nobody says how far the session is: what comes next may be there already.
        let unheard = !self.heard && self.reorder.session().is_some();
        if !known && !unheard {
            self.asked = None;
            return Ok(());
        }
        let first = self.reorder.expected();
        let same = self.asked.filter(|asked| asked.first == first && asked.known == known);
        let attempts = same.map_or(0, |asked| asked.attempts);
        if same.is_some_and(|asked| now_ns.saturating_sub(asked.at_ns) < self.retry_ns) {
            return Ok(());
        }
        let count = self.reorder.gap().map_or(COUNT_MAX, |(_, count)| count);
        if attempts >= self.attempts_max || self.servers.is_empty() {
            return self.give_up(Asked { first, known, at_ns: now_ns, attempts }, count);
        }
        if attempts > 0 {
            self.server = (self.server + 1) % self.servers.len();
        }
        self.send_request(first, count);
        self.asked = Some(Asked { first, known, at_ns: now_ns, attempts: attempts + 1 });
        Ok(())
    }

    /// A known gap is reported, and asked for anew if the caller polls on. A mere try ends until something is heard.
    #[cold]
    fn give_up(&mut self, asked: Asked, count: u16) -> Result<(), FeedFault> {
        if !asked.known {
            self.asked = Some(asked);
            return Ok(());
        }
        self.asked = Some(Asked { attempts: 0, ..asked });
        Err(FeedFault::Gap { first: asked.first, count })
    }

    /// A request that cannot be sent counts as one that was not answered.
    fn send_request(&mut self, sequence: u64, count: u16) {
        let (Some(session), Some(socket)) = (self.reorder.session(), &self.requests) else { return };
        let request = Request { session, sequence, count }.encode();
        if socket.send_to(&request, self.servers[self.server]).is_ok() {
            self.reorder.counts.requests += 1;
        }
    }

    /// Gives the first gap up; the next poll goes on behind it. Says how many messages are lost.
    pub fn skip_gap(&mut self) -> u64 {
        self.asked = None;
        self.reorder.skip_gap()
    }

    /// Where the handler stands.
    pub fn state(&self) -> FeedState {
        if self.reorder.is_ended() {
            FeedState::Ended
        } else if self.reorder.has_gap() {
            FeedState::Filling
        } else if !self.heard {
            FeedState::Waiting
        } else {
            FeedState::Live
        }
    }

    /// Where it listens: the group, or the local address taken for a unicast feed.
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.group.local_addr()
    }

    /// Number of the next message to deliver.
    pub fn expected(&self) -> u64 {
        self.reorder.expected()
    }

    /// The session followed, once known.
    pub fn session(&self) -> Option<Session> {
        self.reorder.session()
    }

    /// What was seen so far.
    pub fn counts(&self) -> FeedCounts {
        self.reorder.counts()
    }
}

/// `None` when nothing has come. A signal or the report of a request that no server took is nothing either.
fn arrived<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn same_host_and_port(server: SocketAddr, from: SocketAddr) -> bool {
    let plain = |address: IpAddr| address.to_canonical();
    server.port() == from.port() && plain(server.ip()) == plain(from.ip())
}
