//! `pitlane measure`: an exchange of its own and the machine's floor beside it, over transports and rates, into a
//! directory that `pitlane report` turns into a page.
//!
//! The client spins on the first core allowed, the exchange and the floors on the last; so it wants two idle cores, and
//! says when it did not have them. `pitlane load` is for an exchange that runs already, and then without a floor.

mod contest;
pub mod echo;
mod venue;

use super::report::write_page;
use super::{Failure, Outcome};
use crate::client::floor::Floor;
use crate::measure::floor::{LONGER_BYTES, RingLane, TcpLane};
use crate::measure::jitter::look;
use crate::measure::latency::time;
use crate::measure::load::Transport;
use crate::measure::load::schedule::Lateness;
use crate::measure::result::files::{self, LOG};
use crate::measure::result::histograms::HistogramLog;
use crate::measure::result::machine::{Machine, Ticks};
use crate::measure::result::{Case, CoreGaps, FORMAT, Run, Setting};
use crate::os::clock::monotonic_ns;
use crate::os::{affinity, signal};
use clap::Args;
use contest::{Contest, FloorOf, Terms};
use echo::TcpEcho;
use hdrhistogram::serialization::V2DeflateSerializer;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use venue::{Venue, Wanted};

/// Most requests of one case: bounds the memory that a mistyped rate could ask for.
const REQUESTS_MAX: u64 = 20_000_000;

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
    /// calls more, and 20 ns of each packet.
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
    for &rate in &arguments.rates {
        if requests(rate, &setting) > REQUESTS_MAX {
            let text = format!("{rate} a second makes {} requests a case", requests(rate, &setting));
            return Err(Failure::Usage(format!("{text}, at most {REQUESTS_MAX}: fewer or shorter slices")));
        }
    }
    let out = &arguments.out;
    if out.join(files::RUN).exists() {
        return Err(Failure::Usage(format!("{} holds a run already; --out names another place", out.display())));
    }
    std::fs::create_dir_all(out).map_err(fault("making", out))?;
    let run = measured(&arguments, setting, knobs)?;
    files::write(out, &run).map_err(fault("writing the results into", out))?;
    print(&run);
    println!("\nresults  {}", out.display());
    write_page(out, &out.join("report.html"))?;
    match run.marks.iter().find(|mark| mark.contains("died")) {
        Some(mark) => Err(Failure::Fault(format!("{mark}; what was measured before is written"))),
        None => Ok(()),
    }
}

fn fault<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Failure + 'a {
    move |e| Failure::Fault(format!("{doing} {}: {e}", path.display()))
}

fn knob(text: &str) -> Result<(String, String), Failure> {
    let split = || {
        let (path, value) = text.split_once('=')?;
        let (section, key) = path.split_once('.')?;
        Some((section.to_owned(), format!("{key} = {value}")))
    };
    split().ok_or_else(|| Failure::Usage(format!("--set {text}: wanted SECTION.KEY=VALUE")))
}

/// Requests of one case.
fn requests(rate: u64, setting: &Setting) -> u64 {
    let slice_ns = u128::from(setting.slice_ns + setting.unmeasured_ns);
    u64::try_from(u128::from(rate) * slice_ns * setting.slices as u128 / 1_000_000_000).unwrap_or(u64::MAX)
}

