//! The shared-memory transport: a Unix socket to log in at, then a pair of rings for each client.
//!
//! A client connects to the socket, the kernel says which user it is, and the same Login Request as over TCP goes to
//! the same login desk: a session is one session, whichever transport holds it. With Login Accepted go two
//! descriptors, one memfd a direction (see `runtime::shared_ring` for who may write what). From then on a ring
//! message is a SoupBinTCP packet without its length: the type letter and the payload. `U` and `O` come in; `S` goes
//! out, straight from the stream's memory, and `Z` after the day's last. There are no heartbeats: a client lives as
//! long as its socket, and its death is seen there within [`SWEEPS_A_SECOND`]'s time.
//!
//! The client is hostile until proven otherwise: the ring copies each message in once and hands on the copy; who
//! sent it is known from the ring, not from the message; work a turn is bounded for each client; a ring that cannot
//! be right, and a client that does not drain its answers, end in a disconnect of that client alone.
//!
//! Hot: `work` and `on_stream`, loads and stores only. Cold, in the sweep: one system call to ask all sockets, and
//! what a login needs. The memory of as many rings as there are places is made at start; a later login makes its own
//! (some 100 us), because memory that another client has mapped is never given to the next.

mod memory;

use crate::gateway::core::{Backlog, Core, Submission, Transport};
use crate::gateway::login::{Holder, LoginAnswer};
use crate::gateway::session::{CloseCause, Due, LoginOutcome, Session, SessionTimes, Step};
use crate::os::unix::{self, Watch};
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::shared_ring::{self, MESSAGE_MAX, Refused, RingReader, RingWriter, SLOT_PAYLOAD};
use crate::types::SessionId;
use crate::wire::ouch;
use crate::wire::soup::{ClientPacket, LoginAccepted, LoginRequest};
use memory::Memory;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

/// How often the gateway's clock comes by, about: the resolution of a client's death and of a new connection.
pub const SWEEPS_A_SECOND: u32 = 100;
/// Messages of one client in a turn.
const MESSAGES_PER_TURN: usize = 16;
/// Messages to one client in a turn: a replay must not hold up the others.
const SENDS_PER_TURN: usize = 256;
/// Connections taken in a sweep.
const ACCEPTS_PER_SWEEP: usize = 4;
/// Name of the listening socket in the watch; connections have their index.
const LISTENER: u64 = u64::MAX;
/// What a client may say on the socket before it is logged in.
const INBOX_BYTES: usize = 128;

const _: () = assert!(ouch::MESSAGE_MAX < MESSAGE_MAX, "a type letter and any message fit a ring message");
const _: () = assert!(LoginRequest::BYTES_MAX <= INBOX_BYTES);

/// Settings of the transport.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedOptions {
    /// Where the socket is made.
    pub path: PathBuf,
    /// Permission bits of the socket file.
    pub mode: u32,
    /// Users that may connect; none named means the venue's own.
    pub users: Vec<u32>,
    /// Connections at once.
    pub connections_max: u32,
    /// Slots of each ring, a power of two.
    pub slots: usize,
    /// Largest lag of a reader in bytes of its stream, beyond what its ring holds.
    pub lag_bytes_max: usize,
    /// Times of the protocol; only those of login and end count here.
    pub times: SessionTimes,
}

impl SharedOptions {
    /// At `path`, for the venue's own user: 16 clients with rings of 1,024 slots, a lag of at most 1 MiB.
    pub fn new(path: PathBuf) -> SharedOptions {
        SharedOptions {
            path,
            mode: 0o600,
            users: Vec::new(),
            connections_max: 16,
            slots: 1024,
            lag_bytes_max: 1 << 20,
            times: SessionTimes::default(),
        }
    }
}

/// What is counted here beside the gateway's own. Names begin with `gateway.shared.`.
#[derive(Debug)]
struct SharedCounters {
    connections: Counter,
    peers_refused: Counter,
    places_full: Counter,
    violations: Counter,
    ring_full: Counter,
    faults: Counter,
}

