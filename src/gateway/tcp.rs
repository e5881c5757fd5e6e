//! The TCP transport: connections of a network engine, each with a [`Session`] and a position in its stream.
//!
//! Bytes are read into a small inbox a connection, parsed there, and used up one packet at a time; what cannot go on
//! now (no room, rate, login being checked) stays, and reading stops: the client is held back by TCP. Sending is the
//! stream from the connection's position on, straight from the stream's memory. Packets of the session itself (login
//! answer, heartbeat, end) go through a few bytes of their own and only between two packets of the stream.
//!
//! A client that does not read is measured by its lag: what the stream has grown beyond what it took, not counting a
//! replay it asked for. Above the limit it is disconnected, alone. Everything here is bounded by `connections_max`
//! and taken at start; the constants below bound a turn.

use crate::gateway::core::{Backlog, Core, Submission, Transport};
use crate::gateway::login::{Holder, LoginAnswer};
use crate::gateway::net::{ConnectionId, Happened, Network, Received, Sent};
use crate::gateway::session::{CloseCause, Due, LoginOutcome, Session, SessionTimes, Step};
use crate::types::SessionId;
use crate::wire::soup::{ClientPacket, END_OF_SESSION, HEADER_BYTES, LoginAccepted, SERVER_HEARTBEAT};
use std::collections::VecDeque;
use std::ops::Range;

/// Longest payload of a client's packet: the longest message, a login, or a debug text of a line or two.
pub const PAYLOAD_MAX: usize = 256;
const PACKET_MAX: usize = HEADER_BYTES + PAYLOAD_MAX;
/// What a connection may have received and not yet used up.
const INBOX_BYTES: usize = 4096;
/// Packets of one connection in a turn.
const PACKETS_PER_TURN: usize = 32;
/// Bytes to one connection in a turn: a replay must not hold up the others.
const SEND_BYTES_PER_TURN: usize = 64 * 1024;

const _: () = assert!(INBOX_BYTES >= 2 * PACKET_MAX, "room to read behind a packet that is not whole");
const _: () = assert!(LoginAccepted::BYTES <= CONTROL_BYTES);
const CONTROL_BYTES: usize = 40;

/// Settings of the transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpOptions {
    /// Connections at once; the same as the engine's.
    pub connections_max: u32,
    /// Times of the protocol.
    pub times: SessionTimes,
    /// Largest lag of a reader in bytes of its stream.
    pub lag_bytes_max: usize,
}

struct Connection {
    open: bool,
    serial: u32,
    session: Session,
    /// The session it holds, from login to close.
    held: Option<SessionId>,
    inbox: Box<[u8]>,
    input: Range<usize>,
    control: [u8; CONTROL_BYTES],
    output: Range<usize>,
    /// Position in the stream: what lies before it was sent.
    sent: usize,
    /// End of the stream at login: up to here its lag is a replay.
    replay_end: usize,
    /// The kernel takes no more for now.
    full: bool,
    /// Stands in the queue of those with input that had to wait.
    stalled: bool,
    /// Stands in the queue of those with output left for another turn.
    sending: bool,
}

impl Connection {
    fn new() -> Connection {
        Connection {
            open: false,
            serial: 0,
            session: Session::new(SessionTimes::default(), 0),
            held: None,
            inbox: vec![0xEE; INBOX_BYTES].into_boxed_slice(),
            input: 0..0,
            control: [0; CONTROL_BYTES],
            output: 0..0,
            sent: 0,
            replay_end: 0,
            full: false,
            stalled: false,
            sending: false,
        }
    }

    /// The queue flags stay: the queues still hold the name.
    fn open(&mut self, serial: u32, session: Session) {
        self.open = true;
        self.serial = serial;
        self.session = session;
        self.held = None;
        self.input = 0..0;
        self.output = 0..0;
        self.full = false;
    }

