//! The four proofs, each from something the exchange could not have arranged: a replay of its log, the bytes clients
//! kept, the messages a subscriber heard.

use super::subscriber::{Heard, books};
use crate::config::Config;
use crate::launch::closing::Closing;
use crate::launch::replayed::Replayed;
use crate::types::{SessionId, Side, TickerId};
use std::path::Path;

/// What was seen from outside.
pub struct Seen {
    /// Bytes of each client's stream, as received.
    pub streams: Vec<Vec<u8>>,
    /// The feed.
    pub heard: Heard,
    /// Sessions whose connection was cut.
    pub cuts: Vec<usize>,
}

/// One claim, and what speaks against it.
pub struct Proof {
    claim: &'static str,
    evidence: String,
    against: Vec<String>,
}

impl Proof {
    /// Whether nothing speaks against it.
    pub fn holds(&self) -> bool {
        self.against.is_empty()
    }

    /// For people.
    pub fn print(&self) {
        let verdict = if self.holds() { "held  " } else { "FAILED" };
        println!("  {verdict}  {} ({})", self.claim, self.evidence);
        self.against.iter().for_each(|line| println!("          {line}"));
    }
}

/// All of them.
pub fn all(config: &Config, directory: &Path, replayed: &Replayed, seen: &Seen) -> [Proof; 4] {
    [
        book_from_feed(config, replayed, seen),
        replay_is_identical(directory, replayed, seen),
        reports_exactly_once(config, replayed, seen),
        limits_held(replayed),
    ]
}

/// The book rebuilt from the feed equals the engine's at every ticker.
fn book_from_feed(config: &Config, replayed: &Replayed, seen: &Seen) -> Proof {
    let builder = books(&seen.heard.blocks);
    let mut against = Vec::new();
    let mut levels = 0;
    for (index, spec) in config.market.tickers.iter().enumerate() {
        let shard = &replayed.twin.shards()[spec.matcher.index()];
        for side in [Side::Buy, Side::Sell] {
            let engine: Vec<_> =
                shard.depth(TickerId(index as u16), side).map(|d| (d.price, d.quantity, d.count)).collect();
            let rebuilt = builder.named(spec.symbol).map(|book| book.levels(side)).unwrap_or_default();
            levels += engine.len();
            if engine != rebuilt {
                against.push(format!("{} {side:?}: engine {engine:?}, feed {rebuilt:?}", spec.symbol));
            }
        }
    }
    let anomalies = builder.anomalies();
    if anomalies.total() > 0 {
        against.push(format!("the feed contradicts itself: {anomalies:?}"));
    }
    let tickers = config.market.tickers.len();
    Proof {
        claim: "the book rebuilt from the feed equals the engine's at every ticker",
        evidence: format!("{tickers} tickers, {levels} levels, {} feed messages", seen.heard.messages),
        against,
    }
}

/// The journal replayed gives the same state and the same bytes.
fn replay_is_identical(directory: &Path, replayed: &Replayed, seen: &Seen) -> Proof {
    let mut against = match Closing::read(directory) {
        Ok(live) => live.differences(&replayed.closing),
        Err(e) => vec![format!("reading what the exchange wrote when it stopped: {e}")],
    };
    if let Some(fault) = &seen.heard.fault {
        against.push(format!("following the feed: {fault}"));
    }
    if seen.heard.blocks != replayed.feed.store().bytes() {
        let (heard, stored) = (seen.heard.blocks.len(), replayed.feed.store().bytes().len());
        against.push(format!("the feed as heard ({heard} bytes) differs from the replayed one ({stored} bytes)"));
    }
    Proof {
        claim: "the journal replayed gives the same state, client streams and feed, byte for byte",
        evidence: format!("{} records, state {}", replayed.closing.number, replayed.closing.state),
        against,
    }
}

/// What each client received, over all its connections, is its stream: every report, once, in order.
fn reports_exactly_once(config: &Config, replayed: &Replayed, seen: &Seen) -> Proof {
    let mut against = Vec::new();
    let mut bytes = 0;
    for (index, received) in seen.streams.iter().enumerate() {
        let stream = replayed.streams.bytes(SessionId(index as u16));
        bytes += received.len();
        if received != stream {
            let same = received.iter().zip(stream).take_while(|(a, b)| a == b).count();
            let user = &config.market.sessions[index].user;
            let (got, has) = (received.len(), stream.len());
            against.push(format!("{user}: received {got} bytes of {has}, the same up to byte {same}"));
        }
    }
    let cut: Vec<_> =
        seen.cuts.iter().filter_map(|&i| config.market.sessions.get(i)).map(|s| s.user.as_str()).collect();
    Proof {
        claim: "every client got every report exactly once",
        evidence: format!("{bytes} bytes of reports compared, connections of {} cut on the way", cut.join(" and ")),
        against,
    }
}

/// Risk limits held after every record.
fn limits_held(replayed: &Replayed) -> Proof {
    let mut against = replayed.breaches.clone();
    if !replayed.twin.oms().is_balanced() {
        against.push("positions, cash and reservations do not balance".to_owned());
    }
    Proof {
        claim: "risk limits held at every step, and accounts balance",
        evidence: format!("{} steps checked", replayed.tally.limit_checks),
        against,
    }
}
