//! `pitlane demo`: the main job. Starts an exchange as a process of its own, plays flow against it as real clients
//! would, stops it, and proves the end state from its journal and from what the clients and the feed saw.
//!
//! Nothing here is inside the exchange: clients use the client library over TCP and shared memory, the subscriber
//! follows the multicast feed, the proofs replay the log that the process left. Exit code 0 only if all of them hold.

pub mod child;
mod day;
mod proofs;
mod recorded;
mod subscriber;
mod tables;

use super::play::{Spread, end_progress, generated, log_in, show_progress, symbols};
use super::running::Pointer;
use super::{ConfigArgument, Failure, Outcome};
use crate::client::orders::{NewOrder, OrderSession};
use crate::config::Config;
use crate::launch::home::log_path;
use crate::launch::replayed::replay_whole;
use crate::measure::flow::generator::Generator;
use crate::measure::flow::{Pace, Paced};
use crate::measure::load::{LoadReport, Plan, Player, PlayerOptions};
use crate::os::affinity;
use crate::types::{Price, Quantity, SideCode, Symbol};
use child::Exchange;
use clap::Args;
use proofs::{Proof, Seen};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use subscriber::Subscriber;

/// Orders a session sends right before its connection is cut, so that answers are on their way when it happens.
const ORDERS_BEFORE_CUT: u32 = 100;
/// Sessions cut in the middle: one over TCP, one over shared memory.
const CUT_SESSIONS: [usize; 2] = [2, 1];
/// After the last answer, silence this long means that nothing more is under way.
const SILENCE: Duration = Duration::from_millis(50);

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Directory with LOBSTER files: plays that flow instead, event by event, and compares ten levels after each.
    #[arg(long, value_name = "DIR")]
    flow: Option<PathBuf>,
    /// Steps a second of the generated flow.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    rate: u64,
    /// Seconds to play.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(2..=3_600))]
    seconds: u64,
    /// Seed of the generated flow.
    #[arg(long, default_value_t = 20_120_621)]
    seed: u64,
    /// Password of all logins of the configuration.
    #[arg(long, default_value = "SECRET")]
    password: String,
}

/// Runs it all.
///
/// # Errors
/// Something did not start, or a proof failed.
pub fn main(arguments: Arguments) -> Outcome {
    let has_day = arguments.flow.is_none() && arguments.config.config.is_none();
    let (mut config, text) = if has_day {
        let text = day::configuration();
        (
            Config::parse("the demonstration's configuration", &text).map_err(|e| Failure::Usage(e.to_string()))?,
            Some(text),
        )
    } else {
        (arguments.config.load()?, None)
    };
    println!("Starting an exchange as a process of its own:");
    let mut exchange = Exchange::start(arguments.config.config.as_deref(), text.as_deref())?;
    config.directory = exchange.directory.clone();
    let _pointer = invite(&exchange);
    step_aside();
    let subscriber = Subscriber::start(&exchange.endpoints)?;
    let sessions = log_in(&config, &exchange.endpoints, &arguments.password, Spread::Both, 1, true)?;
    let clients = sessions.len();
    println!("{clients} clients logged in, over TCP and shared memory in turn; one feed subscriber");
    let options = PlayerOptions { orders_max: 1 << 17, ..PlayerOptions::default() };
    let mut player = Player::new(sessions, symbols(&config), options);
    player.synchronize(5_000_000_000).map_err(|fault| Failure::Fault(fault.to_string()))?;

    let mut events = None;
    let reports = match &arguments.flow {
        None if has_day => {
            day::open(&config, &exchange, &mut player)?;
            let pause = |player: &mut Player| day::pause(&config, &exchange, player);
            let reports = generated_flow(&arguments, &config, &mut player, clients, pause)?;
            day::close(&config, &exchange, &mut player)?;
            reports
        }
        None => generated_flow(&arguments, &config, &mut player, clients, |_| Ok(()))?,
        Some(directory) => {
            let (played, reports) = recorded::play(directory, &config, &mut player)?;
            events = Some(played);
            reports
        }
    };
    let mut sessions = player.into_sessions();
    sessions.iter_mut().try_for_each(read_the_rest)?;
    let status = exchange.ask(&json!({"do": "status"}))?;
    subscriber.wait_for(status["status"]["counters"]["feed.messages"].as_u64().unwrap_or(0));
    let heard = subscriber.finish()?;
    exchange.stop()?;
    println!("stopped cleanly; replaying its journal\n");

    let replayed = replay_whole(&config, &log_path(&exchange.directory)).map_err(super::replay::failure)?;
    tables::print(&config, &replayed, &reports, &heard);
    if has_day {
        day::print(&heard.blocks);
    }
    if let Some(played) = &events {
        played.compare(&heard.blocks);
    }
    let streams = sessions.iter().map(|s| s.stream_bytes().to_vec()).collect();
    let seen = Seen { streams, heard, cuts: if events.is_none() { CUT_SESSIONS.to_vec() } else { vec![1] } };
    let proofs = proofs::all(&config, &exchange.directory, &replayed, &seen);
    println!("\nProofs");
    proofs.iter().for_each(Proof::print);
    let failed = proofs.iter().filter(|proof| !proof.holds()).count();
    if failed == 0 { Ok(()) } else { Err(Failure::Refused(format!("{failed} of {} proofs failed", proofs.len()))) }
}

