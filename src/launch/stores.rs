//! Where a replay appends what leaves the exchange: the same stores that the live stages use. Cold.

use super::LaunchFault;
use super::supply::Supply;
use crate::config::Config;
use crate::egress::fan::Outlet;
use crate::feed::{DepthCache, FeedStream};
use crate::gateway::streams::Streams;
use crate::os::touched::{Rest, Touched};
use crate::types::{Event, PublicFact, Published, Report, SessionId};

/// What is attempted when memory is taken.
const TAKING: &str = "taking the memory of";

/// Memory that is there behind the end of each store when a start is over. At a million answers a second to one session
/// it lasts for a third of a second; what comes behind it is brought faster than that.
const AHEAD_BYTES: usize = 32 << 20;

/// Appends what leaves the exchange to the same stores the live stages use.
pub struct Stores {
    /// Client streams.
    pub streams: Streams,
    /// Feed.
    pub feed: FeedStream,
    /// Executions that were published.
    pub fills: u64,
    /// Shares of them.
    pub fill_shares: u64,
    /// The first knob that was too small for the journal.
    too_small: Option<&'static str>,
    /// Brings memory meanwhile.
    supply: Supply,
}

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
