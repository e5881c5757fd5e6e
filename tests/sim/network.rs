//! Simulated connections behind the gateway's network seam: two streams of bytes each, with a delay of their own, cut
//! anywhere on their way, read and written in parts, full, refused and torn down.
//!
//! As with TCP, bytes of one direction arrive in order or not at all, and an orderly end comes behind them. A reset
//! takes what is under way with it. When the venue's process dies, what its kernel had taken is partly still delivered.

use crate::support::random::Random;
use crate::time::Time;
use crate::trace::Trace;
use pitlane::gateway::net::{ConnectionId, Happened, NetStats, Network, Received, Sent};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a client may have under way to the venue: its kernel's and the venue's buffers.
const UP_BYTES_MAX: usize = 4096;

/// How the network behaves.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// What the venue may have under way to one client before its sends are refused.
    pub down_bytes_max: usize,
    /// Longest delay of a piece of bytes.
    pub delay_ns_max: u64,
    /// Whether reads and writes come in parts.
    pub in_parts: bool,
    /// A planted bug: a piece of the venue's answers now and then arrives twice.
    pub doubles: bool,
}

/// One direction of a connection.
#[derive(Default)]
struct Lane {
    /// When each piece arrives, and the piece.
    pieces: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    arrives_ns: u64,
    /// Nothing more will be put in.
    ended: bool,
}

impl Lane {
    fn put(&mut self, bytes: &[u8], arrives_ns: u64) {
        self.arrives_ns = self.arrives_ns.max(arrives_ns);
        self.pieces.push_back((self.arrives_ns, bytes.to_vec()));
        self.bytes += bytes.len();
    }

    fn arrived(&self, now_ns: u64) -> usize {
        self.pieces.iter().take_while(|piece| piece.0 <= now_ns).map(|piece| piece.1.len()).sum()
    }

    fn take(&mut self, into: &mut [u8]) {
        self.bytes -= into.len();
        let mut at = 0;
        while at < into.len() {
            let piece = &mut self.pieces[0].1;
            let count = piece.len().min(into.len() - at);
            into[at..at + count].copy_from_slice(&piece[..count]);
            piece.drain(..count);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            at += count;
        }
    }

    /// Only the first `keep` bytes still arrive.
    fn cut(&mut self, keep: usize) {
        let mut left = keep.min(self.bytes);
        self.bytes = left;
        for piece in &mut self.pieces {
            piece.1.truncate(left);
            left -= piece.1.len();
        }
        self.pieces.retain(|piece| !piece.1.is_empty());
        self.ended = true;
    }
}

#[derive(Default)]
struct Wire {
    up: Lane,
    down: Lane,
    /// Both ends learn of it at once, and nothing under way arrives.
    reset: bool,
    client_closed: bool,
    venue_closed: bool,
    full: bool,
}

struct State {
    random: Random,
    time: Time,
    trace: Trace,
    weather: Weather,
    listening: bool,
    /// Connections that wait to be accepted.
    waiting: VecDeque<usize>,
    wires: Vec<Wire>,
    /// Connection of each of the venue's places.
    places: Vec<Option<usize>>,
    offers: VecDeque<Happened>,
    stats: NetStats,
}

/// The network; clones are the same one.
#[derive(Clone)]
pub struct Wires(Arc<Mutex<State>>);

/// A client's end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireId(usize);

/// What a client finds when it reads.
#[derive(PartialEq, Eq, Debug)]
pub enum Read {
    Bytes(Vec<u8>),
    Nothing,
    Closed,
}