/// Says how to watch it, and leaves the pointer by which `pitlane top` finds it.
fn invite(exchange: &Exchange) -> Option<Pointer> {
    let left = Pointer::leave(&exchange.directory);
    match &left {
        Ok(_) => println!("watch it meanwhile in a second terminal: `make top`, or `pitlane top`"),
        Err(fault) => {
            let directory = exchange.directory.display();
            println!("watch it meanwhile in a second terminal: `pitlane top --directory {directory}` ({fault})");
        }
    }
    left.ok()
}

/// The exchange spins on the last core it may use; what plays here keeps off it where there is another.
fn step_aside() {
    if let Ok(allowed) = affinity::devices_first()
        && let [first, _, ..] = allowed[..]
    {
        // Where pinning is refused, the scheduler places us; slower, not wrong.
        let _unpinned = affinity::pin(first);
    }
}

/// The generated flow in two halves, with connections cut in between, some orders that risk must refuse, and what else
/// is to happen there.
fn generated_flow(
    arguments: &Arguments,
    config: &Config,
    player: &mut Player,
    clients: usize,
    between: impl FnOnce(&mut Player) -> Outcome,
) -> Result<Vec<LoadReport>, Failure> {
    let flow = generated(config, arguments.seed, clients)?;
    println!(
        "Playing generated flow for {} s at {} steps a second over {} tickers (seed {}):",
        arguments.seconds,
        arguments.rate,
        config.market.tickers.len(),
        arguments.seed
    );
    let pace = Pace::Scaled { mean_gap_ns: Generator::MEAN_GAP_NS, per_second: arguments.rate };
    let half = arguments.seconds * 1_000_000_000 / 2;
    let plan = Plan { unmeasured_ns: 500_000_000, duration_ns: half, ..Plan::SCHEDULED };
    let mut on_second = show_progress;
    let mut steps = Paced::new(flow, pace);
    let first = player.play(&mut steps, plan, Some(&mut on_second));
    end_progress();
    break_limits(config, player)?;
    cut_connections(config, player)?;
    between(player)?;
    // The flow's times go on from where they were; the second half counts from its own start.
    let mut rest = steps.map(move |mut step| {
        step.at_ns = step.at_ns.saturating_sub(half);
        step
    });
    let second = player.play(&mut rest, Plan { unmeasured_ns: 0, ..plan }, Some(&mut on_second));
    end_progress();
    Ok(vec![first, second])
}

/// Orders each of which one check must refuse.
fn break_limits(config: &Config, player: &mut Player) -> Outcome {
    let ticker = &config.market.tickers[0];
    let limits = config.market.accounts[config.market.sessions[0].account.index()].limits;
    let order =
        |quantity: u32, price: u32| NewOrder::limit(SideCode::Buy, Quantity(quantity), ticker.symbol, Price(price));
    let reference = ticker.reference.0;
    let beyond = limits.order_quantity_max.0.saturating_add(ticker.lot.0).min(999_999);
    let orders = [
        order(beyond, reference),
        order(ticker.lot.0, ticker.price_max.0),
        order(ticker.lot.0, reference + 1),
        order(0, reference),
        NewOrder { symbol: Symbol(*b"NOWHERE "), ..order(ticker.lot.0, reference) },
    ];
    let session = session_of(player, 0)?;
    for order in orders {
        session.enter(&order).map_err(|r| Failure::Fault(format!("sending an order: {r:?}")))?;
    }
    Ok(())
}

/// Cuts two connections with orders and answers under way, and logs in again where each stream was left.
fn cut_connections(config: &Config, player: &mut Player) -> Outcome {
    for index in CUT_SESSIONS {
        let Ok(session) = session_of(player, index) else { continue };
        let ticker = &config.market.tickers[index % config.market.tickers.len()];
        let far = Price(ticker.reference.0 - ticker.reference.0 / 50 / ticker.tick.0 * ticker.tick.0);
        let order = NewOrder::limit(SideCode::Buy, ticker.lot, ticker.symbol, far);
        for _ in 0..ORDERS_BEFORE_CUT {
            session.enter(&order).map_err(|r| Failure::Fault(format!("sending an order: {r:?}")))?;
        }
        let unread = session.unanswered();
        session.disconnect();
        session.reconnect().map_err(|fault| Failure::Fault(format!("logging in again: {fault}")))?;
        println!(
            "  cut the connection of {} with {unread} answers under way, and resumed it",
            config.market.sessions[index].user
        );
    }
    Ok(())
}

fn session_of(player: &mut Player, index: usize) -> Result<&mut OrderSession, Failure> {
    player.session_mut(index).ok_or_else(|| Failure::Usage(format!("the configuration has no login {index}")))
}

/// Takes in what still comes.
fn read_the_rest(session: &mut OrderSession) -> Outcome {
    let mut heard = Instant::now();
    while heard.elapsed() < SILENCE {
        let incoming =
            session.wait(SILENCE / 2).map_err(|fault| Failure::Fault(format!("reading the rest: {fault}")))?;
        if incoming.is_some() {
            heard = Instant::now();
        }
    }
    Ok(())
}