    /// Room for the next read, what is unused moved to the front when the end comes near.
    #[inline]
    fn room(&mut self) -> &mut [u8] {
        if self.input.is_empty() {
            self.input = 0..0;
        } else if INBOX_BYTES - self.input.end < PACKET_MAX && self.input.start > 0 {
            self.inbox.copy_within(self.input.clone(), 0);
            self.input = 0..self.input.len();
        }
        &mut self.inbox[self.input.end..]
    }

    fn put_control(&mut self, bytes: &[u8]) {
        self.control[..bytes.len()].copy_from_slice(bytes);
        self.output = 0..bytes.len();
    }

    fn lag(&self, stream_end: usize) -> usize {
        stream_end - self.sent.max(self.replay_end).min(stream_end)
    }
}

/// The transport over an engine.
pub struct Tcp<N> {
    network: N,
    options: TcpOptions,
    index: u8,
    connections: Box<[Connection]>,
    open_count: u64,
    stalled: VecDeque<ConnectionId>,
    sending: VecDeque<ConnectionId>,
}

impl<N: Network> Tcp<N> {
    /// A transport over an opened engine. Takes all memory. Cold.
    pub fn new(network: N, options: TcpOptions) -> Tcp<N> {
        let count = options.connections_max as usize;
        Tcp {
            network,
            options,
            index: 0,
            connections: (0..count).map(|_| Connection::new()).collect(),
            open_count: 0,
            stalled: VecDeque::with_capacity(count),
            sending: VecDeque::with_capacity(count),
        }
    }

    fn holder(&self, id: ConnectionId) -> Holder {
        Holder { transport: self.index, connection: id.0, serial: self.connections[id.index()].serial }
    }

    #[cold]
    fn accept(&mut self, core: &mut Core, id: ConnectionId) {
        let session = Session::new(self.options.times, core.now_ns());
        self.connections[id.index()].open(core.next_serial(), session);
        self.open_count += 1;
        core.counters.connections.set(self.open_count);
    }

    #[cold]
    fn close(&mut self, core: &mut Core, id: ConnectionId, cause: CloseCause) {
        let holder = self.holder(id);
        let connection = &mut self.connections[id.index()];
        if !connection.open {
            return;
        }
        connection.open = false;
        if let Some(session) = connection.held.take() {
            core.release(session, holder);
        }
        self.network.close(id);
        self.open_count -= 1;
        core.counters.connections.set(self.open_count);
        core.counters.closed(cause).add(1);
    }

    /// Reads once and uses up what is whole. Gives the packets used.
    #[inline]
    fn read(&mut self, core: &mut Core, id: ConnectionId) -> usize {
        let connection = &mut self.connections[id.index()];
        // With input that waits there is no reading: its bytes belong to TCP's back-pressure.
        if !connection.open || connection.stalled {
            return 0;
        }
        let room = connection.room();
        if room.is_empty() {
            return 0;
        }
        match self.network.receive(id, room) {
            Received::Bytes(count) => {
                connection.input.end += count;
                self.use_input(core, id)
            }
            Received::Nothing => 0,
            Received::Closed => {
                self.close(core, id, CloseCause::Gone);
                1
            }
        }
    }

    /// Uses up whole packets, a bounded number. What must wait puts the connection into the queue of the stalled.
    #[inline]
    fn use_input(&mut self, core: &mut Core, id: ConnectionId) -> usize {
        let mut used = 0;
        while used < PACKETS_PER_TURN {
            let now_ns = core.now_ns();
            let Connection { session, inbox, input, .. } = &mut self.connections[id.index()];
            let (packet, bytes) = match ClientPacket::next_within(&inbox[input.clone()], PACKET_MAX) {
                Ok(Some(next)) => next,
                Ok(None) => return used,
                Err(_) => {
                    self.close(core, id, CloseCause::Protocol);
                    return used + 1;
                }
            };
            match session.on_packet(packet, now_ns) {
                Step::Done => input.start += bytes,
                Step::Message(session, message) => match core.try_submit(session, message) {
                    Submission::Taken => input.start += bytes,
                    Submission::LinkFull | Submission::Throttled => break,
                    Submission::Malformed => {
                        self.close(core, id, CloseCause::Malformed);
                        return used + 1;
                    }
                    Submission::NoRoom => {
                        self.close(core, id, CloseCause::NoRoom);
                        return used + 1;
                    }
                },
                Step::Check(credentials) => {
                    input.start += bytes;
                    if !core.ask(self.holder(id), credentials) {
                        self.close(core, id, CloseCause::LoginRefused);
                    }
                    return used + 1;
                }
                // `on_login` goes on with it.
                Step::Wait => return used,
                Step::Close(cause) => {
                    self.close(core, id, cause);
                    return used + 1;
                }
            }
            used += 1;
        }
        self.stall(id);
        used
    }

