//! One run: an exchange of its own, two ways to it, and for each a floor on the same core; all take turns in slices.
//!
//! Only the one whose slice is on may run on the hot core; the others are halted. The client spins on a core of the
//! system's. A round trip is an order and its acceptance; the order is cancelled between two, unmeasured.

use crate::cli::demo::child::Exchange;
use crate::cli::tuning::cores::list;
use crate::cli::tuning::machine::Machine;
use crate::cli::tuning::placed::with_threads;
use crate::cli::{Failure, Outcome};
use crate::client::floor::{self, Floor};
use crate::client::orders::{Address, Incoming, NewOrder, OrderOptions, OrderSession};
use crate::config::EXAMPLE;
use crate::measure::latency::{Latencies, Percentiles};
use crate::os::clock::monotonic_ns;
use crate::os::{affinity, signal};
use crate::types::{Channel, Price, Quantity, SideCode, Symbol};
use crate::wire::ouch::Outbound;
use clap::Args;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Who is measured, by place: a floor and what stands on it, twice.
pub const SHARED: usize = 1;
/// Over TCP.
pub const TCP: usize = 3;
/// Their names.
pub const NAMES: [&str; 4] = ["ring", "shared", "echo", "tcp"];
/// Slices of each in a run.
const SLICES: usize = 4;
/// Unmeasured trips at the beginning of a slice.
const WARM_UP: usize = 200;
/// Trips over shared memory for one over TCP, which takes ten times as long.
const TCP_SHARE: usize = 4;
/// An order as it travels, and by how much its answer is longer: Enter Order and Accepted of OUCH 5.0.
const ORDER_BYTES: usize = 50;
const LONGER_BYTES: usize = 17;
/// Without an answer for so long a run is over: others may compute on these cores.
const SILENCE: Duration = Duration::from_secs(60);
/// Turns between two looks whether the parent is still there.
const TURNS_PER_LOOK: u32 = 1 << 20;

/// What one run gave.
pub struct Sample {
    /// By place.
    pub latencies: [Latencies; 4],
}

impl Sample {
    /// Whether the machine was the same, as far as the bare ring tells: a host may move both cores of a guest onto two
    /// threads of one, and a hop costs a quarter from then on.
    pub fn is_like(&self, other: &Sample) -> bool {
        let [one, two] = [self, other].map(|sample| sample.latencies[0].percentiles().p50.max(1));
        one.max(two) * 4 <= one.min(two) * 5
    }

    /// A figure of one against the same figure of its floor.
    pub fn ratio(&self, contestant: usize, of: fn(&Percentiles) -> u64) -> f64 {
        let figure = |at: usize| of(&self.latencies[at].percentiles()).max(1) as f64;
        figure(contestant) / figure(contestant - 1)
    }
}

/// How runs are made.
pub struct Rig {
    config: String,
    hot: usize,
    client: usize,
    trips: usize,
}

fn failed(what: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::Fault(format!("{what}: {error}"))
}

impl Rig {
    /// On this machine's hot cores, small enough to be started in a moment; it asks for no wakeful cores, so that what
    /// is measured is the settings'.
    pub fn new(machine: &Machine, trips: usize) -> Rig {
        let small = EXAMPLE
            .replace("orders_max = 1_048_576", "orders_max = 65_536")
            .replace("log_mebibytes = 512", "log_mebibytes = 64")
            .replace("stream_mebibytes = 64", "stream_mebibytes = 16")
            .replace("store_mebibytes = 256", "store_mebibytes = 16")
            .replace("silence_ms_max = 15_000", "silence_ms_max = 99_000");
        let config = with_threads(&small, &machine.choice.toml().replace("awake = true", "awake = false"));
        let gateway = machine.choice.threads.iter().find(|(_, agents)| agents.iter().any(|name| name == "gateway"));
        let hot = gateway.map_or(machine.choice.hot[0], |(core, _)| *core);
        Rig { config, hot, client: machine.choice.system[0], trips }
    }

