//! The engine on io_uring: the kernel says which connections have something, and an idle turn asks it nothing.
//!
//! A small state machine over [`SocketRing`]. Arrivals wait in the connection's filled buffers until the caller reads
//! them; when all are filled, receiving ends by itself (`ENOBUFS`), and it is armed again once the caller has read:
//! that is the back-pressure. A place is free again only when every request on it has been answered, so that a late
//! answer can never meet the next connection of that place.

use super::{ConnectionId, Happened, NetStats, Network};
use crate::os::socket::{self, Received, Sent};
use crate::os::uring::{BUFFERS_PER_CONNECTION, Completion, Filled, Operation, SocketRing};
use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream};

/// Turns to wait before accepting is armed again after a fault: out of descriptors, it would fail each time.
const ACCEPT_PAUSE_TURNS: u32 = 4096;

/// A connection and what is on its way for it.
struct Place {
    stream: Option<TcpStream>,
    /// Arrived and not yet read, oldest first; the first one from `read` on.
    filled: VecDeque<Filled>,
    read: usize,
    /// The other side sent its last byte, or broke.
    ended: bool,
    /// The caller closed it; the place waits for the last answers.
    closing: bool,
    receiving: bool,
    waiting_writable: bool,
    /// Stands in the queue of those to be offered.
    offered: bool,
}

impl Place {
    fn empty() -> Place {
        Place {
            stream: None,
            filled: VecDeque::with_capacity(BUFFERS_PER_CONNECTION),
            read: 0,
            ended: false,
            closing: false,
            receiving: false,
            waiting_writable: false,
            offered: false,
        }
    }

    fn has_input(&self) -> bool {
        !self.closing && self.stream.is_some() && (self.ended || !self.filled.is_empty())
    }
}

/// See the file's head.
pub struct Uring {
    ring: SocketRing,
    listener: TcpListener,
    accepting: bool,
    accept_pause: u32,
    places: Vec<Place>,
    /// Free names, the lowest on top.
    free: Vec<ConnectionId>,
    /// Connections with input, each once. A connection stays until a turn finds it empty.
    readable: VecDeque<ConnectionId>,
    /// How many of `readable` this turn still offers.
    readable_left: usize,
    writable: VecDeque<ConnectionId>,
    accepted: VecDeque<ConnectionId>,
    stats: NetStats,
}

impl Uring {
    /// The ring for `connections_max` connections, or why the system refuses it.
    /// # Errors
    /// The system's error.
    pub fn memory(connections_max: u32) -> io::Result<SocketRing> {
        SocketRing::new(connections_max as usize)
    }

    /// An engine on a ring made by [`Uring::memory`] with the same `connections_max`.
    pub fn new(listener: TcpListener, ring: SocketRing, connections_max: u32) -> Uring {
        let count = connections_max as usize;
        Uring {
            ring,
            listener,
            accepting: false,
            accept_pause: 0,
            places: (0..count).map(|_| Place::empty()).collect(),
            free: (0..connections_max).rev().map(ConnectionId).collect(),
            readable: VecDeque::with_capacity(count),
            readable_left: 0,
            writable: VecDeque::with_capacity(count),
            accepted: VecDeque::with_capacity(count),
            stats: NetStats::default(),
        }
    }

    #[cold]
    fn arm_accept(&mut self) {
        self.accept_pause = self.accept_pause.saturating_sub(1);
        if self.accept_pause == 0 {
            self.ring.accept(&self.listener);
            self.accepting = true;
        }
    }

    fn on_completion(&mut self, completion: Completion) {
        match completion.operation {
            Operation::Accept => self.on_accept(completion),
            Operation::Receive(connection) => self.on_receive(ConnectionId(connection), completion),
            Operation::Writable(connection) => self.on_writable(ConnectionId(connection)),
        }
    }

    #[cold]
    fn on_accept(&mut self, completion: Completion) {
        self.accepting = completion.more;
        let Some(stream) = completion.accepted else {
            self.stats.accept_faults += 1;
            self.accept_pause = ACCEPT_PAUSE_TURNS;
            return;
        };
        // Without a place the stream is dropped here, and so closed.
        let Some(id) = self.free.pop() else {
            self.stats.refused += 1;
            return;
        };
        self.stats.accepted += 1;
        let place = &mut self.places[id.index()];
        self.ring.receive(id.0, &stream);
        place.receiving = true;
        place.stream = Some(stream);
        self.accepted.push_back(id);
    }

    fn on_receive(&mut self, id: ConnectionId, completion: Completion) {
        let place = &mut self.places[id.index()];
        place.receiving = completion.more;
        match completion.filled {
            Some(filled) if completion.result > 0 && !place.closing => place.filled.push_back(filled),
            Some(filled) => self.ring.give_back(filled),
            None => {}
        }
        let place = &mut self.places[id.index()];
        if completion.result == -libc::ENOBUFS {
            self.stats.buffers_empty += 1;
        } else if completion.result <= 0 {
            place.ended = true;
        }
        self.offer(id);
        self.arm_or_free(id);
    }