/// How many counters [`Shared::open`] adds.
pub const COUNTERS: usize = 6;

/// The rings of a live client.
struct Rings {
    writer: RingWriter,
    reader: RingReader,
    incoming: [u8; MESSAGE_MAX],
    /// Length of the message in `incoming` that had to wait; 0 for none.
    waiting: usize,
}

struct Connection {
    /// `None` for a free place.
    socket: Option<UnixStream>,
    serial: u32,
    session: Session,
    /// The session it holds, from login to close.
    held: Option<SessionId>,
    inbox: [u8; INBOX_BYTES],
    inbox_end: usize,
    rings: Option<Rings>,
    /// Position in the stream: what lies before it was sent.
    sent: usize,
    /// End of the stream at login: up to here its lag is a replay.
    replay_end: usize,
}

impl Connection {
    fn new() -> Connection {
        Connection {
            socket: None,
            serial: 0,
            session: Session::new(SessionTimes::default(), 0),
            held: None,
            inbox: [0; INBOX_BYTES],
            inbox_end: 0,
            rings: None,
            sent: 0,
            replay_end: 0,
        }
    }
}

/// The transport.
pub struct Shared {
    options: SharedOptions,
    index: u8,
    listener: UnixListener,
    watch: Watch,
    connections: Box<[Connection]>,
    /// Indexes of connections with rings, in no order.
    live: Vec<u32>,
    spares: Vec<Memory>,
    counters: SharedCounters,
}

impl Shared {
    /// Makes the socket and all memory. Cold.
    ///
    /// # Errors
    /// What the system said; `AddrInUse` when another process listens at the path.
    pub fn open(mut options: SharedOptions, counters: &mut Counters) -> io::Result<Shared> {
        if options.users.is_empty() {
            options.users.push(unix::own_uid());
        }
        let count = options.connections_max as usize;
        let spares = (0..count).map(|_| Memory::new(options.slots)).collect::<io::Result<_>>()?;
        let listener = unix::listen(&options.path, options.mode)?;
        let watch = Watch::new()?;
        watch.add(listener.as_fd(), LISTENER)?;
        let mut add = |name: &str| counters.add(&format!("gateway.shared.{name}"));
        let counters = SharedCounters {
            connections: add("connections"),
            peers_refused: add("peers_refused"),
            places_full: add("places_full"),
            violations: add("violations"),
            ring_full: add("ring_full"),
            faults: add("faults"),
        };
        Ok(Shared {
            options,
            index: 0,
            listener,
            watch,
            connections: (0..count).map(|_| Connection::new()).collect(),
            live: Vec::with_capacity(count),
            spares,
            counters,
        })
    }

    fn holder(&self, index: u32) -> Holder {
        Holder { transport: self.index, connection: index, serial: self.connections[index as usize].serial }
    }

    /// Messages of one client, a bounded number. What cannot go on now waits in the client's own buffer, and nothing
    /// further is read: the client is held back by its ring.
    #[inline]
    fn receive(&mut self, core: &mut Core, index: u32) -> usize {
        let mut used = 0;
        while used < MESSAGES_PER_TURN {
            let connection = &mut self.connections[index as usize];
            let (Some(rings), Some(session)) = (&mut connection.rings, connection.held) else { return used };
            let length = match rings.waiting {
                0 => match rings.reader.poll(&mut rings.incoming) {
                    Ok(Some(length)) => length,
                    Ok(None) => return used,
                    Err(_) => {
                        self.on_violation(core, index);
                        return used + 1;
                    }
                },
                waiting => waiting,
            };
            rings.waiting = 0;
            used += 1;
            match (rings.incoming[0], &rings.incoming[1..length]) {
                (b'U', message) => match core.try_submit(session, message) {
                    Submission::Taken => {}
                    Submission::LinkFull | Submission::Throttled => {
                        rings.waiting = length;
                        return used - 1;
                    }
                    Submission::Malformed => {
                        self.close(core, index, CloseCause::Malformed);
                        return used;
                    }
                    Submission::NoRoom => {
                        self.close(core, index, CloseCause::NoRoom);
                        return used;
                    }
                },
                (b'R', []) | (b'+', _) => {}
                (b'O', []) => {
                    self.close(core, index, CloseCause::Logout);
                    return used;
                }
                _ => {
                    self.close(core, index, CloseCause::Protocol);
                    return used;
                }
            }
        }
        used
    }

