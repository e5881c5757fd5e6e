//! Network engines of the gateway behind one trait: who is there, what has arrived, send this.
//!
//! Sans-wait: [`Network::turn`] looks once, [`Network::next`] tells what it found, and the caller reads and writes
//! through [`Network::receive`] and [`Network::send`]. Reading is pulled, so that a caller who has no room simply does
//! not read: the bytes stay with the kernel and TCP holds the client back; nothing is dropped and nothing queues here.
//! Everything runs on the thread that called [`Network::start`]; all memory is taken when the engine is opened.
//!
//! Two engines. *Plain* asks each socket each turn: the lowest latency for a few connections (6-19 % at one). *Uring*
//! lets the kernel say which sockets have something: its cost does not grow with their number. Both send with
//! `send(2)` straight from the caller's memory: one copy, into the kernel, and a short write is told at once. A send
//! request through the ring was tried and lost: a round trip of 50 bytes took 0.2-0.35 us longer with 1 and 8
//! connections and the same with 16 and 64, and its memory would stay borrowed until the answer.

pub mod plain;
pub mod uring;

pub use crate::os::socket::{Received, Sent, SocketOptions, listen};
use plain::Plain;
use std::fmt;
use std::io;
use std::net::TcpListener;
use uring::Uring;

/// A live connection: an index below `connections_max`, used again after [`Network::close`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u32);

impl ConnectionId {
    /// The value as an index into a table of `connections_max` entries.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a turn found. Readable and writable are offers, repeated in later turns for as long as they may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happened {
    /// A new connection under this name.
    Accepted(ConnectionId),
    /// Bytes, or the end, may be waiting.
    Readable(ConnectionId),
    /// After [`Sent::Full`]: there may be room again.
    Writable(ConnectionId),
}

/// What an engine counts. Totals since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetStats {
    /// Connections taken.
    pub accepted: u64,
    /// Connections closed at once because all places were taken.
    pub refused: u64,
    /// Accepts that the system failed (too many open files, say).
    pub accept_faults: u64,
    /// Times a connection had filled all its lent buffers and had to be armed again (uring).
    pub buffers_empty: u64,
    /// Calls into the ring (uring).
    pub enters: u64,
    /// Calls into the ring that failed (uring).
    pub enter_faults: u64,
}

/// One listener and its connections on one thread.
pub trait Network: Send {
    /// Binds the engine to the calling thread. Once, before the first turn.
    /// # Errors
    /// The system's error; the engine is then of no use.
    fn start(&mut self) -> io::Result<()>;

    /// Looks at the kernel once. Hot.
    fn turn(&mut self);

    /// The next thing the last turn found; `None` ends it. At most a few for each connection a turn.
    fn next(&mut self) -> Option<Happened>;

    /// Reads what has arrived on a live connection. [`Received::Closed`] leaves the caller to [`Network::close`] it.
    fn receive(&mut self, id: ConnectionId, into: &mut [u8]) -> Received;

    /// Sends from the front of `bytes`; the kernel has its own copy when this returns. After [`Sent::Full`] a later
    /// turn offers [`Happened::Writable`]; trying earlier is allowed.
    fn send(&mut self, id: ConnectionId, bytes: &[u8]) -> Sent;

    /// Ends a connection. What was sent is still delivered; its name may come back with the next accept.
    fn close(&mut self, id: ConnectionId);

    /// Undoes what `start` did, on the same thread. Connections are closed when the engine is dropped.
    fn stop(&mut self);

    /// What it has counted.
    fn stats(&self) -> NetStats;
}

/// Which engine to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// By the number of connections, and by what the system allows.
    #[default]
    Auto,
    /// io_uring, or plain sockets when it is refused.
    Uring,
    /// Plain sockets.
    Plain,
}

/// Up to this many connections `Auto` takes plain sockets. Measured fan-in, p50 in us for 1 / 4 / 16 / 64 connections:
/// plain 4.9 / 8.7 / 8.7 / 14.7, io_uring 5.7 / 9.3 / 8.6 / 8.4.
pub const PLAIN_CONNECTIONS_MAX: u32 = 8;

/// What was decided, for people to read.
#[derive(Debug)]
pub struct Choice {
    /// Whether the ring runs.
    pub uring: bool,
    asked: Engine,
    connections_max: u32,
    refused: Option<io::Error>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.uring { "io_uring" } else { "plain sockets" })?;
        match (&self.refused, self.asked) {
            (Some(error), _) => write!(f, " (io_uring refused: {error})"),
            (None, Engine::Auto) => write!(f, " (chosen for up to {} connections)", self.connections_max),
            (None, Engine::Uring | Engine::Plain) => f.write_str(" (as configured)"),
        }
    }
}

/// Either engine, dispatched by a `match`: the launcher decides at start, and the hot path pays one predicted branch.
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub enum AnyNetwork {
    /// Plain sockets.
    Plain(Plain),
    /// io_uring.
    Uring(Uring),
}

/// Opens the engine asked for on `listener` (made by [`listen`]), with places for `connections_max` connections. Cold.
/// Never fails: where io_uring is refused, plain sockets serve, and the choice says why.
pub fn open(listener: TcpListener, engine: Engine, connections_max: u32) -> (AnyNetwork, Choice) {
    let wanted = match engine {
        Engine::Auto => connections_max > PLAIN_CONNECTIONS_MAX,
        Engine::Uring => true,
        Engine::Plain => false,
    };
    let mut choice = Choice { uring: wanted, asked: engine, connections_max, refused: None };
    if wanted {
        match Uring::memory(connections_max) {
            Ok(ring) => return (AnyNetwork::Uring(Uring::new(listener, ring, connections_max)), choice),
            Err(error) => {
                choice.uring = false;
                choice.refused = Some(error);
            }
        }
    }
    (AnyNetwork::Plain(Plain::new(listener, connections_max)), choice)
}

macro_rules! either {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            AnyNetwork::Plain($engine) => $call,
            AnyNetwork::Uring($engine) => $call,
        }
    };
}

impl Network for AnyNetwork {
    fn start(&mut self) -> io::Result<()> {
        either!(self, engine => engine.start())
    }

    #[inline]
    fn turn(&mut self) {
        either!(self, engine => engine.turn());
    }

    #[inline]
    fn next(&mut self) -> Option<Happened> {
        either!(self, engine => engine.next())
    }

    #[inline]
    fn receive(&mut self, id: ConnectionId, into: &mut [u8]) -> Received {
        either!(self, engine => engine.receive(id, into))
    }

    #[inline]
    fn send(&mut self, id: ConnectionId, bytes: &[u8]) -> Sent {
        either!(self, engine => engine.send(id, bytes))
    }

    fn close(&mut self, id: ConnectionId) {
        either!(self, engine => engine.close(id));
    }

    fn stop(&mut self) {
        either!(self, engine => engine.stop());
    }

    fn stats(&self) -> NetStats {
        either!(self, engine => engine.stats())
    }
}

#[cfg(test)]
mod tests;
