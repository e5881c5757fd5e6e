//! [`Twin`]: the whole deterministic path on one thread, record by record. Cold.
//!
//! The live exchange spreads OMS, shards and egress over agents and links; the twin calls the same code in a plain
//! loop. A start rebuilds its state with it, `pitlane replay` proves a journal with it, and whatever the live stages
//! produced must be what the twin produces: that is the first of the seven ideas, made into a tool.

use crate::egress::fan::{self, Outlet};
use crate::engine::book::{Events, Progress, Shard, ShardFault};
use crate::engine::oms::{Oms, Route};
use crate::journal::snapshots::{Section, Snapshot};
use crate::types::bytes::{Malformed, Reader, Writer};
use crate::types::{Market, MatcherId, Outcome, Sequenced};

/// Parts of a snapshot: the order management, each shard, where the outputs stand, what the feed has said.
pub const SECTION_OMS: u16 = 1;
/// See [`SECTION_OMS`].
pub const SECTION_SHARD: u16 = 2;
/// See [`SECTION_OMS`].
pub const SECTION_OUTPUTS: u16 = 3;
/// See [`SECTION_OMS`].
pub const SECTION_DEPTHS: u16 = 4;

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

    /// Takes the state down. Between two records, which is whenever nobody is in [`Twin::apply`].
    pub fn save(&self) -> Vec<Section> {
        let mut oms = Writer::new(self.oms.saved_bytes());
        self.oms.save(&mut oms);
        let mut sections = vec![Section { kind: SECTION_OMS, index: 0, bytes: oms.into_bytes() }];
        for (index, shard) in self.shards.iter().enumerate() {
            let mut out = Writer::new(shard.saved_bytes());
            shard.save(&mut out);
            sections.push(Section { kind: SECTION_SHARD, index: index as u16, bytes: out.into_bytes() });
        }
        sections
    }

    /// The twin that was taken down; what it says of its digest has been compared.
    ///
    /// # Errors
    /// Why these bytes are not that state.
    pub fn load(market: &Market, snapshot: &Snapshot) -> Result<Twin, String> {
        let part =
            |kind, index| snapshot.section(kind, index).ok_or_else(|| "a part of the state is missing".to_owned());
        let malformed = |malformed: Malformed| malformed.to_string();
        let mut from = Reader::new(part(SECTION_OMS, 0)?);
        let oms = Oms::new(market).load(&mut from).map_err(malformed)?;
        from.finish().map_err(malformed)?;
        let mut shards = Vec::with_capacity(usize::from(market.matchers));
        for matcher in 0..market.matchers {
            let mut from = Reader::new(part(SECTION_SHARD, matcher)?);
            let shard = Shard::new(market, MatcherId(matcher)).map_err(|fault| fault.to_string())?;
            shards.push(shard.load(&mut from).map_err(malformed)?);
            from.finish().map_err(malformed)?;
        }
        let twin = Twin { oms, shards, out: Events::new(), sessions: market.sessions.len() as u16 };
        let digest = twin.digest();
        if digest == snapshot.head.state {
            Ok(twin)
        } else {
            Err(format!("its state has digest {digest:016x}, it says {:016x}", snapshot.head.state))
        }
    }

    /// What can be compared often, shard by shard: see [`Shard::summary`].
    pub fn summaries(&self) -> impl Iterator<Item = u64> {
        self.shards.iter().map(Shard::summary)
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