    /// Sends what the stream has beyond the client's position, message by message. Gives how many.
    #[inline]
    fn send(&mut self, core: &mut Core, index: u32) -> usize {
        let connection = &mut self.connections[index as usize];
        let (Some(rings), Some(session)) = (&mut connection.rings, connection.held) else { return 0 };
        for count in 0..SENDS_PER_TURN {
            let Some(packet) = core.streams.packet_at(session, connection.sent) else {
                return count + end_if_over(core, connection);
            };
            // The packet without the two bytes of its length.
            match rings.writer.try_send(&packet[2..]) {
                Ok(()) => connection.sent += packet.len(),
                Err(Refused::Full) => {
                    self.on_full(core, index);
                    return count;
                }
                Err(Refused::Length) => unreachable!("the stream's packets fit a ring message"),
                Err(Refused::Violation(_)) => {
                    self.on_violation(core, index);
                    return count + 1;
                }
            }
        }
        SENDS_PER_TURN
    }

    /// The client has not drained its ring. Fine for a while, and as long as it wants during a replay it asked for.
    #[cold]
    fn on_full(&mut self, core: &mut Core, index: u32) {
        self.counters.ring_full.add(1);
        let connection = &self.connections[index as usize];
        let end = connection.held.map_or(0, |session| core.streams.end(session));
        let lag = end.saturating_sub(connection.sent.max(connection.replay_end));
        if lag > self.options.lag_bytes_max {
            self.close(core, index, CloseCause::Lagging);
        }
    }

    #[cold]
    fn on_violation(&mut self, core: &mut Core, index: u32) {
        self.counters.violations.add(1);
        self.close(core, index, CloseCause::Protocol);
    }

    #[cold]
    fn close(&mut self, core: &mut Core, index: u32, cause: CloseCause) {
        let holder = self.holder(index);
        let connection = &mut self.connections[index as usize];
        if connection.socket.take().is_none() {
            return;
        }
        if let Some(session) = connection.held.take() {
            core.release(session, holder);
        }
        if connection.rings.take().is_some() {
            self.live.retain(|&live| live != index);
        }
        core.counters.closed(cause).add(1);
        self.count_connections();
    }

    fn count_connections(&self) {
        self.counters.connections.set(Transport::connections(self) as u64);
    }

    /// Asks all sockets in one call and sees to those that have something.
    #[cold]
    fn look(&mut self, core: &mut Core) {
        let mut names = [0; Watch::EVENTS_MAX];
        let count = self.watch.ready(&mut names);
        for &name in &names[..count] {
            match name {
                LISTENER => self.accept(core),
                index => self.hear(core, index as u32),
            }
        }
    }

    fn accept(&mut self, core: &mut Core) {
        for _ in 0..ACCEPTS_PER_SWEEP {
            let socket = match unix::accept(&self.listener) {
                Ok(Some(socket)) => socket,
                Ok(None) => return,
                Err(_) => return self.counters.faults.add(1),
            };
            // Whoever may not connect, or finds no place, is closed by dropping the socket.
            match unix::peer(&socket) {
                Ok(peer) if self.options.users.contains(&peer.uid) => self.take_in(core, socket),
                Ok(_) => self.counters.peers_refused.add(1),
                Err(_) => self.counters.faults.add(1),
            }
        }
    }

