//! The command line: one file a subcommand, all of it cold.
//!
//! Every command says on failure what was attempted, on what, and what to do, and ends with a code that tells the
//! kind of failure apart: see [`Failure`]. What a machine may want to read has `--json`.

pub mod admin;
pub mod demo;
pub mod doctor;
pub mod inspect;
pub mod jitter;
pub mod load;
pub mod measure;
pub mod order;
mod order_terms;
pub mod password;
pub mod play;
pub mod portfolio;
pub mod replay;
pub mod report;
mod room;
pub mod run;
pub mod running;
pub mod snapshot;
pub mod top;
pub mod tune;
pub mod tuning;
pub mod verify;
pub mod watch;

use crate::config::{Config, EXAMPLE};
use crate::launch::endpoints::Endpoints;
use crate::os::{lost_memory, signal};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed; each kind has its exit code.
#[derive(Debug)]
pub enum Failure {
    /// A check did not hold, or the exchange refused: exit code 1.
    Refused(String),
    /// The command or the configuration is wrong: exit code 2.
    Usage(String),
    /// The machine, a file or a peer failed: exit code 3.
    Fault(String),
    /// The journal is damaged; nothing was started or changed: exit code 4.
    Damaged(String),
    /// A replay gave another state than the journal says it had: exit code 6.
    Diverged(String),
}

impl Failure {
    /// The process' exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Refused(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Fault(_) => 3,
            Failure::Damaged(_) => 4,
            Failure::Diverged(_) => 6,
        }
    }

    /// What happened.
    pub fn text(&self) -> &str {
        match self {
            Failure::Refused(text) | Failure::Usage(text) | Failure::Fault(text) => text,
            Failure::Damaged(text) | Failure::Diverged(text) => text,
        }
    }
}

/// What a command gives.
pub type Outcome = Result<(), Failure>;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 a check did not hold or the exchange refused; 2 wrong command or configuration;
3 the machine, a file or a peer failed; 4 the journal is damaged; 5 memory of a mapped file went away (SIGBUS);
6 a replay gave another state than the run.";

/// Ultra-low-latency trading platform.
///
/// Start with `pitlane demo`, which runs an exchange with clients on it and proves its end state. To trade by hand:
/// `pitlane run` in one terminal; in another `pitlane watch AAPL`, and in a third
/// `pitlane order --user USER01 --password SECRET enter buy 100 AAPL 585.00`.
#[derive(Parser, Debug)]
#[command(name = "pitlane", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which configuration.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgument {
    /// Configuration file; without it the embedded example (`pitlane config` prints it).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigArgument {
    /// Reads and checks it. Of the example the log may lie elsewhere, see [`room`].
    ///
    /// # Errors
    /// [`Failure::Usage`] with every fault of the file.
    pub fn load(&self) -> Result<Config, Failure> {
        match &self.config {
            Some(path) => Config::load(path).map_err(|faults| Failure::Usage(faults.to_string())),
            None => {
                let mut config = Config::example();
                room::move_log_where_room_is(&mut config);
                Ok(config)
            }
        }
    }
}

/// Where the exchange of this configuration is reached.
///
/// # Errors
/// None runs there.
pub fn endpoints(config: &ConfigArgument) -> Result<Endpoints, Failure> {
    let directory = config.load()?.directory;
    Endpoints::read(&directory).map_err(|e| {
        let what = format!("no exchange runs in {}: {e}", directory.display());
        Failure::Fault(format!("{what}; start one with `pitlane run`, with the same --config"))
    })
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run an exchange until it is told to stop.
    Run(run::Arguments),
    /// Run an exchange with clients on it for some seconds, and prove the end state.
    Demo(demo::Arguments),
    /// Operate a running exchange: halt, resume, kill, limits, status, end-day, stop.
    Admin(admin::Arguments),
    /// Enter, cancel and replace orders, and watch one's own reports.
    Order(order::Arguments),
    /// Show a ticker's live book, built from the feed.
    Watch(watch::Arguments),
    /// Show an account: positions, profit, cash, exposure.
    Portfolio(portfolio::Arguments),
    /// Play order flow against a running exchange at a fixed rate and report latency.
    Load(load::Arguments),
    /// Measure an exchange of its own beside the machine's floor, over rates and transports, into a directory.
    Measure(measure::Arguments),
    /// Show what each core does to a busy loop: how often it is kept from running, and for how long.
    Jitter(jitter::Arguments),
    /// Watch a running exchange: rates, logins, tickers, times and links from stage to stage, journal and disk.
    Top(top::Arguments),
    /// Write a page about a measurement, or about two side by side.
    Report(report::Arguments),
    /// The other side of a floor; `measure` starts it.
    #[command(hide = true)]
    Echo,
    /// Replay a journal and verify it: state digest, client streams, feed.
    Replay(replay::Arguments),
    /// Print a journal's records as text or JSON.
    Inspect(inspect::Arguments),
    /// Check a stopped exchange's journal, segments and log, without changing anything.
    Verify(verify::Arguments),
    /// Write a snapshot of a stopped exchange's state, or show one.
    Snapshot(snapshot::Arguments),
    /// Report what this machine gives and withholds, with remedies.
    Doctor(doctor::Arguments),
    /// Tune this machine: plan, apply, verify, undo; choose cores.
    Tune(tune::Arguments),
    /// Print the example configuration.
    Config,
    /// Make a password hash for a login, from a password on standard input.
    Password,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Every command maps files that others may cut short.
    if let Err(error) = lost_memory::watch() {
        eprintln!("pitlane: watching for lost memory: {error}");
        return ExitCode::from(Failure::Fault(String::new()).code());
    }
    if matches!(cli.command, Command::Replay(_) | Command::Inspect(_) | Command::Doctor(_) | Command::Config) {
        signal::end_with_closed_pipe();
    }
    let outcome = match cli.command {
        Command::Run(arguments) => run::main(arguments),
        Command::Demo(arguments) => demo::main(arguments),
        Command::Admin(arguments) => admin::main(arguments),
        Command::Portfolio(arguments) => portfolio::main(arguments),
        Command::Load(arguments) => load::main(arguments),
        Command::Measure(arguments) => measure::main(arguments),
        Command::Jitter(arguments) => jitter::main(arguments),
        Command::Top(arguments) => top::main(arguments),
        Command::Report(arguments) => report::main(arguments),
        Command::Echo => measure::echo::main(),
        Command::Order(arguments) => order::main(arguments),
        Command::Watch(arguments) => watch::main(arguments),
        Command::Replay(arguments) => replay::main(arguments),
        Command::Inspect(arguments) => inspect::main(arguments),
        Command::Verify(arguments) => verify::main(arguments),
        Command::Snapshot(arguments) => snapshot::main(arguments),
        Command::Doctor(arguments) => doctor::main(arguments),
        Command::Tune(arguments) => tune::main(arguments),
        Command::Config => {
            print!("{EXAMPLE}");
            Ok(())
        }
        Command::Password => password::main(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pitlane: {}", failure.text().trim_end());
            ExitCode::from(failure.code())
        }
    }
}