    fn stall(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id.index()];
        if !connection.stalled {
            connection.stalled = true;
            self.stalled.push_back(id);
        }
    }

    #[inline]
    fn retry_stalled(&mut self, core: &mut Core) -> usize {
        let mut used = 0;
        for _ in 0..self.stalled.len() {
            let Some(id) = self.stalled.pop_front() else { break };
            let connection = &mut self.connections[id.index()];
            connection.stalled = false;
            if connection.open {
                used += self.use_input(core, id);
            }
        }
        used
    }

    /// Sends what is due, in order: the session's own packet, then the stream. Gives the bytes sent.
    #[inline]
    fn send(&mut self, core: &mut Core, id: ConnectionId) -> usize {
        let now_ns = core.now_ns();
        let mut total = 0;
        while total < SEND_BYTES_PER_TURN {
            let connection = &mut self.connections[id.index()];
            if !connection.open || connection.full {
                return total;
            }
            let control = !connection.output.is_empty();
            let offered = match connection.held {
                _ if control => &connection.control[connection.output.clone()],
                Some(session) => core.streams.slice_from(session, connection.sent),
                None => return total,
            };
            if offered.is_empty() {
                self.end_if_over(core, id);
                if self.connections[id.index()].output.is_empty() {
                    return total;
                }
                continue;
            }
            let offered = &offered[..offered.len().min(SEND_BYTES_PER_TURN)];
            match self.network.send(id, offered) {
                Sent::Bytes(count) => {
                    if control {
                        connection.output.start += count;
                    } else {
                        connection.sent += count;
                    }
                    connection.session.spoke(now_ns);
                    total += count;
                }
                Sent::Full => connection.full = true,
                Sent::Closed => {
                    self.close(core, id, CloseCause::Gone);
                    return total;
                }
            }
        }
        self.send_later(id);
        total
    }

    /// After the last message of a day, or of the process: End of Session, once.
    #[inline]
    fn end_if_over(&mut self, core: &mut Core, id: ConnectionId) {
        let connection = &mut self.connections[id.index()];
        if let Some(session) = connection.session.live()
            && core.is_over(session)
        {
            connection.put_control(&END_OF_SESSION);
            connection.session.end(core.now_ns());
        }
    }

    /// The process ends: what is left goes out, and the end behind it.
    #[cold]
    fn end(&mut self, core: &mut Core, id: ConnectionId) {
        if self.connections[id.index()].session.is_new() {
            self.close(core, id, CloseCause::Ended);
        } else {
            self.send(core, id);
        }
    }

    #[cold]
    fn send_later(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id.index()];
        if !connection.sending {
            connection.sending = true;
            self.sending.push_back(id);
        }
    }

    #[inline]
    fn send_more(&mut self, core: &mut Core) -> usize {
        let mut total = 0;
        for _ in 0..self.sending.len() {
            let Some(id) = self.sending.pop_front() else { break };
            self.connections[id.index()].sending = false;
            total += self.send(core, id);
        }
        total
    }

    fn on_due(&mut self, core: &mut Core, id: ConnectionId, due: Due) {
        let connection = &mut self.connections[id.index()];
        match due {
            Due::Nothing => {}
            Due::Close(cause) => self.close(core, id, cause),
            Due::Heartbeat => {
                // With something on its way, that is the sign of life.
                let stream_end = connection.held.map_or(connection.sent, |session| core.streams.end(session));
                if connection.output.is_empty() && connection.sent == stream_end {
                    connection.put_control(&SERVER_HEARTBEAT);
                }
                self.send(core, id);
            }
        }
    }
}

