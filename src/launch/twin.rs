//! [`Twin`]: the whole deterministic path on one thread, record by record. Cold.
//!
//! The live exchange spreads OMS, shards and egress over agents and links; the twin calls the same code in a plain
//! loop. A start rebuilds its state with it, `pitlane replay` proves a journal with it, and whatever the live stages
//! produced must be what the twin produces: that is the first of the seven ideas, made into a tool.

use crate::egress::fan::{self, Outlet};
use crate::engine::book::{Events, Progress, Shard, ShardFault};
use crate::engine::oms::{Oms, Route};
use crate::types::{Market, MatcherId, Outcome, Sequenced};

/// OMS and books, fed one record at a time.
pub struct Twin {
    oms: Oms,
    shards: Vec<Shard>,
    out: Events,
    sessions: u16,
}

impl Twin {
    /// Empty books; takes the memory the market's configuration asks for.
    ///
    /// # Errors
    /// A price range that no ladder can hold.
    pub fn new(market: &Market) -> Result<Twin, ShardFault> {
        let shards = (0..market.matchers).map(|m| Shard::new(market, MatcherId(m))).collect::<Result<_, _>>()?;
        Ok(Twin { oms: Oms::new(market), shards, out: Events::new(), sessions: market.sessions.len() as u16 })
    }

    /// Applies one record; everything outward goes to `outlet`, in the order it leaves the exchange.
    pub fn apply(&mut self, record: &Sequenced, outlet: &mut impl Outlet) {
        fan::opening(record, self.sessions, outlet);
        let route = self.oms.route(record);
        self.oms.apply(record);
        match route {
            Route::None => {}
            Route::One(matcher) => self.execute(matcher.index(), record, outlet),
            Route::All => (0..self.shards.len()).for_each(|shard| self.execute(shard, record, outlet)),
        }
        fan::closing(record, self.sessions, outlet);
    }

    fn execute(&mut self, shard: usize, record: &Sequenced, outlet: &mut impl Outlet) {
        let mut progress = self.shards[shard].execute(record, &mut self.out);
        loop {
            for &(ticker, event) in self.out.as_slice() {
                self.oms.on_event(&Outcome { number: record.number, time: record.time, ticker, event });
                fan::event(record, ticker, &event, outlet);
            }
            if progress == Progress::Done {
                return;
            }
            progress = self.shards[shard].resume(&mut self.out);
        }
    }

    /// The accounts.
    pub fn oms(&self) -> &Oms {
        &self.oms
    }

    /// The books of each shard.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// One number for the whole state: OMS and all books.
    pub fn digest(&self) -> u64 {
        combined_digest(self.oms.digest(), self.shards.iter().map(Shard::digest))
    }

    /// Takes it apart, for the live agents to go on from here.
    pub fn into_parts(self) -> (Oms, Vec<Shard>) {
        (self.oms, self.shards)
    }
}

/// The state's digest from those of its parts, in the order of the shards.
pub fn combined_digest(oms: u64, shards: impl Iterator<Item = u64>) -> u64 {
    shards.fold(oms, |digest, shard| (digest ^ shard).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23))
}
