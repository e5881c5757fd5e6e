//! The demonstration's day: opening cross, a price band that pauses a ticker and the cross that ends the pause, closing
//! cross. Clients send the orders, the operator turns the phases; what came of it is read from the feed alone.

use super::child::Exchange;
use super::subscriber::messages;
use crate::cli::{Failure, Outcome};
use crate::client::depth::DepthReader;
use crate::client::orders::NewOrder;
use crate::config::{Config, EXAMPLE};
use crate::measure::load::Player;
use crate::types::{CrossKind, Price, Quantity, SideCode, Symbol, TickerId, TickerSpec, TradingState};
use crate::wire::itch::{self, Message};
use serde_json::json;
use std::time::{Duration, Instant};

/// Knobs of the example that the day changes, so that it fits into some seconds: what stands there, and what instead.
const KNOBS: [(&str, &str); 6] = [
    ("tick_ms = 1_000", "tick_ms = 100"),
    ("cross_orders = false", "cross_orders = true"),
    ("phase_at_start = \"trading\"", "phase_at_start = \"pre-open\""),
    ("band_dynamic = 0 ", "band_dynamic = 200 "),
    ("band_limit_ms = 15_000", "band_limit_ms = 200"),
    ("band_pause_ms = 300_000", "band_pause_ms = 600"),
];
/// Shares of each order that runs through the band, and how many: together more than rest within it.
const BREAKING: u32 = 15_000;
const BREAKERS: usize = 6;
/// How long a phase may take to come.
const PHASE_MAX: Duration = Duration::from_secs(10);
/// Long enough for some imbalances to be told: a few ticks.
const BUILD_UP: Duration = Duration::from_millis(350);
/// Pause between two looks at the venue.
const LOOK: Duration = Duration::from_millis(5);

/// The example with a day in its first ticker: crosses, and a band of two per cent.
///
/// # Panics
/// When the example has lost one of the knobs.
pub fn configuration() -> String {
    KNOBS.iter().fold(EXAMPLE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the example has the knob `{from}`");
        text.replacen(from, to, 1)
    })
}

/// The ticker that has the day.
fn ticker(config: &Config) -> &TickerSpec {
    &config.market.tickers[0]
}

/// Orders for the opening cross, imbalances told, then the cross.
///
/// # Errors
/// A session is lost, or the operator refused.
pub fn open(config: &Config, exchange: &Exchange, player: &mut Player) -> Outcome {
    let spec = ticker(config);
    println!("Pre-open in {}: orders for the opening cross, then the cross", spec.symbol);
    let at = |ticks: i64| away(spec, ticks);
    let orders = [
        (0, bid(spec, 400, Price::MARKET).on(CrossKind::Opening)),
        (1, offer(spec, 300, Price::MARKET).on(CrossKind::Opening)),
        (0, bid(spec, 500, at(12)).on(CrossKind::Opening)),
        (1, offer(spec, 700, at(-8)).on(CrossKind::Opening)),
        (2, bid(spec, 900, at(-4)).on(CrossKind::Opening).imbalance_only()),
        // These stay if they do not trade: one shows a tenth of itself, one sleeps until the price rises.
        (3, offer(spec, 1_000, at(3)).showing(Quantity(100))),
        (2, bid(spec, 200, at(-15))),
        (3, bid(spec, 100, at(60)).stopped_at(at(50))),
    ];
    enter(player, &orders)?;
    std::thread::sleep(BUILD_UP);
    turn(exchange, spec, "open")
}

/// An order through the band, the limit state, the pause, orders meanwhile, and the cross that ends it.
///
/// # Errors
/// As [`open`]; or the pause does not come or does not end.
pub fn pause(config: &Config, exchange: &Exchange, player: &mut Player) -> Outcome {
    let spec = ticker(config);
    println!(
        "Bids through the price band of {}: {BREAKERS} times {BREAKING} shares, 4 % above the reference",
        spec.symbol
    );
    let through = away(spec, i64::from(spec.reference.0 / spec.tick.0) / 25);
    // From the sessions whose offers do not rest there: an own offer would end the order instead.
    let breakers: Vec<_> = (0..BREAKERS).map(|n| (2 + n % 2, bid(spec, BREAKING, through))).collect();
    enter(player, &breakers)?;
    await_state(exchange, TradingState::Paused)?;
    println!("  orders pressed against its bound; {} is paused and collects orders", spec.symbol);
    enter(player, &[(1, offer(spec, 15_000, spec.reference)), (0, offer(spec, 12_000, spec.reference))])?;
    await_state(exchange, TradingState::Trading)?;
    println!("  the pause is over; its cross has found a price");
    Ok(())
}

