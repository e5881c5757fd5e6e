//! What `load` and `demo` share: logging in all clients of a configuration and making flows for its tickers.

use super::Failure;
use crate::client::orders::{Address, Keep, OrderOptions, OrderSession};
use crate::config::Config;
use crate::launch::endpoints::Endpoints;
use crate::measure::flow::FlowStep;
use crate::measure::flow::generator::{Generator, GeneratorOptions, GeneratorTicker};
use crate::measure::flow::itch::{ItchFlow, ItchOptions};
use crate::measure::flow::lobster::{Recording, Replay, ReplayOptions};
use crate::measure::flow::ping::Ping;
use crate::measure::load::{Progress, Transport};
use crate::types::{Market, Symbol, TickerId};
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::time::Duration;

/// Steps read from an ITCH file at most: some gigabytes of memory.
const ITCH_STEPS_MAX: usize = 1 << 25;

/// How long the venue may take to let somebody in: a password check under load.
const LOGIN_MAX: Duration = Duration::from_secs(10);
/// Bytes a kept stream has room for from the start; it grows when a run is longer.
const KEPT_BYTES: usize = 16 << 20;

/// How sessions are spread over the transports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Spread {
    /// All over TCP.
    Tcp,
    /// All over shared memory.
    Shared,
    /// In turn.
    Both,
}

impl Spread {
    fn of(self, index: usize) -> Transport {
        match self {
            Spread::Tcp => Transport::Tcp,
            Spread::Shared => Transport::Shared,
            Spread::Both if index.is_multiple_of(2) => Transport::Tcp,
            Spread::Both => Transport::Shared,
        }
    }
}

/// Logs in every login of the configuration with one password. `sequence` is the first message wanted, 0 for new
/// ones only; `keeps` whether the received bytes are kept.
///
/// # Errors
/// A login that is refused, or no shared memory where it is asked for.
pub fn log_in(
    config: &Config,
    endpoints: &Endpoints,
    password: &str,
    spread: Spread,
    sequence: u64,
    keeps: bool,
) -> Result<Vec<(OrderSession, Transport)>, Failure> {
    let mut sessions = Vec::new();
    for (index, spec) in config.market.sessions.iter().enumerate() {
        let transport = spread.of(index);
        let address = match (transport, &endpoints.shared) {
            (Transport::Tcp, _) => Address::Tcp(endpoints.orders),
            (Transport::Shared, Some(path)) => Address::Shared(path.clone()),
            (Transport::Shared, None) => {
                return Err(Failure::Usage("this exchange has gateway.shared_memory = false".to_owned()));
            }
        };
        let mut options = OrderOptions::new(address, &spec.user, password);
        options.sequence = sequence;
        options.connect_limit = LOGIN_MAX;
        options.unanswered_max = 4_096;
        options.keep = if keeps { Keep::Bytes(KEPT_BYTES) } else { Keep::Nothing };
        let session = OrderSession::connect(options)
            .map_err(|fault| Failure::Refused(format!("logging in as {}: {fault}", spec.user)))?;
        sessions.push((session, transport));
    }
    Ok(sessions)
}

/// Names of the tickers, by id.
pub fn symbols(config: &Config) -> Vec<Symbol> {
    config.market.tickers.iter().map(|t| t.symbol).collect()
}

/// A generated flow over all tickers of the configuration, for `clients` sessions: half rest, half take.
///
/// # Errors
/// A ticker whose price range is too narrow for the flow.
pub fn generated(config: &Config, seed: u64, clients: usize) -> Result<Generator, Failure> {
    let mut tickers = Vec::new();
    for (index, spec) in config.market.tickers.iter().enumerate() {
        let ticker = GeneratorTicker::new(TickerId(index as u16), spec).ok_or_else(|| {
            Failure::Usage(format!("ticker {}: the price range is too narrow for the generated flow", spec.symbol))
        })?;
        tickers.push(ticker);
    }
    let mut options = GeneratorOptions::new(seed, tickers);
    options.makers = clients.div_ceil(2).max(1) as u16;
    options.takers = (clients / 2).max(1) as u16;
    options.resting = 400;
    options.reduced_per_mille = 15;
    options.replaced_per_mille = 50;
    Ok(Generator::new(options))
}

/// What a sweep plays, at a pace of its own.
pub type Flow = Box<dyn Iterator<Item = FlowStep> + Send>;

/// The flow of this name: `ping` (an order and its cancel, in `ticker`), `generated` from `seed`, or the path of a
/// recording, which is played on `ticker`.
///
/// # Errors
/// A recording that cannot be read, one that does not fit the tickers, or a ticker that is not listed.
pub fn flow(name: &str, ticker: &str, config: &Config, sessions: usize, seed: u64) -> Result<Flow, Failure> {
    let market = &config.market;
    match name {
        "ping" => {
            let symbol = Symbol::from_text(&ticker.to_ascii_uppercase());
            let listed = symbol.and_then(|symbol| market.ticker(symbol));
            let ticker = listed.ok_or_else(|| Failure::Usage(format!("{ticker} is not listed")))?;
            Ok(Box::new(Ping::new(ticker, &market.tickers[ticker.index()], sessions as u16)))
        }
        "generated" => Ok(Box::new(generated(config, seed, sessions)?)),
        path => Ok(Box::new(recorded(path, ticker, market, sessions)?.into_iter())),
    }
}

/// One line of progress, rewritten in place on a terminal.
pub fn show_progress(progress: &Progress) {
    let line = format!(
        "  {:>3} s  {:>9} sent  {:>9} answered  {:>5} waiting",
        progress.elapsed_ns / 1_000_000_000,
        progress.sent,
        progress.answered,
        progress.waiting
    );
    let (begin, end) = if stderr().is_terminal() { ("\r", "") } else { ("", "\n") };
    // Nobody watching is no fault.
    let _unwatched = write!(stderr(), "{begin}{line}{end}");
}

/// Ends the line of progress.
pub fn end_progress() {
    if stderr().is_terminal() {
        let _unwatched = writeln!(stderr());
    }
}

/// The steps of a recording: a directory with LOBSTER files, played on `ticker`, or a file of ITCH messages.
///
/// # Errors
/// What cannot be read, or a ticker that is not listed.
pub(super) fn recorded(flow: &str, ticker: &str, market: &Market, clients: usize) -> Result<Vec<FlowStep>, Failure> {
    let path = Path::new(flow);
    let unreadable = |e: &dyn std::fmt::Display| Failure::Usage(format!("flow {}: {e}", path.display()));
    let (makers, takers) = (clients.div_ceil(2).max(1) as u16, (clients / 2).max(1) as u16);
    if path.is_dir() {
        let symbol = Symbol::from_text(&ticker.to_ascii_uppercase());
        let listed = symbol.and_then(|s| market.ticker(s));
        let ticker = listed.ok_or_else(|| Failure::Usage(format!("{ticker} is not listed")))?;
        let recording = Recording::open(path).map_err(|e| unreadable(&e))?;
        let Replay { seeds, steps, .. } = Replay::new(&recording, ReplayOptions::new(ticker));
        return Ok(seeds.into_iter().chain(steps).collect());
    }
    let listed = market.tickers.iter().enumerate();
    let options = ItchOptions {
        tickers: listed.map(|(index, spec)| (TickerId(index as u16), spec.clone())).collect(),
        deal_unlisted: true,
        makers,
        takers,
        steps_max: ITCH_STEPS_MAX,
    };
    let flow = ItchFlow::open(path, options).map_err(|e| unreadable(&e))?;
    Ok(flow.steps)
}