impl<N: Network> Transport for Tcp<N> {
    fn attach(&mut self, index: u8) {
        self.index = index;
    }

    fn start(&mut self) {
        // The engine was opened, and its ring made, when the gateway was built: what is left cannot fail but for a
        // thread that is out of memory.
        self.network.start().expect("the network engine starts on its thread");
    }

    #[inline]
    fn work(&mut self, core: &mut Core) -> usize {
        self.network.turn();
        let mut done = 0;
        while let Some(happened) = self.network.next() {
            done += match happened {
                Happened::Readable(id) => self.read(core, id),
                Happened::Accepted(id) => {
                    self.accept(core, id);
                    1
                }
                Happened::Writable(id) => {
                    self.connections[id.index()].full = false;
                    self.send(core, id)
                }
            };
        }
        done + self.retry_stalled(core) + self.send_more(core)
    }

    #[inline]
    fn on_stream(&mut self, core: &mut Core, connection: u32) {
        let id = ConnectionId(connection);
        self.send(core, id);
        let connection = &self.connections[id.index()];
        if let Some(session) = connection.held
            && connection.lag(core.streams.end(session)) > self.options.lag_bytes_max
        {
            self.close(core, id, CloseCause::Lagging);
        }
    }

    #[cold]
    fn on_login(&mut self, core: &mut Core, answer: LoginAnswer) {
        let id = ConnectionId(answer.asker.connection);
        let (now_ns, name) = (core.now_ns(), core.session_name());
        let connection = &mut self.connections[id.index()];
        if !connection.open || connection.serial != answer.asker.serial {
            return;
        }
        let outcome = connection.session.on_login(answer.granted, name, &core.streams, now_ns);
        let mut packet = [0u8; CONTROL_BYTES];
        let length = outcome.encode(&mut packet);
        connection.put_control(&packet[..length]);
        match outcome {
            LoginOutcome::Accepted { session, position, .. } => {
                connection.held = Some(session);
                connection.sent = position;
                connection.replay_end = core.streams.end(session);
                core.claim(session, answer.asker);
                self.send(core, id);
                self.use_input(core, id);
            }
            LoginOutcome::Rejected(_) => {
                self.send(core, id);
                self.close(core, id, CloseCause::LoginRefused);
            }
        }
    }

    #[cold]
    fn on_superseded(&mut self, core: &mut Core, holder: Holder) {
        let id = ConnectionId(holder.connection);
        let connection = &mut self.connections[id.index()];
        if connection.serial == holder.serial {
            connection.held = None;
            self.close(core, id, CloseCause::Superseded);
        }
    }

    #[cold]
    fn on_clock(&mut self, core: &mut Core) {
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            if connection.open {
                let due = connection.session.on_time(core.now_ns());
                self.on_due(core, ConnectionId(index as u32), due);
                if core.is_ending() {
                    self.end(core, ConnectionId(index as u32));
                }
            }
        }
        let stats = self.network.stats();
        core.counters.connections_refused.set(stats.refused);
        core.counters.buffers_empty.set(stats.buffers_empty);
        core.counters.ring_enters.set(stats.enters);
        core.counters.network_faults.set(stats.accept_faults + stats.enter_faults);
    }

    fn backlog(&self, core: &Core, connection: u32) -> Backlog {
        let connection = &self.connections[connection as usize];
        let end = connection.held.map_or(connection.sent, |session| core.streams.end(session));
        Backlog { unsent: end.saturating_sub(connection.sent) as u64, unread: 0 }
    }

    fn connections(&self) -> usize {
        self.open_count as usize
    }

    fn stop(&mut self) {
        self.network.stop();
    }
}