    fn take_in(&mut self, core: &mut Core, socket: UnixStream) {
        let Some(index) = self.connections.iter().position(|connection| connection.socket.is_none()) else {
            return self.counters.places_full.add(1);
        };
        if self.watch.add(socket.as_fd(), index as u64).is_err() {
            return self.counters.faults.add(1);
        }
        let connection = &mut self.connections[index];
        connection.socket = Some(socket);
        connection.serial = core.next_serial();
        connection.session = Session::new(self.options.times, core.now_ns());
        (connection.held, connection.inbox_end) = (None, 0);
        self.count_connections();
    }

    /// A connection's socket has something: a login, or its end. What a logged-in client says there is passed over.
    fn hear(&mut self, core: &mut Core, index: u32) {
        let connection = &mut self.connections[index as usize];
        let Some(socket) = &mut connection.socket else { return };
        if connection.inbox_end == INBOX_BYTES {
            connection.inbox_end = 0;
        }
        // A plain read: descriptors that a client sends along are dropped by the kernel.
        match socket.read(&mut connection.inbox[connection.inbox_end..]) {
            Ok(0) => self.on_gone(core, index),
            Ok(count) if connection.held.is_none() && !connection.session.is_checking() => {
                connection.inbox_end += count;
                self.on_inbox(core, index);
            }
            Ok(_) => {}
            Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.close(core, index, CloseCause::Gone),
        }
    }

    /// The client has closed its socket. What it sent before is taken first, as over TCP; at most a ring full. While
    /// that has to wait (no room, rate), so does the end: the socket says it again in the next sweep.
    fn on_gone(&mut self, core: &mut Core, index: u32) {
        for _ in 0..self.options.slots.div_ceil(MESSAGES_PER_TURN) {
            if self.receive(core, index) == 0 {
                break;
            }
        }
        if self.connections[index as usize].rings.as_ref().is_some_and(|rings| rings.waiting > 0) {
            return;
        }
        self.close(core, index, CloseCause::Gone);
    }

    fn on_inbox(&mut self, core: &mut Core, index: u32) {
        let holder = self.holder(index);
        let now_ns = core.now_ns();
        let connection = &mut self.connections[index as usize];
        let step = match ClientPacket::next_within(&connection.inbox[..connection.inbox_end], INBOX_BYTES) {
            Ok(Some((packet @ ClientPacket::Login(_), _))) => connection.session.on_packet(packet, now_ns),
            Ok(None) => return,
            // Nothing but a login comes first.
            Ok(Some(_)) | Err(_) => Step::Close(CloseCause::Protocol),
        };
        match step {
            Step::Check(credentials) if core.ask(holder, credentials) => {}
            Step::Check(_) => self.close(core, index, CloseCause::LoginRefused),
            Step::Close(cause) => self.close(core, index, cause),
            Step::Done | Step::Wait | Step::Message(..) => self.close(core, index, CloseCause::Protocol),
        }
    }

    /// Makes the rings and hands them over with the packet.
    fn hand_over(&mut self, index: u32, packet: &[u8]) -> io::Result<()> {
        let Memory { venue, client, files } = match self.spares.pop() {
            Some(memory) => memory,
            None => Memory::new(self.options.slots)?,
        };
        let connection = &mut self.connections[index as usize];
        let Some(socket) = &connection.socket else { return Err(ErrorKind::NotConnected.into()) };
        if unix::send_with_files(socket, packet, &[files[0].as_fd(), files[1].as_fd()])? != packet.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        let (writer, reader) = shared_ring::ends(venue, client);
        connection.rings = Some(Rings { writer, reader, incoming: [0; MESSAGE_MAX], waiting: 0 });
        self.live.push(index);
        Ok(())
    }
}

