//! Real order flow, one recorded event after the other, and the book after each compared with the recorded one.

use super::subscriber::messages;
use crate::cli::Failure;
use crate::client::book::BookBuilder;
use crate::client::orders::Incoming;
use crate::config::Config;
use crate::measure::flow::lobster::{Agreement, Level, Recording, Replay, ReplayOptions, Snapshot};
use crate::measure::load::{LoadReport, Plan, Player};
use crate::types::{Channel, DayNanos, Side, Symbol, TickerId};
use crate::wire::ouch::Outbound;
use std::path::Path;
use std::time::{Duration, Instant};

/// Ticker the recording is of, when the configuration lists it; else the first.
const SYMBOL: Symbol = Symbol(*b"AAPL    ");
/// How long one event's answers may take.
const EVENT_MAX: Duration = Duration::from_secs(5);
/// The event after which a connection is cut: the middle, about.
const CUT_PART: usize = 2;

/// What was played, and when each event was over by the exchange's own time.
pub struct Played {
    recording: Recording,
    replay: Replay,
    symbol: Symbol,
    /// Time of the record that followed each event's last one.
    ends: Vec<DayNanos>,
}

/// Plays the recording of a directory.
///
/// # Errors
/// Files that cannot be read, or a session that is lost.
pub fn play(directory: &Path, config: &Config, player: &mut Player) -> Result<(Played, Vec<LoadReport>), Failure> {
    let recording = Recording::open(directory)
        .map_err(|e| Failure::Usage(format!("reading the recorded flow in {}: {e}", directory.display())))?;
    let ticker = config.market.ticker(SYMBOL).unwrap_or(TickerId(0));
    let symbol = config.market.tickers[ticker.index()].symbol;
    let replay = Replay::new(&recording, ReplayOptions::new(ticker));
    println!(
        "Playing {} recorded Nasdaq events on {symbol}, after {} orders that rested before:",
        replay.events(),
        replay.seeds.len()
    );
    let mut reports = vec![player.play(replay.seeds.iter().copied(), Plan::FLOOD, None)];
    let mut ends = Vec::with_capacity(replay.events());
    for event in 0..replay.events() {
        if event == replay.events() / CUT_PART {
            cut(player)?;
        }
        reports.push(player.play(replay.event(event).iter().copied(), Plan::IN_TURN, None));
        ends.push(record_time(player)?);
    }
    Ok((Played { recording, replay, symbol, ends }, reports))
}

/// A query is a record of its own, so its time lies behind everything the event did and before the next event.
fn record_time(player: &mut Player) -> Result<DayNanos, Failure> {
    let lost = |what: &str| Failure::Fault(format!("asking for the time of a record: {what}"));
    let session = player.session_mut(0).ok_or_else(|| lost("no session"))?;
    session.query(Channel::NONE).map_err(|r| lost(&format!("{r:?}")))?;
    let asked = Instant::now();
    while asked.elapsed() < EVENT_MAX {
        let incoming = session.wait(EVENT_MAX).map_err(|fault| lost(&fault.to_string()))?;
        if let Some(Incoming::Message { message: Outbound::AccountQueryResponse(response), .. }) = incoming {
            return Ok(response.time);
        }
    }
    Err(lost("no answer"))
}

fn cut(player: &mut Player) -> Result<(), Failure> {
    let Some(session) = player.session_mut(1) else { return Ok(()) };
    session.disconnect();
    session.reconnect().map_err(|fault| Failure::Fault(format!("logging in again: {fault}")))?;
    println!("  cut a connection in the middle and resumed it");
    Ok(())
}

impl Played {
    /// Compares the book the feed gives after each event with the recorded one, and prints the share that agrees.
    pub fn compare(&self, blocks: &[u8]) {
        let mut agreement = Agreement::default();
        let mut builder = BookBuilder::new();
        let mut rest = messages(blocks).peekable();
        for (event, end) in self.ends.iter().enumerate() {
            while let Some((_, message)) = rest.next_if(|(time, _)| time < end) {
                builder.on_message(message);
            }
            agreement.compare(&self.replay, event, &self.recording.books[event], &self.shown(&builder));
        }
        let counts = self.replay.counts;
        println!("\nTen levels after each of {} events, feed against recording", self.ends.len());
        println!("  {agreement}");
        println!(
            "  seeded {} levels of the first line and {} that come into view later; {} changes out of view were played",
            counts.seeds, counts.seeds_revealed, counts.changes_unseen
        );
        println!(
            "  {} requests name orders from before the recording; {} executions were out of turn there, {} behind the best",
            counts.orders_unknown, counts.executions_out_of_turn, counts.executions_behind_best
        );
    }

    fn shown(&self, builder: &BookBuilder) -> Snapshot {
        let side = |side| -> Vec<Level> {
            let levels = builder.named(self.symbol).map(|book| book.levels(side)).unwrap_or_default();
            levels.iter().map(|&(price, quantity, _)| Level { price, quantity }).collect()
        };
        Snapshot::new(side(Side::Buy), side(Side::Sell))
    }
}
