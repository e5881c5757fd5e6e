//! The real matching shards behind the same desk, so that both sides are tried on what the other really says.

use crate::desk::Books;
use pitlane::engine::book::{Events, Progress, Shard};
use pitlane::engine::oms::Route;
use pitlane::types::bytes::{Reader, Writer};
use pitlane::types::{Market, MatcherId, Outcome, Sequenced, Side, TickerId};

pub struct Shards {
    shards: Vec<Shard>,
    out: Events,
    market: Market,
}

impl Shards {
    pub fn new(market: &Market) -> Shards {
        let shard = |m| Shard::new(market, MatcherId(m)).expect("ladders fit");
        Shards { shards: (0..market.matchers).map(shard).collect(), out: Events::new(), market: market.clone() }
    }
}

impl Shards {
    /// The same books, read from their bytes.
    pub fn reread(&self) -> Shards {
        let again = |(m, shard): (usize, &Shard)| {
            let mut out = Writer::new(shard.saved_bytes());
            shard.save(&mut out);
            let bytes = out.into_bytes();
            let fresh = Shard::new(&self.market, MatcherId(m as u16)).expect("ladders fit");
            fresh.load(&mut Reader::new(&bytes)).expect("what a shard wrote")
        };
        let shards = self.shards.iter().enumerate().map(again).collect();
        Shards { shards, out: Events::new(), market: self.market.clone() }
    }
}

impl Books for Shards {
    fn execute(&mut self, record: &Sequenced, route: Route) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for (m, shard) in self.shards.iter_mut().enumerate() {
            if route != Route::All && route != Route::One(MatcherId(m as u16)) {
                continue;
            }
            let mut progress = shard.execute(record, &mut self.out);
            loop {
                let stamp = |&(ticker, event)| Outcome { number: record.number, time: record.time, ticker, event };
                outcomes.extend(self.out.iter().map(stamp));
                if progress == Progress::Done {
                    break;
                }
                progress = shard.resume(&mut self.out);
            }
        }
        outcomes
    }

    fn open(&self) -> Vec<(u16, u32, u32)> {
        let mut open = Vec::new();
        for (t, spec) in self.market.tickers.iter().enumerate() {
            for side in [Side::Buy, Side::Sell] {
                let (shard, ticker) = (&self.shards[spec.matcher.index()], TickerId(t as u16));
                let orders = shard.orders(ticker, side).chain(shard.cross_orders(ticker, side));
                open.extend(orders.map(|o| (spec.matcher.0, o.slot.0, o.leaves.0)));
                let stops = self.shards[spec.matcher.index()].stops(TickerId(t as u16), side);
                open.extend(stops.iter().map(|o| (spec.matcher.0, o.slot.0, o.leaves.0)));
                open.extend(shard.pegs(ticker, side).iter().map(|o| (spec.matcher.0, o.slot.0, o.leaves.0)));
            }
        }
        open.sort();
        open
    }
}