    fn on_writable(&mut self, id: ConnectionId) {
        let place = &mut self.places[id.index()];
        place.waiting_writable = false;
        if !place.closing {
            self.writable.push_back(id);
        }
        self.arm_or_free(id);
    }

    fn offer(&mut self, id: ConnectionId) {
        let place = &mut self.places[id.index()];
        if place.has_input() && !place.offered {
            place.offered = true;
            self.readable.push_back(id);
        }
    }

    /// After anything that changed a place: arms receiving if it has ended and can go on, frees a closed place.
    fn arm_or_free(&mut self, id: ConnectionId) {
        let place = &mut self.places[id.index()];
        let Some(stream) = &place.stream else { return };
        if place.receiving || (place.ended && !place.closing) {
            return;
        }
        if place.closing {
            if !place.waiting_writable {
                self.free_place(id);
            }
        } else if place.filled.len() < BUFFERS_PER_CONNECTION {
            self.ring.receive(id.0, stream);
            place.receiving = true;
        }
    }

    #[cold]
    fn free_place(&mut self, id: ConnectionId) {
        let place = &mut self.places[id.index()];
        place.stream = None;
        place.ended = false;
        place.closing = false;
        place.read = 0;
        self.free.push(id);
    }
}

impl Network for Uring {
    fn start(&mut self) -> io::Result<()> {
        self.ring.enable()
    }

    #[inline]
    fn turn(&mut self) {
        if !self.accepting {
            self.arm_accept();
        }
        self.ring.turn();
        while let Some(completion) = self.ring.completion() {
            self.on_completion(completion);
        }
        self.readable_left = self.readable.len();
    }

    #[inline]
    fn next(&mut self) -> Option<Happened> {
        if let Some(id) = self.accepted.pop_front() {
            return Some(Happened::Accepted(id));
        }
        while self.readable_left > 0 {
            self.readable_left -= 1;
            let id = self.readable.pop_front()?;
            let place = &mut self.places[id.index()];
            place.offered = false;
            if place.has_input() {
                // Back into the queue: the next turn offers it again if the caller leaves something.
                place.offered = true;
                self.readable.push_back(id);
                return Some(Happened::Readable(id));
            }
        }
        while let Some(id) = self.writable.pop_front() {
            if self.places[id.index()].stream.is_some() && !self.places[id.index()].closing {
                return Some(Happened::Writable(id));
            }
        }
        None
    }

    #[inline]
    fn receive(&mut self, id: ConnectionId, into: &mut [u8]) -> Received {
        let place = &mut self.places[id.index()];
        if place.stream.is_none() || place.closing {
            return Received::Nothing;
        }
        let mut taken = 0;
        while let Some(filled) = place.filled.front() {
            let bytes = &self.ring.bytes(filled)[place.read..];
            let count = bytes.len().min(into.len() - taken);
            into[taken..taken + count].copy_from_slice(&bytes[..count]);
            taken += count;
            if count < bytes.len() {
                place.read += count;
                break;
            }
            place.read = 0;
            if let Some(filled) = place.filled.pop_front() {
                self.ring.give_back(filled);
            }
        }
        let ended = place.ended && place.filled.is_empty();
        self.arm_or_free(id);
        match taken {
            0 if ended => Received::Closed,
            0 => Received::Nothing,
            count => Received::Bytes(count),
        }
    }

    #[inline]
    fn send(&mut self, id: ConnectionId, bytes: &[u8]) -> Sent {
        let place = &mut self.places[id.index()];
        let Some(stream) = place.stream.as_ref().filter(|_| !place.closing) else { return Sent::Closed };
        let sent = socket::send_now(stream, bytes);
        if sent == Sent::Full && !place.waiting_writable {
            place.waiting_writable = true;
            self.ring.wait_writable(id.0, stream);
        }
        sent
    }

    fn close(&mut self, id: ConnectionId) {
        let place = &mut self.places[id.index()];
        let Some(stream) = place.stream.as_ref().filter(|_| !place.closing) else { return };
        // Shutting down answers every request still armed on it, and so frees the place.
        socket::shut(stream);
        place.closing = true;
        while let Some(filled) = place.filled.pop_front() {
            self.ring.give_back(filled);
        }
        self.arm_or_free(id);
    }

    fn stop(&mut self) {
        self.ring.disable();
    }

    fn stats(&self) -> NetStats {
        NetStats { enters: self.ring.enters(), enter_faults: self.ring.faults(), ..self.stats }
    }
}
