//! A journal replayed whole: final state, every output stream, and whether risk limits held at each step. Cold.

use super::LaunchFault;
use super::closing::Closing;
use super::rebuild;
use super::stores::Stores;
use super::twin::Twin;
use crate::config::Config;
use crate::engine::book::Shard;
use crate::feed::FeedStream;
use crate::gateway::streams::Streams;
use crate::types::{CommandKind, Reject, Sequenced, SessionId};
use std::path::Path;

/// Everything a replay gives.
pub struct Replayed {
    /// The final state.
    pub twin: Twin,
    /// Every client's stream.
    pub streams: Streams,
    /// The feed.
    pub feed: FeedStream,
    /// Digests, comparable with those of the run.
    pub closing: Closing,
    /// What the records were.
    pub tally: Tally,
    /// Records after which a risk limit did not hold; at most [`BREACHES_MAX`] are kept.
    pub breaches: Vec<String>,
}

/// Breaches kept: the first ones tell what is wrong.
pub const BREACHES_MAX: usize = 8;

/// Counts of the records replayed.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// All records.
    pub records: u64,
    /// Enter requests.
    pub orders: u64,
    /// Executions.
    pub fills: u64,
    /// Shares of them.
    pub fill_shares: u64,
    /// Refusals by reason, in the order of their codes.
    pub refused: Vec<(Reject, u64)>,
    /// Steps at which every limit of the account concerned was checked.
    pub limit_checks: u64,
}

impl Tally {
    fn count(&mut self, record: &Sequenced) {
        self.records += 1;
        self.orders += u64::from(record.command.kind == CommandKind::Enter);
        let reject = record.verdict.reject;
        if reject == Reject::None {
            return;
        }
        match self.refused.binary_search_by_key(&reject, |(r, _)| *r) {
            Ok(at) => self.refused[at].1 += 1,
            Err(at) => self.refused.insert(at, (reject, 1)),
        }
    }
}

/// Replays the log at `path`, read-only.
///
/// # Errors
/// A damaged log, one of other reference data, or one that says more than the configured stores hold.
pub fn replay_whole(config: &Config, path: &Path) -> Result<Replayed, LaunchFault> {
    let mut stores = Stores::new(config, None)?;
    let mut tally = Tally::default();
    let mut breaches = Vec::new();
    let (twin, last) = rebuild::replay(config, path, &mut stores, |record, twin| {
        tally.count(record);
        let command = &record.command;
        if command.session == SessionId::VENUE || command.ticker.index() >= config.market.tickers.len() {
            return;
        }
        tally.limit_checks += 1;
        if let Err(breach) = twin.oms().limits_hold_at(command.account, command.ticker)
            && breaches.len() < BREACHES_MAX
        {
            breaches.push(format!("record {}: {breach:?}", record.number));
        }
    })?;
    if let Err(breach) = twin.oms().limits_hold() {
        breaches.push(format!("at the end: {breach:?}"));
    }
    stores.check()?;
    let Stores { streams, feed, fills, fill_shares, .. } = stores;
    (tally.fills, tally.fill_shares) = (fills, fill_shares);
    let sessions = (0..config.market.sessions.len() as u16).map(SessionId);
    let closing = Closing::of(
        last,
        twin.oms().digest(),
        twin.shards().iter().map(Shard::digest),
        &config.market,
        sessions.map(|s| (streams.next_sequence(s) - 1, streams.digest(s))),
        (feed.store().count(), feed.store().digest()),
    );
    Ok(Replayed { twin, streams, feed, closing, tally, breaches })
}
