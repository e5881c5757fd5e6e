//! A sweep on its way into its directory, whoever runs the exchange: `measure` an own one, `load` one that runs already.
//!
//! Checks before anything starts, keeps the log of distributions, writes everything at the end, and prints the table.

use crate::cli::report::write_page;
use crate::cli::{Failure, Outcome};
use crate::measure::latency::time;
use crate::measure::load::schedule::Lateness;
use crate::measure::result::files::{self, LOG};
use crate::measure::result::histograms::HistogramLog;
use crate::measure::result::machine::{Machine, Ticks};
use crate::measure::result::{CoreGaps, FORMAT, Run, Setting};
use crate::os::clock::monotonic_ns;
use hdrhistogram::serialization::V2DeflateSerializer;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the distributions go.
pub type LogFile = BufWriter<File>;

/// Most requests of one case: bounds the memory that a mistyped rate could ask for.
const REQUESTS_MAX: u64 = 20_000_000;

/// What can be refused before anything starts; makes the directory.
///
/// # Errors
/// A case too large, a directory that holds a run or cannot be made.
pub fn check(out: &Path, rates: &[u64], setting: &Setting) -> Outcome {
    for &rate in rates {
        let requests = requests(rate, setting);
        if requests > REQUESTS_MAX {
            let text = format!("{rate} a second makes {requests} requests a case");
            return Err(Failure::Usage(format!("{text}, at most {REQUESTS_MAX}: fewer or shorter slices")));
        }
    }
    if out.join(files::RUN).exists() {
        return Err(Failure::Usage(format!("{} holds a run already; --out names another place", out.display())));
    }
    std::fs::create_dir_all(out).map_err(fault("making", out))
}

/// Runs `sweep`, which puts its cases and marks into the run, and the distributions into the log, whose begin it is given in
/// steady time.
///
/// # Errors
/// What the sweep says, or a log that cannot be written.
pub fn record(
    out: &Path,
    setting: Setting,
    jitter: Vec<CoreGaps>,
    sweep: impl FnOnce(&mut Run, u64, &mut HistogramLog<'_, LogFile>) -> Outcome,
) -> Result<Run, Failure> {
    let root = Path::new("/");
    let (ticks, machine) = (Ticks::read(root), Machine::read(root));
    let (started, begin_ns) = (SystemTime::now(), monotonic_ns());
    let path = out.join(LOG);
    let mut file = BufWriter::new(File::create(&path).map_err(fault("writing", &path))?);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = HistogramLog::begin(&mut file, &mut serializer, started).map_err(fault("writing", &path))?;
    let mut run = Run {
        format: FORMAT,
        pitlane: env!("CARGO_PKG_VERSION").to_owned(),
        command: command(),
        started_ns: started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
        machine,
        setting,
        cases: Vec::new(),
        jitter,
        marks: Vec::new(),
    };
    sweep(&mut run, begin_ns, &mut log)?;
    drop(log);
    file.flush().map_err(fault("writing", &path))?;
    run.machine.conclude(root, ticks);
    run.marks.extend(run.machine.marks());
    Ok(run)
}

/// Writes all of it, prints the table, makes the page.
///
/// # Errors
/// A directory that cannot be written, or (with the results written) an exchange that died.
pub fn finish(out: &Path, run: &Run) -> Outcome {
    files::write(out, run).map_err(fault("writing the results into", out))?;
    print(run);
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

/// Requests of one case.
pub fn requests(rate: u64, setting: &Setting) -> u64 {
    let slice_ns = u128::from(setting.slice_ns + setting.unmeasured_ns);
    u64::try_from(u128::from(rate) * slice_ns * setting.slices as u128 / 1_000_000_000).unwrap_or(u64::MAX)
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
pub fn marked(ns: u64, beyond: u64, lateness: &Lateness) -> String {
    let mark = if lateness.holds(beyond) { "" } else { "!" };
    format!("{}{mark}", time(ns))
}