/// Orders for the closing cross, imbalances told, then the cross.
///
/// # Errors
/// As [`open`].
pub fn close(config: &Config, exchange: &Exchange, player: &mut Player) -> Outcome {
    let spec = ticker(config);
    println!("Closing {}: orders for the closing cross, then the cross", spec.symbol);
    let orders = [
        (0, bid(spec, 600, Price::MARKET).on(CrossKind::Closing)),
        (1, offer(spec, 800, Price::MARKET).on(CrossKind::Closing)),
        (2, bid(spec, 300, away(spec, 40)).on(CrossKind::Closing)),
    ];
    enter(player, &orders)?;
    turn(exchange, spec, "pre-close")?;
    std::thread::sleep(BUILD_UP);
    turn(exchange, spec, "close")
}

fn bid(spec: &TickerSpec, quantity: u32, price: Price) -> NewOrder {
    NewOrder::limit(SideCode::Buy, Quantity(quantity), spec.symbol, price)
}

fn offer(spec: &TickerSpec, quantity: u32, price: Price) -> NewOrder {
    NewOrder::limit(SideCode::Sell, Quantity(quantity), spec.symbol, price)
}

/// So many ticks from the reference.
fn away(spec: &TickerSpec, ticks: i64) -> Price {
    let price = i64::from(spec.reference.0) + ticks * i64::from(spec.tick.0);
    Price(price.clamp(i64::from(spec.price_min.0), i64::from(spec.price_max.0)) as u32)
}

/// Each order by the session of its index.
fn enter(player: &mut Player, orders: &[(usize, NewOrder)]) -> Outcome {
    for (index, order) in orders {
        let session = super::session_of(player, *index)?;
        // Its connection was cut: requests that were under way are sent again first.
        while session.is_recovering() {
            session.poll().map_err(|fault| Failure::Fault(format!("sending again: {fault}")))?;
        }
        session.enter(order).map_err(|r| Failure::Fault(format!("sending an order: {r:?}")))?;
    }
    Ok(())
}

/// The operator turns the phase.
fn turn(exchange: &Exchange, spec: &TickerSpec, phase: &str) -> Outcome {
    exchange.ask(&json!({"do": "phase", "ticker": spec.symbol.to_string(), "phase": phase})).map(|_| ())
}

/// Looks into the depth cache until the day's ticker is in `state`.
fn await_state(exchange: &Exchange, state: TradingState) -> Outcome {
    let failed = |what: String| Failure::Fault(format!("the depth cache: {what}"));
    let depth = DepthReader::open(&exchange.endpoints.depth).map_err(|e| failed(e.to_string()))?;
    let asked = Instant::now();
    while asked.elapsed() < PHASE_MAX {
        if depth.read(TickerId(0)).map_err(|e| failed(e.to_string()))?.facts.state == state {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    Err(Failure::Refused(format!("the first ticker did not come to be {state:?} within {PHASE_MAX:?}")))
}

/// What the feed said of the day's crosses.
pub fn print(blocks: &[u8]) {
    println!("\nCrosses, as the feed told them");
    println!("  ticker    cross      price       shares  imbalances told before  last one");
    let mut told: Vec<(Symbol, u64, String)> = Vec::new();
    for (_, message) in messages(blocks) {
        match itch::parse(message) {
            Ok(Message::NetOrderImbalance(noii)) => {
                let symbol = Symbol(noii.stock);
                let text = format!(
                    "paired {}, {} too many on {}, near {}",
                    noii.paired.get(),
                    noii.imbalance.get(),
                    char::from(noii.direction),
                    Price(noii.near_price.get())
                );
                match told.iter_mut().find(|(of, ..)| *of == symbol) {
                    Some(entry) => (entry.1, entry.2) = (entry.1 + 1, text),
                    None => told.push((symbol, 1, text)),
                }
            }
            Ok(Message::CrossTrade(cross)) if cross.shares.get() > 0 => {
                let symbol = Symbol(cross.stock);
                let at = told.iter().position(|(of, ..)| *of == symbol);
                let (_, count, last) = at.map_or((symbol, 0, String::new()), |at| told.swap_remove(at));
                let kind = match cross.cross {
                    b'O' => "opening",
                    b'C' => "closing",
                    _ => "halt",
                };
                println!(
                    "  {:<9} {kind:<8} {:>8} {:>12}  {count:>22}  {last}",
                    symbol.to_string(),
                    Price(cross.price.get()).to_string(),
                    cross.shares.get(),
                );
            }
            _ => {}
        }
    }
}
