//! Who is measured against whom: the exchange and its floors, each as something that makes round trips in slices.
//!
//! All of them spin on the same core, so only the one whose slice is on may run; the others are halted. Slices of all
//! take turns, forwards and backwards alternately, so that a neighbour's noise and the host's drift hit all alike.

use crate::exchange::Exchange;
use crate::series::Series;
use pitlane::client::floor::Floor;
use pitlane::client::orders::{Fault, Incoming, NewOrder, OrderSession, Refusal};
use pitlane::gateway::net::{Engine, Happened, Network, Received, SocketOptions, listen, open};
use pitlane::measure::latency::Latencies;
use pitlane::os::clock::monotonic_ns;
use pitlane::os::{affinity, signal};
use pitlane::types::order::SideCode;
use pitlane::types::{Channel, Price, Quantity, Symbol};
use pitlane::wire::ouch::Outbound;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An order and its cancel as they travel in a ring: a type letter and the message.
pub const RING_BYTES: [usize; 2] = [48, 12];
/// And over TCP, with the two bytes of the packet's length.
pub const TCP_BYTES: [usize; 2] = [50, 14];
/// By how much Accepted is longer than its order. A Canceled is 9 bytes longer than its cancel; the floor makes it 17
/// too, which moves no further cache line.
pub const LONGER_BYTES: usize = 17;
/// Unmeasured trips at the beginning of a slice: caches, branch predictors, and the clock's first looks.
const WARM_UP: usize = 300;
/// Without an answer for so long a run is over.
const SILENCE_NS: u64 = 2_000_000_000;

/// Tells a copy of this program to be a TCP echo: `engine:connections:parent`.
pub const ASK_ECHO: &str = "PITLANE_BENCH_TCP_ECHO";

/// One side of a comparison.
pub trait Contestant {
    /// What it is called in the tables.
    fn name(&self) -> &str;
    /// The process that spins for it.
    fn process(&self) -> u32;
    /// An order and its answer, a cancel and its answer: both round trips in ns.
    fn trip(&mut self) -> io::Result<[u64; 2]>;
}

/// `rounds` slices of `trips` from each. All are halted before and after.
pub fn play(contestants: &mut [&mut dyn Contestant], rounds: usize, trips: usize) -> io::Result<Vec<Series>> {
    let mut all: Vec<Series> = contestants.iter().map(|c| Series::new(c.name())).collect();
    let mut slice = [Latencies::new(), Latencies::new()];
    for round in 0..rounds {
        for place in 0..contestants.len() {
            let at = if round % 2 == 0 { place } else { contestants.len() - 1 - place };
            let contestant = &mut *contestants[at];
            signal::resume(contestant.process())?;
            slice.iter_mut().for_each(Latencies::clear);
            for trip in 0..WARM_UP + trips {
                let [enter, cancel] = contestant.trip()?;
                if trip >= WARM_UP {
                    slice[0].record(enter);
                    slice[1].record(cancel);
                }
            }
            signal::halt(contestant.process())?;
            all[at].add(&slice);
        }
    }
    Ok(all)
}

/// The exchange, over sessions that take turns.
pub struct Venue<'a> {
    name: String,
    exchange: &'a Exchange,
    sessions: Vec<OrderSession>,
    next: usize,
    order: NewOrder,
}

impl<'a> Venue<'a> {
    /// Without sessions yet.
    pub fn new(name: &str, exchange: &'a Exchange) -> Venue<'a> {
        let symbol = Symbol::from_text("AAPL").expect("a symbol");
        // Below the market and inside the collar: it rests.
        let order = NewOrder::limit(SideCode::Buy, Quantity(100), symbol, Price(5_600_000));
        Venue { name: name.to_owned(), exchange, sessions: Vec::new(), next: 0, order }
    }

    /// Logs in until there are so many sessions. The exchange runs before and is halted after.
    pub fn grow(&mut self, sessions: usize, shared: bool) -> io::Result<()> {
        signal::resume(self.process())?;
        while self.sessions.len() < sessions {
            self.sessions.push(self.exchange.log_in(self.sessions.len(), shared)?);
        }
        signal::halt(self.process())
    }
}

impl Contestant for Venue<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self) -> u32 {
        self.exchange.id()
    }

    fn trip(&mut self) -> io::Result<[u64; 2]> {
        self.next = (self.next + 1) % self.sessions.len();
        let session = &mut self.sessions[self.next];
        let start = monotonic_ns();
        let user_ref = session.enter(&self.order).map_err(refused)?;
        let accepted = answer(session, start, |m| matches!(m, Outbound::Accepted(m) if m.user_ref == user_ref))?;
        let again = monotonic_ns();
        session.cancel(Channel::NONE, user_ref, Quantity(0)).map_err(refused)?;
        let canceled = answer(session, again, |m| matches!(m, Outbound::Canceled(m) if m.user_ref == user_ref))?;
        Ok([accepted - start, canceled - again])
    }
}

fn refused(refusal: Refusal) -> io::Error {
    io::Error::other(refusal)
}