/// After the last message of a day, or of the process: End of Session, once it fits. Gives the packets sent.
#[inline]
fn end_if_over(core: &Core, connection: &mut Connection) -> usize {
    let (Some(rings), Some(session)) = (&mut connection.rings, connection.session.live()) else { return 0 };
    if !core.is_over(session) || rings.writer.try_send(b"Z").is_err() {
        return 0;
    }
    connection.session.end(core.now_ns());
    1
}

impl Transport for Shared {
    fn attach(&mut self, index: u8) {
        self.index = index;
    }

    #[inline]
    fn work(&mut self, core: &mut Core) -> usize {
        let mut done = 0;
        // Backwards, because closing the one at hand moves only those that have had their turn.
        for at in (0..self.live.len()).rev() {
            let Some(&index) = self.live.get(at) else { continue };
            done += self.receive(core, index);
            // Nothing to send but after a full ring or in a replay: then `on_stream` left something.
            done += self.send(core, index);
        }
        done
    }

    #[inline]
    fn on_stream(&mut self, core: &mut Core, connection: u32) {
        self.send(core, connection);
    }

    #[cold]
    fn on_login(&mut self, core: &mut Core, answer: LoginAnswer) {
        let index = answer.asker.connection;
        let (now_ns, name) = (core.now_ns(), core.session_name());
        let connection = &mut self.connections[index as usize];
        let Some(socket) = &mut connection.socket else { return };
        if connection.serial != answer.asker.serial {
            return;
        }
        let outcome = connection.session.on_login(answer.granted, name, &core.streams, now_ns);
        let mut packet = [0; LoginAccepted::BYTES];
        let length = outcome.encode(&mut packet);
        match outcome {
            LoginOutcome::Accepted { session, position, .. } => {
                (connection.sent, connection.replay_end) = (position, core.streams.end(session));
                match self.hand_over(index, &packet[..length]) {
                    Ok(()) => {
                        self.connections[index as usize].held = Some(session);
                        core.claim(session, answer.asker);
                        self.send(core, index);
                    }
                    Err(_) => {
                        self.counters.faults.add(1);
                        self.close(core, index, CloseCause::Gone);
                    }
                }
            }
            LoginOutcome::Rejected(_) => {
                // A socket that takes no four bytes is as good as gone; it is closed either way.
                let _ = socket.write(&packet[..length]);
                self.close(core, index, CloseCause::LoginRefused);
            }
        }
    }

    #[cold]
    fn on_superseded(&mut self, core: &mut Core, holder: Holder) {
        let connection = &mut self.connections[holder.connection as usize];
        if connection.serial == holder.serial {
            connection.held = None;
            self.close(core, holder.connection, CloseCause::Superseded);
        }
    }

    #[cold]
    fn on_clock(&mut self, core: &mut Core) {
        self.look(core);
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            // A live client owes no sign of life but its socket.
            if connection.socket.is_none() || connection.session.live().is_some() {
                continue;
            }
            if core.is_ending() && connection.session.is_new() {
                self.close(core, index as u32, CloseCause::Ended);
                continue;
            }
            match connection.session.on_time(core.now_ns()) {
                Due::Close(cause) => self.close(core, index as u32, cause),
                Due::Nothing | Due::Heartbeat => {}
            }
        }
    }

    fn backlog(&self, core: &Core, connection: u32) -> Backlog {
        let connection = &self.connections[connection as usize];
        let (Some(rings), Some(session)) = (&connection.rings, connection.held) else { return Backlog::default() };
        let unsent = core.streams.end(session).saturating_sub(connection.sent);
        Backlog { unsent: unsent as u64, unread: (rings.writer.unread() * SLOT_PAYLOAD) as u64 }
    }

    fn connections(&self) -> usize {
        self.connections.iter().filter(|connection| connection.socket.is_some()).count()
    }

    fn stop(&mut self) {
        for connection in &mut self.connections {
            (connection.socket, connection.rings) = (None, None);
        }
        self.live.clear();
        // The path is free for the next start; that one would clear it away too.
        let _ = std::fs::remove_file(&self.options.path);
    }
}
