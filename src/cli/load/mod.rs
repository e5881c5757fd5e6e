//! `pitlane load`: plays a flow against a running exchange in an open loop, and tells what its clients felt: once at one
//! rate, or as a sweep over rates ([`sweep`]).

mod sweep;

use super::play::{Spread, end_progress, flow, generated, log_in, recorded, show_progress, symbols};
use super::running::find;
use super::{ConfigArgument, Failure, Outcome};
use crate::measure::flow::generator::Generator;
use crate::measure::flow::{Pace, Paced};
use crate::measure::load::{LoadReport, Pacing, Plan, Player, PlayerOptions};
use crate::os::affinity;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `load`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Directory of the exchange, in place of the configuration's.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Password of all logins of the configuration.
    #[arg(long, default_value = "SECRET")]
    password: String,
    /// What to play: "generated", "ping" (an order and its cancel), a directory with LOBSTER files, or a file of ITCH 5.0
    /// messages.
    #[arg(long, default_value = "generated")]
    flow: String,
    /// Ticker that a LOBSTER directory or the ping is played on.
    #[arg(long, default_value = "AAPL")]
    ticker: String,
    /// Steps a second, at the flow's own bursts.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    rate: u64,
    /// Seconds to play.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Steps evenly apart instead of in the flow's bursts.
    #[arg(long)]
    even: bool,
    /// Send as fast as the windows of the sessions allow; the rate does not count.
    #[arg(long)]
    flood: bool,
    /// Requests of a session without an answer, at most.
    #[arg(long, default_value_t = 1_024)]
    window: usize,
    /// How sessions reach the exchange.
    #[arg(long, value_enum, default_value_t = Spread::Both)]
    transport: Spread,
    /// Seed of the generated flow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds at the start that are played and not measured.
    #[arg(long, default_value_t = 1)]
    unmeasured: u64,
    /// Core to play from; leave the exchange's alone.
    #[arg(long)]
    core: Option<usize>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// A sweep: requests a second, evenly apart, one case for each transport and rate. Its results go to --out.
    #[arg(long, value_delimiter = ',', requires = "out", value_parser = clap::value_parser!(u64).range(1..=10_000_000),
          conflicts_with_all = ["rate", "seconds", "even", "flood", "unmeasured", "json"])]
    rates: Vec<u64>,
    /// Where the results of a sweep go, for `pitlane report`; made if it is not there, refused if it holds a run.
    #[arg(long, value_name = "DIR", requires = "rates")]
    out: Option<PathBuf>,
    /// Slices of each case of a sweep; their spread is what two runs are compared by.
    #[arg(long, default_value_t = 10, requires = "rates", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    slices: u16,
    /// Milliseconds of a slice that are measured.
    #[arg(long, default_value_t = 1_000, requires = "rates", value_parser = clap::value_parser!(u64).range(10..=600_000))]
    slice_ms: u64,
    /// Milliseconds at the beginning of a slice that are played and not measured.
    #[arg(long, default_value_t = 200, requires = "rates", value_parser = clap::value_parser!(u64).range(0..=60_000))]
    unmeasured_ms: u64,
    /// Requests at once in a sweep, then a pause that keeps the rate.
    #[arg(long, default_value_t = 1, requires = "rates", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    burst: u64,
    /// Over TCP, have the client's kernel stamp one request in 17, as `measure` does.
    #[arg(long, requires = "rates")]
    kernel_stamps: bool,
}

/// Plays, reports.
///
/// # Errors
/// No running exchange, refused logins, a flow that cannot be read, or (when the report is printed) a session that was lost.
pub fn main(arguments: Arguments) -> Outcome {
    if let Some(out) = &arguments.out {
        return sweep::main(&arguments, out);
    }
    let config = arguments.config.load()?;
    let (_, endpoints) = find(arguments.directory.as_deref(), &arguments.config)?;
    if let Some(core) = arguments.core {
        affinity::pin(core).map_err(|e| Failure::Fault(format!("pinning to core {core}: {e}")))?;
    }
    let sessions = log_in(&config, &endpoints, &arguments.password, arguments.transport, 0, false)?;
    let clients = sessions.len();
    let options = PlayerOptions { in_flight_max: arguments.window, ..PlayerOptions::default() };
    let mut player = Player::new(sessions, symbols(&config), options);
    player.synchronize(5_000_000_000).map_err(|fault| Failure::Fault(fault.to_string()))?;
    let plan = Plan {
        pacing: if arguments.flood { Pacing::Flood } else { Pacing::Scheduled },
        unmeasured_ns: arguments.unmeasured * 1_000_000_000,
        duration_ns: arguments.seconds * 1_000_000_000,
        ..Plan::SCHEDULED
    };
    let mut on_second = show_progress;
    let pace = |own: Pace| if arguments.even { Pace::Even { per_second: arguments.rate } } else { own };
    let report = if arguments.flow == "ping" {
        let flow = flow(&arguments.flow, &arguments.ticker, &config, clients, arguments.seed)?;
        player.play(Paced::new(flow, Pace::Even { per_second: arguments.rate }), plan, Some(&mut on_second))
    } else if arguments.flow == "generated" {
        let flow = generated(&config, arguments.seed, clients)?;
        let own = Pace::Scaled { mean_gap_ns: Generator::MEAN_GAP_NS, per_second: arguments.rate };
        player.play(Paced::new(flow, pace(own)), plan, Some(&mut on_second))
    } else {
        let steps = recorded(&arguments.flow, &arguments.ticker, &config.market, clients)?;
        let own = Pace::scaled(&steps, arguments.rate);
        player.play(Paced::new(steps.into_iter(), pace(own)), plan, Some(&mut on_second))
    };
    end_progress();
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{report}");
    }
    all_stayed(&report)
}

/// A run in which the exchange left is no measurement, however good its figures look.
fn all_stayed(report: &LoadReport) -> Outcome {
    let lost = report.sessions.iter().enumerate().find_map(|(index, counts)| Some((index, counts.fault?)));
    match lost {
        Some((index, fault)) => {
            Err(Failure::Fault(format!("the exchange died or left: session {index} lost its connection: {fault}")))
        }
        None => Ok(()),
    }
}
