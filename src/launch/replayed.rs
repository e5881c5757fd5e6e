//! A journal replayed whole: final state, every output stream, and whether risk limits held at each step. Cold.

use super::LaunchFault;
use super::closing::Closing;
use super::rebuild;
use super::supply::Supply;
use super::twin::Twin;
use crate::config::Config;
use crate::egress::fan::Outlet;
use crate::engine::book::Shard;
use crate::feed::{DepthCache, FeedStream};
use crate::gateway::streams::Streams;
use crate::os::touched::{Rest, Touched};
use crate::types::{CommandKind, Event, PublicFact, Published, Reject, Report, Sequenced, SessionId};
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

/// What is attempted when memory is taken.
const TAKING: &str = "taking the memory of";

/// Appends what leaves the exchange to the same stores the live stages use.
pub struct Stores {
    /// Client streams.
    pub streams: Streams,
    /// Feed.
    pub feed: FeedStream,
    fills: u64,
    fill_shares: u64,
    /// The first knob that was too small for the journal.
    too_small: Option<&'static str>,
    /// Brings memory meanwhile.
    supply: Supply,
}

/// Memory that is there behind the end of each store when a start is over. At a million answers a second to one session
/// it lasts for a third of a second; what comes behind it is brought faster than that.
const AHEAD_BYTES: usize = 32 << 20;

impl Stores {
    /// Empty, of the configured sizes, with the depth cache that the feed keeps up, if any. A thread begins to bring their
    /// memory.
    ///
    /// # Errors
    /// The system gives no such memory, or no thread.
    pub fn new(config: &Config, cache: Option<DepthCache>) -> Result<Stores, LaunchFault> {
        let market = &config.market;
        let reserve = |bytes| Touched::reserve(bytes).map_err(LaunchFault::system(TAKING, "streams and feed"));
        let bytes = Streams::memory_bytes(config.gateway.stream_bytes);
        let memory = market.sessions.iter().map(|_| reserve(bytes)).collect::<Result<_, _>>()?;
        let streams = Streams::within(market, memory);
        let feed = FeedStream::within(market, reserve(config.feed.store_bytes)?, cache);
        let supply = Supply::begin(streams.rests().chain(feed.store().rest()).collect())?;
        Ok(Stores { streams, feed, fills: 0, fill_shares: 0, too_small: None, supply })
    }

    /// Memory of theirs that is there by now.
    pub fn bytes_there(&self) -> usize {
        self.supply.there()
    }

    /// Hands the stores to hot threads, which ask the system for nothing: so much is there that others can bring the rest,
    /// which comes with them, while they are used.
    ///
    /// # Errors
    /// The system does not give the memory.
    pub fn into_quiet(self) -> Result<(Streams, FeedStream, Vec<Rest>), LaunchFault> {
        let Stores { mut streams, mut feed, supply, .. } = self;
        supply.end();
        streams.keep_quiet(AHEAD_BYTES).map_err(LaunchFault::system(TAKING, "streams"))?;
        feed.store_mut().keep_quiet(AHEAD_BYTES).map_err(LaunchFault::system(TAKING, "the feed"))?;
        let rests = streams.rests().chain(feed.store().rest()).collect();
        Ok((streams, feed, rests))
    }

    /// As if nothing had been said. Cold, at start.
    pub fn clear(&mut self, sessions: usize) {
        (0..sessions as u16).for_each(|session| self.streams.clear(SessionId(session)));
        self.feed.clear();
    }

    /// Whether everything found room; what was left out otherwise makes the stores useless.
    ///
    /// # Errors
    /// A store is smaller than what the journal's records say: the knob to raise.
    pub fn check(&self) -> Result<(), LaunchFault> {
        let text = |knob| format!("{knob} is too small for what the journal's records say; raise it");
        self.too_small.map_or(Ok(()), |knob| Err(LaunchFault::Configuration(text(knob))))
    }
}

impl Outlet for Stores {
    fn report(&mut self, report: Report) {
        if self.streams.append(&report).is_err() {
            self.too_small.get_or_insert("gateway.stream_mebibytes");
        }
    }

    fn publish(&mut self, published: Published) {
        if let PublicFact::Book { event: Event::Filled { quantity, .. }, .. } = published.fact {
            self.fills += 1;
            self.fill_shares += u64::from(quantity.0);
        }
        if self.feed.on(&published).is_err() {
            self.too_small.get_or_insert("feed.store_mebibytes");
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