fn measured(arguments: &Arguments, setting: Setting, knobs: Vec<(String, String)>) -> Result<Run, Failure> {
    let root = Path::new("/");
    let (ticks, machine) = (Ticks::read(root), Machine::read(root));
    let (started, begin_ns) = (SystemTime::now(), monotonic_ns());
    let path = arguments.out.join(LOG);
    let mut file = BufWriter::new(File::create(&path).map_err(fault("writing", &path))?);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = HistogramLog::begin(&mut file, &mut serializer, started).map_err(fault("writing", &path))?;
    let program = std::env::current_exe().map_err(|e| Failure::Fault(format!("finding this program: {e}")))?;
    let mut run = Run {
        format: FORMAT,
        pitlane: env!("CARGO_PKG_VERSION").to_owned(),
        command: command(),
        started_ns: started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
        machine,
        setting: setting.clone(),
        cases: Vec::new(),
        jitter: jitter(arguments)?,
        marks: Vec::new(),
    };
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
                knobs: knobs.clone(),
            };
            let mut venue =
                Venue::start(&program, &wanted).map_err(|e| Failure::Fault(format!("starting an exchange: {e}")))?;
            run.setting.exchange.clone_from(&venue.announced);
            let case = case(arguments, &terms, (transport, rate), &mut venue, &mut beside, &mut log)?;
            let died = case.marks.iter().find(|mark| mark.contains("died") || mark.contains("was lost")).cloned();
            run.cases.push(case);
            if let Some(mark) = died {
                run.marks.push(format!("the exchange died or left, and the run ended early: {mark}"));
                break 'all;
            }
        }
    }
    drop(log);
    file.flush().map_err(fault("writing", &path))?;
    run.machine.conclude(root, ticks);
    run.marks.extend(run.machine.marks());
    Ok(run)
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
    let flow = contest::flow(&arguments.flow, venue, terms.setting.sessions)?;
    let system = |e: io::Error| Failure::Fault(format!("measuring {} at {rate} a second: {e}", transport.text()));
    let measure = || {
        pin(arguments.core)?;
        let contest = Contest::new(terms, rate, transport, venue, flow)?;
        signal::halt(venue.id()).map_err(system)?;
        contest.run(transport, venue, beside, log).map_err(system)
    };
    thread::scope(|scope| {
        scope.spawn(measure).join().map_err(|_| Failure::Fault("the measuring thread panicked".to_owned()))?
    })
}

fn pin(core: Option<usize>) -> Result<(), Failure> {
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

/// This process' command line, as a shell would take it.
fn command() -> String {
    let name = |text: String| Path::new(&text).file_name().map_or(text.clone(), |n| n.to_string_lossy().into_owned());
    let words: Vec<String> =
        std::env::args().enumerate().map(|(at, word)| if at == 0 { name(word) } else { word }).collect();
    words.join(" ")
}

/// The table: a row a case, a percentile that the load tool's own lateness may have made marked with `!`.
fn print(run: &Run) {
    println!(
        "{:<14} {:>9} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}  ours/floor p50, p99",
        "transport", "rate", "sent", "p50", "p90", "p99", "p99.9", "p99.99", "max", "floor p50"
    );
    for case in &run.cases {
        let p = case.intended;
        let marked = |ns: u64, beyond: u64| marked(ns, beyond, &case.lateness);
        let floor = case.floor.map_or_else(String::new, |floor| time(floor.p50));
        let ratio = |of| case.ratio(of).map_or_else(String::new, |spread| spread.to_string());
        println!(
            "{:<14} {:>9} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {floor:>10}  {}, {}",
            case.transport,
            case.rate,
            case.rate_sent,
            marked(p.p50, 2),
            marked(p.p90, 10),
            marked(p.p99, 100),
            marked(p.p99_9, 1_000),
            marked(p.p99_99, 10_000),
            time(p.max),
            ratio(|p| p.p50),
            ratio(|p| p.p99),
        );
        case.marks.iter().for_each(|mark| println!("    {mark}"));
        let slowest = case.trace.as_ref().filter(|trace| !trace.slowest.is_empty());
        slowest.iter().for_each(|trace| println!("    {}", trace.blame()));
        case.kernel.iter().for_each(|kernel| println!("    {}", kernel.said()));
    }
    println!(
        "! the load tool was late for more than half of what lies beyond: the figure is its core's, not the exchange's"
    );
    run.marks.iter().for_each(|mark| println!("{mark}"));
}

/// A time, with the mark of a percentile that does not hold.
pub(super) fn marked(ns: u64, beyond: u64, lateness: &Lateness) -> String {
    let mark = if lateness.holds(beyond) { "" } else { "!" };
    format!("{}{mark}", time(ns))
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
