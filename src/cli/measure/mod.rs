//! `pitlane measure`: an exchange of its own and the machine's floor beside it, over transports and rates, into a
//! directory that `pitlane report` turns into a page.
//!
//! The client spins on the first core allowed, the exchange and the floors on the last; so it wants two idle cores, and
//! says when it did not have them. `pitlane load` is for an exchange that runs already, and then without a floor.

pub mod contest;
pub mod echo;
pub mod recording;
mod venue;

use super::{Failure, Outcome, play};
use crate::client::floor::Floor;
use crate::measure::floor::{LONGER_BYTES, RingLane, TcpLane};
use crate::measure::jitter::look;
use crate::measure::load::Transport;
use crate::measure::result::histograms::HistogramLog;
use crate::measure::result::{Case, CoreGaps, Run, Setting};
use crate::os::{affinity, signal};
use clap::Args;
use contest::{Contest, FloorOf, Subject, Terms};
use echo::TcpEcho;
use recording::{LogFile, requests};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use venue::{Venue, Wanted};

/// Seed of a generated flow: the same in every run.
const SEED: u64 = 1;

/// Which transports are measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Transports {
    /// SoupBinTCP.
    Tcp,
    /// Rings in shared memory.
    Shared,
    /// One after the other.
    Both,
}

/// Arguments of `measure`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Requests a second, one case each.
    #[arg(long, value_delimiter = ',', default_value = "10000,50000,100000",
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rates: Vec<u64>,
    /// Transports, each at every rate.
    #[arg(long, value_enum, default_value_t = Transports::Both)]
    transport: Transports,
    /// What is played: "ping" (an order and its cancel), "generated", or a recording as `load --flow` takes it.
    #[arg(long, default_value = "ping")]
    flow: String,
    /// Client sessions, in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    sessions: u16,
    /// Requests at once, then a pause that keeps the rate.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    burst: u64,
    /// Milliseconds of a slice that are measured.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    slice_ms: u64,
    /// Milliseconds at the beginning of a slice that are played and not measured.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    unmeasured_ms: u64,
    /// Slices of each case, and as many of the floor.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    slices: u16,
    /// Requests of a session without an answer, at most.
    #[arg(long, default_value_t = 1_024)]
    window: usize,
    /// Network engine of the exchange and of the TCP floor.
    #[arg(long, default_value = "io_uring", value_parser = ["plain", "io_uring"])]
    engine: String,
    /// A line of the exchange's configuration more: `SECTION.KEY=VALUE`, such as `stages.sample=0`. May be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    knobs: Vec<String>,
    /// Over TCP, have the client's kernel stamp one request in 17, when it leaves and when its answer arrives. Takes some
    /// calls more, and a reading of the clock for every packet of the host.
    #[arg(long)]
    kernel_stamps: bool,
    /// Core to play from; without it the first allowed.
    #[arg(long)]
    core: Option<usize>,
    /// Seconds for which the cores are looked at before anything runs; 0: they are not.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    jitter_seconds: u64,
    /// Where the results go; made if it is not there, refused if it holds a run.
    #[arg(long, value_name = "DIR", default_value = "measured")]
    out: PathBuf,
}

/// Measures, writes, prints a table.
///
/// # Errors
/// An exchange or a floor that does not run here, a directory that cannot be written, or (with the results written)
/// an exchange that died.
pub fn main(arguments: Arguments) -> Outcome {
    let knobs = arguments.knobs.iter().map(|text| knob(text)).collect::<Result<Vec<_>, _>>()?;
    let setting = Setting {
        flow: arguments.flow.clone(),
        sessions: usize::from(arguments.sessions),
        slice_ns: arguments.slice_ms * 1_000_000,
        slices: usize::from(arguments.slices),
        unmeasured_ns: arguments.unmeasured_ms * 1_000_000,
        burst: arguments.burst,
        kernel_stamps: arguments.kernel_stamps,
        exchange: Vec::new(),
    };
    recording::check(&arguments.out, &arguments.rates, &setting)?;
    let jitter = jitter(&arguments)?;
    let run = recording::record(&arguments.out, setting, jitter, |run, begin_ns, log| {
        sweep(&arguments, &knobs, (run, begin_ns), log)
    })?;
    recording::finish(&arguments.out, &run)
}

fn knob(text: &str) -> Result<(String, String), Failure> {
    let split = || {
        let (path, value) = text.split_once('=')?;
        let (section, key) = path.split_once('.')?;
        Some((section.to_owned(), format!("{key} = {value}")))
    };
    split().ok_or_else(|| Failure::Usage(format!("--set {text}: wanted SECTION.KEY=VALUE")))
}

