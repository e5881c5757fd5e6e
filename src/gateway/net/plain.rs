//! The engine of plain non-blocking sockets: the connections are offered for reading in turn, a few a turn.
//!
//! A look costs one `recv` a connection (about 0.3 us when nothing is there), so it is for few connections; with one
//! it is the fastest way there is without bypassing the kernel. A few looks a turn, so that what was read goes on to
//! the next stage soon: with all 16 connections in a turn, an order waited for looks at eight others on average. It is also what runs where io_uring is forbidden.

use super::{ConnectionId, Happened, NetStats, Network};
use crate::os::socket::{self, Received, Sent};
use std::io;
use std::net::{TcpListener, TcpStream};

/// Turns between two looks at the listener: an accept costs as much as a read and is not urgent. An idle turn takes some
/// 50 ns, a busy one some us: every 32 turns, as it was, an order over shared memory met an accept one time in six.
const ACCEPT_TURNS: u32 = 1024;
/// Turns between two offers to write to a connection that was full: each costs a system call, and a client that
/// never reads must not slow the others.
const WRITE_TURNS: u32 = 32;

/// Looks in a turn. More make an order wait for looks at others, fewer make a look at many wait for other stages.
const LOOKS_PER_TURN: usize = 4;

struct Place {
    stream: TcpStream,
    full: bool,
}

/// Where the current turn stands.
#[derive(Clone, Copy)]
enum Step {
    Accept,
    /// So many connections are still to be offered.
    Look(usize),
    Write(usize),
}

/// See the file's head.
pub struct Plain {
    listener: TcpListener,
    places: Vec<Option<Place>>,
    /// Free names, the lowest on top.
    free: Vec<ConnectionId>,
    /// Connections in use, in no order.
    live: Vec<ConnectionId>,
    step: Step,
    /// Place in `live` of the connection to be looked at next.
    look: usize,
    turns: u32,
    stats: NetStats,
}

impl Plain {
    /// An engine with places for `connections_max` connections of `listener`, which does not block.
    pub fn new(listener: TcpListener, connections_max: u32) -> Plain {
        Plain {
            listener,
            places: (0..connections_max).map(|_| None).collect(),
            free: (0..connections_max).rev().map(ConnectionId).collect(),
            live: Vec::with_capacity(connections_max as usize),
            step: Step::Accept,
            look: 0,
            turns: 0,
            stats: NetStats::default(),
        }
    }

    #[cold]
    fn accept(&mut self) -> Option<ConnectionId> {
        let stream = match socket::accept_now(&self.listener) {
            Ok(stream) => stream?,
            Err(_) => {
                self.stats.accept_faults += 1;
                return None;
            }
        };
        // Without a place the stream is dropped here, and so closed.
        let Some(id) = self.free.pop() else {
            self.stats.refused += 1;
            return None;
        };
        self.stats.accepted += 1;
        self.places[id.index()] = Some(Place { stream, full: false });
        self.live.push(id);
        Some(id)
    }

    /// Each connection once at most.
    #[inline]
    fn looks(&self) -> Step {
        Step::Look(self.live.len().min(LOOKS_PER_TURN))
    }

    fn is_full(&self, id: ConnectionId) -> bool {
        self.places[id.index()].as_ref().is_some_and(|place| place.full)
    }
}

impl Network for Plain {
    fn start(&mut self) -> io::Result<()> {
        Ok(())
    }

    #[inline]
    fn turn(&mut self) {
        self.turns = self.turns.wrapping_add(1);
        self.step = if self.turns.is_multiple_of(ACCEPT_TURNS) { Step::Accept } else { self.looks() };
    }

    /// An accept when one is due, a look at the next connections, then, when it is due, a try for each full one.
    #[inline]
    fn next(&mut self) -> Option<Happened> {
        if let Step::Accept = self.step {
            self.step = self.looks();
            if let Some(id) = self.accept() {
                return Some(Happened::Accepted(id));
            }
        }
        if let Step::Look(left) = self.step {
            if self.look >= self.live.len() {
                self.look = 0;
            }
            if left > 0
                && let Some(&id) = self.live.get(self.look)
            {
                self.look += 1;
                self.step = Step::Look(left - 1);
                return Some(Happened::Readable(id));
            }
            self.step = Step::Write(if self.turns.is_multiple_of(WRITE_TURNS) { 0 } else { usize::MAX });
        }
        while let Step::Write(at) = self.step {
            let id = *self.live.get(at)?;
            self.step = Step::Write(at + 1);
            if self.is_full(id) {
                return Some(Happened::Writable(id));
            }
        }
        None
    }

    #[inline]
    fn receive(&mut self, id: ConnectionId, into: &mut [u8]) -> Received {
        match &self.places[id.index()] {
            Some(place) => socket::receive_now(&place.stream, into),
            None => Received::Nothing,
        }
    }

    #[inline]
    fn send(&mut self, id: ConnectionId, bytes: &[u8]) -> Sent {
        let Some(place) = &mut self.places[id.index()] else { return Sent::Closed };
        let sent = socket::send_now(&place.stream, bytes);
        // A short write is a full buffer too, but the caller comes back with the rest and learns it then.
        place.full = sent == Sent::Full;
        sent
    }

    fn close(&mut self, id: ConnectionId) {
        let Some(place) = self.places[id.index()].take() else { return };
        socket::shut(&place.stream);
        self.live.retain(|&other| other != id);
        self.free.push(id);
    }

    fn stop(&mut self) {}

    fn stats(&self) -> NetStats {
        self.stats
    }
}