    /// One run, from start to end, on a thread of its own that is pinned; `awake`: the exchange keeps cores from sleeping.
    ///
    /// # Errors
    /// Something does not start, answer or stop.
    pub fn run(&self, awake: bool) -> Result<Sample, Failure> {
        // Children first, from here: they would inherit the client's core.
        let ring = Floor::start_longer(self.echo()?, LONGER_BYTES).map_err(failed("starting the ring's echo"))?;
        signal::halt(ring.echo_id()).map_err(failed("halting the ring's echo"))?;
        let echo = Echo::start(self.echo()?).map_err(failed("starting the TCP echo"))?;
        signal::halt(echo.process.id()).map_err(failed("halting the TCP echo"))?;
        let config = self.config.replace("awake = false", if awake { "awake = true" } else { "awake = false" });
        let exchange = Exchange::start_heard(None, Some(&config), &mut |_| {})?;
        let session = |user: &str, address| {
            let mut options = OrderOptions { unanswered_max: 0, ..OrderOptions::new(address, user, "SECRET") };
            (options.connect_limit, options.silence) = (SILENCE, SILENCE);
            OrderSession::connect(options).map_err(|fault| Failure::Fault(format!("logging in {user}: {fault}")))
        };
        let path = exchange.endpoints.shared.clone();
        let path = path.ok_or_else(|| Failure::Fault("the exchange has no shared memory".to_owned()))?;
        let shared = session("USER01", Address::Shared(path))?;
        let tcp = session("USER02", Address::Tcp(exchange.endpoints.orders))?;
        signal::halt(exchange.id()).map_err(failed("halting the exchange"))?;
        let processes = [ring.echo_id(), exchange.id(), echo.process.id(), exchange.id()];
        let mut turns = Turns { ring, shared, echo, tcp, processes, trips: self.trips };
        let client = self.client;
        let measured = std::thread::scope(|scope| {
            let played = scope.spawn(move || {
                affinity::pin(client)?;
                turns.play()
            });
            played.join().unwrap_or_else(|_| Err(io::Error::other("the client panicked")))
        });
        // Dropped halted, they are killed all the same.
        measured.map_err(failed("measuring"))
    }

    fn echo(&self) -> Result<Command, Failure> {
        let program = std::env::current_exe().map_err(failed("finding this program"))?;
        let mut command = Command::new(program);
        command.args(["tune", "echo", "--core", &self.hot.to_string(), "--parent", &std::process::id().to_string()]);
        Ok(command)
    }
}

/// Everything that takes turns.
struct Turns {
    ring: Floor,
    shared: OrderSession,
    echo: Echo,
    tcp: OrderSession,
    processes: [u32; 4],
    trips: usize,
}

impl Turns {
    fn play(&mut self) -> io::Result<Sample> {
        let mut latencies = [(); 4].map(|()| Latencies::new());
        for slice in 0..SLICES {
            for place in 0..NAMES.len() {
                let at = if slice % 2 == 0 { place } else { NAMES.len() - 1 - place };
                let trips = self.trips / SLICES / if at < 2 { 1 } else { TCP_SHARE };
                signal::resume(self.processes[at])?;
                for trip in 0..WARM_UP + trips {
                    let ns = match at {
                        0 => self.ring.round_trip(&[0x5A; ORDER_BYTES])?,
                        SHARED => order(&mut self.shared)?,
                        2 => self.echo.round_trip()?,
                        _ => order(&mut self.tcp)?,
                    };
                    if trip >= WARM_UP {
                        latencies[at].record(ns);
                    }
                }
                signal::halt(self.processes[at])?;
            }
        }
        // So that dropping the sessions finds somebody who listens.
        signal::resume(self.processes[SHARED])?;
        Ok(Sample { latencies })
    }
}

