//! `pitlane load --rates`: a sweep over rates and transports against an exchange that runs already, into a directory that
//! `pitlane report` turns into a page and compares with others.
//!
//! As `pitlane measure` does it, but without a floor, and that is said: what the machine takes by itself nobody has
//! measured, because nobody may halt an exchange that works. Slices follow each other. Orders that rest at the end of a
//! case stay with the exchange, unless their login has them cancelled with its connection.

use super::Arguments;
use crate::cli::measure::contest::{Contest, Subject, Terms};
use crate::cli::measure::pin;
use crate::cli::measure::recording::{self, LogFile};
use crate::cli::play::{Spread, flow, log_in};
use crate::cli::{Failure, Outcome, running};
use crate::config::Config;
use crate::launch::endpoints::Endpoints;
use crate::measure::load::Transport;
use crate::measure::result::histograms::HistogramLog;
use crate::measure::result::{Case, Run, Setting};
use std::io;
use std::path::{Path, PathBuf};

/// What every such run says of itself.
const NO_FLOOR: &str = "no floor was measured, because the exchange ran already: how much of a time is this machine's own, \
                        `pitlane measure` tells";

/// An exchange that is not ours.
struct Running {
    config: Config,
    directory: PathBuf,
    endpoints: Endpoints,
}

impl Subject for Running {
    fn config(&self) -> &Config {
        &self.config
    }

    fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// It takes its endpoints away when it stops; how one that was killed ended, its sessions say.
    fn ended(&mut self) -> Option<String> {
        Endpoints::read(&self.directory).err().map(|_| "it has stopped".to_owned())
    }

    fn resume(&self) -> io::Result<()> {
        Ok(())
    }

    fn halt(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Plays all cases and writes what came of them to `out`.
///
/// # Errors
/// As [`super::main`]; and (with the results written) an exchange that died or left.
pub fn main(arguments: &Arguments, out: &Path) -> Outcome {
    let (directory, endpoints) = running::find(arguments.directory.as_deref(), &arguments.config)?;
    let config = arguments.config.load()?;
    let setting = Setting {
        flow: arguments.flow.clone(),
        sessions: config.market.sessions.len(),
        slice_ns: arguments.slice_ms * 1_000_000,
        slices: usize::from(arguments.slices),
        unmeasured_ns: arguments.unmeasured_ms * 1_000_000,
        burst: arguments.burst,
        kernel_stamps: arguments.kernel_stamps,
        exchange: endpoints.lines(),
    };
    recording::check(out, &arguments.rates, &setting)?;
    let mut subject = Running { config, directory, endpoints };
    let run = recording::record(out, setting, Vec::new(), |run, begin_ns, log| {
        pin(arguments.core)?;
        run.marks.push(NO_FLOOR.to_owned());
        sweep(arguments, &mut subject, (run, begin_ns), log)
    })?;
    recording::finish(out, &run)
}

fn sweep(
    arguments: &Arguments,
    subject: &mut Running,
    (run, begin_ns): (&mut Run, u64),
    log: &mut HistogramLog<'_, LogFile>,
) -> Outcome {
    let setting = run.setting.clone();
    let terms = Terms { setting: &setting, window: arguments.window, begin_ns };
    for transport in transports(arguments.transport) {
        for &rate in &arguments.rates {
            eprintln!("playing over {} at {rate} a second", transport.text());
            let case = match case(arguments, &terms, (transport, rate), subject, log) {
                Ok(case) => case,
                // Nothing to write: it was never there, or lets nobody in.
                Err(failure) if run.cases.is_empty() => return Err(failure),
                Err(failure) => {
                    run.marks.push(format!("the exchange died or left before the next case: {}", failure.text()));
                    return Ok(());
                }
            };
            let lost = case.marks.iter().find(|mark| mark.contains("died") || mark.contains("was lost")).cloned();
            run.cases.push(case);
            if let Some(mark) = lost {
                run.marks.push(format!("the exchange died or left, and the run ended early: {mark}"));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn case(
    arguments: &Arguments,
    terms: &Terms<'_>,
    (transport, rate): (Transport, u64),
    subject: &mut Running,
    log: &mut HistogramLog<'_, LogFile>,
) -> Result<Case, Failure> {
    let config = &subject.config;
    let flow = flow(&arguments.flow, &arguments.ticker, config, terms.setting.sessions, arguments.seed)?;
    let spread = if transport == Transport::Tcp { Spread::Tcp } else { Spread::Shared };
    let sessions = log_in(config, &subject.endpoints, &arguments.password, spread, 0, false)?;
    let contest = Contest::new(terms, rate, subject, sessions, flow)?;
    contest
        .run(transport, subject, None, log)
        .map_err(|e| Failure::Fault(format!("playing over {} at {rate} a second: {e}", transport.text())))
}

fn transports(spread: Spread) -> Vec<Transport> {
    match spread {
        Spread::Tcp => vec![Transport::Tcp],
        Spread::Shared => vec![Transport::Shared],
        Spread::Both => vec![Transport::Shared, Transport::Tcp],
    }
}