/// Spins until the answer is there; gives the time.
fn answer(session: &mut OrderSession, since: u64, is_it: impl Fn(&Outbound) -> bool) -> io::Result<u64> {
    let mut polls = 0u32;
    loop {
        match session.poll().map_err(io::Error::other)? {
            Some(Incoming::Message { message, .. }) if is_it(&message) => return Ok(monotonic_ns()),
            Some(Incoming::Message { message: Outbound::Rejected(reject), .. }) => {
                return Err(io::Error::other(format!("order rejected with code {:#06x}", reject.reason)));
            }
            Some(Incoming::Message { .. }) => {}
            Some(Incoming::EndOfSession) => return Err(io::Error::other(Fault::Closed)),
            None => {
                polls = polls.wrapping_add(1);
                if polls.is_multiple_of(1 << 16) && monotonic_ns() - since > SILENCE_NS {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
        }
    }
}

/// The ring floor.
pub struct RingFloor(Floor);

impl RingFloor {
    /// Starts its process and halts it.
    pub fn start() -> io::Result<RingFloor> {
        let floor = Floor::start_longer(Command::new(std::env::current_exe()?), LONGER_BYTES)?;
        signal::halt(floor.echo_id())?;
        Ok(RingFloor(floor))
    }
}

impl Contestant for RingFloor {
    fn name(&self) -> &str {
        "ring hop"
    }

    fn process(&self) -> u32 {
        self.0.echo_id()
    }

    fn trip(&mut self) -> io::Result<[u64; 2]> {
        let message = [0x5A; RING_BYTES[0]];
        Ok([self.0.round_trip(&message)?, self.0.round_trip(&message[..RING_BYTES[1]])?])
    }
}

/// The TCP floor: an echo over the exchange's own network engine, and the sockets to it.
pub struct EchoFloor {
    name: String,
    process: Child,
    port: u16,
    streams: Vec<TcpStream>,
    next: usize,
}

impl EchoFloor {
    /// Starts its process and halts it.
    pub fn start(engine: &str, connections: usize) -> io::Result<EchoFloor> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ASK_ECHO, format!("{engine}:{connections}:{}", std::process::id()));
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let words = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        BufReader::new(words).read_line(&mut line)?;
        let port = line.trim().parse().map_err(io::Error::other)?;
        let floor = EchoFloor { name: format!("echo {engine}"), process, port, streams: Vec::new(), next: 0 };
        signal::halt(floor.process())?;
        Ok(floor)
    }

    /// Connects until there are so many connections.
    pub fn grow(&mut self, connections: usize) -> io::Result<()> {
        while self.streams.len() < connections {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            self.streams.push(stream);
        }
        Ok(())
    }
}

impl Contestant for EchoFloor {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self) -> u32 {
        self.process.id()
    }

    fn trip(&mut self) -> io::Result<[u64; 2]> {
        self.next = (self.next + 1) % self.streams.len();
        let stream = &mut self.streams[self.next];
        let mut trips = [0; 2];
        for (trip, bytes) in trips.iter_mut().zip(TCP_BYTES) {
            let start = monotonic_ns();
            stream.write_all(&[0x5A; TCP_BYTES[0]][..bytes])?;
            let (mut read, mut buffer) = (0, [0; TCP_BYTES[0] + LONGER_BYTES]);
            while read < bytes + LONGER_BYTES {
                match stream.read(&mut buffer) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(count) => read += count,
                    Err(e) if e.kind() == ErrorKind::WouldBlock && monotonic_ns() - start < SILENCE_NS => {}
                    Err(e) => return Err(e),
                }
            }
            *trip = monotonic_ns() - start;
        }
        Ok(trips)
    }
}

impl Drop for EchoFloor {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The echo's process, if this is it: serves until its parent is gone. On the last core, where the exchange's hot
/// thread runs too.
pub fn echo_if_asked() -> io::Result<bool> {
    let Ok(ask) = std::env::var(ASK_ECHO) else { return Ok(false) };
    let parts: Vec<&str> = ask.split(':').collect();
    let [engine, connections, parent] = parts[..] else { return Err(ErrorKind::InvalidInput.into()) };
    let engine = if engine == "plain" { Engine::Plain } else { Engine::Uring };
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), SocketOptions::default())?;
    println!("{}", listener.local_addr()?.port());
    pin_last()?;
    let (mut network, choice) = open(listener, engine, connections.parse().map_err(io::Error::other)?);
    if choice.uring != (engine == Engine::Uring) {
        return Err(io::Error::other(choice.to_string()));
    }
    network.start()?;
    let parent = format!("/proc/{parent}");
    let mut buffer = [0; 4096];
    for turn in 0u32.. {
        if turn.is_multiple_of(1 << 20) && !Path::new(&parent).exists() {
            break;
        }
        network.turn();
        while let Some(happened) = network.next() {
            let Happened::Readable(id) = happened else { continue };
            match network.receive(id, &mut buffer) {
                Received::Bytes(count) => {
                    network.send(id, &buffer[..count + LONGER_BYTES]);
                }
                Received::Nothing => {}
                Received::Closed => network.close(id),
            }
        }
        std::hint::spin_loop();
    }
    Ok(true)
}

/// Pins the calling thread to the last core allowed.
pub fn pin_last() -> io::Result<()> {
    affinity::devices_first()?.last().map_or(Ok(()), |&core| affinity::pin(core))
}