/// An order that rests, and its cancel.
fn order(session: &mut OrderSession) -> io::Result<u64> {
    let symbol = Symbol::from_text("AAPL").expect("a symbol");
    // Below the market and inside the collar.
    let order = NewOrder::limit(SideCode::Buy, Quantity(100), symbol, Price(5_600_000));
    let start = monotonic_ns();
    let user_ref = session.enter(&order).map_err(io::Error::other)?;
    let accepted = answer(session, start, |m| matches!(m, Outbound::Accepted(m) if m.user_ref == user_ref))?;
    session.cancel(Channel::NONE, user_ref, Quantity(0)).map_err(io::Error::other)?;
    answer(session, accepted, |m| matches!(m, Outbound::Canceled(m) if m.user_ref == user_ref))?;
    Ok(accepted - start)
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
            Some(Incoming::EndOfSession) => return Err(ErrorKind::UnexpectedEof.into()),
            None => {
                polls = polls.wrapping_add(1);
                if polls.is_multiple_of(1 << 16) && monotonic_ns() - since > SILENCE.as_nanos() as u64 {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
        }
    }
}

/// The TCP floor: another process that sends back what it gets, and the bytes an answer is longer.
struct Echo {
    process: Child,
    stream: TcpStream,
}

impl Echo {
    fn start(mut command: Command) -> io::Result<Echo> {
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let words = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut line = String::new();
        let connected = BufReader::new(words).read_line(&mut line).and_then(|_| {
            let port: u16 = line.trim().parse().map_err(io::Error::other)?;
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Echo { process, stream }),
            Err(error) => {
                let _ended_already = process.kill();
                let _reaped = process.wait();
                Err(error)
            }
        }
    }

    fn round_trip(&mut self) -> io::Result<u64> {
        let start = monotonic_ns();
        self.stream.write_all(&[0x5A; ORDER_BYTES])?;
        let (mut read, mut buffer) = (0, [0; ORDER_BYTES + LONGER_BYTES]);
        while read < buffer.len() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => read += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock && monotonic_ns() - start < SILENCE.as_nanos() as u64 => {}
                Err(e) => return Err(e),
            }
        }
        Ok(monotonic_ns() - start)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Arguments of the hidden `tune echo`.
#[derive(Args, Debug)]
pub struct EchoArguments {
    /// Core to spin on.
    #[arg(long)]
    core: usize,
    /// Process that this one serves, and ends with.
    #[arg(long)]
    parent: u32,
}

/// Echoes over a ring if the environment says so, else over one TCP connection, until the parent is gone.
///
/// # Errors
/// No such core, or no sockets.
pub fn echo(arguments: &EchoArguments) -> Outcome {
    affinity::pin(arguments.core).map_err(failed("pinning the echo"))?;
    if floor::echo_if_asked().map_err(failed("echoing over the ring"))? {
        return Ok(());
    }
    echo_tcp(&format!("/proc/{}", arguments.parent)).map_err(failed("echoing over TCP"))
}

fn echo_tcp(parent: &str) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut buffer = [0; 4096];
    for turn in 0u32.. {
        if turn.is_multiple_of(TURNS_PER_LOOK) && !Path::new(parent).exists() {
            break;
        }
        match stream.read(&mut buffer[..ORDER_BYTES]) {
            Ok(0) => break,
            Ok(count) => stream.write_all(&buffer[..count + LONGER_BYTES])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where and how it was measured: without that the figures mean nothing.
pub fn described(pairs: usize, trips: usize) -> String {
    let first = |path: &str| std::fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or("").to_owned();
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("")
        .trim_start_matches(['\t', ' ', ':']);
    let cores = list(&affinity::allowed().unwrap_or_default());
    let load = first("/proc/loadavg").split(' ').next().unwrap_or("?").to_owned();
    format!(
        "{model}, cores {cores}, kernel {}; {pairs} pairs of runs, {trips} trips over shared memory each.\n\
         Load of the last minute {load}, of which one is ours; above 2 the figures are somebody else's.\n",
        first("/proc/sys/kernel/osrelease")
    )
}
