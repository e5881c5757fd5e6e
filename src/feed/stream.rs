//! The feed without its network: facts in, numbered messages in the store, the depth cache kept up.
//!
//! Replay fills one before the publisher starts, `verify` fills one to compare digests, and the publisher owns one
//! while it runs: the same calls, so the same bytes.

use super::cache::DepthCache;
use super::encoder::FeedEncoder;
use super::store::{FeedStore, StoreFull};
use crate::os::touched::Touched;
use crate::types::bytes::Reader;
use crate::types::{Market, PublicFact, Published};
use crate::wire::mold::Session;
use std::io;

/// Encoder, store and cache of one feed session.
pub struct FeedStream {
    session: Session,
    encoder: FeedEncoder,
    store: FeedStore,
    cache: Option<DepthCache>,
    ended: bool,
}

impl FeedStream {
    /// An empty stream for the market, with room for `store_bytes` of messages and, if given, a cache to keep up.
    /// # Panics
    /// As [`FeedStore::new`].
    pub fn new(market: &Market, store_bytes: usize, cache: Option<DepthCache>) -> FeedStream {
        FeedStream::over(market, FeedStore::new(store_bytes), cache)
    }

    /// The same in this memory.
    pub fn within(market: &Market, memory: Touched, cache: Option<DepthCache>) -> FeedStream {
        FeedStream::over(market, FeedStore::within(memory), cache)
    }

    fn over(market: &Market, store: FeedStore, cache: Option<DepthCache>) -> FeedStream {
        let (session, encoder) = (market.session_name, FeedEncoder::new(market));
        FeedStream { session, encoder, store, cache, ended: false }
    }

    /// Takes one fact in. Says how many messages it made.
    /// # Errors
    /// [`StoreFull`]: nothing changed; the fact must not be lost, so the caller keeps it and takes no other.
    #[inline]
    pub fn on(&mut self, published: &Published) -> Result<u32, StoreFull> {
        let said = self.encoder.on(published, &mut self.store)?;
        if said > 0
            && let Some(cache) = &mut self.cache
        {
            cache.on(published, self.store.count());
        }
        if published.fact == PublicFact::DayEnd {
            self.end();
        }
        Ok(said)
    }

    /// Becomes what a snapshot holds: the messages from the bytes that `read` gives, the cache from `depths`. Cold, at start.
    /// # Errors
    /// As [`FeedStore::fill`], `InvalidData` also for levels that no feed of this market wrote.
    pub fn restore(
        &mut self,
        (bytes, count, ended): (u64, u64, bool),
        depths: &[u8],
        read: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.store.fill(bytes, count, read)?;
        if let Some(cache) = &mut self.cache {
            let mut from = Reader::new(depths);
            let loaded = cache.load(&mut from).and_then(|()| from.finish());
            loaded.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
        }
        if ended {
            self.end();
        }
        Ok(())
    }

    /// The store, for whoever sees to its memory. Cold.
    pub fn store_mut(&mut self) -> &mut FeedStore {
        &mut self.store
    }

    /// As if nothing had been said, after a try to restore that failed. Cold.
    pub fn clear(&mut self) {
        self.store.clear();
        if let Some(cache) = &mut self.cache {
            cache.clear();
        }
    }

    #[cold]
    fn end(&mut self) {
        self.ended = true;
        if let Some(cache) = &mut self.cache {
            cache.close();
        }
    }

    /// Name of the session on the wire.
    #[inline]
    pub fn session(&self) -> Session {
        self.session
    }

    /// The messages so far.
    #[inline]
    pub fn store(&self) -> &FeedStore {
        &self.store
    }

    /// Whether the day has ended: no message follows.
    #[inline]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Renews the cache's sign of life; `now_ns` of the monotonic clock.
    pub fn alive(&mut self, now_ns: u64) {
        if let Some(cache) = &mut self.cache {
            cache.alive(now_ns);
        }
    }

    /// Events that contradicted the cache's levels; above 0, matcher and feed disagree.
    pub fn contradictions(&self) -> u64 {
        self.cache.as_ref().map_or(0, DepthCache::contradictions)
    }
}
