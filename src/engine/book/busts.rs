//! A trade is broken: both sides are told what they had of it. Cold.

use super::events::{Events, Progress};
use super::shard::{Shard, nothing};
use super::tape::{BustWalk, Sought, Trade};
use super::work::Work;
use crate::types::Event;

impl Shard {
    /// Breaks the trade of the walk, once, if it is among those kept.
    #[cold]
    pub(super) fn bust(&mut self, mut walk: BustWalk, out: &mut Events) -> Progress {
        match self.tape.look_for(&mut walk) {
            Sought::Whole(trade) => {
                let Trade { parties, match_number, price, quantity, liquidity, first_side, .. } = trade;
                let (buyer, seller) = (first_side.index(), first_side.opposite().index());
                let (buy, sell) = (parties[buyer], parties[seller]);
                let (buy_liquidity, sell_liquidity) = (liquidity[buyer], liquidity[seller]);
                let event = Event::Broken { buy, sell, match_number, price, quantity, buy_liquidity, sell_liquidity };
                out.push(walk.ticker, event);
                Progress::Done
            }
            Sought::Nothing => nothing(walk.ticker, out),
            Sought::Later => {
                self.work = Work::Bust(walk);
                Progress::More
            }
        }
    }
}