/// All transports at all rates.
fn sweep(
    arguments: &Arguments,
    knobs: &[(String, String)],
    (run, begin_ns): (&mut Run, u64),
    log: &mut HistogramLog<'_, LogFile>,
) -> Outcome {
    let program = std::env::current_exe().map_err(|e| Failure::Fault(format!("finding this program: {e}")))?;
    let setting = run.setting.clone();
    let terms = Terms { setting: &setting, window: arguments.window, begin_ns };
    'all: for transport in transports(arguments.transport) {
        let mut beside = floor_of(transport, &program, arguments)
            .map_err(|e| Failure::Fault(format!("starting the floor over {}: {e}", transport.text())))?;
        for &rate in &arguments.rates {
            eprintln!("measuring {} at {rate} a second", transport.text());
            let wanted = Wanted {
                engine: arguments.engine.clone(),
                sessions: setting.sessions,
                requests: requests(rate, &setting),
                knobs: knobs.to_vec(),
            };
            let mut venue =
                Venue::start(&program, &wanted).map_err(|e| Failure::Fault(format!("starting an exchange: {e}")))?;
            run.setting.exchange.clone_from(&venue.announced);
            let case = case(arguments, &terms, (transport, rate), &mut venue, &mut beside, log)?;
            let died = case.marks.iter().find(|mark| mark.contains("died") || mark.contains("was lost")).cloned();
            run.cases.push(case);
            if let Some(mark) = died {
                run.marks.push(format!("the exchange died or left, and the run ended early: {mark}"));
                break 'all;
            }
        }
    }
    Ok(())
}

/// What the two cores in use do by themselves.
fn jitter(arguments: &Arguments) -> Result<Vec<CoreGaps>, Failure> {
    if arguments.jitter_seconds == 0 {
        return Ok(Vec::new());
    }
    let fault = |e: io::Error| Failure::Fault(format!("looking at the cores: {e}"));
    let allowed = affinity::devices_first().map_err(fault)?;
    let ends = [arguments.core.or(allowed.first().copied()), allowed.last().copied()];
    let mut cores: Vec<usize> = ends.into_iter().flatten().collect();
    cores.dedup();
    look(&cores, arguments.jitter_seconds * 1_000_000_000).map_err(fault)
}

/// One case, on a thread pinned to the client's core; processes are started before, by threads that are not.
fn case<W: Write + Send>(
    arguments: &Arguments,
    terms: &Terms<'_>,
    (transport, rate): (Transport, u64),
    venue: &mut Venue,
    beside: &mut FloorOf,
    log: &mut HistogramLog<'_, W>,
) -> Result<Case, Failure> {
    let ticker = venue.config().market.tickers[0].symbol.text();
    let flow = play::flow(&arguments.flow, &ticker, venue.config(), terms.setting.sessions, SEED)?;
    let system = |e: io::Error| Failure::Fault(format!("measuring {} at {rate} a second: {e}", transport.text()));
    let measure = || {
        pin(arguments.core)?;
        let sessions =
            venue.log_in(transport).map_err(|e| Failure::Fault(format!("logging in to the exchange: {e}")))?;
        let contest = Contest::new(terms, rate, venue, sessions, flow)?;
        signal::halt(venue.id()).map_err(system)?;
        contest.run(transport, venue, Some(beside), log).map_err(system)
    };
    thread::scope(|scope| {
        scope.spawn(measure).join().map_err(|_| Failure::Fault("the measuring thread panicked".to_owned()))?
    })
}

/// Pins the calling thread to `core`, else to the first that leaves the exchange its own.
///
/// # Errors
/// A core that is not there.
pub(super) fn pin(core: Option<usize>) -> Result<(), Failure> {
    let first = || affinity::devices_first().ok().and_then(|cores| cores.first().copied());
    let Some(core) = core.or_else(first) else { return Ok(()) };
    affinity::pin(core).map_err(|e| Failure::Fault(format!("pinning to core {core}: {e}")))
}

fn transports(wanted: Transports) -> Vec<Transport> {
    match wanted {
        Transports::Tcp => vec![Transport::Tcp],
        Transports::Shared => vec![Transport::Shared],
        Transports::Both => vec![Transport::Shared, Transport::Tcp],
    }
}

/// Starts the floor and halts it.
fn floor_of(transport: Transport, program: &Path, arguments: &Arguments) -> io::Result<FloorOf> {
    let mut command = Command::new(program);
    command.arg("echo");
    match transport {
        Transport::Shared => {
            let floor = Floor::start_longer(command, LONGER_BYTES)?;
            signal::halt(floor.echo_id())?;
            Ok(FloorOf::Ring(Box::new(RingLane::new(floor))))
        }
        Transport::Tcp => {
            let sessions = usize::from(arguments.sessions);
            let echo = TcpEcho::start(command, &arguments.engine, sessions.max(8))?;
            let lanes = (0..sessions).map(|_| TcpLane::connect(echo.address())).collect::<io::Result<_>>()?;
            Ok(FloorOf::Tcp(echo, lanes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_is_a_line_of_its_section_and_nothing_else_is_one() {
        assert_eq!(knob("stages.sample=0").unwrap(), ("stages".into(), "sample = 0".into()));
        assert!(["sample=0", "stages.sample", ""].iter().all(|text| knob(text).is_err()));
    }
}