impl Wires {
    pub fn new(random: Random, time: Time, trace: Trace, weather: Weather) -> Wires {
        let (waiting, wires, places, offers) = (VecDeque::new(), Vec::new(), Vec::new(), VecDeque::new());
        let (listening, stats) = (false, NetStats::default());
        Wires(Arc::new(Mutex::new(State {
            random,
            time,
            trace,
            weather,
            listening,
            waiting,
            wires,
            places,
            offers,
            stats,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The venue listens, with so many places.
    pub fn listen(&self, places: u32) -> Venue {
        let mut state = self.state();
        state.listening = true;
        state.places = (0..places).map(|_| None).collect();
        state.offers.clear();
        Venue(self.clone())
    }

    /// No faults from now on, and no delay worth the name.
    pub fn heal(&self) {
        self.state().weather =
            Weather { down_bytes_max: 1 << 16, delay_ns_max: 1_000, in_parts: false, doubles: false };
    }

    /// A client dials. `None`: nobody listens.
    pub fn connect(&self) -> Option<WireId> {
        let mut state = self.state();
        if !state.listening {
            return None;
        }
        let id = state.wires.len();
        state.wires.push(Wire::default());
        state.waiting.push_back(id);
        Some(WireId(id))
    }

    /// A client sends from the front of `bytes`; gives how many were taken.
    pub fn send(&self, id: WireId, bytes: &[u8]) -> usize {
        let mut state = self.state();
        let wire = &state.wires[id.0];
        if wire.reset || wire.venue_closed {
            // The client's kernel takes it and loses it; the reset comes when it reads.
            return bytes.len();
        }
        let room = bytes.len().min(UP_BYTES_MAX.saturating_sub(wire.up.bytes));
        if room == 0 {
            return 0;
        }
        let count = state.part_of(room);
        let arrives_ns = state.arrival();
        state.wires[id.0].up.put(&bytes[..count], arrives_ns);
        count
    }

    /// A client reads.
    pub fn receive(&self, id: WireId) -> Read {
        let mut state = self.state();
        let now_ns = state.time.now_ns();
        let wire = &state.wires[id.0];
        if wire.reset {
            return Read::Closed;
        }
        match wire.down.arrived(now_ns) {
            0 if wire.down.ended && wire.down.bytes == 0 => Read::Closed,
            0 => Read::Nothing,
            count => {
                let mut bytes = vec![0; state.part_of(count)];
                state.wires[id.0].down.take(&mut bytes);
                Read::Bytes(bytes)
            }
        }
    }

    /// A client closes in order.
    pub fn close(&self, id: WireId) {
        let wire = &mut self.state().wires[id.0];
        wire.client_closed = true;
        wire.up.ended = true;
    }

    /// The connection breaks, for both at once.
    pub fn reset(&self, id: WireId) {
        let mut state = self.state();
        state.trace.count("connection reset", &[id.0 as u64]);
        state.wires[id.0].reset = true;
    }

    /// Nothing under way arrives any more.
    pub fn forget(&self) {
        self.state().wires.iter_mut().for_each(|wire| wire.reset = true);
    }

    /// The venue's process is gone: what it sent arrives in part, and then the end.
    pub fn fall(&self) {
        let mut state = self.state();
        let state = &mut *state;
        state.listening = false;
        state.waiting.clear();
        state.places.clear();
        for wire in &mut state.wires {
            if !wire.venue_closed {
                let under_way = wire.down.bytes as u64;
                let keep = if state.random.percent(50) { under_way } else { state.random.below(under_way + 1) };
                wire.down.cut(keep as usize);
                wire.venue_closed = true;
            }
        }
    }
}

impl State {
    /// A part of what could be read or written.
    fn part_of(&mut self, whole: usize) -> usize {
        if self.weather.in_parts && self.random.percent(40) {
            1 + self.random.below(whole as u64) as usize
        } else {
            whole
        }
    }

    fn arrival(&mut self) -> u64 {
        self.time.now_ns() + self.random.below(self.weather.delay_ns_max.max(1))
    }

    fn wire(&mut self, id: ConnectionId) -> Option<&mut Wire> {
        let index = self.places.get(id.index()).copied().flatten()?;
        Some(&mut self.wires[index])
    }

    fn accept(&mut self) {
        let Some(index) = self.waiting.pop_front() else { return };
        match self.places.iter().position(Option::is_none) {
            Some(place) => {
                self.places[place] = Some(index);
                self.stats.accepted += 1;
                self.offers.push_back(Happened::Accepted(ConnectionId(place as u32)));
            }
            None => {
                self.stats.refused += 1;
                self.wires[index].venue_closed = true;
                self.wires[index].down.cut(0);
                self.trace.count("connection refused", &[index as u64]);
            }
        }
    }

    /// What may be offered of one place; offers are held back now and then, and made for nothing.
    fn look(&mut self, place: usize) {
        let Some(index) = self.places[place] else { return };
        let (now_ns, id) = (self.time.now_ns(), ConnectionId(place as u32));
        let wire = &self.wires[index];
        let readable = wire.up.arrived(now_ns) > 0 || wire.reset || wire.up.ended && wire.up.bytes == 0;
        let writable = wire.full && (wire.down.bytes < self.weather.down_bytes_max || wire.reset);
        let chance = self.random.below(100);
        if readable && chance < 80 || chance == 99 {
            self.offers.push_back(Happened::Readable(id));
        }
        if writable && self.random.percent(80) {
            self.offers.push_back(Happened::Writable(id));
        }
    }
}

/// The venue's end, as the gateway has it.
pub struct Venue(Wires);

impl Network for Venue {
    fn start(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn turn(&mut self) {
        let mut state = self.0.state();
        state.offers.clear();
        if !state.waiting.is_empty() && state.random.percent(30) {
            state.accept();
        }
        let count = state.places.len();
        let first = state.random.below(count as u64) as usize;
        (0..count).for_each(|place| state.look((first + place) % count));
    }

    fn next(&mut self) -> Option<Happened> {
        self.0.state().offers.pop_front()
    }

    fn receive(&mut self, id: ConnectionId, into: &mut [u8]) -> Received {
        let mut state = self.0.state();
        let now_ns = state.time.now_ns();
        let Some(wire) = state.wire(id) else { return Received::Nothing };
        if wire.reset {
            return Received::Closed;
        }
        match wire.up.arrived(now_ns).min(into.len()) {
            0 if wire.up.ended && wire.up.bytes == 0 => Received::Closed,
            0 => Received::Nothing,
            count => {
                let count = state.part_of(count);
                state.wire(id).expect("it was there").up.take(&mut into[..count]);
                Received::Bytes(count)
            }
        }
    }

    fn send(&mut self, id: ConnectionId, bytes: &[u8]) -> Sent {
        let mut state = self.0.state();
        let down_bytes_max = state.weather.down_bytes_max;
        let Some(wire) = state.wire(id) else { return Sent::Closed };
        if wire.reset || wire.client_closed {
            return Sent::Closed;
        }
        let room = bytes.len().min(down_bytes_max.saturating_sub(wire.down.bytes));
        wire.full = room == 0;
        if room == 0 {
            state.trace.add("send buffer full", 1);
            return Sent::Full;
        }
        let count = state.part_of(room);
        let arrives_ns = state.arrival();
        let times = if state.weather.doubles && state.random.percent(2) { 2 } else { 1 };
        for _ in 0..times {
            state.wire(id).expect("it was there").down.put(&bytes[..count], arrives_ns);
        }
        Sent::Bytes(count)
    }

    fn close(&mut self, id: ConnectionId) {
        let mut state = self.0.state();
        if let Some(wire) = state.wire(id) {
            wire.venue_closed = true;
            wire.down.ended = true;
        }
        state.places[id.index()] = None;
    }

    fn stop(&mut self) {}

    fn stats(&self) -> NetStats {
        self.0.state().stats
    }
}
